//! Uploads of generic files.

use std::path::{Path, PathBuf};

use super::checkpoint::{Checkpoint, Nowhere};
use super::data::DataResource;
use super::error::Error;
use super::local::{self, LocalFile};
use super::upload::{Making, Submission, SubmissionFile};

/// A local file that is to become a data file on Flow. A path is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewData {
    path: PathBuf,
    filename: Option<String>,
    data_type: Option<String>,
    is_directory: bool,
}

impl NewData {
    /// The file at `path`, under its own name.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), filename: None, data_type: None, is_directory: false }
    }

    /// Stores it under another name. The server refuses one with spaces.
    #[must_use]
    pub fn filename(self, filename: impl Into<String>) -> Self {
        Self { filename: Some(filename.into()), ..self }
    }

    /// Gives it a data type, by its identifier; see [`DataResource::get_data_types`].
    #[must_use]
    pub fn data_type(self, identifier: impl Into<String>) -> Self {
        Self { data_type: Some(identifier.into()), ..self }
    }

    /// Whether the server shall unpack it: then it is a `.zip`, `.tar` or `.tar.gz`.
    #[must_use]
    pub fn is_directory(self, is_directory: bool) -> Self {
        Self { is_directory, ..self }
    }

    /// What the endpoint wants beside the protocol's own fields.
    fn fields(&self) -> Vec<(String, String)> {
        let data_type = self.data_type.clone().map(|data_type| ("data_type".to_owned(), data_type));
        let is_directory = self.is_directory.then(|| ("is_directory".to_owned(), "true".to_owned()));
        data_type.into_iter().chain(is_directory).collect()
    }
}

impl From<&Path> for NewData {
    fn from(path: &Path) -> Self {
        Self::new(path)
    }
}

impl From<&PathBuf> for NewData {
    fn from(path: &PathBuf) -> Self {
        Self::new(path)
    }
}

impl From<PathBuf> for NewData {
    fn from(path: PathBuf) -> Self {
        Self::new(path)
    }
}

impl From<&str> for NewData {
    fn from(path: &str) -> Self {
        Self::new(path)
    }
}

/// A generic file that went up and is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadedData {
    /// The id, which other calls take.
    pub id: String,
    /// The name under which it is stored.
    pub filename: String,
    /// Bytes.
    pub size: u64,
}

impl DataResource<'_> {
    /// Uploads a local file as a data file, in chunks, and waits until it is ready at its full size. Needs an account.
    ///
    /// Progress is shown as [`super::ClientConfig::show_progress`] says. Dropping the future stops the upload, for
    /// good: what the server has of the file stays there, unfinished and unseen. To go on later instead, use
    /// [`DataResource::upload_data_with`].
    ///
    /// ```no_run
    /// # async fn example(client: flow_ingest::flow::Client) -> Result<(), flow_ingest::flow::Error> {
    /// use flow_ingest::flow::NewData;
    ///
    /// let data = client.data().upload_data("counts.tsv").await?;
    /// println!("{}", data.id);
    /// let renamed = NewData::new("counts.tsv").filename("run7_counts.tsv").data_type("counts");
    /// client.data().upload_data(renamed).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Before anything is sent: [`Error::File`] for a file that cannot be read, [`Error::Spoiled`] for an empty one,
    /// which Flow cannot take. Then [`Error::Refused`] for what the server refuses (a name with spaces, an unknown
    /// data type, no account), [`Error::Unreachable`] and [`Error::Lost`] once the retries are used up,
    /// [`Error::File`] when the file changed meanwhile, [`Error::Unsettled`] when nobody could say what became of the
    /// last chunk, [`Error::Spoiled`] when what Flow has is not what was sent.
    pub async fn upload_data(&self, data: impl Into<NewData>) -> Result<UploadedData, Error> {
        self.upload_data_with(&data.into(), &mut Nowhere).await
    }

    /// Like [`DataResource::upload_data`], with a record of the caller's own that outlives the process: see
    /// [`Checkpoint`].
    ///
    /// # Errors
    /// Also [`Error::File`] when the record cannot be kept, and [`Error::Invalid`] when it is of another upload.
    pub async fn upload_data_with(
        &self,
        data: &NewData,
        checkpoint: &mut impl Checkpoint,
    ) -> Result<UploadedData, Error> {
        let filename = data.filename.clone().map_or_else(|| local::filename_of(&data.path), Ok)?;
        let file = LocalFile::open(&data.path).await?;
        let size = file.size();
        let submission = Submission {
            making: Making::File { is_directory: data.is_directory },
            fields: data.fields(),
            files: vec![SubmissionFile { filename: filename.clone(), size }],
            final_wait: None,
        };
        let finished = local::upload(self.0, &submission, vec![file], checkpoint).await?;
        let id = finished.data_ids.into_iter().next();
        let id = id.ok_or_else(|| Error::lost("the upload", "it ended without an id"))?;
        Ok(UploadedData { id, filename, size })
    }
}
