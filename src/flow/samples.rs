//! Samples: reading one, and finding one again.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::client::{Client, Me};
use super::error::Error;
use super::pages::{List, Pages};
use super::raw::path_part;

/// A sample on Flow, with its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleDetails {
    /// The id, which other calls take.
    #[serde(deserialize_with = "super::id::required")]
    pub id: String,
    /// The name that it was given.
    pub name: String,
    /// When it was made.
    #[serde(default, deserialize_with = "super::lenient::time")]
    pub created: Option<Timestamp>,
    /// The sample type's identifier.
    #[serde(default, deserialize_with = "super::lenient::word")]
    pub sample_type: Option<String>,
    /// Which organism it is of, if that was said.
    #[serde(default, deserialize_with = "super::lenient::or_default")]
    pub organism: Option<Named>,
    /// The project that it is in, if it is in one.
    #[serde(default, deserialize_with = "super::lenient::or_default")]
    pub project: Option<Named>,
    /// Whose it is.
    #[serde(default, deserialize_with = "super::lenient::or_default")]
    pub owner: Option<Owner>,
    /// Whether only its owner, and whom they chose, may see it.
    #[serde(default, deserialize_with = "super::lenient::or_default")]
    pub private: Option<bool>,
    /// What is said about it, under the attributes' identifiers.
    #[serde(default, deserialize_with = "super::lenient::or_default")]
    pub metadata: BTreeMap<String, MetadataValue>,
    /// Its files, as far as they are ready.
    #[serde(default, deserialize_with = "super::lenient::list_or_null")]
    pub filesets: Vec<Fileset>,
}

impl SampleDetails {
    /// The files of all filesets.
    pub fn files(&self) -> impl Iterator<Item = &FileEntry> {
        self.filesets.iter().flat_map(|fileset| &fileset.data)
    }
}

/// Something with an id, as another thing refers to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// The id, which other calls take.
    #[serde(deserialize_with = "super::id::required")]
    pub id: String,
    /// What people call it.
    #[serde(default, deserialize_with = "super::lenient::word")]
    pub name: Option<String>,
}

/// Whose something is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The name that they log in with.
    #[serde(default, deserialize_with = "super::lenient::word")]
    pub username: Option<String>,
    /// The name that people know them by.
    #[serde(default, deserialize_with = "super::lenient::word")]
    pub name: Option<String>,
}

/// What an attribute says about a sample.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MetadataValue {
    /// What is said. The items of a list are separated by commas.
    #[serde(default, deserialize_with = "super::lenient::word")]
    pub value: Option<String>,
    /// The free text beside the value.
    #[serde(default, deserialize_with = "super::lenient::word")]
    pub annotation: Option<String>,
}

/// Files that belong together: a pair of reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fileset {
    /// Ready files only.
    #[serde(default, deserialize_with = "super::lenient::list_or_null")]
    pub data: Vec<FileEntry>,
}

/// A file, as a sample lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// The id, which other calls take.
    #[serde(deserialize_with = "super::id::required")]
    pub id: String,
    /// The name under which it is stored.
    #[serde(default, deserialize_with = "super::lenient::or_default")]
    pub filename: String,
    /// Bytes.
    #[serde(default, deserialize_with = "super::lenient::or_default")]
    pub size: Option<u64>,
}

/// A sample, as a search lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundSample {
    /// The id, which other calls take.
    #[serde(deserialize_with = "super::id::required")]
    pub id: String,
    /// The name that it was given.
    pub name: String,
    /// When it was made.
    #[serde(default, deserialize_with = "super::lenient::time")]
    pub created: Option<Timestamp>,
    /// The sample type's identifier.
    #[serde(default, deserialize_with = "super::lenient::word")]
    pub sample_type: Option<String>,
    /// The name of the project that it is in, if it is in one.
    #[serde(default, deserialize_with = "super::lenient::word")]
    pub project_name: Option<String>,
}

/// Samples; see [`Client::samples`].
#[derive(Debug)]
pub struct SampleResource<'a>(pub(super) &'a Client);

impl SampleResource<'_> {
    /// One sample with its files, project, owner and metadata.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Lost`] or [`Error::Refused`]; not found for an unknown sample, and for one
    /// that the account may not see.
    pub async fn get_sample(&self, id: &str) -> Result<SampleDetails, Error> {
        self.0.get(&format!("/samples/{}", path_part("sample id", id)?), &[]).await
    }

    /// The account's own samples whose names contain this text, a page at a time as they are read. `GET /me` is asked
    /// before the first page, since the search itself treats a bad token as nobody's and finds nothing.
    pub fn search_samples(&self, name: &str) -> Pages<FoundSample> {
        self.search(name, true)
    }

    fn search(&self, name: &str, hides_bad_token: bool) -> Pages<FoundSample> {
        let query = vec![("name", name.to_owned()), ("owned", "true".to_owned())];
        Pages::new(self.0, List { path: "/samples/search", key: "samples", query, hides_bad_token })
    }

    /// Our own samples with exactly this name; the server's search is by substring, and over pages.
    ///
    /// An empty list means "none" only while the token is good: see [`Client::me`].
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Lost`] or [`Error::Refused`].
    pub async fn owned_by_name(&self, name: &str) -> Result<Vec<FoundSample>, Error> {
        let mut found = self.search(name, false).collect_all().await?;
        found.retain(|sample| sample.name == name);
        Ok(found)
    }

    /// Our own samples with exactly this name, with their files, as far as `is_wanted` lets them be looked at. An empty
    /// list means that there is none: it was given between two answers of `GET /me` under one token, the first of them
    /// no older than a minute. What says that it is another account's is left out, should the search have given it.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Lost`] or [`Error::Refused`].
    pub async fn own_by_name(
        &self,
        name: &str,
        is_wanted: impl Fn(&FoundSample) -> bool,
    ) -> Result<Vec<SampleDetails>, Error> {
        let (me, mut own) = self.between_two_callers(name, is_wanted).await?;
        own.retain(|sample| me.may_own(sample.owner.as_ref()));
        Ok(own)
    }

    /// The sample of ours that holds one of these files, if there is one. `GET /me` is asked before and after, since
    /// a search with a bad token finds nothing and says nothing.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Lost`] or [`Error::Refused`].
    pub async fn holding_any_of(&self, name: &str, data_ids: &[String]) -> Result<Option<SampleDetails>, Error> {
        let (_, found) = self.between_two_callers(name, |_| true).await?;
        // The ids are ours, whoever is called the owner.
        Ok(found.into_iter().find(|sample| sample.files().any(|file| data_ids.contains(&file.id))))
    }

    /// What the search for a name leads to, surely said to us, and who we are.
    async fn between_two_callers(
        &self,
        name: &str,
        is_wanted: impl Fn(&FoundSample) -> bool,
    ) -> Result<(Me, Vec<SampleDetails>), Error> {
        loop {
            let before = self.0.caller().await?;
            let mut found = Vec::new();
            for candidate in self.owned_by_name(name).await?.iter().filter(|candidate| is_wanted(candidate)) {
                match self.get_sample(&candidate.id).await {
                    Ok(details) => found.push(details),
                    // Gone since, or the token has expired: the second question tells.
                    Err(error) if error.status() == Some(404) => {}
                    Err(error) => return Err(error),
                }
            }
            if self.0.caller_still().await?.token == before.token {
                return Ok((before.me, found));
            }
        }
    }
}
