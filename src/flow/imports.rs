//! Imports of samples from public archives by their accessions.

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use super::error::Error;
use super::raw::path_part;
use super::samples::SampleResource;

/// One accession that is to become a sample.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct SampleImportSpec {
    /// A run's or an experiment's accession: `ERR1160845`.
    pub accession: String,
    /// The sample type's identifier; see [`SampleResource::get_types`].
    pub sample_type: String,
    /// The sample's name; without one the server takes the accession.
    #[serde(skip_serializing_if = "is_empty")]
    pub name: Option<String>,
    /// The organism's id; see [`SampleResource::get_organisms`].
    #[serde(rename = "organism", skip_serializing_if = "is_empty")]
    pub organism_id: Option<String>,
    /// The id of one of the account's own projects; see [`SampleResource::get_owned_projects`].
    #[serde(rename = "project", skip_serializing_if = "is_empty")]
    pub project_id: Option<String>,
    /// The publication's PubMed id: digits alone.
    #[serde(skip_serializing_if = "is_empty")]
    pub pubmed: Option<String>,
    /// Metadata attributes and their values.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "as_object")]
    pub metadata: Vec<(String, String)>,
}

impl SampleImportSpec {
    /// An import of `accession` as a sample of this type, with nothing else said of it.
    pub fn new(accession: impl Into<String>, sample_type: impl Into<String>) -> Self {
        Self { accession: accession.into(), sample_type: sample_type.into(), ..Self::default() }
    }
}

fn is_empty(text: &Option<String>) -> bool {
    text.as_ref().is_none_or(String::is_empty)
}

fn as_object<S: Serializer>(pairs: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
}

/// A job that imports one or more accessions, all or none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleImportJob {
    #[serde(deserialize_with = "super::id::required")]
    pub id: String,
    pub status: ImportStatus,
    #[serde(default, deserialize_with = "super::lenient::time")]
    pub created: Option<Timestamp>,
    #[serde(default, deserialize_with = "super::lenient::time")]
    pub started: Option<Timestamp>,
    /// When it came to its end, well or not.
    #[serde(default, deserialize_with = "super::lenient::time")]
    pub finished: Option<Timestamp>,
    /// In the order in which they were asked for.
    #[serde(default, deserialize_with = "super::lenient::list_or_null")]
    pub accessions: Vec<String>,
    /// Once it is completed: the samples' ids, one for each accession and in their order.
    #[serde(default, deserialize_with = "super::id::list")]
    pub sample_ids: Vec<String>,
    /// The execution of the pipeline behind the job, if there is one.
    #[serde(default, deserialize_with = "super::id::optional")]
    pub execution_id: Option<String>,
    /// Why it failed, when it did.
    #[serde(default, deserialize_with = "super::lenient::word")]
    pub error: Option<String>,
}

/// How far an import has got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum ImportStatus {
    Running,
    Completed,
    Failed,
    /// A word that this client does not know.
    Other(String),
}

impl ImportStatus {
    /// Whether the job has come to its end. One of an unknown status has not.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }

    /// The server's word for it: `RUNNING`.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Running => "RUNNING",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Other(word) => word,
        }
    }
}

impl From<String> for ImportStatus {
    fn from(word: String) -> Self {
        match word.as_str() {
            "RUNNING" => Self::Running,
            "COMPLETED" => Self::Completed,
            "FAILED" => Self::Failed,
            _ => Self::Other(word),
        }
    }
}

impl From<ImportStatus> for String {
    fn from(status: ImportStatus) -> Self {
        status.as_str().to_owned()
    }
}

impl SampleResource<'_> {
    /// Starts one job that imports all of `imports`; [`SampleResource::get_import`] tells how it goes. Needs an
    /// account.
    ///
    /// # Errors
    /// [`Error::Refused`] as a bad request names what is not valid of which import, and nothing is begun.
    /// After [`Error::Lost`] the job may run all the same: asking again would import everything twice.
    pub async fn import_samples(&self, imports: &[SampleImportSpec]) -> Result<SampleImportJob, Error> {
        #[derive(Serialize)]
        struct Request<'a> {
            imports: &'a [SampleImportSpec],
        }
        self.0.post("/v2/sample-imports", &Request { imports }).await
    }

    /// How far an import has got. Needs an account.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Lost`] or [`Error::Refused`]; not found for an unknown job.
    pub async fn get_import(&self, id: &str) -> Result<SampleImportJob, Error> {
        self.0.get(&format!("/v2/sample-imports/{}", path_part("import job", id)?), &[]).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_said_is_not_sent() {
        let bare = SampleImportSpec::new("ERR1", "RNA-Seq");
        assert_eq!(serde_json::to_value(&bare).unwrap(), json!({"accession": "ERR1", "sample_type": "RNA-Seq"}));
        let full = SampleImportSpec {
            name: Some("N".into()),
            organism_id: Some("Hs".into()),
            project_id: Some("7".into()),
            pubmed: Some(String::new()),
            metadata: vec![("pi".into(), "P".into())],
            ..bare
        };
        let sent = json!({"accession": "ERR1", "sample_type": "RNA-Seq", "name": "N", "organism": "Hs", "project": "7",
            "metadata": {"pi": "P"}});
        assert_eq!(serde_json::to_value(&full).unwrap(), sent);
    }

    #[test]
    fn a_job_is_read_with_numbers_for_ids_and_with_an_unknown_status() {
        let job = json!({"id": 788995297969977723_u64, "status": "QUEUED", "sample_ids": [1, "2"], "new": true});
        let job: SampleImportJob = serde_json::from_value(job).unwrap();
        assert_eq!((job.id.as_str(), job.sample_ids), ("788995297969977723", vec!["1".to_owned(), "2".to_owned()]));
        assert!(!job.status.is_final() && job.status.as_str() == "QUEUED" && job.created.is_none());
    }
}
