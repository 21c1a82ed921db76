//! Samples that their sheet tells otherwise after they were sent, or on their way: under another name, or with other
//! values.
//!
//! A sample keeps the id that it was sent under. What the sheet calls it now is compared with the name that it has on
//! Flow, and with the one that a person has answered for; a third one is a person's affair. Only a sheet that says
//! something else does this: what a changed manifest names anew is left to [`super::intake`], which skips it. What a
//! person keeps back before anything of it was sent stays kept back under any name.

use std::collections::HashSet;

use super::change::{Change, changes, name_on_flow, told};
use super::compared::content_changed;
use super::decision::History;
use super::record::Record;
use super::state::{Blocker, Holder, Skipper, State};
use super::stored::{Retold, Sent, Upload};
use crate::sample::{BY_HAND, Finding, Sample, Target, path_to_text};

/// What a finding says of a sample that its files belong to, and that has another id than it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Renaming {
    /// It is that sample, which takes it in.
    Itself,
    /// It is that sample, which must come to an end under the name that it began with.
    Waits,
    /// It is that sample, of which nothing can be on Flow: it takes the new name.
    Moves,
    /// It is that sample, begun for a watch that sees its files no more: it goes on for the one that does.
    Follows,
    /// It is another: no sheet gave it the name, and no person decided about its files.
    No,
}

impl History {
    /// Takes down the name that a rule gives to a sample that is known by another.
    fn call(&mut self, sample: &Sample, name: &str) {
        self.renamed = (sample.key.name != name).then(|| name.to_owned());
    }
}

impl Record {
    /// How a finding whose files belong to this sample stands to it.
    pub(super) fn renaming(&self, finding: &Finding) -> Renaming {
        let found = &finding.sample;
        let place = |sample: &Sample| (sample.key.kind, sample.key.watch.clone(), sample.key.run.clone());
        if self.is_left_behind(found) {
            return Renaming::Follows;
        }
        if place(&self.sample) != place(found) {
            return Renaming::No;
        }
        let is_of_rule = self.sample.rule == found.rule;
        let is_by_sheet = is_of_rule && self.is_told_by_another_sheet(finding);
        match &self.state {
            _ if is_of_rule && self.answers_to(found) => Renaming::Itself,
            // What a person decided is about the files, whatever a changed manifest calls them.
            _ if !is_by_sheet && self.is_just_kept_back() && self.has_the_files_of(found) => Renaming::Moves,
            _ if !is_by_sheet => Renaming::No,
            state if state.sent().is_some() => Renaming::Itself,
            State::Uploading { .. } | State::Blocked { by: Blocker::Doubt, .. } => Renaming::Waits,
            state if state.upload().is_some_and(Upload::may_be_whole) => Renaming::Waits,
            _ if !finding.standing.is_whole() || !self.history.earlier.is_empty() => Renaming::Waits,
            _ => Renaming::Moves,
        }
    }

    /// Whether it was interrupted, and another watch sees its files now: for its own it has no turn any more. One file is
    /// seen by one watch alone.
    fn is_left_behind(&self, found: &Sample) -> bool {
        let watch = &self.sample.key.watch;
        let is_elsewhere = *watch != found.key.watch && watch != BY_HAND && self.sample.key.kind == found.key.kind;
        let is_interrupted = matches!(self.state, State::Queued { upload: Some(_) } | State::Retrying { .. });
        let is_whole = self.state.upload().is_some_and(Upload::may_be_whole);
        is_elsewhere && is_interrupted && (!is_whole || self.goes_on_as(found))
    }

    /// Whether what was sent of it counts for what was found.
    fn goes_on_as(&self, found: &Sample) -> bool {
        (&self.sample.target, &self.sample.slots) == (&found.target, &found.slots)
    }

    /// Whether a person keeps it back, and nothing of it was ever sent.
    pub(super) fn is_just_kept_back(&self) -> bool {
        self.state.is_kept_back() && !self.state.is_begun() && self.history.earlier.is_empty()
    }

    /// Why nothing is sent of another sample that was found to have its files. What may change without a new look at that
    /// one has no place here.
    pub(super) fn is_why_its_files_are_not_sent(&self) -> String {
        let (name, id) = (&self.sample.key.name, self.sample.id());
        if self.is_just_kept_back() {
            return format!(
                "its files are those of {name} ({id}), which a person keeps back: release or skip that one"
            );
        }
        let sent = self.state.sent().or(self.history.earlier.last());
        let on_flow = sent.map(|sent| format!(", which is on Flow as {},", sent.on_flow())).unwrap_or_default();
        format!(
            "its files are those of {name} ({id}){on_flow} and are not sent twice; to send them all the same: flow-ingest \
             resend"
        )
    }

    fn has_the_files_of(&self, found: &Sample) -> bool {
        let paths = |sample: &Sample| sample.own_parts().map(|part| part.path.clone()).collect::<HashSet<_>>();
        paths(&self.sample) == paths(found)
    }

    /// Whether the name that a finding gives it is the one that it has on Flow, or that a person has answered for.
    pub(super) fn answers_to(&self, found: &Sample) -> bool {
        let called = self.history.renamed.as_ref().unwrap_or(&self.sample.key.name);
        found.key.name == *called || found.key.name == name_on_flow(&self.sample)
    }

    /// A finding whose sheets are others than the sample's, or are not there to be asked.
    fn is_told_by_another_sheet(&self, finding: &Finding) -> bool {
        let (known, now) = (&self.sample.sheets, &finding.sample.sheets);
        let is_told = !now.is_empty() || !finding.standing.is_whole();
        !known.is_empty() && is_told && known != now
    }

