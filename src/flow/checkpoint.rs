//! Where an upload of local files keeps how far it has got, when it is to outlive the process.

use std::io;
use std::time::UNIX_EPOCH;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::local::LocalFile;
use super::upload::{Making, Progress, Submission};

/// A place of the caller's own for the record of one upload: a file, a row, a key.
///
/// With one, an upload that was interrupted at any point, by a power cut too, goes on where it stopped when it is
/// asked for again, and one that was finished says its ids again and sends nothing. Without one, an upload that is
/// asked for again begins anew.
///
/// A checkpoint in a file:
///
/// ```
/// use std::fs::{self, File};
/// use std::io::{self, Write};
/// use std::path::PathBuf;
///
/// use flow_ingest::flow::{Checkpoint, NewSample, Saved};
///
/// struct JsonFile(PathBuf);
///
/// impl Checkpoint for JsonFile {
///     fn load(&mut self) -> io::Result<Option<Saved>> {
///         match fs::read(&self.0) {
///             Ok(json) => Ok(Some(serde_json::from_slice(&json)?)),
///             Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
///             Err(error) => Err(error),
///         }
///     }
///
///     fn store(&mut self, saved: &Saved) -> io::Result<()> {
///         // Whole or not at all, and on the disk before the upload goes on.
///         let draft = self.0.with_extension("draft");
///         let mut file = File::create(&draft)?;
///         file.write_all(&serde_json::to_vec(saved)?)?;
///         file.sync_all()?;
///         fs::rename(&draft, &self.0)?;
///         let folder = self.0.parent().filter(|folder| !folder.as_os_str().is_empty());
///         File::open(folder.unwrap_or(".".as_ref()))?.sync_all()
///     }
/// }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use flow_ingest::flow::{Client, ClientConfig, TokenCredentials};
/// # let dir = tempfile::tempdir()?;
/// # let sandbox = flow_ingest::sandbox::Sandbox::start(flow_ingest::sandbox::Settings::new(dir.path())).await?;
/// # let client = Client::new(sandbox.base_url(), ClientConfig::default())?;
/// # client.log_in(&TokenCredentials::new(sandbox.token())).await?;
/// # let reads = dir.path().join("reads_R1.fastq.gz");
/// # fs::write(&reads, "reads")?;
/// # let folder = dir.path();
/// let sample = NewSample::new("RNA01", "RNA-Seq").file("reads1", reads);
/// let mut checkpoint = JsonFile(folder.join("RNA01.json"));
/// let sent = client.samples().upload_sample_with(&sample, &mut checkpoint).await?;
/// let again = client.samples().upload_sample_with(&sample, &mut checkpoint).await?;
/// assert_eq!(sent, again);
/// # assert_eq!(sandbox.samples().len(), 1);
/// # Ok(())
/// # }
/// ```
///
/// Both methods are called between requests, on the thread that drives the upload: they may touch a disk, and should
/// not take long. Nobody else may use the record meanwhile: two uploads with one checkpoint would send everything
/// twice. Whoever needs more (bytes that lie elsewhere, a stop between two chunks) brings a [`super::Host`] of their
/// own to [`super::advance`].
pub trait Checkpoint: Send {
    /// What was stored last; `None` when nothing ever was.
    ///
    /// # Errors
    /// Nothing is sent then.
    fn load(&mut self) -> io::Result<Option<Saved>>;

    /// Stores the record in place of the one before. When it returns, the record survives a power cut.
    ///
    /// # Errors
    /// Nothing more is sent then.
    fn store(&mut self, saved: &Saved) -> io::Result<()>;
}

/// The record of one upload, to be kept as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// The form of this record.
    pub version: u32,
    /// Which upload it is of: the SHA-256, in hex, of all that is sent along, and of the files' names, sizes and
    /// modification times. A record is of use only to the same upload of the same files.
    pub upload: String,
    /// How far it has got.
    pub progress: Progress,
}

impl Saved {
    /// The form that this version writes and reads.
    pub(super) const VERSION: u32 = 1;
}

/// The name of an upload, for [`Saved::upload`].
pub(super) fn name_of(submission: &Submission, files: &[LocalFile]) -> String {
    let mut hash = Sha256::new();
    let mut add = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    let (kind, word) = match &submission.making {
        Making::Sample { name } => ("sample", name.as_str()),
        Making::File { .. } => ("file", ""),
        Making::Multiplexed { ignore_warnings: true } => ("multiplexed", "ignore warnings"),
        Making::Multiplexed { ignore_warnings: false } => ("multiplexed", ""),
    };
    add(kind.as_bytes());
    add(word.as_bytes());
    for (name, value) in &submission.fields {
        add(name.as_bytes());
        add(value.as_bytes());
    }
    add(b"files");
    for (sent, local) in submission.files.iter().zip(files) {
        let modified = local.modified().duration_since(UNIX_EPOCH).unwrap_or_default();
        add(sent.filename.as_bytes());
        add(&sent.size.to_le_bytes());
        add(&modified.as_nanos().to_le_bytes());
    }
    HEXLOWER.encode(&hash.finalize())
}

/// No place: the upload is remembered as long as the call lasts.
pub(super) struct Nowhere;

impl Checkpoint for Nowhere {
    fn load(&mut self) -> io::Result<Option<Saved>> {
        Ok(None)
    }

    fn store(&mut self, _saved: &Saved) -> io::Result<()> {
        Ok(())
    }
}
