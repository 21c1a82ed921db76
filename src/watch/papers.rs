//! A run's papers: what the instrument wrote of its outcome and of what must be there, held against what is there.
//!
//! Pure: what was read comes in. It decides what a statement means for a run, and says so in words.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::complete::{NAMED, joined};
use super::summaries::Summaries;
use super::view::{FileView, Verdict};
use crate::observation::{Coming, Moment};
use crate::outcome::{Expected, Outcome, ReadCount, SentFile};
use crate::sample::path_to_text;

/// What the papers of a run say, and what of the run the watch leaves out.
#[derive(Debug, Clone, Default)]
pub(super) struct Papers {
    /// By path below the run, as the files are now.
    pub read: BTreeMap<PathBuf, Arc<ReadPaper>>,
    /// Those that cannot be read just now, and why.
    pub unread: BTreeMap<PathBuf, String>,
    /// One that may tell how many reads the run has, and has not been read as it is now.
    pub undescribed: Option<PathBuf>,
    /// What is there below the run although the watch leaves it out: files, and folders that nobody looks into.
    pub left_out: BTreeSet<PathBuf>,
    /// The folders among them in which reads may lie.
    pub unseen: Vec<PathBuf>,
}

/// What is in a paper, for the conditions that ask.
#[derive(Debug)]
pub(super) struct ReadPaper {
    pub outcome: Option<Outcome>,
    pub expected: Option<Expected>,
    /// How many reads the run has.
    pub reads: Option<ReadCount>,
}

impl ReadPaper {
    /// Why it says nothing, where it should.
    pub(super) fn says_nothing(&self) -> Option<&str> {
        match (&self.outcome, &self.expected) {
            (Some(Outcome::Unknown(why)), _) | (_, Some(Expected::Unreadable(why))) => Some(why),
            _ => None,
        }
    }
}

/// A run, for the question what of it is there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whole<'a> {
    /// The run folder's own name.
    pub name: &'a str,
    /// All files, sorted.
    pub files: &'a [FileView],
    pub papers: &'a Papers,
}

/// What a paper's condition amounts to.
#[derive(Debug, Clone)]
pub(super) struct Decided {
    pub verdict: Verdict,
    /// What can be told of it besides.
    pub told: Vec<Told>,
}

/// Something that holds, and since when, where the agent saw that.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub what: String,
    pub since: Option<Moment>,
    /// When what says so by being there came; `None` where it rests on the run's files themselves.
    pub coming: Option<Coming>,
    /// Whether it explains nothing to whoever waits for something else.
    pub is_aside: bool,
}

impl Told {
    /// That a file is there which says so by being there.
    pub(super) fn marker(file: &FileView) -> Self {
        let what = format!("marker {} present", path_to_text(&file.below_run));
        Self { what, since: Some(file.observation.since), coming: Some(file.observation.coming()), is_aside: false }
    }

    pub(super) fn said(what: String) -> Self {
        Self { what, since: None, coming: None, is_aside: false }
    }

    fn aside(what: String) -> Self {
        Self { what, since: None, coming: None, is_aside: true }
    }
}

impl Decided {
    /// Joins what was decided of each of some papers.
    fn all(decided: Vec<Result<Told, Verdict>>) -> Self {
        let (mut told, mut verdicts) = (Vec::new(), Vec::new());
        for one in decided {
            match one {
                Ok(holds) => told.push(holds),
                Err(verdict) => verdicts.push(verdict),
            }
        }
        Self { verdict: joined(verdicts), told }
    }
}

/// What these papers say of the outcome. `papers` are not none.
pub(super) fn outcome(papers: &[&FileView], whole: &Whole<'_>) -> Decided {
    let decide = |file: &&FileView| {
        let name = path_to_text(&file.below_run);
        whole.can_judge(file)?;
        let said = whole.papers.read.get(&file.below_run).and_then(|paper| paper.outcome.as_ref());
        match said {
            Some(Outcome::Failed(words)) => Err(Verdict::Failed {
                reason: format!(
                    "it failed: {name} says {words}; see to it, or close the run or the sample to take what is there"
                ),
            }),
            Some(Outcome::Good(words)) => Ok(Told::said(format!("{name} says {words}"))),
            Some(Outcome::Unknown(why)) => Ok(Told::aside(format!("{name} tells no outcome ({why})"))),
            None => Ok(Told::aside(format!("{name} has not been read"))),
        }
    };
    Decided::all(papers.iter().map(decide).collect())
}

