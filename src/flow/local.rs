//! Uploads of files on this machine: they are read as they go up, and looked at again before it cannot be undone.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::bars::Bars;
use super::checkpoint::{Checkpoint, Saved, name_of};
use super::client::Client;
use super::error::{Error, FileError};
use super::upload::{
    Finished, Host, Making, Outcome, Progress, Stage, Submission, SubmissionFile, UploadError, advance,
};

/// A server that asks to be left alone for longer is asked sooner: a caller waits for the answer.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A file, opened, and as it was then.
#[derive(Debug)]
pub(super) struct LocalFile {
    path: PathBuf,
    file: Arc<File>,
    opened: Look,
}

/// What shows that a file changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    size: u64,
    modified: SystemTime,
    /// Device and inode: a file that was replaced is another.
    identity: (u64, u64),
}

impl Look {
    fn at(metadata: &Metadata) -> io::Result<Self> {
        let identity = (metadata.dev(), metadata.ino());
        Ok(Self { size: metadata.len(), modified: metadata.modified()?, identity })
    }
}

impl LocalFile {
    pub(super) async fn open(path: &Path) -> Result<Self, FileError> {
        let path = path.to_owned();
        let opening = path.clone();
        let opened = blocking(move || {
            // A named pipe would wait for a writer, and a folder opens well: neither is opened at all.
            if !std::fs::metadata(&opening)?.is_file() {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a plain file"));
            }
            let file = File::open(&opening)?;
            let look = Look::at(&file.metadata()?)?;
            Ok((file, look))
        });
        match opened.await {
            Ok((file, opened)) => Ok(Self { path, file: Arc::new(file), opened }),
            Err(source) => Err(FileError::Unreadable { path, source }),
        }
    }

    pub(super) fn size(&self) -> u64 {
        self.opened.size
    }

    pub(super) fn modified(&self) -> SystemTime {
        self.opened.modified
    }

    async fn read(&self, offset: u64, length: u64) -> Result<Bytes, FileError> {
        let file = self.file.clone();
        let read = blocking(move || {
            let length = usize::try_from(length).map_err(io::Error::other)?;
            let mut bytes = vec![0; length];
            file.read_exact_at(&mut bytes, offset)?;
            Ok(Bytes::from(bytes))
        });
        read.await.map_err(|source| self.error(source))
    }

    async fn look_again(&self) -> Result<(), FileError> {
        let path = self.path.clone();
        let look = blocking(move || Look::at(&std::fs::metadata(path)?)).await.map_err(|source| self.error(source))?;
        if look == self.opened { Ok(()) } else { Err(FileError::Changed { path: self.path.clone() }) }
    }

    fn error(&self, source: io::Error) -> FileError {
        let path = self.path.clone();
        match source.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::NotFound => FileError::Changed { path },
            _ => FileError::Unreadable { path, source },
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// The name under which a file is stored unless another is given.
pub(super) fn filename_of(path: &Path) -> Result<String, Error> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.map(str::to_owned).ok_or_else(|| Error::Invalid {
        reason: format!("cannot upload {} under its own name, which is not text", path.display()),
    })
}

/// Opens files that go up under their own names, in this order.
pub(super) async fn open(paths: impl Iterator<Item = &Path>) -> Result<(Vec<LocalFile>, Vec<SubmissionFile>), Error> {
    let (mut files, mut sent) = (Vec::new(), Vec::new());
    for path in paths {
        let file = LocalFile::open(path).await?;
        sent.push(SubmissionFile { filename: filename_of(path)?, size: file.size() });
        files.push(file);
    }
    Ok((files, sent))
}

/// The files in the order in which they go up: reads in theirs, others in the caller's. An error says why they are
/// none that can go up together.
pub(super) fn in_order(files: &[(String, PathBuf)]) -> Result<Vec<(&str, &Path)>, String> {
    const READS: [&str; 2] = ["reads1", "reads2"];
    let mut files: Vec<_> = files.iter().map(|(key, path)| (key.as_str(), path.as_path())).collect();
    if files.is_empty() {
        return Err("it has no file".to_owned());
    }
    if let Some(key) = repeated(files.iter().map(|(key, _)| *key)) {
        return Err(format!("there are two files for '{key}'"));
    }
    if files.iter().any(|(key, _)| key.starts_with("reads")) {
        if let Some((key, _)) = files.iter().find(|(key, _)| !READS.contains(key)) {
            return Err(format!("'{key}' cannot be among reads: those are reads1 and reads2 alone"));
        }
        if !files.iter().any(|(key, _)| *key == "reads1") {
            return Err("it has reads2, but no reads1".to_owned());
        }
        files.sort_unstable();
    }
    Ok(files)
}

/// The first of the names that comes twice.
pub(super) fn repeated<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}

