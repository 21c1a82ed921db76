//! Which of an instrument's reads (R1, R2, R3, I1) take which slot of a sample.
//!
//! `R{read}` in `match` takes R1 and R2, for Flow knows two reads. The same pattern with any read in this place tells
//! what else there is of a sample, and is what the key `reads` chooses from.

use crate::pattern::{Captures, Pattern, Patterns};

/// What stands for a read in a pattern that finds any.
const ANY_READ: &str = "{read_label:[RI][1-9]}";
const LABEL: &str = "read_label";

/// A rule's reads.
#[derive(Debug, Clone, Default)]
pub(super) struct Reads {
    /// Takes any read where the rule's own pattern takes R1 and R2; `None` where the rule has no `R{read}`.
    any: Option<Patterns>,
    /// The labels of reads1 and reads2, when the rule says so.
    mapping: Option<Vec<(String, &'static str)>>,
}

impl Reads {
    /// Of patterns that have `R{read}` in them.
    pub fn of(patterns: &Patterns) -> Self {
        let any = patterns.iter().filter_map(|pattern| {
            let text = pattern.to_string();
            // A pattern that has the name for something else keeps its meaning, and knows no other reads.
            text.contains("R{read}").then(|| Pattern::parse(&text.replace("R{read}", ANY_READ)).ok()).flatten()
        });
        Self { any: Patterns::new(any.collect()), mapping: None }
    }

    /// Whether reads can be told by their labels.
    pub fn have_labels(&self) -> bool {
        self.any.is_some()
    }

    /// Takes the reads of these labels, each for `1` or `2`.
    pub fn map(&mut self, mapping: Vec<(String, &'static str)>) {
        self.mapping = Some(mapping);
    }

    /// What is captured from a path under the mapping, the read it stands for among it; `None` without a mapping.
    pub fn mapped(&self, below_run: &str) -> Option<Option<Captures>> {
        let mapping = self.mapping.as_ref()?;
        Some(self.labelled(below_run).and_then(|(label, mut captures)| {
            let (_, read) = mapping.iter().find(|(mapped, _)| *mapped == label)?;
            captures.insert("read".to_owned(), (*read).to_owned());
            Some(captures)
        }))
    }

    /// A read that the rule has no place for, and did not choose to leave out: its label and the other captures.
    pub fn surplus(&self, below_run: &str) -> Option<(String, Captures)> {
        if self.mapping.is_some() {
            return None;
        }
        self.labelled(below_run).filter(|(label, _)| !matches!(label.as_str(), "R1" | "R2"))
    }

    /// Whether there is a place for a second read.
    pub fn have_mates(&self) -> bool {
        self.mapping.as_ref().is_none_or(|mapping| mapping.iter().any(|(_, read)| *read == "2"))
    }

    /// Whether the mapping names a second read.
    pub fn names_mates(&self) -> bool {
        self.mapping.is_some() && self.have_mates()
    }

    /// What the mapping names, for a person; `None` without one.
    pub fn named(&self) -> Option<String> {
        let labels = self.mapping.as_ref()?.iter().map(|(label, _)| label.as_str());
        Some(labels.collect::<Vec<_>>().join(" and "))
    }

    pub fn weight(&self) -> usize {
        self.any.as_ref().map_or(0, Patterns::weight)
    }

    /// A read's label and the other captures.
    pub fn labelled(&self, below_run: &str) -> Option<(String, Captures)> {
        let mut captures = self.any.as_ref()?.captures(below_run)?;
        let label = captures.remove(LABEL)?;
        Some((label, captures))
    }
}
