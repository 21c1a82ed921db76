//! Answers that get lost, before, during and after the work: each sample is on Flow once, with its bytes, or a person
//! is told why not.

mod support;

use std::time::Duration;

use flow_ingest::agent::Ending;
use flow_ingest::sandbox::{Fault, Gate, On, Reply, Stage};
use serde_json::json;
use support::{Facility, PAIR, Setup, each_at_once, only, read_name, until};

const AT_ONCE: usize = 40;

/// A fault that is about certain requests, and does nothing yet.
type Aim = fn() -> Fault;

/// A chunk of each kind.
fn kinds() -> [(&'static str, Aim); 4] {
    [
        ("the first chunk", || Fault::on(On::FirstChunk).of_file(read_name("S1", 1))),
        ("a middle chunk", || Fault::on(On::MiddleChunk).of_file(read_name("S1", 1))),
        ("the last chunk of reads1", || Fault::on(On::LastChunk).of_file(read_name("S1", 1))),
        ("the sample's last chunk", || Fault::on(On::FinalChunk)),
    ]
}

type Loss = fn(Fault) -> Fault;

fn losses() -> Vec<(&'static str, Loss)> {
    vec![
        ("cut on its way", |fault| fault.cut_mid_body()),
        ("cut before the work", |fault| fault.drop_before()),
        ("cut after the work", |fault| fault.drop_after()),
        ("cut in the answer", |fault| fault.cut_mid_answer()),
        ("504 before the work", |fault| fault.answer(Reply::html(504))),
        ("504 after the work", |fault| fault.answer_after(Reply::html(504))),
        ("500 before the work", |fault| fault.status(500)),
        ("500 after the work", |fault| fault.status_after(500)),
        ("a redirect after the work", |fault| fault.status_after(302)),
        ("out of time, and the work later", |fault| fault.delay(Duration::from_millis(1300))),
        ("out of time after the work", |fault| fault.delay_after(Duration::from_millis(1300))),
        ("200 and no JSON", |fault| fault.answer_after(Reply::html(200))),
        ("200 without ids", |fault| fault.answer_after(Reply::json(200, &json!({})))),
        ("200 with an id of nothing", |fault| fault.answer_after(Reply::json(200, &json!({"data_id": ""})))),
        ("200 with ids of no kind", |fault| fault.answer_after(Reply::json(200, &json!({"data_id": [1]})))),
        ("504 while it appends", |fault| {
            fault.go_on_behind(Duration::from_millis(500)).held_at(Stage::Append).behind(Reply::html(504))
        }),
        ("504 while it records", |fault| fault.go_on_behind(Duration::from_millis(700)).behind(Reply::html(504))),
        ("dead before it recorded", |fault| fault.die_hashing(false)),
        ("dead after it recorded", |fault| fault.die_hashing(true)),
        ("200 before the work", |fault| fault.answer(Reply::json(200, &json!({})))),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_lost_to_any_chunk_in_any_way_loses_and_doubles_nothing() {
    let mut cases = Vec::new();
    for (kind, on) in kinds() {
        for (loss, lose) in losses() {
            cases.push((format!("{kind}: {loss}"), (on, lose)));
        }
    }
    each_at_once(AT_ONCE, cases, |(on, lose)| async move {
        let facility = Facility::with(Setup { request_timeout: "1s", ..Setup::default() }, |_| {}).await;
        facility.add("S1", &PAIR);
        facility.sandbox.faults().add(lose(on()).times(1));
        let ended = facility.once().await;
        assert_eq!(facility.sandbox.faults().fired(), 1);
        facility.check_all_done(&ended).await;
        facility.check_wire(&[]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_answer_in_ten_lost_doubles_no_sample() {
    let facility = Facility::new().await;
    for n in 0..12 {
        facility.add(&format!("S{n}"), &[15_000 + n, 11_000 + n]);
    }
    facility.sandbox.faults().add(Fault::on(On::Any).chance(0.1, 7).drop_after());
    let ended = facility.once().await;
    assert!(facility.sandbox.faults().fired() > 3);
    facility.check_all_done(&ended).await;
    facility.check_wire(&[]);
}

/// The server's rule 6: both copies are appended, and the file must not be taken for whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_middle_chunk_that_was_appended_twice_is_noticed() {
    let facility = Facility::new().await;
    facility.add("S1", &[65_000, 20_000]);
    let (gate, next) = (Gate::new(), Gate::new());
    let fault = Fault::on(On::MiddleChunk).of_file(read_name("S1", 1)).nth(2);
    facility
        .sandbox
        .faults()
        .add(fault.go_on_behind(Duration::ZERO).held_at(Stage::Append).until(&gate).behind(Reply::html(504)));
    // The second copy is answered; before the next chunk the first one gets through.
    facility
        .sandbox
        .faults()
        .add(Fault::on(On::MiddleChunk).of_file(read_name("S1", 1)).nth(4).delay(Duration::ZERO).until(&next));
    let recorded = || facility.sandbox.unfinished().first().map_or(0, |file| file.size);
    let ended = async {
        let opened = async {
            until("the chunk after the doubled one", || facility.sandbox.faults().fired() == 2).await;
            let before = recorded();
            gate.open();
            until("the first copy is there as well", || recorded() > before).await;
            next.open();
        };
        tokio::join!(facility.once(), opened).0
    };
    let ended = ended.await;
    facility.check_all_done(&ended).await;
    facility.check_wire(&[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_became_ready_with_another_size_is_blocked_by_name() {
    let facility = Facility::with(Setup::default(), |sandbox| sandbox.hashing = Duration::from_millis(800)).await;
    facility.add("S1", &PAIR);
    let gate = Gate::new();
    let fault = Fault::on(On::MiddleChunk).of_file(read_name("S1", 1)).times(1);
    facility
        .sandbox
        .faults()
        .add(fault.go_on_behind(Duration::ZERO).held_at(Stage::Append).until(&gate).behind(Reply::html(504)));
    let is_hashing = || {
        let size = |file: flow_ingest::sandbox::StoredFile| std::fs::metadata(file.path).map_or(0, |m| m.len());
        facility.sandbox.unfinished().into_iter().any(|file| size(file) == PAIR[0])
    };
    let opened = async {
        until("all of reads1 is there and hashed", is_hashing).await;
        gate.open();
    };
    let (ended, ()) = tokio::join!(facility.once(), opened);
    let sample = only(&ended.snapshot);
    assert_eq!(sample.state, "blocked", "{sample:?}");
    let reason = sample.reason.as_deref().unwrap();
    assert!(reason.contains("S1_R1.fastq.gz") && reason.contains("25000"), "{reason}");
    facility.check_samples(&["S1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_never_becomes_ready_is_begun_anew_three_times_and_then_blocked() {
    let cases = [("recorded", true), ("not recorded", false)].map(|(name, case)| (name.to_owned(), case)).to_vec();
    each_at_once(AT_ONCE, cases, |recorded| async move {
        let facility = Facility::impatient().await;
        facility.add("S1", &PAIR);
        facility.sandbox.faults().add(Fault::on(On::LastChunk).die_hashing(recorded));
        let ended = facility.once().await;
        let sample = only(&ended.snapshot);
        assert_eq!(sample.state, "blocked", "{sample:?}");
        assert!(sample.reason.as_deref().unwrap().contains("S1_R1.fastq.gz was begun anew 3 times"), "{sample:?}");
        let lasts = facility.chunks().iter().filter(|chunk| chunk.field("is_last") == Some("true")).count();
        assert_eq!(lasts, 4);
        facility.check_samples(&["S1"]).await;
        facility.check_wire(&[]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_last_file_that_is_ready_and_in_no_sample_is_closed_once_more() {
    let cases: Vec<(&str, Loss, bool)> = vec![
        ("and that goes well", |fault| fault, true),
        ("and that answer is lost after the work", |fault| fault.drop_after(), true),
        ("and that answer is unreadable", |fault| fault.answer_after(Reply::html(200)), true),
        ("and that has no sample's id", |fault| fault.answer_after(Reply::json(200, &json!({"data_id": "7"}))), true),
        ("and that is refused for now", |fault| fault.status(429), true),
        ("and that does nothing", |fault| fault.answer(Reply::html(504)), false),
    ];
    let cases = cases.into_iter().map(|(name, lose, ends_well)| (name.to_owned(), (lose, ends_well))).collect();
    each_at_once(AT_ONCE, cases, |(lose, ends_well)| async move {
        let facility = Facility::impatient().await;
        facility.add("S1", &PAIR);
        let (faults, gate) = (facility.sandbox.faults(), Gate::new());
        faults.add(Fault::on(On::FinalChunk).nth(1).drop_before());
        faults.add(lose(Fault::on(On::FinalChunk).nth(2)));
        facility.hold_lookups_after_the_last_chunk(&gate);
        let closed = async {
            facility.close_without_a_sample().await;
            gate.open();
        };
        let (ended, ()) = tokio::join!(facility.once(), closed);
        if ends_well {
            facility.check_all_done(&ended).await;
        } else {
            let sample = only(&ended.snapshot);
            assert_eq!(sample.state, "blocked", "{sample:?}");
            let reason = sample.reason.as_deref().unwrap();
            assert!(reason.contains("S1_R2.fastq.gz") && reason.contains("no sample"), "{reason}");
            facility.check_samples(&["S1"]).await;
        }
        let mut finals = facility.final_chunks();
        finals.retain(|chunk| chunk.status != Some(429));
        assert_eq!(finals.len(), 2, "{finals:#?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lookups_that_fail_are_asked_again() {
    let lookups: Vec<(&str, Aim)> = vec![
        ("file", || Fault::on(On::DataLookup)),
        ("search", || Fault::on(On::SampleSearch)),
        ("sample", || Fault::on(On::SampleLookup)),
    ];
    let mut cases = Vec::new();
    for (lookup, on) in lookups {
        let losses: [(&str, Loss); 4] = [
            ("cut", |fault| fault.drop_before()),
            ("cut in the answer", |fault| fault.cut_mid_answer()),
            ("503", |fault| fault.status(503)),
            ("not JSON", |fault| fault.answer_after(Reply::html(200))),
        ];
        for (loss, lose) in losses {
            cases.push((format!("{lookup}: {loss}"), (lookup, on, lose)));
        }
    }
    each_at_once(AT_ONCE, cases, |(lookup, on, lose)| async move {
        let facility = Facility::impatient().await;
        facility.add("S1", &PAIR);
        let faults = facility.sandbox.faults();
        faults.add(lose(on()).times(2));
        faults.add(Fault::on(On::FinalChunk).drop_after());
        if lookup != "file" {
            // What the lookup of the last file does not say, the search has to.
            faults.add(Fault::on(On::DataLookup).nth(1));
            faults.add(Fault::on(On::DataLookup).status(404));
        }
        let ended = facility.once().await;
        facility.check_all_done(&ended).await;
        facility.check_wire(&[]);
    })
    .await;
}

/// A search with a bad token finds nothing and says nothing; a lookup says 404.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_bad_token_does_not_find_is_not_taken_for_missing() {
    let cases: Vec<(&str, bool, Aim)> = vec![
        ("a sample, by the search", true, || Fault::on(On::SampleSearch).expire_token()),
        ("a file of a sample", true, || Fault::on(On::DataLookup).nth(1).expire_token()),
        ("a generic file", false, || Fault::on(On::DataLookup).nth(1).expire_token()),
    ];
    let cases = cases.into_iter().map(|(name, is_sample, fault)| (name.to_owned(), (is_sample, fault))).collect();
    each_at_once(AT_ONCE, cases, |(is_sample, fault)| async move {
        let facility = Facility::impatient().await;
        match is_sample {
            true => facility.add("S1", &PAIR),
            false => std::fs::write(facility.path("drop/report.html"), support::bytes(20_000)).unwrap(),
        }
        let faults = facility.sandbox.faults();
        faults.add(fault().times(1));
        faults.add(Fault::on(On::LastChunk).drop_after());
        faults.add(Fault::on(On::DataLookup).nth(1));
        // Of a sample, one look more: at its first file, before the last chunk of its second.
        faults.add(Fault::on(On::DataLookup).status(404).times(3 + usize::from(is_sample)));
        facility.serve_until("all is stopped", |snapshot| snapshot.agent.state == "stopped").await;
        facility.sandbox.set_token("a-new-token");
        facility.write_token("a-new-token");
        let ended = facility.once().await;
        facility.check_all_done(&ended).await;
        facility.check_wire(&[]);
        assert_eq!(facility.sandbox.data().len(), usize::from(!is_sample));
    })
    .await;
}

/// A file is ready a moment before its size is recorded.
#[tokio::test(flavor = "multi_thread")]
async fn a_size_that_is_not_yet_recorded_is_asked_about_again() {
    let facility = Facility::with_a_pair().await;
    let early = Reply::json(200, &json!({ "id": "1", "filename": "early", "size": 3, "sample": null }));
    // The first question about each file; between them the first one is looked at once more.
    for nth in [1, 4] {
        facility.sandbox.faults().add(Fault::on(On::DataLookup).nth(nth).answer(early.clone()));
    }
    let ended = facility.once().await;
    facility.check_all_done(&ended).await;
    facility.check_wire(&[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_is_missing_on_flow_begins_the_file_anew() {
    let statuses = [400, 404, 500].map(|status| (format!("told as {status}"), status)).to_vec();
    each_at_once(AT_ONCE, statuses, |status| async move {
        let facility = Facility::with_a_pair().await;
        let reply = Reply::json(status, &json!({"error": "Missing chunk"}));
        facility.sandbox.faults().add(Fault::on(On::MiddleChunk).answer(reply).times(1));
        let ended = facility.once().await;
        facility.check_all_done(&ended).await;
        facility.check_wire(&[]);
        let firsts = facility.chunks().iter().filter(|chunk| chunk.field("data") == Some("")).count();
        assert_eq!(firsts, 3, "one of the files was begun twice");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_smallest_files_are_uploaded_in_two_chunks_or_found_or_told_by_name() {
    let facility = Facility::with(Setup { check_gzip: false, ..Setup::default() }, |_| {}).await;
    facility.add("two", &[2, 3]);
    facility.add("one", &[1, 2]);
    facility.add("last", &[2, 1]);
    facility.add("empty", &[0, 10]);
    facility.sandbox.faults().add(Fault::on(On::FirstChunk).of_file("one_R1.fastq.gz").drop_after().times(1));
    facility.sandbox.faults().add(Fault::on(On::FirstChunk).of_file("last_R2.fastq.gz").drop_after().times(1));
    let ended = facility.once().await;
    assert_eq!(ended.ending, Ending::Finished { unseen: Vec::new() });
    let state = |name: &str| {
        let sample = ended.snapshot.samples.iter().find(|sample| sample.name == name).unwrap();
        (sample.state.as_str(), sample.reason.clone().unwrap_or_default())
    };
    assert_eq!(state("two").0, "done");
    assert_eq!(state("one").0, "done");
    assert_eq!(state("last").0, "done", "found by the file before it: {:?}", state("last"));
    assert!(state("empty").1.contains("empty_R1.fastq.gz has none"), "{:?}", state("empty"));
    facility.check_samples(&["empty"]).await;
    facility.check_wire(&[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_that_awaits_an_answer_holds_no_place() {
    let setup = Setup { concurrency: 1, ..Setup::default() };
    let facility = Facility::with(setup, |_| {}).await;
    facility.add("A", &PAIR);
    facility.add("B", &PAIR);
    facility.sandbox.faults().add(Fault::on(On::LastChunk).of_file(read_name("A", 1)).drop_before().times(1));
    let ended = facility.once().await;
    facility.check_all_done(&ended).await;
    let order: Vec<_> = facility.sandbox.samples().into_iter().map(|sample| sample.name).collect();
    assert_eq!(order, ["B", "A"]);
}
