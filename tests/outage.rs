//! Flow is away for a while, whenever it likes: everything arrives, once.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flow_ingest::agent::{Agent, Mode};
use flow_ingest::journal::{Record, State};
use flow_ingest::observation::Moment;
use flow_ingest::sandbox::{Fault, Gate, On, Reply, RequestLog, RetryAfter};
use flow_ingest::status::Snapshot;
use support::{DEADLINE, Facility, PAIR, each_at_once, until};

/// How long Flow is away.
const OUTAGE: Duration = Duration::from_millis(1500);

async fn facility() -> Facility {
    let facility = Facility::new().await;
    for n in 0..6 {
        facility.add(&format!("S{n}"), &[PAIR[0] + n, PAIR[1] + n]);
    }
    facility
}

/// Work that waits for the gate goes on when nobody hears of it any more.
async fn outage(facility: &Facility, worked_on: &Gate) {
    facility.sandbox.pause().await;
    worked_on.open();
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
        let worked_on = Gate::new();
        let ended = match on {
            None => {
                facility.sandbox.pause().await;
                tokio::join!(facility.once(), outage(&facility, &worked_on)).0
            }
            Some(on) => {
                facility.sandbox.faults().add(Fault::on(on).nth(3).delay(Duration::ZERO).until(&worked_on));
                let outage = async {
                    until("a request is worked on", || facility.sandbox.faults().fired() == 1).await;
                    outage(&facility, &worked_on).await;
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
    let gate = Gate::new();
    facility.sandbox.faults().add(Fault::on(On::MiddleChunk).nth(2).delay(Duration::ZERO).until(&gate));
    let script = async {
        until("some has arrived", || facility.sandbox.faults().fired() == 1).await;
        facility.sandbox.faults().add(Fault::on(On::Any).status(503));
        gate.open();
        let stopped = until_stopped(&agent).await;
        let condition = stopped.agent.condition.clone().unwrap();
        assert!(condition.contains("503") && condition.contains("(since "), "{condition}");
        assert_eq!((stopped.samples.len(), stopped.count("blocked")), (6, 0), "{:?}", stopped.counts);

        let before = facility.sandbox.requests().len();
        until("it is asked", || facility.sandbox.requests().len() >= before + 2).await;
        let questions = facility.sandbox.requests().split_off(before);
        assert!(questions.iter().all(|request| request.path == "/me"), "{questions:?}");
        let pauses: Vec<Duration> = questions.windows(2).map(|pair| pair[1].came - pair[0].came).collect();
        assert!(pauses.iter().all(|pause| *pause > Duration::from_millis(1900)), "the pauses grow: {pauses:?}");
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
    facility.sandbox.faults().add(Fault::on(On::FirstChunk).of_file("S0_R1.fastq.gz").status(500));
    let script = async {
        let is_left = || snapshot(&agent).count("done") == 5 && facility.sandbox.faults().fired() > 0;
        until("one is left", is_left).await;
        facility.sandbox.faults().clear();
        facility.sandbox.pause().await;
        facility.add("S6", &PAIR);
        until_stopped(&agent).await;
        // As if it had failed so often that its next try is far away.
        let failed =
            agent.journal().records().map(Result::unwrap).find(|record| record.sample.key.name == "S0").unwrap();
        let put_off = |record: Record| match record.state.clone() {
            State::Retrying { upload, error, .. } => {
                record.taken()?.retrying(upload, Moment::now() + 100 * DEADLINE, error)
            }
            other => panic!("{other:?}"),
        };
        agent.journal().change(&failed.sample.id(), put_off).await.unwrap();
        facility.sandbox.resume().await.unwrap();
        until("all is done", || snapshot(&agent).count("done") == 7).await;
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
        // Nobody is done, and makes room for another, before the word of the pause has come to all.
        let gate = Gate::new();
        facility.sandbox.faults().add(Fault::on(On::FirstChunk).delay(Duration::ZERO).until(&gate));
        let script = async {
            let is_stopped = || {
                let questions =
                    facility.sandbox.requests().into_iter().skip_while(|request| request.status != Some(503));
                snapshot(&agent).agent.state == "stopped" || questions.into_iter().any(|request| request.path == "/me")
            };
            until("all is stopped, or was", is_stopped).await;
            gate.open();
            until("all is done", || snapshot(&agent).count("done") == 6).await;
        };
        agent.run(Mode::Service, script).await.unwrap();
        let requests = facility.sandbox.requests();
        let refused = requests.iter().find(|request| request.status == Some(503)).unwrap();
        let until = refused.answered + Duration::from_millis(2500);
        // What is under way ends by itself: the refused one and three others.
        let is_first = |chunk: &&RequestLog| chunk.field("data") == Some("") && chunk.all("previous_data").is_empty();
        let (early, late): (Vec<_>, Vec<_>) = requests.iter().filter(is_first).partition(|chunk| chunk.came < until);
        assert!(early.len() <= 4 && late.len() >= 3, "{early:#?} {late:#?}");
        let names: Vec<&str> = late.iter().filter_map(|chunk| chunk.field("sample_name")).collect();
        let is_of_late = |request: &&RequestLog| {
            let is_search = request.path == "/samples/search" && names.iter().any(|name| request.query.contains(name));
            request.came >= until && (is_search || is_first(request))
        };
        let first = requests.iter().filter(is_of_late).map(|request| request.came).min().unwrap();
        let is_question = |request: &RequestLog| request.path == "/me" && (until..first).contains(&request.came);
        assert!(requests.iter().any(is_question), "somebody asks before all come again: {requests:#?}");
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
    let script = async {
        until_stopped(&agent).await;
        let before_it_was_known = facility.chunks().len();
        for time in ["once", "twice", "three times"] {
            let before = facility.chunks().len();
            until(&format!("it was let in {time}"), || facility.chunks().len() > before).await;
            until_stopped(&agent).await;
        }
        let chunks = facility.chunks();
        let took = chunks.last().unwrap().came - chunks[0].answered;
        // After pauses of 1 s, 2 s, 4 s; a slow machine makes them longer, and may let in once more before this is seen.
        assert!(took > Duration::from_millis(6900), "{took:?}");
        let times = (took.as_secs_f64() + 1.1).log2().floor() as usize;
        // Four samples at once, each chunk sent twice.
        let since_then = chunks.len() - before_it_was_known;
        assert!(since_then <= times * 8, "{since_then} chunks in {took:?}");
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
