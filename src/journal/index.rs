//! What is asked all the time, kept in memory over what the journal holds and made anew at every start: whose turn it
//! is, what is in flight, how many samples are in each state.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use super::decision::{RunName, RunOrders};
use super::record::{Record, State};
use super::stored::FileUpload;
use crate::observation::Moment;
use crate::sample::{BY_HAND, Closed, Kind, Sample, SampleId, SampleKey};

/// When there is something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    Now,
    In(Duration),
    /// Not before something changes.
    Never,
}

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

/// A thing on Flow, by the id that it has there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FlowId {
    Sample(String),
    Data(String),
}

/// How many samples are in each state, by the state's name, and their bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    pub samples: usize,
    pub bytes: u64,
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
pub(super) struct Index {
    /// For each watch its samples that wait for their turn, in order.
    queue: BTreeMap<String, BTreeMap<Place, Turn>>,
    places: HashMap<SampleId, (String, Place)>,
    /// The watches whose samples may have their turn; `None`: all.
    admitted: Option<BTreeSet<String>>,
    runs: HashMap<RunName, Run>,
    in_flight: BTreeMap<SampleId, InFlight>,
    /// Those in the queue whose files are not whole, and until when that may pass.
    unsound: HashMap<SampleId, Moment>,
    states: HashMap<SampleId, (&'static str, u64)>,
    tally: BTreeMap<&'static str, Tally>,
    /// The sample that each file belongs to, by a hash of its path: it is on Flow, on its way there, or kept back by a
    /// person.
    owners: HashMap<u64, SampleId>,
    /// The other way round.
    owned: HashMap<SampleId, Owned>,
    /// Samples on Flow, or on their way there, by a hash of their files' names and sizes.
    alike: HashMap<u64, BTreeSet<SampleId>>,
    /// Of samples alike that are under way, the one that may send.
    first_of: HashMap<u64, SampleId>,
    /// Samples under way that a person wants halted.
    wished: HashSet<SampleId>,
    /// Whose each thing on Flow is that was made for a sample, or is being made.
    bound: HashMap<FlowId, SampleId>,
    /// The other way round.
    bindings: HashMap<SampleId, Vec<FlowId>>,
}

/// What a sample that has files of its own is found by.
#[cfg_attr(test, derive(Debug, PartialEq))]
struct Owned {
    places: Vec<u64>,
    likeness: u64,
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
        self.put_owner(record, &id);
        let is_under_way = matches!(record.state, State::Uploading { .. });
        if !is_under_way {
            self.let_go_first(&id);
        }
        let run = self.runs.entry(RunName::of(key)).or_default();
        run.first_seen = run.first_seen.min(record.first_seen);
        let run_seen = run.first_seen;
        if record.state.sent().is_some() {
            run.delivered.insert(id.clone());
        }
        if record.history.is_closed() {
            run.closed.insert(id.clone(), key.name.clone());
        }
        if is_under_way && record.history.wish.is_some() {
            self.wished.insert(id.clone());
        }
        self.bind(record, &id);

        let size = record.sample.size();
        let tally = self.tally.entry(record.state.name()).or_default();
        tally.samples += 1;
        tally.bytes += size;
        self.states.insert(id.clone(), (record.state.name(), size));

        let due = match &record.state {
            State::Queued { .. } => None,
            State::Retrying { next_try, .. } => Some(*next_try),
            State::Waiting { again: Some(again), .. } => {
                self.unsound.insert(id.clone(), again.until);
                Some(again.at)
            }
            State::Uploading { upload } => {
                let in_flight = InFlight { id: id.clone(), name: key.name.clone(), sent: upload.sent(), size };
                self.in_flight.insert(id, in_flight);
                return;
            }
            _ => return,
        };
        let place = (run_seen, key.run.clone(), key.name.clone(), id.clone());
        self.places.insert(id, (key.watch.clone(), place.clone()));
        let likeness = record.must_be_new().then(|| likeness(&record.sample));
        self.queue.entry(key.watch.clone()).or_default().insert(place, Turn { due, likeness });
    }

    fn put_owner(&mut self, record: &Record, id: &SampleId) {
        if record.is_spoken_for() {
            let places = record.sample.own_parts().map(|part| ownership(owning_kind(&record.sample), &part.path));
            let places: Vec<_> = places.collect();
            self.owners.extend(places.iter().map(|place| (*place, id.clone())));
            let likeness = likeness(&record.sample);
            self.owned.insert(id.clone(), Owned { places, likeness });
            if record.state.is_begun() {
                self.alike.entry(likeness).or_default().insert(id.clone());
            }
        }
    }

