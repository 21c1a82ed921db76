//! What must outlive the store: which samples are on Flow or may be, and what lay there at a watch's first start. The
//! receipts tell it in lines, the store holds it in records; here is how the one follows from the other.

use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::path::Path;

use super::JournalError;
use super::form::{self, account_key, encode, file_key, head_key, observations, records, run_key, watch_key};
use super::receipts::{Event, ExistingFile, Head};
use super::record::Record;
use super::state::{Holder, State};
use super::store::{Store, Walk, Writes};
use super::stored::{Stage, Upload};
use crate::observation::{Moment, Observation};
use crate::sample::{Sample, SampleId};

/// So many files stand in one line.
const FILES: usize = 500;

/// What is claimed of a sample, from less to more: who knows more has seen more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Claim {
    /// A person decided something about it, or must decide.
    Decided,
    /// Its last chunk has left, or may have.
    Intended,
    /// A person must look.
    Doubt,
    Done,
}

/// All that is claimed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Claims {
    pub samples: HashMap<SampleId, Claim>,
    /// Of each watch, hashes of the paths of the files that lay there at its first start.
    pub existing: HashMap<String, HashSet<u64>>,
    pub baselines: HashMap<String, serde_json::Value>,
}

impl Claim {
    /// What a record claims; `None` when nothing of it can be on Flow.
    pub fn of(record: &Record) -> Option<Self> {
        let state = &record.state;
        if state.sent().is_some() {
            Some(Self::Done)
        } else if state.is_doubt() {
            Some(Self::Doubt)
        } else if state.upload().is_some_and(Upload::may_be_whole) {
            Some(Self::Intended)
        } else {
            let is_held = matches!(state, State::Held { by: Holder::NewOutput, .. });
            (is_held || !record.history.is_empty()).then_some(Self::Decided)
        }
    }
}

/// What a change of a record adds to the receipts, if anything.
pub(super) fn event_of(old: Option<&Record>, new: &Record) -> Option<Event> {
    let (before, after) = (old.and_then(Claim::of), Claim::of(new));
    let is_decided_anew = old.is_some_and(|old| old.history != new.history);
    match (before, after) {
        (Some(_), None) => Some(withdrawn(new.sample.id(), new.state.name())),
        (_, None) => None,
        // Each of its files whose last chunk leaves again, under another id, is another intent.
        (_, Some(Claim::Intended)) if old.is_some() && (!is_asking(Some(new)) || is_asking(old)) => None,
        (before, after) if before == after && after != Some(Claim::Intended) && !is_decided_anew => None,
        _ => claim_of(new),
    }
}

/// The line that says what a record claims.
pub(super) fn claim_of(record: &Record) -> Option<Event> {
    let Record { sample, first_seen, history, state } = record.clone();
    let id = sample.id();
    Some(match Claim::of(record)? {
        Claim::Done => Event::Done { id, sample, first_seen, history, sent: state.sent()?.clone() },
        Claim::Doubt => {
            let State::Blocked { reason, .. } = state else { return None };
            Event::Doubt { id, sample, first_seen, history, reason }
        }
        Claim::Intended => Event::Intent { id, sample, first_seen, history, upload: state.upload()?.clone() },
        Claim::Decided => {
            let state = match state {
                State::Held { reason, by, .. } => State::Held { reason, by, upload: None },
                skipped @ State::Skipped { .. } => skipped,
                // What became of it since, assembly finds out again.
                _ => State::Waiting { reason: "it is looked at again".to_owned(), again: None },
            };
            Event::Decided { id, sample, first_seen, history, state }
        }
    })
}

pub(super) fn withdrawn(id: SampleId, state: &str) -> Event {
    Event::Withdrawn { id, reason: format!("it is {state} again") }
}

fn is_asking(record: Option<&Record>) -> bool {
    let upload = record.and_then(|record| record.state.upload());
    let last = upload.and_then(|upload: &Upload| upload.files.last());
    last.is_some_and(|last| matches!(last.stage, Stage::Asking { .. }))
}

/// The lines about files that lay in a watch at its first start. What they lay there with comes last, since it says that
/// every other file came later.
pub(super) fn first_start(
    watch: &str,
    files: Vec<ExistingFile>,
    baseline: Option<serde_json::Value>,
) -> impl Iterator<Item = Event> {
    let existing = |files: &[ExistingFile]| Event::Existing { watch: watch.to_owned(), files: files.to_vec() };
    let mut events: Vec<Event> = files.chunks(FILES).map(existing).collect();
    events.extend(baseline.map(|baseline| Event::FirstStart { watch: watch.to_owned(), baseline }));
    events.into_iter()
}

