//! How samples are uploaded.

use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Samples in flight at once. Default 4.
    pub concurrency: usize,
    /// How long a lost answer to a last chunk is asked about before the file is begun anew; `None` is `auto`:
    /// twice the request timeout, and more for larger files.
    pub final_wait: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { concurrency: 4, final_wait: None }
    }
}
