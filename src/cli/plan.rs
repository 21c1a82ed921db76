//! `flow-ingest plan`: what would be uploaded, as what, and what is left out and why. It looks, and touches nothing.

use std::collections::HashMap;
use std::time::Duration;

use super::exit::{CommandError, Exit};
use super::{Globals, open_journal, output};
use crate::assemble::assemble;
use crate::config::{Config, WatchConfig};
use crate::journal::{JournalError, Record};
use crate::observation::Moment;
use crate::sample::path_to_text;
use crate::status::{Board, LeftOut, SampleStatus, Snapshot, WatchStatus, ask, render};
use crate::watch::{FileView, Remembered, RunView, look_once};

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
        for view in news.runs {
            let assembly = assemble(&watched.watch.name, &watched.manifest, &as_if_settled(watched, view));
            left_out.extend(
                assembly.left_out.into_iter().map(|(path, reason)| LeftOut { path: path_to_text(&path), reason }),
            );
            samples.extend(assembly.samples.into_iter().map(|assembled| known.status(assembled)));
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
    /// Whether a running service told it.
    is_live: bool,
    remembered: HashMap<String, Remembered>,
    samples: HashMap<String, SampleStatus>,
}

impl Known {
    /// From the running service, else from the state folder, if there is one.
    async fn of(config: &Config) -> Result<Self, CommandError> {
        let mut known = Self::default();
        if !config.state_dir.join("journal").exists() {
            return Ok(known);
        }
        let snapshot = match open_journal(&config.state_dir) {
            Ok(journal) => {
                for watched in &config.watches {
                    let name = &watched.watch.name;
                    let remembered =
                        Remembered { baseline: journal.baseline(name)?, observations: journal.observations(name)? };
                    known.remembered.insert(name.clone(), remembered);
                }
                Snapshot::take(&journal, &Board::default(), "offline")?
            }
            Err(JournalError::InUse { .. }) => {
                known.is_live = true;
                ask(&config.state_dir).await?
            }
            Err(error) => return Err(error.into()),
        };
        known.samples = snapshot.samples.into_iter().map(|sample| (sample.id.clone(), sample)).collect();
        Ok(known)
    }

    /// The state that a sample would take: what it is already when it is on its way or settled, else what assembly says.
    fn status(&self, assembled: crate::assemble::Assembled) -> SampleStatus {
        let id = assembled.sample.id();
        match self.samples.get(id.as_str()) {
            // A running service has seen more than a single look can.
            Some(known) if self.is_live || !matches!(known.state.as_str(), "waiting" | "queued") => known.clone(),
            _ => {
                let record = Record::new(assembled.sample, assembled.standing, jiff::Timestamp::now());
                SampleStatus::of(&record, Moment::now())
            }
        }
    }
}

/// The same view, as it will be if nothing changes: a single look cannot see that.
fn as_if_settled(watched: &WatchConfig, view: RunView) -> RunView {
    let files = view
        .files
        .into_iter()
        .map(|file| FileView { settled: true, settles_in: None, unchanged_for: Duration::MAX, ..file })
        .collect();
    let quiet = Duration::MAX;
    RunView::new(view.name, view.folder, view.captures, files, view.first_seen, quiet, &watched.watch.complete_when)
        .with_unreadable(view.unreadable)
}
