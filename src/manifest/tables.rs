//! The tables that people keep, as a rule speaks of them: the sample sheet of a run, and a table that translates its
//! words. Which columns a rule takes is known here; what stands in them is assembly's part.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::template::Name;
use super::{Output, Rule, Run, Template};
use crate::pattern::Captures;

/// Which table a value is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// `{sheet.Column}`
    Sheet,
    /// `{lookup.Column}`
    Lookup,
}

/// What becomes of a sample that a table does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    Block,
    Skip,
}

/// Where the sample sheet is, and how a sample is found in it.
#[derive(Debug, Clone)]
pub struct SheetRule {
    /// A name, or a path, with `*` and `?`; `None`: by the names that instruments give.
    pub(super) path: Option<Template>,
    /// The column of the samples; `None`: whichever the files are named after.
    pub key: Option<String>,
    /// What stands in that column: the first of these that is not empty.
    pub(super) equals: Vec<Template>,
    pub missing: Missing,
}

/// A table that translates a value.
#[derive(Debug, Clone)]
pub struct Lookup {
    /// Absolute, or relative where the manifest's own path is.
    pub file: PathBuf,
    pub(super) key: Template,
    /// `None`: the first one.
    pub column: Option<String>,
    pub missing: Missing,
}

impl Table {
    fn name(self) -> &'static str {
        match self {
            Self::Sheet => "sheet",
            Self::Lookup => "lookup",
        }
    }

    /// The name under which a column's value stands among captures, which have no point in theirs.
    pub fn key(self, column: &str) -> String {
        format!("{}.{column}", self.name())
    }

    /// Takes such a name apart.
    pub(super) fn split(text: &str) -> Option<(Self, &str)> {
        let (table, column) = text.split_once('.')?;
        [Self::Sheet, Self::Lookup].into_iter().find(|known| known.name() == table).map(|known| (known, column))
    }
}

impl SheetRule {
    /// One by the names that instruments give, of which nothing is asked.
    pub(super) fn tacit(equals: Template) -> Self {
        Self { path: None, key: None, equals: vec![equals], missing: Missing::Skip }
    }

    /// The path to look for; `None`: by the names that instruments give.
    pub fn path(&self, run: &Run) -> Option<String> {
        self.path.as_ref().map(|path| path.render(run, &Captures::new()))
    }

    /// What stands in the column of the samples; empty where nothing of it was captured.
    pub fn equals(&self, run: &Run, captures: &Captures) -> String {
        let rendered = self.equals.iter().map(|equals| equals.render(run, captures));
        rendered.into_iter().find(|text| !text.is_empty()).unwrap_or_default()
    }

    /// The capture of the files that stands in that column, where it is nothing else and `key` stands there; none where
    /// the run folder captured that key, so that files need not be named after it.
    pub fn captured(&self, run: &Run, key: &str) -> Option<&str> {
        let (first, others) = self.equals.split_first()?;
        let is_of_run = others.iter().any(|equals| equals.render(run, run.captures) == key);
        first.sole_capture().filter(|_| !is_of_run)
    }

    /// What it is asked by, for a person: `{barcode}`.
    pub fn asked_by(&self) -> String {
        self.equals.iter().map(Template::to_string).collect::<Vec<_>>().join(" or ")
    }

    /// Whether its path names the run, so that what it leads to speaks of no other.
    pub fn is_of_one_run(&self) -> bool {
        let of_run = |name: &Name| matches!(name, Name::Run | Name::RunCapture(_));
        self.path.as_ref().is_some_and(|path| path.names().any(of_run))
    }
}

impl Lookup {
    /// What is looked up; `captures` have the values of the sheet. Else the column that is empty.
    ///
    /// # Errors
    /// The column of the sheet that has no value.
    pub fn key(&self, run: &Run, captures: &Captures) -> Result<String, String> {
        match self.key.lacking(captures) {
            Some((_, column)) => Err(column.to_owned()),
            None => Ok(self.key.render(run, captures)),
        }
    }
}

