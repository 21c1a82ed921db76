//! The status over HTTP: on a loopback port for people and monitoring, on the socket for the commands.

use std::net::SocketAddr;
use std::path::Path;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing::get};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::asked::{self, Question};
use super::board::Board;
use super::door::{self, Identity};
use super::snapshot::Snapshot;
use super::socket::{self, SocketError};
use super::table;
use crate::journal::Journal;

#[derive(Clone)]
pub(super) struct Source {
    pub journal: Journal,
    pub board: Board,
    pub identity: Identity,
    /// Where questions go that only the agent can answer; `None`: nobody answers them.
    pub questions: Option<mpsc::Sender<Question>>,
}

/// Serves the status on the state folder's socket and, where one is given, on `listen`, until `shutdown`.
///
/// A port that cannot be had is said and left: it must not keep samples from being uploaded.
///
/// # Errors
/// When the socket cannot be made: without it the commands could not reach the agent.
pub async fn serve(
    journal: Journal,
    board: Board,
    identity: Identity,
    state_dir: &Path,
    listen: Option<SocketAddr>,
    questions: Option<mpsc::Sender<Question>>,
    shutdown: CancellationToken,
) -> Result<(), SocketError> {
    let unix = socket::listen(state_dir)?;
    let source = Source { journal, board, identity, questions };
    let reading = Router::new().route("/", get(page)).route("/status", get(status));
    // The port is for whoever can reach it: it shows, and takes nothing.
    let router = reading.clone().with_state(source.clone());
    let at_the_door =
        reading.merge(door::routes()).merge(asked::routes()).layer(DefaultBodyLimit::disable()).with_state(source);
    let over_tcp = {
        let shutdown = shutdown.clone();
        async move {
            let Some(address) = listen else { return };
            match TcpListener::bind(address).await {
                Ok(listener) => {
                    tracing::info!(%address, "status is served");
                    let served = axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned());
                    if let Err(error) = served.await {
                        tracing::error!(%address, %error, "the status is no longer served");
                    }
                }
                Err(error) => tracing::error!(
                    %address, %error, "cannot serve the status there; choose another status.listen, or none"
                ),
            }
        }
    };
    let over_unix = async {
        let served = axum::serve(unix, at_the_door).with_graceful_shutdown(shutdown.clone().cancelled_owned());
        served.await.map_err(|source| SocketError::Listen { path: state_dir.to_owned(), source })
    };
    let both = async { tokio::join!(over_tcp, over_unix).1 };
    // A reader that holds its connection open does not hold up the end.
    tokio::select! {
        ended = both => ended,
        () = shutdown.cancelled() => Ok(()),
    }
}

async fn status(State(source): State<Source>) -> Response {
    snapshot(source).await.map_or_else(|error| error, |snapshot| Json(snapshot).into_response())
}

async fn page(State(source): State<Source>) -> Response {
    let text = |snapshot: Snapshot| {
        ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], table::render(&snapshot)).into_response()
    };
    snapshot(source).await.map_or_else(|error| error, text)
}

/// Reading every record is work for a blocking thread.
async fn snapshot(source: Source) -> Result<Snapshot, Response> {
    let taken = tokio::task::spawn_blocking(move || Snapshot::take(&source.journal, &source.board, "running")).await;
    match taken {
        Ok(Ok(snapshot)) => Ok(snapshot),
        Ok(Err(error)) => Err((StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response()),
        Err(error) => Err((StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response()),
    }
}
