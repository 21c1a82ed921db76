//! The one place that decides what a failed upload comes to: try again, block, wait for the files, or stop for all.

use std::time::Duration;

use crate::flow::{Error, UploadError};
use crate::journal::{Blocker, JournalError};

use super::parts::PartError;

/// What the pool does with a sample whose upload could not go on.
#[derive(Debug)]
pub(super) enum Disposition {
    /// A passing fault: later, and not before `after` if the server asked for that.
    Retry { after: Option<Duration>, error: String },
    /// Only a person can help.
    Block { reason: String, by: Blocker },
    /// The files on disk are not what they were.
    Wait(String),
    /// A file is not there: gone with its share, it may be back in a moment; gone for good, the next scan says so.
    Missing(String),
    /// A file is not whole: it may be on its way still, and once it is too old for that a person is asked.
    Unsound(String),
    /// The agent is stopping: it goes on from here at its next start.
    PutBack,
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
}

impl Disposition {
    pub fn of(error: UploadError<HostError>) -> Self {
        match error {
            UploadError::Host(HostError::Journal(error)) => Self::Fail(error),
            UploadError::Host(HostError::Part(error)) => Self::of_part(&error),
            UploadError::Spoiled(spoiled) => Self::Block { reason: spoiled.to_string(), by: Blocker::Upload },
            UploadError::Request(error) => Self::of_request(&error),
        }
    }

    fn of_part(error: &PartError) -> Self {
        let text = error.to_string();
        match error {
            PartError::Unreadable { .. } | PartError::TooManyOpen { .. } | PartError::Hangs { .. } => {
                Self::Retry { after: None, error: text }
            }
            PartError::Gone { .. } => Self::Missing(text),
            PartError::Changed { .. } | PartError::Altered { .. } | PartError::NoFile { .. } => Self::Wait(text),
            PartError::Corrupt { .. } | PartError::Mismatch { .. } => Self::Unsound(text),
            PartError::Stopped => Self::PutBack,
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
