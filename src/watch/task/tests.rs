use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use globset::Glob;

use super::*;
use crate::observation::Observation;
use crate::pattern::Pattern;
use crate::watch::{Baseline, Condition, Existing, Ignore, Mode, RunByEntries, RunFolders, RunView, Verdict};

/// Long enough for the slowest machine; no test waits for its end.
const PATIENCE: Duration = Duration::from_secs(60);

fn settings(path: &Path, run_folder: Option<&str>) -> Settings {
    Settings {
        name: "seq".into(),
        path: path.to_owned(),
        existing: Existing::Upload,
        run_folder: run_folder.map(|text| Pattern::parse(text).unwrap().into()),
        complete_when: Condition::Settled.into(),
        described_by: None,
        settle: Some(Duration::from_millis(100)),
        mode: Mode::Native,
        poll: Duration::from_secs(3600),
        rescan: Duration::from_secs(3600),
        ignore: Ignore::default(),
        expect_within: None,
    }
}

fn marker(text: &str) -> Condition {
    Condition::Marker(Pattern::parse(text).unwrap().into())
}

/// A running watch, and all that it has told so far.
struct Watched {
    news: mpsc::Receiver<News>,
    mailbox: Arc<Mailbox>,
    wake: Arc<Notify>,
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<Result<(), Error>>,
    runs: BTreeMap<PathBuf, RunView>,
    remembered: Remembered,
    left_out: BTreeMap<PathBuf, String>,
    last: Option<News>,
}

impl Watched {
    fn start(settings: Settings, remembered: Remembered) -> Self {
        let (sender, news) = mpsc::channel(1);
        let (mailbox, wake, shutdown): (Arc<Mailbox>, Arc<Notify>, CancellationToken) = Default::default();
        let task = watch(settings, remembered.clone(), sender, wake.clone(), shutdown.clone(), mailbox.clone());
        let task = tokio::spawn(task);
        Self {
            news,
            mailbox,
            wake,
            shutdown,
            task,
            runs: BTreeMap::new(),
            remembered,
            left_out: BTreeMap::new(),
            last: None,
        }
    }

    /// Takes news in until `done` holds.
    async fn until(&mut self, what: &str, done: impl Fn(&Watched) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            let Ok(news) = timeout_at(deadline, self.news.recv()).await else {
                panic!("still no {what}; runs: {:#?}, last: {:?}", self.runs, self.last)
            };
            self.hear(news.expect("the watch goes on"));
        }
    }

    fn hear(&mut self, news: News) {
        for (path, observation) in &news.changed {
            match observation {
                Some(observation) => self.remembered.observations.insert(path.clone(), *observation),
                None => self.remembered.observations.remove(path),
            };
        }
        if news.baseline.is_some() {
            self.remembered.baseline = news.baseline.clone();
        }
        for folder in &news.gone_runs {
            self.runs.remove(folder);
        }
        self.runs.extend(news.runs.iter().map(|run| (run.folder.clone(), run.clone())));
        if let Some(left_out) = &news.left_out {
            self.left_out = left_out.iter().map(|one| (one.path.clone(), one.reason.clone())).collect();
        }
        self.last = Some(news);
    }

    async fn scanned(settings: Settings) -> Self {
        let mut watched = Self::start(settings, Remembered::default());
        watched.until("first scan", |w| w.is_scanned()).await;
        watched
    }

    fn is_scanned(&self) -> bool {
        self.last.as_ref().is_some_and(|news| news.scanned)
    }

    fn condition(&self) -> &str {
        self.last.as_ref().and_then(|news| news.condition.as_deref()).unwrap_or_default()
    }

    fn files(&self, run: &str) -> Vec<&Path> {
        self.runs
            .get(Path::new(run))
            .map_or(Vec::new(), |run| run.files.iter().map(|f| f.below_run.as_path()).collect())
    }

    fn verdict(&self, run: &str) -> Option<Verdict> {
        self.runs.get(Path::new(run)).map(|run| run.verdict(&run.files))
    }

    fn is_complete(&self, run: &str) -> bool {
        self.verdict(run) == Some(Verdict::Complete)
    }

    async fn stop(self) -> Remembered {
        self.shutdown.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.expect("a prompt end").unwrap().unwrap();
        self.remembered
    }
}

