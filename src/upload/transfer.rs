//! One sample, from its recorded state as far as it will go now.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::adopt::{Finding, Look, OnFlow};
use super::checkpoint::{self, Evidence};
use super::disk::Disk;
use super::disposition::{Disposition, Fault, HostError};
use super::gate::{Gate, LONGEST_ASKED};
use super::parts::{Known, PartError, SlotReader, look_at};
use super::pool::Pool;
use super::same::{self, SameError, Sameness};
use super::settings::{Settings, Verify};
use super::streak::Forbidden;
use super::verify::sha256_on_flow;
use crate::flow::{
    Client, FileProgress, Finished, FoundWithoutId, Host, Outcome, Progress, Stage as Sending, UploadError, advance,
};
use crate::journal::{Again, Blocker, FileUpload, Journal, JournalError, Record, Sent, SentFile, Stage, State, Upload};
use crate::observation::Moment;
use crate::sample::{BY_HAND, Sample, SampleId, Target};

/// The first pause after a passing fault; it doubles with each one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// How soon a sample is looked at again whose like is under way.
const SAME_PAUSE: Duration = Duration::from_secs(5);

/// What the pool must know of a transfer that ended.
pub(super) enum End {
    /// The sample's record says it all.
    Recorded,
    /// The files changed: whoever watches them shall look again.
    LookAgain { watch: String },
}

/// Uploads a sample that was taken from the queue, and records what becomes of it.
pub(super) async fn transfer(pool: &Pool, record: Record, stopping: &CancellationToken) -> Result<End, JournalError> {
    let Pool { client, journal, settings, disk, .. } = pool;
    let sample = record.sample;
    let State::Uploading { upload } = record.state else { return Ok(End::Recorded) };
    let is_fresh = upload.files.is_empty() && sample.key.watch != BY_HAND;
    if is_fresh && !record.history.insists_on_sending() {
        if let Some(end) = keep_back_what_is_known(pool, &sample, &upload, stopping).await? {
            return Ok(end);
        }
    }
    let submission = checkpoint::submission(&sample, settings.final_wait);
    let recorded = checkpoint::recorded(&upload);
    let mut host = SampleHost::new(pool, &sample, upload, stopping);
    if !host.is_asking() {
        if let Some(path) = disk.hangs_at(&sample.key.watch) {
            return host.dispose(Disposition::of(UploadError::Host(HostError::Part(PartError::Hangs { path })))).await;
        }
        host.upload.attempts += 1;
        tracing::info!(sample = sample.key.name, run = sample.key.run, attempt = host.upload.attempts, "uploading");
    }
    if recorded.is_none()
        && let Err(error) = host.look_through().await
    {
        return host.dispose(Disposition::of(UploadError::Host(error))).await;
    }
    let progress = recorded.unwrap_or_else(|| Progress::new(&submission, client));
    let outcome = match host.look_before_anything_is_sent().await {
        Ok(()) => advance(client, &submission, progress, &mut host).await,
        Err(error) => Err(UploadError::Host(error)),
    };
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
            Ok(host.done().await)
        }
        Err(error) => host.dispose(Disposition::of(error)).await,
    }
}

/// Takes a sample out of the way whose content is on Flow already under another name, or on its way there.
async fn keep_back_what_is_known(
    pool: &Pool,
    sample: &Sample,
    upload: &Upload,
    stopping: &CancellationToken,
) -> Result<Option<End>, JournalError> {
    let Pool { journal, disk, .. } = pool;
    let (id, upload) = (sample.id(), upload.clone());
    let (name, run) = (&sample.key.name, &sample.key.run);
    match same::look_for(journal, sample, disk, stopping).await {
        Ok(Sameness::New) => Ok(None),
        Ok(Sameness::Same { reason }) => {
            tracing::warn!(sample = name, run, reason, "skipped");
            journal.change(&id, |record| record.is_the_same_as_another(reason)).await?;
            Ok(Some(End::Recorded))
        }
        Ok(Sameness::UnderWay { other }) => {
            let error = format!("files of the same names and sizes are on their way as {other}; that is awaited");
            let next_try = Moment::now() + SAME_PAUSE;
            journal.change(&id, move |record| record.retrying(upload, next_try, error)).await?;
            Ok(Some(End::Recorded))
        }
        Err(SameError::Journal(error)) => Err(error),
        // The upload itself finds the same trouble, and knows what to do about it.
        Err(SameError::Part(error)) => {
            tracing::debug!(sample = name, run, %error, "cannot be compared with what was sent");
            Ok(None)
        }
    }
}

/// A sample as the state machine's host: its bytes from disk, its checkpoints into the journal.
struct SampleHost<'a> {
    client: &'a Client,
    journal: &'a Journal,
    settings: &'a Settings,
    gate: &'a Gate,
    disk: &'a Disk,
    sample: &'a Sample,
    id: SampleId,
    upload: Upload,
    readers: Vec<SlotReader>,
    stopping: &'a CancellationToken,
}

