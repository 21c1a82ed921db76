//! `flow-ingest annotation-template`: an empty annotation sheet for `upload multiplexed`, as Flow makes it.

use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use super::connection::{Connection, ConnectionArguments};
use super::exit::{CommandError, Exit};
use super::list::unknown_type;
use super::{Globals, bars, logging, output};
use crate::flow::{Client, Error, ErrorKind};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The type of the samples; see: flow-ingest list types [default: what all types have]
    #[arg(long = "type", alias = "sample-type", value_name = "TYPE")]
    sample_type: Option<String>,
    /// Where to write the spreadsheet (.xlsx); - for stdout
    #[arg(short, long, value_name = "PATH")]
    output: PathBuf,
    /// Overwrite a file that exists
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    connection: ConnectionArguments,
}

pub(super) async fn execute(arguments: Arguments, globals: &Globals) -> Result<Exit, CommandError> {
    logging::start_with(globals.log_format, &bars::canvas(false), "warn");
    let path = &arguments.output;
    let is_stdout = path == Path::new("-");
    if is_stdout && globals.json {
        return Err(CommandError::Input("cannot write the spreadsheet and --json to stdout; name a file".to_owned()));
    }
    if is_stdout && io::stdout().is_terminal() {
        return Err(CommandError::Input("cannot write a spreadsheet to a terminal; name a file".to_owned()));
    }
    if !is_stdout && !arguments.force && path.symlink_metadata().is_ok() {
        return Err(exists(path));
    }
    let sample_type = arguments.sample_type.as_deref();
    let client = Connection::resolve(&arguments.connection, globals)?.with_credentials_if_any().await?;
    let sheet = match client.samples().get_annotation_template(sample_type).await {
        Ok(sheet) => sheet,
        Err(error) => return Err(explain(&client, sample_type, error).await),
    };
    if is_stdout {
        output::bytes(&sheet).map_err(|error| CommandError::Input(format!("cannot write to stdout: {error}")))?;
        return Ok(Exit::Success);
    }
    write(path, &sheet, arguments.force)?;
    if globals.json {
        output::json(&serde_json::json!({
            "version": 1, "sample_type": sample_type, "file": path, "bytes": sheet.len(),
        }));
    } else {
        output::line(&format!("wrote {}", path.display()));
    }
    Ok(Exit::Success)
}

/// What is not found is most likely a type that is misspelt.
async fn explain(client: &Client, sample_type: Option<&str>, error: Error) -> CommandError {
    if let (Some(sample_type), Some(ErrorKind::NotFound)) = (sample_type, error.kind())
        && let Ok(types) = client.samples().get_types().await
        && !types.iter().any(|known| known.identifier == sample_type)
    {
        return unknown_type(sample_type, &types);
    }
    error.into()
}

/// A filled-in sheet is not lost to an empty one, unless that is said.
fn write(path: &Path, sheet: &[u8], force: bool) -> Result<(), CommandError> {
    let mut options = OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let written = options.open(path).and_then(|mut file| file.write_all(sheet));
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => exists(path),
        _ => CommandError::Input(format!("cannot write {}: {error}", path.display())),
    })
}

fn exists(path: &Path) -> CommandError {
    CommandError::Input(format!(
        "cannot write {}: it exists; name another file, or overwrite it with --force",
        path.display()
    ))
}
