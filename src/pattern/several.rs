//! Several patterns for one thing, asked one after the other.

use std::fmt;

use super::{Captures, Pattern};

/// Patterns in order: the first that matches a path takes it. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patterns(Vec<Pattern>);

impl Patterns {
    /// `None` of no pattern at all.
    pub fn new(patterns: Vec<Pattern>) -> Option<Self> {
        (!patterns.is_empty()).then_some(Self(patterns))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Pattern> {
        self.0.iter()
    }

    /// What the first one that matches a whole path captures from it.
    pub fn captures(&self, path: &str) -> Option<Captures> {
        self.0.iter().find_map(|pattern| pattern.captures(path))
    }

    /// Whether one of them matches a whole path.
    pub fn is_match(&self, path: &str) -> bool {
        self.0.iter().any(|pattern| pattern.is_match(path))
    }

    /// As [`Pattern::could_match_below`].
    pub fn could_match_below(&self, folder: &str) -> bool {
        self.0.iter().any(|pattern| pattern.could_match_below(folder))
    }

    /// The names that any of them captures, each once, in the order in which they first appear.
    pub fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for name in self.0.iter().flat_map(Pattern::names) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    pub(crate) fn matches_file_name(&self, path: &str) -> bool {
        self.0.iter().any(|pattern| pattern.matches_file_name(path))
    }

    pub(crate) fn weight(&self) -> usize {
        self.0.iter().map(Pattern::weight).sum()
    }
}

impl From<Pattern> for Patterns {
    fn from(pattern: Pattern) -> Self {
        Self(vec![pattern])
    }
}

impl fmt::Display for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, pattern) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(" or ")?;
            }
            write!(f, "{pattern}")?;
        }
        Ok(())
    }
}
