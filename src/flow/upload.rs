//! The state machine of a resumable upload: one submission, file after file, chunk after chunk.
//!
//! It owns the rules under which nothing is lost, doubled or spoiled, whatever answer gets lost:
//!
//! * a chunk in the middle of a file may be sent again, with the same boundaries;
//! * a last chunk whose answer is unknown is never sent again; the server is asked about the file instead;
//! * no file is begun before the one before it is ready at the right size;
//! * each id, and the point of no return before a last chunk, is stored by the [`Host`] before anything follows.
//!
//! [`advance`] goes on from a recorded [`Progress`], so a restart and a first start are the same call. It never
//! waits for long: where only time can tell, it returns [`Outcome::AskLater`] and is called again.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::boundaries::Boundaries;
use super::chunk::{ChunkAnswer, ChunkFailure, ChunkRequest};
use super::client::Client;
use super::error::Error;

/// How often a file is begun anew before a person is asked.
const MOST_BEGINNINGS_ANEW: u32 = 3;
/// How often the same 500 is met at one offset before the file is begun anew.
const MOST_STRIKES: u32 = 5;
/// Chunks are not made smaller than this when the server finds them too large.
const SMALLEST_CHUNK: u64 = 64 * 1024;
/// The pace at which a server is trusted to hash a file, in bytes a second.
const HASHING_RATE: u64 = 50_000_000;

/// What is to be uploaded as one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// The sample to make of the files; `None` uploads one generic file.
    pub sample_name: Option<String>,
    /// Fields of the endpoint that go along with every chunk, in order.
    pub fields: Vec<(String, String)>,
    /// In the order in which they go up; none is empty.
    pub files: Vec<SubmissionFile>,
    /// How long a lost answer to a last chunk is asked about; `None`: twice the request timeout, and more for larger
    /// files, since the server hashes a file before it answers.
    pub final_wait: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmissionFile {
    /// The name under which it is stored.
    pub filename: String,
    /// Bytes.
    pub size: u64,
}

/// How far a submission has got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// One for each file of the submission.
    pub files: Vec<FileProgress>,
    /// The sample's id, as soon as an answer names it.
    pub sample_id: Option<String>,
}

/// How far one file has got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileProgress {
    pub boundaries: Boundaries,
    /// How often it was begun anew under a new id.
    pub begun_anew: u32,
    /// Ids whose last chunk had left when the file was begun anew: should one become ready late, it is found.
    pub abandoned: Vec<String>,
    pub stage: Stage,
}

/// The states of a file on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    Sending {
        /// `None` before the first chunk is acknowledged.
        data_id: Option<String>,
        /// Chunks acknowledged.
        chunks: u64,
        /// Times that the server failed with 500 at this offset.
        strikes: u32,
    },
    /// The last chunk has left, or may have left.
    Asking {
        /// `None` only for a file of one byte, whose first chunk is its last.
        data_id: Option<String>,
        /// Questions asked so far.
        asks: u32,
        /// Whether the last chunk was sent once more to a file that was ready but in no sample.
        sent_again: bool,
    },
    /// On the server, at the right size.
    Ready { data_id: String },
}

impl Stage {
    const FIRST: Stage = Stage::Sending { data_id: None, chunks: 0, strikes: 0 };
}

impl Progress {
    /// Nothing sent yet; cuts every file, as `client` is set and as the server is known to take it.
    pub fn new(submission: &Submission, client: &Client) -> Self {
        let file = |file: &SubmissionFile| FileProgress {
            boundaries: Boundaries::new(file.size, client.chunk_size()),
            begun_anew: 0,
            abandoned: Vec::new(),
            stage: Stage::FIRST,
        };
        Self { files: submission.files.iter().map(file).collect(), sample_id: None }
    }

    /// Bytes that the server acknowledged.
    pub fn sent(&self) -> u64 {
        self.files.iter().map(FileProgress::sent).sum()
    }
}

impl FileProgress {
    /// Bytes that the server acknowledged.
    pub fn sent(&self) -> u64 {
        match self.stage {
            Stage::Sending { chunks, .. } => self.boundaries.offset(chunks),
            Stage::Asking { .. } | Stage::Ready { .. } => self.boundaries.size,
        }
    }

    /// The id under which the server knows the file.
    pub fn data_id(&self) -> Option<&str> {
        match &self.stage {
            Stage::Sending { data_id, .. } | Stage::Asking { data_id, .. } => data_id.as_deref(),
            Stage::Ready { data_id } => Some(data_id),
        }
    }
}

/// What the state machine needs of its caller.
pub trait Host: Send {
    type Error: Send;

