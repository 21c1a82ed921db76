use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::form::{StateValue, file_key, part_hashes_key, watch_key};
use super::record::Circumstances;
use super::store::Walk;
use super::*;
use crate::observation::{Moment, Observation};
use crate::sample::{Fingerprint, Kind, Part, SampleKey, SheetUsed, Slot, Target, path_from_text};
use crate::watch::{Baseline, PathText};

pub(super) fn sample(name: &str) -> Sample {
    let part = |file: &str, size| Part {
        path: PathBuf::from(format!("/data/miseq/run1/{file}")),
        fingerprint: Fingerprint { size, modified_ns: 1_700_000_000_123_456_789 },
    };
    let slot = |key: &str, file: String| Slot { key: key.into(), parts: vec![part(&file, 10)], filename: file };
    Sample {
        key: SampleKey { kind: Kind::Sample, watch: "miseq".into(), run: "run1".into(), name: name.into() },
        rule: "rnaseq".into(),
        target: Target::Sample {
            name: name.into(),
            sample_type: "RNA-Seq".into(),
            organism: Some("Hs".into()),
            project: None,
            project_name: None,
            metadata: vec![("strandedness".into(), "reverse".into())],
        },
        slots: vec![slot("reads1", format!("{name}_R1.fastq.gz")), slot("reads2", format!("{name}_R2.fastq.gz"))],
        sheets: Vec::new(),
    }
}

/// The sample with a first slot of so many parts.
fn sample_of_parts(name: &str, parts: usize) -> Sample {
    let mut sample = sample(name);
    let part = |n| Part {
        path: PathBuf::from(format!("/data/promethion/run1/pass/{name}/{name}_pass_abcdef01_{n}.fastq.gz")),
        fingerprint: Fingerprint { size: n, modified_ns: -1 },
    };
    sample.slots[0].parts = (0..parts as u64).map(part).collect();
    sample
}

pub(super) fn file_upload(stage: Stage) -> FileUpload {
    FileUpload {
        base: 8_000_000,
        size: 20_000_000,
        begun_anew: 0,
        abandoned: Vec::new(),
        sha256: None,
        prefix_sha256: None,
        parts_sha256: Vec::new(),
        identity: None,
        stage,
    }
}

/// An upload whose second and last file is in this stage.
pub(super) fn upload(stage: Stage) -> Upload {
    let first = FileUpload { sha256: Some("ab".repeat(32)), ..file_upload(Stage::Ready { data_id: "71".into() }) };
    let files = vec![first, file_upload(stage)];
    Upload { attempts: 2, faults: 1, files, sample_id: None, project: None, warnings: None, unsound_until: None }
}

pub(super) fn sending() -> Stage {
    Stage::Sending { data_id: Some("72".into()), chunks: 2, strikes: 1 }
}

pub(super) fn asking() -> Stage {
    Stage::Asking { data_id: Some("72".into()), asks: 3, sent_again: false }
}

pub(super) fn sent() -> Sent {
    Sent {
        warnings: None,
        attempts: 1,
        sample_id: Some("70".into()),
        files: vec![
            SentFile { data_id: "71".into(), sha256: Some("ab".repeat(32)), parts: Vec::new() },
            SentFile::new("72".into(), None),
        ],
        finished: "2026-11-24T09:00:00.5Z".parse().unwrap(),
        changed: false,
        adopted: false,
        retold: None,
    }
}

pub(super) fn open(dir: &tempfile::TempDir) -> Journal {
    Journal::open(dir.path()).unwrap()
}

pub(super) fn state_dir() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

pub(super) fn all(journal: &Journal) -> Vec<Record> {
    let mut records = journal.records().collect::<Result<Vec<_>, _>>().unwrap();
    records.sort_by(|a, b| a.sample.key.cmp(&b.sample.key));
    records
}

pub(super) fn state(journal: &Journal, sample: &Sample) -> State {
    journal.record(&sample.id()).unwrap().unwrap().state
}

pub(super) async fn put(journal: &Journal, sample: &Sample, standing: Standing) -> Vec<Record> {
    journal.assembled(vec![found(sample.clone(), standing)], false).await.unwrap().changed
}

fn found(sample: Sample, standing: Standing) -> Finding {
    Finding { sample, standing, is_existing: false }
}

fn record(state: State) -> Record {
    let first_seen = "2026-11-24T08:00:00Z".parse().unwrap();
    Record { sample: sample("a"), first_seen, history: History::default(), state }
}

fn held() -> State {
    State::Held { reason: "x".into(), by: Holder::Person, upload: None }
}

fn skipped() -> State {
    State::Skipped { reason: "x".into(), by: Skipper::Assembly }
}

/// Takes a sample as far as uploading.
pub(super) async fn begin(journal: &Journal, sample: &Sample) {
    put(journal, sample, Standing::Ready).await;
    journal.change(&sample.id(), Record::taken).await.unwrap();
}

pub(super) fn waiting(reason: &str) -> Standing {
    Standing::Waiting(reason.to_owned())
}

/// Puts bytes where a value lies, as another version would have.
pub(super) fn overwrite(dir: &Path, key: Vec<u8>, bytes: &[u8]) {
    let store = Store::open(&dir.join("journal")).unwrap();
    let mut writes = Writes::default();
    writes.put(key, bytes.to_vec());
    store.commit(&writes).unwrap();
}

mod golden {
    use super::*;

    /// What is stored, as text: the version, then the value.
    fn text(value: &impl Serialize) -> String {
        let bytes = encode(value);
        format!("{} {}", bytes[0], std::str::from_utf8(&bytes[1..]).unwrap())
    }

    fn bytes(text: &str) -> Vec<u8> {
        let (version, json) = text.split_once(' ').unwrap();
        [&[version.parse().unwrap()], json.as_bytes()].concat()
    }

