//! One sample, from its recorded state as far as it will go now.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::checkpoint::{self, Evidence};
use super::disk::Disk;
use super::disposition::{Disposition, HostError};
use super::parts::{Known, PartError, SlotReader, look_at};
use super::settings::{Settings, Verify};
use super::verify::sha256_on_flow;
use crate::flow::{Client, FileProgress, Finished, Host, Outcome, Progress, Stage as Sending, UploadError, advance};
use crate::journal::{Again, Blocker, FileUpload, Journal, JournalError, Record, Sent, SentFile, Stage, State, Upload};
use crate::observation::Moment;
use crate::sample::{Sample, SampleId, Target};

/// The first pause after a passing fault; it doubles with each one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// The longest pause that a server's word is taken for.
const LONGEST_ASKED: Duration = Duration::from_secs(24 * 3600);

/// What the pool must know of a transfer that ended.
pub(super) enum End {
    /// The sample's record says it all.
    Recorded,
    /// The files changed: whoever watches them shall look again.
    LookAgain { watch: String },
    /// Nobody can upload now.
    Stop { reason: String },
}

/// Uploads a sample that was taken from the queue, and records what becomes of it.
pub(super) async fn transfer(
    client: &Client,
    journal: &Journal,
    settings: &Settings,
    disk: &Disk,
    record: Record,
    stopping: &CancellationToken,
) -> Result<End, JournalError> {
    let sample = record.sample;
    let State::Uploading { upload } = record.state else { return Ok(End::Recorded) };
    let submission = checkpoint::submission(&sample, settings.final_wait);
    let recorded = checkpoint::recorded(&upload);
    let mut host = SampleHost::new(journal, &sample, upload, settings, disk, stopping);
    if !host.is_asking() {
        if let Some(path) = disk.hangs_at(&sample.key.watch) {
            return host.dispose(Disposition::of(UploadError::Host(HostError::Part(PartError::Hangs { path })))).await;
        }
        host.upload.attempts += 1;
        host.counted = 1;
        tracing::info!(sample = sample.key.name, run = sample.key.run, attempt = host.upload.attempts, "uploading");
    }
    if recorded.is_none()
        && let Err(error) = host.look_through().await
    {
        return host.dispose(Disposition::of(UploadError::Host(error))).await;
    }
    let progress = recorded.unwrap_or_else(|| Progress::new(&submission, client));
    let outcome = advance(client, &submission, progress, &mut host).await;
    let sent = match outcome {
        Ok(Outcome::Done(finished)) => match host.verify(client, &finished).await {
            Ok(()) => host.sent(finished).await.map_err(UploadError::Host),
            Err(disposition) => return host.dispose(disposition).await,
        },
        Ok(Outcome::AskLater(pause)) => {
            let error = "the answer to the last chunk is awaited; Flow is asked about the file".to_owned();
            host.retry(pause, error).await?;
            return Ok(End::Recorded);
        }
        Ok(Outcome::Stopped) => {
            journal.change(&host.id, Record::put_back).await?;
            return Ok(End::Recorded);
        }
        Err(error) => Err(error),
    };
    match sent {
        Ok(sent) => {
            tracing::info!(sample = sample.key.name, run = sample.key.run, id = sent.sample_id, "on Flow");
            journal.change(&host.id, |record| record.done(sent)).await?;
            // What changed meanwhile nobody has taken in: assembly leaves alone what is on its way.
            let parts: Vec<_> = sample.parts().cloned().collect();
            match disk.work(&sample.key.watch, stopping, move |pulse| look_at(&parts, pulse)).await {
                Ok(()) => Ok(End::Recorded),
                Err(_) => Ok(End::LookAgain { watch: sample.key.watch.clone() }),
            }
        }
        Err(error) => host.dispose(Disposition::of(error)).await,
    }
}

/// A sample as the state machine's host: its bytes from disk, its checkpoints into the journal.
struct SampleHost<'a> {
    journal: &'a Journal,
    sample: &'a Sample,
    settings: &'a Settings,
    id: SampleId,
    upload: Upload,
    /// Tries that this transfer has added to the sample's.
    counted: u32,
    readers: Vec<SlotReader>,
    stopping: &'a CancellationToken,
}

impl<'a> SampleHost<'a> {
    fn new(
        journal: &'a Journal,
        sample: &'a Sample,
        upload: Upload,
        settings: &'a Settings,
        disk: &Disk,
        stopping: &'a CancellationToken,
    ) -> Self {
        let watch = &sample.key.watch;
        let reader = |(n, slot)| {
            let known = upload.files.get(n).map(known).unwrap_or_default();
            SlotReader::new(watch, slot, settings.checks(watch), known, disk, stopping)
        };
        let readers = sample.slots.iter().enumerate().map(reader).collect();
        Self { journal, sample, settings, id: sample.id(), upload, counted: 0, readers, stopping }
    }

