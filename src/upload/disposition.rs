//! The one place that decides what a failed upload comes to: try again, block, wait for the files, or stop for all.

use std::time::Duration;

use crate::flow::{Error, UploadError};
use crate::journal::{Blocker, JournalError};

use super::adopt::OnFlow;
use super::parts::PartError;

/// What the pool does with a sample whose upload could not go on.
#[derive(Debug)]
pub(super) enum Disposition {
    /// A passing fault: later, and not before `after` if the server asked for that.
    Retry { after: Option<Duration>, error: String },
    /// Nothing is left to do: it is there.
    Adopt(OnFlow),
    /// Only a person can help.
    Block { reason: String, by: Blocker },
    /// The files on disk are not what they were.
    Wait(String),
    /// A file is not there: gone with its share, it may be back in a moment; gone for good, the next scan says so.
    Missing(String),
    /// Nothing can be uploaded by anybody until this is mended; the sample loses no try.
    Stop(String),
    /// The journal cannot be written: nothing more may be sent.
    Fail(JournalError),
}

/// What kept the upload's host from going on.
#[derive(Debug)]
pub(super) enum HostError {
    Journal(JournalError),
    Part(PartError),
    /// Flow could not be asked whether the sample is there already.
    Look(Error),
    /// The sample is on Flow already: nothing more is to be sent.
    OnFlow(OnFlow),
    /// Another one is there in its place: which, why, and what to do.
    Taken(String),
}

impl From<JournalError> for HostError {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

impl From<PartError> for HostError {
    fn from(error: PartError) -> Self {
        Self::Part(error)
    }
}

impl From<Error> for HostError {
    fn from(error: Error) -> Self {
        Self::Look(error)
    }
}

impl Disposition {
    pub fn of(error: UploadError<HostError>) -> Self {
        match error {
            UploadError::Host(HostError::Journal(error)) => Self::Fail(error),
            UploadError::Host(HostError::Part(error @ PartError::Unreadable { .. })) => {
                Self::Retry { after: None, error: error.to_string() }
            }
            UploadError::Host(HostError::Part(error @ PartError::Gone { .. })) => Self::Missing(error.to_string()),
            UploadError::Host(HostError::Part(error)) => Self::Wait(error.to_string()),
            UploadError::Host(HostError::OnFlow(found)) => Self::Adopt(found),
            UploadError::Host(HostError::Taken(reason)) => Self::Block { reason, by: Blocker::Upload },
            UploadError::Host(HostError::Look(error)) => Self::of_look(&error),
            UploadError::Spoiled(spoiled) => Self::Block { reason: spoiled.to_string(), by: Blocker::Upload },
            UploadError::Request(error) => Self::of_request(&error),
        }
    }

    /// A look at Flow that went wrong: nothing is sent before it went well.
    fn of_look(error: &Error) -> Self {
        let tell = |text| format!("Flow cannot be asked whether the sample is there already: {text}");
        match Self::of_request(error) {
            Self::Retry { after, error } => Self::Retry { after, error: tell(error) },
            // Not something that the sample names is unknown, but the question itself.
            Self::Block { .. } => Self::Block {
                reason: tell(format!(
                    "{error}; nothing is sent before it can: check flow.base_url, or ask its operators"
                )),
                by: Blocker::Upload,
            },
            other => other,
        }
    }

    fn of_request(error: &Error) -> Self {
        let text = error.to_string();
        match error {
            Error::Unreachable { .. } | Error::Lost { .. } | Error::Unsettled { .. } | Error::File(_) => {
                Self::Retry { after: None, error: text }
            }
            Error::Invalid { .. } => Self::Block { reason: text, by: Blocker::Refusal },
            Error::Spoiled(_) => Self::Block { reason: text, by: Blocker::Upload },
            Error::Credentials(_) | Error::Setup { .. } => Self::Stop(text),
            Error::Refused(api) => match api.status {
                401 => Self::Stop(text),
                408 | 425 | 429 | 500.. => Self::Retry { after: api.retry_after, error: text },
                // A proxy's page says nothing of the sample; Flow's own refusals are JSON.
                403 | 404 | 405.. if api.body.is_none() && !matches!(api.status, 409 | 413 | 415 | 422) => {
                    Self::Retry { after: api.retry_after, error: text }
                }
                ..=399 => Self::Retry { after: None, error: format!("{text}; check flow.base_url") },
                status => {
                    let by = match status {
                        400 | 409 | 413 | 415 | 422 => Blocker::Refusal,
                        404 => Blocker::NotFound,
                        _ => Blocker::Upload,
                    };
                    Self::Block { reason: format!("Flow refused it: {text}"), by }
                }
            },
        }
    }
}