    /// Journals of version 1 lie on people's disks: what is written here never changes. A change of the stored form
    /// gets a version of its own, and reads this one.
    #[track_caller]
    fn is_stored_as<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T, golden: &str) {
        assert_eq!(text(value), golden);
        assert_eq!(&decode::<T>("golden", &bytes(golden)).unwrap(), value);
    }

    #[track_caller]
    fn state_is_stored_as(state: State, golden: &str) {
        let history = History::default();
        let value = StateValue { first_seen: "2026-11-24T08:00:00.123456789Z".parse().unwrap(), history, state };
        assert_eq!(text(&value), golden);
        let read = decode::<StateValue>("golden", &bytes(golden)).unwrap();
        assert_eq!((read.first_seen, read.state), (value.first_seen, value.state));
    }

    #[test]
    fn samples() {
        is_stored_as(
            &sample("a 1"),
            r#"1 {"key":{"kind":"sample","watch":"miseq","run":"run1","name":"a 1"},"rule":"rnaseq","target":{"kind":"sample","name":"a 1","sample_type":"RNA-Seq","organism":"Hs","project":null,"metadata":[["strandedness","reverse"]]},"slots":[{"key":"reads1","filename":"a 1_R1.fastq.gz","parts":[{"path":"/data/miseq/run1/a 1_R1.fastq.gz","fingerprint":{"size":10,"modified_ns":1700000000123456789}}]},{"key":"reads2","filename":"a 1_R2.fastq.gz","parts":[{"path":"/data/miseq/run1/a 1_R2.fastq.gz","fingerprint":{"size":10,"modified_ns":1700000000123456789}}]}]}"#,
        );
        let path = path_from_text("/d/a\\xff\\x0a\u{e9}").unwrap();
        let part = Part { path, fingerprint: Fingerprint { size: u64::MAX, modified_ns: i64::MIN } };
        let data = Sample {
            key: SampleKey { kind: Kind::Data, watch: "w".into(), run: "w".into(), name: "x.html".into() },
            rule: "reports".into(),
            target: Target::Data { data_type: None, is_directory: false },
            slots: vec![Slot { key: "data".into(), filename: "x.html".into(), parts: vec![part] }],
            sheets: Vec::new(),
        };
        is_stored_as(
            &data,
            r#"1 {"key":{"kind":"data","watch":"w","run":"w","name":"x.html"},"rule":"reports","target":{"kind":"data","data_type":null},"slots":[{"key":"data","filename":"x.html","parts":[{"path":"/d/a\\xff\\x0aé","fingerprint":{"size":18446744073709551615,"modified_ns":-9223372036854775808}}]}]}"#,
        );
    }

    #[test]
    fn the_key_of_a_sample() {
        assert_eq!(sample("a 1").id().as_str(), "8knvup1qh0bq");
    }

    #[test]
    fn waiting_held_and_skipped() {
        let reason = || "for \"what\"".to_owned();
        state_is_stored_as(
            State::Waiting { reason: reason(), again: None },
            r#"1 {"first_seen":"2026-11-24T08:00:00.123456789Z","state":"waiting","reason":"for \"what\""}"#,
        );
        let moment = |seconds| Moment { boot: 7, at: Duration::from_secs(seconds) };
        state_is_stored_as(
            State::Waiting { reason: reason(), again: Some(Again { at: moment(5), until: moment(9) }) },
            r#"1 {"first_seen":"2026-11-24T08:00:00.123456789Z","state":"waiting","reason":"for \"what\"","again":{"at":{"boot":7,"at":{"secs":5,"nanos":0}},"until":{"boot":7,"at":{"secs":9,"nanos":0}}}}"#,
        );
        state_is_stored_as(
            State::Held { reason: reason(), by: Holder::Person, upload: None },
            r#"1 {"first_seen":"2026-11-24T08:00:00.123456789Z","state":"held","reason":"for \"what\"","by":"person"}"#,
        );
        state_is_stored_as(
            State::Held { reason: reason(), by: Holder::Rule, upload: None },
            r#"1 {"first_seen":"2026-11-24T08:00:00.123456789Z","state":"held","reason":"for \"what\"","by":"rule"}"#,
        );
        state_is_stored_as(
            State::Skipped { reason: reason(), by: Skipper::Assembly },
            r#"1 {"first_seen":"2026-11-24T08:00:00.123456789Z","state":"skipped","reason":"for \"what\""}"#,
        );
    }

    #[test]
    fn blocked() {
        state_is_stored_as(
            State::Blocked { reason: "x".into(), by: Blocker::Assembly },
            r#"1 {"first_seen":"2026-11-24T08:00:00.123456789Z","state":"blocked","reason":"x","by":"assembly"}"#,
        );
        state_is_stored_as(
            State::Blocked { reason: "x".into(), by: Blocker::Upload },
            r#"1 {"first_seen":"2026-11-24T08:00:00.123456789Z","state":"blocked","reason":"x","by":"upload"}"#,
        );
    }

    #[test]
    fn queued() {
        state_is_stored_as(
            State::Queued { upload: None },
            r#"1 {"first_seen":"2026-11-24T08:00:00.123456789Z","state":"queued","upload":null}"#,
        );
        state_is_stored_as(
            State::Queued { upload: Some(Upload::default()) },
            r#"1 {"first_seen":"2026-11-24T08:00:00.123456789Z","state":"queued","upload":{"attempts":0,"faults":0,"files":[],"sample_id":null}}"#,
        );
    }

    #[test]
    fn uploading() {
        state_is_stored_as(
            State::Uploading { upload: upload(sending()) },
            r#"1 {"first_seen":"2026-11-24T08:00:00.123456789Z","state":"uploading","upload":{"attempts":2,"faults":1,"files":[{"base":8000000,"size":20000000,"begun_anew":0,"abandoned":[],"sha256":"abababababababababababababababababababababababababababababababab","stage":{"stage":"ready","data_id":"71"}},{"base":8000000,"size":20000000,"begun_anew":0,"abandoned":[],"sha256":null,"stage":{"stage":"sending","data_id":"72","chunks":2,"strikes":1}}],"sample_id":null}}"#,
        );
    }

    #[test]
    fn retrying() {
        let mut upload = upload(asking());
        upload.files[1].abandoned = vec!["69".into()];
        upload.files[1].begun_anew = 1;
        upload.sample_id = Some("70".into());
        let next_try = Moment { boot: u64::MAX, at: Duration::new(86_400, 5) };
        state_is_stored_as(
            State::Retrying { upload, next_try, error: "lost".into() },
            r#"1 {"first_seen":"2026-11-24T08:00:00.123456789Z","state":"retrying","upload":{"attempts":2,"faults":1,"files":[{"base":8000000,"size":20000000,"begun_anew":0,"abandoned":[],"sha256":"abababababababababababababababababababababababababababababababab","stage":{"stage":"ready","data_id":"71"}},{"base":8000000,"size":20000000,"begun_anew":1,"abandoned":["69"],"sha256":null,"stage":{"stage":"asking","data_id":"72","asks":3,"sent_again":false}}],"sample_id":"70"},"next_try":{"boot":18446744073709551615,"at":{"secs":86400,"nanos":5}},"error":"lost"}"#,
        );
    }

    #[test]
    fn done_with_parts_and_values_of_a_corrected_sheet() {
        let mut sent = sent();
        sent.files[1].parts = vec!["cd".into(), "ef".into()];
        let target = Target::Data { data_type: Some("report".into()), is_directory: false };
        let sheets = vec![SheetUsed { path: "/r/s.csv".into(), sha256: "12".into() }];
        sent.retold = Some(Box::new(Retold { target, sheets }));
        state_is_stored_as(
            State::Done { sent },
            r#"1 {"first_seen":"2026-11-24T08:00:00.123456789Z","state":"done","sent":{"attempts":1,"sample_id":"70","files":[{"data_id":"71","sha256":"abababababababababababababababababababababababababababababababab"},{"data_id":"72","sha256":null,"parts":["cd","ef"]}],"finished":"2026-11-24T09:00:00.5Z","changed":false,"retold":{"target":{"kind":"data","data_type":"report"},"sheets":[{"path":"/r/s.csv","sha256":"12"}]}}}"#,
        );
    }

    #[test]
    fn done() {
        state_is_stored_as(
            State::Done { sent: sent() },
            r#"1 {"first_seen":"2026-11-24T08:00:00.123456789Z","state":"done","sent":{"attempts":1,"sample_id":"70","files":[{"data_id":"71","sha256":"abababababababababababababababababababababababababababababababab"},{"data_id":"72","sha256":null}],"finished":"2026-11-24T09:00:00.5Z","changed":false}}"#,
        );
    }

    #[test]
    fn observations_and_baselines() {
        let observation = Observation {
            fingerprint: Fingerprint { size: 10, modified_ns: -1 },
            since: Moment { boot: 7, at: Duration::from_millis(1500) },
            look: 3,
            existing: true,
        };
        let stored = r#"1 {"fingerprint":{"size":10,"modified_ns":-1},"since":{"boot":7,"at":{"secs":1,"nanos":500000000}},"look":3,"existing":true}"#;
        is_stored_as(&observation, stored);
        let unnumbered = stored.replace("\"look\":3,", "").replacen("1 ", "\u{1}", 1);
        let read: Observation = decode("a.gz", unnumbered.as_bytes()).unwrap();
        assert_eq!(read, Observation { look: 0, ..observation });
        let baseline = Baseline {
            device: u64::MAX,
            files: 3,
            network: true,
            unread: vec![PathText(path_from_text("run1/\\xff").unwrap())],
        };
        is_stored_as(
            &baseline,
            r#"1 {"device":18446744073709551615,"files":3,"network":true,"unread":["run1/\\xff"]}"#,
        );
    }

    #[test]
    fn keys() {
        let sample = sample("a 1");
        let text = |key: Vec<u8>| String::from_utf8(key).unwrap();
        assert_eq!(text(sample_key(&sample.id())), "s8knvup1qh0bq");
        assert_eq!(text(state_key(&sample.id())), "t8knvup1qh0bq");
        assert_eq!(text(watch_key("mi seq")), "wmi seq");
        assert_eq!(text(file_key("mi seq", Path::new("run1/a b"))), "fmi seq\0run1/a b");
    }
}

