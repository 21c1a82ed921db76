//! `flow-ingest retry`: another try of what is blocked, once a person has looked.

use clap::Args;
use serde::Serialize;

use super::exit::{CommandError, Exit};
use super::{Globals, open_journal, output, status};
use crate::journal::{Blocker, JournalError};
use crate::observation::Moment;
use crate::sample::SampleId;
use crate::status::{SampleStatus, Snapshot, Socket};

#[derive(Debug, Args)]
#[group(required = true)]
pub(super) struct Arguments {
    /// Samples, by the ids that status shows
    #[arg(value_name = "ID", conflicts_with = "run")]
    ids: Vec<String>,
    /// All of a run that can be tried again
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
}

#[derive(Serialize)]
struct Document {
    version: u32,
    samples: Vec<SampleStatus>,
}

pub(super) async fn execute(arguments: Arguments, globals: &Globals) -> Result<Exit, CommandError> {
    let config = globals.load_config()?;
    let known = status::current(&config).await?;
    let ids = match &arguments.run {
        Some(run) => of_run(&known, run)?,
        None => arguments.ids.iter().map(|id| find(&known, id)).collect::<Result<_, _>>()?,
    };
    let samples = match open_journal(&config.state_dir) {
        Ok(journal) => {
            let records = journal.retry(ids).await.map_err(refused)?;
            records.iter().map(|record| SampleStatus::of(record, Moment::now())).collect()
        }
        Err(JournalError::InUse { .. }) => Socket::open(&config.state_dir)?.retry(&ids).await?.uploads,
        Err(error) => return Err(error.into()),
    };
    if globals.json {
        output::json(&Document { version: 1, samples });
    } else if samples.is_empty() {
        output::line("nothing there is to be tried again");
    } else {
        for sample in &samples {
            output::line(&format!("{}  {}  is queued again", sample.id, sample.name));
        }
    }
    Ok(Exit::Success)
}

fn find(known: &Snapshot, id: &str) -> Result<SampleId, CommandError> {
    let sample = known.samples.iter().find(|sample| sample.id == id);
    let sample = sample.ok_or_else(|| {
        CommandError::Missing(format!("cannot retry {id}: there is no such sample; flow-ingest status lists them"))
    })?;
    Ok(SampleId::typed(&sample.id))
}

/// The samples of a run that can be tried again: those that are retried anyway, and those that Flow has kept back.
fn of_run(known: &Snapshot, run: &str) -> Result<Vec<SampleId>, CommandError> {
    let mut of_run = known.samples.iter().filter(|sample| sample.run == run).peekable();
    if of_run.peek().is_none() {
        return Err(CommandError::Missing(format!(
            "cannot retry {run}: there is no such run; flow-ingest status lists them"
        )));
    }
    let can = |sample: &&SampleStatus| {
        sample.state == "retrying" || sample.blocked_by.is_some_and(|by| by != Blocker::Assembly)
    };
    Ok(of_run.filter(can).map(|sample| SampleId::typed(&sample.id)).collect())
}

/// A sample that cannot be tried again is a mistake of the call.
fn refused(error: JournalError) -> CommandError {
    match error {
        JournalError::Misstep { .. } => CommandError::Input(error.to_string()),
        error => error.into(),
    }
}
