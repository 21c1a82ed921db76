//! A clock that jumps, a year forth and back, decides nothing: whether files have settled, when a sample is tried again,
//! when Flow is asked again, and whether a token is renewed.
//!
//! The clock is set by libfaketime (Debian: `faketime`), for the wall clock alone, as setting a host's clock does. Where
//! it is not installed, this says that it is skipped.

mod support;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use flow_ingest::sandbox::{Fault, On, RequestLog, RetryAfter};
use support::{Facility, Setup, until};

const LIBRARIES: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];

fn faketime() -> Option<&'static str> {
    let library = LIBRARIES.into_iter().find(|library| Path::new(library).exists());
    if library.is_none() {
        support::skipped("clocks that jump: libfaketime is not installed");
    }
    library
}

fn set_clock(file: &Path, by: &str) {
    let new = file.with_extension("new");
    fs::write(&new, by).unwrap();
    fs::rename(new, file).unwrap();
}

/// Sets the clock a year forth and back, again and again, until it is told to stop.
fn jump(file: PathBuf, stop: Arc<AtomicBool>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        for by in ["+365d", "-365d", "+0"].into_iter().cycle() {
            if stop.load(Ordering::SeqCst) {
                return;
            }
            set_clock(&file, by);
            std::thread::sleep(Duration::from_millis(150));
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_a_year_forth_and_back_changes_no_decision() {
    let Some(library) = faketime() else { return };
    for _ in 0..5 {
        if changes_no_decision(library).await {
            return;
        }
    }
    panic!("this machine stalls all the time");
}

/// False where a file that should have grown all the time stood still for so long that it had settled indeed.
async fn changes_no_decision(library: &str) -> bool {
    let setup = Setup {
        credentials: "{ username: sandbox, password_file: password }".to_owned(),
        // With one at a time, whoever asks after a refusal is the keeper of the gate.
        concurrency: 1,
        settle: "2s",
        request_timeout: "30s",
        existing: "{ since: 2020-01-01 }",
        ..Setup::default()
    };
    let facility = Facility::with(setup, |_| {}).await;
    facility.write_secret("password", "sandbox");
    let faults = facility.sandbox.faults();
    faults.add(Fault::on(On::Chunk).nth(4).too_many(RetryAfter::DateIn(Duration::from_secs(3))));
    faults.add(Fault::on(On::Chunk).nth(9).expire_token());
    faults.add(Fault::on(On::Chunk).nth(12).status(503));

    let clock = facility.path("clock");
    set_clock(&clock, "+0");
    let mut command = facility.command(&["run"]);
    command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", &clock);
    command.env("FAKETIME_NO_CACHE", "1").env("DONT_FAKE_MONOTONIC", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let mut service = facility.start_as(command);
    let socket = facility.path("state/agent.sock");
    until("the service listens", || socket.exists()).await;
    let stop = Arc::new(AtomicBool::new(false));
    let jumping = jump(clock, stop.clone());

    // Files of today, of the epoch, and of the next century.
    let day = Duration::from_secs(24 * 3600);
    let times = [SystemTime::now(), SystemTime::UNIX_EPOCH + day, SystemTime::now() + day * 36_500];
    for (n, time) in times.into_iter().enumerate() {
        let sample = format!("S{n}");
        facility.add(&sample, &[25_000 + n as u64, 24_000]);
        for read in [1, 2] {
            fs::File::options().write(true).open(facility.read(&sample, read)).unwrap().set_modified(time).unwrap();
        }
    }
    // And one that is still being written.
    let mut written = Instant::now();
    facility.add("growing", &[25_010, 24_000]);
    let mut growing = fs::File::options().append(true).open(facility.read("growing", 1)).unwrap();
    let refused = || facility.sandbox.requests().into_iter().find(|request| request.status == Some(429));
    // Whoever asks after it is the keeper of the gate.
    let asked_after = |refused: &RequestLog| {
        let mut requests = facility.sandbox.requests().into_iter();
        requests.find(|request| request.path == "/me" && request.came > refused.answered)
    };
    let (begun, settle, mut longest) = (Instant::now(), Duration::from_secs(2), Duration::ZERO);
    loop {
        longest = longest.max(written.elapsed());
        growing.write_all(&[0]).unwrap();
        written = Instant::now();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let is_growing = |chunk: &RequestLog| chunk.field("filename").is_some_and(|name| name.starts_with("growing"));
        let has_left = facility.chunks().iter().any(is_growing);
        longest = longest.max(written.elapsed());
        if has_left && longest >= settle {
            stop.store(true, Ordering::SeqCst);
            jumping.join().unwrap();
            return false;
        }
        assert!(!has_left, "it has not settled");
        if let Some(refused) = refused()
            && let Some(asked) = asked_after(&refused)
            && refused.answered.elapsed() > 2 * settle
        {
            let pause = asked.came - refused.answered;
            assert!(pause > Duration::from_millis(1_500), "{pause:?}: before the time that Flow named");
            break;
        }
        assert!(begun.elapsed() < support::DEADLINE, "nothing settles, or nobody asks again: {}", facility.log());
    }
    drop(growing);
    fs::write(facility.read("growing", 1), support::bytes(25_010)).unwrap();
    until("all are on Flow", || facility.sandbox.samples().len() == 4).await;
    facility.check_samples(&[]).await;
    assert_eq!(faults.fired(), 3);

    stop.store(true, Ordering::SeqCst);
    jumping.join().unwrap();
    service.terminate();
    assert_eq!(service.ended().await.code(), Some(0), "{}", facility.log());
    let log = facility.log();
    let years: std::collections::BTreeSet<&str> = log.lines().filter_map(|line| line.get(..4)).collect();
    assert!(years.len() >= 2, "its clock did not jump: {years:?}");
    let state = facility.output(&["state", "check"]).await;
    assert!(state.status.success(), "{}", String::from_utf8_lossy(&state.stdout));
    true
}