#[tokio::test]
async fn reopening_gives_the_same_records() {
    let dir = state_dir();
    let before = {
        let journal = open(&dir);
        for (name, standing) in [
            ("ready", Standing::Ready),
            ("waiting", waiting("for reads2")),
            ("blocked", Standing::Blocked("why".into())),
            ("skipped", Standing::Skipped("existing".into())),
        ] {
            put(&journal, &sample(name), standing).await;
        }
        begin(&journal, &sample("done")).await;
        journal.change(&sample("done").id(), |record| record.done(sent())).await.unwrap();
        begin(&journal, &sample("retrying")).await;
        let next_try = Moment::now() + Duration::from_secs(60);
        let retry = move |record: Record| record.retrying(upload(sending()), next_try, "lost".into());
        journal.change(&sample("retrying").id(), retry).await.unwrap();
        all(&journal)
    };
    let journal = open(&dir);
    assert_eq!(all(&journal), before);
    assert_eq!(before.len(), 6);
    let samples = |state| journal.tally().get(state).map(|tally| (tally.samples, tally.bytes));
    for state in ["queued", "waiting", "blocked", "skipped", "done", "retrying"] {
        assert_eq!(samples(state), Some((1, 20)), "{state}");
    }
}

#[tokio::test]
async fn what_was_seen_of_a_watch_is_remembered_under_its_own_name() {
    let dir = state_dir();
    let paths: Vec<PathBuf> =
        ["a", "a/b", "a b", "x\\x00\\xff"].iter().map(|text| path_from_text(text).unwrap()).collect();
    let seen = |n| Observation {
        fingerprint: Fingerprint { size: n, modified_ns: 0 },
        since: Moment { boot: 1, at: Duration::ZERO },
        look: 0,
        existing: false,
    };
    {
        let journal = open(&dir);
        let changed: Vec<_> = paths.iter().cloned().zip((0..).map(|n| Some(seen(n)))).collect();
        journal.observe("drop", &changed, Some(&"first")).await.unwrap();
        journal.observe("drop2", &[(paths[0].clone(), Some(seen(9)))], Some(&"second")).await.unwrap();
        journal.observe("drop", &[(paths[1].clone(), None)], None::<&()>).await.unwrap();
    }
    let journal = open(&dir);
    let expected: HashMap<_, _> = [0, 2, 3].into_iter().map(|n| (paths[n].clone(), seen(n as u64))).collect();
    assert_eq!(journal.observations("drop").unwrap(), expected);
    assert_eq!(journal.observations("drop2").unwrap().len(), 1);
    assert_eq!(journal.observations("dro").unwrap().len(), 0);
    assert_eq!(journal.baseline::<String>("drop").unwrap().as_deref(), Some("first"));
    assert_eq!(journal.baseline::<String>("drop2").unwrap().as_deref(), Some("second"));
    assert_eq!(journal.baseline::<String>("dro").unwrap(), None);
}

