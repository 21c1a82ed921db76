//! The scan: what lies at a path and below it, told by `readdir` and `stat` alone, but for files whose look decides
//! something on a share: those are opened.
//!
//! It decides nothing about time and remembers nothing. What it could not read it says so, so that nobody takes the
//! unread for the absent.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, FileType, Metadata};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::observation::{Moment, open_at_once};
use crate::sample::Fingerprint;

use super::settle::Sight;
use super::sieve::{Reason, Sieve, keeps_unfinished};

/// What a scan found. Paths are below the watch.
#[derive(Debug)]
pub(super) struct Found {
    /// A moment before the scan.
    pub started: Moment,
    /// The scan speaks for these paths and everything below them: what it did not find there is not there, except
    /// below `unread`.
    pub covered: Vec<PathBuf>,
    pub files: HashMap<PathBuf, Sight>,
    pub left_out: BTreeMap<PathBuf, Reason>,
    /// Run folders.
    pub runs: BTreeSet<PathBuf>,
    /// Files and folders that could not be read.
    pub unread: BTreeMap<PathBuf, io::Error>,
}

impl Found {
    /// Whether the scan cannot say what is at `path`.
    pub fn is_blind_at(&self, path: &Path) -> bool {
        !self.unread.is_empty() && path.ancestors().any(|at| self.unread.contains_key(at))
    }

    /// Whether there was nothing at all.
    pub fn is_empty(&self) -> bool {
        let no_runs = self.runs.iter().all(|folder| folder.as_os_str().is_empty());
        self.files.is_empty() && self.left_out.is_empty() && self.unread.is_empty() && no_runs
    }
}

/// Looks at everything at and below `paths`. `enter` is called with the absolute path of every folder before it is
/// listed: what is set up there misses nothing that the listing misses.
///
/// `is_judged` says of a file and a moment whether a look at it then would settle it, on a share: such a file is opened
/// first. Shares answer `stat` out of a cache that may be a minute old, and ask their server when a file is opened.
///
/// `root` is canonical. Links are not followed out of it.
pub(super) fn look(
    root: &Path,
    sieve: &Sieve,
    mut paths: Vec<PathBuf>,
    enter: &mut dyn FnMut(&Path),
    is_judged: &dyn Fn(&Path, Moment) -> bool,
) -> Found {
    paths.sort_unstable();
    // Sorted by component, a path comes right after those that it lies below.
    paths.dedup_by(|path, kept| path.starts_with(&*kept));
    let found = Found {
        started: Moment::now(),
        covered: paths,
        files: HashMap::new(),
        left_out: BTreeMap::new(),
        runs: BTreeSet::new(),
        unread: BTreeMap::new(),
    };
    let mut scan = Scan { root, sieve, enter, is_judged, folders: Vec::new(), found };
    let mut at = 0;
    while let Some(path) = scan.found.covered.get(at).cloned() {
        at += 1;
        scan.begin(path);
        while let Some((folder, in_run)) = scan.folders.pop() {
            scan.list(folder, in_run);
        }
    }
    scan.found
}

struct Scan<'a> {
    root: &'a Path,
    sieve: &'a Sieve,
    enter: &'a mut dyn FnMut(&Path),
    is_judged: &'a dyn Fn(&Path, Moment) -> bool,
    /// Still to be listed, and whether they lie in a run. A stack of its own, since folders can nest deeper than a
    /// thread's stack.
    folders: Vec<(PathBuf, bool)>,
    found: Found,
}

