//! Metadata attributes: what can be said about a sample, what must be, and in which words.

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use super::client::Client;
use super::error::Error;
use super::raw::path_part;
use super::samples::SampleResource;

/// How many lists of options are fetched at a time.
const CONCURRENCY: usize = 8;

/// Something that can be said about a sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MetadataAttribute {
    /// The field that it travels in: `strandedness`.
    pub identifier: String,
    /// What people call it.
    pub name: String,
    /// What it says about a sample, in a sentence.
    pub description: String,
    /// Whether every sample must have it.
    pub required: bool,
    /// The sample types whose samples must have it; see [`MetadataAttribute::is_required_for`].
    pub required_for_sample_types: Vec<String>,
    /// Whether a sample must have it before it can be made public.
    pub required_for_public: bool,
    /// The sample types it belongs to; `None`: all.
    pub sample_types: Option<Vec<String>>,
    /// The values it is closed to; `None` where any value is taken, be it that words of the user's own are allowed
    /// beside the options.
    pub options: Option<Options>,
    /// Whether a list of options exists that values may go beyond; they can be looked up with
    /// [`SampleResource::get_options`].
    pub allow_user_terms: bool,
    /// Whether it takes a free text beside its value, in the field `<identifier>__annotation`.
    pub allow_annotation: bool,
    /// A regular expression that the value must match.
    pub regex_validator: Option<String>,
    /// Whether the value is a list, separated by commas.
    pub is_list: bool,
}

impl MetadataAttribute {
    /// Whether a sample of this type must have it.
    pub fn is_required_for(&self, sample_type: &str) -> bool {
        self.required || self.required_for_sample_types.iter().any(|required| required == sample_type)
    }

    /// Whether it belongs to samples of this type.
    pub fn applies_to(&self, sample_type: &str) -> bool {
        self.sample_types.as_ref().is_none_or(|types| types.iter().any(|one| one == sample_type))
    }
}

/// The values that an attribute is closed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Options {
    /// As far as the server lists them.
    pub values: Vec<String>,
    /// Whether there are more than `values`: the server never lists more than a hundred. The others can be found with
    /// [`SampleResource::get_options`].
    pub is_cut: bool,
    /// How many there are.
    pub total: usize,
}

/// An attribute as the server sends it.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    identifier: String,
    #[serde(default, deserialize_with = "super::lenient::or_default")]
    name: String,
    #[serde(default, deserialize_with = "super::lenient::or_default")]
    description: String,
    #[serde(default, deserialize_with = "super::lenient::or_default")]
    required: bool,
    #[serde(default, deserialize_with = "super::lenient::or_default")]
    required_for_public: bool,
    #[serde(default, deserialize_with = "super::lenient::or_default")]
    all_sample_types: Option<bool>,
    #[serde(default, deserialize_with = "super::lenient::list_or_null")]
    sample_type_links: Vec<Link>,
    #[serde(default, deserialize_with = "super::lenient::or_default")]
    has_options: bool,
    #[serde(default, deserialize_with = "super::lenient::or_default")]
    allow_user_terms: bool,
    #[serde(default, deserialize_with = "super::lenient::or_default")]
    allow_annotation: bool,
    #[serde(default, deserialize_with = "super::lenient::word")]
    regex_validator: Option<String>,
    #[serde(default, deserialize_with = "super::lenient::or_default")]
    is_list: bool,
}

#[derive(Debug, Deserialize)]
struct Link {
    sample_type_identifier: String,
    #[serde(default, deserialize_with = "super::lenient::or_default")]
    required: bool,
}

