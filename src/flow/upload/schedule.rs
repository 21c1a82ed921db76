//! When to ask.

use std::time::Duration;

/// When to ask about a last chunk whose answer was lost: with growing pauses, through the whole of the wait.
pub(super) struct AskSchedule {
    wait: Duration,
}

impl AskSchedule {
    const FIRST: Duration = Duration::from_millis(250);
    const LONGEST: Duration = Duration::from_secs(60);

    pub fn new(wait: Duration) -> Self {
        Self { wait }
    }

    /// The pause after question number `asks`, counted from 0; `None` when the time for asking is over.
    pub fn pause_after(&self, asks: u32) -> Option<Duration> {
        let mut left = self.wait;
        let mut pause = Self::FIRST;
        for _ in 0..asks {
            left = left.saturating_sub(pause);
            pause = (pause * 2).min(Self::LONGEST);
        }
        (left > Duration::ZERO).then(|| pause.min(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_go_on_through_all_of_the_wait_and_not_beyond() {
        for wait in [Duration::from_millis(100), Duration::from_secs(5), Duration::from_secs(7200)] {
            let schedule = AskSchedule::new(wait);
            let pauses: Vec<_> = (0..).map_while(|asks| schedule.pause_after(asks)).collect();
            assert_eq!(pauses.iter().sum::<Duration>(), wait);
            assert!(pauses[..pauses.len() - 1].is_sorted());
        }
    }
}
