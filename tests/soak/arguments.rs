//! What the command line asks for: the short form, as `cargo test` runs it, or one soak of any length.

use std::time::Duration;

use rand::RngExt;

pub const USAGE: &str = "cargo test --release --test soak -- [--seed N] [--kills N] [--faults N] [--samples N] \
                         [--minutes N] [--concurrency N]";

/// The seeds of the short form; a fresh one goes with them.
const FIXED_SEEDS: [u64; 3] = [1, 2, 3];

/// One soak.
#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    /// It goes on until there were at least so many of each.
    pub kills: usize,
    pub faults: u64,
    pub samples: usize,
    /// It has failed when it is not over by then.
    pub time: Duration,
    /// Samples that are in flight at once.
    pub concurrency: usize,
}

/// A soak of so many kills is not over before the agent was killed at every named point.
const KILLS_FOR_ALL_POINTS: usize = 500;

impl Plan {
    fn short(seed: u64) -> Self {
        let time = Duration::from_secs(180);
        Self { seed, kills: 8, faults: 25, samples: 8, time, concurrency: 5 }
    }

    fn long() -> Self {
        let time = Duration::from_secs(60 * 60);
        let seed = fresh_seed();
        Self { seed, kills: 1000, faults: 10_000, samples: 0, time, concurrency: 48 }
    }

    /// Whether it goes on until the agent was killed at every named point.
    pub fn needs_all_points(&self) -> bool {
        self.kills >= KILLS_FOR_ALL_POINTS
    }

    /// How a reader of test results calls it.
    pub fn name(&self) -> String {
        format!("soak::seed_{}", self.seed)
    }
}

/// What there is to do.
pub struct Order {
    pub plans: Vec<Plan>,
    /// Soaks that a filter left out.
    pub filtered_out: usize,
    /// Whether they are only to be named.
    pub only_list: bool,
}

fn fresh_seed() -> u64 {
    rand::rng().random_range(1000..1_000_000)
}

/// Reads the arguments. Those of an ordinary test program are taken as well, since `cargo test` hands the same to all.
///
/// # Errors
/// An argument that is none, in a sentence.
pub fn read(arguments: impl Iterator<Item = String>) -> Result<Order, String> {
    let mut arguments = arguments.peekable();
    let mut long: Option<Plan> = None;
    let (mut filters, mut skipped) = (Vec::new(), Vec::new());
    let (mut only_list, mut only_ignored) = (false, false);
    while let Some(argument) = arguments.next() {
        let (flag, inline) = match argument.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag.to_owned(), Some(value.to_owned())),
            _ => (argument, None),
        };
        let mut value = || inline.clone().or_else(|| arguments.next()).ok_or(format!("{flag} needs a value"));
        let number = |text: String| text.parse::<u64>().map_err(|_| format!("{flag} needs a number, not {text:?}"));
        match flag.as_str() {
            "--seed" => long.get_or_insert_with(Plan::long).seed = number(value()?)?,
            "--kills" => long.get_or_insert_with(Plan::long).kills = number(value()?)? as usize,
            "--faults" => long.get_or_insert_with(Plan::long).faults = number(value()?)?,
            "--samples" => long.get_or_insert_with(Plan::long).samples = number(value()?)? as usize,
            "--concurrency" => {
                long.get_or_insert_with(Plan::long).concurrency = number(value()?)?.clamp(1, 64) as usize
            }
            "--minutes" => long.get_or_insert_with(Plan::long).time = Duration::from_secs(60 * number(value()?)?),
            "--skip" => skipped.push(value()?),
            "--test-threads" | "--format" | "--color" | "--logfile" | "--shuffle-seed" | "-Z" => drop(value()?),
            "--list" => only_list = true,
            "--ignored" => only_ignored = true,
            "--nocapture" | "--no-capture" | "--exact" | "--quiet" | "-q" | "--include-ignored" | "--show-output"
            | "--shuffle" | "--test" | "--bench" => {}
            flag if flag.starts_with('-') => return Err(format!("there is no {flag}; usage: {USAGE}")),
            filter => filters.push(filter.to_owned()),
        }
    }
    let short = || FIXED_SEEDS.into_iter().chain([fresh_seed()]).map(Plan::short).collect();
    let mut plans: Vec<Plan> = long.map_or_else(short, |plan| vec![plan]);
    let all = plans.len();
    plans.retain(|plan| {
        let is_meant = |words: &[String]| words.iter().any(|word| plan.name().contains(word.as_str()));
        !only_ignored && (filters.is_empty() || is_meant(&filters)) && !is_meant(&skipped)
    });
    Ok(Order { filtered_out: all - plans.len(), plans, only_list })
}
