//! The picture: what the room knows of a watch, from all the scans that it was shown.
//!
//! Pure: scans and moments come in, news goes out. What a scan does not speak for stays as it is; a file is gone only
//! when a scan looked at its place and it was not there.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::observation::{Moment, Observation};

use super::Settings;
use super::baseline::FirstStart;
use super::drawer::Drawer;
use super::news::Baseline;
use super::quiet::{LastChanges, Quiets, bring_up_to, quiet_for};
use super::root::{Root, why};
use super::scan::Found;
use super::settle::{Seen, Sight, reached};
use super::sieve::{Reason, Sieve};
use super::stated::Clock;

#[derive(Debug)]
pub(super) struct Picture {
    settings: Settings,
    sieve: Sieve,
    settle: Duration,
    /// The condition's quiet times, sorted.
    quiets: Vec<Duration>,
    /// Those that count some files of a run alone. None in a drop folder, where every file has its own.
    quiets_of: Quiets,
    /// How long a file must stay unchanged for something to follow from it, sorted.
    spans: Vec<Duration>,
    files: BTreeMap<PathBuf, Seen>,
    /// How many looks there have been, over restarts.
    looks: u64,
    /// Files that lay there at the first start and are gone: should they come back, they are no news.
    absent: BTreeSet<PathBuf>,
    /// When to look again at a file that is on its way through `spans`; on this boot.
    due: BTreeSet<(Duration, PathBuf)>,
    runs: BTreeMap<PathBuf, Run>,
    left_out: BTreeMap<PathBuf, Reason>,
    unread: BTreeMap<PathBuf, String>,
    first_start: FirstStart,
    /// Whether there ever was a file.
    had_files: bool,
    scanned: bool,
    untold: Untold,
    /// For times that are told.
    clock: Clock,
    papers: Drawer,
}

#[derive(Debug)]
struct Run {
    captures: BTreeMap<String, String>,
    first_seen: Moment,
    /// When something in it last changed, came or went.
    last_change: Moment,
    /// When files that count for quiet of their own last changed or came.
    counted: LastChanges,
    /// Up to when a look at all of it found nothing new.
    confirmed: Option<Moment>,
}

/// What has changed since the last news.
#[derive(Debug, Default)]
struct Untold {
    files: BTreeSet<PathBuf>,
    runs: BTreeSet<PathBuf>,
    gone_runs: BTreeSet<PathBuf>,
    left_out: bool,
    /// Something that the news always carries.
    state: bool,
}

impl Run {
    fn quiet_for(&self) -> Duration {
        quiet_for(self.last_change, self.confirmed)
    }

    fn touch(&mut self, at: Moment) {
        bring_up_to(&mut self.last_change, at);
    }
}

impl Picture {
    pub fn new(
        settings: &Settings,
        baseline: Option<Baseline>,
        observations: HashMap<PathBuf, Observation>,
        now: Moment,
    ) -> Self {
        let mut picture = Self {
            settings: settings.clone(),
            sieve: Sieve::new(settings),
            settle: Duration::ZERO,
            quiets: Vec::new(),
            quiets_of: settings.run_folder.as_ref().map(|_| Quiets::of(&settings.complete_when)).unwrap_or_default(),
            spans: Vec::new(),
            files: BTreeMap::new(),
            looks: 0,
            absent: BTreeSet::new(),
            due: BTreeSet::new(),
            runs: BTreeMap::new(),
            left_out: BTreeMap::new(),
            unread: BTreeMap::new(),
            had_files: !observations.is_empty() || baseline.as_ref().is_some_and(|baseline| baseline.files > 0),
            first_start: FirstStart::new(settings.existing.clone(), baseline),
            scanned: false,
            untold: Untold::default(),
            clock: Clock::now(),
            papers: Drawer::default(),
        };
        if settings.run_folder.is_none() {
            picture.add_run(Path::new(""), now);
        }
        for (path, observation) in observations {
            picture.remember(path, observation, now);
        }
        picture
    }

    fn remember(&mut self, path: PathBuf, observation: Observation, now: Moment) {
        if let Some(folder) = self.sieve.run_above(&path).map(Path::to_owned) {
            let since = observation.since;
            if !self.runs.contains_key(&folder) {
                // Of another boot, it says only that the run is not new; the first look starts its time anew.
                self.add_run(&folder, if now.since(&since).is_some() { since } else { now });
            }
            if let (Some(run), Some(_)) = (self.runs.get_mut(&folder), now.since(&since)) {
                run.touch(since);
                self.quiets_of.note(&mut run.counted, path.strip_prefix(&folder).unwrap_or(&path), since);
                if run.first_seen.since(&since).is_some_and(|later| !later.is_zero()) {
                    run.first_seen = since;
                }
            }
        }
        self.looks = self.looks.max(observation.look);
        self.files.insert(path, Seen::remembered(observation));
    }

