//! A sample's record: what it is, and its state. Transitions consume the old state, so none is made twice or from
//! where it cannot be made.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::decision::History;
use crate::observation::Moment;
use crate::sample::{Finding, Fingerprint, Sample, Standing, path_to_text};

/// All that the journal knows of one sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub sample: Sample,
    /// When the sample was first put down.
    pub first_seen: Timestamp,
    /// What people decided about it, and what was sent of it before.
    pub history: History,
    pub state: State,
}

/// The states of a sample's life; each holds only what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "state")]
pub enum State {
    /// Seen; something named is missing.
    Waiting {
        reason: String,
        /// Set where the files themselves are not whole: they are looked at again, whoever says that they are ready.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        again: Option<Again>,
    },
    /// A person must let it go.
    Held {
        reason: String,
        by: Holder,
        /// What was sent before a person held it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        upload: Option<Upload>,
    },
    /// Its turn will come.
    Queued {
        /// What an interrupted upload has got to.
        upload: Option<Upload>,
    },
    /// Under way.
    Uploading { upload: Upload },
    /// A passing fault, or an answer that is awaited.
    Retrying { upload: Upload, next_try: Moment, error: String },
    /// A person is needed.
    Blocked { reason: String, by: Blocker },
    /// On Flow.
    Done { sent: Sent },
    /// Deliberately not uploaded.
    Skipped {
        reason: String,
        #[serde(default, skip_serializing_if = "Skipper::is_assembly")]
        by: Skipper,
    },
}

/// Why a sample is held, which decides what lets it go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Holder {
    /// A person said so.
    Person,
    /// It appeared in a run of which something had been sent already.
    NewOutput,
    /// Its rule asks for a person's release. Looked at again whenever what lies on disk, or the rule, changes.
    Rule,
    /// It was sent, and its files are others now.
    Changed {
        /// What stands on Flow; the record's sample is what was sent.
        sent: Sent,
        /// What lies on disk now.
        found: Box<Sample>,
    },
}

/// Who skipped a sample, which decides what takes it up again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Skipper {
    /// What lies on disk, and since when: looked at again whenever that changes.
    #[default]
    Assembly,
    /// Its content, which is on Flow under another name: looked at again when the sample is another.
    Same,
    /// A person.
    Person,
}

impl Skipper {
    fn is_assembly(&self) -> bool {
        *self == Self::Assembly
    }
}

/// What stands around a sample in the journal when assembly finds it.
#[derive(Debug, Default)]
pub(super) struct Circumstances {
    /// The sample on Flow, or on its way there, that its files belong to.
    pub owner: Option<String>,
    /// What a person said of its run: to hold it, or to skip it.
    pub of_run: Option<State>,
    /// What was sent of its run before it was found, when that run was at its end.
    pub delivered: Option<String>,
}

/// Files that are not whole, and may be on their way still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Again {
    /// When they are looked at next.
    pub at: Moment,
    /// From when on a person is asked instead. Of another boot it says nothing.
    pub until: Moment,
}

/// Who blocked a sample, which decides what lets it go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Blocker {
    /// What lies on disk: looked at again whenever that changes.
    Assembly,
    /// An upload that cannot go on: looked at again when the sample is another.
    Upload,
    /// Flow's refusal of the sample's own values or files: likewise.
    Refusal,
    /// Flow does not know something that the sample names: likewise.
    NotFound,
    /// An upload that cannot go on, and whose sample may be on Flow already: another one could be a double. A person
    /// must look.
    Doubt,
}

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

impl FileUpload {
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
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentFile {
    /// Empty only for the annotation sheet of an adopted multiplexed set: that one is not found by its reads.
    pub data_id: String,
    /// Of the bytes on disk, which were sent or adopted, in hexadecimal; `None` when the file was gone before it could be taken.
    pub sha256: Option<String>,
}

impl State {
    /// The state's name, as users see it.
    pub fn name(&self) -> &'static str {
        match self {
            State::Waiting { .. } => "waiting",
            State::Held { .. } => "held",
            State::Queued { .. } => "queued",
            State::Uploading { .. } => "uploading",
            State::Retrying { .. } => "retrying",
            State::Blocked { .. } => "blocked",
            State::Done { .. } => "done",
            State::Skipped { .. } => "skipped",
        }
    }

    fn of(standing: Standing) -> Self {
        match standing {
            Standing::Ready => State::Queued { upload: None },
            Standing::AwaitsRelease(reason) => State::Held { reason, by: Holder::Rule, upload: None },
            Standing::Waiting(reason) => State::Waiting { reason, again: None },
            Standing::Blocked(reason) => State::Blocked { reason, by: Blocker::Assembly },
            Standing::Skipped(reason) => State::Skipped { reason, by: Skipper::Assembly },
        }
    }

