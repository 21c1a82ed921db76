//! What a watch shows of its runs: the picture that assembly works on.
//!
//! A view is a finished statement about one moment. It holds no handle on the watch, does no I/O, and can be built by
//! hand, so that whoever works on views can be tested without a file system.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::observation::{Moment, Observation};

use super::Condition;
use super::complete::Check;

/// A file of a run, as last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileView {
    /// Absolute path.
    pub path: PathBuf,
    /// Path below the run folder; in a drop folder, below the watch.
    pub below_run: PathBuf,
    pub observation: Observation,
    /// For how long the agent itself has seen the file as it is.
    pub unchanged_for: Duration,
    /// Whether a look at or after the end of the settle time found it unchanged.
    pub settled: bool,
    /// When it will have settled if nothing changes; `None` when it has.
    pub settles_in: Option<Duration>,
}

/// Whether a run may be taken, or what it waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Complete,
    Waits {
        /// For a person: "waiting for the marker CopyComplete.txt".
        reason: String,
        /// When the wait ends if nothing changes; `None` when more than the passing of time is missing.
        in_time: Option<Duration>,
    },
}

/// A run with all its files: a run folder, or a drop folder as a whole.
#[derive(Debug, Clone)]
pub struct RunView {
    /// The run folder's own name; of a drop folder, the watch's.
    pub name: String,
    /// The run folder below the watch; empty for a drop folder. Two runs of one name differ in this.
    pub folder: PathBuf,
    /// What the `run_folder` pattern captured.
    pub captures: BTreeMap<String, String>,
    /// Sorted by path.
    pub files: Vec<FileView>,
    /// When the agent first saw the run; after a restart, its oldest remembered file.
    pub first_seen: Moment,
    /// For how long nothing in the run has changed, come or gone, confirmed by a look at all of it.
    pub quiet_for: Duration,
    /// Folders and files of the run, below the watch, that cannot be read now.
    pub unreadable: Vec<PathBuf>,
    /// The completeness condition, its markers looked for already.
    check: Check,
    /// The verdict over the whole run; a run folder has no other.
    whole: Verdict,
}

impl RunView {
    /// Builds a view; `files` are sorted here. An empty `folder` makes it a drop folder.
    pub fn new(
        name: String,
        folder: PathBuf,
        captures: BTreeMap<String, String>,
        mut files: Vec<FileView>,
        first_seen: Moment,
        quiet_for: Duration,
        complete_when: &Condition,
    ) -> Self {
        files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        let check = Check::new(complete_when, &files);
        let whole = check.judge(&files.iter().collect::<Vec<_>>(), Some(quiet_for));
        Self { name, folder, captures, files, first_seen, quiet_for, unreadable: Vec::new(), check, whole }
    }

    /// Adds what of the run cannot be read. A run folder with a blind spot waits: what lies there may belong to it.
    /// A drop folder goes on, since its samples have nothing to do with each other.
    pub fn with_unreadable(mut self, unreadable: Vec<PathBuf>) -> Self {
        if let Some(path) = unreadable.first()
            && !self.is_drop_folder()
        {
            let reason = format!("cannot read {}; make it readable to the agent, or ignore it", path.display());
            self.whole = Verdict::Waits { reason, in_time: None };
        }
        self.unreadable = unreadable;
        self
    }

    pub fn is_drop_folder(&self) -> bool {
        self.folder.as_os_str().is_empty()
    }

    /// Whether a file says that the run is complete, rather than belonging to a sample.
    pub fn is_marker(&self, file: &FileView) -> bool {
        self.check.is_marker(&file.below_run)
    }

    /// Whether nothing ever says that no more files will come: a drop folder without a marker or a quiet time.
    pub fn is_endless(&self) -> bool {
        self.is_drop_folder() && !self.check.tells_an_end()
    }

    /// Whether something tells when the run is over, so that what comes later is new.
    pub fn tells_its_end(&self) -> bool {
        !self.is_drop_folder() && self.check.tells_an_end()
    }

    /// Whether a sample made of `group`, files of this view, may be taken.
    ///
    /// A run folder's verdict is the run's, whatever the group. In a drop folder, which is never quiet as a whole,
    /// quiet and settled are judged over the group, and markers over the whole folder.
    pub fn verdict<'a>(&self, group: impl IntoIterator<Item = &'a FileView>) -> Verdict {
        if !self.is_drop_folder() {
            return self.whole.clone();
        }
        self.check.judge(&group.into_iter().collect::<Vec<_>>(), None)
    }
}
