//! The journal's side of what people decide, and what others ask about it.

use std::time::Instant;

use jiff::Timestamp;
use tokio::sync::watch;

use super::decision::{Decision, Order, RunName, RunOrders, Verb};
use super::form::{decode, run_of_key};
use super::index::Index;
use super::record::Record;
use super::store::{Store, Walk};
use super::{Journal, JournalError, UNPOISONED};
use crate::sample::{Closed, Sample, SampleId};

/// Reads what people said of whole runs into the index.
pub(super) fn read_orders(store: &Store, index: &mut Index) -> Result<(), JournalError> {
    let mut walk = Walk::through(b"r");
    while let Some((key, value)) = store.look().next(&mut walk)? {
        let name = String::from_utf8_lossy(&key).into_owned();
        let run = run_of_key(&key)
            .ok_or_else(|| JournalError::Record { key: name.clone(), reason: "not a run's name".to_owned() })?;
        index.put_orders(run, decode(&name, &value)?);
    }
    Ok(())
}

impl Journal {
    /// Does what a person says; gives the records that changed. Of samples that are named all must be able to, or
    /// nothing is done; of runs, those that can.
    ///
    /// # Errors
    /// [`JournalError::Unknown`] and [`JournalError::Misstep`] for a sample that is named and cannot be what is wanted.
    pub async fn decide(&self, order: Order) -> Result<Vec<Record>, JournalError> {
        let Order { verb, samples, runs, who, reason, name } = order;
        if verb == Verb::Retry {
            // Before the first of them can have its turn.
            self.retry();
        }
        let decision = Decision { verb, who, when: Timestamp::now(), reason };
        let mut of_runs = Vec::new();
        for record in self.records().filter(|_| !runs.is_empty()) {
            let sample = record?.sample;
            if runs.iter().any(|run| run.watch == sample.key.watch && run.run == sample.key.run) {
                of_runs.push(sample.id());
            }
        }
        let decided = self
            .transact(move |transaction| {
                let mut changed = Vec::new();
                for id in samples {
                    let old = transaction.record(&id)?.ok_or(JournalError::Unknown { sample: id.clone() })?;
                    let new = old.clone().decided(decision.clone(), name.clone());
                    changed.push((old, new.map_err(|misstep| JournalError::Misstep { sample: id, misstep })?));
                }
                // Closing a run is said of its end, not of each of its samples.
                for id in of_runs.into_iter().filter(|_| verb != Verb::Close) {
                    let Some(old) = transaction.record(&id)? else { continue };
                    if let Ok(new) = old.clone().decided(decision.clone(), None) {
                        changed.push((old, new));
                    }
                }
                for run in runs {
                    let mut orders: RunOrders = transaction.orders(&run);
                    if orders.decide(&decision) {
                        transaction.put_orders(run, orders);
                    }
                }
                for (old, new) in &changed {
                    transaction.put(Some(old), new.clone());
                }
                Ok(changed.into_iter().map(|(_, new)| new).collect())
            })
            .await?;
        self.shared.orders.send_modify(|count| *count += 1);
        Ok(decided)
    }

    /// Takes in that a person wants things tried again: what was learnt before may not be so any more.
    pub fn retry(&self) {
        *self.shared.retried.lock().expect(UNPOISONED) = Some(Instant::now());
    }

    /// When a person last wanted that, since this journal was opened.
    pub fn retried(&self) -> Option<Instant> {
        *self.shared.retried.lock().expect(UNPOISONED)
    }

    /// Wakes whenever a person decided something.
    pub fn orders(&self) -> watch::Receiver<u64> {
        self.shared.orders.subscribe()
    }

    /// What people said of a run that does not end by itself.
    pub fn closed(&self, watch: &str, run: &str) -> Closed {
        let run = RunName { watch: watch.to_owned(), run: run.to_owned() };
        self.index(|index| index.closed(&run))
    }

    /// Whether a person wants the upload of this sample to come to a halt.
    pub fn is_wished(&self, id: &SampleId) -> bool {
        self.index(|index| index.is_wished(id))
    }

    /// Lets a sample that is under way be the one of its like (the same kind, and files of the same names and sizes) that
    /// may send, until it comes to a halt; or gives the one that is. Without it, two that look at the same time would
    /// both find that nothing like them was sent. The turn of the others [that must be new](Record::must_be_new) comes when
    /// it has halted.
    ///
    /// # Errors
    /// The sample that has to come to a halt first.
    pub fn claim(&self, sample: &Sample) -> Result<(), SampleId> {
        self.shared.index.lock().expect(UNPOISONED).turns.claim(sample)
    }

    /// The records of other samples, on Flow or on their way there, whose files have the same names and sizes.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn alike(&self, sample: &Sample) -> Result<Vec<Record>, JournalError> {
        let ids = self.index(|index| index.ownership.alike(sample));
        ids.iter().filter_map(|id| self.record(id).transpose()).collect()
    }
}
