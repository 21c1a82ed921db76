//! `flow-ingest plan`: what would be uploaded, as what, and what is left out and why. It looks, and touches nothing.

use std::collections::HashMap;
use std::time::Duration;

use super::exit::{CommandError, Exit};
use super::{Globals, open_journal, output};
use crate::assemble::{assemble, by_lateness, run_key, wanted};
use crate::config::Config;
use crate::journal::{Journal, JournalError, Record};
use crate::observation::Moment;
use crate::sample::{Finding, path_to_text};
use crate::sheet::Library;
use crate::status::{LeftOut, SampleStatus, Snapshot, WatchStatus, ask, render};
use crate::watch::{Remembered, look_once};

pub(super) async fn execute(globals: &Globals) -> Result<Exit, CommandError> {
    let config = globals.load_config()?;
    let known = Known::of(&config).await?;
    let mut samples = Vec::new();
    let mut watches = Vec::new();
    let mut left_out = Vec::new();
    for watched in &config.watches {
        let settings = watched.watch.clone();
        let remembered = known.remembered.get(&settings.name).cloned().unwrap_or_default();
        let news = tokio::task::spawn_blocking(move || look_once(&settings, remembered))
            .await
            .expect("looking does not panic");
        let root = &watched.watch.path;
        left_out.extend(
            news.left_out
                .unwrap_or_default()
                .into_iter()
                .map(|left_out| LeftOut { path: path_to_text(&root.join(left_out.path)), reason: left_out.reason }),
        );
        // As for all other files: as they will be if nothing changes.
        let mut library = Library::new(Duration::ZERO);
        for view in news.runs {
            let view = view.as_if_settled();
            let name = &watched.watch.name;
            let closed = known.journal.as_ref().map(|journal| journal.closed(name, &run_key(&view)));
            let wanted = wanted(&watched.manifest, &view);
            let shelf;
            (shelf, library) = tokio::task::spawn_blocking(move || (library.read(&wanted), library))
                .await
                .expect("reading a sheet does not panic");
            let assembly = assemble(name, &watched.manifest, &view, &closed.unwrap_or_default(), &shelf);
            left_out.extend(
                assembly.left_out.into_iter().map(|(path, reason)| LeftOut { path: path_to_text(&path), reason }),
            );
            for (findings, run_ends) in by_lateness(assembly.samples) {
                samples.extend(known.states(findings, run_ends)?);
            }
        }
        watches.push(WatchStatus {
            name: watched.watch.name.clone(),
            // Nothing was set up that could say whether events arrive.
            mode: "once".to_owned(),
            condition: news.condition,
        });
    }
    let snapshot = Snapshot::new("plan", None, samples, watches, left_out);
    if globals.json {
        output::json(&snapshot);
    } else {
        output::line(render(&snapshot).trim_end());
    }
    Ok(Exit::Success)
}

/// What is known of samples and files already.
#[derive(Default)]
struct Known {
    /// Of the state folder, when no service holds it.
    journal: Option<Journal>,
    remembered: HashMap<String, Remembered>,
    /// What a running service told.
    told: HashMap<String, SampleStatus>,
}

impl Known {
    /// From the running service, else from the state folder, if there is one.
    async fn of(config: &Config) -> Result<Self, CommandError> {
        let mut known = Self::default();
        if !config.state_dir.join("journal").exists() {
            return Ok(known);
        }
        match open_journal(&config.state_dir) {
            Ok(journal) => {
                for watched in &config.watches {
                    let name = &watched.watch.name;
                    let remembered =
                        Remembered { baseline: journal.baseline(name)?, observations: journal.observations(name)? };
                    known.remembered.insert(name.clone(), remembered);
                }
                known.journal = Some(journal);
            }
            Err(JournalError::InUse { .. }) => {
                let told = ask(&config.state_dir).await?.samples.into_iter();
                known.told = told.map(|sample| (sample.id.clone(), sample)).collect();
            }
            Err(error) => return Err(error.into()),
        }
        Ok(known)
    }

    /// The states that samples of a run would take. A running service has seen more than a single look can.
    fn states(&self, findings: Vec<Finding>, run_ends: bool) -> Result<Vec<SampleStatus>, CommandError> {
        let records = match &self.journal {
            Some(journal) => journal.foresee(findings, run_ends)?,
            None => findings.into_iter().map(Record::foreseen).collect(),
        };
        let status = |record: &Record| {
            let told = self.told.get(record.sample.id().as_str());
            told.cloned().unwrap_or_else(|| SampleStatus::of(record, Moment::now()))
        };
        Ok(records.iter().map(status).collect())
    }
}
