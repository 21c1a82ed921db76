//! `flow-ingest status`: what became of every sample.

use std::io::{IsTerminal, stdout};
use std::path::Path;
use std::time::Duration;

use clap::Args;

use super::exit::{CommandError, Exit};
use super::holder::Holder;
use super::{Globals, output};
use crate::status::{Board, Snapshot, render};

const REFRESH: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Show it again every second, until interrupted
    #[arg(long)]
    watch: bool,
}

pub(super) async fn execute(arguments: Arguments, globals: &Globals) -> Result<Exit, CommandError> {
    let state_dir = globals.state_dir().await?;
    loop {
        let snapshot = current(&state_dir).await?;
        if arguments.watch && stdout().is_terminal() {
            // Clears the screen and goes to its top.
            print!("\x1b[2J\x1b[H");
        }
        if globals.json {
            output::json(&snapshot);
        } else {
            output::line(render(&snapshot).trim_end());
        }
        if !arguments.watch {
            return Ok(Exit::Success);
        }
        tokio::time::sleep(REFRESH).await;
    }
}

/// What the running service says, else what the state folder holds. Where there is none, there is nothing to make.
pub(super) async fn current(state_dir: &Path) -> Result<Snapshot, CommandError> {
    if !state_dir.exists() {
        return Ok(Snapshot::new("offline", None, Vec::new(), Vec::new(), Vec::new()));
    }
    match Holder::of(state_dir).await? {
        Holder::Nobody(journal) => Ok(Snapshot::take(&journal, &Board::default(), "offline")?),
        Holder::Process(socket) => Ok(socket.status().await?),
    }
}
