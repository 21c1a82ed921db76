//! The machine itself: what is done in each stage of a file, and what each answer makes of it.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::time::Instant;

use super::remote::Remote;
use super::{
    FileProgress, Finished, Host, MOST_BEGINNINGS_ANEW, Making, Outcome, Progress, Spoiled, Stage, Submission,
    UploadError,
};
use crate::flow::boundaries::Boundaries;
use crate::flow::chunk::{ChunkAnswer, ChunkFailure, ChunkRequest};
use crate::flow::error::Error;
use crate::flow::pause;

/// How often the same 500 is met at one offset before the file is begun anew.
const MOST_STRIKES: u32 = 5;
/// Chunks are not made smaller than this when the server finds them too large.
const SMALLEST_CHUNK: u64 = 64 * 1024;
/// In a multiplexed set, the place of the annotation sheet.
const ANNOTATION: usize = 0;
/// How long after a chunk whose answer was lost nothing more is sent of its file. The chunk may be at work still; beside a
/// second copy of it, both are stored. Not even the sums need show that before the file is closed: the size that the first
/// copy records late can hide what the second one added.
const QUARANTINE: Duration = Duration::from_secs(5);
/// The pause before a chunk is sent for the second time; it doubles with each further time. A first chunk's second copy
/// makes another file and harms nothing, so that it waits for no more than this.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// A submission under way on a server.
pub(super) struct Upload<'a, R, H> {
    pub(super) remote: &'a R,
    pub(super) submission: &'a Submission,
    pub(super) progress: Progress,
    pub(super) host: &'a mut H,
    /// When the answer to a chunk was lost last.
    lost_at: Option<Instant>,
    /// The files that were read back, at the right size, after the submission's last chunk.
    pub(super) read_back: BTreeSet<usize>,
}

/// Whether the machine goes on with the next step, or hands back to the caller.
pub(super) enum Step {
    GoOn,
    Return(Outcome),
}

impl<'a, R: Remote, H: Host> Upload<'a, R, H> {
    pub fn new(remote: &'a R, submission: &'a Submission, progress: Progress, host: &'a mut H) -> Self {
        // What was in flight when an earlier process ended may be at work still.
        let is_resumed = |file: &FileProgress| matches!(file.stage, Stage::Sending { data_id: Some(_), .. });
        let lost_at = progress.files.iter().any(is_resumed).then(Instant::now);
        Self { remote, submission, progress, host, lost_at, read_back: BTreeSet::new() }
    }

