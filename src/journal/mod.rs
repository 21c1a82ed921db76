//! The durable record of what was decided and what Flow acknowledged. It is the queue: what is due is read from
//! here, and a wake-up only makes it sooner.
//!
//! One writer thread makes every change: it gathers what waits, commits it together, durably, and only then
//! acknowledges it. So two who change one sample never overwrite each other, and what a caller was told is true after
//! a power cut. No type of the store leaves this room, and nothing is known here of watching or uploading.

mod batches;
mod change;
mod claims;
mod compared;
mod decision;
mod error;
mod export;
mod form;
pub(crate) mod fuzzing;
mod index;
mod inspection;
mod intake;
mod lock;
mod mark;
mod opening;
mod ownership;
mod people;
mod queue;
mod receipts;
mod record;
mod renamed;
mod seen;
mod state;
mod store;
mod stored;
mod transaction;
mod trouble;
mod turns;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::sample::{Finding, Sample, SampleId, Standing};

pub use change::Change;
pub use decision::{Decision, History, Order, RunName, RunOrders, Verb};
pub use error::JournalError;
pub use export::{Export, read_receipts};
pub use index::{InFlight, Tally};
pub use inspection::{Inspection, inspect};
pub use ownership::FlowId;
pub use receipts::{Event, ExistingFile, Head, RECEIPTS, Receipt};
pub use record::{Misstep, Record};
pub use seen::LeftOut;
pub use state::{Again, Blocker, Holder, Skipper, State};
pub use stored::{FileUpload, Retold, Sent, SentFile, SlotHashes, Stage, Upload};
pub use trouble::Trouble;
pub use turns::Due;

use form::{account_key, decode, encode, head_key, records};
use index::Index;
use lock::Lock;
use opening::Opened;
use store::{Store, Writes};
use transaction::Transaction;
use trouble::TroubleSign;
use writer::{Desk, Writer};

/// The index is held for single operations that do not panic.
const UNPOISONED: &str = "no one panics while holding the index";

/// What became of findings.
#[derive(Debug, Default)]
pub struct Assembled {
    /// The samples that were found, by the ids that they have.
    pub samples: Vec<SampleId>,
    /// The records that changed.
    pub changed: Vec<Record>,
    /// Samples on Flow whose files look different now, and what lies there: its content must tell whether they are.
    pub to_compare: Vec<(SampleId, Sample)>,
    /// Samples on their way whose files are called otherwise now: what was found is to be taken in once they have come to
    /// an end.
    pub awaited: Vec<SampleId>,
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
    /// When a person last wanted something tried again.
    retried: Mutex<Option<Instant>>,
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
        let (trouble, account, retried) = (TroubleSign::default(), Arc::default(), Mutex::default());
        let desk = Desk {
            store: store.clone(),
            receipts,
            index: index.clone(),
            changes: changes.clone(),
            account: Arc::clone(&account),
        };
        let writer = Writer::start(desk, trouble.clone());
        let shared = Shared { store, index, writer, changes, orders, retried, account, notices, trouble, _lock: lock };
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

    /// Waits until the store can be read: what reads directly fails while a disk does.
    ///
    /// # Errors
    /// When that does not pass by itself.
    pub async fn readable(&self) -> Result<(), JournalError> {
        self.transact(|transaction| transaction.has(&head_key()).map(drop)).await
    }

    /// One sample's record.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn record(&self, id: &SampleId) -> Result<Option<Record>, JournalError> {
        let look = self.shared.store.look();
        form::read(id, |key| look.get(key))
    }

    /// The records of all samples, in no particular order, each as it is when it is reached.
    pub fn records(&self) -> impl Iterator<Item = Result<Record, JournalError>> + '_ {
        records(&self.shared.store)
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

    /// Takes in all that assembly found of a run. What is on its way is left alone. What is found for the first time after
    /// something of its run was sent is held where the run tells of its end.
    ///
    /// # Errors
    /// When it cannot be made durable.
    pub async fn assembled(&self, findings: Vec<Finding>) -> Result<Assembled, JournalError> {
        self.transact(move |transaction| {
            let mut assembled = Assembled::default();
            if let Some(finding) = findings.iter().find(|finding| !finding.sample.slots.is_empty()) {
                transaction.looked_at(finding);
            }
            for finding in findings {
                let mut intake = transaction.take_in(finding)?;
                assembled.to_compare.extend(intake.compare.take().map(|found| (intake.id.clone(), found)));
                assembled.awaited.extend(intake.awaits.take());
                assembled.samples.push(intake.id.clone());
                assembled.changed.extend(transaction.put_down(intake)?);
            }
            Ok(assembled)
        })
        .await
    }

    /// What would become of a finding; nothing is put down. `None`: nothing is said of it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn foresee(&self, finding: Finding) -> Result<Option<Record>, JournalError> {
        let transaction = Transaction::new(&self.shared.store, &self.shared.index, None);
        transaction.take_in(finding)?.foreseen(&transaction)
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
    /// there, and belong to others now: then what was never sent is forgotten, unless a person keeps it back. So is what
    /// never had files. Else it waits for its files.
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
                match old.clone().unmade(is_regrouped(&old.sample)) {
                    None => transaction.forget(&old),
                    Some(new) if new != old => transaction.put(Some(&old), new),
                    Some(_) => {}
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
        self.index(|index| index.ownership.bound(flow_id))
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
            if transaction.binder(&ownership::flow_ids(&new), &id).is_some() {
                return Ok(false);
            }
            transaction.put(Some(&old), new);
            Ok(true)
        })
        .await
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
