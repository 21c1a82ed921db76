//! What was seen on disk, and what of it is deliberately left out: remembered for the watches, and no part of a sample.

use std::collections::HashMap;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::form::{self, decode, encode, file_key, left_out_key, watch_key};
use super::store::{Walk, Writes};
use super::{ExistingFile, Journal, JournalError, claims};
use crate::observation::Observation;
use crate::sample::path_text;

/// A file that is deliberately not taken, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Absolute path; of a folder, all that lies in it is meant.
    #[serde(with = "path_text")]
    pub path: PathBuf,
    pub reason: String,
}

impl Journal {
    /// What was seen of a watch's files, by their path below it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn observations(&self, watch: &str) -> Result<HashMap<PathBuf, Observation>, JournalError> {
        form::observations(&self.shared.store, watch).collect()
    }

    /// What was remembered of a watch's first start.
    ///
    /// # Errors
    /// When the store cannot be read, or holds something else.
    pub fn baseline<T: DeserializeOwned>(&self, watch: &str) -> Result<Option<T>, JournalError> {
        self.shared.store.get(&watch_key(watch))?.map(|value| decode(watch, &value)).transpose()
    }

    /// Remembers what was seen of a watch's files (`None`: gone) and, at its first start, the baseline: together, so
    /// that a first start that was interrupted is a first start again.
    ///
    /// # Errors
    /// When it cannot be made durable; then none of it is remembered.
    pub async fn observe<T: Serialize>(
        &self,
        watch: &str,
        changed: &[(PathBuf, Option<Observation>)],
        baseline: Option<&T>,
    ) -> Result<(), JournalError> {
        let mut writes = Writes::default();
        let mut existing = Vec::new();
        for (path, observation) in changed {
            match observation {
                Some(observation) => writes.put(file_key(watch, path), encode(observation)),
                None => writes.remove(file_key(watch, path)),
            }
            if let Some(Observation { fingerprint, existing: true, .. }) = observation {
                existing.push(ExistingFile { path: path.clone(), fingerprint: *fingerprint });
            }
        }
        let baseline = baseline.map(|baseline| {
            writes.put(watch_key(watch), encode(baseline));
            serde_json::to_value(baseline).expect("a baseline has no maps with other keys than strings")
        });
        let watch = watch.to_owned();
        self.transact(move |transaction| {
            let mut new = Vec::new();
            for file in existing {
                if !transaction.has(&file_key(&watch, &file.path))? {
                    new.push(file);
                }
            }
            transaction.write(writes);
            claims::first_start(&watch, new, baseline).for_each(|event| transaction.tell(event));
            Ok(())
        })
        .await
    }

    /// What is left out of all watches.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn left_out(&self) -> Result<Vec<LeftOut>, JournalError> {
        let mut all = Vec::new();
        let mut walk = Walk::through(b"l");
        while let Some((key, value)) = self.shared.store.look().next(&mut walk)? {
            all.extend(decode::<Vec<LeftOut>>(&String::from_utf8_lossy(&key), &value)?);
        }
        Ok(all)
    }

    /// Forgets what is left out of a watch, which is no longer watched as it was.
    ///
    /// # Errors
    /// When it cannot be made durable.
    pub async fn clear_left_out(&self, watch: &str) -> Result<(), JournalError> {
        let all = left_out_key(watch, "");
        self.transact(move |transaction| {
            let mut writes = Writes::default();
            transaction.stored_keys(&all)?.into_iter().for_each(|key| writes.remove(key));
            transaction.write(writes);
            Ok(())
        })
        .await
    }

    /// Takes in what of a run is left out; `run` is empty for what lies in none.
    ///
    /// # Errors
    /// When it cannot be made durable.
    pub async fn set_left_out(&self, watch: &str, run: &str, left_out: &[LeftOut]) -> Result<(), JournalError> {
        let key = left_out_key(watch, run);
        let value = (!left_out.is_empty()).then(|| encode(&left_out));
        self.transact(move |transaction| {
            // Read here, where a disk that cannot be read is waited for.
            let before = transaction.get(&key)?;
            let mut writes = Writes::default();
            match value {
                value if value == before => {}
                Some(value) => writes.put(key, value),
                None => writes.remove(key),
            }
            transaction.write(writes);
            Ok(())
        })
        .await
    }
}
