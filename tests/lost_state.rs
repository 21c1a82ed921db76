//! The journal is lost, damaged or older than it was, the receipts are, or the disk is full: nothing that was sent is
//! sent again, and what lay there at the first start is still left alone.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use flow_ingest::sandbox::{Fault, Gate, On};
use flow_ingest::status::Snapshot;
use support::{Facility, PAIR, Process, Setup, each_at_once, until};

/// Samples that are on Flow when the state is lost.
const DONE: usize = 3;

fn journal(facility: &Facility) -> PathBuf {
    facility.path("state/journal")
}

fn receipts(facility: &Facility) -> PathBuf {
    facility.path("state/receipts.jsonl")
}

/// Copies of the journal that were set aside.
fn set_aside(facility: &Facility) -> usize {
    let names = fs::read_dir(facility.path("state")).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().starts_with("journal.damaged-")).count()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else if kind.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// A facility whose first start found `old`, which is to be skipped; then came [`DONE`] samples, and one more whose last
/// chunk left and whose answer nobody heard. The agent is dead. `half_way` is told when one sample is done.
async fn facility(half_way: impl FnOnce(&Facility)) -> Facility {
    let setup = Setup { existing: "skip", request_timeout: "20s", ..Setup::default() };
    let facility = Facility::with(setup, |_| {}).await;
    facility.add("old", &[2000, 3000]);
    // The first start sees what lies there, and sends nothing.
    assert!(once(&facility).await.samples.iter().all(|sample| sample.state == "skipped"));
    facility.add("S0", &PAIR);
    once(&facility).await;
    half_way(&facility);
    for n in 1..DONE {
        facility.add(&format!("S{n}"), &[21_000 + n as u64, 22_000]);
    }
    once(&facility).await;
    assert_eq!(facility.sandbox.samples().len(), DONE);
    facility.add("asked", &[23_000, 24_000]);
    facility.sandbox.faults().add(Fault::on(On::FinalChunk).delay_after(Duration::from_secs(60)).times(1));
    let process = facility.start(&["run"]);
    until("the last chunk left", || facility.sandbox.samples().len() == DONE + 1).await;
    process.kill();
    facility
}

