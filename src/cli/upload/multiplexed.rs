//! `flow-ingest upload multiplexed`: pooled reads, with the annotation sheet that says what is in them. The sheet goes
//! first, so that a bad one costs no reads upload.

use std::path::PathBuf;

use clap::Args;

use super::super::Globals;
use super::super::exit::{CommandError, Exit};
use super::{Common, checks, upload_one};
use crate::agent::by_hand::{Given, GivenFile};
use crate::sample::Target;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The first reads file
    #[arg(long, value_name = "PATH")]
    reads1: PathBuf,
    /// The second reads file
    #[arg(long, value_name = "PATH")]
    reads2: Option<PathBuf>,
    /// The annotation sheet, filled in; see: flow-ingest annotation-template
    #[arg(long, value_name = "PATH")]
    annotation: PathBuf,
    /// Send no reads when Flow warns about the sheet; otherwise warnings are shown, and ignored
    #[arg(long)]
    reject_warnings: bool,
    #[command(flatten)]
    common: Common,
}

pub(super) async fn execute(arguments: Arguments, globals: &Globals) -> Result<Exit, CommandError> {
    let mut files = vec![GivenFile::new("annotation", arguments.annotation)];
    files.push(GivenFile::new("reads1", arguments.reads1));
    files.extend(arguments.reads2.map(|reads2| GivenFile::new("reads2", reads2)));
    checks::different_files(&files)?;
    let name = checks::file_name(&files[1].path);
    let target = Target::Multiplexed { ignore_warnings: !arguments.reject_warnings };
    upload_one(&arguments.common, globals, Given::new(name, target, files)?).await
}
