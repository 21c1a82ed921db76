//! When a run is complete: the condition, judged over what was seen, with a reason where it waits.
//!
//! Pure: times come with the files. It knows markers, quiet and settled, and nothing of what a rule expects; what
//! papers say, `papers` knows.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::papers::{self, Decided, Told, Whole};
use super::stated::{Clock, Stated};
use super::view::{FileView, Verdict};
use super::{Condition, Marker, Paper};
use crate::pattern::{Captures, Pattern, Patterns};
use crate::sample::path_to_text;

/// How many files a reason names.
pub(super) const NAMED: usize = 3;

/// A condition whose markers have been looked for, so that judging many groups of one drop folder costs no search
/// of the folder for each.
#[derive(Debug, Clone)]
pub(super) enum Check {
    Marker {
        pattern: Pattern,
        /// The folder below the run from which its paths count.
        within: PathBuf,
        /// The first file of the run that is one.
        found: Option<Told>,
        /// What the pattern must capture, where it captures these names.
        of: Captures,
        /// Whether it holds without one, too.
        is_optional: bool,
        /// A file beside which it does not count.
        contradicted_by: Option<PathBuf>,
    },
    /// What papers of this pattern say, once there is one.
    Papers {
        pattern: Pattern,
        of: Captures,
        decided: Decided,
        /// Whether they list what must be there, rather than how it ended.
        are_lists: bool,
    },
    Quiet(Duration),
    /// Quiet of the files of these patterns.
    QuietOf {
        time: Duration,
        counted: Counted,
    },
    Settled,
    Any(Vec<Check>),
    All(Vec<Check>),
}

/// The files whose quiet counts.
#[derive(Debug, Clone)]
pub(super) struct Counted {
    patterns: Patterns,
    of: Captures,
    /// The least time for which one of the run's is known to be as it is; `None`: there is none.
    in_run: Option<Duration>,
}

/// Where a condition looks.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// The files among which markers and papers are looked for.
    pub files: &'a [&'a FileView],
    /// The folder below the run for which the condition speaks, and what its pattern captured.
    pub folder: &'a Path,
    pub bound: &'a Captures,
    pub whole: Whole<'a>,
}

impl Check {
    /// Looks for the condition's markers and papers. One that captures a name which is bound must capture the same
    /// text.
    pub(super) fn new(condition: &Condition, place: Place<'_>) -> Self {
        let each = |conditions: &[Condition]| conditions.iter().map(|c| Check::new(c, place)).collect();
        let of = || place.bound.clone();
        match condition {
            Condition::Marker(Marker { pattern, is_within, is_optional, unless }) => {
                let within = if *is_within { place.folder } else { Path::new("") };
                let find = |pattern| {
                    let is_one = |file: &&&FileView| marks_within(within, pattern, &file.below_run, place.bound);
                    place.files.iter().find(is_one).copied()
                };
                let contradicted_by = unless.iter().flat_map(Patterns::iter).find_map(find);
                Check::Marker {
                    pattern: pattern.clone(),
                    within: within.to_owned(),
                    found: find(pattern).map(Told::marker),
                    of: of(),
                    is_optional: *is_optional,
                    contradicted_by: contradicted_by.map(|file| file.below_run.clone()),
                }
            }
            Condition::Outcome(paper) => {
                let decided = place.decided(paper, "outcome", |papers| papers::outcome(papers, &place.whole));
                Check::Papers { pattern: paper.pattern.clone(), of: of(), decided, are_lists: false }
            }
            Condition::Listed(paper) => {
                let decided =
                    place.decided(paper, "marker", |papers| papers::listed(papers, place.folder, &place.whole));
                Check::Papers { pattern: paper.pattern.clone(), of: of(), decided, are_lists: true }
            }
            Condition::Quiet(time) => Check::Quiet(*time),
            Condition::QuietOf { time, of: patterns } => {
                let mut counted = Counted { patterns: patterns.clone(), of: of(), in_run: None };
                counted.in_run = counted.quiet_for(place.whole.files);
                Check::QuietOf { time: *time, counted }
            }
            Condition::Settled => Check::Settled,
            Condition::Any(conditions) => Check::Any(each(conditions)),
            Condition::All(conditions) => Check::All(each(conditions)),
        }
    }

    /// Whether a file of the run is one of its markers: of those that hold something up, or, where `are_optional`, of
    /// those that do not.
    pub(super) fn is_marker(&self, below_run: &Path, are_optional: bool) -> bool {
        match self {
            Check::Marker { pattern, within, of, is_optional, .. } => {
                *is_optional == are_optional && marks_within(within, pattern, below_run, of)
            }
            Check::Papers { pattern, of, .. } => !are_optional && marks(pattern, below_run, of),
            Check::Quiet(_) | Check::QuietOf { .. } | Check::Settled => false,
            Check::Any(checks) | Check::All(checks) => {
                checks.iter().any(|check| check.is_marker(below_run, are_optional))
            }
        }
    }

