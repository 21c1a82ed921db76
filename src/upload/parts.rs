//! The parts of a slot as one stream of bytes: read in order, hashed and checked on the way, and never trusted to be
//! still what assembly saw.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::content::Content;
use super::disk::{Disk, Pulse};
use super::settings::Checks;
use super::sidecar::Sidecars;
use crate::journal::SlotHashes;
use crate::observation::open_files_limit;
use crate::sample::{Fingerprint, Part, Sample, Slot};

/// Bytes that are read at once: a share that is slow shows in between that it does not hang.
const PIECE: usize = 1024 * 1024;

/// Why a part cannot be read as what it was.
#[derive(Debug, thiserror::Error)]
pub enum PartError {
    #[error(
        "{} changed after it had settled (it had {} bytes, and now has {now}); it is uploaded once it has settled anew",
        path.display(), was
    )]
    Changed { path: PathBuf, was: u64, now: u64 },
    #[error(
        "the content of {} changed after a part of it was sent, although its size and modification time did not; what \
         was sent is left unfinished, and it is uploaded anew once it has settled", path.display()
    )]
    Altered { path: PathBuf },
    #[error("{} is no longer a regular file; the sample waits for it to come back", path.display())]
    NoFile { path: PathBuf },
    #[error("{} is gone; the sample waits for it to come back", path.display())]
    Gone { path: PathBuf },
    #[error("cannot read {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("cannot open {}: {limit}", path.display())]
    TooManyOpen { path: PathBuf, limit: &'static str },
    #[error(
        "cannot read {}: the read hangs, as on a share whose server does not answer; nothing of this watch is uploaded \
         until it returns: see to the share, or mount it anew", path.display()
    )]
    Hangs { path: PathBuf },
    #[error(
        "{} is not whole: {fault}; copy it again from where it was made, or set check_gzip: false if it must go up as \
         it is", path.display()
    )]
    Corrupt { path: PathBuf, fault: String },
    #[error(
        "{} is not what {} says of it: its {algorithm} is {found}, and not {stated}; copy it again from where it was \
         made, or put the checksum file right", path.display(), by.display()
    )]
    Mismatch { path: PathBuf, by: PathBuf, algorithm: &'static str, stated: String, found: String },
    #[error("the agent is stopping")]
    Stopped,
}

/// What is known of a slot's bytes from an earlier process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// The SHA-256 of so many of its first bytes, in hexadecimal.
    pub prefix: Option<(u64, String)>,
    /// Which files they came from; see [`SlotReader::identity`].
    pub identity: Option<String>,
}

/// Which file it was, and when anything about it was changed last: what no writer can set back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    changed: (i64, i64),
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino(), changed: (metadata.ctime(), metadata.ctime_nsec()) }
    }
}

/// Reads one slot. Parts are opened one at a time.
pub(super) struct SlotReader {
    watch: String,
    disk: Disk,
    stopping: CancellationToken,
    parts: Arc<[Part]>,
    /// Lent to the blocking thread while that reads; lost with a thread that hangs.
    inner: Option<Inner>,
}

struct Inner {
    parts: Arc<[Part]>,
    open: Option<(usize, File)>,
    content: Content,
    /// Of each part, as it was when its bytes were read first.
    identities: Vec<Option<Identity>>,
    size: u64,
    known: Known,
}

impl SlotReader {
    pub fn new(
        watch: &str,
        slot: &Slot,
        checks: Checks,
        known: Known,
        disk: &Disk,
        stopping: &CancellationToken,
    ) -> Self {
        let parts: Arc<[Part]> = slot.parts.clone().into();
        let content = Content::new(parts.clone(), checks);
        let identities = vec![None; parts.len()];
        let inner = Inner { parts: parts.clone(), open: None, content, identities, size: slot.size(), known };
        Self { watch: watch.to_owned(), disk: disk.clone(), stopping: stopping.clone(), parts, inner: Some(inner) }
    }

