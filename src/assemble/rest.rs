//! The rest: what may still come of a run although it is complete. A share that is mirrored file by file shows
//! `CopyComplete.txt` before the large files [Clinical-Genomics/cg#2403], and `final_summary` was seen before the last
//! reads [NationalGenomicsInfrastructure/TACA#353]. Such a marker says nothing of when the rest will be there.

use std::time::Duration;

use super::group::Group;
use super::missing::paired;
use super::slots::Filled;
use super::standing::Context;
use crate::manifest::Paired;
use crate::sample::{Standing, path_to_text};
use crate::sheet::Selection;
use crate::watch::{FileView, Patience, Reads, Word};

impl<'a> Context<'a> {
    /// What a sample waits for although its marker is there: a file of it that is being written, a lane that its sheet
    /// has of it, or, where the marker was there before some of the files, that nothing more has come for a while.
    pub(super) fn awaits_more(&self, group: &Group<'a>) -> Option<(String, Option<Duration>)> {
        self.awaits_unfinished(group).or_else(|| self.awaits_lanes(group)).or_else(|| self.awaits_calm(group))
    }

    /// A copy that was broken off leaves such a file behind, and is not awaited for ever.
    fn awaits_unfinished(&self, group: &Group<'a>) -> Option<(String, Option<Duration>)> {
        let unfinished = group.unfinished?;
        let left = self.hour(group).left()?;
        let reason = format!(
            "a file of it is still being written ({}): waiting for it until nothing has come for an hour",
            path_to_text(unfinished)
        );
        Some((reason, Some(left)))
    }

    /// A marker that came last is right about lanes mostly: the sample has no reads in them.
    fn awaits_lanes(&self, group: &Group<'a>) -> Option<(String, Option<Duration>)> {
        let lane = group.told.other_lanes.first()?;
        let patience = self.patience_with_marker(group)?;
        let left = patience.left()?;
        let time = patience.spoken();
        let reason = format!("waiting for lane {lane}, in which its sheet has it, until nothing has come for {time}");
        Some((reason, Some(left)))
    }

    fn awaits_calm(&self, group: &Group<'a>) -> Option<(String, Option<Duration>)> {
        let doubted = self.parts.with(group.reads()).into_iter().filter(|part| part.word >= Word::LateMarker);
        let part = doubted.min_by_key(|part| part.quiet_for)?;
        let patience = self.view.calm(part.quiet_for);
        let left = patience.left()?;
        let why = match part.word {
            Word::LateMarker => "nothing but a marker says that all is there".to_owned(),
            _ => format!("{} came after the marker", path_to_text(&part.last.below_run)),
        };
        Some((format!("{why}: waiting until nothing more has come for {}", patience.spoken()), Some(left)))
    }

