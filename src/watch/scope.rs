//! The parts of a run that are complete by themselves: an analysis, a cell, and all that lies outside of such folders.
//!
//! Pure. It knows which folder a file lies in and which condition speaks for it; what a condition says, `complete`
//! does.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::complete::{Check, Place, joined};
use super::ground::Ground;
use super::papers::Whole;
use super::stated::{Clock, Stated};
use super::view::{FileView, Verdict};
use super::{Completion, Condition, Folder, FolderCompletion};
use crate::observation::Coming;
use crate::pattern::{Captures, Pattern};

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
    /// When its markers came, where nothing but markers say that it is complete.
    marked: Option<Coming>,
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
            let marked = if whole == Verdict::Complete { marked(&check, files, quiet_for) } else { None };
            Scope { check, whole, stated, marked, is_own_unit }
        };
        let (places, numbers) = places(&completion.folders, whole.files);
        let mut parts: Vec<Vec<&FileView>> = vec![Vec::new(); places.len() + 1];
        for file in whole.files {
            parts[number(&numbers, file)].push(file);
        }
        let all: Vec<&FileView> = whole.files.iter().collect();
        // The instrument's word on the run lies outside of the output that a demultiplexer marks as complete.
        let check = |own: &Condition, place: Place<'_>| match &completion.always {
            Some(always) => {
                Check::All(vec![Check::new(always, Place { files: &all, ..place }), Check::new(own, place)])
            }
            None => Check::new(own, place),
        };
        let outside = Place { files: &parts[0], folder: Path::new(""), bound: &Captures::new(), whole };
        let mut scopes = vec![scope(check(&completion.otherwise, outside), &parts[0], false)];
        for ((path, part), files) in places.into_iter().zip(&parts[1..]) {
            let (looked_in, bound) = match &part.folder {
                // Its markers may lie outside of it.
                Folder::Named(pattern) => (&all, pattern.captures(&path).unwrap_or_default()),
                Folder::Holding { .. } => (files, Captures::new()),
            };
            let place = Place { files: looked_in, folder: Path::new(&path), bound: &bound, whole };
            scopes.push(scope(check(&part.complete_when, place), files, part.is_own_unit));
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

    /// When the markers of one scope came, where nothing but markers say that it is complete.
    pub(super) fn marked(&self, scope: usize) -> Option<Coming> {
        self.scopes[scope].marked
    }

    /// When the markers came of a group by itself, likewise.
    pub(super) fn marked_over(&self, group: &[&FileView]) -> Option<Coming> {
        let check = &self.scopes[0].check;
        if check.judge(group, None) == Verdict::Complete { marked(check, group, None) } else { None }
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
        self.scopes.iter().any(|scope| scope.check.is_marker(&file.below_run, false))
    }

    /// Whether a file is a marker that nothing waits for.
    pub(super) fn tell_of(&self, file: &FileView) -> bool {
        self.scopes.iter().any(|scope| scope.check.is_marker(&file.below_run, true))
    }

    pub(super) fn is_own_unit(&self, scope: usize) -> bool {
        self.scopes[scope].is_own_unit
    }
}

/// When the markers came on which alone it rests that this condition holds.
fn marked(check: &Check, files: &[&FileView], quiet_for: Option<Duration>) -> Option<Coming> {
    match check.ground(files, quiet_for) {
        Ground::Marker(coming) => Some(coming),
        Ground::Nothing | Ground::Files => None,
    }
}

