//! The fake network: what goes wrong with which request, and the named points at which the agent is killed.
//!
//! What becomes of a request hangs on the seed, the request's kind, its file and how often the like came before, not on
//! what other requests came between: so a seed means the same, however the machine's load mixes them. It keeps to what
//! the product says that it survives: nothing works on for longer than five seconds behind a connection that broke, and
//! no file is lost so often that a person must be asked.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use flow_ingest::sandbox::{Fault, Gate, On, Reply, RetryAfter, Sandbox, Sight, Stage};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

/// How long the agent waits for an answer, in its config as well.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(1);
/// How long it asks about a lost answer to a last chunk; more than any work goes on behind one.
pub const FINAL_WAIT: Duration = Duration::from_secs(5);
/// So many faults may make the agent begin a file anew. It asks a person after the third, and kills cost some, too.
const MOST_COSTS: u32 = 2;

/// The kinds of request that fare differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Login,
    Me,
    Refresh,
    First,
    /// The first chunk of a sample's later file.
    FirstOfMate,
    Middle,
    /// The last chunk of a file, not the sample's last.
    Last,
    /// The one that makes the sample.
    Final,
    /// The last chunk of a generic file.
    Report,
    FileLookup,
    SampleLookup,
    Search,
    Other,
}

impl Kind {
    fn of(sight: &Sight<'_>) -> Self {
        let kinds = [
            (On::FinalChunk, Self::Final),
            (On::LastChunk, if sight.path() == "/upload" { Self::Report } else { Self::Last }),
            (On::FirstChunk, if sight.value("previous_data").is_some() { Self::FirstOfMate } else { Self::First }),
            (On::MiddleChunk, Self::Middle),
            (On::DataLookup, Self::FileLookup),
            (On::SampleLookup, Self::SampleLookup),
            (On::SampleSearch, Self::Search),
            (On::Me, Self::Me),
            (On::Login, Self::Login),
            (On::Refresh, Self::Refresh),
        ];
        kinds.into_iter().find(|(on, _)| sight.is(on)).map_or(Self::Other, |(_, kind)| kind)
    }

    fn closes_a_file(self) -> bool {
        matches!(self, Self::Last | Self::Final | Self::Report)
    }

    /// What goes wrong, of a thousand requests.
    fn troubles(self) -> &'static [(Trouble, u32)] {
        use Trouble::*;
        match self {
            Self::First | Self::FirstOfMate | Self::Middle => &[
                (DroppedBefore, 25),
                (DroppedAnswer, 40),
                (CutBody, 25),
                (CutAnswer, 20),
                (TooMany, 25),
                (Error, 25),
                (ErrorAfter, 15),
                (Slow, 30),
                (LateWork, 10),
                (LateAnswer, 10),
                (GoesOn, 10),
                (Expired, 4),
            ],
            // Three answers in ten are lost.
            Self::Last | Self::Final | Self::Report => &[
                (DroppedAnswer, 120),
                (CutAnswer, 50),
                (ErrorAfter, 60),
                (LateAnswer, 30),
                (GoesOn, 40),
                (LateWork, 10),
                (DroppedBefore, 15),
                (CutBody, 10),
                (Error, 15),
                (Dies, 10),
                (TooMany, 30),
                (Slow, 30),
                (Expired, 5),
            ],
            Self::FileLookup | Self::SampleLookup | Self::Search | Self::Other => &[
                (DroppedBefore, 20),
                (DroppedAnswer, 20),
                (CutAnswer, 20),
                (TooMany, 15),
                (Error, 30),
                (Slow, 25),
                (LateAnswer, 8),
                (Expired, 4),
            ],
            Self::Login | Self::Me | Self::Refresh => {
                &[(DroppedBefore, 10), (DroppedAnswer, 10), (CutAnswer, 10), (TooMany, 5), (Error, 15), (Slow, 15)]
            }
        }
    }
}

/// The kinds of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    DroppedBefore,
    DroppedAnswer,
    CutBody,
    CutAnswer,
    TooMany,
    Error,
    ErrorAfter,
    Slow,
    LateWork,
    LateAnswer,
    GoesOn,
    Dies,
    Expired,
    Outage,
}

