//! The state machine against a server in memory, which does to chunks what the platform's storage library does:
//! check, append and record are three steps, and work goes on behind an answer that was lost. Time is virtual, so that
//! thousands of histories of faults, crashes and restarts pass in seconds.
//!
//! What must hold in every history: a sample that is reported done is on the server once and byte for byte; one that is
//! reported blocked is there at most once; and however late the work behind a lost answer ends, it adds none.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::machine::Upload;
use super::remote::Remote;
use super::{
    Boundaries, FileProgress, Host, Making, Outcome, Progress, Spoiled, Stage, Submission, SubmissionFile, UploadError,
};
use crate::flow::api_error::ApiError;
use crate::flow::chunk::{ChunkAnswer, ChunkFailure, ChunkRequest};
use crate::flow::config::ClientConfig;
use crate::flow::data::Data;
use crate::flow::error::Error;
use crate::flow::mask::Mask;
use crate::flow::samples::SampleDetails;

/// How long the machine asks; work behind a lost answer ends before that.
const FINAL_WAIT: Duration = Duration::from_secs(120);

/// How long a request takes.
const REQUEST: Duration = Duration::from_millis(10);

/// What becomes of one request.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Well,
    /// The connection could not be made.
    Unreachable,
    /// Nothing done, no answer.
    LostBefore,
    /// All done, no answer.
    LostAfter,
    /// No answer; the check is made at once, the append after `append` seconds, the record after `record` more.
    Behind {
        append: u8,
        record: u8,
    },
    /// A proxy's 504 in place of a late answer: like `Behind`.
    TooManyRequests,
    /// The application fails before any work.
    Broken,
    /// All done, and an answer without ids.
    NoIds,
    /// The server dies while it hashes: appended, never recorded, never ready. No answer.
    DiesHashing,
    /// The agent is killed before the request leaves, or when the work is done and the answer is not read.
    KilledBefore,
    KilledAfter,
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let fate = prop_oneof![
        6 => Just(Fate::Well),
        1 => Just(Fate::Unreachable),
        1 => Just(Fate::LostBefore),
        2 => Just(Fate::LostAfter),
        3 => (0u8..4, 0u8..50).prop_map(|(append, record)| Fate::Behind { append, record }),
        1 => Just(Fate::TooManyRequests),
        1 => Just(Fate::Broken),
        1 => Just(Fate::NoIds),
        1 => Just(Fate::DiesHashing),
        1 => Just(Fate::KilledBefore),
        1 => Just(Fate::KilledAfter),
    ];
    prop::collection::vec(fate, 0..40)
}

/// The same, within less than the five seconds that are waited for it.
fn timely(fate: Fate) -> Fate {
    match fate {
        Fate::Behind { append, record } => Fate::Behind { append: append % 2, record: record % 4 },
        other => other,
    }
}

/// A file record on the server.
#[derive(Debug, Default, Clone)]
struct Stored {
    filename: String,
    bytes: Vec<u8>,
    /// The size that was recorded last; offsets are checked against it.
    recorded: u64,
    is_ready: bool,
}

/// A chunk that the server works on.
#[derive(Debug, Clone)]
struct Work {
    due: Instant,
    record_after: Duration,
    file: usize,
    step: Step,
    is_last: bool,
    closes_sample: bool,
    previous: Vec<usize>,
}

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<u8>),
    Record { size: u64 },
}

#[derive(Debug, Default)]
struct Server {
    files: Vec<Stored>,
    /// The files of each sample.
    samples: Vec<Vec<usize>>,
    works: Vec<Work>,
    fates: VecDeque<Fate>,
    /// How often a last chunk arrived at each file.
    closings: Vec<usize>,
}

/// A server under a fate, and the client's view of it.
struct Model {
    config: ClientConfig,
    server: Mutex<Server>,
    killed: Notify,
}

impl Server {
    /// Does all work whose time has come, in its order.
    fn catch_up(&mut self, now: Instant) {
        loop {
            let next = self.works.iter().enumerate().filter(|(_, work)| work.due <= now).min_by_key(|(_, w)| w.due);
            let Some((n, _)) = next else { return };
            let work = self.works.remove(n);
            self.do_step(work);
        }
    }

