//! Settling: since when a file is as it is, as the agent itself observed it.
//!
//! Pure: every time is handed in. A file is believed unchanged only between two looks that found it the same, never
//! because a timer ran out, and never because of the modification time, which a writer can set at will.

use std::time::Duration;

use crate::observation::{Moment, Observation};
use crate::sample::Fingerprint;

/// One look at a file. On a slow share, asking and answer lie apart, so both are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sight {
    pub fingerprint: Fingerprint,
    /// A moment before the look: what it confirms, it confirms up to here.
    pub asked: Moment,
    /// A moment after the look: what it finds new is known from here on.
    pub answered: Moment,
}

/// What all looks at a file amount to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub observation: Observation,
    /// The last look that found the file as the observation says; `None` until there is a second one.
    confirmed: Option<Moment>,
}

impl Seen {
    /// A file that is looked at for the first time, in the look of this number.
    pub fn first(sight: &Sight, look: u64, existing: bool) -> Self {
        let observation = Observation { fingerprint: sight.fingerprint, since: sight.answered, look, existing };
        Self { observation, confirmed: None }
    }

    /// A file that was observed before a restart, and not yet since.
    pub fn remembered(observation: Observation) -> Self {
        Self { observation, confirmed: None }
    }

    /// Takes a further look into account; true when the observation is a new one.
    ///
    /// A different look starts the time anew, and so does a new boot: how long the machine was off, and what
    /// happened to a share meanwhile, nobody saw.
    pub fn again(&mut self, sight: &Sight, look: u64) -> bool {
        let is_same = self.observation.fingerprint == sight.fingerprint;
        let is_unchanged = is_same && sight.asked.since(&self.observation.since).is_some();
        if is_unchanged {
            self.confirmed = Some(sight.asked);
        } else {
            let look = if is_same { self.observation.look } else { look };
            self.observation =
                Observation { fingerprint: sight.fingerprint, since: sight.answered, look, ..self.observation };
            self.confirmed = None;
        }
        !is_unchanged
    }

    /// For how long the file is known to have been as it is.
    pub fn unchanged_for(&self) -> Duration {
        self.confirmed.and_then(|at| at.since(&self.observation.since)).unwrap_or_default()
    }

    /// When to look next, to see whether the file has stayed as it is for one of `spans` (sorted); `None` when it
    /// has for all.
    pub fn due(&self, spans: &[Duration]) -> Option<Moment> {
        let passed = self.unchanged_for();
        spans.iter().find(|span| **span > passed).map(|span| self.observation.since + *span)
    }
}

/// How many of `spans` (sorted) a time has reached.
pub(super) fn reached(spans: &[Duration], time: Duration) -> usize {
    spans.partition_point(|span| *span <= time)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTLE: &[Duration] = &[Duration::from_secs(30)];

    fn at(seconds: u64) -> Moment {
        Moment { boot: 1, at: Duration::from_secs(seconds) }
    }

    fn sight(size: u64, modified_ns: i64, seconds: u64) -> Sight {
        let (fingerprint, now) = (Fingerprint { size, modified_ns }, at(seconds));
        Sight { fingerprint, asked: now, answered: now }
    }

    fn settled(seen: &Seen) -> bool {
        seen.due(SETTLE).is_none()
    }

    #[test]
    fn a_file_settles_when_a_look_at_the_end_of_the_time_finds_it_unchanged() {
        let mut seen = Seen::first(&sight(10, 1, 100), 1, false);
        assert_eq!(seen.due(SETTLE), Some(at(130)));
        assert!(!seen.again(&sight(10, 1, 129), 2));
        assert!(!settled(&seen));
        assert_eq!(seen.due(SETTLE), Some(at(130)), "a look in between neither settles nor delays");
        assert!(!seen.again(&sight(10, 1, 130), 2));
        assert!(settled(&seen));
    }

    #[test]
    fn time_alone_settles_nothing() {
        let seen = Seen::first(&sight(10, 1, 100), 1, false);
        assert_eq!(seen.unchanged_for(), Duration::ZERO);
        assert!(!settled(&seen));
    }

    #[test]
    fn a_growing_file_starts_anew_with_each_growth() {
        let mut seen = Seen::first(&sight(10, 1, 0), 1, false);
        for step in 1..=10 {
            assert!(seen.again(&sight(10 + step, step as i64, 30 * step), 2));
            assert_eq!(seen.due(SETTLE), Some(at(30 * step + 30)));
        }
        seen.again(&sight(20, 10, 330), 2);
        assert!(settled(&seen));
    }

    #[test]
    fn touched_shrunk_and_replaced_files_start_anew_even_after_they_had_settled() {
        for (size, modified_ns) in [(10, 2), (9, 1), (10, 0), (500, 900)] {
            let mut seen = Seen::first(&sight(10, 1, 0), 1, true);
            seen.again(&sight(10, 1, 40), 2);
            assert!(settled(&seen));
            assert!(seen.again(&sight(size, modified_ns, 50), 2));
            assert!(!settled(&seen));
            assert_eq!(seen.observation.since, at(50));
            assert!(
                seen.observation.existing,
                "a file that lay there at the first start did so whatever becomes of it"
            );
        }
    }

    #[test]
    fn a_remembered_observation_counts_on_the_same_boot() {
        let before = Seen::first(&sight(10, 1, 100), 1, false).observation;
        let mut seen = Seen::remembered(before);
        assert!(!settled(&seen), "nobody has looked since the restart");
        assert!(!seen.again(&sight(10, 1, 1000), 2));
        assert!(settled(&seen));
        assert_eq!(seen.unchanged_for(), Duration::from_secs(900));

        let mut changed = Seen::remembered(before);
        assert!(changed.again(&sight(11, 1, 1000), 2));
        assert_eq!(changed.due(SETTLE), Some(at(1030)));
    }

    #[test]
    fn a_remembered_observation_of_another_boot_starts_anew() {
        let mut before = Seen::first(&sight(10, 1, 100), 1, true).observation;
        before.since.boot = 2;
        let mut seen = Seen::remembered(before);
        assert!(seen.again(&sight(10, 1, 1000), 2));
        assert_eq!(seen.observation.since, at(1000));
        assert!(!settled(&seen));
        assert!(seen.observation.existing);
    }

    #[test]
    fn a_slow_look_counts_from_its_answer_and_confirms_up_to_its_question() {
        let slow = |asked, answered| Sight { asked: at(asked), answered: at(answered), ..sight(10, 1, 0) };
        let mut seen = Seen::first(&slow(0, 60), 1, false);
        assert_eq!(seen.due(SETTLE), Some(at(90)));
        seen.again(&slow(80, 200), 2);
        assert!(!settled(&seen), "the answer may have been true at 80 only");
    }

    #[test]
    fn each_span_is_reached_by_a_look_of_its_own() {
        let spans = [Duration::from_secs(30), Duration::from_secs(600)];
        let mut seen = Seen::first(&sight(10, 1, 0), 1, false);
        seen.again(&sight(10, 1, 30), 2);
        assert_eq!(seen.due(&spans), Some(at(600)));
        assert_eq!(reached(&spans, seen.unchanged_for()), 1);
        seen.again(&sight(10, 1, 601), 2);
        assert_eq!(seen.due(&spans), None);
    }

    #[test]
    fn no_settle_time_settles_at_once() {
        assert_eq!(Seen::first(&sight(10, 1, 0), 1, false).due(&[Duration::ZERO]), None);
    }
}
