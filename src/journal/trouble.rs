//! A disk that cannot be written for now: said to whoever asks, and waited for.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use jiff::Timestamp;

use super::JournalError;

/// How often a disk that failed is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(3);

const UNPOISONED: &str = "no one panics while holding the sign";

/// Why nothing can be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    pub reason: String,
    pub since: Timestamp,
}

/// Where the writer shows its trouble; clones share it.
#[derive(Clone, Default)]
pub(super) struct TroubleSign {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    shown: Mutex<Shown>,
    closed: Condvar,
}

#[derive(Default)]
struct Shown {
    trouble: Option<Trouble>,
    is_closing: bool,
}

impl TroubleSign {
    pub fn get(&self) -> Option<Trouble> {
        self.inner.shown.lock().expect(UNPOISONED).trouble.clone()
    }

    /// Gives what was `done`; where a disk that fails kept it from being so, what comes of it `again`, once the disk does
    /// what it is told. `participle`: what cannot be done with the journal meanwhile.
    ///
    /// # Errors
    /// What does not pass by itself; and what would, when the journal is closing.
    pub fn wait_out<T>(
        &self,
        participle: &str,
        mut done: Result<T, JournalError>,
        mut again: impl FnMut() -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        while let Err(error) = &done
            && error.is_passing()
        {
            if self.show(Some(error.to_string())) {
                tracing::error!(%error, "nothing is uploaded until it can be {participle}");
            }
            if !self.wait(TRY_AGAIN) {
                return done;
            }
            done = again();
        }
        if done.is_ok() && self.show(None) {
            tracing::info!("the journal can be {participle} again");
        }
        done
    }

    /// Shows trouble, or that it is over; true when it began or ended with this.
    fn show(&self, reason: Option<String>) -> bool {
        let mut shown = self.inner.shown.lock().expect(UNPOISONED);
        let is_new = shown.trouble.is_some() != reason.is_some();
        let since = shown.trouble.as_ref().map_or_else(Timestamp::now, |trouble| trouble.since);
        shown.trouble = reason.map(|reason| Trouble { reason, since });
        is_new
    }

    /// Nothing more is waited for: the journal is closing.
    pub fn close(&self) {
        self.inner.shown.lock().expect(UNPOISONED).is_closing = true;
        self.inner.closed.notify_all();
    }

    /// Waits; false when the journal is closing.
    fn wait(&self, time: Duration) -> bool {
        let shown = self.inner.shown.lock().expect(UNPOISONED);
        let (shown, _) =
            self.inner.closed.wait_timeout_while(shown, time, |shown| !shown.is_closing).expect(UNPOISONED);
        !shown.is_closing
    }
}
