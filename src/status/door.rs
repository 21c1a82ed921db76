//! What a person tells the process that holds the state folder, uploads by hand and decisions: over the socket alone,
//! which only the owner of the folder can open. What is asked here is put into the journal like everything else.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing::get, routing::post};
use serde::{Deserialize, Serialize};

use super::serve::Source;
use super::snapshot::{SampleStatus, condition};
use super::socket::{Socket, SocketError};
use crate::journal::{Export, JournalError, Order, Record};
use crate::observation::Moment;
use crate::sample::{BY_HAND, Fingerprint, Sample, SampleId, path_to_text};

/// Who holds the state folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Where it uploads to.
    pub base_url: String,
    /// Whether it takes uploads from others: a service does, an upload by hand has no time for them.
    pub takes_uploads: bool,
}

/// What became of uploads that were handed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandedOver {
    /// One for each that was asked about and is known.
    pub uploads: Vec<SampleStatus>,
    /// Why nothing can be uploaded now.
    pub condition: Option<String>,
}

/// The routes of the door, for the socket's router.
pub(super) fn routes() -> Router<Source> {
    Router::new()
        .route("/identity", get(identity))
        .route("/uploads", post(submit))
        .route("/uploads/look", post(look))
        .route("/orders", post(decide))
        .route("/export", get(export))
}

async fn identity(State(source): State<Source>) -> Json<Identity> {
    Json(source.identity)
}

async fn submit(State(source): State<Source>, Json(samples): Json<Vec<Sample>>) -> Response {
    let refuse = |status: StatusCode, reason: String| (status, reason).into_response();
    if !source.identity.takes_uploads {
        return refuse(StatusCode::CONFLICT, "an upload by hand takes none from others".to_owned());
    }
    if samples.iter().any(|sample| sample.key.watch != BY_HAND) {
        return refuse(StatusCode::BAD_REQUEST, format!("an upload's watch is {BY_HAND:?}"));
    }
    let checked = tokio::task::spawn_blocking(move || match samples.iter().try_for_each(readable) {
        Ok(()) => Ok(samples),
        Err(reason) => Err(reason),
    });
    let samples = match checked.await.expect("looking does not panic") {
        Ok(samples) => samples,
        Err(reason) => return refuse(StatusCode::UNPROCESSABLE_ENTITY, reason),
    };
    match source.journal.submit(samples).await {
        Ok(records) => Json(handed_over(&source, &records)).into_response(),
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

async fn look(State(source): State<Source>, Json(ids): Json<Vec<SampleId>>) -> Response {
    let records: Result<Vec<_>, _> = ids.iter().filter_map(|id| source.journal.record(id).transpose()).collect();
    match records {
        Ok(records) => Json(handed_over(&source, &records)).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn decide(State(source): State<Source>, Json(order): Json<Order>) -> Response {
    match source.journal.decide(order).await {
        Ok(records) => Json(handed_over(&source, &records)).into_response(),
        Err(error @ JournalError::Unknown { .. }) => (StatusCode::NOT_FOUND, error.to_string()).into_response(),
        Err(error @ JournalError::Misstep { .. }) => {
            (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn export(State(source): State<Source>) -> Response {
    // Reading every record is work for a blocking thread.
    match tokio::task::spawn_blocking(move || source.journal.export()).await {
        Ok(Ok(export)) => Json(export).into_response(),
        Ok(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn handed_over(source: &Source, records: &[Record]) -> HandedOver {
    let now = Moment::now();
    let uploads = records.iter().map(|record| SampleStatus::of(record, now)).collect();
    HandedOver { uploads, condition: condition(&source.journal, &source.board) }
}

/// Whether this process, which may be another user's, sees and may read the files that were named to it.
fn readable(sample: &Sample) -> Result<(), String> {
    sample.parts().try_for_each(|part| {
        let path = path_to_text(&part.path);
        let metadata = std::fs::File::open(&part.path)
            .and_then(|file| file.metadata())
            .map_err(|error| format!("it cannot read {path}: {error}; give its user read access to the file"))?;
        if Fingerprint::of(&metadata) == part.fingerprint {
            Ok(())
        } else {
            Err(format!("it sees another file at {path} than was named; is that path on this machine's own disk?"))
        }
    })
}

impl Socket {
    /// Asks who holds the state folder.
    ///
    /// # Errors
    /// When nobody answers there.
    pub async fn identify(&self) -> Result<Identity, SocketError> {
        self.get("/identity").await
    }

    /// Hands uploads over to the process that holds the state folder.
    ///
    /// # Errors
    /// When nobody answers there, or it cannot take them; then it took none.
    pub async fn hand_over(&self, samples: &[Sample]) -> Result<HandedOver, SocketError> {
        self.post("/uploads", &samples).await
    }

    /// Hands over what a person decided.
    ///
    /// # Errors
    /// When nobody answers there, or one of the samples that are named cannot be what is wanted; then nothing is done.
    pub async fn decide(&self, order: &Order) -> Result<HandedOver, SocketError> {
        self.post("/orders", order).await
    }

    /// Asks for all that the journal holds.
    ///
    /// # Errors
    /// When nobody answers there, or the journal cannot be read.
    pub async fn export(&self) -> Result<Export, SocketError> {
        self.get("/export").await
    }

    /// Asks what became of uploads; those that are not known are left out.
    ///
    /// # Errors
    /// When nobody answers there.
    pub async fn look_at(&self, ids: &[SampleId]) -> Result<HandedOver, SocketError> {
        self.post("/uploads/look", &ids).await
    }
}
