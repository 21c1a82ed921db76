//! Samples that a sheet declares, compared with what lies there: which of them have no reads, and whether it is too
//! late for these.
//!
//! A declared sample belongs to the first rule whose conditions hold for it. What a row does not tell is not guessed:
//! where it cannot be known whether a sample belongs to this run or to a rule, nothing is declared.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use super::group::Group;
use super::sheets::{Desk, Lack, Scope, Told, folder_of, joined};
use super::standing::Context;
use super::{Assembled, run_key};
use crate::manifest::{NoReads, Output, Rule, Run};
use crate::pattern::Captures;
use crate::sample::{Finding, Kind, Sample, SampleKey, Standing, acceptable_name};
use crate::sheet::{DeclaredSample, Read, folded_name, is_cell};
use crate::watch::{FileView, Verdict};

/// What the sheets of a run declare.
#[derive(Default)]
pub(super) struct Expected<'a> {
    /// Those without reads.
    pub absent: Vec<Absent<'a>>,
    /// Whether a sheet has not settled, so that what it declares is not known now.
    pub awaits_sheets: bool,
    /// By the sheet's path.
    counts: HashMap<&'a Path, Count>,
}

struct Count {
    /// The sheet, as people know it.
    sheet: String,
    declared: usize,
    without_reads: usize,
}

/// A declared sample of which no file lies there.
pub(super) struct Absent<'a> {
    rule: &'a Rule,
    name: String,
    captures: Captures,
    told: Told<'a>,
    /// Where it is declared: "SampleSheet.csv, line 21".
    place: String,
    /// The cells of the instrument that it is in, where those follow each other in a run and are finished one by one.
    cells: BTreeSet<String>,
}

impl<'a> Expected<'a> {
    /// Compares what sheets declare with the groups of a run, which have asked the sheets already.
    pub fn of(desk: &Desk<'a>, groups: &[Group<'a>]) -> Self {
        let expected = Self::default();
        let view = desk.view;
        // What lay there at the first start is nobody's expectation, and a drop folder has no end.
        if view.is_drop_folder() || view.files.iter().all(|file| file.observation.existing) {
            return expected;
        }
        let mut comparison = Comparison {
            desk,
            there: There::of(desk, groups),
            has_own_units: view.tells_its_end([]) && view.files.iter().any(|file| !view.tells_its_end([file])),
            names: groups.iter().map(|group| group.name(&desk.run)).collect(),
            claimed: HashSet::new(),
            expected,
        };
        for rule in desk.manifest.rules.iter().filter(|rule| matches!(rule.output, Output::Sample(_))) {
            comparison.expected.awaits_sheets |= awaits_sheet(desk, rule, groups);
            for read in sheets(desk, rule, groups) {
                for (sample, is_named_so) in declared(desk, rule, read, groups) {
                    comparison.compare(rule, read, &sample, is_named_so);
                }
            }
        }
        comparison.expected
    }

    /// How many of the samples of a sheet have no reads, for a person; `None` where all have.
    pub fn lacking(&self, sheet: Option<&Read>) -> Option<String> {
        let Count { sheet, declared, without_reads } = self.counts.get(sheet?.path.as_path())?;
        let have = if *without_reads == 1 { "has" } else { "have" };
        let samples = if *declared == 1 { "sample" } else { "samples" };
        (*without_reads > 0).then(|| format!("{without_reads} of {declared} {samples} of {sheet} {have} no reads"))
    }
}

