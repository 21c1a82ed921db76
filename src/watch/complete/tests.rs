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
