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
fn an_acquisition_that_goes_on_does_not_stand_in_for_one_that_is_over() {
    let condition = listed("final_summary_*.txt");
    let counts = |files: u8| format!("fastq_files_in_final_dest={files}\n");
    let [none, one, two] = [0, 1, 2].map(counts);
    let files = ["PAA1_pass_aaaaaaa1_bbbbbbb1_0.fastq.gz", "x/PAA1_fail_b1_aaaaaaa1_bbbbbbb2_0.fastq.gz"];
    let first = "final_summary_PAA1_aaaaaaa1_bbbbbbb1.txt";
    let wait =
        "waiting for a final_summary of acquisition bbbbbbb2, of which PAA1_fail_b1_aaaaaaa1_bbbbbbb2_0.fastq.gz is";
    lacks(&run(&files, &[(first, &one)], &condition), wait);
    // Nor is one that has no files of its own, or says nothing of them, the end of another.
    lacks(&run(&files[1..], &[(first, &none)], &condition), wait);
    lacks(&run(&files[1..], &[(first, "")], &condition), wait);
    let is_short = format!("1 of 2 FASTQ of {first} is not there");
    lacks(&run(&files, &[(first, &two)], &condition), &format!("{wait}, and {is_short}"));

    let second = "final_summary_PAA1_aaaaaaa1_bbbbbbb2.txt";
    let with_second =
        |of_first: &str, of_second: &str| run(&files, &[(first, of_first), (second, of_second)], &condition);
    lacks(&with_second(&two, &none), &is_short);
    lacks(&with_second(&two, ""), &is_short);
    lacks(&with_second(&one, &two), &format!("1 of 2 FASTQ of {second} is not there"));
    has_all(&with_second(&one, &none), &format!("all 1 FASTQ of {first} are there"));
    assert_eq!(with_second(&one, "").verdict([]), Verdict::Complete, "its end is enough");
    let mut unsettled = with_second(&one, &one);
    unsettled.files.iter_mut().filter(|file| file.below_run == Path::new(second)).for_each(|file| {
        (file.settled, file.settles_in) = (false, Some(Duration::from_secs(3)));
    });
    let reason = format!("{second} has not settled yet");
    assert_eq!(unsettled.verdict([]), Verdict::Waits { reason, in_time: Some(Duration::from_secs(3)) });
}

#[test]
fn a_summary_speaks_for_files_as_far_as_both_names_tell() {
    let condition = listed("**/final_summary_*.txt");
    let one = "fastq_files_in_final_dest=1\n";
    let is_complete =
        |files: &[&str], summaries: &[(&str, &str)]| run(files, summaries, &condition).verdict([]) == Verdict::Complete;
    let both = ["PAA1_pass_aaaaaaa1_bbbbbbb1_0.fastq.gz", "PBB1_pass_aaaaaaa2_bbbbbbb2_0.fastq.gz"];
    // Names that somebody made say nothing, so that all in the folder counts.
    assert!(is_complete(&both, &[("final_summary_over.txt", one)]));
    assert!(is_complete(&["1.fastq", "2.fastq"], &[("final_summary_PAA1_aaaaaaa1_bbbbbbb1.txt", one)]));
    // The lines of the summary tell where its name does not.
    let of = |flow_cell: &str, acquisition: &str| {
        format!("flow_cell_id={flow_cell}\nacquisition_run_id={acquisition}\n{one}")
    };
    let lines = of("PAA1", "bbbbbbb1cae8ec468269f5fcfa954c3ff8bbb134");
    assert!(!is_complete(&both, &[("final_summary_over.txt", &lines)]));
    assert!(is_complete(&both[..1], &[("final_summary_over.txt", &lines)]));
    let other = of("PBB1", "bbbbbbb2cae8ec468269f5fcfa954c3ff8bbb134");
    assert!(is_complete(&both, &[("final_summary_1.txt", &lines), ("final_summary_2.txt", &other)]));
    // Of the flow cell alone, or of one hash.
    let alone = ["PAA1_pass_b1_0.fastq.gz"];
    assert!(is_complete(&alone, &[("final_summary_PAA1_aaaaaaa1_bbbbbbb1.txt", one)]));
    assert!(!is_complete(&alone, &[("final_summary_PBB1_aaaaaaa1_bbbbbbb1.txt", one)]));
    let old = ["FAK72834_pass_barcode07_298b7829_0.fastq"];
    assert!(is_complete(&old, &[("final_summary_FAK72834_298b7829.txt", one)]));
    assert!(is_complete(&old, &[("final_summary_FAK72834_a3787181_298b7829.txt", one)]));
    assert!(!is_complete(&old, &[("final_summary_FAK72834_398b7829.txt", one)]));
    // What the folder of another summary has is that one's.
    let below = ["PAA1_pass_aaaaaaa1_bbbbbbb1_0.bam", "y/PBB1_pass_aaaaaaa2_bbbbbbb2_0.bam"];
    let outer = ("final_summary_PAA1_aaaaaaa1_bbbbbbb1.txt", "bam_files_in_final_dest=1\n");
    let inner = ("y/final_summary_PBB1_aaaaaaa2_bbbbbbb2.txt", "bam_files_in_final_dest=1\n");
    assert!(is_complete(&below, &[outer, inner]));
    assert!(!is_complete(&below, &[outer]));
}

