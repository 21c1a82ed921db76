//! When a run is complete: the condition, judged over what was seen, with a reason where it waits.
//!
//! Pure: times come with the files. It knows markers, quiet and settled, and nothing of what a rule expects; what papers
//! say, `papers` knows.

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
    /// Looks for the condition's markers and papers. One that captures a name which is bound must capture the same text.
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
mod tests {
    use super::super::view::RunView;
    use super::super::{Completion, Folder, FolderCompletion};
    use super::*;
    use crate::observation::{Moment, Observation};
    use crate::sample::Fingerprint;

    const MOMENT: Moment = Moment { boot: 1, at: Duration::ZERO };

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    /// A file of a watch that settles in 30 s.
    fn file(path: &str, unchanged_for: u64) -> FileView {
        let fingerprint = Fingerprint { size: 1, modified_ns: 1 };
        let left = seconds(30).checked_sub(seconds(unchanged_for)).filter(|left| !left.is_zero());
        FileView {
            path: Path::new("/watch/run").join(path),
            below_run: path.into(),
            observation: Observation { fingerprint, since: MOMENT, look: 0, existing: false },
            unchanged_for: seconds(unchanged_for),
            settled: left.is_none(),
            settles_in: left,
        }
    }

    fn run(folder: &str, files: Vec<FileView>, quiet_for: u64, condition: &Condition) -> RunView {
        RunView::new(
            "run".into(),
            folder.into(),
            Default::default(),
            files,
            MOMENT,
            seconds(quiet_for),
            &condition.clone().into(),
        )
    }

    fn whole(files: Vec<FileView>, quiet_for: u64, condition: &Condition) -> Verdict {
        run("run", files, quiet_for, condition).verdict([])
    }

    fn waits(reason: &str, in_time: Option<u64>) -> Verdict {
        Verdict::Waits { reason: reason.into(), in_time: in_time.map(seconds) }
    }

    fn marker(text: &str) -> Condition {
        Condition::Marker(Pattern::parse(text).unwrap().into())
    }

    #[test]
    fn a_marker_needs_no_settling() {
        let condition = marker("Logs/*Complete.txt");
        let waiting = whole(vec![file("Complete.txt", 0)], 0, &condition);
        assert_eq!(waiting, waits("waiting for the marker Logs/*Complete.txt", None));
        assert_eq!(whole(vec![file("Logs/FastqComplete.txt", 0)], 0, &condition), Verdict::Complete);
    }

    #[test]
    fn a_marker_does_not_count_beside_what_shows_that_another_is_to_come() {
        let unless = Patterns::new(vec![Pattern::parse("1/Copy.txt").unwrap(), Pattern::parse("1/End.txt").unwrap()]);
        let copied = Pattern::parse("Copy.txt").unwrap();
        let alone = Condition::Marker(Marker { unless: Some(unless.unwrap()), ..copied.into() });
        let condition = Condition::Any(vec![marker("1/End.txt"), alone]);
        let verdict = |files: &[&str]| whole(files.iter().map(|path| file(path, 40)).collect(), 0, &condition);
        assert_eq!(verdict(&["Copy.txt"]), Verdict::Complete);
        let reason = "waiting for the marker 1/End.txt, or the marker Copy.txt does not count beside 1/Copy.txt";
        assert_eq!(verdict(&["1/Copy.txt", "Copy.txt"]), waits(reason, None));
        assert_eq!(verdict(&["1/Copy.txt", "1/End.txt", "Copy.txt"]), Verdict::Complete);
        let none = "waiting for the marker 1/End.txt, or waiting for the marker Copy.txt";
        assert_eq!(verdict(&["1/Copy.txt"]), waits(none, None));
    }

    #[test]
    fn quiet_is_the_runs_and_tells_what_is_left() {
        let condition = Condition::Quiet(seconds(600));
        // The file has been still for longer; another one went meanwhile.
        let files = || vec![file("a", 5000)];
        assert_eq!(whole(files(), 200, &condition), waits("quiet for 3m 20s of 10m", Some(400)));
        assert_eq!(whole(files(), 600, &condition), Verdict::Complete);
    }

