//! What the platform offers to choose from: sample types, organisms, projects, data types, and annotation sheets.

use serde::{Deserialize, Serialize};

use super::client::Client;
use super::data::DataResource;
use super::error::Error;
use super::pages::{List, Pages};
use super::raw::path_part;
use super::samples::SampleResource;

/// A kind of sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleType {
    /// What an upload names it by: `RNA-Seq`.
    #[serde(deserialize_with = "super::id::required")]
    pub identifier: String,
    /// What people call it.
    #[serde(default, deserialize_with = "super::lenient::or_default")]
    pub name: String,
    #[serde(default, deserialize_with = "super::lenient::or_default")]
    pub description: String,
}

/// A species that samples come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organism {
    /// What an upload names it by: a short word, as `Hs`.
    #[serde(deserialize_with = "super::id::required")]
    pub id: String,
    /// The common name.
    #[serde(default, deserialize_with = "super::lenient::or_default")]
    pub name: String,
    #[serde(default, deserialize_with = "super::lenient::or_default")]
    pub latin_name: String,
}

/// A project that samples can be put into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    /// What an upload names it by.
    #[serde(deserialize_with = "super::id::required")]
    pub id: String,
    #[serde(default, deserialize_with = "super::lenient::or_default")]
    pub name: String,
    #[serde(default, deserialize_with = "super::lenient::or_default")]
    pub description: String,
}

/// A kind of generic file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataType {
    /// What an upload names it by: `bam`.
    #[serde(deserialize_with = "super::id::required")]
    pub identifier: String,
    /// What people call it.
    #[serde(default, deserialize_with = "super::lenient::or_default")]
    pub name: String,
    #[serde(default, deserialize_with = "super::lenient::or_default")]
    pub description: String,
}

impl SampleResource<'_> {
    /// The sample types there are. Needs no account.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Lost`] or [`Error::Refused`].
    pub async fn get_types(&self) -> Result<Vec<SampleType>, Error> {
        self.0.get("/samples/types", &[]).await
    }

    /// The organisms there are. Needs no account.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Lost`] or [`Error::Refused`].
    pub async fn get_organisms(&self) -> Result<Vec<Organism>, Error> {
        self.0.get("/organisms", &[]).await
    }

    /// The account's own projects, a page at a time as they are read. Nothing is asked before the first is.
    pub fn get_owned_projects(&self) -> Pages<Project> {
        let list = List { path: "/projects/owned", key: "projects", query: Vec::new(), hides_bad_token: false };
        Pages::new(self.0, list)
    }

    /// An empty annotation sheet for a multiplexed upload: the bytes of an `.xlsx` file, with a column for each
    /// metadata attribute of the sample type, or with those of all types for `None`.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Lost`] or [`Error::Refused`]; not found for an unknown type.
    pub async fn get_annotation_template(&self, sample_type: Option<&str>) -> Result<Vec<u8>, Error> {
        template(self.0, sample_type.unwrap_or("generic")).await
    }
}

impl DataResource<'_> {
    /// The types that a generic file can have. Needs no account.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Lost`] or [`Error::Refused`].
    pub async fn get_data_types(&self) -> Result<Vec<DataType>, Error> {
        self.0.get("/data/types", &[]).await
    }
}

async fn template(client: &Client, sample_type: &str) -> Result<Vec<u8>, Error> {
    client.get_raw(&format!("/annotation/{}", path_part("sample type", sample_type)?), &[]).await
}
