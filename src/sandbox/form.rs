//! A multipart form, received: text fields in memory, the file part in a file of its own.
//!
//! As the proxy in front of the platform does, the sandbox takes a request in whole before it works on it: a body
//! that was cut half way leaves nothing behind. Memory does not grow with the chunk.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::Multipart;
use axum::extract::multipart::{Field, MultipartError};
use tempfile::NamedTempFile;

use super::answer::Refusal;

/// A form that came in whole.
#[derive(Debug, Default)]
pub(super) struct Form {
    /// Text fields, in the order in which they came.
    pub(super) fields: Vec<(String, String)>,
    /// The file part named `blob`.
    pub(super) blob: Option<Blob>,
}

/// A file part, on disk for as long as this lives.
#[derive(Debug)]
pub(super) struct Blob {
    pub(super) filename: Option<String>,
    /// In bytes.
    pub(super) length: u64,
    spool: NamedTempFile,
}

impl Blob {
    pub(super) fn path(&self) -> &Path {
        self.spool.path()
    }
}

/// Why a form did not come in whole.
#[derive(Debug)]
pub(super) enum Unread {
    /// The caller wanted the connection cut.
    Cut,
    /// The client broke off, or does not speak multipart.
    Broken(MultipartError),
    /// The chunk is larger than the sandbox takes.
    TooLarge,
    /// The sandbox could not keep it.
    Disk(std::io::Error),
}

impl Form {
    /// Receives a form, its file part into a file in `spool_dir`.
    ///
    /// `known` is called once, as soon as the fields tell which chunk this is (before the file part for every client
    /// that sends the fields first); when it returns true, reading ends there with [`Unread::Cut`]. What was read is
    /// in `self` whatever the outcome, and the bytes of the file part are added to `received` as they come.
    pub(super) async fn read(
        &mut self,
        mut multipart: Multipart,
        spool_dir: &Path,
        max_blob: Option<u64>,
        received: &AtomicU64,
        known: impl FnOnce(&[(String, String)]) -> bool,
    ) -> Result<(), Unread> {
        let mut known = Some(known);
        while let Some(field) = multipart.next_field().await.map_err(Unread::Broken)? {
            let name = field.name().unwrap_or_default().to_owned();
            if name != "blob" {
                // As it came: a text reader would take a byte order mark off.
                let value = field.bytes().await.map_err(Unread::Broken)?;
                self.fields.push((name, String::from_utf8_lossy(&value).into_owned()));
                continue;
            }
            let complete = self.first("is_last").is_some();
            let cut = complete && known.take().is_some_and(|known| known(&self.fields));
            self.read_blob(field, spool_dir, max_blob, received, cut).await?;
        }
        if known.is_some_and(|known| known(&self.fields)) {
            return Err(Unread::Cut);
        }
        match (&self.blob, max_blob) {
            (Some(blob), Some(max)) if blob.length > max => Err(Unread::TooLarge),
            _ => Ok(()),
        }
    }

    async fn read_blob(
        &mut self,
        mut field: Field<'_>,
        spool_dir: &Path,
        max_blob: Option<u64>,
        received: &AtomicU64,
        cut: bool,
    ) -> Result<(), Unread> {
        let spool = NamedTempFile::new_in(spool_dir).map_err(Unread::Disk)?;
        let blob = self.blob.insert(Blob { filename: field.file_name().map(str::to_owned), length: 0, spool });
        while let Some(bytes) = field.chunk().await.map_err(Unread::Broken)? {
            blob.length += bytes.len() as u64;
            received.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            if cut {
                return Err(Unread::Cut);
            }
            // What is too large is read to its end all the same, so that the client hears the answer, but not kept.
            if max_blob.is_none_or(|max| blob.length <= max) {
                // To the page cache, a few kilobytes at a time: not worth a trip to another thread.
                blob.spool.write_all(&bytes).map_err(Unread::Disk)?;
            }
        }
        if cut { Err(Unread::Cut) } else { Ok(()) }
    }

    /// The first value of a field.
    pub(super) fn first(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// Every value of a field, in order.
    pub(super) fn all<'f>(&'f self, name: &str) -> impl Iterator<Item = &'f str> {
        self.fields.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// The one value of a field that may be missing or empty, which say the same.
    pub(super) fn optional(&self, name: &str) -> Result<Option<&str>, Refusal> {
        let mut values = self.all(name);
        let value = values.next();
        if values.next().is_some() {
            return Err(Refusal::field(name, "This field was given more than once."));
        }
        Ok(value.filter(|value| !value.is_empty()))
    }

    /// The one value of a field that must be there.
    pub(super) fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.optional(name)?.ok_or_else(|| Refusal::field(name, "This field is required."))
    }

    /// A field that is `true` or `false`; `None` when it is missing.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.optional(name)? {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(Refusal::field(name, "Must be true or false.")),
        }
    }
}
