//! What other settings would do: to the watches, and to every sample that waits. Worked out before they are taken, so
//! that somebody can look at it first.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::foresee::foresee;
use super::tasks::blocking;
use super::{AgentError, remembered};
use crate::assemble::{run_key, wanted};
use crate::config::{Config, WatchConfig};
use crate::journal::{Journal, JournalError, Record};
use crate::observation::Moment;
use crate::sample::path_to_text;
use crate::sheet::Library;
use crate::status::SampleStatus;
use crate::watch::{RunView, look_once};

/// So many changes are printed; the document has them all.
const CHANGES_SHOWN: usize = 50;

/// What changed settings do, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reload {
    pub version: u32,
    /// By which the very same settings are taken, whatever lies on disk by then.
    pub id: String,
    pub taken: bool,
    /// The files that differ from those that were taken.
    pub changed: Vec<String>,
    pub watches: Vec<WatchChange>,
    /// What would become of samples, where that is something else than now.
    pub changes: Vec<Change>,
    pub counts: ReloadCounts,
    /// Keys that take effect only at the next start.
    pub at_next_start: Vec<String>,
}

/// What becomes of a watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WatchTurn {
    Added,
    Removed,
    /// It is watched in another way.
    Changed,
    /// Its manifest alone is another one.
    Manifest,
}

/// What becomes of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SampleTurn {
    New,
    Gone,
    Renamed,
    Changed,
}

/// A watch that is added, removed, or watched in another way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchChange {
    pub name: String,
    pub change: WatchTurn,
    /// Samples of a removed watch that stay as they are, and are not sent.
    #[serde(default)]
    pub left: usize,
    /// What is wrong with its folder, where it is looked at anew: it is taken all the same, and waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// A sample that becomes something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub change: SampleTurn,
    pub watch: String,
    pub run: String,
    pub was: Option<Outcome>,
    pub is: Option<Outcome>,
}

/// What a sample is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    pub id: String,
    pub name: String,
    pub rule: String,
    pub state: String,
    pub reason: Option<String>,
    /// What Flow is told beside the bytes.
    pub values: BTreeMap<String, String>,
    pub files: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadCounts {
    pub new: usize,
    pub gone: usize,
    pub renamed: usize,
    pub changed: usize,
    /// Samples that stay as they are, in watches whose settings changed.
    pub unchanged: usize,
    /// Under way, or begun: they keep the rule that they started with.
    pub in_flight: usize,
}

/// What would become of the samples of one watch.
#[derive(Debug, Default)]
pub(super) struct Foresight {
    pub records: Vec<Record>,
    /// Every file of its runs.
    pub present: HashSet<PathBuf>,
    /// Those runs, as `status` names them.
    pub runs: HashSet<String>,
    /// Whether all of the watch was seen, so that a run that is not among them is gone.
    pub is_whole: bool,
    /// What is wrong with its folder, where this was the first look.
    pub warning: Option<String>,
}

impl Foresight {
    /// Takes in a run.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn of_run(
        &mut self,
        journal: &Journal,
        watched: &WatchConfig,
        view: &RunView,
        shelf: &crate::sheet::Shelf,
    ) -> Result<(), JournalError> {
        let foreseen = foresee(Some(journal), &watched.watch.name, &watched.manifest, view, shelf)?;
        self.records.extend(foreseen.samples.into_iter().map(|(record, _)| record));
        self.runs.insert(run_key(view));
        self.present.extend(view.files.iter().map(|file| file.path.clone()));
        Ok(())
    }
}

