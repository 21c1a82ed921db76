//! The script of what goes wrong: which requests, how, how often.
//!
//! A list of rules, first come first served: a request suffers the first rule that fires. Every rule counts the
//! requests that it is about, whether or not an earlier rule took them. Where rules are not enough, a function decides
//! before them ([`Faults::decide`]).

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::course::{Fate, Gate, Stage, Until};
use super::on::{On, Sight};
use super::reply::{Reply, RetryAfter};

/// What goes wrong with a request.
#[derive(Debug, Clone, Default)]
pub(super) enum Action {
    #[default]
    Nothing,
    DropBefore,
    DropAfter,
    /// The answer, or the cut for want of one, comes at once; the work goes on.
    GoOnBehind {
        fate: Fate,
        answer: Option<Reply>,
    },
    Answer(Reply),
    AnswerAfter(Reply),
    Delay(Until),
    DelayAfter {
        until: Until,
        /// Opened between the work and the delay.
        done: Option<Gate>,
    },
    CutMidBody,
    CutMidAnswer,
    ExpireToken,
}

/// One rule of the script: which requests, when, how often, and what happens to them.
///
/// Built up in any order; without an action it lets the requests through, which uses up its `times` all the same.
#[derive(Debug)]
pub struct Fault {
    on: On,
    filename: Option<String>,
    nth: Option<usize>,
    chance: Option<(f64, Box<StdRng>)>,
    times: Option<usize>,
    seen: usize,
    action: Action,
}

impl Fault {
    /// A rule about these requests.
    pub fn on(on: On) -> Self {
        Self { on, filename: None, nth: None, chance: None, times: None, seen: 0, action: Action::Nothing }
    }

    /// Only about chunks of the file with this name on Flow.
    pub fn of_file(self, filename: impl Into<String>) -> Self {
        Self { filename: Some(filename.into()), ..self }
    }

    /// Fires at the nth such request alone, counted from 1 since the rule was added.
    pub fn nth(self, nth: usize) -> Self {
        Self { nth: Some(nth), ..self }
    }

    /// Fires with this probability, the same way each time for the same seed and the same order of requests.
    pub fn chance(self, probability: f64, seed: u64) -> Self {
        Self { chance: Some((probability, Box::new(StdRng::seed_from_u64(seed)))), ..self }
    }

    /// Fires so often at most. Without it: for ever.
    pub fn times(self, times: usize) -> Self {
        Self { times: Some(times), ..self }
    }

    /// The request comes in whole, no work is done, and the connection is cut.
    pub fn drop_before(self) -> Self {
        self.act(Action::DropBefore)
    }

    /// The work is done, and the connection is cut instead of an answer.
    pub fn drop_after(self) -> Self {
        self.act(Action::DropAfter)
    }

    /// The connection is cut at once. The work on a chunk is begun, and held up for `delay` with its bytes written
    /// and nothing recorded; other work is held up before it begins. [`Fault::held_at`], [`Fault::until`] and
    /// [`Fault::behind`] change where, for how long, and what the client hears.
    pub fn go_on_behind(self, delay: Duration) -> Self {
        let fate = Fate::Held { at: Stage::Record, until: Until::Elapsed(delay) };
        self.act(Action::GoOnBehind { fate, answer: None })
    }

    /// The bytes of the chunk are written, then the work on it dies and the connection is cut. With `recorded`, the
    /// new size is kept and the file never becomes ready; without, the chunk can be appended a second time. Which of
    /// the two the platform does is not known.
    pub fn die_hashing(self, recorded: bool) -> Self {
        self.act(Action::GoOnBehind { fate: Fate::Dies { recorded }, answer: None })
    }

    /// For [`Fault::go_on_behind`]: where the work is held up.
    pub fn held_at(mut self, stage: Stage) -> Self {
        if let Action::GoOnBehind { fate: Fate::Held { at, .. }, .. } = &mut self.action {
            *at = stage;
        }
        self
    }

    /// For [`Fault::go_on_behind`], [`Fault::delay`] and [`Fault::delay_after`]: until the gate opens, instead of for a
    /// time.
    pub fn until(mut self, gate: &Gate) -> Self {
        match &mut self.action {
            Action::GoOnBehind { fate: Fate::Held { until, .. }, .. }
            | Action::Delay(until)
            | Action::DelayAfter { until, .. } => *until = Until::Open(gate.clone()),
            _ => {}
        }
        self
    }