    /// Reads `length` bytes at `offset` of the parts together. From offset 0 on, the slot is taken in anew.
    ///
    /// # Errors
    /// All but [`PartError::Gone`] may also concern bytes before `offset`: what an earlier process sent is read again
    /// first, and compared with what is known of it.
    pub async fn read(&mut self, offset: u64, length: u64) -> Result<Bytes, PartError> {
        self.blocking(move |inner, pulse| inner.read_chunk(offset, length, pulse)).await
    }

    /// Like [`SlotReader::read`], for bytes that are not on their way up: the hash is left as it is.
    pub async fn peek(&mut self, offset: u64, length: u64) -> Result<Bytes, PartError> {
        self.blocking(move |inner, pulse| inner.read(offset, length, pulse).map(Bytes::from)).await
    }

    /// The hashes of the whole slot and its parts; what was not yet read for them is read now.
    pub async fn hashes(&mut self) -> Result<SlotHashes, PartError> {
        self.blocking(|inner, pulse| {
            inner.take_until(inner.size, pulse)?;
            Ok(SlotHashes { sha256: inner.content.sha256(), parts: inner.content.parts_sha256() })
        })
        .await
    }

    /// The same, if all of it has been read already.
    pub fn hashes_if_read(&self) -> Option<SlotHashes> {
        let sha256 = self.sha256_if_read()?;
        Some(SlotHashes { sha256, parts: self.inner.as_ref()?.content.parts_sha256() })
    }

    fn sha256_if_read(&self) -> Option<String> {
        self.prefix_if_read(self.inner.as_ref()?.size)
    }

    /// The hash of so many first bytes, if they and no more have been read.
    pub fn prefix_if_read(&self, length: u64) -> Option<String> {
        let inner = self.inner.as_ref()?;
        (inner.content.taken() == length).then(|| inner.content.sha256())
    }

    /// Which files the bytes came from, in a short form, once all of them have been read.
    pub fn identity(&self) -> Option<String> {
        let inner = self.inner.as_ref().filter(|inner| inner.content.taken() == inner.size)?;
        let identities: Option<Vec<Identity>> = inner.identities.iter().copied().collect();
        Some(short(&identities?))
    }

    /// Looks at every part once more, by its name. Where only inode or change time are others than when the bytes were
    /// read, the content is read again and compared. Checksum files that were not there then are compared now.
    ///
    /// # Errors
    /// The first part that is not what it was.
    pub async fn look_again(&mut self) -> Result<(), PartError> {
        self.blocking(Inner::look_again).await
    }

    async fn blocking<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Inner, &Pulse) -> Result<T, PartError> + Send + 'static,
    ) -> Result<T, PartError> {
        let Some(mut inner) = self.inner.take() else {
            let path = self.disk.hangs_at(&self.watch).unwrap_or_else(|| self.parts[0].path.clone());
            return Err(PartError::Hangs { path });
        };
        let done = self.disk.work(&self.watch, &self.stopping, move |pulse| {
            let result = work(&mut inner, pulse);
            Ok((inner, result))
        });
        let (inner, result) = done.await?;
        self.inner = Some(inner);
        result
    }
}

impl Inner {
    fn read_chunk(&mut self, offset: u64, length: u64, pulse: &Pulse) -> Result<Bytes, PartError> {
        if offset == 0 {
            // Sent from its beginning, once more perhaps: what counts is what is sent now.
            self.content = self.content.anew();
            self.identities.fill(None);
        }
        // After a restart the bytes before this chunk were sent by another process.
        self.take_until(offset, pulse)?;
        let bytes = self.read(offset, length, pulse)?;
        if self.content.taken() == offset {
            self.take(&bytes)?;
        }
        Ok(bytes.into())
    }

    fn take_until(&mut self, end: u64, pulse: &Pulse) -> Result<(), PartError> {
        while self.content.taken() < end {
            let from = self.content.taken();
            let bytes = self.read(from, (PIECE as u64).min(end - from), pulse)?;
            self.take(&bytes)?;
        }
        Ok(())
    }

