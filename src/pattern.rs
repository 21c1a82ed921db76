//! Path patterns: `*`, `?`, `**/` and captures.

/// A compiled pattern.
#[derive(Debug, Clone)]
pub struct Pattern;
