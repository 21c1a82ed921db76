//! One sample, from its recorded state as far as it will go now.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::catalogue::Catalogue;
use super::checkpoint;
use super::disposition::{Disposition, HostError};
use super::host::{SampleHost, is_begun};
use super::parts::PartError;
use super::pool::Pool;
use super::same::{self, SameError, Sameness};
use crate::flow::{Outcome, Progress, UploadError, advance};
use crate::journal::{JournalError, Record, State, Upload};
use crate::observation::Moment;
use crate::preflight::Said;
use crate::sample::{BY_HAND, Sample, Target};

/// How soon a sample is looked at again whose like is under way.
const SAME_PAUSE: Duration = Duration::from_secs(5);

/// What the pool must know of a transfer that ended.
pub(super) enum End {
    /// The sample's record says it all.
    Recorded,
    /// The files changed: whoever watches them shall look again.
    LookAgain { watch: String },
}

/// Uploads a sample that was taken from the queue, and records what becomes of it.
pub(super) async fn transfer(
    pool: &Pool,
    catalogue: &Catalogue,
    record: Record,
    stopping: &CancellationToken,
) -> Result<End, JournalError> {
    let Pool { client, journal, settings, disk, .. } = pool;
    let must_be_new = record.must_be_new();
    let mut sample = record.sample;
    let State::Uploading { mut upload } = record.state else { return Ok(End::Recorded) };
    if must_be_new && let Some(end) = keep_back_what_is_known(pool, &sample, &upload, stopping).await? {
        return Ok(end);
    }
    let checked = match is_begun(&upload) {
        true => Ok(()),
        false => {
            if let Some(at) = journal.retried() {
                catalogue.renew(at);
            }
            check(catalogue, &sample, &mut upload, stopping).await
        }
    };
    if let (Target::Sample { project: project @ None, .. }, Some(found)) = (&mut sample.target, &upload.project) {
        *project = Some(found.clone());
    }
    let submission = checkpoint::submission(&sample, settings.final_wait);
    let recorded = checkpoint::recorded(&upload);
    let mut host = SampleHost::new(pool, &sample, upload, stopping);
    if !host.is_asking() {
        if let Some(path) = disk.hangs_at(&sample.key.watch) {
            return host.dispose(Disposition::of(UploadError::Host(HostError::Part(PartError::Hangs { path })))).await;
        }
        host.upload.attempts += 1;
        if let Err(error) = checked {
            return host.dispose(Disposition::of(UploadError::Host(error))).await;
        }
        tracing::info!(sample = sample.key.name, run = sample.key.run, attempt = host.upload.attempts, "uploading");
    }
    if recorded.is_none()
        && let Err(error) = host.look_through().await
    {
        return host.dispose(Disposition::of(UploadError::Host(error))).await;
    }
    let mut progress = recorded.unwrap_or_else(|| Progress::new(&submission, client));
    let outcome = match host.look_before_anything_is_sent(&mut progress).await {
        Ok(()) => advance(client, &submission, progress, &mut host).await,
        Err(error) => Err(UploadError::Host(error)),
    };
    let sent = match outcome {
        Ok(Outcome::Done(finished)) => match host.verify(client, &finished).await {
            Ok(()) => host.sent(finished).await.map_err(UploadError::Host),
            Err(disposition) => return host.dispose(disposition).await,
        },
        Ok(Outcome::AskLater(pause)) => {
            let error = "the answer to the last chunk is awaited; Flow is asked about the file".to_owned();
            host.retry(pause, error).await?;
            return Ok(End::Recorded);
        }
        Ok(Outcome::Stopped) => {
            journal.change(&host.id, Record::put_back).await?;
            return Ok(End::Recorded);
        }
        Err(error) => Err(error),
    };
    match sent {
        Ok(sent) => {
            tracing::info!(sample = sample.key.name, run = sample.key.run, id = sent.sample_id, "on Flow");
            journal.change(&host.id, |record| record.done(sent)).await?;
            Ok(host.done().await)
        }
        Err(error) => host.dispose(Disposition::of(error)).await,
    }
}

/// Checks by the server's lists what is said of a sample of which nothing was sent, and finds its project. What a
/// person uploads by hand is sent as it is given.
async fn check(
    catalogue: &Catalogue,
    sample: &Sample,
    upload: &mut Upload,
    stopping: &CancellationToken,
) -> Result<(), HostError> {
    if sample.key.watch == BY_HAND {
        return Ok(());
    }
    let said = Said::from(&sample.target);
    let checked = tokio::select! {
        checked = catalogue.check(&said) => checked.map_err(HostError::Lists)?,
        () = stopping.cancelled() => return Err(HostError::Part(PartError::Stopped)),
    };
    upload.project = checked.project;
    if checked.misses.is_empty() {
        return Ok(());
    }
    let misses: Vec<_> = checked.misses.into_iter().map(|miss| miss.message).collect();
    let rule = &sample.rule;
    let remedy = format!("correct rule {rule} of the manifest, or what its values are taken from");
    Err(HostError::Misses(format!("Flow would refuse it, so nothing was sent: {}; {remedy}", misses.join("; "))))
}

/// Takes a sample out of the way whose content is on Flow already under another name, or on its way there.
async fn keep_back_what_is_known(
    pool: &Pool,
    sample: &Sample,
    upload: &Upload,
    stopping: &CancellationToken,
) -> Result<Option<End>, JournalError> {
    let Pool { journal, disk, .. } = pool;
    let (id, upload) = (sample.id(), upload.clone());
    let (name, run) = (&sample.key.name, &sample.key.run);
    match same::look_for(journal, sample, disk, stopping).await {
        Ok(Sameness::New) => Ok(None),
        Ok(Sameness::Same { reason }) => {
            tracing::warn!(sample = name, run, reason, "skipped");
            journal.change(&id, |record| record.is_the_same_as_another(reason)).await?;
            Ok(Some(End::Recorded))
        }
        Ok(Sameness::UnderWay { other }) => {
            tracing::debug!(sample = name, run, %other, "its turn comes after another with the same names and sizes");
            journal.change(&id, |record| record.put_back()).await?;
            Ok(Some(End::Recorded))
        }
        Ok(Sameness::Begun { other }) => {
            let error = format!("files of the same names and sizes are on their way as {other}; that is awaited");
            let next_try = Moment::now() + SAME_PAUSE;
            journal.change(&id, move |record| record.retrying(upload, next_try, error)).await?;
            Ok(Some(End::Recorded))
        }
        Err(SameError::Journal(error)) if error.is_passing() => {
            let (error, next_try) = (error.to_string(), Moment::now() + SAME_PAUSE);
            journal.change(&id, move |record| record.retrying(upload, next_try, error)).await?;
            Ok(Some(End::Recorded))
        }
        Err(SameError::Journal(error)) => Err(error),
        // The upload itself finds the same trouble, and knows what to do about it.
        Err(SameError::Part(error)) => {
            tracing::debug!(sample = name, run, %error, "cannot be compared with what was sent");
            Ok(None)
        }
    }
}
