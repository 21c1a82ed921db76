//! The one place that decides what a failed upload comes to: try again, block, wait for the files, or stop for all.

use std::time::Duration;

use crate::flow::{Error, UploadError};
use crate::journal::{Blocker, JournalError};

use super::adopt::OnFlow;
use super::parts::PartError;

/// What the pool does with a sample whose upload could not go on.
#[derive(Debug)]
pub(super) enum Disposition {
    /// Nothing is left to do: it is there.
    Adopt(OnFlow),
    /// A passing fault on this side: later.
    Retry(String),
    /// A fault of the server or the network: later, and the sample loses no try.
    Fault(Fault),
    /// A refusal in words that are not Flow's: of what stands in between, for a request that was cut on its way, or for
    /// good. Trying again tells.
    Unclear(String),
    /// Flow forbids it. Whether to this sample or to everybody, the others show.
    Forbidden(String),
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
    /// Nothing can be uploaded by anybody before a new log-in; the sample loses no try.
    Stop(String),
    /// The journal cannot be written: nothing more may be sent.
    Fail(JournalError),
}

/// A fault of the server or the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub whose: Whose,
    /// How long the server asks to be left alone.
    pub after: Option<Duration>,
    pub error: String,
}

/// Who else would have met a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// Everybody: there is no way to the server, or it asks to be left alone.
    Everybodys,
    /// Probably everybody: it has nothing to do with what was sent.
    Servers,
    /// What was sent may have brought it about.
    Doubtful,
}

