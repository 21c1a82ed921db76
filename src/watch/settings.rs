//! What a watch is told: where, what counts as a run, and when one is complete.

use std::path::{Path, PathBuf};
use std::time::Duration;

use globset::{Glob, GlobSet, GlobSetBuilder};

use super::RunFolders;
use crate::pattern::{Pattern, Patterns};

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub name: String,
    /// Absolute path of the watched folder.
    pub path: PathBuf,
    pub existing: Existing,
    /// `None` makes the watch a drop folder: one endless run named after the watch.
    pub run_folder: Option<RunFolders>,
    pub complete_when: Completion,
    /// Files of a run that tell how many reads it has, by their paths below it.
    pub described_by: Option<Patterns>,
    /// How long size and modification time must stay as they are; `None`: 30 s, 2 m on a network file system.
    pub settle: Option<Duration>,
    pub mode: Mode,
    /// How often the folder is scanned in [`Mode::Poll`]. Default 30 s.
    pub poll: Duration,
    /// How often the folder is scanned where events arrive too. Default 15 m.
    pub rescan: Duration,
    /// Matched against the path below the watch, beside what is always left out.
    pub ignore: Ignore,
    /// For how long a run that is not complete may go without news before that is news.
    pub expect_within: Option<Duration>,
}

/// Globs of what is left out, by its path below the watch.
#[derive(Debug, Clone, Default)]
pub struct Ignore {
    globs: GlobSet,
    /// As they are written; those of the watch's layout first.
    written: Vec<String>,
    of_layout: usize,
}

impl Ignore {
    /// `of_layout` come from the watch's layout, `own` from the watch.
    ///
    /// # Errors
    /// Globs that are too large together.
    pub fn new(of_layout: &[Glob], own: &[Glob]) -> Result<Self, globset::Error> {
        let mut set = GlobSetBuilder::new();
        for glob in of_layout.iter().chain(own) {
            set.add(glob.clone());
        }
        let written = of_layout.iter().chain(own).map(|glob| glob.glob().to_owned()).collect();
        Ok(Self { globs: set.build()?, written, of_layout: of_layout.len() })
    }

    pub fn len(&self) -> usize {
        self.written.len()
    }

    pub fn is_empty(&self) -> bool {
        self.written.is_empty()
    }

    pub fn is_match(&self, path: impl AsRef<Path>) -> bool {
        self.globs.is_match(path)
    }

    /// The first glob that matches, and whether it is the layout's.
    pub(super) fn find(&self, path: &Path) -> Option<(&str, bool)> {
        let first = self.globs.matches(path).into_iter().min()?;
        Some((&self.written[first], first < self.of_layout))
    }
}

impl PartialEq for Ignore {
    fn eq(&self, other: &Self) -> bool {
        (&self.written, self.of_layout) == (&other.written, other.of_layout)
    }
}

/// The settle time on a disk of this host.
pub(super) const SETTLE: Duration = Duration::from_secs(30);
/// On a share, another host's cache may hold back writes for a while.
pub(super) const SETTLE_NETWORK: Duration = Duration::from_secs(120);

impl Settings {
    /// The settle time, or the shortest that it may be where it hangs on the file system.
    pub fn shortest_settle(&self) -> Duration {
        self.settle.unwrap_or(SETTLE)
    }

    /// The settle time, or the longest that it may be where it hangs on the file system.
    pub fn longest_settle(&self) -> Duration {
        self.settle.unwrap_or(SETTLE_NETWORK)
    }
}

/// What becomes of files that lie under the watch at its first start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Existing {
    Upload,
    Skip,
    /// Skip what was last modified before this time.
    Since(jiff::Timestamp),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Events where the file system delivers them, else scans.
    Auto,
    Native,
    Poll,
}

/// When a run is complete.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// A file lies in the run folder. Its content means nothing.
    Marker(Marker),
    /// No file of the run has changed, come or gone for this long.
    Quiet(Duration),
    /// A file of these patterns lies in the run, and none has changed or come for this long, whatever else goes on. In
    /// a drop folder, of the sample's files.
    QuietOf {
        time: Duration,
        of: Patterns,
    },
    /// Every file of the run has settled; in a drop folder, every file of the sample.
    Settled,
    /// A file of this pattern says how the run ended, and none says that it failed. What cannot be read is no failure.
    Outcome(Paper),
    /// A file of this pattern lists what must be there, and all of it is. An empty list is as good as a marker.
    Listed(Paper),
    Any(Vec<Condition>),
    All(Vec<Condition>),
}

/// Files that say something by being there.
#[derive(Debug, Clone, PartialEq)]
pub struct Marker {
    /// Of paths below the run.
    pub pattern: Pattern,
    /// Whether they are paths below the folder for which the condition speaks.
    pub is_within: bool,
    /// Whether the condition holds without such a file, too. One is told where it lies: what it marks is not that the
    /// run is complete, but people look for it.
    pub is_optional: bool,
    /// Files beside which it does not count: they show that another marker is still to come.
    pub unless: Option<Patterns>,
}

impl From<Pattern> for Marker {
    fn from(pattern: Pattern) -> Self {
        Self { pattern, is_within: false, is_optional: false, unless: None }
    }
}