/// Which files of a folder were opened, by whomever.
struct Opened {
    folder: PathBuf,
    events: std::sync::mpsc::Receiver<notify::Result<notify::Event>>,
    _watcher: notify::INotifyWatcher,
}

impl Opened {
    fn of(folder: &Path) -> Self {
        use notify::Watcher as _;
        let folder = folder.canonicalize().unwrap();
        let (sender, events) = std::sync::mpsc::channel();
        let mut watcher = notify::INotifyWatcher::new(sender, notify::Config::default()).unwrap();
        watcher.watch(&folder, notify::RecursiveMode::NonRecursive).unwrap();
        Self { folder, events, _watcher: watcher }
    }

    /// In their order.
    fn names(self) -> Vec<String> {
        use notify::event::{AccessKind, EventKind};
        fs::write(self.folder.join("end"), "").unwrap();
        let mut names = Vec::new();
        loop {
            let event = self.events.recv_timeout(PATIENCE).expect("the file is opened").unwrap();
            if event.paths.contains(&self.folder.join("end")) {
                break;
            }
            if matches!(event.kind, EventKind::Access(AccessKind::Open(_))) {
                let files = event.paths.iter().filter(|path| **path != self.folder);
                names.extend(files.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()));
            }
        }
        names
    }
}

fn observation(watched: &Watched, path: &str) -> Observation {
    watched.remembered.observations[Path::new(path)]
}

#[tokio::test]
async fn files_written_at_once_into_nested_new_folders_are_all_found() {
    let place = tempfile::tempdir().unwrap();
    let mut watched = Watched::scanned(settings(place.path(), None)).await;
    let mut expected = 0;
    for round in 0..60 {
        let deep = place.path().join(format!("r{round}/a/b/c"));
        fs::create_dir_all(&deep).unwrap();
        for at in deep.ancestors().take(4) {
            for n in 0..3 {
                fs::write(at.join(format!("{n}.fastq.gz")), "reads").unwrap();
                expected += 1;
            }
        }
        if round % 10 == 9 {
            watched.until("file of every folder", |w| w.files("").len() == expected).await;
        }
    }
    watched.until("settling of all", |w| w.is_complete("")).await;
    watched.stop().await;
}

#[tokio::test]
async fn a_marker_completes_its_run_at_once() {
    let place = tempfile::tempdir().unwrap();
    let run = place.path().join("2024_run");
    fs::create_dir_all(run.join("Logs")).unwrap();
    fs::write(run.join("a.fastq.gz"), "reads").unwrap();
    let mut settings = settings(place.path(), Some("{date:int}_{rest}"));
    settings.complete_when = marker("Logs/FastqComplete.txt").into();
    let mut watched = Watched::scanned(settings).await;
    watched.until("run", |w| w.runs.len() == 1).await;
    let Some(Verdict::Waits { reason, in_time: None }) = watched.verdict("2024_run") else { panic!() };
    assert_eq!(reason, "waiting for the marker Logs/FastqComplete.txt");
    assert_eq!(watched.runs[Path::new("2024_run")].captures["date"], "2024");

    // By its event: the next scan is an hour away.
    fs::write(run.join("Logs/FastqComplete.txt"), "").unwrap();
    watched.until("marker", |w| w.is_complete("2024_run")).await;
    watched.stop().await;
}

