//! The parts of a run that are complete by themselves: an analysis, a cell, and all that lies outside of such folders.
//!
//! Pure. It knows which folder a file lies in and which condition speaks for it; what a condition says, `complete` does.

use std::collections::BTreeMap;
use std::time::Duration;

use super::complete::{Check, joined};
use super::view::{FileView, Verdict};
use super::{Completion, FolderCompletion};
use crate::pattern::Captures;

/// The parts of a run, each with its condition, the markers looked for already.
#[derive(Debug, Clone)]
pub(super) struct Scopes {
    folders: Vec<FolderCompletion>,
    /// The number of a folder's scope, by its path below the run.
    numbers: BTreeMap<String, usize>,
    /// The first speaks for all that lies in no folder.
    scopes: Vec<Scope>,
    tell_an_end: bool,
}

#[derive(Debug, Clone)]
struct Scope {
    check: Check,
    /// The verdict over all of its files.
    whole: Verdict,
    is_own_unit: bool,
}

/// A folder of a run that has a condition of its own.
struct Place<'p> {
    path: String,
    completion: &'p FolderCompletion,
}

impl Scopes {
    /// Sorts the files of a run into its parts. `quiet_for` is a run folder's.
    pub(super) fn new(completion: &Completion, files: &[FileView], quiet_for: Option<Duration>) -> Self {
        let mut outside = Vec::new();
        let mut inside: BTreeMap<String, (&FolderCompletion, Vec<&FileView>)> = BTreeMap::new();
        for file in files {
            match place(&completion.folders, file) {
                Some(place) => inside.entry(place.path).or_insert((place.completion, Vec::new())).1.push(file),
                None => outside.push(file),
            }
        }
        let scope = |check: Check, files: &[&FileView], is_own_unit| {
            let whole = check.judge(files, quiet_for);
            Scope { check, whole, is_own_unit }
        };
        let all: Vec<&FileView> = if inside.is_empty() { Vec::new() } else { files.iter().collect() };
        let check = Check::new(&completion.otherwise, &outside, &Captures::new());
        let mut scopes = vec![scope(check, &outside, false)];
        let mut numbers = BTreeMap::new();
        for (path, (completion, files)) in inside {
            let bound = completion.folder.captures(&path).unwrap_or_default();
            let check = Check::new(&completion.complete_when, &all, &bound);
            numbers.insert(path, scopes.len());
            scopes.push(scope(check, &files, completion.is_own_unit));
        }
        Self { folders: completion.folders.clone(), numbers, scopes, tell_an_end: completion.tells_an_end() }
    }

    /// The scope of a file of the run.
    pub(super) fn of(&self, file: &FileView) -> usize {
        place(&self.folders, file).and_then(|place| self.numbers.get(&place.path).copied()).unwrap_or_default()
    }

    /// The verdict over all files of one scope.
    pub(super) fn whole(&self, scope: usize) -> &Verdict {
        &self.scopes[scope].whole
    }

    /// Each scope's verdict. What lies outside of the folders counts where there is nothing else.
    pub(super) fn all(&self) -> impl Iterator<Item = &Verdict> {
        let outside = usize::from(self.scopes.len() > 1);
        self.scopes[outside..].iter().map(|scope| &scope.whole)
    }

    /// The verdict over a group by itself.
    pub(super) fn judge(&self, group: &[&FileView]) -> Verdict {
        let mut parts: BTreeMap<usize, Vec<&FileView>> = BTreeMap::new();
        for file in group {
            parts.entry(self.of(file)).or_default().push(file);
        }
        if parts.is_empty() {
            return self.scopes[0].check.judge(group, None);
        }
        joined(parts.into_iter().map(|(scope, files)| self.scopes[scope].check.judge(&files, None)).collect())
    }

    /// Whether a file marks something as complete.
    pub(super) fn are_marked_by(&self, file: &FileView) -> bool {
        self.scopes.iter().any(|scope| scope.check.is_marker(&file.below_run))
    }

    pub(super) fn is_own_unit(&self, scope: usize) -> bool {
        self.scopes[scope].is_own_unit
    }

    pub(super) fn tell_an_end(&self) -> bool {
        self.tell_an_end
    }
}

/// The folder that speaks for a file: of the first pattern that matches one above it, the topmost.
fn place<'p>(folders: &'p [FolderCompletion], file: &FileView) -> Option<Place<'p>> {
    if folders.is_empty() {
        return None;
    }
    let path = file.below_run.to_string_lossy();
    folders.iter().find_map(|completion| {
        let mut above = path.match_indices('/').map(|(end, _)| &path[..end]);
        let path = above.find(|folder| completion.folder.is_match(folder))?.to_owned();
        Some(Place { path, completion })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::{Moment, Observation};
    use crate::pattern::Pattern;
    use crate::sample::Fingerprint;
    use crate::watch::Condition;

    fn files(paths: &[&str]) -> Vec<FileView> {
        let file = |path: &&str| FileView {
            path: format!("/watch/run/{path}").into(),
            below_run: path.into(),
            observation: Observation {
                fingerprint: Fingerprint { size: 1, modified_ns: 1 },
                since: Moment { boot: 1, at: Duration::ZERO },
                existing: false,
            },
            unchanged_for: Duration::from_secs(100),
            settled: true,
            settles_in: None,
        };
        paths.iter().map(file).collect()
    }

    fn marker(text: &str) -> Condition {
        Condition::Marker(Pattern::parse(text).unwrap())
    }

    fn completion() -> Completion {
        let folder = |folder: &str, complete_when| FolderCompletion {
            folder: Pattern::parse(folder).unwrap(),
            complete_when,
            is_own_unit: false,
        };
        Completion {
            folders: vec![
                folder("Analysis/{analysis}", marker("Analysis/{analysis}/Done.txt")),
                folder("Alignment", marker("Job.xml")),
            ],
            otherwise: marker("**/Done.txt"),
        }
    }

    #[test]
    fn each_folder_waits_for_its_own_marker_and_the_rest_for_one_outside() {
        let files = files(&[
            "Alignment/c.gz",
            "Analysis/1/Done.txt",
            "Analysis/1/a.gz",
            "Analysis/2/deep/Done.txt",
            "Analysis/2/b.gz",
            "Job.xml",
            "d.gz",
        ]);
        let scopes = Scopes::new(&completion(), &files, Some(Duration::ZERO));
        let verdict = |n: usize| scopes.whole(scopes.of(&files[n]));
        assert_eq!((verdict(0), verdict(2)), (&Verdict::Complete, &Verdict::Complete));
        let Verdict::Waits { reason, .. } = verdict(4) else { panic!("complete") };
        assert_eq!(reason, "waiting for the marker Analysis/2/Done.txt");
        let Verdict::Waits { reason, .. } = verdict(6) else { panic!("complete") };
        assert_eq!(reason, "waiting for the marker **/Done.txt");
        assert!(scopes.are_marked_by(&files[1]) && scopes.are_marked_by(&files[5]));
        assert!(!scopes.are_marked_by(&files[2]));
    }
}
