//! A sample's record: what it is, and its state. Transitions consume the old state, so none is made twice or from
//! where it cannot be made.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::observation::Moment;
use crate::sample::{Sample, Standing};

/// All that the journal knows of one sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub sample: Sample,
    /// When the sample was first put down.
    pub first_seen: Timestamp,
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
    Held { reason: String },
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
    Skipped { reason: String },
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
    fn may_be_whole(&self) -> bool {
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
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentFile {
    pub data_id: String,
    /// Of the bytes that were sent, in hexadecimal; `None` when the file was gone before it could be taken.
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
            Standing::Waiting(reason) => State::Waiting { reason, again: None },
            Standing::Blocked(reason) => State::Blocked { reason, by: Blocker::Assembly },
            Standing::Skipped(reason) => State::Skipped { reason },
        }
    }

    /// Whether something of the sample has been sent, so that its files are spoken for.
    pub fn is_begun(&self) -> bool {
        match self {
            State::Uploading { .. } | State::Retrying { .. } | State::Done { .. } => true,
            State::Queued { upload } => upload.is_some(),
            State::Blocked { by, .. } => *by == Blocker::Doubt,
            State::Waiting { .. } | State::Held { .. } | State::Skipped { .. } => false,
        }
    }

    /// What was sent before the sample was interrupted.
    pub fn upload(&self) -> Option<&Upload> {
        match self {
            State::Uploading { upload } | State::Retrying { upload, .. } => Some(upload),
            State::Queued { upload } => upload.as_ref(),
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
    /// The first record of a sample.
    pub fn new(sample: Sample, standing: Standing, now: Timestamp) -> Self {
        Self { sample, first_seen: now, state: State::of(standing) }
    }

    /// Takes in what assembly says now. What is on its way is left alone: the upload itself looks at the files again
    /// before it is too late. So is what waits for its turn again after a restart, unless it is another sample now and
    /// Flow cannot have made anything of the old one.
    #[must_use]
    pub fn assembled(self, sample: Sample, standing: Standing) -> Self {
        let is_same = self.sample == sample;
        match self.state {
            State::Done { sent } => {
                let changed = self.sample.slots != sample.slots;
                Self { state: State::Done { sent: Sent { changed, ..sent } }, ..self }
            }
            State::Held { .. } | State::Uploading { .. } => self,
            State::Queued { upload: Some(ref upload) } | State::Retrying { ref upload, .. }
                if is_same || upload.may_be_whole() =>
            {
                self
            }
            State::Blocked { by: Blocker::Upload | Blocker::Refusal | Blocker::NotFound, .. } if is_same => self,
            // Settled and complete they were before; what they lack assembly does not see.
            State::Waiting { again: Some(_), .. } if is_same && standing == Standing::Ready => self,
            State::Blocked { by: Blocker::Doubt, .. } => self,
            _ => Self { sample, state: State::of(standing), ..self },
        }
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

    /// A person has looked, and wants another try: of what Flow refused or could not finish, from its beginning; of what
    /// is retried anyway, or waits for its files to be looked at again, now. What is blocked by what lies on disk is not a
    /// matter of trying.
    pub fn retried(self) -> Result<Self, Misstep> {
        let upload = match self.state {
            State::Retrying { upload, .. } => Some(upload),
            State::Waiting { again: Some(_), .. } => None,
            State::Blocked { by, .. } if by != Blocker::Assembly => None,
            State::Blocked { .. } => return Err(Misstep { from: "blocked by what lies on disk", to: "queued" }),
            other => return Err(Misstep { from: other.name(), to: "queued" }),
        };
        Ok(Self { state: State::Queued { upload }, ..self })
    }

    /// Its files are no longer on disk. What is on its way finds that out by itself, and what is settled stays so.
    #[must_use]
    pub fn vanished(self) -> Self {
        let is_lost = match &self.state {
            State::Waiting { .. } | State::Queued { upload: None } => true,
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

    /// Whether nothing was ever sent of it and no person decided anything about it.
    pub fn is_untouched(&self) -> bool {
        matches!(
            self.state,
            State::Waiting { .. } | State::Queued { upload: None } | State::Blocked { by: Blocker::Assembly, .. }
        )
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
        self.leave_uploading("uploading", |_| State::Uploading { upload })
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
            State::Uploading { upload } => Ok(Self { state: next(upload), ..self }),
            other => Err(Misstep { from: other.name(), to }),
        }
    }
}
