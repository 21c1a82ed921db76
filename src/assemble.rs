//! Files that belong together become a sample, or it is said by name what keeps them from it.
//!
//! A run's view, a manifest and the sheets that were read go in; samples with their standing, and the files that no rule takes, come out. Nothing
//! is decided by chance or by order of arrival: two files that claim one place, and two groups that come out with one
//! name, are blocked, naming both. Pure: no I/O, no clock, no memory of earlier calls.

mod candidates;
mod declared;
mod missing;
mod overdue;
mod overtaken;
mod sheets;
mod slots;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::manifest::{Manifest, Output, Paired, Release, Rule, Run, Tried, Verdict as Taker};
use crate::pattern::Captures;
use crate::sample::{Closed, Finding, Kind, NameError, Sample, SampleKey, Standing, path_to_text};
use crate::sheet::Shelf;
use crate::watch::{FileView, RunView, Verdict};

pub use candidates::wanted;
pub use overdue::{Expectation, Overdue};
pub use sheets::RowsUsed;

use declared::{Expected, no_reads};
use missing::Missing;
use overtaken::Overtaken;
use sheets::{Desk, Lack, Told};
use slots::{Content, Filled, Member, content, file_name, slots};

/// What became of the files of one run.
#[derive(Debug, Default)]
pub struct Assembly {
    pub samples: Vec<Assembled>,
    /// What no rule takes, by absolute path.
    pub left_out: Vec<(PathBuf, String)>,
    /// Whether a sheet has not settled, so that what it declares is not known now.
    pub awaits_sheets: bool,
}

/// A sample, and what assembly says of it.
#[derive(Debug, Clone)]
pub struct Assembled {
    pub finding: Finding,
    /// When it will be ready if nothing changes; `None` when more than the passing of time is missing, or nothing.
    pub in_time: Option<Duration>,
    /// Whether something tells when its run is over, so that a sample that appears after others were sent is late.
    pub in_ending_run: bool,
    /// What its files captured alike, and what sheets say of it.
    pub captured: Captures,
    /// Where sheets say it.
    pub rows: Vec<RowsUsed>,
}

/// Splits findings by whether they can be late.
pub fn by_lateness(samples: Vec<Assembled>) -> [(Vec<Finding>, bool); 2] {
    let (ending, open): (Vec<_>, Vec<_>) = samples.into_iter().partition(|assembled| assembled.in_ending_run);
    [(ending, true), (open, false)].map(|(samples, ends)| (samples.into_iter().map(|it| it.finding).collect(), ends))
}

