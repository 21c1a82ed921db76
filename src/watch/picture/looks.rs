//! When the picture wants to be looked at again, and where.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Picture, Seen, within};
use crate::observation::Moment;
use crate::watch::quiet::Quiets;
use crate::watch::{Condition, Settings, parts};

impl Picture {
    /// What must be looked at because its time has come. `hears_of_news`: whether what comes meanwhile is known.
    pub fn due(&self, now: Moment, hears_of_news: bool) -> BTreeSet<PathBuf> {
        let files = self.due.iter().take_while(|(at, _)| *at <= now.at).map(|(_, path)| path);
        let runs = self.runs_due().filter(|(at, _)| at.at <= now.at).map(|(_, folder)| folder.to_owned());
        // Quiet speaks of what came, too: a mate that has just been written is seen by listing their folder.
        let lists = self.settings.run_folder.is_none() && !self.quiets.is_empty();
        let place = |path: &PathBuf| if lists { path.parent().unwrap_or(path).to_owned() } else { path.clone() };
        let mut due: BTreeSet<PathBuf> = files.map(place).chain(runs).collect();
        if !hears_of_news {
            let runs: BTreeSet<PathBuf> = due.iter().filter_map(|path| self.run_of(path)).map(Path::to_owned).collect();
            due.extend(runs.into_iter().filter(|folder| self.seems_written(folder, now)));
        }
        due
    }

    /// Whether all of a run folder's files have settled, or will if they are unchanged now. What came since the last
    /// scan may be what it lacks.
    fn seems_written(&self, folder: &Path, now: Moment) -> bool {
        let is_settling = |seen: &Seen| seen.due(&[self.settle]).is_some_and(|at| at.at > now.at);
        self.settings.run_folder.is_some()
            && !within(&self.sieve, &self.files, folder).any(|(_, seen)| is_settling(seen))
    }

    /// When something will be due next.
    pub fn next(&self) -> Option<Moment> {
        let file = self.due.first().map(|(at, _)| Moment { at: *at, ..Moment::now() });
        file.into_iter().chain(self.runs_due().map(|(at, _)| at)).min_by_key(|moment| moment.at)
    }

    fn runs_due(&self) -> impl Iterator<Item = (Moment, &Path)> {
        self.runs.iter().filter(|_| self.scanned && self.settings.run_folder.is_some()).filter_map(|(folder, run)| {
            let quiet_for = run.quiet_for();
            let of_all = self.quiets.iter().find(|quiet| **quiet > quiet_for).map(|quiet| run.last_change + *quiet);
            let of_some = self.quiets_of.due(&run.counted, run.confirmed);
            let due = of_all.into_iter().chain(of_some).min_by_key(|due| due.at)?;
            let readable = within(&self.sieve, &self.unread, folder).next().is_none();
            readable.then_some((due, folder.as_path()))
        })
    }

    /// Whether the file will soon be looked at again anyway.
    pub fn is_settling(&self, path: &Path) -> bool {
        self.files.get(path).is_some_and(|seen| seen.due(&[self.settle]).is_some())
    }

    /// Whether a look at a file at this moment can settle it.
    pub fn is_due(&self, path: &Path, at: Moment) -> bool {
        self.files.get(path).and_then(|seen| seen.due(&self.spans)).is_some_and(|due| due.at <= at.at)
    }
}

/// How long a file must stay unchanged for something to follow from it, sorted.
pub(super) fn spans(settings: &Settings, settle: Duration, quiets: &[Duration]) -> Vec<Duration> {
    let mut spans = vec![settle];
    let is_drop_folder = settings.run_folder.is_none();
    if is_drop_folder {
        spans.extend(quiets);
    }
    let [behind_markers, the_rest] = parts::spans(settle);
    if settings.complete_when.asks_for_markers() || settings.described_by.is_some() {
        spans.extend([behind_markers, the_rest]);
    } else if is_drop_folder {
        // A file of a sample that is being written under another name is awaited so long.
        spans.push(the_rest);
    }
    spans.sort_unstable();
    spans
}

/// The times, sorted, after which a run or a sample without news is looked at again.
pub(super) fn quiets(settings: &Settings) -> Vec<Duration> {
    // What counts some files alone, `quiet` knows.
    let time = |leaf: &Condition| if let Condition::Quiet(time) = leaf { Some(*time) } else { None };
    let mut quiets: Vec<Duration> = settings.complete_when.leaves().filter_map(time).collect();
    if settings.run_folder.is_some() {
        quiets.extend(settings.expect_within);
    } else {
        quiets.extend(Quiets::of(&settings.complete_when).times());
    }
    quiets.sort_unstable();
    quiets.dedup();
    quiets
}
