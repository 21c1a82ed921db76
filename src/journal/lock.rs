//! One agent per state folder: a lock that the kernel lets go of when the process ends, however it ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use super::JournalError;

/// Held for as long as the journal is open.
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    pub fn take(state_dir: &Path) -> Result<Self, JournalError> {
        let error = |source| JournalError::Open { dir: state_dir.to_owned(), source };
        // Names of samples are nobody else's business.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(state_dir).map_err(error)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(state_dir.join("lock"))
            .map_err(error)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // The number only makes the message better: without it, it is still right.
                let _ = file.read_to_string(&mut holder);
                return Err(JournalError::InUse { dir: state_dir.to_owned(), process: holder.trim().parse().ok() });
            }
            Err(TryLockError::Error(source)) => return Err(error(source)),
        }
        file.set_len(0).and_then(|()| file.rewind()).map_err(error)?;
        writeln!(file, "{}", std::process::id()).map_err(error)?;
        Ok(Self { _file: file })
    }
}