/// Makes samples of a run's files. `closed` is what people said of its end, `shelf` what was read of what is [`wanted`].
pub fn assemble(watch: &str, manifest: &Manifest, view: &RunView, closed: &Closed, shelf: &Shelf) -> Assembly {
    let run = Run { name: &view.name, captures: &view.captures };
    let desk = Desk::new(manifest, view, run, shelf);
    let mut assembly = Assembly::default();
    let mut groups: BTreeMap<(usize, Captures), Group<'_>> = BTreeMap::new();
    let mut extras: BTreeMap<(usize, Captures), Extra<'_>> = BTreeMap::new();
    let place = |rule| manifest.rules.iter().position(|other| std::ptr::eq(other, rule)).unwrap_or_default();
    let mut taken = Vec::new();
    for file in &view.files {
        let below_run = file.below_run.to_string_lossy();
        let columns = |rule, captures: &Captures| desk.of_file(rule, file, captures);
        let (rule, captures) = match manifest.classify_with(&below_run, &view.captures, columns) {
            Taker::Taken { rule, captures } => (rule, captures),
            Taker::Extra { rule, captures, label } => {
                let reason = format!("rule {} has no place for {label}; map it with reads, or ignore it", rule.name);
                assembly.left_out.push((file.path.clone(), reason));
                extras
                    .entry((place(rule), identity(rule, &captures, &file.below_run)))
                    .or_insert(Extra { file, label });
                continue;
            }
            Taker::LeftOut { .. } if view.is_marker(file) => {
                assembly.left_out.push((file.path.clone(), "it marks the run as complete (complete_when)".to_owned()));
                continue;
            }
            Taker::LeftOut { .. } if view.is_optional_marker(file) => {
                let reason = "it is a marker that is told, and nothing waits for it (complete_when)";
                assembly.left_out.push((file.path.clone(), reason.to_owned()));
                continue;
            }
            Taker::LeftOut { reason } => {
                let sheet_of = desk.rule_of_sheet(file).map(|rule| format!("it is a sample sheet (rule {rule})"));
                assembly.left_out.push((file.path.clone(), sheet_of.unwrap_or(reason)));
                continue;
            }
        };
        if rule.paired == Some(Paired::Never) && captures.get("read").is_some_and(|read| read == "2") {
            let reason = format!("rule {} takes reads1 alone (paired: never)", rule.name);
            assembly.left_out.push((file.path.clone(), reason));
            continue;
        }
        taken.push(file);
        groups
            .entry((place(rule), identity(rule, &captures, &file.below_run)))
            .or_insert_with(|| Group {
                rule,
                captures: captures.clone(),
                files: Vec::new(),
                annotation: None,
                extra: None,
                unfinished: None,
                told: Told::default(),
            })
            .files
            .push(Member { view: file, captures });
    }

    for (identity, extra) in extras {
        if let Some(group) = groups.get_mut(&identity) {
            group.extra = Some(extra);
        }
    }
    for (finished, unfinished) in &view.unfinished {
        // Of columns nothing is known yet.
        let taker = manifest.classify_with(&finished.to_string_lossy(), &view.captures, |_, _| None);
        if let Taker::Taken { rule, captures } = taker
            && let Some(group) = groups.get_mut(&(place(rule), identity(rule, &captures, finished)))
        {
            group.unfinished = Some(unfinished);
        }
    }

    let mut groups: Vec<Group<'_>> = groups.into_values().collect();
    let has_sets = groups.iter().any(|group| group.kind() == Kind::Multiplexed);
    let files = view.files.iter().filter(|_| has_sets);
    let by_path: HashMap<_, _> = files.map(|file| (file.below_run.to_string_lossy(), file)).collect();
    for group in &mut groups {
        group.ask(&desk);
        group.annotation = Annotation::of(group, &by_path, &run);
    }
    // What says whose the reads of a set are belongs to the set, whatever other rule would take it.
    let annotations = groups.iter().filter_map(|group| Some(group.annotation_file()?.path.clone()));
    let annotations: HashSet<PathBuf> = annotations.collect();
    if !annotations.is_empty() {
        assembly.left_out.retain(|(path, _)| !annotations.contains(path));
        taken.retain(|file| !annotations.contains(&file.path));
        for group in &mut groups {
            group.files.retain(|member| !annotations.contains(&member.view.path));
        }
        groups.retain(|group| !group.files.is_empty());
        taken.extend(view.files.iter().filter(|file| annotations.contains(&file.path)));
    }
    let expected = Expected::of(&desk, &groups);
    assembly.awaits_sheets = expected.awaits_sheets;
    let has_reads = groups.iter().any(|group| group.kind() == Kind::Sample);
    let is_marked = || view.files.iter().any(|file| view.is_marker(file));
    let shows_an_end = has_reads || (!expected.absent.is_empty() && is_marked());
    let has_mate =
        |group: &&Group<'_>| group.files.iter().any(|file| file.captures.get("read").is_some_and(|read| read == "2"));
    let paired = groups.iter().filter(has_mate).map(|group| group.rule.name.as_str()).collect();
    let mut by_name: BTreeMap<(Kind, String), Vec<Group<'_>>> = BTreeMap::new();
    for group in groups {
        by_name.entry((group.kind(), group.name(&run))).or_default().push(group);
    }
    let mut parts: BTreeMap<usize, Vec<&FileView>> = BTreeMap::new();
    for file in taken.into_iter().filter(|_| !view.is_drop_folder()) {
        parts.entry(view.scope(file)).or_default().push(file);
    }
    let unsettled = parts.iter().filter_map(|(scope, files)| Some((*scope, Unsettled::of(files.iter().copied())?)));
    let unsettled = unsettled.collect();
    let overtaken = parts.into_iter().filter_map(|(scope, files)| Some((scope, Overtaken::of(view, files)?))).collect();
    let context =
        Context { watch, run, view, closed, shelf, expected: &expected, paired, shows_an_end, unsettled, overtaken };
    // The name is that of the first group; the others are known by their files, so that none of them is silent.
    for ((_, name), groups) in by_name {
        let (first, others) = (&groups[0], &groups[1..]);
        let of_first = others.first().map(|second| clash(&name, first, second, others.len() - 1));
        assembly.samples.push(context.assembled(name.clone(), first, of_first));
        for other in others {
            let own_name = path_to_text(&other.first().below_run);
            assembly.samples.push(context.assembled(own_name, other, Some(clash(&name, first, other, 0))));
        }
    }
    assembly.samples.extend(expected.absent.iter().map(|absent| context.without_reads(absent)));
    assembly
}

