//! What became of a last chunk whose answer is unknown: the server is asked, and told again only where it surely did not
//! hear.

use std::time::Duration;

use super::machine::{Step, Upload};
use super::remote::Remote;
use super::schedule::AskSchedule;
use super::{Host, Making, Outcome, Spoiled, Stage, SubmissionFile, UploadError};
use crate::flow::chunk::ChunkFailure;
use crate::flow::error::Error;

/// How long a size that is not the right one is asked about again: the server makes a file ready before it records how
/// large it has become.
const RECORDING: Duration = Duration::from_secs(5);
/// The pace at which a server is trusted to hash a file, in bytes a second.
const HASHING_RATE: u64 = 50_000_000;

impl<R: Remote, H: Host> Upload<'_, R, H> {
    /// Asks what became of a file whose last chunk has left.
    pub(super) async fn ask(
        &mut self,
        file: usize,
        data_id: Option<String>,
        asks: u32,
        sent_again: bool,
    ) -> Result<Step, UploadError<H::Error>> {
        let Some(id) = data_id else { return self.ask_without_id(file, asks).await };
        let found = self.remote.find_file(&id).await.map_err(UploadError::Request)?;
        let is_ready = match found {
            Some(data) => {
                let wrong = self.check_size(file, &id, data.size);
                if let (Err(_), Some(pause)) =
                    (&wrong, AskSchedule::new(RECORDING.min(self.final_wait(file))).pause_after(asks))
                {
                    self.set(file, Stage::Asking { data_id: Some(id), asks: asks + 1, sent_again }).await?;
                    return Ok(Step::Return(Outcome::AskLater(pause)));
                }
                wrong?;
                if self.is_final(file) {
                    self.read_back.insert(file);
                }
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

    /// Whether the files that were ready are still of the right size: work behind a lost answer may have come to one of
    /// them since, and here it is not too late.
    pub(super) async fn look_at_earlier_files(&mut self, file: usize) -> Result<(), UploadError<H::Error>> {
        for earlier in 0..file {
            let Some(id) = self.progress.files[earlier].data_id().map(str::to_owned) else { continue };
            if let Some(data) = self.remote.find_file(&id).await.map_err(UploadError::Request)? {
                self.check_size(earlier, &id, data.size)?;
            }
        }
        Ok(())
    }

    /// Reads every file back that was not yet, now that all are on the server.
    pub(super) async fn read_back_all(&mut self) -> Result<(), UploadError<H::Error>> {
        for file in 0..self.submission.files.len() {
            let Some(id) = self.progress.files[file].data_id().map(str::to_owned) else { continue };
            if self.read_back.contains(&file) {
                continue;
            }
            let size = match self.remote.find_file(&id).await.map_err(UploadError::Request)? {
                Some(data) => Some(data.size),
                None => self.size_in_sample(&id).await?,
            };
            let Some(size) = size else {
                let why = format!("{} was ready and is not shown any more", self.name(file));
                return Err(UploadError::Request(Error::lost(&format!("GET /data/{id}"), why)));
            };
            self.check_size(file, &id, size)?;
            self.read_back.insert(file);
        }
        Ok(())
    }

    /// What the sample says of the size of one of its files.
    async fn size_in_sample(&self, id: &str) -> Result<Option<u64>, UploadError<H::Error>> {
        let Making::Sample { name } = &self.submission.making else { return Ok(None) };
        let found = self.remote.find_sample(name, &[id.to_owned()]).await.map_err(UploadError::Request)?;
        Ok(found.and_then(|sample| sample.files().find(|entry| entry.id == id)?.size))
    }

    /// A file of one byte whose answer was lost: there is no id to ask about. As the first of a sample's files it can
    /// be sent again, since a file that no sample names harms nobody. As the last it cannot: it is looked for by the
    /// files before it, or as the host knows how.
    async fn ask_without_id(&mut self, file: usize, asks: u32) -> Result<Step, UploadError<H::Error>> {
        if !self.is_final(file) {
            return self.begin_anew(file, &Error::lost("the only chunk", "no id to ask about")).await;
        }
        if self.is_settled_elsewhere(file).await? {
            return Ok(Step::GoOn);
        }
        if let Some(found) = self.host.find_without_id().await.map_err(UploadError::Host)? {
            self.progress.sample_id = found.sample_id;
            self.set(file, Stage::Ready { data_id: found.data_id }).await?;
            return Ok(Step::GoOn);
        }
        match AskSchedule::new(self.final_wait(file)).pause_after(asks) {
            Some(pause) => {
                self.set(file, Stage::Asking { data_id: None, asks: asks + 1, sent_again: false }).await?;
                Ok(Step::Return(Outcome::AskLater(pause)))
            }
            None => Err(UploadError::Spoiled(Spoiled::NoIdToAskAbout { filename: self.name(file).to_owned() })),
        }
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

    /// Whether what was sent of this file has become what it was sent for after all, under this id or an earlier one:
    /// then its stage is `Ready`.
    pub(super) async fn is_settled_elsewhere(&mut self, file: usize) -> Result<bool, UploadError<H::Error>> {
        let progress = &self.progress.files[file];
        let ids: Vec<_> = progress.abandoned.iter().cloned().chain(progress.data_id().map(str::to_owned)).collect();
        if let Some(name) = self.sample_closed_by(file) {
            let earlier = self.progress.files[..file].iter().filter_map(|f| f.data_id().map(str::to_owned));
            let ours: Vec<_> = ids.iter().cloned().chain(earlier).collect();
            if ours.is_empty() {
                return Ok(false);
            }
            let found = self.remote.find_sample(name, &ours).await.map_err(UploadError::Request)?;
            let Some(sample) = found else { return Ok(false) };
            let by_id = sample.files().find(|entry| ids.contains(&entry.id));
            let is_other = |id: &String| ours.contains(id) && !ids.contains(id);
            let by_name = || sample.files().find(|entry| entry.filename == self.name(file) && !is_other(&entry.id));
            let Some(entry) = by_id.or_else(by_name) else {
                let (filename, sample_id) = (self.name(file).to_owned(), sample.id);
                return Err(UploadError::Spoiled(Spoiled::NotInItsSample { filename, sample_id }));
            };
            let size = match entry.size {
                Some(size) => Some(size),
                None => self.remote.find_file(&entry.id).await.map_err(UploadError::Request)?.map(|data| data.size),
            };
            if let Some(found) = size {
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
        let is_unpacked = matches!(self.submission.making, Making::File { is_directory: true });
        if found == *expected || is_unpacked {
            return Ok(());
        }
        let (filename, data_id, expected) = (filename.clone(), data_id.to_owned(), *expected);
        Err(UploadError::Spoiled(Spoiled::WrongSize { filename, data_id, expected, found }))
    }

    fn final_wait(&self, file: usize) -> Duration {
        self.submission.final_wait.unwrap_or_else(|| {
            let hashing = Duration::from_secs(self.submission.files[file].size / HASHING_RATE);
            self.remote.config().request_timeout * 2 + hashing
        })
    }
}
