use super::*;
use crate::config::Tree;
use crate::observation::Observation;
use crate::sample::Fingerprint;

const MANIFEST: &str = r#"version: 1
rules:
  - { name: pairs, match: "{sample}_R{read}.fq", paired: required, sample: { name: "{sample}", type: x } }
"#;

/// A watch with run folders `<date>_<cell>`, each complete with a file `done`.
fn watched(dir: &Path) -> WatchConfig {
    watched_by(dir, MANIFEST)
}

fn watched_by(dir: &Path, rules: &str) -> WatchConfig {
    let manifest = dir.join("m.yaml");
    std::fs::write(&manifest, rules).unwrap();
    let tree = Tree {
        dir,
        manifest: &manifest,
        layout: None,
        run_folder: Some("{date:int}_{cell}"),
        complete_when: Some("{ marker: done }"),
    };
    tree.watch().unwrap()
}

/// A run with these files, each to settle in ten seconds.
fn run(watched: &WatchConfig, files: &[&str]) -> RunView {
    let now = Moment::now();
    let file = |name: &&str| FileView {
        path: watched.watch.path.join("1_a").join(name),
        below_run: name.into(),
        observation: Observation {
            fingerprint: Fingerprint { size: 1, modified_ns: 1 },
            since: now,
            look: 0,
            existing: false,
        },
        unchanged_for: Duration::ZERO,
        settled: false,
        settles_in: Some(Duration::from_secs(10)),
    };
    let captures = [("date", "1"), ("cell", "a")].map(|(name, text)| (name.to_owned(), text.to_owned())).into();
    let files = files.iter().map(file).collect();
    RunView::new("1_a".into(), "1_a".into(), captures, files, now, Duration::ZERO, &watched.watch.complete_when)
}

fn facts<'a>(watched: &'a WatchConfig, views: &'a [RunView], path: &'a Path, found: Found) -> Facts<'a> {
    Facts {
        watched,
        path,
        below: path.strip_prefix(&watched.watch.path).unwrap(),
        found,
        views: views.iter().collect(),
        seen_at: HashMap::new(),
        shelves: HashMap::new(),
        left_out: Vec::new(),
        journal: None,
        is_running: true,
        stopped: None,
        condition: None,
        next_scan: None,
        scan_every: Duration::from_secs(60),
    }
}

#[test]
fn what_a_sample_waits_for_and_when_it_ends_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let watched = watched(dir.path());
    let views = [run(&watched, &["S1_R1.fq", "done"])];
    let path = watched.watch.path.join("1_a/S1_R1.fq");
    let mut facts = facts(&watched, &views, &path, Found::File);
    let explanation = Explanation::of(&facts).unwrap();
    assert_eq!(explanation.state.as_deref(), Some("waiting"));
    let reason = "waiting for reads2; S1_R1.fq has not settled yet; marker done present";
    assert_eq!(explanation.waits_for, [reason]);
    assert_eq!(explanation.captured["sample"], "S1");
    let within: Vec<u64> = explanation.next.iter().map(|next| next.in_seconds).collect();
    assert_eq!(within, [10, 10], "the file settles, and time tells of the mate: {:?}", explanation.next);

    // The view was shown four seconds ago, the scan was due then and every minute since.
    let now = Moment::now();
    let earlier = |seconds| Moment { at: now.at.saturating_sub(Duration::from_secs(seconds)), ..now };
    facts.seen_at.insert("1_a".into(), earlier(4));
    facts.next_scan = Some(earlier(4 + 60));
    let explanation = Explanation::of(&facts).unwrap();
    let within: Vec<u64> = explanation.next.iter().map(|next| next.in_seconds).collect();
    assert!(matches!(within[..], [5..=6, 5..=6, 55..=56]), "{:?}", explanation.next);
}

