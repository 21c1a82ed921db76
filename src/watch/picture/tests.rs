use super::*;
use crate::pattern::{Pattern, Patterns};
use crate::sample::Fingerprint;
use crate::watch::{Condition, Existing, Ignore, Mode, Verdict};

/// A watch of one run that lies in memory, and its moments in seconds from the first look.
struct Run1 {
    _dir: tempfile::TempDir,
    settings: Settings,
    root: Root,
    began: Moment,
    picture: Picture,
}

impl Run1 {
    /// Quiet for ten minutes of the files of these patterns; `run_folder` is none of a drop folder.
    fn new(of: &[&str], run_folder: Option<&str>) -> Self {
        let of = Patterns::new(of.iter().map(|text| Pattern::parse(text).unwrap()).collect()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings {
            name: "seq".into(),
            path: dir.path().into(),
            existing: Existing::Upload,
            run_folder: run_folder.map(|text| Pattern::parse(text).unwrap().into()),
            complete_when: Condition::QuietOf { time: Duration::from_secs(600), of }.into(),
            described_by: None,
            settle: Some(Duration::from_secs(30)),
            mode: Mode::Native,
            poll: Duration::from_secs(3600),
            rescan: Duration::from_secs(3600),
            ignore: Ignore::default(),
            expect_within: None,
        };
        let (root, began) = (Root::find(dir.path()).unwrap(), Moment::now());
        let picture = Self::picture(&settings, HashMap::new(), began);
        Self { _dir: dir, settings, root, began, picture }
    }

    fn picture(settings: &Settings, observations: HashMap<PathBuf, Observation>, now: Moment) -> Picture {
        let mut picture = Picture::new(settings, None, observations, now);
        picture.set_settle(Duration::from_secs(30));
        picture
    }

    fn at(&self, seconds: u64) -> Moment {
        self.began + Duration::from_secs(seconds)
    }

    /// A look at and below a path, where these files of these sizes are.
    fn look(&mut self, seconds: u64, path: &str, files: &[(&str, u64)]) {
        let at = self.at(seconds);
        let sight = |size: u64| Sight { fingerprint: Fingerprint { size, modified_ns: 1 }, asked: at, answered: at };
        let run_folder = self.settings.run_folder.as_ref().and_then(|run_folder| run_folder.whole());
        let found = Found {
            started: at,
            covered: vec![path.into()],
            files: files.iter().map(|(path, size)| (path.into(), sight(*size))).collect(),
            left_out: BTreeMap::new(),
            runs: run_folder.iter().map(|name| PathBuf::from(name.to_string())).collect(),
            unread: BTreeMap::new(),
        };
        self.picture.apply(&found, &self.root);
    }

    /// Whether the run is shown, and as what.
    fn shown(&mut self) -> Option<Verdict> {
        let news = self.picture.take_news(None, None, "native");
        news.runs.first().map(|run| run.verdict([]))
    }

    fn is_due(&self, seconds: u64) -> bool {
        self.picture.due(self.at(seconds), true).contains(Path::new("run"))
    }
}

fn waits(reason: &str, left: Option<u64>) -> Option<Verdict> {
    Some(Verdict::Waits { reason: reason.into(), in_time: left.map(Duration::from_secs) })
}

#[test]
fn a_log_that_goes_on_does_not_put_off_the_look_at_reads_that_are_quiet() {
    let mut run = Run1::new(&["**/*.fastq.gz"], Some("run"));
    run.look(0, "", &[("run/a.fastq.gz", 1), ("run/log", 1)]);
    run.look(30, "run/a.fastq.gz", &[("run/a.fastq.gz", 1)]);
    for minute in 1..10 {
        run.look(60 * minute, "run/log", &[("run/log", 1 + minute)]);
        assert_eq!(run.shown(), waits("**/*.fastq.gz quiet for 30s of 10m", Some(570)));
    }
    assert!(!run.is_due(599) && run.is_due(600));
    run.look(600, "run", &[("run/a.fastq.gz", 1), ("run/log", 20)]);
    assert_eq!(run.shown(), Some(Verdict::Complete));
    assert!(!run.is_due(10_000), "nothing is left to look for");
}

#[test]
fn a_log_that_goes_on_does_not_put_off_when_a_marker_is_believed() {
    let mut run = Run1::new(&["**/*.fastq.gz"], Some("run"));
    run.settings.complete_when = Condition::Marker(Pattern::parse("done").unwrap().into()).into();
    run.picture = Run1::picture(&run.settings, HashMap::new(), run.began);
    run.look(0, "", &[("run/done", 0)]);
    run.look(10, "run/a.fastq.gz", &[("run/a.fastq.gz", 1)]);
    run.look(40, "run/a.fastq.gz", &[("run/a.fastq.gz", 1)]);
    run.look(309, "run/log", &[("run/log", 1)]);
    let reads = |run: &mut Run1| {
        let news = run.picture.take_news(None, None, "native");
        let [marker, reads] = ["done", "a.fastq.gz"].map(|name| {
            let file = news.runs[0].files.iter().find(|file| file.below_run == Path::new(name));
            file.unwrap().clone()
        });
        assert!(reads.observation.look > marker.observation.look, "the marker came first");
        reads.unchanged_for.as_secs()
    };
    assert_eq!(reads(&mut run), 30);
    let due = |run: &Run1, seconds| run.picture.due(run.at(seconds), true).contains(Path::new("run/a.fastq.gz"));
    assert!(!due(&run, 309) && due(&run, 310), "ten settle times");
    run.look(310, "run/a.fastq.gz", &[("run/a.fastq.gz", 1)]);
    assert_eq!(reads(&mut run), 300);
}

#[test]
fn which_file_came_first_is_known_after_a_restart_and_a_reboot() {
    let mut run = Run1::new(&["**/*.fastq.gz"], Some("run"));
    run.look(0, "", &[("run/done", 0)]);
    run.look(10, "run/a.fastq.gz", &[("run/a.fastq.gz", 1)]);
    let looks = |run: &mut Run1| {
        let news = run.picture.take_news(None, None, "native");
        news.changed.into_iter().map(|(path, seen)| (path, seen.unwrap())).collect::<HashMap<_, _>>()
    };
    let mut remembered = looks(&mut run);
    let order = |seen: &HashMap<PathBuf, Observation>, [first, second]: [&str; 2]| {
        let look = |name: &str| seen[&Path::new("run").join(name)].look;
        assert!(look(first) < look(second), "{first}, {second}: {seen:?}");
    };
    order(&remembered, ["done", "a.fastq.gz"]);
    remembered.values_mut().for_each(|observation| observation.since.boot ^= 1);
    run.picture = Run1::picture(&run.settings, remembered, run.at(20));
    run.look(20, "", &[("run/done", 0), ("run/a.fastq.gz", 1), ("run/b.fastq.gz", 1)]);
    let seen = looks(&mut run);
    order(&seen, ["done", "a.fastq.gz"]);
    order(&seen, ["a.fastq.gz", "b.fastq.gz"]);
}

#[test]
fn a_run_is_listed_when_its_last_file_settles_where_nobody_tells_of_new_ones() {
    let mut run = Run1::new(&["**/*.fastq.gz"], Some("run"));
    let due = |run: &Run1, seconds, hears| Vec::from_iter(run.picture.due(run.at(seconds), hears));
    run.look(0, "", &[("run/L1/a.fastq.gz", 1)]);
    run.look(10, "run/L1/b.fastq.gz", &[("run/L1/b.fastq.gz", 1)]);
    assert_eq!(due(&run, 30, false), [PathBuf::from("run/L1/a.fastq.gz")], "the other file is still settling");
    run.look(30, "run/L1/a.fastq.gz", &[("run/L1/a.fastq.gz", 1)]);
    assert_eq!(due(&run, 40, true), [PathBuf::from("run/L1/b.fastq.gz")]);
    assert_eq!(due(&run, 40, false), ["run", "run/L1/b.fastq.gz"].map(PathBuf::from));
}

#[test]
fn a_run_is_shown_again_when_its_reads_were_quiet_though_nothing_else_is_new() {
    let mut run = Run1::new(&["**/*.fastq.gz"], Some("run"));
    let files = [("run/a.fastq.gz", 1), ("run/log", 1)];
    run.look(0, "", &files);
    run.look(30, "", &files);
    assert_eq!(run.shown(), waits("**/*.fastq.gz quiet for 30s of 10m", Some(570)));
    run.look(599, "", &files);
    assert_eq!(run.shown(), None);
    run.look(600, "", &files);
    assert_eq!(run.shown(), Some(Verdict::Complete));
}

#[test]
fn reads_that_grow_or_come_begin_the_time_anew_whoever_takes_them() {
    let mut run = Run1::new(&["**/*.fastq.gz", "**/*.fq"], Some("run"));
    run.look(0, "", &[("run/log", 1)]);
    assert_eq!(run.shown(), waits("waiting for a first file of **/*.fastq.gz or **/*.fq", None));
    assert!(!run.is_due(10_000));
    run.look(100, "run/a.fastq.gz", &[("run/a.fastq.gz", 1)]);
    run.look(300, "run/a.fastq.gz", &[("run/a.fastq.gz", 2)]);
    assert!(!run.is_due(899) && run.is_due(900));
    run.look(500, "run/x/Undetermined.fq", &[("run/x/Undetermined.fq", 1)]);
    assert!(!run.is_due(1099) && run.is_due(1100));
    // What came meanwhile is found by a look at all of the run, and counts.
    let files = [("run/a.fastq.gz", 2), ("run/x/Undetermined.fq", 1), ("run/b.fastq.gz", 1), ("run/log", 1)];
    run.look(1100, "run", &files);
    assert_eq!(run.shown(), waits("**/*.fastq.gz and **/*.fq quiet for 0s of 10m", Some(600)));
    assert!(!run.is_due(1699) && run.is_due(1700));
    // One that has gone counts no more.
    run.look(1700, "run", &files[2..]);
    assert_eq!(run.shown(), Some(Verdict::Complete));
}

#[test]
fn reads_of_one_folder_are_looked_at_at_their_own_time() {
    let mut run = Run1::new(&["{lane}/*.gz"], Some("run"));
    run.look(0, "", &[("run/L1/a.gz", 1)]);
    run.look(200, "run/L2", &[("run/L2/a.gz", 1)]);
    assert!(!run.is_due(599) && run.is_due(600));
    run.look(600, "run", &[("run/L1/a.gz", 1), ("run/L2/a.gz", 1)]);
    assert!(!run.is_due(799) && run.is_due(800));
}

#[test]
fn since_when_reads_are_quiet_survives_a_restart() {
    let mut run = Run1::new(&["**/*.fastq.gz"], Some("run"));
    let observation = |size, since| Observation {
        fingerprint: Fingerprint { size, modified_ns: 1 },
        since,
        look: 1,
        existing: false,
    };
    let seen = |run: &Run1| {
        let (reads, log) = (observation(1, run.at(0)), observation(7, run.at(500)));
        HashMap::from([("run/a.fastq.gz".into(), reads), ("run/log".into(), log)])
    };
    run.picture = Run1::picture(&run.settings, seen(&run), run.at(550));
    run.look(550, "", &[("run/a.fastq.gz", 1), ("run/log", 8)]);
    assert_eq!(run.shown(), waits("**/*.fastq.gz quiet for 9m 10s of 10m", Some(50)));
    assert!(!run.is_due(599) && run.is_due(600));
    run.picture = Run1::picture(&run.settings, seen(&run), run.at(600));
    run.look(600, "", &[("run/a.fastq.gz", 1), ("run/log", 9)]);
    assert_eq!(run.shown(), Some(Verdict::Complete));
    // Of another boot, it says nothing.
    let mut before = seen(&run);
    before.values_mut().for_each(|observation| observation.since.boot ^= 1);
    run.picture = Run1::picture(&run.settings, before, run.at(600));
    run.look(600, "", &[("run/a.fastq.gz", 1), ("run/log", 9)]);
    assert_eq!(run.shown(), waits("**/*.fastq.gz quiet for 0s of 10m", Some(600)));
    assert!(!run.is_due(1199) && run.is_due(1200));
}

#[test]
fn in_a_drop_folder_each_file_is_looked_at_when_its_own_time_is_over() {
    let mut folder = Run1::new(&["*.gz"], None);
    let files = [("x/a.gz", 1), ("x/log", 1)];
    folder.look(0, "", &files);
    folder.look(30, "", &files);
    folder.look(60, "x/log", &[("x/log", 2)]);
    let due = |folder: &Run1, seconds| Vec::from_iter(folder.picture.due(folder.at(seconds), true));
    assert_eq!(due(&folder, 599), [PathBuf::from("x")], "the log's settling");
    folder.look(599, "x/log", &[("x/log", 2)]);
    assert_eq!(due(&folder, 599), [] as [PathBuf; 0]);
    assert_eq!(due(&folder, 600), [PathBuf::from("x")], "the quiet of the reads");
}