    /// How a sample stands whose second read is not there, although the run is complete and has two, as its papers
    /// tell. Where some have both, one that lacks it is not sent by itself: Flow takes no mate later.
    pub(super) fn lacks_mate(
        &self,
        group: &Group<'a>,
        slots: &[Filled<'_>],
        name: &str,
    ) -> Option<(Standing, Option<Duration>)> {
        let has_one = slots.iter().any(|slot| slot.key == "reads1") && slots.iter().all(|slot| slot.key != "reads2");
        let takes_what_comes = paired(group.rule, self.view) == Paired::Auto && group.rule.has_place_for_mates();
        let is_masked = group.told.rows.as_ref().is_some_and(Selection::masks_second_read);
        if self.is_over(name) || !has_one || self.view.is_drop_folder() || !takes_what_comes || is_masked {
            return None;
        }
        let (count, paper) = match self.view.reads() {
            Reads::Told { count, paper } if count.reads > 1 => (count, path_to_text(paper)),
            Reads::Unread { paper, in_time } => {
                let reason = format!("{} has not settled yet, which may tell of a second read", path_to_text(paper));
                return Some((self.waiting(reason, group), in_time));
            }
            Reads::Told { .. } | Reads::Untold => return None,
        };
        // A run need not be what was planned.
        let patience = if count.is_planned { self.patience_with_marker(group)? } else { self.hour(group) };
        if let Some(left) = patience.left() {
            let time = patience.spoken();
            let reason =
                format!("waiting for reads2, since {paper} tells of two reads, until nothing has come for {time}");
            return Some((self.waiting(reason, group), Some(left)));
        }
        let is_believed = !count.is_planned || self.parts.word(group.reads()) == Word::WrongMarker;
        (is_believed && self.paired.contains(group.rule.name.as_str())).then(|| {
            let reason = format!(
                "reads2 is missing: {paper} tells of two reads, and other samples of the run have both; it goes on \
                 once the file is there; to send reads1 alone: flow-ingest close"
            );
            (Standing::Blocked(reason), None)
        })
    }

    /// For how long a declared sample is awaited that has no reads, where nothing but markers say that none will come.
    /// `files`: those of what it should be in; of none, all of the run.
    pub(super) fn awaits_first_reads(&self, files: &[&'a FileView]) -> Option<(String, Option<Duration>)> {
        if self.view.is_drop_folder() || !self.view.is_marked_alone(files.iter().copied()) {
            return None;
        }
        let markers = || self.view.files.iter().filter(|file| self.view.is_marker(file));
        let passed = self.parts.with(files.iter().copied()).into_iter().map(|part| part.quiet_for).min();
        let passed = passed.or_else(|| markers().map(|file| file.unchanged_for).min())?;
        let patience = self.view.calm(passed);
        let left = patience.left()?;
        Some((format!("waiting until nothing has come for {}", patience.spoken()), Some(left)))
    }

    /// How long what a sheet tells of is awaited, where nothing but markers say that it will not come.
    fn patience_with_marker(&self, group: &Group<'a>) -> Option<Patience> {
        match self.parts.word(group.reads()) {
            Word::Sure => None,
            Word::Marker | Word::EarlyMarker => Some(self.view.calm(self.parts.quiet_for(group.reads()))),
            Word::LateMarker | Word::WrongMarker => Some(self.hour(group)),
        }
    }

    fn hour(&self, group: &Group<'a>) -> Patience {
        Patience::hour(self.parts.quiet_for(group.reads()))
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
    use crate::watch::{Completion, Condition, Folder, FolderCompletion, RunView};

    const PAIRS: &str = "version: 1\nrules: [{name: r, match: '{sample}_R{read}.gz', \
                         sample: {name: '{sample}', type: RNA-Seq}}]";
    const SETTLE: Duration = Duration::from_secs(30);

    /// A file that the look of this number found, and that has not changed for so many seconds.
    fn came(path: &str, look: u64, ago: u64) -> FileView {
        let mut file = file(path);
        file.observation.look = look;
        FileView { unchanged_for: Duration::from_secs(ago), ..file }
    }

    fn marker() -> Condition {
        Condition::Marker(Pattern::parse("done").unwrap().into())
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
    fn a_planned_mate_is_awaited_for_ten_settle_times_and_for_an_hour_where_the_marker_was_seen_to_come() {
        let standing = |files, paper: &str| {
            let (run, captures, complete_when) = ("run1".to_owned(), Captures::new(), marker().into());
            let view = RunView::new(run, "run1".into(), captures, files, BOOT, Duration::ZERO, &complete_when);
            let manifest = Manifest::parse("manifest.yaml", PAIRS).unwrap();
            let view = view.with_settle(SETTLE).with_reads(paper, 2);
            let sample = assemble("w", &manifest, &view, &Closed::default(), &Shelf::default()).samples.remove(0);
            (sample.finding.standing, sample.in_time.map(|time| time.as_secs()))
        };
        let waits = |time: &str, left| {
            let reason = format!(
                "waiting for reads2, since SampleSheet.csv tells of two reads, until nothing has come for {time}; marker \
                 done present"
            );
            (Standing::Waiting(reason), Some(left))
        };
        let at_once = |ago| vec![came("a_R1.gz", 10, ago), came("done", 10, ago)];
        assert_eq!(standing(at_once(299), "SampleSheet.csv"), waits("5m", 1));
        assert_eq!(standing(at_once(300), "SampleSheet.csv").0, Standing::Ready, "a run need not be what was planned");
        assert!(matches!(standing(at_once(300), "RunInfo.xml"), (Standing::Waiting(_), Some(3300))));
        let marker_first = |ago| vec![came("done", 10, 5000), came("a_R1.gz", 20, ago)];
        let marker_last = |ago| vec![came("a_R1.gz", 10, 5000), came("done", 20, ago)];
        for seen in [&marker_first as &dyn Fn(u64) -> Vec<FileView>, &marker_last] {
            assert_eq!(standing(seen(600), "SampleSheet.csv"), waits("an hour", 3000));
            assert_eq!(standing(seen(3600), "SampleSheet.csv").0, Standing::Ready);
        }
    }

    #[test]
    fn one_part_of_a_run_does_not_wait_for_what_comes_to_another() {
        let manifest = "version: 1\nrules: [{name: r, match: '{part:word}/{sample}_R{read}.gz', \
                        sample: {name: '{sample}', type: RNA-Seq}}]";
        let manifest = Manifest::parse("manifest.yaml", manifest).unwrap();
        let part = |folder: &str| FolderCompletion {
            folder: Folder::Named(Pattern::parse(folder).unwrap()),
            complete_when: Condition::Marker(Pattern::parse(&format!("{folder}/done")).unwrap().into()),
            is_own_unit: true,
        };
        let complete_when = Completion { folders: vec![part("1"), part("2")], ..marker().into() };
        let first = |ago| [came("1/done", 1, 5000), came("1/a_R1.gz", 2, ago)];
        let standings = |ago| {
            let files = first(ago).into_iter().chain([came("2/b_R1.gz", 3, 1), came("log", 4, 0)]).collect();
            let (run, captures) = ("run1".to_owned(), Captures::new());
            let view = RunView::new(run, "run1".into(), captures, files, BOOT, Duration::ZERO, &complete_when);
            let view = view.with_settle(SETTLE).with_reads("RunInfo.xml", 2);
            let samples = assemble("w", &manifest, &view, &Closed::default(), &Shelf::default()).samples;
            samples.into_iter().map(|sample| sample.finding.standing == Standing::Ready).collect::<Vec<_>>()
        };
        assert_eq!(standings(3599), [false, false]);
        assert_eq!(standings(3600), [true, false]);
    }

    #[test]
    fn what_one_scan_found_with_the_marker_did_not_come_after_it() {
        assert_eq!(standing(vec![came("done", 10, 40), came("a_R1.gz", 10, 40)]), (Standing::Ready, None));
    }

    /// A mirror may show half of the files, then the marker, and then the rest.
    #[test]
    fn a_marker_that_was_seen_to_come_is_believed_once_nothing_has_come_for_ten_settle_times() {
        let run = |reads, marker| vec![came("a_R1.gz", 10, reads), came("done", 50, marker)];
        let reason = "nothing but a marker says that all is there: waiting until nothing more has come for 5m; marker \
                      done present";
        assert_eq!(standing(run(5000, 40)), (Standing::Waiting(reason.to_owned()), Some(260)));
        assert_eq!(standing(run(5000, 300)), (Standing::Ready, None));
        assert_eq!(standing(run(40, 300)), (Standing::Waiting(reason.to_owned()), Some(260)), "looked at meanwhile");
    }

    /// Its samples have nothing to do with each other, so that each is doubted by itself.
    #[test]
    fn in_a_drop_folder_a_marker_is_doubted_by_what_came_after_it_of_the_sample() {
        let files = vec![
            came("done", 10, 5000),
            came("a_R1.gz", 20, 40),
            came("a_R2.gz", 20, 300),
            came("b_R1.gz", 10, 40),
            came("b_R2.gz", 10, 300),
        ];
        let captures = Captures::new();
        let view = |condition: Condition| {
            let complete_when: Completion = condition.into();
            RunView::new("w".into(), "".into(), captures.clone(), files.clone(), BOOT, Duration::ZERO, &complete_when)
                .with_settle(SETTLE)
        };
        let manifest = Manifest::parse("manifest.yaml", PAIRS).unwrap();
        let standings = |view: RunView| {
            let samples = assemble("w", &manifest, &view, &Closed::default(), &Shelf::default()).samples;
            samples.into_iter().map(|it| (it.finding.standing, it.in_time.map(|t| t.as_secs()))).collect::<Vec<_>>()
        };
        let reason = "a_R1.gz came after the marker: waiting until nothing more has come for 5m; marker done present";
        let expected = [(Standing::Waiting(reason.to_owned()), Some(260)), (Standing::Ready, None)];
        assert_eq!(standings(view(marker())), expected);

        // And one of which a file is being written under another name waits for that.
        let left_behind = [("b_R2.gz".into(), ".in.b_R2".into())].into();
        let quiet = view(Condition::Quiet(Duration::from_secs(30)));
        assert!(standings(quiet.clone().with_unfinished(left_behind)).iter().all(|it| it.0 == Standing::Ready));
        let mut half = quiet.with_unfinished([("b_R2.gz".into(), ".in.b_R2".into())].into());
        half.files.retain(|file| file.below_run != std::path::Path::new("b_R2.gz"));
        let Standing::Waiting(reason) = &standings(half)[1].0 else { panic!("it goes alone, or is blocked") };
        assert!(reason.contains("waiting for reads2; a file of it is still being written (.in.b_R2)"), "{reason}");
    }

    #[test]
    fn what_one_scan_found_with_the_marker_and_was_written_later_raises_a_doubt_of_it() {
        let run = |look, ago| {
            let mut reads = came("a_R1.gz", look, ago);
            reads.observation.fingerprint.modified_ns += 1;
            vec![came("done", 10, 5000), reads]
        };
        let reason = "a_R1.gz came after the marker: waiting until nothing more has come for 5m; marker done present";
        assert_eq!(standing(run(10, 299)), (Standing::Waiting(reason.to_owned()), Some(1)));
        assert_eq!(standing(run(10, 300)), (Standing::Ready, None));
        assert_eq!(standing(run(9, 300)), (Standing::Ready, None), "what the agent saw itself counts first");
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
        let told = |unfinished: &str, ago| {
            let files = vec![came("a_R1.gz", 1, ago), came("b_R1.gz", 1, ago), came("done", 10, ago)];
            let (captures, quiet) = (Captures::new(), Duration::ZERO);
            let view = RunView::new("run1".into(), "run1".into(), captures, files, BOOT, quiet, &complete_when);
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