/// Looks at a watch that is new, or that is watched in another way now.
///
/// # Errors
/// When the journal cannot be read.
pub(super) async fn look(watched: &WatchConfig, journal: &Journal) -> Result<Foresight, AgentError> {
    let (watched, journal) = (watched.clone(), journal.clone());
    let name = watched.watch.name.clone();
    let remembered = remembered(&journal, &name)?;
    let look = move || {
        let mut library = Library::new(watched.watch.shortest_settle());
        let mut foresight = Foresight::default();
        let news = look_once(&watched.watch, remembered);
        foresight.is_whole = news.scanned && news.reachable;
        foresight.warning = news.condition;
        for view in news.runs {
            let shelf = library.read(&wanted(&watched.manifest, &view));
            foresight.of_run(&journal, &watched, &view, &shelf)?;
        }
        Ok(foresight)
    };
    blocking(&format!("look at {name}"), look).await?
}

/// What the journal has of a watch.
///
/// # Errors
/// When it cannot be read.
pub(super) fn records_of(journal: &Journal, watch: &str) -> Result<Vec<Record>, JournalError> {
    let of_watch = |record: &Result<Record, _>| record.as_ref().map_or(true, |it| it.sample.key.watch == watch);
    journal.records().filter(of_watch).collect()
}

impl Outcome {
    fn of(record: &Record) -> Self {
        let SampleStatus { id, name, rule, state, reason, .. } = SampleStatus::of(record, Moment::now());
        let values = record.sample.target.values().into_iter().collect();
        let files = record.sample.parts().map(|part| path_to_text(&part.path)).collect();
        Self { id, name, rule, state, reason, values, files }
    }
}

impl Reload {
    /// What differs between two configs, without a look at any sample.
    pub(super) fn between(old: &Config, new: &Config) -> Self {
        let is_known = |file: &PathBuf, sha256: &str| {
            old.sources.iter().any(|source| source.file == *file && source.sha256 == sha256)
        };
        let changed = new.sources.iter().filter(|source| !is_known(&source.file, &source.sha256));
        let find =
            |config: &Config, name: &str| config.watches.iter().find(|watched| watched.watch.name == name).cloned();
        let turn =
            |name: &str, change: WatchTurn| WatchChange { name: name.to_owned(), change, left: 0, warning: None };
        let mut watches = Vec::new();
        for watched in &new.watches {
            let name = &watched.watch.name;
            match find(old, name) {
                None => watches.push(turn(name, WatchTurn::Added)),
                Some(before) if before == *watched => {}
                Some(before) if before.watch == watched.watch && before.manifest != watched.manifest => {
                    watches.push(turn(name, WatchTurn::Manifest))
                }
                Some(_) => watches.push(turn(name, WatchTurn::Changed)),
            }
        }
        let gone = old.watches.iter().filter(|watched| find(new, &watched.watch.name).is_none());
        watches.extend(gone.map(|watched| turn(&watched.watch.name, WatchTurn::Removed)));
        let contents: String =
            new.sources.iter().map(|source| format!("{} {}\n", path_to_text(&source.file), source.sha256)).collect();
        Self {
            version: 1,
            id: crate::yaml::sha256(contents.as_bytes())[..12].to_owned(),
            taken: false,
            changed: changed.map(|source| path_to_text(&source.file)).collect(),
            watches,
            changes: Vec::new(),
            counts: ReloadCounts::default(),
            at_next_start: at_next_start(old, new),
        }
    }

    /// The watches that are no longer there.
    pub(super) fn removed(&self) -> Vec<String> {
        self.watches.iter().filter(|watch| watch.change == WatchTurn::Removed).map(|watch| watch.name.clone()).collect()
    }

