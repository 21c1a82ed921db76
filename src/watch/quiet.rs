//! Quiet of some files of a run: when one of them last changed or came, and when to look whether they have stayed so.
//!
//! Pure: moments come in. A run that writes its log on and on is never quiet, and its reads may have been for long.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::{Completion, Condition};
use crate::observation::Moment;
use crate::pattern::{Captures, Pattern, Patterns};

/// What the conditions of a watch ask: of which files, and for how long.
#[derive(Debug, Default)]
pub(super) struct Quiets(Vec<(Patterns, Duration)>);

/// When files of a run that count last changed or came: by condition, and by what its pattern captured, since a
/// condition may count those of one folder alone.
#[derive(Debug, Default)]
pub(super) struct LastChanges(BTreeMap<(usize, Captures), Moment>);

impl Quiets {
    pub fn of(complete_when: &Completion) -> Self {
        let mut all = Vec::new();
        for leaf in complete_when.leaves() {
            if let Condition::QuietOf { time, of } = leaf
                && !all.iter().any(|known| *known == (of.clone(), *time))
            {
                all.push((of.clone(), *time));
            }
        }
        Self(all)
    }

    pub fn times(&self) -> impl Iterator<Item = Duration> {
        self.0.iter().map(|(_, time)| *time)
    }

    /// Notes that a file changed or came.
    pub fn note(&self, changes: &mut LastChanges, below_run: &Path, at: Moment) {
        if self.0.is_empty() {
            return;
        }
        let path = below_run.to_string_lossy();
        for (number, (patterns, _)) in self.0.iter().enumerate() {
            let of_pattern = |pattern: &Pattern| pattern.is_match(&path).then(|| pattern.captures(&path)).flatten();
            let Some(captures) = patterns.iter().find_map(of_pattern) else { continue };
            bring_up_to(changes.0.entry((number, captures)).or_insert(at), at);
        }
    }

    /// How many of the times were reached by a look at the whole run.
    pub fn reached(&self, changes: &LastChanges, confirmed: Option<Moment>) -> usize {
        self.dues(changes).filter(|(since, time)| quiet_for(*since, confirmed) >= *time).count()
    }

    /// When to look next at the whole run, to see whether what counts has stayed as it is.
    pub fn due(&self, changes: &LastChanges, confirmed: Option<Moment>) -> Option<Moment> {
        let open = self.dues(changes).filter(|(since, time)| quiet_for(*since, confirmed) < *time);
        open.map(|(since, time)| since + time).min_by_key(|due| due.at)
    }

    fn dues(&self, changes: &LastChanges) -> impl Iterator<Item = (Moment, Duration)> {
        changes.0.iter().map(|((number, _), since)| (*since, self.0[*number].1))
    }
}

/// Notes the later of two moments; one of another boot says nothing any more.
pub(super) fn bring_up_to(last: &mut Moment, at: Moment) {
    if at.since(last).is_none_or(|later| !later.is_zero()) {
        *last = at;
    }
}

/// For how long something is known to be as it is since then.
pub(super) fn quiet_for(since: Moment, confirmed: Option<Moment>) -> Duration {
    confirmed.and_then(|at| at.since(&since)).unwrap_or_default()
}