async fn once(facility: &Facility) -> Snapshot {
    let output = facility.output(&["run", "--once", "--json"]).await;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// All is on Flow once, with what came later, and what lay there at the first start is not.
async fn ends_well(facility: &Facility) -> Snapshot {
    facility.add("late", &[25_000, 26_000]);
    let snapshot = once(facility).await;
    let names: BTreeSet<String> = facility.sandbox.samples().iter().map(|sample| sample.name.clone()).collect();
    assert!(!names.contains("old"), "{names:?}");
    fs::remove_file(facility.read("old", 1)).unwrap();
    fs::remove_file(facility.read("old", 2)).unwrap();
    facility.check_bytes();
    facility.check_wire(&[]);
    assert_eq!(snapshot.count("done"), DONE + 2);
    let checked = facility.output(&["state", "check"]).await;
    assert_eq!(checked.status.code(), Some(0), "{}", String::from_utf8_lossy(&checked.stdout));
    snapshot
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_is_gone_is_made_anew() {
    let facility = facility(|_| ()).await;
    fs::remove_dir_all(journal(&facility)).unwrap();
    let snapshot = ends_well(&facility).await;
    assert!(snapshot.agent.notices[0].contains("it is gone"), "{:?}", snapshot.agent.notices);
    assert_eq!(once(&facility).await.agent.notices, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_of_the_journal_is_set_aside() {
    let facility = facility(|facility| copy(&journal(facility), &facility.path("copy"))).await;
    fs::remove_dir_all(journal(&facility)).unwrap();
    copy(&facility.path("copy"), &journal(&facility));
    let snapshot = ends_well(&facility).await;
    assert_eq!((set_aside(&facility), snapshot.agent.notices.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_is_damaged_anywhere_is_read_whole_or_set_aside() {
    let whole = std::sync::Arc::new(facility(|_| ()).await);
    let state = std::sync::Arc::new(fs::read(journal(&whole).join("db")).unwrap());
    let used = state.iter().rposition(|byte| *byte != 0).unwrap();
    let mut aside = 0;
    for n in 0..8 {
        let at = used * n / 8;
        let dir = whole.path(&format!("damaged{n}"));
        copy(&whole.path("state"), &dir);
        let mut bytes = state.to_vec();
        match n % 2 {
            0 => bytes[at..at + 200].iter_mut().for_each(|byte| *byte ^= 0xff),
            _ => bytes.truncate(at),
        }
        fs::write(dir.join("journal/db"), bytes).unwrap();
        let journal = flow_ingest::journal::Journal::open(&dir).unwrap();
        let states: Vec<_> = journal.records().map(|record| record.unwrap()).collect();
        let done = states.iter().filter(|record| record.state.name() == "done").count();
        let asked = states.iter().any(|record| record.sample.key.name == "asked" && record.state.is_begun());
        assert_eq!((done, asked), (DONE, true), "at {at} of {used}");
        aside += journal.notices().len();
    }
    assert!(aside > 0);
    // One of them, to the end.
    let mut bytes = state.to_vec();
    bytes.truncate(used / 2);
    fs::write(journal(&whole).join("db"), bytes).unwrap();
    ends_well(&whole).await;
    assert_eq!(set_aside(&whole), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_that_are_gone_or_torn_are_mended_and_the_journal_stays() {
    let cases = ["gone", "torn", "shorter"].map(|name| (name.to_owned(), name)).to_vec();
    each_at_once(3, cases, |case| async move {
        let facility = facility(|_| ()).await;
        let text = fs::read_to_string(receipts(&facility)).unwrap();
        match case {
            "gone" => fs::remove_file(receipts(&facility)).unwrap(),
            "torn" => fs::write(receipts(&facility), text + "{\"version\":1,\"seq\":99,\"pre").unwrap(),
            _ => fs::write(receipts(&facility), text.split_inclusive('\n').take(3).collect::<String>()).unwrap(),
        }
        let snapshot = ends_well(&facility).await;
        assert_eq!((snapshot.agent.notices.len(), set_aside(&facility)), (usize::from(case != "torn"), 0));
        // What they say now is enough.
        fs::remove_dir_all(journal(&facility)).unwrap();
        let snapshot = once(&facility).await;
        assert_eq!(snapshot.count("done"), DONE + 2);
        assert_eq!(facility.sandbox.samples().len(), DONE + 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn report_says_what_was_sent_beside_a_running_service() {
    let facility = Facility::new().await;
    facility.add("S1", &PAIR);
    facility.add("S2", &[2000, 3000]);
    once(&facility).await;
    let _service = serve(&facility).await;
    let report = |arguments: &'static [&'static str]| {
        let facility = &facility;
        async move {
            let output = facility.output(&[&["report"], arguments].concat()).await;
            assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        }
    };
    let document: serde_json::Value = serde_json::from_str(&report(&["--format", "json"]).await).unwrap();
    let samples = document["samples"].as_array().unwrap();
    assert_eq!(samples.len(), 2);
    for stored in facility.sandbox.samples() {
        let sample = samples.iter().find(|sample| sample["name"] == stored.name.as_str()).unwrap();
        assert_eq!((&sample["sample_id"], &sample["attempts"]), (&stored.id.as_str().into(), &1.into()));
        for (file, stored) in sample["files"].as_array().unwrap().iter().zip(&stored.files) {
            let bytes = fs::read(&stored.path).unwrap();
            let sha256 = {
                use sha2::{Digest, Sha256};
                data_encoding::HEXLOWER.encode(&Sha256::digest(&bytes))
            };
            assert_eq!((file["sha256"].as_str(), file["bytes"].as_u64()), (Some(&*sha256), Some(bytes.len() as u64)));
            assert_eq!(file["data_id"], stored.id.as_str());
            let path = file["parts"][0]["path"].as_str().unwrap();
            assert_eq!(fs::read(path).unwrap(), bytes);
        }
    }
    let csv = report(&["--format", "csv"]).await;
    assert_eq!(csv.lines().count(), 1 + 4, "{csv}");
    assert!(csv.starts_with("finished,first_seen,watch,run,rule,kind,name,id,sample_id,slot,filename,bytes,data_id"));
    let (exit, _, words) = facility.ask(&["report", "--run", "another"]).await;
    assert_eq!(exit, Some(4), "{words}");
    assert!(words.contains("cannot report on another: there is no such run"), "{words}");
    assert!(report(&[]).await.contains("S2_R2.fastq.gz"));

    let checked = facility.output(&["state", "check", "--json"]).await;
    let checked: serde_json::Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!((&checked["ok"], &checked["in_use"], &checked["done"]), (&true.into(), &true.into(), &2.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_is_exported_from_a_running_service_goes_on_in_another_folder() {
    let mut facility = facility(|_| ()).await;
    let service = serve(&facility).await;
    let file = facility.path("export.json").to_str().unwrap().to_owned();
    let exported = facility.output(&["state", "export", &file]).await;
    assert_eq!(exported.status.code(), Some(0), "{}", String::from_utf8_lossy(&exported.stderr));
    service.kill();
    let refused = facility.output(&["state", "import", &file]).await;
    assert_eq!(refused.status.code(), Some(2), "{}", String::from_utf8_lossy(&refused.stderr));
    facility.setup.state_dir = "elsewhere".to_owned();
    facility.write_config();
    let imported = facility.output(&["state", "import", &file, "--json"]).await;
    assert_eq!(imported.status.code(), Some(0), "{}", String::from_utf8_lossy(&imported.stderr));
    ends_well(&facility).await;
}

/// More than fits on such a disk.
const BALLAST: usize = 9_000_000;

/// A file system of its own, small, in memory; gone with the test. `None` where that is not allowed.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: &Path, size: &str) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(at).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(at.to_owned()))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Starts a service and waits until it has the state folder: who asked before would take the folder itself.
async fn serve(facility: &Facility) -> Process {
    // One that an agent left behind says nothing.
    let socket = facility.path("state/agent.sock");
    let _ = fs::remove_file(&socket);
    let service = facility.start(&["run"]);
    until("the service runs", || socket.exists()).await;
    let begun = std::time::Instant::now();
    while facility.output(&["status"]).await.status.code() != Some(0) {
        assert!(begun.elapsed() < support::DEADLINE, "the service does not answer: {}", facility.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    service
}

/// What the agent that runs on the state folder says.
async fn status(facility: &Facility) -> Snapshot {
    let output = facility.output(&["status", "--json"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn status_until(facility: &Facility, what: &str, is_so: impl Fn(&Snapshot) -> bool) -> Snapshot {
    let begun = std::time::Instant::now();
    loop {
        let snapshot = status(facility).await;
        if is_so(&snapshot) {
            return snapshot;
        }
        assert!(
            begun.elapsed() < support::DEADLINE,
            "it never came to this: {what}: {snapshot:#?}\n{}",
            facility.log()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_the_service_waits_and_goes_on_when_there_is_room() {
    let facility = Facility::with(Setup { concurrency: 2, ..Setup::default() }, |_| {}).await;
    let Some(_disk) = Disk::mount(&facility.path("state"), "8m") else {
        support::skipped("this user may not mount a file system, so no disk can be filled");
        return;
    };
    let mut service = serve(&facility).await;
    facility.add("S0", &PAIR);
    status_until(&facility, "the first sample", |snapshot| snapshot.count("done") == 1).await;

    let gate = Gate::new();
    facility.sandbox.faults().add(Fault::on(On::Chunk).delay(Duration::ZERO).until(&gate));
    for n in 1..6 {
        facility.add(&format!("S{n}"), &[121_000 + n, 122_000]);
    }
    status_until(&facility, "uploads run", |snapshot| snapshot.samples.iter().any(|s| s.state == "uploading")).await;
    // To the last byte: writing ends with the error.
    fs::write(facility.path("state/ballast"), vec![1; BALLAST]).unwrap_err();
    gate.open();
    let stopped = status_until(&facility, "it says so", |snapshot| snapshot.agent.condition.is_some()).await;
    assert_eq!(stopped.agent.state, "stopped");
    let condition = stopped.agent.condition.clone().unwrap();
    assert!(condition.contains("make room there, and it goes on by itself"), "{condition}");
    // Nothing leaves of which nobody could say later that it left: not even after the disk is tried again.
    facility.sandbox.idle().await;
    let chunks = facility.chunks().len();
    tokio::time::sleep(Duration::from_secs(4)).await;
    // What either upload was just about to send was on record already.
    assert!(facility.chunks().len() <= chunks + 2, "{} after {chunks}", facility.chunks().len());
    assert!(stopped.count("done") < 6 && !service.has_ended());

    fs::remove_file(facility.path("state/ballast")).unwrap();
    status_until(&facility, "all is done", |snapshot| snapshot.count("done") == 6).await;
    assert_eq!(status(&facility).await.agent.condition, None);
    service.terminate();
    assert_eq!(service.ended().await.code(), Some(0));
    facility.check_samples(&[]).await;
    facility.check_wire(&[]);
    let checked = facility.output(&["state", "check"]).await;
    assert_eq!(checked.status.code(), Some(0), "{}", String::from_utf8_lossy(&checked.stdout));
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_on_a_full_disk_it_ends_in_time_and_loses_nothing() {
    let facility = Facility::new().await;
    let Some(_disk) = Disk::mount(&facility.path("state"), "8m") else {
        support::skipped("this user may not mount a file system, so no disk can be filled");
        return;
    };
    let mut service = serve(&facility).await;
    fs::write(facility.path("state/ballast"), vec![1; BALLAST]).unwrap_err();
    // What the files of the state have room for already is soon used up.
    (0..20).for_each(|n| facility.add(&format!("S{n}"), &PAIR));
    status_until(&facility, "it says so", |snapshot| snapshot.agent.condition.is_some()).await;
    service.terminate();
    service.ended().await;
    fs::remove_file(facility.path("state/ballast")).unwrap();
    let mut process = facility.start(&["run", "--once"]);
    assert_eq!(process.ended().await.code(), Some(0), "{}", facility.log());
    facility.check_samples(&[]).await;
}
