//! A sample as the state machine's host: its bytes from disk, its checkpoints into the journal, and the looks at both
//! ends before anything is sent that cannot be undone.

use bytes::Bytes;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::adopt::{Finding, Look};
use super::checkpoint::{self, Evidence};
use super::disk::Disk;
use super::disposition::{Disposition, HostError};
use super::gate::Gate;
use super::parts::{Known, PartError, SlotReader, look_at};
use super::pool::Pool;
use super::settings::{Settings, Verify};
use super::verify::sha256_on_flow;
use crate::flow::{Client, FileProgress, Finished, FoundWithoutId, Host, Progress, Stage as Sending, UploadError};
use crate::journal::{Blocker, FileUpload, Journal, Sent, SentFile, SlotHashes, Stage, Upload};
use crate::sample::{BY_HAND, Sample, SampleId, Target};

/// A sample as the state machine's host: its bytes from disk, its checkpoints into the journal.
pub(super) struct SampleHost<'a> {
    pub client: &'a Client,
    pub journal: &'a Journal,
    pub settings: &'a Settings,
    pub gate: &'a Gate,
    pub disk: &'a Disk,
    pub sample: &'a Sample,
    pub id: SampleId,
    pub upload: Upload,
    pub readers: Vec<SlotReader>,
    pub stopping: &'a CancellationToken,
}

impl<'a> SampleHost<'a> {
    pub fn new(pool: &'a Pool, sample: &'a Sample, upload: Upload, stopping: &'a CancellationToken) -> Self {
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
    pub fn is_begun(&self) -> bool {
        is_begun(&self.upload)
    }

    /// Whether it was interrupted with nothing left to do but to ask, or to compare what Flow has.
    pub fn is_asking(&self) -> bool {
        is_asking(&self.upload)
    }

    fn look(&mut self) -> Look<'_> {
        Look { client: self.client, journal: self.journal, sample: self.sample, readers: &mut self.readers }
    }

    /// Takes what is on Flow of a set that was begun, so that it is not sent again.
    pub async fn look_before_anything_is_sent(&mut self, progress: &mut Progress) -> Result<(), HostError> {
        if self.is_begun() || self.is_stopping() {
            return Ok(());
        }
        for (file, data_id) in progress.files.iter_mut().zip(self.look_on_flow().await?) {
            if !data_id.is_empty() {
                tracing::info!(sample = self.sample.key.name, data_id, "begun on Flow already; it goes on from there");
                file.stage = Sending::Ready { data_id };
            }
        }
        Ok(())
    }

    /// What is on Flow of a set that is not known to have been begun, as [`Finding::Begun`] has it. An error where the
    /// sample is there already, or another in its place. What a person uploads by hand is not looked for: they ask for
    /// it to be uploaded, as the platform's own client would.
    async fn look_on_flow(&mut self) -> Result<Vec<String>, HostError> {
        if self.sample.key.watch == BY_HAND || !self.client.is_told_who_it_is().await? {
            return Ok(Vec::new());
        }
        let if_exists = self.settings.if_exists;
        match self.look().look(if_exists).await? {
            Finding::Nothing => Ok(Vec::new()),
            Finding::Begun(data_ids) => Ok(data_ids),
            Finding::Same(found) => Err(HostError::OnFlow(found)),
            Finding::Other(reason) => Err(HostError::Taken(reason)),
        }
    }

    /// Looks whether the files are what assembly saw, whoever has them open.
    pub async fn look_at_files(&self) -> Result<(), PartError> {
        let parts: Vec<_> = self.sample.parts().cloned().collect();
        self.disk.work(&self.sample.key.watch, self.stopping, move |pulse| look_at(&parts, pulse)).await
    }

    /// Files that were found not whole before are read through once before anything of them is sent again.
    pub async fn look_through(&mut self) -> Result<(), HostError> {
        if self.upload.unsound_until.is_some() {
            for reader in &mut self.readers {
                reader.hashes().await.map_err(HostError::Part)?;
            }
        }
        Ok(())
    }

    /// Compares what Flow has with what was sent, if that is wished.
    pub async fn verify(&mut self, client: &Client, finished: &Finished) -> Result<(), Disposition> {
        let is_unpacked = matches!(self.sample.target, Target::Data { is_directory: true, .. });
        if self.settings.verify != Verify::Download || is_unpacked {
            return Ok(());
        }
        for (n, data_id) in finished.data_ids.iter().enumerate() {
            let ours = self.hashes(n).await.map_err(|error| Disposition::of(UploadError::Host(error)))?;
            let Some(SlotHashes { sha256: ours, .. }) = ours else {
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

    /// The hashes of a slot that was sent; taken anew where an earlier process took them along. The sample is on Flow,
    /// whatever became of the files since: a hash that can no longer be taken must not send it again.
    async fn hashes(&mut self, n: usize) -> Result<Option<SlotHashes>, HostError> {
        let recorded = self.upload.files.get(n).and_then(FileUpload::hashes);
        if recorded.is_some() {
            return Ok(recorded);
        }
        match self.readers[n].hashes().await {
            Err(error @ PartError::Stopped) => Err(HostError::Part(error)),
            taken => Ok(taken.ok()),
        }
    }

    /// The receipt of what was sent.
    pub async fn sent(&mut self, finished: Finished) -> Result<Sent, HostError> {
        let mut files = Vec::new();
        for (n, data_id) in finished.data_ids.into_iter().enumerate() {
            files.push(SentFile::new(data_id, self.hashes(n).await?));
        }
        let (attempts, sample_id, warnings) = (self.upload.attempts, finished.sample_id, finished.warnings);
        Ok(Sent {
            attempts,
            sample_id,
            files,
            warnings,
            finished: Timestamp::now(),
            changed: false,
            adopted: false,
            retold: None,
        })
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
        self.look_on_flow().await.map(|_| ())
    }

    async fn find_without_id(&mut self) -> Result<Option<FoundWithoutId>, HostError> {
        self.look().look_for_lost().await
    }

    fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled() || self.journal.is_wished(&self.id)
    }
}

/// Whether Flow is known to have anything of an upload, or may have.
pub(super) fn is_begun(upload: &Upload) -> bool {
    let is_begun = |file: &FileUpload| file.data_id().is_some() || !file.abandoned.is_empty();
    is_asking(upload) || upload.files.iter().any(is_begun)
}

fn is_asking(upload: &Upload) -> bool {
    let files = &upload.files;
    let is_ready = |file: &FileUpload| matches!(file.stage, Stage::Ready { .. });
    let is_all_sent = !files.is_empty() && files.iter().all(is_ready);
    is_all_sent || files.iter().any(|file| matches!(file.stage, Stage::Asking { .. }))
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
    let hashes = reader.hashes_if_read().or_else(|| before?.hashes());
    Evidence {
        sha256: hashes.as_ref().map(|hashes| hashes.sha256.clone()),
        parts_sha256: hashes.map(|hashes| hashes.parts).unwrap_or_default(),
        prefix: if is_sending { reader.prefix_if_read(sent).or_else(|| same?.prefix_sha256.clone()) } else { None },
        identity: reader.identity().or_else(|| before?.identity.clone()),
    }
}
