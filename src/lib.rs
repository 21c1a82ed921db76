//! flow-ingest: watches the folders that a DNA sequencer writes, and uploads every sample to Flow once, complete.

pub mod agent;
pub mod assemble;
pub mod cli;
pub mod config;
pub mod flow;
pub mod journal;
pub mod manifest;
pub mod observation;
pub mod pattern;
pub mod sample;
pub mod sandbox;
pub mod status;
pub mod upload;
pub mod watch;
pub mod yaml;