/// Files of a run in which the instrument says something.
#[derive(Debug, Clone, PartialEq)]
pub struct Paper {
    pub pattern: Pattern,
    /// Whether the condition holds where there is no such file, rather than waiting for one.
    pub is_optional: bool,
}

/// When a run is complete, or, where it has folders that are finished one after the other, each of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// What must hold beside each of the others; its files are looked for in the whole run.
    pub always: Option<Condition>,
    /// The first whose folder holds a file speaks for it.
    pub folders: Vec<FolderCompletion>,
    /// Speaks for all that lies outside of them, and looks for its markers there.
    pub otherwise: Condition,
}

/// Folders of a run, each of which is complete by itself: an analysis, a cell.
#[derive(Debug, Clone, PartialEq)]
pub struct FolderCompletion {
    pub folder: Folder,
    /// Its markers are paths below the run, those [within](Marker::is_within) the folder aside; one that captures a
    /// name which `folder` captures as well counts for the folder with the same text there. Those of a folder that is
    /// known by what it holds lie in it.
    pub complete_when: Condition,
    /// Whether such folders follow each other in one run as a matter of course, so that what is new in one of them is
    /// not late, whatever was sent of the others.
    pub is_own_unit: bool,
}

/// Which folders of a run are complete by themselves.
#[derive(Debug, Clone, PartialEq)]
pub enum Folder {
    /// Those whose path below the run the pattern fits; of several above a file, the topmost.
    Named(Pattern),
    /// Those that hold a file, or a folder, at a path; of several above a file, the nearest. A demultiplexer's output
    /// may lie anywhere in a run, and beside another one.
    Holding {
        /// Fits the paths below the run of what they hold.
        held: Pattern,
        /// How far above that the folder is.
        depth: usize,
        /// Whether they hold a folder, with something in it.
        is_folder: bool,
    },
}

impl Folder {
    /// Folders that hold a file at a path of this pattern; with a `/` at its end, a folder.
    ///
    /// # Errors
    /// What is wrong with the path.
    pub fn holding(text: &str) -> Result<Self, String> {
        let is_plain = |component: &str| !matches!(component, "" | "." | ".." | "**");
        let (path, is_folder) = text.strip_suffix('/').map_or((text, false), |path| (path, true));
        if !path.split('/').all(is_plain) {
            return Err(
                "a path below such a folder was expected, such as Logs/FastqComplete.txt, or Samples/".to_owned()
            );
        }
        let held = Pattern::parse(&format!("**/{path}")).map_err(|error| error.to_string())?;
        Ok(Self::Holding { held, depth: path.split('/').count(), is_folder })
    }
}

impl From<Condition> for Completion {
    fn from(otherwise: Condition) -> Self {
        Self { always: None, folders: Vec::new(), otherwise }
    }
}

impl Completion {
    /// Each condition in it.
    pub fn conditions(&self) -> impl Iterator<Item = &Condition> {
        self.always.iter().chain(self.parts())
    }

    /// What its conditions are made of.
    pub(super) fn leaves(&self) -> impl Iterator<Item = &Condition> {
        self.conditions().flat_map(Condition::leaves)
    }

    /// The files in which instruments say something, those of outcomes first.
    pub(super) fn papers(&self) -> [Vec<&Paper>; 2] {
        let mut papers = [Vec::new(), Vec::new()];
        for leaf in self.leaves() {
            match leaf {
                Condition::Outcome(paper) => papers[0].push(paper),
                Condition::Listed(paper) => papers[1].push(paper),
                _ => {}
            }
        }
        papers
    }

    /// Whether it can hold because a file is there, which may be before the others.
    pub(super) fn asks_for_markers(&self) -> bool {
        let is_marker = |leaf: &Condition| {
            matches!(leaf, Condition::Marker(marker) if !marker.is_optional) || matches!(leaf, Condition::Listed(_))
        };
        self.leaves().any(is_marker)
    }

    /// Whether nothing is taken before a marker came or all was quiet.
    pub fn tells_an_end(&self) -> bool {
        self.always.as_ref().is_some_and(Condition::tells_an_end) || self.parts().all(Condition::tells_an_end)
    }

    /// The conditions of which one speaks for each file.
    fn parts(&self) -> impl Iterator<Item = &Condition> {
        self.folders.iter().map(|folder| &folder.complete_when).chain([&self.otherwise])
    }
}

impl Condition {
    /// Whether it says that no more files will come, rather than that those that are there have settled: it cannot hold
    /// before a marker came or all was quiet.
    pub fn tells_an_end(&self) -> bool {
        match self {
            Condition::Marker(marker) => !marker.is_optional,
            Condition::Quiet(_) | Condition::QuietOf { .. } => true,
            Condition::Outcome(paper) | Condition::Listed(paper) => !paper.is_optional,
            Condition::Settled => false,
            Condition::Any(conditions) => conditions.iter().all(Condition::tells_an_end),
            Condition::All(conditions) => conditions.iter().any(Condition::tells_an_end),
        }
    }

    /// The conditions of which it is made, down to those that are not made of others.
    pub(super) fn leaves(&self) -> Vec<&Condition> {
        match self {
            Condition::Any(conditions) | Condition::All(conditions) => {
                conditions.iter().flat_map(Condition::leaves).collect()
            }
            leaf => vec![leaf],
        }
    }
}
