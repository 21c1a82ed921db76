//! The part of the agent that sees: one watch and one assembler for each watched folder. It can be given other settings
//! while the uploads go on, and answers what only those can tell who see the folders.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Notify, mpsc, oneshot, watch as signal};
use tokio_util::sync::CancellationToken;

use super::assembler::{Assembler, Report, Request};
use super::contents::Suspects;
use super::explain::{Explanation, Found, watch_of};
use super::prepare::{Asker, Outlook, Prepared, Preparing};
use super::reload::Reload;
use super::tasks::Tasks;
use super::unread::Taken;
use super::{AgentError, remembered};
use crate::config::{Config, WatchConfig};
use crate::journal::Journal;
use crate::status::{Answer, Ask, Board, Question, Refusal};
use crate::upload::Watches;
use crate::watch;

/// News that may wait for assembly before a watch waits for it.
const NEWS_WAITING: usize = 4;

pub(super) struct Seeing {
    /// As it was taken last, but for what takes effect at the next start.
    config: Config,
    journal: Journal,
    board: Board,
    /// What the uploads know of the watches.
    uploads: Watches,
    suspects: Suspects,
    taken: signal::Sender<Taken>,
    stop: CancellationToken,
    tasks: Tasks,
    running: BTreeMap<String, Running>,
    /// What is being foreseen.
    preparing: Option<Preparing>,
    /// What was foreseen last, and can be taken.
    prepared: Option<Prepared>,
}

/// A watched folder.
struct Running {
    watched: WatchConfig,
    stop: CancellationToken,
    requests: mpsc::UnboundedSender<Request>,
    /// Closed once its tasks have ended.
    ended: mpsc::Receiver<()>,
}

impl Seeing {
    pub fn new(
        config: Config,
        journal: Journal,
        board: Board,
        suspects: Suspects,
        taken: signal::Sender<Taken>,
        stop: CancellationToken,
    ) -> Self {
        let uploads = config.uploads.watches.clone();
        let (tasks, running) = (Tasks::default(), BTreeMap::new());
        Self { config, journal, board, uploads, suspects, taken, stop, tasks, running, preparing: None, prepared: None }
    }

