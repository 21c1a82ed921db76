use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::Instant;

use super::super::{Account, Keeper};
use super::*;
use crate::flow::{ClientConfig, CredentialSource};
use crate::journal::State;
use crate::sample::{Finding, Fingerprint, Kind, Part, Sample, SampleKey, Slot, Standing, Target};
use crate::sandbox::{self, Sandbox};

fn sample(dir: &Path, watch: &str, name: &str) -> Sample {
    sample_of(dir, watch, name, name)
}

fn sample_of(dir: &Path, watch: &str, name: &str, content: &str) -> Sample {
    let path = dir.join(watch).join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    let fingerprint = Fingerprint::of(&fs::metadata(&path).unwrap());
    Sample {
        key: SampleKey { kind: Kind::Data, watch: watch.into(), run: "run".into(), name: name.into() },
        rule: "files".into(),
        target: Target::Data { data_type: None, is_directory: false },
        slots: vec![Slot { key: "data".into(), filename: name.into(), parts: vec![Part { path, fingerprint }] }],
        sheets: Vec::new(),
    }
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it never came to this: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A pool, and what it works on.
struct Bench {
    dir: tempfile::TempDir,
    sandbox: Sandbox,
    client: Client,
    journal: Journal,
    gate: Gate,
    stop: CancellationToken,
}

impl Bench {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let sandbox = Sandbox::start(sandbox::Settings::new(dir.path().join("flow"))).await.unwrap();
        let client = Client::new(sandbox.base_url(), ClientConfig::default()).unwrap();
        let token = dir.path().join("token");
        fs::write(&token, sandbox.token()).unwrap();
        fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
        let journal = Journal::open(&dir.path().join("state")).unwrap();
        let (gate, stop) = (Gate::default(), CancellationToken::new());
        let account = Account::new(journal.clone(), &sandbox.base_url(), dir.path().join("state"), false);
        let source = CredentialSource::TokenFile(token);
        let keeper = Keeper { gate: gate.clone(), client: client.clone(), source, account };
        tokio::spawn(keeper.run(stop.clone()));
        Self { dir, sandbox, client, journal, gate, stop }
    }

    async fn add(&self, samples: &[&Sample]) {
        let ready = |sample: &&Sample| Finding {
            sample: (*sample).clone(),
            standing: Standing::Ready,
            is_existing: false,
            in_ending_run: false,
        };
        self.journal.assembled(samples.iter().map(ready).collect()).await.unwrap();
    }

    fn start(&self, disk: &Disk, stop: &CancellationToken) -> tokio::task::JoinHandle<Result<(), JournalError>> {
        self.start_with(1, disk, stop)
    }

    fn start_with(
        &self,
        concurrency: usize,
        disk: &Disk,
        stop: &CancellationToken,
    ) -> tokio::task::JoinHandle<Result<(), JournalError>> {
        let pool = Pool {
            client: self.client.clone(),
            journal: self.journal.clone(),
            settings: Settings { concurrency, ..Settings::default() },
            gate: self.gate.clone(),
            disk: disk.clone(),
            only: None,
            look_again: mpsc::unbounded_channel().0,
        };
        tokio::spawn(pool.run(stop.clone()))
    }

    fn state(&self, sample: &Sample) -> State {
        self.journal.record(&sample.id()).unwrap().unwrap().state
    }

    fn is_done(&self, sample: &Sample) -> bool {
        matches!(self.state(sample), State::Done { .. })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_puts_off_its_own_sample_until_it_can() {
    let bench = Bench::new().await;
    let bad = sample(bench.dir.path(), "disk", "bad.txt");
    let good = sample(bench.dir.path(), "disk", "good.txt");
    bench.add(&[&bad, &good]).await;
    let is_bad = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let still = is_bad.clone();
    let disk = Disk::new(Duration::from_secs(60), move |path| {
        let is_bad = path.ends_with("bad.txt") && still.load(std::sync::atomic::Ordering::SeqCst);
        // Opened, and looked at, as ever; the read itself fails.
        if is_bad { File::options().append(true).open(path) } else { File::open(path) }
    });
    let pool = bench.start(&disk, &bench.stop);
    let is_put_off = || match bench.state(&bad) {
        State::Retrying { error, .. } => error.contains("cannot read") && error.contains("bad.txt"),
        _ => false,
    };
    until("the other one is done, and the bad one put off", || bench.is_done(&good) && is_put_off()).await;
    assert!(!pool.is_finished());
    is_bad.store(false, std::sync::atomic::Ordering::SeqCst);
    until("it can be read", || bench.is_done(&bad)).await;
    bench.stop.cancel();
    pool.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_that_hangs_keeps_its_own_samples_back_and_neither_others_nor_the_end() {
    let bench = Bench::new().await;
    let dir = bench.dir.path();
    let on_share = ["a.txt", "b.txt", "c.txt"].map(|name| sample(dir, "share", name));
    let on_disk = sample(dir, "zdisk", "d.txt");
    bench.add(&on_share.iter().chain([&on_disk]).collect::<Vec<_>>()).await;

    let (go_on, told) = channel::<()>();
    let (told, share) = (std::sync::Mutex::new(told), dir.join("share"));
    let disk = Disk::new(Duration::from_millis(200), move |path| {
        if path.starts_with(&share) {
            // Until it is told, or nobody can tell it any more.
            let _ = told.lock().unwrap().recv();
        }
        File::open(path)
    });
    let hangs = |sample: &Sample| match bench.state(sample) {
        State::Retrying { error, upload, .. } => error.contains("the read hangs") && upload.faults > 0,
        _ => false,
    };

    let first_stop = CancellationToken::new();
    let first = bench.start(&disk, &first_stop);
    until("what lies elsewhere is done", || bench.is_done(&on_disk)).await;
    until("the share's samples are kept back", || on_share.iter().all(hangs)).await;
    assert_eq!(disk.hangs_at("share").as_deref(), Some(on_share[0].slots[0].parts[0].path.as_path()));
    first_stop.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(60), first).await;
    ended.expect("the end does not wait for the share").unwrap().unwrap();

    drop(go_on);
    let second = bench.start(&disk, &bench.stop);
    until("all is done", || on_share.iter().all(|sample| bench.is_done(sample))).await;
    assert_eq!(bench.sandbox.data().len(), 4);
    bench.stop.cancel();
    second.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_samples_with_files_of_the_same_names_and_sizes_one_is_queued_until_the_other_was_sent() {
    let bench = Bench::new().await;
    let dir = bench.dir.path();
    let both = [("old", "one"), ("new", "two")].map(|(watch, content)| sample_of(dir, watch, "a.txt", content));
    bench.add(&both.each_ref()).await;
    let (go_on, told) = channel::<()>();
    let told = std::sync::Mutex::new(told);
    let disk = Disk::new(Duration::from_secs(60), move |path| {
        let _ = told.lock().unwrap().recv();
        File::open(path)
    });
    let pool = bench.start_with(2, &disk, &bench.stop);
    // Put back by its own transfer: it had its turn too early.
    let is_put_back = |sample: &Sample| matches!(bench.state(sample), State::Queued { upload: Some(_) });
    let is_under_way = |sample: &Sample| matches!(bench.state(sample), State::Uploading { .. });
    until("one is under way, and the other one waits for its turn", || {
        both.iter().any(is_under_way) && both.iter().any(is_put_back)
    })
    .await;
    assert_eq!(bench.journal.next_due(None), Due::Never, "its turn comes when the other one has ended");
    drop(go_on);
    until("both are done", || both.iter().all(|sample| bench.is_done(sample))).await;
    bench.stop.cancel();
    pool.await.unwrap().unwrap();
}