impl Template {
    /// The columns that it takes.
    pub(super) fn columns(&self) -> impl Iterator<Item = (Table, &str)> {
        self.names().filter_map(|name| match name {
            Name::Column(table, column) => Some((*table, column.as_str())),
            _ => None,
        })
    }

    /// A column that it takes and that has no value.
    pub(super) fn lacking(&self, captures: &Captures) -> Option<(Table, &str)> {
        self.columns().find(|(table, column)| !captures.contains_key(&table.key(column)))
    }
}

impl Rule {
    /// The sheet that tells which samples there should be: its own, or that of the watch's layout.
    pub fn declaring(&self) -> Option<&SheetRule> {
        self.sheet.as_ref().or(self.tacit_sheet.as_ref())
    }

    /// Whether it takes anything from a table.
    pub fn has_tables(&self) -> bool {
        self.sheet.is_some() || self.lookup.is_some()
    }

    /// The columns of a table that it takes, for values, conditions, and to look them up.
    pub fn columns(&self, table: Table) -> BTreeSet<&str> {
        let (required, optional) = self.templates();
        let key = self.lookup.iter().map(|lookup| &lookup.key);
        let in_values = required.into_iter().chain(optional).chain(key).flat_map(Template::columns);
        let in_conditions = self.conditions.iter().filter_map(|condition| Table::split(&condition.capture));
        in_values.chain(in_conditions).filter(|(of, _)| *of == table).map(|(_, column)| column).collect()
    }

    /// The columns of a table that decide whether it takes a file.
    pub fn columns_of_conditions(&self, table: Table) -> BTreeSet<&str> {
        let of = |table| {
            self.conditions.iter().filter_map(move |condition| {
                Table::split(&condition.capture).filter(|(of, _)| *of == table).map(|(_, column)| column)
            })
        };
        let is_looked_up = of(Table::Lookup).next().is_some();
        let key = self.lookup.iter().filter(|_| is_looked_up).flat_map(|lookup| lookup.key.columns());
        of(table).chain(key.filter(|(of, _)| *of == table).map(|(_, column)| column)).collect()
    }

    /// Whether the name of what it makes can be rendered from what is known.
    pub fn knows_name(&self, captures: &Captures) -> bool {
        let name = match &self.output {
            Output::Sample(sample) => Some(&sample.name),
            Output::Data(data) => data.filename.as_ref(),
            Output::Multiplexed(multiplexed) => multiplexed.name.as_ref(),
        };
        name.is_none_or(|name| name.lacking(captures).is_none())
    }

    /// Whether the name of the sample that it makes can be rendered from these captures and columns alone.
    pub fn can_name(&self, captures: &Captures) -> bool {
        matches!(&self.output, Output::Sample(sample) if sample.name.is_known(captures))
    }

    /// A column without a value that all but metadata needs.
    pub fn lacking(&self, captures: &Captures) -> Option<(Table, &str)> {
        self.templates().0.into_iter().find_map(|template| template.lacking(captures))
    }

    /// Whether a file must be looked up in a table before it is known whether the rule takes it.
    pub(super) fn asks_for_columns(&self) -> bool {
        self.conditions.iter().any(|condition| Table::split(&condition.capture).is_some())
    }

    /// Its values: those that it cannot do without, and the others.
    fn templates(&self) -> (Vec<&Template>, Vec<&Template>) {
        match &self.output {
            Output::Sample(sample) => {
                let given = [&sample.organism, &sample.project.id, &sample.project.name].into_iter().flatten();
                let required = [&sample.name, &sample.sample_type].into_iter().chain(given);
                (required.collect(), sample.metadata.iter().map(|(_, value)| value).collect())
            }
            Output::Data(data) => ([&data.filename, &data.data_type].into_iter().flatten().collect(), Vec::new()),
            Output::Multiplexed(multiplexed) => {
                (multiplexed.name.iter().chain([&multiplexed.annotation]).collect(), Vec::new())
            }
        }
    }
}
