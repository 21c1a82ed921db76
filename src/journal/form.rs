//! What stands on disk: the key of each thing, and its value as versioned JSON.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::JournalError;
use super::decision::{History, RunName};
use super::record::Record;
use super::state::State;
use super::store::{Store, Walk, Writes};
use crate::observation::Observation;
use crate::sample::{SampleId, path_from_text, path_to_text};

/// The version that every value begins with.
const VERSION: u8 = 1;

/// The state with what belongs to it, as it is stored. The sample itself lies beside it, since it is larger and never
/// changes on the way.
#[derive(Serialize, Deserialize)]
pub(super) struct StateValue {
    pub first_seen: Timestamp,
    #[serde(default, skip_serializing_if = "History::is_empty")]
    pub history: History,
    #[serde(flatten)]
    pub state: State,
}

impl StateValue {
    /// With all that lies beside it in the store.
    pub fn whole(record: &Record) -> Self {
        Self { first_seen: record.first_seen, history: record.history.clone(), state: record.state.clone() }
    }

    pub fn of(record: &Record) -> Self {
        let mut state = record.state.clone();
        for file in state.upload_mut().into_iter().flat_map(|upload| &mut upload.files) {
            file.parts_sha256 = Vec::new();
        }
        Self { first_seen: record.first_seen, history: record.history.clone(), state }
    }
}

/// The hashes of the parts of what is on its way, by slot. They lie beside the state, which is written anew with every
/// chunk: a slot can have thousands of parts.
#[derive(Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PartHashes(Vec<Vec<String>>);

impl PartHashes {
    pub fn of(record: &Record) -> Self {
        let files = record.state.upload().map_or(&[][..], |upload| upload.files.as_slice());
        match files.iter().any(|file| !file.parts_sha256.is_empty()) {
            true => Self(files.iter().map(|file| file.parts_sha256.clone()).collect()),
            false => Self::default(),
        }
    }

    pub fn write(&self, id: &SampleId, writes: &mut Writes) {
        match self.0.is_empty() {
            true => writes.remove(part_hashes_key(id)),
            false => writes.put(part_hashes_key(id), encode(self)),
        }
    }
}

/// Writes all of a record.
pub(super) fn write(record: &Record, writes: &mut Writes) {
    let id = record.sample.id();
    writes.put(sample_key(&id), encode(&record.sample));
    writes.put(state_key(&id), encode(&StateValue::of(record)));
    PartHashes::of(record).write(&id, writes);
}

/// Removes all of a record.
pub(super) fn remove(id: &SampleId, writes: &mut Writes) {
    for key in [sample_key(id), state_key(id), part_hashes_key(id)] {
        writes.remove(key);
    }
}

/// Reads all of a record; `get` gives the value of a key.
pub(super) fn read(
    id: &SampleId,
    get: impl Fn(&[u8]) -> Result<Option<Vec<u8>>, JournalError>,
) -> Result<Option<Record>, JournalError> {
    get(&sample_key(id))?.map(|sample| join(id, &sample, get)).transpose()
}

/// The record of a sample that was read; `get` gives what lies beside it.
fn join(
    id: &SampleId,
    sample: &[u8],
    get: impl Fn(&[u8]) -> Result<Option<Vec<u8>>, JournalError>,
) -> Result<Record, JournalError> {
    let sample = decode(id.as_str(), sample)?;
    let state = get(&state_key(id))?.ok_or_else(|| damaged(id.as_str(), "it has no state"))?;
    let StateValue { first_seen, history, mut state } = decode(id.as_str(), &state)?;
    if let (Some(hashes), Some(upload)) = (get(&part_hashes_key(id))?, state.upload_mut()) {
        let PartHashes(hashes) = decode(id.as_str(), &hashes)?;
        for (file, hashes) in upload.files.iter_mut().zip(hashes) {
            file.parts_sha256 = hashes;
        }
    }
    Ok(Record { sample, first_seen, history, state })
}

