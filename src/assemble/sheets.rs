//! What sheets say of the samples of a run: which file is the sheet of a sample, and which values it gives it.
//!
//! The files were read before ([`wanted`](super::wanted) says which); here is no I/O. Which samples a sheet declares is
//! the affair of `declared`.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use crate::manifest::{Manifest, Missing, Rule, Run, SheetRule, Table};
use crate::pattern::Captures;
use crate::sample::{SheetUsed, path_to_text};
use crate::sheet::{Filter, Keyed, Lacking, Read, Selection, Sheet, Shelf, Shelved, Trouble};
use crate::watch::{FileView, RunView};

use super::candidates::{Candidate, NAMES, REPORTS, beside, candidates};

/// What the values of a sample lack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lack {
    /// Time will tell, or something that is under way.
    Waits {
        reason: String,
        in_time: Option<Duration>,
    },
    /// A sheet is not there; what, and that it may not come any more.
    Absent {
        what: String,
        although: String,
    },
    Blocks(String),
    Skips(String),
}

/// Rows of a sheet or a table that speak of one sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowsUsed {
    /// Absolute path.
    pub path: PathBuf,
    /// Counted from 1.
    pub lines: Vec<usize>,
}

/// What sheets say of one sample.
#[derive(Debug, Default, Clone)]
pub(super) struct Told<'a> {
    /// By [`Table::key`]; what is empty in a sheet is not there.
    pub values: Captures,
    pub used: Vec<SheetUsed>,
    /// Where they stand.
    pub lines: Vec<RowsUsed>,
    pub lack: Option<Lack>,
    /// The sheet, where it could be read.
    pub sheet: Option<&'a Read>,
    /// The sample's rows there.
    pub rows: Option<Selection<'a>>,
    /// The lanes in which the sheet has it, beside those of its files.
    pub other_lanes: BTreeSet<u64>,
}

/// The sheets of a run, and what was looked up in them.
pub(super) struct Desk<'a> {
    pub manifest: &'a Manifest,
    pub view: &'a RunView,
    pub run: Run<'a>,
    shelf: &'a Shelf,
    rules: HashMap<&'a str, OfRule<'a>>,
    /// By rule and sheet.
    keyed: RefCell<HashMap<(&'a str, &'a Path), KeyedOrNot<'a>>>,
    /// What was told of single files, by rule, folder and captures.
    of_files: RefCell<HashMap<OfFile<'a>, Option<Captures>>>,
}

/// A sheet whose samples can be found, or why not.
type KeyedOrNot<'a> = Rc<Result<Keyed<'a>, String>>;

/// Rule, folder, and what the rule captured.
type OfFile<'a> = (&'a str, PathBuf, Captures);

/// What a rule with a sheet needs that is the same for all of its samples.
struct OfRule<'a> {
    path: Option<String>,
    candidates: Vec<Candidate<'a>>,
    /// What its files are named after.
    names: BTreeSet<String>,
}

/// Which of a rule's columns are asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Conditions,
    All,
}

