//! Flow is away for a while, whenever it likes: everything arrives, once.

mod support;

use std::time::Duration;

use flow_ingest::sandbox::{Fault, On};
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
    })
    .await;
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
