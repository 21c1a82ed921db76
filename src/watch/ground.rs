//! What it rests on that a part of a run is complete: on its files, or on nothing but markers, which may be there
//! first.
//!
//! Pure, as the conditions are.

use std::time::Duration;

use super::complete::Check;
use super::papers::Told;
use super::view::{FileView, Verdict};
use crate::observation::Coming;

/// What a condition that holds rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ground {
    /// It says nothing of whether more files will come.
    Nothing,
    /// Files say so by being there, which came so. What comes later gives them the lie.
    Marker(Coming),
    /// The run's files themselves: all that a list names are there, or none has come for long.
    Files,
}

impl Ground {
    fn of(told: &Told) -> Self {
        told.coming.map_or(Self::Files, Self::Marker)
    }

    /// Of two conditions that both must hold.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Files, _) | (_, Self::Files) => Self::Files,
            (Self::Nothing, ground) | (ground, Self::Nothing) => ground,
            (Self::Marker(a), Self::Marker(b)) => Self::Marker(a.max(b)),
        }
    }

    /// Of two conditions of which one is enough, and both hold.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Files, _) | (_, Self::Files) => Self::Files,
            (Self::Nothing, _) | (_, Self::Nothing) => Self::Nothing,
            (Self::Marker(a), Self::Marker(b)) => Self::Marker(a.min(b)),
        }
    }
}

impl Check {
    /// What it rests on where it holds over `group`.
    pub(super) fn ground(&self, group: &[&FileView], quiet_for: Option<Duration>) -> Ground {
        let holding = |checks: &[Check]| -> Vec<Ground> {
            let hold = checks.iter().filter(|check| check.judge(group, quiet_for) == Verdict::Complete);
            hold.map(|check| check.ground(group, quiet_for)).collect()
        };
        match self {
            Check::Marker { is_optional: true, .. } => Ground::Nothing,
            Check::Marker { found, .. } => found.as_ref().map_or(Ground::Nothing, Ground::of),
            Check::Papers { decided, are_lists: true, .. } => {
                let told = decided.told.iter().filter(|told| !told.is_aside);
                told.map(Ground::of).reduce(Ground::and).unwrap_or(Ground::Nothing)
            }
            Check::Papers { are_lists: false, .. } | Check::Settled => Ground::Nothing,
            Check::Quiet(_) | Check::QuietOf { .. } => Ground::Files,
            Check::Any(checks) => holding(checks).into_iter().reduce(Ground::or).unwrap_or(Ground::Nothing),
            Check::All(checks) => holding(checks).into_iter().reduce(Ground::and).unwrap_or(Ground::Nothing),
        }
    }
}
