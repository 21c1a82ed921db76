//! `flow-ingest status`: what became of every sample.

use std::io::{IsTerminal, stdout};
use std::path::Path;
use std::time::Duration;

use clap::Args;

use super::exit::{CommandError, Exit};
use super::{Globals, output};
use crate::journal::{Journal, JournalError};
use crate::status::{Board, Snapshot, ask, render};

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
    // The state folder is taken only where nobody answers: a service may be about to start.
    if let Ok(snapshot) = ask(state_dir).await {
        return Ok(snapshot);
    }
    match Journal::open(state_dir) {
        Ok(journal) => Ok(Snapshot::take(&journal, &Board::default(), "offline")?),
        Err(JournalError::InUse { .. }) => Ok(ask(state_dir).await?),
        Err(error) => Err(error.into()),
    }
}