impl Trouble {
    fn name(self) -> &'static str {
        match self {
            Self::DroppedBefore => "dropped before the work",
            Self::DroppedAnswer => "dropped answer",
            Self::CutBody => "cut in mid body",
            Self::CutAnswer => "cut in mid answer",
            Self::TooMany => "429",
            Self::Error => "5xx",
            Self::ErrorAfter => "5xx after the work",
            Self::Slow => "slow",
            Self::LateWork => "work after the timeout",
            Self::LateAnswer => "answer after the timeout",
            Self::GoesOn => "work behind a lost answer",
            Self::Dies => "work that died",
            Self::Expired => "expired token",
            Self::Outage => "outage",
        }
    }

    /// Whether the agent may have to begin the file anew.
    fn costs(self, kind: Kind) -> bool {
        match self {
            Self::DroppedBefore | Self::CutBody | Self::Error | Self::Dies => kind.closes_a_file(),
            Self::GoesOn => kind == Kind::Middle,
            _ => false,
        }
    }

    fn fault(self, dice: &mut StdRng) -> Fault {
        let fault = Fault::on(On::Any);
        let mut millis = |range: std::ops::Range<u64>| Duration::from_millis(dice.random_range(range));
        match self {
            Self::DroppedBefore => fault.drop_before(),
            Self::DroppedAnswer => fault.drop_after(),
            Self::CutBody => fault.cut_mid_body(),
            Self::CutAnswer => fault.cut_mid_answer(),
            Self::TooMany => fault.too_many(RetryAfter::Seconds(dice.random_range(0..2))),
            Self::Error => fault.status(*[500, 502, 503, 504].choose(dice).expect("there are four")),
            Self::ErrorAfter => fault.status_after(*[500, 502, 504].choose(dice).expect("there are three")),
            Self::Slow => match millis(20..500) {
                delay if delay.as_millis() % 2 == 0 => fault.delay(delay),
                delay => fault.delay_after(delay),
            },
            Self::LateWork => fault.delay(REQUEST_TIMEOUT + millis(200..1500)),
            Self::LateAnswer => fault.delay_after(REQUEST_TIMEOUT + millis(200..800)),
            Self::GoesOn => {
                let fault = fault.go_on_behind(millis(50..3500));
                let fault = if dice.random() { fault.held_at(Stage::Append) } else { fault };
                if dice.random() { fault.behind(Reply::html(504)) } else { fault }
            }
            Self::Dies => fault.die_hashing(dice.random()),
            Self::Expired => fault.expire_token(),
            Self::Outage => fault,
        }
    }
}

/// A point at which the agent is killed: what the server is about to do, has just done, or has just answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    kind: Kind,
    moment: Moment,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// The request is on its way, or lies with the server.
    Asked,
    /// The work is done, the answer has not left.
    Done,
    /// The answer has left; the agent is about to write down what it says.
    Answered,
}

impl Point {
    /// All of them.
    pub fn all() -> Vec<Self> {
        use Kind::*;
        let kinds =
            [Login, Me, Refresh, First, FirstOfMate, Middle, Last, Final, Report, FileLookup, SampleLookup, Search];
        let moments = [Moment::Asked, Moment::Done, Moment::Answered];
        moments.into_iter().flat_map(|moment| kinds.map(|kind| Self { kind, moment })).collect()
    }

    pub fn name(self) -> String {
        let kind = match self.kind {
            Kind::Login => "the log-in",
            Kind::Me => "the question who we are",
            Kind::Refresh => "the refresh of the token",
            Kind::First => "a first chunk",
            Kind::FirstOfMate => "the first chunk of a mate",
            Kind::Middle => "a middle chunk",
            Kind::Last => "the last chunk of a first file",
            Kind::Final => "the last chunk of a sample",
            Kind::Report => "the last chunk of a report",
            Kind::FileLookup => "the lookup of a file",
            Kind::SampleLookup => "the lookup of a sample",
            Kind::Search => "the search for a sample",
            Kind::Other => "another request",
        };
        match self.moment {
            Moment::Asked => format!("before {kind}"),
            Moment::Done => format!("after {kind}, before its answer"),
            Moment::Answered => format!("after the answer to {kind}"),
        }
    }

    /// Whether the agent comes by only where it knows nothing of what is on the server.
    pub fn needs_lost_state(self) -> bool {
        self.kind == Kind::SampleLookup
    }

    /// How long after the point was reached the kill is at its best, at the most.
    pub fn slack(self) -> Duration {
        match self.moment {
            Moment::Asked | Moment::Done => Duration::ZERO,
            Moment::Answered => Duration::from_millis(15),
        }
    }

    /// How long it may take until an agent that has just started comes by.
    pub fn patience(self) -> Duration {
        match self.kind {
            // The time for asking about a lost answer must be over first.
            Kind::Search | Kind::SampleLookup => FINAL_WAIT + Duration::from_secs(6),
            _ => Duration::from_secs(4),
        }
    }

    fn fault(self, hit: &Gate) -> Fault {
        let fault = Fault::on(On::Any);
        match self.moment {
            Moment::Asked => {
                hit.open();
                fault.delay(Duration::from_millis(300))
            }
            Moment::Done => fault.delay_after(Duration::from_secs(2)).opening(hit),
            Moment::Answered => fault.delay_after(Duration::ZERO).opening(hit),
        }
    }
}

