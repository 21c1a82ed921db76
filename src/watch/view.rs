//! What a watch shows of its runs: the picture that assembly works on.
//!
//! A view is a finished statement about one moment. It holds no handle on the watch, does no I/O, and can be built by
//! hand, so that whoever works on views can be tested without a file system.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::observation::{Coming, Moment, Observation};
use crate::outcome::ReadCount;

use super::Completion;
use super::complete::joined;
#[cfg(test)]
use super::papers::ReadPaper;
use super::papers::{Papers, Whole};
use super::parts::Patience;
use super::scope::Scopes;
use super::stated::{Clock, Stated};

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
    /// The instrument says that the run failed, or a part of it: only a person can take what is there.
    Failed {
        /// For a person: what says so, in its own words.
        reason: String,
    },
}

/// What a run's papers tell of how many reads it has, index reads aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads<'a> {
    /// The most that one of them says; a sample sheet, where no other does.
    Told {
        count: ReadCount,
        paper: &'a Path,
    },
    /// One has yet to settle.
    Unread {
        paper: &'a Path,
        in_time: Option<Duration>,
    },
    Untold,
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
    /// Paths below the run that unfinished files will have, each with the path that it has now.
    pub unfinished: BTreeMap<PathBuf, PathBuf>,
    /// How long a file must stay as it is to have settled.
    settle: Duration,
    complete_when: Arc<Completion>,
    papers: Papers,
    /// For times that are told; none in a view that was built by hand.
    clock: Option<Clock>,
    /// What the condition says, once somebody asks.
    scopes: OnceLock<Scopes>,
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
        Self {
            name,
            folder,
            captures,
            files,
            first_seen,
            quiet_for,
            unreadable: Vec::new(),
            unfinished: BTreeMap::new(),
            settle: Duration::ZERO,
            complete_when: Arc::new(complete_when.clone()),
            papers: Papers::default(),
            clock: None,
            scopes: OnceLock::new(),
        }
    }

    /// The same files as those of a run folder of this name.
    pub fn into_run_folder(self, name: String, captures: BTreeMap<String, String>) -> Self {
        Self { folder: PathBuf::from(&name), name, captures, scopes: OnceLock::new(), ..self }
    }

    /// Adds what of the run cannot be read. A run folder with a blind spot waits: what lies there may belong to it.
    /// A drop folder goes on, since its samples have nothing to do with each other.
    pub fn with_unreadable(self, unreadable: Vec<PathBuf>) -> Self {
        Self { unreadable, ..self }
    }

    /// Adds what is written in the run under names of unfinished files, by the paths that it will have.
    pub fn with_unfinished(self, unfinished: BTreeMap<PathBuf, PathBuf>) -> Self {
        Self { unfinished, ..self }
    }

    /// Adds the watch's settle time.
    pub fn with_settle(self, settle: Duration) -> Self {
        Self { settle, ..self }
    }

    /// Adds what the run's papers say, and the clock by which times are told.
    pub(super) fn with_papers(self, papers: Papers, clock: Clock) -> Self {
        Self { papers, clock: Some(clock), scopes: OnceLock::new(), ..self }
    }

    /// The same run, with a paper that tells of its reads.
    #[cfg(test)]
    pub fn with_reads(mut self, paper: &str, reads: usize) -> Self {
        let count = ReadCount { reads, is_planned: paper.ends_with(".csv") };
        let read = ReadPaper { outcome: None, expected: None, reads: Some(count) };
        self.papers.read.insert(paper.into(), Arc::new(read));
        self
    }

    /// The same run, once its files have settled and its markers are believed if nothing changes, which a single look
    /// cannot see.
    pub fn as_if_settled(mut self) -> Self {
        for file in &mut self.files {
            (file.settled, file.settles_in) = (true, None);
        }
        // The time for which a marker is not believed goes by settle times.
        Self { settle: Duration::ZERO, scopes: OnceLock::new(), ..self }
    }

    /// The same run, once nothing has happened in it for as long as anybody waits.
    pub fn as_if_quiet(mut self) -> Self {
        for file in &mut self.files {
            file.unchanged_for = Duration::MAX;
        }
        Self { quiet_for: Duration::MAX, ..self.as_if_settled() }
    }

    fn scopes(&self) -> &Scopes {
        self.scopes.get_or_init(|| {
            let quiet_for = (!self.is_drop_folder()).then_some(self.quiet_for);
            let whole = Whole { name: &self.name, files: &self.files, papers: &self.papers };
            Scopes::new(&self.complete_when, whole, quiet_for, self.clock)
        })
    }

    pub fn is_drop_folder(&self) -> bool {
        self.folder.as_os_str().is_empty()
    }

    /// Whether a file says that something is complete, rather than belonging to a sample.
    pub fn is_marker(&self, file: &FileView) -> bool {
        self.scopes().are_marked_by(file)
    }

    /// Whether a file is a marker that is told and that nothing waits for.
    pub fn is_optional_marker(&self, file: &FileView) -> bool {
        self.scopes().tell_of(file)
    }

    /// What the run's papers tell of its reads.
    pub fn reads(&self) -> Reads<'_> {
        if let Some(path) = &self.papers.undescribed {
            let file = self.files.iter().find(|file| file.below_run == *path);
            return Reads::Unread { paper: path, in_time: file.and_then(|file| file.settles_in) };
        }
        let told = self.papers.read.iter().filter_map(|(paper, read)| Some((read.reads?, paper)));
        let most = told.max_by_key(|(count, _)| (!count.is_planned, count.reads));
        most.map_or(Reads::Untold, |(count, paper)| Reads::Told { count, paper })
    }

    /// How long it takes until all has been read that instruments wrote, if nothing changes; `None` where nothing waits
    /// for time.
    pub fn papers_settle_in(&self) -> Option<Duration> {
        let papers = self.complete_when.papers();
        let is_paper = |path: &str| papers.iter().flatten().any(|paper| paper.pattern.is_match(path));
        let unsettled = self.files.iter().filter(|file| !file.settled && is_paper(&file.below_run.to_string_lossy()));
        unsettled.filter_map(|file| file.settles_in).max()
    }

    /// Whether nothing ever says that no more files will come: a drop folder without a marker or a quiet time.
    pub fn is_endless(&self) -> bool {
        self.is_drop_folder() && !self.complete_when.tells_an_end()
    }

    /// Whether something tells when the run is over, so that what comes later is new. Not so of `group` where it lies
    /// in a folder of the run that is a unit of its own.
    pub fn tells_its_end<'a>(&self, group: impl IntoIterator<Item = &'a FileView>) -> bool {
        let is_own_unit = |file: &FileView| self.scopes().is_own_unit(self.scope(file));
        !self.is_drop_folder() && self.complete_when.tells_an_end() && !group.into_iter().any(is_own_unit)
    }

    /// Which part of the run a file belongs to: those of one part are complete together.
    pub(super) fn scope(&self, file: &FileView) -> usize {
        self.scopes().of(file)
    }

    /// When the markers came of the part of the run in which these files lie, or of what they make in a drop folder,
    /// where nothing but markers say that it is complete: they cannot know of what comes later.
    pub(super) fn marked(&self, files: &[&FileView]) -> Option<Coming> {
        match self.is_drop_folder() {
            true => self.scopes().marked_over(files),
            false => self.scopes().marked(self.scope(files.first()?)),
        }
    }

    /// Whether nothing but markers say that the parts of the run are complete in which the group lies, or all of them
    /// where the group is empty.
    pub fn is_marked_alone<'a>(&self, group: impl IntoIterator<Item = &'a FileView>) -> bool {
        let group: Vec<&FileView> = group.into_iter().collect();
        self.scopes_of(&group).into_iter().all(|scope| self.scopes().marked(scope).is_some())
    }

    /// For how long nothing must come before a marker is believed that may be there before some of the files; nothing
    /// has for `passed`.
    pub fn calm(&self, passed: Duration) -> Patience {
        Patience::calm(self.settle, passed)
    }

    /// Whether a sample made of `group`, files of this view, may be taken.
    ///
    /// In a run folder the verdict is that over the parts of the run in which the group lies, or over all of it where
    /// the group is empty. In a drop folder, which is never quiet as a whole, quiet and settled are judged over the
    /// group, and markers over the whole folder.
    pub fn verdict<'a>(&self, group: impl IntoIterator<Item = &'a FileView>) -> Verdict {
        let group: Vec<&FileView> = group.into_iter().collect();
        if self.is_drop_folder() {
            return self.scopes().judge(&group);
        }
        if let Some(reason) = self.blind_spot() {
            return Verdict::Waits { reason, in_time: None };
        }
        joined(self.scopes_of(&group).into_iter().map(|scope| self.scopes().whole(scope).clone()).collect())
    }

    /// The conditions of which [`Self::verdict`] is made, for the same `group`: those that do not hold first.
    pub fn conditions<'a>(&self, group: impl IntoIterator<Item = &'a FileView>) -> Vec<Stated> {
        let group: Vec<&FileView> = group.into_iter().collect();
        let mut stated = match self.is_drop_folder() {
            true => self.scopes().stated(&group, self.clock),
            false => {
                self.scopes_of(&group).into_iter().flat_map(|at| self.scopes().whole_stated(at)).cloned().collect()
            }
        };
        if let Some(reason) = self.blind_spot() {
            stated.push(Stated::waits(reason));
        }
        // Two parts of a run may share a marker.
        let mut told = BTreeSet::new();
        stated.retain(|stated| told.insert(stated.what.clone()));
        stated.sort_by_key(|stated| stated.holds);
        stated
    }

    /// The scopes of a run folder in which a group lies; of none, all that count.
    fn scopes_of(&self, group: &[&FileView]) -> BTreeSet<usize> {
        if group.is_empty() {
            self.scopes().all().collect()
        } else {
            group.iter().map(|file| self.scope(file)).collect()
        }
    }

    /// What keeps a run folder waiting that cannot be read whole.
    fn blind_spot(&self) -> Option<String> {
        let path = self.unreadable.first().filter(|_| !self.is_drop_folder())?;
        Some(format!("cannot read {}; make it readable to the agent, or ignore it", path.display()))
    }
}