    /// Whether it was interrupted with nothing left to do but to ask, or to compare what Flow has.
    fn is_asking(&self) -> bool {
        let files = &self.upload.files;
        let is_ready = |file: &FileUpload| matches!(file.stage, Stage::Ready { .. });
        let is_all_sent = !files.is_empty() && files.iter().all(is_ready);
        is_all_sent || files.iter().any(|file| matches!(file.stage, Stage::Asking { .. }))
    }

    /// Files that were found not whole before are read through once before anything of them is sent again.
    async fn look_through(&mut self) -> Result<(), HostError> {
        if self.upload.unsound_until.is_some() {
            for reader in &mut self.readers {
                reader.sha256().await.map_err(HostError::Part)?;
            }
        }
        Ok(())
    }

    /// Compares what Flow has with what was sent, if that is wished.
    async fn verify(&mut self, client: &Client, finished: &Finished) -> Result<(), Disposition> {
        let is_unpacked = matches!(self.sample.target, Target::Data { is_directory: true, .. });
        if self.settings.verify != Verify::Download || is_unpacked {
            return Ok(());
        }
        for (n, data_id) in finished.data_ids.iter().enumerate() {
            let Some(ours) = self.sha256(n).await.map_err(|error| Disposition::of(UploadError::Host(error)))? else {
                continue;
            };
            let theirs = tokio::select! {
                theirs = sha256_on_flow(client, data_id) => theirs,
                () = self.stopping.cancelled() => return Err(Disposition::PutBack),
            };
            let theirs = theirs.map_err(|error| Disposition::of(UploadError::Request(error)))?;
            if theirs != ours {
                let filename = &self.sample.slots[n].filename;
                let of_sample = finished.sample_id.as_ref().map(|id| format!(" of sample {id}")).unwrap_or_default();
                let reason = format!(
                    "{filename} is on Flow as data {data_id}{of_sample} with another content than was sent: its SHA-256 \
                     there is {theirs}, and not {ours}; look at it there, and remove it before it is sent again"
                );
                return Err(Disposition::Block { reason, by: Blocker::Doubt });
            }
        }
        Ok(())
    }

    /// The hash of a slot that was sent; taken anew where an earlier process took it along. The sample is on Flow,
    /// whatever became of the files since: a hash that can no longer be taken must not send it again.
    async fn sha256(&mut self, n: usize) -> Result<Option<String>, HostError> {
        if let Some(sha256) = self.upload.files.get(n).and_then(|file| file.sha256.clone()) {
            return Ok(Some(sha256));
        }
        match self.readers[n].sha256().await {
            Err(error @ PartError::Stopped) => Err(HostError::Part(error)),
            taken => Ok(taken.ok()),
        }
    }

    /// The receipt of what was sent.
    async fn sent(&mut self, finished: Finished) -> Result<Sent, HostError> {
        let mut files = Vec::new();
        for (n, data_id) in finished.data_ids.into_iter().enumerate() {
            files.push(SentFile { data_id, sha256: self.sha256(n).await? });
        }
        let (attempts, sample_id, warnings) = (self.upload.attempts, finished.sample_id, finished.warnings);
        Ok(Sent { attempts, sample_id, files, warnings, finished: Timestamp::now(), changed: false })
    }

    /// When files that are not whole are looked at again: after the settle time, and then each time after twice as long;
    /// `None` when they have been so for too long.
    fn again(&self) -> Option<Again> {
        let (watch, now) = (&self.sample.key.watch, Moment::now());
        let youth = self.settings.youth(watch, self.sample.size());
        // What another boot has seen says nothing.
        let begun = self.upload.unsound_until.filter(|until| until.boot == now.boot);
        let until = begun.unwrap_or(now + youth);
        let left = until.since(&now).filter(|left| !left.is_zero())?;
        let pause = self.settings.look_again_after(watch).max(youth.saturating_sub(left));
        Some(Again { at: now + pause.min(left), until })
    }

    async fn retry(&self, pause: Duration, error: String) -> Result<(), JournalError> {
        let (upload, next_try) = (self.upload.clone(), Moment::now() + pause);
        self.journal.change(&self.id, move |record| record.retrying(upload, next_try, error)).await?;
        Ok(())
    }

