//! Flow is away for a while, whenever it likes: everything arrives, once.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use flow_ingest::agent::{Agent, Mode};
use flow_ingest::sandbox::{Fault, On, Reply, RetryAfter};
use flow_ingest::status::Snapshot;
use support::{Facility, PAIR, each_at_once, until};

/// How long Flow is away.
const OUTAGE: Duration = Duration::from_millis(1500);

async fn facility() -> Facility {
    let facility = Facility::new().await;
    for n in 0..6 {
        facility.add(&format!("S{n}"), &[PAIR[0] + n, PAIR[1] + n]);
    }
    facility
}

async fn outage(facility: &Facility) {
    facility.sandbox.pause().await;
    tokio::time::sleep(OUTAGE).await;
    facility.sandbox.resume().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_at_any_time_costs_nothing_but_time() {
    let cases: Vec<(&str, Option<On>)> = vec![
        ("at the start", None),
        ("while first chunks are worked on", Some(On::FirstChunk)),
        ("while middle chunks are worked on", Some(On::MiddleChunk)),
        ("while last chunks are worked on", Some(On::LastChunk)),
        ("while a sample's last chunk is worked on", Some(On::FinalChunk)),
        ("while files are asked about", Some(On::DataLookup)),
    ];
    let cases = cases.into_iter().map(|(name, on)| (name.to_owned(), on)).collect();
    each_at_once(6, cases, |on| async move {
        let facility = facility().await;
        let ended = match on {
            None => {
                facility.sandbox.pause().await;
                tokio::join!(facility.once(), outage(&facility)).0
            }
            Some(on) => {
                facility.sandbox.faults().add(Fault::on(on).nth(3).delay(Duration::from_millis(300)));
                let outage = async {
                    until("a request is worked on", || facility.sandbox.faults().fired() == 1).await;
                    outage(&facility).await;
                };
                tokio::join!(facility.once(), outage).0
            }
        };
        facility.check_all_done(&ended).await;
        facility.check_wire(&[]);
        assert!(ended.snapshot.samples.iter().all(|sample| sample.attempts == 1), "{:#?}", ended.snapshot.samples);
    })
    .await;
}

fn snapshot(agent: &Agent) -> Snapshot {
    agent.snapshot("running").unwrap()
}

async fn until_stopped(agent: &Agent) -> Snapshot {
    until("all is stopped", || {
        let now = snapshot(agent);
        now.agent.state == "stopped" && now.count("uploading") == 0
    })
    .await;
    snapshot(agent)
}

#[tokio::test(flavor = "multi_thread")]
async fn while_flow_is_away_one_question_at_a_time_is_asked_and_nothing_counts() {
    let facility = facility().await;
    let agent = facility.agent().await;
    facility.sandbox.faults().add(Fault::on(On::MiddleChunk).nth(2).delay(Duration::from_millis(200)));
    let script = async {
        until("some has arrived", || facility.sandbox.faults().fired() == 1).await;
        facility.sandbox.faults().add(Fault::on(On::Any).status(503));
        let stopped = until_stopped(&agent).await;
        let condition = stopped.agent.condition.clone().unwrap();
        assert!(condition.contains("503") && condition.contains("(since "), "{condition}");
        assert_eq!((stopped.samples.len(), stopped.count("blocked")), (6, 0), "{:?}", stopped.counts);

        let (before, begun) = (facility.sandbox.requests().len(), Instant::now());
        until("it is asked", || facility.sandbox.requests().len() >= before + 2).await;
        assert!(begun.elapsed() > Duration::from_secs(1), "the pauses grow: {:?}", begun.elapsed());
        let questions = facility.sandbox.requests().split_off(before);
        assert!(questions.iter().all(|request| request.path == "/me"), "{questions:?}");
        assert_eq!(since(&snapshot(&agent).agent.condition.unwrap()), since(&condition));

        facility.sandbox.faults().clear();
        // Credentials that are written anew are tried at once.
        facility.write_token(facility.sandbox.token());
        until("all is done", || snapshot(&agent).count("done") == 6).await;
    };
    agent.run(Mode::Service, script).await.unwrap();
    let done = snapshot(&agent);
    assert_eq!(done.agent.condition, None);
    assert!(done.samples.iter().all(|sample| sample.attempts == 1), "{:#?}", done.samples);
    facility.check_samples(&[]).await;
    facility.check_wire(&[]);
}

fn since(condition: &str) -> &str {
    condition.split_once("(since").unwrap().1
}

/// Samples that failed before anybody knew that Flow is away, and were to be tried much later, do not wait longer than
/// the others.
#[tokio::test(flavor = "multi_thread")]
async fn when_flow_is_back_everybody_goes_on_at_once() {
    let facility = facility().await;
    let agent = facility.agent().await;
    // So often that the next try of this sample is far away.
    facility.sandbox.faults().add(Fault::on(On::FirstChunk).of_file("S0_R1.fastq.gz").status(500));
    let script = async {
        until("one is left", || snapshot(&agent).count("done") == 5 && facility.sandbox.faults().fired() >= 5).await;
        facility.sandbox.faults().clear();
        facility.sandbox.pause().await;
        facility.add("S6", &PAIR);
        until_stopped(&agent).await;
        let begun = Instant::now();
        facility.sandbox.resume().await.unwrap();
        until("all is done", || snapshot(&agent).count("done") == 7).await;
        assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    };
    agent.run(Mode::Service, script).await.unwrap();
    facility.check_samples(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_for_a_pause_is_left_alone_by_all() {
    let asked: [RetryAfter; 2] = [RetryAfter::Seconds(3), RetryAfter::DateIn(Duration::from_secs(4))];
    each_at_once(2, asked.map(|asked| (format!("{asked:?}"), asked)).to_vec(), |asked| async move {
        let facility = facility().await;
        let agent = facility.agent().await;
        let busy = Reply::empty(503).retry_after(asked);
        facility.sandbox.faults().add(Fault::on(On::FirstChunk).answer(busy).times(1));
        let script = async {
            until("it was asked", || facility.sandbox.faults().fired() == 1).await;
            let begun = Instant::now();
            // What is under way ends by itself.
            let stopped = until_stopped(&agent).await;
            assert!(stopped.count("done") <= 3, "{:?}", stopped.counts);
            let before = facility.sandbox.requests().len();
            until("somebody comes again", || facility.sandbox.requests().len() > before).await;
            assert!(begun.elapsed() > Duration::from_millis(2500), "{:?}", begun.elapsed());
            assert_eq!(facility.sandbox.requests()[before].path, "/me");
            until("all is done", || snapshot(&agent).count("done") == 6).await;
        };
        agent.run(Mode::Service, script).await.unwrap();
        assert!(snapshot(&agent).samples.iter().all(|sample| sample.attempts == 1));
        facility.check_samples(&[]).await;
        facility.check_wire(&[]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_file_that_always_fails_does_not_stop_the_others() {
    let facility = facility().await;
    let agent = facility.agent().await;
    facility.sandbox.faults().add(Fault::on(On::Chunk).of_file("S0_R1.fastq.gz").status(500));
    let was_stopped = AtomicBool::new(false);
    let look = || {
        let now = snapshot(&agent);
        was_stopped.fetch_or(now.agent.state == "stopped", Ordering::Relaxed);
        now
    };
    let script = async {
        until("the others are done", || look().count("done") == 5).await;
        // More often than what would stop all, and nobody else's success in between.
        until("it has failed again", || look().count("retrying") == 1 && facility.sandbox.faults().fired() >= 4).await;
        facility.add("S6", &PAIR);
        until("a newcomer is done", || look().count("done") == 6).await;
        facility.sandbox.faults().clear();
        until("all is done", || look().count("done") == 7).await;
    };
    agent.run(Mode::Service, script).await.unwrap();
    assert!(!was_stopped.into_inner());
    facility.check_samples(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_answers_well_and_takes_nothing_is_tried_ever_more_rarely() {
    let facility = facility().await;
    let agent = facility.agent().await;
    facility.sandbox.faults().add(Fault::on(On::Chunk).answer(Reply::html(502)));
    let begun = Instant::now();
    let script = async {
        until_stopped(&agent).await;
        let before_it_was_known = facility.chunks().len();
        let mut let_in = Vec::new();
        for time in ["once", "twice", "three times"] {
            let before = facility.chunks().len();
            until(&format!("it was let in {time}"), || facility.chunks().len() > before).await;
            let_in.push(begun.elapsed());
            until_stopped(&agent).await;
        }
        // After pauses of 1 s, 2 s, 4 s; a slow machine makes them longer, and may let in once more before this is seen.
        assert!(let_in[2] - let_in[1] > Duration::from_secs(3), "{let_in:?}");
        let since_then = facility.chunks().len() - before_it_was_known;
        let times = (begun.elapsed().as_secs_f64() + 1.0).log2().floor() as usize;
        // Four samples at once, each chunk sent twice.
        assert!(since_then <= times * 8, "{since_then} chunks in {:?}", begun.elapsed());
        assert_eq!(snapshot(&agent).count("blocked"), 0);
        facility.sandbox.faults().clear();
        // Credentials that are written anew are tried at once.
        facility.write_token(facility.sandbox.token());
        until("all is done", || snapshot(&agent).count("done") == 6).await;
    };
    agent.run(Mode::Service, script).await.unwrap();
    assert!(snapshot(&agent).samples.iter().all(|sample| sample.attempts == 1));
    facility.check_samples(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_answers_500_to_everything_for_a_while_is_waited_for() {
    let facility = Facility::with_a_pair().await;
    facility.sandbox.faults().add(Fault::on(On::Chunk).nth(1).status(500));
    facility.sandbox.faults().add(Fault::on(On::Chunk).status(500).times(3));
    let ended = facility.once().await;
    facility.check_all_done(&ended).await;
    facility.check_wire(&[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn short_outages_one_after_the_other_cost_nothing_but_time() {
    let facility = facility().await;
    let flicker = async {
        for n in 1..=3 {
            until("some more has arrived", || facility.chunks().len() >= n * 6).await;
            facility.sandbox.pause().await;
            tokio::time::sleep(Duration::from_millis(300)).await;
            facility.sandbox.resume().await.unwrap();
        }
    };
    let (ended, ()) = tokio::join!(facility.once(), flicker);
    facility.check_all_done(&ended).await;
    facility.check_wire(&[]);
}
