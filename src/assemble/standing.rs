//! How a group stands: whether it is a whole sample that may go, or what it waits for, or what blocks it.

use std::collections::HashSet;
use std::time::Duration;

use super::declared::{Expected, no_reads};
use super::group::Group;
use super::missing::Missing;
use super::sheets::Lack;
use super::slots::{self, Content, Filled, content, slots};
use super::{Assembled, run_key};
use crate::manifest::{Release, Run};
use crate::sample::{Closed, Finding, Kind, Sample, SampleKey, Standing};
use crate::sheet::Shelf;
use crate::watch::{Parts, RunView, Unsettled, Verdict};

/// A run, and what is known of it as a whole, for the question how each of its groups stands.
pub(super) struct Context<'a> {
    pub watch: &'a str,
    pub run: Run<'a>,
    pub view: &'a RunView,
    pub closed: &'a Closed,
    pub shelf: &'a Shelf,
    pub expected: &'a Expected<'a>,
    /// The rules that found second reads in the run.
    pub paired: HashSet<&'a str>,
    /// Whether a rule has found reads in the run, or a marker has.
    pub shows_an_end: bool,
    pub parts: Parts<'a>,
}

impl<'a> Context<'a> {
    /// `clash`: what is wrong with a name that others come out with, too.
    pub fn assembled(&self, name: String, group: &Group<'a>, clash: Option<String>) -> Assembled {
        let mut sample = Sample {
            key: SampleKey { kind: group.kind(), watch: self.watch.to_owned(), run: run_key(self.view), name },
            rule: group.rule.name.clone(),
            target: group.rule.target(&self.run, &group.captures),
            slots: Vec::new(),
            sheets: group.told.used.clone(),
        };
        let slots = slots(group, &sample.key.name);
        let (mut standing, in_time) = self.standing(group, clash, &slots, &sample.key.name);
        if standing == Standing::Ready && group.rule.release == Release::Manual {
            standing = Standing::AwaitsRelease(format!(
                "rule {} asks for a person's release: flow-ingest release {}",
                group.rule.name,
                sample.id()
            ));
        }
        sample.slots = slots.into_iter().map(|slot| slot.into_slot(&sample.key.name)).collect();
        sample.name_target();
        let is_existing = group.views().all(|file| file.observation.existing);
        let in_ending_run = self.view.tells_its_end(group.reads());
        let captured = group.captured();
        let rows = group.told.lines.clone();
        Assembled { finding: Finding { sample, standing, is_existing, in_ending_run }, in_time, captured, rows }
    }