    /// What a sample becomes that nothing was sent of.
    fn found(standing: Standing, is_existing: bool, around: Circumstances, history: &History) -> Self {
        if let Some(reason) = around.owner.filter(|_| !history.insists_on_sending()) {
            return State::Skipped { reason, by: Skipper::Assembly };
        }
        if is_existing && !history.is_let_go() {
            let reason = "it lay there at the watch's first start (existing)".to_owned();
            return State::Skipped { reason, by: Skipper::Assembly };
        }
        if let Some(state) = around.of_run.filter(|_| !history.is_let_go()) {
            return state;
        }
        match around.delivered {
            Some(reason) if !history.is_let_go() => State::Held { reason, by: Holder::NewOutput, upload: None },
            _ => State::of(history.heeded(standing)),
        }
    }

    /// Whether something of the sample has been sent, so that its files are spoken for.
    pub fn is_begun(&self) -> bool {
        match self {
            State::Uploading { .. } | State::Retrying { .. } | State::Done { .. } => true,
            State::Queued { upload } => upload.is_some(),
            State::Held { by, upload, .. } => upload.is_some() || matches!(by, Holder::Changed { .. }),
            State::Blocked { by, .. } => *by == Blocker::Doubt,
            State::Waiting { .. } | State::Skipped { .. } => false,
        }
    }

    /// What stands on Flow of the sample.
    pub fn sent(&self) -> Option<&Sent> {
        match self {
            State::Done { sent } | State::Held { by: Holder::Changed { sent, .. }, .. } => Some(sent),
            _ => None,
        }
    }

    /// Whether nobody but a person can tell what is on Flow of it.
    pub fn is_doubt(&self) -> bool {
        matches!(self, State::Blocked { by: Blocker::Doubt, .. })
    }

    /// What was sent before the sample was interrupted.
    pub fn upload(&self) -> Option<&Upload> {
        match self {
            State::Uploading { upload } | State::Retrying { upload, .. } => Some(upload),
            State::Queued { upload } | State::Held { upload, .. } => upload.as_ref(),
            _ => None,
        }
    }
}

/// A transition that cannot be made from the state that the sample is in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a sample that is {from} cannot become {to}")]
pub struct Misstep {
    pub from: &'static str,
    pub to: &'static str,
}

impl Record {
    /// The first record of a sample that a person gives, or that nothing else is known about.
    pub fn new(sample: Sample, standing: Standing, now: Timestamp) -> Self {
        Self { sample, first_seen: now, history: History::default(), state: State::of(standing) }
    }

    /// What a sample would be that assembly found, if nothing else were known.
    pub fn foreseen(finding: Finding) -> Self {
        Self::found(finding, Circumstances::default(), Timestamp::now())
    }

    /// The first record of a sample that assembly found.
    pub(super) fn found(finding: Finding, around: Circumstances, now: Timestamp) -> Self {
        let Finding { sample, standing, is_existing } = finding;
        let history = History::default();
        let state = State::found(standing, is_existing, around, &history);
        Self { sample, first_seen: now, history, state }
    }

    /// Takes in what assembly says now. What is on its way is left alone: the upload itself looks at the files again
    /// before it is too late. So is what waits for its turn again after a restart, unless it is another sample now and
    /// Flow cannot have made anything of the old one, and what is between two tries, unless its files are others. What
    /// is on Flow stays as it is until its content has been [compared](Self::must_be_compared).
    #[must_use]
    pub(super) fn assembled(self, finding: Finding, around: Circumstances) -> Self {
        let Finding { sample, standing, is_existing } = finding;
        let sample = self.history.named_as_told(sample);
        let standing = self.history.heeded(standing);
        let is_same = self.sample.is_sent_as(&sample);
        match self.state {
            State::Done { .. } | State::Uploading { .. } => self,
            State::Held { by: Holder::Changed { ref sent, .. }, .. } if !self.sample.differs_on_disk(&sample) => {
                let sent = sent.clone();
                Self { state: State::Done { sent }, ..self }
            }
            // What lies on disk is kept up to date for when a person lets it go.
            State::Held { by: Holder::Person | Holder::NewOutput, upload: None, .. }
            | State::Skipped { by: Skipper::Person, .. } => Self { sample, ..self },
            State::Held { by: Holder::Person | Holder::NewOutput | Holder::Changed { .. }, .. } => self,
            State::Queued { upload: Some(ref upload) } | State::Retrying { ref upload, .. }
                if is_same || upload.may_be_whole() =>
            {
                self
            }
            // Begun, and between two tries: another rule is for what begins after it.
            State::Retrying { ref upload, .. } if upload.sent() > 0 && self.sample.slots == sample.slots => self,
            State::Skipped { by: Skipper::Same, .. } if is_same => self,
            State::Blocked { by: Blocker::Upload | Blocker::Refusal | Blocker::NotFound, .. } if is_same => self,
            // Settled and complete they were before; what they lack assembly does not see.
            State::Waiting { again: Some(_), .. } if is_same && standing == Standing::Ready => self,
            State::Blocked { by: Blocker::Doubt, .. } => self,
            _ => {
                // It was known before its run was delivered.
                let around = Circumstances { delivered: None, ..around };
                let state = State::found(standing, is_existing, around, &self.history);
                Self { sample, state, ..self }
            }
        }
    }

