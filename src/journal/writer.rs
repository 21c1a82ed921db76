//! The one thread that writes: it gathers what waits, commits it together, and acknowledges it when it is durable.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use jiff::Timestamp;
use tokio::sync::{oneshot, watch};

use super::decision::{RunName, RunOrders};
use super::form::{StateValue, encode, join, run_key, sample_key, state_key};
use super::index::{self, FlowId, Index};
use super::record::{Circumstances, Record};
use super::store::{Store, Writes};
use super::{JournalError, UNPOISONED};
use crate::sample::{Finding, SampleId, path_to_text};

/// So many changes share one commit at most.
const GROUP: usize = 256;
/// So many files of new output are named.
const NAMED: usize = 3;

/// Does its work in a transaction, and hands back what to do when that is durable, or has failed.
type Job = Box<dyn FnOnce(&mut Transaction<'_>) -> Acknowledge + Send>;
type Acknowledge = Box<dyn FnOnce(Result<(), JournalError>) + Send>;

pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub fn start(store: Arc<Store>, index: Arc<Mutex<Index>>, changes: watch::Sender<u64>) -> Self {
        let (jobs, waiting) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || write(&store, &index, &changes, &waiting))
            .expect("the system gives a thread at the start");
        Self { jobs: Some(jobs), thread: Some(thread) }
    }

    /// Does `work` on the writer's thread; returns when what it wrote is durable.
    pub async fn transact<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |transaction| {
            let done = work(transaction);
            Box::new(move |committed| {
                // A caller that has gone does not wait for the answer; the record stands all the same.
                let _ = answer.send(committed.and(done));
            })
        });
        let jobs = self.jobs.as_ref().ok_or(JournalError::Closed)?;
        jobs.send(job).map_err(|_| JournalError::Closed)?;
        answered.await.map_err(|_| JournalError::Closed)?
    }
}

impl Drop for Writer {
    /// Waits until all that was handed over is durable.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write(store: &Store, index: &Mutex<Index>, changes: &watch::Sender<u64>, jobs: &mpsc::Receiver<Job>) {
    while let Ok(first) = jobs.recv() {
        let mut transaction = Transaction::new(store, index);
        let mut acknowledge = vec![first(&mut transaction)];
        while acknowledge.len() < GROUP
            && let Ok(job) = jobs.try_recv()
        {
            acknowledge.push(job(&mut transaction));
        }
        let Transaction { writes, touched, .. } = transaction;
        let has_written = !writes.is_empty();
        let committed = if has_written { store.commit(writes) } else { Ok(()) };
        if committed.is_ok() {
            let mut index = index.lock().expect(UNPOISONED);
            for touched in touched {
                match touched {
                    Touched::Put(record) => index.put(&record),
                    Touched::Forgot(id) => index.remove(&id),
                    Touched::Ordered(run, orders) => index.put_orders(run, *orders),
                }
            }
        }
        let failure = committed.err().map(|error| error.to_string());
        for acknowledge in acknowledge {
            acknowledge(match &failure {
                None => Ok(()),
                Some(reason) => Err(JournalError::Commit { reason: reason.clone() }),
            });
        }
        if has_written {
            changes.send_modify(|count| *count += 1);
        }
    }
}

/// Changes that become durable together. What one of them wrote, the next one reads.
pub(super) struct Transaction<'a> {
    store: &'a Store,
    index: &'a Mutex<Index>,
    writes: Writes,
    touched: Vec<Touched>,
}

enum Touched {
    Put(Box<Record>),
    Forgot(SampleId),
    Ordered(RunName, Box<RunOrders>),
}

impl<'a> Transaction<'a> {
    pub fn new(store: &'a Store, index: &'a Mutex<Index>) -> Self {
        Self { store, index, writes: Writes::default(), touched: Vec::new() }
    }

    pub fn record(&self, id: &SampleId) -> Result<Option<Record>, JournalError> {
        let get = |key: Vec<u8>| match self.writes.get(&key) {
            Some(written) => Ok(written.map(<[u8]>::to_vec)),
            None => self.store.get(&key),
        };
        let Some(sample) = get(sample_key(id))? else { return Ok(None) };
        join(id.as_str(), &sample, get(state_key(id))?.as_deref()).map(Some)
    }

