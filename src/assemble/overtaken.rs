//! Markers that came before files of what they speak for. A share that is mirrored file by file shows `CopyComplete.txt`
//! before the large files [Clinical-Genomics/cg#2403], and `final_summary` was seen before the last reads
//! [NationalGenomicsInfrastructure/TACA#353]. Such a marker says nothing of when the rest will be there.

use std::time::Duration;

use super::group::Group;
use super::standing::Context;
use crate::sample::path_to_text;
use crate::watch::{AWAITS_THE_REST, FileView, RunView};

/// The file that came last to a part of a run in which some came after the marker, although nothing but the marker says
/// that it is complete. `files`: those of the part that rules take.
pub(super) fn last_behind_marker<'a>(view: &RunView, files: &[&'a FileView]) -> Option<&'a FileView> {
    let marked = view.marked_since(view.scope(files.first()?))?;
    let came_after = |file: &&FileView| file.unseen_until.boot == marked.boot && file.unseen_until.at > marked.at;
    files.iter().any(came_after).then(|| files.iter().min_by_key(|file| file.unchanged_for).copied()).flatten()
}

impl Context<'_> {
    /// What a sample waits for although its marker is there: a file of it that is being written, or, where the marker was
    /// there before some of the files, that nothing more has come for a while.
    pub(super) fn awaits_more(&self, group: &Group<'_>) -> Option<(String, Option<Duration>)> {
        self.awaits_unfinished(group).or_else(|| self.awaits_lanes(group)).or_else(|| self.awaits_calm(group))
    }

    /// Lanes that its sheet has of it, where the marker was wrong. Else it has no reads in them.
    fn awaits_lanes(&self, group: &Group<'_>) -> Option<(String, Option<Duration>)> {
        let lane = group.told.other_lanes.first().filter(|_| self.is_overtaken(group))?;
        let left = self.rest_may_come_for()?;
        let reason = format!("waiting for lane {lane}, in which its sheet has it, until nothing has come for an hour");
        Some((reason, Some(left)))
    }

    /// A copy that was broken off leaves such a file behind, and is not awaited for ever.
    fn awaits_unfinished(&self, group: &Group<'_>) -> Option<(String, Option<Duration>)> {
        let unfinished = group.unfinished.filter(|_| !self.view.is_drop_folder())?;
        let left = self.rest_may_come_for()?;
        let reason = format!(
            "a file of it is still being written ({}): waiting for it until nothing has come for an hour",
            path_to_text(unfinished)
        );
        Some((reason, Some(left)))
    }

    /// For how long what should still come of a sample is awaited, if nothing comes; `None` once that is over.
    pub(super) fn rest_may_come_for(&self) -> Option<Duration> {
        AWAITS_THE_REST.checked_sub(self.view.quiet_for).filter(|left| !left.is_zero())
    }

    /// Whether files came after the marker in the part of the run in which the group lies.
    pub(super) fn is_overtaken(&self, group: &Group<'_>) -> bool {
        group.reads().any(|file| self.overtaken.contains_key(&self.view.scope(file)))
    }

    fn awaits_calm(&self, group: &Group<'_>) -> Option<(String, Option<Duration>)> {
        let calm = self.view.calm();
        let parts = group.reads().filter_map(|file| self.overtaken.get(&self.view.scope(file)));
        let last = parts.min_by_key(|file| file.unchanged_for)?;
        let left = calm.checked_sub(last.unchanged_for).filter(|left| !left.is_zero())?;
        let reason = format!(
            "{} came after the marker: waiting until nothing more has come for {}",
            path_to_text(&last.below_run),
            humantime::format_duration(calm)
        );
        Some((reason, Some(left)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{BOOT, file};
    use super::super::{Assembled, assemble};
    use super::*;
    use crate::manifest::Manifest;
    use crate::pattern::{Captures, Pattern};
    use crate::sample::{Closed, Standing};
    use crate::sheet::Shelf;
    use crate::watch::{Completion, Condition};

    const PAIRS: &str = "version: 1\nrules: [{name: r, match: '{sample}_R{read}.gz', \
                         sample: {name: '{sample}', type: RNA-Seq}}]";
    const SETTLE: Duration = Duration::from_secs(30);

    /// A file that a scan found which began at this second after the boot, and that has not changed since; it is so long
    /// ago.
    fn came(path: &str, at: u64, ago: u64) -> FileView {
        let mut file = file(path);
        file.unseen_until = BOOT + Duration::from_secs(at);
        file.observation.since = BOOT + Duration::from_secs(at + 1);
        FileView { unchanged_for: Duration::from_secs(ago), ..file }
    }

    fn marker() -> Condition {
        Condition::Marker(Pattern::parse("done").unwrap())
    }

    fn assembled(files: Vec<FileView>, condition: Condition, closed: &Closed) -> Vec<Assembled> {
        let complete_when: Completion = condition.into();
        let captures = Captures::new();
        let view = RunView::new("run1".into(), "run1".into(), captures, files, BOOT, Duration::MAX, &complete_when);
        let manifest = Manifest::parse("manifest.yaml", PAIRS).unwrap();
        assemble("w", &manifest, &view.with_settle(SETTLE), closed, &Shelf::default()).samples
    }

    fn standing(files: Vec<FileView>) -> (Standing, Option<u64>) {
        let assembled = assembled(files, marker(), &Closed::default()).remove(0);
        (assembled.finding.standing, assembled.in_time.map(|time| time.as_secs()))
    }

    #[test]
    fn a_marker_that_came_first_is_believed_once_nothing_has_come_for_ten_settle_times() {
        let run = |ago| vec![came("done", 10, 5000), came("a_R1.gz", 20, ago), came("a_R2.gz", 20, ago + 60)];
        let reason = "a_R1.gz came after the marker: waiting until nothing more has come for 5m; marker done present";
        assert_eq!(standing(run(40)), (Standing::Waiting(reason.to_owned()), Some(260)));
        assert_eq!(standing(run(300)), (Standing::Ready, None));
        let closed = Closed { run: true, ..Closed::default() };
        let closed = assembled(run(40), marker(), &closed).remove(0);
        assert_eq!(closed.finding.standing, Standing::Ready, "a person knows better");
    }

    #[test]
    fn a_planned_mate_is_awaited_for_an_hour_behind_a_marker_that_came_first() {
        let complete_when: Completion = marker().into();
        let standing = |files, paper: &str| {
            let (captures, quiet) = (Captures::new(), Duration::from_secs(600));
            let view = RunView::new("run1".into(), "run1".into(), captures, files, BOOT, quiet, &complete_when);
            let manifest = Manifest::parse("manifest.yaml", PAIRS).unwrap();
            let samples = assemble("w", &manifest, &view.with_reads(paper, 2), &Closed::default(), &Shelf::default());
            samples.samples[0].finding.standing.clone()
        };
        let before = || vec![came("a_R1.gz", 5, 600), came("done", 10, 600)];
        let after = || vec![came("done", 10, 700), came("a_R1.gz", 20, 600)];
        assert_eq!(standing(before(), "SampleSheet.csv"), Standing::Ready, "a run need not be what was planned");
        assert!(matches!(standing(before(), "RunInfo.xml"), Standing::Waiting(_)));
        let reason = "waiting for reads2, since SampleSheet.csv tells of two reads, until nothing has come for an hour; \
                      marker done present";
        assert_eq!(standing(after(), "SampleSheet.csv"), Standing::Waiting(reason.to_owned()));
    }

    #[test]
    fn what_one_scan_found_with_the_marker_did_not_come_after_it() {
        assert_eq!(standing(vec![came("done", 10, 40), came("a_R1.gz", 10, 40)]), (Standing::Ready, None));
        assert_eq!(standing(vec![came("a_R1.gz", 10, 40), came("done", 50, 40)]), (Standing::Ready, None));
        // Of another boot, when it came says nothing.
        let mut before = came("a_R1.gz", 90, 40);
        before.unseen_until.boot = 2;
        assert_eq!(standing(vec![came("done", 10, 40), before]), (Standing::Ready, None));
    }

    #[test]
    fn what_says_more_than_a_marker_is_believed_at_once() {
        let run = || vec![came("done", 10, 5000), came("a_R1.gz", 20, 40)];
        let quiet = Condition::Quiet(Duration::from_secs(3600));
        let is_ready = |condition| {
            let assembled = assembled(run(), condition, &Closed::default()).remove(0);
            assembled.finding.standing == Standing::Ready
        };
        assert!(!is_ready(marker()));
        assert!(is_ready(Condition::Any(vec![marker(), quiet.clone()])));
        assert!(is_ready(Condition::All(vec![marker(), quiet])));
        assert!(is_ready(Condition::Any(vec![marker(), Condition::Settled])));
        assert!(!is_ready(Condition::All(vec![marker(), Condition::Settled])));
    }

    #[test]
    fn a_file_that_is_being_written_under_another_name_keeps_its_sample_waiting_for_an_hour() {
        let complete_when: Completion = marker().into();
        let told = |unfinished: &str, quiet_for| {
            let files = vec![came("a_R1.gz", 1, 40), came("b_R1.gz", 1, 40), came("done", 10, 40)];
            let captures = Captures::new();
            let quiet_for = Duration::from_secs(quiet_for);
            let view = RunView::new("run1".into(), "run1".into(), captures, files, BOOT, quiet_for, &complete_when);
            let left_behind = ("a_R1.gz".into(), "a_R1.gz.part".into());
            let view = view.with_unfinished([("b_R2.gz".into(), unfinished.into()), left_behind].into());
            let manifest = Manifest::parse("manifest.yaml", PAIRS).unwrap();
            let samples = assemble("w", &manifest, &view, &Closed::default(), &Shelf::default()).samples;
            samples.into_iter().map(|sample| (sample.finding.standing, sample.in_time)).collect::<Vec<_>>()
        };
        let reason = "a file of it is still being written (.b_R2.gz.Xk3f9Q): waiting for it until nothing has come for an \
                      hour; marker done present";
        let waits = (Standing::Waiting(reason.to_owned()), Some(Duration::from_secs(3540)));
        assert_eq!(told(".b_R2.gz.Xk3f9Q", 60), [(Standing::Ready, None), waits]);
        assert_eq!(told(".b_R2.gz.Xk3f9Q", 3600), [(Standing::Ready, None), (Standing::Ready, None)]);
    }
}