    /// Takes in what would become of a watch's samples. `old` is what the journal has of it.
    pub(super) fn add(&mut self, name: &str, old: Vec<Record>, foreseen: Foresight) {
        let Foresight { records: new, present, runs, is_whole, warning } = foreseen;
        if let Some(watch) = self.watches.iter_mut().find(|watch| watch.name == name) {
            watch.warning = warning;
        }
        let mut old: HashMap<_, _> = old.into_iter().map(|record| (record.sample.id(), record)).collect();
        let mut appeared = Vec::new();
        for record in new {
            match old.remove(&record.sample.id()) {
                None => appeared.push(record),
                Some(before) => self.compare(&before, &record),
            }
        }
        for before in old.into_values() {
            if !is_whole && !runs.contains(&before.sample.key.run) {
                self.compare(&before, &before);
                continue;
            }
            let is_regrouped = before.sample.parts().any(|part| present.contains(&part.path));
            // The same files under another name.
            let first = before.sample.parts().next().map(|part| part.path.clone());
            let has_first = |record: &Record| record.sample.parts().any(|part| Some(&part.path) == first.as_ref());
            let heir = appeared.iter().position(has_first);
            // One that takes a new name keeps its past, with what a person decided.
            let moves = heir.filter(|at| appeared[*at].first_seen == before.first_seen);
            match (before.clone().unmade(is_regrouped), moves) {
                (Some(after), None) => self.compare(&before, &after),
                _ => match heir {
                    Some(at) => self.note(SampleTurn::Renamed, Some(&before), Some(&appeared.swap_remove(at))),
                    None => self.note(SampleTurn::Gone, Some(&before), None),
                },
            }
        }
        appeared.iter().for_each(|record| self.note(SampleTurn::New, None, Some(record)));
    }

    /// Takes in that a watch is removed.
    pub(super) fn leave(&mut self, name: &str, records: &[Record]) {
        let stays = |record: &&Record| {
            let state = record.state.name();
            !matches!(state, "done" | "skipped") && !record.state.is_begun()
        };
        if let Some(watch) = self.watches.iter_mut().find(|watch| watch.name == name) {
            watch.left = records.iter().filter(stays).count();
        }
        self.counts.in_flight += records.iter().filter(|record| is_in_flight(record)).count();
    }

    /// Puts the changes in order.
    pub(super) fn finish(&mut self) {
        let key = |change: &Change| {
            let name = change.is.as_ref().or(change.was.as_ref()).map(|outcome| outcome.name.clone());
            (change.watch.clone(), change.run.clone(), name)
        };
        self.changes.sort_by_key(key);
    }

    fn compare(&mut self, before: &Record, after: &Record) {
        if is_in_flight(before) {
            self.counts.in_flight += 1;
        } else if Outcome::of(before) == Outcome::of(after) {
            self.counts.unchanged += 1;
        } else {
            self.note(SampleTurn::Changed, Some(before), Some(after));
        }
    }

    fn note(&mut self, change: SampleTurn, was: Option<&Record>, is: Option<&Record>) {
        let Some(key) = is.or(was).map(|record| &record.sample.key) else { return };
        *match change {
            SampleTurn::New => &mut self.counts.new,
            SampleTurn::Gone => &mut self.counts.gone,
            SampleTurn::Renamed => &mut self.counts.renamed,
            SampleTurn::Changed => &mut self.counts.changed,
        } += 1;
        self.changes.push(Change {
            change,
            watch: key.watch.clone(),
            run: key.run.clone(),
            was: was.map(Outcome::of),
            is: is.map(Outcome::of),
        });
    }

    /// As text for people.
    pub fn render(&self) -> String {
        let mut text = String::new();
        for file in &self.changed {
            let _ = writeln!(text, "changed: {file}");
        }
        for watch in &self.watches {
            let what = match watch.change {
                WatchTurn::Added => "is new: it is looked at from now on".to_owned(),
                WatchTurn::Removed if watch.left > 0 => {
                    format!("is no longer watched: {} samples stay where they are and are not sent", watch.left)
                }
                WatchTurn::Removed => "is no longer watched".to_owned(),
                WatchTurn::Manifest => "has another manifest".to_owned(),
                WatchTurn::Changed => "is watched in another way: it is looked at anew".to_owned(),
            };
            let _ = writeln!(text, "watch {} {what}", watch.name);
            if let Some(warning) = &watch.warning {
                let _ = writeln!(text, "warning: watch {}: {warning}", watch.name);
            }
        }
        let ReloadCounts { new, gone, renamed, changed, unchanged, in_flight } = &self.counts;
        let _ = writeln!(
            text,
            "samples: {changed} changed, {renamed} renamed, {new} new, {gone} gone, {unchanged} as they were, \
             {in_flight} under way (they keep the rule that they started with)"
        );
        for change in self.changes.iter().take(CHANGES_SHOWN) {
            text.push_str(&change.render());
        }
        if self.changes.len() > CHANGES_SHOWN {
            let _ = writeln!(text, "and {} more (--json lists them)", self.changes.len() - CHANGES_SHOWN);
        }
        for key in &self.at_next_start {
            let _ = writeln!(text, "{key}");
        }
        text
    }
}