/// An annotation sheet fits no `match` of its rule, and belongs to it all the same.
#[test]
fn an_annotation_sheet_is_its_sets_and_no_other_rules() {
    let dir = tempfile::tempdir().unwrap();
    let rules = r#"version: 1
rules:
  - { name: pooled, match: "{pool}_R{read}.fq", multiplexed: { annotation: "all.csv" } }
  - { name: tables, match: "{table}.csv", data: {} }
"#;
    let watched = watched_by(dir.path(), rules);
    let views = [run(&watched, &["P1_R1.fq", "P2_R1.fq", "all.csv", "done"])];
    let path = watched.watch.path.join("1_a/all.csv");
    let explanation = Explanation::of(&facts(&watched, &views, &path, Found::File)).unwrap();
    assert_eq!((explanation.rule.as_deref(), explanation.slot.as_deref()), (Some("pooled"), Some("annotation")));
    assert!(explanation.captured.is_empty(), "{:?}", explanation.captured);
    let takes: Vec<_> = explanation.rules.iter().map(|tried| (tried.rule.as_str(), tried.takes)).collect();
    assert_eq!(takes, [("pooled", true), ("tables", false)]);
    let [note] = &explanation.notes[..] else { panic!("{:?}", explanation.notes) };
    assert!(note.contains("it is the annotation of P2 ("), "{note}");
}

#[test]
fn a_run_without_its_marker_says_so_with_all_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let watched = watched(dir.path());
    let views = [run(&watched, &["S1_R1.fq", "S1_R2.fq", "notes"])];
    let path = watched.watch.path.join("1_a");
    let explanation = Explanation::of(&facts(&watched, &views, &path, Found::Folder)).unwrap();
    assert_eq!((explanation.kind.as_str(), explanation.run.as_deref()), ("run", Some("1_a")));
    assert_eq!(explanation.waits_for, ["waiting for the marker done"]);
    let files: Vec<_> = explanation.files.iter().map(|file| (file.sample.as_deref(), file.slot.as_deref())).collect();
    assert_eq!(files, [(Some("S1"), Some("reads1")), (Some("S1"), Some("reads2")), (None, None)]);
    let above = Explanation::of(&facts(&watched, &views, &watched.watch.path, Found::Folder)).unwrap();
    assert_eq!((above.kind.as_str(), above.runs.len(), above.files.len()), ("folder", 1, 0));
}

#[test]
fn what_the_watch_never_shows_is_explained_by_its_name_or_its_folders() {
    let dir = tempfile::tempdir().unwrap();
    let watched = watched(dir.path());
    let views = [run(&watched, &["S1_R1.fq"])];
    let explain = |below: &str, found| {
        let path = watched.watch.path.join(below);
        let mut facts = facts(&watched, &views, &path, found);
        facts.left_out = vec![(watched.watch.path.join("1_a/link"), "a link to a folder".to_owned())];
        Explanation::of(&facts).map(|explanation| (explanation.left_out, explanation.reason.unwrap_or_default()))
    };
    assert_eq!(explain("1_a/link", Found::File), Ok((true, "a link to a folder".to_owned())));
    let (is_left_out, reason) = explain("1_a/.tmp/x.fq", Found::File).unwrap();
    assert!(is_left_out && reason.ends_with("1_a/.tmp: always left out: its name begins with a dot"), "{reason}");
    let (is_left_out, reason) = explain("x.fq", Found::File).unwrap();
    let said = "not inside a run folder (no folder above it matches {date:int}_{cell}); where runs are named otherwise";
    assert!(is_left_out && reason.starts_with(said), "{reason}");
    let (is_left_out, reason) = explain("lab", Found::Folder).unwrap();
    let said =
        "it is no run folder of the watch, and there is none in it (no folder there matches {date:int}_{cell}); ";
    assert!(!is_left_out && reason.starts_with(said), "{reason}");
    assert_eq!(explain("1_a/new.fq", Found::File), Ok((false, "the agent has not seen it yet".to_owned())));
    assert!(matches!(explain("1_a/none.fq", Found::Nothing), Err(Refusal::Unknown(_))));
}

#[test]
fn a_path_is_found_in_its_watch_around_links() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("real/1_a")).unwrap();
    std::os::unix::fs::symlink("real", dir.path().join("link")).unwrap();
    let mut watched = watched(&dir.path().join("real"));
    let below = |watched: &WatchConfig, path: &str| {
        watch_of(std::slice::from_ref(watched), &dir.path().join(path)).map(|it| it.1)
    };
    assert_eq!(below(&watched, "real/1_a/x"), Some("1_a/x".into()));
    assert_eq!(below(&watched, "link/1_a/x"), Some("1_a/x".into()));
    watched.watch.path = dir.path().join("link");
    assert_eq!(below(&watched, "real/1_a/x"), Some("1_a/x".into()));
    assert_eq!(below(&watched, "elsewhere/x"), None);
}
