//! Follows uploads by hand through the journal, until each is done or cannot be.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::door::Door;
use super::{ByHandError, Ending, Settings, Upload};
use crate::sample::{Sample, SampleId, Slot};
use crate::status::{HandedOver, SampleStatus};
use crate::upload::{self, Disk, Gate};

/// How often it is looked at how things go.
const LOOK: Duration = Duration::from_millis(150);
/// Of more than so many, all are looked at only now and then, and those that are under way each time.
const FEW: usize = 50;
/// How long a log-in that was refused in the middle may take to heal.
const HEALING: Duration = Duration::from_secs(5);

pub(super) struct Follower<'a> {
    settings: &'a Settings,
    door: &'a Door,
    progress: &'a watch::Sender<Vec<SampleStatus>>,
    /// In the order in which they were given.
    given: Vec<Followed>,
    /// What a service says of why nothing can be uploaded.
    condition: Option<String>,
}

/// One upload that was begun.
pub(super) struct Followed {
    sample: Sample,
    pub upload: Upload,
    /// Whether it goes on from an earlier run, with the files as they were then.
    is_resumed: bool,
}

impl<'a> Follower<'a> {
    pub fn new(settings: &'a Settings, door: &'a Door, progress: &'a watch::Sender<Vec<SampleStatus>>) -> Self {
        Self { settings, door, progress, given: Vec::new(), condition: None }
    }

    /// Puts samples into the journal; gives what they are there.
    pub async fn begin(&mut self, samples: &[Sample]) -> Result<&[Followed], ByHandError> {
        let begun = self.given.len();
        let submitted = self.door.submit(samples).await?;
        for (sample, mut status) in samples.iter().cloned().zip(submitted) {
            let was_done = status.state == "done";
            if was_done && status.changed {
                status.changed = !is_what_was_sent(&sample, &status).await;
            }
            let is_resumed = status.attempts > 0 || status.sent > 0 || status.state == "retrying";
            self.given.push(Followed { sample, upload: Upload { status, was_done }, is_resumed });
        }
        self.show();
        Ok(&self.given[begun..])
    }

    /// Waits until all that was begun is done or cannot be done, or gets no further.
    pub async fn followed(&mut self, gate: Option<Gate>) -> Result<Ending, ByHandError> {
        let mut before = self.progress();
        let mut got_further = Instant::now();
        let mut refused_since: Option<Instant> = None;
        for turn in 0usize.. {
            self.look(turn).await?;
            if self.statuses().all(has_ended) {
                break;
            }
            let closed = gate.as_ref().and_then(Gate::closed);
            match &closed {
                Some(closed) if closed.is_refused && !self.is_any_under_way() => {
                    if refused_since.get_or_insert_with(Instant::now).elapsed() >= HEALING {
                        return Ok(Ending::Refused { reason: closed.reason.clone() });
                    }
                }
                _ => refused_since = None,
            }
            let now = self.progress();
            if now != before {
                before = now;
                got_further = Instant::now();
            } else if got_further.elapsed() >= self.settings.give_up_after {
                let fault = self.statuses().find_map(|status| status.error.clone());
                let reason = closed.map(|closed| closed.reason).or(self.condition.clone()).or(fault);
                return Ok(Ending::GaveUp { reason });
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(Ending::Ended)
    }

    /// Whether one of them ended otherwise than well.
    pub fn has_failed(&self) -> bool {
        self.statuses().any(|status| status.state != "done")
    }

    /// What became of all that was begun.
    pub async fn finished(mut self) -> Result<Vec<Upload>, ByHandError> {
        if !self.statuses().all(has_ended) {
            // A service that has gone is no reason to keep back what is known.
            let _ = self.look(0).await;
        }
        Ok(self.given.into_iter().map(|given| given.upload).collect())
    }

    /// Looks once more at what has not ended.
    async fn look(&mut self, turn: usize) -> Result<(), ByHandError> {
        let open = self.given.iter().filter(|given| !has_ended(&given.upload.status));
        let is_all = open.clone().count() <= FEW || turn.is_multiple_of(10);
        let meant = open.filter(|given| is_all || given.upload.status.state == "uploading");
        let ids: Vec<SampleId> = meant.map(|given| given.sample.id()).collect();
        let looked = match self.door.look(&ids).await {
            // It is looked at again before long.
            Err(ByHandError::Journal(error)) if error.is_passing() => {
                HandedOver { uploads: Vec::new(), condition: Some(error.to_string()) }
            }
            looked => looked?,
        };
        let mut news: BTreeMap<String, SampleStatus> =
            looked.uploads.into_iter().map(|status| (status.id.clone(), status)).collect();
        for given in &mut self.given {
            let Some(mut status) = news.remove(&given.upload.status.id) else { continue };
            // The files changed since the earlier run: those that lie there now are what is meant.
            if status.state == "waiting" && std::mem::take(&mut given.is_resumed) {
                let submitted = self.door.submit(std::slice::from_ref(&given.sample)).await?;
                status = submitted.into_iter().next().unwrap_or(status);
            }
            if let Some(fault) = &status.error
                && given.upload.status.error.as_ref() != Some(fault)
            {
                tracing::warn!("{}: {fault}; it is tried again", status.name);
            }
            given.upload.status = status;
        }
        if let Some(condition) = &looked.condition
            && self.condition.as_ref() != Some(condition)
        {
            tracing::warn!("nothing can be uploaded now: {condition}");
        }
        self.condition = looked.condition;
        self.show();
        Ok(())
    }

    fn is_any_under_way(&self) -> bool {
        self.statuses().any(|status| status.state == "uploading")
    }

    /// What shows whether things got further: how many have ended, and bytes acknowledged. A retry is none.
    fn progress(&self) -> (usize, u64) {
        let ended = self.statuses().filter(|status| has_ended(status)).count();
        (ended, self.statuses().map(|status| status.sent).sum())
    }

    fn show(&self) {
        self.progress.send_replace(self.statuses().cloned().collect());
    }

    fn statuses(&self) -> impl Iterator<Item = &SampleStatus> + Clone {
        self.given.iter().map(|given| &given.upload.status)
    }
}

/// Whether it goes no further by itself.
fn has_ended(status: &SampleStatus) -> bool {
    !matches!(status.state.as_str(), "queued" | "uploading" | "retrying")
}

/// Whether the files hold what was sent, whatever their times say.
async fn is_what_was_sent(sample: &Sample, sent: &SampleStatus) -> bool {
    if !sample.slots.iter().map(Slot::size).eq(sent.files.iter().map(|file| file.bytes)) {
        return false;
    }
    let hashes = upload::hashes(sample, &Disk::default(), &CancellationToken::new()).await;
    // What cannot be read now is not known to be the same.
    hashes.is_ok_and(|hashes| {
        hashes.iter().map(|hashes| Some(&hashes.sha256)).eq(sent.files.iter().map(|file| file.sha256.as_ref()))
    })
}