impl<'a> SampleHost<'a> {
    fn new(pool: &'a Pool, sample: &'a Sample, upload: Upload, stopping: &'a CancellationToken) -> Self {
        let Pool { client, journal, settings, gate, disk, .. } = pool;
        let watch = &sample.key.watch;
        let reader = |(n, slot)| {
            let known = upload.files.get(n).map(known).unwrap_or_default();
            SlotReader::new(watch, slot, settings.checks(watch), known, disk, stopping)
        };
        let readers = sample.slots.iter().enumerate().map(reader).collect();
        Self { client, journal, settings, gate, disk, sample, id: sample.id(), upload, readers, stopping }
    }

    /// Whether Flow is known to have anything of it, or may have.
    fn is_begun(&self) -> bool {
        let is_begun = |file: &FileUpload| file.data_id().is_some() || !file.abandoned.is_empty();
        self.is_asking() || self.upload.files.iter().any(is_begun)
    }

    fn look(&mut self) -> Look<'_> {
        Look { client: self.client, journal: self.journal, sample: self.sample, readers: &mut self.readers }
    }

    async fn look_before_anything_is_sent(&mut self) -> Result<(), HostError> {
        if self.is_begun() || self.is_stopping() { Ok(()) } else { self.look_on_flow().await }
    }

    /// An error where the sample is on Flow already, or another in its place. What a person uploads by hand is not
    /// looked for: they ask for it to be uploaded, as the platform's own client would.
    async fn look_on_flow(&mut self) -> Result<(), HostError> {
        if self.sample.key.watch == BY_HAND {
            return Ok(());
        }
        let if_exists = self.settings.if_exists;
        match self.look().look(if_exists).await? {
            Finding::Nothing => Ok(()),
            Finding::Same(found) => Err(HostError::OnFlow(found)),
            Finding::Other(reason) => Err(HostError::Taken(reason)),
        }
    }

    /// Records what is on Flow as the sample, unless another sample of ours was quicker: then it has another turn.
    async fn adopt(&mut self, found: OnFlow) -> Result<End, HostError> {
        let mut files = Vec::new();
        for (n, data_id) in found.data_ids.into_iter().enumerate() {
            files.push(SentFile { data_id, sha256: Some(self.readers[n].sha256().await?) });
        }
        self.look_at_files().await?;
        // A try in which nothing was sent is none.
        let attempts = self.upload.attempts.saturating_sub(u32::from(!self.is_begun()));
        let (sample_id, finished) = (found.sample_id, Timestamp::now());
        let sent = Sent { attempts, sample_id, files, warnings: None, finished, changed: false, adopted: true };
        let (sample, run) = (&self.sample.key.name, &self.sample.key.run);
        let what = sent.sample_id.clone().or_else(|| Some(sent.files.last()?.data_id.clone()));
        if !self.journal.adopt(&self.id, sent).await? {
            self.journal.change(&self.id, Record::put_back).await?;
            return Ok(End::Recorded);
        }
        tracing::info!(sample, run, id = what, "on Flow already, and the same");
        Ok(self.done().await)
    }

    /// Looks whether the files are what assembly saw, whoever has them open.
    async fn look_at_files(&self) -> Result<(), PartError> {
        let parts: Vec<_> = self.sample.parts().cloned().collect();
        self.disk.work(&self.sample.key.watch, self.stopping, move |pulse| look_at(&parts, pulse)).await
    }

    /// What changed meanwhile nobody has taken in: assembly leaves alone what is on its way.
    async fn done(&self) -> End {
        match self.look_at_files().await {
            Ok(()) => End::Recorded,
            Err(_) => End::LookAgain { watch: self.sample.key.watch.clone() },
        }
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
        Ok(Sent { attempts, sample_id, files, warnings, finished: Timestamp::now(), changed: false, adopted: false })
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

    /// It was not the sample's fault: a try that did not get all sent does not count. (One that has is counted, and what
    /// asks goes on with it.)
    fn uncount(&mut self) {
        if !self.is_asking() {
            self.upload.attempts = self.upload.attempts.saturating_sub(1);
        }
    }

    async fn retry_after_fault(&mut self, error: String, after: Option<Duration>) -> Result<(), JournalError> {
        let pause = pause(self.upload.faults).max(after.unwrap_or_default().min(LONGEST_ASKED));
        let (sample, run) = (&self.sample.key.name, &self.sample.key.run);
        tracing::warn!(sample, run, error, again_in = ?pause, "a passing fault");
        self.upload.faults += 1;
        self.retry(pause, error).await
    }

    async fn block(&self, reason: String, by: Blocker) -> Result<(), JournalError> {
        tracing::error!(sample = self.sample.key.name, run = self.sample.key.run, reason, "blocked");
        self.journal.change(&self.id, move |record| record.blocked(reason, by)).await?;
        Ok(())
    }

    async fn put_back(self) -> Result<(), JournalError> {
        let upload = self.upload;
        self.journal.change(&self.id, |record| record.advanced(upload)?.put_back()).await?;
        Ok(())
    }

    /// How many other samples are under way or wait for their turn.
    fn others(&self) -> usize {
        let tally = self.journal.tally();
        let of = |state: &str| tally.get(state).map_or(0, |tally| tally.samples);
        (of("queued") + of("uploading") + of("retrying")).saturating_sub(1)
    }

    async fn dispose(mut self, disposition: Disposition) -> Result<End, JournalError> {
        let (sample, run) = (&self.sample.key.name, &self.sample.key.run);
        // Closed before the sample is let go, so that its turn does not come again at once.
        let is_closed = matches!(&disposition, Disposition::Fault(fault) if self.gate.fault(&self.id, fault));
        match disposition {
            Disposition::Retry(error) => {
                self.retry_after_fault(error, None).await?;
                Ok(End::Recorded)
            }
            Disposition::Fault(Fault { error, after, .. }) if is_closed => {
                tracing::info!(sample, run, error, "interrupted; it goes on when Flow is back");
                self.uncount();
                match after {
                    // What the server asked for outlives a restart.
                    Some(after) => self.retry(after.min(LONGEST_ASKED), error).await?,
                    None => self.put_back().await?,
                }
                Ok(End::Recorded)
            }
            Disposition::Fault(Fault { error, after, .. }) => {
                self.uncount();
                self.retry_after_fault(error, after).await?;
                Ok(End::Recorded)
            }
            Disposition::Forbidden(error) => {
                match self.gate.forbidden(&self.id, &error, self.others()) {
                    Forbidden::Again => self.retry_after_fault(error, None).await?,
                    Forbidden::ThisSample => {
                        self.block(format!("Flow refused it: {error}"), Blocker::Upload).await?;
                    }
                    Forbidden::Everybody => {
                        self.uncount();
                        self.put_back().await?;
                    }
                }
                Ok(End::Recorded)
            }
            Disposition::Adopt(found) => match self.adopt(found).await {
                Ok(end) => Ok(end),
                Err(error) => Box::pin(self.dispose(Disposition::of(UploadError::Host(error)))).await,
            },
            Disposition::Block { reason, by } => {
                self.block(reason, by).await?;
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
                // Not refused yet: the credentials may have been renewed, and the gate logs in with them first.
                self.gate.close(reason, false);
                self.uncount();
                self.put_back().await?;
                Ok(End::Recorded)
            }
            Disposition::Fail(error) => Err(error),
        }
    }
}

