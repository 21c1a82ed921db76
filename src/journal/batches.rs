//! Writes that are too many for one commit.

use super::JournalError;
use super::store::{Store, Writes};

/// So many keys are written at once.
const FULL: usize = 2000;

/// Writes that go into the store batch by batch: who is interrupted in between does all of it once more.
pub(super) struct Batches<'a> {
    store: &'a Store,
    writes: Writes,
}

impl<'a> Batches<'a> {
    pub fn into(store: &'a Store) -> Self {
        Self { store, writes: Writes::default() }
    }

    /// Adds what `write` writes.
    ///
    /// # Errors
    /// When a batch was full and cannot be made durable.
    pub fn add(&mut self, write: impl FnOnce(&mut Writes)) -> Result<(), JournalError> {
        write(&mut self.writes);
        if self.writes.len() < FULL {
            return Ok(());
        }
        self.store.commit(&std::mem::take(&mut self.writes))
    }

    /// Makes the rest durable.
    pub fn end(self) -> Result<(), JournalError> {
        self.store.commit(&self.writes)
    }
}