    fn standing(
        &self,
        group: &Group<'a>,
        clash: Option<String>,
        slots: &[Filled<'_>],
        name: &str,
    ) -> (Standing, Option<Duration>) {
        if let Some(standing) = self.stopped_at_once(group, clash, slots, name) {
            return (standing, None);
        }
        let verdict = match self.is_over(name) {
            true => Verdict::Complete,
            false => self.view.verdict(group.reads()),
        };
        if let Verdict::Failed { reason } = verdict {
            return (Standing::Blocked(reason), None);
        }
        let missing = self.missing(group, slots, name);
        match self.waits(group, verdict, name) {
            Some((reason, in_time)) => {
                let reason = match self.expected.lacking(group.told.sheet) {
                    Some(lacking) => format!("{lacking}; {reason}"),
                    None => reason,
                };
                let Some(missing) = missing else { return (self.waiting(reason, group), in_time) };
                // In a run that ends, time will tell: it is blocked then.
                let in_time = in_time.filter(|_| !missing.may_still_come);
                (self.waiting(format!("waiting for {}; {reason}", missing.what), group), in_time)
            }
            None => self.ready_or_why_not(group, missing, slots, name),
        }
    }

    /// What nothing that may still come can change: what its sheet says, and what the group is made of.
    fn stopped_at_once(
        &self,
        group: &Group<'a>,
        clash: Option<String>,
        slots: &[Filled<'_>],
        name: &str,
    ) -> Option<Standing> {
        match &group.told.lack {
            Some(Lack::Blocks(reason)) => return Some(Standing::Blocked(reason.clone())),
            Some(Lack::Skips(reason)) => return Some(Standing::Skipped(reason.clone())),
            // Its name may hang on what the sheet will say.
            Some(Lack::Waits { .. } | Lack::Absent { .. }) => return None,
            None => {}
        }
        let extra = || {
            let extra = group.extra.as_ref().filter(|_| !self.closed.samples.contains(name))?;
            Some(extra.reason(group.rule))
        };
        let trouble = clash.or_else(|| name_trouble(group, &self.run, name));
        let trouble = trouble.or_else(|| slots.iter().find_map(Filled::claimed_twice)).or_else(extra);
        trouble.map(Standing::Blocked)
    }

    /// What the group lacks: a slot, or the sheet that is to tell of it.
    fn missing(&self, group: &Group<'a>, slots: &[Filled<'_>], name: &str) -> Option<Missing> {
        let is_closed = self.closed.samples.contains(name);
        Missing::of(group, self.view, slots, is_closed).or_else(|| match group.told.lack.as_ref()? {
            Lack::Absent { what, although } => {
                let may_still_come = self.view.is_endless() && !is_closed;
                Some(Missing { what: what.clone(), are_several: false, may_still_come, although: although.clone() })
            }
            _ => None,
        })
    }

    /// What the group waits for that is not of its own making, and how long if only time is missing: its sheet, the
    /// run, files that have not settled, and what may come although the run is complete.
    fn waits(&self, group: &Group<'a>, verdict: Verdict, name: &str) -> Option<(String, Option<Duration>)> {
        let run = self.awaits_run(group, verdict);
        let run = run.or_else(|| self.awaits_more(group).filter(|_| !self.is_over(name)));
        let Some(Lack::Waits { reason, in_time }) = &group.told.lack else { return run };
        Some(match run {
            None => (reason.clone(), *in_time),
            Some((other, other_in_time)) => (format!("{reason}; {other}"), later(*in_time, other_in_time)),
        })
    }

    /// The verdict over the run, and then what has not settled.
    fn awaits_run(&self, group: &Group<'a>, verdict: Verdict) -> Option<(String, Option<Duration>)> {
        let own = Unsettled::of(group.views());
        let of_part = group.views().find_map(|file| self.parts.unsettled_beside(file));
        // In a run folder the sample's own files are among all that must settle.
        let settles_in = of_part.or(own.as_ref()).map_or(Some(Duration::ZERO), |unsettled| unsettled.settles_in);
        match verdict {
            Verdict::Waits { reason, in_time } => Some((reason, later(in_time, settles_in))),
            _ => own.as_ref().or(of_part).map(|unsettled| (unsettled.reason(), settles_in)),
        }
    }

    /// How a group stands that waits for nothing but what it lacks itself.
    fn ready_or_why_not(
        &self,
        group: &Group<'a>,
        missing: Option<Missing>,
        slots: &[Filled<'_>],
        name: &str,
    ) -> (Standing, Option<Duration>) {
        let content = match group.kind() {
            Kind::Sample => content(slots, self.shelf),
            Kind::Data | Kind::Multiplexed => Content::Reads,
        };
        if let (None, Content::Reads) = (&missing, &content)
            && let Some(lacks_mate) = self.lacks_mate(group, slots, name)
        {
            return lacks_mate;
        }
        let standing = match (missing, content) {
            (Some(missing), _) if missing.may_still_come => {
                self.waiting(format!("waiting for {}", missing.what), group)
            }
            (_, Content::Nothing(reason)) => no_reads(group.rule, reason),
            (None, Content::Half(reason)) => Standing::Blocked(reason),
            (Some(missing), _) => {
                let are = if missing.are_several { "are" } else { "is" };
                Standing::Blocked(format!("{} {are} missing: {}", missing.what, missing.although))
            }
            (None, Content::Reads) => slots::trouble(slots, name).map_or(Standing::Ready, Standing::Blocked),
        };
        (standing, None)
    }

    /// Whether a person said that what is there is all there will be, of the sample or of the run.
    pub fn is_over(&self, name: &str) -> bool {
        self.closed.run || self.closed.samples.contains(name)
    }

    /// What is waited for, and then what holds already of the run's conditions.
    pub fn waiting(&self, mut reason: String, group: &Group<'a>) -> Standing {
        for holds in self.view.conditions(group.reads()).iter().filter(|stated| stated.holds && stated.is_worth_telling)
        {
            reason += &format!("; {holds}");
        }
        Standing::Waiting(reason)
    }
}

/// A name that Flow cannot take.
fn name_trouble(group: &Group<'_>, run: &Run<'_>, name: &str) -> Option<String> {
    let error = group.own_name(run).err()?;
    Some(format!("cannot name what rule {} makes of {name}: {error}", group.rule.name))
}

/// When two waits are over of which both must be.
fn later(a: Option<Duration>, b: Option<Duration>) -> Option<Duration> {
    a.zip(b).map(|(a, b)| a.max(b))
}