impl Host for SampleHost<'_> {
    type Error = HostError;

    async fn store(&mut self, progress: &Progress) -> Result<(), HostError> {
        let before = self.upload.files.clone();
        let readers = self.readers.iter().zip(&progress.files).enumerate();
        let evidence = readers.map(|(n, (reader, file))| evidence(reader, file, before.get(n))).collect();
        checkpoint::record(&mut self.upload, progress, evidence);
        if is_acknowledged(&before, &self.upload.files) {
            self.upload.faults = 0;
            self.gate.acknowledged(&self.id);
        }
        let upload = self.upload.clone();
        let stored = self.journal.change(&self.id, |record| record.advanced(upload)).await;
        stored.map(|_| ()).map_err(HostError::Journal)
    }

    async fn read(&mut self, file: usize, offset: u64, length: u64) -> Result<Bytes, HostError> {
        self.readers[file].read(offset, length).await.map_err(HostError::Part)
    }

    async fn before_final_chunk(&mut self) -> Result<(), HostError> {
        self.look_on_flow().await?;
        for reader in &mut self.readers {
            reader.look_again().await.map_err(HostError::Part)?;
        }
        Ok(())
    }

    async fn before_beginning_anew(&mut self) -> Result<(), HostError> {
        self.look_on_flow().await
    }

    async fn find_without_id(&mut self) -> Result<Option<FoundWithoutId>, HostError> {
        self.look().look_for_lost().await
    }

    fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled() || self.journal.is_wished(&self.id)
    }
}

/// Whether Flow has taken something more of a file. A last chunk that has left is not yet taken.
fn is_acknowledged(before: &[FileUpload], now: &[FileUpload]) -> bool {
    now.iter().enumerate().any(|(n, now)| match (before.get(n).map(|before| &before.stage), &now.stage) {
        (Some(Stage::Sending { chunks: before, .. }), Stage::Sending { chunks, .. }) => chunks > before,
        (before, Stage::Ready { .. }) => !matches!(before, Some(Stage::Ready { .. })),
        _ => false,
    })
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
