//! `flow-ingest import-status`: how far an import has got, and which samples it made.

use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::connection::{Connection, ConnectionArguments};
use super::exit::{CommandError, Exit};
use super::run::told_to_stop;
use super::{Globals, bars, logging, output};
use crate::flow::{Client, Error, ImportStatus, SampleImportJob};
use crate::status::columns;

/// The pauses between looks at a job that is waited for: they double.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// So many looks in a row may fail in passing before the waiting ends.
const FAILURES: u32 = 10;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The job's id, as import printed it
    #[arg(long, alias = "job-id", value_name = "ID", value_parser = job_id)]
    job: String,
    /// Wait until it has come to its end
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    connection: ConnectionArguments,
}

/// Ids are digits: anything else is a slip of the hand.
fn job_id(text: &str) -> Result<String, String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok(text.to_owned())
    } else {
        Err("a job's id is a number".to_owned())
    }
}

pub(super) async fn execute(arguments: Arguments, globals: &Globals) -> Result<Exit, CommandError> {
    logging::start_with(globals.log_format, &bars::canvas(false), "warn");
    let client = Connection::resolve(&arguments.connection, globals)?.with_credentials().await?;
    let job = if arguments.wait {
        tokio::select! {
            job = wait(&client, &arguments.job) => job?,
            () = told_to_stop() => return Ok(Exit::Interrupted),
        }
    } else {
        client.samples().get_import(&arguments.job).await?
    };
    show(&job, globals.json);
    Ok(if job.status == ImportStatus::Failed { Exit::Failure } else { Exit::Success })
}

/// Looks at the job until it has come to its end. Reading changes nothing, so a fault that passes is waited out.
async fn wait(client: &Client, id: &str) -> Result<SampleImportJob, Error> {
    let (mut pause, mut failures) = (FIRST_PAUSE, 0);
    loop {
        match client.samples().get_import(id).await {
            Ok(job) if job.status.is_final() => return Ok(job),
            Ok(_) => failures = 0,
            Err(error) if is_passing(&error) && failures < FAILURES => {
                tracing::warn!(%error, "cannot see how far the import has got; asking again");
                failures += 1;
            }
            Err(error) => return Err(error),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn is_passing(error: &Error) -> bool {
    match error {
        Error::Unreachable { .. } | Error::Lost { .. } => true,
        error => error.status().is_some_and(|status| status == 429 || status >= 500),
    }
}

/// Shows a job: its state, its samples, and why it failed.
pub(super) fn show(job: &SampleImportJob, is_json: bool) {
    #[derive(Serialize)]
    struct Document<'a> {
        version: u32,
        #[serde(flatten)]
        job: &'a SampleImportJob,
    }
    if is_json {
        return output::json(&Document { version: 1, job });
    }
    output::line(&format!("job {}: {}", output::cell(&job.id), output::cell(job.status.as_str())));
    let times = [("created", job.created), ("started", job.started), ("finished", job.finished)];
    for (what, time) in times {
        if let Some(time) = time {
            output::line(&format!("{what} {time:.0}"));
        }
    }
    if let Some(error) = &job.error {
        output::line(&format!("error: {}", output::cell(error)));
    }
    let count = job.accessions.len().max(job.sample_ids.len());
    if count > 0 {
        // A sample for each accession, in their order, once it is completed.
        let at = |list: &[String], n: usize| list.get(n).map(|text| output::cell(text)).unwrap_or_default();
        let rows = (0..count).map(|n| [at(&job.accessions, n), at(&job.sample_ids, n)]);
        let header = ["ACCESSION", "SAMPLE"].map(str::to_owned);
        output::line(&format!("\n{}", columns(std::iter::once(header).chain(rows).collect()).trim_end()));
    }
}
