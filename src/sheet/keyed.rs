//! Finding the rows of a sample by its name.
//!
//! A name is looked for as it is, and where there is none, as the instrument may have written it: with every character
//! that is no ASCII letter or digit alike, since demultiplexers put `-` or `_` for spaces, dots and others. Nothing is
//! chosen by chance: names that files may have alike are errors that name both, the very name of the files among them.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use super::filter::{keep_cells, keep_flow_cell, keep_lanes, lanes_of};
use super::grid::Row;
use super::{Filter, Selection, Sheet, Table, Trouble, folded};

/// The columns that may say what files are named after, in the order in which they are tried.
const KEYS: [&str; 13] = [
    "sampleid",
    "samplename",
    "barcode",
    "alias",
    "barcodename",
    "biosamplename",
    "adapter",
    "wellname",
    "platewell",
    "samplewell",
    "libraryname",
    "sample",
    "name",
];

/// A sheet whose rows can be found by name.
pub struct Keyed<'s> {
    pub(super) sheet: &'s Sheet,
    /// The columns that names stand in; more than one where each names every file as well as the other.
    pub(super) columns: Vec<KeyColumn<'s>>,
    /// Whether no column is known to name samples, so that it is the first one.
    pub(super) is_guess: bool,
}

/// A column with names.
pub(super) struct KeyColumn<'s> {
    pub(super) name: &'s str,
    pub(super) table: usize,
    pub(super) index: usize,
    pub(super) exact: HashMap<Cow<'s, str>, Vec<usize>>,
    /// The names by the form in which those that an instrument may have written are alike, each once.
    alike: HashMap<String, Vec<Cow<'s, str>>>,
}