/// The comparison while it is made, rule by rule.
struct Comparison<'d, 'a> {
    desk: &'d Desk<'a>,
    there: There<'a>,
    /// Whether the run has folders that follow each other and are finished one by one.
    has_own_units: bool,
    /// Of all that comes out of the run.
    names: HashSet<String>,
    /// By sheet and line, what belongs to a rule, or may.
    claimed: HashSet<(&'a Path, usize)>,
    expected: Expected<'a>,
}

impl<'a> Comparison<'_, 'a> {
    /// Compares one declared sample, unless it is another rule's.
    fn compare(&mut self, rule: &'a Rule, read: &'a Read, sample: &DeclaredSample<'a>, is_named_so: bool) {
        let desk = self.desk;
        let line = sample.selection.line();
        if self.claimed.contains(&(read.path.as_path(), line)) {
            return;
        }
        let Some(known) = Known::of(desk, rule, read, sample, is_named_so) else { return };
        self.claimed.insert((&read.path, line));
        let cells = if self.has_own_units { sample.selection.cells() } else { BTreeSet::new() };
        let is_told = known.belongs && !(self.has_own_units && cells.is_empty());
        if !is_told || is_claimed_before(desk, rule, &known.captures) {
            return;
        }
        let count = self.expected.counts.entry(&read.path).or_insert_with(|| Count {
            sheet: desk.shown(&read.path),
            declared: 0,
            without_reads: 0,
        });
        count.declared += 1;
        if self.there.has(&desk.run, rule, sample) {
            return;
        }
        count.without_reads += 1;
        let place = format!("{}, line {line}", count.sheet);
        let name = known.name(desk, rule, &sample.key);
        // What comes out under the name of another is that one, as far as anybody can tell.
        if self.names.insert(name.clone()) {
            let Known { captures, told, .. } = known;
            self.expected.absent.push(Absent { rule, name, captures, told, place, cells });
        }
    }
}

/// What lies in a run, by what tells whose it is.
struct There<'a> {
    rows: HashSet<usize>,
    /// Capture and text of what rules took.
    captures: HashSet<(String, String)>,
    /// By rule, what files are named after that its pattern fits, whether or not it takes them.
    names: HashSet<(&'a str, String)>,
}

impl<'a> There<'a> {
    fn of(desk: &Desk<'a>, groups: &[Group<'a>]) -> Self {
        let rows = groups.iter().filter_map(|group| group.told.rows.as_ref()).flat_map(|rows| rows.ids());
        let captures = groups.iter().flat_map(|group| &group.captures);
        let names = desk
            .manifest
            .rules
            .iter()
            .flat_map(|rule| desk.names(rule).map(|name| (rule.name.as_str(), folded_name(name))));
        Self {
            rows: rows.collect(),
            captures: captures.map(|(name, text)| (name.clone(), folded_name(text))).collect(),
            names: names.collect(),
        }
    }

    fn has(&self, run: &Run<'_>, rule: &Rule, sample: &DeclaredSample<'_>) -> bool {
        let has_rows = sample.selection.ids().any(|row| self.rows.contains(&row));
        if sample.shares_key {
            return has_rows;
        }
        let name = folded_name(&sample.key);
        let capture = rule.declaring().and_then(|sheet| sheet.captured(run, &sample.key));
        has_rows
            || self.names.contains(&(rule.name.as_str(), name.clone()))
            || capture.is_some_and(|capture| self.captures.contains(&(capture.to_owned(), name)))
    }
}

/// The sheets that speak for the samples of a rule in this run, and of no other run.
fn sheets<'a>(desk: &Desk<'a>, rule: &'a Rule, groups: &[Group<'a>]) -> Vec<&'a Read> {
    let Some(sheet) = rule.declaring() else { return Vec::new() };
    if rule.sheet.is_none() && !is_known_to_speak(rule, groups) {
        return Vec::new();
    }
    let of = |is_it: &dyn Fn(&Rule) -> bool| {
        let groups = groups.iter().filter(|group| is_it(group.rule));
        groups.filter_map(|group| group.told.sheet).collect::<Vec<_>>()
    };
    let is_own = |other: &Rule| std::ptr::eq(other, rule);
    let has_path = |other: &Rule| other.declaring().is_some_and(|other| other.path(&desk.run) == sheet.path(&desk.run));
    let mut sheets = of(&is_own);
    if !groups.iter().any(|group| is_own(group.rule)) {
        sheets = of(&has_path);
        if sheets.is_empty() {
            sheets.extend(desk.sheet(rule, Path::new("")).ok().or_else(|| desk.only_sheet(rule)));
        }
    }
    sheets.sort_by(|a, b| a.path.cmp(&b.path));
    sheets.dedup_by(|a, b| a.path == b.path);
    let tells_flow_cell = |read: &Read| {
        let tells = read.sheet.as_ref().is_ok_and(|sheet| sheet.tells_flow_cells());
        tells && desk.view.captures.contains_key("flow_cell")
    };
    let is_inside = |read: &Read| desk.view.files.iter().any(|file| file.path == read.path);
    sheets.retain(|read| is_inside(read) || sheet.is_of_one_run() || tells_flow_cell(read));
    sheets
}

