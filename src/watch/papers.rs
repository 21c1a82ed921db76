//! A run's papers: what the instrument wrote of its outcome and of what must be there, held against what is there.
//!
//! Pure: what was read comes in. It decides what a statement means for a run, and says so in words.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::complete::{NAMED, joined};
use super::view::{FileView, Verdict};
use crate::observation::Moment;
use crate::outcome::{Count, Expected, Outcome, ReadCount, SentFile, flow_cell_of_reads, is_summary_of};
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
    /// The look that found what says so by being there; `None` where it rests on the run's files themselves.
    pub look: Option<u64>,
    /// Whether it explains nothing to whoever waits for something else.
    pub is_aside: bool,
}

impl Told {
    /// That a file is there which says so by being there.
    pub(super) fn marker(file: &FileView) -> Self {
        let what = format!("marker {} present", path_to_text(&file.below_run));
        Self { what, since: Some(file.observation.since), look: Some(file.observation.look), is_aside: false }
    }

    fn said(what: String) -> Self {
        Self { what, since: None, look: None, is_aside: false }
    }

    fn aside(what: String) -> Self {
        Self { what, since: None, look: None, is_aside: true }
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

/// Whether all that these papers list is there, as far as it lies in the folder `within` the run. `papers` are not none.
pub(super) fn listed(papers: &[&FileView], within: &Path, whole: &Whole<'_>) -> Decided {
    let (mut decided, mut counted) = (Vec::new(), BTreeMap::new());
    for file in papers {
        let name = path_to_text(&file.below_run);
        let said = whole.papers.read.get(&file.below_run).and_then(|paper| paper.expected.as_ref());
        if let (true, Some(Expected::Counts(counts))) = (file.settled, said) {
            let folder = file.below_run.parent().unwrap_or(Path::new(""));
            counted.entry(folder).or_insert_with(Vec::new).push((*file, counts));
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
    // Each acquisition of a run counts its own files.
    for (folder, lists) in counted {
        decided.extend(whole.has_counts(folder, &lists, papers));
    }
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

/// A file's own name.
fn name(path: &Path) -> Cow<'_, str> {
    path.file_name().map(OsStr::to_string_lossy).unwrap_or_default()
}

/// "2 of 304 files of Manifest.tsv are not there: a, b".
fn lacks(missing: usize, all: usize, what: &str, which: &str) -> Verdict {
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

    /// Holds the counts of the lists of one folder, of those among the papers that have some, against the files in it.
    fn has_counts(
        &self,
        folder: &Path,
        lists: &[(&FileView, &Vec<Count>)],
        papers: &[&FileView],
    ) -> Vec<Result<Told, Verdict>> {
        let mut sums: Vec<Count> = Vec::new();
        for count in lists.iter().flat_map(|(_, counts)| counts.iter()) {
            match sums.iter_mut().find(|sum| sum.kind == count.kind) {
                Some(sum) => {
                    sum.files = sum.files.saturating_add(count.files);
                    sum.in_fallback = sum.in_fallback.saturating_add(count.in_fallback);
                }
                None => sums.push(*count),
            }
        }
        let (first, _) = lists[0];
        let list = match lists.len() {
            1 => path_to_text(&first.below_run),
            n => format!("{} and {} more", path_to_text(&first.below_run), n - 1),
        };
        // Files of a flow cell that goes on stand in for those that are missing of another.
        if let Some(path) = self.not_spoken_of(folder, papers, &sums) {
            let file = path_to_text(path.file_name().map_or(path, Path::new));
            let reason = format!("waiting for a list of the flow cell of {file}, of which {list} does not speak");
            return vec![Err(Verdict::Waits { reason, in_time: None })];
        }
        let compare = |sum: Count| {
            let kind = sum.kind.name();
            let is_one = |path: &&Path| {
                let name = path.file_name().map(|name| name.to_string_lossy());
                path.starts_with(folder)
                    && name.is_some_and(|name| !name.starts_with('.') && sum.kind.is_kind_of(&name))
            };
            let there = self.all().filter(is_one).count();
            let all = usize::try_from(sum.files).unwrap_or(usize::MAX);
            if there >= all {
                return (all > 0).then(|| Ok(Told::said(format!("all {all} {kind} of {list} are there"))));
            }
            if let Some(folder) = self.papers.unseen.first() {
                let folder = path_to_text(folder);
                return Some(Ok(Told::said(format!("{kind} of {list} are not counted, since {folder} is ignored"))));
            }
            // Whoever keeps none of a kind has no use for it.
            if there == 0 {
                return None;
            }
            let why = match sum.in_fallback {
                0 => String::new(),
                n => format!(" ({n} of them MinKNOW left in its fallback folder on the instrument)"),
            };
            Some(Err(lacks(all - there, all, &format!("{kind} of {list}"), &why)))
        };
        let compared: Vec<_> = sums.into_iter().filter_map(compare).collect();
        match compared.is_empty() {
            true => vec![Ok(Told::marker(first))],
            false => compared,
        }
    }

    /// A file of reads of a flow cell that none of these papers is of, where some are named after one: several share a
    /// folder where MinKNOW pools its data.
    fn not_spoken_of(&self, folder: &Path, papers: &[&FileView], counts: &[Count]) -> Option<&Path> {
        let beside = papers.iter().filter(|paper| paper.below_run.parent() == Some(folder));
        let summaries: Vec<Cow<'_, str>> = beside.map(|paper| name(&paper.below_run)).collect();
        let mut first_of: BTreeMap<String, &Path> = BTreeMap::new();
        for path in self.all().filter(|path| path.starts_with(folder)) {
            let name = name(path);
            if counts.iter().any(|count| count.kind.is_kind_of(&name))
                && let Some(flow_cell) = flow_cell_of_reads(&name).filter(|it| !first_of.contains_key(*it))
            {
                first_of.insert(flow_cell.to_owned(), path);
            }
        }
        let is_spoken_of = |flow_cell: &str| summaries.iter().any(|summary| is_summary_of(summary, flow_cell));
        let (spoken_of, others): (Vec<_>, Vec<_>) =
            first_of.into_iter().partition(|(flow_cell, _)| is_spoken_of(flow_cell));
        others.first().filter(|_| !spoken_of.is_empty()).map(|(_, path)| *path)
    }

    /// The paths of all that is there below the run, as far as the watch looks.
    fn all(&self) -> impl Iterator<Item = &Path> {
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
mod tests {
    use std::time::Duration;

    use super::super::view::RunView;
    use super::super::{Completion, Condition, Folder, FolderCompletion, Paper};
    use super::*;
    use crate::observation::Observation;
    use crate::outcome;
    use crate::pattern::Pattern;
    use crate::sample::Fingerprint;
    use crate::watch::stated::Clock;

    const RUN: &str = "run_1";

    fn file(path: &str) -> FileView {
        FileView {
            path: Path::new("/watch").join(RUN).join(path),
            below_run: path.into(),
            observation: Observation {
                fingerprint: Fingerprint { size: 1, modified_ns: 1 },
                since: Moment::now(),
                look: 0,
                existing: false,
            },
            unchanged_for: Duration::from_secs(100),
            settled: true,
            settles_in: None,
        }
    }

    fn paper(pattern: &str) -> Paper {
        Paper { pattern: Pattern::parse(pattern).unwrap(), is_optional: false }
    }

    fn listed(pattern: &str) -> Completion {
        Condition::Listed(paper(pattern)).into()
    }

    /// A run of these files, of which those with content are papers.
    fn run(files: &[&str], papers: &[(&str, &str)], complete_when: &Completion) -> RunView {
        let views: Vec<_> = files.iter().chain(papers.iter().map(|(path, _)| path)).map(|path| file(path)).collect();
        let (now, quiet) = (Moment::now(), Duration::ZERO);
        let view = RunView::new(RUN.into(), RUN.into(), BTreeMap::new(), views, now, quiet, complete_when);
        view.with_papers(read(papers), Clock::now())
    }

    fn read(papers: &[(&str, &str)]) -> Papers {
        let read = papers.iter().map(|(path, content)| {
            let bytes = content.as_bytes();
            let (outcome, expected) = (Some(outcome::outcome(bytes)), Some(outcome::expected(bytes)));
            let paper = ReadPaper { outcome, expected, reads: outcome::reads(bytes) };
            (PathBuf::from(path), Arc::new(paper))
        });
        Papers { read: read.collect(), ..Papers::default() }
    }

    #[track_caller]
    fn lacks(view: &RunView, reason: &str) {
        assert_eq!(view.verdict([]), Verdict::Waits { reason: reason.to_owned(), in_time: None });
    }

    #[track_caller]
    fn has_all(view: &RunView, told: &str) {
        assert_eq!(view.verdict([]), Verdict::Complete);
        assert_eq!(view.conditions([]).iter().map(|stated| stated.what.as_str()).collect::<Vec<_>>(), [told]);
    }

    #[test]
    fn paths_lie_below_the_list_or_below_the_run() {
        let list = "data/a.csv\t00000000\ndeep/b.csv\t00000000\nrun_1/deep/c.csv\t00000000\n";
        let condition = listed("deep/list.tsv");
        let view = run(&["deep/data/a.csv", "deep/b.csv", "deep/c.csv"], &[("deep/list.tsv", list)], &condition);
        has_all(&view, "all 3 files of deep/list.tsv are there");
        let view = run(&["data/a.csv", "c.csv"], &[("deep/list.tsv", list)], &condition);
        lacks(&view, "2 of 3 files of deep/list.tsv are not there: deep/b.csv, run_1/deep/c.csv");
    }

    #[test]
    fn no_more_than_three_are_named() {
        let list: String = (0..5).map(|n| format!("{n}.csv\t00000000\n")).collect();
        let view = run(&["0.csv"], &[("list.tsv", &list)], &listed("list.tsv"));
        lacks(&view, "4 of 5 files of list.tsv are not there: 1.csv, 2.csv, 3.csv, …");
    }

    #[test]
    fn a_list_of_the_whole_run_is_held_against_the_part_that_waits() {
        let part = FolderCompletion {
            folder: Folder::Named(Pattern::parse("part/{n}").unwrap()),
            complete_when: Condition::Listed(paper("list.tsv")),
            is_own_unit: false,
        };
        let condition = Completion { folders: vec![part], ..Condition::Settled.into() };
        let list = "part/1/a.csv\t00000000\npart/2/b.csv\t00000000\n";
        let view = run(&["part/1/a.csv", "part/2/other"], &[("list.tsv", list)], &condition);
        let verdict = |path: &str| view.verdict(view.files.iter().filter(|file| file.below_run == Path::new(path)));
        assert_eq!(verdict("part/1/a.csv"), Verdict::Complete);
        let reason = "1 of 1 files of list.tsv is not there: part/2/b.csv".to_owned();
        assert_eq!(verdict("part/2/other"), Verdict::Waits { reason, in_time: None });
    }

    #[test]
    fn what_the_watch_leaves_out_is_there_all_the_same_and_what_it_does_not_look_into_may_be() {
        let condition = listed("list.tsv");
        let list = "a.bak\t00000000\nInterOp/x.bin\t00000000\nb.csv\t00000000\n";
        let mut papers = read(&[("list.tsv", list)]);
        papers.left_out = ["a.bak", "InterOp"].map(PathBuf::from).into();
        papers.unseen = vec!["InterOp".into()];
        let view = run(&[], &[("list.tsv", list)], &condition).with_papers(papers, Clock::now());
        lacks(&view, "1 of 3 files of list.tsv is not there: b.csv");
    }

    #[test]
    fn what_was_sent_is_known_by_its_name_unless_its_folder_is_not_looked_into() {
        let sent = "/data/icc/m1/hifi_reads/a.bam\n/data/icc/m1/fail_reads/b.bam\n";
        let condition = listed("m.transferdone");
        let view = run(&["x/a.bam"], &[("m.transferdone", sent)], &condition);
        lacks(&view, "1 of 2 files of m.transferdone is not there: b.bam");
        let mut papers = read(&[("m.transferdone", sent)]);
        papers.left_out = [PathBuf::from("x/fail_reads")].into();
        papers.unseen = vec!["x/fail_reads".into()];
        has_all(&view.with_papers(papers, Clock::now()), "all 2 files of m.transferdone are there");
    }

    #[test]
    fn the_acquisitions_of_a_run_are_counted_together() {
        let condition = listed("final_summary_*.txt");
        let summary = |files: u8| format!("fastq_files_in_final_dest={files}\nbam_files_in_final_dest=9\n");
        let (one, two) = (summary(1), summary(2));
        let papers = [("final_summary_A.txt", one.as_str()), ("final_summary_B.txt", two.as_str())];
        let view = run(&["x/1.fastq.gz", "2.fastq", "._3.fastq"], &papers, &condition);
        lacks(&view, "1 of 3 FASTQ of final_summary_A.txt and 1 more is not there");
        let view = run(&["x/1.fastq.gz", "2.fastq", "3.fastq", "4.fastq"], &papers, &condition);
        has_all(&view, "all 3 FASTQ of final_summary_A.txt and 1 more are there");
    }

    #[test]
    fn a_flow_cell_that_goes_on_does_not_stand_in_for_one_that_is_over() {
        let condition = listed("final_summary_*.txt");
        let summary = "fastq_files_in_final_dest=2\n";
        let files = ["x/PAA_pass_e05460c6_aaaaaaaa_0.fastq.gz", "x/PBB_fail_barcode01_e05460c7_bbbbbbbb_0.fastq.gz"];
        let first = ("final_summary_PAA_e05460c6_aaaaaaaa.txt", summary);
        let reason = "waiting for a list of the flow cell of PBB_fail_barcode01_e05460c7_bbbbbbbb_0.fastq.gz, of which \
                      final_summary_PAA_e05460c6_aaaaaaaa.txt does not speak";
        lacks(&run(&files, &[first], &condition), reason);
        let second = ("final_summary_PBB_e05460c7_bbbbbbbb.txt", "fastq_files_in_final_dest=0\n");
        has_all(
            &run(&files, &[first, second], &condition),
            &format!("all 2 FASTQ of {} and 1 more are there", first.0),
        );
        let says_nothing = (second.0, "");
        assert_eq!(run(&files, &[first, says_nothing], &condition).verdict([]), Verdict::Complete, "its end is enough");
        let renamed = ("final_summary_over.txt", summary);
        has_all(&run(&files, &[renamed], &condition), "all 2 FASTQ of final_summary_over.txt are there");
    }

    #[test]
    fn what_minknow_left_on_the_instrument_is_missing() {
        let summary = "fastq_files_in_final_dest=1\nfastq_files_in_fallback=2\n";
        let view = run(&["1.fastq.gz"], &[("final_summary_A.txt", summary)], &listed("final_summary_*.txt"));
        lacks(
            &view,
            "2 of 3 FASTQ of final_summary_A.txt are not there (2 of them MinKNOW left in its fallback folder on the \
             instrument)",
        );
    }

    #[test]
    fn a_paper_is_believed_once_it_has_settled_and_waited_for_while_its_share_is_away() {
        let condition = listed("list.tsv");
        let mut view = run(&[], &[("list.tsv", "")], &condition);
        view.files[0].settled = false;
        view.files[0].settles_in = Some(Duration::from_secs(3));
        let reason = "list.tsv has not settled yet".to_owned();
        assert_eq!(view.verdict([]), Verdict::Waits { reason, in_time: Some(Duration::from_secs(3)) });
        let mut papers = Papers::default();
        papers.unread.insert("list.tsv".into(), "stale file handle".to_owned());
        let view = run(&[], &[("list.tsv", "")], &condition).with_papers(papers, Clock::now());
        lacks(&view, "cannot read list.tsv: stale file handle; it is tried again");
    }

    #[test]
    fn a_failure_counts_for_more_than_what_is_waited_for_but_not_for_another_way() {
        let failed = || Condition::Outcome(paper("done.json"));
        let marker = || Condition::Marker(Pattern::parse("marker").unwrap());
        let json = [("done.json", "{\"outcome\": \"OutcomeFailed\"}")];
        let verdict = |condition: Condition, files: &[&str]| run(files, &json, &condition.into()).verdict([]);
        let all = || Condition::All(vec![marker(), failed()]);
        assert!(matches!(verdict(all(), &[]), Verdict::Failed { reason } if reason.contains("done.json says outcome")));
        let any = || Condition::Any(vec![failed(), marker()]);
        assert!(
            matches!(verdict(any(), &[]), Verdict::Waits { reason, .. } if reason == "waiting for the marker marker")
        );
        assert_eq!(verdict(any(), &["marker"]), Verdict::Complete);
        assert!(matches!(verdict(Condition::Any(vec![failed(), failed()]), &[]), Verdict::Failed { .. }));
    }
}
