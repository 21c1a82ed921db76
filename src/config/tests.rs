use std::time::Duration;

use super::*;
use crate::pattern::{Pattern, Patterns};
use crate::watch::{Completion, Condition, Existing, Marker, Mode};

const MANIFEST: &str = "version: 1\nrules:\n- {name: a, match: '{s}.fq', sample: {name: '{s}', type: x}}\n";

/// Loads a config that lies beside a small manifest.
fn load_text(text: &str) -> (tempfile::TempDir, Result<Config, ConfigError>) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("manifest.yaml"), MANIFEST).unwrap();
    let file = dir.path().join("flow-ingest.yaml");
    std::fs::write(&file, text).unwrap();
    let config = load(&file);
    (dir, config)
}

fn right(text: &str) -> (tempfile::TempDir, Config) {
    let (dir, config) = load_text(text);
    (dir, config.unwrap_or_else(|error| panic!("{error}")))
}

fn wrong(text: &str) -> String {
    load_text(text).1.expect_err(text).to_string()
}

#[test]
fn what_is_not_said_has_its_documented_default() {
    let (dir, config) = right("state_dir: state\nwatch: [{path: drop, manifest: manifest.yaml, existing: skip}]\n");
    assert_eq!(config.state_dir, dir.path().join("state"));
    assert_eq!(config.flow.base_url, "https://app.flow.bio/api");
    assert_eq!(config.flow.credentials, CredentialSource::Environment);
    assert_eq!(config.flow.client, ClientConfig { chunk_size: 8_000_000, ..ClientConfig::default() });
    assert_eq!(config.flow.proxy, None);
    let drop = upload::WatchSettings { check_gzip: true, settle: Duration::from_secs(120) };
    let watches = [("drop".to_owned(), drop)].into_iter().collect();
    assert_eq!(config.uploads, upload::Settings { watches, ..upload::Settings::default() });
    assert_eq!(config.status, status::Settings::default());
    let WatchConfig { watch, manifest_file, .. } = &config.watches[0];
    assert_eq!((watch.name.as_str(), &watch.path), ("drop", &dir.path().join("drop")));
    assert_eq!(*manifest_file, dir.path().join("manifest.yaml"));
    assert_eq!((&watch.existing, watch.mode, watch.settle), (&Existing::Skip, Mode::Auto, None));
    assert_eq!((watch.poll, watch.rescan), (Duration::from_secs(30), Duration::from_secs(900)));
    assert!(watch.run_folder.is_none() && watch.ignore.is_empty());
    assert!(matches!(watch.complete_when.otherwise, Condition::Settled));
}

#[test]
fn what_is_said_arrives() {
    let (dir, config) = right(
        r#"
flow:
  base_url: http://127.0.0.1:8000/api/
  credentials: { username: alice, password_file: secrets/password }
  chunk_size: 64KiB
  connection_retries: 0
  request_timeout: 90s
  upload_retries: 7
  show_progress: false
  proxy: http://localhost:3128
state_dir: /var/lib/flow-ingest
timezone: Europe/London
uploads: { concurrency: 64, final_wait: 5m, if_exists: block, verify: download, check_gzip: false }
watch:
  - name: nextseq
    path: /data/fastq
    manifest: manifest.yaml
    existing: { since: 2026-07-01 }
    run_folder: "{date}_{flow_cell}"
    complete_when: { all: [ { any: [ { marker: "Logs/*.txt" }, { quiet: 1h } ] }, settled ] }
    settle: 10s
    mode: poll
    poll: 5s
    rescan: 1h
    ignore: ["**/*.bak"]
    check_gzip: true
  - { path: "/data/b", manifest: manifest.yaml, existing: { since: "2026-07-01T00:00:00+02:00" } }
  - { path: "/data/c", manifest: manifest.yaml, existing: { since: 2026-07-01T08:30 } }
status: { listen: none }
"#,
    );
    assert_eq!(config.flow.base_url, "http://127.0.0.1:8000/api");
    let password_file = dir.path().join("secrets/password");
    assert_eq!(config.flow.credentials, CredentialSource::Password { username: "alice".into(), password_file });
    let client = ClientConfig {
        chunk_size: 65_536,
        show_progress: false,
        connection_retries: 0,
        request_timeout: Duration::from_secs(90),
        upload_retries: 7,
    };
    assert_eq!(config.flow.client, client);
    let upload::Settings { concurrency, final_wait, if_exists, verify, watches } = &config.uploads;
    assert_eq!((*concurrency, *final_wait), (64, Some(Duration::from_secs(300))));
    assert_eq!((*if_exists, *verify), (IfExists::Block, upload::Verify::Download));
    for (name, check_gzip, settle) in [("b", false, 120), ("c", false, 120), ("nextseq", true, 10)] {
        let settings = upload::WatchSettings { check_gzip, settle: Duration::from_secs(settle) };
        assert_eq!(watches.get(name), Some(settings), "{name}");
    }
    assert_eq!(config.status.listen, None);
    let since = |i: usize| match &config.watches[i].watch.existing {
        Existing::Since(time) => time.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        [since(0), since(1), since(2)],
        ["2026-06-30T23:00:00Z", "2026-06-30T22:00:00Z", "2026-07-01T07:30:00Z"]
    );
    let watch = &config.watches[0].watch;
    assert_eq!(watch.settle, Some(Duration::from_secs(10)));
    assert!(watch.ignore.is_match("x/y.bak") && watch.ignore.is_match("y.bak") && !watch.ignore.is_match("y.bak/z"));
    let Condition::All(conditions) = &watch.complete_when.otherwise else { panic!("{:?}", watch.complete_when) };
    assert!(matches!(&conditions[..], [Condition::Any(any), Condition::Settled] if any.len() == 2));
    assert!(Arc::ptr_eq(&config.watches[0].manifest, &config.watches[1].manifest));
}