#[test]
fn what_a_summary_speaks_for_does_not_depend_on_what_is_in_it() {
    let condition = listed("final_summary*.txt");
    let lines = "flow_cell_id=PAW1\nprotocol_run_id=aaaaaaaa-c642\nacquisition_run_id=11111111cae8ec46\n";
    let all_lines = format!("protocol=sequencing/x\nstarted=2026-11-10T21:51:17.158\n{lines}");
    let counted = format!("{lines}fastq_files_in_final_dest=1\n");
    let one = "PAW1_pass_aaaaaaaa_11111111_0.fastq.gz";
    for (other, awaited) in [
        ("PAW2_pass_bbbbbbbb_22222222_0.fastq.gz", "acquisition 22222222"),
        ("PAW1_pass_bbbbbbbb_22222222_0.fastq.gz", "acquisition 22222222"),
        ("PAW1_pass_aaaaaaaa_22222222_0.fastq.gz", "acquisition 22222222"),
        ("PAW2_pass_liver_0.fastq.gz", "flow cell PAW2"),
    ] {
        let wait = format!("waiting for a final_summary of {awaited}, of which {other} is");
        for content in ["", " ", "final summary\n", "\0", &all_lines, &counted] {
            let first = ("final_summary_PAW1_aaaaaaaa_11111111.txt", content);
            lacks(&run(&[one, other], &[first], &condition), &wait);
            assert_eq!(run(&[one], &[first], &condition).verdict([]), Verdict::Complete, "{content:?}");
        }
        // Where its name does not tell, its lines do; and where those count nothing as well.
        for content in [&all_lines, &counted] {
            lacks(&run(&[one, other], &[("final_summary.txt", content)], &condition), &wait);
        }
    }
    // A flow cell that a user named, with one id or none.
    let both = [one, "PAW2_pass_bbbbbbbb_22222222_0.fastq.gz"];
    for name in ["final_summary_PAW1_11111111.txt", "final_summary_PAW1.txt", "final_summary_PAW1_20250603.txt"] {
        let wait = format!("waiting for a final_summary of acquisition 22222222, of which {} is", both[1]);
        lacks(&run(&both, &[(name, "")], &condition), &wait);
        assert_eq!(run(&both[..1], &[(name, "")], &condition).verdict([]), Verdict::Complete, "{name}");
    }
    // Files that somebody renamed are of any.
    for name in ["final_summary_PAW1_aaaaaaaa_11111111.txt", "final_summary_PAW1.txt", "final_summary.txt"] {
        for files in [["PAW1_pass_12345678_1.fastq.gz", "PAW1_pass_x_2.fastq.gz"], ["12345678_1.fastq.gz", "a_2.fastq"]]
        {
            assert_eq!(run(&files, &[(name, "")], &condition).verdict([]), Verdict::Complete, "{name} {files:?}");
        }
    }
}

#[test]
fn acquisitions_that_the_names_of_files_do_not_tell_apart_are_counted_together() {
    let condition = listed("final_summary_*.txt");
    let files = ["PAA1_pass_b1_0.fastq.gz", "PAA1_pass_b1_1.fastq.gz", "PBB1_pass_aaaaaaa2_bbbbbbb2_0.fastq.gz"];
    let counts = |files: u8| format!("fastq_files_in_final_dest={files}\n");
    let [one, two] = [1, 2].map(counts);
    let names = [
        "final_summary_PAA1_aaaaaaa1_bbbbbbb1.txt",
        "final_summary_PAA1_aaaaaaa1_bbbbbbb3.txt",
        "final_summary_PBB1_aaaaaaa2_bbbbbbb2.txt",
    ];
    let with = |second: &str| run(&files, &[(names[0], &one), (names[1], second), (names[2], &one)], &condition);
    assert_eq!(with(&one).verdict([]), Verdict::Complete);
    lacks(&with(&two), &format!("1 of 3 FASTQ of {} and 1 more is not there", names[0]));
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
    let marker = || Condition::Marker(Pattern::parse("marker").unwrap().into());
    let json = [("done.json", "{\"outcome\": \"OutcomeFailed\"}")];
    let verdict = |condition: Condition, files: &[&str]| run(files, &json, &condition.into()).verdict([]);
    let all = || Condition::All(vec![marker(), failed()]);
    assert!(matches!(verdict(all(), &[]), Verdict::Failed { reason } if reason.contains("done.json says outcome")));
    let any = || Condition::Any(vec![failed(), marker()]);
    assert!(matches!(verdict(any(), &[]), Verdict::Waits { reason, .. } if reason == "waiting for the marker marker"));
    assert_eq!(verdict(any(), &["marker"]), Verdict::Complete);
    assert!(matches!(verdict(Condition::Any(vec![failed(), failed()]), &[]), Verdict::Failed { .. }));
}
