//! What a watch remembers between starts, and what it tells: the room's door to the journal and to assembly.
//!
//! News is complete in itself: whoever stores `baseline` and `changed` in one commit, before acting on `runs`, can
//! hand them back as [`Remembered`] after any crash, and nothing is forgotten or seen twice.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::observation::{Moment, Observation};
use crate::sample::path_text;

use super::view::RunView;

/// How many left out files are listed in [`News::left_out`]; the count goes on.
pub const LEFT_OUT_LIMIT: usize = 10_000;

/// That the first start has been taken, and on what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// Device id of the watched folder.
    pub device: u64,
    /// How many files were found.
    pub files: u64,
    /// Whether it was a network share. If so, it was mounted; an empty local folder may be an unmounted share.
    pub network: bool,
    /// Folders that could not be read then: what is found there at the first look lay there, too.
    pub unread: Vec<PathText>,
}

/// A path below the watch that serde can carry, whatever its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PathText(#[serde(with = "path_text")] pub PathBuf);

/// What a watch was told to remember, from all the news it ever gave.
#[derive(Debug, Clone, Default)]
pub struct Remembered {
    /// `None` before the first start.
    pub baseline: Option<Baseline>,
    /// By path below the watch.
    pub observations: HashMap<PathBuf, Observation>,
}

/// A file or folder that is not taken, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Path below the watch; of a folder, all that lies in it is meant.
    pub path: PathBuf,
    /// For a person: "a link to a folder".
    pub reason: String,
}

/// That nothing of a watch is to be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outage {
    /// Whether the folder is there, and empty, where there were files before.
    pub is_empty: bool,
    /// For a person.
    pub text: String,
}

/// What is new in a watch.
#[derive(Debug, Clone)]
pub struct News {
    /// Name of the watch.
    pub watch: String,
    /// A new baseline, to be persisted together with `changed`.
    pub baseline: Option<Baseline>,
    /// Observations to be persisted, by path below the watch; `None`: the file is gone.
    pub changed: Vec<(PathBuf, Option<Observation>)>,
    /// Every run whose view changed, whole.
    pub runs: Vec<RunView>,
    /// Run folders, below the watch, that are no longer there.
    pub gone_runs: Vec<PathBuf>,
    /// The whole list, when it changed; at most [`LEFT_OUT_LIMIT`] entries.
    pub left_out: Option<Vec<LeftOut>>,
    /// How many are left out in all.
    pub left_out_count: usize,
    /// What is wrong with the watch now; `None`: nothing.
    pub condition: Option<String>,
    /// Whether the folder is gone, or suddenly empty. The latter is a condition only where it looks like a share that
    /// is not mounted: a folder may be cleared.
    pub outage: Option<Outage>,
    /// Whether the folder could be looked at; if not, nothing follows about its files.
    pub reachable: bool,
    /// `native`: events arrive; `poll`: the folder is scanned.
    pub mode: &'static str,
    /// Whether a full scan has succeeded since the start.
    pub scanned: bool,
    /// When the whole folder is scanned next, unless something asks for it earlier; `None` where it cannot be looked
    /// at.
    pub next_scan: Option<Moment>,
    /// When the next file settles or the next run may become quiet; `None` when nothing waits for time to pass.
    pub next: Option<Duration>,
}
