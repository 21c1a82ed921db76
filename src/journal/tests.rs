use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::form::{StateValue, file_key, part_hashes_key, sample_key, state_key, watch_key};
use super::state::Circumstances;
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

/// Waits for what `look` sees, for a minute at most.
pub(super) async fn until<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let looking = async {
        loop {
            match look() {
                Some(seen) => return seen,
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), looking).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

pub(super) async fn put(journal: &Journal, sample: &Sample, standing: Standing) -> Vec<Record> {
    journal.assembled(vec![found(sample.clone(), standing)]).await.unwrap().changed
}

fn found(sample: Sample, standing: Standing) -> Finding {
    Finding { sample, standing, is_existing: false, in_ending_run: false }
}

/// The same in a run that tells of its end.
fn found_in_ending_run(sample: Sample, standing: Standing) -> Finding {
    Finding { in_ending_run: true, ..found(sample, standing) }
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
    let mut writer = Transaction::new(&journal.shared.store, &journal.shared.index, None);
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
    journal.assembled(ready.collect()).await.unwrap();
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
    journal.assembled(both.into()).await.unwrap();
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

mod assembled;
mod decisions;
mod declared;
mod golden;
mod renamed;
mod unmade;
