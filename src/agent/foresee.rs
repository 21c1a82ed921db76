//! What would become of a run's files under some manifest: assembled, and asked of the journal, with nothing put down.

use std::path::PathBuf;

use crate::assemble::{Assembled, Assembly, assemble, run_key};
use crate::journal::{Journal, JournalError, Record};
use crate::manifest::Manifest;
use crate::sheet::Shelf;
use crate::watch::RunView;

/// What would become of a run.
#[derive(Debug, Default)]
pub struct Foreseen {
    /// Each sample as the journal would have it, and as assembly sees it.
    pub samples: Vec<(Record, Assembled)>,
    /// What no rule takes, by absolute path.
    pub left_out: Vec<(PathBuf, String)>,
}

/// Foresees a run of a watch. `shelf` is what was read of the sheets that are wanted; without a journal nothing is known
/// of any sample.
///
/// # Errors
/// When the journal cannot be read.
pub fn foresee(
    journal: Option<&Journal>,
    watch: &str,
    manifest: &Manifest,
    view: &RunView,
    shelf: &Shelf,
) -> Result<Foreseen, JournalError> {
    let closed = journal.map(|journal| journal.closed(watch, &run_key(view))).unwrap_or_default();
    let Assembly { samples, left_out, .. } = assemble(watch, manifest, view, &closed, shelf);
    let foresee = |assembled: Assembled| {
        let finding = assembled.finding.clone();
        let record = match journal {
            Some(journal) => journal.foresee(finding)?,
            None => Some(Record::foreseen(finding)),
        };
        Ok(record.map(|record| (record, assembled)))
    };
    let samples = samples.into_iter().filter_map(|assembled| foresee(assembled).transpose());
    Ok(Foreseen { samples: samples.collect::<Result<_, JournalError>>()?, left_out })
}
