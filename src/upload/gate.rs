//! Whether anybody may pass. Where Flow does not know us any more, is away, or refuses everything, nobody's try is used
//! up: the gate closes for all, and opens when Flow answers as it should.
//!
//! It decides; the [`Keeper`](super::Keeper) asks Flow.

use std::collections::HashSet;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use super::disposition::Fault;
use super::streak::{Forbidden, Streak};
use crate::sample::SampleId;

/// The longest pause that a server's word is taken for.
pub(super) const LONGEST_ASKED: Duration = Duration::from_secs(24 * 3600);

/// Why nothing is uploaded, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    pub since: Timestamp,
    pub reason: String,
    /// Whether Flow refuses us, or we refuse the account; otherwise Flow is away.
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

/// What must happen before the gate opens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Remedy {
    /// A log-in, with the credentials as they are then.
    #[default]
    LogIn,
    /// An answer to a light question.
    Answer,
}

/// A handle to the gate; clones share it.
#[derive(Clone)]
pub struct Gate {
    state: watch::Sender<State>,
    ledger: Arc<Mutex<Ledger>>,
}

/// What the gate decides by.
#[derive(Default)]
struct Ledger {
    streak: Streak,
    remedy: Remedy,
    /// The server asks that nobody comes before.
    asked_until: Option<Instant>,
    /// Samples that wait for a pause of their own because of what closes the gate, or may have been its first signs.
    struck: HashSet<SampleId>,
    /// Those of them for whom the gate has opened.
    freed: Vec<SampleId>,
    /// Why it was closed before it opened last.
    closed_before: Option<Closed>,
}