impl Scan<'_> {
    fn begin(&mut self, path: PathBuf) {
        let here = self.absolute(&path);
        let metadata = if path.as_os_str().is_empty() { here.metadata() } else { here.symlink_metadata() };
        let Some(metadata) = self.answer(&path, metadata) else {
            // Whether its folder is still a run, the entries that are left say.
            let is_by_entries = |run: &&Path| path.parent() == Some(*run) && !self.sieve.is_run(run);
            let run = self.sieve.run_above(&path).filter(is_by_entries);
            self.found.covered.extend(run.map(Path::to_owned));
            return;
        };
        if let Some((at, reason)) = self.sieve.leaves_out_above(&path) {
            let reason = reason.of(|| at != path || metadata.is_dir());
            self.leave_out(&at, reason, at == path && metadata.is_dir());
            if path.parent() == Some(&at) && keeps_unfinished(&at) {
                self.found.left_out.insert(path, Reason::Unfinished);
            }
            return;
        }
        let run = self.sieve.run_above(&path).map(Path::to_owned);
        let in_run = run.is_some();
        self.found.runs.extend(run);
        self.take(path, metadata.file_type(), in_run, || Ok(metadata));
    }

    fn list(&mut self, folder: PathBuf, in_run: bool) {
        let here = self.absolute(&folder);
        (self.enter)(&here);
        let Some(entries) = self.answer(&folder, fs::read_dir(&here)) else { return };
        for entry in entries {
            let Some(entry) = self.answer(&folder, entry) else { continue };
            let path = folder.join(entry.file_name());
            if let Some(reason) = self.sieve.leaves_out(&path) {
                let is_folder = || entry.file_type().is_ok_and(|kind| kind.is_dir());
                let reason = reason.of(is_folder);
                self.leave_out(&path, reason, is_folder());
            } else if let Some(kind) = self.answer(&path, entry.file_type()) {
                let begins_run = !in_run && self.sieve.begins_run(&path);
                if begins_run {
                    self.found.runs.insert(folder.clone());
                }
                self.take(path, kind, in_run || begins_run, || entry.metadata());
            }
        }
    }

    /// Leaves out what lies at a path. Of a folder that keeps what is not finished each file is told, since it will lie
    /// beside that.
    fn leave_out(&mut self, path: &Path, reason: Reason, is_folder: bool) {
        self.found.left_out.insert(path.to_owned(), reason);
        if !is_folder || reason != Reason::DotName || !keeps_unfinished(path) {
            return;
        }
        let here = self.absolute(path);
        (self.enter)(&here);
        // Whoever may not look into it has no reads there: it keeps nobody waiting.
        let entries = fs::read_dir(&here).into_iter().flatten().flatten();
        self.found.left_out.extend(entries.map(|entry| (path.join(entry.file_name()), Reason::Unfinished)));
    }

    /// Takes what lies at a path that no rule about names leaves out.
    fn take(&mut self, path: PathBuf, kind: FileType, in_run: bool, stat: impl FnOnce() -> io::Result<Metadata>) {
        if kind.is_dir() {
            self.take_folder(path, in_run);
        } else if !in_run {
            self.found.left_out.insert(path, Reason::NoRunFolder);
        } else if kind.is_symlink() {
            self.take_link(path);
        } else if kind.is_file() {
            self.take_file(path, stat);
        } else {
            self.found.left_out.insert(path, Reason::NotRegular);
        }
    }

    fn take_folder(&mut self, path: PathBuf, in_run: bool) {
        let is_run = !in_run && self.sieve.is_run(&path);
        if is_run {
            self.found.runs.insert(path.clone());
        } else if !in_run && !self.sieve.leads_to_runs(&path) {
            self.found.left_out.insert(path, Reason::NoRunFolder);
            return;
        }
        self.folders.push((path, in_run || is_run));
    }

    fn take_file(&mut self, path: PathBuf, stat: impl FnOnce() -> io::Result<Metadata>) {
        let asked = Moment::now();
        let opened = (self.is_judged)(&path, asked).then(|| open_at_once(&self.absolute(&path)));
        // Whoever may not read a file can still look at it: it may be nobody's reads.
        let metadata = opened.and_then(Result::ok).map_or_else(stat, |file| file.metadata());
        if let Some(metadata) = self.answer(&path, metadata) {
            let sight = Sight { fingerprint: Fingerprint::of(&metadata), asked, answered: Moment::now() };
            self.found.files.insert(path, sight);
        }
    }

    fn take_link(&mut self, path: PathBuf) {
        let here = self.absolute(&path);
        let reason = match here.metadata() {
            Ok(target) if target.is_dir() => Reason::LinkToFolder,
            Ok(target) if !target.is_file() => Reason::NotRegular,
            Ok(_) => match here.canonicalize() {
                Ok(target) if target.starts_with(self.root) => return self.take_file(path, || here.metadata()),
                Ok(_) => Reason::LinkOut,
                Err(_) => Reason::LinkNowhere,
            },
            Err(error) if error.kind() == ErrorKind::NotFound || is_loop(&error) => Reason::LinkNowhere,
            Err(error) => {
                self.found.unread.insert(path, error);
                return;
            }
        };
        self.found.left_out.insert(path, reason);
    }

    /// What the disk answered about `path`; `None` when it is gone meanwhile, or cannot be read, which is noted.
    fn answer<T>(&mut self, path: &Path, answer: io::Result<T>) -> Option<T> {
        match answer {
            Ok(answer) => Some(answer),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => None,
            Err(error) => {
                self.found.unread.insert(path.to_owned(), error);
                None
            }
        }
    }

    fn absolute(&self, path: &Path) -> PathBuf {
        // Joining the empty path would leave a slash at the end, and events name folders without one.
        if path.as_os_str().is_empty() { self.root.to_owned() } else { self.root.join(path) }
    }
}