/// Whether something of it was sent, so that it goes on as it began.
fn is_in_flight(record: &Record) -> bool {
    record.state.is_begun() && record.state.sent().is_none()
}

impl Change {
    fn render(&self) -> String {
        let brief = |outcome: &Outcome| {
            let reason = outcome.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            format!("{}{reason}, by rule {}", outcome.state, outcome.rule)
        };
        match (&self.was, &self.is) {
            (None, Some(is)) => format!("{} {}: new; {}\n", self.run, is.name, brief(is)),
            (Some(was), None) => format!("{} {}: gone; it was {}\n", self.run, was.name, brief(was)),
            (Some(was), Some(is)) => {
                let mut text = match was.name == is.name {
                    true => format!("{} {}:\n", self.run, is.name),
                    false => format!("{} {}: is called {} now\n", self.run, was.name, is.name),
                };
                if (&was.state, &was.reason, &was.rule) != (&is.state, &is.reason, &is.rule) {
                    let _ = writeln!(text, "  was {}\n  is {}", brief(was), brief(is));
                }
                let keys: std::collections::BTreeSet<_> = was.values.keys().chain(is.values.keys()).collect();
                for key in keys.into_iter().filter(|key| was.values.get(*key) != is.values.get(*key)) {
                    let value = |outcome: &Outcome| {
                        outcome.values.get(key).map_or("nothing".to_owned(), |it| format!("{it:?}"))
                    };
                    let _ = writeln!(text, "  {key} was {} and is {}", value(was), value(is));
                }
                if was.files != is.files {
                    let _ = writeln!(text, "  has {} files and had {}", is.files.len(), was.files.len());
                }
                text
            }
            (None, None) => String::new(),
        }
    }
}

/// What differs and cannot be changed in a running process.
fn at_next_start(old: &Config, new: &Config) -> Vec<String> {
    let (a, b) = (&old.flow, &new.flow);
    let differing = [
        ("state_dir", old.state_dir != new.state_dir),
        ("flow.base_url", a.base_url != b.base_url),
        ("flow.allow_http", a.allow_http != b.allow_http),
        ("flow.credentials", a.credentials != b.credentials),
        ("flow.proxy", a.proxy != b.proxy),
        ("flow.chunk_size", a.client.chunk_size != b.client.chunk_size),
        ("flow.connection_retries", a.client.connection_retries != b.client.connection_retries),
        ("flow.request_timeout", a.client.request_timeout != b.client.request_timeout),
        ("flow.upload_retries", a.client.upload_retries != b.client.upload_retries),
        ("flow.show_progress", a.client.show_progress != b.client.show_progress),
        ("uploads.concurrency", old.uploads.concurrency != new.uploads.concurrency),
        ("uploads.final_wait", old.uploads.final_wait != new.uploads.final_wait),
        ("uploads.if_exists", old.uploads.if_exists != new.uploads.if_exists),
        ("uploads.verify", old.uploads.verify != new.uploads.verify),
        ("status.listen", old.status != new.status),
    ];
    let keys = differing.into_iter().filter(|(_, differs)| *differs);
    keys.map(|(key, _)| format!("{key} takes effect at the next start")).collect()
}

#[cfg(test)]
mod tests;