#[tokio::test]
async fn whose_account_it_is_is_remembered_for_each_server() {
    let dir = state_dir();
    let journal = open(&dir);
    assert_eq!(journal.account("https://a/api").unwrap(), None);
    journal.set_account("https://a/api", "alice").await.unwrap();
    journal.set_account("https://b/api", "bob").await.unwrap();
    drop(journal);
    let journal = open(&dir);
    let accounts = ["https://a/api", "https://b/api", "https://c/api"].map(|server| journal.account(server).unwrap());
    assert_eq!(accounts, [Some("alice".to_owned()), Some("bob".to_owned()), None]);
    journal.set_account("https://a/api", "carol").await.unwrap();
    assert_eq!(journal.account("https://a/api").unwrap().as_deref(), Some("carol"));
}

#[tokio::test]
async fn only_what_is_retried_is_hastened() {
    let dir = state_dir();
    let journal = open(&dir);
    let [retrying, blocked, unknown] = ["retrying", "blocked", "unknown"].map(sample);
    begin(&journal, &retrying).await;
    let later = Moment::now() + Duration::from_secs(300);
    let put_off = move |record: Record| record.retrying(upload(sending()), later, "away".to_owned());
    journal.change(&retrying.id(), put_off).await.unwrap();
    begin(&journal, &blocked).await;
    let block = |record: Record| record.blocked("refused".to_owned(), Blocker::Refusal);
    journal.change(&blocked.id(), block).await.unwrap();
    let before = state(&journal, &blocked);
    assert_ne!(journal.next_due(None), Due::Now);

    journal.hasten(vec![blocked.id(), unknown.id(), retrying.id()]).await.unwrap();
    assert_eq!(state(&journal, &retrying), State::Queued { upload: Some(upload(sending())) });
    assert_eq!((state(&journal, &blocked), journal.next_due(None)), (before, Due::Now));
}

#[tokio::test]
async fn a_record_of_another_version_is_refused_by_name() {
    let dir = state_dir();
    let sample = sample("a");
    let id = sample.id();
    put(&open(&dir), &sample, Standing::Ready).await;
    let refusal = |key: Vec<u8>, bytes: &[u8]| {
        overwrite(dir.path(), key, bytes);
        Journal::open(dir.path()).err().expect("refused").to_string()
    };
    let newer = [&[2], &encode(&StateValue::of(&record(State::Queued { upload: None })))[1..]];
    assert_eq!(
        refusal(state_key(&id), &newer.concat()),
        format!(
            "cannot understand the journal's record of {id}: its version is 2, and this program knows 1; was it \
             written by a newer flow-ingest?"
        )
    );
    assert!(refusal(sample_key(&id), b"\x03{}").contains("its version is 3"));
    assert!(dir.path().join("journal").exists(), "it is no damage");
}

#[tokio::test]
async fn an_upload_that_was_cut_off_is_queued_with_all_that_was_acknowledged() {
    let dir = state_dir();
    let sample = sample("a");
    {
        let journal = open(&dir);
        begin(&journal, &sample).await;
        journal.change(&sample.id(), |record| record.advanced(upload(sending()))).await.unwrap();
        assert_eq!(journal.in_flight()[0].sent, 36_000_001);
    }
    for _ in 0..2 {
        let journal = open(&dir);
        assert_eq!(state(&journal, &sample), State::Queued { upload: Some(upload(sending())) });
        assert_eq!(journal.next_due(None), Due::Now);
        assert!(journal.in_flight().is_empty());
    }
    let journal = open(&dir);
    let taken = journal.take_next(None, None).await.unwrap().unwrap();
    assert_eq!(taken.state, State::Uploading { upload: upload(sending()) });
}

