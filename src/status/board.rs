//! What the journal does not hold: how the watches are, what is left out, and whether anything can be uploaded. Other
//! rooms pin it up; the snapshot reads it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::snapshot::{LeftOut, WatchStatus};

/// So many left out files are shown; an instrument's folder can hold millions.
const SHOWN: usize = 10_000;

/// A handle to the board; clones share it.
#[derive(Clone, Default)]
pub struct Board {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    watches: BTreeMap<String, WatchStatus>,
    /// By watch, and by run; the run is empty for what lies in none.
    left_out: BTreeMap<(String, String), Vec<LeftOut>>,
    stopped: Option<String>,
}

impl Board {
    pub fn set_watch(&self, watch: WatchStatus) {
        self.inner().watches.insert(watch.name.clone(), watch);
    }

    /// What of a run, or of a watch outside of any run, no rule takes.
    pub fn set_left_out(&self, watch: &str, run: &str, left_out: Vec<LeftOut>) {
        let key = (watch.to_owned(), run.to_owned());
        if left_out.is_empty() {
            self.inner().left_out.remove(&key);
        } else {
            self.inner().left_out.insert(key, left_out);
        }
    }

    /// Why nothing can be uploaded; `None` when it can.
    pub fn set_stopped(&self, reason: Option<String>) {
        self.inner().stopped = reason;
    }

    pub(super) fn read(&self) -> (Vec<WatchStatus>, Vec<LeftOut>, Option<String>) {
        let inner = self.inner();
        let left_out = inner.left_out.values().flatten().take(SHOWN).cloned().collect();
        (inner.watches.values().cloned().collect(), left_out, inner.stopped.clone())
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().expect("no one panics while holding the board")
    }
}
