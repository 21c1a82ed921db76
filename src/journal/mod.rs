//! The durable record of what was decided and what Flow acknowledged. It is the queue: what is due is read from
//! here, and a wake-up only makes it sooner.
//!
//! One writer thread makes every change: it gathers what waits, commits it together, durably, and only then
//! acknowledges it. So two who change one sample never overwrite each other, and what a caller was told is true after
//! a power cut. No type of the store leaves this room, and nothing is known here of watching or uploading.

mod form;
pub(crate) mod fuzzing;
mod index;
mod lock;
mod record;
mod store;
mod writer;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::observation::{Moment, Observation};
use crate::sample::{Sample, SampleId, Standing, path_from_text, path_text};

pub use index::{Due, InFlight, Tally};
pub use record::{Blocker, FileUpload, Misstep, Record, Sent, SentFile, Stage, State, Upload};

use form::{StateValue, decode, encode, file_key, join, left_out_key, records, sample_key, state_key, watch_key};
use index::Index;
use lock::Lock;
use store::{Store, Walk, Writes};
use writer::{Transaction, Writer};

/// The index is held for single operations that do not panic.
const UNPOISONED: &str = "no one panics while holding the index";

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error(
        "cannot use the state folder {}: another flow-ingest{} is using it; stop that one, or give this one a \
         state_dir of its own", dir.display(), process.map(|id| format!(" (process {id})")).unwrap_or_default()
    )]
    InUse { dir: PathBuf, process: Option<u32> },
    #[error("cannot open the journal in {}: {source}; check the disk and the folder's permissions", dir.display())]
    Open { dir: PathBuf, source: std::io::Error },
    #[error("cannot read the journal in {}: {source}", dir.display())]
    Read { dir: PathBuf, source: std::io::Error },
    #[error("cannot write the journal in {}: {source}; uploading stops until it can be written", dir.display())]
    Write { dir: PathBuf, source: std::io::Error },
    #[error("{reason}")]
    Commit { reason: String },
    #[error("cannot understand the journal's record of {key}: {reason}; was it written by a newer flow-ingest?")]
    Record { key: String, reason: String },
    #[error("cannot change {sample}: {misstep}")]
    Misstep { sample: SampleId, misstep: Misstep },
    #[error("cannot change {sample}: the journal has no such sample")]
    Unknown { sample: SampleId },
    #[error("cannot write the journal: it is closed")]
    Closed,
}

/// A file that is deliberately not taken, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Absolute path; of a folder, all that lies in it is meant.
    #[serde(with = "path_text")]
    pub path: PathBuf,
    pub reason: String,
}

/// A handle to the open journal; clones share it.
#[derive(Clone)]
pub struct Journal {
    shared: Arc<Shared>,
}

struct Shared {
    store: Arc<Store>,
    index: Arc<Mutex<Index>>,
    writer: Writer,
    changes: watch::Sender<u64>,
    _lock: Lock,
}

impl Journal {
    /// Opens the journal of a state folder, made if it is not there. What was uploading when the last process ended
    /// is put back into the queue, with all that was acknowledged.
    ///
    /// # Errors
    /// [`JournalError::InUse`] when another process has it open.
    pub fn open(state_dir: &Path) -> Result<Self, JournalError> {
        let lock = Lock::take(state_dir)?;
        let store = Arc::new(Store::open(&state_dir.join("journal"))?);
        let (changes, _) = watch::channel(0);
        let index = Arc::new(Mutex::new(Index::default()));
        let mut interrupted = Writes::default();
        for record in records(&store) {
            let mut record = record?;
            if matches!(record.state, State::Uploading { .. }) {
                let id = record.sample.id();
                record = record.put_back().map_err(|misstep| JournalError::Misstep { sample: id.clone(), misstep })?;
                interrupted.put(state_key(&id), encode(&StateValue::of(&record)));
            }
            index.lock().expect(UNPOISONED).put(&record);
        }
        if !interrupted.is_empty() {
            store.commit(interrupted)?;
        }
        let writer = Writer::start(store.clone(), index.clone(), changes.clone());
        Ok(Self { shared: Arc::new(Shared { store, index, writer, changes, _lock: lock }) })
    }

