//! `flow-ingest upload data PATH`: a generic file.

use std::path::PathBuf;

use clap::Args;

use super::super::Globals;
use super::super::exit::{CommandError, Exit};
use super::{Common, upload_one};
use crate::agent::by_hand::{Given, GivenFile};
use crate::sample::Target;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The file
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// The name under which Flow stores it [default: its own]
    #[arg(long, value_name = "NAME")]
    filename: Option<String>,
    /// What kind of file it is; see: flow-ingest list data-types
    #[arg(long, value_name = "TYPE")]
    data_type: Option<String>,
    /// The file is a zip, tar or tar.gz, and Flow unpacks it
    #[arg(long)]
    directory: bool,
    #[command(flatten)]
    common: Common,
}

pub(super) async fn execute(arguments: Arguments, globals: &Globals) -> Result<Exit, CommandError> {
    if arguments.path.is_dir() {
        return Err(CommandError::Input(format!(
            "cannot upload the folder {}: pack it into a zip, tar or tar.gz, and upload that with --directory",
            arguments.path.display()
        )));
    }
    let file = GivenFile { filename: arguments.filename, ..GivenFile::new("data", arguments.path) };
    let target = Target::Data { data_type: arguments.data_type, is_directory: arguments.directory };
    upload_one(&arguments.common, globals, Given::new(None, target, vec![file])?).await
}
