//! What was asked and what was answered, kept for tests and for curious people: the latest requests, and how many bytes
//! went through all of them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// How many requests are remembered.
const KEPT: usize = 10_000;

/// One request, as the server saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestLog {
    /// When its head was there.
    pub came: Instant,
    /// When the work on it was done and its answer, or the cut for want of one, could go out.
    pub answered: Instant,
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

/// Bytes of files since the sandbox started, cut and repeated requests included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traffic {
    /// That came in.
    pub received: u64,
    /// That were written to a file, of a sample or of nobody.
    pub stored: u64,
}

/// The same, while it is counted: a request whose client is gone may never be logged.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) received: AtomicU64,
    pub(super) stored: AtomicU64,
}

impl Counters {
    pub(super) fn read(&self) -> Traffic {
        Traffic { received: self.received.load(Ordering::Relaxed), stored: self.stored.load(Ordering::Relaxed) }
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