    /// Sets the settle time, which may depend on the file system that was found.
    pub fn set_settle(&mut self, settle: Duration) {
        self.settle = settle;
        self.quiets = looks::quiets(&self.settings);
        self.spans = looks::spans(&self.settings, settle, &self.quiets);
        self.due.clear();
        let due = self.files.iter().filter_map(|(path, seen)| Some((seen.due(&self.spans)?, path.clone())));
        // What is remembered and not yet seen again has no time of its own: the first scan sees to it.
        self.due.extend(due.filter(|_| self.scanned).map(|(at, path)| (at.at, path)));
        self.untold.runs.extend(self.runs.keys().cloned());
    }

    /// Whether a full scan looks like a share that is not mounted: nothing at all where files were, on another file
    /// system. Nothing may be concluded from it.
    pub fn looks_unmounted(&self, found: &Found, root: &Root) -> bool {
        found.is_empty() && !self.files.is_empty() && self.first_start.is_elsewhere(root)
    }

    /// Whether files were there, and not one is any more.
    pub fn has_lost_all(&self) -> bool {
        self.scanned && self.had_files && self.files.is_empty()
    }

    /// Takes a scan in. The caller vouches that the root was the same before and after it.
    pub fn apply(&mut self, found: &Found, root: &Root) {
        let now = Moment::now();
        self.looks += 1;
        let full = found.covered.iter().any(|path| path.as_os_str().is_empty());
        if full {
            self.untold.state |= self.first_start.full_scan(found, root, |path| self.files.contains_key(path));
        }
        self.apply_unread(found);
        self.apply_left_out(found);
        for folder in &found.runs {
            if !self.runs.contains_key(folder) {
                self.add_run(folder, now);
            }
        }
        self.remove_gone(found, now);
        for (path, sight) in &found.files {
            self.see(path, sight);
        }
        self.had_files |= !self.files.is_empty();
        self.confirm_runs(found);
        if full {
            self.papers.in_trouble().iter().for_each(|path| self.touch_run_of(path, None));
        }
        self.untold.state |= self.first_start.looked(found);
        if full && !self.scanned {
            self.scanned = true;
            self.untold.state = true;
            self.untold.runs.extend(self.runs.keys().cloned());
        }
    }

    fn see(&mut self, path: &Path, sight: &Sight) {
        let (was_due, had_reached, changed) = match self.files.get_mut(path) {
            Some(seen) => {
                (seen.due(&self.spans), reached(&self.spans, seen.unchanged_for()), seen.again(sight, self.looks))
            }
            None => {
                let existing = self.absent.remove(path) || self.first_start.is_existing(path, &sight.fingerprint);
                self.files.insert(path.to_owned(), Seen::first(sight, self.looks, existing));
                (None, 0, true)
            }
        };
        let seen = &self.files[path];
        let (since, due) = (seen.observation.since, seen.due(&self.spans));
        let reached_more = reached(&self.spans, seen.unchanged_for()) != had_reached;
        if due != was_due {
            self.due.extend(due.map(|at| (at.at, path.to_owned())));
            if let Some(at) = was_due {
                self.due.remove(&(at.at, path.to_owned()));
            }
        } else if let Some(at) = due {
            // It may have been taken off the list while it could not be read.
            self.due.insert((at.at, path.to_owned()));
        }
        if changed {
            self.untold.files.insert(path.to_owned());
            self.touch_run_of(path, Some(since));
            self.note_counted(path, since);
        } else if reached_more {
            self.touch_run_of(path, None);
        }
    }

    fn apply_unread(&mut self, found: &Found) {
        let mut before: BTreeMap<PathBuf, String> = BTreeMap::new();
        for path in &found.covered {
            before.extend(below(&self.unread, path).map(|(path, why)| (path.clone(), why.clone())));
        }
        let after: BTreeMap<PathBuf, String> =
            found.unread.iter().map(|(path, error)| (path.clone(), why(error))).collect();
        if before == after {
            return;
        }
        for path in before.keys().chain(after.keys()) {
            self.touch_run_of(path, None);
            self.unread.remove(path);
        }
        // What cannot be looked at has no time at which to look; the healing scan gives it one.
        self.due.retain(|(_, path)| !found.is_blind_at(path));
        self.unread.extend(after);
        self.untold.state = true;
    }

    fn apply_left_out(&mut self, found: &Found) {
        let mut gone = Vec::new();
        for path in &found.covered {
            let blind = |path: &Path| found.is_blind_at(path);
            let known = below(&self.left_out, path).map(|(path, _)| path);
            gone.extend(known.filter(|path| !found.left_out.contains_key(*path) && !blind(path)).cloned());
        }
        self.untold.left_out |= !gone.is_empty();
        for path in gone {
            self.left_out.remove(&path);
        }
        for (path, reason) in &found.left_out {
            self.untold.left_out |= self.left_out.insert(path.clone(), *reason) != Some(*reason);
        }
    }

