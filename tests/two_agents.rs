//! One agent a state folder: a second one is refused, and the first goes on.

mod support;

use std::time::Duration;

use flow_ingest::agent::{Agent, Mode};
use flow_ingest::sandbox::{Fault, Gate, On};
use futures_util::future::join_all;
use support::{Facility, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_second_agent_on_the_same_state_folder_is_refused_and_the_first_goes_on() {
    let (facility, gate) = (Facility::with_a_pair().await, Gate::new());
    facility.sandbox.faults().add(Fault::on(On::MiddleChunk).nth(1).delay(Duration::ZERO).until(&gate));
    let agent = facility.agent().await;
    let script = async {
        until("the upload is under way", || facility.sandbox.faults().fired() == 1).await;
        let Err(error) = Agent::open(facility.config()) else { panic!("a second agent") };
        let words = error.to_string();
        let folder = facility.path("state").display().to_string();
        assert!(words.contains("another flow-ingest") && words.contains(&folder), "{words}");
        let output = facility.output(&["run", "--once"]).await;
        let words = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{words}");
        assert!(words.contains(&format!("process {}", std::process::id())), "{words}");
        gate.open();
        until("the sample is done", || agent.snapshot("running").unwrap().count("done") == 1).await;
    };
    agent.run(Mode::Service, script).await.unwrap();
    facility.check_samples(&[]).await;
    facility.check_wire(&[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_at_the_state_folder_keeps_no_agent_from_starting() {
    let facility = Facility::with_a_pair().await;
    let looking = flow_ingest::journal::Journal::open(&facility.path("state")).unwrap();
    let is_over = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        drop(looking);
    });
    facility.check_all_done(&facility.once().await).await;
    is_over.join().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn looks_at_the_state_folder_wait_for_each_other() {
    let facility = Facility::with_a_pair().await;
    facility.check_all_done(&facility.once().await).await;
    let answers = join_all([(); 8].map(|()| facility.ask(&["status"]))).await;
    for (code, document, words) in answers {
        assert_eq!((code, &document["samples"][0]["state"]), (Some(0), &"done".into()), "{words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_with_state_folders_of_their_own_do_not_meet() {
    let (one, other) = (Facility::with_a_pair().await, Facility::with_a_pair().await);
    let (a, b) = tokio::join!(one.once(), other.once());
    one.check_all_done(&a).await;
    other.check_all_done(&b).await;
}
