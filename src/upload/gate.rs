//! Whether Flow takes anything from us at all. When it does not know us any more, nobody's try is used up: the gate
//! closes for all, and opens when a log-in succeeds.

use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;
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

/// Whether anybody may pass.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// The first log-in is not over.
    NotYetOpen,
    Open,
    Closed(Closed),
}

/// A handle to the gate; clones share it.
#[derive(Clone)]
pub struct Gate {
    state: watch::Sender<State>,
}

impl Default for Gate {
    /// It opens with the first log-in.
    fn default() -> Self {
        Self { state: watch::Sender::new(State::NotYetOpen) }
    }
}

impl Gate {
    /// Why it is closed, if it is.
    pub fn closed(&self) -> Option<Closed> {
        match &*self.state.borrow() {
            State::Closed(closed) => Some(closed.clone()),
            State::NotYetOpen | State::Open => None,
        }
    }

    /// Ends when the gate opens, closes, or closes for another reason, from this call on.
    pub fn changed(&self) -> impl Future<Output = ()> + use<> {
        let mut state = self.state.subscribe();
        async move {
            // An error means that the gate is gone, which is a change as well.
            let _ = state.changed().await;
        }
    }

    /// Keeps everybody out until a log-in succeeds.
    pub fn close(&self, reason: String, is_refused: bool) {
        let since = self.closed().map_or_else(Timestamp::now, |closed| closed.since);
        let news = State::Closed(Closed { since, reason: reason.clone(), is_refused });
        if self.state.send_replace(news.clone()) != news {
            tracing::error!(reason, "uploading is stopped");
        }
    }

    /// Waits until the gate is open.
    pub async fn opened(&self) {
        let _ = self.state.subscribe().wait_for(|state| *state == State::Open).await;
    }

    /// Logs in whenever the gate is closed, until `shutdown`: at once, when the file with the credentials changes, and
    /// with growing pauses all the same, since the fault may be the server's.
    pub async fn keep(&self, client: &Client, source: &CredentialSource, shutdown: &CancellationToken) {
        let mut state = self.state.subscribe();
        let mut opened: Option<(Instant, Option<Fingerprint>)> = None;
        let mut pause = LOOK;
        loop {
            tokio::select! {
                _ = state.wait_for(|state| *state != State::Open) => {}
                () = shutdown.cancelled() => return,
            }
            let is_hasty = opened.is_some_and(|(at, seen)| at.elapsed() < LONGEST_PAUSE && seen == look(source));
            let healed = async {
                if is_hasty {
                    // The log-in is taken, and what comes after it is not: no request a moment, for ever.
                    if let (Some(closed), true) = (self.closed(), pause > LOOK * 2) {
                        self.close(closed.reason, true);
                    }
                    rest(source, look(source), pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                } else {
                    pause = LOOK;
                }
                self.heal(client, source).await;
            };
            tokio::select! {
                () = healed => opened = Some((Instant::now(), look(source))),
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
                    self.state.send_replace(State::Open);
                    return;
                }
                Err(error) => self.close(error.to_string(), is_refusal(&error)),
            }
            rest(source, seen, pause).await;
            pause = if look(source) == seen { (pause * 2).min(LONGEST_PAUSE) } else { LOOK };
        }
    }
}

/// Waits for so long, or until the file with the credentials is not what was `seen`.
async fn rest(source: &CredentialSource, seen: Option<Fingerprint>, pause: Duration) {
    let mut waited = Duration::ZERO;
    while waited < pause && look(source) == seen {
        tokio::time::sleep(LOOK).await;
        waited += LOOK;
    }
}

/// `GET /me` is the test: a bad token is taken without a word by the search endpoints.
async fn log_in(client: &Client, source: &CredentialSource) -> Result<(), Error> {
    source.log_in(client).await?;
    match client.me().await {
        // A server without the question cannot answer it; the uploads will tell.
        Err(error) if error.status() == Some(404) => Ok(()),
        answer => answer.map(|_| ()),
    }
}

/// Whether the credentials are at fault, rather than the way to the server.
pub fn is_refusal(error: &Error) -> bool {
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