/// The kernel is asked which files were opened.
#[tokio::test]
async fn a_paper_is_read_once_it_has_settled_and_again_only_when_it_changed() {
    let place = tempfile::tempdir().unwrap();
    let run = place.path().join("run1");
    fs::create_dir(&run).unwrap();
    fs::write(run.join("a.fq"), "").unwrap();
    fs::write(run.join("list.tsv"), "a.fq\t00000000\nb.fq\t00000000\n").unwrap();
    let opened = Opened::of(&run);
    let mut settings = settings(place.path(), Some("{name}"));
    let paper = crate::watch::Paper { pattern: Pattern::parse("list.tsv").unwrap(), is_optional: false };
    settings.complete_when = Condition::Listed(paper).into();
    // Longer than it takes to write one, on any machine.
    settings.settle = Some(Duration::from_secs(1));
    let mut watched = Watched::scanned(settings).await;
    let waits = |watched: &Watched| match watched.verdict("run1") {
        Some(Verdict::Waits { reason, .. }) => reason,
        other => format!("{other:?}"),
    };
    assert_eq!(waits(&watched), "list.tsv has not settled yet");
    watched.until("comparison", |w| waits(w) == "1 of 2 files of list.tsv is not there: b.fq").await;
    fs::write(run.join("b.fq"), "").unwrap();
    watched.until("complete run", |w| w.is_complete("run1")).await;
    fs::write(run.join("list.tsv"), "a.fq\t00000000\nb.fq\t00000000\nc.fq\t00000000\n").unwrap();
    watched.until("longer list", |w| waits(w) == "1 of 3 files of list.tsv is not there: c.fq").await;
    watched.stop().await;
    // The second and the third are ours, who wrote.
    assert_eq!(opened.names(), ["list.tsv", "b.fq", "list.tsv", "list.tsv"]);
}

#[tokio::test]
async fn a_missing_root_heals_when_it_comes() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("runs");
    let mut watched = Watched::start(settings(&path, None), Remembered::default());
    watched.until("condition", |w| w.condition().contains("does not exist")).await;
    assert!(!watched.is_scanned());
    fs::create_dir(&path).unwrap();
    fs::write(path.join("a.gz"), "a").unwrap();
    watched.until("file", |w| w.files("").len() == 1 && w.condition().is_empty()).await;
    watched.stop().await;
}

#[tokio::test]
async fn a_root_that_is_removed_keeps_its_files_and_heals_when_it_comes_back() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("runs");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("a.gz"), "a").unwrap();
    let mut watched = Watched::scanned(settings(&path, None)).await;
    fs::rename(&path, place.path().join("elsewhere")).unwrap();
    watched.until("condition", |w| w.condition().contains("does not exist")).await;
    assert_eq!(watched.files(""), [Path::new("a.gz")], "a missing root says nothing about its files");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("b.gz"), "b").unwrap();
    watched.until("new file", |w| w.files("") == [Path::new("b.gz")]).await;
    fs::write(path.join("c.gz"), "c").unwrap();
    watched.until("event in the new root", |w| w.files("").len() == 2).await;
    assert_eq!(watched.last.as_ref().unwrap().mode, "native");
    watched.stop().await;
}

#[tokio::test]
async fn poll_finds_and_misses_files_without_events() {
    let place = tempfile::tempdir().unwrap();
    let mut settings = settings(place.path(), None);
    (settings.mode, settings.poll) = (Mode::Poll, Duration::from_millis(50));
    let mut watched = Watched::scanned(settings).await;
    assert_eq!(watched.last.as_ref().unwrap().mode, "poll");
    fs::write(place.path().join("a.gz"), "a").unwrap();
    watched.until("settled file", |w| w.is_complete("")).await;
    fs::remove_file(place.path().join("a.gz")).unwrap();
    watched.until("its end", |w| w.files("").is_empty()).await;
    assert!(watched.stop().await.observations.is_empty());
}

#[tokio::test]
async fn an_unreadable_folder_is_a_condition_and_keeps_its_files() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("2024_run/Data");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("a.gz"), "a").unwrap();
    let mut watched = Watched::scanned(settings(place.path(), Some("{date:int}_{rest}"))).await;
    watched.until("complete run", |w| w.is_complete("2024_run")).await;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read_dir(&folder).is_ok() {
        let _ = writeln!(std::io::stderr(), "skipped: this user may read everything");
        return;
    }
    watched.until("condition", |w| w.condition().contains("cannot read")).await;
    assert_eq!(watched.files("2024_run").len(), 1);
    assert!(!watched.is_complete("2024_run"), "what cannot be read may belong to the run");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    watched.until("healing", |w| w.condition().is_empty() && w.is_complete("2024_run")).await;
    watched.stop().await;
}