    fn remove_gone(&mut self, found: &Found, now: Moment) {
        for covered in &found.covered {
            let gone = |path: &&PathBuf| !found.is_blind_at(path);
            let files: Vec<PathBuf> = below(&self.files, covered)
                .map(|(path, _)| path)
                .filter(|path| !found.files.contains_key(*path))
                .filter(gone)
                .cloned()
                .collect();
            for path in files {
                let seen = self.files.remove(&path);
                self.papers.forget(&path);
                if let Some(at) = seen.as_ref().and_then(|seen| seen.due(&self.spans)) {
                    self.due.remove(&(at.at, path.clone()));
                }
                self.touch_run_of(&path, Some(now));
                if seen.is_some_and(|seen| seen.observation.existing) {
                    // What is remembered of it stays: a folder that goes and comes back is not new.
                    self.absent.insert(path);
                } else {
                    self.untold.files.insert(path);
                }
            }
            let runs: Vec<PathBuf> = below(&self.runs, covered)
                .map(|(folder, _)| folder)
                .filter(|folder| !folder.as_os_str().is_empty() && !found.runs.contains(*folder))
                .filter(gone)
                .cloned()
                .collect();
            for folder in runs {
                self.runs.remove(&folder);
                self.untold.runs.remove(&folder);
                self.untold.gone_runs.insert(folder);
            }
        }
    }

    /// Notes for every run that was looked at whole that it was as the picture says when the scan began.
    fn confirm_runs(&mut self, found: &Found) {
        for covered in &found.covered {
            let from = (Bound::Included(covered.as_path()), Bound::Unbounded);
            for (folder, run) in self.runs.range_mut::<Path, _>(from).take_while(|(at, _)| at.starts_with(covered)) {
                if within(&self.sieve, &self.unread, folder).next().is_some() {
                    continue;
                }
                let all = |run: &Run| reached(&self.quiets, run.quiet_for());
                let some = |run: &Run| self.quiets_of.reached(&run.counted, run.confirmed);
                let before = (all(run), some(run));
                run.confirmed = Some(found.started);
                if (all(run), some(run)) != before {
                    self.untold.runs.insert(folder.clone());
                }
            }
        }
    }

    fn add_run(&mut self, folder: &Path, first_seen: Moment) {
        let captures = self.sieve.captures(folder).unwrap_or_default();
        let run =
            Run { captures, first_seen, last_change: first_seen, counted: LastChanges::default(), confirmed: None };
        self.runs.insert(folder.to_owned(), run);
        self.untold.runs.insert(folder.to_owned());
    }

    /// Notes that the run of this file is to be shown again, and when it changed, if it did.
    fn touch_run_of(&mut self, path: &Path, changed: Option<Moment>) {
        let Some(folder) = self.run_of(path) else { return };
        if let (Some(run), Some(at)) = (self.runs.get_mut(folder), changed) {
            run.touch(at);
        }
        self.untold.runs.insert(folder.to_owned());
    }

    /// Notes that a file changed or came, where it counts for a quiet of its own.
    fn note_counted(&mut self, path: &Path, at: Moment) {
        let Some(folder) = self.run_of(path) else { return };
        if let (Some(run), Ok(below_run)) = (self.runs.get_mut(folder), path.strip_prefix(folder)) {
            self.quiets_of.note(&mut run.counted, below_run, at);
        }
    }

    /// The folder of the run in which a file lies. A run folder lies in another only where it is not its own, so the
    /// nearest is right.
    fn run_of<'p>(&self, path: &'p Path) -> Option<&'p Path> {
        path.ancestors().find(|folder| self.runs.contains_key(*folder))
    }
}

/// The entries at `path` and below it, which lie side by side, since paths are sorted by component.
pub(super) fn below<'a, V>(
    map: &'a BTreeMap<PathBuf, V>,
    path: &'a Path,
) -> impl Iterator<Item = (&'a PathBuf, &'a V)> {
    let from = (Bound::Included(path), Bound::Unbounded);
    map.range::<Path, _>(from).take_while(move |(at, _)| at.starts_with(path))
}

/// The entries of a map that are a run's own.
fn within<'a, V>(
    sieve: &'a Sieve,
    map: &'a BTreeMap<PathBuf, V>,
    folder: &'a Path,
) -> impl Iterator<Item = (&'a PathBuf, &'a V)> {
    // Mostly there is nothing, and nothing to ask for.
    let is_own = std::cell::LazyCell::new(|| sieve.own(folder));
    below(map, folder).filter(move |(path, _)| is_own(path))
}

mod looks;
#[cfg(test)]
mod tests;
mod told;
