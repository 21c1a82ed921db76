//! Uploads of samples from local files, checked before anything is sent.

use std::path::{Path, PathBuf};

use super::checkpoint::{Checkpoint, Nowhere};
use super::error::Error;
use super::local;
use super::samples::SampleResource;
use super::upload::{Making, Submission};

/// Fields with a meaning of their own: metadata by such a name would be taken for something else.
const RESERVED: &[&str] = &[
    "filename",
    "expected_file_size",
    "is_last",
    "data",
    "blob",
    "is_last_sample",
    "previous_data",
    "sample_name",
    "sample_type",
    "project",
    "organism",
];

/// A sample that is to be made of local files.
///
/// ```
/// use flow_ingest::flow::NewSample;
///
/// let sample = NewSample::new("RNA01", "RNA-Seq")
///     .file("reads1", "RNA01_R1.fastq.gz")
///     .file("reads2", "RNA01_R2.fastq.gz")
///     .metadata("strandedness", "reverse")
///     .metadata("source", "HeLa")
///     .metadata("source__annotation", "passage 12")
///     .project("788995297969977723")
///     .organism("Hs");
/// # assert!(sample.check().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSample {
    name: String,
    sample_type: String,
    files: Vec<(String, PathBuf)>,
    metadata: Vec<(String, String)>,
    project: Option<String>,
    organism: Option<String>,
}

impl NewSample {
    /// A sample by this name, which the server refuses with spaces in it, and of this type, by its identifier; see
    /// [`SampleResource::get_types`].
    pub fn new(name: impl Into<String>, sample_type: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            sample_type: sample_type.into(),
            files: Vec::new(),
            metadata: Vec::new(),
            project: None,
            organism: None,
        }
    }

    /// Adds a file. The reads of a sequencing sample have the keys `reads1` and `reads2`; the files of other samples
    /// have any other keys, and go up in the order in which they were added.
    #[must_use]
    pub fn file(mut self, key: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        self.files.push((key.into(), path.into()));
        self
    }

    /// Says something about the sample: an attribute's identifier and the value, or `<identifier>__annotation` and a
    /// text; see [`SampleResource::get_metadata_attributes`].
    #[must_use]
    pub fn metadata(mut self, identifier: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.push((identifier.into(), value.into()));
        self
    }

    /// Puts the sample into a project, by its id: one of the account's own.
    #[must_use]
    pub fn project(self, id: impl Into<String>) -> Self {
        Self { project: Some(id.into()), ..self }
    }

    /// Says which organism the sample is of, by its id.
    #[must_use]
    pub fn organism(self, id: impl Into<String>) -> Self {
        Self { organism: Some(id.into()), ..self }
    }

    /// Checks what can be told without the server, and gives the files in the order in which they go up.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is no file, a key comes twice, `reads2` comes without `reads1` or reads with
    /// other keys; when an attribute comes twice, or has a name that is a field of the protocol or cannot be sent
    /// unchanged.
    pub fn check(&self) -> Result<Vec<(&str, &Path)>, Error> {
        self.check_metadata()?;
        local::in_order(&self.files).map_err(|reason| self.invalid(&reason))
    }

    fn check_metadata(&self) -> Result<(), Error> {
        let names = || self.metadata.iter().map(|(name, _)| name.as_str());
        if let Some(name) = names().find(|name| RESERVED.contains(name)) {
            return Err(
                self.invalid(&format!("'{name}' is not a metadata attribute, but a field of the upload itself"))
            );
        }
        // These would have to be escaped, and arrive as another name.
        let is_sendable = |name: &str| !name.is_empty() && !name.contains(|c: char| c == '"' || c.is_control());
        if let Some(name) = names().find(|name| !is_sendable(name)) {
            return Err(self.invalid(&format!("{name:?} cannot be the name of a metadata attribute")));
        }
        match local::repeated(names()) {
            Some(name) => Err(self.invalid(&format!("the metadata attribute '{name}' is given twice"))),
            None => Ok(()),
        }
    }

    fn invalid(&self, reason: &str) -> Error {
        Error::Invalid { reason: format!("cannot upload the sample {:?}: {reason}", self.name) }
    }

    /// What the endpoint wants beside the protocol's own fields, in the reference client's order.
    fn fields(&self) -> Vec<(String, String)> {
        let given = |name: &str, value: &Option<String>| {
            value.clone().filter(|value| !value.is_empty()).map(|value| (name.to_owned(), value))
        };
        [("sample_name".to_owned(), self.name.clone()), ("sample_type".to_owned(), self.sample_type.clone())]
            .into_iter()
            .chain(self.metadata.iter().cloned())
            .chain(given("project", &self.project))
            .chain(given("organism", &self.organism))
            .collect()
    }
}

/// A sample that went up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The id, which other calls take.
    pub id: String,
    /// Its files' ids, in the order in which they went up.
    pub data_ids: Vec<String>,
}