#[tokio::test]
async fn links_are_not_followed_out_of_the_watch() {
    let place = tempfile::tempdir().unwrap();
    let (root, outside) = (place.path().join("runs"), place.path().join("outside.gz"));
    fs::create_dir_all(root.join("folder")).unwrap();
    fs::write(&outside, "x").unwrap();
    fs::write(root.join("folder/a.gz"), "a").unwrap();
    symlink("folder/a.gz", root.join("inside.gz")).unwrap();
    symlink(&outside, root.join("out.gz")).unwrap();
    symlink("folder", root.join("link")).unwrap();
    symlink("nowhere", root.join("broken")).unwrap();
    symlink("circle", root.join("circle")).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    // The watch itself may be reached through a link.
    symlink(&root, place.path().join("watched")).unwrap();
    let mut watched = Watched::scanned(settings(&place.path().join("watched"), None)).await;
    watched.until("files", |w| !w.files("").is_empty()).await;
    assert_eq!(watched.files(""), [Path::new("folder/a.gz"), Path::new("inside.gz")]);
    let reasons: Vec<(&str, &str)> =
        watched.left_out.iter().map(|(path, reason)| (path.to_str().unwrap(), reason.as_str())).collect();
    assert_eq!(
        reasons,
        [
            ("broken", "a link that leads nowhere"),
            ("circle", "a link that leads nowhere"),
            ("link", "a link to a folder"),
            ("out.gz", "a link that leads out of the watch"),
            ("socket", "not a regular file"),
        ]
    );
    drop(socket);
    fs::write(root.join("event.gz"), "e").unwrap();
    watched.until("event below the link", |w| w.files("").len() == 3).await;
    watched.stop().await;
}

#[tokio::test]
async fn any_name_that_linux_allows_is_found() {
    let place = tempfile::tempdir().unwrap();
    let mut watched = Watched::scanned(settings(place.path(), None)).await;
    let names = [&b"caf\xe9.gz"[..], b"new\nline.gz", b"spa ce.gz", b"\\back.gz", b"\xff"];
    for name in names {
        fs::write(place.path().join(std::ffi::OsStr::from_bytes(name)), "x").unwrap();
    }
    watched.until("all names", |w| w.files("").len() == names.len() && w.is_complete("")).await;
    for name in names {
        assert!(watched.files("").contains(&Path::new(std::ffi::OsStr::from_bytes(name))));
    }
    watched.stop().await;
}

#[tokio::test]
async fn a_file_or_folder_that_is_renamed_into_place_is_found_there() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("runs");
    fs::create_dir(&root).unwrap();
    let mut watched = Watched::scanned(settings(&root, None)).await;
    fs::write(root.join("a.gz.part"), "a").unwrap();
    watched.until("left out", |w| w.left_out.contains_key(Path::new("a.gz.part"))).await;
    assert!(watched.files("").is_empty());
    fs::rename(root.join("a.gz.part"), root.join("a.gz")).unwrap();
    watched.until("renamed file", |w| w.files("") == [Path::new("a.gz")] && w.left_out.is_empty()).await;

    fs::create_dir_all(place.path().join("made/deep")).unwrap();
    fs::write(place.path().join("made/deep/b.gz"), "b").unwrap();
    fs::rename(place.path().join("made"), root.join("run")).unwrap();
    watched.until("folder that moved in", |w| w.files("").len() == 2).await;
    fs::rename(root.join("run"), root.join("again")).unwrap();
    watched.until("its new name", |w| w.files("") == [Path::new("a.gz"), Path::new("again/deep/b.gz")]).await;
    fs::write(root.join("again/deep/c.gz"), "c").unwrap();
    watched.until("event in the moved folder", |w| w.files("").len() == 3).await;
    fs::rename(root.join("again"), place.path().join("out")).unwrap();
    watched.until("its end", |w| w.files("") == [Path::new("a.gz")]).await;
    watched.stop().await;
}

