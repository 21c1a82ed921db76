//! The states of a sample's life, and who brought it there, which decides what takes it further.

use serde::{Deserialize, Serialize};

use super::decision::History;
use super::stored::{Sent, Upload};
use crate::observation::Moment;
use crate::sample::{Sample, Standing};

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

    /// What assembly says of a sample that nothing else is known of.
    pub(super) fn of(standing: Standing) -> Self {
        match standing {
            Standing::Ready => State::Queued { upload: None },
            Standing::AwaitsRelease(reason) => State::Held { reason, by: Holder::Rule, upload: None },
            Standing::Waiting(reason) => State::Waiting { reason, again: None },
            Standing::Blocked(reason) => State::Blocked { reason, by: Blocker::Assembly },
            Standing::Skipped(reason) => State::Skipped { reason, by: Skipper::Assembly },
        }
    }

    /// What a sample becomes that nothing was sent of.
    pub(super) fn found(standing: Standing, is_existing: bool, around: Circumstances, history: &History) -> Self {
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

    /// Whether it is on its way, or has its turn before long.
    pub(super) fn is_under_way(&self) -> bool {
        matches!(self, State::Uploading { .. } | State::Queued { .. } | State::Retrying { .. })
    }

    /// Whether a person keeps it back.
    pub(super) fn is_kept_back(&self) -> bool {
        matches!(self, State::Held { by: Holder::Person, .. } | State::Skipped { by: Skipper::Person, .. })
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

    /// Whether an upload of one of its files has begun and not come to the sample's end.
    pub fn has_files(&self) -> bool {
        self.upload().is_some_and(|upload| !upload.files.is_empty())
    }

    /// What was sent before the sample was interrupted.
    pub fn upload(&self) -> Option<&Upload> {
        match self {
            State::Uploading { upload } | State::Retrying { upload, .. } => Some(upload),
            State::Queued { upload } | State::Held { upload, .. } => upload.as_ref(),
            _ => None,
        }
    }

    pub(super) fn upload_mut(&mut self) -> Option<&mut Upload> {
        match self {
            State::Uploading { upload } | State::Retrying { upload, .. } => Some(upload),
            State::Queued { upload } | State::Held { upload, .. } => upload.as_mut(),
            _ => None,
        }
    }
}
