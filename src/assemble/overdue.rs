//! What a run lets one wait for: whether it has been without news for too long, and which of its declared samples have
//! not come in time.
//!
//! Pure: the present comes with the question, so that the same expectation can be asked again and again.

use std::time::Duration;

use super::Assembled;
use crate::observation::Moment;
use crate::sample::{Closed, SampleId, Standing};
use crate::watch::{RunView, Verdict};

/// What is expected of a run that is not complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// When the agent first saw the run.
    first_seen: Moment,
    /// For how long nothing in the run had changed when it was looked at; `None` where it is complete.
    quiet: Option<(Duration, String)>,
    absent: Vec<Absent>,
}

/// A declared sample that still waits for its first file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Absent {
    id: SampleId,
    name: String,
    reason: String,
}

/// Something that should have come by now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overdue {
    /// Of a sample, which; `None`: the run itself.
    pub sample: Option<(SampleId, String)>,
    /// How long ago the time for it was over.
    pub since: Duration,
    /// For a person.
    pub text: String,
}

impl Expectation {
    /// What is expected of a run, from what was assembled of it. `None` of a drop folder, and of a run that lay there
    /// as it is at the watch's first start.
    pub fn of(view: &RunView, samples: &[Assembled], closed: &Closed) -> Option<Self> {
        if view.is_drop_folder() || view.files.iter().all(|file| file.observation.existing) {
            return None;
        }
        let quiet = match view.verdict([]) {
            Verdict::Waits { reason, .. } if !closed.run => Some((view.quiet_for, reason)),
            _ => None,
        };
        let absent = samples.iter().filter_map(|assembled| {
            let finding = &assembled.finding;
            let Standing::Waiting(reason) = &finding.standing else { return None };
            let (id, name) = (finding.sample.id(), finding.sample.key.name.clone());
            finding.sample.slots.is_empty().then(|| Absent { id, name, reason: reason.clone() })
        });
        Some(Self { first_seen: view.first_seen, quiet, absent: absent.collect() })
    }

    /// What of it is overdue at `now`, where all should come `within` a time: the run something new, its samples
    /// something at all.
    pub fn overdue(&self, within: Duration, now: Moment) -> Vec<Overdue> {
        let spoken = &humantime::format_duration(within).to_string();
        let run = self.quiet.as_ref().and_then(|(quiet_for, reason)| {
            let since = quiet_for.checked_sub(within)?;
            let text = format!("nothing has changed for {spoken}, and the run is not complete: {reason}");
            Some(Overdue { sample: None, since, text })
        });
        // Of another boot, it says nothing; the watch then begins anew.
        let age = now.since(&self.first_seen).and_then(|age| age.checked_sub(within));
        let samples = age.into_iter().flat_map(|since| {
            self.absent.iter().map(move |Absent { id, name, reason }| {
                let text = format!("nothing of {name} has come in the {spoken} since the run was first seen: {reason}");
                Overdue { sample: Some((id.clone(), name.clone())), since, text }
            })
        });
        run.into_iter().chain(samples).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::assemble;
    use super::super::sheet_tests::Lab;
    use super::super::tests::{BOOT, complete_run, file, open_run};
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn lab() -> Lab {
        let lab = Lab::new(
            "version: 1\nrules:\n  - name: r\n    match: \"{sample}_R{read}.fastq.gz\"\n    sheet: {}\n    \
             sample: { name: \"{sample}\", type: X }\n",
        );
        lab.write("run1/SampleSheet.csv", "[Data]\nSample_ID\na\nb\nc\n");
        lab
    }

    fn expectation(lab: &Lab, view: &RunView, closed: &Closed) -> Option<Expectation> {
        let shelf = lab.read(view);
        let assembly = assemble("miseq", &lab.manifest, view, closed, &shelf);
        Expectation::of(view, &assembly.samples, closed)
    }

    fn texts(expectation: &Expectation, within: Duration, after: Duration) -> Vec<String> {
        expectation.overdue(within, BOOT + after).into_iter().map(|overdue| overdue.text).collect()
    }

    #[test]
    fn a_run_without_news_and_samples_that_have_not_come_are_overdue_to_the_second() {
        let lab = lab();
        let mut view = open_run(lab.files(&["a_R1.fastq.gz"]));
        view.quiet_for = DAY - Duration::from_secs(1);
        let closed = Closed::default();
        let second = Duration::from_secs(1);
        let not_yet = expectation(&lab, &view, &closed).unwrap();
        assert!(not_yet.overdue(DAY, BOOT + (DAY - second)).is_empty());
        let samples = not_yet.overdue(DAY, BOOT + DAY + second);
        assert_eq!(samples.iter().map(|it| it.sample.clone().unwrap().1).collect::<Vec<_>>(), ["b", "c"]);
        assert!(samples.iter().all(|overdue| overdue.since == second));
        assert_eq!(
            samples[0].text,
            "nothing of b has come in the 1day since the run was first seen: no reads yet (SampleSheet.csv, line 4); waiting \
             for the marker done"
        );
        view.quiet_for = DAY;
        let expected = "nothing has changed for 1day, and the run is not complete: waiting for the marker done";
        assert_eq!(texts(&expectation(&lab, &view, &closed).unwrap(), DAY, DAY - second), [expected]);
        // Of an earlier boot.
        let boot = Moment { boot: 2, at: DAY * 9 };
        assert!(not_yet.overdue(DAY, boot).is_empty());
    }

    #[test]
    fn nothing_is_expected_of_a_complete_run_a_closed_one_and_one_of_before() {
        let lab = lab();
        let mut view = complete_run(lab.files(&["a_R1.fastq.gz"]));
        view.quiet_for = DAY * 2;
        let expect = |view: &RunView, closed: &Closed| {
            expectation(&lab, view, closed).map(|it| it.overdue(DAY, BOOT + DAY * 2).len())
        };
        assert_eq!(expect(&view, &Closed::default()), Some(0));
        let mut open = open_run(lab.files(&["a_R1.fastq.gz"]));
        open.quiet_for = DAY * 2;
        assert_eq!(expect(&open, &Closed::default()), Some(3));
        assert_eq!(expect(&open, &Closed { run: true, ..Closed::default() }), Some(0));
        let mut of_before = vec![file("a_R1.fastq.gz")];
        of_before[0].observation.existing = true;
        assert_eq!(expect(&open_run(of_before), &Closed::default()), None);
    }
}
