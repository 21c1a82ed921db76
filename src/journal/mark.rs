//! The number of the store's last commit, kept beside it in a small file.
//!
//! It is written once the commit is durable, and not synced itself: after a power cut it may be behind the store, never
//! ahead of it. So a store that ends before it has lost its end.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Decimal digits of a number, so that each has the same length and is replaced in one write.
const DIGITS: usize = 20;

pub(super) struct Mark(File);

/// What lies beside a store, under its name with an ending.
pub(super) fn beside(store: &Path, ending: &str) -> PathBuf {
    let mut name = store.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    store.with_file_name(name)
}

impl Mark {
    /// Where the mark of a store lies: `journal.last` beside `journal`.
    pub fn path(store: &Path) -> PathBuf {
        beside(store, ".last")
    }

    /// Opens a store's mark, or makes one that says nothing yet.
    pub fn open(store: &Path) -> io::Result<Self> {
        let mut options = fs::OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(Self::path(store))?;
        let mark = Self(file);
        // What has its place on the disk can be replaced when the disk is full.
        if mark.0.metadata()?.len() == 0 {
            mark.write(0)?;
        }
        Ok(mark)
    }

    /// Takes a store's mark away, if it has one.
    pub fn remove(store: &Path) -> io::Result<()> {
        match fs::remove_file(Self::path(store)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The last commit that was durable; 0 where it says nothing that can be understood.
    pub fn read(&self) -> u64 {
        let mut text = [0; DIGITS];
        let is_read = self.0.read_exact_at(&mut text, 0).is_ok();
        let number = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
        number.filter(|_| is_read).unwrap_or_default()
    }

    pub fn write(&self, commit: u64) -> io::Result<()> {
        self.0.write_all_at(format!("{commit:0DIGITS$}\n").as_bytes(), 0)
    }
}