/// Whether all that these papers list is there, as far as it lies in the folder `within` the run. `papers` are not
/// none.
pub(super) fn listed(papers: &[&FileView], within: &Path, whole: &Whole<'_>) -> Decided {
    let (mut decided, mut summaries) = (Vec::new(), Summaries::default());
    for file in papers {
        let name = path_to_text(&file.below_run);
        let said = whole.papers.read.get(&file.below_run).and_then(|paper| paper.expected.as_ref());
        // One that has not settled, or has nothing in it, says by its name alone whose end it is.
        let summary = match said {
            Some(Expected::Counts(summary)) if file.settled => Some(summary),
            _ => None,
        };
        summaries.add(file, summary);
        if summary.is_some_and(|summary| !summary.counts.is_empty()) {
            continue;
        }
        decided.push(whole.can_judge(file).and_then(|()| match said {
            Some(Expected::Paths(paths)) => whole.has_paths(paths, file, within).told(&name),
            Some(Expected::Sent(sent)) => whole.has_sent(sent, within).told(&name),
            Some(Expected::Nothing | Expected::Counts(_)) => Ok(Told::marker(file)),
            Some(Expected::Unreadable(why)) => Ok(Told::aside(format!("{name} is no list ({why})"))),
            None => Ok(Told::aside(format!("{name} has not been read"))),
        }));
    }
    decided.extend(summaries.compared(whole));
    Decided::all(decided)
}

/// How much of a list is there.
#[derive(Default)]
struct Comparison {
    all: usize,
    /// The first of those that are missing.
    named: Vec<String>,
    missing: usize,
}

impl Comparison {
    fn add(&mut self, is_there: bool, name: &str) {
        self.all += 1;
        if !is_there {
            self.missing += 1;
            if self.named.len() < NAMED {
                self.named.push(name.to_owned());
            }
        }
    }

    fn told(&self, list: &str) -> Result<Told, Verdict> {
        if self.missing == 0 {
            let all = match self.all {
                // What it lists lies elsewhere, in another analysis.
                0 => return Ok(Told::aside(format!("{list} lists nothing of this part of the run"))),
                1 => format!("the one file of {list} is there"),
                all => format!("all {all} files of {list} are there"),
            };
            return Ok(Told::said(all));
        }
        let more = if self.missing > NAMED { ", …" } else { "" };
        Err(lacks(self.missing, self.all, &format!("files of {list}"), &format!(": {}{more}", self.named.join(", "))))
    }
}

/// "2 of 304 files of Manifest.tsv are not there: a, b".
pub(super) fn lacks(missing: usize, all: usize, what: &str, which: &str) -> Verdict {
    let verb = if missing == 1 { "is" } else { "are" };
    Verdict::Waits { reason: format!("{missing} of {all} {what} {verb} not there{which}"), in_time: None }
}

impl Whole<'_> {
    /// A paper that still changes says nothing yet, nor does one on a share that is away.
    fn can_judge(&self, file: &FileView) -> Result<(), Verdict> {
        let name = path_to_text(&file.below_run);
        if let Some(why) = self.papers.unread.get(&file.below_run) {
            let reason = format!("cannot read {name}: {why}; it is tried again");
            return Err(Verdict::Waits { reason, in_time: None });
        }
        if file.settled {
            return Ok(());
        }
        Err(Verdict::Waits { reason: format!("{name} has not settled yet"), in_time: file.settles_in })
    }

    fn has_paths(&self, paths: &[String], list: &FileView, within: &Path) -> Comparison {
        let folder = list.below_run.parent().unwrap_or(Path::new(""));
        let mut comparison = Comparison::default();
        for listed in paths {
            let path = Path::new(listed);
            // Those of an analysis are below the analysis; other programs may name the run folder, or begin below it.
            let places = [folder.join(path), path.to_owned(), path.strip_prefix(self.name).unwrap_or(path).to_owned()];
            let places: Vec<&PathBuf> = places.iter().filter(|place| place.starts_with(within)).collect();
            if !places.is_empty() {
                comparison.add(places.iter().any(|place| self.is_there(place) || self.is_unseen(place)), listed);
            }
        }
        comparison
    }

    fn has_sent(&self, sent: &[SentFile], within: &Path) -> Comparison {
        let names: HashSet<_> =
            self.all().filter(|path| path.starts_with(within)).filter_map(Path::file_name).collect();
        let unseen: HashSet<_> = self.papers.unseen.iter().filter_map(|folder| folder.file_name()).collect();
        let mut comparison = Comparison::default();
        for SentFile { folder, name } in sent {
            let is_there = names.contains(name.as_ref() as &OsStr);
            comparison.add(is_there || unseen.contains(folder.as_ref() as &OsStr), name);
        }
        comparison
    }

    /// The paths of all that is there below the run, as far as the watch looks.
    pub(super) fn all(&self) -> impl Iterator<Item = &Path> {
        let seen = self.files.iter().map(|file| file.below_run.as_path());
        seen.chain(self.papers.left_out.iter().map(PathBuf::as_path))
    }

    fn is_there(&self, path: &Path) -> bool {
        let seen = self.files.binary_search_by(|file| file.below_run.as_path().cmp(path)).is_ok();
        seen || self.papers.left_out.contains(path)
    }

    /// Whether it lies in a folder that the watch does not look into.
    fn is_unseen(&self, path: &Path) -> bool {
        path.ancestors().skip(1).any(|folder| self.papers.left_out.contains(folder))
    }
}

#[cfg(test)]
mod tests;
