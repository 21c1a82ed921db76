//! The receipts: a file of lines to which is only ever added, and which outlives the store. What was sent, and what
//! was about to be past the point of no return, stands here before it stands anywhere else.
//!
//! Each line is a JSON object and carries the hash of the line before, so that a line that was changed, lost or added
//! later shows. Lines that belong to one commit carry its number, which the store writes down in the same commit.
//! Nothing is decided here about what the lines mean: see [`super::claims`].

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::JournalError;
use super::decision::{History, RunName, RunOrders};
use super::state::State;
use super::store::sync_folder;
use super::stored::{Sent, Upload};
use crate::sample::{Fingerprint, Sample, SampleId, path_text};

/// The file's name in the state folder.
pub const RECEIPTS: &str = "receipts.jsonl";
/// The version of a line.
const VERSION: u32 = 1;
/// What the first line says of the line before it.
const NOTHING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A line, whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub version: u32,
    /// Number of the line; the first is 1.
    pub seq: u64,
    /// SHA-256 of the line before, without its end, in hexadecimal.
    pub previous: String,
    /// Number of the commit that it belongs to.
    pub commit: u64,
    pub time: Timestamp,
    /// Who the agent was logged in as, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    #[serde(flatten)]
    pub event: Event,
}

/// What a line is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The sample's last chunk is about to leave: Flow may make something of it from here on.
    Intent {
        id: SampleId,
        sample: Sample,
        first_seen: Timestamp,
        #[serde(default, skip_serializing_if = "History::is_empty")]
        history: History,
        upload: Upload,
    },
    /// Nobody but a person can tell whether it is on Flow.
    Doubt {
        id: SampleId,
        sample: Sample,
        first_seen: Timestamp,
        #[serde(default, skip_serializing_if = "History::is_empty")]
        history: History,
        reason: String,
    },
    /// It is on Flow.
    Done {
        id: SampleId,
        sample: Sample,
        first_seen: Timestamp,
        #[serde(default, skip_serializing_if = "History::is_empty")]
        history: History,
        sent: Sent,
    },
    /// A person decided something about it, or must decide; nothing is on Flow that is not in its history.
    Decided { id: SampleId, sample: Sample, first_seen: Timestamp, history: History, state: State },
    /// A person decided something about a run as a whole.
    Orders { run: RunName, orders: RunOrders },
    /// Who uploads to a server from this state folder.
    Account { server: String, name: String },
    /// What an earlier line says of the sample holds no longer: Flow surely refused its last chunk, or a person wants it
    /// sent anew.
    Withdrawn { id: SampleId, reason: String },
    /// Files that lay in a watch at its first start.
    Existing { watch: String, files: Vec<ExistingFile> },
    /// A watch's first start has been taken; what it found stands in the lines before.
    FirstStart { watch: String, baseline: serde_json::Value },
    /// Of a newer version.
    #[serde(other)]
    Unknown,
}

/// A file that lay in a watch at its first start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExistingFile {
    /// Below the watch.
    #[serde(with = "path_text")]
    pub path: PathBuf,
    pub fingerprint: Fingerprint,
}

/// Up to where the receipts go; the store keeps the same of its last commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    pub seq: u64,
    pub commit: u64,
    /// Of the last line.
    pub hash: String,
}

impl Default for Head {
    fn default() -> Self {
        Self { seq: 0, commit: 0, hash: NOTHING.to_owned() }
    }
}

/// What of a line everybody needs.
#[derive(Deserialize)]
struct Link {
    version: u32,
    seq: u64,
    previous: String,
    commit: u64,
}

/// The open file, for adding to it.
pub(super) struct Receipts {
    path: PathBuf,
    file: File,
    /// Length of what is whole, in bytes.
    length: u64,
    head: Head,
}

/// Lines that are ready to be added.
pub(super) struct Lines {
    bytes: Vec<u8>,
    pub head: Head,
}

