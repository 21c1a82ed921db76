//! `flow-ingest import`: starts one job that imports the accessions of a CSV sheet. Every row is checked before
//! anything is asked; Flow takes all of them or none.

pub(super) mod sheet;

use std::fmt;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::connection::{Connection, ConnectionArguments};
use super::exit::{CommandError, Exit};
use super::{Globals, bars, import_status, logging, output};
use crate::flow::{ApiError, Error, SampleImportSpec};
use sheet::Row;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The sheet: columns accession and sample_type; name, organism, project, pubmed and metadata attributes if wanted
    #[arg(long, value_name = "PATH")]
    sheet: PathBuf,
    /// The type of samples whose row names none; see: flow-ingest list types
    #[arg(long = "type", alias = "sample-type", value_name = "TYPE")]
    sample_type: Option<String>,
    #[command(flatten)]
    connection: ConnectionArguments,
}

/// A row with mistakes.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct BadRow {
    row: usize,
    /// Empty where it is missing.
    accession: String,
    reasons: Vec<String>,
}

impl fmt::Display for BadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let accession = if self.accession.is_empty() { String::new() } else { format!(" ({})", self.accession) };
        write!(f, "row {}{accession}: {}", self.row, self.reasons.join("; "))
    }
}

pub(super) async fn execute(arguments: Arguments, globals: &Globals) -> Result<Exit, CommandError> {
    logging::start_with(globals.log_format, &bars::canvas(false), "warn");
    let (rows, bad) = sheet::read(&arguments.sheet, arguments.sample_type.as_deref())?;
    if !bad.is_empty() {
        let error = format!("{} of the sheet's rows have mistakes; nothing was imported", bad.len());
        return Ok(refuse(&error, &bad, Exit::Usage, globals.json));
    }
    let client = Connection::resolve(&arguments.connection, globals)?.with_credentials().await?;
    let specs: Vec<SampleImportSpec> = rows.iter().map(|row| row.spec.clone()).collect();
    let job = match client.samples().import_samples(&specs).await {
        Ok(job) => job,
        Err(error) => {
            if let Error::Lost { .. } = error {
                eprintln!(
                    "flow-ingest: the import may run all the same, and another would import everything twice: look for \
                     the samples on Flow first"
                );
            }
            let bad = error.api().map(|answer| of_rows(answer, &rows)).unwrap_or_default();
            let error = CommandError::Flow(error);
            if bad.is_empty() {
                return Err(error);
            }
            return Ok(refuse(&error.to_string(), &bad, error.exit(), globals.json));
        }
    };
    import_status::show(&job, globals.json);
    eprintln!("flow-ingest: to see how far it got: flow-ingest import-status --job {}", output::cell(&job.id));
    Ok(Exit::Success)
}

/// What Flow finds wrong, by the rows of the sheet; none when it points at no row.
fn of_rows(answer: &ApiError, rows: &[Row]) -> Vec<BadRow> {
    let mut bad: Vec<BadRow> = Vec::new();
    for detail in &answer.details {
        let pointer = detail.field.as_deref().and_then(|field| field.strip_prefix("/imports/")).unwrap_or_default();
        let (index, field) = pointer.split_once('/').unwrap_or((pointer, ""));
        let Some(row) = index.parse().ok().and_then(|index: usize| rows.get(index)) else { continue };
        let field = field.strip_prefix("metadata/").unwrap_or(field);
        let message = output::cell(&detail.message);
        let reason = if field.is_empty() { message } else { format!("{field}: {message}") };
        match bad.iter_mut().find(|bad| bad.row == row.number) {
            Some(bad) => bad.reasons.push(reason),
            None => bad.push(BadRow { row: row.number, accession: row.spec.accession.clone(), reasons: vec![reason] }),
        }
    }
    bad.sort_by_key(|bad| bad.row);
    bad
}

/// Tells every mistake of every row.
fn refuse(error: &str, rows: &[BadRow], exit: Exit, is_json: bool) -> Exit {
    #[derive(Serialize)]
    struct Refusal<'a> {
        version: u32,
        error: &'a str,
        rows: &'a [BadRow],
        exit: u8,
    }
    eprintln!("flow-ingest: {error}");
    for row in rows {
        eprintln!("  {row}");
    }
    if is_json {
        output::json(&Refusal { version: 1, error, rows, exit: exit as u8 });
    }
    exit
}
