//! The agent dies at any moment, and the next one goes on where it was: nothing is lost, nothing is sent twice.

mod support;

use std::fs;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use flow_ingest::sandbox::{Fault, Gate, On, Sandbox};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use support::{CHUNK, Facility, PAIR, Setup, each_at_once, only, read_name, until};

/// A point on which a promise rests.
struct Point {
    name: &'static str,
    on: fn() -> Fault,
    /// Whether the work on the request is done.
    is_done: fn(&Sandbox) -> bool,
    /// Bytes that may be sent again.
    again: u64,
}

/// A part of a file that is on Flow, and not ready.
fn has_begun(sandbox: &Sandbox, read: usize, size: u64) -> bool {
    sandbox.unfinished().iter().any(|file| file.filename == read_name("S1", read) && file.size == size)
}

fn points() -> Vec<Point> {
    let point = |name, on, is_done, again| Point { name, on, is_done, again };
    vec![
        point("the first chunk", || Fault::on(On::FirstChunk).nth(1), |flow| has_begun(flow, 1, 10_000), 10_000),
        point("a middle chunk", || Fault::on(On::MiddleChunk).nth(1), |flow| has_begun(flow, 1, 20_001), 10_001),
        point("the last chunk of reads1", || Fault::on(On::LastChunk).nth(1), |flow| flow.unfinished().is_empty(), 0),
        point("the lookup of reads1", || Fault::on(On::DataLookup).nth(1), |_| true, 0),
        point(
            "the first chunk of reads2",
            || Fault::on(On::FirstChunk).nth(2),
            |flow| has_begun(flow, 2, 10_000),
            10_000,
        ),
        point("the sample's last chunk", || Fault::on(On::FinalChunk), |flow| flow.samples().len() == 1, 0),
        point("the lookup of reads2", || Fault::on(On::DataLookup).nth(2), |_| true, 0),
    ]
}

fn facility() -> impl Future<Output = Facility> {
    Facility::with_a_pair()
}

async fn ends_well(facility: &Facility) {
    let mut process = facility.start(&["run", "--once"]);
    assert_eq!(process.ended().await.code(), Some(0), "{}", facility.log());
    facility.check_samples(&[]).await;
}

