//! Uploads of multiplexed reads: one or two files with the reads of many samples, and the sheet that tells them apart.

use std::path::PathBuf;

use serde_json::Value;

use super::checkpoint::{Checkpoint, Nowhere};
use super::error::Error;
use super::local;
use super::samples::SampleResource;
use super::upload::{Making, Submission};

/// Multiplexed reads that are to go up with their annotation sheet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMultiplexed {
    annotation: PathBuf,
    reads1: PathBuf,
    reads2: Option<PathBuf>,
    ignore_warnings: bool,
}

impl NewMultiplexed {
    /// The reads in this file, and the `.xlsx` or `.csv` sheet that describes their samples; see
    /// [`SampleResource::get_annotation_template`].
    pub fn new(reads1: impl Into<PathBuf>, annotation: impl Into<PathBuf>) -> Self {
        Self { annotation: annotation.into(), reads1: reads1.into(), reads2: None, ignore_warnings: true }
    }

    /// Adds the mates.
    #[must_use]
    pub fn reads2(self, path: impl Into<PathBuf>) -> Self {
        Self { reads2: Some(path.into()), ..self }
    }

    /// Whether the reads go up although the server warns about the sheet: `true` unless said otherwise. What it warned
    /// of is in [`MultiplexedUpload::warnings`]. With `false` a warning ends the upload as an error does.
    #[must_use]
    pub fn ignore_warnings(self, ignore_warnings: bool) -> Self {
        Self { ignore_warnings, ..self }
    }
}

/// Multiplexed reads that went up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultiplexedUpload {
    /// The ids of one or two reads files.
    pub data_ids: Vec<String>,
    /// The annotation sheet's id.
    pub annotation_id: String,
    /// What the server warned of about the sheet, one object each, as it sent them; empty when it was content.
    pub warnings: Vec<Value>,
}

impl SampleResource<'_> {
    /// Uploads multiplexed reads. The annotation sheet goes first, so that a bad one costs no upload of reads. Needs an
    /// account.
    ///
    /// ```no_run
    /// # async fn example(client: flow_ingest::flow::Client) -> Result<(), flow_ingest::flow::Error> {
    /// use flow_ingest::flow::NewMultiplexed;
    ///
    /// let pool = NewMultiplexed::new("pool_R1.fastq.gz", "pool.xlsx").reads2("pool_R2.fastq.gz");
    /// let sent = client.samples().upload_multiplexed_data(&pool).await?;
    /// for warning in &sent.warnings {
    ///     eprintln!("{warning}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for [`SampleResource::upload_sample`]. What is wrong with the sheet, and what the server warns of when that
    /// is not ignored, is [`Error::Refused`] of the kind [`super::ErrorKind::AnnotationValidation`], with
    /// [`super::ApiError::annotation_problems`].
    pub async fn upload_multiplexed_data(&self, multiplexed: &NewMultiplexed) -> Result<MultiplexedUpload, Error> {
        self.upload_multiplexed_data_with(multiplexed, &mut Nowhere).await
    }

    /// Like [`SampleResource::upload_multiplexed_data`], with a record of the caller's own that outlives the process:
    /// see [`Checkpoint`].
    ///
    /// # Errors
    /// Also [`Error::File`] when the record cannot be kept, and [`Error::Invalid`] when it is of another upload.
    pub async fn upload_multiplexed_data_with(
        &self,
        multiplexed: &NewMultiplexed,
        checkpoint: &mut impl Checkpoint,
    ) -> Result<MultiplexedUpload, Error> {
        let NewMultiplexed { annotation, reads1, reads2, ignore_warnings } = multiplexed;
        let paths = [annotation, reads1].into_iter().chain(reads2);
        let (files, sent) = local::open(paths.map(PathBuf::as_path)).await?;
        let making = Making::Multiplexed { ignore_warnings: *ignore_warnings };
        let submission = Submission { making, fields: Vec::new(), files: sent, final_wait: None };
        let finished = local::upload(self.0, &submission, files, checkpoint).await?;
        let mut ids = finished.data_ids.into_iter();
        let annotation_id = ids.next().ok_or_else(|| Error::lost("the upload", "it ended without an id"))?;
        let warnings = match finished.warnings {
            Some(Value::Array(warnings)) => warnings,
            warnings => warnings.into_iter().collect(),
        };
        Ok(MultiplexedUpload { data_ids: ids.collect(), annotation_id, warnings })
    }
}
