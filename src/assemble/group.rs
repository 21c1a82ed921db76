//! The files of a run by what rules make of them: groups, each of which becomes a sample, and what no rule takes.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::sheets::{Desk, Told};
use super::slots::{Member, file_name, is_second_read};
use crate::manifest::{ORDERING, Output, Paired, Rule, Run, Verdict as Taker};
use crate::pattern::Captures;
use crate::sample::{Kind, NameError, path_to_text};
use crate::sheet::IndexRead;
use crate::watch::{FileView, RunView};

/// All files of a run, sorted.
pub(super) struct Sorted<'a> {
    pub groups: Vec<Group<'a>>,
    /// All that rules take, annotation sheets of sets among them.
    pub taken: Vec<&'a FileView>,
    /// What no rule takes, by absolute path.
    pub left_out: Vec<(PathBuf, String)>,
}

/// The place of a rule in the manifest, and what tells a group from the others of the rule.
type Identity = (usize, Captures);

impl<'a> Sorted<'a> {
    /// Sorts the files of the desk's run; each group has asked the sheets then.
    pub fn of(desk: &Desk<'a>) -> Self {
        let mut groups: BTreeMap<Identity, Group<'a>> = BTreeMap::new();
        let mut extras = Vec::new();
        let mut out = Vec::new();
        let (mut taken, mut left_out) = (Vec::new(), Vec::new());
        for file in &desk.view.files {
            match sort(desk, file) {
                Place::In { rule, captures } => {
                    taken.push(file);
                    let identity = identity(desk, rule, &captures, &file.below_run);
                    let group = groups.entry(identity).or_insert_with(|| Group::new(rule, captures.clone()));
                    group.files.push(Member { view: file, captures });
                }
                Place::Beside { rule, captures, label } => {
                    let reason =
                        format!("rule {} has no place for {label}; map it with reads, or ignore it", rule.name);
                    left_out.push((file.path.clone(), reason));
                    extras.push((identity(desk, rule, &captures, &file.below_run), Extra { file, label, why: None }));
                }
                Place::Out { reason } => {
                    out.push(file);
                    left_out.push((file.path.clone(), reason));
                }
            }
        }
        for (identity, extra) in extras {
            if let Some(group) = groups.get_mut(&identity) {
                group.extra.get_or_insert(extra);
            }
        }
        for (finished, unfinished) in &desk.view.unfinished {
            // Of columns nothing is known yet.
            let below_run = finished.to_string_lossy();
            let taker = desk.manifest.classify_with(&below_run, &desk.view.captures, |_, _| None);
            if let Taker::Taken { rule, captures } = taker
                && let Some(group) = groups.get_mut(&identity(desk, rule, &captures, finished))
                // Beside the finished file it is what somebody left behind.
                && group.reads().all(|file| file.below_run != *finished)
            {
                group.unfinished = Some(unfinished);
            }
        }
        groups.values_mut().for_each(|group| group.ask(desk));
        find_needed(desk, &mut groups, &out);
        let mut sorted = Self { groups: groups.into_values().collect(), taken, left_out };
        sorted.give_annotations(desk.view, &desk.run);
        sorted
    }

    /// Gives each set its annotation sheet. What says whose the reads of a set are belongs to the set, whatever other
    /// rule would take it.
    fn give_annotations(&mut self, view: &'a RunView, run: &Run<'_>) {
        if !self.groups.iter().any(|group| group.kind() == Kind::Multiplexed) {
            return;
        }
        let by_path: HashMap<_, _> = view.files.iter().map(|file| (file.below_run.to_string_lossy(), file)).collect();
        for group in &mut self.groups {
            group.annotation = Annotation::of(group, &by_path, run);
        }
        let annotations = self.groups.iter().filter_map(|group| Some(group.annotation_file()?.path.clone()));
        let annotations: HashSet<PathBuf> = annotations.collect();
        let is_other = |path: &PathBuf| !annotations.contains(path);
        self.left_out.retain(|(path, _)| is_other(path));
        self.taken.retain(|file| is_other(&file.path));
        for group in &mut self.groups {
            group.files.retain(|member| is_other(&member.view.path));
        }
        self.groups.retain(|group| !group.files.is_empty());
        self.taken.extend(view.files.iter().filter(|file| !is_other(&file.path)));
    }
}