/// A name as it may be written by an instrument. A barcode that stands at both ends of the reads is one: PacBio's files
/// and run designs say `bc2001` or `bc2001--bc2001` for it.
pub(super) fn as_written(name: &str) -> String {
    let name = both_ends(name).unwrap_or(name);
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

/// The barcode that a name says twice.
pub(super) fn both_ends(name: &str) -> Option<&str> {
    name.split_once("--").and_then(|(one, other)| (one == other && !one.is_empty()).then_some(one))
}

/// Whether an instrument writes this character of a name as it is, whichever instrument it is.
pub(super) fn is_kept(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

/// Whether an instrument may write `written` for a name, be it another.
fn may_become(name: &str, written: &str) -> bool {
    let [name, written] = [name, written].map(|name| both_ends(name).unwrap_or(name));
    let becomes = |(c, written): (char, char)| c == written || (!is_kept(c) && matches!(written, '-' | '_'));
    name.chars().count() == written.chars().count() && name.chars().zip(written.chars()).all(becomes)
}

impl Sheet {
    /// Chooses the column in which samples are looked for: the one that is named, else the one that has most of
    /// `names`, which is what the files are named after.
    ///
    /// # Errors
    /// [`Trouble::NoColumn`].
    pub fn keyed<'s>(
        &'s self,
        column: Option<&str>,
        names: impl Iterator<Item = String>,
    ) -> Result<Keyed<'s>, Trouble> {
        let Some(column) = column else {
            let columns = self.best_columns(&names.collect());
            if columns.is_empty() {
                return Ok(Keyed { is_guess: true, ..self.keyed_by_first() });
            }
            return Ok(Keyed { sheet: self, columns, is_guess: false });
        };
        let (table, index) = self.column(column).ok_or_else(|| self.no_column(column))?;
        Ok(Keyed { sheet: self, columns: vec![self.key_column(table, index)], is_guess: false })
    }

    /// The first column of the sheet's table.
    pub fn keyed_by_first(&self) -> Keyed<'_> {
        Keyed { sheet: self, columns: vec![self.key_column(0, 0)], is_guess: false }
    }

    /// The columns that may say what files are named after, in the order in which they are tried.
    pub(super) fn key_columns(&self) -> impl Iterator<Item = KeyColumn<'_>> {
        let keys = (0..self.tables.len()).flat_map(|table| KEYS.iter().map(move |key| (table, *key)));
        keys.filter_map(|(table, key)| {
            let index = self.tables[table].columns.iter().position(|name| folded(name) == key)?;
            Some(self.key_column(table, index))
        })
    }

    fn best_columns(&self, names: &BTreeSet<String>) -> Vec<KeyColumn<'_>> {
        let mut best: Vec<KeyColumn<'_>> = Vec::new();
        let mut most = 0;
        for column in self.key_columns() {
            let table = column.table;
            let count = names.iter().filter(|name| column.has(name)).count();
            match best.first() {
                Some(first) if count == most && count > 0 && first.table == table => best.push(column),
                Some(_) if count <= most => {}
                _ => (best, most) = (vec![column], count),
            }
        }
        if most == 0 {
            // None has any of them, so that each counts as looked at.
            best = self.key_columns().collect();
        }
        best
    }

    fn key_column(&self, table: usize, index: usize) -> KeyColumn<'_> {
        let mut exact: HashMap<Cow<'_, str>, Vec<usize>> = HashMap::new();
        let mut alike: HashMap<String, Vec<Cow<'_, str>>> = HashMap::new();
        let name = self.tables[table].columns.get(index).map_or("", String::as_str);
        let column = |table: &Table, wanted: &str| table.columns.iter().position(|name| folded(name) == wanted);
        // Where a sheet gives no name, files are named after the id.
        let instead = column(&self.tables[table], "sampleid").filter(|_| folded(name) == "samplename");
        // The barcode of the other end, in PacBio's run designs: where it is another, files are named after both.
        let other_end = column(&self.tables[table], "adapter2").filter(|_| folded(name) == "adapter");
        for (n, row) in self.tables[table].rows.iter().enumerate() {
            let cell = |index: usize| row.cells.get(index).map(String::as_str).filter(|cell| !cell.is_empty());
            let Some(key) = cell(index).or_else(|| cell(instead?)) else { continue };
            let key = match other_end.and_then(cell).filter(|other| *other != key) {
                Some(other) => Cow::Owned(format!("{key}--{other}")),
                None => Cow::Borrowed(key),
            };
            let rows = exact.entry(key.clone()).or_default();
            if rows.is_empty() {
                alike.entry(as_written(&key)).or_default().push(key);
            }
            rows.push(n);
        }
        KeyColumn { name, table, index, exact, alike }
    }
}

impl KeyColumn<'_> {
    pub(super) fn has(&self, name: &str) -> bool {
        self.alike.contains_key(&as_written(name))
    }

    /// The rows of a name: of that very name and of others that may have become it, else of what is alike.
    pub(super) fn rows(&self, name: &str) -> Vec<usize> {
        let mut rows: Vec<usize> = self.meant(name).flat_map(|key| &self.exact[key]).copied().collect();
        rows.sort_unstable();
        rows
    }

    /// The names in the column that files may be called so for.
    fn meant<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let is_there = self.exact.contains_key(name);
        let alike = self.alike.get(&as_written(name)).into_iter().flatten().map(|key| &**key);
        alike.filter(move |key| !is_there || may_become(key, name))
    }

    /// Two of these rows of a name that have other names than each other, if any do: which, and what they are.
    fn told_apart<'a>(&'a self, name: &'a str, rows: &[usize]) -> Option<[(usize, &'a str); 2]> {
        let of = |key: &'a str| self.exact[key].iter().find(|row| rows.contains(row)).map(|row| (*row, key));
        let mut found = self.meant(name).filter_map(of);
        let mut both = [found.next()?, found.next()?];
        both.sort_unstable();
        Some(both)
    }
}

impl<'s> Keyed<'s> {
    /// The columns that samples are looked for in, for a person.
    pub fn column(&self) -> String {
        self.columns.iter().map(|column| column.name).collect::<Vec<_>>().join(" or ")
    }