#[tokio::test]
async fn a_record_of_thousands_of_parts_comes_back_and_leaves_nothing_of_itself_behind() {
    let dir = state_dir();
    let large = sample_of_parts("a", 5000);
    assert!(encode(&large).len() > 300_000);
    {
        let journal = open(&dir);
        // What lies beside it in the store is not touched.
        put(&journal, &sample("b"), Standing::Ready).await;
        put(&journal, &large, Standing::Ready).await;
        assert_eq!(journal.record(&large.id()).unwrap().unwrap().sample, large);
    }
    let journal = open(&dir);
    assert_eq!(all(&journal).iter().map(|record| &record.sample).collect::<Vec<_>>(), [&large, &sample("b")]);
    for parts in [100, 3, 1] {
        let shorter = sample_of_parts("a", parts);
        put(&journal, &shorter, Standing::Ready).await;
        assert_eq!(journal.record(&large.id()).unwrap().unwrap().sample, shorter);
        // Whoever walks through all of it would find what was left behind.
        assert_eq!(all(&journal)[0].sample, shorter);
    }
    drop(journal);
    assert_eq!(all(&open(&dir))[0].sample, sample_of_parts("a", 1));
}

#[tokio::test]
async fn the_hashes_of_thousands_of_parts_are_not_written_with_every_chunk() {
    let dir = state_dir();
    let sample = sample_of_parts("a", 2000);
    let mut upload = upload(sending());
    upload.files[0].parts_sha256 = (0..2000).map(|n| format!("{n:064x}")).collect();
    let stored = |journal: &Journal, key: Vec<u8>| journal.shared.store.get(&key).unwrap().map(|value| value.len());
    let whole = {
        let journal = open(&dir);
        begin(&journal, &sample).await;
        let read = upload.clone();
        let whole = journal.change(&sample.id(), |record| record.advanced(read)).await.unwrap();
        assert!(stored(&journal, state_key(&sample.id())).unwrap() < 1000);
        let hashes = stored(&journal, part_hashes_key(&sample.id())).unwrap();
        assert!(hashes > 2000 * 64, "{hashes}");
        whole
    };
    let journal = open(&dir);
    assert_eq!(journal.record(&sample.id()).unwrap().unwrap().state.upload(), whole.state.upload());
    assert_eq!(journal.records().next().unwrap().unwrap().state.upload(), whole.state.upload());
    // The next chunk writes the state alone.
    let mut writer = Transaction::new(&journal.shared.store, &journal.shared.index);
    let queued = journal.record(&sample.id()).unwrap().unwrap();
    let mut next = upload.clone();
    next.files[1].stage = Stage::Sending { data_id: Some("72".into()), chunks: 3, strikes: 0 };
    writer.put(Some(&queued), Record { state: State::Uploading { upload: next }, ..queued.clone() });
    let written = writer.written();
    assert!(written < 1000, "{written} bytes for one chunk");

    // An export takes them along, and so do the receipts.
    let elsewhere = state_dir();
    journal.export().unwrap().import(elsewhere.path()).unwrap();
    assert_eq!(open(&elsewhere).record(&sample.id()).unwrap().unwrap().state.upload(), whole.state.upload());
    journal.change(&sample.id(), Record::taken).await.unwrap();
    let mut asked = upload.clone();
    asked.files[1].stage = asking();
    journal.change(&sample.id(), |record| record.advanced(asked)).await.unwrap();
    drop(journal);
    std::fs::remove_dir_all(dir.path().join("journal")).unwrap();
    let journal = open(&dir);
    let rebuilt = journal.record(&sample.id()).unwrap().unwrap();
    assert_eq!(rebuilt.state.upload().unwrap().files[0].parts_sha256, upload.files[0].parts_sha256);

    journal.change(&sample.id(), Record::taken).await.unwrap();
    journal.change(&sample.id(), |record| record.done(sent())).await.unwrap();
    assert_eq!(stored(&journal, part_hashes_key(&sample.id())), None, "they stand in what was sent now");
}

#[test]
fn values_of_any_length_around_a_cut_come_back() {
    let dir = state_dir();
    let store = Store::open(&dir.path().join("journal")).unwrap();
    let lengths = [1, 3071, 3072, 3073, 6144, 6145, 3072, 3071, 0, 9216, 1];
    for length in lengths {
        let value: Vec<u8> = (0..length).map(|n| n as u8).collect();
        let mut writes = Writes::default();
        writes.put(b"sx".to_vec(), value.clone());
        writes.put(b"sy".to_vec(), value.clone());
        store.commit(&writes).unwrap();
        assert_eq!(store.get(b"sx").unwrap().as_ref(), Some(&value), "{length}");
        let mut walk = Walk::through(b"s");
        for key in [b"sx", b"sy"] {
            assert_eq!(store.look().next(&mut walk).unwrap(), Some((key.to_vec(), value.clone())), "{length}");
        }
        assert_eq!(store.look().next(&mut walk).unwrap(), None);
    }
    let mut writes = Writes::default();
    writes.remove(b"sx".to_vec());
    store.commit(&writes).unwrap();
    assert_eq!(store.get(b"sx").unwrap(), None);
    let (key, _) = store.look().next(&mut Walk::through(b"s")).unwrap().unwrap();
    assert_eq!(key, b"sy");
}

#[test]
fn a_second_journal_in_one_state_folder_is_refused_within_one_process_too() {
    let dir = state_dir();
    let _journal = open(&dir);
    let refused = Journal::open(dir.path()).err().expect("refused");
    assert_eq!(
        refused.to_string(),
        format!(
            "cannot use the state folder {}: another flow-ingest (process {}) is using it; stop that one, or give \
             this one a state_dir of its own",
            dir.path().display(),
            std::process::id()
        )
    );
}

#[tokio::test]
async fn a_half_written_snapshot_does_not_keep_the_journal_shut() {
    let dir = state_dir();
    put(&open(&dir), &sample("a"), Standing::Ready).await;
    let half_written = dir.path().join("journal/snap.00000000000000F0.generating");
    std::fs::write(&half_written, b"half").unwrap();
    let journal = open(&dir);
    assert_eq!(all(&journal).len(), 1);
    assert!(!half_written.exists());
}

