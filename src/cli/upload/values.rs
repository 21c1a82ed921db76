//! The values of a sheet, checked on Flow's behalf before anything is sent: what an attribute is closed to, what a
//! sample type requires, what there is at all.

use std::collections::BTreeMap;

use super::sheet::{Problem, Row};
use crate::flow::{self, Client, MetadataAttribute, Options};
use crate::sample::ANNOTATION_SUFFIX;

/// So many options are named to somebody who wrote another.
const SHOWN: usize = 12;

/// What Flow says of its attributes.
pub(super) struct Values<'a> {
    client: &'a Client,
    sample_type: &'a str,
    attributes: Vec<MetadataAttribute>,
    /// Whether an attribute has an option that its list, which is cut, does not show.
    beyond: BTreeMap<(String, String), bool>,
}

impl<'a> Values<'a> {
    pub async fn fetch(client: &'a Client, sample_type: &'a str) -> Result<Self, flow::Error> {
        let attributes = client.samples().get_metadata_attributes().await?;
        Ok(Self { client, sample_type, attributes, beyond: BTreeMap::new() })
    }

    /// Adds to a row what Flow would refuse in it.
    pub async fn check(&mut self, row: &mut Row) -> Result<(), flow::Error> {
        let mut problems = Vec::new();
        let sample_type = self.sample_type;
        for attribute in self.attributes.iter().filter(|attribute| attribute.is_required_for(sample_type)) {
            if row.metadata(&attribute.identifier).is_none() {
                problems.push(format!("{} is missing, which {sample_type} requires", attribute.identifier));
            }
        }
        for (name, value) in &row.metadata {
            let found = match self.attribute(name) {
                Some(attribute) => self.check_value(&attribute, value).await?,
                None => self.check_companion(row, name),
            };
            problems.extend(found);
        }
        row.problems.extend(problems.into_iter().map(Problem::Value));
        Ok(())
    }

    fn attribute(&self, identifier: &str) -> Option<MetadataAttribute> {
        self.attributes.iter().find(|attribute| attribute.identifier == identifier).cloned()
    }

    async fn check_value(&mut self, attribute: &MetadataAttribute, value: &str) -> Result<Option<String>, flow::Error> {
        let identifier = &attribute.identifier;
        if !attribute.applies_to(self.sample_type) {
            let types = attribute.sample_types.as_deref().unwrap_or_default().join(", ");
            return Ok(Some(format!("{identifier} is not said of {} samples, only of {types}", self.sample_type)));
        }
        let Some(options) = &attribute.options else { return Ok(None) };
        let items: Vec<&str> = if attribute.is_list { value.split(',').map(str::trim).collect() } else { vec![value] };
        for item in items {
            if !self.is_option(identifier, options, item).await? {
                return Ok(Some(format!("{identifier}: {item:?} is not among {}", shown(options))));
            }
        }
        Ok(None)
    }

    async fn is_option(&mut self, identifier: &str, options: &Options, item: &str) -> Result<bool, flow::Error> {
        if options.values.iter().any(|option| option == item) {
            return Ok(true);
        }
        if !options.is_cut {
            return Ok(false);
        }
        let key = (identifier.to_owned(), item.to_owned());
        if let Some(is_one) = self.beyond.get(&key) {
            return Ok(*is_one);
        }
        let found = self.client.samples().get_options(identifier, Some(item)).await?;
        // Where even that list is cut, Flow decides.
        let is_one = found.is_cut || found.values.iter().any(|option| option == item);
        self.beyond.insert(key, is_one);
        Ok(is_one)
    }

    fn check_companion(&self, row: &Row, name: &str) -> Option<String> {
        let Some(attribute) = name.strip_suffix(ANNOTATION_SUFFIX).and_then(|base| self.attribute(base)) else {
            return Some(format!("Flow knows no metadata {name:?}"));
        };
        let base = &attribute.identifier;
        if !attribute.allow_annotation {
            Some(format!("{base} takes no annotation"))
        } else if row.metadata(base).is_none() {
            Some(format!("{name} has a value, but {base} has none"))
        } else {
            None
        }
    }
}

/// The options, or the first of many.
fn shown(options: &Options) -> String {
    let shown: Vec<_> = options.values.iter().take(SHOWN).map(String::as_str).collect();
    match options.total.saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
