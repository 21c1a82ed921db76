//! What becomes of a sample's record when its upload comes to a halt.

use std::time::Duration;

use jiff::Timestamp;

use super::adopt::OnFlow;
use super::disposition::{Disposition, Fault, HostError};
use super::gate::LONGEST_ASKED;
use super::host::SampleHost;
use super::streak::Forbidden;
use super::transfer::End;
use crate::flow::UploadError;
use crate::journal::{Again, Blocker, JournalError, Record, Sent, SentFile};
use crate::observation::Moment;

/// The first pause after a passing fault; it doubles with each one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// How often a refusal in words that are not Flow's is tried again.
const MOST_UNCLEAR: u32 = 6;

impl SampleHost<'_> {
    pub async fn dispose(mut self, disposition: Disposition) -> Result<End, JournalError> {
        let (sample, run) = (&self.sample.key.name, &self.sample.key.run);
        // Closed before the sample is let go, so that its turn does not come again at once.
        let is_closed = matches!(&disposition, Disposition::Fault(fault) if self.gate.fault(&self.id, fault));
        match disposition {
            Disposition::Retry(error) => {
                self.retry_after_fault(error, None).await?;
                Ok(End::Recorded)
            }
            Disposition::Fault(Fault { error, after, .. }) if is_closed => {
                tracing::info!(sample, run, error, "interrupted; it goes on when Flow is back");
                self.uncount();
                match after {
                    // What the server asked for outlives a restart.
                    Some(after) => self.retry(after.min(LONGEST_ASKED), error).await?,
                    None => self.put_back().await?,
                }
                Ok(End::Recorded)
            }
            Disposition::Fault(Fault { error, after, .. }) => {
                self.uncount();
                self.retry_after_fault(error, after).await?;
                Ok(End::Recorded)
            }
            Disposition::Unclear(error) => {
                match self.upload.faults < MOST_UNCLEAR {
                    true => self.retry_after_fault(error, None).await?,
                    false => self.block(format!("Flow refused it: {error}"), Blocker::Refusal).await?,
                }
                Ok(End::Recorded)
            }
            Disposition::Forbidden(error) => {
                match self.gate.forbidden(&self.id, &error, self.others()) {
                    Forbidden::Again => self.retry_after_fault(error, None).await?,
                    Forbidden::ThisSample => {
                        self.block(format!("Flow refused it: {error}"), Blocker::Upload).await?;
                    }
                    Forbidden::Everybody => {
                        self.uncount();
                        self.put_back().await?;
                    }
                }
                Ok(End::Recorded)
            }
            Disposition::Adopt(found) => match self.adopt(found).await {
                Ok(end) => Ok(end),
                Err(error) => Box::pin(self.dispose(Disposition::of(UploadError::Host(error)))).await,
            },
            Disposition::Block { reason, by } => {
                self.block(reason, by).await?;
                Ok(End::Recorded)
            }
            Disposition::Wait(reason) => {
                tracing::warn!(sample, run, reason, "back to waiting");
                self.journal.change(&self.id, |record| record.must_wait(reason, None)).await?;
                Ok(End::LookAgain { watch: self.sample.key.watch.clone() })
            }
            Disposition::Unsound(reason) => {
                match self.again() {
                    Some(again) => {
                        tracing::warn!(sample, run, reason, "not whole, and perhaps still on its way");
                        let reason = format!("{reason}; it may still be on its way, and is looked at again");
                        self.journal.change(&self.id, move |record| record.must_wait(reason, Some(again))).await?;
                    }
                    None => {
                        tracing::error!(sample, run, reason, "blocked");
                        self.journal.change(&self.id, move |record| record.blocked(reason, Blocker::Upload)).await?;
                    }
                }
                Ok(End::Recorded)
            }
            Disposition::PutBack => {
                self.journal.change(&self.id, Record::put_back).await?;
                Ok(End::Recorded)
            }
            Disposition::Missing(error) => {
                tracing::warn!(sample, run, error, "kept for when the file is back");
                self.upload.faults += 1;
                self.retry(pause(self.upload.faults), error).await?;
                Ok(End::LookAgain { watch: self.sample.key.watch.clone() })
            }
            Disposition::Stop(reason) => {
                // Not refused yet: the credentials may have been renewed, and the gate logs in with them first.
                self.gate.close(reason, false);
                self.uncount();
                self.put_back().await?;
                Ok(End::Recorded)
            }
            Disposition::Fail(error) => Err(error),
        }
    }

    /// Records what is on Flow as the sample, unless another sample of ours was quicker: then it has another turn.
    async fn adopt(&mut self, found: OnFlow) -> Result<End, HostError> {
        let mut files = Vec::new();
        for (n, data_id) in found.data_ids.into_iter().enumerate() {
            files.push(SentFile::new(data_id, Some(self.readers[n].hashes().await?)));
        }
        self.look_at_files().await?;
        // A try in which nothing was sent is none.
        let attempts = self.upload.attempts.saturating_sub(u32::from(!self.is_begun()));
        let (sample_id, finished) = (found.sample_id, Timestamp::now());
        let (warnings, changed, adopted, retold) = (None, false, true, None);
        let sent = Sent { attempts, sample_id, files, warnings, finished, changed, adopted, retold };
        let (sample, run) = (&self.sample.key.name, &self.sample.key.run);
        let what = sent.sample_id.clone().or_else(|| Some(sent.files.last()?.data_id.clone()));
        if !self.journal.adopt(&self.id, sent).await? {
            self.journal.change(&self.id, Record::put_back).await?;
            return Ok(End::Recorded);
        }
        tracing::info!(sample, run, id = what, "on Flow already, and the same");
        Ok(self.done().await)
    }

    /// What changed meanwhile nobody has taken in: assembly leaves alone what is on its way.
    pub async fn done(&self) -> End {
        match self.look_at_files().await {
            Ok(()) => End::Recorded,
            Err(_) => End::LookAgain { watch: self.sample.key.watch.clone() },
        }
    }

    /// When files that are not whole are looked at again: after the settle time, and then each time after twice as long;
    /// `None` when they have been so for too long.
    fn again(&self) -> Option<Again> {
        let (watch, now) = (&self.sample.key.watch, Moment::now());
        let youth = self.settings.youth(watch, self.sample.size());
        // What another boot has seen says nothing.
        let begun = self.upload.unsound_until.filter(|until| until.boot == now.boot);
        let until = begun.unwrap_or(now + youth);
        let left = until.since(&now).filter(|left| !left.is_zero())?;
        let pause = self.settings.look_again_after(watch).max(youth.saturating_sub(left));
        Some(Again { at: now + pause.min(left), until })
    }

    pub async fn retry(&self, pause: Duration, error: String) -> Result<(), JournalError> {
        let (upload, next_try) = (self.upload.clone(), Moment::now() + pause);
        self.journal.change(&self.id, move |record| record.retrying(upload, next_try, error)).await?;
        Ok(())
    }

    async fn retry_after_fault(&mut self, error: String, after: Option<Duration>) -> Result<(), JournalError> {
        let pause = pause(self.upload.faults).max(after.unwrap_or_default().min(LONGEST_ASKED));
        let (sample, run) = (&self.sample.key.name, &self.sample.key.run);
        tracing::warn!(sample, run, error, again_in = ?pause, "a passing fault");
        self.upload.faults += 1;
        self.retry(pause, error).await
    }

    /// It was not the sample's fault: a try that did not get all sent does not count. (One that has is counted, and what
    /// asks goes on with it.)
    fn uncount(&mut self) {
        if !self.is_asking() {
            self.upload.attempts = self.upload.attempts.saturating_sub(1);
        }
    }

    async fn block(&self, reason: String, by: Blocker) -> Result<(), JournalError> {
        tracing::error!(sample = self.sample.key.name, run = self.sample.key.run, reason, "blocked");
        self.journal.change(&self.id, move |record| record.blocked(reason, by)).await?;
        Ok(())
    }

    async fn put_back(self) -> Result<(), JournalError> {
        let upload = self.upload;
        self.journal.change(&self.id, |record| record.advanced(upload)?.put_back()).await?;
        Ok(())
    }

    /// How many other samples are under way or wait for their turn.
    fn others(&self) -> usize {
        let tally = self.journal.tally();
        let of = |state: &str| tally.get(state).map_or(0, |tally| tally.samples);
        (of("queued") + of("uploading") + of("retrying")).saturating_sub(1)
    }
}

/// The pause after passing fault number `faults`, counted from 0: doubled each time, and spread by half so that what
/// failed together does not return together.
fn pause(faults: u32) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << faults.min(16)).min(LONGEST_PAUSE);
    doubled.mul_f64(rand::random_range(0.5..=1.0))
}
