//! Samples on Flow whose files look different on disk: their content is read, one sample after the other, and the journal
//! told whether it is still what was sent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::AgentError;
use crate::journal::{Journal, JournalError, State};
use crate::sample::{Sample, SampleId};
use crate::upload::{self, Disk, PartError};

/// What is yet to be compared, each sample as it was found last: assembly finds it again with every look at its run.
/// Clones share it.
#[derive(Clone, Default)]
pub(super) struct Suspects {
    waiting: Arc<Mutex<HashMap<SampleId, Sample>>>,
    added: Arc<Notify>,
}

impl Suspects {
    pub fn add(&self, id: SampleId, found: Sample) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(id, found);
        self.added.notify_one();
    }

    fn take(&self) -> Option<(SampleId, Sample)> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let id = waiting.keys().next()?.clone();
        waiting.remove_entry(&id)
    }

    async fn next(&self) -> (SampleId, Sample) {
        loop {
            match self.take() {
                Some(suspect) => return suspect,
                None => self.added.notified().await,
            }
        }
    }
}

/// Compares what comes, until `shutdown`. What cannot be read now, or changes meanwhile, is found again by the next look
/// at its run.
pub(super) async fn compare(
    journal: Journal,
    suspects: Suspects,
    disk: Disk,
    shutdown: CancellationToken,
) -> Result<(), AgentError> {
    loop {
        let (id, found) = tokio::select! {
            suspect = suspects.next() => suspect,
            () = shutdown.cancelled() => return Ok(()),
        };
        // It was found once more while it was being compared: reading all of it again would tell nothing new.
        match journal.record(&id) {
            Ok(Some(record)) if record.is_uncompared(&found) => {}
            Ok(_) => continue,
            Err(error) if error.is_passing() => {
                suspects.add(id, found);
                journal.readable().await?;
                continue;
            }
            Err(error) => return Err(error.into()),
        }
        let hashes = upload::hashes(&found, &disk, &shutdown).await;
        let (sample, run) = (found.key.name.clone(), found.key.run.clone());
        let hashes = match hashes {
            Ok(hashes) => hashes,
            Err(PartError::Stopped) => return Ok(()),
            Err(error) => {
                tracing::warn!(sample, run, %error, "cannot tell whether its files are still what was sent");
                continue;
            }
        };
        match journal.change(&id, move |record| record.compared(found, &hashes)).await {
            Ok(record) => match record.state {
                State::Held { reason, .. } => tracing::warn!(sample, run, reason, "held"),
                _ => tracing::info!(sample, run, "its files look different, and are what was sent"),
            },
            // It was sent again, or forgotten, meanwhile.
            Err(JournalError::Misstep { .. } | JournalError::Unknown { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Kind, SampleKey, Target};

    #[tokio::test]
    async fn a_sample_that_is_found_again_and_again_is_compared_as_it_was_found_last() {
        let suspects = Suspects::default();
        let found = |name: &str, rule: &str| {
            let key = SampleKey { kind: Kind::Data, watch: "w".into(), run: "r".into(), name: name.into() };
            let target = Target::Data { data_type: None, is_directory: false };
            Sample { key, rule: rule.into(), target, slots: Vec::new(), sheets: Vec::new() }
        };
        for rule in ["first", "second", "third"] {
            for name in ["a", "b"] {
                let found = found(name, rule);
                suspects.add(found.id(), found);
            }
        }
        let mut taken = [suspects.next().await.1, suspects.next().await.1];
        taken.sort_by(|a, b| a.key.name.cmp(&b.key.name));
        assert_eq!(taken, [found("a", "third"), found("b", "third")]);
        assert_eq!(suspects.take(), None);
    }
}
