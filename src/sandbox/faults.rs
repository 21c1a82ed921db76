//! The script of what goes wrong: which requests, how, how often.
//!
//! A list of rules, first come first served: a request suffers the first rule that fires. Every rule counts the
//! requests that it is about, whether or not an earlier rule took them.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::fmt::rfc2822::DateTimePrinter;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// Which requests a fault is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum On {
    /// Every request.
    Any,
    /// Every chunk of every upload.
    Chunk,
    /// The first chunk of a file, be it the last as well.
    FirstChunk,
    /// A chunk that is neither a file's first nor its last.
    MiddleChunk,
    /// The last chunk of a file, be it the first as well.
    LastChunk,
    /// The last chunk of a sample's last file: the one that makes the sample.
    FinalChunk,
    /// `GET /data/<id>`.
    DataLookup,
    /// `GET /samples/<id>`.
    SampleLookup,
    /// `GET /samples/search`.
    SampleSearch,
    /// `GET /downloads/…`.
    Download,
    /// `GET /me`.
    Me,
    /// `POST /login`.
    Login,
    /// `GET /token`.
    Refresh,
    /// This method, and a path below the base URL that begins with this.
    Path(&'static str, String),
}

/// What a rule is held against.
#[derive(Debug)]
pub(super) struct Sight<'a> {
    pub(super) method: &'a str,
    /// Below the base URL.
    pub(super) path: &'a str,
    pub(super) fields: &'a [(String, String)],
}

impl Sight<'_> {
    fn is_true(&self, field: &str) -> bool {
        self.value(field) == Some("true")
    }

    fn value(&self, field: &str) -> Option<&str> {
        self.fields.iter().find(|(name, _)| name == field).map(|(_, value)| value.as_str())
    }

    /// The path's last part, when the rest of it is `parent`.
    fn is_child_of(&self, parent: &str) -> bool {
        self.path.strip_prefix(parent).is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
    }
}

impl On {
    fn matches(&self, sight: &Sight<'_>) -> bool {
        let get = sight.method == "GET";
        let chunk = sight.method == "POST" && (sight.path == "/upload" || sight.path.starts_with("/upload/"));
        let first = sight.value("data").is_none_or(str::is_empty);
        let last = sight.is_true("is_last");
        match self {
            Self::Any => true,
            Self::Chunk => chunk,
            Self::FirstChunk => chunk && first,
            Self::MiddleChunk => chunk && !first && !last,
            Self::LastChunk => chunk && last,
            Self::FinalChunk => chunk && last && sight.is_true("is_last_sample"),
            Self::DataLookup => get && sight.is_child_of("/data/"),
            Self::SampleLookup => get && sight.is_child_of("/samples/"),
            Self::SampleSearch => get && sight.path == "/samples/search",
            Self::Download => get && sight.path.starts_with("/downloads/"),
            Self::Me => get && sight.path == "/me",
            Self::Login => sight.method == "POST" && sight.path == "/login",
            Self::Refresh => get && sight.path == "/token",
            Self::Path(method, path) => sight.method == *method && sight.path.starts_with(path.as_str()),
        }
    }
}

/// Where in the work on a chunk it is held up, see [`Fault::go_on_behind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The offset was compared with the recorded size; nothing is written yet.
    Append,
    /// The bytes are written; the size is not recorded and the file not ready.
    Record,
}

/// Something a test opens when the work behind a lost answer may go on.
#[derive(Debug, Clone, Default)]
pub struct Gate(CancellationToken);

impl Gate {
    /// A closed one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets through whoever waits and whoever comes later.
    pub fn open(&self) {
        self.0.cancel();
    }
}

/// How long work is held up.
#[derive(Debug, Clone)]
pub(super) enum Until {
    Elapsed(Duration),
    Open(Gate),
}

impl Until {
    async fn wait(&self) {
        match self {
            Self::Elapsed(delay) => tokio::time::sleep(*delay).await,
            Self::Open(gate) => gate.0.cancelled().await,
        }
    }
}

/// What happens to the work on a request behind a lost answer.
#[derive(Debug, Clone)]
pub(super) enum Fate {
    /// It is held up once, at this stage.
    Held { at: Stage, until: Until },
    /// It dies when the bytes are written and before the file is ready; the size may have been recorded.
    Dies { recorded: bool },
}

/// A fate on its way through the work, as an extension of the request.
#[derive(Debug, Clone)]
pub(super) struct Course {
    pub(super) fate: Fate,
    /// Opens when the work has come to where it is held up, or to its end. The answer is lost no sooner, so that the
    /// next request meets the state that the fault promised.
    reached: Gate,
}

