//! The same data under another path, run or rule: a copied or renamed run, a moved share. Files are bound to what they
//! were sent as by their content and their own names, never by where they lie.

use tokio_util::sync::CancellationToken;

use super::disk::Disk;
use super::parts::{PartError, hashes};
use crate::journal::{Journal, JournalError, Record};
use crate::sample::{Sample, SampleId};

/// What is known of a sample's content before anything of it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sameness {
    /// Nothing like it was sent.
    New,
    /// Another sample with the same files, by their names and sizes, is under way: the turn of this one comes after it.
    UnderWay { other: SampleId },
    /// Such another was begun, and is between two tries, or in doubt: its end must be awaited.
    Begun { other: String },
    /// Another sample has the same bytes under the same file names. `reason` names it.
    Same { reason: String },
}

/// Why sameness cannot be told.
#[derive(Debug)]
pub(super) enum SameError {
    Journal(JournalError),
    Part(PartError),
}

/// Compares a sample with all that was sent of the same file names and sizes. Only where there is such a one, the files
/// are read, and then to their ends: a likeness is no proof.
pub(super) async fn look_for(
    journal: &Journal,
    sample: &Sample,
    disk: &Disk,
    stopping: &CancellationToken,
) -> Result<Sameness, SameError> {
    if let Err(other) = journal.claim(sample) {
        return Ok(Sameness::UnderWay { other });
    }
    let alike = journal.alike(sample).map_err(SameError::Journal)?;
    if alike.is_empty() {
        return Ok(Sameness::New);
    }
    let own = hashes(sample, disk, stopping).await.map_err(SameError::Part)?;
    for other in &alike {
        let Some(sent) = other.state.sent() else { continue };
        if sent.files.iter().map(|file| file.sha256.as_ref()).eq(own.iter().map(|own| Some(&own.sha256))) {
            let key = &other.sample.key;
            return Ok(Sameness::Same {
                reason: format!(
                    "its files are, byte for byte, those of {} ({}, run {}), which is on Flow as {}; to send them all the \
                     same: flow-ingest resend",
                    key.name,
                    other.sample.id(),
                    key.run,
                    sent.on_flow()
                ),
            });
        }
    }
    let has_begun = |other: &&Record| other.state.is_doubt() || other.state.has_files();
    Ok(match alike.iter().find(has_begun) {
        Some(other) => Sameness::Begun { other: format!("{} ({})", other.sample.key.name, other.sample.id()) },
        None => Sameness::New,
    })
}
