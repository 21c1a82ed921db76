//! The one thread that writes: it gathers what waits, commits it together, and acknowledges it when it is durable.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tokio::sync::{oneshot, watch};

use super::form::{StateValue, encode, join, sample_key, state_key};
use super::index::{self, FlowId, Index};
use super::record::Record;
use super::store::{Store, Writes};
use super::{JournalError, UNPOISONED};
use crate::sample::{Sample, SampleId};

/// So many changes share one commit at most.
const GROUP: usize = 256;

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
        let mut transaction = Transaction { store, index, writes: Writes::default(), touched: Vec::new() };
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
}

impl Transaction<'_> {
    pub fn record(&self, id: &SampleId) -> Result<Option<Record>, JournalError> {
        let get = |key: Vec<u8>| match self.writes.get(&key) {
            Some(written) => Ok(written.map(<[u8]>::to_vec)),
            None => self.store.get(&key),
        };
        let Some(sample) = get(sample_key(id))? else { return Ok(None) };
        join(id.as_str(), &sample, get(state_key(id))?.as_deref()).map(Some)
    }

    /// Another sample, on Flow or on its way there, that files of this one belong to already. (One that was begun in this
    /// very transaction is not seen; assembly gives each file to one sample.)
    pub fn owner(&self, sample: &Sample) -> Result<Option<Record>, JournalError> {
        let owner = self.index.lock().expect(UNPOISONED).owner(sample);
        owner.map_or(Ok(None), |owner| self.record(&owner))
    }

    /// Another sample that one of these things on Flow was made for, one that took it in this very transaction included.
    pub fn binder(&self, flow_ids: &[FlowId], of: &SampleId) -> Option<SampleId> {
        let touched = self.touched.iter().filter_map(|touched| match touched {
            Touched::Put(record) => Some(record),
            Touched::Forgot(_) => None,
        });
        let binds = |record: &Record| index::flow_ids(&record.state).iter().any(|id| flow_ids.contains(id));
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
