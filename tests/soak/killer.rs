//! The killer: starts the agent, lets it live for a moment, and ends it with SIGKILL, at random or at a named point.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use crate::arguments::Plan;
use crate::facility::{Agent, Facility};
use crate::network::{Network, Point};

/// How often it is seen whether the agent still lives.
const LOOK: Duration = Duration::from_millis(20);

/// How often a long soak says how far it has got.
const TELL: Duration = Duration::from_secs(60);

/// After how many of the kills the journal is lost as well.
const JOURNAL_LOST: f64 = 0.02;

/// After which kills the whole state folder is lost, once the server has done what it was told. It comes early: all that
/// is on the server then is looked for there.
const STATE_LOST: [usize; 3] = [4, 40, 80];

/// The kills so far.
#[derive(Debug, Default)]
pub struct Kills {
    pub all: usize,
    pub at_points: usize,
    /// How often the journal was damaged or gone afterwards.
    pub journals_lost: usize,
    /// How often all that the agent knew was gone.
    pub states_lost: usize,
    /// The names of the points at which it was killed.
    pub points: BTreeSet<String>,
    /// The names of those that it never came by, in a soak that is to come by all.
    pub missed: Vec<String>,
}

/// Kills until the plan is fulfilled, or `deadline` has come, and counts in `kills`.
///
/// # Errors
/// The agent ended by itself.
pub async fn storm(
    facility: &Facility,
    network: &Network,
    plan: &Plan,
    deadline: Instant,
    written: impl Fn() -> usize,
    kills: &mut Kills,
) -> Result<(), String> {
    let mut dice = StdRng::seed_from_u64(plan.seed ^ 0x0ddb_a115);
    let mut points = Point::all();
    points.shuffle(&mut dice);
    let all_points = points.len();
    // A sample is looked up only where its name is found and nothing is known of it.
    let (of_lost_state, points): (Vec<Point>, Vec<Point>) =
        points.into_iter().partition(|point| point.needs_lost_state());
    let (mut points, mut reached, mut after_loss) = (VecDeque::from(points), Vec::new(), VecDeque::new());
    let mut told = Instant::now();
    loop {
        if told.elapsed() > TELL {
            told = Instant::now();
            let (faults, written) = (network.faults(), written());
            let (seed, points) = (plan.seed, kills.points.len());
            eprintln!("soak seed {seed}: {} kills, {points} points, {faults} faults, {written} written", kills.all);
        }
        let misses_points = plan.needs_all_points() && kills.points.len() < all_points;
        let is_fulfilled = kills.all >= plan.kills && network.faults() >= plan.faults && written() >= plan.samples;
        if (is_fulfilled && !misses_points) || Instant::now() > deadline {
            if plan.needs_all_points() {
                let names = Point::all().into_iter().map(Point::name);
                kills.missed = names.filter(|name| !kills.points.contains(name)).collect();
            }
            return Ok(());
        }
        let mut agent = facility.start();
        // The first lives are random ones: somebody must have come as far as the points.
        let aims = kills.all > 3 && (dice.random_bool(0.25) || (is_fulfilled && misses_points));
        let is_after_loss = !after_loss.is_empty();
        if let Some(point) = after_loss.pop_front().or_else(|| if aims { points.pop_front() } else { None }) {
            let is_hit = hit(network, point, &mut agent).await?;
            if is_hit {
                let slack = dice.random_range(0..=point.slack().as_millis() as u64);
                tokio::time::sleep(Duration::from_millis(slack)).await;
                kills.at_points += 1;
                kills.points.insert(point.name());
            }
            if !is_after_loss {
                if is_hit {
                    reached.push(point);
                } else {
                    // Nobody came by: it has its turn again, after all others.
                    points.extend(reached.drain(..));
                    points.push_back(point);
                }
                if points.is_empty() {
                    points.extend(reached.drain(..));
                }
            }
        } else {
            let life = life(&mut dice, kills.all < plan.kills);
            live(&mut agent, life).await?;
        }
        agent.kill();
        kills.all += 1;
        if STATE_LOST.contains(&kills.all) {
            facility.lose_state().await;
            kills.states_lost += 1;
            after_loss.extend(of_lost_state.iter().filter(|point| !kills.points.contains(&point.name())));
        } else if dice.random_bool(JOURNAL_LOST) {
            facility.lose_journal(&mut dice);
            kills.journals_lost += 1;
        }
    }
}

/// How long the agent lives. Mostly it is killed before it has come far; now and then it gets something done, which takes
/// more than the five seconds for which it sends nothing more of a file that an earlier one had begun to send.
fn life(dice: &mut StdRng, in_haste: bool) -> Duration {
    let millis = match in_haste && dice.random_bool(0.92) {
        true => 10f64.powf(dice.random_range(1.5..3.0)),
        false => dice.random_range(3_000.0..14_000.0),
    };
    Duration::from_millis(millis as u64)
}

async fn live(agent: &mut Agent, life: Duration) -> Result<(), String> {
    let born = Instant::now();
    while let Some(left) = life.checked_sub(born.elapsed()) {
        must_live(agent)?;
        tokio::time::sleep(left.min(LOOK)).await;
    }
    must_live(agent)
}

/// Waits until the agent comes by the point; false when it does not.
async fn hit(network: &Network, point: Point, agent: &mut Agent) -> Result<bool, String> {
    let gate = network.arm(point);
    let armed = Instant::now();
    let is_hit = loop {
        must_live(agent)?;
        if tokio::time::timeout(LOOK, gate.opened()).await.is_ok() {
            break true;
        }
        if armed.elapsed() > point.patience() {
            break false;
        }
    };
    network.disarm();
    Ok(is_hit)
}

fn must_live(agent: &mut Agent) -> Result<(), String> {
    match agent.ended() {
        None => Ok(()),
        Some(status) => Err(format!("the agent ended by itself, with {status}")),
    }
}