#[test]
fn a_config_may_go_to_any_task() {
    fn is_shared<T: Send + Sync + Clone>() {}
    is_shared::<Config>();
}

#[test]
fn a_run_can_wait_for_lists_and_outcomes_in_every_part_of_it() {
    let (_dir, config) = right(
        "state_dir: s\nwatch:\n  - path: d\n    manifest: manifest.yaml\n    existing: skip\n    run_folder: r\n    \
         complete_when:\n      always: { outcome: done.json, optional: true }\n      each:\n        - folder: a\n          \
         complete_when: { listed: a/list.tsv }\n      else: settled\n",
    );
    let completion = &config.watches[0].watch.complete_when;
    let Some(Condition::Outcome(always)) = &completion.always else { panic!("{completion:?}") };
    assert_eq!((always.pattern.to_string(), always.is_optional), ("done.json".to_owned(), true));
    let Condition::Listed(list) = &completion.folders[0].complete_when else { panic!("{completion:?}") };
    assert_eq!((list.pattern.to_string(), list.is_optional), ("a/list.tsv".to_owned(), false));
    assert!(matches!(completion.otherwise, Condition::Settled));
    // A list that may be missing tells no end; one that must come does.
    assert!(completion.folders[0].complete_when.tells_an_end() && !completion.tells_an_end());
}

#[test]
fn quiet_may_count_some_files_alone() {
    let condition = |keys: &str| {
        let watch =
            format!("{{path: d, manifest: manifest.yaml, existing: skip, run_folder: r, complete_when: {keys}}}");
        right(&format!("state_dir: s\nwatch: [{watch}]\n")).1.watches[0].watch.complete_when.clone()
    };
    let of = |patterns: &[&str]| {
        let of = patterns.iter().map(|text| Pattern::parse(text).unwrap()).collect();
        Completion::from(Condition::QuietOf { time: Duration::from_secs(3600), of: Patterns::new(of).unwrap() })
    };
    assert_eq!(condition("{quiet: 1h, of: '**/*.gz'}"), of(&["**/*.gz"]));
    assert_eq!(condition("{of: ['*.gz', 'b/{c}.fq'], quiet: 1h}"), of(&["*.gz", "b/{c}.fq"]));
    assert!(of(&["*.gz"]).tells_an_end());
    assert_eq!(condition("{quiet: 1h}"), Condition::Quiet(Duration::from_secs(3600)).into());
}