    /// Wakes whenever something was committed.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    /// One sample's record.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn record(&self, id: &SampleId) -> Result<Option<Record>, JournalError> {
        let look = self.shared.store.look();
        let Some(sample) = look.get(&sample_key(id))? else { return Ok(None) };
        let state = look.get(&state_key(id))?;
        join(id.as_str(), &sample, state.as_deref()).map(Some)
    }

    /// The records of all samples, in no particular order, each as it is when it is reached.
    pub fn records(&self) -> impl Iterator<Item = Result<Record, JournalError>> + '_ {
        records(&self.shared.store)
    }

    /// What was seen of a watch's files, by their path below it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn observations(&self, watch: &str) -> Result<HashMap<PathBuf, Observation>, JournalError> {
        let prefix = file_key(watch, Path::new(""));
        let mut observations = HashMap::new();
        let mut walk = Walk::through(&prefix);
        while let Some((key, value)) = self.shared.store.look().next(&mut walk)? {
            let text = String::from_utf8_lossy(&key[prefix.len()..]);
            let path = path_from_text(&text)
                .ok_or_else(|| JournalError::Record { key: text.to_string(), reason: "not a path".to_owned() })?;
            observations.insert(path, decode(&text, &value)?);
        }
        Ok(observations)
    }

    /// What was remembered of a watch's first start.
    ///
    /// # Errors
    /// When the store cannot be read, or holds something else.
    pub fn baseline<T: DeserializeOwned>(&self, watch: &str) -> Result<Option<T>, JournalError> {
        self.shared.store.get(&watch_key(watch))?.map(|value| decode(watch, &value)).transpose()
    }

    /// Remembers what was seen of a watch's files (`None`: gone) and, at its first start, the baseline: together, so
    /// that a first start that was interrupted is a first start again.
    ///
    /// # Errors
    /// When it cannot be made durable; then none of it is remembered.
    pub async fn observe<T: Serialize>(
        &self,
        watch: &str,
        changed: &[(PathBuf, Option<Observation>)],
        baseline: Option<&T>,
    ) -> Result<(), JournalError> {
        let mut writes = Writes::default();
        for (path, observation) in changed {
            match observation {
                Some(observation) => writes.put(file_key(watch, path), encode(observation)),
                None => writes.remove(file_key(watch, path)),
            }
        }
        if let Some(baseline) = baseline {
            writes.put(watch_key(watch), encode(baseline));
        }
        self.transact(move |transaction| {
            transaction.write(writes);
            Ok(())
        })
        .await
    }

    /// What is left out of all watches.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn left_out(&self) -> Result<Vec<LeftOut>, JournalError> {
        let mut all = Vec::new();
        let mut walk = Walk::through(b"l");
        while let Some((key, value)) = self.shared.store.look().next(&mut walk)? {
            all.extend(decode::<Vec<LeftOut>>(&String::from_utf8_lossy(&key), &value)?);
        }
        Ok(all)
    }

    /// Takes in what of a run is left out; `run` is empty for what lies in none.
    ///
    /// # Errors
    /// When it cannot be made durable.
    pub async fn set_left_out(&self, watch: &str, run: &str, left_out: &[LeftOut]) -> Result<(), JournalError> {
        let key = left_out_key(watch, run);
        let mut writes = Writes::default();
        match (left_out, self.shared.store.get(&key)?) {
            ([], None) => return Ok(()),
            ([], Some(_)) => writes.remove(key),
            (some, before) => {
                let value = encode(&some);
                if before.as_ref() == Some(&value) {
                    return Ok(());
                }
                writes.put(key, value);
            }
        }
        self.transact(move |transaction| {
            transaction.write(writes);
            Ok(())
        })
        .await
    }

    /// Takes in what assembly says of samples; gives the records that changed. What is on its way is left alone.
    ///
    /// # Errors
    /// When it cannot be made durable.
    pub async fn assembled(&self, assembled: Vec<(Sample, Standing)>) -> Result<Vec<Record>, JournalError> {
        self.transact(move |transaction| {
            let mut changed = Vec::new();
            for (sample, standing) in assembled {
                let old = transaction.record(&sample.id())?;
                // A rule that was renamed, or names its samples anew, does not send again what is on Flow.
                let standing = match transaction.owner(&sample)? {
                    Some(owner) => Standing::Skipped(format!(
                        "its files are sample {} ({}, {}) already, and files are not sent twice",
                        owner.sample.key.name,
                        owner.sample.id(),
                        owner.state.name()
                    )),
                    None => standing,
                };
                let new = match old.clone() {
                    Some(old) => old.assembled(sample, standing),
                    None => Record::new(sample, standing, Timestamp::now()),
                };
                if old.as_ref() != Some(&new) {
                    transaction.put(old.as_ref(), new.clone());
                    changed.push(new);
                }
            }
            Ok(changed)
        })
        .await
    }

    /// Queues samples that a person gives by hand; gives their records. One that was given before goes on from where it
    /// is.
    ///
    /// # Errors
    /// When it cannot be made durable.
    pub async fn submit(&self, samples: Vec<Sample>) -> Result<Vec<Record>, JournalError> {
        self.transact(move |transaction| {
            let submit = |sample: Sample| {
                let old = transaction.record(&sample.id())?;
                let new = match old.clone() {
                    Some(old) => old.resubmitted(sample),
                    None => Record::new(sample, Standing::Ready, Timestamp::now()),
                };
                if old.as_ref() != Some(&new) {
                    transaction.put(old.as_ref(), new.clone());
                }
                Ok(new)
            };
            samples.into_iter().map(submit).collect()
        })
        .await
    }

    /// Tries samples again that a person has looked at: all of them or, when one cannot be, none.
    ///
    /// # Errors
    /// [`JournalError::Unknown`] and [`JournalError::Misstep`] for one that cannot be tried again.
    pub async fn retry(&self, ids: Vec<SampleId>) -> Result<Vec<Record>, JournalError> {
        self.transact(move |transaction| {
            let mut retried = Vec::new();
            for sample in ids {
                let old = transaction.record(&sample)?.ok_or(JournalError::Unknown { sample: sample.clone() })?;
                let new = old.clone().retried().map_err(|misstep| JournalError::Misstep { sample, misstep })?;
                retried.push((old, new));
            }
            for (old, new) in &retried {
                transaction.put(Some(old), new.clone());
            }
            Ok(retried.into_iter().map(|(_, new)| new).collect())
        })
        .await
    }

    /// Takes in that no rule makes these samples any more. `is_regrouped` says of a sample whether its files are still
    /// there, and belong to others now: then what was never sent is forgotten. Else it waits for its files.
    ///
    /// # Errors
    /// When it cannot be made durable.
    pub async fn unmade(
        &self,
        ids: Vec<SampleId>,
        is_regrouped: impl Fn(&Sample) -> bool + Send + 'static,
    ) -> Result<(), JournalError> {
        self.transact(move |transaction| {
            for id in ids {
                let Some(old) = transaction.record(&id)? else { continue };
                if old.is_untouched() && is_regrouped(&old.sample) {
                    transaction.forget(&id);
                } else {
                    let new = old.clone().vanished();
                    if new != old {
                        transaction.put(Some(&old), new);
                    }
                }
            }
            Ok(())
        })
        .await
    }

    /// Changes one sample's record by a transition.
    ///
    /// # Errors
    /// [`JournalError::Unknown`] and [`JournalError::Misstep`] when the transition cannot be made;
    /// [`JournalError::Write`] when it cannot be made durable. The record is then as it was.
    pub async fn change(
        &self,
        id: &SampleId,
        transition: impl FnOnce(Record) -> Result<Record, Misstep> + Send + 'static,
    ) -> Result<Record, JournalError> {
        let id = id.clone();
        self.transact(move |transaction| {
            let old = transaction.record(&id)?.ok_or(JournalError::Unknown { sample: id.clone() })?;
            let new = transition(old.clone()).map_err(|misstep| JournalError::Misstep { sample: id, misstep })?;
            transaction.put(Some(&old), new.clone());
            Ok(new)
        })
        .await
    }

    /// The sample whose turn it is, marked as uploading: each watch gets its turn after `last_watch`, the oldest run
    /// of a watch first. `None` when nothing is due. `only` leaves all others in the queue.
    ///
    /// # Errors
    /// When it cannot be made durable.
    pub async fn take_next(
        &self,
        last_watch: Option<&str>,
        only: Option<&HashSet<SampleId>>,
    ) -> Result<Option<Record>, JournalError> {
        loop {
            let next = self.index(|index| index.next(last_watch, only, Moment::now()));
            let Some(id) = next else { return Ok(None) };
            match self.change(&id, Record::taken).await {
                Ok(record) => return Ok(Some(record)),
                // Another took it, or assembly took it back, between the look and the change: the index knows by now.
                Err(JournalError::Misstep { .. } | JournalError::Unknown { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Lets the samples of these watches alone have their turn, until others are admitted: what was assembled before a
    /// restart is not sent before it has been looked at again.
    pub fn admit_only(&self, watches: &[&str]) {
        let watches = watches.iter().map(|watch| (*watch).to_owned()).collect();
        self.shared.index.lock().expect(UNPOISONED).admit_only(watches);
    }

    /// Lets the samples of a watch have their turn, or keeps them back.
    pub fn admit(&self, watch: &str, is_admitted: bool) {
        self.shared.index.lock().expect(UNPOISONED).admit(watch, is_admitted);
        self.shared.changes.send_modify(|count| *count += 1);
    }

    /// When the next sample is due; `only` leaves all others out of sight.
    pub fn next_due(&self, only: Option<&HashSet<SampleId>>) -> Due {
        self.index(|index| index.next_due(only, Moment::now()))
    }

    /// The samples that are being uploaded.
    pub fn in_flight(&self) -> Vec<InFlight> {
        self.index(Index::in_flight)
    }

    /// How many samples are in each state, by the state's name; states without any may be left out.
    pub fn tally(&self) -> BTreeMap<&'static str, Tally> {
        self.index(Index::tally)
    }

    fn index<T>(&self, look: impl FnOnce(&Index) -> T) -> T {
        look(&self.shared.index.lock().expect(UNPOISONED))
    }

    async fn transact<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        self.shared.writer.transact(work).await
    }
}

#[cfg(test)]
mod tests;
