//! One request from its first byte to its answer: received, held against the script of faults, worked on, logged.
//!
//! The work runs in a task of its own. A server goes on when its client hangs up, and that is where doubles come
//! from; the framework alone would drop the work with the connection.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Multipart, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::stream;

use super::Shared;
use super::answer::Refusal;
use super::course::{Course, Fate};
use super::faults::Action;
use super::form::{Form, Unread};
use super::log::RequestLog;
use super::on::Sight;
use super::server::Line;

/// How a request ends.
enum End {
    Answered(Response),
    Cut,
    /// With half of the body.
    CutMidAnswer(Response),
}

/// Counts as work under way for as long as it lives.
struct Work(Arc<Shared>);

impl Work {
    fn begin(shared: &Arc<Shared>) -> Self {
        shared.works.send_modify(|works| *works += 1);
        Self(shared.clone())
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.0.works.send_modify(|works| *works -= 1);
    }
}

/// The layer around every handler. The form of an upload reaches its handler as an `Arc<Form>` extension, and what
/// a fault wants done to the work as a [`Course`].
pub(super) async fn exchange(
    State(shared): State<Arc<Shared>>,
    Extension(line): Extension<Line>,
    mut request: Request,
    next: Next,
) -> Response {
    let method = request.method().to_string();
    let path = request.uri().path().strip_prefix("/api").unwrap_or(request.uri().path()).to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let came = Instant::now();
    let mut log = RequestLog {
        came,
        answered: came,
        method,
        path,
        query,
        fields: Vec::new(),
        blob_len: None,
        blob_filename: None,
        status: None,
    };

    let mut action = None;
    let end = if request.method() == Method::POST && log.path.starts_with("/upload") {
        let mut form = Form::default();
        let received = receive(&shared, &mut request, &mut form, &log, &mut action).await;
        log.fields.clone_from(&form.fields);
        log.blob_len = form.blob.as_ref().map(|blob| blob.length);
        log.blob_filename = form.blob.as_ref().and_then(|blob| blob.filename.clone());
        request.extensions_mut().insert(Arc::new(form));
        received
    } else {
        let action = action.insert(shared.faults.pick(&Sight { method: &log.method, path: &log.path, fields: &[] }));
        if matches!(action, Action::CutMidBody) { Some(End::Cut) } else { None }
    };
    let end = match end {
        Some(end) => end,
        None => {
            let work = Work::begin(&shared);
            let task = carry_out(work, action.unwrap_or_default(), request, next);
            // Only a panic of ours ends the task early.
            tokio::spawn(task).await.unwrap_or_else(|error| End::Answered(Refusal::internal(error).into_response()))
        }
    };

    if let End::Answered(response) | End::CutMidAnswer(response) = &end {
        log.status = Some(response.status().as_u16());
    }
    log.answered = Instant::now();
    shared.log.push(log);
    match end {
        End::Answered(response) => response,
        End::CutMidAnswer(response) => truncated(response, line).await,
        End::Cut => match line.cut().await {},
    }
}

/// Takes in an upload's form, and the fault that it is to suffer. The end, when there is nothing to work on.
async fn receive(
    shared: &Shared,
    request: &mut Request,
    form: &mut Form,
    log: &RequestLog,
    action: &mut Option<Action>,
) -> Option<End> {
    let body = std::mem::take(request.body_mut());
    let mut whole = Request::new(body);
    *whole.headers_mut() = request.headers().clone();
    *whole.extensions_mut() = request.extensions().clone();
    let multipart = match Multipart::from_request(whole, &()).await {
        Ok(multipart) => multipart,
        Err(rejection) => return Some(End::Answered(rejection.into_response())),
    };
    let known = |fields: &[(String, String)]| {
        let picked = shared.faults.pick(&Sight { method: &log.method, path: &log.path, fields });
        matches!(action.insert(picked), Action::CutMidBody)
    };
    match form
        .read(multipart, shared.store.spool_dir(), shared.settings.max_chunk, &shared.traffic.received, known)
        .await
    {
        Ok(()) => None,
        Err(Unread::Cut) => Some(End::Cut),
        Err(Unread::TooLarge) => Some(End::Answered(Refusal::TooLarge.into_response())),
        Err(Unread::Broken(error)) => Some(End::Answered(error.into_response())),
        Err(Unread::Disk(error)) => Some(End::Answered(Refusal::internal(error).into_response())),
    }
}

/// Does the work and whatever the fault does to it.
async fn carry_out(work: Work, action: Action, mut request: Request, next: Next) -> End {
    match action {
        Action::Nothing => End::Answered(next.run(request).await),
        Action::DropBefore | Action::CutMidBody => End::Cut,
        Action::DropAfter => {
            next.run(request).await;
            End::Cut
        }
        Action::GoOnBehind { fate, answer } => {
            let course = Course::new(fate);
            request.extensions_mut().insert(course.clone());
            let behind = course.clone();
            tokio::spawn(async move {
                let is_chunk = request.extensions().get::<Arc<Form>>().is_some();
                if let (false, Fate::Held { at, .. }) = (is_chunk, &behind.fate) {
                    behind.pass(*at).await;
                }
                next.run(request).await;
                behind.end();
                drop(work);
            });
            course.reached().await;
            answer.map_or(End::Cut, |reply| End::Answered(reply.into_response()))
        }
        Action::Answer(reply) => End::Answered(reply.into_response()),
        Action::AnswerAfter(reply) => {
            next.run(request).await;
            End::Answered(reply.into_response())
        }
        Action::Delay(until) => {
            until.wait().await;
            End::Answered(next.run(request).await)
        }
        Action::DelayAfter { until, done } => {
            let response = next.run(request).await;
            if let Some(done) = done {
                done.open();
            }
            until.wait().await;
            End::Answered(response)
        }
        Action::CutMidAnswer => End::CutMidAnswer(next.run(request).await),
        Action::ExpireToken => {
            work.0.access.expire_tokens();
            End::Answered(next.run(request).await)
        }
    }
}

/// The same answer with its length as promised and half of its body, after which the line is cut.
async fn truncated(response: Response, line: Line) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    let half = body.slice(..body.len() / 2);
    let parts_of_body = stream::unfold(Some(half), move |half| {
        let line = line.clone();
        async move {
            if let Some(half) = half {
                return Some((Ok::<Bytes, io::Error>(half), None));
            }
            // The server writes out what it has before it asks for more again.
            tokio::task::yield_now().await;
            let never: Infallible = line.cut().await;
            match never {}
        }
    });
    Response::from_parts(parts, Body::from_stream(parts_of_body))
}