/// What each rule says of files of a run, in order; decides as [`assemble`] does. One list for each file.
pub fn trace(manifest: &Manifest, view: &RunView, shelf: &Shelf, files: &[&FileView]) -> Vec<Vec<Tried>> {
    let desk = Desk::new(manifest, view, Run { name: &view.name, captures: &view.captures }, shelf);
    let of_file = |file: &&FileView| {
        let columns = |rule, captures: &Captures| desk.of_file(rule, file, captures);
        manifest.trace(&file.below_run.to_string_lossy(), &view.captures, columns)
    };
    files.iter().map(of_file).collect()
}

/// What tells a run from the others of its watch: run folders of one name in two places are two runs, so that it is the
/// folder's path below the watch.
pub fn run_key(view: &RunView) -> String {
    if view.is_drop_folder() { view.name.clone() } else { path_to_text(&view.folder) }
}

/// Files of one rule with the same captured values, but for those that pair or order them.
struct Group<'a> {
    rule: &'a Rule,
    /// Of its first file: the same for all in what the sample's own values may use.
    captures: Captures,
    /// Never empty.
    files: Vec<Member<'a>>,
    /// The sheet of a multiplexed set, as far as its path is known.
    annotation: Option<Annotation<'a>>,
    /// A read of it that has no place in the sample.
    extra: Option<Extra<'a>>,
    /// A file that will belong to it, and is being written under another name, below the run.
    unfinished: Option<&'a Path>,
    /// What sheets say of it; its values are among the captures, too.
    told: Told<'a>,
}

/// The annotation sheet of a multiplexed set.
struct Annotation<'a> {
    /// Below the run folder.
    path: String,
    /// `None` where it is not there.
    file: Option<Member<'a>>,
}

impl<'a> Annotation<'a> {
    /// Of the files of the run, by their paths below it.
    fn of(group: &Group<'a>, files: &HashMap<Cow<'a, str>, &'a FileView>, run: &Run<'_>) -> Option<Self> {
        if group.rule.lacking(&group.captures).is_some() {
            return None;
        }
        let path = group.rule.annotation(run, &group.captures)?;
        let file = files.get(path.as_str()).map(|view| Member { view, captures: Captures::new() });
        Some(Self { path, file })
    }
}

/// A read that belongs to a group and has no slot.
struct Extra<'a> {
    file: &'a FileView,
    label: String,
}

impl Extra<'_> {
    fn reason(&self, rule: &Rule) -> String {
        format!(
            "rule {} would leave out {} ({}), and reads without it may be useless; say which reads are which in the \
             rule, such as reads: {{reads1: R1, reads2: {}}}, or have the watch ignore it",
            rule.name,
            path_to_text(&self.file.below_run),
            self.label,
            self.label
        )
    }
}

/// What tells a group from the others of its rule. A generic file is a group of its own.
fn identity(rule: &Rule, captures: &Captures, below_run: &Path) -> Captures {
    let mut identity = captures.clone();
    match rule.output {
        Output::Sample(_) | Output::Multiplexed(_) => {
            identity.retain(|name, _| !crate::manifest::ORDERING.contains(&name.as_str()))
        }
        Output::Data(_) => {
            identity.insert(String::new(), path_to_text(below_run));
        }
    }
    identity
}

impl<'a> Group<'a> {
    fn kind(&self) -> Kind {
        match self.rule.output {
            Output::Sample(_) => Kind::Sample,
            Output::Data(_) => Kind::Data,
            Output::Multiplexed(_) => Kind::Multiplexed,
        }
    }