    /// Goes as far as it can now.
    pub async fn advance(mut self) -> Result<Outcome, UploadError<H::Error>> {
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
        self.read_back_all().await?;
        Ok(Outcome::Done(Finished {
            sample_id: self.progress.sample_id,
            data_ids: self.progress.files.iter().filter_map(|file| file.data_id().map(str::to_owned)).collect(),
            warnings: self.progress.warnings,
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
        if data_id.is_some() && !self.outlast_lost_chunk().await {
            return Ok(Step::Return(Outcome::Stopped));
        }
        let bytes = self.read(file, chunks).await?;
        if chunks == 0 {
            // The cuts are on record before anything leaves that was cut by them.
            self.host.store(&self.progress).await.map_err(UploadError::Host)?;
        }
        match self.post(file, chunks, data_id.as_deref(), bytes).await {
            Ok(answer) => {
                let Some(id) = answer.file_id() else {
                    return Err(UploadError::Request(Error::lost("a chunk", "the answer names no id")));
                };
                let id = data_id.unwrap_or(id);
                self.set(file, Stage::Sending { data_id: Some(id), chunks: chunks + 1, strikes: 0 }).await?;
                Ok(Step::GoOn)
            }
            // Without an id there is nothing to begin anew: a server that fails at every first chunk is waited for.
            Err(ChunkFailure::Unknown(error)) if error.status() == Some(500) && data_id.is_some() => {
                if strikes + 1 >= MOST_STRIKES {
                    return self.begin_anew(file, &error).await;
                }
                self.set(file, Stage::Sending { data_id, chunks, strikes: strikes + 1 }).await?;
                Err(UploadError::Request(error))
            }
            Err(ChunkFailure::Broken(error)) => self.begin_anew(file, &error).await,
            Err(ChunkFailure::TooLarge(error)) => self.cut_smaller(file, error).await,
            Err(ChunkFailure::NotDone(error)) if self.may_ignore_warnings(file, &error) => {
                self.begin_ignoring(file).await
            }
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
        if !self.outlast_lost_chunk().await {
            return Ok(Step::Return(Outcome::Stopped));
        }
        if self.is_final(file) {
            self.look_at_earlier_files(file).await?;
        }
        // Read before anything is recorded: what cannot be read does not leave.
        let bytes = self.read(file, chunks).await?;
        // Of a multiplexed set each reads file is something on Flow by itself.
        let is_reads = matches!(self.submission.making, Making::Multiplexed { .. }) && file != ANNOTATION;
        if self.is_final(file) || is_reads {
            self.host.before_final_chunk().await.map_err(UploadError::Host)?;
        }
        let asking = |data_id| Stage::Asking { data_id, asks: 0, sent_again: false };
        let not_sent = Stage::Sending { data_id: data_id.clone(), chunks, strikes: 0 };
        self.set(file, asking(data_id.clone())).await?;
        match self.post(file, chunks, data_id.as_deref(), bytes).await {
            Ok(answer) => {
                self.progress.sample_id = answer.sample_id.clone().filter(|_| self.is_final(file));
                let id = data_id.or_else(|| answer.file_id());
                self.set(file, asking(id)).await?;
                Ok(Step::GoOn)
            }
            Err(ChunkFailure::Unknown(error)) => {
                tracing::info!(file = self.name(file), %error, "the answer to a last chunk was lost; asking about the file");
                Ok(Step::GoOn)
            }
            // A chunk that was surely refused did not close the file: that is on record before anything else.
            Err(ChunkFailure::Broken(error)) => {
                self.set(file, not_sent).await?;
                self.begin_anew(file, &error).await
            }
            Err(ChunkFailure::TooLarge(error)) => {
                self.set(file, not_sent).await?;
                self.cut_smaller(file, error).await
            }
            Err(ChunkFailure::NotDone(error)) if self.may_ignore_warnings(file, &error) => {
                self.begin_ignoring(file).await
            }
            Err(ChunkFailure::NotDone(error)) => {
                self.set(file, not_sent).await?;
                Err(UploadError::Request(error))
            }
        }
    }

    /// Begins a file anew under a new id; what the server has of it stays there, unfinished, and becomes nothing.
    pub(super) async fn begin_anew(&mut self, file: usize, why: &Error) -> Result<Step, UploadError<H::Error>> {
        let filename = self.name(file).to_owned();
        if self.progress.files[file].begun_anew == MOST_BEGINNINGS_ANEW {
            let last = why.to_string();
            return Err(UploadError::Spoiled(Spoiled::NeverReady { filename, last }));
        }
        self.host.before_beginning_anew().await.map_err(UploadError::Host)?;
        tracing::warn!(file = filename, why = %why, "the file is begun anew");
        self.progress.files[file].begun_anew += 1;
        self.set(file, Stage::FIRST).await?;
        Ok(Step::GoOn)
    }

    /// Whether an annotation sheet was refused for warnings alone, and those are not wanted; takes them down then.
    fn may_ignore_warnings(&mut self, file: usize, error: &Error) -> bool {
        let ignores = matches!(self.submission.making, Making::Multiplexed { ignore_warnings: true });
        if !ignores || file != ANNOTATION || self.progress.warnings.is_some() {
            return false;
        }
        let body = error.api().filter(|api| api.status == 400).and_then(|api| api.body.as_ref());
        let warnings = body.and_then(|body| body.get("error").unwrap_or(body).get("warnings"));
        self.progress.warnings = warnings.cloned().map(|warnings| match warnings {
            Value::Array(_) => warnings,
            one => Value::Array(vec![one]),
        });
        self.progress.warnings.is_some()
    }

    /// Sends the annotation sheet once more from its start, with the warnings ignored.
    async fn begin_ignoring(&mut self, file: usize) -> Result<Step, UploadError<H::Error>> {
        tracing::warn!(file = self.name(file), warnings = ?self.progress.warnings, "ignoring the sheet's warnings");
        self.set(file, Stage::FIRST).await?;
        Ok(Step::GoOn)
    }

    /// Begins a file anew in smaller chunks, and lets the files after it begin with such.
    async fn cut_smaller(&mut self, file: usize, error: Error) -> Result<Step, UploadError<H::Error>> {
        let smaller = self.progress.files[file].boundaries.base / 2;
        if smaller < SMALLEST_CHUNK {
            return Err(UploadError::Request(error));
        }
        self.host.before_beginning_anew().await.map_err(UploadError::Host)?;
        self.remote.learn_chunk_size(smaller);
        for progress in &mut self.progress.files[file..] {
            progress.boundaries = Boundaries::new(progress.boundaries.size, smaller);
        }
        tracing::warn!(file = self.name(file), bytes = smaller, %error, "chunks are made smaller");
        self.set(file, Stage::FIRST).await?;
        Ok(Step::GoOn)
    }

    /// Waits until no chunk whose answer was lost can be at work any more; false as soon as the host is stopping.
    async fn outlast_lost_chunk(&self) -> bool {
        match self.lost_at {
            Some(lost_at) => self.wait_until(lost_at + QUARANTINE).await,
            None => true,
        }
    }

    /// Waits until `then`; false as soon as the host is stopping.
    async fn wait_until(&self, then: Instant) -> bool {
        while !self.host.is_stopping() {
            let left = then.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            tokio::time::sleep(left.min(Duration::from_millis(100))).await;
        }
        false
    }

    pub(super) async fn read(&mut self, file: usize, n: u64) -> Result<Bytes, UploadError<H::Error>> {
        let chunk = self.progress.files[file].boundaries.chunk(n);
        self.host.read(file, chunk.offset, chunk.length).await.map_err(UploadError::Host)
    }

    /// Sends one chunk; a first or middle one is repeated while the failure is a passing one.
    pub(super) async fn post(
        &mut self,
        file: usize,
        n: u64,
        data_id: Option<&str>,
        bytes: Bytes,
    ) -> Result<ChunkAnswer, ChunkFailure> {
        let chunk = self.progress.files[file].boundaries.chunk(n);
        let fields = self.fields(file);
        let request = ChunkRequest {
            path: self.path(file),
            filename: &self.submission.files[file].filename,
            chunk,
            data_id,
            fields: &fields,
            bytes,
        };
        let retries = if chunk.is_last { 0 } else { self.remote.config().upload_retries };
        let mut tries = 0;
        loop {
            let answer = self.remote.send_chunk(&request).await;
            // A first chunk's second copy makes another file and harms nothing.
            if data_id.is_some() && matches!(answer, Err(ChunkFailure::Unknown(_))) {
                self.lost_at = Some(Instant::now());
            }
            // A server that asks to be left alone for a while is the caller's to wait for.
            let may_repeat =
                |error: &Error| error.api().is_none_or(|api| api.status != 500 && api.retry_after.is_none());
            let is_passing = matches!(&answer, Err(ChunkFailure::Unknown(error)) if may_repeat(error));
            if !is_passing || tries == retries || !self.wait_until(Instant::now() + pause(FIRST_PAUSE, tries)).await {
                return answer;
            }
            if data_id.is_some() && !self.outlast_lost_chunk().await {
                return answer;
            }
            tries += 1;
        }
    }

    fn path(&self, file: usize) -> &'static str {
        match self.submission.making {
            Making::Sample { .. } => "/upload/sample",
            Making::File { .. } => "/upload",
            Making::Multiplexed { .. } if file == ANNOTATION => "/upload/annotation",
            Making::Multiplexed { .. } => "/upload/multiplexed",
        }
    }

    /// The fields beside the protocol's own, in the reference client's order.
    fn fields(&self, file: usize) -> Vec<(String, String)> {
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let earlier = || self.progress.files[..file].iter().filter_map(FileProgress::data_id);
        let mut fields = Vec::new();
        match self.submission.making {
            Making::Sample { .. } => {
                fields.push(field("is_last_sample", &self.is_final(file).to_string()));
                fields.extend(earlier().map(|id| field("previous_data", id)));
            }
            Making::Multiplexed { .. } if file == ANNOTATION => {
                fields.extend(self.progress.warnings.is_some().then(|| field("ignore_warnings", "true")));
            }
            Making::Multiplexed { .. } => fields.extend(earlier().skip(ANNOTATION + 1).map(|id| field("reads1", id))),
            Making::File { .. } => {}
        }
        fields.extend(self.submission.fields.iter().cloned());
        fields
    }

    /// The name of the sample that this file closes, if it closes one.
    pub(super) fn sample_closed_by(&self, file: usize) -> Option<&str> {
        match &self.submission.making {
            Making::Sample { name } if self.is_final(file) => Some(name),
            _ => None,
        }
    }

    pub(super) async fn set(&mut self, file: usize, stage: Stage) -> Result<(), UploadError<H::Error>> {
        self.progress.files[file].stage = stage;
        self.host.store(&self.progress).await.map_err(UploadError::Host)
    }

    pub(super) fn is_final(&self, file: usize) -> bool {
        file + 1 == self.submission.files.len()
    }

    pub(super) fn name(&self, file: usize) -> &str {
        &self.submission.files[file].filename
    }
}
