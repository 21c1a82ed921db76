//! A sample's record: what it is, and its state. Transitions consume the old state, so none is made twice or from
//! where it cannot be made.

use jiff::Timestamp;

use super::decision::History;
use super::state::{Again, Blocker, Circumstances, Holder, Skipper, State};
use super::stored::{Sent, Upload};
use crate::observation::Moment;
use crate::sample::{BY_HAND, Finding, Sample, Standing};

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
        let Finding { sample, standing, is_existing, .. } = finding;
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
        if finding.sample.slots.is_empty() && !self.is_only_declared() {
            // Its files were there once.
            return self.vanished();
        }
        if self.state.sent().is_some() {
            return self.told_anew(finding);
        }
        let Finding { sample, standing, is_existing, .. } = finding;
        let sample = self.as_its_own(sample);
        // A sheet that is yet to be believed, after a restart for instance, makes no other sample.
        let has_same_files = !self.sample.differs_on_disk(&sample) && !sample.differs_on_disk(&self.sample);
        let is_untold = has_same_files && matches!(standing, Standing::Waiting(_));
        let standing = self.history.heeded(standing);
        let is_same = self.sample.is_sent_as(&sample);
        match self.state {
            State::Uploading { .. } => self,
            // What lies on disk is kept up to date for when a person lets it go.
            State::Held { by: Holder::Person | Holder::NewOutput, upload: None, .. }
            | State::Skipped { by: Skipper::Person, .. } => Self { sample, ..self },
            State::Held { by: Holder::Person | Holder::NewOutput | Holder::Changed { .. }, .. } => self,
            State::Queued { upload: Some(ref upload) } | State::Retrying { ref upload, .. }
                if is_same || is_untold || upload.may_be_whole() =>
            {
                self
            }
            // Begun, and between two tries: another rule is for what begins after it.
            State::Retrying { ref upload, .. } if upload.sent() > 0 && self.sample.slots == sample.slots => self,
            State::Skipped { by: Skipper::Same, .. } if is_same => self,
            State::Blocked { by: Blocker::Upload | Blocker::Refusal | Blocker::NotFound, .. }
                if is_same || is_untold =>
            {
                self
            }
            // Settled and complete they were before; what they lack assembly does not see.
            State::Waiting { again: Some(_), .. } if is_same && standing == Standing::Ready => self,
            State::Blocked { by: Blocker::Doubt, .. } => self,
            _ => {
                let state = State::found(standing, is_existing, around, &self.history);
                Self { sample, state, ..self }
            }
        }
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
        if !is_lost || self.is_only_declared() {
            return self;
        }
        let reason = "its files are gone; it waits for them to come back".to_owned();
        Self { state: State::Waiting { reason, again: None }, ..self }
    }

    /// Whether all that is known of it is that a sheet declares it: no file of it was ever seen.
    pub fn is_only_declared(&self) -> bool {
        self.sample.slots.is_empty()
    }

    /// No rule makes it any more. `is_regrouped`: its files are there, and belong to others now, or to nobody. Then it
    /// stays as it is where they are spoken for. `None`: it is forgotten.
    #[must_use]
    pub fn unmade(self, is_regrouped: bool) -> Option<Self> {
        if is_regrouped {
            self.is_spoken_for().then_some(self)
        } else if self.is_only_declared() && self.is_untouched() {
            None
        } else {
            Some(self.vanished())
        }
    }

    /// Whether its files belong to it, whatever a rule makes of them: something of it was sent, or a person keeps it back.
    pub(super) fn is_spoken_for(&self) -> bool {
        self.state.is_begun() || self.state.is_kept_back() || !self.history.earlier.is_empty()
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
        (is_waiting || self.is_only_declared()) && self.history.is_empty()
    }

    /// Whether it is of no further interest once it is known that its files are another sample's.
    pub(super) fn is_forgettable(&self) -> bool {
        let is_skipped = matches!(self.state, State::Skipped { by: Skipper::Assembly, .. });
        self.is_untouched() || is_skipped && self.history.is_empty()
    }

    /// Whether it is sent only if nothing like it is on Flow or on its way there: nothing of it was sent yet, no person
    /// gave it by hand, and none wants it sent all the same.
    pub fn must_be_new(&self) -> bool {
        !self.state.has_files() && self.sample.key.watch != BY_HAND && !self.history.insists_on_sending()
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

    /// As it stands once its process has ended, however that was: what was under way has its turn again.
    #[must_use]
    pub(super) fn interrupted(self) -> Self {
        match self.state {
            State::Uploading { upload } => Self { state: State::Queued { upload: Some(upload) }, ..self }.obeyed(),
            _ => self,
        }
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
