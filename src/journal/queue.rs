//! The journal as the queue: whose turn it is, what is under way, how many samples are in each state.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use super::index::{InFlight, Index, Tally};
use super::turns::Due;
use super::{Journal, JournalError, Record, UNPOISONED};
use crate::observation::Moment;
use crate::sample::SampleId;

impl Journal {
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
            let next = self.index(|index| index.turns.next(last_watch, only, Moment::now()));
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
        self.shared.index.lock().expect(UNPOISONED).turns.admit_only(watches);
    }

    /// Lets the samples of a watch have their turn, or keeps them back.
    pub fn admit(&self, watch: &str, is_admitted: bool) {
        self.shared.index.lock().expect(UNPOISONED).turns.admit(watch, is_admitted);
        self.shared.changes.send_modify(|count| *count += 1);
    }

    /// When the next sample is due; `only` leaves all others out of sight.
    pub fn next_due(&self, only: Option<&HashSet<SampleId>>) -> Due {
        self.index(|index| index.turns.next_due(only, Moment::now()))
    }

    /// Whether something will have its turn that is worth waiting for: not so are files that may be whole only later
    /// than in `patience`.
    pub fn has_turns_within(&self, patience: Duration) -> bool {
        self.index(|index| index.turns.has_turns_within(patience, Moment::now()))
    }

    /// The samples that are being uploaded.
    pub fn in_flight(&self) -> Vec<InFlight> {
        self.index(Index::in_flight)
    }

    /// Whether a sample is being uploaded, or has its turn before long.
    pub fn is_under_way(&self, id: &SampleId) -> bool {
        matches!(self.index(|index| index.state(id)), Some("uploading" | "queued" | "retrying"))
    }

    /// How many samples are in each state, by the state's name; states without any may be left out.
    pub fn tally(&self) -> BTreeMap<&'static str, Tally> {
        self.index(Index::tally)
    }
}
