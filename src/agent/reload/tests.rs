use super::*;
use crate::config;
use crate::journal::{FileUpload, Stage, State, Upload};
use crate::sample::{Finding, Fingerprint, Kind, Part, Sample, SampleKey, Slot, Standing, Target};

fn record(name: &str, file: &str, sample_type: &str, standing: Standing) -> Record {
    let key = SampleKey { kind: Kind::Sample, watch: "w".into(), run: "r".into(), name: name.into() };
    let target = Target::Sample {
        name: name.into(),
        sample_type: sample_type.into(),
        organism: None,
        project: None,
        project_name: None,
        metadata: vec![("strandedness".into(), "reverse".into())],
    };
    let part = Part { path: format!("/w/r/{file}").into(), fingerprint: Fingerprint { size: 1, modified_ns: 1 } };
    let slots = vec![Slot { key: "reads1".into(), filename: file.into(), parts: vec![part] }];
    let sample = Sample { key, rule: "rule".into(), target, slots, sheets: Vec::new() };
    Record::foreseen(Finding { sample, standing, is_existing: false, in_ending_run: false })
}

fn empty() -> Reload {
    let dir = tempfile::tempdir().unwrap();
    let same = parse(dir.path(), "");
    Reload::between(&same, &same)
}

fn parse(dir: &std::path::Path, more: &str) -> Config {
    let manifest = "version: 1\nrules: [{name: a, match: '{s}.fq', sample: {name: '{s}', type: x}}]\n";
    std::fs::write(dir.join("m.yaml"), manifest).unwrap();
    let text = format!("watch: [{{path: drop, manifest: m.yaml, existing: skip}}]\n{more}");
    let text = if more.contains("state_dir") { text } else { format!("state_dir: state\n{text}") };
    config::parse(&dir.join("c.yaml"), text.into_bytes()).unwrap()
}

#[test]
fn what_becomes_of_samples_is_told_with_what_they_were() {
    let sending = FileUpload {
        base: 10,
        size: 30,
        begun_anew: 0,
        abandoned: Vec::new(),
        sha256: None,
        prefix_sha256: None,
        parts_sha256: Vec::new(),
        identity: None,
        stage: Stage::Sending { data_id: Some("1".into()), chunks: 1, strikes: 0 },
    };
    let upload = Upload { files: vec![sending], ..Upload::default() };
    let under_way = Record { state: State::Uploading { upload }, ..record("busy", "busy", "x", Standing::Ready) };
    let waiting = || Standing::Waiting("for reads2".to_owned());
    let old = vec![
        record("same", "same", "x", Standing::Ready),
        record("typed", "typed", "x", waiting()),
        record("old", "moved", "x", Standing::Ready),
        record("nobody", "nobody", "x", Standing::Ready),
        record("cleaned", "cleaned", "x", waiting()),
        under_way.clone(),
    ];
    let new = vec![
        record("same", "same", "x", Standing::Ready),
        record("typed", "typed", "y", Standing::Ready),
        record("new", "moved", "x", Standing::Ready),
        record("fresh", "fresh", "x", waiting()),
        under_way,
    ];
    let present =
        ["same", "typed", "moved", "nobody", "fresh", "busy"].map(|file| format!("/w/r/{file}").into()).into();
    let mut reload = empty();
    let runs = ["r".to_owned()].into();
    reload.add("drop", old, Foresight { records: new, present, runs, is_whole: false, warning: None });
    reload.finish();
    let told = reload.changes.iter().map(|change| {
        let name = |outcome: &Option<Outcome>| outcome.as_ref().map(|outcome| outcome.name.clone()).unwrap_or_default();
        (change.change, name(&change.was), name(&change.is))
    });
    let told: Vec<_> = told.collect();
    let expected = [
        (SampleTurn::Changed, "cleaned", "cleaned"),
        (SampleTurn::New, "", "fresh"),
        (SampleTurn::Renamed, "old", "new"),
        (SampleTurn::Gone, "nobody", ""),
        (SampleTurn::Changed, "typed", "typed"),
    ];
    assert_eq!(told, expected.map(|(a, b, c)| (a, b.to_owned(), c.to_owned())));
    let counts = ReloadCounts { new: 1, gone: 1, renamed: 1, changed: 2, unchanged: 1, in_flight: 1 };
    assert_eq!(reload.counts, counts);
    let text = reload.render();
    assert!(text.contains("r typed:\n  was waiting (for reads2), by rule rule\n  is queued, by rule rule\n"), "{text}");
    assert!(text.contains("  type was \"x\" and is \"y\"\n"), "{text}");
    assert!(text.contains("r old: is called new now\n  name was \"old\" and is \"new\"\n"), "{text}");
    assert!(text.contains("its files are gone"), "{text}");
}

#[test]
fn what_could_not_be_looked_at_is_not_taken_for_gone() {
    let old = || vec![record("a", "a", "x", Standing::Waiting("for reads2".to_owned()))];
    let mut unseen = empty();
    unseen.add("drop", old(), Foresight::default());
    assert_eq!((unseen.changes.len(), unseen.counts.unchanged), (0, 1));
    let mut seen = empty();
    seen.add("drop", old(), Foresight { is_whole: true, ..Foresight::default() });
    assert_eq!(seen.counts.changed, 1, "{seen:?}");
}

#[test]
fn every_key_that_waits_for_the_next_start_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let old = parse(dir.path(), "");
    for (more, key) in [
        ("state_dir: other\n", "state_dir"),
        ("flow: {base_url: 'https://other.example.org/api'}\n", "flow.base_url"),
        ("flow: {allow_http: true}\n", "flow.allow_http"),
        ("flow: {credentials: {token_file: t}}\n", "flow.credentials"),
        ("flow: {proxy: 'http://proxy.example.org:1'}\n", "flow.proxy"),
        ("flow: {chunk_size: 1MB}\n", "flow.chunk_size"),
        ("flow: {connection_retries: 9}\n", "flow.connection_retries"),
        ("flow: {request_timeout: 9s}\n", "flow.request_timeout"),
        ("flow: {upload_retries: 9}\n", "flow.upload_retries"),
        ("flow: {show_progress: false}\n", "flow.show_progress"),
        ("uploads: {concurrency: 9}\n", "uploads.concurrency"),
        ("uploads: {final_wait: 9s}\n", "uploads.final_wait"),
        ("uploads: {if_exists: block}\n", "uploads.if_exists"),
        ("uploads: {verify: download}\n", "uploads.verify"),
        ("status: {listen: none}\n", "status.listen"),
    ] {
        let reload = Reload::between(&old, &parse(dir.path(), more));
        assert_eq!(reload.at_next_start, [format!("{key} takes effect at the next start")], "{more}");
        assert_eq!(reload.changed.len(), 1, "the config alone");
        assert!(reload.watches.is_empty(), "{reload:?}");
    }
    let gzip = Reload::between(&old, &parse(dir.path(), "uploads: {check_gzip: false}\n"));
    assert!(gzip.at_next_start.is_empty(), "taken with the watches");
}

#[test]
fn the_same_settings_have_the_same_id_and_others_another() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (parse(dir.path(), ""), parse(dir.path(), "uploads: {concurrency: 9}\n"));
    let id = |new: &Config| Reload::between(&old, new).id;
    assert_eq!(id(&new), id(&new));
    assert_ne!(id(&new), id(&old));
    assert_eq!(Reload::between(&old, &old).changed, [""; 0]);
}