impl SampleResource<'_> {
    /// All metadata attributes, with the options of those that are closed to them. Needs no account.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Lost`] or [`Error::Refused`], of any of the requests.
    pub async fn get_metadata_attributes(&self) -> Result<Vec<MetadataAttribute>, Error> {
        let answers: Vec<Answer> = self.0.get("/samples/metadata", &[]).await?;
        let attributes = answers.into_iter().map(|answer| attribute(self.0.clone(), answer));
        stream::iter(attributes).buffered(CONCURRENCY).try_collect().await
    }

    /// The options of one attribute; with `containing`, those that contain this text. The server never lists more
    /// than a hundred, so this is the way to the others.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Lost`] or [`Error::Refused`]; not found for an unknown attribute.
    pub async fn get_options(&self, identifier: &str, containing: Option<&str>) -> Result<Options, Error> {
        options(self.0, identifier, containing).await
    }
}

async fn attribute(client: Client, answer: Answer) -> Result<MetadataAttribute, Error> {
    let is_closed = answer.has_options && !answer.allow_user_terms;
    let options = if is_closed { Some(options(&client, &answer.identifier, None).await?) } else { None };
    Ok(answer.with(options))
}

impl Answer {
    fn with(self, options: Option<Options>) -> MetadataAttribute {
        let types = || self.sample_type_links.iter().map(|link| link.sample_type_identifier.clone());
        // A server that does not say belongs to all when it names none.
        let is_for_all = self.all_sample_types.unwrap_or(self.sample_type_links.is_empty());
        let required = self.sample_type_links.iter().filter(|link| link.required);
        MetadataAttribute {
            sample_types: (!is_for_all).then(|| types().collect()),
            required_for_sample_types: required.map(|link| link.sample_type_identifier.clone()).collect(),
            identifier: self.identifier,
            name: self.name,
            description: self.description,
            required: self.required,
            required_for_public: self.required_for_public,
            options,
            allow_user_terms: self.allow_user_terms,
            allow_annotation: self.allow_annotation,
            regex_validator: self.regex_validator.filter(|pattern| !pattern.is_empty()),
            is_list: self.is_list,
        }
    }
}

async fn options(client: &Client, identifier: &str, containing: Option<&str>) -> Result<Options, Error> {
    #[derive(Deserialize)]
    struct Answer {
        /// How many match.
        #[serde(default)]
        count: Option<usize>,
        options: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        #[serde(deserialize_with = "super::lenient::word")]
        value: Option<String>,
    }
    let path = format!("/samples/metadata/{}/options", path_part("metadata attribute", identifier)?);
    let query: Vec<_> = containing.map(|text| ("value", text)).into_iter().collect();
    let answer: Answer = client.get(&path, &query).await?;
    let listed = answer.options.len();
    let values = answer.options.into_iter().filter_map(|entry| entry.value).collect();
    let total = answer.count.unwrap_or(listed).max(listed);
    Ok(Options { values, is_cut: total > listed, total })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_attribute_of_which_little_is_said_takes_anything_from_any_type() {
        let answer: Answer = serde_json::from_value(json!({"identifier": "pi", "sample_type_links": null})).unwrap();
        let attribute = answer.with(None);
        assert!(!attribute.required && attribute.options.is_none() && attribute.sample_types.is_none());
        assert!(attribute.applies_to("CLIP") && !attribute.is_required_for("CLIP"));
    }

    #[test]
    fn an_attribute_is_required_by_itself_or_by_a_type() {
        let links = json!([{"sample_type_identifier": "CLIP", "required": true, "new": 1}, {"sample_type_identifier": "RNA-Seq", "required": null}]);
        let answer =
            json!({"identifier": "x", "required": false, "all_sample_types": false, "sample_type_links": links});
        let attribute = serde_json::from_value::<Answer>(answer).unwrap().with(None);
        assert!(attribute.is_required_for("CLIP") && !attribute.is_required_for("RNA-Seq"));
        assert!(attribute.applies_to("RNA-Seq") && !attribute.applies_to("ChIP-Seq"));
        let answer = json!({"identifier": "x", "required": true});
        assert!(serde_json::from_value::<Answer>(answer).unwrap().with(None).is_required_for("ChIP-Seq"));
    }
}