impl<'a> Desk<'a> {
    pub fn new(manifest: &'a Manifest, view: &'a RunView, run: Run<'a>, shelf: &'a Shelf) -> Self {
        let of_rule = |rule: &'a Rule| {
            let sheet = rule.declaring()?;
            let path = sheet.path(&run);
            let candidates = candidates(path.as_deref(), view);
            let captured =
                view.files.iter().filter_map(|file| rule.pattern.captures(&file.below_run.to_string_lossy()));
            let captured = captured.map(|captures| rule.with_run(captures, run.captures));
            let names = captured.map(|captures| sheet.equals(&run, &captures)).collect();
            Some((rule.name.as_str(), OfRule { path, candidates, names }))
        };
        let rules = manifest.rules.iter().filter_map(of_rule).collect();
        Self { manifest, view, run, shelf, rules, keyed: RefCell::default(), of_files: RefCell::default() }
    }

    /// The rule whose sheet a file may be.
    pub fn rule_of_sheet(&self, file: &FileView) -> Option<&'a str> {
        let is_it = |of_rule: &OfRule<'_>| of_rule.candidates.iter().any(|other| other.file.path == file.path);
        let mut rules = self.manifest.rules.iter().map(|rule| rule.name.as_str());
        rules.find(|rule| self.rules.get(rule).is_some_and(is_it))
    }

    /// The values that decide whether a rule takes a file; `None` where they are not known.
    pub fn of_file(&self, rule: &'a Rule, file: &FileView, captures: &Captures) -> Option<Captures> {
        let key = (rule.name.as_str(), folder_of(file), captures.clone());
        if let Some(values) = self.of_files.borrow().get(&key) {
            return values.clone();
        }
        let mut told = Told::default();
        let values = self.tell(rule, file, captures, &[captures], Scope::Conditions, &mut told);
        let values = values.ok().map(|_| told.values);
        self.of_files.borrow_mut().insert(key, values.clone());
        values
    }

    /// The values for one sample: `first` is one of its files, `captures` what these have in common, `members` what
    /// each of them captured.
    pub fn of_sample(&self, rule: &'a Rule, first: &FileView, captures: &Captures, members: &[&Captures]) -> Told<'a> {
        let mut told = Told::default();
        let lack = match self.tell(rule, first, captures, members, Scope::All, &mut told) {
            Err(lack) => Some(lack),
            Ok(empty) => rule.lacking(&joined(captures, &told.values)).map(|(table, column)| {
                let whence = empty.get(&table.key(column)).map_or("the table", String::as_str);
                Lack::Blocks(format!("cannot do without {column:?}, which is empty in {whence}; fill it in"))
            }),
        };
        Told { lack, ..told }
    }

    /// Where a sample stands in a sheet of which its rule asks nothing; arguments as of [`Self::of_sample`]. A sheet
    /// that cannot be used keeps nobody waiting then; one that is being written may tell of more lanes.
    pub fn of_unasked(
        &self,
        rule: &'a Rule,
        sheet: &SheetRule,
        first: &FileView,
        captures: &Captures,
        members: &[&Captures],
    ) -> Told<'a> {
        let read = match self.sheet(rule, &folder_of(first)) {
            Ok(read) => read,
            Err(lack) => {
                let lack = Some(lack).filter(|lack| matches!(lack, Lack::Waits { in_time: Some(_), .. }));
                return Told { lack, ..Told::default() };
            }
        };
        let mut told = Told { sheet: Some(read), ..Told::default() };
        if let Ok(keyed) = self.keyed(rule, sheet, read, &self.shown(&read.path))
            && let Ok(keyed) = keyed.as_ref()
        {
            let (wanted, filter) = (sheet.equals(&self.run, captures), self.filter(members));
            told.rows = keyed.find(&wanted, &filter).ok().flatten();
            told.other_lanes = keyed.other_lanes(&wanted, &filter);
        }
        told
    }

    /// Tells the values of a scope, and where those are that are empty.
    fn tell(
        &self,
        rule: &'a Rule,
        first: &FileView,
        captures: &Captures,
        members: &[&Captures],
        scope: Scope,
        told: &mut Told<'a>,
    ) -> Result<HashMap<String, String>, Lack> {
        if let Some(sheet) = &rule.sheet {
            let read = self.sheet(rule, &folder_of(first))?;
            told.sheet = Some(read);
            let name = self.shown(&read.path);
            let keyed = self.keyed(rule, sheet, read, &name)?;
            let keyed = keyed.as_ref().as_ref().map_err(|reason| Lack::Blocks(reason.clone()))?;
            let wanted = sheet.equals(&self.run, captures);
            if wanted.is_empty() {
                let (file, by) = (path_to_text(&first.below_run), sheet.asked_by());
                let reason = format!("cannot look for {file} in the sheet {name}: it has no {by}");
                return Err(lacks(sheet.missing, reason, "say with equals what stands in the sheet for such files"));
            }
            let filter = self.filter(members);
            let found = keyed.find(&wanted, &filter).map_err(|trouble| cannot_take(&wanted, &name, trouble))?;
            let Some(rows) = found else {
                return Err(no_row(sheet.missing, "sheet", &name, &keyed.lacking(&wanted, &filter)));
            };
            told.rows = Some(rows);
            told.other_lanes = keyed.other_lanes(&wanted, &filter);
            return self.take(rule, &wanted, captures, scope, told);
        }
        self.take(rule, "", captures, scope, told)
    }

    /// Takes the values of a scope from the rows that were found for `wanted`, and from what is looked up with them;
    /// tells where those are that are empty.
    pub(super) fn take(
        &self,
        rule: &'a Rule,
        wanted: &str,
        captures: &Captures,
        scope: Scope,
        told: &mut Told<'a>,
    ) -> Result<HashMap<String, String>, Lack> {
        let columns = |table| match scope {
            Scope::All => rule.columns(table),
            Scope::Conditions => rule.columns_of_conditions(table),
        };
        let mut empty = HashMap::new();
        let mut take = |table: Table, selection: &Selection<'_>, name: &str, told: &mut Told<'a>| {
            for column in columns(table) {
                let (key, value) = (table.key(column), selection.value(column)?);
                if value.is_empty() {
                    empty.insert(key, format!("{name} at {}", selection.place_of(column)));
                } else {
                    told.values.insert(key, value.to_owned());
                }
            }
            Ok::<_, Trouble>(())
        };
        if let (Some(read), Some(rows)) = (told.sheet, told.rows.clone()) {
            let name = self.shown(&read.path);
            told.used.push(SheetUsed { path: read.path.clone(), sha256: read.sha256.clone() });
            told.lines.push(RowsUsed { path: read.path.clone(), lines: rows.lines() });
            take(Table::Sheet, &rows, &name, told).map_err(|trouble| cannot_take(wanted, &name, trouble))?;
        }
        if let Some(lookup) = rule.lookup.as_ref().filter(|_| scope == Scope::All || !columns(Table::Lookup).is_empty())
        {
            let read = self.opened(&lookup.file, "table")?;
            let name = self.shown(&read.path);
            let key = lookup.key(&self.run, &joined(captures, &told.values)).map_err(|column| {
                let reason = format!("cannot look anything up in {name}: the sheet says nothing in {column:?}");
                Lack::Blocks(format!("{reason}; fill it in"))
            })?;
            let wrong =
                |trouble| Lack::Blocks(format!("cannot take the values of {key:?} from the table {name}: {trouble}"));
            let table = usable(read, &name)?;
            let keyed = match &lookup.column {
                Some(column) => table.keyed(Some(column), std::iter::empty()).map_err(wrong)?,
                None => table.keyed_by_first(),
            };
            let Some(selection) = keyed.find_exactly(key.trim()).map_err(wrong)? else {
                let lacking = keyed.lacking(key.trim(), &Filter::default());
                return Err(no_row(lookup.missing, "table", &name, &lacking));
            };
            told.used.push(SheetUsed { path: read.path.clone(), sha256: read.sha256.clone() });
            told.lines.push(RowsUsed { path: read.path.clone(), lines: selection.lines() });
            take(Table::Lookup, &selection, &name, told).map_err(wrong)?;
        }
        Ok(empty)
    }

    pub(super) fn keyed(
        &self,
        rule: &'a Rule,
        sheet: &SheetRule,
        read: &'a Read,
        name: &str,
    ) -> Result<KeyedOrNot<'a>, Lack> {
        let key = (rule.name.as_str(), read.path.as_path());
        if let Some(keyed) = self.keyed.borrow().get(&key) {
            return Ok(keyed.clone());
        }
        let names = self.rules.get(rule.name.as_str()).map(|of_rule| of_rule.names.iter().cloned());
        let keyed = usable(read, name)?.keyed(sheet.key.as_deref(), names.into_iter().flatten());
        let keyed = Rc::new(keyed.map_err(|trouble| format!("cannot use the sheet {name}: {trouble}")));
        self.keyed.borrow_mut().insert(key, keyed.clone());
        Ok(keyed)
    }

    /// The sheet of the samples in a folder: the nearest on the way up from there to the run folder, a demultiplexer's
    /// own copy among them, else the one that the path names elsewhere.
    pub(super) fn sheet(&self, rule: &'a Rule, folder: &Path) -> Result<&'a Read, Lack> {
        let of_rule = self.rules.get(rule.name.as_str());
        let candidates = of_rule.map_or(&[][..], |of_rule| of_rule.candidates.as_slice());
        for folder in folder.ancestors() {
            for folder in [folder.to_owned(), folder.join(REPORTS)] {
                let here = || candidates.iter().filter(|candidate| candidate.folder == folder);
                let Some(best) = here().map(|candidate| candidate.rank).min() else { continue };
                let here: Vec<_> = here().filter(|candidate| candidate.rank == best).collect();
                match here.as_slice() {
                    [only] => return self.inside(only.file),
                    [a, b, ..] => return Err(two_sheets(&self.shown(&a.file.path), &self.shown(&b.file.path))),
                    [] => {}
                }
            }
        }
        let path = of_rule.and_then(|of_rule| of_rule.path.as_deref());
        let Some(path) = path else {
            let where_to = path_to_text(&self.view.folder);
            let place = if where_to.is_empty() { &self.view.name } else { &where_to };
            let although = format!(
                "looked for {} beside the files and in the folders above them, up to {place}; name it with sheet.path",
                NAMES.join(", ")
            );
            return Err(Lack::Absent { what: "a sample sheet".to_owned(), although });
        };
        self.opened(&beside(self.manifest, path), path)
    }

    fn inside(&self, file: &'a FileView) -> Result<&'a Read, Lack> {
        let name = self.shown(&file.path);
        if !file.settled {
            let reason = format!("the sheet {name} has not settled yet");
            return Err(Lack::Waits { reason, in_time: file.settles_in });
        }
        match self.shelf.file(&file.path) {
            Some(shelved) => believed(shelved, &name),
            None => Err(Lack::Waits { reason: format!("the sheet {name} is gone"), in_time: None }),
        }
    }

    /// A file outside of the run. `what` is what it is called in the manifest.
    fn opened(&self, path: &Path, what: &str) -> Result<&'a Read, Lack> {
        let files = self.shelf.outside(path);
        match files {
            [only] => match self.shelf.file(only) {
                Some(shelved) => believed(shelved, &self.shown(only)),
                None => Err(Lack::Blocks(format!("{} is gone", self.shown(only)))),
            },
            [a, b, ..] => Err(two_sheets(&self.shown(a), &self.shown(b))),
            [] => {
                let is_lookup = what == "table";
                let path = path_to_text(path);
                let although = match is_lookup || what == path {
                    true => "there is no such file".to_owned(),
                    false => {
                        format!("it is neither beside the files, nor in a folder of the run above them, nor {path}")
                    }
                };
                let what = if is_lookup { format!("the table {path}") } else { format!("the sheet {what}") };
                Err(Lack::Absent { what, although })
            }
        }
    }

    /// The one file of the run that may be the rule's sheet, wherever it lies.
    pub(super) fn only_sheet(&self, rule: &'a Rule) -> Option<&'a Read> {
        let of_rule = self.rules.get(rule.name.as_str())?;
        let [only] = of_rule.candidates.as_slice() else { return None };
        self.inside(only.file).ok()
    }

    /// What files are named after that a rule's pattern fits, whether or not it takes them.
    pub(super) fn names(&self, rule: &Rule) -> impl Iterator<Item = &str> {
        self.rules.get(rule.name.as_str()).into_iter().flat_map(|of_rule| of_rule.names.iter().map(String::as_str))
    }

    /// The lanes, the flow cell and the cells of a sample's files.
    pub(super) fn filter(&self, members: &[&Captures]) -> Filter {
        let lane = |captures: &&Captures| captures.get("lane")?.trim_start_matches(['L', 'l']).parse().ok();
        Filter {
            lanes: members.iter().filter_map(lane).collect(),
            flow_cell: self.view.captures.get("flow_cell").cloned(),
            cells: members.iter().filter_map(|captures| captures.get("cell").cloned()).collect(),
        }
    }

    /// A path as people know it: below the run where it is.
    pub(super) fn shown(&self, path: &Path) -> String {
        let files = &self.view.files;
        let inside = files.binary_search_by(|file| file.path.as_path().cmp(path));
        path_to_text(inside.map_or(path, |n| &files[n].below_run))
    }
}

pub(super) fn folder_of(file: &FileView) -> PathBuf {
    file.below_run.parent().unwrap_or(Path::new("")).to_owned()
}

fn cannot_take(wanted: &str, sheet: &str, trouble: Trouble) -> Lack {
    Lack::Blocks(format!("cannot take the values of {wanted:?} from the sheet {sheet}: {trouble}"))
}

pub(super) fn joined(captures: &Captures, values: &Captures) -> Captures {
    captures.iter().chain(values).map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn believed<'a>(shelved: &'a Shelved, name: &str) -> Result<&'a Read, Lack> {
    match shelved {
        Shelved::Read(read) => Ok(read),
        Shelved::Changing(settles_in) => {
            Err(Lack::Waits { reason: format!("{name} has not settled yet"), in_time: Some(*settles_in) })
        }
        Shelved::Unreadable(error) => {
            Err(Lack::Blocks(format!("cannot read {name}: {error}; make it readable to the agent")))
        }
    }
}

fn usable<'a>(read: &'a Read, name: &str) -> Result<&'a Sheet, Lack> {
    read.sheet.as_ref().map_err(|error| Lack::Blocks(format!("cannot use the sheet {name}: {error}")))
}

fn two_sheets(a: &str, b: &str) -> Lack {
    Lack::Blocks(format!("there are two sheets, {a} and {b}; remove one, or name the right one with sheet.path"))
}

fn no_row(missing: Missing, kind: &str, name: &str, lacking: &Lacking) -> Lack {
    let Lacking { what, remedy } = lacking;
    lacks(
        missing,
        format!("the {kind} {name} {what}"),
        &format!("{remedy}, or leave out what is not there with missing: skip"),
    )
}

fn lacks(missing: Missing, reason: String, remedy: &str) -> Lack {
    match missing {
        Missing::Skip => Lack::Skips(format!("{reason} (missing: skip)")),
        Missing::Block => Lack::Blocks(format!("{reason}; {remedy}")),
    }
}
