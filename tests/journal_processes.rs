//! The journal and other processes: one that wants it too, and one that is killed while it writes.
//!
//! Each test starts this binary again to play the other process: a test that does nothing unless it is told a state
//! folder.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use flow_ingest::journal::{FileUpload, Journal, Record, Sent, SentFile, Stage, State, Upload, inspect};
use flow_ingest::sample::{Finding, Fingerprint, Kind, Part, Sample, SampleKey, Slot, Standing, Target};

/// Names the state folder to the other process.
const STATE_DIR: &str = "FLOW_INGEST_TEST_STATE_DIR";
/// How often the writer is killed.
const KILLS: usize = 30;
/// Samples that are uploaded at once.
const UPLOADS: usize = 4;

/// A child that is being started holds the locks of its parent for a moment, so that no other test may close and open
/// a journal meanwhile.
static ALONE: Mutex<()> = Mutex::new(());

fn other_process(plays: &str, state_dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", plays, "--nocapture"]).env(STATE_DIR, state_dir);
    command
}

/// The state folder that this process was started for.
fn told_state_dir() -> Option<PathBuf> {
    std::env::var_os(STATE_DIR).map(PathBuf::from)
}

#[test]
fn a_state_folder_in_use_is_refused_with_the_number_of_the_process_that_uses_it() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let told = || String::from_utf8(other_process("opens_the_journal", dir.path()).output().unwrap().stdout).unwrap();
    let journal = Journal::open(dir.path()).unwrap();
    let refusal = format!(
        "cannot use the state folder {}: another flow-ingest (process {}) is using it",
        dir.path().display(),
        std::process::id()
    );
    assert!(told().contains(&refusal), "{}", told());
    drop(journal);
    assert!(told().contains("opened"), "{}", told());
    Journal::open(dir.path()).unwrap();
}

#[test]
fn opens_the_journal() {
    let Some(dir) = told_state_dir() else { return };
    match Journal::open(&dir) {
        Ok(_) => println!("opened"),
        Err(error) => println!("{error}"),
    }
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill_at_any_moment() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // The kernel survives the kill, so what it was given does: a disk would cost time and prove nothing.
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let mut acknowledged = Acknowledged::default();
    for kill in 0..KILLS {
        let mut writer = other_process("writes_until_it_is_killed", dir.path()).stdout(Stdio::piped()).spawn().unwrap();
        // Every third one is killed while it opens, the others somewhere behind some acknowledgement.
        let (lines, micros) = if kill % 3 == 0 { (0, 40_000) } else { (rand::random_range(1..30), 4_000) };
        acknowledged.read(&mut writer, lines, Duration::from_micros(rand::random_range(0..micros)));
        let journal = Journal::open(dir.path()).unwrap_or_else(|error| panic!("after kill {kill}: {error}"));
        // Between the halves of a commit, one in the receipts and one in the store, lies no damage.
        assert_eq!(journal.notices(), &[] as &[String], "after kill {kill}");
        acknowledged.is_all_in(&journal);
        drop(journal);
        assert_eq!(inspect(dir.path()).unwrap().findings, Vec::<String>::new(), "after kill {kill}");
    }
    assert!(acknowledged.ends.len() > KILLS / 4, "the writer got to finish samples");
    assert!(acknowledged.seen.len() > KILLS, "the writer got to write");
}

/// What the writer said that it was told.
#[derive(Default)]
struct Acknowledged {
    /// Samples that were put down, by name.
    seen: Vec<String>,
    /// Chunks acknowledged, by upload.
    chunks: BTreeMap<String, u64>,
    /// Whether the samples whose last chunk was about to leave are on Flow, by name.
    ends: BTreeMap<String, bool>,
}

impl Acknowledged {
    /// Reads what the writer says; after so many lines and a moment more, kills it, and reads what it still said.
    fn read(&mut self, writer: &mut Child, lines: usize, moment: Duration) {
        let mut said = BufReader::new(writer.stdout.take().unwrap()).lines();
        let acknowledgements = said.by_ref().map(Result::unwrap).filter(|line| self.take(line));
        assert_eq!(acknowledgements.take(lines).count(), lines, "the writer ended by itself");
        // A moment that nothing tells: waiting for something would make it a chosen one.
        std::thread::sleep(moment);
        writer.kill().unwrap();
        for line in said {
            self.take(&line.unwrap());
        }
        writer.wait().unwrap();
    }

    /// Takes in a line; false when it is none of the writer's, or was cut off.
    fn take(&mut self, line: &str) -> bool {
        match line.split(' ').collect::<Vec<_>>().as_slice() {
            ["seen", name, "."] => self.seen.push((*name).to_owned()),
            ["chunk", name, chunks, "."] => {
                self.chunks.insert((*name).to_owned(), chunks.parse().unwrap());
            }
            ["asking", name, "."] => drop(self.ends.insert((*name).to_owned(), false)),
            ["done", name, "."] => drop(self.ends.insert((*name).to_owned(), true)),
            _ => return false,
        }
        true
    }

