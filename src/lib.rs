//! flow-ingest: watches the folders that a DNA sequencer writes, and uploads every sample to Flow once, complete.
//!
//! # The client alone
//!
//! [`flow`] is a client of the Flow API for any Rust program, whether or not it ever runs the agent:
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
//! The base URL is [`flow::DEFAULT_BASE_URL`], unless a private instance is meant. More on the page of [`flow`].
//!
//! # The agent
//!
//! The other modules are the rooms of the agent. Data goes one way through them: [`watch`] sees files, [`assemble`]
//! makes samples of them as the [`manifest`] says, the [`journal`] records what was decided, [`upload`] takes it from
//! there to [`flow`]. [`agent`] puts them together, [`cli`] is what a person types, [`status`] what they read, and
//! [`sandbox`] a stand-in for Flow on this machine, for tests and first steps.

pub mod agent;
pub mod assemble;
pub mod cli;
pub mod config;
pub mod flow;
#[doc(hidden)]
pub mod fuzzing;
pub mod journal;
pub mod layout;
pub mod manifest;
pub mod observation;
pub mod outcome;
pub mod pattern;
pub mod preflight;
pub mod sample;
pub mod sandbox;
pub mod sheet;
pub mod status;
pub mod upload;
pub mod watch;
pub mod yaml;
