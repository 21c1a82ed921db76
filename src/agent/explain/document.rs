//! What is said of a path: the document behind `explain --json`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::assemble::RowsUsed;
use crate::manifest::{Outcome, Tried};
use crate::observation::Moment;
use crate::sample::path_to_text;
use crate::status::{RuleTried, SampleStatus, as_timestamp};

/// What became of a path, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    pub version: u32,
    /// Absolute.
    pub path: String,
    /// `file`, `folder`, `run` (a run folder), or `gone`: known, and no longer there.
    pub kind: String,
    /// `running`: a service told this; `offline`: none runs.
    pub agent: String,
    pub watch: Option<String>,
    pub manifest: Option<String>,
    /// As `status` names it; of a drop folder the watch's name.
    pub run: Option<String>,
    /// The rule that took it.
    pub rule: Option<String>,
    /// What that rule captured from its path.
    pub captured: BTreeMap<String, String>,
    /// What each rule says of it, in order.
    pub rules: Vec<RuleTried>,
    /// The sample that it belongs to, as `status` shows it.
    pub sample: Option<Box<SampleStatus>>,
    /// `reads1`, `reads2`, or the name of another key.
    pub slot: Option<String>,
    /// Its place among the files that are joined into the slot.
    pub part: Option<Place>,
    /// Rows of sheets and tables that the sample's values come from.
    pub sheets: Vec<RowUsed>,
    /// The sample's state.
    pub state: Option<String>,
    /// Why it is in this state, or is left out.
    pub reason: Option<String>,
    /// Whether it is deliberately not taken; `reason` says why.
    pub left_out: bool,
    /// Whether it lay there at the watch's first start.
    pub existing: bool,
    /// Whether the agent has seen it unchanged for long enough; `null` where it has not been seen.
    pub settled: Option<bool>,
    /// The run folder that it is, or lies in, and then those in it; of a folder above run folders, each of them.
    pub runs: Vec<RunExplained>,
    pub waits_for: Vec<String>,
    /// What of the run's conditions holds already.
    pub holds: Vec<String>,
    /// When something will happen by itself, the soonest first.
    pub next: Vec<Next>,
    /// Of a folder: each file in it.
    pub files: Vec<Short>,
    /// What else a person should know.
    pub notes: Vec<String>,
}

/// A file's place in a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Counted from 1.
    pub number: usize,
    pub of: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowUsed {
    pub path: String,
    /// Counted from 1.
    pub lines: Vec<usize>,
}

/// A run folder, or a drop folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunExplained {
    pub run: String,
    pub path: String,
    /// What the watch's `run_folder` captured.
    pub captured: BTreeMap<String, String>,
    /// `null` for a drop folder, which is not judged as a whole: each of its samples is, by its own files.
    pub complete: Option<bool>,
    pub waits_for: Vec<String>,
    /// What holds already.
    pub holds: Vec<String>,
    /// How many files it has.
    pub files: usize,
}

/// Something that happens by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    pub what: String,
    pub at: Timestamp,
    pub in_seconds: u64,
}

/// One file of a folder, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Short {
    pub path: String,
    pub rule: Option<String>,
    /// The sample's name.
    pub sample: Option<String>,
    pub slot: Option<String>,
    pub state: Option<String>,
    pub reason: Option<String>,
}

impl Short {
    pub(super) fn left_out(path: &Path, reason: &str) -> Self {
        let path = path_to_text(path);
        Self { path, rule: None, sample: None, slot: None, state: None, reason: Some(reason.to_owned()) }
    }
}

impl RowUsed {
    pub(super) fn of(rows: &RowsUsed) -> Self {
        Self { path: path_to_text(&rows.path), lines: rows.lines.clone() }
    }
}

impl Next {
    pub(super) fn within(what: &str, time: Duration) -> Self {
        // A time that is nearly over is not yet over.
        let in_seconds = time.as_millis().div_ceil(1000) as u64;
        Self { what: what.to_owned(), at: in_future(Duration::from_secs(in_seconds)), in_seconds }
    }
}

/// What rules say of a file, in the words of the status.
pub fn rules_tried(tried: Vec<Tried>) -> Vec<RuleTried> {
    let told = |Tried { rule, outcome }: Tried| RuleTried {
        rule,
        takes: matches!(outcome, Outcome::Takes(_)),
        condition: outcome.condition().map(str::to_owned),
        reason: outcome.reason(),
    };
    tried.into_iter().map(told).collect()
}

/// When something happens that is so far away.
pub fn in_future(time: Duration) -> Timestamp {
    let now = Moment::now();
    as_timestamp(now + time, now)
}
