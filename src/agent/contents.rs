//! Samples on Flow whose files look different on disk: their content is read, one sample after the other, and the journal
//! told whether it is still what was sent.

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::AgentError;
use crate::journal::{Journal, JournalError, State};
use crate::sample::{Sample, SampleId};
use crate::upload::{self, Disk, PartError};

/// Compares what comes, until `shutdown`. What cannot be read now, or changes meanwhile, is found again by the next look
/// at its run.
pub(super) async fn compare(
    journal: Journal,
    mut samples: mpsc::UnboundedReceiver<(SampleId, Sample)>,
    disk: Disk,
    shutdown: CancellationToken,
) -> Result<(), AgentError> {
    loop {
        let (id, found) = tokio::select! {
            Some(found) = samples.recv() => found,
            () = shutdown.cancelled() => return Ok(()),
        };
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