    fn do_step(&mut self, work: Work) {
        let file = &mut self.files[work.file];
        match work.step {
            Step::Append(bytes) => {
                file.bytes.extend(bytes);
                let size = file.bytes.len() as u64;
                let due = work.due + work.record_after;
                self.works.push(Work { due, step: Step::Record { size }, ..work });
            }
            Step::Record { size } => {
                if work.is_last {
                    file.is_ready = true;
                    if work.closes_sample {
                        let files = work.previous.iter().copied().chain([work.file]).collect();
                        self.samples.push(files);
                    }
                }
                file.recorded = size;
            }
        }
    }

    /// Rules 1 to 3, then the work as `append` and `record` delay it; gives the file's index.
    fn take(&mut self, request: &ChunkRequest<'_>, append: Duration, record: Duration) -> Result<usize, Box<ApiError>> {
        let now = Instant::now();
        let file = match request.data_id {
            None => {
                self.files.push(Stored { filename: request.filename.to_owned(), ..Stored::default() });
                self.closings.push(0);
                self.files.len() - 1
            }
            Some(id) => id.parse().expect("ids are indices"),
        };
        if request.chunk.is_last {
            self.closings[file] += 1;
        }
        let closes_sample = request.fields.contains(&("is_last_sample".to_owned(), "true".to_owned()));
        let previous = request.fields.iter().filter(|(name, _)| name == "previous_data");
        let previous: Vec<usize> = previous.map(|(_, id)| id.parse().expect("ids are indices")).collect();
        let stored = &self.files[file];
        if request.chunk.offset > stored.recorded {
            return Err(Box::new(refusal(400, r#"{"error": "Missing chunk"}"#)));
        }
        if request.chunk.offset < stored.recorded {
            // Ignored, bytes and all; but a last chunk to a ready file may make a sample: assume that it does.
            if request.chunk.is_last && closes_sample && stored.is_ready {
                self.samples.push(previous.iter().copied().chain([file]).collect());
            }
            return Ok(file);
        }
        self.works.push(Work {
            due: now + append,
            record_after: record,
            file,
            step: Step::Append(request.bytes.to_vec()),
            is_last: request.chunk.is_last,
            closes_sample,
            previous,
        });
        self.catch_up(now);
        Ok(file)
    }
}

impl Model {
    fn fate(&self) -> Fate {
        self.server.lock().unwrap().fates.pop_front().unwrap_or(Fate::Well)
    }

    fn catch_up(&self) {
        self.server.lock().unwrap().catch_up(Instant::now());
    }

    async fn kill(&self) -> ! {
        self.killed.notify_one();
        std::future::pending().await
    }
}

fn refusal(status: u16, body: &str) -> ApiError {
    ApiError::new(
        "POST /upload",
        StatusCode::from_u16(status).unwrap(),
        &HeaderMap::new(),
        body.as_bytes(),
        &Mask::default(),
    )
}

fn lost() -> ChunkFailure {
    ChunkFailure::Unknown(Error::lost("POST /upload", "cut"))
}

impl Remote for Model {
    fn config(&self) -> &ClientConfig {
        &self.config
    }

    fn learn_chunk_size(&self, _bytes: u64) {}

    async fn send_chunk(&self, request: &ChunkRequest<'_>) -> Result<ChunkAnswer, ChunkFailure> {
        tokio::time::sleep(REQUEST).await;
        self.catch_up();
        let fate = self.fate();
        let work = |append, record| {
            let taken = self.server.lock().unwrap().take(request, append, record);
            taken.map_err(|error| ChunkFailure::Broken(error.into()))
        };
        let answer = |file: usize| {
            let server = self.server.lock().unwrap();
            let sample_id = server.samples.iter().position(|files| files.contains(&file)).map(|n| n.to_string());
            ChunkAnswer {
                data_id: Some(file.to_string()),
                id: None,
                sample_id: sample_id.filter(|_| request.chunk.is_last),
            }
        };
        let seconds = |n: u8| Duration::from_secs(n.into());
        match fate {
            Fate::Well => work(Duration::ZERO, Duration::ZERO).map(answer),
            Fate::Unreachable => {
                let (request, reason) = ("POST /upload".to_owned(), "refused".to_owned());
                let obstacle = crate::flow::error::Obstacle::Connection;
                Err(ChunkFailure::NotDone(Error::Unreachable { request, reason, obstacle }))
            }
            Fate::LostBefore => Err(lost()),
            Fate::LostAfter => {
                let _ = work(Duration::ZERO, Duration::ZERO);
                Err(lost())
            }
            Fate::Behind { append, record } => {
                let _ = work(seconds(append), seconds(record));
                Err(lost())
            }
            Fate::TooManyRequests => Err(ChunkFailure::NotDone(Box::new(refusal(429, "{}")).into())),
            Fate::Broken => Err(ChunkFailure::Unknown(Box::new(refusal(500, "{}")).into())),
            Fate::NoIds => {
                let _ = work(Duration::ZERO, Duration::ZERO)?;
                Ok(ChunkAnswer { data_id: None, id: None, sample_id: None })
            }
            Fate::DiesHashing if request.chunk.is_last => {
                let mut server = self.server.lock().unwrap();
                if let Some(id) = request.data_id {
                    let file: usize = id.parse().expect("ids are indices");
                    server.closings[file] += 1;
                    server.files[file].bytes.extend(&request.bytes);
                }
                Err(lost())
            }
            Fate::DiesHashing => Err(lost()),
            Fate::KilledBefore => self.kill().await,
            Fate::KilledAfter => {
                let _ = work(Duration::ZERO, Duration::ZERO);
                self.kill().await
            }
        }
    }

    async fn find_file(&self, id: &str) -> Result<Option<Data>, Error> {
        self.catch_up();
        match self.fate() {
            Fate::KilledBefore | Fate::KilledAfter => self.kill().await,
            Fate::LostBefore | Fate::LostAfter | Fate::Broken => return Err(Error::lost("GET /data", "cut")),
            _ => {}
        }
        let server = self.server.lock().unwrap();
        let file: usize = id.parse().expect("ids are indices");
        let stored = &server.files[file];
        let sample = server.samples.iter().position(|files| files.contains(&file));
        let sample = sample.map(|n| json!({ "id": n.to_string() }));
        let data = json!({ "id": id, "filename": stored.filename, "size": stored.bytes.len(), "sample": sample });
        Ok(stored.is_ready.then(|| serde_json::from_value(data).expect("the client reads what the server sends")))
    }

    async fn find_sample(&self, _name: &str, data_ids: &[String]) -> Result<Option<SampleDetails>, Error> {
        self.catch_up();
        if let Fate::KilledBefore | Fate::KilledAfter = self.fate() {
            self.kill().await
        }
        let server = self.server.lock().unwrap();
        let ours = |files: &&Vec<usize>| files.iter().any(|file| data_ids.contains(&file.to_string()));
        let found = server.samples.iter().enumerate().find(|(_, files)| ours(files));
        Ok(found.map(|(n, files)| {
            let entry = |file: &usize| {
                let stored = &server.files[*file];
                json!({ "id": file.to_string(), "filename": stored.filename, "size": stored.bytes.len() })
            };
            let data: Vec<_> = files.iter().map(entry).collect();
            let sample = json!({ "id": n.to_string(), "name": "s", "filesets": [{ "data": data }] });
            serde_json::from_value(sample).expect("the client reads what the server sends")
        }))
    }
}

/// An agent whose disk is the `contents`, and whose journal survives every kill.
struct Agent<'a> {
    contents: &'a [Vec<u8>],
    journal: &'a mut Progress,
}

impl Host for Agent<'_> {
    type Error = ();

    async fn store(&mut self, progress: &Progress) -> Result<(), ()> {
        for (before, now) in self.journal.files.iter().zip(&progress.files) {
            if before.begun_anew == now.begun_anew {
                assert_eq!(before.boundaries, now.boundaries, "boundaries never change while a file is under way");
            }
        }
        *self.journal = progress.clone();
        Ok(())
    }

    async fn read(&mut self, file: usize, offset: u64, length: u64) -> Result<Bytes, ()> {
        Ok(Bytes::copy_from_slice(&self.contents[file][offset as usize..(offset + length) as usize]))
    }

    async fn before_final_chunk(&mut self) -> Result<(), ()> {
        Ok(())
    }

    fn is_stopping(&self) -> bool {
        false
    }
}

/// Plays one history to its end. `is_timely`: work behind a lost answer ends while it is waited for.
async fn play(sizes: Vec<usize>, chunk_size: u64, fates: Vec<Fate>, is_timely: bool) -> Result<(), TestCaseError> {
    let contents: Vec<Vec<u8>> = sizes
        .iter()
        .enumerate()
        .map(|(n, size)| (0..*size).map(|at| (at * 31 + n * 7 + at / 251) as u8).collect())
        .collect();
    let files = sizes.iter().enumerate();
    let submission = Submission {
        making: Making::Sample { name: "s".to_owned() },
        fields: Vec::new(),
        files: files.map(|(n, size)| SubmissionFile { filename: format!("R{n}"), size: *size as u64 }).collect(),
        final_wait: Some(FINAL_WAIT),
    };
    let model = Model {
        config: ClientConfig::default(),
        server: Mutex::new(Server { fates: fates.into(), ..Server::default() }),
        killed: Notify::new(),
    };
    let file = |size: &usize| FileProgress {
        boundaries: Boundaries::new(*size as u64, chunk_size),
        begun_anew: 0,
        abandoned: Vec::new(),
        stage: Stage::FIRST,
    };
    let mut journal = Progress { files: sizes.iter().map(file).collect(), sample_id: None, warnings: None };
    let end = loop {
        let progress = journal.clone();
        let mut agent = Agent { contents: &contents, journal: &mut journal };
        let outcome = tokio::select! {
            outcome = Upload::new(&model, &submission, progress, &mut agent).advance() => Some(outcome),
            () = model.killed.notified() => None,
        };
        match outcome {
            // Killed, or a passing fault: the next start goes on from the journal.
            None => {}
            Some(Err(UploadError::Request(_))) => tokio::time::sleep(Duration::from_secs(1)).await,
            Some(Ok(Outcome::AskLater(pause))) => tokio::time::sleep(pause).await,
            Some(Ok(Outcome::Done(finished))) => break Ok(finished),
            Some(Ok(Outcome::Stopped)) => prop_assert!(false, "nobody told it to stop"),
            Some(Err(UploadError::Spoiled(spoiled))) => break Err(spoiled),
            Some(Err(UploadError::Host(()))) => prop_assert!(false, "the host never fails"),
        }
    };
    // Whatever still goes on behind lost answers comes to its end.
    tokio::time::sleep(FINAL_WAIT * 4).await;
    model.catch_up();
    model.catch_up();
    let server = model.server.lock().unwrap();
    let check_bytes = || {
        let stored: Vec<&Vec<u8>> = server.samples[0].iter().map(|file| &server.files[*file].bytes).collect();
        prop_assert_eq!(stored, contents.iter().collect::<Vec<_>>(), "never wrong");
        Ok(())
    };
    match end {
        Ok(finished) => {
            prop_assert_eq!(server.samples.len(), 1, "never lost, never twice");
            prop_assert_eq!(finished.sample_id.as_deref(), Some("0"));
            check_bytes()?;
        }
        Err(spoiled) => {
            prop_assert!(server.samples.len() <= 1, "blocked, and never twice: {spoiled}");
            if is_timely && !server.samples.is_empty() {
                check_bytes()?;
            }
            if let Spoiled::Empty { .. } = spoiled {
                prop_assert!(false, "no file was empty");
            }
        }
    }
    for closings in &server.closings {
        // Only a file that was ready and in no sample is told a second time.
        prop_assert!(*closings <= 2, "a last chunk was sent {closings} times to one file");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn no_history_of_faults_loses_doubles_or_spoils_a_sample(
        sizes in prop::collection::vec(1usize..900, 1..3),
        // Of chunks of a byte or two, copies that are at work at the same time can add up to another chunk's length.
        chunk_size in 32u64..200,
        fates in fates(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(play(sizes, chunk_size, fates, false))?;
    }

    /// A size that a first copy records late hides what the second one added: no sum shows it before the file is closed.
    #[test]
    fn work_that_ends_in_time_never_makes_a_wrong_sample_not_even_a_blocked_one(
        sizes in prop::collection::vec(100usize..900, 1..3),
        chunk_size in 32u64..200,
        fates in fates().prop_map(|fates| fates.into_iter().map(timely).collect()),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(play(sizes, chunk_size, fates, true))?;
    }
}
