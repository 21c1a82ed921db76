//! How samples are uploaded.

use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Samples in flight at once. Default 4.
    pub concurrency: usize,
    /// How long a lost answer to a last chunk is asked about before the file is begun anew; `None` is `auto`:
    /// twice the request timeout, and more for larger files.
    pub final_wait: Option<Duration>,
    /// What becomes of a sample that is on Flow already.
    pub if_exists: IfExists,
}

/// What becomes of a sample that is on Flow already, under the same name, in the same project and of the same account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IfExists {
    /// It is taken as done where it is the same, and blocked where it is not.
    #[default]
    Adopt,
    /// It is blocked.
    Block,
}

impl Default for Settings {
    fn default() -> Self {
        Self { concurrency: 4, final_wait: None, if_exists: IfExists::default() }
    }
}
