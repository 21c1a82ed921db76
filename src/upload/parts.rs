//! The parts of a slot as one stream of bytes: read in order, hashed on the way, and never trusted to be still what
//! assembly saw.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::sample::{Fingerprint, Part, Sample, Slot};

/// Bytes that are read at once where nobody waits for them as a chunk.
const PIECE: u64 = 1024 * 1024;

/// Why a part cannot be read as what it was.
#[derive(Debug, thiserror::Error)]
pub enum PartError {
    #[error(
        "{} changed after it had settled (it had {} bytes, and now has {now}); it is uploaded once it has settled anew",
        path.display(), was
    )]
    Changed { path: PathBuf, was: u64, now: u64 },
    #[error("{} is gone; the sample waits for it to come back", path.display())]
    Gone { path: PathBuf },
    #[error("cannot read {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
}

/// Reads one slot. Parts are opened one at a time.
pub(super) struct SlotReader {
    /// Lent to the blocking thread while that reads.
    inner: Option<Inner>,
}

struct Inner {
    parts: Arc<[Part]>,
    open: Option<(usize, File)>,
    hash: Sha256,
    /// Bytes that went into the hash.
    hashed: u64,
    size: u64,
}

impl SlotReader {
    pub fn new(slot: &Slot) -> Self {
        let inner =
            Inner { parts: slot.parts.clone().into(), open: None, hash: Sha256::new(), hashed: 0, size: slot.size() };
        Self { inner: Some(inner) }
    }

    /// Reads `length` bytes at `offset` of the parts together.
    pub async fn read(&mut self, offset: u64, length: u64) -> Result<Bytes, PartError> {
        self.blocking(move |inner| inner.read_hashed(offset, length)).await
    }

    /// Like [`SlotReader::read`], for bytes that are not on their way up: the hash is left as it is.
    pub async fn peek(&mut self, offset: u64, length: u64) -> Result<Bytes, PartError> {
        self.blocking(move |inner| inner.read(offset, length).map(Bytes::from)).await
    }

    /// The hash of the whole slot, in hexadecimal; what was not yet read for it is read now.
    pub async fn sha256(&mut self) -> Result<String, PartError> {
        self.blocking(|inner| {
            inner.hash_until(inner.size)?;
            Ok(HEXLOWER.encode(&inner.hash.clone().finalize()))
        })
        .await
    }

    /// The hash of the whole slot, if all of it has been read already.
    pub fn sha256_if_read(&self) -> Option<String> {
        let inner = self.inner.as_ref()?;
        (inner.hashed == inner.size).then(|| HEXLOWER.encode(&inner.hash.clone().finalize()))
    }

    async fn blocking<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Inner) -> Result<T, PartError> + Send + 'static,
    ) -> Result<T, PartError> {
        let mut inner = self.inner.take().expect("a slot is read by one at a time");
        let (inner, result) = tokio::task::spawn_blocking(move || {
            let result = work(&mut inner);
            (inner, result)
        })
        .await
        .expect("reading does not panic");
        self.inner = Some(inner);
        result
    }
}

impl Inner {
    fn read_hashed(&mut self, offset: u64, length: u64) -> Result<Bytes, PartError> {
        // After a restart the bytes before this chunk were sent by another process: the hash needs them.
        self.hash_until(offset)?;
        let bytes = self.read(offset, length)?;
        if self.hashed == offset {
            self.hash.update(&bytes);
            self.hashed += length;
        }
        Ok(bytes.into())
    }

    fn hash_until(&mut self, end: u64) -> Result<(), PartError> {
        while self.hashed < end {
            let bytes = self.read(self.hashed, PIECE.min(end - self.hashed))?;
            self.hash.update(&bytes);
            self.hashed += bytes.len() as u64;
        }
        Ok(())
    }

    fn read(&mut self, mut offset: u64, length: u64) -> Result<Vec<u8>, PartError> {
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
            self.read_part(n, part, offset, &mut bytes[filled..filled + here])?;
            filled += here;
            offset = 0;
            if filled == bytes.len() {
                break;
            }
        }
        Ok(bytes)
    }

    fn read_part(&mut self, n: usize, part: &Part, offset: u64, into: &mut [u8]) -> Result<(), PartError> {
        let file = match &self.open {
            Some((open, file)) if *open == n => file,
            _ => {
                let file = File::open(&part.path).map_err(|error| cannot_read(part, error))?;
                &self.open.insert((n, file)).1
            }
        };
        let read = file.read_exact_at(into, offset);
        // Looked at after the bytes: a change that came before them cannot hide.
        let now = Fingerprint::of(&file.metadata().map_err(|error| cannot_read(part, error))?);
        if now != part.fingerprint {
            self.open = None;
            return Err(changed(part, now));
        }
        read.map_err(|error| cannot_read(part, error))
    }
}