#[tokio::test]
async fn a_file_settles_only_after_its_growth_has_ended() {
    let place = tempfile::tempdir().unwrap();
    let mut settings = settings(place.path(), None);
    let settle = Duration::from_millis(400);
    settings.settle = Some(settle);
    let mut watched = Watched::scanned(settings).await;
    let path = place.path().join("a.gz");
    let mut file = loop {
        let path = path.clone();
        let writer = std::thread::spawn(move || {
            // Never closed between: only looks can tell.
            let mut file = File::create(path).unwrap();
            let (mut written, mut longest) = (Instant::now(), Duration::ZERO);
            for _ in 0..15 {
                file.write_all(b"more").unwrap();
                longest = longest.max(written.elapsed());
                written = Instant::now();
                std::thread::sleep(Duration::from_millis(100));
            }
            (file, longest)
        });
        watched.until("settled file", |w| w.is_complete("")).await;
        let is_finished = writer.is_finished();
        let (file, longest) = writer.join().unwrap();
        // On a machine that stalled, it had settled indeed.
        if longest < settle {
            assert!(is_finished);
            break file;
        }
        fs::remove_file(place.path().join("a.gz")).unwrap();
        watched.until("its end", |w| w.files("").is_empty()).await;
    };
    assert_eq!(observation(&watched, "a.gz").fingerprint.size, 60);
    file.write_all(b"late").unwrap();
    watched.until("unsettling", |w| observation(w, "a.gz").fingerprint.size == 64 && !w.is_complete("")).await;
    watched.until("settling anew", |w| w.is_complete("")).await;
    watched.stop().await;
}

#[tokio::test]
async fn ignored_and_unfinished_names_are_never_matched() {
    let place = tempfile::tempdir().unwrap();
    for path in ["run/a.gz", "run/.hidden/a.gz", "run/.dot", "run/a.tmp", "run/a~", "run/old.bak", "loose.gz", "no/x"] {
        let path = place.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }
    let mut settings = settings(place.path(), Some("r{rest}"));
    settings.ignore = Ignore::new(&[], &[Glob::new("**/*.bak").unwrap()]).unwrap();
    let news = look_once(&settings, Remembered::default());
    assert_eq!(news.runs.len(), 1);
    assert_eq!(news.runs[0].files.iter().map(|f| f.below_run.to_str().unwrap()).collect::<Vec<_>>(), ["a.gz"]);
    let left_out: Vec<String> =
        news.left_out.unwrap().iter().map(|one| format!("{}: {}", one.path.display(), one.reason)).collect();
    let outside = "not inside a run folder (no folder above it matches r{rest}); where runs are named otherwise, say how by \
                   the watch's run_folder; where files lie in no runs, use layout: drop-folder";
    assert_eq!(
        left_out,
        [
            &format!("loose.gz: {outside}"),
            &format!("no: {outside}"),
            "run/.dot: always left out: its name begins with a dot",
            "run/.hidden: always left out: its name begins with a dot",
            "run/a.tmp: always left out: its name is that of an unfinished file",
            "run/a~: always left out: its name is that of an unfinished file",
            "run/old.bak: ignored: the watch's `ignore` matches it (**/*.bak)",
        ]
    );
}

