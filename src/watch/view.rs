//! What a watch shows of its runs: the picture that assembly works on.
//!
//! A view is a finished statement about one moment. It holds no handle on the watch, does no I/O, and can be built by
//! hand, so that whoever works on views can be tested without a file system.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use crate::observation::{Moment, Observation};

use super::Completion;
use super::complete::joined;
use super::scope::Scopes;

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
    scopes: Scopes,
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
        complete_when: &Completion,
    ) -> Self {
        files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        let scopes = Scopes::new(complete_when, &files, (!folder.as_os_str().is_empty()).then_some(quiet_for));
        Self { name, folder, captures, files, first_seen, quiet_for, unreadable: Vec::new(), scopes }
    }

    /// Adds what of the run cannot be read. A run folder with a blind spot waits: what lies there may belong to it.
    /// A drop folder goes on, since its samples have nothing to do with each other.
    pub fn with_unreadable(self, unreadable: Vec<PathBuf>) -> Self {
        Self { unreadable, ..self }
    }

    pub fn is_drop_folder(&self) -> bool {
        self.folder.as_os_str().is_empty()
    }

    /// Whether a file says that something is complete, rather than belonging to a sample.
    pub fn is_marker(&self, file: &FileView) -> bool {
        self.scopes.are_marked_by(file)
    }

    /// Whether nothing ever says that no more files will come: a drop folder without a marker or a quiet time.
    pub fn is_endless(&self) -> bool {
        self.is_drop_folder() && !self.scopes.tell_an_end()
    }

    /// Whether something tells when the run is over, so that what comes later is new. Not so of `group` where it lies in
    /// a folder of the run that is a unit of its own.
    pub fn tells_its_end<'a>(&self, group: impl IntoIterator<Item = &'a FileView>) -> bool {
        let is_own_unit = |file: &FileView| self.scopes.is_own_unit(self.scope(file));
        !self.is_drop_folder() && self.scopes.tell_an_end() && !group.into_iter().any(is_own_unit)
    }

    /// Which part of the run a file belongs to: those of one part are complete together.
    pub fn scope(&self, file: &FileView) -> usize {
        self.scopes.of(file)
    }

    /// Whether a sample made of `group`, files of this view, may be taken.
    ///
    /// In a run folder the verdict is that over the parts of the run in which the group lies, or over all of it where
    /// the group is empty. In a drop folder, which is never quiet as a whole, quiet and settled are judged over the
    /// group, and markers over the whole folder.
    pub fn verdict<'a>(&self, group: impl IntoIterator<Item = &'a FileView>) -> Verdict {
        let group: Vec<&FileView> = group.into_iter().collect();
        if self.is_drop_folder() {
            return self.scopes.judge(&group);
        }
        if let Some(path) = self.unreadable.first() {
            let reason = format!("cannot read {}; make it readable to the agent, or ignore it", path.display());
            return Verdict::Waits { reason, in_time: None };
        }
        let scopes: BTreeSet<usize> = group.iter().map(|file| self.scope(file)).collect();
        match scopes.is_empty() {
            true => joined(self.scopes.all().cloned().collect()),
            false => joined(scopes.into_iter().map(|scope| self.scopes.whole(scope).clone()).collect()),
        }
    }
}