/// The network, shared by all who look at it.
pub struct Network(Mutex<State>);

struct State {
    seed: u64,
    rages: bool,
    /// How often the like was asked, by the hash of kind and file.
    asked: HashMap<u64, u32>,
    /// What each file has suffered already.
    costs: HashMap<String, u32>,
    counts: BTreeMap<Trouble, u64>,
    armed: Option<(Point, Gate)>,
}

impl Network {
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(State {
            seed,
            rages: true,
            asked: HashMap::new(),
            costs: HashMap::new(),
            counts: BTreeMap::new(),
            armed: None,
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nobody panics with it")
    }

    /// What becomes of a request.
    pub fn decide(&self, sight: &Sight<'_>) -> Option<Fault> {
        self.state().decide(sight)
    }

    /// From now on all goes well.
    pub fn calm(&self) {
        let mut state = self.state();
        state.rages = false;
        state.armed = None;
    }

    /// Faults so far.
    pub fn faults(&self) -> u64 {
        self.state().counts.values().sum()
    }

    /// Faults by kind, the most frequent first.
    pub fn by_kind(&self) -> Vec<(&'static str, u64)> {
        let mut counts: Vec<_> = self.state().counts.iter().map(|(trouble, n)| (trouble.name(), *n)).collect();
        counts.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        counts
    }

    /// Opens the gate that is returned at the next request that comes to this point.
    pub fn arm(&self, point: Point) -> Gate {
        let hit = Gate::new();
        self.state().armed = Some((point, hit.clone()));
        hit
    }

    pub fn disarm(&self) {
        self.state().armed = None;
    }

    /// Now and then nobody can reach the server, until the network is calm.
    pub async fn outages(&self, sandbox: &Sandbox) {
        let mut dice = StdRng::seed_from_u64(self.state().seed ^ 0x0007);
        loop {
            if !crate::rest_unless(Duration::from_millis(dice.random_range(8_000..30_000)), || !self.state().rages)
                .await
            {
                return;
            }
            *self.state().counts.entry(Trouble::Outage).or_default() += 1;
            sandbox.pause().await;
            tokio::time::sleep(Duration::from_millis(dice.random_range(100..1500))).await;
            sandbox.resume().await.expect("the port is kept");
        }
    }
}

impl State {
    fn decide(&mut self, sight: &Sight<'_>) -> Option<Fault> {
        if !self.rages {
            return None;
        }
        let kind = Kind::of(sight);
        let file = sight.value("filename").unwrap_or_default();
        if let Some((point, hit)) = self.armed.take_if(|(point, _)| point.kind == kind) {
            let costs = point.moment == Moment::Asked && kind.closes_a_file();
            if !costs || self.can_pay(file) {
                return Some(point.fault(&hit));
            }
            self.armed = Some((point, hit));
        }
        let mut dice = self.dice(kind, file);
        let trouble = self.leads_to_armed(kind, &mut dice).or_else(|| draw(kind.troubles(), &mut dice))?;
        let trouble = match trouble.costs(kind) && !self.can_pay(file) {
            true => Trouble::DroppedAnswer,
            false => trouble,
        };
        *self.counts.entry(trouble).or_default() += 1;
        Some(trouble.fault(&mut dice))
    }

    /// The same for the same seed, kind, file and number.
    fn dice(&mut self, kind: Kind, file: &str) -> StdRng {
        let mut hasher = DefaultHasher::new();
        (self.seed, kind, file).hash(&mut hasher);
        let times = self.asked.entry(hasher.finish()).or_default();
        *times += 1;
        times.hash(&mut hasher);
        StdRng::seed_from_u64(hasher.finish())
    }

    /// Some points are reached by a fault alone.
    fn leads_to_armed(&self, kind: Kind, dice: &mut StdRng) -> Option<Trouble> {
        match (self.armed.as_ref()?.0.kind, kind) {
            _ if !dice.random_bool(0.3) => None,
            (Kind::Refresh, Kind::First | Kind::Middle) => Some(Trouble::Expired),
            (Kind::Search, Kind::Final) => Some(Trouble::DroppedBefore),
            _ => None,
        }
    }

    fn can_pay(&mut self, file: &str) -> bool {
        let costs = self.costs.entry(file.to_owned()).or_default();
        *costs += 1;
        *costs <= MOST_COSTS
    }
}

fn draw(troubles: &[(Trouble, u32)], dice: &mut StdRng) -> Option<Trouble> {
    let mut left = dice.random_range(0..1000);
    for (trouble, chance) in troubles {
        if left < *chance {
            return Some(*trouble);
        }
        left -= chance;
    }
    None
}
