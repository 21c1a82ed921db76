//! Samples: finding one again.

use serde::Deserialize;

use super::client::Client;
use super::error::Error;

/// Items a page; the server's limit (endpoint notes).
const PAGE: usize = 100;

/// A sample on Flow, with its files.
#[derive(Debug, Clone, Deserialize)]
pub struct SampleDetails {
    #[serde(deserialize_with = "super::id::required")]
    pub id: String,
    pub name: String,
    #[serde(default)]
    pub filesets: Vec<Fileset>,
}

impl SampleDetails {
    /// The files of all filesets.
    pub fn files(&self) -> impl Iterator<Item = &FileEntry> {
        self.filesets.iter().flat_map(|fileset| &fileset.data)
    }
}

/// Files that belong together: a pair of reads.
#[derive(Debug, Clone, Deserialize)]
pub struct Fileset {
    /// Ready files only.
    #[serde(default)]
    pub data: Vec<FileEntry>,
}

/// A file, as a sample lists it.
#[derive(Debug, Clone, Deserialize)]
pub struct FileEntry {
    #[serde(deserialize_with = "super::id::required")]
    pub id: String,
    #[serde(default)]
    pub filename: String,
    #[serde(default)]
    pub size: Option<u64>,
}

/// A sample, as a search lists it.
#[derive(Debug, Clone, Deserialize)]
pub struct FoundSample {
    #[serde(deserialize_with = "super::id::required")]
    pub id: String,
    pub name: String,
}

/// Samples; see [`Client::samples`].
pub struct SampleResource<'a>(pub(super) &'a Client);

impl SampleResource<'_> {
    /// One sample with its files.
    ///
    /// # Errors
    /// Everything in [`Error`].
    pub async fn get_sample(&self, id: &str) -> Result<SampleDetails, Error> {
        self.0.get(&format!("/samples/{id}"), &[]).await
    }

    /// Our own samples with exactly this name; the server's search is by substring, and over pages.
    ///
    /// An empty list means "none" only while the token is good: see [`Client::me`].
    ///
    /// # Errors
    /// Everything in [`Error`].
    pub async fn owned_by_name(&self, name: &str) -> Result<Vec<FoundSample>, Error> {
        #[derive(Deserialize)]
        struct Page {
            count: usize,
            samples: Vec<FoundSample>,
        }
        let mut found = Vec::new();
        let mut seen = 0;
        for page in 1usize.. {
            let (number, count) = (page.to_string(), PAGE.to_string());
            let query = [("name", name), ("owned", "true"), ("page", &number), ("count", &count)];
            let answer: Page = self.0.get("/samples/search", &query).await?;
            seen += answer.samples.len();
            let is_end = answer.samples.is_empty() || seen >= answer.count;
            found.extend(answer.samples.into_iter().filter(|sample| sample.name == name));
            if is_end {
                break;
            }
        }
        Ok(found)
    }

    /// The sample of ours that holds one of these files, if there is one. `GET /me` is asked before and after, since
    /// a search with a bad token finds nothing and says nothing.
    ///
    /// # Errors
    /// Everything in [`Error`].
    pub async fn holding_any_of(&self, name: &str, data_ids: &[String]) -> Result<Option<SampleDetails>, Error> {
        self.0.me().await?;
        for candidate in self.owned_by_name(name).await? {
            let details = match self.get_sample(&candidate.id).await {
                Ok(details) => details,
                // Removed since the search.
                Err(error) if error.status() == Some(404) => continue,
                Err(error) => return Err(error),
            };
            if details.files().any(|file| data_ids.contains(&file.id)) {
                return Ok(Some(details));
            }
        }
        self.0.me().await?;
        Ok(None)
    }
}
