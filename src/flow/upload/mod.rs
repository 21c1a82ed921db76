//! The state machine of a resumable upload: one submission, file after file, chunk after chunk.
//!
//! It owns the rules under which nothing is lost, doubled or spoiled, whatever answer gets lost:
//!
//! * a chunk in the middle of a file may be sent again, with the same boundaries;
//! * a last chunk whose answer is unknown is never sent again; the server is asked about the file instead;
//! * no file is begun before the one before it is ready at the right size;
//! * when the last chunk has left, every file is read back, and must have its size;
//! * each id, and the point of no return before a last chunk, is stored by the [`Host`] before anything follows.
//!
//! [`advance`] goes on from a recorded [`Progress`], so a restart and a first start are the same call. It never
//! waits for long: where only time can tell, it returns [`Outcome::AskLater`] and is called again.

mod asking;
mod machine;
mod remote;
mod schedule;

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::boundaries::Boundaries;
use super::client::Client;
use super::error::Error;
use machine::Upload;

/// How often a file is begun anew before a person is asked.
const MOST_BEGINNINGS_ANEW: u32 = 3;

/// What Flow is to make of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants are documented, and their fields say what they are")]
pub enum Making {
    /// A sample of this name.
    Sample { name: String },
    /// A generic file.
    File {
        /// Whether Flow unpacks it (the field of the same name says so to it). Its size there is then not that of the
        /// archive, and says nothing.
        is_directory: bool,
    },
    /// A multiplexed set: its annotation sheet first, then one or two reads files. A sheet with warnings is sent again
    /// with `ignore_warnings`, if that is wished; one with errors costs no reads upload.
    Multiplexed { ignore_warnings: bool },
}

/// What is to be uploaded as one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// What Flow is to make of the files.
    pub making: Making,
    /// Fields of the endpoint that go along with every chunk, in order.
    pub fields: Vec<(String, String)>,
    /// In the order in which they go up; none is empty.
    pub files: Vec<SubmissionFile>,
    /// How long a lost answer to a last chunk is asked about; `None`: twice the request timeout, and more for larger
    /// files, since the server hashes a file before it answers.
    pub final_wait: Option<Duration>,
}

/// One of the files.
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
    /// A list of the annotation sheet's warnings, each as the server sent it, once they are being ignored.
    pub warnings: Option<serde_json::Value>,
}

/// How far one file has got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileProgress {
    /// Where it is cut.
    pub boundaries: Boundaries,
    /// How often it was begun anew under a new id.
    pub begun_anew: u32,
    /// Ids whose last chunk had left when the file was begun anew: should one become ready late, it is found.
    pub abandoned: Vec<String>,
    /// Where it is on its way.
    pub stage: Stage,
}

/// The states of a file on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// Chunks are going up.
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
    Ready {
        /// Its id.
        data_id: String,
    },
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
        Self { files: submission.files.iter().map(file).collect(), sample_id: None, warnings: None }
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
    /// Why it could not; [`advance`] hands it back.
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

    /// The last look at the files before the submission's last chunk leaves, after which it cannot be undone; of a
    /// multiplexed set, before the last chunk of each of its reads. An error keeps the chunk back.
    fn before_final_chunk(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Before a file is begun anew, be it under a new id or with other cuts. An error keeps it from that; the call can
    /// be repeated.
    fn before_beginning_anew(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        std::future::ready(Ok(()))
    }

    /// What became of the last of the files, whose only chunk left and whose answer, with the id in it, was lost: a host
    /// may know other ways of finding it than the machine, which knows it by its id or by the files before it.
    fn find_without_id(&mut self) -> impl Future<Output = Result<Option<FoundWithoutId>, Self::Error>> + Send {
        std::future::ready(Ok(None))
    }

    /// Whether no further chunk shall leave.
    fn is_stopping(&self) -> bool;
}

/// A file that was found although nobody had told its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundWithoutId {
    /// The sample that it closed; `None` for a file that closes none.
    pub sample_id: Option<String>,
    /// Its own id.
    pub data_id: String,
}

/// How a call of [`advance`] ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All is on Flow.
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
    /// Warnings about the annotation sheet that were ignored, as the server sent them.
    pub warnings: Option<serde_json::Value>,
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
#[allow(missing_docs, reason = "the variants are documented, and their fields say what they are")]
pub enum Spoiled {
    /// What Flow stored is longer or shorter than the file.
    #[error(
        "{filename} is on Flow as data {data_id} with {found} bytes, but has {expected}; look at it there, and \
         remove it before it is sent again"
    )]
    WrongSize { filename: String, data_id: String, expected: u64, found: u64 },
    /// However often it was sent, it never became ready.
    #[error(
        "{filename} was begun anew {MOST_BEGINNINGS_ANEW} times and never became ready on Flow (last: {last}); ask \
         Flow's operators before it is sent again"
    )]
    NeverReady { filename: String, last: String },
    /// The files are there, the sample is not.
    #[error(
        "{filename} is ready on Flow as data {data_id}, but Flow made no sample of it, even when told again; look at \
         it there before it is sent again"
    )]
    InNoSample { filename: String, data_id: String },
    /// The sample is there without one of its files.
    #[error(
        "{filename} is not in sample {sample_id} on Flow, which holds the sample's other file; look at it there \
         before it is sent again"
    )]
    NotInItsSample { filename: String, sample_id: String },
    /// Nobody can tell whether a file of one byte arrived.
    #[error(
        "{filename} has a single byte, and the answer to it was lost: Flow gave no id to ask about; look on Flow \
         whether it is there before it is sent again"
    )]
    NoIdToAskAbout { filename: String },
    /// Nothing was sent.
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
    Upload::new(client, submission, progress, host).advance().await
}

#[cfg(test)]
mod model;