/// Whether links lead to each other in a circle.
fn is_loop(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use notify::event::AccessKind;
    use notify::{EventKind, INotifyWatcher, RecursiveMode, Watcher};

    /// The kernel is asked which files were opened.
    #[test]
    fn a_file_whose_look_decides_something_is_opened_and_no_other() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().canonicalize().unwrap();
        for name in ["due", "settled"] {
            fs::write(root.join(name), name).unwrap();
        }
        let (events, heard) = std::sync::mpsc::channel();
        let mut watcher = INotifyWatcher::new(events, notify::Config::default()).unwrap();
        watcher.watch(&root, RecursiveMode::NonRecursive).unwrap();
        let sieve = Sieve::ignoring(&[]);
        let is_judged = |path: &Path, _: Moment| path == Path::new("due");
        let found = look(&root, &sieve, vec![PathBuf::new()], &mut |_| (), &is_judged);
        assert_eq!(found.files[Path::new("due")].fingerprint.size, 3);
        assert_eq!(found.files.len(), 2);
        fs::write(root.join("end"), "").unwrap();
        let mut opened = Vec::new();
        loop {
            let event = heard.recv_timeout(Duration::from_secs(60)).expect("the file is opened").unwrap();
            if event.paths.contains(&root.join("end")) {
                break;
            }
            if matches!(event.kind, EventKind::Access(AccessKind::Open(_))) {
                opened.extend(event.paths.into_iter().filter(|path| *path != root));
            }
        }
        assert_eq!(opened, [root.join("due")]);
    }

    #[test]
    fn files_that_rsync_keeps_in_a_folder_are_told_as_unfinished() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().canonicalize().unwrap();
        for file in [".~tmp~/a.gz", "x/.rsync-partial/b.gz", "x/.other/c.gz", "x/.rsync-partial/deep/d.gz"] {
            fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
            fs::write(root.join(file), "").unwrap();
        }
        let sieve = Sieve::ignoring(&[]);
        let look_at = |path: &str| {
            let mut entered = Vec::new();
            let mut enter = |path: &Path| entered.push(path.strip_prefix(&root).unwrap().to_owned());
            let found = look(&root, &sieve, vec![path.into()], &mut enter, &|_, _| false);
            assert!(found.files.is_empty());
            let unfinished = found.left_out.into_iter().filter(|(_, reason)| *reason == Reason::Unfinished);
            (unfinished.map(|(path, _)| path.to_str().unwrap().to_owned()).collect::<Vec<_>>(), entered)
        };
        let (unfinished, entered) = look_at("");
        assert_eq!(unfinished, [".~tmp~/a.gz", "x/.rsync-partial/b.gz", "x/.rsync-partial/deep"]);
        assert!(entered.contains(&".~tmp~".into()) && !entered.contains(&"x/.other".into()), "{entered:?}");
        // As events tell of them.
        assert_eq!(look_at(".~tmp~").0, [".~tmp~/a.gz"]);
        assert_eq!(look_at("x/.rsync-partial/b.gz").0, ["x/.rsync-partial/b.gz"]);
        assert!(look_at("x/.other/c.gz").0.is_empty() && look_at("x/.rsync-partial/deep/d.gz").0.is_empty());
    }

    #[test]
    fn folders_that_instruments_fill_are_not_even_listed() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().canonicalize().unwrap();
        let reads = "run/Data/Intensities/BaseCalls/project";
        let filled = ["run/InterOp", "run/Thumbnail_Images/L001/C1.1", "run/Data/Intensities/BaseCalls/L001/C1.1"];
        for folder in filled.iter().chain([&reads]) {
            fs::create_dir_all(root.join(folder)).unwrap();
            fs::write(root.join(folder).join("file"), "").unwrap();
        }
        let sieve = Sieve::ignoring(crate::layout::find("illumina").unwrap().never_listed);
        let mut entered = Vec::new();
        let mut enter = |path: &Path| entered.push(path.strip_prefix(&root).unwrap().to_owned());
        let found = look(&root, &sieve, vec![PathBuf::new()], &mut enter, &|_, _| false);
        let mut above_reads: Vec<&Path> = Path::new(reads).ancestors().collect();
        above_reads.reverse();
        assert_eq!(entered, above_reads);
        assert_eq!(found.files.keys().collect::<Vec<_>>(), [&Path::new(reads).join("file")]);
        assert_eq!(found.left_out.len(), filled.len(), "each is told, once: {:?}", found.left_out);
    }
}
