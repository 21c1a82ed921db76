//! All that the agent says of itself at one moment: the document behind `status --json`, `run --once --json` and the
//! status page.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::board::Board;
use crate::journal::{self, Blocker, Change, Decision, Holder, Journal, JournalError, Record, Sent, State};
use crate::observation::Moment;
use crate::sample::{Fingerprint, Kind, path_to_text};

/// The version of the document.
pub const VERSION: u32 = 1;

/// The states of a sample's life, in the order in which they are shown.
pub const STATES: [&str; 8] = ["waiting", "held", "queued", "uploading", "retrying", "blocked", "done", "skipped"];

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Snapshot {
    pub version: u32,
    pub agent: Agent,
    pub counts: BTreeMap<String, usize>,
    pub samples: Vec<SampleStatus>,
    pub watches: Vec<WatchStatus>,
    /// What is overdue, gone or suddenly empty now.
    #[serde(default)]
    pub conditions: Vec<Condition>,
    pub left_out: Vec<LeftOut>,
}

/// Something that should be there by now and is not. It changes no sample's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    pub kind: ConditionKind,
    pub watch: String,
    pub run: Option<String>,
    /// The sample's.
    pub name: Option<String>,
    /// When it began, as far as this process can tell.
    pub since: Timestamp,
    /// For a person.
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConditionKind {
    /// A sheet declares the sample, and no file of it has come.
    SampleOverdue,
    /// The run is not complete, and nothing of it changes.
    RunOverdue,
    /// The watched folder is not there, or cannot be read.
    WatchGone,
    /// The watched folder had files, and has none.
    WatchEmpty,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    pub version: String,
    /// `running`; `stopped` while nothing can be uploaded; `offline` when no service runs.
    pub state: String,
    pub paused: bool,
    /// Why nothing can be uploaded, and since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// What was found damaged at the start, and what was done about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<String>,
    /// What of the settings changed on disk and waits for a reload, or for the next start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reload: Option<ReloadStatus>,
}

/// Settings that are not those on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadStatus {
    /// The files that differ from those that were taken.
    pub changed: Vec<String>,
    /// When that was noticed first.
    pub since: Timestamp,
    /// Why they cannot be taken as they are, one mistake each.
    pub errors: Vec<String>,
    /// What was taken, and takes effect only when the process starts anew.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub at_next_start: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleStatus {
    pub id: String,
    pub kind: Kind,
    pub watch: String,
    pub run: String,
    pub rule: String,
    pub name: String,
    pub state: String,
    /// For what it waits, is held, blocked or skipped.
    pub reason: Option<String>,
    /// Who blocked it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_by: Option<Blocker>,
    /// What its rule captured, and what sheets say of it; in a plan and in an explanation.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub captured: BTreeMap<String, String>,
    /// When it will be acted on if nothing changes, where only time is missing; in a plan and in an explanation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_act: Option<Timestamp>,
    /// Marks a done sample that was on Flow already, so that nothing was sent for it.
    pub adopted: bool,
    pub bytes: u64,
    /// Bytes that Flow acknowledged.
    pub sent: u64,
    pub attempts: u32,
    /// The fault behind a retry.
    pub error: Option<String>,
    pub next_try: Option<Timestamp>,
    pub sample_id: Option<String>,
    /// Marks a sample on Flow whose files, or what its sheets say of it, are no longer what was sent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub changed: bool,
    /// What was sent and what lies there now, side by side, where they differ.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<ChangeStatus>,
    /// The name on Flow that a person gave it in place of the rule's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_as: Option<String>,
    /// What people decided about it, the latest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<Decision>,
    /// What is on Flow of it from before it was sent again: a person must retract it there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to_retract: Vec<Retract>,
    /// Warnings about an annotation sheet that were ignored, as Flow sent them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warnings: Option<serde_json::Value>,
    pub files: Vec<FileStatus>,
}

/// Something that is not what was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ChangeStatus {
    File {
        path: String,
        /// `null`: nothing of it was sent.
        was: Option<Look>,
        /// `null`: it is gone.
        is: Option<Look>,
    },
    Value {
        /// As the manifest calls it: `name`, `type`, `metadata.scientist`.
        value: String,
        was: Option<String>,
        is: Option<String>,
    },
}

