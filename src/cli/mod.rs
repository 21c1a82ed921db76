//! The commands: one file each, arguments → a library call → rendering.
//!
//! Results go to stdout (with `--json` as one document), logs and progress to stderr. The exit codes are those of the
//! platform's own CLI.

mod annotation_template;
mod api;
mod bars;
mod batch_template;
mod check;
mod connection;
mod decide;
mod demo;
mod exit;
mod explain;
pub(crate) mod fuzzing;
mod holder;
mod import;
mod import_status;
pub mod init;
mod layouts;
mod list;
mod logging;
mod login;
mod output;
mod plan;
mod prompt;
mod reload;
mod report;
mod run;
mod runs;
mod sandbox;
mod schema;
mod state;
mod status;
mod upload;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use crate::config::{self, Config};
use crate::journal::Verb;
use crate::status::Socket;
use exit::{CommandError, Exit};

/// Blocking tasks cannot be called back: one that hangs on a share must not hold up the end.
const LEAVE_BLOCKED: Duration = Duration::from_secs(1);

/// Watches the folders a DNA sequencer writes, and uploads every sample to Flow once, complete.
#[derive(Debug, Parser)]
#[command(name = "flow-ingest", version, about, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Args)]
struct Globals {
    /// The config [default: $FLOW_INGEST_CONFIG, else /etc/flow-ingest/flow-ingest.yaml]
    #[arg(long, global = true, value_name = "PATH")]
    config: Option<PathBuf>,
    /// Print the result as one JSON document
    #[arg(long, global = true)]
    json: bool,
    /// How log lines are written to stderr; RUST_LOG chooses which
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The service: watch, and upload what is complete
    Run(run::Arguments),
    /// Check config, manifests, folders and limits
    Check(check::Arguments),
    /// Show what would be uploaded, as what, and what is left out and why; touches nothing
    Plan(plan::Arguments),
    /// What became of a file or folder: watch, run, rule, captured values, sample, state, or why not
    Explain(explain::Arguments),
    /// Show what became of every sample, from the running service or from the state folder
    Status(status::Arguments),
    /// Try samples again that are blocked, once what blocked them is mended
    Retry(decide::Retry),
    /// Keep samples or runs back until they are released
    Hold(decide::Targets),
    /// Let go what is held, or take up what was skipped
    Release(decide::Targets),
    /// Leave samples or runs alone: they are not uploaded
    Skip(decide::Targets),
    /// Take what is there of a run that will not end, or of a sample whose mate will not come
    Close(decide::Targets),
    /// Upload a sample once more, or as its files are now; lists what must be retracted on Flow
    Resend(decide::Resend),
    /// Show what a changed manifest or config would do, then take it
    Reload(reload::Arguments),
    /// The receipts: what was sent, with ids, sizes, checksums, times and attempts
    Report(report::Arguments),
    /// Check, export and import what the state folder holds
    #[command(subcommand)]
    State(state::Command),
    /// Ask for a token or a password, test it, and store the token
    Login(login::Arguments),
    /// What Flow has to choose from, as a manifest names it
    List(list::Arguments),
    /// Upload by hand, through the same journal: run again, it resumes
    Upload(Box<upload::Arguments>),
    /// Write an empty sheet for upload batch
    BatchTemplate(batch_template::Arguments),
    /// Write an empty annotation sheet for upload multiplexed
    AnnotationTemplate(annotation_template::Arguments),
    /// Import samples from public archives by the accessions in a CSV sheet
    Import(import::Arguments),
    /// Show how far an import has got
    ImportStatus(import_status::Arguments),
    /// Any request of the API, and its answer as it was sent
    Api(api::Arguments),
    /// Write a commented config and manifest to start from, of what lies in a folder where one is named
    Init(Box<init::Arguments>),
    /// What is known of instruments, for the key layout of a watch
    Layouts(layouts::Arguments),
    /// JSON Schemas of the config and the manifest, for editors
    Schema(schema::Arguments),
    /// A stand-in for Flow on this machine
    Sandbox(sandbox::Arguments),
    /// The whole thing on this machine, against the sandbox, in under a minute
    Demo(demo::Arguments),
}

