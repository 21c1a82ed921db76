//! The journal as one document, to be kept or moved to another host, and the receipts for whoever reports of them.

use std::fs;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::batches::Batches;
use super::claims::{Claims, baselines, existing, first_start, put};
use super::form::{self, StateValue};
use super::lock::Lock;
use super::mark::Mark;
use super::opening;
use super::receipts::{self, ExistingFile, Head, RECEIPTS, Receipt};
use super::record::Record;
use super::store::{Store, sync_folder};
use super::{Journal, JournalError};
use crate::sample::Sample;

/// The version of the document.
const VERSION: u32 = 1;

/// All that a journal holds and cannot be seen again on disk.
#[derive(Serialize, Deserialize)]
pub struct Export {
    pub version: u32,
    pub time: Timestamp,
    /// Up to where the receipts went.
    pub receipts: Head,
    records: Vec<ExportedRecord>,
    watches: Vec<ExportedWatch>,
}

#[derive(Serialize, Deserialize)]
struct ExportedRecord {
    sample: Sample,
    #[serde(flatten)]
    value: StateValue,
}

/// A watch's first start.
#[derive(Serialize, Deserialize)]
struct ExportedWatch {
    watch: String,
    baseline: serde_json::Value,
    existing: Vec<ExistingFile>,
}

impl Export {
    /// How many samples it holds.
    pub fn samples(&self) -> usize {
        self.records.len()
    }

    /// Makes a state folder's journal of it, and receipts for what was sent; gives the number of samples. What was
    /// uploading goes on when its turn comes.
    ///
    /// # Errors
    /// [`JournalError::NotEmpty`] when the folder has a journal or receipts, [`JournalError::Record`] when the document is
    /// of another version.
    pub fn import(self, state_dir: &Path) -> Result<usize, JournalError> {
        if self.version != VERSION {
            let reason = format!("its version is {}, and this program knows {VERSION}", self.version);
            return Err(JournalError::Record { key: "the exported state".to_owned(), reason });
        }
        let _lock = Lock::take(state_dir)?;
        let dir = state_dir.join("journal");
        if dir.exists() || state_dir.join(RECEIPTS).exists() {
            return Err(JournalError::NotEmpty { dir: state_dir.to_owned() });
        }
        let samples = self.samples();
        // Under another name until it is whole.
        let draft = state_dir.join("journal.importing");
        let error = |source| JournalError::Open { dir: draft.clone(), source };
        if draft.exists() {
            fs::remove_dir_all(&draft).map_err(error)?;
        }
        Mark::remove(&draft).map_err(error)?;
        let store = Store::open(&draft)?;
        self.write(&store)?;
        drop(store);
        fs::rename(&draft, &dir)
            .and_then(|()| fs::rename(Mark::path(&draft), Mark::path(&dir)))
            .and_then(|()| sync_folder(state_dir))
            .map_err(error)?;
        // Writes the receipts, as for a state folder that never had any.
        opening::open(state_dir)?;
        Ok(samples)
    }

    fn write(self, store: &Store) -> Result<(), JournalError> {
        let mut batches = Batches::into(store);
        for ExportedRecord { sample, value: StateValue { first_seen, history, state } } in self.records {
            let record = Record { sample, first_seen, history, state }.interrupted();
            batches.add(|writes| form::write(&record, writes))?;
        }
        for ExportedWatch { watch, baseline, existing } in self.watches {
            for event in first_start(&watch, existing, Some(baseline)) {
                batches.add(|writes| put(event, writes))?;
            }
        }
        batches.end()
    }
}

impl Journal {
    /// All that it holds and cannot be seen again on disk.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn export(&self) -> Result<Export, JournalError> {
        let store = &self.shared.store;
        let mut records = Vec::new();
        Claims::of(store, |record| {
            let value = StateValue::whole(&record);
            records.push(ExportedRecord { sample: record.sample, value });
        })?;
        records.sort_by(|a, b| a.sample.key.cmp(&b.sample.key));
        let mut watches = Vec::new();
        for (watch, baseline) in baselines(store)? {
            let existing = existing(store, &watch)?;
            watches.push(ExportedWatch { watch, baseline, existing });
        }
        watches.sort_by(|a, b| a.watch.cmp(&b.watch));
        let receipts = opening::kept_head(store)?.unwrap_or_default();
        Ok(Export { version: VERSION, time: Timestamp::now(), receipts, records, watches })
    }
}

/// Reads the receipts of a state folder, one by one, beside a service that adds to them; gives what is wrong with them.
///
/// # Errors
/// When they cannot be read, or were written by a newer version.
pub fn read_receipts(state_dir: &Path, mut seen: impl FnMut(Receipt)) -> Result<Vec<String>, JournalError> {
    let survey = receipts::look(state_dir, |line| {
        if let Some(receipt) = line.receipt() {
            seen(receipt);
        }
    })?;
    Ok(survey.breaks)
}
