//! Uploads by hand: the same journal, the same pool, for the samples that were given and no others.
//!
//! Given again in the same words, an upload goes on from where it is, and one that is done is not sent again. Where a
//! service holds the state folder, the work is handed over to it and followed from here.

mod door;
mod follow;
mod given;

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::config::FlowSettings;
use crate::flow;
use crate::journal::{Journal, JournalError};
use crate::sample::{Sample, SampleId};
use crate::status::{self, Board, Identity, SampleStatus, SocketError};
use crate::upload::{self, Account, Disk, Gate, Keeper, LONGEST_END, LogInError, Pool};

use door::Door;
use follow::Follower;
pub use given::{Given, GivenError, GivenFile};

/// How uploads by hand are made.
#[derive(Debug, Clone)]
pub struct Settings {
    pub state_dir: PathBuf,
    pub flow: FlowSettings,
    /// Whether a person named the server for this upload: a service that uploads elsewhere is not taken then.
    pub is_server_named: bool,
    pub uploads: upload::Settings,
    /// How long it may take until something gets further.
    pub give_up_after: Duration,
    /// Sends what is on Flow already once more, as something new.
    pub again: bool,
    /// One after the other, and none after one that failed.
    pub stop_on_error: bool,
    /// Lets the account go on with the state folder, whoever's it was.
    pub accept_account: bool,
}

/// Why nothing could be uploaded, or no more.
#[derive(Debug, thiserror::Error)]
pub enum ByHandError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Flow(#[from] flow::Error),
    #[error(transparent)]
    Socket(#[from] SocketError),
    #[error(
        "cannot use the state folder {}: it belongs to another user; upload as that user, or keep a record of your own \
         elsewhere with --state-dir", dir.display()
    )]
    NotOurs { dir: PathBuf },
    #[error(
        "cannot upload to {named}: a service that uploads to {service} uses this state folder; leave out --base-url \
         and FLOW_API_URL, or name a state folder for this upload with --state-dir"
    )]
    OtherServer { service: String, named: String },
    #[error(
        "the service does not answer any more ({reason}); it goes on with the upload when it runs again, and so does \
         the same command"
    )]
    ServiceGone { reason: String },
}

/// How uploads by hand came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// One for each that was given and begun, in order.
    pub uploads: Vec<Upload>,
    pub ending: Ending,
    /// The base URL of the service that the work was handed over to.
    pub service: Option<String>,
}

/// One upload by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    pub status: SampleStatus,
    /// Whether it was on Flow before.
    pub was_done: bool,
}

/// Why it went no further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Everything is done, or cannot be done.
    Ended,
    /// It was told to stop.
    Stopped,
    /// Nothing got further for too long; why, as far as it is known.
    GaveUp { reason: Option<String> },
    /// Flow does not know us, or the state folder is another account's.
    Refused { reason: String },
}

/// Uploads what is given, until each is done or cannot be. `progress` is told how it goes.
///
/// # Errors
/// When the state folder cannot be used, or the journal cannot be written.
pub async fn upload(
    settings: &Settings,
    given: &[Given],
    progress: &watch::Sender<Vec<SampleStatus>>,
    shutdown: impl Future<Output = ()>,
) -> Result<Report, ByHandError> {
    tokio::pin!(shutdown);
    let door = tokio::select! {
        door = Door::open(settings) => door?,
        () = &mut shutdown => {
            return Ok(Report { uploads: Vec::new(), ending: Ending::Stopped, service: None });
        }
    };
    let service = match &door {
        Door::Own(_) => None,
        Door::Service { base_url, .. } => Some(base_url.clone()),
    };
    let base_url = service.clone().unwrap_or_else(|| settings.flow.base_url.clone());
    let mut samples = Vec::new();
    for given in given {
        samples.push(sample(settings, &door, given, &base_url).await?);
    }

    let mut worker = Worker::new(settings, &door);
    let mut follower = Follower::new(settings, &door, progress);
    // One after the other, or all at once.
    let turns: Vec<&[Sample]> = if settings.stop_on_error { samples.chunks(1).collect() } else { vec![&samples] };
    let mut ending = Ending::Ended;
    for turn in turns {
        let submitted = follower.begin(turn).await?;
        if submitted.iter().all(|given| given.upload.was_done) {
            continue;
        }
        if let Some(refused) = worker.start(turn).await? {
            ending = Ending::Refused { reason: refused };
            break;
        }
        ending = tokio::select! {
            ended = follower.followed(worker.gate()) => ended?,
            failed = worker.failed() => return Err(failed),
            () = &mut shutdown => Ending::Stopped,
        };
        worker.stop().await;
        if ending != Ending::Ended || settings.stop_on_error && follower.has_failed() {
            break;
        }
    }
    worker.stop().await;
    Ok(Report { uploads: follower.finished().await?, ending, service })
}