/// Index reads are left out, since an index tells nobody anything once its sample is known. Those that carry more, as
/// the sample's sheet says, are a part of it.
fn find_needed<'a>(desk: &Desk<'a>, groups: &mut BTreeMap<Identity, Group<'a>>, left_out: &[&'a FileView]) {
    let needed = |group: &Group<'a>| group.told.rows.as_ref().map_or(Vec::new(), |rows| rows.needed_index_reads());
    let by_group = groups.iter().map(|(identity, group)| (identity, needed(group)));
    let by_group = by_group.filter(|(_, needed)| !needed.is_empty());
    let by_group: BTreeMap<Identity, Vec<IndexRead<'a>>> =
        by_group.map(|(identity, needed)| (identity.clone(), needed)).collect();
    for file in left_out.iter().filter(|_| !by_group.is_empty()) {
        let left_out_of = desk.manifest.left_out_of(&file.below_run.to_string_lossy(), &desk.view.captures);
        let Some((rule, captures, label)) = left_out_of else { continue };
        let identity = identity(desk, rule, &captures, &file.below_run);
        let index_read = by_group.get(&identity).and_then(|needed| needed.iter().find(|it| it.label == label));
        if let (Some(IndexRead { cycles, place, .. }), Some(group)) = (index_read, groups.get_mut(&identity)) {
            let sheet = group.told.sheet.map_or(String::new(), |read| desk.shown(&read.path));
            let why = format!("in which OverrideCycles ({cycles} in {sheet} at {place}) has a UMI or a cell barcode");
            group.extra.get_or_insert(Extra { file, label, why: Some(why) });
        }
    }
}

/// Where a file belongs.
enum Place<'a> {
    In {
        rule: &'a Rule,
        captures: Captures,
    },
    /// To a group that has no slot for it.
    Beside {
        rule: &'a Rule,
        captures: Captures,
        label: String,
    },
    Out {
        reason: String,
    },
}

fn sort<'a>(desk: &Desk<'a>, file: &FileView) -> Place<'a> {
    let columns = |rule, captures: &Captures| desk.of_file(rule, file, captures);
    let out = |reason: String| Place::Out { reason };
    match desk.manifest.classify_with(&file.below_run.to_string_lossy(), &desk.view.captures, columns) {
        Taker::Taken { rule, captures } => {
            if rule.paired == Some(Paired::Never) && is_second_read(&captures) {
                return out(format!("rule {} takes reads1 alone (paired: never)", rule.name));
            }
            Place::In { rule, captures }
        }
        Taker::Extra { rule, captures, label } => Place::Beside { rule, captures, label },
        Taker::LeftOut { .. } if desk.view.is_marker(file) => {
            out("it marks the run as complete (complete_when)".to_owned())
        }
        Taker::LeftOut { .. } if desk.view.is_optional_marker(file) => {
            out("it is a marker for which nothing waits (complete_when)".to_owned())
        }
        Taker::LeftOut { reason } => {
            let sheet_of = desk.rule_of_sheet(file).map(|rule| format!("it is a sample sheet (rule {rule})"));
            out(sheet_of.unwrap_or(reason))
        }
    }
}

/// Files of one rule with the same captured values, but for those that pair or order them.
pub(super) struct Group<'a> {
    pub rule: &'a Rule,
    /// Of its first file: the same for all in what the sample's own values may use.
    pub captures: Captures,
    /// Never empty.
    pub files: Vec<Member<'a>>,
    /// The sheet of a multiplexed set, as far as its path is known.
    pub annotation: Option<Annotation<'a>>,
    /// A read of it that has no place in the sample.
    pub extra: Option<Extra<'a>>,
    /// A file that will belong to it, and is being written under another name, below the run.
    pub unfinished: Option<&'a Path>,
    /// What sheets say of it; its values are among the captures, too.
    pub told: Told<'a>,
}