#[tokio::test]
async fn a_journal_whose_making_was_killed_is_made_again_and_nothing_was_damaged() {
    let dir = state_dir();
    put(&open(&dir), &sample("a"), Standing::Ready).await;
    let settings = std::fs::read(dir.path().join("journal/conf")).unwrap();
    let killed = state_dir();
    let draft = killed.path().join("journal.making");
    std::fs::create_dir(&draft).unwrap();
    // All but the checksum, which sled writes in a second step, and without which it opens nothing.
    std::fs::write(draft.join("conf"), &settings[..settings.len() - 4]).unwrap();
    assert!(sled::open(&draft).is_err());
    let journal = open(&killed);
    assert_eq!(journal.notices(), &[] as &[String]);
    assert!(!draft.exists());
}

#[tokio::test]
async fn a_journal_that_was_closed_can_be_opened_at_once() {
    let dir = state_dir();
    for n in 0..20 {
        let journal = open(&dir);
        put(&journal, &sample(&n.to_string()), Standing::Ready).await;
        assert_eq!(all(&journal).len(), n + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_changes_at_once_none_is_lost() {
    let dir = state_dir();
    let journal = open(&dir);
    let sample = sample("a");
    begin(&journal, &sample).await;
    let mut changes = tokio::task::JoinSet::new();
    for _ in 0..1000 {
        let (journal, id) = (journal.clone(), sample.id());
        changes.spawn(async move {
            let one_more = |record: Record| {
                let mut upload = record.state.upload().cloned().unwrap_or_default();
                upload.attempts += 1;
                record.advanced(upload)
            };
            journal.change(&id, one_more).await.unwrap()
        });
    }
    let mut seen: Vec<_> =
        changes.join_all().await.iter().map(|record| record.state.upload().unwrap().attempts).collect();
    seen.sort_unstable();
    assert_eq!(seen, (1..=1000).collect::<Vec<_>>(), "each built on another");
    assert_eq!(state(&journal, &sample).upload().unwrap().attempts, 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_meanwhile_never_sees_half_of_a_change() {
    let dir = state_dir();
    let journal = open(&dir);
    let versions = [sample_of_parts("a", 400), sample_of_parts("a", 3)];
    let id = versions[0].id();
    put(&journal, &versions[1], waiting("0")).await;
    let writing = tokio::spawn({
        let (journal, versions, other) = (journal.clone(), versions.clone(), sample("b"));
        async move {
            for n in 0..60 {
                put(&journal, &versions[n % 2], waiting(&n.to_string())).await;
                // Another comes and goes.
                put(&journal, &other, waiting("mate")).await;
                journal.unmade(vec![other.id()], |_| true).await.unwrap();
            }
        }
    });
    let reading = tokio::task::spawn_blocking(move || {
        let mut looks = 0;
        while !writing.is_finished() {
            for record in journal.record(&id).transpose().into_iter().chain(journal.records()) {
                let record = record.unwrap_or_else(|error| panic!("{error}"));
                assert!(versions.contains(&record.sample) || record.sample.key.name == "b");
                looks += 1;
            }
        }
        looks
    });
    assert!(reading.await.unwrap() > 0);
}

#[tokio::test]
async fn a_transition_that_cannot_be_made_changes_nothing() {
    let dir = state_dir();
    let journal = open(&dir);
    let sample = sample("a");
    put(&journal, &sample, Standing::Ready).await;
    let (before, tally) = (all(&journal), journal.tally());
    let error = journal.change(&sample.id(), |record| record.done(sent())).await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot change {}: a sample that is queued cannot become done", sample.id()));
    let half_way = |record: Record| record.taken()?.put_back()?.put_back();
    assert!(matches!(journal.change(&sample.id(), half_way).await, Err(JournalError::Misstep { .. })));
    let unknown = super::tests::sample("b").id();
    let error = journal.change(&unknown, Record::taken).await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot change {unknown}: the journal has no such sample"));
    assert_eq!((all(&journal), journal.tally()), (before, tally));
    drop(journal);
    assert_eq!(state(&open(&dir), &sample), State::Queued { upload: None });
}

#[tokio::test(flavor = "multi_thread")]
async fn no_sample_is_given_to_two_and_none_is_withheld() {
    const SAMPLES: usize = 200;
    let dir = state_dir();
    let journal = open(&dir);
    let ready = (0..SAMPLES).map(|n| {
        let mut sample = sample(&format!("s{n}"));
        sample.key.watch = format!("watch{}", n % 3);
        found(sample, Standing::Ready)
    });
    journal.assembled(ready.collect(), false).await.unwrap();
    let mut takers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let journal = journal.clone();
        takers.spawn(async move {
            let mut taken = Vec::new();
            // Each goes on until it is told that nothing is due.
            while let Some(record) = journal.take_next(None, None).await.unwrap() {
                assert_eq!(record.state.name(), "uploading");
                taken.push(record.sample.key);
            }
            taken
        });
    }
    let shares = takers.join_all().await;
    let mut taken = shares.concat();
    taken.sort();
    taken.dedup();
    assert_eq!((taken.len(), shares.concat().len()), (SAMPLES, SAMPLES));
    assert_eq!(journal.next_due(None), Due::Never);
}

#[tokio::test]
async fn one_that_asks_while_another_takes_gets_the_next_sample() {
    let dir = state_dir();
    let journal = open(&dir);
    let both = ["a", "b"].map(|name| found(sample(name), Standing::Ready));
    journal.assembled(both.into(), false).await.unwrap();
    let (one, two) = tokio::join!(journal.take_next(None, None), journal.take_next(None, None));
    let name = |taken: Result<Option<Record>, JournalError>| taken.unwrap().unwrap().sample.key.name;
    assert_eq!([name(one), name(two)], ["a", "b"]);
}

#[tokio::test]
async fn who_waits_for_changes_hears_of_each_commit_and_of_nothing_else() {
    let dir = state_dir();
    let journal = open(&dir);
    let mut changes = journal.changes();
    put(&journal, &sample("a"), Standing::Ready).await;
    changes.changed().await.unwrap();
    assert!(put(&journal, &sample("a"), Standing::Ready).await.is_empty());
    assert!(!changes.has_changed().unwrap(), "the same again is no change");
}

mod assembled {
    use super::*;

    /// The sample as it would be with another file.
    fn another(sample: &Sample) -> Sample {
        let mut other = sample.clone();
        other.slots[1].parts[0].fingerprint.size += 1;
        other
    }

    /// The sample as a changed manifest would have it.
    fn retold(sample: &Sample) -> Sample {
        let mut other = sample.clone();
        let Target::Sample { organism, .. } = &mut other.target else { unreachable!() };
        *organism = Some("Mm".to_owned());
        other
    }

    /// The same values, taken from a sheet that was saved again.
    fn from_another_sheet(sample: &Sample) -> Sample {
        let used = SheetUsed { path: "/data/miseq/run1/SampleSheet.csv".into(), sha256: "ab".into() };
        Sample { sheets: vec![used], ..sample.clone() }
    }

    fn after(state: State, sample: Sample, standing: Standing) -> Record {
        record(state).assembled(found(sample, standing), Circumstances::default())
    }

    #[test]
    fn what_is_not_on_its_way_becomes_what_assembly_says() {
        let a = sample("a");
        let states = [
            State::Waiting { reason: "x".into(), again: None },
            State::Queued { upload: None },
            State::Blocked { reason: "x".into(), by: Blocker::Assembly },
            skipped(),
        ];
        for state in states {
            let ready = after(state.clone(), another(&a), Standing::Ready);
            assert_eq!((ready.sample, ready.state), (another(&a), State::Queued { upload: None }));
            let waits = after(state.clone(), a.clone(), waiting("for reads2"));
            assert_eq!(waits.state, State::Waiting { reason: "for reads2".into(), again: None });
            let blocked = after(state, a.clone(), Standing::Blocked("why".into()));
            assert_eq!(blocked.state, State::Blocked { reason: "why".into(), by: Blocker::Assembly });
        }
    }

    #[test]
    fn a_sheet_that_says_the_same_in_other_bytes_starts_nothing_anew() {
        let begun = Upload { attempts: 1, ..Upload::default() };
        let refused = State::Blocked { reason: "x".into(), by: Blocker::Refusal };
        for state in [State::Queued { upload: Some(begun) }, refused] {
            let found = after(state.clone(), from_another_sheet(&sample("a")), Standing::Ready);
            assert_eq!(found.state, state);
            assert_eq!(after(state, retold(&sample("a")), Standing::Ready).state, State::Queued { upload: None });
        }
    }

    #[test]
    fn files_that_are_not_whole_wait_for_their_next_look_until_they_change() {
        let a = sample("a");
        let moment = |seconds| Moment { boot: 1, at: Duration::from_secs(seconds) };
        let again = Again { at: moment(5), until: moment(9) };
        let waits = State::Waiting { reason: "x".into(), again: Some(again) };
        assert_eq!(after(waits.clone(), a.clone(), Standing::Ready).state, waits);
        assert_eq!(
            after(waits.clone(), a.clone(), waiting("for b")).state,
            State::Waiting { reason: "for b".into(), again: None }
        );
        assert_eq!(after(waits.clone(), another(&a), Standing::Ready).state, State::Queued { upload: None });
        let taken = record(waits).taken().unwrap();
        assert_eq!(taken.state.upload().unwrap().unsound_until, Some(again.until));
        let again = Again { at: moment(8), ..again };
        let waits = taken.must_wait("y".into(), Some(again)).unwrap();
        assert_eq!(waits.state, State::Waiting { reason: "y".into(), again: Some(again) });
    }

    #[test]
    fn what_is_on_its_way_is_left_alone() {
        let a = sample("a");
        let next_try = Moment { boot: 1, at: Duration::ZERO };
        let states = [
            State::Held { reason: "x".into(), by: Holder::Person, upload: Some(upload(sending())) },
            State::Uploading { upload: upload(sending()) },
            State::Retrying { upload: upload(asking()), next_try, error: "x".into() },
        ];
        for state in states {
            for standing in [Standing::Ready, waiting("x"), Standing::Blocked("x".into())] {
                let record = after(state.clone(), another(&a), standing);
                assert_eq!((&record.sample, &record.state), (&a, &state));
            }
        }
    }

    #[test]
    fn an_interrupted_upload_goes_on_for_as_long_as_it_is_the_same_sample() {
        let a = sample("a");
        let state = State::Queued { upload: Some(upload(sending())) };
        assert_eq!(after(state.clone(), a.clone(), Standing::Ready).state, state);
        // Files that have not settled again after a reboot are looked at by the upload itself.
        assert_eq!(after(state.clone(), a.clone(), waiting("x")).state, state);
        assert_eq!(after(state.clone(), retold(&a), waiting("the sheet has not settled")).state, state);
        let mut gone = a.clone();
        gone.slots.pop();
        assert_eq!(after(state.clone(), gone, waiting("for reads2")).state.name(), "waiting");
        for other in [another(&a), retold(&a)] {
            let record = after(state.clone(), other.clone(), Standing::Ready);
            assert_eq!((record.sample, record.state), (other, State::Queued { upload: None }));
        }
    }

    #[test]
    fn what_is_between_two_tries_keeps_the_values_that_it_began_with() {
        let a = sample("a");
        let next_try = Moment { boot: 1, at: Duration::ZERO };
        let state = State::Retrying { upload: upload(sending()), next_try, error: "x".into() };
        let record = after(state.clone(), retold(&a), Standing::Ready);
        assert_eq!((&record.sample, &record.state), (&a, &state));
        let record = after(state, another(&a), Standing::Ready);
        assert_eq!((record.sample, record.state), (another(&a), State::Queued { upload: None }));
        let unbegun = State::Retrying { upload: Upload::default(), next_try, error: "x".into() };
        let record = after(unbegun, retold(&a), Standing::Ready);
        assert_eq!((record.sample, record.state), (retold(&a), State::Queued { upload: None }));
    }

    #[test]
    fn an_upload_that_flow_may_have_made_a_sample_of_is_asked_about_whatever_became_of_its_files() {
        let a = sample("a");
        let mut abandoned = upload(sending());
        abandoned.files[1].abandoned = vec!["69".into()];
        for upload in [upload(asking()), upload(Stage::Ready { data_id: "72".into() }), abandoned] {
            let state = State::Queued { upload: Some(upload) };
            for other in [another(&a), retold(&a)] {
                for standing in [Standing::Ready, waiting("x"), Standing::Blocked("x".into())] {
                    let record = after(state.clone(), other.clone(), standing);
                    assert_eq!((&record.sample, &record.state), (&a, &state));
                }
            }
        }
    }

    #[test]
    fn what_an_upload_blocked_is_queued_again_when_it_is_another_sample() {
        let a = sample("a");
        let state = State::Blocked { reason: "refused".into(), by: Blocker::Upload };
        assert_eq!(after(state.clone(), a.clone(), Standing::Ready).state, state);
        for other in [another(&a), retold(&a)] {
            let record = after(state.clone(), other.clone(), Standing::Ready);
            assert_eq!((record.sample, record.state), (other, State::Queued { upload: None }));
        }
    }

    #[tokio::test]
    async fn only_what_became_another_is_written() {
        let dir = state_dir();
        let journal = open(&dir);
        let [a, b] = ["a", "b"].map(sample);
        let both = |standing: Standing| vec![found(a.clone(), standing), found(b.clone(), Standing::Ready)];
        let names = |records: Vec<Record>| records.into_iter().map(|r| r.sample.key.name).collect::<Vec<_>>();
        assert_eq!(names(journal.assembled(both(Standing::Ready), false).await.unwrap().changed), ["a", "b"]);
        let first_seen = journal.record(&a.id()).unwrap().unwrap().first_seen;
        assert_eq!(names(journal.assembled(both(waiting("x")), false).await.unwrap().changed), ["a"]);
        assert!(names(journal.assembled(both(waiting("x")), false).await.unwrap().changed).is_empty());
        assert_eq!(journal.record(&a.id()).unwrap().unwrap().first_seen, first_seen);
        assert_eq!(journal.take_next(None, None).await.unwrap().unwrap().sample, b);
        assert_eq!(journal.take_next(None, None).await.unwrap(), None);
    }
}

mod unmade {
    use super::*;

    #[tokio::test]
    async fn what_was_never_sent_is_forgotten_when_its_files_belong_to_others_now() {
        let dir = state_dir();
        let journal = open(&dir);
        let [queued, waits, blocked, uploading, done, skipped, begun] =
            ["queued", "waits", "blocked", "uploading", "done", "skipped", "begun"].map(sample);
        begin(&journal, &begun).await;
        journal.change(&begun.id(), |record| record.advanced(upload(sending()))).await.unwrap();
        journal.change(&begun.id(), Record::put_back).await.unwrap();
        let has_turn = state(&journal, &begun);
        begin(&journal, &uploading).await;
        begin(&journal, &done).await;
        journal.change(&done.id(), |record| record.done(sent())).await.unwrap();
        put(&journal, &queued, Standing::Ready).await;
        put(&journal, &waits, waiting("x")).await;
        put(&journal, &blocked, Standing::Blocked("x".into())).await;
        put(&journal, &skipped, Standing::Skipped("x".into())).await;
        let ids = || [&queued, &waits, &blocked, &uploading, &done, &skipped, &begun].map(Sample::id).into();
        journal.unmade(ids(), |_| true).await.unwrap();
        let names: Vec<_> = all(&journal).into_iter().map(|record| record.sample.key.name).collect();
        assert_eq!(names, ["begun", "done", "uploading"]);
        assert_eq!(journal.tally().values().map(|tally| tally.samples).sum::<usize>(), 3);
        assert_eq!(state(&journal, &begun), has_turn, "it keeps the rule that it started with");
        // Those that are no longer there are nobody's business.
        journal.unmade(ids(), |_| true).await.unwrap();
        drop(journal);
        assert_eq!(all(&open(&dir)).len(), 3);
    }

    #[tokio::test]
    async fn what_was_never_sent_waits_when_its_files_are_gone_and_is_ready_when_they_come_back() {
        let dir = state_dir();
        let journal = open(&dir);
        let a = sample("a");
        put(&journal, &a, Standing::Ready).await;
        journal.unmade(vec![a.id()], |_| false).await.unwrap();
        let gone =
            State::Waiting { reason: "its files are gone; it waits for them to come back".to_owned(), again: None };
        assert_eq!((state(&journal, &a), journal.take_next(None, None).await.unwrap()), (gone, None));
        put(&journal, &a, Standing::Ready).await;
        assert_eq!(state(&journal, &a), State::Queued { upload: None });
    }

    #[test]
    fn what_is_on_its_way_or_settled_finds_out_by_itself() {
        let next_try = Moment { boot: 1, at: Duration::ZERO };
        let states = [
            held(),
            State::Queued { upload: Some(upload(asking())) },
            State::Uploading { upload: upload(sending()) },
            State::Retrying { upload: upload(asking()), next_try, error: "x".into() },
            State::Blocked { reason: "x".into(), by: Blocker::Upload },
            State::Done { sent: sent() },
            skipped(),
        ];
        for state in states {
            let record = record(state);
            assert!(!record.is_untouched());
            assert_eq!(record.clone().vanished(), record);
        }
    }
}

mod decisions;
mod declared;
mod renamed;