#[tokio::test]
async fn what_lay_there_at_the_first_start_is_existing_and_stays_so() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("old.gz"), "x").unwrap();
    let mut settings = settings(place.path(), None);
    settings.existing = Existing::Skip;
    let mut watched = Watched::scanned(settings.clone()).await;
    fs::write(place.path().join("new.gz"), "x").unwrap();
    watched.until("new file", |w| w.files("").len() == 2).await;
    assert!(observation(&watched, "old.gz").existing);
    assert!(!observation(&watched, "new.gz").existing);
    let remembered = watched.stop().await;
    assert_eq!(remembered.baseline.as_ref().unwrap().files, 1);

    fs::write(place.path().join("while-down.gz"), "x").unwrap();
    let mut watched = Watched::start(settings, remembered);
    watched.until("file from between", |w| w.files("").len() == 3).await;
    assert!(!observation(&watched, "while-down.gz").existing);
    assert!(observation(&watched, "old.gz").existing);

    let away = tempfile::tempdir_in(place.path().parent().unwrap()).unwrap();
    for name in ["old.gz", "new.gz"] {
        fs::rename(place.path().join(name), away.path().join(name)).unwrap();
    }
    watched.until("both gone", |w| w.files("").len() == 1).await;
    for name in ["old.gz", "new.gz"] {
        fs::rename(away.path().join(name), place.path().join(name)).unwrap();
    }
    watched.until("both back", |w| w.files("").len() == 3).await;
    assert!(observation(&watched, "old.gz").existing, "what goes and comes back is not new");
    assert!(!observation(&watched, "new.gz").existing);
    watched.stop().await;
}

#[tokio::test]
async fn existing_since_goes_by_the_modification_time() {
    let place = tempfile::tempdir().unwrap();
    for (name, seconds) in [("old.gz", 1_000), ("new.gz", 3_000)] {
        let file = File::create(place.path().join(name)).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
    }
    let mut settings = settings(place.path(), None);
    settings.existing = Existing::Since(jiff::Timestamp::from_second(2_000).unwrap());
    let news = look_once(&settings, Remembered::default());
    let existing: Vec<bool> = news.changed.iter().map(|(_, observation)| observation.unwrap().existing).collect();
    assert_eq!(existing, [false, true], "new.gz, old.gz");
}

#[tokio::test]
async fn a_first_start_on_an_unmounted_share_is_taken_again() {
    let place = tempfile::tempdir().unwrap();
    let mut settings = settings(place.path(), None);
    settings.existing = Existing::Skip;
    let empty = look_once(&settings, Remembered::default()).baseline.unwrap();
    fs::write(place.path().join("backlog.gz"), "x").unwrap();
    let start = |baseline: &Baseline| {
        look_once(&settings, Remembered { baseline: Some(baseline.clone()), ..Default::default() })
    };
    let existing = |news: &News| news.changed[0].1.unwrap().existing;

    assert!(!existing(&start(&empty)), "the same file system: the file is new");
    let elsewhere = Baseline { device: empty.device + 1, ..empty.clone() };
    let retaken = start(&elsewhere);
    assert!(existing(&retaken));
    assert_eq!(retaken.baseline.unwrap(), Baseline { files: 1, ..empty });
    assert!(!existing(&start(&Baseline { files: 2, ..elsewhere.clone() })), "there were files then");
    assert!(!existing(&start(&Baseline { network: true, ..elsewhere })), "the share was mounted");
}

#[tokio::test]
async fn an_empty_folder_on_another_file_system_takes_no_file_away() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("a.gz"), "x").unwrap();
    let settings = settings(place.path(), None);
    let news = look_once(&settings, Remembered::default());
    let mut remembered = Remembered { baseline: news.baseline, observations: Default::default() };
    remembered.observations.extend(news.changed.into_iter().map(|(path, seen)| (path, seen.unwrap())));
    fs::remove_file(place.path().join("a.gz")).unwrap();
    remembered.baseline.as_mut().unwrap().device += 1;
    let news = look_once(&settings, remembered.clone());
    assert!(news.condition.unwrap().contains("not mounted"));
    assert!(news.changed.is_empty() && !news.scanned);
    remembered.baseline.as_mut().unwrap().device -= 1;
    assert_eq!(look_once(&settings, remembered).changed, [("a.gz".into(), None)], "the same one: it is gone");
}