impl Course {
    pub(super) fn new(fate: Fate) -> Self {
        Self { fate, reached: Gate::new() }
    }

    /// Waits, if this is where the work is held up.
    pub(super) async fn pass(&self, stage: Stage) {
        if let Fate::Held { at, until } = &self.fate
            && *at == stage
        {
            self.reached.open();
            until.wait().await;
        }
    }

    /// The work is at its end.
    pub(super) fn end(&self) {
        self.reached.open();
    }

    /// Waits until the client may lose its answer.
    pub(super) async fn reached(&self) {
        self.reached.0.cancelled().await;
    }
}

/// When to come back, as a server says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// `Retry-After: 7`.
    Seconds(u64),
    /// `Retry-After: Fri, 01 Jan 2027 00:00:00 GMT`, so long after the answer, in whole seconds.
    DateIn(Duration),
}

impl RetryAfter {
    fn header(self) -> Option<HeaderValue> {
        let text = match self {
            Self::Seconds(seconds) => seconds.to_string(),
            Self::DateIn(delay) => {
                let at = jiff::Timestamp::now().checked_add(delay).ok()?;
                DateTimePrinter::new().timestamp_to_rfc9110_string(&at).ok()?
            }
        };
        HeaderValue::from_str(&text).ok()
    }
}

/// An answer that is not the handler's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    status: u16,
    content_type: &'static str,
    body: String,
    retry_after: Option<RetryAfter>,
}

impl Reply {
    /// What a proxy says: HTML.
    pub fn html(status: u16) -> Self {
        let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("");
        let body = format!("<html>\n<head><title>{status} {reason}</title></head>\n<body>{reason}</body>\n</html>\n");
        Self { status, content_type: "text/html", body, retry_after: None }
    }

    /// What the platform says: JSON.
    pub fn json(status: u16, body: &Value) -> Self {
        Self { status, content_type: "application/json", body: body.to_string(), retry_after: None }
    }

    /// A status with nothing to it.
    pub fn empty(status: u16) -> Self {
        Self { status, content_type: "text/plain", body: String::new(), retry_after: None }
    }

    /// The same, with a `Retry-After`.
    pub fn retry_after(self, when: RetryAfter) -> Self {
        Self { retry_after: Some(when), ..self }
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, [(header::CONTENT_TYPE, self.content_type)], self.body).into_response();
        if let Some(value) = self.retry_after.and_then(RetryAfter::header) {
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        response
    }
}

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
    Delay(Duration),
    DelayAfter(Duration),
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

    /// For [`Fault::go_on_behind`]: the work is held up until the gate opens.
    pub fn until(mut self, gate: &Gate) -> Self {
        if let Action::GoOnBehind { fate: Fate::Held { until, .. }, .. } = &mut self.action {
            *until = Until::Open(gate.clone());
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
        self.answer(usual(status))
    }

    /// As [`Fault::status`], after the work is done.
    pub fn status_after(self, status: u16) -> Self {
        self.answer_after(usual(status))
    }

    /// 429 with a `Retry-After`, and no work is done.
    pub fn too_many(self, retry_after: RetryAfter) -> Self {
        self.answer(usual(429).retry_after(retry_after))
    }

    /// The work begins so much later.
    pub fn delay(self, delay: Duration) -> Self {
        self.act(Action::Delay(delay))
    }

    /// The work is done, and the answer comes so much later.
    pub fn delay_after(self, delay: Duration) -> Self {
        self.act(Action::DelayAfter(delay))
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

fn usual(status: u16) -> Reply {
    if status >= 500 { Reply::html(status) } else { Reply::json(status, &json!({"error": "Scripted fault"})) }
}

/// The rules in force.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Script>);

#[derive(Debug, Default)]
struct Script {
    rules: Vec<Fault>,
    fired: usize,
}

impl Faults {
    fn script(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a rule behind those there are.
    pub fn add(&self, fault: Fault) {
        self.script().rules.push(fault);
    }

    /// Forgets every rule. What is held up stays held up.
    pub fn clear(&self) {
        self.script().rules.clear();
    }

    /// How often a rule has fired, all rules together, since the sandbox started.
    pub fn fired(&self) -> usize {
        self.script().fired
    }

    /// What happens to this request.
    pub(super) fn pick(&self, sight: &Sight<'_>) -> Action {
        let mut script = self.script();
        let mut picked: Option<Action> = None;
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
