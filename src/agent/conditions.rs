//! What of a watch is overdue, gone or suddenly empty: pinned up for as long as it is so, and logged when it begins and
//! when it ends. Who looks only once is told what is so at that moment.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use crate::assemble::Expectation;
use crate::observation::Moment;
use crate::sample::{SampleId, path_to_text};
use crate::status::{Board, Condition, ConditionKind};
use crate::watch::Outage;

/// What of a watch should be there.
pub struct Expected {
    watch: String,
    /// How long a run, and what is declared of it, may keep one waiting; `None`: for ever.
    within: Option<Duration>,
    /// By run folder.
    runs: HashMap<PathBuf, Expectation>,
    outage: Option<Outage>,
}

pub(super) struct Conditions {
    board: Board,
    expected: Expected,
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

impl Expected {
    /// `within` is how long a run may be without news, and a declared sample without files.
    pub fn new(watch: String, within: Option<Duration>) -> Self {
        Self { watch, within, runs: HashMap::new(), outage: None }
    }

    /// Name of the watch.
    pub fn watch(&self) -> &str {
        &self.watch
    }

    /// Takes in what is expected of a run now.
    pub fn expect(&mut self, folder: PathBuf, expectation: Option<Expectation>) {
        match expectation.filter(|_| self.within.is_some()) {
            Some(expectation) => self.runs.insert(folder, expectation),
            None => self.runs.remove(&folder),
        };
    }

    /// Takes in whether the folder is gone, or suddenly empty.
    pub fn set_outage(&mut self, outage: Option<Outage>) {
        self.outage = outage;
    }

    /// What is so at `now`. `is_awaited` asks whether a sample that nothing has come of is waited for: not if a person
    /// left it alone. While nothing can be seen, nothing follows about runs and samples.
    pub fn conditions(&self, now: Moment, is_awaited: impl Fn(&SampleId) -> bool) -> Vec<Condition> {
        let found = self.found_outage().map_or_else(|| self.overdue(now, is_awaited), |outage| vec![outage]);
        let mut found: Vec<_> = found.into_iter().map(|found| found.begins(&self.watch)).collect();
        found.sort_by(|a, b| (a.kind, &a.run, &a.name).cmp(&(b.kind, &b.run, &b.name)));
        found
    }

    fn found_outage(&self) -> Option<Found> {
        self.outage.as_ref().map(|Outage { is_empty, text }| {
            let kind = if *is_empty { ConditionKind::WatchEmpty } else { ConditionKind::WatchGone };
            Found { key: (kind, None, None), since: Duration::ZERO, text: text.clone() }
        })
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
}

impl Found {
    /// As it is told when nothing was known of it before.
    fn begins(self, watch: &str) -> Condition {
        let Self { key: (kind, run, name), since, text } = self;
        Condition { kind, watch: watch.to_owned(), run, name, since: ago(since), text }
    }
}

impl Conditions {
    pub fn new(watch: String, board: Board, within: Option<Duration>) -> Self {
        Self { board, expected: Expected::new(watch, within), shown: BTreeMap::new() }
    }

    /// Takes in what is expected of a run now.
    pub fn expect(&mut self, folder: PathBuf, expectation: Option<Expectation>) {
        self.expected.expect(folder, expectation);
    }

    pub fn set_outage(&mut self, outage: Option<Outage>) {
        self.expected.set_outage(outage);
    }

    /// Shows what is so at `now`, as [`Expected::conditions`] has it; what was shown of runs and samples stays while nothing
    /// can be seen.
    pub fn show(&mut self, now: Moment, is_awaited: impl Fn(&SampleId) -> bool) {
        let outage = self.expected.found_outage();
        let mut found: Vec<Found> = match &outage {
            Some(_) => self.shown.iter().filter(|((_, run, _), _)| run.is_some()).map(unchanged).collect(),
            None => self.expected.overdue(now, is_awaited),
        };
        found.extend(outage);
        self.put(found);
    }

    fn put(&mut self, found: Vec<Found>) {
        let before = std::mem::take(&mut self.shown);
        let watch = &self.expected.watch;
        for found in found {
            let key = found.key.clone();
            let condition = match before.get(&key) {
                Some(condition) => Condition { text: found.text, ..condition.clone() },
                None => {
                    let (_, run, name) = &key;
                    tracing::warn!(watch, run, name, text = found.text, "overdue, gone or empty");
                    found.begins(watch)
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
