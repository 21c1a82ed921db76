//! What a soak came to: one line, and what is behind it when it failed.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use flow_ingest::sandbox::Traffic;
use flow_ingest::status::Snapshot;

use crate::compare::Verdict;
use crate::killer::Kills;

/// So many lines of each kind of trouble are shown.
const SHOWN: usize = 20;

#[derive(Debug)]
pub struct Report {
    pub seed: u64,
    pub kills: Kills,
    /// By kind, the most frequent first.
    pub faults: Vec<(&'static str, u64)>,
    pub share_left: usize,
    pub excused: usize,
    pub verdict: Verdict,
    pub traffic: Traffic,
    pub took: Duration,
    /// What kept it from its end.
    pub failures: Vec<String>,
    /// Where everything lies, when it failed.
    pub kept: Option<PathBuf>,
}

impl Report {
    pub fn is_good(&self) -> bool {
        let Verdict { lost, doubled, wrong, .. } = &self.verdict;
        self.failures.is_empty() && lost.is_empty() && doubled.is_empty() && wrong.is_empty()
    }

    /// The troubles one by one, for whoever looks into a failure.
    pub fn details(&self) -> String {
        let Verdict { lost, doubled, wrong, .. } = &self.verdict;
        let mut text = String::new();
        for (title, lines) in [("failed", &self.failures), ("lost", lost), ("doubled", doubled), ("wrong", wrong)] {
            for line in lines.iter().take(SHOWN) {
                text.push_str(&format!("  {title}: {line}\n"));
            }
            if lines.len() > SHOWN {
                text.push_str(&format!("  {title}: and {} more\n", lines.len() - SHOWN));
            }
        }
        if !self.is_good() && !self.kills.missed.is_empty() {
            text.push_str(&format!("  never came by: {}\n", self.kills.missed.join("; ")));
        }
        if let Some(kept) = &self.kept {
            text.push_str(&format!("  kept in {}: log, state, and what was written and stored\n", kept.display()));
        }
        text
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict { samples, reports, needed, lost, doubled, wrong } = &self.verdict;
        let all_faults: u64 = self.faults.iter().map(|(_, n)| n).sum();
        let by_kind: Vec<String> = self.faults.iter().map(|(name, n)| format!("{name} {n}")).collect();
        let per_needed = |bytes: u64| bytes as f64 / (*needed).max(1) as f64;
        write!(
            f,
            "soak seed {}: {samples} samples, {reports} reports, {} kills ({} at {} named points), {all_faults} faults \
             ({}), share gone {} times, journal lost {} times, state lost {} times, lost {}, doubled {}, wrong {}, bytes sent/needed {:.2}, stored/needed {:.2}, ",
            self.seed,
            self.kills.all,
            self.kills.at_points,
            self.kills.points.len(),
            by_kind.join(", "),
            self.share_left,
            self.kills.journals_lost,
            self.kills.states_lost,
            lost.len(),
            doubled.len(),
            wrong.len(),
            per_needed(self.traffic.received),
            per_needed(self.traffic.stored),
        )?;
        if self.excused > 0 {
            write!(f, "{} excused, ", self.excused)?;
        }
        write!(f, "{} min {} s", self.took.as_secs() / 60, self.took.as_secs() % 60)
    }
}

/// The samples that are not done, as `status` has them.
pub fn unfinished(status: Option<&Snapshot>) -> Vec<String> {
    let Some(status) = status else { return vec!["status says nothing".to_owned()] };
    let unfinished = status.samples.iter().filter(|sample| sample.state != "done" || sample.changed);
    unfinished
        .map(|sample| {
            let changed = if sample.changed { " (changed)" } else { "" };
            let why = sample.reason.as_ref().or(sample.error.as_ref()).map(String::as_str).unwrap_or_default();
            format!("{} of {} is {}{changed}: {why}", sample.name, sample.watch, sample.state)
        })
        .collect()
}