    /// Stores how far the upload has got. When it returns, the record survives a power cut: what is sent next rests
    /// on that.
    fn store(&mut self, progress: &Progress) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Reads `length` bytes of a file at `offset`.
    fn read(
        &mut self,
        file: usize,
        offset: u64,
        length: u64,
    ) -> impl Future<Output = Result<Bytes, Self::Error>> + Send;

    /// The last look at the files before the submission's last chunk leaves, after which it cannot be undone. An
    /// error keeps the chunk back.
    fn before_final_chunk(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Whether no further chunk shall leave.
    fn is_stopping(&self) -> bool;
}

/// How a call of [`advance`] ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Done(Finished),
    /// Only time can tell what became of a last chunk: call again after this long.
    AskLater(Duration),
    /// The host is stopping; the progress is stored.
    Stopped,
}

/// What the submission became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// `None` for a generic file.
    pub sample_id: Option<String>,
    /// One for each file, in order.
    pub data_ids: Vec<String>,
}

/// Why [`advance`] could not go on. The progress that was stored last stands.
#[derive(Debug)]
pub enum UploadError<E> {
    /// The host could not store, read or allow.
    Host(E),
    /// A request failed.
    Request(Error),
    /// What the server holds is not right, and sending again would not mend it.
    Spoiled(Spoiled),
}

/// Ends at which a person must look.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Spoiled {
    #[error(
        "{filename} is on Flow as data {data_id} with {found} bytes, but has {expected}; look at it there, remove it, \
         and release the sample"
    )]
    WrongSize { filename: String, data_id: String, expected: u64, found: u64 },
    #[error(
        "{filename} was begun anew {MOST_BEGINNINGS_ANEW} times and never became ready on Flow (last: {last}); ask \
         Flow's operators, then release the sample"
    )]
    NeverReady { filename: String, last: String },
    #[error(
        "{filename} is ready on Flow as data {data_id}, but Flow made no sample of it, even when told again; look at \
         it there, then release the sample"
    )]
    InNoSample { filename: String, data_id: String },
    #[error(
        "{filename} has a single byte, and the answer to it was lost: Flow gave no id to ask about; look on Flow \
         whether it is there, then skip or release the sample"
    )]
    NoIdToAskAbout { filename: String },
    #[error("{filename} is empty, and Flow cannot take an empty file")]
    Empty { filename: String },
}

/// Takes a submission from where `progress` says it is as far as it will go now.
///
/// # Errors
/// See [`UploadError`]. After any of them, and after a crash at any point, calling again with the progress that the
/// host stored last is safe.
pub async fn advance<H: Host>(
    client: &Client,
    submission: &Submission,
    progress: Progress,
    host: &mut H,
) -> Result<Outcome, UploadError<H::Error>> {
    if let Some(file) = submission.files.iter().find(|file| file.size == 0) {
        return Err(UploadError::Spoiled(Spoiled::Empty { filename: file.filename.clone() }));
    }
    Upload { client, submission, progress, host }.advance().await
}

struct Upload<'a, H> {
    client: &'a Client,
    submission: &'a Submission,
    progress: Progress,
    host: &'a mut H,
}

/// Whether the machine goes on with the next step, or hands back to the caller.
enum Step {
    GoOn,
    Return(Outcome),
}

