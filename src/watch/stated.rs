//! What is told of a run's completeness, condition by condition: which hold, and which do not.
//!
//! Pure. The verdict follows from the same conditions; here they are put into words for a person.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::observation::Moment;

/// How much the wall clock may go apart from the time since the boot before its times are told anew.
const DRIFT: jiff::SignedDuration = jiff::SignedDuration::from_secs(30);

/// The wall clock beside the moments of this boot. It is kept, so that one moment is told as one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clock {
    moment: Moment,
    time: Timestamp,
}

impl Clock {
    pub(super) fn now() -> Self {
        Self { moment: Moment::now(), time: Timestamp::now() }
    }

    /// The same clock, or, where somebody set this machine's, the new one.
    pub(super) fn kept(self) -> Self {
        let now = Self::now();
        let drift = self.time(now.moment).map(|told| now.time.duration_since(told).abs());
        if drift.is_some_and(|drift| drift < DRIFT) { self } else { now }
    }

    /// What the clock showed at a moment of this boot.
    pub(super) fn time(&self, at: Moment) -> Option<Timestamp> {
        if at.boot != self.moment.boot {
            return None;
        }
        let since = |a: Moment, b: Moment| jiff::SignedDuration::try_from(a.at.saturating_sub(b.at)).ok();
        let (after, before) = (since(at, self.moment)?, since(self.moment, at)?);
        self.time.checked_add(after).ok()?.checked_sub(before).ok()
    }
}

/// One condition of a run, or of a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stated {
    /// "marker CopyComplete.txt present"; where it does not hold, what it waits for, or why the run failed.
    pub what: String,
    pub holds: bool,
    /// Since when it holds, where the agent saw that itself: when it first saw a marker as it is.
    pub since: Option<Timestamp>,
    /// Whether a person would want to read it where something else is waited for: a marker that is there, a list that
    /// is met, rather than that files are quiet.
    pub is_worth_telling: bool,
}

impl Stated {
    pub(super) fn holds(what: String, since: Option<Timestamp>) -> Self {
        Self { what, holds: true, since, is_worth_telling: true }
    }

    pub(super) fn quietly(what: String) -> Self {
        Self { what, holds: true, since: None, is_worth_telling: false }
    }

    pub(super) fn waits(what: String) -> Self {
        Self { what, holds: false, since: None, is_worth_telling: true }
    }

    /// As [`fmt::Display`], with times of this zone; a day other than `today` is named.
    fn told(&self, zone: &TimeZone, today: Timestamp) -> String {
        let Some(since) = self.since else { return self.what.clone() };
        let (since, today) = (zone.to_datetime(since), zone.to_datetime(today));
        let day = if since.date() == today.date() { String::new() } else { format!(" on {}", since.date()) };
        format!("{} since {}{day}", self.what, since.strftime("%H:%M"))
    }
}

/// "marker CopyComplete.txt present since 14:02", by this machine's clock.
impl fmt::Display for Stated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told(&TimeZone::system(), Timestamp::now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_is_told_where_it_is_not_today() {
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let stated = Stated::holds("marker M present".into(), Some(time("2026-11-24T14:02:59Z")));
        assert_eq!(stated.told(&TimeZone::UTC, time("2026-11-24T23:00:00Z")), "marker M present since 14:02");
        assert_eq!(
            stated.told(&TimeZone::UTC, time("2026-11-25T00:00:00Z")),
            "marker M present since 14:02 on 2026-11-24"
        );
        assert_eq!(Stated::waits("waiting for the marker M".into()).to_string(), "waiting for the marker M");
    }
}
