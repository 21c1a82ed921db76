//! Native events: where the next look should go, and no more. A lost event costs time, never data.
//!
//! Each folder is watched by itself, just before it is listed, so nothing falls between the two; notify's own
//! recursion misses files of new folders, and gives up at the first folder that cannot be read.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, INotifyWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

/// How many paths wait for a look at most. Beyond that, one scan is cheaper than so many looks.
const CAPACITY: usize = 4096;

/// Where events leave their paths until the next look. A set, so that a thousand events of one file are one path;
/// bounded, so that when it is full, a path is dropped and a scan asked for instead.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    hints: Mutex<Hints>,
    /// Rung when there is something to look at.
    pub bell: Notify,
    /// Rung when a file is being written. There is no hurry, and no end: writers hold files open for hours.
    pub murmur: Notify,
}

/// Absolute paths to look at.
#[derive(Debug, Default)]
pub(super) struct Hints {
    pub paths: HashSet<PathBuf>,
    /// Files that are being written.
    pub written: HashSet<PathBuf>,
    /// Events were lost: everything needs a look.
    pub lost: bool,
}

impl Mailbox {
    /// Empties the box.
    pub fn take(&self) -> Hints {
        std::mem::take(&mut *self.hints())
    }

    /// Sorts an event in. Runs on notify's own thread, which must not be kept waiting.
    pub fn receive(&self, event: notify::Result<Event>) {
        let event = match event {
            // Lost events come without a path, so this is asked first.
            Ok(event) if !event.need_rescan() => event,
            _ => {
                self.hints().lost = true;
                self.bell.notify_one();
                return;
            }
        };
        let written = match event.kind {
            EventKind::Create(_) | EventKind::Remove(_) => false,
            EventKind::Modify(ModifyKind::Name(_) | ModifyKind::Metadata(_)) => false,
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => false,
            EventKind::Modify(ModifyKind::Data(_)) => true,
            // Opening and reading: our own scan makes two of these a folder. To act on them is never to end.
            _ => return,
        };
        let mut hints = self.hints();
        for path in event.paths {
            if hints.paths.len() + hints.written.len() >= CAPACITY {
                hints.lost = true;
            } else if written {
                hints.written.insert(path);
            } else {
                hints.paths.insert(path);
            }
        }
        let bell = if written && !hints.lost { &self.murmur } else { &self.bell };
        bell.notify_one();
    }

    fn hints(&self) -> MutexGuard<'_, Hints> {
        self.hints.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The native watches on the folders under one root.
pub(super) struct Watches {
    watcher: INotifyWatcher,
    root: PathBuf,
    trouble: Option<String>,
}

impl Watches {
    /// Opens the kernel's event queue. `root` is the watch's path as a person knows it, for texts.
    ///
    /// # Errors
    /// A sentence for a person.
    pub fn open(root: &Path, mailbox: Arc<Mailbox>) -> Result<Watches, String> {
        let watcher = INotifyWatcher::new(move |event| mailbox.receive(event), notify::Config::default());
        let root = root.to_owned();
        match watcher {
            Ok(watcher) => Ok(Watches { watcher, root, trouble: None }),
            Err(error) => Err(format!(
                "cannot watch {}: {error}; raise fs.inotify.max_user_instances, or set mode: poll",
                root.display()
            )),
        }
    }

    /// Watches a folder; to do it again costs little and heals a watch that was lost with a moved folder.
    pub fn add(&mut self, folder: &Path) {
        if self.trouble.is_some() {
            return;
        }
        let Err(error) = self.watcher.watch(folder, RecursiveMode::NonRecursive) else { return };
        let root = self.root.display();
        self.trouble = match error.kind {
            // A folder that vanished is no trouble, and one that cannot be read is the scan's to tell.
            notify::ErrorKind::PathNotFound => None,
            notify::ErrorKind::Io(error)
                if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied) =>
            {
                None
            }
            notify::ErrorKind::MaxFilesWatch => Some(format!(
                "cannot watch {root}: inotify limit reached; raise fs.inotify.max_user_watches, or set mode: poll"
            )),
            _ => Some(format!("cannot watch {}: {error}; set mode: poll", folder.display())),
        };
    }

    /// Why some folders are not watched; they must be scanned instead.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Before a full scan, which tries every folder again.
    pub fn forget_trouble(&mut self) {
        self.trouble = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::{CreateKind, DataChange, Flag};

    fn event(kind: EventKind, path: &str) -> notify::Result<Event> {
        Ok(Event::new(kind).add_path(path.into()))
    }

    #[test]
    fn looks_by_others_and_by_ourselves_leave_no_hint() {
        let mailbox = Mailbox::default();
        for kind in [AccessKind::Open(AccessMode::Any), AccessKind::Read, AccessKind::Close(AccessMode::Read)] {
            mailbox.receive(event(EventKind::Access(kind), "/w/a"));
        }
        let hints = mailbox.take();
        assert!(hints.paths.is_empty() && hints.written.is_empty() && !hints.lost);
    }

    #[test]
    fn a_thousand_writes_are_one_hint() {
        let mailbox = Mailbox::default();
        for _ in 0..1000 {
            mailbox.receive(event(EventKind::Modify(ModifyKind::Data(DataChange::Any)), "/w/a"));
        }
        assert_eq!(mailbox.take().written.len(), 1);
    }

    #[test]
    fn a_full_box_drops_paths_and_asks_for_a_scan() {
        let mailbox = Mailbox::default();
        for n in 0..CAPACITY + 10 {
            mailbox.receive(event(EventKind::Create(CreateKind::File), &format!("/w/{n}")));
        }
        let hints = mailbox.take();
        assert_eq!(hints.paths.len(), CAPACITY);
        assert!(hints.lost);
        assert!(!mailbox.take().lost);
    }

    #[test]
    fn an_overflow_without_a_path_and_an_error_ask_for_a_scan() {
        let mailbox = Mailbox::default();
        mailbox.receive(Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan)));
        assert!(mailbox.take().lost);
        mailbox.receive(Err(notify::Error::generic("lost")));
        assert!(mailbox.take().lost);
    }
}
