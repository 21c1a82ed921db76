//! Blocking work on files that may lie on a share that hangs. A read that hangs cannot be called back: it is left behind
//! with its thread, the sample that it was for is put off, and until it returns nothing more is read for its watch.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::parts::PartError;
use crate::observation::open_at_once;

/// How long a single read or look may take before its share is taken to hang.
const PATIENCE: Duration = Duration::from_secs(60);

const UNPOISONED: &str = "no one panics while holding this";

/// Opens a file for reading.
type Open = Arc<dyn Fn(&Path) -> io::Result<File> + Send + Sync>;

/// The way to the files; clones share what they know of shares that hang.
#[derive(Clone)]
pub struct Disk {
    patience: Duration,
    open: Open,
    /// By watch: how many reads hang, and at which file the first of them.
    hanging: Arc<Mutex<HashMap<String, (usize, PathBuf)>>>,
}

impl Default for Disk {
    fn default() -> Self {
        // What is no file is told by its look.
        Self::new(PATIENCE, open_at_once)
    }
}

impl Disk {
    pub(super) fn new(patience: Duration, open: impl Fn(&Path) -> io::Result<File> + Send + Sync + 'static) -> Self {
        Self { patience, open: Arc::new(open), hanging: Arc::default() }
    }

    /// The file at which a read for this watch hangs.
    pub(super) fn hangs_at(&self, watch: &str) -> Option<PathBuf> {
        self.hanging.lock().expect(UNPOISONED).get(watch).map(|(_, path)| path.clone())
    }

    /// Does blocking work for a watch, for as long as it gets further.
    ///
    /// # Errors
    /// [`PartError::Hangs`], also at once when other work for the watch hangs already; [`PartError::Stopped`].
    pub(super) async fn work<T: Send + 'static>(
        &self,
        watch: &str,
        stopping: &CancellationToken,
        work: impl FnOnce(&Pulse) -> Result<T, PartError> + Send + 'static,
    ) -> Result<T, PartError> {
        if let Some(path) = self.hangs_at(watch) {
            return Err(PartError::Hangs { path });
        }
        let pulse = Arc::new(Pulse::new(self.open.clone()));
        let theirs = pulse.clone();
        let mut working = tokio::task::spawn_blocking(move || work(&theirs));
        let mut beats = 0;
        loop {
            tokio::select! {
                done = &mut working => match done {
                    Ok(done) => return done,
                    Err(panic) => std::panic::resume_unwind(panic.into_panic()),
                },
                () = tokio::time::sleep(self.patience) => {}
                () = stopping.cancelled() => {
                    pulse.is_given_up.store(true, Ordering::Relaxed);
                    return Err(PartError::Stopped);
                }
            }
            let now = pulse.beats.load(Ordering::Relaxed);
            if now != beats {
                beats = now;
                continue;
            }
            pulse.is_given_up.store(true, Ordering::Relaxed);
            let path = pulse.at.lock().expect(UNPOISONED).clone();
            self.leave_behind(watch.to_owned(), path.clone(), working);
            return Err(PartError::Hangs { path });
        }
    }

    /// Keeps the watch back until the work returns.
    fn leave_behind<T: Send + 'static>(&self, watch: String, path: PathBuf, working: tokio::task::JoinHandle<T>) {
        tracing::error!(watch, path = %path.display(), "a read hangs; nothing of this watch is uploaded until it returns");
        let hanging = self.hanging.clone();
        hanging.lock().expect(UNPOISONED).entry(watch.clone()).or_insert((0, path)).0 += 1;
        tokio::spawn(async move {
            // What it came to is of no use any more.
            let _ = working.await;
            let mut hanging = hanging.lock().expect(UNPOISONED);
            if let Some((count, _)) = hanging.get_mut(&watch) {
                *count -= 1;
                if *count == 0 {
                    hanging.remove(&watch);
                    tracing::info!(watch, "the read that hung has returned");
                }
            }
        });
    }
}

/// What work shows of itself while it is done, and what it does it with.
pub(super) struct Pulse {
    open: Open,
    beats: AtomicU64,
    at: Mutex<PathBuf>,
    is_given_up: AtomicBool,
}

impl Pulse {
    fn new(open: Open) -> Self {
        Self { open, beats: AtomicU64::new(0), at: Mutex::default(), is_given_up: AtomicBool::new(false) }
    }

    /// Says that the work got to this file, or further in it.
    ///
    /// # Errors
    /// When nobody waits for the work any more.
    pub fn beat(&self, path: &Path) -> Result<(), PartError> {
        self.beats.fetch_add(1, Ordering::Relaxed);
        let mut at = self.at.lock().expect(UNPOISONED);
        if *at != path {
            *at = path.to_owned();
        }
        if self.is_given_up.load(Ordering::Relaxed) { Err(PartError::Stopped) } else { Ok(()) }
    }

    pub fn open(&self, path: &Path) -> io::Result<File> {
        (self.open)(path)
    }
}