/// The hashes of a sample's slots as they lie there now, in hexadecimal.
///
/// # Errors
/// The first part that cannot be read as what it was.
pub async fn hashes(sample: &Sample) -> Result<Vec<String>, PartError> {
    let mut hashes = Vec::with_capacity(sample.slots.len());
    for slot in &sample.slots {
        hashes.push(SlotReader::new(slot).sha256().await?);
    }
    Ok(hashes)
}

/// Looks at every part once more, by its name: a file that was replaced under its old name shows here.
///
/// # Errors
/// The first part that is not what it was.
pub(super) async fn look_again(parts: Vec<Part>) -> Result<(), PartError> {
    let look = move || {
        parts.iter().try_for_each(|part| {
            let now = Fingerprint::of(&std::fs::metadata(&part.path).map_err(|error| cannot_read(part, error))?);
            if now == part.fingerprint { Ok(()) } else { Err(changed(part, now)) }
        })
    };
    tokio::task::spawn_blocking(look).await.expect("looking does not panic")
}

fn changed(part: &Part, now: Fingerprint) -> PartError {
    PartError::Changed { path: part.path.clone(), was: part.fingerprint.size, now: now.size }
}

fn cannot_read(part: &Part, source: std::io::Error) -> PartError {
    let path = part.path.clone();
    match source.kind() {
        std::io::ErrorKind::NotFound => PartError::Gone { path },
        _ => PartError::Unreadable { path, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn part(dir: &std::path::Path, name: &str, bytes: &[u8]) -> Part {
        let path = dir.join(name);
        std::fs::write(&path, bytes).unwrap();
        let fingerprint = Fingerprint::of(&std::fs::metadata(&path).unwrap());
        Part { path, fingerprint }
    }

    fn slot(parts: Vec<Part>) -> Slot {
        Slot { key: "reads1".into(), filename: "s_R1.fastq.gz".into(), parts }
    }

    #[tokio::test]
    async fn parts_read_as_one_and_hash_as_one() {
        let dir = tempfile::tempdir().unwrap();
        let slot = slot(vec![
            part(dir.path(), "a", b"first "),
            part(dir.path(), "b", b"second "),
            part(dir.path(), "c", b"third"),
        ]);
        let whole = b"first second third";
        for resumed_at in [0, 4, 6, 13, 17] {
            let mut reader = SlotReader::new(&slot);
            let rest = reader.read(resumed_at, slot.size() - resumed_at).await.unwrap();
            assert_eq!(rest, &whole[resumed_at as usize..]);
            // A chunk that is sent again is read again, and does not count twice.
            reader.read(resumed_at, 1).await.unwrap();
            assert_eq!(reader.sha256_if_read().unwrap(), HEXLOWER.encode(&Sha256::digest(whole)));
        }
        let mut reader = SlotReader::new(&slot);
        reader.read(0, 7).await.unwrap();
        // Bytes that are looked at beside the upload do not count, behind what was read, before it, or next to it.
        for (offset, length) in [(12, 5), (0, 3), (7, 8)] {
            let seen = reader.peek(offset, length).await.unwrap();
            assert_eq!(seen, &whole[offset as usize..(offset + length) as usize]);
        }
        assert_eq!(reader.sha256_if_read(), None);
        assert_eq!(reader.sha256().await.unwrap(), HEXLOWER.encode(&Sha256::digest(whole)));
    }

    #[tokio::test]
    async fn a_part_that_is_not_what_it_was_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let slot = slot(vec![part(dir.path(), "a", b"before")]);
        let mut reader = SlotReader::new(&slot);
        reader.read(0, 3).await.unwrap();
        std::fs::OpenOptions::new().append(true).open(dir.path().join("a")).unwrap().write_all(b"!").unwrap();
        assert!(matches!(reader.read(3, 3).await, Err(PartError::Changed { was: 6, now: 7, .. })));
        assert!(matches!(look_again(slot.parts.clone()).await, Err(PartError::Changed { .. })));
        std::fs::remove_file(dir.path().join("a")).unwrap();
        assert!(matches!(look_again(slot.parts.clone()).await, Err(PartError::Gone { .. })));
    }
}