#[tokio::test]
async fn lost_events_are_made_good_by_a_scan() {
    let place = tempfile::tempdir().unwrap();
    let mut settings = settings(place.path(), None);
    settings.mode = Mode::Poll;
    let mut watched = Watched::scanned(settings).await;
    fs::write(place.path().join("a.gz"), "a").unwrap();
    let lost = notify::Event::new(notify::EventKind::Other).set_flag(notify::event::Flag::Rescan);
    watched.mailbox.receive(Ok(lost));
    watched.until("file", |w| w.files("").len() == 1).await;
    fs::write(place.path().join("b.gz"), "b").unwrap();
    watched.wake.notify_one();
    watched.until("scan on request", |w| w.files("").len() == 2).await;
    watched.stop().await;
}

#[tokio::test]
async fn quiet_is_reached_by_time_and_survives_a_restart() {
    let place = tempfile::tempdir().unwrap();
    fs::create_dir(place.path().join("run")).unwrap();
    fs::write(place.path().join("run/a.gz"), "a").unwrap();
    let mut settings = settings(place.path(), Some("run"));
    settings.complete_when = Condition::Quiet(Duration::from_millis(700)).into();
    let mut watched = Watched::scanned(settings.clone()).await;
    let Some(Verdict::Waits { in_time: Some(_), .. }) = watched.verdict("run") else { panic!() };
    assert!(watched.last.as_ref().unwrap().next.is_some());
    watched.until("quiet", |w| w.is_complete("run")).await;
    assert!(watched.last.as_ref().unwrap().next.is_none(), "nothing waits for time any more");
    fs::write(place.path().join("run/b.gz"), "b").unwrap();
    watched.until("unrest", |w| !w.is_complete("run")).await;
    watched.until("quiet anew", |w| w.is_complete("run")).await;
    let remembered = watched.stop().await;
    let news = look_once(&settings, remembered);
    assert_eq!(news.runs[0].verdict(&news.runs[0].files), Verdict::Complete);
}

#[tokio::test]
async fn a_run_that_goes_is_told_with_its_files() {
    let place = tempfile::tempdir().unwrap();
    fs::create_dir_all(place.path().join("run/Data")).unwrap();
    fs::write(place.path().join("run/Data/a.gz"), "a").unwrap();
    let mut watched = Watched::scanned(settings(place.path(), Some("run"))).await;
    watched.until("run", |w| w.files("run").len() == 1).await;
    fs::remove_dir_all(place.path().join("run")).unwrap();
    watched.until("its end", |w| w.runs.is_empty() && w.remembered.observations.is_empty()).await;
    watched.stop().await;
}