    /// Whether the content of what lies there must be compared with what was sent: something is new or looks different,
    /// and has settled. What is gone is no difference: runs are cleaned up once they are on Flow.
    pub(super) fn must_be_compared(&self, finding: &Finding) -> bool {
        let is_known = match &self.state {
            State::Done { .. } => false,
            State::Held { by: Holder::Changed { found, .. }, .. } => found.slots == finding.sample.slots,
            _ => return false,
        };
        !is_known && !matches!(finding.standing, Standing::Waiting(_)) && self.sample.differs_on_disk(&finding.sample)
    }

    /// What is on Flow was compared with what lies there: `hashes` are those of its slots now, in hexadecimal.
    pub fn compared(self, found: Sample, hashes: &[String]) -> Result<Self, Misstep> {
        let (State::Done { sent } | State::Held { by: Holder::Changed { sent, .. }, .. }) = self.state else {
            return Err(Misstep { from: self.state.name(), to: "held" });
        };
        let was = self.sample.slots.iter().zip(&sent.files).map(|(slot, file)| (&slot.key, file.sha256.as_ref()));
        let is = found.slots.iter().zip(hashes).map(|(slot, hash)| (&slot.key, Some(hash)));
        if was.eq(is) {
            // The same bytes under another time, or at another place.
            let mut sample = self.sample;
            for (slot, found) in sample.slots.iter_mut().zip(found.slots) {
                slot.parts = found.parts;
            }
            return Ok(Self { sample, state: State::Done { sent }, ..self });
        }
        let reason = format!(
            "its files changed after it was sent: {}; what was sent stands on Flow. Send what lies there now with \
             flow-ingest resend, or leave it with flow-ingest skip",
            changes(&self.sample, &found).iter().map(Change::to_string).collect::<Vec<_>>().join("; ")
        );
        let by = Holder::Changed { sent, found: Box::new(found) };
        Ok(Self { state: State::Held { reason, by, upload: None }, ..self })
    }

    /// Its bytes are on Flow already, as another sample.
    pub fn is_the_same_as_another(self, reason: String) -> Result<Self, Misstep> {
        self.leave_uploading("skipped", |_| State::Skipped { reason, by: Skipper::Same })
    }

    /// A person gives the sample once more, by hand. What is under way goes on, what is done stays so; what was blocked
    /// or waits is tried anew.
    #[must_use]
    pub fn resubmitted(self, sample: Sample) -> Self {
        match self.state {
            State::Done { sent } => {
                let changed = self.sample.slots != sample.slots;
                Self { state: State::Done { sent: Sent { changed, ..sent } }, ..self }
            }
            State::Queued { upload: Some(_) } | State::Uploading { .. } | State::Retrying { .. } => self,
            State::Blocked { by: Blocker::Doubt, .. } => self,
            _ => Self { sample, state: State::Queued { upload: None }, ..self },
        }
    }

    /// What it waited for before it is tried again is over.
    pub fn hastened(self) -> Result<Self, Misstep> {
        match self.state {
            State::Retrying { upload, .. } => Ok(Self { state: State::Queued { upload: Some(upload) }, ..self }),
            other => Err(Misstep { from: other.name(), to: "queued" }),
        }
    }

    /// Its files are no longer on disk. What is on its way finds that out by itself, and what is settled stays so.
    #[must_use]
    pub fn vanished(self) -> Self {
        let is_lost = match &self.state {
            State::Waiting { .. } | State::Queued { upload: None } | State::Held { by: Holder::Rule, .. } => true,
            State::Blocked { by, .. } => *by == Blocker::Assembly,
            State::Queued { upload: Some(upload) } | State::Retrying { upload, .. } => !upload.may_be_whole(),
            State::Held { .. } | State::Uploading { .. } | State::Done { .. } | State::Skipped { .. } => false,
        };
        if !is_lost {
            return self;
        }
        let reason = "its files are gone; it waits for them to come back".to_owned();
        Self { state: State::Waiting { reason, again: None }, ..self }
    }