/// Uploads `files`, which are those of `submission`, from where the checkpoint says it is until it is done or cannot
/// go on.
pub(super) async fn upload(
    client: &Client,
    submission: &Submission,
    files: Vec<LocalFile>,
    checkpoint: &mut impl Checkpoint,
) -> Result<Finished, Error> {
    let name = name_of(submission, &files);
    let saved = checkpoint.load().map_err(|source| FileError::Checkpoint { source })?;
    let progress = match saved {
        None => Progress::new(submission, client),
        Some(saved) if saved.version == Saved::VERSION && saved.upload == name => saved.progress,
        Some(_) => {
            let what = what(submission);
            let reason = format!(
                "cannot go on with the upload of {what}: the checkpoint is of another upload, or the files have \
                 changed since; remove the checkpoint to begin anew"
            );
            return Err(Error::Invalid { reason });
        }
    };
    let bars = Bars::new(client.canvas(), submission, &progress);
    let saved = Saved { version: Saved::VERSION, upload: name, progress };
    let mut host = LocalHost { files, checkpoint, saved, bars };
    let mut failures = 0;
    loop {
        let sent = host.saved.progress.sent();
        let outcome = advance(client, submission, host.saved.progress.clone(), &mut host).await;
        if host.saved.progress.sent() != sent {
            failures = 0;
        }
        let error = match outcome {
            Ok(Outcome::Done(finished)) => return Ok(finished),
            Ok(Outcome::AskLater(pause)) => {
                failures = 0;
                tokio::time::sleep(pause).await;
                continue;
            }
            Ok(Outcome::Stopped) => unreachable!("a local upload is stopped by dropping it"),
            Err(UploadError::Spoiled(spoiled)) => return Err(spoiled.into()),
            Err(UploadError::Host(error)) => return Err(host.tell(submission, error.into())),
            Err(UploadError::Request(error)) => error,
        };
        if failures == client.config().upload_retries || !is_passing(&error, host.is_asking()) {
            return Err(host.tell(submission, error));
        }
        let asked = error.api().and_then(|api| api.retry_after).unwrap_or_default();
        tracing::debug!(%error, "a passing fault of an upload");
        tokio::time::sleep(asked.min(LONGEST_PAUSE).max(super::pause(Duration::from_secs(1), failures))).await;
        failures += 1;
    }
}

/// Whether the same call is worth another try. A chunk that met no answer or a proxy's was repeated already, as often
/// as the client is set to, unless the server asked for a pause; a question was not.
fn is_passing(error: &Error, is_asking: bool) -> bool {
    match error {
        Error::Unreachable { .. } | Error::Lost { .. } => is_asking,
        Error::Refused(api) => match api.status {
            408 | 425 | 429 | 500 => true,
            status => status > 500 && (is_asking || api.retry_after.is_some()),
        },
        _ => false,
    }
}

/// What a person would call it.
fn what(submission: &Submission) -> String {
    match (&submission.making, submission.files.last()) {
        (Making::Sample { name }, _) => name.clone(),
        (_, Some(file)) => file.filename.clone(),
        (_, None) => String::new(),
    }
}

/// Files on disk as the state machine's host.
struct LocalHost<'a, C> {
    files: Vec<LocalFile>,
    checkpoint: &'a mut C,
    /// As it was stored last.
    saved: Saved,
    bars: Bars,
}

impl<C> LocalHost<'_, C> {
    /// Whether a last chunk has left whose end is not known.
    fn is_asking(&self) -> bool {
        self.saved.progress.files.iter().any(|file| matches!(file.stage, Stage::Asking { .. }))
    }

    /// The error, and with it that the upload may be on Flow all the same, where it may.
    fn tell(&self, submission: &Submission, error: Error) -> Error {
        let last = self.saved.progress.files.last();
        let has_left =
            last.is_some_and(|file| matches!(file.stage, Stage::Asking { .. }) || !file.abandoned.is_empty());
        if has_left { Error::Unsettled { what: what(submission), source: Box::new(error) } } else { error }
    }
}

impl<C: Checkpoint> Host for LocalHost<'_, C> {
    type Error = FileError;

    async fn store(&mut self, progress: &Progress) -> Result<(), FileError> {
        self.saved.progress.clone_from(progress);
        self.bars.show(progress);
        self.checkpoint.store(&self.saved).map_err(|source| FileError::Checkpoint { source })
    }

    async fn read(&mut self, file: usize, offset: u64, length: u64) -> Result<Bytes, FileError> {
        self.files[file].read(offset, length).await
    }

    async fn before_final_chunk(&mut self) -> Result<(), FileError> {
        for file in &self.files {
            file.look_again().await?;
        }
        Ok(())
    }

    fn is_stopping(&self) -> bool {
        false
    }
}