    /// For [`Fault::go_on_behind`] and [`Fault::die_hashing`]: the client hears this at once, instead of the cut.
    pub fn behind(mut self, reply: Reply) -> Self {
        if let Action::GoOnBehind { answer, .. } = &mut self.action {
            *answer = Some(reply);
        }
        self
    }

    /// No work is done, and this is the answer.
    pub fn answer(self, reply: Reply) -> Self {
        self.act(Action::Answer(reply))
    }

    /// The work is done, and this is the answer.
    pub fn answer_after(self, reply: Reply) -> Self {
        self.act(Action::AnswerAfter(reply))
    }

    /// No work is done, and the answer has this status: as HTML from 500 on, where proxies speak, else as JSON.
    pub fn status(self, status: u16) -> Self {
        self.answer(Reply::usual(status))
    }

    /// As [`Fault::status`], after the work is done.
    pub fn status_after(self, status: u16) -> Self {
        self.answer_after(Reply::usual(status))
    }

    /// 429 with a `Retry-After`, and no work is done.
    pub fn too_many(self, retry_after: RetryAfter) -> Self {
        self.answer(Reply::usual(429).retry_after(retry_after))
    }

    /// The work begins so much later. [`Fault::until`] changes until when.
    pub fn delay(self, delay: Duration) -> Self {
        self.act(Action::Delay(Until::Elapsed(delay)))
    }

    /// The work is done, and the answer comes so much later. [`Fault::until`] changes until when.
    pub fn delay_after(self, delay: Duration) -> Self {
        self.act(Action::DelayAfter { until: Until::Elapsed(delay), done: None })
    }

    /// For [`Fault::delay_after`]: the gate opens when the work is done, and the answer is still to come.
    pub fn opening(mut self, gate: &Gate) -> Self {
        if let Action::DelayAfter { done, .. } = &mut self.action {
            *done = Some(gate.clone());
        }
        self
    }

    /// The connection is cut while the request's body is coming in; no work is done. Requests without a body are cut
    /// as they come.
    pub fn cut_mid_body(self) -> Self {
        self.act(Action::CutMidBody)
    }

    /// The work is done, and the connection is cut in the middle of the answer's body.
    pub fn cut_mid_answer(self) -> Self {
        self.act(Action::CutMidAnswer)
    }

    /// Every token expires just before the work; see [`Sandbox::expire_token`](super::Sandbox::expire_token).
    pub fn expire_token(self) -> Self {
        self.act(Action::ExpireToken)
    }

    fn act(self, action: Action) -> Self {
        Self { action, ..self }
    }

    /// Counts a request, and tells whether the rule fires at it.
    fn fires(&mut self, sight: &Sight<'_>) -> bool {
        let ours = self.filename.as_deref().is_none_or(|name| sight.value("filename") == Some(name));
        if !ours || !self.on.matches(sight) {
            return false;
        }
        self.seen += 1;
        // The dice are thrown for every request, so that a seed means the same whatever else the rule says.
        let lucky = self.chance.as_mut().is_none_or(|(probability, dice)| dice.random::<f64>() < *probability);
        lucky && self.nth.is_none_or(|nth| nth == self.seen) && self.times != Some(0)
    }
}

/// The rules in force.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Script>);

#[derive(Default)]
struct Script {
    decide: Option<Box<Decide>>,
    rules: Vec<Fault>,
    fired: usize,
}

type Decide = dyn FnMut(&Sight<'_>) -> Option<Fault> + Send;

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut script = f.debug_struct("Script");
        script.field("rules", &self.rules).field("fired", &self.fired).finish_non_exhaustive()
    }
}