    /// The verdict over `group`. `quiet_for` is the run's; `None` takes the group's own, the least of its files'.
    pub(super) fn judge(&self, group: &[&FileView], quiet_for: Option<Duration>) -> Verdict {
        let waits = |reason, in_time| Verdict::Waits { reason, in_time };
        if group.is_empty() {
            // Settled and quiet hold of nothing at all, but an empty run is not a complete one.
            return waits("no file has appeared yet".into(), None);
        }
        match self {
            Check::Marker { found: Some(_), contradicted_by: Some(path), pattern, of, .. } => {
                let (marker, path) = (pattern.filled(of), path_to_text(path));
                waits(format!("the marker {marker} does not count beside {path}"), None)
            }
            Check::Marker { found: Some(_), .. } | Check::Marker { is_optional: true, .. } => Verdict::Complete,
            Check::Marker { pattern, within, of, .. } => {
                let marker = path_to_text(&within.join(pattern.filled(of)));
                waits(format!("waiting for the marker {marker}"), None)
            }
            Check::Papers { decided, .. } => decided.verdict.clone(),
            Check::Quiet(time) => {
                let so_far =
                    quiet_for.unwrap_or_else(|| group.iter().map(|file| file.unchanged_for).min().unwrap_or_default());
                quiet("", so_far, *time)
            }
            Check::QuietOf { time, counted } => {
                let of_group = || counted.quiet_for(group.iter().copied());
                match quiet_for.map_or_else(of_group, |_| counted.in_run) {
                    Some(so_far) => quiet(&format!("{} ", counted.named(" and ")), so_far, *time),
                    None => waits(format!("waiting for a first file of {}", counted.named(" or ")), None),
                }
            }
            Check::Settled => {
                let changing: Vec<&FileView> = group.iter().filter(|file| !file.settled).copied().collect();
                match changing.iter().filter_map(|file| file.settles_in).max() {
                    _ if changing.is_empty() => Verdict::Complete,
                    last => waits(still_changing(&changing), last),
                }
            }
            Check::Any(checks) => {
                let verdicts: Vec<Verdict> = checks.iter().map(|c| c.judge(group, quiet_for)).collect();
                if verdicts.contains(&Verdict::Complete) {
                    return Verdict::Complete;
                }
                // One way is open as long as not all have failed.
                if verdicts.iter().all(|verdict| matches!(verdict, Verdict::Failed { .. })) {
                    return joined(verdicts);
                }
                let (reasons, times) = reasons(verdicts);
                waits(reasons.join(", or "), times.into_iter().flatten().min())
            }
            Check::All(checks) => joined(checks.iter().map(|c| c.judge(group, quiet_for)).collect()),
        }
    }

    /// The conditions one by one. Of several of which one is enough, those that hold are told, and what is waited for
    /// instead where none does.
    pub(super) fn stated(&self, group: &[&FileView], quiet_for: Option<Duration>, clock: Option<Clock>) -> Vec<Stated> {
        let each = |checks: &[Check]| checks.iter().flat_map(|c| c.stated(group, quiet_for, clock)).collect();
        match (self, self.judge(group, quiet_for)) {
            (Check::All(checks), _) => each(checks),
            (Check::Any(checks), Verdict::Complete) => {
                let hold = checks.iter().filter(|c| c.judge(group, quiet_for) == Verdict::Complete);
                hold.flat_map(|c| c.stated(group, quiet_for, clock)).collect()
            }
            (Check::Any(checks), Verdict::Waits { reason, .. } | Verdict::Failed { reason }) => {
                let all: Vec<Stated> = each(checks);
                [Stated::waits(reason)].into_iter().chain(all.into_iter().filter(|stated| stated.holds)).collect()
            }
            (Check::Papers { decided, .. }, verdict) => {
                let not = match verdict {
                    Verdict::Complete => None,
                    Verdict::Waits { reason, .. } | Verdict::Failed { reason } => Some(Stated::waits(reason)),
                };
                not.into_iter().chain(decided.told.iter().map(|told| stated(told, clock))).collect()
            }
            (_, Verdict::Waits { reason, .. } | Verdict::Failed { reason }) => vec![Stated::waits(reason)],
            (Check::Marker { found, .. }, Verdict::Complete) => {
                found.iter().map(|found| stated(found, clock)).collect()
            }
            (Check::Quiet(time), Verdict::Complete) => vec![Stated::quietly(format!("quiet for {}", spoken(*time)))],
            (Check::QuietOf { time, counted }, Verdict::Complete) => {
                vec![Stated::quietly(format!("{} quiet for {}", counted.named(" and "), spoken(*time)))]
            }
            (Check::Settled, Verdict::Complete) => vec![Stated::quietly("every file has settled".to_owned())],
        }
    }
}

