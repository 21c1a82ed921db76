//! `flow-ingest upload …`: one upload by hand, or a sheet of them, through the same journal as everything else. Run
//! again in the same words, it goes on where it stopped, and sends nothing twice.

mod batch;
mod checks;
pub(super) mod csv;
mod data;
mod multiplexed;
mod render;
mod sample;
pub(super) mod sheet;
mod values;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use tokio::sync::watch;

use super::connection::{Connection, ConnectionArguments};
use super::exit::{CommandError, Exit};
use super::run::told_to_stop;
use super::{Globals, bars, logging};
use crate::agent::by_hand::{self, Given, Report, Settings};
pub(super) use csv::quoted;

/// What is logged unless RUST_LOG says otherwise: what becomes of an upload is told by the command itself.
const LOG_FILTER: &str = "warn,flow_ingest::upload::transfer=off,flow_ingest::flow::upload=error";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// A generic file
    Data(data::Arguments),
    /// A sample with its reads, or with other named files
    Sample(sample::Arguments),
    /// Pooled reads with their annotation sheet
    Multiplexed(multiplexed::Arguments),
    /// Many samples from a CSV sheet; see batch-template
    Batch(batch::Arguments),
}

/// What every upload takes.
#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    connection: ConnectionArguments,
    /// Where it is recorded what was sent [default: the config's state_dir, else $XDG_STATE_HOME/flow-ingest, else
    /// ~/.local/state/flow-ingest]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Upload once more, as something new, what is on Flow already
    #[arg(long)]
    again: bool,
    /// Give up when nothing has got further for this long
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = humantime::parse_duration)]
    give_up_after: Duration,
    /// Go on under another account than the state folder's
    #[arg(long)]
    accept_account: bool,
    /// Draw no bars
    #[arg(long)]
    no_progress: bool,
}

pub(super) async fn execute(arguments: Arguments, globals: &Globals) -> Result<Exit, CommandError> {
    match arguments.what {
        What::Data(arguments) => data::execute(arguments, globals).await,
        What::Sample(arguments) => sample::execute(arguments, globals).await,
        What::Multiplexed(arguments) => multiplexed::execute(arguments, globals).await,
        What::Batch(arguments) => batch::execute(arguments, globals).await,
    }
}

/// Uploads one thing and shows what became of it.
async fn upload_one(common: &Common, globals: &Globals, given: Given) -> Result<Exit, CommandError> {
    let report = Uploader::new(common, globals)?.upload(&[given]).await?;
    Ok(render::report(&report, globals.json))
}

/// How uploads by hand are made, from flags, environment and config.
struct Uploader {
    connection: Connection,
    settings: Settings,
    canvas: indicatif::MultiProgress,
}

impl Uploader {
    fn new(common: &Common, globals: &Globals) -> Result<Self, CommandError> {
        let connection = Connection::resolve(&common.connection, globals)?;
        let canvas = bars::canvas(connection.flow.client.show_progress && !common.no_progress);
        logging::start_with(globals.log_format, &canvas, LOG_FILTER);
        let settings = Settings {
            state_dir: connection.state_dir(common.state_dir.as_deref())?,
            flow: connection.flow.clone(),
            is_server_named: connection.is_named,
            uploads: connection.config.as_ref().map(|config| config.uploads.clone()).unwrap_or_default(),
            give_up_after: common.give_up_after,
            again: common.again,
            stop_on_error: false,
            accept_account: common.accept_account,
        };
        Ok(Self { connection, settings, canvas })
    }

    async fn upload(&self, given: &[Given]) -> Result<Report, CommandError> {
        let (progress, to_draw) = watch::channel(Vec::new());
        let drawing = bars::draw_files(self.canvas.clone(), to_draw);
        tokio::select! {
            report = by_hand::upload(&self.settings, given, &progress, told_to_stop()) => Ok(report?),
            () = drawing => unreachable!("drawing goes on until it is dropped"),
        }
    }
}