    /// Takes the next bytes in, and compares what is known of the first ones.
    fn take(&mut self, bytes: &[u8]) -> Result<(), PartError> {
        let Some((length, sha256)) = &self.known.prefix else { return self.content.take(bytes) };
        let left = length.saturating_sub(self.content.taken());
        if left == 0 || left > bytes.len() as u64 {
            return self.content.take(bytes);
        }
        let (known, rest) = bytes.split_at(left as usize);
        let checked = self.content.take(known);
        // What is wrong with the bytes matters less than that they are others.
        if self.content.sha256() != *sha256 {
            return Err(self.altered(None));
        }
        checked?;
        self.content.take(rest)
    }

    fn read(&mut self, mut offset: u64, length: u64, pulse: &Pulse) -> Result<Vec<u8>, PartError> {
        let mut bytes = vec![0; length as usize];
        let mut filled = 0;
        let parts = self.parts.clone();
        for (n, part) in parts.iter().enumerate() {
            let size = part.fingerprint.size;
            if offset >= size {
                offset -= size;
                continue;
            }
            let here = (bytes.len() - filled).min((size - offset) as usize);
            self.read_part(n, part, offset, &mut bytes[filled..filled + here], pulse)?;
            filled += here;
            offset = 0;
            if filled == bytes.len() {
                break;
            }
        }
        assert_eq!(filled, bytes.len(), "nobody asks for bytes behind the last part: they would go up as zeros");
        Ok(bytes)
    }

    fn read_part(
        &mut self,
        n: usize,
        part: &Part,
        offset: u64,
        into: &mut [u8],
        pulse: &Pulse,
    ) -> Result<(), PartError> {
        pulse.beat(&part.path)?;
        if self.open.as_ref().is_none_or(|(open, _)| *open != n) {
            self.open = None;
            let file = open(part, pulse)?;
            let metadata = file.metadata().map_err(|error| cannot_read(part, error))?;
            self.identities[n].get_or_insert(Identity::of(&metadata));
            self.open = Some((n, file));
        }
        let Some((_, file)) = &self.open else { unreachable!("it has just been opened") };
        let read = read_exact(file, part, offset, into, pulse);
        // Looked at after the bytes: a change that came before them cannot hide.
        let now = Fingerprint::of(&file.metadata().map_err(|error| cannot_read(part, error))?);
        if now != part.fingerprint {
            self.open = None;
            return Err(changed(part, now));
        }
        read
    }

    fn look_again(&mut self, pulse: &Pulse) -> Result<(), PartError> {
        let now = identities(&self.parts, pulse)?;
        let is_read = self.content.taken() == self.size;
        let differs = now.iter().zip(&self.identities).position(|(now, then)| Some(*now) != *then);
        match (&self.known, is_read) {
            (_, true) if differs.is_some() => {
                let sha256 = self.content.sha256();
                self.compare_whole(&sha256, differs, pulse)?;
            }
            // Sent by an earlier process, and not read in this one.
            (Known { prefix: Some((length, sha256)), identity }, false)
                if *length == self.size && *identity != Some(short(&now)) =>
            {
                let sha256 = sha256.clone();
                self.compare_whole(&sha256, None, pulse)?;
            }
            _ => {}
        }
        if self.content.taken() == self.size {
            let mut sidecars = Sidecars::default();
            for n in 0..self.parts.len() {
                pulse.beat(&self.parts[n].path)?;
                if self.content.is_stated_anew(n, &mut sidecars) {
                    self.check_part(n, pulse)?;
                }
            }
        }
        Ok(())
    }

    /// Reads the whole slot anew, from files opened anew, and compares its hash.
    fn compare_whole(&mut self, sha256: &str, differs: Option<usize>, pulse: &Pulse) -> Result<(), PartError> {
        self.open = None;
        self.content = self.content.anew();
        self.identities.fill(None);
        let taken = self.take_until(self.size, pulse);
        if let Err(error @ (PartError::Corrupt { .. } | PartError::Mismatch { .. })) = taken {
            tracing::warn!(%error, "a file that was whole is not any more");
            return Err(self.altered(differs));
        }
        taken?;
        if self.content.sha256() == sha256 { Ok(()) } else { Err(self.altered(differs)) }
    }