/// The annotation sheet of a multiplexed set.
pub(super) struct Annotation<'a> {
    /// Below the run folder.
    pub path: String,
    /// `None` where it is not there.
    pub file: Option<Member<'a>>,
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
pub(super) struct Extra<'a> {
    pub file: &'a FileView,
    pub label: String,
    /// What says that it is needed, where it usually is not.
    pub why: Option<String>,
}

impl Extra<'_> {
    pub fn reason(&self, rule: &Rule) -> String {
        format!(
            "rule {} would leave out {} ({}){}, and reads without it may be useless; say which reads are which in the \
             rule, such as reads: {{reads1: R1, reads2: {}}}, or have the watch ignore it",
            rule.name,
            path_to_text(&self.file.below_run),
            self.label,
            self.why.as_ref().map(|why| format!(", {why}")).unwrap_or_default(),
            self.label
        )
    }
}

/// What tells a group from all others. A generic file is a group of its own.
fn identity(desk: &Desk<'_>, rule: &Rule, captures: &Captures, below_run: &Path) -> Identity {
    let place = desk.manifest.rules.iter().position(|other| std::ptr::eq(other, rule)).unwrap_or_default();
    let mut identity = alike(captures);
    match rule.output {
        Output::Sample(_) | Output::Multiplexed(_) => {
            if let Some(folder) = below_run.parent().filter(|_| rule.keeps_folders_apart) {
                identity.insert(String::new(), path_to_text(folder));
            }
        }
        Output::Data(_) => {
            identity.insert(String::new(), path_to_text(below_run));
        }
    }
    (place, identity)
}

/// What the files of one group capture alike: all but what pairs or orders them.
pub(super) fn alike(captures: &Captures) -> Captures {
    let alike = captures.iter().filter(|(name, _)| !ORDERING.contains(&name.as_str()));
    alike.map(|(name, value)| (name.clone(), value.clone())).collect()
}

impl<'a> Group<'a> {
    fn new(rule: &'a Rule, captures: Captures) -> Self {
        let told = Told::default();
        Self { rule, captures, files: Vec::new(), annotation: None, extra: None, unfinished: None, told }
    }

    pub fn kind(&self) -> Kind {
        match self.rule.output {
            Output::Sample(_) => Kind::Sample,
            Output::Data(_) => Kind::Data,
            Output::Multiplexed(_) => Kind::Multiplexed,
        }
    }

    pub fn annotation_file(&self) -> Option<&'a FileView> {
        Some(self.annotation.as_ref()?.file.as_ref()?.view)
    }

    pub fn first(&self) -> &FileView {
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

    /// What its files captured alike, and what sheets say of it.
    pub fn captured(&self) -> Captures {
        alike(&self.captures)
    }

    pub fn own_name(&self, run: &Run<'_>) -> Result<String, NameError> {
        self.rule.sample_name(run, &self.captures, &file_name(&self.first().path))
    }

    /// The sample's name; one that Flow could never take, or that a sheet has yet to tell, is known by its first file
    /// instead.
    pub fn name(&self, run: &Run<'_>) -> String {
        let named = Some(()).filter(|()| self.rule.knows_name(&self.captures)).and_then(|()| self.own_name(run).ok());
        named.unwrap_or_else(|| path_to_text(&self.first().below_run))
    }

    pub fn reads(&self) -> impl Iterator<Item = &'a FileView> {
        self.files.iter().map(|member| member.view)
    }

    /// All of its files, an annotation sheet among them.
    pub fn views(&self) -> impl Iterator<Item = &'a FileView> {
        self.reads().chain(self.annotation_file())
    }
}
