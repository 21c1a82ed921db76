//! The Flow client, usable alone.

mod config;

pub use config::ClientConfig;

/// Where Flow is, unless a private instance is named.
pub const DEFAULT_BASE_URL: &str = "https://app.flow.bio/api";
