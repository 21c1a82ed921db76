//! The parts of a run that are complete by themselves: an analysis, a cell, and all that lies outside of such folders.
//!
//! Pure. It knows which folder a file lies in and which condition speaks for it; what a condition says, `complete` does.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::complete::{Check, Place, joined};
use super::papers::Whole;
use super::stated::{Clock, Stated};
use super::view::{FileView, Verdict};
use super::{Completion, FolderCompletion};
use crate::pattern::Captures;

/// The parts of a run, each with its condition, the markers looked for already.
#[derive(Debug, Clone)]
pub(super) struct Scopes {
    /// The number of the scope of the files directly in a folder, by its path below the run. What is not here lies
    /// outside.
    numbers: HashMap<PathBuf, usize>,
    /// The first speaks for all that lies in no folder.
    scopes: Vec<Scope>,
}

#[derive(Debug, Clone)]
struct Scope {
    check: Check,
    /// The verdict over all of its files.
    whole: Verdict,
    /// Its conditions over all of its files, for people.
    stated: Vec<Stated>,
    is_own_unit: bool,
}

impl Scopes {
    /// Sorts the files of a run into its parts. `quiet_for` is a run folder's.
    pub(super) fn new(
        completion: &Completion,
        whole: Whole<'_>,
        quiet_for: Option<Duration>,
        clock: Option<Clock>,
    ) -> Self {
        let scope = |check: Check, files: &[&FileView], is_own_unit| {
            let whole = check.judge(files, quiet_for);
            let stated = check.stated(files, quiet_for, clock);
            Scope { check, whole, stated, is_own_unit }
        };
        let (places, numbers) = places(&completion.folders, whole.files);
        let mut parts: Vec<Vec<&FileView>> = vec![Vec::new(); places.len() + 1];
        for file in whole.files {
            parts[number(&numbers, file)].push(file);
        }
        let outside = Place { files: &parts[0], folder: Path::new(""), bound: &Captures::new(), whole };
        let mut scopes = vec![scope(Check::new(&completion.otherwise, outside), &parts[0], false)];
        // A folder's markers may lie outside of it.
        let all: Vec<&FileView> = if places.is_empty() { Vec::new() } else { whole.files.iter().collect() };
        for ((path, completion), files) in places.into_iter().zip(&parts[1..]) {
            let bound = completion.folder.captures(&path).unwrap_or_default();
            let place = Place { files: &all, folder: Path::new(&path), bound: &bound, whole };
            scopes.push(scope(Check::new(&completion.complete_when, place), files, completion.is_own_unit));
        }
        Self { numbers, scopes }
    }

    /// The scope of a file of the run.
    pub(super) fn of(&self, file: &FileView) -> usize {
        number(&self.numbers, file)
    }

    /// The verdict over all files of one scope.
    pub(super) fn whole(&self, scope: usize) -> &Verdict {
        &self.scopes[scope].whole
    }

    /// Each scope. What lies outside of the folders counts where there is nothing else.
    pub(super) fn all(&self) -> Range<usize> {
        let outside = usize::from(self.scopes.len() > 1);
        outside..self.scopes.len()
    }

    /// The verdict over a group by itself.
    pub(super) fn judge(&self, group: &[&FileView]) -> Verdict {
        joined(
            self.parts(group).into_iter().map(|(scope, files)| self.scopes[scope].check.judge(&files, None)).collect(),
        )
    }

    /// The conditions over all files of one scope.
    pub(super) fn whole_stated(&self, scope: usize) -> &[Stated] {
        &self.scopes[scope].stated
    }

    /// The conditions over a group by itself.
    pub(super) fn stated(&self, group: &[&FileView], clock: Option<Clock>) -> Vec<Stated> {
        let parts = self.parts(group).into_iter();
        parts.flat_map(|(scope, files)| self.scopes[scope].check.stated(&files, None, clock)).collect()
    }

    /// A group by the scopes of its files; one without files lies outside.
    fn parts<'f>(&self, group: &[&'f FileView]) -> BTreeMap<usize, Vec<&'f FileView>> {
        let mut parts: BTreeMap<usize, Vec<&FileView>> = BTreeMap::new();
        for file in group {
            parts.entry(self.of(file)).or_default().push(file);
        }
        if parts.is_empty() {
            parts.insert(0, Vec::new());
        }
        parts
    }

    /// Whether a file marks something as complete.
    pub(super) fn are_marked_by(&self, file: &FileView) -> bool {
        self.scopes.iter().any(|scope| scope.check.is_marker(&file.below_run))
    }

    pub(super) fn is_own_unit(&self, scope: usize) -> bool {
        self.scopes[scope].is_own_unit
    }
}

/// The folders of a run that have a condition of their own, and the numbers of their scopes, from 1. Of the first pattern
/// that matches a folder above a file, the topmost such folder speaks for it.
fn places<'c>(
    folders: &'c [FolderCompletion],
    files: &[FileView],
) -> (Vec<(String, &'c FolderCompletion)>, HashMap<PathBuf, usize>) {
    let (mut places, mut numbers) = (Vec::new(), HashMap::new());
    let mut parents: Vec<&Path> = files.iter().filter_map(|file| file.below_run.parent()).collect();
    // Sorted by path, those of one folder mostly follow each other.
    parents.dedup();
    for parent in parents.into_iter().filter(|_| !folders.is_empty()) {
        let text = parent.to_string_lossy();
        let found = folders.iter().find_map(|completion| {
            let mut ends = text.match_indices('/').map(|(end, _)| end).chain([text.len()]);
            let folder =
                ends.find_map(|end| completion.folder.is_match(&text[..end]).then(|| text[..end].to_owned()))?;
            Some((folder, completion))
        });
        if let Some((folder, completion)) = found {
            let known = places.iter().position(|(path, _)| *path == folder);
            let at = known.unwrap_or_else(|| {
                places.push((folder, completion));
                places.len() - 1
            });
            numbers.insert(parent.to_owned(), at + 1);
        }
    }
    (places, numbers)
}

fn number(numbers: &HashMap<PathBuf, usize>, file: &FileView) -> usize {
    file.below_run.parent().and_then(|parent| numbers.get(parent).copied()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::{Moment, Observation};
    use crate::pattern::Pattern;
    use crate::sample::Fingerprint;
    use crate::watch::Condition;
    use crate::watch::papers::Papers;

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
        let papers = Papers::default();
        let whole = Whole { name: "run", files: &files, papers: &papers };
        let scopes = Scopes::new(&completion(), whole, Some(Duration::ZERO), None);
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
