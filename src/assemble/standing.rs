//! How a group stands: whether it is a whole sample that may go, or what it waits for, or what blocks it.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use super::declared::{Expected, no_reads};
use super::group::Group;
use super::missing::Missing;
use super::rest::Part;
use super::sheets::Lack;
use super::slots::{self, Content, Filled, content, slots};
use super::{Assembled, run_key};
use crate::manifest::{Release, Run};
use crate::sample::{Closed, Finding, Kind, Sample, SampleKey, Standing, path_to_text};
use crate::sheet::Shelf;
use crate::watch::{FileView, RunView, Verdict};

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
    /// The parts of the run in which rules take files. A part whose marker came before the last of its files is not over
    /// while one of them still changes. Empty in a drop folder, whose samples have nothing to do with each other.
    pub parts: BTreeMap<usize, Part<'a>>,
}

impl Context<'_> {
    /// `clash`: what is wrong with a name that others come out with, too.
    pub fn assembled(&self, name: String, group: &Group<'_>, clash: Option<String>) -> Assembled {
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
        group: &Group<'_>,
        clash: Option<String>,
        slots: &[Filled<'_>],
        name: &str,
    ) -> (Standing, Option<Duration>) {
        let lack = group.told.lack.as_ref();
        match lack {
            Some(Lack::Blocks(reason)) => return (Standing::Blocked(reason.clone()), None),
            Some(Lack::Skips(reason)) => return (Standing::Skipped(reason.clone()), None),
            Some(Lack::Waits { .. } | Lack::Absent { .. }) => {}
            None => {
                let extra = || {
                    let extra = group.extra.as_ref().filter(|_| !self.closed.samples.contains(name))?;
                    Some(extra.reason(group.rule))
                };
                let trouble = clash.or_else(|| name_trouble(group, &self.run, name));
                let trouble = trouble.or_else(|| slots.iter().find_map(Filled::claimed_twice)).or_else(extra);
                if let Some(reason) = trouble {
                    return (Standing::Blocked(reason), None);
                }
            }
        }

        let is_closed = self.closed.samples.contains(name);
        let missing = Missing::of(group, self.view, slots, is_closed).or_else(|| match lack? {
            Lack::Absent { what, although } => {
                let may_still_come = self.view.is_endless() && !is_closed;
                Some(Missing { what: what.clone(), are_several: false, may_still_come, although: although.clone() })
            }
            _ => None,
        });
        let awaited = match is_closed || self.closed.run {
            true => None,
            false => match self.view.verdict(group.reads()) {
                Verdict::Complete => None,
                Verdict::Waits { reason, in_time } => Some((reason, in_time)),
                Verdict::Failed { reason } => return (Standing::Blocked(reason), None),
            },
        };
        let own = Unsettled::of(group.views());
        let of_part = group.views().find_map(|file| self.unsettled_beside(file));
        let unsettled = own.as_ref().or(of_part);
        // In a run folder the sample's own files are among all that must settle.
        let settles_in = of_part.or(own.as_ref()).map_or(Some(Duration::ZERO), |unsettled| unsettled.settles_in);
        let waits = match (awaited, unsettled) {
            (None, None) => None,
            (None, Some(unsettled)) => Some((unsettled.reason(), settles_in)),
            (Some((reason, in_time)), _) => Some((reason, in_time.zip(settles_in).map(|(a, b)| a.max(b)))),
        };
        let waits = waits.or_else(|| self.awaits_more(group).filter(|_| !is_closed && !self.closed.run));
        let waits = match (lack, waits) {
            (Some(Lack::Waits { reason, in_time }), None) => Some((reason.clone(), *in_time)),
            (Some(Lack::Waits { reason, in_time }), Some((other, other_in_time))) => {
                Some((format!("{reason}; {other}"), in_time.zip(other_in_time).map(|(a, b)| a.max(b))))
            }
            (_, waits) => waits,
        };
        if let Some((reason, in_time)) = waits {
            let reason = match self.expected.lacking(group.told.sheet) {
                Some(lacking) => format!("{lacking}; {reason}"),
                None => reason,
            };
            return match missing {
                Some(missing) => {
                    // In a run that ends, time will tell: it is blocked then.
                    let in_time = in_time.filter(|_| !missing.may_still_come);
                    (self.waiting(format!("waiting for {}; {reason}", missing.what), group), in_time)
                }
                None => (self.waiting(reason, group), in_time),
            };
        }
        let content = match group.kind() {
            Kind::Sample => content(slots, self.shelf),
            Kind::Data | Kind::Multiplexed => Content::Reads,
        };
        if let (None, Content::Reads) = (&missing, &content)
            && let Some(lacks_mate) = self.lacks_mate(group, slots, name)
        {
            return lacks_mate;
        }
        match (missing, content) {
            (Some(missing), _) if missing.may_still_come => {
                (self.waiting(format!("waiting for {}", missing.what), group), None)
            }
            (_, Content::Nothing(reason)) => (no_reads(group.rule, reason), None),
            (None, Content::Half(reason)) => (Standing::Blocked(reason), None),
            (Some(missing), _) => {
                let are = if missing.are_several { "are" } else { "is" };
                let reason = format!("{} {are} missing: {}", missing.what, missing.although);
                (Standing::Blocked(reason), None)
            }
            (None, Content::Reads) => match slots::trouble(slots, name) {
                Some(reason) => (Standing::Blocked(reason), None),
                None => (Standing::Ready, None),
            },
        }
    }

    /// What has not settled in the part of the run in which a file lies.
    pub fn unsettled_beside(&self, file: &FileView) -> Option<&Unsettled> {
        self.parts.get(&self.view.scope(file))?.unsettled.as_ref()
    }

    /// What is waited for, and then what holds already of the run's conditions.
    pub fn waiting(&self, mut reason: String, group: &Group<'_>) -> Standing {
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

/// Files that have not settled.
pub(super) struct Unsettled {
    first: String,
    count: usize,
    pub settles_in: Option<Duration>,
}

impl Unsettled {
    pub fn of<'a>(files: impl Iterator<Item = &'a FileView>) -> Option<Self> {
        let mut unsettled: Option<Self> = None;
        for file in files.filter(|file| !file.settled) {
            let entry = unsettled.get_or_insert_with(|| Self {
                first: path_to_text(&file.below_run),
                count: 0,
                settles_in: Some(Duration::ZERO),
            });
            entry.count += 1;
            entry.settles_in = entry.settles_in.zip(file.settles_in).map(|(a, b)| a.max(b));
        }
        unsettled
    }

    pub fn reason(&self) -> String {
        match self.count {
            1 => format!("{} has not settled yet", self.first),
            count => format!("{count} files have not settled yet, {} among them", self.first),
        }
    }
}
