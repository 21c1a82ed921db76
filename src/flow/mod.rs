//! The Flow client, usable alone.
//!
//! [`Client`] speaks the REST API; [`advance`] drives the one state machine of a resumable upload, which hands each
//! checkpoint to a caller's [`Host`] and goes on when it is stored. The room knows nothing of runs, rules or the
//! journal.

mod auth;
mod boundaries;
mod catalogue;
mod chunk;
mod client;
mod config;
mod data;
mod download;
mod error;
mod id;
mod imports;
mod lenient;
mod metadata;
mod pages;
mod raw;
mod samples;
mod upload;

use std::time::Duration;

pub use auth::{CredentialSource, Credentials, CredentialsError, TokenCredentials, UsernamePasswordCredentials};
pub use boundaries::{Boundaries, Chunk};
pub use catalogue::{DataType, Organism, Project, SampleType};
pub use client::{Client, Me};
pub use config::ClientConfig;
pub use data::{Data, DataResource, FoundData, SampleLink};
pub use error::{ApiError, Detail, Error, ErrorKind, FileError};
pub use imports::{ImportStatus, SampleImportJob, SampleImportSpec};
pub use metadata::{MetadataAttribute, Options};
pub use pages::Pages;
pub use samples::{FileEntry, Fileset, FoundSample, MetadataValue, Named, Owner, SampleDetails, SampleResource};
pub use upload::{
    FileProgress, Finished, Host, Making, Outcome, Progress, Spoiled, Stage, Submission, SubmissionFile, UploadError,
    advance,
};

/// An address, as the client takes it.
pub use reqwest::Url;

/// Where Flow is, unless a private instance is named.
pub const DEFAULT_BASE_URL: &str = "https://app.flow.bio/api";

/// The pause before try `n + 2` of a request: it doubles, up to a minute, and is spread by a quarter so that many
/// clients that failed together do not return together.
fn pause(first: Duration, n: u32) -> Duration {
    let doubled = first.saturating_mul(1 << n.min(16)).min(Duration::from_secs(60));
    doubled.mul_f64(rand::random_range(0.75..=1.0))
}
