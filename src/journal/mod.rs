//! The durable record of what was decided and what Flow acknowledged. It is the queue: what is due is read from
//! here, and a wake-up only makes it sooner.
//!
//! One writer thread makes every change: it gathers what waits, commits it together, durably, and only then
//! acknowledges it. So two who change one sample never overwrite each other, and what a caller was told is true after
//! a power cut. No type of the store leaves this room, and nothing is known here of watching or uploading.

mod claims;
mod decision;
mod error;
mod export;
mod form;
pub(crate) mod fuzzing;
mod index;
mod inspection;
mod lock;
mod opening;
mod people;
mod receipts;
mod record;
mod store;
mod trouble;
mod writer;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::observation::{Moment, Observation};
use crate::sample::{Finding, Sample, SampleId, Standing, path_text};

pub use decision::{Decision, History, Order, RunName, RunOrders, Verb};
pub use error::JournalError;
pub use export::{Export, read_receipts};
pub use index::{Due, FlowId, InFlight, Tally};
pub use inspection::{Inspection, inspect};
pub use receipts::{Event, ExistingFile, Head, RECEIPTS, Receipt};
pub use record::{
    Again, Blocker, Change, FileUpload, Holder, Misstep, Record, Sent, SentFile, Skipper, Stage, State, Upload, changes,
};
pub use trouble::Trouble;

use form::{account_key, decode, encode, file_key, join, left_out_key, records, sample_key, state_key, watch_key};
use index::Index;
use lock::Lock;
use opening::Opened;
use store::{Store, Walk, Writes};
use trouble::TroubleSign;
use writer::{Desk, Transaction, Writer};

/// The index is held for single operations that do not panic.
const UNPOISONED: &str = "no one panics while holding the index";

/// A file that is deliberately not taken, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Absolute path; of a folder, all that lies in it is meant.
    #[serde(with = "path_text")]
    pub path: PathBuf,
    pub reason: String,
}

/// What became of findings.
#[derive(Debug, Default)]
pub struct Assembled {
    /// The records that changed.
    pub changed: Vec<Record>,
    /// Samples on Flow whose files look different now: their content must tell whether they are.
    pub to_compare: Vec<Sample>,
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
    /// Counts what people decided.
    orders: watch::Sender<u64>,
    /// Who is logged in to Flow, for the receipts.
    account: Arc<Mutex<Option<String>>>,
    notices: Vec<String>,
    trouble: TroubleSign,
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
        let Opened { store, receipts, mut index, notices } = opening::open(state_dir)?;
        people::read_orders(&store, &mut index)?;
        let (store, index) = (Arc::new(store), Arc::new(Mutex::new(index)));
        let ((changes, _), (orders, _)) = (watch::channel(0), watch::channel(0));
        let (trouble, account) = (TroubleSign::default(), Arc::default());
        let desk = Desk {
            store: store.clone(),
            receipts,
            index: index.clone(),
            changes: changes.clone(),
            account: Arc::clone(&account),
        };
        let writer = Writer::start(desk, trouble.clone());
        let shared = Shared { store, index, writer, changes, orders, account, notices, trouble, _lock: lock };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// What was found damaged when the journal was opened, and what was done about it: for people.
    pub fn notices(&self) -> &[String] {
        &self.shared.notices
    }

    /// Why nothing can be written now; `None` when all is well. What is to be written waits meanwhile.
    pub fn trouble(&self) -> Option<Trouble> {
        self.shared.trouble.get()
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
        form::observations(&self.shared.store, watch).collect()
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
        let mut existing = Vec::new();
        for (path, observation) in changed {
            match observation {
                Some(observation) => writes.put(file_key(watch, path), encode(observation)),
                None => writes.remove(file_key(watch, path)),
            }
            if let Some(Observation { fingerprint, existing: true, .. }) = observation {
                existing.push(ExistingFile { path: path.clone(), fingerprint: *fingerprint });
            }
        }
        let baseline = baseline.map(|baseline| {
            writes.put(watch_key(watch), encode(baseline));
            serde_json::to_value(baseline).expect("a baseline has no maps with other keys than strings")
        });
        let watch = watch.to_owned();
        self.transact(move |transaction| {
            let mut new = Vec::new();
            for file in existing {
                if !transaction.has(&file_key(&watch, &file.path))? {
                    new.push(file);
                }
            }
            transaction.write(writes);
            claims::first_start(&watch, new, baseline).for_each(|event| transaction.tell(event));
            Ok(())
        })
        .await
    }

