//! How far an upload has got, and what came of it, as the journal writes it down.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::observation::Moment;
use crate::sample::{SheetUsed, Target};

/// How far an upload has got, in the journal's own words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// Times that sending was begun or gone on with.
    pub attempts: u32,
    /// Passing faults since the last chunk that was acknowledged.
    pub faults: u32,
    /// One for each slot, once the chunks are cut.
    pub files: Vec<FileUpload>,
    pub sample_id: Option<String>,
    /// The id of the project, where the sample names it by its name alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Warnings about an annotation sheet that are ignored, as Flow sent them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warnings: Option<serde_json::Value>,
    /// Set where the files were found not whole before: until when that may pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsound_until: Option<Moment>,
}

/// How far one file has got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileUpload {
    /// Length of the first chunk in bytes; each further one is a byte longer.
    pub base: u64,
    /// Size of the file in bytes.
    pub size: u64,
    pub begun_anew: u32,
    /// Ids of the file whose last chunk had left when it was begun anew.
    pub abandoned: Vec<String>,
    /// Of the whole file, in hexadecimal, once it has been read to its end.
    pub sha256: Option<String>,
    /// The same of the bytes that Flow acknowledged, while there are more to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix_sha256: Option<String>,
    /// Of each part of it, in order, once all have been read and where there are several. Stored beside the rest, since
    /// there can be thousands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts_sha256: Vec<String>,
    /// Which files on disk they came from, inodes and change times, once all have been read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    pub stage: Stage,
}

/// The states of one file on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "stage")]
pub enum Stage {
    Sending { data_id: Option<String>, chunks: u64, strikes: u32 },
    Asking { data_id: Option<String>, asks: u32, sent_again: bool },
    Ready { data_id: String },
}

impl Upload {
    /// Bytes that Flow acknowledged.
    pub fn sent(&self) -> u64 {
        self.files.iter().map(FileUpload::sent).sum()
    }

    /// Whether Flow may have made something of it already, known here or not: its last chunk has left. Such an upload
    /// is not let go before Flow has been asked.
    pub(super) fn may_be_whole(&self) -> bool {
        self.files.last().is_some_and(|last| !matches!(last.stage, Stage::Sending { .. }) || !last.abandoned.is_empty())
    }
}

impl Sent {
    /// What it is on Flow, with the id that it has there.
    pub fn on_flow(&self) -> String {
        match (&self.sample_id, self.files.first()) {
            (Some(id), _) => format!("sample {id}"),
            (None, Some(file)) => format!("data {}", file.data_id),
            (None, None) => "itself".to_owned(),
        }
    }
}

impl FileUpload {
    /// Its hashes, once it has been read to its end.
    pub fn hashes(&self) -> Option<SlotHashes> {
        Some(SlotHashes { sha256: self.sha256.clone()?, parts: self.parts_sha256.clone() })
    }

    /// Bytes that Flow acknowledged: n chunks, each a byte longer than the one before.
    pub fn sent(&self) -> u64 {
        match self.stage {
            Stage::Sending { chunks, .. } => {
                (chunks * self.base + chunks * chunks.saturating_sub(1) / 2).min(self.size)
            }
            Stage::Asking { .. } | Stage::Ready { .. } => self.size,
        }
    }

    /// The id under which Flow knows the file.
    pub fn data_id(&self) -> Option<&str> {
        match &self.stage {
            Stage::Sending { data_id, .. } | Stage::Asking { data_id, .. } => data_id.as_deref(),
            Stage::Ready { data_id } => Some(data_id),
        }
    }
}

/// What was sent, and what Flow made of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    pub attempts: u32,
    /// `None` for a generic file.
    pub sample_id: Option<String>,
    /// One for each slot.
    pub files: Vec<SentFile>,
    /// Warnings about an annotation sheet that were ignored, as Flow sent them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warnings: Option<serde_json::Value>,
    pub finished: Timestamp,
    /// Whether the files on disk are no longer what was sent.
    pub changed: bool,
    /// Whether it was on Flow already, and nothing was sent for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopted: bool,
    /// What its sheets say of it now, where that is not what was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retold: Option<Box<Retold>>,
}

/// Values that a sheet gave a sample after it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retold {
    pub target: Target,
    pub sheets: Vec<SheetUsed>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentFile {
    /// Empty only for the annotation sheet of an adopted multiplexed set: that one is not found by its reads.
    pub data_id: String,
    /// Of the bytes on disk, which were sent or adopted, in hexadecimal; `None` when the file was gone before it could be taken.
    pub sha256: Option<String>,
    /// The same of each of its parts, in order, where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<String>,
}

/// The SHA-256 of a slot, in hexadecimal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SlotHashes {
    /// Of all of it.
    pub sha256: String,
    /// Of each part, in order, where there are several.
    pub parts: Vec<String>,
}

impl SlotHashes {
    /// The hash of each of so many parts; empty where they are not known.
    pub fn of_parts(&self, parts: usize) -> Vec<&String> {
        of_parts(Some(&self.sha256), &self.parts, parts)
    }
}

impl SentFile {
    pub fn new(data_id: String, hashes: Option<SlotHashes>) -> Self {
        let parts = hashes.as_ref().map(|hashes| hashes.parts.clone()).unwrap_or_default();
        Self { data_id, sha256: hashes.map(|hashes| hashes.sha256), parts }
    }

    /// The hash of each of so many parts; empty where they are not known.
    pub fn of_parts(&self, parts: usize) -> Vec<&String> {
        of_parts(self.sha256.as_ref(), &self.parts, parts)
    }
}

/// A slot of one part has the hash of that.
fn of_parts<'a>(whole: Option<&'a String>, hashes: &'a [String], parts: usize) -> Vec<&'a String> {
    match parts {
        1 => whole.into_iter().collect(),
        _ if hashes.len() == parts => hashes.iter().collect(),
        _ => Vec::new(),
    }
}
