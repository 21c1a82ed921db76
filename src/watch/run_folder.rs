//! Which folders below a watch are runs: what its `run_folder` says. It sees paths as text, and no disk.

use globset::{Glob, GlobSet, GlobSetBuilder};

use crate::pattern::{Captures, Pattern, Patterns};

/// So many entries are told.
const NAMED: usize = 3;

/// Which folders are runs, by their paths below the watch.
#[derive(Debug, Clone, PartialEq)]
pub struct RunFolders {
    whole: Option<Patterns>,
    by_entries: Vec<RunByEntries>,
}

/// Folders that are a run for some of their entries alone, with all that lies below these, and only where there is such
/// an entry. What else lies in them is not the run's: it may be run folders, or nothing to anybody.
#[derive(Debug, Clone, PartialEq)]
pub struct RunByEntries {
    folder: Patterns,
    entries: Entries,
}

/// Names within a folder, as globs.
#[derive(Debug, Clone)]
pub(super) struct Entries {
    globs: GlobSet,
    written: Vec<String>,
}

impl RunFolders {
    /// `whole` fits folders that are runs with all that lies in them. `None` where there is nothing at all.
    pub fn new(whole: Vec<Pattern>, by_entries: Vec<RunByEntries>) -> Option<Self> {
        let whole = Patterns::new(whole);
        (whole.is_some() || !by_entries.is_empty()).then_some(Self { whole, by_entries })
    }

    /// Those folders that are runs with all that lies in them.
    pub fn whole(&self) -> Option<&Patterns> {
        self.whole.as_ref()
    }

    /// Whether a folder is a run with all that lies in it.
    pub(super) fn is_whole(&self, folder: &str) -> bool {
        self.whole.as_ref().is_some_and(|whole| whole.is_match(folder))
    }

    /// What makes a folder a run that is none with all that lies in it.
    pub(super) fn entries<'a>(&'a self, folder: &str) -> impl Iterator<Item = &'a Entries> {
        self.by_entries.iter().filter(move |it| it.folder.is_match(folder)).map(|it| &it.entries)
    }

    /// What is captured from a folder that is a run, or would be one if it had its entries: by the first pattern that
    /// fits it, those of whole folders first.
    pub(super) fn captures(&self, folder: &str) -> Option<Captures> {
        let patterns = self.whole.iter().chain(self.by_entries.iter().map(|it| &it.folder));
        patterns.into_iter().find_map(|patterns| patterns.captures(folder))
    }

    /// Whether a folder must be listed to find all runs: one below it may be a run, or an entry make it one. It may say
    /// yes where the answer is no, never the reverse.
    pub(super) fn lie_in(&self, folder: &str) -> bool {
        let below = |patterns: &Patterns| patterns.could_match_below(folder);
        self.whole.as_ref().is_some_and(below)
            || self.by_entries.iter().any(|it| below(&it.folder) || it.folder.is_match(folder))
    }

    /// The names that any of the patterns captures, each once.
    pub fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        let patterns = self.whole.iter().chain(self.by_entries.iter().map(|it| &it.folder));
        for name in patterns.flat_map(Patterns::names) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// For a person, behind "no folder matches".
    pub(super) fn plain(&self) -> String {
        let whole = self.whole.iter().map(Patterns::plain);
        whole.chain(self.by_entries.iter().map(RunByEntries::plain)).collect::<Vec<_>>().join(", nor ")
    }
}

impl From<Pattern> for RunFolders {
    fn from(pattern: Pattern) -> Self {
        Self { whole: Some(pattern.into()), by_entries: Vec::new() }
    }
}

impl RunByEntries {
    /// `entries` are globs of names within such a folder.
    ///
    /// # Errors
    /// Globs that are too large together.
    pub fn new(folder: Patterns, entries: &[Glob]) -> Result<Self, globset::Error> {
        let mut set = GlobSetBuilder::new();
        for glob in entries {
            set.add(glob.clone());
        }
        let written = entries.iter().map(|glob| glob.glob().to_owned()).collect();
        Ok(Self { folder, entries: Entries { globs: set.build()?, written } })
    }

    fn plain(&self) -> String {
        // How deep such a folder lies is all that tells it from others, so none is left out.
        let folders: Vec<String> = self.folder.iter().map(Pattern::plain).collect();
        let mut entries: Vec<&str> = self.entries.written.iter().map(String::as_str).take(NAMED).collect();
        if self.entries.written.len() > NAMED {
            entries.push("…");
        }
        format!("{} for {} in it", folders.join(" or "), entries.join(", "))
    }
}

impl Entries {
    pub fn have(&self, name: &str) -> bool {
        self.globs.is_match(name)
    }
}

impl PartialEq for Entries {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}
