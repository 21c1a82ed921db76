//! Why the journal cannot be used, and which of that passes by itself.

use std::io::{self, ErrorKind};
use std::path::PathBuf;

use super::record::Misstep;
use crate::sample::SampleId;

/// The system's word for a disk that does not do what it is told. It has no [`ErrorKind`] of its own.
const EIO: i32 = 5;

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error(
        "cannot use the state folder {}: another flow-ingest{} is using it; stop that one, or give this one a \
         state_dir of its own", dir.display(), process.map(|id| format!(" (process {id})")).unwrap_or_default()
    )]
    InUse { dir: PathBuf, process: Option<u32> },
    #[error("cannot open the journal in {}: {source}; check the disk and the folder's permissions", dir.display())]
    Open { dir: PathBuf, source: io::Error },
    #[error("cannot read the journal in {}: {source}; {}", dir.display(), remedy(source))]
    Read { dir: PathBuf, source: io::Error },
    #[error("cannot write the journal in {}: {source}; {}", dir.display(), remedy(source))]
    Write { dir: PathBuf, source: io::Error },
    /// It was closed to be opened anew after its disk had failed, and that has not gone well so far.
    #[error(
        "cannot use the journal in {}: its disk has failed, and it could not be opened again so far; check the disk; it \
         is tried every few seconds, and goes on by itself when the disk is well", dir.display()
    )]
    Shut { dir: PathBuf },
    #[error("{reason}")]
    Commit { reason: String },
    /// What was written cannot be read back.
    #[error("the journal is damaged: {reason}; start again: it is set aside then, and made anew from receipts.jsonl")]
    Damaged { reason: String },
    #[error("cannot understand the journal's record of {key}: {reason}; was it written by a newer flow-ingest?")]
    Record { key: String, reason: String },
    #[error("cannot change {sample}: {misstep}")]
    Misstep { sample: SampleId, misstep: Misstep },
    #[error("cannot change {sample}: the journal has no such sample")]
    Unknown { sample: SampleId },
    #[error(
        "cannot import into the state folder {}: it has a journal or receipts already, and two histories cannot be \
         joined; move them away, or name another state_dir", dir.display()
    )]
    NotEmpty { dir: PathBuf },
    #[error("cannot write the journal: it is closed")]
    Closed,
}

impl JournalError {
    /// Whether it is the disk's fault and goes away when the disk is well again: full, over quota, read-only, or
    /// failing.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Shut { .. } => true,
            Self::Open { source, .. } | Self::Read { source, .. } | Self::Write { source, .. } => is_the_disk(source),
            _ => false,
        }
    }
}

fn is_the_disk(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::ReadOnlyFilesystem | ErrorKind::WriteZero
    ) || error.raw_os_error() == Some(EIO)
        // sled hands an error on as its text.
        || error.to_string().contains("code: 5,")
}

/// What a person does about it.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room there, and it goes on by itself",
        ErrorKind::ReadOnlyFilesystem => "mount it for writing, and it goes on by itself",
        _ => "check the disk; it goes on by itself when the disk is well",
    }
}
