//! What of a watch is overdue, gone or suddenly empty: pinned up for as long as it is so, and logged when it begins and
//! when it ends.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use crate::assemble::Expectation;
use crate::observation::Moment;
use crate::sample::{SampleId, path_to_text};
use crate::status::{Board, Condition, ConditionKind};
use crate::watch::Outage;

pub(super) struct Conditions {
    watch: String,
    board: Board,
    /// How long a run, and what is declared of it, may keep one waiting; `None`: for ever.
    within: Option<Duration>,
    /// By run folder.
    runs: HashMap<PathBuf, Expectation>,
    outage: Option<Outage>,
    shown: BTreeMap<Key, Condition>,
}

/// Kind, run and sample.
type Key = (ConditionKind, Option<String>, Option<String>);

/// A condition that holds now.
struct Found {
    key: Key,
    /// How long it has held already.
    since: Duration,
    text: String,
}

impl Conditions {
    pub fn new(watch: String, board: Board, within: Option<Duration>) -> Self {
        Self { watch, board, within, runs: HashMap::new(), outage: None, shown: BTreeMap::new() }
    }

    /// Takes in what is expected of a run now.
    pub fn expect(&mut self, folder: PathBuf, expectation: Option<Expectation>) {
        match expectation.filter(|_| self.within.is_some()) {
            Some(expectation) => self.runs.insert(folder, expectation),
            None => self.runs.remove(&folder),
        };
    }

    pub fn set_outage(&mut self, outage: Option<Outage>) {
        self.outage = outage;
    }

    /// Shows what is so at `now`. `is_awaited` asks whether a sample that nothing has come of is waited for: not if a
    /// person left it alone. While nothing can be seen, nothing follows about runs and samples.
    pub fn show(&mut self, now: Moment, is_awaited: impl Fn(&SampleId) -> bool) {
        let outage = self.outage.as_ref().map(|Outage { is_empty, text }| {
            let kind = if *is_empty { ConditionKind::WatchEmpty } else { ConditionKind::WatchGone };
            Found { key: (kind, None, None), since: Duration::ZERO, text: text.clone() }
        });
        let mut found: Vec<Found> = match &outage {
            Some(_) => self.shown.iter().filter(|((_, run, _), _)| run.is_some()).map(unchanged).collect(),
            None => self.overdue(now, is_awaited),
        };
        found.extend(outage);
        self.put(found);
    }

    fn overdue(&self, now: Moment, is_awaited: impl Fn(&SampleId) -> bool) -> Vec<Found> {
        let Some(within) = self.within else { return Vec::new() };
        let mut found = Vec::new();
        for (folder, expectation) in &self.runs {
            let run = Some(path_to_text(folder));
            for overdue in expectation.overdue(within, now) {
                let key = match overdue.sample {
                    Some((id, _)) if !is_awaited(&id) => continue,
                    Some((_, name)) => (ConditionKind::SampleOverdue, run.clone(), Some(name)),
                    None => (ConditionKind::RunOverdue, run.clone(), None),
                };
                found.push(Found { key, since: overdue.since, text: overdue.text });
            }
        }
        found
    }

    fn put(&mut self, found: Vec<Found>) {
        let before = std::mem::take(&mut self.shown);
        let watch = &self.watch;
        for Found { key, since, text } in found {
            let condition = match before.get(&key) {
                Some(condition) => Condition { text, ..condition.clone() },
                None => {
                    let (kind, run, name) = key.clone();
                    tracing::warn!(watch, run, name, text, "overdue, gone or empty");
                    Condition { kind, watch: watch.clone(), run, name, since: ago(since), text }
                }
            };
            self.shown.insert(key, condition);
        }
        for ((_, run, name), condition) in before.iter().filter(|(key, _)| !self.shown.contains_key(*key)) {
            tracing::info!(watch, run, name, was = condition.text, "no longer overdue, gone or empty");
        }
        if before != self.shown {
            self.board.set_conditions(watch, self.shown.values().cloned().collect());
        }
    }
}

fn unchanged((key, condition): (&Key, &Condition)) -> Found {
    Found { key: key.clone(), since: Duration::ZERO, text: condition.text.clone() }
}

/// A time of the wall clock, to the second: for people, and nothing is decided by it.
fn ago(time: Duration) -> Timestamp {
    let then = Timestamp::now() - time;
    Timestamp::from_second(then.as_second()).unwrap_or(then)
}