#[test]
fn a_marker_that_nothing_waits_for_tells_no_end() {
    let complete_when = |keys: &str| {
        let watch = format!("{{path: d, manifest: manifest.yaml, existing: skip, complete_when: {keys}}}");
        right(&format!("state_dir: s\nwatch: [{watch}]\n")).1.watches[0].watch.complete_when.clone()
    };
    let marker = || Pattern::parse("Copied.txt").unwrap();
    let optional = complete_when("{marker: Copied.txt, optional: true}");
    assert_eq!(optional, Condition::Marker(Marker { is_optional: true, ..marker().into() }).into());
    assert!(!optional.tells_an_end());
    assert_eq!(complete_when("{marker: Copied.txt, optional: false}"), Condition::Marker(marker().into()).into());
    let beside = "{always: {marker: Copied.txt, optional: true}, else: {quiet: 1h}}";
    assert!(complete_when(beside).tells_an_end());
    assert!(!complete_when(&beside.replace("{quiet: 1h}", "settled")).tells_an_end());
}

#[test]
fn json_loads_too() {
    right(
        r#"{"state_dir": "s", "watch": [{"path": "d", "manifest": "manifest.yaml", "existing": "upload"}], "flow": null}"#,
    );
}

#[test]
fn credentials_are_sent_in_the_open_to_this_machine_only() {
    let with = |flow: &str| {
        let watch = "watch: [{path: d, manifest: manifest.yaml, existing: skip}]";
        load_text(&format!("state_dir: s\n{watch}\nflow: {flow}\n")).1
    };
    for url in ["http://localhost:1/api", "http://127.8.9.1", "http://[::1]:8000/api", "https://flow.example.org"] {
        assert!(with(&format!("{{base_url: \"{url}\"}}")).is_ok(), "{url}");
    }
    for url in ["http://flow.example.org", "http://localhost.example.org", "http://10.0.0.1", "ftp://x", "app.flow.bio"]
    {
        assert!(with(&format!("{{base_url: \"{url}\"}}")).is_err(), "{url}");
    }
    assert!(with("{base_url: \"http://10.0.0.1\", allow_http: true}").is_ok());
    let error = with("{base_url: \"https://alice:s3cret@x\"}").unwrap_err().to_string();
    assert!(!error.contains("s3cret"), "{error}");
}

#[test]
fn watches_that_meet_are_found_through_links_and_dots() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("real/sub")).unwrap();
    std::os::unix::fs::symlink(dir.path().join("real"), dir.path().join("link")).unwrap();
    let text = |a: &str, b: &str| {
        let watch = |name: &str, path: String| {
            format!("{{name: {name}, path: {path}, manifest: manifest.yaml, existing: skip}}")
        };
        let path = |path: &str| dir.path().join(path).display().to_string();
        format!("state_dir: s\nwatch: [{}, {}]\n", watch("a", path(a)), watch("b", path(b)))
    };
    assert!(wrong(&text("real", "link")).contains("already"));
    assert!(wrong(&text("link/sub", "real")).contains("one in the other"));
    assert!(wrong(&text("x/../y", "y/z")).contains("one in the other"));
    right(&text("real", "real2"));
}

#[test]
fn a_flag_names_the_file() {
    assert_eq!(locate(Some(Path::new("x.yaml"))), Path::new("x.yaml"));
}

#[test]
fn the_watch_of_uploads_by_hand_is_nobodys() {
    let config = "state_dir: state\nwatch: [{name: by hand, path: drop, manifest: manifest.yaml, existing: skip}]\n";
    assert!(wrong(config).contains("give this watch another name"), "{}", wrong(config));
}

/// What `layouts show` prints can be pasted into a watch, and then does what the layout does.
#[test]
fn a_layout_is_what_its_yaml_says() {
    for layout in crate::layout::all() {
        let pasted: String = layout.yaml().lines().map(|line| format!("    {line}\n")).collect();
        let (_dir, config) = right(&format!(
            "state_dir: state\nwatch:\n  - {{name: a, path: a, manifest: manifest.yaml, existing: skip, layout: {}}}\n  \
             - name: b\n    path: b\n    manifest: manifest.yaml\n    existing: skip\n{pasted}",
            layout.name
        ));
        let [by_name, by_hand] = [&config.watches[0].watch, &config.watches[1].watch];
        assert_eq!(by_name.run_folder, by_hand.run_folder, "{}", layout.name);
        assert_eq!(format!("{:?}", by_name.complete_when), format!("{:?}", by_hand.complete_when), "{}", layout.name);
        assert!(by_name.complete_when.tells_an_end(), "{}", layout.name);
        assert_eq!(by_hand.ignore.len(), layout.ignored.len() + layout.never_listed.len(), "{}", layout.name);
        if layout.name == "drop-folder" {
            let is_ignored = |path: &str| by_hand.ignore.is_match(path);
            assert!(is_ignored("a/x_I1_001.fq.gz") && is_ignored("Undetermined_S0_L001_R1_001.fastq.gz"));
            assert!(!is_ignored("x_I10_R1.fq.gz") && !is_ignored("a/Undetermined_tissue_R1.fastq.gz"));
        }
        let pattern = Manifest::parse(
            "m",
            &format!(
                "version: 1\nrules:\n- name: a\n  match: {}\n  sample: {{name: '{{run}}', type: x}}\n",
                layout.yaml().split_once("match:").unwrap().1.replace('#', " ")
            ),
        );
        let patterns = pattern.unwrap_or_else(|problems| panic!("{}: {problems}", layout.name)).rules.remove(0).pattern;
        let written: Vec<String> = patterns.iter().map(ToString::to_string).collect();
        assert_eq!(written, layout.reads, "{}", layout.name);
        let in_runs = by_name.run_folder.iter().flat_map(|folders| folders.names()).collect::<Vec<_>>();
        let promised = |name: &&str| patterns.names().contains(name) || in_runs.contains(name);
        assert!(layout.captures.iter().all(promised), "{}", layout.name);
    }
}