    /// The other samples, on Flow or on their way there, whose files have the same names and sizes.
    pub fn alike(&self, sample: &Sample) -> Vec<SampleId> {
        let id = sample.id();
        self.alike.get(&likeness(sample)).into_iter().flatten().filter(|other| **other != id).cloned().collect()
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

    fn bind(&mut self, record: &Record, id: &SampleId) {
        let ids = flow_ids(record);
        if !ids.is_empty() {
            self.bound.extend(ids.iter().map(|flow_id| (flow_id.clone(), id.clone())));
            self.bindings.insert(id.clone(), ids);
        }
    }

    /// The sample that a thing on Flow was made for, or is being made for.
    pub fn bound(&self, flow_id: &FlowId) -> Option<SampleId> {
        self.bound.get(flow_id).cloned()
    }

    /// Another sample that one of these files belongs to already.
    pub fn owner(&self, sample: &Sample) -> Option<SampleId> {
        let id = sample.id();
        let places = sample
            .own_parts()
            .flat_map(|part| [None, Some(sample.key.kind)].map(|kind| self.owners.get(&ownership(kind, &part.path))));
        places.flatten().find(|owner| **owner != id).cloned()
    }

    /// Forgets all that is known of a sample, which is no more. Another one may be called as it was.
    pub fn forget(&mut self, key: &SampleKey) {
        let id = key.id();
        self.take_out(key, &id);
        self.let_go_first(&id);
    }

    /// Takes out what a sample's record put in.
    fn take_out(&mut self, key: &SampleKey, id: &SampleId) {
        if let Some(run) = self.runs.get_mut(&RunName::of(key)) {
            run.delivered.remove(id);
            run.closed.remove(id);
        }
        self.wished.remove(id);
        if let Some(owned) = self.owned.remove(id) {
            for place in owned.places {
                if self.owners.get(&place) == Some(id) {
                    self.owners.remove(&place);
                }
            }
            if let Some(alike) = self.alike.get_mut(&owned.likeness) {
                alike.remove(id);
                if alike.is_empty() {
                    self.alike.remove(&owned.likeness);
                }
            }
        }
        for flow_id in self.bindings.remove(id).unwrap_or_default() {
            if self.bound.get(&flow_id) == Some(id) {
                self.bound.remove(&flow_id);
            }
        }
        self.in_flight.remove(id);
        self.unsound.remove(id);
        if let Some((state, size)) = self.states.remove(id)
            && let Some(tally) = self.tally.get_mut(state)
        {
            tally.samples -= 1;
            tally.bytes -= size;
        }
        let Some((watch, place)) = self.places.remove(id) else { return };
        if let Some(samples) = self.queue.get_mut(&watch) {
            samples.remove(&place);
            if samples.is_empty() {
                self.queue.remove(&watch);
            }
        }
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

/// All that Flow made for a sample, or began to make, as far as its ids are known.
pub(super) fn flow_ids(record: &Record) -> Vec<FlowId> {
    // What was sent before it was sent again is still its own.
    let sent = record.state.sent().into_iter().chain(&record.history.earlier);
    let sent = sent.map(|sent| (&sent.sample_id, sent.files.iter().map(|file| &*file.data_id).collect::<Vec<_>>()));
    let under_way = record.state.upload().into_iter();
    let under_way = under_way.map(|upload| (&upload.sample_id, upload.files.iter().flat_map(ids_of_file).collect()));
    let ids = |(sample_id, data_ids): (&Option<String>, Vec<&str>)| {
        let data_ids = data_ids.into_iter().filter(|id| !id.is_empty()).map(|id| FlowId::Data(id.to_owned()));
        sample_id.clone().map(FlowId::Sample).into_iter().chain(data_ids).collect::<Vec<_>>()
    };
    sent.chain(under_way).flat_map(ids).collect()
}

fn ids_of_file(file: &FileUpload) -> impl Iterator<Item = &str> {
    file.abandoned.iter().map(String::as_str).chain(file.data_id())
}

/// A file of a watch belongs to one sample, of whatever kind: one rule takes it. What a person gives by hand as another
/// kind is another thing.
fn owning_kind(sample: &Sample) -> Option<Kind> {
    (sample.key.watch == BY_HAND).then_some(sample.key.kind)
}

fn ownership(kind: Option<Kind>, path: &Path) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    (kind, path).hash(&mut hasher);
    hasher.finish()
}

/// What samples of the same files have in common, wherever those lie: their kind, and the names and sizes of the files.
fn likeness(sample: &Sample) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    sample.key.kind.hash(&mut hasher);
    for slot in &sample.slots {
        slot.key.hash(&mut hasher);
        for part in &slot.parts {
            (part.path.file_name(), part.fingerprint.size).hash(&mut hasher);
        }
    }
    hasher.finish()
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
    use crate::journal::decision::{Decision, History, Verb};
    use crate::journal::tests::{sample, sending, sent, upload};
    use crate::journal::{Again, Blocker, Holder, Skipper};
    use crate::sample::{Standing, Target};

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
        while let Some(id) = index.next(last.as_deref(), None, Moment::now()) {
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
        assert_eq!(index.next_due(None, Moment::now()), Due::Never);
        assert_eq!(index.in_flight().len(), 5);
        assert_eq!(index.tally()["uploading"].samples, 5);
    }

    #[test]
    fn what_is_on_flow_belongs_to_the_sample_that_it_was_made_for_until_that_lets_go_of_it() {
        use super::super::stored::{Stage, Upload};
        let file = |abandoned: &[&str], stage| FileUpload {
            base: 1,
            size: 1,
            begun_anew: 0,
            abandoned: abandoned.iter().map(|id| (*id).to_owned()).collect(),
            sha256: None,
            prefix_sha256: None,
            parts_sha256: Vec::new(),
            identity: None,
            stage,
        };
        let files = vec![
            file(&["0"], Stage::Ready { data_id: "1".into() }),
            file(&[], Stage::Sending { data_id: Some("2".into()), chunks: 1, strikes: 0 }),
        ];
        let upload = Upload { files, sample_id: Some("1".into()), ..Default::default() };
        let taken = queued("a", "r", "s", 1).taken().unwrap();
        let id = taken.sample.id();
        let mut index = Index::default();
        let data = |index: &Index, id: &str| index.bound(&FlowId::Data(id.into()));

        index.put(&taken.clone().advanced(upload).unwrap());
        for data_id in ["0", "1", "2"] {
            assert_eq!(data(&index, data_id), Some(id.clone()), "{data_id}");
        }
        assert_eq!(index.bound(&FlowId::Sample("1".into())), Some(id.clone()));
        assert_eq!((data(&index, "3"), index.bound(&FlowId::Sample("2".into()))), (None, None));

        index.put(&taken.must_wait("changed".into(), None).unwrap());
        assert_eq!((data(&index, "1"), index.bound(&FlowId::Sample("1".into()))), (None, None));
        assert!(index.bound.is_empty() && index.bindings.is_empty());
    }

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
            index.claim(&record.sample).unwrap();
            index.put(&record);
            assert_ne!(index, without, "{name}");
            index.forget(&record.sample.key);
            index.tally.retain(|_, tally| tally.samples > 0);
            assert_eq!(index, without, "{name}");
        }
    }

    #[test]
    fn files_that_are_not_whole_have_a_turn_and_are_waited_for_only_so_long() {
        let now = Moment::now();
        let seconds = Duration::from_secs;
        let mut index = Index::default();
        let again = Again { at: now + seconds(30), until: now + seconds(300) };
        let waits = queued("a", "r", "s", 1).taken().unwrap().must_wait("cut".into(), Some(again)).unwrap();
        index.put(&waits);
        assert_eq!(index.next(None, None, now), None);
        assert_eq!(index.next_due(None, now), Due::In(seconds(30)));
        assert_eq!(index.next(None, None, now + seconds(30)), Some(waits.sample.id()));
        assert!(!index.has_turns_within(seconds(299), now) && index.has_turns_within(seconds(300), now));
        assert_eq!(index.tally()["waiting"].samples, 1);
        index.put(&queued("a", "r", "other", 1));
        assert!(index.has_turns_within(seconds(1), now));
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
        assert_eq!(index.next(None, None, Moment::now()), Some(second.sample.id()), "nobody knows yet which one sends");
        index.claim(&first.sample).unwrap();
        assert_eq!(index.claim(&second.sample), Err(first.sample.id()));
        index.put(&second.clone().taken().unwrap().put_back().unwrap());
        assert_eq!((index.next(None, None, Moment::now()), index.next_due(None, Moment::now())), (None, Due::Never));
        assert!(index.has_turns_within(Duration::ZERO, Moment::now()), "it is worth waiting for");
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
        assert_eq!(index.next(None, None, now), None);
        assert_eq!(index.next_due(None, now), Due::In(Duration::from_secs(60)));
        index.put(&retrying(Moment { boot: now.boot ^ 1, at: Duration::MAX }));
        assert_eq!(index.next_due(None, now), Due::Now);
    }
}
