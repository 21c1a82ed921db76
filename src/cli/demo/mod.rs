//! `flow-ingest demo`: the whole thing on this machine, against the sandbox, in under a minute.
//!
//! The agent is the real one, with a config and a manifest that it reads from the demo's folder; only the sequencer and
//! Flow are stand-ins. Nothing of the user's is read, and nothing is written outside the temporary folder.

mod compare;
mod outcome;
mod screen;
mod sequencer;
mod setup;
mod story;

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::exit::{CommandError, Exit};
use super::{Globals, bars, logging, output};
use crate::agent::{Agent, Mode};
use crate::config;
use crate::sandbox::{Sandbox, Settings};
use compare::{Comparison, Holdings, compare};
use outcome::Outcome;
use screen::{Paint, Screen};
use story::Story;

/// What is logged beside the story: it tells what happens itself.
const LOG_FILTER: &str = "error";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Keep the demo's folder, and print where it is
    #[arg(long)]
    keep: bool,
}

pub(super) async fn execute(arguments: Arguments, globals: &Globals) -> Result<Exit, CommandError> {
    // Before there is anything to clean up.
    let interrupted = interrupted().context("cannot hear signals")?;
    let canvas = bars::canvas(true);
    logging::start_with(globals.log_format, &canvas, LOG_FILTER);
    let screen = Screen::new(canvas.clone());
    screen.print("A sequencer, the agent, and a stand-in for Flow, all on this machine alone.");

    let folder = tempfile::Builder::new()
        .prefix("flow-ingest-demo-")
        .tempdir()
        .context("cannot make a temporary folder; let TMPDIR name a folder that can be written")?;
    let path = folder.path().to_owned();
    let kept = arguments.keep.then(|| path.clone());
    let played = play(&path, kept, &screen, canvas, interrupted).await;
    let left = if arguments.keep {
        format!("its folder is kept: {}", folder.keep().display())
    } else if let Err(error) = folder.close() {
        format!("its folder could not be removed: {error}; remove it by hand")
    } else {
        "nothing is left behind".to_owned()
    };
    match played {
        Ok(Some(outcome)) => {
            if globals.json {
                output::json(&outcome);
            } else {
                output::line(outcome.render(&setup::expected(&path), Paint::stdout()).trim_end());
            }
            Ok(exit_of(&outcome.comparison))
        }
        Ok(None) => Err(anyhow!("the demo was interrupted; {left}").into()),
        Err(error) => {
            screen.print(&format!("\nThe demo broke off; {left}."));
            Err(error)
        }
    }
}

/// The demo itself, in its folder; `None` when it was interrupted.
async fn play(
    folder: &Path,
    kept: Option<PathBuf>,
    screen: &Screen,
    canvas: indicatif::MultiProgress,
    interrupted: impl Future<Output = ()>,
) -> Result<Option<Outcome>, CommandError> {
    let sandbox = Sandbox::start(Settings::new(setup::uploaded(folder))).await?;
    let config = setup::prepare(folder, &sandbox).context("cannot write the demo's config")?;
    let agent = Agent::open(config::load(&config)?)?;
    let expected = setup::expected(folder);

    let stop = CancellationToken::new();
    let running = agent.run(Mode::Service, stop.clone().cancelled_owned());
    tokio::pin!(running);
    let story = Story { folder, screen, agent: &agent, sandbox: &sandbox, expected: &expected };
    let told = tokio::select! {
        told = story.tell() => Some(told?),
        ended = &mut running => return Err(ended.map_or_else(CommandError::from, |_| anyhow!("the agent ended").into())),
        () = bars::draw(canvas, agent.journal().clone()) => unreachable!("drawing goes on until it is dropped"),
        () = interrupted => None,
    };
    stop.cancel();
    running.await?;
    let Some(early) = told else { return Ok(None) };

    screen.headline("Done; now both sides are read, and compared");
    sandbox.idle().await;
    let snapshot = agent.snapshot("finished")?;
    let comparison = compare(&expected, &Holdings::of(&sandbox, early), &snapshot);
    sandbox.stop().await;
    let seconds = screen.elapsed().as_secs_f64();
    Ok(Some(Outcome { snapshot, run: sequencer::RUN, comparison, seconds, kept }))
}

/// The exit code of a demo that came to its end.
fn exit_of(comparison: &Comparison) -> Exit {
    if comparison.ok { Exit::Success } else { Exit::Failure }
}

/// Ends when somebody wants the demo to end, or closes its terminal. Signals are heard from this call on.
fn interrupted() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}
