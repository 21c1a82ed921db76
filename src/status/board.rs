//! What the journal does not hold: how the watches are, what is overdue, and whether anything can be uploaded. Other
//! rooms pin it up; the snapshot reads it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::snapshot::{Condition, ReloadStatus, WatchStatus};

/// A handle to the board; clones share it.
#[derive(Clone, Default)]
pub struct Board {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    watches: BTreeMap<String, WatchStatus>,
    /// By watch.
    conditions: BTreeMap<String, Vec<Condition>>,
    stopped: Option<String>,
    reload: Option<ReloadStatus>,
}

impl Board {
    pub fn set_watch(&self, watch: WatchStatus) {
        self.inner().watches.insert(watch.name.clone(), watch);
    }

    /// What is overdue, gone or suddenly empty of a watch: all of it.
    pub fn set_conditions(&self, watch: &str, conditions: Vec<Condition>) {
        self.inner().conditions.insert(watch.to_owned(), conditions);
    }

    /// What is overdue, gone or suddenly empty, by watch.
    pub(super) fn conditions(&self) -> Vec<Condition> {
        self.inner().conditions.values().flatten().cloned().collect()
    }

    /// Takes down a watch that is no longer watched.
    pub fn remove_watch(&self, name: &str) {
        let mut inner = self.inner();
        inner.watches.remove(name);
        inner.conditions.remove(name);
    }

    /// What of the settings waits to be taken; `None` when nothing does.
    pub fn set_reload(&self, reload: Option<ReloadStatus>) {
        self.inner().reload = reload;
    }

    /// Why nothing can be uploaded.
    pub fn stopped(&self) -> Option<String> {
        self.inner().stopped.clone()
    }

    pub(super) fn reload(&self) -> Option<ReloadStatus> {
        self.inner().reload.clone()
    }

    /// Why nothing can be uploaded; `None` when it can.
    pub fn set_stopped(&self, reason: Option<String>) {
        self.inner().stopped = reason;
    }

    /// The watches by name, and why nothing can be uploaded.
    pub(super) fn read(&self) -> (Vec<WatchStatus>, Option<String>) {
        let inner = self.inner();
        (inner.watches.values().cloned().collect(), inner.stopped.clone())
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().expect("no one panics while holding the board")
    }
}
