//! `flow-ingest upload batch`: the samples of a CSV sheet. Every row is checked before anything is sent.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::super::Globals;
use super::super::exit::{CommandError, Exit};
use super::super::list::no_such_type;
use super::super::output;
use super::render::{self, SkippedRow};
use super::sheet::{self, Problem, Row};
use super::values::Values;
use super::{Common, Uploader};
use crate::agent::by_hand::{Ending, Report};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The sheet, a filled-in batch-template; relative paths in it are relative to it
    #[arg(long, value_name = "PATH")]
    sheet: PathBuf,
    /// The type of all its samples; see: flow-ingest list types
    #[arg(long = "type", alias = "sample-type", value_name = "TYPE")]
    sample_type: String,
    /// Leave out rows with mistakes, and upload the others
    #[arg(long)]
    skip_invalid: bool,
    /// Upload one row after the other, and stop at the first that fails
    #[arg(long)]
    stop_on_error: bool,
    #[command(flatten)]
    common: Common,
}

pub(super) async fn execute(arguments: Arguments, globals: &Globals) -> Result<Exit, CommandError> {
    let mut rows = sheet::read(&arguments.sheet)?;
    let mut uploader = Uploader::new(&arguments.common, globals)?;
    uploader.settings.stop_on_error = arguments.stop_on_error;
    check_values(&uploader, &arguments.sample_type, &mut rows).await?;

    let (invalid, valid): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|row| !row.problems.is_empty());
    if !invalid.is_empty() && !arguments.skip_invalid {
        return Ok(refuse(&invalid, globals.json));
    }
    for row in &invalid {
        eprintln!("flow-ingest: skipped {}", line(row));
    }
    let skipped: Vec<SkippedRow> = invalid.iter().map(SkippedRow::of).collect();
    let given = valid.iter().map(|row| row.given(&arguments.sample_type)).collect::<Result<Vec<_>, _>>()?;
    let report = match given.as_slice() {
        [] => Report { uploads: Vec::new(), ending: Ending::Ended, service: None },
        given => uploader.upload(given).await?,
    };
    let numbers: Vec<usize> = valid.iter().map(|row| row.number).collect();
    Ok(render::batch(&report, &numbers, Some(&skipped), globals.json))
}

/// Adds what Flow would refuse to the rows' problems.
async fn check_values(uploader: &Uploader, sample_type: &str, rows: &mut [Row]) -> Result<(), CommandError> {
    let client = uploader.connection.log_in().await?;
    let types = client.samples().get_types().await?;
    if !types.iter().any(|known| known.identifier == sample_type) {
        return Err(CommandError::Invalid(no_such_type(sample_type, &types)));
    }
    let mut values = Values::fetch(&client, sample_type).await?;
    for row in rows {
        values.check(row).await?;
    }
    Ok(())
}

impl SkippedRow {
    fn of(row: &Row) -> Self {
        let reasons = row.problems.iter().map(|problem| problem.text().to_owned()).collect();
        Self { row: row.number, name: row.name.clone(), reasons }
    }
}

fn line(row: &Row) -> String {
    let problems: Vec<&str> = row.problems.iter().map(Problem::text).collect();
    let name = if row.name.is_empty() { String::new() } else { format!(" ({})", row.name) };
    format!("row {}{name}: {}", row.number, problems.join("; "))
}

/// Tells every mistake of every row. Values that Flow would refuse are refused as by Flow; where the sheet itself or a
/// file is at fault, that goes before.
fn refuse(invalid: &[Row], is_json: bool) -> Exit {
    #[derive(Serialize)]
    struct Refusal {
        version: u32,
        error: String,
        rows: Vec<SkippedRow>,
        exit: u8,
    }
    let error = format!("{} of the sheet's rows have mistakes; nothing was uploaded", invalid.len());
    let is_of_values = |row: &Row| row.problems.iter().all(|problem| matches!(problem, Problem::Value(_)));
    let exit = if invalid.iter().all(is_of_values) { Exit::Invalid } else { Exit::Usage };
    eprintln!("flow-ingest: {error} (mend them, or leave them out with --skip-invalid)");
    for row in invalid {
        eprintln!("  {}", line(row));
    }
    if is_json {
        let rows = invalid.iter().map(SkippedRow::of).collect();
        output::json(&Refusal { version: 1, error, rows, exit: exit as u8 });
    }
    exit
}
