//! How a command ends: the exit codes of the platform's own CLI, and errors that know theirs.

use std::process::ExitCode;

use crate::agent::AgentError;
use crate::agent::by_hand::{ByHandError, GivenError};
use crate::config::ConfigError;
use crate::flow::{self, ApiError, ErrorKind, FileError, NO_API_THERE};
use crate::journal::JournalError;
use crate::sandbox;
use crate::status::SocketError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    Success = 0,
    /// API or runtime error.
    Failure = 1,
    /// Usage, config or input error.
    Usage = 2,
    Authentication = 3,
    NotFound = 4,
    /// Refused as invalid.
    Invalid = 5,
    /// Told to stop, as the shell counts a SIGINT.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommandError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Agent(#[from] AgentError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Socket(#[from] SocketError),
    #[error(transparent)]
    Init(#[from] super::init::InitError),
    #[error(transparent)]
    Sandbox(#[from] sandbox::Error),
    #[error(transparent)]
    Flow(#[from] flow::Error),
    /// The log-in itself failed.
    #[error("{0}{remedy}", remedy = remedy_at_log_in(.0))]
    LogIn(flow::Error),
    /// A flag, a variable or a file that the command was given is wrong.
    #[error("{0}")]
    Input(String),
    #[error(transparent)]
    Given(#[from] GivenError),
    /// A value that Flow would refuse.
    #[error("{0}")]
    Invalid(String),
    /// Something that Flow does not have.
    #[error("{0}")]
    Missing(String),
    #[error(transparent)]
    ByHand(#[from] ByHandError),
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

impl CommandError {
    pub fn exit(&self) -> Exit {
        match self {
            Self::Config(_) | Self::Init(_) | Self::Input(_) | Self::Given(_) => Exit::Usage,
            Self::ByHand(ByHandError::OtherServer { .. } | ByHandError::NotOurs { .. }) => Exit::Usage,
            Self::Journal(JournalError::NotEmpty { .. }) => Exit::Usage,
            Self::Invalid(_) => Exit::Invalid,
            Self::Missing(_) | Self::Socket(SocketError::Unknown { .. }) => Exit::NotFound,
            Self::Socket(SocketError::Refused { .. }) => Exit::Usage,
            // Credentials that Flow refuses as a bad request are refused credentials.
            Self::LogIn(error) if error.status().is_some_and(|status| matches!(status, 400 | 403 | 422)) => {
                Exit::Authentication
            }
            Self::LogIn(error) => of_flow(error),
            Self::Flow(error) | Self::Agent(AgentError::Flow(error)) | Self::ByHand(ByHandError::Flow(error)) => {
                of_flow(error)
            }
            Self::ByHand(_)
            | Self::Agent(_)
            | Self::Journal(_)
            | Self::Socket(_)
            | Self::Sandbox(_)
            | Self::Other(_) => Exit::Failure,
        }
    }

    /// Says what is wrong on stderr and, with `--json`, as the one document on stdout.
    pub fn report(&self, is_json: bool) -> Exit {
        let exit = self.exit();
        eprintln!("flow-ingest: {self}");
        if is_json {
            let mut document = serde_json::json!({ "version": 1, "error": self.to_string(), "exit": exit as u8 });
            if let Some(answer) = self.answer() {
                document["status"] = answer.status.into();
                document["body"] = answer.body.clone().unwrap_or_default();
            }
            super::output::json(&document);
        }
        exit
    }

    /// What Flow answered, where that is the error.
    fn answer(&self) -> Option<&ApiError> {
        match self {
            Self::LogIn(error) | Self::Flow(error) => error.api(),
            _ => None,
        }
    }
}

fn remedy_at_log_in(error: &flow::Error) -> String {
    match error.status() {
        Some(404) => format!("; {NO_API_THERE}"),
        _ => String::new(),
    }
}

fn of_flow(error: &flow::Error) -> Exit {
    match error {
        flow::Error::Credentials(_) => Exit::Authentication,
        flow::Error::Setup { .. } => Exit::Usage,
        flow::Error::Invalid { .. } => Exit::Invalid,
        flow::Error::File(FileError::Unreadable { .. }) => Exit::Usage,
        flow::Error::Unreachable { .. }
        | flow::Error::Lost { .. }
        | flow::Error::File(_)
        | flow::Error::Spoiled(_)
        | flow::Error::Unsettled { .. } => Exit::Failure,
        flow::Error::Refused(api) => match api.kind() {
            ErrorKind::Authentication => Exit::Authentication,
            ErrorKind::NotFound => Exit::NotFound,
            kind if kind.is_bad_request() => Exit::Invalid,
            _ => Exit::Failure,
        },
    }
}
