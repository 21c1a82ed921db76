//! The agent: builds the rooms, starts a few named tasks, and brings them to an end together. No domain logic.

mod assembler;
pub mod by_hand;
mod conditions;
mod contents;
mod once;

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch as signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::flow::{self, Client};
use crate::journal::{Journal, JournalError};
use crate::sample::BY_HAND;
use crate::status::{self, Board, Identity, Snapshot, SocketError};
use crate::upload::{Account, Disk, Gate, Keeper, Pool};
use crate::watch;

use assembler::{Assembler, Report};
use once::Once;

/// News that may wait for assembly before a watch waits for it.
const NEWS_WAITING: usize = 4;
/// A little longer than the pool takes to drain.
const LONGEST_END: Duration = Duration::from_secs(12);

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
}

impl Agent {
    /// Opens the state folder and prepares the client; sends nothing yet.
    ///
    /// # Errors
    /// When another agent holds the state folder, the journal cannot be opened, or no client can be built.
    pub fn open(config: Config) -> Result<Self, AgentError> {
        let journal = Journal::open(&config.state_dir)?;
        let client = Self::client(&config)?;
        let (board, gate) = (Board::default(), Gate::default());
        Ok(Self { config, journal, board, gate, client, accepts_another_account: false })
    }

    /// Lets the account of the first log-in go on with the state folder, whoever's it was.
    #[must_use]
    pub fn accept_account(self) -> Self {
        Self { accepts_another_account: true, ..self }
    }

    /// The client that a config asks for, not yet logged in.
    ///
    /// # Errors
    /// When none can be built.
    pub fn client(config: &Config) -> Result<Client, flow::Error> {
        config.flow.client()
    }

    /// The journal, for those who show how things go.
    pub fn journal(&self) -> &Journal {
        &self.journal
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
        let (look_again, mut to_look_again) = mpsc::unbounded_channel::<String>();
        let (compare, to_compare) = mpsc::unbounded_channel();
        let mut lookers = HashMap::new();
        let mut reports = Vec::new();
        for watched in &self.config.watches {
            let name = watched.watch.name.clone();
            let wake = Arc::new(Notify::new());
            let (news, to_assemble) = mpsc::channel(NEWS_WAITING);
            let remembered = watch::Remembered {
                baseline: self.journal.baseline(&name)?,
                observations: self.journal.observations(&name)?,
            };
            let (assembler, report) =
                Assembler::new(watched, self.journal.clone(), self.board.clone(), wake.clone(), compare.clone())?;
            reports.push(report);
            let (recheck, to_recheck) = mpsc::unbounded_channel();
            lookers.insert(name.clone(), recheck);
            let (settings, shutdown) = (watched.watch.clone(), stop.clone());
            tasks.spawn(format!("watch {name}"), stop, async move {
                Ok(watch::run(settings, remembered, news, wake, shutdown).await?)
            });
            tasks.spawn(format!("assembly {name}"), stop, assembler.run(to_assemble, to_recheck, stop.clone()));
        }

        let disk = Disk::default();
        let comparing = contents::compare(self.journal.clone(), to_compare, disk.clone(), stop.clone());
        tasks.spawn("contents".to_owned(), stop, comparing);
        let shutdown = stop.clone();
        tasks.spawn("look again".to_owned(), stop, async move {
            loop {
                let watch = tokio::select! {
                    Some(watch) = to_look_again.recv() => watch,
                    () = shutdown.cancelled() => return Ok(()),
                };
                if let Some(recheck) = lookers.get(&watch) {
                    // A receiver that is gone has its task's end reported elsewhere.
                    let _ = recheck.send(());
                }
            }
        });
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
            Ok(status::serve(journal, board, identity, &state_dir, listen, shutdown).await?)
        });
        Ok(reports)
    }
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

/// The agent's tasks, by name.
#[derive(Default)]
struct Tasks {
    set: JoinSet<Result<(), AgentError>>,
    names: HashMap<tokio::task::Id, String>,
}

impl Tasks {
    /// Starts a task that ends well only after `stop`.
    fn spawn(
        &mut self,
        name: String,
        stop: &CancellationToken,
        task: impl Future<Output = Result<(), AgentError>> + Send + 'static,
    ) {
        let stop = stop.clone();
        let task_name = name.clone();
        let handle = self.set.spawn(async move {
            match task.await {
                Ok(()) if !stop.is_cancelled() => Err(AgentError::Task { task: task_name, reason: None }),
                ended => ended,
            }
        });
        self.names.insert(handle.id(), name);
    }

    /// Waits for a task to fail.
    async fn first_to_end(&mut self) -> AgentError {
        loop {
            match self.set.join_next_with_id().await {
                Some(ended) => {
                    if let Err(error) = self.outcome(ended) {
                        return error;
                    }
                }
                None => std::future::pending().await,
            }
        }
    }

    /// Waits for all to end.
    async fn drain(&mut self) -> Result<(), AgentError> {
        let mut first = Ok(());
        while let Some(ended) = self.set.join_next_with_id().await {
            first = first.and(self.outcome(ended));
        }
        first
    }

    fn outcome(&mut self, ended: Ended) -> Result<(), AgentError> {
        let id = ended.as_ref().map_or_else(tokio::task::JoinError::id, |(id, _)| *id);
        let task = self.names.remove(&id).unwrap_or_default();
        match ended {
            Ok((_, ended)) => ended.inspect_err(|error| tracing::error!(task, %error, "a task cannot go on")),
            Err(panic) => Err(AgentError::Task { task, reason: Some(panic.to_string()) }),
        }
    }
}

type Ended = Result<(tokio::task::Id, Result<(), AgentError>), tokio::task::JoinError>;