    /// The account that uploads to a server from this state folder, once one has logged in.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn account(&self, server: &str) -> Result<Option<String>, JournalError> {
        self.shared.store.get(&account_key(server))?.map(|value| decode(server, &value)).transpose()
    }

    /// Remembers whose account it is.
    ///
    /// # Errors
    /// When it cannot be made durable.
    pub async fn set_account(&self, server: &str, account: &str) -> Result<(), JournalError> {
        let event = Event::Account { server: server.to_owned(), name: account.to_owned() };
        let mut writes = Writes::default();
        writes.put(account_key(server), encode(&account));
        self.transact(move |transaction| {
            transaction.write(writes);
            transaction.tell(event);
            Ok(())
        })
        .await
    }

    /// Has the receipts say, from now on, who was logged in.
    pub fn logged_in_as(&self, account: &str) {
        *self.shared.account.lock().expect(UNPOISONED) = Some(account.to_owned());
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

    /// Takes in what assembly found of a run. What is on its way is left alone. `run_ends` says whether the run tells of
    /// its end: then what is found for the first time after something of it was sent is held.
    ///
    /// # Errors
    /// When it cannot be made durable.
    pub async fn assembled(&self, findings: Vec<Finding>, run_ends: bool) -> Result<Assembled, JournalError> {
        self.transact(move |transaction| {
            let mut assembled = Assembled::default();
            for finding in findings {
                let old = transaction.record(&finding.sample.id())?;
                if old.as_ref().is_some_and(|old| old.must_be_compared(&finding)) {
                    assembled.to_compare.push(finding.sample.clone());
                }
                let new = transaction.take_in(old.clone(), finding, run_ends)?;
                if old.as_ref() != Some(&new) {
                    transaction.put(old.as_ref(), new.clone());
                    assembled.changed.push(new);
                }
            }
            Ok(assembled)
        })
        .await
    }

    /// What would become of findings; nothing is put down.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn foresee(&self, findings: Vec<Finding>, run_ends: bool) -> Result<Vec<Record>, JournalError> {
        let transaction = Transaction::new(&self.shared.store, &self.shared.index);
        let foresee = |finding: Finding| {
            let old = transaction.record(&finding.sample.id())?;
            transaction.take_in(old, finding, run_ends)
        };
        findings.into_iter().map(foresee).collect()
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

    /// Lets those of these samples that are retried later have their turn now.
    ///
    /// # Errors
    /// When it cannot be made durable.
    pub async fn hasten(&self, ids: Vec<SampleId>) -> Result<(), JournalError> {
        self.transact(move |transaction| {
            for id in ids {
                if let Some(old) = transaction.record(&id)?
                    && let Ok(new) = old.clone().hastened()
                {
                    transaction.put(Some(&old), new);
                }
            }
            Ok(())
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

    /// The sample that a thing on Flow was made for, or is being made for, as far as the journal knows.
    pub fn bound(&self, flow_id: &FlowId) -> Option<SampleId> {
        self.index(|index| index.bound(flow_id))
    }

    /// Takes what `sent` names for a sample that is uploading, unless it is another one's by now; tells whether it was
    /// taken.
    ///
    /// # Errors
    /// As for [`Journal::change`].
    pub async fn adopt(&self, id: &SampleId, sent: Sent) -> Result<bool, JournalError> {
        let id = id.clone();
        self.transact(move |transaction| {
            let old = transaction.record(&id)?.ok_or(JournalError::Unknown { sample: id.clone() })?;
            let misstep = |misstep| JournalError::Misstep { sample: id.clone(), misstep };
            let new = old.clone().done(sent).map_err(misstep)?;
            if transaction.binder(&index::flow_ids(&new), &id).is_some() {
                return Ok(false);
            }
            transaction.put(Some(&old), new);
            Ok(true)
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

    /// Whether something will have its turn that is worth waiting for: not so are files that may be whole only later
    /// than in `patience`.
    pub fn has_turns_within(&self, patience: Duration) -> bool {
        self.index(|index| index.has_turns_within(patience, Moment::now()))
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
