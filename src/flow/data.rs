//! Data files: what Flow says about one, and finding one again.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::api_error::ErrorKind;
use super::client::Client;
use super::error::Error;
use super::pages::{List, Pages};
use super::raw::path_part;
use super::samples::Owner;

/// A file on Flow that is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Data {
    /// The id, which other calls take.
    #[serde(deserialize_with = "super::id::required")]
    pub id: String,
    /// The name under which it is stored.
    #[serde(default, deserialize_with = "super::lenient::or_default")]
    pub filename: String,
    /// Size in bytes of what Flow stored.
    pub size: u64,
    /// When its upload began.
    #[serde(default, deserialize_with = "super::lenient::time")]
    pub created: Option<Timestamp>,
    /// The data type's identifier, if it has one.
    #[serde(default, deserialize_with = "super::lenient::word")]
    pub data_type: Option<String>,
    /// Whether it was unpacked.
    #[serde(default, deserialize_with = "super::lenient::or_default")]
    pub is_directory: bool,
    /// Whose it is.
    #[serde(default, deserialize_with = "super::lenient::or_default")]
    pub owner: Option<Owner>,
    /// The sample that it belongs to, if any.
    #[serde(default)]
    pub sample: Option<SampleLink>,
}

/// A sample, as a data file names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleLink {
    /// The id, which other calls take.
    #[serde(deserialize_with = "super::id::required")]
    pub id: String,
    /// The sample's name.
    #[serde(default, deserialize_with = "super::lenient::word")]
    pub name: Option<String>,
}

/// A file, as a search lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundData {
    /// The id, which other calls take.
    #[serde(deserialize_with = "super::id::required")]
    pub id: String,
    /// The name under which it is stored.
    pub filename: String,
    /// Bytes.
    #[serde(default, deserialize_with = "super::lenient::or_default")]
    pub size: Option<u64>,
    /// When its upload began.
    #[serde(default, deserialize_with = "super::lenient::time")]
    pub created: Option<Timestamp>,
    /// The sample that it belongs to, if any.
    #[serde(default, deserialize_with = "super::lenient::word")]
    pub sample_name: Option<String>,
    /// The name that people know the owner by.
    #[serde(default, deserialize_with = "super::lenient::word")]
    pub owner_name: Option<String>,
}

/// Data files; see [`Client::data`].
#[derive(Debug)]
pub struct DataResource<'a>(pub(super) &'a Client);

impl DataResource<'_> {
    /// What Flow knows of a file; `None` while its upload is not finished, and for ever if it never is: the server's
    /// 404 means both (endpoint notes), and also that the account may not see it.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Lost`], or [`Error::Refused`] but for a 404.
    pub async fn get_data(&self, id: &str) -> Result<Option<Data>, Error> {
        match self.0.get(&format!("/data/{}", path_part("data id", id)?), &[]).await {
            Ok(data) => Ok(Some(data)),
            Err(error) if error.kind() == Some(ErrorKind::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Like [`DataResource::get_data`], but "not ready" is said only while Flow knows who asks: with an expired token
    /// it answers 404 as well, and 401 only at `GET /me`, which brings a fresh token or an error.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Lost`], or [`Error::Refused`] but for a 404.
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

    /// The account's own uploaded files whose names contain this text, a page at a time as they are read. `GET /me` is
    /// asked before the first page, since the search itself treats a bad token as nobody's and finds nothing.
    pub fn search(&self, filename: &str) -> Pages<FoundData> {
        self.search_as_anybody(filename, true)
    }

    fn search_as_anybody(&self, filename: &str, hides_bad_token: bool) -> Pages<FoundData> {
        let yes = || "true".to_owned();
        let query = vec![("owned", yes()), ("uploaded", yes()), ("filename", filename.to_owned())];
        Pages::new(self.0, List { path: "/data/search", key: "data", query, hides_bad_token })
    }

    /// Our own uploaded files with exactly this name that are in no sample, as far as `is_wanted` lets them be looked
    /// at. An empty list means that there is none: it was given between two answers of `GET /me` under one token, the
    /// first of them no older than a minute.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Lost`] or [`Error::Refused`].
    pub async fn own_by_filename(
        &self,
        filename: &str,
        is_wanted: impl Fn(&FoundData) -> bool,
    ) -> Result<Vec<Data>, Error> {
        loop {
            let before = self.0.caller().await?;
            let mut found = self.search_as_anybody(filename, false).collect_all().await?;
            found.retain(|file| file.filename == filename && file.sample_name.is_none() && is_wanted(file));
            let mut own = Vec::new();
            for candidate in found {
                // One that is not there is gone since, or the token has expired: the second question tells.
                let data = self.get_data(&candidate.id).await?;
                own.extend(data.filter(|data| data.sample.is_none() && before.me.may_own(data.owner.as_ref())));
            }
            if self.0.caller_still().await?.token == before.token {
                return Ok(own);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_file_needs_an_id_and_a_size_and_nothing_else() {
        let read = |value| serde_json::from_value::<Data>(value);
        let data =
            read(json!({"id": 788995297969977723_u64, "size": 5, "owner": 7, "sample": null, "new": {}})).unwrap();
        assert_eq!((data.id.as_str(), data.size, data.sample, data.owner), ("788995297969977723", 5, None, None));
        assert!(read(json!({"id": "7"})).is_err() && read(json!({"id": null, "size": 5})).is_err());
    }
}
