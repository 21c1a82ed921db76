//! The Flow client, usable alone: it lists, uploads and reads back, and knows nothing of runs, rules or the journal.
//!
//! ```standalone_crate
//! use flow_ingest::flow::{Client, ClientConfig, Error, NewSample, UsernamePasswordCredentials};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let mut settings = flow_ingest::sandbox::Settings::new(dir.path().join("sandbox"));
//! # (settings.username, settings.password) = ("alice".into(), "s3cret".into());
//! # let sandbox = flow_ingest::sandbox::Sandbox::start(settings).await?;
//! # std::env::set_current_dir(dir.path())?;
//! # std::fs::write("reads_R1.fastq.gz", "reads")?;
//! # std::fs::write("counts.tsv", "counts")?;
//! # quick_start(&sandbox.base_url()).await?;
//! # assert_eq!(sandbox.samples()[0].metadata["strandedness"], "reverse");
//! # assert_eq!((sandbox.samples().len(), sandbox.data().len()), (1, 1));
//! # Ok(())
//! # }
//! async fn quick_start(base_url: &str) -> Result<(), Error> {
//!     let client = Client::new(base_url, ClientConfig::default())?;
//!     client.log_in(&UsernamePasswordCredentials::new("alice", "s3cret")).await?;
//!
//!     // See which sample types there are.
//!     for sample_type in client.samples().get_types().await? {
//!         println!("{}: {}", sample_type.identifier, sample_type.name);
//!     }
//!
//!     // Upload a sample.
//!     let sample = NewSample::new("My_RNA-Seq_Sample", "RNA-Seq")
//!         .file("reads1", "reads_R1.fastq.gz")
//!         .metadata("strandedness", "reverse");
//!     let sample = client.samples().upload_sample(&sample).await?;
//!     println!("Created sample {}", sample.id);
//!
//!     // Upload a generic data file.
//!     let data = client.data().upload_data("counts.tsv").await?;
//!     println!("Uploaded data {}", data.id);
//!     Ok(())
//! }
//! ```
//!
//! The base URL is [`DEFAULT_BASE_URL`], unless a private instance is meant. Names are refused by Flow when they have
//! spaces in them. Everything is async and needs a tokio runtime; a [`Client`] is cheap to clone, and its clones share
//! connections, token and the place where progress is drawn.
//!
//! # What there is
//!
//! | | |
//! | --- | --- |
//! | [`Client::samples`] | types, metadata attributes, organisms, projects; upload of samples and multiplexed reads; annotation sheets; imports by accession; reading and finding samples |
//! | [`Client::data`] | data types; upload of generic files; reading, finding and downloading files |
//! | [`Client::get`], [`Client::post`], [`Client::patch`] | any other path, in JSON; with `_raw`, byte for byte |
//! | [`Client::log_in`] | [`UsernamePasswordCredentials`], [`TokenCredentials`], or a strategy of your own behind [`Credentials`] |
//!
//! What a method is called, what it takes and what it means follows the platform's own Python client, version 2, of
//! which the settings are these, with the same defaults:
//!
//! ```
//! use std::time::Duration;
//! use flow_ingest::flow::{Client, ClientConfig, DEFAULT_BASE_URL};
//!
//! # fn main() -> Result<(), flow_ingest::flow::Error> {
//! let config = ClientConfig {
//!     chunk_size: 5_000_000,
//!     show_progress: false,
//!     request_timeout: Duration::from_secs(120),
//!     ..ClientConfig::default()
//! };
//! let client = Client::new(DEFAULT_BASE_URL, config)?;
//! # Ok(())
//! # }
//! ```
//!
//! # Tokens
//!
//! A log-in with a password brings a token and a cookie. When the token has expired, the request that meets the 401
//! gets a fresh one through the cookie and is sent once more; requests that meet it together share one refresh. When
//! that fails, the 401 is what the caller sees. A [`TokenCredentials`] token has no cookie: it is good until it ends.
//!
//! # Errors
//!
//! [`Error`] tells apart what the caller may do next: whether nothing was sent, whether the answer was lost and the
//! server may have done its work, or whether it refused, and then which [`ErrorKind`] of refusal it is. [`ApiError`]
//! holds the status, the server's words, its details and code, and the body as it was sent.
//!
//! # Uploads
//!
//! [`SampleResource::upload_sample`], [`SampleResource::upload_multiplexed_data`] and [`DataResource::upload_data`]
//! send local files in chunks and return when Flow has them. They never send a last chunk again whose answer was lost,
//! but ask what became of it, so that no answer that gets lost makes a second sample; and their chunks grow by a byte
//! each, so that one that the server stored twice always shows. With a [`Checkpoint`] an upload outlives the process.
//!
//! Beneath them, [`advance`] drives the one state machine of a resumable upload, which hands each checkpoint to a
//! caller's [`Host`] and goes on when it is stored.

#![warn(missing_docs)]

mod api_error;
mod auth;
mod bars;
mod boundaries;
mod caller;
mod catalogue;
mod checkpoint;
mod chunk;
mod client;
mod config;
mod data;
mod data_upload;
mod download;
mod error;
pub(crate) mod fuzzing;
mod id;
mod imports;
mod lenient;
mod local;
mod mask;
mod metadata;
mod multiplexed_upload;
mod pages;
mod raw;
mod sample_upload;
mod samples;
mod upload;

use std::time::Duration;

pub use api_error::{ApiError, Detail, ErrorKind};
pub use auth::{CredentialSource, Credentials, CredentialsError, TokenCredentials, UsernamePasswordCredentials};
pub use boundaries::{Boundaries, Chunk};
pub use catalogue::{DataType, Organism, Project, SampleType};
pub use checkpoint::{Checkpoint, Saved};
pub use client::{Client, Me, is_loopback};
pub use config::ClientConfig;
pub use data::{Data, DataResource, FoundData, SampleLink};
pub use data_upload::{NewData, UploadedData};
pub use error::{Error, FileError, NO_API_THERE, Obstacle};
pub use imports::{ImportStatus, SampleImportJob, SampleImportSpec};
pub use metadata::{MetadataAttribute, Options};
pub use multiplexed_upload::{MultiplexedUpload, NewMultiplexed};
pub use pages::Pages;
pub use sample_upload::{NewSample, Sample};
pub use samples::{FileEntry, Fileset, FoundSample, MetadataValue, Named, Owner, SampleDetails, SampleResource};
pub use upload::{
    FileProgress, Finished, FoundWithoutId, Host, Making, Outcome, Progress, Spoiled, Stage, Submission,
    SubmissionFile, UploadError, advance,
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
