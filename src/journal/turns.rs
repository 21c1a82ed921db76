//! Whose turn it is: the samples that wait, watch by watch, the oldest run's first, each when it is due and no other of
//! its like may send.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;

use super::ownership::likeness;
use super::record::Record;
use super::state::State;
use crate::observation::Moment;
use crate::sample::{Sample, SampleId};

/// When there is something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    Now,
    In(Duration),
    /// Not before something changes.
    Never,
}

/// A sample's place among those of its watch: the run that was seen first, then by name.
type Place = (Timestamp, String, String, SampleId);

/// When a sample that waits for its turn may have it.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(test, derive(PartialEq))]
struct Turn {
    /// Not before.
    due: Option<Moment>,
    /// Not beside another that may send, of those that have this in common with it.
    likeness: Option<u64>,
}

#[derive(Default)]
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(super) struct Turns {
    /// For each watch its samples that wait for their turn, in order.
    queue: BTreeMap<String, BTreeMap<Place, Turn>>,
    places: HashMap<SampleId, (String, Place)>,
    /// The watches whose samples may have their turn; `None`: all.
    admitted: Option<BTreeSet<String>>,
    /// Those in the queue whose files are not whole, and until when that may pass.
    unsound: HashMap<SampleId, Moment>,
    /// Of samples alike that are under way, the one that may send.
    first_of: HashMap<u64, SampleId>,
}

impl Turns {
    /// Takes in what became of a sample; its run was first seen at `run_seen`.
    pub fn put(&mut self, record: &Record, id: &SampleId, run_seen: Timestamp) {
        self.leave(id);
        if !matches!(record.state, State::Uploading { .. }) {
            self.let_go_first(id);
        }
        let due = match &record.state {
            State::Queued { .. } => None,
            State::Retrying { next_try, .. } => Some(*next_try),
            State::Waiting { again: Some(again), .. } => {
                self.unsound.insert(id.clone(), again.until);
                Some(again.at)
            }
            _ => return,
        };
        let key = &record.sample.key;
        let place = (run_seen, key.run.clone(), key.name.clone(), id.clone());
        self.places.insert(id.clone(), (key.watch.clone(), place.clone()));
        let likeness = record.must_be_new().then(|| likeness(&record.sample));
        self.queue.entry(key.watch.clone()).or_default().insert(place, Turn { due, likeness });
    }

    /// Forgets a sample.
    pub fn forget(&mut self, id: &SampleId) {
        self.leave(id);
        self.let_go_first(id);
    }

    /// Takes a sample out of the queue.
    fn leave(&mut self, id: &SampleId) {
        self.unsound.remove(id);
        let Some((watch, place)) = self.places.remove(id) else { return };
        if let Some(samples) = self.queue.get_mut(&watch) {
            samples.remove(&place);
            if samples.is_empty() {
                self.queue.remove(&watch);
            }
        }
    }

    /// Lets a sample that is under way be the one of its like that may send, until it comes to a halt; else the one that
    /// is. The turn of others comes after it.
    pub fn claim(&mut self, sample: &Sample) -> Result<(), SampleId> {
        let id = sample.id();
        let first = self.first_of.entry(likeness(sample)).or_insert_with(|| id.clone());
        if *first == id { Ok(()) } else { Err(first.clone()) }
    }

    /// Another of its like may send now.
    fn let_go_first(&mut self, id: &SampleId) {
        self.first_of.retain(|_, first| first != id);
    }

    /// The sample whose turn it is: of the first watch after `last_watch` that has one due, the oldest run's first.
    pub fn next(&self, last_watch: Option<&str>, only: Option<&HashSet<SampleId>>, now: Moment) -> Option<SampleId> {
        let is_after = |name: &str| last_watch.is_some_and(|last| name > last);
        let later = self.admitted().filter(|(name, _)| is_after(name));
        let rest = self.admitted().filter(|(name, _)| !is_after(name));
        later.chain(rest).find_map(|(_, samples)| {
            let is_due = |(place, turn): &(&Place, &Turn)| {
                is_meant(place, only) && wait(turn.due, now).is_zero() && self.may_come(place, turn)
            };
            samples.iter().find(is_due).map(|(place, _)| place.3.clone())
        })
    }

    pub fn next_due(&self, only: Option<&HashSet<SampleId>>, now: Moment) -> Due {
        let may_come = |(place, turn): &(&Place, &Turn)| is_meant(place, only) && self.may_come(place, turn);
        let waits = self.admitted().flat_map(|(_, samples)| samples).filter(may_come);
        let waits = waits.map(|(_, turn)| wait(turn.due, now));
        match waits.min() {
            None => Due::Never,
            Some(Duration::ZERO) => Due::Now,
            Some(wait) => Due::In(wait),
        }
    }

    /// Whether no other of its like is the one that may send.
    fn may_come(&self, place: &Place, turn: &Turn) -> bool {
        let first = turn.likeness.and_then(|likeness| self.first_of.get(&likeness));
        first.is_none_or(|first| *first == place.3)
    }

    /// Whether something has its turn that is worth waiting for so long.
    pub fn has_turns_within(&self, patience: Duration, now: Moment) -> bool {
        let mut queued = self.admitted().flat_map(|(_, samples)| samples.keys());
        queued.any(|place| self.unsound.get(&place.3).is_none_or(|until| wait(Some(*until), now) <= patience))
    }

    /// Lets the samples of these watches alone have their turn.
    pub fn admit_only(&mut self, watches: BTreeSet<String>) {
        self.admitted = Some(watches);
    }

    /// Lets the samples of a watch have their turn, or keeps them back.
    pub fn admit(&mut self, watch: &str, is_admitted: bool) {
        let Some(admitted) = &mut self.admitted else { return };
        match is_admitted {
            true => drop(admitted.insert(watch.to_owned())),
            false => drop(admitted.remove(watch)),
        }
    }

