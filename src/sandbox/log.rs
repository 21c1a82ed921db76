//! What was asked and what was answered, kept for tests and for curious people.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// How many requests are remembered.
const KEPT: usize = 10_000;

/// One request, as the server saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestLog {
    /// `GET`, `POST`.
    pub method: String,
    /// Below the base URL: `/upload/sample`.
    pub path: String,
    /// What follows the `?`; empty when there is none.
    pub query: String,
    /// The text fields of a multipart form, in the order in which they came.
    pub fields: Vec<(String, String)>,
    /// Length of the form's file part in bytes, as far as it came; `None` when there was none.
    pub blob_len: Option<u64>,
    /// The file part's own `filename`.
    pub blob_filename: Option<String>,
    /// What was answered; `None` when the connection was cut instead.
    pub status: Option<u16>,
}

impl RequestLog {
    /// The first value of a form field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// Every value of a form field.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.fields.iter().filter(|(field, _)| field == name).map(|(_, value)| value.as_str()).collect()
    }
}

/// The latest requests.
#[derive(Debug, Default)]
pub(super) struct Log(Mutex<VecDeque<RequestLog>>);

impl Log {
    pub(super) fn push(&self, entry: RequestLog) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() == KEPT {
            entries.pop_front();
        }
        entries.push_back(entry);
    }

    pub(super) fn entries(&self) -> Vec<RequestLog> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}