/// The sample that is meant: as it is given, or, to be sent again, the first that is not on Flow yet.
async fn sample(settings: &Settings, door: &Door, given: &Given, base_url: &str) -> Result<Sample, ByHandError> {
    let mut sample = given.sample(base_url, 0);
    let mut again = 0;
    while settings.again && door.is_done(&sample.id()).await? {
        again += 1;
        sample = given.sample(base_url, again);
    }
    Ok(sample)
}

/// Who uploads, where that is us.
struct Worker<'a> {
    settings: &'a Settings,
    journal: Option<Journal>,
    at_work: Option<AtWork>,
}

struct AtWork {
    gate: Gate,
    stop: CancellationToken,
    pool: tokio::task::JoinHandle<Result<(), JournalError>>,
}

impl<'a> Worker<'a> {
    fn new(settings: &'a Settings, door: &Door) -> Self {
        let journal = match door {
            Door::Own(journal) => Some(journal.clone()),
            Door::Service { .. } => None,
        };
        Self { settings, journal, at_work: None }
    }

    /// Logs in and begins with these samples; gives the reason when the credentials are refused, or are another
    /// account's. A Flow that cannot be reached is tried again.
    async fn start(&mut self, samples: &[Sample]) -> Result<Option<String>, ByHandError> {
        let Some(journal) = &self.journal else { return Ok(None) };
        let client = self.settings.flow.client()?;
        let source = self.settings.flow.credentials.clone();
        let Settings { state_dir, flow, accept_account, .. } = self.settings;
        let account = Account::new(journal.clone(), &flow.base_url, state_dir.clone(), *accept_account);
        match account.log_in(&client, &source).await {
            Err(LogInError::Journal(error)) => return Err(error.into()),
            Err(error) if error.is_refusal() => return Ok(Some(error.to_string())),
            _ => {}
        }
        let (gate, stop) = (Gate::default(), CancellationToken::new());
        // What changed on disk shows in the record, and a person looks at that: nobody watches these files.
        let (look_again, _) = mpsc::unbounded_channel();
        let only: std::collections::HashSet<SampleId> = samples.iter().map(Sample::id).collect();
        let pool = Pool {
            client: client.clone(),
            journal: journal.clone(),
            settings: self.settings.uploads.clone(),
            gate: gate.clone(),
            disk: Disk::default(),
            only: Some(only),
            look_again,
        };
        let pool = tokio::spawn(pool.run(stop.clone()));
        tokio::spawn(Keeper { gate: gate.clone(), client, source, account }.run(stop.clone()));
        self.show_status(journal.clone(), stop.clone());
        self.at_work = Some(AtWork { gate, stop, pool });
        Ok(None)
    }

    /// Lets `flow-ingest status` look on. Without it the upload is as good.
    fn show_status(&self, journal: Journal, stop: CancellationToken) {
        let identity = Identity { base_url: self.settings.flow.base_url.clone(), takes_uploads: false };
        let state_dir = self.settings.state_dir.clone();
        tokio::spawn(async move {
            if let Err(error) = status::serve(journal, Board::default(), identity, &state_dir, None, None, stop).await {
                tracing::debug!(%error, "the status of this upload is not served");
            }
        });
    }

    fn gate(&self) -> Option<Gate> {
        self.at_work.as_ref().map(|at_work| at_work.gate.clone())
    }

    /// Waits for the pool to fail.
    async fn failed(&mut self) -> ByHandError {
        let Some(at_work) = &mut self.at_work else { return std::future::pending().await };
        match (&mut at_work.pool).await {
            Ok(Ok(())) => std::future::pending().await,
            Ok(Err(error)) => error.into(),
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }

    /// No new chunk leaves; what is in flight gets a bounded time.
    async fn stop(&mut self) {
        let Some(at_work) = self.at_work.take() else { return };
        at_work.stop.cancel();
        match tokio::time::timeout(LONGEST_END, at_work.pool).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::error!(%error, "the upload did not end well"),
            Ok(Err(error)) => tracing::error!(%error, "the upload did not end well"),
            Err(_) => tracing::warn!("a chunk in flight did not arrive in time; the next run asks about it"),
        }
    }
}
