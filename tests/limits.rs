//! Never in the way: memory that does not grow with the files, and limits of the host that are named with their remedy
//! and waited for.

mod support;

use std::fs;
use std::io::Write as _;
use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, prlimit};
use support::{DEADLINE, Facility, Process, Setup, bytes, until};

fn states(facility: &Facility) -> serde_json::Value {
    let output = facility.command(&["status", "--json"]).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

/// The most memory that the program has had, in bytes.
fn peak(process: &Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id().as_raw_nonzero())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Uploads two files of this size at once, in chunks of a megabyte; the most memory that it took.
async fn peak_with(size: u64) -> u64 {
    let setup = Setup {
        chunk_size: "1MB".to_owned(),
        request_timeout: "30s",
        concurrency: 2,
        paired: "never",
        check_gzip: false,
        ..Setup::default()
    };
    let facility = Facility::with(setup, |_| {}).await;
    for sample in ["S1", "S2"] {
        let file = fs::File::create(facility.read(sample, 1)).unwrap();
        (&file).write_all(sample.as_bytes()).unwrap();
        file.set_len(size).unwrap();
    }
    let service = facility.start(&["run"]);
    until("both are on Flow", || facility.sandbox.samples().len() == 2).await;
    let peak = peak(&service);
    service.kill();
    peak
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_does_not_grow_with_the_files() {
    let small = peak_with(2_000_000).await;
    let large = peak_with(24_000_000).await;
    assert!(large < small + 6_000_000, "{small} bytes for small files, {large} for large ones");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_open_files_are_named_with_what_to_do_and_end_nothing() {
    let facility = Facility::new().await;
    let mut service = facility.start(&["run"]);
    let socket = facility.path("state/agent.sock");
    until("the service listens", || socket.exists()).await;
    facility.add("S0", &[25_000, 24_000]);
    until("a first sample is on Flow", || facility.sandbox.samples().len() == 1).await;

    // Fewer than it has open already.
    let none_more = Rlimit { current: Some(8), ..getrlimit(Resource::Nofile) };
    let before = prlimit(Some(service.id()), Resource::Nofile, none_more).unwrap();
    facility.add("S1", &[26_000, 24_000]);
    until("the limit is named", || facility.log().contains("LimitNOFILE")).await;
    assert!(!service.has_ended(), "{}", facility.log());
    prlimit(Some(service.id()), Resource::Nofile, before).unwrap();
    until("it goes on", || facility.sandbox.samples().len() == 2).await;
    facility.check_samples(&[]).await;
    service.terminate();
    assert_eq!(service.ended().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_watched_folders_are_named_with_what_to_do_and_polled() {
    let facility = Facility::new().await;
    let config = fs::read_to_string(facility.path("flow-ingest.yaml")).unwrap();
    fs::write(facility.path("flow-ingest.yaml"), config.replace("    settle:", "    poll: 200ms\n    settle:"))
        .unwrap();
    let manifest = fs::read_to_string(facility.path("manifest.yaml")).unwrap();
    fs::write(facility.path("manifest.yaml"), manifest.replace("match: \"{sample}", "match: \"**/{sample}")).unwrap();
    for folder in ["a", "b", "c", "d"] {
        fs::create_dir(facility.path("drop").join(folder)).unwrap();
    }
    // The limit of a user namespace of its own.
    let limit = "echo 3 > /proc/sys/user/max_inotify_watches";
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "sh", "-c"]);
    let can = Command::new("unshare").args(["--user", "--map-root-user", "sh", "-c", limit]).output();
    if !can.is_ok_and(|can| can.status.success()) {
        support::skipped("the limit of watched folders: no user namespace can be made here");
        return;
    }
    unshare.arg(format!("{limit} && exec \"$0\" run --config \"$1\""));
    unshare.arg(env!("CARGO_BIN_EXE_flow-ingest")).arg(facility.path("flow-ingest.yaml")).env("NO_PROXY", "127.0.0.1");
    let service = facility.start_as(unshare);
    until("the limit is named", || facility.log().contains("raise fs.inotify.max_user_watches")).await;
    for (read, size) in [(1, 25_000), (2, 24_000)] {
        fs::write(facility.path("drop/d").join(support::read_name("S1", read)), bytes(size)).unwrap();
    }
    until("it is seen all the same", || facility.sandbox.samples().len() == 1).await;
    let begun = std::time::Instant::now();
    while states(&facility)["watches"][0]["mode"] != "poll" {
        assert!(begun.elapsed() < DEADLINE, "{:#}", states(&facility));
    }
    service.kill();
}
