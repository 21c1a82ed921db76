//! Samples on Flow whose files look different now: when their content must be compared with what was sent, and what
//! follows from that.

use super::change::{changes, told};
use super::record::{Misstep, Record};
use super::state::{Holder, State};
use super::stored::SlotHashes;
use crate::sample::{Finding, Sample, Standing};

impl Record {
    /// Whether the content of what was found must be [compared](Self::is_uncompared) with what was sent, and has
    /// settled.
    pub(super) fn must_be_compared(&self, finding: &Finding) -> bool {
        !matches!(finding.standing, Standing::Waiting(_)) && self.is_uncompared(&finding.sample)
    }

    /// Whether something of what was found is new or looks other than what is on Flow, and nobody has compared their
    /// content. What is gone is no difference: runs are cleaned up once they are on Flow.
    pub fn is_uncompared(&self, found: &Sample) -> bool {
        let is_known = match &self.state {
            State::Done { .. } => false,
            State::Held { by: Holder::Changed { found: known, .. }, .. } => {
                self.answers_to(known) && known.slots == found.slots
            }
            _ => return false,
        };
        !is_known && self.answers_to(found) && self.sample.differs_on_disk(found)
    }

    /// What is on Flow was compared with what lies there: `hashes` are those of its slots now.
    pub fn compared(self, found: Sample, hashes: &[SlotHashes]) -> Result<Self, Misstep> {
        let misstep = Misstep { from: self.state.name(), to: "held" };
        let sent = match &self.state {
            // Another name came between; the content is compared when that is settled.
            State::Held { by: Holder::Changed { found: known, .. }, .. } if !self.answers_to(known) => return Ok(self),
            State::Done { sent } | State::Held { by: Holder::Changed { sent, .. }, .. } => sent.clone(),
            _ => return Err(misstep),
        };
        let found = self.named_as_sent(found);
        let Self { mut sample, first_seen, history, state: _ } = self;
        let was = sample.slots.iter().zip(&sent.files).map(|(slot, file)| (&slot.key, file.sha256.as_ref()));
        let is = found.slots.iter().zip(hashes).map(|(slot, hashes)| (&slot.key, Some(&hashes.sha256)));
        if was.eq(is) {
            // The same bytes under another time, or at another place.
            for (slot, found) in sample.slots.iter_mut().zip(found.slots.clone()) {
                slot.parts = found.parts;
            }
            let state = State::Done { sent: sent.told(&mut sample, &found) };
            return Ok(Self { sample, first_seen, history, state });
        }
        for (n, slot) in sample.slots.iter_mut().enumerate() {
            let Some(at) = found.slots.iter().position(|found| found.key == slot.key) else { continue };
            let (Some(file), Some(hashes)) = (sent.files.get(n), hashes.get(at)) else { continue };
            let now: Vec<_> = found.slots[at].parts.iter().zip(hashes.of_parts(found.slots[at].parts.len())).collect();
            let sent = file.of_parts(slot.parts.len());
            for (part, sha256) in slot.parts.iter_mut().zip(sent) {
                // A part with the bytes that were sent is none that changed.
                if let Some((same, _)) = now.iter().find(|(now, hash)| now.path == part.path && *hash == sha256) {
                    part.fingerprint = same.fingerprint;
                }
            }
        }
        let reason = content_changed(&sample, &found);
        let state = State::Held { reason, by: Holder::Changed { sent, found: Box::new(found) }, upload: None };
        Ok(Self { sample, first_seen, history, state })
    }
}

/// Why a sample is held whose files are no longer what was sent.
pub(super) fn content_changed(sent: &Sample, found: &Sample) -> String {
    format!(
        "its files changed after it was sent: {}; what was sent stands on Flow. Send what lies there now with \
         flow-ingest resend, or leave it with flow-ingest skip",
        told(&changes(sent, found))
    )
}
