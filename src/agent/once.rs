//! `run --once`: when everything that can be done now is done.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::watch as signal;
use tokio::time::Instant;

use super::Ending;
use super::assembler::Report;
use crate::journal::{Journal, Tally};
use crate::upload::Gate;

/// Time that is waited for, so that what is whole may settle or become quiet, and what is not may become so. A longer
/// quiet time is for the next call: what was seen is remembered.
const PATIENCE: Duration = Duration::from_secs(150);
/// How often it is looked at whether anything got further.
const LOOK: Duration = Duration::from_millis(200);

pub(super) struct Once<'a> {
    journal: &'a Journal,
    gate: &'a Gate,
    reports: Vec<signal::Receiver<Report>>,
    give_up_after: Duration,
}

/// What shows whether things got further: samples in each state, and bytes acknowledged. A retry is none.
type Progress = (BTreeMap<&'static str, Tally>, u64);

impl<'a> Once<'a> {
    pub fn new(
        journal: &'a Journal,
        gate: &'a Gate,
        reports: Vec<signal::Receiver<Report>>,
        give_up_after: Duration,
    ) -> Self {
        Self { journal, gate, reports, give_up_after }
    }

    pub async fn ended(self) -> Ending {
        let mut before = self.progress();
        let mut got_further = Instant::now();
        let mut was_over = false;
        loop {
            let reports: Vec<Report> = self.reports.iter().map(|report| report.borrow().clone()).collect();
            let is_seen = reports.iter().all(|report| report.is_scanned || report.condition.is_some());
            let is_ripening = reports
                .iter()
                .any(|report| report.is_reachable && report.ready_in.is_some_and(|wait| wait <= PATIENCE));
            // What belongs to a watch that cannot be seen now has no turn, and is not waited for.
            let has_more = self.journal.has_turns_within(PATIENCE);
            let is_idle = self.journal.in_flight().is_empty();
            let is_over = is_seen && !is_ripening && !has_more && is_idle;
            // Seen twice: a sample that an upload has just put back to waiting is not in the report yet.
            if is_over && was_over {
                let unseen = reports.into_iter().filter(|report| !report.is_scanned).map(|report| report.watch);
                return Ending::Finished { unseen: unseen.collect() };
            }
            was_over = is_over;
            if let Some(closed) = self.gate.closed()
                && closed.is_refused
                && is_seen
                && has_more
                && is_idle
            {
                return Ending::Refused { reason: closed.reason };
            }
            let now = self.progress();
            if now != before {
                before = now;
                got_further = Instant::now();
            } else if got_further.elapsed() >= self.give_up_after {
                return Ending::GaveUp { reason: self.gate.closed().map(|closed| closed.reason) };
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn progress(&self) -> Progress {
        let mut tally = self.journal.tally();
        // To and fro between these is what a fault looks like.
        for state in ["queued", "uploading", "retrying"] {
            tally.remove(state);
        }
        (tally, self.journal.in_flight().iter().map(|sample| sample.sent).sum())
    }
}
