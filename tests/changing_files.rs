//! Files that change while they are uploaded: nothing of it becomes a sample, until they have settled anew.

mod support;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use flow_ingest::sandbox::{Fault, Gate, On};
use support::{Facility, PAIR, bytes, each_at_once, only, other_bytes, read_name, touch, until};

type Change = fn(&Path);

fn changes() -> Vec<(&'static str, Change)> {
    vec![
        ("grows", |path| fs::File::options().append(true).open(path).unwrap().write_all(&bytes(100)).unwrap()),
        ("is replaced by another of its size", |path| {
            let new = path.with_extension("tmp");
            fs::write(&new, other_bytes(fs::metadata(path).unwrap().len())).unwrap();
            fs::rename(new, path).unwrap();
        }),
        ("is touched", |path| touch(path)),
        ("is written anew and shorter", |path| fs::write(path, bytes(7_000)).unwrap()),
    ]
}

/// Where the upload is held while the file changes.
type Hold = (&'static str, fn() -> Fault);

fn holds() -> [Hold; 4] {
    [
        ("at the first chunk", || Fault::on(On::FirstChunk).nth(1)),
        ("at the last chunk of reads1", || Fault::on(On::LastChunk).nth(1)),
        ("at the lookup of reads1", || Fault::on(On::DataLookup).nth(1)),
        ("at the chunk before the sample's last", || Fault::on(On::MiddleChunk).of_file(read_name("S1", 2)).nth(1)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_before_the_last_chunk_is_uploaded_once_as_it_is_in_the_end() {
    let mut cases = Vec::new();
    for (hold, fault) in holds() {
        for (change, how) in changes() {
            for read in [1, 2] {
                cases.push((format!("reads{read} {change} {hold}"), (fault, how, read)));
            }
        }
    }
    each_at_once(16, cases, |(fault, change, read)| async move {
        let (facility, gate) = (Facility::with_a_pair().await, Gate::new());
        facility.sandbox.faults().add(fault().delay(Duration::ZERO).until(&gate));
        let changed = async {
            until("the upload is held", || facility.sandbox.faults().fired() == 1).await;
            change(&facility.read("S1", read));
            gate.open();
        };
        let (ended, ()) = tokio::join!(facility.once(), changed);
        facility.check_all_done(&ended).await;
        assert_eq!(facility.final_chunks().len(), 1, "the last chunk of what changed never left");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_vanishes_is_waited_for() {
    let mut cases = Vec::new();
    for (hold, fault) in holds() {
        for read in [1, 2] {
            cases.push((format!("reads{read} {hold}"), (fault, read)));
        }
    }
    each_at_once(8, cases, |(fault, read)| async move {
        let (facility, gate) = (Facility::with_a_pair().await, Gate::new());
        facility.sandbox.faults().add(fault().delay(Duration::ZERO).until(&gate));
        let (path, away) = (facility.read("S1", read), facility.path("away"));
        let moved = async {
            until("the upload is held", || facility.sandbox.faults().fired() == 1).await;
            fs::rename(&path, &away).unwrap();
            gate.open();
        };
        let (ended, ()) = tokio::join!(facility.once(), moved);
        let sample = only(&ended.snapshot);
        assert_eq!(sample.state, "waiting", "{sample:?}");
        facility.check_samples(&["S1"]).await;
        fs::rename(&away, &path).unwrap();
        let ended = facility.once().await;
        facility.check_all_done(&ended).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_after_the_last_chunk_left_is_told_and_not_sent_again() {
    let (facility, gate) = (Facility::with_a_pair().await, Gate::new());
    facility.sandbox.faults().add(Fault::on(On::FinalChunk).delay(Duration::ZERO).until(&gate));
    let agent = facility.agent().await;
    let script = async {
        until("the last chunk is on its way", || facility.sandbox.faults().fired() == 1).await;
        let mut other = support::bytes(PAIR[0]);
        other[PAIR[0] as usize / 2] ^= 1;
        fs::write(facility.read("S1", 1), other).unwrap();
        gate.open();
        let is_told = || agent.snapshot("running").unwrap().samples[0].changed;
        until("the change is told", is_told).await;
    };
    agent.run(flow_ingest::agent::Mode::Service, script).await.unwrap();
    let snapshot = agent.snapshot("stopped").unwrap();
    let held = only(&snapshot);
    assert_eq!((held.state.as_str(), held.changes.len()), ("held", 1), "{held:#?}");
    let stored = facility.sandbox.samples();
    assert_eq!(stored.len(), 1);
    assert!(fs::read(&stored[0].files[0].path).unwrap() == support::bytes(PAIR[0]), "what was sent stands");
    facility.check_wire(&[]);
}

/// An unmounted share is no loss: what was acknowledged is not sent again.
#[tokio::test(flavor = "multi_thread")]
async fn a_share_that_goes_and_comes_back_costs_nothing_that_was_sent() {
    let (facility, gate) = (Facility::with_a_pair().await, Gate::new());
    facility.sandbox.faults().add(Fault::on(On::MiddleChunk).nth(1).delay(Duration::ZERO).until(&gate));
    let agent = facility.agent().await;
    let (share, away) = (facility.path("drop"), facility.path("away"));
    let script = async {
        until("the upload is held", || facility.sandbox.faults().fired() == 1).await;
        fs::rename(&share, &away).unwrap();
        gate.open();
        let is_kept = || agent.snapshot("running").unwrap().samples.iter().any(|sample| sample.state == "retrying");
        until("the upload is kept", is_kept).await;
        let is_named = || agent.snapshot("running").unwrap().watches[0].condition.is_some();
        until("the missing folder is named", is_named).await;
        fs::rename(&away, &share).unwrap();
        until("all is done", || agent.snapshot("running").unwrap().count("done") == 1).await;
    };
    agent.run(flow_ingest::agent::Mode::Service, script).await.unwrap();
    facility.check_samples(&[]).await;
    let firsts = facility.chunks().iter().filter(|chunk| chunk.field("data") == Some("")).count();
    assert_eq!(firsts, 2, "each file was begun once");
}
