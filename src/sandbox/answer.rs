//! What the sandbox says when it says no, in the shapes that Flow's clients meet.
//!
//! The platform has grown four shapes of error body and uses each somewhere ([C]: the reference client reads all
//! of them); so does the sandbox, that a client which understands only one is found out here.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// A handler's answer.
pub(super) type Answer = Result<Response, Refusal>;

/// A request refused.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Refusal {
    /// 401: nobody we know.
    Unauthenticated,
    /// 404, `{"error": "Not found"}`.
    NotFound,
    /// 404 with no body, as the file server in front of the platform answers.
    BareNotFound,
    /// 413 as HTML, as the proxy in front of the platform answers.
    TooLarge,
    /// `{"error": "…"}`.
    Text(StatusCode, String),
    /// 400, `{"error": {"<field>": ["…"]}}`.
    Field { field: String, message: String },
    /// 400, `{"<field>": ["…"]}`: no "error" around it.
    BareField { field: &'static str, message: String },
    /// 400, `{"error": {"code", "message", "details"}}`.
    Envelope { field: &'static str, message: String },
    /// An `application/problem+json` body: its status, its code, its detail, and pointers into the request with
    /// what is wrong there.
    Problem { status: StatusCode, code: &'static str, detail: String, errors: Vec<(String, String)> },
    /// 400 with this body.
    Body(Value),
}

impl Refusal {
    /// The usual refusal of one field of an upload.
    pub(super) fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Field { field: field.into(), message: message.into() }
    }

    /// The sandbox's own fault: its disk is full, its folder gone.
    pub(super) fn internal(error: impl std::fmt::Display) -> Self {
        tracing::error!("the sandbox failed: {error}");
        Self::Text(StatusCode::INTERNAL_SERVER_ERROR, format!("Internal server error: {error}"))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let bad = StatusCode::BAD_REQUEST;
        match self {
            Self::Unauthenticated => {
                (StatusCode::UNAUTHORIZED, Json(json!({"error": "Not authorized"}))).into_response()
            }
            Self::NotFound => (StatusCode::NOT_FOUND, Json(json!({"error": "Not found"}))).into_response(),
            Self::BareNotFound => StatusCode::NOT_FOUND.into_response(),
            Self::TooLarge => {
                let page = "<html><head><title>413 Request Entity Too Large</title></head></html>";
                (StatusCode::PAYLOAD_TOO_LARGE, [(header::CONTENT_TYPE, "text/html")], page).into_response()
            }
            Self::Text(status, message) => (status, Json(json!({"error": message}))).into_response(),
            Self::Field { field, message } => (bad, Json(json!({"error": {field: [message]}}))).into_response(),
            Self::BareField { field, message } => (bad, Json(json!({field: [message]}))).into_response(),
            Self::Envelope { field, message } => {
                let details = json!([{"field": field, "code": "invalid", "message": message}]);
                let error = json!({"code": "validation_error", "message": "Invalid request", "details": details});
                (bad, Json(json!({"error": error}))).into_response()
            }
            Self::Problem { status, code, detail, errors } => {
                let errors: Vec<Value> = errors
                    .into_iter()
                    .map(|(pointer, detail)| json!({"pointer": pointer, "code": "invalid", "detail": detail}))
                    .collect();
                let body = json!({"title": status.canonical_reason(), "status": status.as_u16(), "code": code,
                    "detail": detail, "errors": errors});
                (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
            }
            Self::Body(body) => (bad, Json(body)).into_response(),
        }
    }
}

/// 200 with this body.
pub(super) fn ok(body: Value) -> Answer {
    Ok(Json(body).into_response())
}

/// Any path that Flow does not have either.
pub(super) async fn not_found() -> Refusal {
    Refusal::NotFound
}
