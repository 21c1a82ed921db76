//! Opens the gate: logs in, asks Flow whether it is back, and never more often than it ought to.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::account::{Account, LogInError};
use super::disposition::Fault;
use super::gate::{Gate, Remedy};
use crate::flow::{Client, CredentialSource, Error, NO_API_THERE};
use crate::sample::Fingerprint;

/// The first pause between questions, and how often the credentials' file is looked at in between.
const LOOK: Duration = Duration::from_secs(1);
/// The longest pause between questions, unless the server asks for a longer one.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Whoever opens the gate; one of it a gate.
pub struct Keeper {
    pub gate: Gate,
    pub client: Client,
    pub source: CredentialSource,
    pub account: Account,
}

/// When the gate was opened last, and with which credentials.
struct Opened {
    at: Instant,
    credentials: Option<Fingerprint>,
}

impl Keeper {
    /// Opens the gate whenever it is closed, until `shutdown`: a log-in is tried at once, and when the file with the
    /// credentials changes; a server that is away is asked, with growing pauses, whether it is back.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut opened: Option<Opened> = None;
        let mut pause = LOOK;
        loop {
            tokio::select! {
                () = self.gate.shut() => {}
                () = shutdown.cancelled() => return,
            }
            let healed = self.heal(opened.as_ref(), &mut pause);
            tokio::select! {
                () = healed => opened = Some(Opened { at: Instant::now(), credentials: self.look() }),
                () = shutdown.cancelled() => return,
            }
        }
    }

    async fn heal(&self, opened: Option<&Opened>, pause: &mut Duration) {
        let is_log_in = self.gate.remedy() == Remedy::LogIn;
        let mut seen = self.look();
        // Flow answers well, and what comes after that is not well: no request a moment, for ever.
        let is_hasty = opened.is_some_and(|opened| match is_log_in {
            true => opened.at.elapsed() < LONGEST_PAUSE && opened.credentials == seen,
            false => !self.gate.has_progressed(),
        });
        if !is_hasty {
            *pause = LOOK;
        } else if let (true, Some(closed)) = (is_log_in && *pause > LOOK * 2, self.gate.closed()) {
            self.gate.close(closed.reason, true);
        }
        let mut waits = is_hasty || !is_log_in;
        loop {
            if waits {
                *pause = self.rest(*pause, seen).await;
            }
            seen = self.look();
            match self.ask().await {
                Ok(()) => return self.gate.open(),
                Err(error) => {
                    let after = match &error {
                        LogInError::Flow(error) => Fault::of(error).and_then(|fault| fault.after),
                        _ => None,
                    };
                    self.gate.stay_closed(self.told(&error), error.is_refusal(), after);
                }
            }
            waits = true;
        }
    }

    /// The error, with what to do about it.
    fn told(&self, error: &LogInError) -> String {
        let LogInError::Flow(flow) = error else { return error.to_string() };
        match flow.status() {
            Some(400 | 401 | 403 | 422) => match self.source.file() {
                Some(file) => {
                    format!("{flow}; Flow does not take the credentials: put valid ones into {}", file.display())
                }
                None => format!("{flow}; Flow does not take the credentials: start again with valid ones"),
            },
            Some(404) => format!("{flow}; {NO_API_THERE}"),
            _ if matches!(flow, Error::Lost { .. }) => format!("{flow}; it is asked again"),
            _ => flow.to_string(),
        }
    }

    async fn ask(&self) -> Result<(), LogInError> {
        match self.gate.remedy() {
            Remedy::LogIn => self.account.log_in(&self.client, &self.source).await,
            Remedy::Answer => match self.account.ask(&self.client).await {
                // The token has run out meanwhile.
                Err(LogInError::Flow(error)) if error.status() == Some(401) => {
                    self.account.log_in(&self.client, &self.source).await
                }
                answer => answer,
            },
        }
    }

    /// Waits for so long, or until the file with the credentials is not what was `seen`, and in any case for as long as
    /// the server asked for. Gives the pause that comes after this one.
    async fn rest(&self, pause: Duration, seen: Option<Fingerprint>) -> Duration {
        let end = Instant::now() + pause;
        while Instant::now() < end && self.look() == seen {
            tokio::time::sleep_until(end.min(Instant::now() + LOOK)).await;
        }
        while let Some(asked) = self.gate.asked_until().filter(|asked| *asked > Instant::now()) {
            tokio::time::sleep_until(asked).await;
        }
        if self.look() == seen { (pause * 2).min(LONGEST_PAUSE) } else { LOOK }
    }

    fn look(&self) -> Option<Fingerprint> {
        let metadata = std::fs::metadata(self.source.file()?).ok()?;
        Some(Fingerprint::of(&metadata))
    }
}