    /// Reads one part for its checks alone.
    fn check_part(&mut self, n: usize, pulse: &Pulse) -> Result<(), PartError> {
        let mut content = self.content.of_part(n);
        let part = self.parts[n].clone();
        let mut bytes = vec![0; PIECE];
        let mut offset = 0;
        while offset < part.fingerprint.size {
            let here = PIECE.min((part.fingerprint.size - offset) as usize);
            self.read_part(n, &part, offset, &mut bytes[..here], pulse)?;
            content.take(&bytes[..here])?;
            offset += here as u64;
        }
        Ok(())
    }

    fn altered(&self, differs: Option<usize>) -> PartError {
        let differs = differs.unwrap_or_else(|| self.open.as_ref().map_or(0, |(n, _)| *n));
        PartError::Altered { path: self.parts[differs].path.clone() }
    }
}

/// The hashes of a sample's slots as they lie there now.
///
/// # Errors
/// The first part that cannot be read as what it was.
pub async fn hashes(sample: &Sample, disk: &Disk, stopping: &CancellationToken) -> Result<Vec<SlotHashes>, PartError> {
    let mut hashes = Vec::with_capacity(sample.slots.len());
    for slot in &sample.slots {
        let (watch, checks, known) = (&sample.key.watch, Checks::default(), Known::default());
        hashes.push(SlotReader::new(watch, slot, checks, known, disk, stopping).hashes().await?);
    }
    Ok(hashes)
}

/// Looks at every part by its name, whoever has it open: a file that was replaced under its old name shows here.
///
/// # Errors
/// The first part that is not what it was.
pub(super) fn look_at(parts: &[Part], pulse: &Pulse) -> Result<(), PartError> {
    identities(parts, pulse).map(|_| ())
}

fn identities(parts: &[Part], pulse: &Pulse) -> Result<Vec<Identity>, PartError> {
    let look = |part: &Part| {
        pulse.beat(&part.path)?;
        let metadata = std::fs::metadata(&part.path).map_err(|error| cannot_read(part, error))?;
        let now = Fingerprint::of(&metadata);
        if now == part.fingerprint { Ok(Identity::of(&metadata)) } else { Err(changed(part, now)) }
    };
    parts.iter().map(look).collect()
}

fn short(identities: &[Identity]) -> String {
    let mut hash = Sha256::new();
    for Identity { device, inode, changed: (seconds, nanoseconds) } in identities {
        hash.update(device.to_be_bytes());
        hash.update(inode.to_be_bytes());
        hash.update(seconds.to_be_bytes());
        hash.update(nanoseconds.to_be_bytes());
    }
    HEXLOWER.encode(&hash.finalize()[..16])
}

fn open(part: &Part, pulse: &Pulse) -> Result<File, PartError> {
    let file = pulse.open(&part.path).map_err(|error| cannot_read(part, error))?;
    let metadata = file.metadata().map_err(|error| cannot_read(part, error))?;
    if metadata.is_file() { Ok(file) } else { Err(PartError::NoFile { path: part.path.clone() }) }
}

fn read_exact(file: &File, part: &Part, offset: u64, into: &mut [u8], pulse: &Pulse) -> Result<(), PartError> {
    for (n, piece) in into.chunks_mut(PIECE).enumerate() {
        pulse.beat(&part.path)?;
        let at = offset + (n * PIECE) as u64;
        file.read_exact_at(piece, at).map_err(|error| cannot_read(part, error))?;
    }
    Ok(())
}

fn changed(part: &Part, now: Fingerprint) -> PartError {
    PartError::Changed { path: part.path.clone(), was: part.fingerprint.size, now: now.size }
}

fn cannot_read(part: &Part, source: io::Error) -> PartError {
    let path = part.path.clone();
    match open_files_limit(&source) {
        Some(limit) => PartError::TooManyOpen { path, limit },
        None if source.kind() == io::ErrorKind::NotFound => PartError::Gone { path },
        None => PartError::Unreadable { path, source },
    }
}

#[cfg(test)]
mod tests;