fn sent(facility: &Facility) -> u64 {
    facility.chunks().iter().filter_map(|chunk| chunk.blob_len).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_point_it_goes_on_from_there() {
    let mut cases = Vec::new();
    for works_later in [true, false] {
        for point in points() {
            let when = if works_later { "before" } else { "after" };
            cases.push((format!("{when} {}", point.name), (point, works_later)));
        }
    }
    each_at_once(10, cases, |(point, works_later)| async move {
        // Work that goes on is waited for.
        let facility = Facility::with(Setup { final_wait: "10s", ..Setup::default() }, |_| {}).await;
        facility.add("S1", &PAIR);
        let gate = Gate::new();
        let fault = match works_later {
            true => (point.on)().delay(Duration::ZERO),
            false => (point.on)().delay_after(Duration::ZERO),
        };
        facility.sandbox.faults().add(fault.until(&gate).times(1));
        let process = facility.start(&["run"]);
        let is_done = || works_later || (point.is_done)(&facility.sandbox);
        until(point.name, || facility.sandbox.faults().fired() == 1 && is_done()).await;
        process.kill();
        let asked = facility.sandbox.requests().len();
        let mut process = facility.start(&["run", "--once"]);
        if works_later {
            // Released behind the back of the next agent.
            facility.next_one_works(asked).await;
            gate.open();
        }
        assert_eq!(process.ended().await.code(), Some(0), "{}", facility.log());
        // The answer that nobody waits for would keep the server busy.
        assert_eq!(facility.sandbox.samples().len(), 1);
        facility.check_bytes();
        facility.check_wire(&[]);
        assert!(sent(&facility) <= PAIR.iter().sum::<u64>() + point.again, "{} bytes were sent", sent(&facility));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_searches_for_the_sample() {
    let (facility, gate) = (facility().await, Gate::new());
    facility.sandbox.faults().add(Fault::on(On::FinalChunk).drop_before().times(1));
    // After the searches before the first chunk, and before the last.
    facility.sandbox.faults().add(Fault::on(On::SampleSearch).nth(3).delay(Duration::ZERO).until(&gate));
    let process = facility.start(&["run"]);
    until("the search", || facility.sandbox.faults().fired() == 2).await;
    process.kill();
    gate.open();
    ends_well(&facility).await;
    facility.check_wire(&[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_closes_a_file_once_more() {
    let cases = [("before", true), ("after", false)].map(|(name, case)| (name.to_owned(), case)).to_vec();
    each_at_once(2, cases, |works_later| async move {
        let facility = facility().await;
        let (faults, closed, gate) = (facility.sandbox.faults(), Gate::new(), Gate::new());
        faults.add(Fault::on(On::FinalChunk).nth(1).drop_before());
        let again = Fault::on(On::FinalChunk).nth(2);
        let again = if works_later { again.delay(Duration::ZERO) } else { again.delay_after(Duration::ZERO) };
        faults.add(again.until(&gate));
        let finals = facility.hold_lookups_after_the_last_chunk(&closed);
        let process = facility.start(&["run"]);
        facility.close_without_a_sample().await;
        closed.open();
        let is_done = || works_later || facility.sandbox.samples().len() == 1;
        until("the file is closed again", || finals.load(Ordering::SeqCst) == 2 && is_done()).await;
        process.kill();
        let asked = facility.sandbox.requests().len();
        let mut process = facility.start(&["run", "--once"]);
        if works_later {
            facility.next_one_works(asked).await;
            gate.open();
        }
        assert_eq!(process.ended().await.code(), Some(0), "{}", facility.log());
        facility.check_bytes();
        assert!(facility.final_chunks().len() <= 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_twenty_times_at_random_it_still_ends_with_every_sample_once() {
    let setup = Setup { concurrency: 3, ..Setup::default() };
    let facility = Facility::with(setup, |_| {}).await;
    for n in 0..8 {
        facility.add(&format!("S{n}"), &[62_000 + n, 47_000 + n]);
    }
    facility.sandbox.faults().add(Fault::on(On::Any).delay(Duration::from_millis(40)));
    let mut dice = StdRng::seed_from_u64(2026);
    for _ in 0..20 {
        let process = facility.start(&["run"]);
        tokio::time::sleep(Duration::from_millis(dice.random_range(20..500))).await;
        process.kill();
    }
    ends_well(&facility).await;
    facility.check_wire(&[]);
}

/// Said when the time for answers after the stop is over.
const NOT_IN_TIME: &str = "chunks in flight did not arrive in time";

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_it_lets_a_chunk_in_flight_arrive_and_ends_well() {
    let cases: Vec<(String, fn() -> Fault)> = vec![
        ("a middle chunk".to_owned(), || Fault::on(On::MiddleChunk)),
        ("the last chunk of reads1".to_owned(), || Fault::on(On::LastChunk)),
        ("the sample's last chunk".to_owned(), || Fault::on(On::FinalChunk)),
    ];
    each_at_once(3, cases, |on| async move {
        let (facility, gate) = (facility().await, Gate::new());
        facility.sandbox.faults().add(on().delay_after(Duration::ZERO).until(&gate).times(1));
        let mut process = facility.start(&["run"]);
        until("the chunk is in flight", || facility.sandbox.faults().fired() == 1).await;
        process.terminate();
        until("it was told", || facility.log().contains("stopping: no new chunk leaves")).await;
        gate.open();
        assert_eq!(process.ended().await.code(), Some(0), "{}", facility.log());
        assert!(!facility.log().contains(NOT_IN_TIME), "it ended when the answer came: {}", facility.log());
        let before = sent(&facility);
        ends_well(&facility).await;
        assert_eq!(sent(&facility), PAIR.iter().sum::<u64>(), "{before} bytes were sent before the stop");
        facility.check_wire(&[]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_awaited_for_ten_seconds_after_the_stop_and_no_longer() {
    let (facility, gate) = (facility().await, Gate::new());
    facility.sandbox.faults().add(Fault::on(On::FinalChunk).delay(Duration::ZERO).until(&gate).times(1));
    let mut process = facility.start(&["run"]);
    until("the chunk is in flight", || facility.sandbox.faults().fired() == 1).await;
    let told = Instant::now();
    process.terminate();
    assert_eq!(process.ended().await.code(), Some(0), "{}", facility.log());
    // The answer has not come to this moment.
    assert!(told.elapsed() > Duration::from_secs(9), "{:?}", told.elapsed());
    assert!(facility.log().contains(NOT_IN_TIME), "{}", facility.log());
    gate.open();
    facility.sandbox.idle().await;
    ends_well(&facility).await;
    facility.check_wire(&[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_whose_files_are_touched_after_its_last_chunk_left_is_not_sent_again() {
    let facility = facility().await;
    facility.sandbox.faults().add(Fault::on(On::FinalChunk).delay_after(Duration::from_secs(60)).times(1));
    facility.cut_off_when("the sample is on Flow", || facility.sandbox.samples().len() == 1).await;
    support::touch(&facility.read("S1", 1));
    let ended = facility.once().await;
    assert_eq!(
        (only(&ended.snapshot).state.as_str(), only(&ended.snapshot).changed),
        ("done", false),
        "the same bytes"
    );
    facility.check_bytes();
    drop(ended);
    fs::write(facility.read("S1", 1), support::other_bytes(PAIR[0])).unwrap();
    let is_told = |snapshot: &flow_ingest::status::Snapshot| snapshot.samples.first().is_some_and(|s| s.changed);
    let snapshot = facility.serve_until("the change is told", is_told).await;
    assert_eq!(only(&snapshot).state, "held");
    assert_eq!(facility.sandbox.samples().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_keeps_its_boundaries_whatever_the_config_says_later() {
    let kinds = [On::FirstChunk, On::MiddleChunk].map(|on| (format!("{on:?}"), on)).to_vec();
    each_at_once(2, kinds, |on| async move {
        let (mut facility, gate) = (facility().await, Gate::new());
        facility.sandbox.faults().add(Fault::on(on).delay(Duration::ZERO).until(&gate).times(1));
        facility.cut_off_when("a chunk is held", || facility.sandbox.faults().fired() == 1).await;
        gate.open();
        facility.setup.chunk_size = "7kB".to_owned();
        facility.write_config();
        let ended = facility.once().await;
        facility.check_all_done(&ended).await;
        facility.check_wire(&[]);
    })
    .await;
}

/// A watch that is called otherwise now: what was begun under its old name goes on under the new one.
#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_is_renamed_half_way_through_an_upload_sends_it_to_its_end() {
    let (facility, gate) = (facility().await, Gate::new());
    facility.sandbox.faults().add(Fault::on(On::MiddleChunk).nth(1).delay(Duration::ZERO).until(&gate));
    facility.cut_off_when("it is under way", || facility.sandbox.faults().fired() == 1).await;
    gate.open();
    let config = std::fs::read_to_string(facility.path("flow-ingest.yaml")).unwrap();
    std::fs::write(facility.path("flow-ingest.yaml"), config.replace("name: drop", "name: floor2")).unwrap();
    let (_, document, words) = facility.ask(&["run", "--once", "--give-up-after", "60s"]).await;
    assert_eq!(facility.names_on_flow(), ["S1"], "{document:#} {words}");
    let samples = document["samples"].as_array().unwrap();
    assert_eq!((samples.len(), &samples[0]["watch"]), (1, &"floor2".into()), "{document:#}");
    let sent: u64 = facility.chunks().iter().filter_map(|chunk| chunk.blob_len).sum();
    // The chunk that was held may come again, and a middle one is a byte longer than the first.
    assert!(sent <= PAIR.iter().sum::<u64>() + CHUNK + 1, "it goes on from where it was: {sent}");
}