impl Default for Gate {
    /// It opens with the first log-in.
    fn default() -> Self {
        Self { state: watch::Sender::new(State::NotYetOpen), ledger: Arc::default() }
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

    /// Waits until the gate is open.
    pub async fn opened(&self) {
        let _ = self.state.subscribe().wait_for(|state| *state == State::Open).await;
    }

    /// Waits until the gate is not, or no longer, open.
    pub(super) async fn shut(&self) {
        let _ = self.state.subscribe().wait_for(|state| *state != State::Open).await;
    }

    /// Keeps everybody out until a log-in succeeds.
    pub(super) fn close(&self, reason: String, is_refused: bool) {
        self.ledger().remedy = Remedy::LogIn;
        self.set_closed(reason, is_refused);
    }

    /// Takes in a fault of the server or the network that a sample met; true when the gate is closed now.
    pub(super) fn fault(&self, sample: &SampleId, fault: &Fault) -> bool {
        let mut ledger = self.ledger();
        ledger.struck.insert(sample.clone());
        let trips = ledger.streak.fault(sample, fault.whose);
        if let Some(after) = fault.after {
            ledger.ask_for(after);
        }
        if *self.state.borrow() != State::Open {
            // What was under way when it closed says nothing new.
            return true;
        }
        if trips {
            ledger.remedy = Remedy::Answer;
            drop(ledger);
            self.set_closed(fault.error.clone(), false);
        }
        trips
    }

    /// Takes in a 403 that a sample met. `others` is how many other samples are under way or wait for their turn.
    pub(super) fn forbidden(&self, sample: &SampleId, error: &str, others: usize) -> Forbidden {
        let mut ledger = self.ledger();
        let forbidden = ledger.streak.forbidden(sample, others);
        match forbidden {
            Forbidden::Again => drop(ledger.struck.insert(sample.clone())),
            Forbidden::ThisSample => {}
            Forbidden::Everybody => {
                drop(ledger);
                let remedy = "give the account the right to upload, or use the credentials of one that has it";
                self.close(format!("Flow forbids every upload: {error}; {remedy}"), true);
            }
        }
        forbidden
    }

    /// Flow acknowledged a chunk of a sample.
    pub(super) fn acknowledged(&self, sample: &SampleId) {
        let mut ledger = self.ledger();
        ledger.streak.acknowledged(sample);
        ledger.struck.remove(sample);
        if let Some(closed) = ledger.closed_before.take() {
            tracing::info!(since = %closed.since, "uploading goes on");
        }
    }

    /// The samples that need not wait any longer, since the gate has opened; each is told once.
    pub(super) fn take_freed(&self) -> Vec<SampleId> {
        std::mem::take(&mut self.ledger().freed)
    }

    pub(super) fn remedy(&self) -> Remedy {
        self.ledger().remedy
    }

    /// Whether a chunk was acknowledged since the gate opened last.
    pub(super) fn has_progressed(&self) -> bool {
        self.ledger().streak.has_progressed()
    }

    /// Until when the server asks to be left alone.
    pub(super) fn asked_until(&self) -> Option<Instant> {
        self.ledger().asked_until
    }

    /// Flow's answer was not what it should be: it stays closed, for this reason now.
    pub(super) fn stay_closed(&self, reason: String, is_refused: bool, after: Option<Duration>) {
        if let Some(after) = after {
            self.ledger().ask_for(after);
        }
        self.set_closed(reason, is_refused);
    }

    /// Lets everybody pass.
    pub(super) fn open(&self) {
        let mut ledger = self.ledger();
        ledger.streak.opened();
        ledger.asked_until = None;
        let struck = std::mem::take(&mut ledger.struck);
        ledger.freed.extend(struck);
        let is_another_try = ledger.closed_before.is_some();
        match self.state.send_replace(State::Open) {
            State::Closed(closed) => {
                if !is_another_try {
                    tracing::info!(since = %closed.since, "uploading is tried again");
                }
                ledger.closed_before = Some(closed);
            }
            State::NotYetOpen | State::Open => tracing::info!("logged in to Flow"),
        }
    }

    fn set_closed(&self, reason: String, is_refused: bool) {
        // Opened in vain in between, it has been closed all the time.
        let before = self.closed().or_else(|| self.ledger().closed_before.clone());
        let since = before.as_ref().map_or_else(Timestamp::now, |closed| closed.since);
        let closed = Closed { since, reason: reason.clone(), is_refused };
        self.state.send_replace(State::Closed(closed.clone()));
        if before.as_ref() != Some(&closed) {
            tracing::error!(reason, "uploading is stopped");
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger {
    fn ask_for(&mut self, after: Duration) {
        let until = Instant::now() + after.min(LONGEST_ASKED);
        self.asked_until = Some(self.asked_until.map_or(until, |asked| asked.max(until)));
    }
}

#[cfg(test)]
mod tests {
    use super::super::disposition::Whose;
    use super::*;
    use crate::sample::{Kind, SampleKey};

    fn id(n: u32) -> SampleId {
        SampleKey { kind: Kind::Data, watch: "w".to_owned(), run: "r".to_owned(), name: n.to_string() }.id()
    }

    fn fault(whose: Whose, after: Option<u64>) -> Fault {
        Fault { whose, after: after.map(Duration::from_secs), error: "away".to_owned() }
    }

    #[tokio::test(start_paused = true)]
    async fn it_closes_for_all_and_frees_those_that_it_kept_waiting() {
        let gate = Gate::default();
        gate.open();
        assert!(!gate.fault(&id(1), &fault(Whose::Servers, None)));
        assert!(!gate.fault(&id(2), &fault(Whose::Doubtful, None)));
        assert_eq!((gate.closed(), gate.take_freed()), (None, Vec::new()));
        assert!(gate.fault(&id(3), &fault(Whose::Doubtful, None)));
        let closed = gate.closed().unwrap();
        assert_eq!((closed.reason.as_str(), closed.is_refused), ("away", false));
        assert_eq!(gate.remedy(), Remedy::Answer);
        // Another that was under way changes nothing of why and since when.
        assert!(gate.fault(&id(4), &Fault { error: "away, too".to_owned(), ..fault(Whose::Everybodys, None) }));
        assert_eq!(gate.closed(), Some(closed));
        gate.open();
        let freed: HashSet<SampleId> = gate.take_freed().into_iter().collect();
        assert_eq!(freed, HashSet::from([id(1), id(2), id(3), id(4)]));
        assert_eq!((gate.closed(), gate.take_freed()), (None, Vec::new()));
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_pause_that_was_asked_for_holds() {
        let gate = Gate::default();
        gate.open();
        assert!(gate.fault(&id(1), &fault(Whose::Everybodys, Some(60))));
        assert!(gate.fault(&id(2), &fault(Whose::Everybodys, Some(20))));
        assert_eq!(gate.asked_until(), Some(Instant::now() + Duration::from_secs(60)));
        gate.stay_closed("still away".to_owned(), false, Some(Duration::from_secs(90)));
        assert_eq!(gate.asked_until(), Some(Instant::now() + Duration::from_secs(90)));
        assert!(gate.fault(&id(2), &fault(Whose::Everybodys, Some(u64::MAX))));
        assert_eq!(gate.asked_until(), Some(Instant::now() + LONGEST_ASKED));
        gate.open();
        assert_eq!(gate.asked_until(), None);
    }

    #[tokio::test]
    async fn three_samples_that_are_forbidden_stop_all_and_are_not_blocked() {
        let gate = Gate::default();
        gate.open();
        assert_eq!(gate.forbidden(&id(1), "Not yours", 5), Forbidden::Again);
        assert_eq!(gate.forbidden(&id(2), "Not yours", 5), Forbidden::Again);
        assert_eq!(gate.forbidden(&id(3), "Not yours", 5), Forbidden::Everybody);
        let closed = gate.closed().unwrap();
        assert!(closed.is_refused && closed.reason.contains("Not yours"), "{closed:?}");
        assert_eq!(gate.remedy(), Remedy::LogIn);
    }
}