    fn annotation_file(&self) -> Option<&'a FileView> {
        Some(self.annotation.as_ref()?.file.as_ref()?.view)
    }

    fn first(&self) -> &FileView {
        self.files[0].view
    }

    /// Asks the sheets.
    fn ask(&mut self, desk: &Desk<'a>) {
        let members: Vec<_> = self.files.iter().map(|member| &member.captures).collect();
        if self.rule.has_tables() {
            self.told = desk.of_sample(self.rule, self.first(), &self.captures, &members);
            self.captures.append(&mut self.told.values);
        } else if let Some(sheet) = self.rule.declaring() {
            self.told = desk.of_unasked(self.rule, sheet, self.first(), &self.captures, &members);
        }
    }

    fn own_name(&self, run: &Run<'_>) -> Result<String, NameError> {
        self.rule.sample_name(run, &self.captures, &file_name(&self.first().path))
    }

    /// The sample's name; one that Flow could never take, or that a sheet has yet to tell, is known by its first file instead.
    fn name(&self, run: &Run<'_>) -> String {
        let named = Some(()).filter(|()| self.rule.knows_name(&self.captures)).and_then(|()| self.own_name(run).ok());
        named.unwrap_or_else(|| path_to_text(&self.first().below_run))
    }

    fn reads(&self) -> impl Iterator<Item = &FileView> {
        self.files.iter().map(|member| member.view)
    }

    /// All of its files, an annotation sheet among them.
    fn views(&self) -> impl Iterator<Item = &FileView> {
        self.reads().chain(self.annotation_file())
    }
}

struct Context<'a> {
    watch: &'a str,
    run: Run<'a>,
    view: &'a RunView,
    closed: &'a Closed,
    shelf: &'a Shelf,
    expected: &'a Expected<'a>,
    /// The rules that found second reads in the run.
    paired: HashSet<&'a str>,
    /// Whether a rule has found reads in the run, or a marker has.
    shows_an_end: bool,
    /// By part of the run, the files that have not settled, among all that a rule takes. A run whose marker came before
    /// the last of its files is not over while one of them still changes. Empty in a drop folder, whose samples have
    /// nothing to do with each other.
    unsettled: BTreeMap<usize, Unsettled>,
    /// By part of the run, those in which files came after the marker.
    overtaken: BTreeMap<usize, Overtaken<'a>>,
}

impl Context<'_> {
    /// `clash`: what is wrong with a name that others come out with, too.
    fn assembled(&self, name: String, group: &Group<'_>, clash: Option<String>) -> Assembled {
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
        let in_ending_run = self.can_be_late(group);
        let mut captured = group.captures.clone();
        captured.retain(|name, _| !crate::manifest::ORDERING.contains(&name.as_str()));
        let rows = group.told.lines.clone();
        Assembled { finding: Finding { sample, standing, is_existing }, in_time, in_ending_run, captured, rows }
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
        let of_part = group.views().find_map(|file| self.unsettled.get(&self.view.scope(file)));
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

    /// What is waited for, and then what holds already of the run's conditions.
    fn waiting(&self, mut reason: String, group: &Group<'_>) -> Standing {
        for holds in self.view.conditions(group.reads()).iter().filter(|stated| stated.holds && stated.is_worth_telling)
        {
            reason += &format!("; {holds}");
        }
        Standing::Waiting(reason)
    }
}

/// Two groups that come out with one name, and how many more do.
fn clash(name: &str, a: &Group<'_>, b: &Group<'_>, more: usize) -> String {
    let [first, second] = [a, b].map(|group| path_to_text(&group.first().below_run));
    format!(
        "two groups of files come out with the name {name}: {first} (rule {}) and {second} (rule {}){}; capture what tells \
         them apart and use it in the name",
        a.rule.name,
        b.rule.name,
        if more > 0 { format!(" and {more} more") } else { String::new() }
    )
}

/// A name that Flow cannot take.
fn name_trouble(group: &Group<'_>, run: &Run<'_>, name: &str) -> Option<String> {
    let error = group.own_name(run).err()?;
    Some(format!("cannot name what rule {} makes of {name}: {error}", group.rule.name))
}

/// Files that have not settled.
struct Unsettled {
    first: String,
    count: usize,
    settles_in: Option<Duration>,
}

impl Unsettled {
    fn of<'a>(files: impl Iterator<Item = &'a FileView>) -> Option<Self> {
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

    fn reason(&self) -> String {
        match self.count {
            1 => format!("{} has not settled yet", self.first),
            count => format!("{count} files have not settled yet, {} among them", self.first),
        }
    }
}

#[cfg(test)]
mod declared_tests;
#[cfg(test)]
mod multiplexed_tests;
#[cfg(test)]
mod sheet_tests;
#[cfg(test)]
mod tests;
