//! `flow-ingest batch-template`: an empty sheet for `upload batch`, with a column for everything that can be said of a
//! sample.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::connection::{Connection, ConnectionArguments};
use super::exit::{CommandError, Exit};
use super::list::no_such_type;
use super::upload::quoted;
use super::{Globals, bars, logging, output};
use crate::flow::MetadataAttribute;
use crate::sample::ANNOTATION_SUFFIX;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The type of the samples; see: flow-ingest list types
    #[arg(long = "type", alias = "sample-type", value_name = "TYPE")]
    sample_type: String,
    /// Where to write it; a file that exists is not overwritten [default: stdout]
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    #[command(flatten)]
    connection: ConnectionArguments,
}

#[derive(Serialize)]
struct Column {
    name: String,
    kind: Kind,
    required: bool,
    /// The values that it is closed to.
    options: Option<Vec<String>>,
    /// Whether there are more of them than are listed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    options_cut: bool,
    description: String,
}

#[derive(Serialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Reserved,
    Metadata,
    Annotation,
}

pub(super) async fn execute(arguments: Arguments, globals: &Globals) -> Result<Exit, CommandError> {
    logging::start_with(globals.log_format, &bars::canvas(false), "warn");
    let client = Connection::resolve(&arguments.connection, globals)?.log_in().await?;
    let sample_type = &arguments.sample_type;
    let types = client.samples().get_types().await?;
    if !types.iter().any(|known| known.identifier == *sample_type) {
        return Err(CommandError::Input(no_such_type(sample_type, &types)));
    }
    let columns = columns(&client.samples().get_metadata_attributes().await?, sample_type);
    let header: Vec<_> = columns.iter().map(|column| quoted(&column.name)).collect();
    let header = header.join(",");
    if let Some(path) = &arguments.output {
        write(path, &header)?;
        eprintln!("flow-ingest: wrote {}", path.display());
    }
    if globals.json {
        output::json(&serde_json::json!({
            "version": 1, "sample_type": sample_type, "columns": columns, "file": arguments.output,
        }));
    } else if arguments.output.is_none() {
        output::line(&header);
    }
    let of = |is_required: bool| {
        let names = columns.iter().filter(|column| column.required == is_required).map(|column| column.name.as_str());
        names.collect::<Vec<_>>().join(", ")
    };
    eprintln!("required: {}\noptional: {}", of(true), of(false));
    Ok(Exit::Success)
}

/// The columns in the platform's own order.
fn columns(attributes: &[MetadataAttribute], sample_type: &str) -> Vec<Column> {
    let own = |name: &str, required: bool, description: &str| Column {
        name: name.to_owned(),
        kind: Kind::Reserved,
        required,
        options: None,
        options_cut: false,
        description: description.to_owned(),
    };
    let mut columns = vec![
        own("name", true, "The sample's name, without spaces"),
        own("reads1", true, "The first reads file; a relative path is relative to the sheet"),
        own("reads2", false, "The second reads file, of a paired sample"),
        own("project", false, "The id of the project that it goes to"),
        own("organism", false, "The id of its organism"),
    ];
    for attribute in attributes {
        columns.push(Column {
            name: attribute.identifier.clone(),
            kind: Kind::Metadata,
            required: attribute.is_required_for(sample_type),
            options: attribute.options.as_ref().map(|options| options.values.clone()),
            options_cut: attribute.options.as_ref().is_some_and(|options| options.is_cut),
            description: attribute.description.clone(),
        });
        if attribute.allow_annotation {
            let name = format!("{}{ANNOTATION_SUFFIX}", attribute.identifier);
            let description = format!("Free text beside {}", attribute.identifier);
            columns.push(Column { kind: Kind::Annotation, ..own(&name, false, &description) });
        }
    }
    columns
}

/// A filled-in sheet is not lost to an empty one.
fn write(path: &Path, header: &str) -> Result<(), CommandError> {
    let write = |path: &Path| {
        let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
        writeln!(file, "{header}")
    };
    write(path).map_err(|error| {
        let why = match error.kind() {
            ErrorKind::AlreadyExists => "it exists; move it away, or name another".to_owned(),
            _ => error.to_string(),
        };
        CommandError::Input(format!("cannot write {}: {why}", path.display()))
    })
}