    /// The rows of a sample; `None` where the sheet has none.
    ///
    /// # Errors
    /// Names that stand for two samples, lanes without a row, and rows that are not as wide as the header.
    pub fn find(&self, name: &str, filter: &Filter) -> Result<Option<Selection<'s>>, Trouble> {
        let mut found: Option<(&KeyColumn<'s>, Selection<'s>)> = None;
        for column in &self.columns {
            let Some(selection) = self.find_in(column, name, filter)? else { continue };
            match &found {
                None => found = Some((column, selection)),
                Some((_, first)) if first.rows == selection.rows => {}
                Some((other, first)) => {
                    let places = [first.place(other.index), selection.place(column.index)];
                    let columns = [other.name.to_owned(), column.name.to_owned()];
                    return Err(Trouble::TwoKeys { key: name.to_owned(), columns, places });
                }
            }
        }
        Ok(found.map(|(_, selection)| selection))
    }

    /// The rows with exactly this name.
    ///
    /// # Errors
    /// As for [`Self::find`].
    pub fn find_exactly(&self, name: &str) -> Result<Option<Selection<'s>>, Trouble> {
        let Some(column) = self.columns.first() else { return Ok(None) };
        let rows = column.exact.get(name).cloned().unwrap_or_default();
        self.selected(column, rows, None)
    }

    fn find_in(&self, column: &KeyColumn<'s>, name: &str, filter: &Filter) -> Result<Option<Selection<'s>>, Trouble> {
        let mut rows = column.rows(name);
        let table = &self.sheet.tables[column.table];
        keep_flow_cell(table, &mut rows, filter.flow_cell.as_deref());
        keep_cells(table, &mut rows, &filter.cells);
        let all = rows.clone();
        let lacking = keep_lanes(table, &mut rows, &filter.lanes);
        if let (Some(lane), [first, ..]) = (lacking, rows.as_slice()) {
            let place = self.sheet.place(table.rows[*first].line, column.index);
            return Err(Trouble::NoLane { key: name.to_owned(), lane, place });
        }
        if rows.is_empty() && !all.is_empty() {
            return Ok(None);
        }
        let ambiguous = column.told_apart(name, &rows).map(|both| {
            let places = both.map(|(row, _)| self.sheet.place(table.rows[row].line, column.index));
            let [a, b] = both.map(|(_, key)| key.to_owned());
            Box::new(Trouble::Ambiguous { key: name.to_owned(), a, b, places })
        });
        self.selected(column, rows, ambiguous)
    }

    /// The lanes that the sheet has of a sample, beside those of its files.
    pub fn other_lanes(&self, name: &str, filter: &Filter) -> BTreeSet<u64> {
        if filter.lanes.is_empty() {
            return BTreeSet::new();
        }
        let all = Filter { lanes: BTreeSet::new(), ..filter.clone() };
        let found = self.find(name, &all).ok().flatten();
        let lanes = found.iter().flat_map(|found| {
            let table = &self.sheet.tables[found.table];
            found.rows.iter().filter_map(|row| lanes_of(table, row)).flatten()
        });
        lanes.filter(|lane| !filter.lanes.contains(lane)).collect()
    }

    fn selected(
        &self,
        column: &KeyColumn<'s>,
        rows: Vec<usize>,
        ambiguous: Option<Box<Trouble>>,
    ) -> Result<Option<Selection<'s>>, Trouble> {
        let table = &self.sheet.tables[column.table];
        let rows: Vec<&Row> = rows.into_iter().map(|row| &table.rows[row]).collect();
        for row in &rows {
            let beyond = row.cells.iter().skip(table.columns.len()).position(|cell| !cell.is_empty());
            if let Some(beyond) = beyond {
                return Err(Trouble::Long { place: self.sheet.place(row.line, table.columns.len() + beyond) });
            }
        }
        Ok((!rows.is_empty()).then_some(Selection { sheet: self.sheet, table: column.table, rows, ambiguous }))
    }
}
