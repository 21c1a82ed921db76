//! Reads that nobody wants: what a layout leaves out unless a rule names it.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::Defaults;
use crate::layout::Ignored;

/// What the watch's layout leaves out.
#[derive(Debug, Clone)]
pub(super) struct IgnoredReads {
    globs: GlobSet,
    /// In the order of the globs.
    ignored: &'static [Ignored],
    layout: Option<&'static str>,
}

/// Why one file is left out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Why {
    ignored: Ignored,
    layout: &'static str,
}

impl IgnoredReads {
    pub fn of(defaults: Defaults) -> Self {
        let ignored = defaults.layout.filter(|_| defaults.ignores).map_or(&[][..], |layout| layout.ignored);
        let mut globs = GlobSetBuilder::new();
        for ignored in ignored {
            globs
                .add(GlobBuilder::new(ignored.glob).literal_separator(true).build().expect("a layout's glob is right"));
        }
        let globs = globs.build().expect("a layout's globs are right");
        Self { globs, ignored, layout: defaults.layout.map(|layout| layout.name) }
    }

    /// What tells one layout's from another's.
    pub fn key(&self) -> (Option<&'static str>, usize) {
        (self.layout, self.ignored.len())
    }

    /// Whether a layout has such reads, and the watch takes its word back.
    pub fn are_taken_back(&self) -> bool {
        self.layout.is_some() && self.ignored.is_empty()
    }

    pub fn find(&self, below_run: &str) -> Option<Why> {
        let first = self.globs.matches(below_run).into_iter().min()?;
        Some(Why { ignored: self.ignored[first], layout: self.layout? })
    }
}

impl Why {
    /// The path with another word in place of the one that a rule must name. A rule that takes this as well does not
    /// name it.
    pub fn disguised(&self, below_run: &str) -> String {
        let word = self.ignored.word;
        let first = word.find(|c: char| c.is_ascii_alphabetic()).unwrap_or_default();
        below_run.replace(word, &format!("{}Z{}", &word[..first], &word[first + 1..]))
    }

    /// For a person.
    pub fn reason(&self) -> String {
        format!("{}; name it in a rule's match to take it", self.what())
    }

    /// What it is, and who leaves it out.
    pub fn what(&self) -> String {
        let Self { ignored, layout } = self;
        format!("ignored by the layout {layout}: {}", ignored.what)
    }
}