/// What kept the upload's host from going on.
#[derive(Debug)]
pub(super) enum HostError {
    Journal(JournalError),
    Part(PartError),
    /// Flow could not be asked whether the sample is there already.
    Look(Error),
    /// The lists that a sample is checked by could not be read.
    Lists(Error),
    /// Flow would not take what is said of the sample: what, and what to do.
    Misses(String),
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
            // What is to be written waits by itself; what could not be read is read again.
            UploadError::Host(HostError::Journal(error)) if error.is_passing() => Self::Retry(error.to_string()),
            UploadError::Host(HostError::Journal(error)) => Self::Fail(error),
            UploadError::Host(HostError::OnFlow(found)) => Self::Adopt(found),
            UploadError::Host(HostError::Taken(reason)) => Self::Block { reason, by: Blocker::Upload },
            UploadError::Host(HostError::Look(error)) => Self::of_look(&error),
            UploadError::Host(HostError::Lists(error)) => Self::of_lists(&error),
            UploadError::Host(HostError::Misses(reason)) => Self::Block { reason, by: Blocker::Refusal },
            UploadError::Host(HostError::Part(error)) => Self::of_part(&error),
            UploadError::Spoiled(spoiled) => Self::Block { reason: spoiled.to_string(), by: Blocker::Upload },
            UploadError::Request(error) => Self::of_request(&error),
        }
    }

    /// A look at Flow that went wrong: nothing is sent before it went well.
    fn of_look(error: &Error) -> Self {
        let tell = |text| format!("Flow cannot be asked whether the sample is there already: {text}");
        match Self::of_request(error) {
            Self::Retry(error) => Self::Retry(tell(error)),
            Self::Fault(fault) => Self::Fault(Fault { error: tell(fault.error), ..fault }),
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

    /// Lists that cannot be read now. What the server refuses to list is not checked, and no error.
    fn of_lists(error: &Error) -> Self {
        let tell = |text| format!("Flow cannot be asked for its lists, by which the sample is checked first: {text}");
        match Self::of_request(error) {
            Self::Retry(error) => Self::Retry(tell(error)),
            Self::Fault(fault) => Self::Fault(Fault { error: tell(fault.error), ..fault }),
            other => other,
        }
    }

    fn of_part(error: &PartError) -> Self {
        let text = error.to_string();
        match error {
            PartError::Unreadable { .. } | PartError::TooManyOpen { .. } | PartError::Hangs { .. } => Self::Retry(text),
            PartError::Gone { .. } => Self::Missing(text),
            PartError::Changed { .. } | PartError::Altered { .. } | PartError::NoFile { .. } => Self::Wait(text),
            PartError::Corrupt { .. } | PartError::Mismatch { .. } => Self::Unsound(text),
            PartError::Stopped => Self::PutBack,
        }
    }

    fn of_request(error: &Error) -> Self {
        if let Some(fault) = Fault::of(error) {
            return Self::Fault(fault);
        }
        let text = error.to_string();
        match error {
            Error::Invalid { .. } => Self::Block { reason: text, by: Blocker::Refusal },
            Error::Spoiled(_) => Self::Block { reason: text, by: Blocker::Upload },
            Error::Credentials(_) | Error::Setup { .. } => Self::Stop(text),
            Error::Unsettled { source, .. } => Self::of_request(source),
            Error::Refused(api) => match api.status {
                401 => Self::Stop(text),
                403 => Self::Forbidden(text),
                400 if api.body.is_none() => Self::Unclear(text),
                status => {
                    let by = match status {
                        400 | 409 | 413 | 415 | 422 => Blocker::Refusal,
                        404 => Blocker::NotFound,
                        _ => Blocker::Upload,
                    };
                    Self::Block { reason: format!("Flow refused it: {text}"), by }
                }
            },
            Error::File(_) | Error::Unreachable { .. } | Error::Lost { .. } => Self::Retry(text),
        }
    }
}

impl Fault {
    /// The fault of the server or the network that an error is, if it is one.
    pub fn of(error: &Error) -> Option<Self> {
        let (whose, after) = match error {
            Error::Unreachable { .. } => (Whose::Everybodys, None),
            Error::Lost { .. } => (Whose::Doubtful, None),
            Error::Unsettled { source, .. } => return Self::of(source),
            Error::Refused(api) => {
                let whose = match api.status {
                    ..=399 | 429 | 502..=504 => Whose::Servers,
                    408 | 425 | 500.. => Whose::Doubtful,
                    // A proxy's page says nothing of the sample, but may be about what was sent; Flow's own refusals
                    // are JSON.
                    403 | 404 | 405.. if api.body.is_none() && !matches!(api.status, 409 | 413 | 415 | 422) => {
                        Whose::Doubtful
                    }
                    status if api.is_page && !matches!(status, 401 | 413) => Whose::Doubtful,
                    _ => return None,
                };
                let after = api.retry_after.filter(|after| !after.is_zero());
                (if after.is_some() { Whose::Everybodys } else { whose }, after)
            }
            _ => return None,
        };
        let hint = match error.status() {
            Some(..=399) => "; check flow.base_url",
            _ => "",
        };
        Some(Self { whose, after, error: format!("{error}{hint}") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::ApiError;

    fn refused(status: u16, body: Option<serde_json::Value>, retry_after: Option<u64>) -> Disposition {
        let api = ApiError {
            request: "POST /upload/sample".to_owned(),
            status,
            message: "No".to_owned(),
            details: Vec::new(),
            code: None,
            body,
            is_problem: false,
            is_page: false,
            retry_after: retry_after.map(Duration::from_secs),
        };
        Disposition::of_request(&Box::new(api).into())
    }

    #[test]
    fn every_answer_has_its_one_place() {
        let json = || Some(serde_json::json!({ "error": "No" }));
        for status in [429, 502, 503, 504, 302] {
            let fault = refused(status, None, None);
            assert!(
                matches!(&fault, Disposition::Fault(fault) if fault.whose == Whose::Servers),
                "{status}: {fault:?}"
            );
        }
        for (status, body) in [(408, json()), (425, None), (500, None), (500, json()), (403, None), (404, None)] {
            let fault = refused(status, body, None);
            assert!(
                matches!(&fault, Disposition::Fault(fault) if fault.whose == Whose::Doubtful),
                "{status}: {fault:?}"
            );
        }
        for (status, expected) in [
            (400, Blocker::Refusal),
            (404, Blocker::NotFound),
            (409, Blocker::Refusal),
            (413, Blocker::Refusal),
            (422, Blocker::Refusal),
        ] {
            let block = refused(status, json(), None);
            assert!(matches!(block, Disposition::Block { by, .. } if by == expected), "{status}: {block:?}");
        }
        assert!(matches!(refused(413, None, None), Disposition::Block { .. }), "a proxy's own limit");
        assert!(matches!(refused(401, json(), None), Disposition::Stop(_)));
        assert!(matches!(refused(403, json(), None), Disposition::Forbidden(_)));
    }

    #[test]
    fn a_server_that_asks_to_be_left_alone_asks_everybody() {
        for status in [429, 500, 503] {
            let Disposition::Fault(fault) = refused(status, None, Some(7)) else { panic!("{status}") };
            assert_eq!((fault.whose, fault.after), (Whose::Everybodys, Some(Duration::from_secs(7))));
        }
        let Disposition::Fault(at_once) = refused(503, None, Some(0)) else { panic!() };
        assert_eq!((at_once.whose, at_once.after), (Whose::Servers, None));
    }
}