#[test]
fn a_watchs_own_keys_go_before_its_layouts() {
    let (_dir, config) = right(
        "state_dir: state\nwatch: [{path: a, manifest: manifest.yaml, existing: skip, layout: illumina, \
         run_folder: [r, '{x}_run'], complete_when: {marker: done}, ignore: ['*.x', '*.y']}]\n",
    );
    let watch = &config.watches[0].watch;
    assert_eq!(watch.run_folder.as_ref().unwrap().names(), ["x"]);
    assert!(matches!(&watch.complete_when.otherwise, Condition::Marker(_)) && watch.complete_when.folders.is_empty());
    let never_listed = crate::layout::find("illumina").unwrap().never_listed.len();
    assert_eq!(watch.ignore.len(), never_listed + 2, "its own are added");
    let (_dir, config) = right(
        "state_dir: state\nwatch: [{path: a, manifest: manifest.yaml, existing: skip, layout: illumina, ignore: []}]\n",
    );
    assert!(config.watches[0].watch.ignore.is_empty(), "and all is taken back by none");
}

#[test]
fn run_folders_may_be_runs_for_some_of_their_entries() {
    let watch = |run_folder: &str| {
        format!(
            "state_dir: state\nwatch:\n  - path: a\n    manifest: manifest.yaml\n    existing: skip\n    complete_when: \
             settled\n    run_folder: {run_folder}\n"
        )
    };
    let names = |run_folder: &str| {
        let (_dir, config) = right(&watch(run_folder));
        let run_folder = config.watches[0].watch.run_folder.clone().unwrap();
        run_folder.names().iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("{folder: '{a}/{b}', entries: reads}"), ["a", "b"]);
    assert_eq!(names("[{folder: ['{a}', '{b}/{a}'], entries: [reads, '*.txt']}, '{c}_{a}']"), ["c", "a", "b"]);
    for (run_folder, said) in [
        ("{a}_{b}", "must be quoted"),
        (
            "{a}",
            "watch[0].run_folder: found a map, expected a pattern, or {folder: PATTERN, entries: [...]}; a text that",
        ),
        ("[x, {folder: '{a'}]", "7:21: watch[0].run_folder[1]: the key entries is missing; expected the names"),
        ("[x, {folder: '{a', entries: y}]", "watch[0].run_folder[1].folder: "),
        ("{entries: y}", "the key folder is missing; expected a pattern of folders below the watch"),
        ("{folder: x, entrys: y, entries: z}", "watch[0].run_folder.entrys: unknown key; did you mean entries?"),
        ("{folder: x, entries: [y, a/b]}", "entries[1]: \"a/b\" is no name within a folder"),
        ("{folder: x, entries: '['}", "watch[0].run_folder.entries: error parsing glob"),
        ("{folder: x, entries: []}", "entries: found an empty list, expected a name, or a glob of names"),
        ("{folder: x, folder: z, entries: y}", "the key stands twice"),
    ] {
        let error = wrong(&watch(run_folder));
        assert!(error.contains(said), "{run_folder}: {error}");
        assert!(error.contains("flow-ingest.yaml:7:"), "{run_folder}: {error}");
    }
}

