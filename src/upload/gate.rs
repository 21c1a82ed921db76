//! Whether Flow takes anything from us at all. When it does not know us any more, nobody's try is used up: the gate
//! closes for all, and opens when a log-in succeeds.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::flow::{Client, CredentialSource, Error};
use crate::sample::Fingerprint;

/// How often the credentials' file is looked at while the gate is closed.
const LOOK: Duration = Duration::from_secs(1);
/// The longest pause between log-ins with unchanged credentials.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Why nothing is uploaded, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    pub since: Timestamp,
    pub reason: String,
    /// Whether Flow refused the credentials; otherwise it could not be asked.
    pub is_refused: bool,
}

/// A handle to the gate; clones share it.
#[derive(Clone)]
pub struct Gate {
    state: watch::Sender<Option<Closed>>,
}

impl Default for Gate {
    /// A closed gate: it opens with the first log-in.
    fn default() -> Self {
        let reason = "not yet logged in".to_owned();
        Self { state: watch::Sender::new(Some(Closed { since: Timestamp::now(), reason, is_refused: false })) }
    }
}

impl Gate {
    /// Why it is closed; `None` while it is open.
    pub fn closed(&self) -> Option<Closed> {
        self.state.borrow().clone()
    }

    /// Wakes when the gate opens or closes.
    pub fn changes(&self) -> watch::Receiver<Option<Closed>> {
        self.state.subscribe()
    }

    /// Keeps everybody out until a log-in succeeds.
    pub fn close(&self, reason: String, is_refused: bool) {
        self.state.send_modify(|state| {
            let since = state.as_ref().map_or_else(Timestamp::now, |closed| closed.since);
            let news = Closed { since, reason, is_refused };
            if state.as_ref() != Some(&news) {
                tracing::error!(reason = news.reason, "uploading is stopped");
            }
            *state = Some(news);
        });
    }

    /// Waits until the gate is open.
    pub async fn opened(&self) {
        // The sender lives in `self`, so the wait ends only with the gate open.
        let _ = self.state.subscribe().wait_for(Option::is_none).await;
    }

    /// Logs in whenever the gate is closed, until `shutdown`: at once, when the file with the credentials changes, and
    /// with growing pauses all the same, since the fault may be the server's.
    pub async fn keep(&self, client: &Client, source: &CredentialSource, shutdown: &CancellationToken) {
        let mut changes = self.changes();
        loop {
            let is_closed = tokio::select! {
                closed = changes.wait_for(Option::is_some) => closed.is_ok(),
                () = shutdown.cancelled() => return,
            };
            if !is_closed {
                return;
            }
            tokio::select! {
                () = self.heal(client, source) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    async fn heal(&self, client: &Client, source: &CredentialSource) {
        let mut pause = LOOK;
        loop {
            let seen = look(source);
            match log_in(client, source).await {
                Ok(()) => {
                    tracing::info!("logged in to Flow");
                    self.state.send_replace(None);
                    return;
                }
                Err(error) => self.close(error.to_string(), is_refusal(&error)),
            }
            let mut waited = Duration::ZERO;
            while waited < pause && look(source) == seen {
                tokio::time::sleep(LOOK).await;
                waited += LOOK;
            }
            pause = if look(source) == seen { (pause * 2).min(LONGEST_PAUSE) } else { LOOK };
        }
    }
}

/// `GET /me` is the test: a bad token is taken without a word by the search endpoints.
async fn log_in(client: &Client, source: &CredentialSource) -> Result<(), Error> {
    source.log_in(client).await?;
    client.me().await?;
    Ok(())
}

/// Whether the credentials are at fault, rather than the way to the server.
pub(super) fn is_refusal(error: &Error) -> bool {
    match error {
        Error::Credentials(_) => true,
        Error::Refused(api) => matches!(api.status, 400 | 401 | 403 | 422),
        _ => false,
    }
}

fn look(source: &CredentialSource) -> Option<Fingerprint> {
    let metadata = std::fs::metadata(source.file()?).ok()?;
    Some(Fingerprint::of(&metadata))
}