/// Whether the sheet of the layout is that of these files: there are some, and it has all of them. It may be another
/// demultiplexing's, or only lie there.
fn is_known_to_speak(rule: &Rule, groups: &[Group<'_>]) -> bool {
    let mut own = groups.iter().filter(|group| std::ptr::eq(group.rule, rule)).peekable();
    own.peek().is_some() && own.all(|group| group.told.rows.is_some())
}

/// Whether a sheet of a rule has not settled.
fn awaits_sheet<'a>(desk: &Desk<'a>, rule: &'a Rule, groups: &[Group<'a>]) -> bool {
    let waits = |lack: &Lack| matches!(lack, Lack::Waits { .. });
    let is_awaited = |folder: &Path| desk.sheet(rule, folder).is_err_and(|lack| waits(&lack));
    let mut own = groups.iter().filter(|group| std::ptr::eq(group.rule, rule)).peekable();
    if own.peek().is_none() {
        return rule.sheet.is_some() && is_awaited(Path::new(""));
    }
    // Nobody waits for a sheet of which nothing is asked.
    let is_unasked = rule.sheet.is_none();
    own.any(|group| {
        group.told.lack.as_ref().is_some_and(waits) || (is_unasked && is_awaited(&folder_of(group.first())))
    })
}

/// The samples of a sheet, each with whether files of it are named after its key.
fn declared<'a>(
    desk: &Desk<'a>,
    rule: &'a Rule,
    read: &'a Read,
    groups: &[Group<'a>],
) -> Vec<(DeclaredSample<'a>, bool)> {
    let (Some(sheet), Ok(table)) = (rule.declaring(), &read.sheet) else { return Vec::new() };
    let Ok(keyed) = desk.keyed(rule, sheet, read, &desk.shown(&read.path)) else { return Vec::new() };
    let Ok(keyed) = keyed.as_ref() else { return Vec::new() };
    let guessed;
    let keyed = if sheet.key.is_some() || desk.names(rule).any(|name| keyed.has(name)) {
        keyed
    } else if groups.iter().any(|group| std::ptr::eq(group.rule, rule)) {
        // Files that are there are named after something else.
        return Vec::new();
    } else {
        guessed = table.keyed_by_guess();
        let Some(guessed) = &guessed else { return Vec::new() };
        guessed
    };
    let samples = keyed.samples(&desk.filter(&[])).into_iter();
    samples
        .map(|sample| {
            let is_sure = keyed.is_sure_of(&sample.key);
            (sample, is_sure)
        })
        .collect()
}

/// What is known of a declared sample that may belong to a rule.
struct Known<'a> {
    captures: Captures,
    told: Told<'a>,
    /// Whether it is known to belong to the rule.
    belongs: bool,
}

impl<'a> Known<'a> {
    /// `None` where it does not belong to the rule. `is_named_so`: files of it are named after its key.
    fn of(
        desk: &Desk<'a>,
        rule: &'a Rule,
        read: &'a Read,
        sample: &DeclaredSample<'a>,
        is_named_so: bool,
    ) -> Option<Self> {
        let capture = rule.declaring().and_then(|sheet| sheet.captured(&desk.run, &sample.key)).filter(|_| is_named_so);
        let mut captured: Captures =
            capture.map(|capture| (capture.to_owned(), sample.key.to_string())).into_iter().collect();
        let cells = sample.selection.cells();
        if let (Some(cell), 1) = (cells.first().filter(|cell| cell.contains('_')), cells.len()) {
            // With the plate's number it is what the folder is called, and its files capture.
            captured.entry("cell".to_owned()).or_insert_with(|| cell.clone());
        }
        let captures = rule.with_run(captured, &desk.view.captures);
        let ask = |scope| {
            let mut told = Told { sheet: Some(read), rows: Some(sample.selection.clone()), ..Told::default() };
            let taken = desk.take(rule, &sample.key, &captures, scope, &mut told);
            (told, taken.is_ok())
        };
        let (told, is_told) = ask(Scope::Conditions);
        let belongs = match rule.would_take(&joined(&captures, &told.values)) {
            Some(false) if is_told => return None,
            would => is_told && would == Some(true),
        };
        // What a column lacks that only a value takes is told once there are reads.
        let (told, _) = ask(Scope::All);
        Some(Self { captures, told, belongs })
    }