    fn is_all_in(&mut self, journal: &Journal) {
        let records = journal.records().map(|record| record.unwrap());
        let records: BTreeMap<String, Record> = records.map(|r| (r.sample.key.name.clone(), r)).collect();
        for name in &self.seen {
            let record = records.get(name).unwrap_or_else(|| panic!("{name} was lost"));
            assert_eq!(record.sample, sample(name), "whole");
        }
        for (name, is_done) in &self.ends {
            let state = &records[name].state;
            let is_asked = matches!(state, State::Queued { upload: Some(_) });
            assert!(state.name() == "done" || !is_done && is_asked, "{name}: {state:?}");
        }
        for (name, acknowledged) in &mut self.chunks {
            let State::Queued { upload: Some(upload) } = &records[name].state else { panic!("{:?}", records[name]) };
            let chunks = chunks(upload);
            // What was written and not yet acknowledged may be there, too: one change for each upload.
            assert!((*acknowledged..=*acknowledged + 1).contains(&chunks), "{name}: {acknowledged} of {chunks}");
            // What was found once stays.
            *acknowledged = chunks;
        }
    }
}

fn chunks(upload: &Upload) -> u64 {
    match upload.files.first().map(|file| &file.stage) {
        Some(Stage::Sending { chunks, .. }) => *chunks,
        _ => 0,
    }
}

/// A sample whose record takes two pieces.
fn sample(name: &str) -> Sample {
    let part = |n| Part {
        path: PathBuf::from(format!("/data/run1/{name}_{n}.fastq.gz")),
        fingerprint: Fingerprint { size: 1_000_000, modified_ns: n },
    };
    Sample {
        key: SampleKey { kind: Kind::Data, watch: "w".into(), run: "run1".into(), name: name.into() },
        rule: "r".into(),
        target: Target::Data { data_type: None, is_directory: false },
        slots: vec![Slot { key: "data".into(), filename: name.into(), parts: (0..40).map(part).collect() }],
        sheets: Vec::new(),
    }
}

#[test]
fn writes_until_it_is_killed() {
    let Some(dir) = told_state_dir() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let journal = Journal::open(&dir).unwrap();
        // Ends the line on which the test's own name stands.
        say("");
        let begun = journal.records().count();
        let mut writers = tokio::task::JoinSet::new();
        for n in 0..UPLOADS {
            writers.spawn(upload(journal.clone(), format!("upload{n}")));
        }
        writers.spawn(finish(journal.clone(), begun));
        writers.spawn(async move {
            for n in begun.. {
                let name = format!("sample{n}");
                journal.assembled(vec![ready(&name)]).await.unwrap();
                say(&format!("seen {name} ."));
            }
        });
        while let Some(ended) = writers.join_next().await {
            ended.unwrap();
        }
    });
}

fn ready(name: &str) -> Finding {
    Finding { sample: sample(name), standing: Standing::Ready, is_existing: false, in_ending_run: false }
}

/// Uploads a sample for ever, going on where an earlier process was killed.
async fn upload(journal: Journal, name: String) {
    let id = sample(&name).id();
    journal.assembled(vec![ready(&name)]).await.unwrap();
    journal.change(&id, Record::taken).await.unwrap();
    loop {
        let next_chunk = |record: Record| {
            let mut upload = record.state.upload().cloned().unwrap_or_default();
            let stage = Stage::Sending { data_id: Some("7".into()), chunks: chunks(&upload) + 1, strikes: 0 };
            let file = FileUpload {
                base: 1,
                size: 100_000_000,
                begun_anew: 0,
                abandoned: Vec::new(),
                sha256: None,
                prefix_sha256: None,
                parts_sha256: Vec::new(),
                identity: None,
                stage,
            };
            upload.files = vec![file];
            record.advanced(upload)
        };
        let record = journal.change(&id, next_chunk).await.unwrap();
        say(&format!("chunk {name} {} .", chunks(record.state.upload().unwrap())));
    }
}

/// Finishes sample after sample: its last chunk leaves, and it is on Flow.
async fn finish(journal: Journal, begun: usize) {
    for name in (begun..).map(|n| format!("finished{n}")) {
        let id = sample(&name).id();
        journal.assembled(vec![ready(&name)]).await.unwrap();
        let ask = |record: Record| {
            let stage = Stage::Asking { data_id: Some("7".into()), asks: 0, sent_again: false };
            let file = FileUpload {
                base: 1,
                size: 9,
                begun_anew: 0,
                abandoned: Vec::new(),
                sha256: None,
                prefix_sha256: None,
                parts_sha256: Vec::new(),
                identity: None,
                stage,
            };
            record.taken()?.advanced(Upload { files: vec![file], ..Upload::default() })
        };
        journal.change(&id, ask).await.unwrap();
        say(&format!("asking {name} ."));
        let sent = Sent {
            attempts: 1,
            sample_id: None,
            files: vec![SentFile::new("7".into(), None)],
            warnings: None,
            finished: jiff::Timestamp::now(),
            changed: false,
            adopted: false,
            retold: None,
        };
        journal.change(&id, |record| record.done(sent)).await.unwrap();
        say(&format!("done {name} ."));
    }
}

/// Tells the parent; who is killed in here was acknowledged, but nobody knows.
fn say(line: &str) {
    // One write, so that two tasks' lines do not mix.
    let _ = std::io::stdout().write_all(format!("{line}\n").as_bytes());
}
