//! `flow-ingest list …`: what Flow has to choose from. The first column is the word that a manifest or a command takes.

mod metadata;

use clap::{Args, Subcommand};

use super::connection::{Connection, ConnectionArguments};
use super::exit::{CommandError, Exit};
use super::{Globals, bars, logging, output};
use crate::flow::{Client, SampleType};
use crate::status::columns;
use crate::yaml::nearest_name;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Sample types
    Types(ConnectionArguments),
    /// Metadata attributes: what can be said of a sample, what must be, and in which words
    Metadata(metadata::Arguments),
    /// Organisms
    Organisms(ConnectionArguments),
    /// The account's own projects
    Projects(ConnectionArguments),
    /// Types of generic files
    DataTypes(ConnectionArguments),
}

pub(super) async fn execute(arguments: Arguments, globals: &Globals) -> Result<Exit, CommandError> {
    logging::start_with(globals.log_format, &bars::canvas(false), "warn");
    let open = async |connection: &ConnectionArguments| -> Result<Client, CommandError> {
        Connection::resolve(connection, globals)?.with_credentials_if_any().await
    };
    match arguments.what {
        What::Types(connection) => {
            let types = open(&connection).await?.samples().get_types().await?;
            show(globals, "types", &types, ["TYPE", "NAME", "DESCRIPTION"], |one| {
                [&one.identifier, &one.name, &one.description]
            });
        }
        What::Metadata(arguments) => metadata::execute(arguments, globals).await?,
        What::Organisms(connection) => {
            let organisms = open(&connection).await?.samples().get_organisms().await?;
            show(globals, "organisms", &organisms, ["ID", "NAME", "LATIN NAME"], |one| {
                [&one.id, &one.name, &one.latin_name]
            });
        }
        What::Projects(connection) => {
            let client = Connection::resolve(&connection, globals)?.with_credentials().await?;
            let projects = client.samples().get_owned_projects().collect_all().await?;
            show(globals, "projects", &projects, ["ID", "NAME", "DESCRIPTION"], |one| {
                [&one.id, &one.name, &one.description]
            });
        }
        What::DataTypes(connection) => {
            let types = open(&connection).await?.data().get_data_types().await?;
            show(globals, "data_types", &types, ["TYPE", "NAME", "DESCRIPTION"], |one| {
                [&one.identifier, &one.name, &one.description]
            });
        }
    }
    Ok(Exit::Success)
}

/// Shows a list as a table, or as a document with the list under `key`.
fn show<T: serde::Serialize, const N: usize>(
    globals: &Globals,
    key: &str,
    list: &[T],
    header: [&str; N],
    cells: impl Fn(&T) -> [&String; N],
) {
    if globals.json {
        return output::json(&serde_json::json!({ "version": 1, key: list }));
    }
    let rows = list.iter().map(|one| cells(one).map(|text| output::cell(text)));
    let table = columns(std::iter::once(header.map(str::to_owned)).chain(rows).collect());
    output::line(table.trim_end());
}

/// That Flow does not know a sample type, what it knows, and which one was probably meant.
pub(super) fn unknown_type(sample_type: &str, known: &[SampleType]) -> CommandError {
    CommandError::Missing(no_such_type(sample_type, known))
}

/// The same, for those who report it in another way.
pub(super) fn no_such_type(sample_type: &str, known: &[SampleType]) -> String {
    let names = known.iter().flat_map(|one| [one.identifier.as_str(), &one.name]);
    let name = nearest_name(sample_type, names.filter(|name| !name.is_empty()));
    let meant = name.and_then(|name| known.iter().find(|one| one.identifier == name || one.name == name));
    let meant = meant.map(|one| format!("; did you mean {}?", output::cell(&one.identifier))).unwrap_or_default();
    let known: Vec<_> = known.iter().map(|known| output::cell(&known.identifier)).collect();
    format!("Flow knows no sample type {sample_type:?}; it knows {}{meant}", known.join(", "))
}