    /// The name that its reads will have; where that cannot be rendered yet, its key in the sheet.
    fn name(&self, desk: &Desk<'_>, rule: &Rule, key: &str) -> String {
        let known = joined(&self.captures, &self.told.values);
        let rendered = rule.can_name(&known).then(|| rule.sample_name(&desk.run, &known, "").ok()).flatten();
        rendered.or_else(|| acceptable_name(key).ok()).unwrap_or_else(|| key.to_owned())
    }
}

/// Whether an earlier rule, which asks no sheet, takes what is captured so.
fn is_claimed_before(desk: &Desk<'_>, rule: &Rule, captures: &Captures) -> bool {
    let earlier = desk.manifest.rules.iter().take_while(|other| !std::ptr::eq(*other, rule));
    let mut without_sheet = earlier.filter(|other| other.sheet.is_none() && !other.conditions.is_empty());
    without_sheet.any(|other| {
        matches!(other.output, Output::Sample(_))
            && other.would_take(&other.with_run(captures.clone(), &desk.view.captures)) == Some(true)
    })
}

impl Context<'_> {
    /// A declared sample without reads, as a sample.
    pub(super) fn without_reads(&self, absent: &Absent<'_>) -> Assembled {
        let Absent { rule, name, captures, told, place, .. } = absent;
        let key =
            SampleKey { kind: Kind::Sample, watch: self.watch.to_owned(), run: run_key(self.view), name: name.clone() };
        let mut sample = Sample {
            key,
            rule: rule.name.clone(),
            target: rule.target(&self.run, &joined(captures, &told.values)),
            slots: Vec::new(),
            sheets: told.used.clone(),
        };
        sample.name_target();
        let awaited = if self.is_over(name) { None } else { self.awaits(absent) };
        let (standing, in_time) = match awaited {
            Some((reason, in_time)) => (Standing::Waiting(format!("no reads yet ({place}); {reason}")), in_time),
            None => (no_reads(rule, format!("no reads ({place}), and the run is complete")), None),
        };
        Assembled {
            finding: Finding { sample, standing, is_existing: false, in_ending_run: false },
            in_time,
            captured: captures.clone(),
            rows: told.lines.clone(),
        }
    }

    /// Why reads of it may still come, and how long it takes until that is over if only time is missing.
    fn awaits(&self, absent: &Absent<'_>) -> Option<(String, Option<Duration>)> {
        let view = self.view;
        let mut of_cells: Vec<&FileView> = Vec::new();
        for cell in &absent.cells {
            let before = of_cells.len();
            of_cells.extend(view.files.iter().filter(|file| lies_in(file, cell)));
            if of_cells.len() == before {
                return Some((format!("nothing has come of the cell {cell}"), None));
            }
        }
        match view.verdict(of_cells.iter().copied()) {
            Verdict::Complete => {}
            Verdict::Waits { reason, in_time } => return Some((reason, in_time)),
            Verdict::Failed { reason } => return Some((reason, None)),
        }
        if !self.shows_an_end {
            // Quiet alone says nothing of a demultiplexer that has not begun.
            return Some(("nothing in the run has reads, and no marker says that it is complete".to_owned(), None));
        }
        let unsettled = match of_cells.is_empty() {
            true => self.parts.unsettled(),
            false => of_cells.iter().find_map(|file| self.parts.unsettled_beside(file)),
        };
        match unsettled {
            Some(unsettled) => Some((unsettled.reason(), unsettled.settles_in)),
            None => self.awaits_first_reads(&of_cells),
        }
    }
}

/// Whether a file lies in the folder of a cell, as PacBio's sheets name it.
fn lies_in(file: &FileView, cell: &str) -> bool {
    let mut components = file.below_run.parent().into_iter().flat_map(Path::iter).filter_map(|name| name.to_str());
    components.any(|name| is_cell(name, cell))
}

/// What becomes of a sample without reads.
pub(super) fn no_reads(rule: &Rule, reason: String) -> Standing {
    match rule.no_reads {
        NoReads::Skip => Standing::Skipped(reason),
        NoReads::Block => {
            Standing::Blocked(format!("{reason}; once they are there it goes on, or leave it: flow-ingest skip"))
        }
    }
}