impl<H: Host> Upload<'_, H> {
    async fn advance(mut self) -> Result<Outcome, UploadError<H::Error>> {
        for file in 0..self.submission.files.len() {
            loop {
                let step = match self.progress.files[file].stage.clone() {
                    Stage::Ready { .. } => break,
                    Stage::Sending { data_id, chunks, strikes } => self.send(file, data_id, chunks, strikes).await?,
                    Stage::Asking { data_id, asks, sent_again } => self.ask(file, data_id, asks, sent_again).await?,
                };
                if let Step::Return(outcome) = step {
                    return Ok(outcome);
                }
            }
        }
        Ok(Outcome::Done(Finished {
            sample_id: self.progress.sample_id,
            data_ids: self.progress.files.iter().filter_map(|file| file.data_id().map(str::to_owned)).collect(),
        }))
    }

    /// Sends the next chunk of a file.
    async fn send(
        &mut self,
        file: usize,
        data_id: Option<String>,
        chunks: u64,
        strikes: u32,
    ) -> Result<Step, UploadError<H::Error>> {
        if self.host.is_stopping() {
            return Ok(Step::Return(Outcome::Stopped));
        }
        if self.progress.files[file].boundaries.chunk(chunks).is_last {
            return self.send_last(file, data_id, chunks).await;
        }
        match self.post(file, chunks, data_id.as_deref()).await? {
            Ok(answer) => {
                let Some(id) = answer.file_id() else {
                    return Err(UploadError::Request(Error::lost("a chunk", "the answer names no id")));
                };
                let id = data_id.unwrap_or(id);
                self.set(file, Stage::Sending { data_id: Some(id), chunks: chunks + 1, strikes: 0 }).await?;
                Ok(Step::GoOn)
            }
            Err(ChunkFailure::Unknown(error)) if error.status() == Some(500) => {
                if strikes + 1 >= MOST_STRIKES {
                    return self.begin_anew(file, &error).await;
                }
                self.set(file, Stage::Sending { data_id, chunks, strikes: strikes + 1 }).await?;
                Err(UploadError::Request(error))
            }
            Err(ChunkFailure::Broken(error)) => self.begin_anew(file, &error).await,
            Err(ChunkFailure::TooLarge(error)) => self.cut_smaller(file, error).await,
            Err(ChunkFailure::Unknown(error) | ChunkFailure::NotDone(error)) => Err(UploadError::Request(error)),
        }
    }

    /// Sends a file's last chunk: once, and with the intent on record before it leaves.
    async fn send_last(
        &mut self,
        file: usize,
        data_id: Option<String>,
        chunks: u64,
    ) -> Result<Step, UploadError<H::Error>> {
        // A file that was given up may have become ready since: one more look, before a second one does.
        if !self.progress.files[file].abandoned.is_empty() && self.is_settled_elsewhere(file).await? {
            return Ok(Step::GoOn);
        }
        if self.is_final(file) {
            self.host.before_final_chunk().await.map_err(UploadError::Host)?;
        }
        let asking = |data_id| Stage::Asking { data_id, asks: 0, sent_again: false };
        let not_sent = Stage::Sending { data_id: data_id.clone(), chunks, strikes: 0 };
        self.set(file, asking(data_id.clone())).await?;
        match self.post(file, chunks, data_id.as_deref()).await? {
            Ok(answer) => {
                self.progress.sample_id = answer.sample_id.clone().filter(|_| self.is_final(file));
                let id = answer.file_id().or(data_id);
                self.set(file, asking(id)).await?;
                Ok(Step::GoOn)
            }
            Err(ChunkFailure::Unknown(error)) => {
                tracing::info!(file = self.name(file), %error, "the answer to a last chunk was lost; asking about the file");
                Ok(Step::GoOn)
            }
            Err(ChunkFailure::Broken(error)) => self.begin_anew(file, &error).await,
            Err(ChunkFailure::TooLarge(error)) => self.cut_smaller(file, error).await,
            Err(ChunkFailure::NotDone(error)) => {
                self.set(file, not_sent).await?;
                Err(UploadError::Request(error))
            }
        }
    }

    /// Asks what became of a file whose last chunk has left.
    async fn ask(
        &mut self,
        file: usize,
        data_id: Option<String>,
        asks: u32,
        sent_again: bool,
    ) -> Result<Step, UploadError<H::Error>> {
        let Some(id) = data_id else { return self.ask_without_id(file).await };
        let expected = self.submission.files[file].size;
        let found = self.client.data().get_own_data(&id).await.map_err(UploadError::Request)?;
        let is_ready = match found {
            Some(data) if data.size != expected => {
                let filename = self.name(file).to_owned();
                let (data_id, found) = (id, data.size);
                return Err(UploadError::Spoiled(Spoiled::WrongSize { filename, data_id, expected, found }));
            }
            Some(data) => {
                if self.is_final(file) && self.progress.sample_id.is_none() {
                    self.progress.sample_id = data.sample.map(|sample| sample.id);
                }
                true
            }
            None => false,
        };
        let awaits_sample = self.is_final(file) && self.submission.sample_name.is_some();
        if is_ready && (!awaits_sample || self.progress.sample_id.is_some()) {
            self.set(file, Stage::Ready { data_id: id }).await?;
            return Ok(Step::GoOn);
        }

        let schedule = AskSchedule::new(self.final_wait(file));
        if let Some(pause) = schedule.pause_after(asks) {
            self.set(file, Stage::Asking { data_id: Some(id), asks: asks + 1, sent_again }).await?;
            return Ok(Step::Return(Outcome::AskLater(pause)));
        }
        // The time for asking is over. A sample may hold the file all the same: that would settle it.
        if self.is_settled_elsewhere(file).await? {
            return Ok(Step::GoOn);
        }
        let filename = self.name(file).to_owned();
        match (is_ready, sent_again) {
            (false, _) if self.progress.sample_id.is_some() => {
                let last = "Flow named the sample, but never showed the file".to_owned();
                Err(UploadError::Spoiled(Spoiled::NeverReady { filename, last }))
            }
            (false, _) => {
                self.progress.files[file].abandoned.push(id);
                self.begin_anew(file, &Error::lost("the last chunk", "the file did not become ready")).await
            }
            (true, false) => self.send_last_again(file, id).await,
            (true, true) => Err(UploadError::Spoiled(Spoiled::InNoSample { filename, data_id: id })),
        }
    }

    /// A file of one byte whose answer was lost: there is no id to ask about. As the first of a sample's files it can
    /// be sent again, since a file that no sample names harms nobody; as the last it cannot.
    async fn ask_without_id(&mut self, file: usize) -> Result<Step, UploadError<H::Error>> {
        let filename = self.name(file).to_owned();
        if !self.is_final(file) {
            return self.begin_anew(file, &Error::lost("the only chunk", "no id to ask about")).await;
        }
        Err(UploadError::Spoiled(Spoiled::NoIdToAskAbout { filename }))
    }

    /// Tells the server once more to close a file that is ready but became no sample. The bytes it ignores: they lie
    /// below the recorded size.
    async fn send_last_again(&mut self, file: usize, id: String) -> Result<Step, UploadError<H::Error>> {
        if self.host.is_stopping() {
            return Ok(Step::Return(Outcome::Stopped));
        }
        self.host.before_final_chunk().await.map_err(UploadError::Host)?;
        self.set(file, Stage::Asking { data_id: Some(id.clone()), asks: 0, sent_again: true }).await?;
        let boundaries = self.progress.files[file].boundaries;
        let last = (0..).find(|n| boundaries.chunk(*n).is_last).expect("every file has a last chunk");
        match self.post(file, last, Some(&id)).await? {
            Ok(answer) => {
                self.progress.sample_id = answer.sample_id;
                self.set(file, Stage::Asking { data_id: Some(id), asks: 0, sent_again: true }).await?;
            }
            Err(
                ChunkFailure::NotDone(error)
                | ChunkFailure::Unknown(error)
                | ChunkFailure::Broken(error)
                | ChunkFailure::TooLarge(error),
            ) => tracing::info!(file = self.name(file), %error, "closing the file again failed; asking about it"),
        }
        Ok(Step::GoOn)
    }

    /// Begins a file anew under a new id; what the server has of it stays there, unfinished, and becomes nothing.
    async fn begin_anew(&mut self, file: usize, why: &Error) -> Result<Step, UploadError<H::Error>> {
        let filename = self.name(file).to_owned();
        let progress = &mut self.progress.files[file];
        if progress.begun_anew == MOST_BEGINNINGS_ANEW {
            let last = why.to_string();
            return Err(UploadError::Spoiled(Spoiled::NeverReady { filename, last }));
        }
        tracing::warn!(file = filename, why = %why, "the file is begun anew");
        progress.begun_anew += 1;
        self.set(file, Stage::FIRST).await?;
        Ok(Step::GoOn)
    }

    /// Begins a file anew in smaller chunks, and lets the files after it begin with such.
    async fn cut_smaller(&mut self, file: usize, error: Error) -> Result<Step, UploadError<H::Error>> {
        let smaller = self.progress.files[file].boundaries.base / 2;
        if smaller < SMALLEST_CHUNK {
            return Err(UploadError::Request(error));
        }
        self.client.learn_chunk_size(smaller);
        for progress in &mut self.progress.files[file..] {
            progress.boundaries = Boundaries::new(progress.boundaries.size, smaller);
        }
        tracing::warn!(file = self.name(file), bytes = smaller, %error, "chunks are made smaller");
        self.set(file, Stage::FIRST).await?;
        Ok(Step::GoOn)
    }

    /// Sends one chunk; a first or middle one is repeated while the failure is a passing one.
    async fn post(
        &mut self,
        file: usize,
        n: u64,
        data_id: Option<&str>,
    ) -> Result<Result<ChunkAnswer, ChunkFailure>, UploadError<H::Error>> {
        let chunk = self.progress.files[file].boundaries.chunk(n);
        let bytes = self.host.read(file, chunk.offset, chunk.length).await.map_err(UploadError::Host)?;
        let fields = self.fields(file);
        let request = ChunkRequest {
            path: if self.submission.sample_name.is_some() { "/upload/sample" } else { "/upload" },
            filename: &self.submission.files[file].filename,
            chunk,
            data_id,
            fields: &fields,
            bytes,
        };
        let retries = if chunk.is_last { 0 } else { self.client.config().upload_retries };
        let mut tries = 0;
        loop {
            let answer = self.client.send_chunk(&request).await;
            let is_passing = matches!(&answer, Err(ChunkFailure::Unknown(error)) if error.status() != Some(500));
            if !is_passing || tries == retries || self.host.is_stopping() {
                return Ok(answer);
            }
            tokio::time::sleep(super::pause(Duration::from_secs(1), tries)).await;
            tries += 1;
        }
    }

    /// The fields beside the protocol's own, in the reference client's order.
    fn fields(&self, file: usize) -> Vec<(String, String)> {
        if self.submission.sample_name.is_none() {
            return self.submission.fields.clone();
        }
        let previous = self.progress.files[..file].iter().filter_map(FileProgress::data_id);
        [("is_last_sample".to_owned(), self.is_final(file).to_string())]
            .into_iter()
            .chain(previous.map(|id| ("previous_data".to_owned(), id.to_owned())))
            .chain(self.submission.fields.iter().cloned())
            .collect()
    }

    /// Whether what was sent of this file has become what it was sent for after all, under this id or an earlier one:
    /// then its stage is `Ready`.
    async fn is_settled_elsewhere(&mut self, file: usize) -> Result<bool, UploadError<H::Error>> {
        let progress = &self.progress.files[file];
        let ids: Vec<_> = progress.abandoned.iter().cloned().chain(progress.data_id().map(str::to_owned)).collect();
        if let (true, Some(name)) = (self.is_final(file), &self.submission.sample_name) {
            let earlier = self.progress.files[..file].iter().filter_map(|f| f.data_id().map(str::to_owned));
            let ours: Vec<_> = ids.iter().cloned().chain(earlier).collect();
            let found = self.client.samples().holding_any_of(name, &ours).await.map_err(UploadError::Request)?;
            let Some(sample) = found else { return Ok(false) };
            let held = |id: &String| sample.files().any(|entry| entry.id == *id);
            let by_name =
                || sample.files().find(|entry| entry.filename == self.name(file)).map(|entry| entry.id.clone());
            let Some(data_id) = ids.into_iter().find(held).or_else(by_name) else { return Ok(false) };
            self.progress.sample_id = Some(sample.id.clone());
            self.set(file, Stage::Ready { data_id }).await?;
            return Ok(true);
        }
        for id in ids {
            let found = self.client.data().get_own_data(&id).await.map_err(UploadError::Request)?;
            if found.is_some_and(|data| data.size == self.submission.files[file].size) {
                self.set(file, Stage::Ready { data_id: id }).await?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn set(&mut self, file: usize, stage: Stage) -> Result<(), UploadError<H::Error>> {
        self.progress.files[file].stage = stage;
        self.host.store(&self.progress).await.map_err(UploadError::Host)
    }

    fn is_final(&self, file: usize) -> bool {
        file + 1 == self.submission.files.len()
    }

    fn name(&self, file: usize) -> &str {
        &self.submission.files[file].filename
    }

    fn final_wait(&self, file: usize) -> Duration {
        self.submission.final_wait.unwrap_or_else(|| {
            let hashing = Duration::from_secs(self.submission.files[file].size / HASHING_RATE);
            self.client.config().request_timeout * 2 + hashing
        })
    }
}

/// When to ask about a last chunk whose answer was lost: with growing pauses, through the whole of the wait.
struct AskSchedule {
    wait: Duration,
}

impl AskSchedule {
    const FIRST: Duration = Duration::from_millis(250);
    const LONGEST: Duration = Duration::from_secs(60);

    fn new(wait: Duration) -> Self {
        Self { wait }
    }

    /// The pause after question number `asks`, counted from 0; `None` when the time for asking is over.
    fn pause_after(&self, asks: u32) -> Option<Duration> {
        let mut left = self.wait;
        let mut pause = Self::FIRST;
        for _ in 0..asks {
            left = left.saturating_sub(pause);
            pause = (pause * 2).min(Self::LONGEST);
        }
        (left > Duration::ZERO).then(|| pause.min(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_go_on_through_all_of_the_wait_and_not_beyond() {
        for wait in [Duration::from_millis(100), Duration::from_secs(5), Duration::from_secs(7200)] {
            let schedule = AskSchedule::new(wait);
            let pauses: Vec<_> = (0..).map_while(|asks| schedule.pause_after(asks)).collect();
            assert_eq!(pauses.iter().sum::<Duration>(), wait);
            assert!(pauses[..pauses.len() - 1].is_sorted());
        }
    }
}
