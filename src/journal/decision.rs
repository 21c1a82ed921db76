//! What people decide about samples and runs: who, when, why, and what becomes of the sample's record.
//!
//! A decision is put down with the sample and stays there. Those about a run also bind the samples of it that are yet
//! to come.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::record::{Misstep, Record};
use super::state::{Blocker, Holder, Skipper, State};
use super::stored::{Retold, Sent, Upload};
use crate::sample::{Sample, SampleId, SampleKey, Standing, Target};

/// What a person wants done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Not to be sent until it is released.
    Hold,
    /// What is held, or was skipped, may go.
    Release,
    /// Not to be sent at all.
    Skip,
    /// What is there of a run that will not end is all there will be.
    Close,
    /// To be sent once more, or as it is now.
    Resend,
    /// To be tried again, now.
    Retry,
}

impl Verb {
    /// As the command is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Skip => "skip",
            Self::Close => "close",
            Self::Resend => "resend",
            Self::Retry => "retry",
        }
    }
}

/// A decision of a person, as it is put down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    pub verb: Verb,
    /// The user's name on the machine where the command was given.
    pub who: String,
    pub when: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Decision {
    /// "held by alice: wrong flow cell".
    fn told(&self, participle: &str) -> String {
        match &self.reason {
            Some(reason) => format!("{participle} by {}: {reason}", self.who),
            None => format!("{participle} by {}", self.who),
        }
    }
}

/// A run of a watch.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RunName {
    pub watch: String,
    pub run: String,
}

impl RunName {
    /// The run that a sample belongs to.
    pub(super) fn of(sample: &SampleKey) -> Self {
        Self { watch: sample.watch.clone(), run: sample.run.clone() }
    }
}

/// What a person tells the journal to do, with samples and with whole runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    pub verb: Verb,
    /// Of these each must be able to, or nothing is done.
    pub samples: Vec<SampleId>,
    /// Of these each sample that can.
    pub runs: Vec<RunName>,
    pub who: String,
    pub reason: Option<String>,
    /// Under which name it is sent ([`Verb::Resend`] alone).
    pub name: Option<String>,
}

/// What people decided about a sample, and what was sent of it before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    /// The latest last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<Decision>,
    /// The name that a person gave it on Flow, in place of the rule's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent_as: Option<String>,
    /// The name that its rule gives it now, where a sheet changed that after it was sent and a person, or a look at Flow,
    /// has answered for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renamed: Option<String>,
    /// What is on Flow of it from before it was sent again, and must be retracted there by a person.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Sent>,
    /// What is to be done with it as soon as its upload comes to a halt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wish: Option<Decision>,
}

impl History {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn last(&self) -> Option<Verb> {
        self.decisions.iter().rev().map(|decision| decision.verb).find(|verb| *verb != Verb::Close)
    }

    /// Whether a person let it go, so that nothing but its own files keeps it back.
    pub(super) fn is_let_go(&self) -> bool {
        matches!(self.last(), Some(Verb::Release | Verb::Resend | Verb::Retry))
    }

    /// What assembly says, once it is known what people decided: a rule's wish for a release is met by one, for good
    /// unless the sample was held or skipped since.
    pub(super) fn heeded(&self, standing: Standing) -> Standing {
        let counts = |verb: &Verb| matches!(verb, Verb::Release | Verb::Resend | Verb::Hold | Verb::Skip);
        let last = self.decisions.iter().rev().map(|decision| decision.verb).find(counts);
        match standing {
            Standing::AwaitsRelease(_) if matches!(last, Some(Verb::Release | Verb::Resend)) => Standing::Ready,
            standing => standing,
        }
    }

    /// Whether a person wants it sent although its content is on Flow already.
    pub fn insists_on_sending(&self) -> bool {
        self.decisions.iter().any(|decision| decision.verb == Verb::Resend)
    }

    /// Whether a person said that what is there of it is all there will be.
    pub(super) fn is_closed(&self) -> bool {
        self.decisions.iter().any(|decision| decision.verb == Verb::Close)
    }

    /// The sample under the name that a person gave it.
    pub(super) fn named_as_told(&self, mut sample: Sample) -> Sample {
        if let (Some(told), Target::Sample { name, .. }) = (&self.sent_as, &mut sample.target) {
            name.clone_from(told);
        }
        sample
    }
}

/// What a person said of a run as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunOrders {
    /// To hold or to skip what comes of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<Decision>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Decision>,
    /// Whether the journal was made anew since the run was looked at: what is found of it then is not new.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_made_anew: bool,
}

impl RunOrders {
    /// Takes in a decision; false when it is none about what is to come.
    pub(super) fn decide(&mut self, decision: &Decision) -> bool {
        match decision.verb {
            Verb::Hold | Verb::Skip => self.standing = Some(decision.clone()),
            Verb::Release => self.standing = None,
            Verb::Close => self.closed = Some(decision.clone()),
            Verb::Resend | Verb::Retry => return false,
        }
        true
    }

    /// The state that a new sample of the run takes.
    pub(super) fn state(&self) -> Option<State> {
        self.standing.as_ref().map(|decision| kept_back(decision, None))
    }
}

/// The state of what a person holds or skips.
fn kept_back(decision: &Decision, upload: Option<Upload>) -> State {
    match decision.verb {
        Verb::Skip => State::Skipped { reason: decision.told("skipped"), by: Skipper::Person },
        _ => State::Held { reason: decision.told("held"), by: Holder::Person, upload },
    }
}

