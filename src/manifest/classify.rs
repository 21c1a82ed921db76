//! Which rule takes a file: by its path below the run folder, by what is captured from that, and by what sheets say.

use globset::GlobSet;

use super::{Manifest, Paired, Rule, Table};
use crate::pattern::Captures;

/// A captured value, or one of a sheet's (`sheet.Project`), that one of some globs must match.
#[derive(Debug, Clone)]
pub struct Where {
    pub capture: String,
    pub(super) globs: GlobSet,
    /// As they are written.
    pub(super) written: Vec<String>,
}

/// What becomes of a file.
#[derive(Debug, Clone)]
pub enum Verdict<'m> {
    Taken {
        rule: &'m Rule,
        captures: Captures,
    },
    /// It belongs to a sample of this rule, which has no place for it: a read that Flow has no name for.
    Extra {
        rule: &'m Rule,
        captures: Captures,
        /// The read as the instrument calls it: R3, I1.
        label: String,
    },
    /// No rule takes it; the reason names the rule that nearly did.
    LeftOut {
        reason: String,
    },
}

impl Manifest {
    /// Which rule takes a file; the first one that matches. `below_run` is its path below the run folder, `run` what
    /// the run folder's pattern captured. What hangs on the column of a sheet is taken to hold.
    pub fn classify(&self, below_run: &str, run: &Captures) -> Verdict<'_> {
        self.classify_with(below_run, run, |_, _| None)
    }

    /// Which rule takes a file, as `columns` has the values of sheets: of a rule and what it captured, `None` where
    /// they are not known, and the rule takes the file then, so that it can say so.
    pub fn classify_with<'m>(
        &'m self,
        below_run: &str,
        run: &Captures,
        columns: impl Fn(&'m Rule, &Captures) -> Option<Captures>,
    ) -> Verdict<'m> {
        let ignored = self.ignored.find(below_run);
        let is_named = |rule: &Rule| ignored.is_none_or(|ignored| !rule.takes(&ignored.disguised(below_run), run));
        let mut nearest = None;
        for rule in &self.rules {
            let Some(captures) = rule.captured(below_run, run) else { continue };
            let found = || rule.asks_for_columns().then(|| columns(rule, &captures)).flatten();
            match rule.failed_condition(&captures, found) {
                None if is_named(rule) => return Verdict::Taken { rule, captures },
                None => {}
                Some(failed) => nearest = nearest.or(Some(format!("{} (where: {})", rule.name, failed.capture))),
            }
        }
        if let Some(ignored) = ignored {
            // Whoever chose reads for a rule named the others there, where they are told by the read alone.
            let unnamed = self.rules.iter().find_map(|rule| Some((rule, rule.unnamed_read(below_run, run)?)));
            let by_read = unnamed.filter(|(rule, _)| rule.unnamed_read(&ignored.disguised(below_run), run).is_none());
            let reason = match by_read {
                Some((rule, (unnamed, _))) => format!("{}; rule {}: {unnamed}", ignored.what(), rule.name),
                None => ignored.reason(),
            };
            return Verdict::LeftOut { reason };
        }
        if let Some(extra) = self.rules.iter().find_map(|rule| self.extra(rule, below_run, run)) {
            return extra;
        }
        let by_reads = || {
            self.rules.iter().find_map(|rule| {
                let (unnamed, captures) = rule.unnamed_read(below_run, run)?;
                Some(match rule.failed_condition(&captures, || None) {
                    Some(failed) => format!("{} (where: {})", rule.name, failed.capture),
                    None => format!("{} ({unnamed})", rule.name),
                })
            })
        };
        let nearest = nearest.or_else(by_reads);
        let by_name = || self.rules.iter().find(|rule| rule.pattern.matches_file_name(below_run));
        let nearest = nearest.or_else(|| Some(format!("{} (match: the folders differ)", by_name()?.name)));
        let by_ending = || self.rules.iter().find(|rule| rule.pattern.ends_alike(below_run));
        let nearest = nearest.or_else(|| Some(format!("{} (match: the file name differs)", by_ending()?.name)));
        let reason = match nearest {
            Some(nearest) => format!("no rule matches; nearest: {nearest}"),
            None => "no rule matches".to_owned(),
        };
        Verdict::LeftOut { reason }
    }

    /// A read that belongs to a sample of the rule and would be left out of it. Index reads count where a layout is
    /// known to have them, and its word that nobody wants them was taken back.
    pub(super) fn extra<'m>(&self, rule: &'m Rule, below_run: &str, run: &Captures) -> Option<Verdict<'m>> {
        let (captures, label) = rule.surplus(below_run, run)?;
        let counts = label.starts_with('R') || self.ignored.are_taken_back();
        counts.then_some(Verdict::Extra { rule, captures, label })
    }

    /// The sample that a read belongs to which [`Self::classify`] left out and no rule chose to leave out: the first
    /// rule that would have a place for R1 in its stead, what it captures, and the read as the instrument calls it.
    pub fn left_out_of(&self, below_run: &str, run: &Captures) -> Option<(&Rule, Captures, String)> {
        self.rules.iter().find_map(|rule| {
            let (captures, label) = rule.surplus(below_run, run)?;
            Some((rule, captures, label))
        })
    }
}

