//! Changes that become durable together: what they write, what the receipts are to say of it, and what the index takes in
//! afterwards.

use std::sync::Mutex;

use super::claims::{Claim, event_of, withdrawn};
use super::decision::{RunName, RunOrders};
use super::form::{self, PartHashes, StateValue, encode, run_key, sample_key, state_key};
use super::index::Index;
use super::ownership::{self, FlowId};
use super::receipts::Event;
use super::record::Record;
use super::store::{Store, Walk, Writes};
use super::trouble::TroubleSign;
use super::{JournalError, UNPOISONED};
use crate::sample::{Finding, SampleId, SampleKey};

/// Changes that become durable together. What one of them wrote, the next one reads.
pub(super) struct Transaction<'a> {
    store: &'a Store,
    index: &'a Mutex<Index>,
    writes: Writes,
    touched: Vec<Touched>,
    /// What the receipts are to say of it.
    events: Vec<Event>,
    /// Where the writer shows its trouble; whoever only looks waits for no disk.
    trouble: Option<&'a TroubleSign>,
}

/// What the index is to take in.
pub(super) enum Touched {
    Put(Box<Record>),
    Forgot(SampleKey),
    Ordered(RunName, Box<RunOrders>),
}

impl Touched {
    /// Has the index take it in, now that it is durable.
    pub fn show(self, index: &mut Index) {
        match self {
            Self::Put(record) => index.put(&record),
            Self::Forgot(key) => index.forget(&key),
            Self::Ordered(run, orders) => index.put_orders(run, *orders),
        }
    }
}

impl<'a> Transaction<'a> {
    pub fn new(store: &'a Store, index: &'a Mutex<Index>, trouble: Option<&'a TroubleSign>) -> Self {
        Self { store, index, writes: Writes::default(), touched: Vec::new(), events: Vec::new(), trouble }
    }

    /// What is to become durable, what the receipts are to say of it, and what the index is to take in then.
    pub fn end(self) -> (Writes, Vec<Event>, Vec<Touched>) {
        (self.writes, self.events, self.touched)
    }

    pub fn record(&self, id: &SampleId) -> Result<Option<Record>, JournalError> {
        form::read(id, |key| self.get(key))
    }

    /// The value of a key, as this transaction leaves it. Waits for a disk that cannot be read.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, JournalError> {
        match self.writes.get(key) {
            Some(written) => Ok(written.map(<[u8]>::to_vec)),
            None => self.in_the_end(|store| store.get(key)),
        }
    }

    /// The keys in the store that begin with `prefix`. Waits for a disk that cannot be read.
    pub fn stored_keys(&self, prefix: &[u8]) -> Result<Vec<Vec<u8>>, JournalError> {
        self.in_the_end(|store| {
            let (mut walk, mut keys) = (Walk::through(prefix), Vec::new());
            while let Some((key, _)) = store.look().next(&mut walk)? {
                keys.push(key);
            }
            Ok(keys)
        })
    }

    fn in_the_end<T>(&self, read: impl Fn(&Store) -> Result<T, JournalError>) -> Result<T, JournalError> {
        let done = read(self.store);
        match self.trouble {
            None => done,
            Some(trouble) => trouble.wait_out("read", done, || self.store.reopen().and_then(|()| read(self.store))),
        }
    }

    /// Looks at the index, which knows of nothing that this transaction does.
    pub fn index<T>(&self, look: impl FnOnce(&Index) -> T) -> T {
        look(&self.index.lock().expect(UNPOISONED))
    }

    /// Puts down what a person said of a run as a whole, for what is yet to come of it.
    pub fn put_orders(&mut self, run: RunName, orders: RunOrders) {
        self.events.push(Event::Orders { run: run.clone(), orders: orders.clone() });
        self.keep_orders(run, orders);
    }

    fn keep_orders(&mut self, run: RunName, orders: RunOrders) {
        self.writes.put(run_key(&run), encode(&orders));
        self.touched.push(Touched::Ordered(run, Box::new(orders)));
    }

    /// Takes down that the run of these findings has been looked at since the journal was made anew. No receipt tells of
    /// it: what was found is in none either, and a store that lacks the one must lack the other.
    pub fn looked_at(&mut self, finding: &Finding) {
        let run = RunName::of(&finding.sample.key);
        let orders = self.orders(&run);
        if orders.is_made_anew {
            self.keep_orders(run, RunOrders { is_made_anew: false, ..orders });
        }
    }

    /// What people said of a run before this transaction.
    pub fn orders(&self, run: &RunName) -> RunOrders {
        self.index(|index| index.orders(run))
    }

    /// Another sample that one of these things on Flow was made for, one that took it in this very transaction included.
    pub fn binder(&self, flow_ids: &[FlowId], of: &SampleId) -> Option<SampleId> {
        let touched = self.touched.iter().filter_map(|touched| match touched {
            Touched::Put(record) => Some(record),
            Touched::Forgot(_) | Touched::Ordered(..) => None,
        });
        let binds = |record: &Record| ownership::flow_ids(record).iter().any(|id| flow_ids.contains(id));
        let now = touched.filter(|record| binds(record)).map(|record| record.sample.id());
        let before = self.index(|index| flow_ids.iter().filter_map(|id| index.ownership.bound(id)).collect::<Vec<_>>());
        now.chain(before).find(|binder| binder != of)
    }

    /// Whether there is something under this key.
    pub fn has(&self, key: &[u8]) -> Result<bool, JournalError> {
        Ok(self.get(key)?.is_some())
    }

    pub fn put(&mut self, old: Option<&Record>, new: Record) {
        let id = new.sample.id();
        if old.is_none_or(|old| old.sample != new.sample) {
            self.writes.put(sample_key(&id), encode(&new.sample));
        }
        self.writes.put(state_key(&id), encode(&StateValue::of(&new)));
        let hashes = PartHashes::of(&new);
        if old.map(PartHashes::of).unwrap_or_default() != hashes {
            hashes.write(&id, &mut self.writes);
        }
        self.events.extend(event_of(old, &new));
        self.touched.push(Touched::Put(Box::new(new)));
    }

    /// Forgets a sample whose files are called otherwise now, or that never had any.
    pub fn forget(&mut self, record: &Record) {
        let id = record.sample.id();
        if Claim::of(record).is_some() {
            self.events.push(withdrawn(id.clone(), "known by another name"));
        }
        form::remove(&id, &mut self.writes);
        self.touched.push(Touched::Forgot(record.sample.key.clone()));
    }

    /// Bytes of all values that it would write.
    #[cfg(test)]
    pub fn written(&self) -> usize {
        self.writes.bytes()
    }

    pub fn write(&mut self, writes: Writes) {
        self.writes.extend(writes);
    }

    /// Has the receipts say this, too.
    pub fn tell(&mut self, event: Event) {
        self.events.push(event);
    }
}