    /// Starts every watch; gives how far each has come, by and by.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn begin(&mut self) -> Result<Vec<signal::Receiver<Report>>, AgentError> {
        self.config.watches.clone().iter().map(|watched| self.start(watched)).collect()
    }

    /// Goes on until the agent stops. `reload` asks for changed settings; without it none are taken.
    ///
    /// # Errors
    /// A watch or an assembler that cannot go on.
    pub async fn run(
        mut self,
        mut questions: mpsc::Receiver<Question>,
        mut look_again: mpsc::UnboundedReceiver<String>,
        reload: Option<Arc<Notify>>,
    ) -> Result<(), AgentError> {
        let stop = self.stop.clone();
        loop {
            let told = async {
                match &reload {
                    Some(told) => told.notified().await,
                    None => std::future::pending().await,
                }
            };
            let work = async {
                tokio::select! {
                    failed = self.tasks.first_to_end() => return Err(failed),
                    Some(question) = questions.recv() => self.answer(question, reload.is_some()).await?,
                    Some(watch) = look_again.recv() => {
                        if let Some(running) = self.running.get(&watch) {
                            // A receiver that is gone has its task's end reported elsewhere.
                            let _ = running.requests.send(Request::LookAgain);
                        }
                    }
                    () = told => self.prepare(Asker::Signal),
                    (asker, prepared) = Preparing::ended(&mut self.preparing) => self.show(asker, prepared).await?,
                }
                Ok(())
            };
            tokio::select! {
                done = work => done?,
                // A folder that hangs must not keep the agent from ending.
                () = stop.cancelled() => break,
            }
        }
        self.tasks.drain().await
    }

    fn start(&mut self, watched: &WatchConfig) -> Result<signal::Receiver<Report>, AgentError> {
        let name = watched.watch.name.clone();
        let wake = Arc::new(Notify::new());
        let (news, to_assemble) = mpsc::channel(NEWS_WAITING);
        let remembered = remembered(&self.journal, &name)?;
        let (journal, board) = (self.journal.clone(), self.board.clone());
        let (assembler, report) = Assembler::new(watched, journal, board, wake.clone(), self.suspects.clone())?;
        let (requests, to_do) = mpsc::unbounded_channel();
        let stop = self.stop.child_token();
        let (end, ended) = mpsc::channel(1);
        let (settings, shutdown, own_end) = (watched.watch.clone(), stop.clone(), end.clone());
        self.tasks.spawn(format!("watch {name}"), &stop, async move {
            let _end = own_end;
            Ok(watch::run(settings, remembered, news, wake, shutdown).await?)
        });
        let shutdown = stop.clone();
        self.tasks.spawn(format!("assembly {name}"), &stop, async move {
            let _end = end;
            assembler.run(to_assemble, to_do, shutdown).await
        });
        self.running.insert(name, Running { watched: watched.clone(), stop, requests, ended });
        Ok(report)
    }

    /// Stops watching a folder; nothing that waits there has its turn any more.
    async fn end(&mut self, name: &str) -> Result<(), AgentError> {
        let Some(mut running) = self.running.remove(name) else { return Ok(()) };
        running.stop.cancel();
        while running.ended.recv().await.is_some() {}
        self.journal.admit(name, false);
        self.board.remove_watch(name);
        Ok(self.journal.clear_left_out(name).await?)
    }

    async fn answer(&mut self, question: Question, is_service: bool) -> Result<(), AgentError> {
        let Question { ask, answer } = question;
        let answered = match ask {
            Ask::Explain { path } => {
                self.explain(path, answer);
                return Ok(());
            }
            Ask::Foresee | Ask::Take { .. } if !is_service => {
                Err(Refusal::Refused("a single run takes no other settings; its next start does".to_owned()))
            }
            Ask::Foresee => {
                self.prepare(Asker::Command(answer));
                return Ok(());
            }
            Ask::Take { id } => self.take(&id).await?.map(|document| in_json(&document)),
        };
        // Who asked may have gone away meanwhile.
        let _ = answer.send(answered);
        Ok(())
    }

    /// Has the watch explain a path that sees it. What lies there is found out elsewhere: a share may hang.
    fn explain(&self, path: PathBuf, answer: oneshot::Sender<Answer>) {
        let watches: Vec<WatchConfig> = self.running.values().map(|running| running.watched.clone()).collect();
        let requests = self.running.iter().map(|(name, running)| (name.clone(), running.requests.clone()));
        let requests: BTreeMap<String, _> = requests.collect();
        let journal = self.journal.clone();
        tokio::task::spawn_blocking(move || {
            let found = Found::at(&path);
            // Who asked may have gone away meanwhile, and the watch as well.
            match watch_of(&watches, &path) {
                Some((watched, below)) => {
                    let request = Request::Explain { path, below, found, answer };
                    let _ = requests[&watched.watch.name].send(request);
                }
                None => {
                    let answered = Explanation::of_no_watch(&path, found, &watches, Some(&journal), true);
                    let _ = answer.send(answered.map(|explanation| in_json(&explanation)));
                }
            }
        });
    }

    /// Begins to work out what the settings on disk would do. What somebody else asked for before is given up: a folder
    /// may hang that the settings of now leave out.
    fn prepare(&mut self, asker: Asker) {
        self.prepared = None;
        self.preparing.take().into_iter().for_each(Preparing::give_up);
        let watch =
            |(name, running): (&String, &Running)| (name.clone(), (running.watched.clone(), running.requests.clone()));
        let watches = self.running.iter().map(watch).collect();
        let outlook = Outlook { config: self.config.clone(), journal: self.journal.clone(), watches };
        self.preparing = Some(Preparing::begin(outlook, asker));
    }

    /// Shows what came of it to whoever asked.
    async fn show(&mut self, asker: Asker, prepared: Result<Prepared, Refusal>) -> Result<(), AgentError> {
        let shown = prepared.map(|prepared| self.prepared.insert(prepared).document.clone());
        match asker {
            // Who asked may have gone away meanwhile.
            Asker::Command(answer) => drop(answer.send(shown.map(|document| in_json(&document)))),
            Asker::Signal => self.take_as_told(shown).await?,
        }
        Ok(())
    }

    /// Takes what was foreseen under this id, whatever lies on disk by now.
    async fn take(&mut self, id: &str) -> Result<Result<Reload, Refusal>, AgentError> {
        let Some(Prepared { config: new, mut document }) = self.prepared.take().filter(|it| it.document.id == id)
        else {
            let reason = "what it was to take is not what it was asked about last; reload once more";
            return Ok(Err(Refusal::Refused(reason.to_owned())));
        };
        for name in document.removed() {
            self.end(&name).await?;
        }
        self.uploads.take_over(&new.uploads.watches);
        // Who corrects a manifest may have corrected what it names on Flow, too.
        self.journal.retry();
        for watched in &new.watches {
            let name = &watched.watch.name;
            match self.running.get_mut(name) {
                Some(running) if running.watched == *watched => {}
                Some(running) if running.watched.watch == watched.watch => {
                    running.watched = watched.clone();
                    let _ = running.requests.send(Request::Take { watched: Box::new(watched.clone()) });
                }
                _ => {
                    self.end(name).await?;
                    self.journal.readable().await?;
                    self.start(watched)?;
                }
            }
        }
        self.config.watches = new.watches;
        self.config.sources = new.sources;
        let Taken { sources, .. } = Taken::of(&self.config);
        let at_next_start = document.at_next_start.clone();
        self.taken.send_replace(Taken { sources, at_next_start });
        document.taken = true;
        tracing::info!(files = document.changed.join(", "), "the changed settings are taken");
        Ok(Ok(document))
    }

    /// What a signal does: shows what would change in the log, and takes it.
    async fn take_as_told(&mut self, shown: Result<Reload, Refusal>) -> Result<(), AgentError> {
        match shown {
            Ok(document) if document.changed.is_empty() => tracing::info!("no setting has changed since it was taken"),
            Ok(document) => {
                document.render().lines().for_each(|line| tracing::info!("reload: {line}"));
                if let Err(refusal) = self.take(&document.id).await? {
                    tracing::error!(?refusal, "the changed settings are not taken");
                }
            }
            Err(Refusal::Refused(reason) | Refusal::Failed(reason) | Refusal::Unknown(reason)) => {
                tracing::error!("the changed settings are refused; {reason}");
            }
        }
        Ok(())
    }
}

pub(super) fn in_json(document: &impl serde::Serialize) -> serde_json::Value {
    serde_json::to_value(document).expect("documents have no maps with other keys than strings")
}
