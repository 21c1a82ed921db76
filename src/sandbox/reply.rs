//! Answers that are not the handler's: what a proxy or an overloaded platform would say.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::fmt::rfc2822::DateTimePrinter;
use serde_json::{Value, json};

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

    /// HTML from 500 on, where proxies speak, else the platform's JSON.
    pub(super) fn usual(status: u16) -> Self {
        if status >= 500 { Self::html(status) } else { Self::json(status, &json!({"error": "Scripted fault"})) }
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