impl Record {
    /// Takes in what a person decided about the sample. `name` is the one that it is sent under from now on.
    ///
    /// # Errors
    /// When that cannot be done with a sample in this state.
    pub(super) fn decided(self, decision: Decision, name: Option<String>) -> Result<Self, Misstep> {
        let misstep = |from| Err(Misstep { from, to: decision.verb.becomes() });
        let Self { mut sample, first_seen, mut history, state } = self;
        let again = |participle: &str| {
            let reason = format!("{}; it is looked at again", decision.told(participle));
            State::Waiting { reason, again: None }
        };
        let state = match (decision.verb, state) {
            (Verb::Hold | Verb::Skip, State::Uploading { upload }) => {
                history.wish = Some(decision.clone());
                State::Uploading { upload }
            }
            (Verb::Hold | Verb::Skip, State::Queued { upload: Some(upload) } | State::Retrying { upload, .. })
                if upload.may_be_whole() =>
            {
                return misstep("nearly sent, its last chunk may have arrived,");
            }
            (Verb::Hold, State::Queued { upload }) => kept_back(&decision, upload),
            (Verb::Hold, State::Retrying { upload, .. }) => kept_back(&decision, Some(upload)),
            (Verb::Hold, State::Blocked { by: Blocker::Doubt, .. }) => return misstep("blocked already"),
            (Verb::Hold, State::Waiting { .. } | State::Blocked { .. }) => kept_back(&decision, None),
            (Verb::Hold, State::Held { by: Holder::Rule, .. }) => kept_back(&decision, None),
            (Verb::Hold, held @ State::Held { .. }) => held,

            (Verb::Release, State::Uploading { upload }) if history.wish.take().is_some() => {
                State::Uploading { upload }
            }
            (Verb::Release, State::Held { by: Holder::Person, upload: Some(upload), .. }) => {
                State::Queued { upload: Some(upload) }
            }
            (Verb::Release, State::Held { by: Holder::Person | Holder::NewOutput | Holder::Rule, .. }) => {
                again("released")
            }
            (Verb::Release, State::Held { by: Holder::Changed { .. }, .. }) => {
                return misstep("on Flow, and changed since (use resend or skip),");
            }
            (Verb::Release, State::Skipped { by: Skipper::Same, .. }) => {
                return misstep("on Flow under another name (use resend),");
            }
            (Verb::Release, State::Skipped { .. }) => again("released"),

            (Verb::Skip, State::Held { by: Holder::Changed { sent, found }, .. }) => {
                Record::left_as_sent(&mut sample, &mut history, *found);
                State::Done { sent }
            }
            (Verb::Skip, State::Done { mut sent }) if sent.retold.is_some() => {
                sample.sheets = sent.retold.take().map(|retold| retold.sheets).unwrap_or_default();
                State::Done { sent }
            }
            (
                Verb::Skip,
                State::Waiting { .. }
                | State::Queued { .. }
                | State::Retrying { .. }
                | State::Held { .. }
                | State::Blocked { .. },
            ) => kept_back(&decision, None),

            (Verb::Close, state @ (State::Waiting { .. } | State::Blocked { by: Blocker::Assembly, .. })) => state,

            (Verb::Resend, State::Held { by: Holder::Changed { sent, found }, .. }) => {
                history.earlier.push(sent);
                Record::taken_as_found(&mut sample, &mut history, *found);
                State::Queued { upload: None }
            }
            (Verb::Resend, State::Done { mut sent }) => {
                if let Some(Retold { target, sheets }) = sent.retold.take().map(|retold| *retold) {
                    (sample.target, sample.sheets) = (target, sheets);
                }
                history.earlier.push(sent);
                State::Queued { upload: None }
            }
            (Verb::Resend, State::Skipped { .. }) => again("to be sent again, as told"),

            (Verb::Retry, State::Retrying { upload, .. }) => State::Queued { upload: Some(upload) },
            (Verb::Retry, State::Waiting { again: Some(_), .. }) => State::Queued { upload: None },
            (Verb::Retry, State::Blocked { by: Blocker::Assembly, .. }) => {
                return misstep("blocked by what lies on disk");
            }
            (Verb::Retry, State::Blocked { .. }) => State::Queued { upload: None },

            (_, other) => return misstep(other.name()),
        };
        if decision.verb == Verb::Resend {
            history.sent_as = name.or_else(|| history.renamed.clone());
            let key = sample.key.name.clone();
            if let Target::Sample { name, .. } = &mut sample.target {
                *name = history.sent_as.clone().unwrap_or(key);
            }
        }
        history.decisions.push(decision);
        Ok(Self { sample, first_seen, history, state })
    }

    /// Does what a person wished while the upload was under way, now that it has come to a halt.
    #[must_use]
    pub(super) fn obeyed(mut self) -> Self {
        let Some(wish) = self.history.wish.take() else { return self };
        self.state = match self.state {
            State::Queued { upload: Some(upload) } if !upload.may_be_whole() => kept_back(&wish, Some(upload)),
            State::Retrying { upload, .. } if !upload.may_be_whole() => kept_back(&wish, Some(upload)),
            State::Waiting { .. } => kept_back(&wish, None),
            State::Blocked { by, .. } if by != Blocker::Doubt => kept_back(&wish, None),
            // Its last chunk may have left: what becomes of it is found out first.
            State::Queued { .. } | State::Retrying { .. } => {
                self.history.wish = Some(wish);
                self.state
            }
            ended => ended,
        };
        self
    }
}

impl Verb {
    /// What a sample would have become, for the text that says why it cannot.
    fn becomes(self) -> &'static str {
        match self {
            Self::Hold => "held",
            Self::Release => "released",
            Self::Skip => "skipped",
            Self::Close => "closed",
            Self::Resend => "sent again",
            Self::Retry => "queued",
        }
    }
}
