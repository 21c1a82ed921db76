//! The agent: builds the rooms, starts a few named tasks, and brings them to an end together. No domain logic.

mod assembler;
pub mod by_hand;
mod conditions;
mod contents;
mod explain;
mod foresee;
mod left_out;
mod once;
mod prepare;
mod reload;
mod seeing;
mod tasks;
mod unread;

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc, watch as signal};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::flow::{self, Client};
use crate::journal::{Journal, JournalError};
use crate::sample::BY_HAND;
use crate::status::{self, Board, Identity, Snapshot, SocketError};
use crate::upload::{Account, Disk, Gate, Keeper, LONGEST_END, Pool};
use crate::watch::{self, Remembered};

pub use conditions::Expected;
pub use explain::{Explanation, Next, Place, RowUsed, RunExplained, Short, explain_offline, in_future, rules_tried};
pub use foresee::{Foreseen, foresee};
pub use reload::{Change, Outcome, Reload, ReloadCounts, SampleTurn, WatchChange, WatchTurn};

use assembler::Report;
use contents::Suspects;
use once::Once;
use seeing::Seeing;
use tasks::Tasks;

/// Questions that may wait for the agent.
const QUESTIONS_WAITING: usize = 16;
/// For how long a command that only looks may hold the state folder.
const LONGEST_LOOK: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Why the agent could not start, or go on.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Flow(#[from] flow::Error),
    #[error(transparent)]
    Watch(#[from] watch::Error),
    #[error(transparent)]
    Socket(#[from] SocketError),
    #[error("the agent's task {task:?} ended unexpectedly{}; report this", reason.as_ref().map(|r| format!(" ({r})")).unwrap_or_default())]
    Task { task: String, reason: Option<String> },
}

/// For how long the agent runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Until it is told to stop.
    Service,
    /// Until everything that is complete is uploaded, or nothing has got further for `give_up_after`.
    Once { give_up_after: Duration },
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// It was told to stop.
    Stopped,
    /// Everything that is complete is done, blocked, held or skipped. Watches that could not be looked at are named.
    Finished { unseen: Vec<String> },
    /// Nothing got further for too long; why nobody can upload, where that is so.
    GaveUp { reason: Option<String> },
    /// There is something to upload, and Flow refuses us, or the state folder is another account's.
    Refused { reason: String },
}

/// An agent that holds its state folder.
pub struct Agent {
    config: Config,
    journal: Journal,
    board: Board,
    gate: Gate,
    client: Client,
    accepts_another_account: bool,
    /// Asks for changed settings to be taken.
    reload: Arc<Notify>,
}

impl Agent {
    /// Opens the state folder and prepares the client; sends nothing yet.
    ///
    /// # Errors
    /// When another agent holds the state folder, the journal cannot be opened, or no client can be built.
    pub fn open(config: Config) -> Result<Self, AgentError> {
        let journal = Self::journal_when_free(&config.state_dir)?;
        let client = config.flow.client()?;
        let (board, gate) = (Board::default(), Gate::default());
        let reload = Arc::default();
        Ok(Self { config, journal, board, gate, client, accepts_another_account: false, reload })
    }

    /// A command that only looks holds the state folder for a moment, and is no other agent.
    fn journal_when_free(state_dir: &Path) -> Result<Journal, JournalError> {
        let asked = Instant::now();
        loop {
            match Journal::open(state_dir) {
                Err(JournalError::InUse { .. }) if asked.elapsed() < LONGEST_LOOK => std::thread::sleep(LOOK_AGAIN),
                opened => return opened,
            }
        }
    }

    /// Lets the account of the first log-in go on with the state folder, whoever's it was.
    #[must_use]
    pub fn accept_account(self) -> Self {
        Self { accepts_another_account: true, ..self }
    }

    /// The journal, for those who show how things go.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Has changed settings taken, as far as they are sound; what came of it stands in the log. A single run takes none.
    pub fn reload(&self) {
        self.reload.notify_one();
    }

    /// All that the agent can say of itself now.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn snapshot(&self, state: &str) -> Result<Snapshot, JournalError> {
        Snapshot::take(&self.journal, &self.board, state)
    }

    /// Runs until `shutdown`, or as `mode` says. What is in flight then gets a bounded time.
    ///
    /// # Errors
    /// A task that could not go on, by name.
    pub async fn run(&self, mode: Mode, shutdown: impl Future<Output = ()>) -> Result<Ending, AgentError> {
        let stop = CancellationToken::new();
        let mut tasks = Tasks::default();
        let reports = self.start(&mut tasks, mode, &stop)?;
        let once = async {
            match mode {
                Mode::Service => std::future::pending().await,
                Mode::Once { give_up_after } => {
                    Once::new(&self.journal, &self.gate, reports, give_up_after).ended().await
                }
            }
        };
        let ended = tokio::select! {
            () = shutdown => Ok(Ending::Stopped),
            ending = once => Ok(ending),
            failed = tasks.first_to_end() => Err(failed),
        };
        tracing::info!("stopping: no new chunk leaves");
        stop.cancel();
        let drained = tokio::time::timeout(LONGEST_END, tasks.drain()).await;
        match (ended, drained) {
            (Err(error), _) => Err(error),
            (Ok(_), Ok(Err(error))) => Err(error),
            (Ok(ending), Ok(Ok(()))) => Ok(ending),
            (Ok(ending), Err(_)) => {
                tracing::warn!("some tasks did not end in time and are cut off");
                Ok(ending)
            }
        }
    }

    fn start(
        &self,
        tasks: &mut Tasks,
        mode: Mode,
        stop: &CancellationToken,
    ) -> Result<Vec<signal::Receiver<Report>>, AgentError> {
        self.journal.admit_only(&[BY_HAND]);
        let (look_again, to_look_again) = mpsc::unbounded_channel::<String>();
        let suspects = Suspects::default();
        let (questions, to_answer) = mpsc::channel(QUESTIONS_WAITING);
        let (taken, to_notice) = signal::channel(unread::Taken::of(&self.config));
        let (journal, board) = (self.journal.clone(), self.board.clone());
        let mut seeing =
            Seeing::new(self.config.clone(), journal, board.clone(), suspects.clone(), taken, stop.clone());
        let reports = seeing.begin()?;
        let (file, shutdown) = (self.config.file.clone(), stop.clone());
        let is_service = mode == Mode::Service;
        let reload = is_service.then(|| self.reload.clone());
        tasks.spawn("watches".to_owned(), stop, seeing.run(to_answer, to_look_again, reload));
        if is_service {
            tasks.spawn("settings".to_owned(), stop, unread::notice(file, to_notice, board, shutdown));
        }

        let disk = Disk::default();
        let comparing = contents::compare(self.journal.clone(), suspects, disk.clone(), stop.clone());
        tasks.spawn("contents".to_owned(), stop, comparing);
        let pool = Pool {
            client: self.client.clone(),
            journal: self.journal.clone(),
            settings: self.config.uploads.clone(),
            gate: self.gate.clone(),
            disk,
            only: None,
            look_again,
        };
        let shutdown = stop.clone();
        tasks.spawn("uploads".to_owned(), stop, async move { Ok(pool.run(shutdown).await?) });
        let Config { flow, state_dir, .. } = &self.config;
        let (journal, accepts_another) = (self.journal.clone(), self.accepts_another_account);
        let keeper = Keeper {
            gate: self.gate.clone(),
            client: self.client.clone(),
            source: flow.credentials.clone(),
            account: Account::new(journal, &flow.base_url, state_dir.clone(), accepts_another),
        };
        let shutdown = stop.clone();
        tasks.spawn("log-in".to_owned(), stop, async move {
            keeper.run(shutdown).await;
            Ok(())
        });
        tasks.spawn("gate".to_owned(), stop, show_gate(self.gate.clone(), self.board.clone(), stop.clone()));
        let (journal, board, shutdown) = (self.journal.clone(), self.board.clone(), stop.clone());
        let identity = Identity { base_url: self.config.flow.base_url.clone(), takes_uploads: true };
        let state_dir = self.config.state_dir.clone();
        // A run that ends by itself is nothing to monitor, and must not fail for a port.
        let listen = self.config.status.listen.filter(|_| mode == Mode::Service);
        tasks.spawn("status".to_owned(), stop, async move {
            Ok(status::serve(journal, board, identity, &state_dir, listen, Some(questions), shutdown).await?)
        });
        Ok(reports)
    }
}

/// What a watch was told to remember before.
///
/// # Errors
/// When the journal cannot be read.
pub fn remembered(journal: &Journal, watch: &str) -> Result<Remembered, JournalError> {
    Ok(Remembered { baseline: journal.baseline(watch)?, observations: journal.observations(watch)? })
}

/// Pins up why nothing is uploaded, for as long as that is so.
async fn show_gate(gate: Gate, board: Board, shutdown: CancellationToken) -> Result<(), AgentError> {
    loop {
        let changed = gate.changed();
        board.set_stopped(gate.closed().map(|closed| format!("{} (since {:.0})", closed.reason, closed.since)));
        tokio::select! {
            () = changed => {}
            () = shutdown.cancelled() => return Ok(()),
        }
    }
}
