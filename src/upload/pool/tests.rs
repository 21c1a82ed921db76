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
    let path = dir.join(watch).join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, name).unwrap();
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

#[tokio::test(flavor = "multi_thread")]
async fn a_share_that_hangs_keeps_its_own_samples_back_and_neither_others_nor_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(sandbox::Settings::new(dir.path().join("flow"))).await.unwrap();
    let client = Client::new(sandbox.base_url(), ClientConfig::default()).unwrap();
    let token = dir.path().join("token");
    fs::write(&token, sandbox.token()).unwrap();
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    let journal = Journal::open(&dir.path().join("state")).unwrap();
    let on_share = ["a.txt", "b.txt", "c.txt"].map(|name| sample(dir.path(), "share", name));
    let on_disk = sample(dir.path(), "zdisk", "d.txt");
    let ready = |sample: &Sample| Finding { sample: sample.clone(), standing: Standing::Ready, is_existing: false };
    journal.assembled(on_share.iter().chain([&on_disk]).map(ready).collect(), false).await.unwrap();

    let (go_on, told) = channel::<()>();
    let (told, share) = (std::sync::Mutex::new(told), dir.path().join("share"));
    let disk = Disk::new(Duration::from_millis(200), move |path| {
        if path.starts_with(&share) {
            // Until it is told, or nobody can tell it any more.
            let _ = told.lock().unwrap().recv();
        }
        File::open(path)
    });
    let gate = Gate::default();
    let stop = CancellationToken::new();
    let account = Account::new(journal.clone(), &sandbox.base_url(), dir.path().join("state"), false);
    let source = CredentialSource::TokenFile(token);
    let keeper = Keeper { gate: gate.clone(), client: client.clone(), source, account };
    tokio::spawn(keeper.run(stop.clone()));
    let start = |stop: &CancellationToken| {
        let pool = Pool {
            client: client.clone(),
            journal: journal.clone(),
            settings: Settings { concurrency: 1, ..Settings::default() },
            gate: gate.clone(),
            disk: disk.clone(),
            only: None,
            look_again: mpsc::unbounded_channel().0,
        };
        tokio::spawn(pool.run(stop.clone()))
    };
    let state = |sample: &Sample| journal.record(&sample.id()).unwrap().unwrap().state;
    let hangs = |sample: &Sample| match state(sample) {
        State::Retrying { error, upload, .. } => error.contains("the read hangs") && upload.faults > 0,
        _ => false,
    };

    let first_stop = CancellationToken::new();
    let first = start(&first_stop);
    until("what lies elsewhere is done", || matches!(state(&on_disk), State::Done { .. })).await;
    until("the share's samples are kept back", || on_share.iter().all(hangs)).await;
    assert_eq!(disk.hangs_at("share").as_deref(), Some(on_share[0].slots[0].parts[0].path.as_path()));
    let begun = Instant::now();
    first_stop.cancel();
    first.await.unwrap().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2), "the end does not wait for the share");

    drop(go_on);
    let second = start(&stop);
    until("all is done", || on_share.iter().all(|sample| matches!(state(sample), State::Done { .. }))).await;
    assert_eq!(sandbox.data().len(), 4);
    stop.cancel();
    second.await.unwrap().unwrap();
}