    /// The queues of the watches whose samples may have their turn.
    fn admitted(&self) -> impl Iterator<Item = (&String, &BTreeMap<Place, Turn>)> {
        let is_admitted = |watch: &String| self.admitted.as_ref().is_none_or(|admitted| admitted.contains(watch));
        self.queue.iter().filter(move |(watch, _)| is_admitted(watch))
    }
}

fn is_meant(place: &Place, only: Option<&HashSet<SampleId>>) -> bool {
    only.is_none_or(|only| only.contains(&place.3))
}

/// How long until `due`. A moment of another boot lies behind us.
fn wait(due: Option<Moment>, now: Moment) -> Duration {
    match due {
        Some(due) if due.boot == now.boot => due.at.saturating_sub(now.at),
        _ => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Again;
    use crate::journal::index::Index;
    use crate::sample::{Kind, SampleKey, Standing, Target};

    fn queued(watch: &str, run: &str, name: &str, second: i64) -> Record {
        let key = SampleKey { kind: Kind::Data, watch: watch.into(), run: run.into(), name: name.into() };
        let sample = Sample {
            key,
            rule: "r".into(),
            target: Target::Data { data_type: None, is_directory: false },
            slots: Vec::new(),
            sheets: Vec::new(),
        };
        Record::new(sample, Standing::Ready, Timestamp::from_second(second).unwrap())
    }

    /// Takes samples off the queue as the pool does.
    fn turns(index: &mut Index, records: &[Record]) -> Vec<String> {
        let mut last = None::<String>;
        let mut turns = Vec::new();
        while let Some(id) = index.turns.next(last.as_deref(), None, Moment::now()) {
            let record = records.iter().find(|record| record.sample.id() == id).unwrap();
            index.put(&record.clone().taken().unwrap());
            last = Some(record.sample.key.watch.clone());
            turns.push(record.sample.key.name.clone());
        }
        turns
    }

    #[test]
    fn every_watch_gets_its_turn_and_the_oldest_run_goes_first() {
        let records = [
            queued("a", "young", "a3", 300),
            queued("a", "old", "a1", 100),
            queued("a", "old", "a2", 900),
            queued("b", "run", "b1", 500),
            queued("b", "run", "b2", 500),
        ];
        let mut index = Index::default();
        records.iter().for_each(|record| index.put(record));
        assert_eq!(turns(&mut index, &records), ["a1", "b1", "a2", "b2", "a3"]);
        assert_eq!(index.turns.next_due(None, Moment::now()), Due::Never);
        assert_eq!(index.in_flight().len(), 5);
        assert_eq!(index.tally()["uploading"].samples, 5);
    }

    #[test]
    fn files_that_are_not_whole_have_a_turn_and_are_waited_for_only_so_long() {
        let now = Moment::now();
        let seconds = Duration::from_secs;
        let mut index = Index::default();
        let again = Again { at: now + seconds(30), until: now + seconds(300) };
        let waits = queued("a", "r", "s", 1).taken().unwrap().must_wait("cut".into(), Some(again)).unwrap();
        index.put(&waits);
        assert_eq!(index.turns.next(None, None, now), None);
        assert_eq!(index.turns.next_due(None, now), Due::In(seconds(30)));
        assert_eq!(index.turns.next(None, None, now + seconds(30)), Some(waits.sample.id()));
        assert!(!index.turns.has_turns_within(seconds(299), now) && index.turns.has_turns_within(seconds(300), now));
        assert_eq!(index.tally()["waiting"].samples, 1);
        index.put(&queued("a", "r", "other", 1));
        assert!(index.turns.has_turns_within(seconds(1), now));
        index.put(&waits.taken().unwrap());
        assert_eq!(index.in_flight().len(), 1);
    }

    #[test]
    fn the_turn_of_a_sample_comes_after_that_of_another_with_files_of_the_same_names_and_sizes() {
        let [first, second] = ["first", "second"].map(|name| queued("a", "r", name, 1));
        let mut index = Index::default();
        index.put(&first);
        index.put(&second);
        let taken = first.clone().taken().unwrap();
        index.put(&taken);
        assert_eq!(
            index.turns.next(None, None, Moment::now()),
            Some(second.sample.id()),
            "nobody knows yet which one sends"
        );
        index.turns.claim(&first.sample).unwrap();
        assert_eq!(index.turns.claim(&second.sample), Err(first.sample.id()));
        index.put(&second.clone().taken().unwrap().put_back().unwrap());
        assert_eq!(
            (index.turns.next(None, None, Moment::now()), index.turns.next_due(None, Moment::now())),
            (None, Due::Never)
        );
        assert!(index.turns.has_turns_within(Duration::ZERO, Moment::now()), "it is worth waiting for");
        index.put(&taken.put_back().unwrap());
        assert_eq!(turns(&mut index, &[first, second]), ["first", "second"]);
    }

    #[test]
    fn a_retry_is_due_at_its_moment_and_at_once_after_a_reboot() {
        let now = Moment::now();
        let mut index = Index::default();
        let retrying = |next_try| {
            queued("a", "r", "s", 1).taken().unwrap().retrying(Default::default(), next_try, "fault".into()).unwrap()
        };
        index.put(&retrying(now + Duration::from_secs(60)));
        assert_eq!(index.turns.next(None, None, now), None);
        assert_eq!(index.turns.next_due(None, now), Due::In(Duration::from_secs(60)));
        index.put(&retrying(Moment { boot: now.boot ^ 1, at: Duration::MAX }));
        assert_eq!(index.turns.next_due(None, now), Due::Now);
    }
}