impl Faults {
    fn script(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a rule behind those there are.
    pub fn add(&self, fault: Fault) {
        self.script().rules.push(fault);
    }

    /// Lets a function decide about each request, before the rules. Of the fault that it names only what happens
    /// counts, not its `times` and the like; `None` leaves the request to the rules. It is called with the script
    /// locked, so it must not use it.
    pub fn decide(&self, decide: impl FnMut(&Sight<'_>) -> Option<Fault> + Send + 'static) {
        self.script().decide = Some(Box::new(decide));
    }

    /// Forgets every rule, and the function that decides. What is held up stays held up.
    pub fn clear(&self) {
        let mut script = self.script();
        script.rules.clear();
        script.decide = None;
    }

    /// How often a rule has fired, all rules together, since the sandbox started.
    pub fn fired(&self) -> usize {
        self.script().fired
    }

    /// What happens to this request.
    pub(super) fn pick(&self, sight: &Sight<'_>) -> Action {
        let mut script = self.script();
        let decided = script.decide.as_mut().and_then(|decide| decide(sight));
        let mut picked: Option<Action> = decided.map(|fault| fault.action);
        for rule in &mut script.rules {
            if rule.fires(sight) && picked.is_none() {
                rule.times = rule.times.map(|times| times - 1);
                picked = Some(rule.action.clone());
            }
        }
        script.fired += usize::from(picked.is_some());
        picked.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use tokio::time::Instant;

    use super::*;
    use crate::sandbox::on::tests::{chunk, fields};
    use crate::sandbox::testing::Bench;

    fn dropped(faults: &Faults) -> bool {
        matches!(faults.pick(&chunk(&fields("7", true, true))), Action::DropBefore)
    }

    #[test]
    fn a_rule_fires_so_often_at_most() {
        let faults = Faults::default();
        faults.add(Fault::on(On::Any).drop_before().times(2));
        assert_eq!([(); 4].map(|()| dropped(&faults)), [true, true, false, false]);
        assert_eq!(faults.fired(), 2);
    }

    #[test]
    fn a_rule_fires_at_the_nth_request() {
        let faults = Faults::default();
        faults.add(Fault::on(On::LastChunk).nth(2).drop_before());
        assert_eq!([(); 4].map(|()| dropped(&faults)), [false, true, false, false]);
    }

    #[test]
    fn the_first_rule_that_fires_wins_and_the_others_count_on() {
        let faults = Faults::default();
        faults.add(Fault::on(On::Any).times(1));
        faults.add(Fault::on(On::Any).nth(2).drop_before());
        assert_eq!([(); 3].map(|()| dropped(&faults)), [false, true, false]);
    }

    #[test]
    fn a_seed_always_throws_the_same_dice() {
        let throw = |seed| {
            let faults = Faults::default();
            faults.add(Fault::on(On::Any).chance(0.3, seed).drop_before());
            (0..200).map(|_| dropped(&faults)).collect::<Vec<_>>()
        };
        assert_eq!(throw(7), throw(7));
        assert_ne!(throw(7), throw(8));
        let hits = throw(7).iter().filter(|hit| **hit).count();
        assert!((30..90).contains(&hits), "{hits} of 200 at 0.3");
    }

    #[test]
    fn a_rule_may_be_about_one_file_and_rules_can_be_cleared() {
        let faults = Faults::default();
        faults.add(Fault::on(On::Any).of_file("other").drop_before());
        assert!(!dropped(&faults));
        faults.add(Fault::on(On::Any).of_file("f").drop_before());
        assert!(dropped(&faults));
        faults.clear();
        assert!(!dropped(&faults));
    }

    #[test]
    fn a_function_decides_before_the_rules() {
        let faults = Faults::default();
        faults.add(Fault::on(On::Any).status(503));
        let mut seen = 0;
        faults.decide(move |sight| {
            seen += 1;
            (seen == 2 && sight.is(&On::FinalChunk)).then(|| Fault::on(On::Any).drop_before())
        });
        assert_eq!([(); 3].map(|()| dropped(&faults)), [false, true, false]);
        assert_eq!(faults.fired(), 3, "the rule took the others");
        faults.clear();
        assert!(!dropped(&faults));
    }

    #[tokio::test]
    async fn dropped_before_the_work() {
        let bench = Bench::new().await;
        bench.sandbox.faults().add(Fault::on(On::FinalChunk).drop_before().times(1));
        let error = bench.sample_chunk().bytes("x").send().await.unwrap_err();
        assert!(!error.is_connect() && !error.is_timeout(), "{error:?}");
        assert_eq!((bench.sandbox.samples(), bench.sandbox.unfinished()), (vec![], vec![]));
        assert_eq!(bench.sandbox.requests()[0].status, None);
        bench.sample_chunk().bytes("x").id().await;
    }

    #[tokio::test]
    async fn dropped_after_the_work() {
        let bench = Bench::new().await;
        bench.sandbox.faults().add(Fault::on(On::FinalChunk).drop_after().times(1));
        bench.sample_chunk().bytes("x").send().await.unwrap_err();
        assert_eq!(bench.only_sample_bytes(), "x");
    }

    #[tokio::test]
    async fn work_that_goes_on_behind_a_lost_answer() {
        let bench = Bench::new().await;
        bench.sandbox.faults().add(Fault::on(On::FinalChunk).go_on_behind(Duration::from_millis(50)).times(1));
        bench.sample_chunk().bytes("x").send().await.unwrap_err();
        assert_eq!(bench.sandbox.samples(), [], "not yet");
        bench.sandbox.idle().await;
        assert_eq!(bench.only_sample_bytes(), "x");
    }

    #[tokio::test]
    async fn work_that_goes_on_behind_a_gateway_s_timeout() {
        let bench = Bench::new().await;
        let gate = Gate::new();
        let fault = Fault::on(On::FinalChunk).go_on_behind(Duration::ZERO).until(&gate).behind(Reply::html(504));
        bench.sandbox.faults().add(fault.times(1));
        assert_eq!(bench.sample_chunk().bytes("x").answer().await.0, 504);
        assert_eq!(bench.sandbox.unfinished().len(), 1);
        gate.open();
        bench.sandbox.idle().await;
        assert_eq!(bench.only_sample_bytes(), "x");
    }

    #[tokio::test]
    async fn work_other_than_a_chunk_s_is_held_up_before_it_begins() {
        let bench = Bench::new().await;
        bench.sandbox.faults().add(Fault::on(On::Me).go_on_behind(Duration::ZERO).times(1));
        bench.get("/me").send().await.unwrap_err();
        bench.sandbox.idle().await;
        assert_eq!(bench.read("/me").await.0, 200);
    }

    #[tokio::test]
    async fn a_client_that_hangs_up_does_not_stop_the_work() {
        let bench = Bench::new().await;
        bench.sandbox.faults().add(Fault::on(On::FinalChunk).delay(Duration::from_millis(200)).times(1));
        let client = tokio::spawn(bench.sample_chunk().bytes("x").request().send());
        bench.busy().await;
        client.abort();
        assert!(client.await.unwrap_err().is_cancelled());
        bench.sandbox.idle().await;
        assert_eq!(bench.only_sample_bytes(), "x");
    }

    #[tokio::test]
    async fn a_connection_cut_while_the_body_comes_in_leaves_nothing() {
        let bench = Bench::new().await;
        bench.sandbox.faults().add(Fault::on(On::Chunk).cut_mid_body().times(1));
        bench.chunk().bytes(vec![0; 3_000_000]).send().await.unwrap_err();
        let log = bench.sandbox.requests().remove(0);
        assert!(log.blob_len.is_some_and(|length| length < 3_000_000), "{log:?}");
        assert_eq!((log.status, bench.sandbox.unfinished()), (None, vec![]));
    }

    #[tokio::test]
    async fn a_connection_cut_in_the_middle_of_the_answer() {
        let bench = Bench::new().await;
        let id = bench.chunk().bytes("0123456789").id().await;
        bench.sandbox.faults().add(Fault::on(On::Download).cut_mid_answer().times(1));
        let mut response = bench.get(&format!("/downloads/{id}/f.fastq")).send().await.unwrap();
        assert_eq!((response.status().as_u16(), response.content_length()), (200, Some(10)));
        assert_eq!(response.chunk().await.unwrap().unwrap(), "01234");
        response.chunk().await.unwrap_err();
    }

    #[tokio::test]
    async fn statuses_before_and_after_the_work() {
        let bench = Bench::new().await;
        bench.sandbox.faults().add(Fault::on(On::Chunk).status(503).times(1));
        bench.sandbox.faults().add(Fault::on(On::Chunk).status_after(502).times(1));
        let refused = bench.chunk().bytes("x").request().send().await.unwrap();
        assert_eq!((refused.status().as_u16(), refused.headers()["content-type"].as_bytes()), (503, &b"text/html"[..]));
        assert_eq!(bench.sandbox.data(), []);
        assert_eq!(bench.chunk().bytes("x").answer().await.0, 502);
        assert_eq!(bench.sandbox.data().len(), 1);
    }

    #[tokio::test]
    async fn an_answer_of_any_shape() {
        let bench = Bench::new().await;
        let body = json!({"warnings": [{"row": 2, "message": "?"}]});
        bench.sandbox.faults().add(Fault::on(On::Any).answer(Reply::json(400, &body)).times(1));
        assert_eq!(bench.read("/me").await, (400, body));
        bench.sandbox.faults().add(Fault::on(On::Any).answer_after(Reply::empty(504)).times(1));
        assert_eq!(bench.get("/me").send().await.unwrap().content_length(), Some(0));
    }

    #[tokio::test]
    async fn too_many_requests_until_a_moment_or_a_date() {
        let bench = Bench::new().await;
        bench.sandbox.faults().add(Fault::on(On::Chunk).too_many(RetryAfter::Seconds(7)).times(1));
        bench.sandbox.faults().add(Fault::on(On::Chunk).too_many(RetryAfter::DateIn(Duration::from_secs(60))).times(1));
        let seconds = bench.chunk().request().send().await.unwrap();
        assert_eq!((seconds.status().as_u16(), seconds.headers()["retry-after"].as_bytes()), (429, &b"7"[..]));
        let date = bench.chunk().request().send().await.unwrap();
        let text = date.headers()["retry-after"].to_str().unwrap();
        assert!(text.ends_with(" GMT") && text.len() == 29, "{text}");
    }

    #[tokio::test]
    async fn answers_that_come_late() {
        let bench = Bench::new().await;
        let delay = Duration::from_millis(30);
        bench.sandbox.faults().add(Fault::on(On::Me).delay(delay).times(1));
        bench.sandbox.faults().add(Fault::on(On::Me).delay_after(delay).times(1));
        for _ in 0..2 {
            let begun = Instant::now();
            assert_eq!(bench.read("/me").await.0, 200);
            assert!(begun.elapsed() >= delay);
        }
    }

    #[tokio::test]
    async fn work_and_answers_that_wait_for_a_gate() {
        let bench = Bench::new().await;
        let hold = |fault: Fault, gate: &Gate| bench.sandbox.faults().add(fault.until(gate).times(1));
        let (work, answer, done) = (Gate::new(), Gate::new(), Gate::new());
        hold(Fault::on(On::FinalChunk).delay(Duration::ZERO), &work);
        let client = tokio::spawn(bench.sample_chunk().bytes("x").request().send());
        bench.busy().await;
        assert_eq!(bench.sandbox.samples(), []);
        work.open();
        assert_eq!(client.await.unwrap().unwrap().status(), 200);
        hold(Fault::on(On::Me).delay_after(Duration::ZERO).opening(&done), &answer);
        let client = tokio::spawn(bench.get("/me").send());
        done.opened().await;
        assert!(!client.is_finished());
        answer.open();
        assert_eq!(client.await.unwrap().unwrap().status(), 200);
    }

    #[tokio::test]
    async fn work_that_is_done_is_told_before_its_answer_goes_out() {
        let bench = Bench::new().await;
        let done = Gate::new();
        bench.sandbox.faults().add(Fault::on(On::FinalChunk).delay_after(Duration::from_secs(600)).opening(&done));
        let client = tokio::spawn(bench.sample_chunk().bytes("x").request().send());
        done.opened().await;
        assert_eq!(bench.only_sample_bytes(), "x");
        assert!(!client.is_finished());
    }

    #[tokio::test]
    async fn a_token_that_expires_in_the_middle() {
        let bench = Bench::new().await;
        bench.sandbox.faults().add(Fault::on(On::MiddleChunk).expire_token().times(1));
        let id = bench.chunk().at("", 0, "a", false).id().await;
        assert_eq!(bench.chunk().at(&id, 1, "b", false).answer().await.0, 401);
        bench.sandbox.set_token("another");
        bench.chunk().at(&id, 1, "b", true).token(Some("another")).id().await;
    }
}
