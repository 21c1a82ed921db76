//! What is asked all the time, kept in memory over what the journal holds and made anew at every start: whose turn it
//! is, what belongs to whom, what is in flight, how many samples are in each state.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::Timestamp;

use super::decision::{RunName, RunOrders};
use super::ownership::Ownership;
use super::record::Record;
use super::state::State;
use super::turns::Turns;
use crate::sample::{Closed, SampleId, SampleKey};

/// A sample that is being uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InFlight {
    pub id: SampleId,
    pub name: String,
    /// Bytes that Flow acknowledged.
    pub sent: u64,
    /// Bytes in all.
    pub size: u64,
}

/// How many samples are in each state, by the state's name, and their bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    pub samples: usize,
    pub bytes: u64,
}

#[derive(Default)]
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(super) struct Index {
    pub turns: Turns,
    pub ownership: Ownership,
    runs: HashMap<RunName, Run>,
    in_flight: BTreeMap<SampleId, InFlight>,
    states: HashMap<SampleId, (&'static str, u64)>,
    tally: BTreeMap<&'static str, Tally>,
    /// Samples under way that a person wants halted.
    wished: HashSet<SampleId>,
}

/// What is known of a run.
#[cfg_attr(test, derive(Debug, PartialEq))]
struct Run {
    /// When its first sample was put down: the age of the run.
    first_seen: Timestamp,
    /// Its samples that are on Flow.
    delivered: BTreeSet<SampleId>,
    /// Its samples that a person has closed, with their names.
    closed: BTreeMap<SampleId, String>,
    orders: RunOrders,
}

impl Default for Run {
    fn default() -> Self {
        let (delivered, closed, orders) = Default::default();
        Self { first_seen: Timestamp::MAX, delivered, closed, orders }
    }
}

impl Index {
    /// Takes in what became of a sample.
    pub fn put(&mut self, record: &Record) {
        let key = &record.sample.key;
        let id = key.id();
        self.take_out(key, &id);
        let run = self.runs.entry(RunName::of(key)).or_default();
        run.first_seen = run.first_seen.min(record.first_seen);
        if record.state.sent().is_some() {
            run.delivered.insert(id.clone());
        }
        if record.history.is_closed() {
            run.closed.insert(id.clone(), key.name.clone());
        }
        self.turns.put(record, &id, run.first_seen);
        self.ownership.put(record, &id);

        let size = record.sample.size();
        let tally = self.tally.entry(record.state.name()).or_default();
        tally.samples += 1;
        tally.bytes += size;
        self.states.insert(id.clone(), (record.state.name(), size));
        if let State::Uploading { upload } = &record.state {
            if record.history.wish.is_some() {
                self.wished.insert(id.clone());
            }
            let in_flight = InFlight { id: id.clone(), name: key.name.clone(), sent: upload.sent(), size };
            self.in_flight.insert(id, in_flight);
        }
    }

    /// Forgets all that is known of a sample, which is no more. Another one may be called as it was.
    pub fn forget(&mut self, key: &SampleKey) {
        let id = key.id();
        self.turns.forget(&id);
        self.ownership.forget(&id);
        self.take_out(key, &id);
    }

    /// Takes out what the index itself knows of a sample.
    fn take_out(&mut self, key: &SampleKey, id: &SampleId) {
        if let Some(run) = self.runs.get_mut(&RunName::of(key)) {
            run.delivered.remove(id);
            run.closed.remove(id);
        }
        self.wished.remove(id);
        self.in_flight.remove(id);
        if let Some((state, size)) = self.states.remove(id)
            && let Some(tally) = self.tally.get_mut(state)
        {
            tally.samples -= 1;
            tally.bytes -= size;
        }
    }

    /// How many samples of a run are on Flow.
    pub fn delivered(&self, run: &RunName) -> usize {
        self.runs.get(run).map_or(0, |run| run.delivered.len())
    }

    /// Takes in what a person said of a run as a whole.
    pub fn put_orders(&mut self, run: RunName, orders: RunOrders) {
        self.runs.entry(run).or_default().orders = orders;
    }

    pub fn orders(&self, run: &RunName) -> RunOrders {
        self.runs.get(run).map(|run| run.orders.clone()).unwrap_or_default()
    }

    /// What people said of a run that does not end by itself.
    pub fn closed(&self, run: &RunName) -> Closed {
        self.runs.get(run).map_or_else(Closed::default, |run| Closed {
            run: run.orders.closed.is_some(),
            samples: run.closed.values().cloned().collect(),
        })
    }

    pub fn is_wished(&self, id: &SampleId) -> bool {
        self.wished.contains(id)
    }

    pub fn in_flight(&self) -> Vec<InFlight> {
        self.in_flight.values().cloned().collect()
    }

    /// The name of a sample's state.
    pub fn state(&self, id: &SampleId) -> Option<&'static str> {
        self.states.get(id).map(|(state, _)| *state)
    }

    pub fn tally(&self) -> BTreeMap<&'static str, Tally> {
        self.tally.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::decision::{Decision, History, Verb};
    use crate::journal::tests::{sample, sending, sent, upload};
    use crate::journal::{Again, Blocker, Holder, Skipper};
    use crate::observation::Moment;
    use crate::sample::{Kind, Standing};

    #[test]
    fn nothing_of_a_sample_that_is_forgotten_stays_but_in_the_store() {
        let [moment, now] = [Moment::now(), Moment::now()];
        let reason = || "x".to_owned();
        let states = [
            State::Waiting { reason: reason(), again: Some(Again { at: moment, until: now }) },
            State::Held { reason: reason(), by: Holder::Person, upload: Some(upload(sending())) },
            State::Queued { upload: Some(upload(sending())) },
            State::Uploading { upload: upload(sending()) },
            State::Retrying { upload: upload(sending()), next_try: now, error: reason() },
            State::Blocked { reason: reason(), by: Blocker::Doubt },
            State::Done { sent: sent() },
            State::Skipped { reason: reason(), by: Skipper::Person },
        ];
        let decision = Decision { verb: Verb::Close, who: "alice".into(), when: Timestamp::UNIX_EPOCH, reason: None };
        let history = History { decisions: vec![decision.clone()], wish: Some(decision), ..History::default() };
        let record = |kind, state| {
            let mut sample = sample("a");
            sample.key.kind = kind;
            Record { history: history.clone(), state, ..Record::new(sample, Standing::Ready, Timestamp::UNIX_EPOCH) }
        };
        // Of the same run, and of the same name.
        let other = record(Kind::Data, State::Waiting { reason: reason(), again: None });
        let mut without = Index::default();
        without.put(&other);
        for state in states {
            let mut index = Index::default();
            index.put(&other);
            let name = state.name();
            let record = record(Kind::Sample, state);
            index.put(&Record { state: State::Uploading { upload: upload(sending()) }, ..record.clone() });
            index.turns.claim(&record.sample).unwrap();
            index.put(&record);
            assert_ne!(index, without, "{name}");
            index.forget(&record.sample.key);
            index.tally.retain(|_, tally| tally.samples > 0);
            assert_eq!(index, without, "{name}");
        }
    }
}
