//! What a sample lacks of what it should have by its rule: a read, or the annotation sheet of a set.

use super::group::Group;
use super::slots::Filled;
use crate::manifest::{Paired, Rule};
use crate::watch::RunView;

/// A slot that should be there and is not.
pub(super) struct Missing {
    pub what: String,
    pub are_several: bool,
    /// Whether the run goes on for ever, so that it is never too late.
    pub may_still_come: bool,
    pub although: String,
}

impl Missing {
    /// `is_closed`: a person said that what is there is all there will be.
    pub fn of(group: &Group<'_>, view: &RunView, slots: &[Filled<'_>], is_closed: bool) -> Option<Self> {
        let reads = Self::read(group.rule, view, slots, is_closed);
        let annotation = group.annotation.as_ref().filter(|annotation| annotation.file.is_none());
        let annotation = annotation.map(|annotation| format!("the annotation {}", annotation.path));
        let missing: Vec<_> = reads.map(str::to_owned).into_iter().chain(annotation).collect();
        (!missing.is_empty()).then(|| Self {
            what: missing.join(" and "),
            are_several: missing.len() > 1,
            may_still_come: view.is_endless() && !is_closed,
            although: format!("the run is complete without {}", if missing.len() > 1 { "them" } else { "it" }),
        })
    }

    /// The read that is missing.
    fn read(rule: &Rule, view: &RunView, slots: &[Filled<'_>], is_closed: bool) -> Option<&'static str> {
        if !rule.joins_files() || !rule.captures("read") {
            return None;
        }
        let has = |key| slots.iter().any(|slot| slot.key == key);
        let paired = if is_closed { Paired::Auto } else { paired(rule, view) };
        match (has("reads1"), has("reads2")) {
            (false, _) => Some("reads1"),
            (true, false) if paired == Paired::Required => Some("reads2"),
            _ => None,
        }
    }
}

/// How a rule pairs what it takes of a run.
pub(super) fn paired(rule: &Rule, view: &RunView) -> Paired {
    let by_default = if view.is_drop_folder() { Paired::Required } else { Paired::Auto };
    rule.paired.unwrap_or(by_default)
}