pub(super) fn records(store: &Store) -> impl Iterator<Item = Result<Record, JournalError>> + '_ {
    let mut walk = Some(Walk::through(b"s"));
    std::iter::from_fn(move || {
        // One look for the sample and its state: what is forgotten in between would be a sample without one.
        let look = store.look();
        let (key, sample) = match look.next(walk.as_mut()?) {
            Ok(entry) => entry?,
            Err(error) => {
                walk = None;
                return Some(Err(error));
            }
        };
        let id = SampleId::typed(&String::from_utf8_lossy(&key[1..]));
        Some(join(&id, &sample, |key| look.get(key)))
    })
}

/// What was seen of a watch's files, by their path below it.
pub(super) fn observations<'a>(
    store: &'a Store,
    watch: &str,
) -> impl Iterator<Item = Result<(PathBuf, Observation), JournalError>> + 'a {
    let prefix = file_key(watch, Path::new(""));
    let mut walk = Some(Walk::through(&prefix));
    std::iter::from_fn(move || {
        let (key, value) = match store.look().next(walk.as_mut()?) {
            Ok(entry) => entry?,
            Err(error) => {
                walk = None;
                return Some(Err(error));
            }
        };
        let text = String::from_utf8_lossy(&key[prefix.len()..]);
        let path = path_from_text(&text).ok_or_else(|| damaged(&text, "not a path"));
        Some(path.and_then(|path| Ok((path, decode(&text, &value)?))))
    })
}

pub(super) fn sample_key(id: &SampleId) -> Vec<u8> {
    [b"s", id.as_str().as_bytes()].concat()
}

pub(super) fn state_key(id: &SampleId) -> Vec<u8> {
    [b"t", id.as_str().as_bytes()].concat()
}

pub(super) fn part_hashes_key(id: &SampleId) -> Vec<u8> {
    [b"p", id.as_str().as_bytes()].concat()
}

pub(super) fn watch_key(watch: &str) -> Vec<u8> {
    [b"w", watch.as_bytes()].concat()
}

pub(super) fn account_key(server: &str) -> Vec<u8> {
    [b"a", server.as_bytes()].concat()
}

pub(super) fn left_out_key(watch: &str, run: &str) -> Vec<u8> {
    [b"l", watch.as_bytes(), b"\0", run.as_bytes()].concat()
}

pub(super) fn run_key(run: &RunName) -> Vec<u8> {
    [b"r", run.watch.as_bytes(), b"\0", run.run.as_bytes()].concat()
}

/// The run of such a key.
pub(super) fn run_of_key(key: &[u8]) -> Option<RunName> {
    let (watch, run) = std::str::from_utf8(key.strip_prefix(b"r")?).ok()?.split_once('\0')?;
    Some(RunName { watch: watch.to_owned(), run: run.to_owned() })
}

/// Up to which receipt the store has taken part.
pub(super) fn head_key() -> Vec<u8> {
    b"h".to_vec()
}

/// The zero byte keeps the files of `a` apart from those of `ab`.
pub(super) fn file_key(watch: &str, path: &Path) -> Vec<u8> {
    [b"f", watch.as_bytes(), b"\0", path_to_text(path).as_bytes()].concat()
}

pub(super) fn encode(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    serde_json::to_writer(&mut bytes, value).expect("records have no maps with other keys than strings");
    bytes
}

pub(super) fn decode<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, JournalError> {
    match bytes.split_first() {
        Some((&VERSION, json)) => serde_json::from_slice(json).map_err(|e| damaged(key, e)),
        Some((version, _)) => {
            let reason = format!("its version is {version}, and this program knows {VERSION}");
            Err(JournalError::Record { key: key.to_owned(), reason })
        }
        None => Err(damaged(key, "it is empty")),
    }
}

fn damaged(key: &str, reason: impl std::fmt::Display) -> JournalError {
    JournalError::Damaged { reason: format!("its record of {key} cannot be read: {reason}") }
}