    /// A finding as one of this very sample, whatever its rule calls it.
    pub(super) fn as_its_own(&self, mut found: Sample) -> Sample {
        found.key = self.sample.key.clone();
        self.history.named_as_told(found)
    }

    /// What is on Flow takes in what assembly says now. Its content is [compared](Self::must_be_compared) elsewhere.
    pub(super) fn told_anew(mut self, finding: Finding) -> Self {
        let is_by_sheet = self.is_told_by_another_sheet(&finding);
        let is_ready = finding.standing.is_whole();
        if !self.answers_to(&finding.sample) {
            return if is_ready && is_by_sheet { self.held_as_renamed(finding.sample) } else { self };
        }
        let differs = self.sample.differs_on_disk(&finding.sample);
        let found = self.named_as_sent(finding.sample);
        self.state = match self.state {
            State::Held { by: Holder::Changed { ref sent, found: ref known }, .. } if differs => {
                if self.answers_to(known) {
                    return self;
                }
                // Its name is right again; what its files are is yet to be told.
                let (sent, reason) = (sent.clone(), content_changed(&self.sample, &found));
                State::Held { reason, by: Holder::Changed { sent, found: Box::new(found) }, upload: None }
            }
            State::Held { by: Holder::Changed { sent, .. }, .. } | State::Done { sent } if is_ready => {
                self.history.call(&self.sample, &found.key.name);
                State::Done { sent: sent.told(&mut self.sample, &found) }
            }
            State::Held { by: Holder::Changed { sent, .. }, .. } => State::Done { sent },
            other => other,
        };
        self
    }

    /// A finding under the name that the sample has on Flow; what the rule calls it stays in its key.
    pub(super) fn named_as_sent(&self, mut found: Sample) -> Sample {
        if let Target::Sample { name, .. } = &mut found.target {
            *name = name_on_flow(&self.sample).to_owned();
        }
        found
    }

    fn held_as_renamed(self, found: Sample) -> Self {
        let (State::Done { mut sent } | State::Held { by: Holder::Changed { mut sent, .. }, .. }) = self.state else {
            return self;
        };
        sent.retold = None;
        let sheet = found.sheets.iter().find(|sheet| !self.sample.sheets.contains(sheet));
        let reason = format!(
            "its sheet{} changed after it was sent: {}; what was sent stands on Flow. Send it under its new name with \
             flow-ingest resend, or leave it as it is with flow-ingest skip",
            sheet.map(|sheet| format!(" {}", path_to_text(&sheet.path))).unwrap_or_default(),
            told(&changes(&self.sample, &found))
        );
        let by = Holder::Changed { sent, found: Box::new(found) };
        Self { state: State::Held { reason, by, upload: None }, ..self }
    }

    /// What of it on Flow is not what is there now.
    pub fn changes(&self) -> Vec<Change> {
        match &self.state {
            State::Held { by: Holder::Changed { found, .. }, .. } => changes(&self.sample, found),
            State::Done { sent: Sent { retold: Some(retold), .. } } => {
                let found = Sample { target: retold.target.clone(), ..self.sample.clone() };
                changes(&self.sample, &found)
            }
            _ => Vec::new(),
        }
    }

    /// What was found of a sample on Flow stands there from now on, as a person says: nothing of it is sent.
    pub(super) fn left_as_sent(sample: &mut Sample, history: &mut History, found: Sample) {
        history.call(sample, &found.key.name);
        for mut slot in std::mem::replace(&mut sample.slots, found.slots) {
            if let Some(now) = sample.slots.iter_mut().find(|now| now.key == slot.key) {
                std::mem::swap(&mut now.filename, &mut slot.filename);
            }
        }
        sample.sheets = found.sheets;
    }

    /// What was found of a sample on Flow is the sample from now on, under the id that it has.
    pub(super) fn taken_as_found(sample: &mut Sample, history: &mut History, found: Sample) {
        history.call(sample, &found.key.name);
        let key = sample.key.clone();
        *sample = Sample { key, ..found };
    }

    /// The same sample for the watch that sees its files now. What was sent of it counts, unless it is another there.
    pub(super) fn followed(self, sample: Sample) -> Self {
        let state = if self.goes_on_as(&sample) { self.state } else { State::Queued { upload: None } };
        Self { sample, state, ..self }
    }

    /// The same sample under the name that its sheet gives it now; what was sent of it is left unfinished.
    pub(super) fn moved(self, sample: Sample) -> Self {
        let state = match self.state {
            State::Held { reason, by, .. } => State::Held { reason, by, upload: None },
            kept @ State::Skipped { by: Skipper::Person, .. } => kept,
            _ => State::Queued { upload: None },
        };
        Self { sample, state, ..self }
    }
}

impl Sent {
    /// Takes down which values a sheet gives now to what was sent.
    pub(super) fn told(self, sample: &mut Sample, found: &Sample) -> Self {
        let is_by_sheet = !sample.sheets.is_empty() && !found.sheets.is_empty() && sample.rule == found.rule;
        let retold = match sample.target == found.target {
            true if is_by_sheet => {
                // It has been looked at, and says what was sent.
                sample.sheets.clone_from(&found.sheets);
                None
            }
            true => None,
            false if is_by_sheet && sample.sheets != found.sheets => {
                Some(Box::new(Retold { target: found.target.clone(), sheets: found.sheets.clone() }))
            }
            false => self.retold,
        };
        Self { retold, ..self }
    }
}
