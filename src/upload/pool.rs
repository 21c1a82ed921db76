//! The bounded pool: takes the next due sample from the journal whenever there is room, until it is told to stop.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::catalogue::Catalogue;
use super::disk::Disk;
use super::gate::Gate;
use super::settings::Settings;
use super::transfer::{End, transfer};
use crate::flow::Client;
use crate::journal::{Due, Journal, JournalError};
use crate::sample::SampleId;

/// How long a chunk that is in flight may take to arrive after the stop.
const DRAIN: Duration = Duration::from_secs(10);
/// How long the end of a pool may take: until the last chunk has arrived, and its answer is written down.
pub const LONGEST_END: Duration = DRAIN.saturating_add(Duration::from_secs(2));

pub struct Pool {
    pub client: Client,
    pub journal: Journal,
    pub settings: Settings,
    pub gate: Gate,
    pub disk: Disk,
    /// Uploads these samples and leaves all others in the queue.
    pub only: Option<HashSet<SampleId>>,
    /// Told the watch whose files are not what the journal says.
    pub look_again: mpsc::UnboundedSender<String>,
}

impl Pool {
    /// Uploads what is due until `shutdown`. Then no new chunk leaves; what is in flight gets ten seconds, and what
    /// does not arrive in them is asked about at the next start.
    ///
    /// # Errors
    /// When the journal cannot be written: then nothing more may be sent.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), JournalError> {
        let catalogue = Arc::new(Catalogue::new(self.client.clone()));
        let pool = Arc::new(self);
        let places = Arc::new(Semaphore::new(pool.settings.concurrency));
        let mut last_watch: Option<String> = None;
        let mut transfers = JoinSet::new();
        let ended = loop {
            // The place before the record: what is taken from the queue is under way at once.
            let turn = last_watch.clone();
            let next = async {
                let place = places.clone().acquire_owned().await.expect("the semaphore is never closed");
                Ok((place, pool.next(turn.as_deref()).await?))
            };
            // Once begun it is not let go for a transfer that ends: a record that was taken must not be dropped.
            tokio::pin!(next);
            let next = loop {
                tokio::select! {
                    next = &mut next => break Some(next),
                    Some(ended) = transfers.join_next() => match settle(ended) {
                        Ok(()) => {}
                        Err(error) => break Some(Err(error)),
                    },
                    () = shutdown.cancelled() => break None,
                }
            };
            let (place, record) = match next {
                Some(Ok(next)) => next,
                Some(Err(error)) => break Err(error),
                None => break Ok(()),
            };
            last_watch = Some(record.sample.key.watch.clone());
            let (pool, catalogue, shutdown) = (pool.clone(), catalogue.clone(), shutdown.clone());
            transfers.spawn(async move {
                let _place = place;
                if let End::LookAgain { watch } = transfer(&pool, &catalogue, record, &shutdown).await? {
                    // Nobody listens only when the agent is ending; its next start looks at everything.
                    let _ = pool.look_again.send(watch);
                }
                Ok(())
            });
        };
        let drain = async {
            while let Some(ended) = transfers.join_next().await {
                settle(ended)?;
            }
            Ok(())
        };
        match tokio::time::timeout(DRAIN, drain).await {
            Ok(drained) => ended.and(drained),
            Err(_) => {
                tracing::warn!("chunks in flight did not arrive in time; the next start asks about them");
                ended
            }
        }
    }

    /// Waits for the sample whose turn it is.
    async fn next(&self, last_watch: Option<&str>) -> Result<crate::journal::Record, JournalError> {
        let mut changes = self.journal.changes();
        loop {
            let gate_changed = self.gate.changed();
            self.gate.opened().await;
            let freed = self.gate.take_freed();
            if !freed.is_empty() {
                self.journal.hasten(freed).await?;
            }
            changes.mark_unchanged();
            if let Some(record) = self.journal.take_next(last_watch, self.only.as_ref()).await? {
                return Ok(record);
            }
            let due = match self.journal.next_due(self.only.as_ref()) {
                Due::Now => continue,
                Due::In(wait) => wait,
                Due::Never => Duration::MAX,
            };
            tokio::select! {
                // The journal's sender lives as long as the journal.
                _ = changes.changed() => {}
                // It may have freed some.
                () = gate_changed => {}
                () = tokio::time::sleep(due.min(Duration::from_secs(3600))) => {}
            }
        }
    }
}

type Ended = Result<Result<(), JournalError>, tokio::task::JoinError>;

/// A transfer that panicked ends the pool: what it left behind is looked at by the next start, not guessed at.
fn settle(ended: Ended) -> Result<(), JournalError> {
    match ended {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

#[cfg(test)]
mod tests;
