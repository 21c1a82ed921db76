//! `flow-ingest list metadata`: for each attribute whether it is required, and which values it takes.

use clap::Args;
use serde::Serialize;

use super::super::connection::{Connection, ConnectionArguments};
use super::super::exit::CommandError;
use super::super::{Globals, output};
use super::unknown_type;
use crate::flow::{MetadataAttribute, Options};
use crate::status::columns;

/// So many options are shown; the JSON has all that the server lists.
const OPTIONS_SHOWN: usize = 5;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Only what can be said of samples of this type, and what must be said of them
    #[arg(long = "type", alias = "sample-type", value_name = "TYPE")]
    sample_type: Option<String>,
    #[command(flatten)]
    connection: ConnectionArguments,
}

#[derive(Serialize)]
struct Entry<'a> {
    #[serde(flatten)]
    attribute: &'a MetadataAttribute,
    /// Whether the type that was asked about requires it.
    #[serde(skip_serializing_if = "Option::is_none")]
    required_for_type: Option<bool>,
}

pub(super) async fn execute(arguments: Arguments, globals: &Globals) -> Result<(), CommandError> {
    let client = Connection::resolve(&arguments.connection, globals)?.with_credentials_if_any().await?;
    let sample_type = arguments.sample_type.as_deref();
    if let Some(sample_type) = sample_type {
        let types = client.samples().get_types().await?;
        if !types.iter().any(|known| known.identifier == sample_type) {
            return Err(unknown_type(sample_type, &types));
        }
    }
    let mut attributes = client.samples().get_metadata_attributes().await?;
    attributes
        .retain(|attribute| sample_type.is_none_or(|one| attribute.applies_to(one) || attribute.is_required_for(one)));
    if globals.json {
        let entry = |attribute| Entry {
            attribute,
            required_for_type: sample_type.map(|sample_type| attribute.is_required_for(sample_type)),
        };
        let entries: Vec<Entry> = attributes.iter().map(entry).collect();
        let mut document = serde_json::json!({ "version": 1, "metadata": entries });
        if let Some(sample_type) = sample_type {
            document["sample_type"] = sample_type.into();
        }
        output::json(&document);
        return Ok(());
    }
    output::line(table(&attributes, sample_type).trim_end());
    if attributes.iter().any(|attribute| attribute.options.as_ref().is_some_and(|options| options.is_cut)) {
        eprintln!(
            "flow-ingest: Flow lists no more than the first options of an attribute; to find others, use: flow-ingest \
             api get /samples/metadata/ATTRIBUTE/options --query value=TEXT"
        );
    }
    Ok(())
}

/// A line for each attribute. The types that it belongs to are a column where no type was asked about.
fn table(attributes: &[MetadataAttribute], sample_type: Option<&str>) -> String {
    let header = ["ATTRIBUTE", "TYPES", "REQUIRED", "ANNOTATION", "VALUES", "DESCRIPTION"].map(str::to_owned);
    let line = |attribute: &MetadataAttribute| {
        let types = attribute.sample_types.as_ref().map_or_else(|| "all".to_owned(), |types| types.join(", "));
        let annotation = if attribute.allow_annotation { "allowed" } else { "no" };
        let description = if attribute.description.is_empty() { &attribute.name } else { &attribute.description };
        let required = required(attribute, sample_type);
        [&attribute.identifier, &types, &required, annotation, &values(attribute), description].map(output::cell)
    };
    let lines = std::iter::once(header).chain(attributes.iter().map(line));
    match sample_type {
        None => columns(lines.collect()),
        Some(_) => columns(
            lines
                .map(|[first, _, rest @ ..]| {
                    let [required, annotation, values, description] = rest;
                    [first, required, annotation, values, description]
                })
                .collect(),
        ),
    }
}

fn required(attribute: &MetadataAttribute, sample_type: Option<&str>) -> String {
    let of_types = &attribute.required_for_sample_types;
    let is_required = attribute.required || sample_type.is_some_and(|one| attribute.is_required_for(one));
    let word = match sample_type {
        _ if is_required => "yes".to_owned(),
        None if !of_types.is_empty() => format!("for {}", of_types.join(", ")),
        _ => "no".to_owned(),
    };
    if attribute.required_for_public && !is_required { format!("{word}, to publish") } else { word }
}

/// Which values it takes.
fn values(attribute: &MetadataAttribute) -> String {
    let mut said = Vec::new();
    match &attribute.options {
        Some(options) => said.push(first_of(options)),
        None if attribute.allow_user_terms => said.push("any, also beyond Flow's options".to_owned()),
        None if attribute.regex_validator.is_none() => said.push("any".to_owned()),
        None => {}
    }
    if let Some(pattern) = &attribute.regex_validator {
        said.push(format!("matching {pattern}"));
    }
    if attribute.is_list {
        said.push("several with commas between".to_owned());
    }
    said.join("; ")
}

fn first_of(options: &Options) -> String {
    let shown = options.values.iter().take(OPTIONS_SHOWN).map(String::as_str);
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if options.total > OPTIONS_SHOWN {
        text = format!("{text} and {} more", options.total - OPTIONS_SHOWN);
    }
    if options.is_cut {
        text = format!("{text} (cut: Flow lists {})", options.values.len());
    }
    text
}