/// Parses the command line, runs the command, and gives its exit code.
pub fn main() -> ExitCode {
    keep_memory_private();
    let cli = Cli::parse();
    let is_json = cli.globals.json;
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("flow-ingest: cannot start its threads: {error}");
            return Exit::Failure.into();
        }
    };
    let ended = runtime.block_on(execute(cli));
    runtime.shutdown_timeout(LEAVE_BLOCKED);
    match ended {
        Ok(exit) => exit.into(),
        Err(error) => error.report(is_json).into(),
    }
}

/// A crash writes no image of the memory to disk, and other processes of the same user cannot look into it: there are
/// secrets in it. The kernel may not know how; there is nothing that could be done then.
fn keep_memory_private() {
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

async fn execute(cli: Cli) -> Result<Exit, CommandError> {
    let globals = cli.globals;
    match cli.command {
        Command::Run(arguments) => run::execute(arguments, &globals).await,
        Command::Check(arguments) => check::execute(arguments, &globals).await,
        Command::Plan(arguments) => plan::execute(arguments, &globals).await,
        Command::Explain(arguments) => explain::execute(arguments, &globals).await,
        Command::Status(arguments) => status::execute(arguments, &globals).await,
        Command::Retry(arguments) => decide::retry(arguments, &globals).await,
        Command::Hold(targets) => decide::execute(Verb::Hold, targets, &globals).await,
        Command::Release(targets) => decide::execute(Verb::Release, targets, &globals).await,
        Command::Skip(targets) => decide::execute(Verb::Skip, targets, &globals).await,
        Command::Close(targets) => decide::execute(Verb::Close, targets, &globals).await,
        Command::Resend(arguments) => decide::resend(arguments, &globals).await,
        Command::Reload(arguments) => reload::execute(arguments, &globals).await,
        Command::Report(arguments) => report::execute(&arguments, &globals).await,
        Command::State(command) => state::execute(command, &globals).await,
        Command::Login(arguments) => login::execute(arguments, &globals).await,
        Command::List(arguments) => list::execute(arguments, &globals).await,
        Command::Upload(arguments) => upload::execute(*arguments, &globals).await,
        Command::BatchTemplate(arguments) => batch_template::execute(arguments, &globals).await,
        Command::AnnotationTemplate(arguments) => annotation_template::execute(arguments, &globals).await,
        Command::Import(arguments) => import::execute(arguments, &globals).await,
        Command::ImportStatus(arguments) => import_status::execute(arguments, &globals).await,
        Command::Api(arguments) => api::execute(arguments, &globals).await,
        Command::Init(arguments) => init::execute(*arguments, &globals).await,
        Command::Layouts(arguments) => layouts::execute(arguments, &globals),
        Command::Schema(arguments) => Ok(schema::execute(&arguments)),
        Command::Sandbox(arguments) => sandbox::execute(arguments, &globals).await,
        Command::Demo(arguments) => demo::execute(arguments, &globals).await,
    }
}

impl Globals {
    fn load_config(&self) -> Result<Config, CommandError> {
        Ok(config::load(&config::locate(self.config.as_deref()))?)
    }

    /// The state folder. A service goes on with what it took when the config or a manifest is wrong by now, and can be
    /// asked all the same.
    async fn state_dir(&self) -> Result<PathBuf, CommandError> {
        let error = match self.load_config() {
            Ok(config) => return Ok(config.state_dir),
            Err(error) => error,
        };
        let Some(state_dir) = config::state_dir_alone(&config::locate(self.config.as_deref())) else {
            return Err(error);
        };
        let answers = match Socket::open(&state_dir) {
            Ok(socket) => socket.identify().await.is_ok(),
            Err(_) => false,
        };
        if answers { Ok(state_dir) } else { Err(error) }
    }
}