/// Writes down what a line says.
pub(super) fn put(event: Event, writes: &mut Writes) {
    let mut put = |sample: Sample, first_seen, history, state| {
        form::write(&Record { sample, first_seen, history, state }, writes);
    };
    match event {
        // Flow is asked before anything is sent.
        Event::Intent { sample, first_seen, history, upload, .. } => {
            put(sample, first_seen, history, State::Queued { upload: Some(upload) });
        }
        Event::Doubt { sample, first_seen, history, reason, .. } => {
            put(sample, first_seen, history, State::Blocked { reason, by: super::Blocker::Doubt });
        }
        Event::Done { sample, first_seen, history, sent, .. } => put(sample, first_seen, history, State::Done { sent }),
        Event::Decided { sample, first_seen, history, state, .. } => put(sample, first_seen, history, state),
        Event::Orders { run, orders } => writes.put(run_key(&run), encode(&orders)),
        Event::Account { server, name } => writes.put(account_key(&server), encode(&name)),
        // Assembly says anew what becomes of it.
        Event::Withdrawn { id, .. } => form::remove(&id, writes),
        Event::Existing { watch, files } => {
            // Of no boot: it has yet to settle.
            let since = Moment { boot: 0, at: std::time::Duration::ZERO };
            for ExistingFile { path, fingerprint } in files {
                writes
                    .put(file_key(&watch, &path), encode(&Observation { fingerprint, since, look: 0, existing: true }));
            }
        }
        Event::FirstStart { watch, baseline } => writes.put(watch_key(&watch), encode(&baseline)),
        Event::Unknown => {}
    }
}

pub(super) fn put_head(head: &Head, writes: &mut Writes) {
    writes.put(head_key(), encode(head));
}

impl Claims {
    /// Takes in a line; it stands in place of what earlier ones say of the same.
    pub fn take(&mut self, event: Event) {
        match event {
            Event::Decided { id, .. } => drop(self.samples.insert(id, Claim::Decided)),
            Event::Intent { id, .. } => drop(self.samples.insert(id, Claim::Intended)),
            Event::Doubt { id, .. } => drop(self.samples.insert(id, Claim::Doubt)),
            Event::Done { id, .. } => drop(self.samples.insert(id, Claim::Done)),
            Event::Withdrawn { id, .. } => drop(self.samples.remove(&id)),
            Event::Existing { watch, files } => {
                self.existing.entry(watch).or_default().extend(files.iter().map(|file| hash(&file.path)));
            }
            Event::FirstStart { watch, baseline } => drop(self.baselines.insert(watch, baseline)),
            Event::Orders { .. } | Event::Account { .. } | Event::Unknown => {}
        }
    }

    /// What the store holds of samples and first starts, told to `seen` record by record.
    pub fn of(store: &Store, mut seen: impl FnMut(Record)) -> Result<Self, JournalError> {
        let mut claims = Self::default();
        for record in records(store) {
            let record = record?;
            if let Some(claim) = Claim::of(&record) {
                claims.samples.insert(record.sample.id(), claim);
            }
            seen(record);
        }
        claims.baselines = baselines(store)?;
        Ok(claims)
    }

    /// The lines that are missing in the receipts, `self`, for all that the store holds of the watches' first starts.
    pub fn missing_first_starts(&self, store: &Store) -> Result<Vec<Event>, JournalError> {
        let mut events = Vec::new();
        for (watch, baseline) in baselines(store)? {
            let known = self.existing.get(&watch);
            let is_new = |file: &ExistingFile| known.is_none_or(|known| !known.contains(&hash(&file.path)));
            let files = existing(store, &watch)?.into_iter().filter(is_new).collect();
            let baseline = Some(baseline).filter(|baseline| self.baselines.get(&watch) != Some(baseline));
            events.extend(first_start(&watch, files, baseline));
        }
        Ok(events)
    }

    /// A watch whose first start, as the receipts have it, the store has lost.
    pub fn lost_first_start(&self, store: &Store) -> Result<Option<String>, JournalError> {
        let kept = baselines(store)?;
        for (watch, files) in &self.existing {
            let mut lost = files.clone();
            for file in existing(store, watch)? {
                lost.remove(&hash(&file.path));
            }
            if !lost.is_empty() {
                return Ok(Some(format!("{} files that watch {watch} found at its first start", lost.len())));
            }
        }
        let lost = self.baselines.keys().find(|watch| !kept.contains_key(*watch));
        Ok(lost.map(|watch| format!("the first start of watch {watch}")))
    }
}

/// What was remembered of each watch's first start.
pub(super) fn baselines(store: &Store) -> Result<HashMap<String, serde_json::Value>, JournalError> {
    let mut baselines = HashMap::new();
    let mut walk = Walk::through(b"w");
    while let Some((key, value)) = store.look().next(&mut walk)? {
        let watch = String::from_utf8_lossy(&key[1..]).into_owned();
        let baseline = super::form::decode(&watch, &value)?;
        baselines.insert(watch, baseline);
    }
    Ok(baselines)
}

/// The files of a watch that lay there at its first start.
pub(super) fn existing(store: &Store, watch: &str) -> Result<Vec<ExistingFile>, JournalError> {
    let mut files = Vec::new();
    for seen in observations(store, watch) {
        let (path, observation) = seen?;
        if observation.existing {
            files.push(ExistingFile { path, fingerprint: observation.fingerprint });
        }
    }
    Ok(files)
}

fn hash(path: &Path) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    path.hash(&mut hasher);
    hasher.finish()
}
