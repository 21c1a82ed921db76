//! `flow-ingest upload sample`: one sample, with its reads or with other named files.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use super::super::Globals;
use super::super::exit::{CommandError, Exit};
use super::{Common, checks, upload_one};
use crate::agent::by_hand::{Given, GivenFile};
use crate::sample::Target;

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("files").args(["reads1", "file"]).required(true))]
pub(super) struct Arguments {
    /// The sample's name; Flow takes no spaces in it
    #[arg(long, value_name = "NAME")]
    name: String,
    /// The sample type; see: flow-ingest list types
    #[arg(long = "type", alias = "sample-type", value_name = "TYPE")]
    sample_type: String,
    /// The first reads file
    #[arg(long, value_name = "PATH")]
    reads1: Option<PathBuf>,
    /// The second reads file, of a paired sample
    #[arg(long, value_name = "PATH", requires = "reads1", conflicts_with = "file")]
    reads2: Option<PathBuf>,
    /// A named file of a sample that is not sequencing; give it once for each, in the order in which they go up
    #[arg(long, value_name = "KEY=PATH")]
    file: Vec<String>,
    /// The project's id; see: flow-ingest list projects
    #[arg(long, value_name = "ID")]
    project: Option<String>,
    /// The organism's id; see: flow-ingest list organisms
    #[arg(long, value_name = "ID")]
    organism: Option<String>,
    /// A metadata attribute and its value; give it once for each. See: flow-ingest list metadata
    #[arg(long, value_name = "KEY=VALUE")]
    metadata: Vec<String>,
    /// Metadata as a JSON object of attributes and values
    #[arg(long, value_name = "JSON")]
    metadata_json: Option<String>,
    #[command(flatten)]
    common: Common,
}

pub(super) async fn execute(arguments: Arguments, globals: &Globals) -> Result<Exit, CommandError> {
    let metadata = checks::metadata(&arguments.metadata, arguments.metadata_json.as_deref())?;
    let mut files = checks::named_files(&arguments.file)?;
    files.extend(arguments.reads1.map(|reads1| GivenFile::new("reads1", reads1)));
    files.extend(arguments.reads2.map(|reads2| GivenFile::new("reads2", reads2)));
    checks::different_files(&files)?;
    let target = Target::Sample {
        name: arguments.name.clone(),
        sample_type: arguments.sample_type,
        organism: arguments.organism,
        project: arguments.project,
        project_name: None,
        metadata,
    };
    upload_one(&arguments.common, globals, Given::new(Some(arguments.name), target, files)?).await
}