/// The folders of a run that have a condition of their own, and the numbers of their scopes, from 1. The first entry
/// that knows a folder above a file speaks for it.
fn places<'c>(
    folders: &'c [FolderCompletion],
    files: &[FileView],
) -> (Vec<(String, &'c FolderCompletion)>, HashMap<PathBuf, usize>) {
    let (mut places, mut numbers) = (Vec::new(), HashMap::new());
    let kinds: Vec<_> = folders.iter().map(|completion| (Finder::new(&completion.folder, files), completion)).collect();
    let mut parents: Vec<&Path> = files.iter().filter_map(|file| file.below_run.parent()).collect();
    // Sorted by path, those of one folder mostly follow each other.
    parents.dedup();
    for parent in parents.into_iter().filter(|_| !folders.is_empty()) {
        let found = kinds.iter().find_map(|(finder, completion)| Some((finder.above(parent)?, *completion)));
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

/// Finds folders of one kind in a run.
enum Finder<'a> {
    Named(&'a Pattern),
    Holding(HashSet<&'a Path>),
}

impl<'a> Finder<'a> {
    fn new(folder: &'a Folder, files: &'a [FileView]) -> Self {
        match folder {
            Folder::Named(pattern) => Self::Named(pattern),
            Folder::Holding { held, depth, is_folder } => {
                let is_held = |path: &&Path| held.is_match(&path.to_string_lossy());
                let holder = |path: &'a Path| path.ancestors().nth(*depth);
                let paths = files.iter().map(|file| file.below_run.as_path());
                if *is_folder {
                    let mut parents: Vec<&Path> = paths.filter_map(Path::parent).collect();
                    parents.dedup();
                    let folders = parents.into_iter().flat_map(Path::ancestors);
                    return Self::Holding(folders.filter(is_held).filter_map(holder).collect());
                }
                Self::Holding(paths.filter(is_held).filter_map(holder).collect())
            }
        }
    }

    /// The folder at or above this one that speaks for the files in it.
    fn above(&self, folder: &Path) -> Option<String> {
        let text = folder.to_string_lossy();
        match self {
            Self::Named(pattern) => {
                let mut ends = text.match_indices('/').map(|(end, _)| end).chain([text.len()]);
                ends.find_map(|end| pattern.is_match(&text[..end]).then(|| text[..end].to_owned()))
            }
            Self::Holding(folders) => {
                let nearest = folder.ancestors().find(|above| folders.contains(above))?;
                Some(nearest.to_string_lossy().into_owned())
            }
        }
    }
}

fn number(numbers: &HashMap<PathBuf, usize>, file: &FileView) -> usize {
    file.below_run.parent().and_then(|parent| numbers.get(parent).copied()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::Marker;
    use super::*;
    use crate::observation::{Moment, Observation};
    use crate::sample::Fingerprint;
    use crate::watch::papers::Papers;

    fn files(paths: &[&str]) -> Vec<FileView> {
        let file = |path: &&str| FileView {
            path: format!("/watch/run/{path}").into(),
            below_run: path.into(),
            observation: Observation {
                fingerprint: Fingerprint { size: 1, modified_ns: 1 },
                since: Moment { boot: 1, at: Duration::ZERO },
                look: 0,
                existing: false,
            },
            unchanged_for: Duration::from_secs(100),
            settled: true,
            settles_in: None,
        };
        paths.iter().map(file).collect()
    }

    fn marker(text: &str) -> Condition {
        Condition::Marker(Pattern::parse(text).unwrap().into())
    }

    fn completion() -> Completion {
        let folder = |folder: &str, complete_when| FolderCompletion {
            folder: Folder::Named(Pattern::parse(folder).unwrap()),
            complete_when,
            is_own_unit: false,
        };
        Completion {
            always: None,
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

    #[test]
    fn the_output_of_a_demultiplexer_waits_for_the_marker_in_it_wherever_it_lies() {
        let files =
            files(&["a/Done.txt", "a/Project/a.gz", "b/Logs/x.txt", "b/b.gz", "deep/c/Done.txt", "deep/c/c.gz"]);
        let holding = FolderCompletion {
            folder: Folder::holding("Done.txt").unwrap(),
            complete_when: marker("**/Done.txt"),
            is_own_unit: false,
        };
        let completion = Completion { folders: vec![holding], ..marker("**/Done.txt").into() };
        let papers = Papers::default();
        let whole = Whole { name: "run", files: &files, papers: &papers };
        let scopes = Scopes::new(&completion, whole, Some(Duration::ZERO), None);
        let is_complete = |n: usize| *scopes.whole(scopes.of(&files[n])) == Verdict::Complete;
        assert!(is_complete(1) && is_complete(5), "an output has its marker");
        assert!(!is_complete(3), "the marker of one output speaks for another");
        assert_ne!(scopes.of(&files[1]), scopes.of(&files[5]));
    }

    #[test]
    fn what_always_holds_is_looked_for_in_the_whole_run() {
        let holding = FolderCompletion {
            folder: Folder::holding("Done.txt").unwrap(),
            complete_when: marker("**/Done.txt"),
            is_own_unit: false,
        };
        let always = Some(marker("Copied.txt"));
        let completion = Completion { always, folders: vec![holding], otherwise: marker("**/Done.txt") };
        let papers = Papers::default();
        let verdict = |paths: &[&str], n: usize| {
            let files = files(paths);
            let whole = Whole { name: "run", files: &files, papers: &papers };
            let scopes = Scopes::new(&completion, whole, Some(Duration::ZERO), None);
            scopes.whole(scopes.of(&files[n])).clone()
        };
        let reason = "waiting for the marker Copied.txt".to_owned();
        assert_eq!(verdict(&["out/Done.txt", "out/a.gz"], 1), Verdict::Waits { reason, in_time: None });
        assert_eq!(verdict(&["Copied.txt", "out/Done.txt", "out/a.gz"], 2), Verdict::Complete);
        // What lies outside of an output whose marker is the run's own finds it, too.
        assert_eq!(verdict(&["Copied.txt", "Done.txt", "again/Done.txt", "again/b.gz"], 3), Verdict::Complete);
    }

    #[test]
    fn of_two_outputs_one_in_the_other_the_nearest_speaks() {
        let files = files(&["Logs/Done.txt", "a.gz", "again/Logs/Done.txt", "again/b.gz"]);
        let holding = FolderCompletion {
            folder: Folder::holding("Logs/Done.txt").unwrap(),
            complete_when: marker("**/Done.txt"),
            is_own_unit: false,
        };
        let completion = Completion { folders: vec![holding], ..marker("**/Done.txt").into() };
        let (places, _) = places(&completion.folders, &files);
        assert_eq!(places.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), ["", "again"]);
        for path in ["", "/", "/Done.txt", "../Done.txt", "**/Done.txt", "Samples//"] {
            assert!(Folder::holding(path).is_err(), "{path}");
        }
    }

    #[test]
    fn the_folders_that_hold_a_folder_wait_for_the_marker_right_in_them() {
        let files = files(&[
            "Done.txt",
            "Samples/P/P_Done.txt",
            "Samples/P/a.gz",
            "deep/b/Samples/b.gz",
            "deep/b/X_Done.txt",
            "half/Samples/P/P_Done.txt",
            "half/Samples/P/c.gz",
            "half/log.txt",
            "other/d.gz",
        ]);
        let holding = |holds: &str, marker: &str| FolderCompletion {
            folder: Folder::holding(holds).unwrap(),
            complete_when: Condition::Marker(Marker { is_within: true, ..Pattern::parse(marker).unwrap().into() }),
            is_own_unit: false,
        };
        let completion = |holds: &str| Completion {
            folders: vec![holding(holds, "{prefix:(?:.+_)?}Done.txt")],
            ..marker("never").into()
        };
        let papers = Papers::default();
        let whole = Whole { name: "run", files: &files, papers: &papers };
        let scopes = Scopes::new(&completion("Samples/"), whole, Some(Duration::ZERO), None);
        let verdict = |n: usize| scopes.whole(scopes.of(&files[n])).clone();
        let waits = |marker: &str| Verdict::Waits { reason: format!("waiting for the marker {marker}"), in_time: None };
        assert_eq!((verdict(2), verdict(3)), (Verdict::Complete, Verdict::Complete));
        assert_eq!((verdict(6), verdict(7)), (waits("half/*Done.txt"), waits("half/*Done.txt")));
        // What lies in no such folder is the output around it.
        assert_eq!(verdict(8), Verdict::Complete);
        assert_eq!([0, 1, 4, 5].map(|n| scopes.are_marked_by(&files[n])), [true, false, true, false]);
        // A file of that name makes no such folder.
        let none = Scopes::new(&completion("a.gz/"), whole, Some(Duration::ZERO), None);
        assert!(files.iter().all(|file| none.of(file) == 0));
    }
}