/// Events alone lead to it: the next scan is an hour away.
#[tokio::test]
async fn a_run_by_entries_comes_with_the_first_and_goes_with_the_last_of_them() {
    let place = tempfile::tempdir().unwrap();
    let add = |path: &str| {
        let path = place.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    };
    add("exp/lib/1_a/reads/x.gz");
    add("exp/lib/notes.txt");
    let entries = ["reads", "summary_*.txt"].map(|text| Glob::new(text).unwrap());
    let folder = Pattern::parse("{experiment}/{sample}").unwrap();
    let by_entries = RunByEntries::new(folder.into(), &entries).unwrap();
    let mut settings = settings(place.path(), None);
    let whole = Pattern::parse("**/{date:int}_{rest}").unwrap();
    settings.run_folder = RunFolders::new(vec![whole], vec![by_entries]);
    settings.complete_when = marker("summary_*.txt").into();
    let mut watched = Watched::scanned(settings.clone()).await;
    let (pooled, inner) = (Path::new("exp/lib"), Path::new("exp/lib/1_a"));
    assert_eq!(watched.runs.keys().collect::<Vec<_>>(), [inner]);
    assert_eq!(watched.left_out.keys().collect::<Vec<_>>(), [Path::new("exp/lib/notes.txt")]);

    fs::create_dir(place.path().join("exp/lib/reads")).unwrap();
    watched.until("run without a file", |w| w.runs.contains_key(pooled)).await;
    assert!(watched.files("exp/lib").is_empty());
    add("exp/lib/reads/b/y.gz");
    add("exp/lib/summary_1.txt");
    add("exp/lib/1_a/reads/z.gz");
    add("new/lib/reads/x.gz");
    let all = ["reads/b/y.gz", "summary_1.txt"].map(Path::new);
    watched.until("its files", |w| w.files("exp/lib") == all && w.files("exp/lib/1_a").len() == 2).await;
    watched.until("a whole new tree", |w| w.files("new/lib").len() == 1).await;
    let run = &watched.runs[pooled];
    assert_eq!((run.captures["experiment"].as_str(), run.captures["sample"].as_str()), ("exp", "lib"));
    assert!(watched.is_complete("exp/lib") && !watched.is_complete("exp/lib/1_a") && !watched.is_complete("new/lib"));
    assert!(watched.left_out.contains_key(Path::new("exp/lib/notes.txt")));
    let once = look_once(&settings, Remembered::default());
    let seen_once = |folder| once.runs.iter().find(|run| run.folder == folder).unwrap().files.len();
    assert_eq!(
        (once.runs.len(), seen_once(pooled), seen_once(inner)),
        (3, 2, 2),
        "a scan of everything finds the same"
    );

    fs::remove_dir_all(place.path().join("exp/lib/reads")).unwrap();
    watched.until("part of it gone", |w| w.files("exp/lib") == [Path::new("summary_1.txt")]).await;
    fs::remove_file(place.path().join("exp/lib/summary_1.txt")).unwrap();
    watched.until("all of it gone", |w| !w.runs.contains_key(pooled)).await;
    fs::remove_dir_all(place.path().join("new")).unwrap();
    watched.until("a whole tree gone", |w| w.runs.len() == 1 && w.files("exp/lib/1_a").len() == 2).await;
    watched.stop().await;
}

#[tokio::test]
async fn what_cannot_be_read_beside_a_runs_entries_is_not_that_runs() {
    let place = tempfile::tempdir().unwrap();
    for path in ["exp/1_a/x.gz", "exp/reads/y.gz", "exp/other/z.gz"] {
        fs::create_dir_all(place.path().join(path).parent().unwrap()).unwrap();
        fs::write(place.path().join(path), "x").unwrap();
    }
    let entries = [Glob::new("reads").unwrap()];
    let by_entries = RunByEntries::new(Pattern::parse("exp").unwrap().into(), &entries).unwrap();
    let mut settings = settings(place.path(), None);
    settings.run_folder = RunFolders::new(vec![Pattern::parse("**/{date:int}_{rest}").unwrap()], vec![by_entries]);
    let closed = ["exp/1_a", "exp/other"].map(|folder| place.path().join(folder));
    let set_mode =
        |mode| closed.iter().for_each(|at| fs::set_permissions(at, fs::Permissions::from_mode(mode)).unwrap());
    set_mode(0o000);
    let can_read_all = fs::read_dir(&closed[0]).is_ok();
    let news = look_once(&settings, Remembered::default());
    set_mode(0o755);
    let run = |folder: &str| news.runs.iter().find(|run| run.folder == Path::new(folder)).unwrap();
    assert!(run("exp").unreadable.is_empty(), "{:?}", run("exp").unreadable);
    assert_eq!(run("exp").files.len(), 1);
    if !can_read_all {
        assert_eq!(run("exp/1_a").unreadable, [Path::new("exp/1_a")]);
    }
}

#[tokio::test]
async fn shutdown_is_prompt_even_when_nobody_takes_the_news() {
    let place = tempfile::tempdir().unwrap();
    let watched = Watched::start(settings(place.path(), None), Remembered::default());
    fs::write(place.path().join("a.gz"), "a").unwrap();
    watched.shutdown.cancel();
    tokio::time::timeout(PATIENCE, watched.task).await.expect("a prompt end").unwrap().unwrap();
}