    /// No rule makes it any more. `is_regrouped`: its files are there, and belong to others now. `None`: it is forgotten.
    #[must_use]
    pub fn unmade(self, is_regrouped: bool) -> Option<Self> {
        if self.is_untouched() && is_regrouped { None } else { Some(self.vanished()) }
    }

    /// Whether nothing was ever sent of it and no person decided anything about it.
    pub fn is_untouched(&self) -> bool {
        let is_waiting = matches!(
            self.state,
            State::Waiting { .. }
                | State::Queued { upload: None }
                | State::Held { by: Holder::Rule, .. }
                | State::Blocked { by: Blocker::Assembly, .. }
        );
        is_waiting && self.history.is_empty()
    }

    /// The turn of a queued or retrying sample, or of one whose files are looked at again, has come.
    pub fn taken(self) -> Result<Self, Misstep> {
        let upload = match self.state {
            State::Queued { upload } => upload.unwrap_or_default(),
            State::Retrying { upload, .. } => upload,
            State::Waiting { again: Some(again), .. } => {
                Upload { unsound_until: Some(again.until), ..Upload::default() }
            }
            other => return Err(Misstep { from: other.name(), to: "uploading" }),
        };
        Ok(Self { state: State::Uploading { upload }, ..self })
    }

    /// The upload got further.
    pub fn advanced(self, upload: Upload) -> Result<Self, Misstep> {
        match self.state {
            State::Uploading { .. } => Ok(Self { state: State::Uploading { upload }, ..self }),
            other => Err(Misstep { from: other.name(), to: "uploading" }),
        }
    }

    /// The upload is interrupted and goes on when its turn comes again.
    pub fn put_back(self) -> Result<Self, Misstep> {
        self.leave_uploading("queued", |upload| State::Queued { upload: Some(upload) })
    }

    /// The upload goes on at `next_try`.
    pub fn retrying(self, upload: Upload, next_try: Moment, error: String) -> Result<Self, Misstep> {
        self.leave_uploading("retrying", |_| State::Retrying { upload, next_try, error })
    }

    /// The files are not what they were, or not whole: what was sent of them is left unfinished on Flow.
    pub fn must_wait(self, reason: String, again: Option<Again>) -> Result<Self, Misstep> {
        self.leave_uploading("waiting", |upload| match upload.may_be_whole() {
            true => State::Blocked { reason, by: Blocker::Doubt },
            false => State::Waiting { reason, again },
        })
    }

    /// The upload needs a person.
    pub fn blocked(self, reason: String, by: Blocker) -> Result<Self, Misstep> {
        self.leave_uploading("blocked", |upload| {
            let by = if upload.may_be_whole() { Blocker::Doubt } else { by };
            State::Blocked { reason, by }
        })
    }

    /// The sample is on Flow.
    pub fn done(self, sent: Sent) -> Result<Self, Misstep> {
        self.leave_uploading("done", |_| State::Done { sent })
    }

    fn leave_uploading(self, to: &'static str, next: impl FnOnce(Upload) -> State) -> Result<Self, Misstep> {
        match self.state {
            State::Uploading { upload } => Ok(Self { state: next(upload), ..self }.obeyed()),
            other => Err(Misstep { from: other.name(), to }),
        }
    }
}

/// What one file of a sample was when it was sent, and what it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Absolute path.
    pub path: PathBuf,
    /// `None`: nothing of it was sent.
    pub was: Option<Fingerprint>,
    /// `None`: it is gone.
    pub is: Option<Fingerprint>,
}

/// What was sent and what lies there, side by side, where they differ.
pub fn changes(sent: &Sample, found: &Sample) -> Vec<Change> {
    let mut files: BTreeMap<&PathBuf, (Option<Fingerprint>, Option<Fingerprint>)> = BTreeMap::new();
    for part in sent.parts() {
        files.entry(&part.path).or_default().0 = Some(part.fingerprint);
    }
    for part in found.parts() {
        files.entry(&part.path).or_default().1 = Some(part.fingerprint);
    }
    let differing = files.into_iter().filter(|(_, (was, is))| was != is);
    differing.map(|(path, (was, is))| Change { path: path.clone(), was, is }).collect()
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let look = |look: &Fingerprint| match Timestamp::from_nanosecond(look.modified_ns.into()) {
            Ok(time) => format!("{} bytes of {time:.0}", look.size),
            Err(_) => format!("{} bytes", look.size),
        };
        let path = path_to_text(&self.path);
        match (&self.was, &self.is) {
            (Some(was), Some(is)) => write!(f, "{path} was {} and is {}", look(was), look(is)),
            (None, Some(is)) => write!(f, "{path} is new, {}", look(is)),
            (Some(was), None) => write!(f, "{path} was {} and is gone", look(was)),
            (None, None) => write!(f, "{path}"),
        }
    }
}