impl SampleResource<'_> {
    /// Uploads a sample, file after file, in chunks, and waits until the server has made it. Needs an account.
    ///
    /// Progress is shown as [`super::ClientConfig::show_progress`] says. No answer that gets lost makes a second
    /// sample: a last chunk is never sent again blindly. Dropping the future stops the upload, for good: what the
    /// server has of it stays there, unfinished and unseen, unless the very last chunk had left. To go on later
    /// instead, use [`SampleResource::upload_sample_with`].
    ///
    /// # Errors
    /// Before anything is sent: [`Error::Invalid`] for what [`NewSample::check`] finds, [`Error::File`] for a file
    /// that cannot be read, [`Error::Spoiled`] for an empty one, which Flow cannot take. Then [`Error::Refused`] for
    /// what the server refuses (a name with spaces, an unknown type, a missing attribute, no account),
    /// [`Error::Unreachable`] and [`Error::Lost`] once the retries are used up, [`Error::File`] when a file changed
    /// meanwhile, [`Error::Unsettled`] when nobody could say what became of the last chunk, [`Error::Spoiled`] when
    /// what Flow has is not what was sent.
    pub async fn upload_sample(&self, sample: &NewSample) -> Result<Sample, Error> {
        self.upload_sample_with(sample, &mut Nowhere).await
    }

    /// Like [`SampleResource::upload_sample`], with a record of the caller's own that outlives the process: see
    /// [`Checkpoint`].
    ///
    /// # Errors
    /// Also [`Error::File`] when the record cannot be kept, and [`Error::Invalid`] when it is of another upload.
    pub async fn upload_sample_with(
        &self,
        sample: &NewSample,
        checkpoint: &mut impl Checkpoint,
    ) -> Result<Sample, Error> {
        let (files, sent) = local::open(sample.check()?.into_iter().map(|(_, path)| path)).await?;
        let submission = Submission {
            making: Making::Sample { name: sample.name.clone() },
            fields: sample.fields(),
            files: sent,
            final_wait: None,
        };
        let finished = local::upload(self.0, &submission, files, checkpoint).await?;
        let id = finished.sample_id.ok_or_else(|| Error::lost("the upload", "it ended without a sample"))?;
        Ok(Sample { id, data_ids: finished.data_ids })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(given: &[&str]) -> Result<Vec<String>, String> {
        let sample = given.iter().fold(NewSample::new("S", "T"), |sample, key| sample.file(*key, format!("{key}.gz")));
        match sample.check() {
            Ok(files) => Ok(files.into_iter().map(|(key, _)| key.to_owned()).collect()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn reads_go_up_in_their_order_and_other_files_in_the_callers() {
        assert_eq!(keys(&["reads1"]).unwrap(), ["reads1"]);
        assert_eq!(keys(&["reads2", "reads1"]).unwrap(), ["reads1", "reads2"]);
        assert_eq!(keys(&["raw", "index", "a"]).unwrap(), ["raw", "index", "a"]);
        for (given, reason) in [
            (&[][..], "it has no file"),
            (&["reads2"], "it has reads2, but no reads1"),
            (&["reads1", "reads3"], "'reads3' cannot be among reads: those are reads1 and reads2 alone"),
            (&["input", "reads1"], "'input' cannot be among reads: those are reads1 and reads2 alone"),
            (&["reads"], "'reads' cannot be among reads: those are reads1 and reads2 alone"),
            (&["a", "b", "a"], "there are two files for 'a'"),
        ] {
            assert_eq!(keys(given).unwrap_err(), format!("cannot upload the sample \"S\": {reason}"));
        }
    }

    #[test]
    fn metadata_cannot_pass_for_a_field_of_the_upload() {
        let refused = |name: &str| {
            let sample = NewSample::new("S", "T").file("reads1", "r").metadata("pi", "P").metadata(name, "x");
            sample.check().unwrap_err().to_string()
        };
        for name in RESERVED {
            assert!(refused(name).ends_with("a field of the upload itself"));
            assert!(crate::sample::is_reserved_attribute(name), "manifests and commands let {name} pass");
        }
        for name in ["", "a\"; name=\"is_last", "a\r\nb", "a\0"] {
            assert!(refused(name).ends_with("cannot be the name of a metadata attribute"), "{name:?}");
        }
        assert!(refused("pi").ends_with("the metadata attribute 'pi' is given twice"));
    }

    #[test]
    fn fields_come_in_the_reference_clients_order() {
        let sample = NewSample::new("S", "T").organism("Hs").metadata("b", "1").metadata("a", "").project("");
        let fields: Vec<_> = sample.fields();
        let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(fields, [("sample_name", "S"), ("sample_type", "T"), ("b", "1"), ("a", ""), ("organism", "Hs")]);
    }
}
