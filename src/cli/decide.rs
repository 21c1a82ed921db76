//! What people decide: `hold`, `release`, `skip`, `close`, `resend` and `retry`. Who, when and why stays with the sample.

use std::path::Path;

use clap::Args;
use serde::Serialize;

use super::exit::{CommandError, Exit};
use super::holder::Holder;
use super::{Globals, output, runs, status};
use crate::journal::{JournalError, Order, RunName, Verb};
use crate::observation::Moment;
use crate::sample::{SampleId, acceptable_name};
use crate::status::{SampleStatus, Snapshot};

#[derive(Debug, Args)]
pub(super) struct Targets {
    /// Samples, by the ids that status shows, or runs, by their paths below the watch or their folders' names
    #[arg(value_name = "RUN|ID", required = true)]
    targets: Vec<String>,
    /// Why, for those who ask later
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(Debug, Args)]
#[group(required = true)]
pub(super) struct Retry {
    /// Samples, by the ids that status shows
    #[arg(value_name = "ID", conflicts_with = "run")]
    ids: Vec<String>,
    /// All of a run that can be tried again; the run by its path below the watch or its folder's name
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Resend {
    /// The sample, by the id that status shows
    id: String,
    /// The name that it gets on Flow in place of the rule's
    #[arg(long = "as", value_name = "NAME")]
    name: Option<String>,
    /// Why, for those who ask later
    #[arg(long, value_name = "TEXT", required = true)]
    reason: String,
}

#[derive(Serialize)]
struct Document {
    version: u32,
    samples: Vec<SampleStatus>,
}

pub(super) async fn execute(verb: Verb, arguments: Targets, globals: &Globals) -> Result<Exit, CommandError> {
    let state_dir = globals.state_dir().await?;
    let known = status::current(&state_dir).await?;
    let known_runs = runs::known(&known);
    let (mut samples, mut runs) = (Vec::new(), Vec::new());
    for target in &arguments.targets {
        match known.samples.iter().find(|sample| sample.id == *target) {
            Some(sample) => samples.push(SampleId::typed(&sample.id)),
            None => runs.extend(runs::named(target, &known_runs, verb.name(), "run or sample")?),
        }
    }
    if verb == Verb::Close
        && let Some(drop_folder) = runs.iter().find(|run| run.run == run.watch)
    {
        return Err(CommandError::Input(format!(
            "cannot close {}: a drop folder never ends; close its samples by their ids",
            drop_folder.run
        )));
    }
    let order = Order { verb, samples, runs, who: who(), reason: arguments.reason, name: None };
    let samples = hand_in(&state_dir, &order).await?;
    show(verb, &order.runs, samples, globals)
}

pub(super) async fn retry(arguments: Retry, globals: &Globals) -> Result<Exit, CommandError> {
    let state_dir = globals.state_dir().await?;
    let known = status::current(&state_dir).await?;
    let verb = Verb::Retry;
    let (samples, runs) = match &arguments.run {
        Some(run) => (Vec::new(), runs::named(run, &runs::known(&known), verb.name(), "run")?),
        None => (arguments.ids.iter().map(|id| find(&known, id, verb)).collect::<Result<_, _>>()?, Vec::new()),
    };
    let order = Order { verb, samples, runs, who: who(), reason: None, name: None };
    let samples = hand_in(&state_dir, &order).await?;
    show(verb, &[], samples, globals)
}

pub(super) async fn resend(arguments: Resend, globals: &Globals) -> Result<Exit, CommandError> {
    let state_dir = globals.state_dir().await?;
    let known = status::current(&state_dir).await?;
    let verb = Verb::Resend;
    if let Some(name) = &arguments.name
        && acceptable_name(name).as_ref() != Ok(name)
    {
        return Err(CommandError::Input(format!(
            "cannot send it as {name:?}: Flow would not take that name; use no spaces, slashes or control characters, \
             and at most 255 bytes"
        )));
    }
    if let Some(name) = &arguments.name
        && let Some(other) = known
            .samples
            .iter()
            .find(|other| other.id != arguments.id && (other.name == *name || other.sent_as.as_ref() == Some(name)))
    {
        return Err(CommandError::Input(format!(
            "cannot send it as {name}: sample {} of run {} is called that already; choose another name",
            other.id, other.run
        )));
    }
    let samples = vec![find(&known, &arguments.id, verb)?];
    let order =
        Order { verb, samples, runs: Vec::new(), who: who(), reason: Some(arguments.reason), name: arguments.name };
    let samples = hand_in(&state_dir, &order).await?;
    let namesakes: Vec<String> = samples.iter().flat_map(|sent| namesakes(&known, sent)).collect();
    let exit = show(verb, &[], samples, globals)?;
    if !globals.json {
        namesakes.iter().for_each(|namesake| output::line(namesake));
    }
    Ok(exit)
}

/// Samples that have the name on Flow under which one is sent again: two whose names were exchanged, for instance.
fn namesakes(known: &Snapshot, sent: &SampleStatus) -> Vec<String> {
    let on_flow = |sample: &SampleStatus| sample.sent_as.clone().unwrap_or_else(|| sample.name.clone());
    let name = on_flow(sent);
    let is_namesake = |other: &&SampleStatus| {
        other.id != sent.id && other.run == sent.run && other.sample_id.is_some() && on_flow(other) == name
    };
    let told = |other: &SampleStatus| {
        format!("  sample {} is called {name} on Flow as well, until it is sent again or retracted there", other.id)
    };
    known.samples.iter().filter(is_namesake).map(told).collect()
}

/// Gives the order to the process that holds the state folder, or to the journal itself.
async fn hand_in(state_dir: &Path, order: &Order) -> Result<Vec<SampleStatus>, CommandError> {
    match Holder::of(state_dir).await? {
        Holder::Nobody(journal) => {
            let records = journal.decide(order.clone()).await.map_err(refused)?;
            Ok(records.iter().map(|record| SampleStatus::of(record, Moment::now())).collect())
        }
        Holder::Process(socket) => Ok(socket.decide(order).await?.uploads),
    }
}

fn show(verb: Verb, runs: &[RunName], samples: Vec<SampleStatus>, globals: &Globals) -> Result<Exit, CommandError> {
    if globals.json {
        output::json(&Document { version: 1, samples });
        return Ok(Exit::Success);
    }
    for run in runs.iter().filter(|_| verb != Verb::Retry) {
        output::line(&format!(
            "run {} of watch {}: {}, and so is what is yet to come of it",
            run.run,
            run.watch,
            done(verb)
        ));
    }
    if samples.is_empty() && (runs.is_empty() || verb == Verb::Retry) {
        output::line(&format!("nothing there is to be {}", done(verb)));
    }
    for sample in &samples {
        output::line(&format!("{}  {}  is {} now", sample.id, sample.name, sample.state));
        for old in &sample.to_retract {
            let what = match &old.sample_id {
                Some(id) => format!("sample {id} with data {}", old.data_ids.join(", ")),
                None => format!("data {}", old.data_ids.join(", ")),
            };
            output::line(&format!("  retract on Flow: {what} (sent {:.0})", old.finished));
        }
    }
    Ok(Exit::Success)
}

fn done(verb: Verb) -> &'static str {
    match verb {
        Verb::Hold => "held",
        Verb::Release => "released",
        Verb::Skip => "skipped",
        Verb::Close => "closed",
        Verb::Resend => "sent again",
        Verb::Retry => "tried again",
    }
}

fn find(known: &Snapshot, id: &str, verb: Verb) -> Result<SampleId, CommandError> {
    let sample = known.samples.iter().find(|sample| sample.id == id);
    let sample = sample.ok_or_else(|| {
        CommandError::Missing(format!(
            "cannot {} {id}: there is no such sample; flow-ingest status lists them",
            verb.name()
        ))
    })?;
    Ok(SampleId::typed(&sample.id))
}

/// Who gives the command: behind sudo, the person who called it.
fn who() -> String {
    let named = ["SUDO_USER", "USER", "LOGNAME"].iter().filter_map(|name| std::env::var(name).ok());
    let named = named.into_iter().find(|name| !name.is_empty());
    named.unwrap_or_else(|| format!("user {}", rustix::process::getuid().as_raw()))
}

/// A sample that cannot be what is wanted is a mistake of the call.
fn refused(error: JournalError) -> CommandError {
    match error {
        JournalError::Misstep { .. } => CommandError::Input(error.to_string()),
        error => error.into(),
    }
}