impl Rule {
    /// Whether its conditions hold for a sample of which only this is known; `None` where it hangs on what is not.
    /// Columns of tables that are not there are empty.
    pub fn would_take(&self, known: &Captures) -> Option<bool> {
        let mut is_known = true;
        for condition in &self.conditions {
            let is_column = Table::split(&condition.capture).is_some();
            match known.get(&condition.capture).map(String::as_str).or(is_column.then_some("")) {
                Some(value) if condition.globs.is_match(value) => {}
                Some(_) => return Some(false),
                None => is_known = false,
            }
        }
        is_known.then_some(true)
    }

    /// The captures of a file of which only this is known, with what the run folder gives to the rule.
    pub fn with_run(&self, mut captures: Captures, run: &Captures) -> Captures {
        for name in &self.from_run {
            if let Some(text) = run.get(*name) {
                captures.entry((*name).to_owned()).or_insert_with(|| text.clone());
            }
        }
        captures
    }

    /// Whether it would take a file.
    pub(super) fn takes(&self, below_run: &str, run: &Captures) -> bool {
        self.captured(below_run, run).is_some_and(|captures| self.failed_condition(&captures, || None).is_none())
    }

    /// What it captures from a path, whatever its conditions say.
    pub(super) fn captured(&self, below_run: &str, run: &Captures) -> Option<Captures> {
        let captures = match self.reads.mapped(below_run) {
            Some(mapped) => mapped?,
            None => self.pattern.captures(below_run)?,
        };
        Some(self.with_run(captures, run))
    }

    /// What it captures from a read of a sample that it has no place for, and the read's label.
    fn surplus(&self, below_run: &str, run: &Captures) -> Option<(Captures, String)> {
        let (label, captures) = self.reads.surplus(below_run)?;
        let is_whole = self.joins_files() && self.paired != Some(Paired::Never);
        let captures = self.with_run(captures, run);
        (is_whole && self.failed_condition(&captures, || None).is_none()).then_some((captures, label))
    }

    /// That a file is a read which the key `reads` does not name, for a person, and what is captured from it beside.
    pub(super) fn unnamed_read(&self, below_run: &str, run: &Captures) -> Option<(String, Captures)> {
        let named = self.reads.named().filter(|_| self.captured(below_run, run).is_none())?;
        let (label, captures) = match self.reads.labelled(below_run) {
            Some(labelled) => labelled,
            // Of several patterns, one may have another place for the read.
            None => ("the read of this file".to_owned(), self.pattern.captures(below_run)?),
        };
        Some((format!("reads names {named}, and does not name {label}"), self.with_run(captures, run)))
    }

    /// The columns are asked for only where all else holds.
    pub(super) fn failed_condition(
        &self,
        captures: &Captures,
        columns: impl FnOnce() -> Option<Captures>,
    ) -> Option<&Where> {
        let fails = |condition: &&Where, values: &Captures| {
            !condition.globs.is_match(values.get(&condition.capture).map(String::as_str).unwrap_or_default())
        };
        let of = |of_columns: bool| {
            self.conditions.iter().filter(move |condition| Table::split(&condition.capture).is_some() == of_columns)
        };
        of(false).find(|condition| fails(condition, captures)).or_else(|| {
            let values = columns()?;
            of(true).find(|condition| fails(condition, &values))
        })
    }
}
