//! Questions that the status cannot answer out of the journal: it hands them to the agent, which sees the folders and
//! holds the settings. They come over the socket alone.

use std::path::PathBuf;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing::post};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::serve::Source;
use super::socket::{Socket, SocketError};
use crate::sample::path_text;

/// A folder may have to be looked at whole for an answer.
const LONGEST_ANSWER: Duration = Duration::from_secs(600);

/// What the agent can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "ask")]
pub enum Ask {
    /// What became of a file or folder, and why.
    Explain {
        /// Absolute path.
        #[serde(with = "path_text")]
        path: PathBuf,
    },
    /// What changed settings would do; they are kept ready to be taken.
    Foresee,
    /// To take what was foreseen under this id.
    Take { id: String },
}

/// A question, and where its answer goes.
#[derive(Debug)]
pub struct Question {
    pub ask: Ask,
    pub answer: oneshot::Sender<Answer>,
}

/// A document, or why there is none.
pub type Answer = Result<serde_json::Value, Refusal>;

/// Why a question is not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// There is nothing of that name.
    Unknown(String),
    /// It cannot be done as asked.
    Refused(String),
    Failed(String),
}

pub(super) fn routes() -> Router<Source> {
    Router::new().route("/ask", post(ask))
}

async fn ask(State(source): State<Source>, Json(ask): Json<Ask>) -> Response {
    let gone = || Refusal::Failed("the agent is ending".to_owned());
    let answered = match &source.questions {
        None => Err(Refusal::Refused("it uploads by hand and watches no folders".to_owned())),
        Some(questions) => put(questions, ask).await.unwrap_or_else(|| Err(gone())),
    };
    match answered {
        Ok(document) => Json(document).into_response(),
        Err(Refusal::Unknown(reason)) => (StatusCode::NOT_FOUND, reason).into_response(),
        Err(Refusal::Refused(reason)) => (StatusCode::UNPROCESSABLE_ENTITY, reason).into_response(),
        Err(Refusal::Failed(reason)) => (StatusCode::INTERNAL_SERVER_ERROR, reason).into_response(),
    }
}

/// `None` when nobody answers any more.
async fn put(questions: &mpsc::Sender<Question>, ask: Ask) -> Option<Answer> {
    let (answer, answered) = oneshot::channel();
    questions.send(Question { ask, answer }).await.ok()?;
    answered.await.ok()
}

impl Socket {
    /// Asks the running agent.
    ///
    /// # Errors
    /// When nobody answers there, or it refuses.
    pub async fn put<T: DeserializeOwned>(&self, ask: &Ask) -> Result<T, SocketError> {
        self.post_for("/ask", ask, LONGEST_ANSWER).await
    }
}