impl Receipts {
    /// Opens the receipts of a state folder, made if they are not there. What a crash left of a line that was being
    /// added is cut off. `seen` is told every line that can be read, and where it begins.
    ///
    /// # Errors
    /// When it cannot be read, or was written by a newer version.
    pub fn open(state_dir: &Path, seen: impl FnMut(&Line<'_>)) -> Result<(Self, Survey), JournalError> {
        let path = state_dir.join(RECEIPTS);
        let error = |source| JournalError::Open { dir: path.clone(), source };
        let is_new = !path.exists();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(error)?;
        if is_new {
            sync_folder(state_dir).map_err(error)?;
        }
        let survey = survey(&path, &file, seen)?;
        if survey.torn > 0 {
            tracing::warn!(
                file = %path.display(), bytes = survey.torn,
                "the last receipt was never finished, and nothing rests on it: it is cut off"
            );
            file.set_len(survey.length).and_then(|()| file.sync_all()).map_err(error)?;
        }
        let receipts = Self { path, file, length: survey.length, head: survey.head.clone() };
        Ok((receipts, survey))
    }

    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The lines of the next commit, which is later than `commit`.
    pub fn lines(&self, events: Vec<Event>, commit: u64, account: Option<&str>) -> Lines {
        let mut bytes = Vec::new();
        let mut head = self.head.clone();
        head.commit = head.commit.max(commit) + 1;
        let time = Timestamp::now();
        for event in events {
            let receipt = Receipt {
                version: VERSION,
                seq: head.seq + 1,
                previous: head.hash,
                commit: head.commit,
                time,
                account: account.map(str::to_owned),
                event,
            };
            let line = serde_json::to_vec(&receipt).expect("receipts have no maps with other keys than strings");
            (head.seq, head.hash) = (receipt.seq, hash(&line));
            bytes.extend(line);
            bytes.push(b'\n');
        }
        Lines { bytes, head }
    }

    /// Adds lines, durably, or none of them.
    pub fn append(&mut self, lines: &Lines) -> Result<(), JournalError> {
        let write = || {
            if self.file.metadata()?.len() != self.length {
                // Left there by an addition that failed.
                self.file.set_len(self.length)?;
            }
            self.file.write_all_at(&lines.bytes, self.length)?;
            self.file.sync_data()
        };
        write().map_err(|source| {
            // When this fails, too, it is cut off before the next addition or at the next start.
            let _ = self.file.set_len(self.length);
            JournalError::Write { dir: self.path.clone(), source }
        })?;
        self.length += lines.bytes.len() as u64;
        self.head = lines.head.clone();
        Ok(())
    }

    /// Takes back what was added last, since the store could not take part; `before` is what it was added to.
    pub fn retract(&mut self, lines: &Lines, before: Head) {
        let length = self.length - lines.bytes.len() as u64;
        match self.file.set_len(length).and_then(|()| self.file.sync_all()) {
            Ok(()) => (self.length, self.head) = (length, before),
            Err(error) => tracing::error!(file = %self.path.display(), %error, "cannot take back a receipt"),
        }
    }
}

/// A line as it stands in the file.
pub(super) struct Line<'a> {
    pub bytes: &'a [u8],
    pub commit: u64,
    /// Where in the file it begins.
    pub at: u64,
}

impl Line<'_> {
    /// All that it says; `None` when that cannot be read.
    pub fn receipt(&self) -> Option<Receipt> {
        serde_json::from_slice(self.bytes).ok()
    }
}

/// What a look at the whole file shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Survey {
    pub head: Head,
    /// Length of the whole lines in bytes.
    pub length: u64,
    /// Bytes of a line without an end.
    pub torn: u64,
    /// Where the chain is broken, for people.
    pub breaks: Vec<String>,
}

/// Looks at the receipts of a state folder without changing them: a running service may be adding to them.
///
/// # Errors
/// When they cannot be read, or were written by a newer version.
pub(super) fn look(state_dir: &Path, seen: impl FnMut(&Line<'_>)) -> Result<Survey, JournalError> {
    let path = state_dir.join(RECEIPTS);
    match File::open(&path) {
        Ok(file) => survey(&path, &file, seen),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Survey::default()),
        Err(source) => Err(JournalError::Open { dir: path, source }),
    }
}

fn survey(path: &Path, file: &File, mut seen: impl FnMut(&Line<'_>)) -> Result<Survey, JournalError> {
    let error = |source| JournalError::Open { dir: path.to_owned(), source };
    let mut reader = BufReader::with_capacity(1 << 16, file);
    reader.seek(SeekFrom::Start(0)).map_err(error)?;
    let mut survey = Survey::default();
    let mut line = Vec::new();
    let mut number = 0;
    loop {
        line.clear();
        let length = reader.read_until(b'\n', &mut line).map_err(error)? as u64;
        if line.pop_if(|last| *last == b'\n').is_none() {
            survey.torn = length;
            return Ok(survey);
        }
        number += 1;
        match serde_json::from_slice::<Link>(&line) {
            Ok(link) if link.version > VERSION => {
                let reason = format!("its version is {}, and this program knows {VERSION}", link.version);
                return Err(JournalError::Record { key: format!("line {number} of {}", path.display()), reason });
            }
            Ok(link) => {
                if link.previous != survey.head.hash || link.seq != survey.head.seq + 1 {
                    survey.breaks.push(format!("line {number} does not follow from the line before it"));
                }
                survey.head = Head { seq: link.seq, commit: link.commit, hash: hash(&line) };
                seen(&Line { bytes: &line, commit: link.commit, at: survey.length });
            }
            Err(why) => {
                survey.breaks.push(format!("line {number} cannot be read: {why}"));
                survey.head.seq += 1;
                survey.head.hash = hash(&line);
            }
        }
        survey.length += length;
    }
}

fn hash(line: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(line))
}

#[cfg(test)]
mod tests;