impl Counted {
    /// The least time for which one of these files that counts is known to be as it is.
    fn quiet_for<'f>(&self, files: impl IntoIterator<Item = &'f FileView>) -> Option<Duration> {
        let counts = |file: &&FileView| self.patterns.iter().any(|pattern| marks(pattern, &file.below_run, &self.of));
        files.into_iter().filter(counts).map(|file| file.unchanged_for).min()
    }

    fn named(&self, joined_by: &str) -> String {
        self.patterns.iter().map(|pattern| pattern.filled(&self.of)).collect::<Vec<_>>().join(joined_by)
    }
}

impl Place<'_> {
    /// Decides over the papers of a pattern, where there are any.
    fn decided(&self, paper: &Paper, what: &str, decide: impl FnOnce(&[&FileView]) -> Decided) -> Decided {
        let found: Vec<&FileView> =
            self.files.iter().filter(|file| marks(&paper.pattern, &file.below_run, self.bound)).copied().collect();
        if !found.is_empty() {
            return decide(&found);
        }
        let verdict = match paper.is_optional {
            true => Verdict::Complete,
            false => {
                let reason = format!("waiting for the {what} {}", paper.pattern.filled(self.bound));
                Verdict::Waits { reason, in_time: None }
            }
        };
        Decided { verdict, told: Vec::new() }
    }
}

/// The verdict over what has been quiet `so_far`; `what`, with a space behind it, where it is not all.
fn quiet(what: &str, so_far: Duration, time: Duration) -> Verdict {
    match time.checked_sub(so_far) {
        None | Some(Duration::ZERO) => Verdict::Complete,
        left => {
            let reason = format!("{what}quiet for {} of {}", spoken(so_far), spoken(time));
            Verdict::Waits { reason, in_time: left }
        }
    }
}

fn stated(told: &Told, clock: Option<Clock>) -> Stated {
    if told.is_aside {
        return Stated::quietly(told.what.clone());
    }
    Stated::holds(told.what.clone(), clock.zip(told.since).and_then(|(clock, since)| clock.time(since)))
}

/// Whether a file is a marker of this pattern, whose paths count from a folder below the run.
fn marks_within(within: &Path, pattern: &Pattern, below_run: &Path, bound: &Captures) -> bool {
    below_run.strip_prefix(within).is_ok_and(|below| marks(pattern, below, bound))
}

fn marks(pattern: &Pattern, below_run: &Path, bound: &Captures) -> bool {
    let path = below_run.to_string_lossy();
    let is_match = pattern.is_match(&path);
    if !is_match || bound.is_empty() {
        return is_match;
    }
    let agrees =
        |captures: Captures| captures.iter().all(|(name, text)| bound.get(name).is_none_or(|must| must == text));
    pattern.captures(&path).is_some_and(agrees)
}

/// One verdict of several that must all hold. What has failed is not waited for.
pub(super) fn joined(verdicts: Vec<Verdict>) -> Verdict {
    if let Some(failed) = verdicts.iter().find(|verdict| matches!(verdict, Verdict::Failed { .. })) {
        return failed.clone();
    }
    let (reasons, times) = reasons(verdicts);
    if reasons.is_empty() {
        return Verdict::Complete;
    }
    let last = times.into_iter().collect::<Option<Vec<_>>>().and_then(|times| times.into_iter().max());
    Verdict::Waits { reason: reasons.join(", and "), in_time: last }
}

/// The reasons and times of those that wait.
fn reasons(verdicts: Vec<Verdict>) -> (Vec<String>, Vec<Option<Duration>>) {
    verdicts
        .into_iter()
        .filter_map(|verdict| match verdict {
            Verdict::Complete | Verdict::Failed { .. } => None,
            Verdict::Waits { reason, in_time } => Some((reason, in_time)),
        })
        .unzip()
}

fn still_changing(files: &[&FileView]) -> String {
    let name = |file: &&FileView| path_to_text(file.below_run.file_name().map_or(file.below_run.as_path(), Path::new));
    let mut names: Vec<String> = files.iter().take(NAMED).map(name).collect();
    if files.len() > NAMED {
        names.push("…".into());
    }
    match files.len() {
        1 => format!("1 file is still changing: {}", names[0]),
        n => format!("{n} files are still changing: {}", names.join(", ")),
    }
}

/// A duration as people say it: whole seconds from a second on, and no more than that.
fn spoken(time: Duration) -> String {
    let whole = if time < Duration::from_secs(1) {
        Duration::from_millis(time.as_millis() as u64)
    } else {
        Duration::from_secs(time.as_secs())
    };
    humantime::format_duration(whole).to_string()
}

#[cfg(test)]
mod tests;