    #[test]
    fn an_optional_marker_holds_nothing_up_and_is_told_once_where_it_is_there() {
        let optional = || {
            let either = Pattern::parse("{which:Copy|RTA}Complete.txt").unwrap();
            Condition::Marker(Marker { is_optional: true, ..either.into() })
        };
        let both = || Condition::All(vec![optional(), marker("done")]);
        let told = |condition: &Condition, paths: &[&str]| {
            let files = paths.iter().map(|path| file(path, 30)).collect();
            let stated = run("run", files, 0, condition).conditions([]);
            stated.into_iter().map(|one| (one.what, one.holds)).collect::<Vec<_>>()
        };
        let waiting = || ("waiting for the marker done".to_owned(), false);
        let copied = || ("marker CopyComplete.txt present".to_owned(), true);
        assert_eq!(whole(vec![file("a", 0)], 0, &optional()), Verdict::Complete);
        assert_eq!(told(&both(), &["a"]), [waiting()]);
        assert_eq!(told(&both(), &["CopyComplete.txt", "RTAComplete.txt"]), [waiting(), copied()], "the first of them");
        let rta = ("marker RTAComplete.txt present".to_owned(), true);
        assert_eq!(told(&both(), &["RTAComplete.txt"]), [waiting(), rta]);
        let real = Condition::All(vec![optional(), Condition::Any(vec![marker("CopyComplete.txt"), marker("done")])]);
        assert_eq!(told(&real, &["CopyComplete.txt"]), [copied()], "it is told once, as what it is");

        let files = ["CopyComplete.txt", "RTAComplete.txt", "a", "done"].map(|path| file(path, 30)).to_vec();
        let which = |condition: &Condition| {
            let view = run("run", files.clone(), 0, condition);
            let of = |file: &FileView| (view.is_marker(file), view.is_optional_marker(file));
            files.iter().map(of).collect::<Vec<_>>()
        };
        let (none, mark, told) = ((false, false), (true, false), (false, true));
        assert_eq!(which(&both()), [told, told, none, mark]);
        assert_eq!(which(&real), [(true, true), told, none, mark]);
    }

    fn quiet_of(patterns: &[&str], time: u64) -> Condition {
        let patterns = patterns.iter().map(|text| Pattern::parse(text).unwrap()).collect();
        Condition::QuietOf { time: seconds(time), of: Patterns::new(patterns).unwrap() }
    }

    #[test]
    fn quiet_of_some_files_is_that_of_the_last_among_them_whatever_else_goes_on() {
        let condition = quiet_of(&["**/*.fastq.gz", "**/*.fq.gz"], 600);
        let files = |fq| vec![file("a.fastq.gz", 5000), file("x/Undetermined.fq.gz", fq), file("log", 0)];
        let wait = "**/*.fastq.gz and **/*.fq.gz quiet for 3m 20s of 10m";
        assert_eq!(whole(files(200), 0, &condition), waits(wait, Some(400)));
        assert_eq!(whole(files(600), 0, &condition), Verdict::Complete);
        // That something else of the run is quiet says nothing.
        let first = "waiting for a first file of **/*.fastq.gz or **/*.fq.gz";
        assert_eq!(whole(vec![file("log", 9000)], 9000, &condition), waits(first, None));
        assert_eq!(run("run", vec![file("log", 0)], 0, &condition).as_if_settled().verdict([]), waits(first, None));
        assert_eq!(run("run", files(0), 0, &condition).as_if_settled().verdict([]), whole(files(0), 0, &condition));
        assert_eq!(run("run", files(0), 0, &condition).as_if_quiet().verdict([]), Verdict::Complete);
        let told = run("run", files(600), 0, &condition).conditions([]);
        assert_eq!(told, [Stated::quietly("**/*.fastq.gz and **/*.fq.gz quiet for 10m".into())]);
    }

    #[test]
    fn quiet_of_some_files_counts_all_of_the_run_and_with_a_name_of_the_folder_those_of_the_folder() {
        let folder = |of: &str| FolderCompletion {
            folder: Folder::Named(Pattern::parse("Analysis/{analysis}").unwrap()),
            complete_when: quiet_of(&[of], 600),
            is_own_unit: false,
        };
        let completion = |of| Completion { folders: vec![folder(of)], ..quiet_of(&["**/*.gz"], 600).into() };
        let files = || vec![file("Analysis/1/a.gz", 700), file("Analysis/2/b.gz", 60), file("out/c.gz", 700)];
        let view = |of| {
            let (files, condition) = (files(), completion(of));
            RunView::new("run".into(), "run".into(), Captures::new(), files, MOMENT, seconds(0), &condition)
        };
        let verdicts = |view: RunView| files().iter().map(|file| view.verdict([file])).collect::<Vec<_>>();
        let open = || waits("**/*.gz quiet for 1m of 10m", Some(540));
        assert_eq!(verdicts(view("**/*.gz")), [open(), open(), open()]);
        let of_second = waits("Analysis/2/**/*.gz quiet for 1m of 10m", Some(540));
        assert_eq!(verdicts(view("Analysis/{analysis}/**/*.gz")), [Verdict::Complete, of_second, open()]);
    }

