//! `flow-ingest run`: the service, or with `--once` one pass over what is there.

use std::time::Duration;

use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit::{CommandError, Exit};
use super::{Globals, bars, logging, output};
use crate::agent::{Agent, AgentError, Ending, Mode};
use crate::config::Config;
use crate::status::{Snapshot, render};

/// How often a disk that cannot be written is tried again at the start.
const WAIT_FOR_DISK: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Settle, upload what is complete, then exit
    #[arg(long)]
    once: bool,
    /// With --once: give up when nothing has got further for this long
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = humantime::parse_duration, requires = "once")]
    give_up_after: Duration,
    /// Go on under another account than the state folder's
    #[arg(long)]
    accept_account: bool,
}

pub(super) async fn execute(arguments: Arguments, globals: &Globals) -> Result<Exit, CommandError> {
    let config = globals.load_config()?;
    config.check_chosen()?;
    let canvas = bars::canvas(config.flow.client.show_progress);
    logging::start(globals.log_format, &canvas);
    let mode = match arguments.once {
        true => Mode::Once { give_up_after: arguments.give_up_after },
        false => Mode::Service,
    };
    let hangups = (mode == Mode::Service).then(|| signal(SignalKind::hangup())).transpose();
    raise_open_files();
    let Some(mut agent) = open(config, mode).await? else { return Ok(Exit::Success) };
    if arguments.accept_account {
        agent = agent.accept_account();
    }
    let ending = {
        let drawing = bars::draw(canvas, agent.journal().clone());
        tokio::select! {
            ending = agent.run(mode, told_to_stop()) => ending?,
            () = reload_when_told(&agent, hangups) => unreachable!("signals are heard to the end"),
            () = drawing => unreachable!("drawing goes on until it is dropped"),
        }
    };
    let Mode::Once { .. } = mode else { return Ok(Exit::Success) };
    let snapshot = agent.snapshot("finished")?;
    if globals.json {
        output::json(&snapshot);
    } else {
        output::line(render(&snapshot).trim_end());
    }
    Ok(exit(&ending, &snapshot))
}

/// Opens the agent; as a service, waits for a disk that is full or read-only. `None` when it is told to stop meanwhile.
async fn open(config: Config, mode: Mode) -> Result<Option<Agent>, AgentError> {
    let mut is_told = false;
    loop {
        match Agent::open(config.clone()) {
            Err(AgentError::Journal(error)) if mode == Mode::Service && error.is_passing() => {
                if !std::mem::replace(&mut is_told, true) {
                    tracing::error!(%error, "waiting for the disk; nothing is watched or uploaded meanwhile");
                }
            }
            opened => return opened.map(Some),
        }
        tokio::select! {
            () = tokio::time::sleep(WAIT_FOR_DISK) => {}
            () = told_to_stop() => return Ok(None),
        }
    }
}

/// Lets the process have as many files open as it may: the usual limit of 1,024 is for programs that use `select`.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, limit = limit.current, "cannot raise the limit of open files (ulimit -n)");
    }
}

/// The exit code of a run that ended by itself.
fn exit(ending: &Ending, snapshot: &Snapshot) -> Exit {
    match ending {
        Ending::Stopped => Exit::Success,
        Ending::Refused { reason } => {
            eprintln!("flow-ingest: nothing can be uploaded: {reason}");
            Exit::Authentication
        }
        Ending::GaveUp { reason } => {
            let why = reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            eprintln!("flow-ingest: gave up, since nothing got further{why}; what is left goes on with the next run");
            Exit::Failure
        }
        Ending::Finished { unseen } if !unseen.is_empty() => Exit::Failure,
        Ending::Finished { .. } if ["blocked", "queued", "retrying"].iter().any(|state| snapshot.count(state) > 0) => {
            Exit::Failure
        }
        Ending::Finished { .. } => Exit::Success,
    }
}

/// Takes changed settings on each SIGHUP. A single run hears none: it ends with its terminal.
async fn reload_when_told(agent: &Agent, hangups: std::io::Result<Option<Signal>>) {
    match hangups {
        Ok(Some(mut hangups)) => {
            while hangups.recv().await.is_some() {
                agent.reload();
            }
        }
        Ok(None) => {}
        Err(error) => tracing::error!(%error, "cannot hear SIGHUP; flow-ingest reload does the same"),
    }
    std::future::pending().await
}

/// Ends with the first SIGTERM or SIGINT; the second ends the process.
pub(super) async fn told_to_stop() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("cannot hear signals; only SIGKILL ends this process, which is safe");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        eprintln!("flow-ingest: stopped at once; the next start asks about what was in flight");
        std::process::exit(130);
    });
}