#[test]
fn mistakes_about_layouts_say_what_to_write() {
    let watch = |keys: &str| {
        wrong(&format!("state_dir: state\nwatch: [{{path: a, manifest: manifest.yaml, existing: skip, {keys}}}]\n"))
    };
    assert!(watch("layout: ilumina").contains("unknown layout \"ilumina\"; did you mean illumina?"));
    assert!(watch("layout: abi3730").contains("expected illumina, bcl-convert, "));
    let of = watch("run_folder: r, complete_when: {marker: m, of: '*.gz'}");
    assert!(of.contains("of is said of quiet alone: which files must be quiet"), "{of}");
    assert!(watch("run_folder: r, complete_when: {quiet: 1h, of: []}").contains("a pattern, or a list of them"));
    assert!(watch("run_folder: r, complete_when: {quiet: 1h, of: '{a'}").contains("complete_when.of: column 1"));
    let optional = watch("run_folder: r, complete_when: {quiet: 1h, optional: true}");
    assert!(optional.contains("optional is said of marker, outcome and listed alone"), "{optional}");
    let two = watch("run_folder: r, complete_when: {outcome: a, listed: b}");
    assert!(two.contains("one condition was expected"), "{two}");
    let each = watch("run_folder: r, complete_when: {each: [{folder: 'a/{b', own_unit: 3}]}");
    for said in ["never closed", "the key complete_when is missing", "the key else is missing", "own_unit"] {
        assert!(each.contains(said), "{said}: {each}");
    }
    let holds = |keys: &str| watch(&format!("run_folder: r, complete_when: {{each: [{{{keys}}}], else: settled}}"));
    // A folder says nothing of its own end.
    let without = holds("holds: Samples/");
    assert!(without.contains("the key complete_when is missing"), "{without}");
    let nothing = holds("holds: '/'");
    assert!(
        nothing.contains("such as Logs/FastqComplete.txt, or Samples/") && !nothing.contains("missing"),
        "{nothing}"
    );
    let unclosed = holds("holds: Samples/, marker: 'a{b'");
    assert!(unclosed.contains("marker: column") && !unclosed.contains("missing"), "{unclosed}");
}

#[test]
fn a_folder_of_a_run_is_complete_by_a_marker_within_it_and_by_what_else_is_said() {
    let of = |keys: &str| {
        let (_dir, config) = right(&format!(
            "state_dir: s\nwatch:\n  - path: d\n    manifest: manifest.yaml\n    existing: skip\n    run_folder: r\n    \
             complete_when: {{each: [{{{keys}}}], else: settled}}\n"
        ));
        config.watches[0].watch.complete_when.folders[0].complete_when.clone()
    };
    let pattern = |text: &str| Pattern::parse(text).unwrap();
    let within = || Condition::Marker(Marker { is_within: true, ..pattern("Done.txt").into() });
    assert_eq!(of("holds: Samples/, marker: Done.txt"), within());
    assert_eq!(of("folder: 'A/{n}', marker: Done.txt"), within());
    let both = Condition::All(vec![within(), Condition::Settled]);
    assert_eq!(of("holds: Logs/, marker: Done.txt, complete_when: settled"), both);
    assert_eq!(of("holds: Logs/Done.txt"), Condition::Marker(pattern("**/Logs/Done.txt").into()));
}

#[test]
fn what_a_watch_expects_and_makes_of_samples_without_reads() {
    let text = |keys: &str| {
        format!("state_dir: state\nwatch: [{{path: drop, manifest: manifest.yaml, existing: skip{keys}}}]\n")
    };
    let (_dir, config) = right(&text(", expect: {within: 24h}, no_reads: block"));
    let watched = &config.watches[0];
    assert_eq!(watched.watch.expect_within, Some(Duration::from_secs(86_400)));
    assert_eq!(watched.manifest.rules[0].no_reads, manifest::NoReads::Block);
    let (_dir, config) = right(&text(""));
    assert_eq!(config.watches[0].watch.expect_within, None);
    assert_eq!(config.watches[0].manifest.rules[0].no_reads, manifest::NoReads::Skip);
    for (keys, words) in [
        (", expect: {}", "the key within is missing"),
        (", expect: 24h", "a map such as {within: 24h}"),
        (", expect: {within: 24h, samples: 3}", "samples"),
        (", no_reads: hold", "skip or block"),
    ] {
        let error = wrong(&text(keys));
        assert!(error.contains(words), "{error}");
    }
}
