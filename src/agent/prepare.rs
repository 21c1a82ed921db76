//! Settings that are read anew, and what they would do: worked out beside the work of the watches, since a folder that is
//! looked at for it may hang.

use std::collections::BTreeMap;
use std::future::pending;

use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;

use super::assembler::Request;
use super::reload::{self, Reload};
use super::tasks::blocking;
use crate::config::{self, Config, WatchConfig};
use crate::journal::Journal;
use crate::status::{Answer, Refusal};

/// Settings that were read and found sound, and what they would do.
pub(super) struct Prepared {
    pub config: Config,
    pub document: Reload,
}

/// Who wants to know.
pub(super) enum Asker {
    /// A command, which shows it to a person and may have it taken.
    Command(oneshot::Sender<Answer>),
    /// A signal: it is shown in the log, and taken.
    Signal,
}

/// What is being worked out. It ends with this.
pub(super) struct Preparing {
    asker: Asker,
    work: AbortOnDropHandle<Result<Prepared, Refusal>>,
}

/// What is taken now, and the watches by it.
pub(super) struct Outlook {
    pub config: Config,
    pub journal: Journal,
    pub watches: BTreeMap<String, (WatchConfig, mpsc::UnboundedSender<Request>)>,
}

impl Preparing {
    pub fn begin(outlook: Outlook, asker: Asker) -> Self {
        Self { asker, work: AbortOnDropHandle::new(tokio::spawn(outlook.prepare())) }
    }

    /// Gives what came of it, once it has; never, where nothing is being worked out.
    pub async fn ended(preparing: &mut Option<Self>) -> (Asker, Result<Prepared, Refusal>) {
        let prepared = match preparing {
            Some(Self { work, .. }) => work.await.unwrap_or_else(|panic| Err(Refusal::Failed(panic.to_string()))),
            None => pending().await,
        };
        let Self { asker, .. } = preparing.take().expect("it was there while it was waited for");
        (asker, prepared)
    }

    /// Somebody else asks.
    pub fn give_up(self) {
        let reason = "another reload was asked for meanwhile; reload once more".to_owned();
        match self.asker {
            // Who asked may have gone away meanwhile.
            Asker::Command(answer) => drop(answer.send(Err(Refusal::Refused(reason)))),
            Asker::Signal => tracing::warn!("the changed settings are not taken: {reason}"),
        }
    }
}

impl Outlook {
    /// Reads the settings anew and says what they would do.
    async fn prepare(self) -> Result<Prepared, Refusal> {
        let file = self.config.file.clone();
        let new = blocking("settings", move || config::load(&file)).await.map_err(failed)?;
        let new = new.map_err(|error| Refusal::Refused(format!("what was taken before goes on:\n{error}")))?;
        let mut document = Reload::between(&self.config, &new);
        for watched in &new.watches {
            let old = self.watches.get(&watched.watch.name);
            if old.is_some_and(|(old, _)| old == watched) {
                continue;
            }
            let foreseen = match old {
                Some((old, requests)) if old.watch == watched.watch => {
                    let (answer, answered) = oneshot::channel();
                    let _ = requests.send(Request::Foresee { watched: Box::new(watched.clone()), answer });
                    answered.await.map_err(|_| Refusal::Failed("the watch is ending".to_owned()))?
                }
                _ => reload::look(watched, &self.journal).await,
            };
            let foreseen = foreseen.map_err(failed)?;
            let records = reload::records_of(&self.journal, &watched.watch.name).map_err(failed)?;
            document.add(&watched.watch.name, records, foreseen);
        }
        for name in document.removed() {
            document.leave(&name, &reload::records_of(&self.journal, &name).map_err(failed)?);
        }
        document.finish();
        Ok(Prepared { config: new, document })
    }
}

fn failed(error: impl std::fmt::Display) -> Refusal {
    Refusal::Failed(error.to_string())
}