    async fn dispose(mut self, disposition: Disposition) -> Result<End, JournalError> {
        let (sample, run) = (&self.sample.key.name, &self.sample.key.run);
        match disposition {
            Disposition::Retry { after, error } => {
                let pause = pause(self.upload.faults).max(after.unwrap_or_default().min(LONGEST_ASKED));
                tracing::warn!(sample, run, error, again_in = ?pause, "a passing fault");
                self.upload.faults += 1;
                self.retry(pause, error).await?;
                Ok(End::Recorded)
            }
            Disposition::Block { reason, by } => {
                tracing::error!(sample, run, reason, "blocked");
                self.journal.change(&self.id, move |record| record.blocked(reason, by)).await?;
                Ok(End::Recorded)
            }
            Disposition::Wait(reason) => {
                tracing::warn!(sample, run, reason, "back to waiting");
                self.journal.change(&self.id, |record| record.must_wait(reason, None)).await?;
                Ok(End::LookAgain { watch: self.sample.key.watch.clone() })
            }
            Disposition::Unsound(reason) => {
                match self.again() {
                    Some(again) => {
                        tracing::warn!(sample, run, reason, "not whole, and perhaps still on its way");
                        let reason = format!("{reason}; it may still be on its way, and is looked at again");
                        self.journal.change(&self.id, move |record| record.must_wait(reason, Some(again))).await?;
                    }
                    None => {
                        tracing::error!(sample, run, reason, "blocked");
                        self.journal.change(&self.id, move |record| record.blocked(reason, Blocker::Upload)).await?;
                    }
                }
                Ok(End::Recorded)
            }
            Disposition::PutBack => {
                self.journal.change(&self.id, Record::put_back).await?;
                Ok(End::Recorded)
            }
            Disposition::Missing(error) => {
                tracing::warn!(sample, run, error, "kept for when the file is back");
                self.upload.faults += 1;
                self.retry(pause(self.upload.faults), error).await?;
                Ok(End::LookAgain { watch: self.sample.key.watch.clone() })
            }
            Disposition::Stop(reason) => {
                // It is not the sample's fault: a try that did not get all sent does not count.
                let counted = if self.is_asking() { 0 } else { self.counted };
                let mut upload = self.upload;
                upload.attempts -= counted;
                self.journal.change(&self.id, |record| record.advanced(upload)?.put_back()).await?;
                Ok(End::Stop { reason })
            }
            Disposition::Fail(error) => Err(error),
        }
    }
}

impl Host for SampleHost<'_> {
    type Error = HostError;

    async fn store(&mut self, progress: &Progress) -> Result<(), HostError> {
        let sent_before = self.upload.sent();
        let readers = self.readers.iter().zip(&progress.files).enumerate();
        let evidence = readers.map(|(n, (reader, file))| evidence(reader, file, self.upload.files.get(n))).collect();
        checkpoint::record(&mut self.upload, progress, evidence);
        if self.upload.sent() > sent_before {
            self.upload.faults = 0;
        }
        let upload = self.upload.clone();
        let stored = self.journal.change(&self.id, |record| record.advanced(upload)).await;
        stored.map(|_| ()).map_err(HostError::Journal)
    }

    async fn read(&mut self, file: usize, offset: u64, length: u64) -> Result<Bytes, HostError> {
        self.readers[file].read(offset, length).await.map_err(HostError::Part)
    }

    async fn before_final_chunk(&mut self) -> Result<(), HostError> {
        for reader in &mut self.readers {
            reader.look_again().await.map_err(HostError::Part)?;
        }
        Ok(())
    }

    fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }
}

/// What an earlier process knew of a slot's bytes.
fn known(file: &FileUpload) -> Known {
    let sha256 = match file.stage {
        Stage::Sending { .. } => &file.prefix_sha256,
        Stage::Asking { .. } | Stage::Ready { .. } => &file.sha256,
    };
    Known { prefix: sha256.clone().map(|sha256| (file.sent(), sha256)), identity: file.identity.clone() }
}

/// What is known of a slot's bytes now, beside what was `before`.
fn evidence(reader: &SlotReader, file: &FileProgress, before: Option<&FileUpload>) -> Evidence {
    let sent = file.sent();
    let is_sending = matches!(file.stage, Sending::Sending { .. }) && sent > 0;
    let same = before.filter(|before| before.sent() == sent);
    Evidence {
        sha256: reader.sha256_if_read().or_else(|| before?.sha256.clone()),
        prefix: if is_sending { reader.prefix_if_read(sent).or_else(|| same?.prefix_sha256.clone()) } else { None },
        identity: reader.identity().or_else(|| before?.identity.clone()),
    }
}

/// The pause after passing fault number `faults`, counted from 0: doubled each time, and spread by half so that what
/// failed together does not return together.
fn pause(faults: u32) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << faults.min(16)).min(LONGEST_PAUSE);
    doubled.mul_f64(rand::random_range(0.5..=1.0))
}
