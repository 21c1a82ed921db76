//! What Flow refuses, for now or for good: a sample is retried, or blocked with Flow's own words; a token that is no
//! longer good stops everything and costs no sample a try.

mod support;

use std::time::{Duration, Instant};

use flow_ingest::agent::{Ending, Mode};
use flow_ingest::sandbox::{Fault, Gate, On, Reply, RetryAfter};
use serde_json::{Value, json};
use support::{Facility, PAIR, Setup, each_at_once, only, until};

type Harm = fn(Fault) -> Fault;

#[tokio::test(flavor = "multi_thread")]
async fn what_flow_refuses_is_blocked_with_its_own_words_and_nothing_else_is_held_up() {
    let cases: Vec<(&str, On, Harm, &str, usize)> = vec![
        (
            "400 to a first chunk",
            On::FirstChunk,
            |fault| fault.answer(Reply::json(400, &json!({"error": {"sample_name": ["Taken already"]}}))),
            "sample_name: Taken already",
            1,
        ),
        (
            "422 to a middle chunk",
            On::MiddleChunk,
            |fault| fault.answer(Reply::json(422, &json!({"detail": "Not like this"}))),
            "Not like this",
            1,
        ),
        (
            "400 to a last chunk",
            On::LastChunk,
            |fault| fault.answer(Reply::json(400, &json!({"error": "Quota exceeded"}))),
            "Quota exceeded",
            1,
        ),
        // Whether it is about the sample, or about all, the others show.
        ("403", On::Chunk, |fault| fault.answer(Reply::json(403, &json!({"error": "Not yours"}))), "Not yours", 3),
    ];
    let cases = cases.into_iter().map(|(name, on, harm, words, tries)| (name.to_owned(), (on, harm, words, tries)));
    each_at_once(8, cases.collect(), |(on, harm, words, tries)| async move {
        let facility = Facility::with_a_pair().await;
        facility.add("S2", &PAIR);
        let ofs1 = Fault::on(on.clone()).of_file("S1_R1.fastq.gz");
        facility.sandbox.faults().add(harm(ofs1));
        let ended = facility.once().await;
        assert_eq!(ended.ending, Ending::Finished { unseen: Vec::new() });
        let sample = &ended.snapshot.samples[0];
        assert_eq!((sample.name.as_str(), sample.state.as_str()), ("S1", "blocked"), "{sample:?}");
        assert!(sample.reason.as_deref().unwrap().contains(words), "{sample:?}");
        assert_eq!(facility.sandbox.faults().fired(), tries, "it was not tried again");
        facility.check_samples(&["S1"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_that_flow_does_not_understand_is_blocked_with_its_own_words() {
    let cases = [("rna_seq", "rna_seq"), ("CLIP", "purification_target")];
    let cases = cases.map(|case| (case.0.to_owned(), case)).to_vec();
    each_at_once(2, cases, |(sample_type, words)| async move {
        let facility = Facility::with(Setup { sample_type, ..Setup::default() }, |_| {}).await;
        facility.add("S1", &PAIR);
        let ended = facility.once().await;
        let sample = only(&ended.snapshot);
        assert_eq!(sample.state, "blocked");
        assert!(sample.reason.as_deref().unwrap().contains(words), "{sample:?}");
        facility.check_samples(&["S1"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_is_too_large_makes_chunks_smaller() {
    let setup = Setup { chunk_size: "400KB".to_owned(), concurrency: 1, ..Setup::default() };
    let facility = Facility::with(setup, |sandbox| sandbox.max_chunk = Some(150_000)).await;
    facility.add("S1", &[500_000, 450_000]);
    facility.add("S2", &[500_001, 450_001]);
    let ended = facility.once().await;
    facility.check_all_done(&ended).await;
    let refused = facility.chunks().iter().filter(|chunk| chunk.status == Some(413)).count();
    assert_eq!(refused, 2, "400 KB and 200 KB are too large once, and never tried again");
}

#[tokio::test(flavor = "multi_thread")]
async fn passing_faults_are_waited_for() {
    let cases: Vec<(&str, Harm, u64)> = vec![
        ("429 in seconds", |fault| fault.too_many(RetryAfter::Seconds(3)), 3),
        ("429 with a date", |fault| fault.too_many(RetryAfter::DateIn(Duration::from_secs(4))), 3),
        ("429 without a word", |fault| fault.status(429), 0),
        ("502 as a page", |fault| fault.answer(Reply::html(502)), 0),
        ("503 as a page", |fault| fault.answer(Reply::html(503)), 0),
        ("503 with a time", |fault| fault.answer(Reply::empty(503).retry_after(RetryAfter::Seconds(2))), 0),
        ("no connection", |fault| fault.drop_before(), 0),
    ];
    let mut all = Vec::new();
    for (name, harm, least) in cases {
        for on in [On::FirstChunk, On::MiddleChunk, On::LastChunk] {
            all.push((format!("{name} to {on:?}"), (on, harm, least)));
        }
    }
    each_at_once(24, all, |(on, harm, least)| async move {
        let facility = Facility::with_a_pair().await;
        facility.sandbox.faults().add(harm(Fault::on(on)).times(1));
        let begun = Instant::now();
        let ended = facility.once().await;
        assert!(begun.elapsed() >= Duration::from_secs(least), "{:?}", begun.elapsed());
        facility.check_all_done(&ended).await;
        facility.check_wire(&[]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pause_that_flow_asked_for_survives_a_restart() {
    let facility = Facility::with_a_pair().await;
    facility.sandbox.faults().add(Fault::on(On::MiddleChunk).too_many(RetryAfter::Seconds(5)).times(1));
    let begun = Instant::now();
    let snapshot = facility.serve_until("it is retrying", |snapshot| snapshot.count("retrying") == 1).await;
    let sample = only(&snapshot);
    assert!(sample.next_try.is_some() && sample.error.as_deref().unwrap().contains("429"), "{sample:?}");
    let ended = facility.once().await;
    assert!(begun.elapsed() >= Duration::from_secs(5), "{:?}", begun.elapsed());
    facility.check_all_done(&ended).await;
    assert_eq!(only(&ended.snapshot).attempts, 1, "a try that the server put off does not count");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_of_ages_breaks_nothing() {
    let facility = Facility::with_a_pair().await;
    facility.sandbox.faults().add(Fault::on(On::FirstChunk).too_many(RetryAfter::Seconds(u64::MAX)).times(1));
    let snapshot = facility.serve_until("it is retrying", |snapshot| snapshot.count("retrying") == 1).await;
    assert!(only(&snapshot).next_try.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_expires_is_refreshed_where_the_log_in_gave_a_cookie() {
    let kinds = [On::FirstChunk, On::MiddleChunk, On::LastChunk, On::FinalChunk].map(|on| (format!("{on:?}"), on));
    each_at_once(4, kinds.to_vec(), |on| async move {
        let credentials = "{ username: sandbox, password_file: password }".to_owned();
        let facility = Facility::with(Setup { credentials, ..Setup::default() }, |_| {}).await;
        facility.write_secret("password", "sandbox\n");
        facility.add("S1", &PAIR);
        facility.sandbox.faults().add(Fault::on(on).expire_token().times(1));
        let ended = facility.once().await;
        facility.check_all_done(&ended).await;
        facility.check_wire(&[]);
        assert_eq!((only(&ended.snapshot).attempts, facility.asked("/token")), (1, 1));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_expires_for_good_stops_all_and_a_new_one_in_the_file_heals() {
    let kinds = [On::FirstChunk, On::MiddleChunk, On::LastChunk, On::FinalChunk, On::DataLookup];
    let kinds = kinds.map(|on| (format!("{on:?}"), on)).to_vec();
    each_at_once(5, kinds, |on| async move {
        let facility = Facility::new().await;
        for n in 0..4 {
            facility.add(&format!("S{n}"), &PAIR);
        }
        facility.sandbox.faults().add(Fault::on(on).nth(1).expire_token());
        let agent = facility.agent().await;
        let snapshot = || agent.snapshot("running").unwrap();
        let script = async {
            until("all is stopped", || snapshot().agent.state == "stopped" && snapshot().count("uploading") == 0).await;
            let stopped = snapshot();
            assert!(stopped.agent.condition.as_deref().unwrap().contains("401"), "{:?}", stopped.agent);
            assert_eq!(stopped.count("queued") + stopped.count("retrying"), 4, "{:?}", stopped.counts);
            assert_eq!(stopped.count("blocked"), 0);
            facility.sandbox.set_token("a-new-token");
            facility.write_token("a-new-token");
            until("all is done", || snapshot().count("done") == 4).await;
        };
        agent.run(Mode::Service, script).await.unwrap();
        let healed = agent.snapshot("stopped").unwrap();
        assert_eq!(healed.agent.condition, None);
        assert!(healed.samples.iter().all(|sample| sample.attempts == 1), "{:#?}", healed.samples);
        facility.check_samples(&[]).await;
        facility.check_wire(&[]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_renewed_in_time_is_no_refusal_to_a_single_run() {
    let facility = Facility::with_a_pair().await;
    let agent = facility.agent().await;
    let gate = Gate::new();
    facility.sandbox.faults().add(Fault::on(On::MiddleChunk).nth(1).delay(Duration::ZERO).until(&gate));
    facility.sandbox.faults().add(Fault::on(On::Me).nth(2).delay(Duration::from_millis(700)));
    let renewed = async {
        until("the upload is under way", || facility.sandbox.faults().fired() == 1).await;
        facility.write_token("a-new-token");
        facility.sandbox.set_token("a-new-token");
        gate.open();
    };
    let mode = Mode::Once { give_up_after: Duration::from_secs(20) };
    let (ending, ()) = tokio::join!(agent.run(mode, std::future::pending()), renewed);
    assert_eq!(ending.unwrap(), Ending::Finished { unseen: Vec::new() });
    facility.check_samples(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_run_that_flow_does_not_know_exits_with_3() {
    let cases = ["a bad token", "a wrong password", "no token", "uploads refused"].map(|case| (case.to_owned(), case));
    each_at_once(4, cases.to_vec(), |case| async move {
        let credentials = match case {
            "a wrong password" => "{ username: sandbox, password_file: password }",
            _ => "{ token_file: token }",
        };
        let setup = Setup { credentials: credentials.to_owned(), ..Setup::default() };
        let facility = Facility::with(setup, |_| {}).await;
        facility.add("S1", &PAIR);
        facility.write_secret("password", "a-wrong-password");
        match case {
            "a bad token" => facility.write_token("a-bad-token"),
            "no token" => std::fs::remove_file(facility.path("token")).unwrap(),
            "uploads refused" => facility.sandbox.faults().add(Fault::on(On::Chunk).status(401)),
            _ => {}
        }
        let output = facility.output(&["run", "--once", "--json"]).await;
        let words = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{words}");
        let status: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(status["counts"]["queued"], 1, "{status:#}");
        assert_eq!(status["samples"][0]["attempts"], 0, "{status:#}");
        assert!(!words.contains("a-bad-token") && !words.contains("a-wrong-password"), "{words}");
        facility.check_samples(&["S1"]).await;
        assert!(facility.asked("/me") + facility.asked("/login") < 10, "it does not hammer at the door");
    })
    .await;
}

/// An account that may not upload: no sample is at fault, whatever the order in which they meet it.
#[tokio::test(flavor = "multi_thread")]
async fn a_403_to_everything_stops_all_and_blocks_nobody() {
    let cases = [1, 4].map(|concurrency| (format!("{concurrency} at once"), concurrency)).to_vec();
    each_at_once(2, cases, |concurrency| async move {
        let facility = Facility::with(Setup { concurrency, ..Setup::default() }, |_| {}).await;
        for n in 0..5 {
            facility.add(&format!("S{n}"), &PAIR);
        }
        let forbidden = Fault::on(On::Chunk).answer(Reply::json(403, &json!({ "error": "May not upload" })));
        facility.sandbox.faults().add(forbidden);
        let ended = facility.once().await;
        let Ending::Refused { reason } = &ended.ending else { panic!("{ended:#?}") };
        assert!(reason.contains("May not upload") && reason.contains("403"), "{reason}");
        assert_eq!(ended.snapshot.count("blocked"), 0, "{ended:#?}");
        assert!(facility.chunks().len() < 20, "it does not hammer at the door: {}", facility.chunks().len());

        let agent = facility.agent().await;
        let snapshot = || agent.snapshot("running").unwrap();
        let script = async {
            until("all is stopped", || snapshot().agent.state == "stopped").await;
            facility.sandbox.faults().clear();
            until("all is done", || snapshot().count("done") == 5).await;
        };
        agent.run(Mode::Service, script).await.unwrap();
        facility.check_samples(&[]).await;
        facility.check_wire(&[]);
    })
    .await;
}

fn somebody(username: &str) -> Fault {
    Fault::on(On::Me).answer(Reply::json(200, &json!({ "username": username, "id": "700" })))
}

/// What one account has begun is not gone on with under another, whose samples it would become.
#[tokio::test(flavor = "multi_thread")]
async fn another_account_is_refused_until_a_person_accepts_it() {
    let facility = Facility::with_a_pair().await;
    facility.check_all_done(&facility.once().await).await;
    facility.add("S2", &PAIR);
    facility.sandbox.faults().add(somebody("bob"));

    let ended = facility.once().await;
    let Ending::Refused { reason } = &ended.ending else { panic!("{ended:#?}") };
    let state = facility.path("state").display().to_string();
    for word in ["bob", "sandbox", "--accept-account", &state] {
        assert!(reason.contains(word), "{word}: {reason}");
    }
    assert_eq!((ended.snapshot.count("done"), ended.snapshot.count("queued")), (1, 1), "{ended:#?}");
    facility.check_samples(&["S2"]).await;
    drop(ended);
    let refused = facility.output(&["run", "--once"]).await;
    let words = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(3) && words.contains("belongs to sandbox"), "{words}");

    let accepted = facility.output(&["run", "--once", "--accept-account"]).await;
    assert_eq!(accepted.status.code(), Some(0), "{}", String::from_utf8_lossy(&accepted.stderr));
    facility.check_samples(&[]).await;
    facility.add("S3", &PAIR);
    facility.check_all_done(&facility.once().await).await;

    // From now on it is the other one that is not taken, until its own credentials are there again.
    facility.add("S4", &PAIR);
    facility.sandbox.faults().clear();
    let agent = facility.agent().await;
    let snapshot = || agent.snapshot("running").unwrap();
    let script = async {
        until("all is stopped", || snapshot().agent.state == "stopped").await;
        let condition = snapshot().agent.condition.unwrap();
        assert!(condition.contains("belongs to bob") && condition.contains("since"), "{condition}");
        facility.sandbox.faults().add(somebody("bob"));
        until("all is done", || snapshot().count("done") == 4).await;
    };
    agent.run(Mode::Service, script).await.unwrap();
    facility.check_samples(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_names_no_account_is_uploaded_to() {
    let nobodies = [("no such question", Reply::empty(404)), ("a record without a name", Reply::json(200, &json!({})))];
    each_at_once(2, nobodies.map(|(name, reply)| (name.to_owned(), reply)).to_vec(), |reply| async move {
        let facility = Facility::with_a_pair().await;
        facility.sandbox.faults().add(Fault::on(On::Me).answer(reply));
        facility.check_all_done(&facility.once().await).await;
        facility.add("S2", &PAIR);
        facility.check_all_done(&facility.once().await).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_flow_refused_is_tried_again_when_a_person_says_so() {
    let facility = Facility::with_a_pair().await;
    let refused = Fault::on(On::Chunk).answer(Reply::json(422, &json!({ "error": "The project is closed" }))).times(1);
    facility.sandbox.faults().add(refused);
    let ended = facility.once().await;
    let id = only(&ended.snapshot).id.clone();
    assert_eq!(only(&ended.snapshot).state, "blocked");
    drop(ended);

    let unknown = facility.output(&["retry", "nosuchsample"]).await;
    assert_eq!(unknown.status.code(), Some(4), "{}", String::from_utf8_lossy(&unknown.stderr));
    let retried = facility.output(&["retry", &id, "--json"]).await;
    let words = String::from_utf8_lossy(&retried.stderr);
    assert_eq!(retried.status.code(), Some(0), "{words}");
    let document: Value = serde_json::from_slice(&retried.stdout).unwrap();
    assert_eq!((&document["samples"][0]["id"], &document["samples"][0]["state"]), (&id.into(), &"queued".into()));
    facility.check_all_done(&facility.once().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_running_service_takes_a_retry_of_a_whole_run() {
    let facility = Facility::new().await;
    for n in 0..3 {
        facility.add(&format!("S{n}"), &PAIR);
    }
    facility.add("alone", &PAIR[..1]);
    facility.sandbox.faults().add(Fault::on(On::FirstChunk).status(400).times(3));
    let mut service = facility.serve().await;
    facility.status_until("three are blocked", |document| document["counts"]["blocked"] == 3).await;
    let retried = facility.output(&["retry", "--run", "drop"]).await;
    assert_eq!(retried.status.code(), Some(0), "{}", String::from_utf8_lossy(&retried.stderr));
    facility.status_until("three are done", |document| document["counts"]["done"] == 3).await;
    let done = facility.becomes("S0", "done").await;
    let again = facility.output(&["retry", done["id"].as_str().unwrap()]).await;
    assert_eq!(again.status.code(), Some(2), "what is done is not tried again");
    service.terminate();
    assert_eq!(service.ended().await.code(), Some(0));
    facility.check_samples(&["alone"]).await;
}

/// A request that was cut on its way is answered so by what stands in between.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_without_a_word_is_tried_again_before_a_person_is_asked() {
    let facility = Facility::with_a_pair().await;
    facility.sandbox.faults().add(Fault::on(On::MiddleChunk).answer(Reply::empty(400)).times(2));
    facility.check_all_done(&facility.once().await).await;
    facility.check_wire(&[]);
}
