//! `flow-ingest sandbox`: a stand-in for Flow on this machine.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::exit::{CommandError, Exit};
use super::{Globals, bars, logging, output};
use crate::sandbox::{Sandbox, Settings};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where to keep what is uploaded [default: a temporary folder, removed at the end]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

pub(super) async fn execute(arguments: Arguments, globals: &Globals) -> Result<Exit, CommandError> {
    logging::start(globals.log_format, &bars::canvas(false));
    let temporary = match arguments.dir {
        Some(_) => None,
        None => Some(tempfile::tempdir().context("cannot make a temporary folder; name one with --dir")?),
    };
    let dir = arguments.dir.unwrap_or_else(|| temporary.iter().map(|dir| dir.path().to_owned()).collect());
    let sandbox = Sandbox::start(Settings { listen: arguments.listen, ..Settings::new(dir) }).await?;
    // Its first line is for scripts: the base URL, and nothing else.
    output::line(sandbox.describe().trim_end());
    super::run::told_to_stop().await;
    sandbox.stop().await;
    Ok(Exit::Success)
}