    #[test]
    fn settled_names_the_files_that_are_not() {
        let files = |ages: &[(&str, u64)]| ages.iter().map(|(path, age)| file(path, *age)).collect::<Vec<_>>();
        let two = files(&[("d/b.fastq.gz", 20), ("d/a.fastq.gz", 10), ("c", 40)]);
        assert_eq!(
            whole(two, 0, &Condition::Settled),
            waits("2 files are still changing: a.fastq.gz, b.fastq.gz", Some(20))
        );
        let one = whole(files(&[("a", 0)]), 0, &Condition::Settled);
        assert_eq!(one, waits("1 file is still changing: a", Some(30)));
        let many = whole(files(&[("a", 0), ("b", 0), ("c", 0), ("d", 0)]), 0, &Condition::Settled);
        assert_eq!(many, waits("4 files are still changing: a, b, c, …", Some(30)));
        assert_eq!(whole(files(&[("a", 30)]), 0, &Condition::Settled), Verdict::Complete);
    }

    #[test]
    fn any_takes_the_first_and_all_the_last() {
        let conditions = || vec![marker("done"), Condition::Quiet(seconds(60)), Condition::Settled];
        let files = || vec![file("a", 20)];
        assert_eq!(
            whole(files(), 20, &Condition::Any(conditions())),
            waits("waiting for the marker done, or quiet for 20s of 1m, or 1 file is still changing: a", Some(10))
        );
        assert_eq!(
            whole(files(), 20, &Condition::All(conditions())),
            waits("waiting for the marker done, and quiet for 20s of 1m, and 1 file is still changing: a", None)
        );
        let timed = Condition::All(vec![Condition::Quiet(seconds(60)), Condition::Settled]);
        assert_eq!(whole(files(), 20, &timed), waits("quiet for 20s of 1m, and 1 file is still changing: a", Some(40)));
        let nested = Condition::All(vec![Condition::Any(conditions()), Condition::Settled]);
        assert_eq!(whole(vec![file("a", 30)], 0, &nested), Verdict::Complete);
    }

    #[test]
    fn conditions_are_told_one_by_one_those_that_do_not_hold_first() {
        let told = |condition: Condition, files: Vec<FileView>, quiet_for| {
            let stated = run("run", files, quiet_for, &condition).conditions([]);
            stated.into_iter().map(|one| (one.holds, one.what)).collect::<Vec<_>>()
        };
        let holds = |what: &str| (true, what.to_owned());
        let waits = |what: &str| (false, what.to_owned());
        let pair = || Condition::All(vec![marker("one/*.txt"), marker("two")]);
        let either = || Condition::Any(vec![pair(), Condition::Quiet(seconds(60))]);
        assert_eq!(
            told(either(), vec![file("one/M.txt", 0)], 20),
            [waits("waiting for the marker two, or quiet for 20s of 1m"), holds("marker one/M.txt present")]
        );
        // One of several is enough: what else would have been is nobody's business then.
        assert_eq!(told(either(), vec![file("a", 0)], 60), [holds("quiet for 1m")]);
        assert_eq!(
            told(either(), vec![file("one/M.txt", 0), file("two", 0)], 0),
            [holds("marker one/M.txt present"), holds("marker two present")]
        );
        assert_eq!(told(Condition::Settled, vec![file("a", 30)], 0), [holds("every file has settled")]);
    }

    #[test]
    fn an_empty_run_is_not_a_complete_one() {
        for condition in [Condition::Settled, Condition::Quiet(seconds(1))] {
            assert_eq!(whole(vec![], 100, &condition), waits("no file has appeared yet", None));
        }
    }

    #[test]
    fn a_drop_folder_judges_the_group_but_looks_for_markers_everywhere() {
        let files = vec![file("a_R1", 700), file("a_R2", 100), file("b_R1", 0)];
        let group = files[..2].to_vec();
        let quiet = run("", files.clone(), 0, &Condition::Quiet(seconds(600)));
        assert_eq!(quiet.verdict(&group), waits("quiet for 1m 40s of 10m", Some(500)));
        assert_eq!(quiet.verdict(&group[..1]), Verdict::Complete);
        let of_first = run("", files.clone(), 0, &quiet_of(&["a_R1"], 600));
        assert_eq!(of_first.verdict(&group), Verdict::Complete);
        assert_eq!(of_first.verdict(&files[1..]), waits("waiting for a first file of a_R1", None));
        assert_eq!(run("", files.clone(), 0, &Condition::Settled).verdict(&group), Verdict::Complete);
        assert_eq!(run("", files, 0, &marker("b_R1")).verdict(&group), Verdict::Complete);
    }

    #[test]
    fn a_run_with_a_blind_spot_waits() {
        let blind =
            |folder| run(folder, vec![file("a", 30)], 0, &Condition::Settled).with_unreadable(vec!["run/Data".into()]);
        assert_eq!(
            blind("run").verdict([]),
            waits("cannot read run/Data; make it readable to the agent, or ignore it", None)
        );
        let drop_folder = blind("");
        assert_eq!(drop_folder.verdict(&drop_folder.files), Verdict::Complete);
    }
}
