//! The machine itself: what is done in each stage of a file, and what each answer makes of it.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::remote::Remote;
use super::schedule::AskSchedule;
use super::{
    FileProgress, Finished, Host, MOST_BEGINNINGS_ANEW, Making, Outcome, Progress, Spoiled, Stage, Submission,
    SubmissionFile, UploadError,
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
/// How long after a chunk whose answer was lost the file's last chunk is kept back. A second copy of the chunk may still
/// be at work; what it spoils shows as long as the file is open, and no more once it is closed.
const QUARANTINE: Duration = Duration::from_secs(5);
/// The pause before a chunk is sent for the second time; it doubles with each further time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The pace at which a server is trusted to hash a file, in bytes a second.
const HASHING_RATE: u64 = 50_000_000;

/// A submission under way on a server.
pub(super) struct Upload<'a, R, H> {
    remote: &'a R,
    submission: &'a Submission,
    progress: Progress,
    host: &'a mut H,
    /// When the answer to a chunk was lost last.
    lost_at: Option<Instant>,
}

/// Whether the machine goes on with the next step, or hands back to the caller.
enum Step {
    GoOn,
    Return(Outcome),
}

impl<'a, R: Remote, H: Host> Upload<'a, R, H> {
    pub fn new(remote: &'a R, submission: &'a Submission, progress: Progress, host: &'a mut H) -> Self {
        // What was in flight when an earlier process ended may be at work still.
        let is_resumed = |file: &FileProgress| matches!(file.stage, Stage::Sending { data_id: Some(_), .. });
        let lost_at = progress.files.iter().any(is_resumed).then(Instant::now);
        Self { remote, submission, progress, host, lost_at }
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
        if let Some(lost_at) = self.lost_at {
            // Until no second copy of a chunk can be at work any more.
            if !self.wait_until(lost_at + QUARANTINE).await {
                return Ok(Step::Return(Outcome::Stopped));
            }
        }
        // Read before anything is recorded: what cannot be read does not leave.
        let bytes = self.read(file, chunks).await?;
        if self.is_final(file) {
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
            Err(ChunkFailure::Broken(error)) => self.begin_anew(file, &error).await,
            Err(ChunkFailure::TooLarge(error)) => self.cut_smaller(file, error).await,
            Err(ChunkFailure::NotDone(error)) if self.may_ignore_warnings(file, &error) => {
                self.begin_ignoring(file).await
            }
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
        let found = self.remote.find_file(&id).await.map_err(UploadError::Request)?;
        let is_ready = match found {
            Some(data) => {
                self.check_size(file, &id, data.size)?;
                if self.sample_closed_by(file).is_some() && self.progress.sample_id.is_none() {
                    self.progress.sample_id = data.sample.map(|sample| sample.id);
                }
                true
            }
            None => false,
        };
        if is_ready && (self.sample_closed_by(file).is_none() || self.progress.sample_id.is_some()) {
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
            (true, false) => self.send_last_again(file, id, asks).await,
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
    async fn send_last_again(&mut self, file: usize, id: String, asks: u32) -> Result<Step, UploadError<H::Error>> {
        if self.host.is_stopping() {
            return Ok(Step::Return(Outcome::Stopped));
        }
        let boundaries = self.progress.files[file].boundaries;
        let last = (0..).find(|n| boundaries.chunk(*n).is_last).expect("every file has a last chunk");
        let bytes = self.read(file, last).await?;
        self.host.before_final_chunk().await.map_err(UploadError::Host)?;
        self.set(file, Stage::Asking { data_id: Some(id.clone()), asks: 0, sent_again: true }).await?;
        match self.post(file, last, Some(&id), bytes).await {
            Ok(answer) => {
                self.progress.sample_id = answer.sample_id;
                self.set(file, Stage::Asking { data_id: Some(id), asks: 0, sent_again: true }).await?;
            }
            Err(ChunkFailure::NotDone(error) | ChunkFailure::TooLarge(error)) => {
                // The server was not told: that is still to come.
                self.set(file, Stage::Asking { data_id: Some(id), asks, sent_again: false }).await?;
                return Err(UploadError::Request(error));
            }
            Err(ChunkFailure::Unknown(error) | ChunkFailure::Broken(error)) => {
                tracing::info!(file = self.name(file), %error, "closing the file again failed; asking about it");
            }
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

    /// Whether an annotation sheet was refused for warnings alone, and those are not wanted; takes them down then.
    fn may_ignore_warnings(&mut self, file: usize, error: &Error) -> bool {
        let ignores = matches!(self.submission.making, Making::Multiplexed { ignore_warnings: true });
        if !ignores || file != ANNOTATION || self.progress.warnings.is_some() {
            return false;
        }
        let body = error.api().filter(|api| api.status == 400).and_then(|api| api.body.as_ref());
        let warnings = body.and_then(|body| body.get("error").unwrap_or(body).get("warnings"));
        self.progress.warnings = warnings.cloned();
        warnings.is_some()
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
        self.remote.learn_chunk_size(smaller);
        for progress in &mut self.progress.files[file..] {
            progress.boundaries = Boundaries::new(progress.boundaries.size, smaller);
        }
        tracing::warn!(file = self.name(file), bytes = smaller, %error, "chunks are made smaller");
        self.set(file, Stage::FIRST).await?;
        Ok(Step::GoOn)
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

    async fn read(&mut self, file: usize, n: u64) -> Result<Bytes, UploadError<H::Error>> {
        let chunk = self.progress.files[file].boundaries.chunk(n);
        self.host.read(file, chunk.offset, chunk.length).await.map_err(UploadError::Host)
    }

    /// Sends one chunk; a first or middle one is repeated while the failure is a passing one.
    async fn post(
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
            let is_passing = matches!(&answer, Err(ChunkFailure::Unknown(error)) if error.status() != Some(500));
            if !is_passing || tries == retries || !self.wait_until(Instant::now() + pause(FIRST_PAUSE, tries)).await {
                return answer;
            }
            tries += 1;
        }
    }

    fn path(&self, file: usize) -> &'static str {
        match self.submission.making {
            Making::Sample { .. } => "/upload/sample",
            Making::File => "/upload",
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
            Making::File => {}
        }
        fields.extend(self.submission.fields.iter().cloned());
        fields
    }

    /// The name of the sample that this file closes, if it closes one.
    fn sample_closed_by(&self, file: usize) -> Option<&str> {
        match &self.submission.making {
            Making::Sample { name } if self.is_final(file) => Some(name),
            _ => None,
        }
    }

    /// Whether what was sent of this file has become what it was sent for after all, under this id or an earlier one:
    /// then its stage is `Ready`.
    async fn is_settled_elsewhere(&mut self, file: usize) -> Result<bool, UploadError<H::Error>> {
        let progress = &self.progress.files[file];
        let ids: Vec<_> = progress.abandoned.iter().cloned().chain(progress.data_id().map(str::to_owned)).collect();
        if let Some(name) = self.sample_closed_by(file) {
            let earlier = self.progress.files[..file].iter().filter_map(|f| f.data_id().map(str::to_owned));
            let ours: Vec<_> = ids.iter().cloned().chain(earlier).collect();
            let found = self.remote.find_sample(name, &ours).await.map_err(UploadError::Request)?;
            let Some(sample) = found else { return Ok(false) };
            let by_id = sample.files().find(|entry| ids.contains(&entry.id));
            let Some(entry) = by_id.or_else(|| sample.files().find(|entry| entry.filename == self.name(file))) else {
                let (filename, sample_id) = (self.name(file).to_owned(), sample.id);
                return Err(UploadError::Spoiled(Spoiled::NotInItsSample { filename, sample_id }));
            };
            if let Some(found) = entry.size {
                self.check_size(file, &entry.id, found)?;
            }
            let data_id = entry.id.clone();
            self.progress.sample_id = Some(sample.id);
            self.set(file, Stage::Ready { data_id }).await?;
            return Ok(true);
        }
        for id in ids {
            if let Some(data) = self.remote.find_file(&id).await.map_err(UploadError::Request)? {
                self.check_size(file, &id, data.size)?;
                self.set(file, Stage::Ready { data_id: id }).await?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a file that is ready has all of its bytes and no others, as far as its size can tell.
    fn check_size(&self, file: usize, data_id: &str, found: u64) -> Result<(), UploadError<H::Error>> {
        let SubmissionFile { filename, size: expected } = &self.submission.files[file];
        if found == *expected {
            return Ok(());
        }
        let (filename, data_id, expected) = (filename.clone(), data_id.to_owned(), *expected);
        Err(UploadError::Spoiled(Spoiled::WrongSize { filename, data_id, expected, found }))
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
            self.remote.config().request_timeout * 2 + hashing
        })
    }
}
