//! The breaker's bench: a fake sequencer, a fake network, and SIGKILL, all drawn from a seed; at the end disk and server
//! are compared byte for byte.
//!
//! `cargo test` runs the short form: a few fixed seeds and a fresh one. One soak of any length:
//!
//! ```text
//! cargo test --release --test soak -- --seed 7 --kills 1000 --faults 10000
//! ```
//!
//! The server is the sandbox, inside this process, and survives the agent, which is the real program. It prints one line
//! for people, and one for whoever counts tests; a soak that fails names the folder that holds its log and its state.

mod arguments;
mod compare;
mod facility;
mod killer;
mod network;
mod report;
mod sequencer;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use flow_ingest::sandbox::Sandbox;
use tokio::task::JoinSet;

use arguments::Plan;
use facility::{Agent, Facility};
use killer::Kills;
use network::Network;
use report::{Report, unfinished};
use sequencer::{Ledger, Sequencer};

/// How long it may take until all is done when nothing goes wrong any more. A sample that met fault after fault rests
/// for minutes before its next try.
const LONGEST_END: Duration = Duration::from_secs(240);

fn main() -> ExitCode {
    let order = match arguments::read(std::env::args().skip(1)) {
        Ok(order) => order,
        Err(mistake) => {
            eprintln!("{mistake}");
            return ExitCode::from(2);
        }
    };
    if order.only_list {
        order.plans.iter().for_each(|plan| println!("{}: test", plan.name()));
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} test{}", order.plans.len(), if order.plans.len() == 1 { "" } else { "s" });
    let began = Instant::now();
    let runtime = tokio::runtime::Runtime::new().expect("the machine has threads");
    let (passed, failed) = runtime.block_on(soak_all(order.plans));
    println!(
        "\ntest result: {}. {passed} passed; {failed} failed; 0 ignored; 0 measured; {} filtered out; finished in {:.2}s\n",
        if failed == 0 { "ok" } else { "FAILED" },
        order.filtered_out,
        began.elapsed().as_secs_f64(),
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(101) }
}

/// All at once; how many passed and failed.
async fn soak_all(plans: Vec<Plan>) -> (usize, usize) {
    let mut soaks = JoinSet::new();
    for plan in plans {
        soaks.spawn(async move { (plan.name(), soak(plan).await) });
    }
    let (mut passed, mut failed) = (0, 0);
    while let Some(ended) = soaks.join_next().await {
        let Ok((name, report)) = ended else {
            // The panic has been printed.
            failed += 1;
            continue;
        };
        println!("{report}");
        print!("{}", report.details());
        println!("test {name} ... {}", if report.is_good() { "ok" } else { "FAILED" });
        *if report.is_good() { &mut passed } else { &mut failed } += 1;
    }
    (passed, failed)
}

async fn soak(plan: Plan) -> Report {
    let began = Instant::now();
    let deadline = began + plan.time;
    let facility = Arc::new(Facility::new(plan.concurrency).await);
    let network = Arc::new(Network::new(plan.seed));
    let deciding = network.clone();
    facility.sandbox.faults().decide(move |sight| deciding.decide(sight));

    let sequencer = Sequencer::new(plan.seed, facility.root());
    let (ledger, off_switch) = (sequencer.ledger.clone(), sequencer.off_switch());
    let share = tokio::spawn(sequencer.restless_share());
    let arrived = Arc::new(AtomicUsize::new(0));
    let writing = tokio::spawn(sequencer.write(plan.samples, plan.concurrency * 2, arrived.clone()));
    let (watched, counted) = (facility.clone(), arrived.clone());
    let counting = tokio::spawn(async move {
        loop {
            counted.store(count(&watched.sandbox), Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    });
    let (outages, out_of_reach) = (network.clone(), facility.clone());
    let outages = tokio::spawn(async move { outages.outages(&out_of_reach.sandbox).await });

    let mut failures = Vec::new();
    let written = || ledger.len();
    let mut kills = Kills::default();
    if let Err(failure) = killer::storm(&facility, &network, &plan, deadline, written, &mut kills).await {
        failures.push(format!("{failure}; it said:\n    {}", facility.last_words()));
    }
    if Instant::now() > deadline {
        failures.push(format!("after {:?} there were not enough kills, faults, points and samples", plan.time));
    }

    // From here on all goes well, and all must be well in the end.
    network.calm();
    off_switch.store(true, Ordering::Relaxed);
    let mut agent = facility.start();
    writing.await.expect("the sequencer does not panic");
    let share_left = share.await.expect("the share does not panic");
    outages.await.expect("the network does not panic");
    if let Err(failure) = all_done(&facility, &ledger, &mut agent).await {
        failures.push(failure);
    }
    counting.abort();
    let _ = counting.await;
    facility.sandbox.idle().await;
    let status = facility.status().await;
    let excused = ledger.excused();
    if !failures.is_empty() {
        failures.extend(unfinished(status.as_ref()));
    }
    if let Err(failure) = agent.stop().await {
        failures.push(failure);
    }
    let empty = flow_ingest::status::Snapshot::new("unknown", None, Vec::new(), Vec::new(), Vec::new());
    let verdict = compare::compare(&ledger, &facility.sandbox, status.as_ref().unwrap_or(&empty));
    let mut report = Report {
        seed: plan.seed,
        kills,
        faults: network.by_kind(),
        share_left,
        excused: excused.len(),
        verdict,
        traffic: facility.sandbox.traffic(),
        took: began.elapsed(),
        failures,
        kept: None,
    };
    if !report.is_good() {
        report.kept = Arc::into_inner(facility).map(Facility::keep);
    }
    report
}

/// Lets time go by; false as soon as it is over.
async fn rest_unless(time: Duration, is_over: impl Fn() -> bool) -> bool {
    let began = Instant::now();
    while !is_over() {
        let Some(left) = time.checked_sub(began.elapsed()) else { return true };
        tokio::time::sleep(left.min(Duration::from_millis(100))).await;
    }
    false
}

/// Samples and reports on the server, doubles included.
fn count(sandbox: &Sandbox) -> usize {
    sandbox.samples().len() + sandbox.data().len()
}

/// Waits until every sample that is wanted is done, as the agent says.
async fn all_done(facility: &Facility, ledger: &Ledger, agent: &mut Agent) -> Result<(), String> {
    let wanted = ledger.wanted();
    let calm = Instant::now();
    loop {
        if let Some(status) = agent.ended() {
            return Err(format!("the agent ended by itself, with {status}"));
        }
        if count(&facility.sandbox) >= wanted.len()
            && let Some(status) = facility.status().await
        {
            let is_done = |name: &String| {
                let mut of_name = status.samples.iter().filter(|sample| sample.name == *name);
                of_name.next().is_some_and(|sample| sample.state == "done" && !sample.changed)
            };
            if wanted.keys().all(is_done) {
                return Ok(());
            }
        }
        if calm.elapsed() > LONGEST_END {
            return Err(format!("not everything was done {LONGEST_END:?} after the last fault"));
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}
