//! What a sample lacks of what it should have: a read, the annotation sheet of a set, or a mate that only the run's papers
//! tell of.

use std::time::Duration;

use super::group::Group;
use super::slots::Filled;
use super::standing::Context;
use crate::manifest::{Paired, Rule};
use crate::sample::{Standing, path_to_text};
use crate::watch::{Reads, RunView};

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
fn paired(rule: &Rule, view: &RunView) -> Paired {
    let by_default = if view.is_drop_folder() { Paired::Required } else { Paired::Auto };
    rule.paired.unwrap_or(by_default)
}

impl Context<'_> {
    /// How a sample stands whose second read is not there, although the run is complete and has two, as its papers tell.
    /// Where some have both, one that lacks it is not sent by itself: Flow takes no mate later.
    pub(super) fn lacks_mate(
        &self,
        group: &Group<'_>,
        slots: &[Filled<'_>],
        name: &str,
    ) -> Option<(Standing, Option<Duration>)> {
        let is_closed = self.closed.run || self.closed.samples.contains(name);
        let has_one = slots.iter().any(|slot| slot.key == "reads1") && slots.iter().all(|slot| slot.key != "reads2");
        let takes_what_comes = paired(group.rule, self.view) == Paired::Auto && group.rule.has_place_for_mates();
        if is_closed || !has_one || self.view.is_drop_folder() || !takes_what_comes {
            return None;
        }
        let paper = match self.view.reads() {
            // A run need not be what was planned, but where its marker was wrong the rest may be on its way.
            Reads::Told { count, paper } if count.reads > 1 && (!count.is_planned || self.is_overtaken(group)) => {
                path_to_text(paper)
            }
            Reads::Unread { paper, in_time } => {
                let reason = format!("{} has not settled yet, which may tell of a second read", path_to_text(paper));
                return Some((self.waiting(reason, group), in_time));
            }
            Reads::Told { .. } | Reads::Untold => return None,
        };
        if let Some(left) = self.rest_may_come_for() {
            let reason =
                format!("waiting for reads2, since {paper} tells of two reads, until nothing has come for an hour");
            return Some((self.waiting(reason, group), Some(left)));
        }
        self.paired.contains(group.rule.name.as_str()).then(|| {
            let reason = format!(
                "reads2 is missing: {paper} tells of two reads, and other samples of the run have both; it goes on once \
                 the file is there; to send reads1 alone: flow-ingest close"
            );
            (Standing::Blocked(reason), None)
        })
    }
}