    /// What a record becomes by what assembly found.
    pub fn take_in(&self, old: Option<Record>, finding: Finding, run_ends: bool) -> Result<Record, JournalError> {
        let around = self.around(&finding, run_ends && old.is_none())?;
        Ok(match old {
            Some(old) => old.assembled(finding, around),
            None => Record::found(finding, around, Timestamp::now()),
        })
    }

    /// What stands around a sample that assembly found. (An owner that was begun in this very transaction is not seen;
    /// assembly gives each file to one sample.) `is_late` asks whether something of its run was sent before it.
    fn around(&self, finding: &Finding, is_late: bool) -> Result<Circumstances, JournalError> {
        let key = &finding.sample.key;
        let run = RunName { watch: key.watch.clone(), run: key.run.clone() };
        let (owner, orders, delivered) = {
            let index = self.index.lock().expect(UNPOISONED);
            (index.owner(&finding.sample), index.orders(&run), index.delivered(&run))
        };
        let owner = owner.map_or(Ok(None), |owner| self.record(&owner))?;
        // A rule that was renamed, or names its samples anew, does not send again what is on Flow.
        let owner = owner.map(|owner| {
            format!(
                "its files are sample {} ({}, {}) already, and files are not sent twice",
                owner.sample.key.name,
                owner.sample.id(),
                owner.state.name()
            )
        });
        let delivered = (is_late && delivered > 0).then(|| {
            let files: Vec<_> = finding.sample.parts().take(NAMED).map(|part| path_to_text(&part.path)).collect();
            let samples = if delivered == 1 { "sample" } else { "samples" };
            format!(
                "it is new in a run of which {delivered} {samples} had been sent before ({}{}); look at it, then: \
                 flow-ingest release or skip",
                files.join(", "),
                if finding.sample.parts().count() > NAMED { ", …" } else { "" }
            )
        });
        Ok(Circumstances { owner, of_run: orders.state(), delivered })
    }

    /// Puts down what a person said of a run as a whole, for what is yet to come of it.
    pub fn put_orders(&mut self, run: RunName, orders: RunOrders) {
        self.writes.put(run_key(&run), encode(&orders));
        self.touched.push(Touched::Ordered(run, Box::new(orders)));
    }

    /// What people said of a run before this transaction.
    pub fn orders(&self, run: &RunName) -> RunOrders {
        self.index.lock().expect(UNPOISONED).orders(run)
    }

    /// Another sample that one of these things on Flow was made for, one that took it in this very transaction included.
    pub fn binder(&self, flow_ids: &[FlowId], of: &SampleId) -> Option<SampleId> {
        let touched = self.touched.iter().filter_map(|touched| match touched {
            Touched::Put(record) => Some(record),
            Touched::Forgot(_) | Touched::Ordered(..) => None,
        });
        let binds = |record: &Record| index::flow_ids(record).iter().any(|id| flow_ids.contains(id));
        let now = touched.filter(|record| binds(record)).map(|record| record.sample.id());
        let index = self.index.lock().expect(UNPOISONED);
        now.chain(flow_ids.iter().filter_map(|id| index.bound(id))).find(|binder| binder != of)
    }

    pub fn put(&mut self, old: Option<&Record>, new: Record) {
        let id = new.sample.id();
        if old.is_none_or(|old| old.sample != new.sample) {
            self.writes.put(sample_key(&id), encode(&new.sample));
        }
        self.writes.put(state_key(&id), encode(&StateValue::of(&new)));
        self.touched.push(Touched::Put(Box::new(new)));
    }

    pub fn forget(&mut self, id: &SampleId) {
        self.writes.remove(sample_key(id));
        self.writes.remove(state_key(id));
        self.touched.push(Touched::Forgot(id.clone()));
    }

    pub fn write(&mut self, writes: Writes) {
        self.writes.extend(writes);
    }
}