/// What a file looks like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    pub bytes: u64,
    /// When it was modified, as the file system tells it.
    pub modified: Option<Timestamp>,
}

/// Objects on Flow that are no longer what the sample is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retract {
    pub sample_id: Option<String>,
    pub data_ids: Vec<String>,
    pub finished: Timestamp,
}

impl ChangeStatus {
    fn of(change: Change) -> Self {
        let look = |look: Fingerprint| Look {
            bytes: look.size,
            modified: Timestamp::from_nanosecond(look.modified_ns.into()).ok(),
        };
        match change {
            Change::File { path, was, is } => {
                Self::File { path: path_to_text(&path), was: was.map(look), is: is.map(look) }
            }
            Change::Value { value, was, is } => Self::Value { value, was, is },
        }
    }
}

impl Retract {
    fn of(sent: &Sent) -> Self {
        let data_ids = sent.files.iter().map(|file| file.data_id.clone()).collect();
        Self { sample_id: sent.sample_id.clone(), data_ids, finished: sent.finished }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStatus {
    pub slot: String,
    pub filename: String,
    pub bytes: u64,
    /// Bytes that Flow acknowledged.
    #[serde(default)]
    pub sent: u64,
    pub data_id: Option<String>,
    pub parts: Vec<String>,
    pub sha256: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchStatus {
    pub name: String,
    pub mode: String,
    /// What is wrong with the folder, if anything.
    pub condition: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LeftOut {
    pub path: String,
    pub reason: String,
    /// What each rule says of it, in order; in a plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleTried>,
}

/// A rule of the manifest, and what it says of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RuleTried {
    pub rule: String,
    pub takes: bool,
    /// The key of the rule that the file fails; `null` where the rule takes it.
    pub condition: Option<String>,
    pub reason: String,
}

impl LeftOut {
    pub fn new(path: &Path, reason: String) -> Self {
        Self { path: path_to_text(path), reason, rules: Vec::new() }
    }

    fn of(left_out: &journal::LeftOut) -> Self {
        Self::new(&left_out.path, left_out.reason.clone())
    }
}

impl Snapshot {
    /// What the journal and the board say now; `state` is the agent's own.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn take(journal: &Journal, board: &Board, state: &str) -> Result<Self, JournalError> {
        let samples = journal.records().map(|record| Ok(SampleStatus::of(&record?, Moment::now())));
        let samples = samples.collect::<Result<Vec<_>, JournalError>>()?;
        let (watches, _) = board.read();
        let condition = condition(journal, board);
        let left_out = journal.left_out()?.iter().map(LeftOut::of).collect();
        let state = if condition.is_some() { "stopped" } else { state };
        let mut snapshot = Self::new(state, condition, samples, watches, left_out);
        snapshot.agent.notices = journal.notices().to_vec();
        snapshot.conditions = board.conditions();
        snapshot.agent.reload = board.reload();
        Ok(snapshot)
    }

    /// Puts the parts together, counted and in order.
    pub fn new(
        state: &str,
        condition: Option<String>,
        mut samples: Vec<SampleStatus>,
        watches: Vec<WatchStatus>,
        left_out: Vec<LeftOut>,
    ) -> Self {
        samples.sort_by(|a, b| (&a.watch, &a.run, &a.name).cmp(&(&b.watch, &b.run, &b.name)));
        let mut counts: BTreeMap<String, usize> = STATES.iter().map(|state| ((*state).to_owned(), 0)).collect();
        for sample in &samples {
            *counts.entry(sample.state.clone()).or_default() += 1;
        }
        let agent = Agent {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            state: state.to_owned(),
            paused: false,
            condition,
            notices: Vec::new(),
            reload: None,
        };
        Self { version: VERSION, agent, counts, samples, watches, conditions: Vec::new(), left_out }
    }

    /// How many samples are in a state.
    pub fn count(&self, state: &str) -> usize {
        self.counts.get(state).copied().unwrap_or_default()
    }
}

/// Why nothing can be uploaded: nothing can be recorded, or Flow takes nothing.
pub(super) fn condition(journal: &Journal, board: &Board) -> Option<String> {
    let unwritable = journal.trouble().map(|trouble| format!("{} (since {:.0})", trouble.reason, trouble.since));
    let all: Vec<String> = unwritable.into_iter().chain(board.read().1).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

impl SampleStatus {
    /// What a record says, at `now`.
    pub fn of(record: &Record, now: Moment) -> Self {
        let sample = &record.sample;
        let upload = record.state.upload();
        let mut status = Self {
            id: sample.id().to_string(),
            kind: sample.key.kind,
            watch: sample.key.watch.clone(),
            run: sample.key.run.clone(),
            rule: sample.rule.clone(),
            name: sample.key.name.clone(),
            state: record.state.name().to_owned(),
            reason: None,
            blocked_by: None,
            captured: BTreeMap::new(),
            next_act: None,
            adopted: false,
            bytes: sample.size(),
            sent: upload.map_or(0, |upload| upload.sent()),
            attempts: upload.map_or(0, |upload| upload.attempts),
            error: None,
            next_try: None,
            sample_id: upload.and_then(|upload| upload.sample_id.clone()),
            changed: false,
            changes: Vec::new(),
            sent_as: record.history.sent_as.clone(),
            decisions: record.history.decisions.clone(),
            to_retract: record.history.earlier.iter().map(Retract::of).collect(),
            warnings: upload.and_then(|upload| upload.warnings.clone()),
            files: Vec::new(),
        };
        let mut files: Vec<(Option<String>, Option<String>)> = upload
            .iter()
            .flat_map(|upload| &upload.files)
            .map(|file| (file.data_id().map(str::to_owned), file.sha256.clone()))
            .collect();
        let mut sent: Vec<u64> =
            upload.iter().flat_map(|upload| &upload.files).map(journal::FileUpload::sent).collect();
        sent.resize(sample.slots.len(), 0);
        match &record.state {
            State::Waiting { reason, again } => {
                status.reason = Some(reason.clone());
                status.next_try = again.map(|again| as_timestamp(again.at, now));
            }
            State::Held { reason, .. } | State::Skipped { reason, .. } => status.reason = Some(reason.clone()),
            State::Blocked { reason, by } => {
                status.reason = Some(reason.clone());
                status.blocked_by = Some(*by);
            }
            State::Retrying { next_try, error, .. } => {
                status.error = Some(error.clone());
                status.next_try = Some(as_timestamp(*next_try, now));
            }
            State::Done { .. } | State::Queued { .. } | State::Uploading { .. } => {}
        }
        status.changes = record.changes().into_iter().map(ChangeStatus::of).collect();
        let is_held_as_changed = matches!(record.state, State::Held { by: Holder::Changed { .. }, .. });
        status.changed = is_held_as_changed || !status.changes.is_empty();
        if let Some(sent) = record.state.sent() {
            status.sent = status.bytes;
            status.attempts = sent.attempts;
            status.sample_id.clone_from(&sent.sample_id);
            status.changed |= sent.changed;
            status.warnings.clone_from(&sent.warnings);
            status.adopted = sent.adopted;
            let data_id = |id: &String| Some(id.clone()).filter(|id| !id.is_empty());
            files = sent.files.iter().map(|file| (data_id(&file.data_id), file.sha256.clone())).collect();
        }
        files.resize(sample.slots.len(), (None, None));
        let is_done = record.state.sent().is_some();
        status.files = sample
            .slots
            .iter()
            .zip(files.into_iter().zip(sent))
            .map(|(slot, ((data_id, sha256), sent))| FileStatus {
                slot: slot.key.clone(),
                filename: slot.filename.clone(),
                bytes: slot.size(),
                sent: if is_done { slot.size() } else { sent },
                data_id,
                parts: slot.parts.iter().map(|part| path_to_text(&part.path)).collect(),
                sha256,
            })
            .collect();
        status
    }
}

/// A moment as the wall clock will have it, to the second: for people, and nothing is decided by it.
pub fn as_timestamp(moment: Moment, now: Moment) -> Timestamp {
    let wait = if moment.boot == now.boot { moment.at.saturating_sub(now.at) } else { Duration::ZERO };
    let then = Timestamp::now() + wait;
    Timestamp::from_second(then.as_second()).unwrap_or(then)
}
