//! Data files: what Flow says about one.

use serde::Deserialize;

use super::client::Client;
use super::error::{Error, ErrorKind};

/// A file on Flow that is ready.
#[derive(Debug, Clone, Deserialize)]
pub struct Data {
    #[serde(deserialize_with = "super::id::required")]
    pub id: String,
    #[serde(default)]
    pub filename: String,
    /// Size in bytes of what Flow stored.
    pub size: u64,
    /// The sample that it belongs to, if any.
    #[serde(default)]
    pub sample: Option<SampleLink>,
}

/// A sample, as a data file names it.
#[derive(Debug, Clone, Deserialize)]
pub struct SampleLink {
    #[serde(deserialize_with = "super::id::required")]
    pub id: String,
    #[serde(default)]
    pub name: Option<String>,
}

/// Generic data files; see [`Client::data`].
pub struct DataResource<'a>(pub(super) &'a Client);

impl DataResource<'_> {
    /// What Flow knows of a file; `None` while its upload is not finished, and for ever if it never is: the server's
    /// 404 means both (endpoint notes).
    ///
    /// # Errors
    /// Everything in [`Error`] but a 404.
    pub async fn get_data(&self, id: &str) -> Result<Option<Data>, Error> {
        match self.0.get(&format!("/data/{id}"), &[]).await {
            Ok(data) => Ok(Some(data)),
            Err(error) if error.api().is_some_and(|e| e.kind() == ErrorKind::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Like [`DataResource::get_data`], but "not ready" is said only while Flow knows who asks: with an expired token
    /// it answers 404 as well, and 401 only at `GET /me`, which brings a fresh token or an error.
    ///
    /// # Errors
    /// Everything in [`Error`] but a 404.
    pub async fn get_own_data(&self, id: &str) -> Result<Option<Data>, Error> {
        let token = self.0.token_generation().await;
        if let Some(data) = self.get_data(id).await? {
            return Ok(Some(data));
        }
        match self.0.me().await {
            // A server without the question cannot answer it; what it said of the file stands.
            Err(error) if error.status() == Some(404) => {}
            answer => drop(answer?),
        }
        if self.0.token_generation().await == token { Ok(None) } else { self.get_data(id).await }
    }
}
