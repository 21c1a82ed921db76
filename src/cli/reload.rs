//! `flow-ingest reload`: shows what changed settings would do to what is waiting, then has the service take them.

use std::io::{IsTerminal, stdout};

use anyhow::anyhow;
use clap::Args;

use super::exit::{CommandError, Exit};
use super::{Globals, output, prompt};
use crate::agent::Reload;
use crate::status::{Ask, Socket};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Show what would change, and take nothing
    #[arg(long, visible_alias = "check")]
    dry_run: bool,
    /// Take it without asking, on a terminal too
    #[arg(long, short)]
    yes: bool,
}

pub(super) async fn execute(arguments: Arguments, globals: &Globals) -> Result<Exit, CommandError> {
    let state_dir = globals.state_dir().await?;
    let nobody = || {
        let state_dir = state_dir.display();
        anyhow!(
            "cannot reload: no service runs on {state_dir}; its next start takes the files as they are then (one that \
             was started with another state_dir takes them on SIGHUP)"
        )
    };
    let socket = Socket::open(&state_dir).map_err(|_| nobody())?;
    socket.identify().await.map_err(|_| nobody())?;
    let foreseen: Reload = socket.put(&Ask::Foresee).await?;
    if foreseen.changed.is_empty() || arguments.dry_run {
        show(&foreseen, globals);
        return Ok(Exit::Success);
    }
    if !globals.json {
        output::line(foreseen.render().trim_end());
        if !arguments.yes && prompt::is_possible() && stdout().is_terminal() {
            let answer = prompt::line("Take it? [y/N]").await?;
            if !matches!(answer.as_str(), "y" | "Y" | "yes") {
                output::line("nothing is taken");
                return Ok(Exit::Success);
            }
        }
    }
    let taken: Reload = socket.put(&Ask::Take { id: foreseen.id }).await?;
    match globals.json {
        true => output::json(&taken),
        false => output::line("taken"),
    }
    Ok(Exit::Success)
}

fn show(foreseen: &Reload, globals: &Globals) {
    if globals.json {
        output::json(foreseen);
    } else if foreseen.changed.is_empty() {
        output::line("nothing has changed since it was taken");
    } else {
        output::line(foreseen.render().trim_end());
    }
}
