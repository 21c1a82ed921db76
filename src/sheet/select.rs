//! Finding the rows of a sample, and taking values from them.
//!
//! A name is looked for as it is, and where there is none, as the instrument may have written it: with every character
//! that is no ASCII letter or digit alike, since demultiplexers put `-` or `_` for spaces, dots and others. Nothing is
//! chosen by chance: rows that disagree about a value are errors that name both, and so are names that files may have
//! alike, the very name of the files among them.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use super::grid::Row;
use super::{Place, Sheet, Table, folded};
use crate::yaml::nearest;

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

/// Columns that several tables of a sheet may share, by which they are joined.
const JOINS: [&str; 2] = ["sampleid", "platewell"];

/// So many columns of a header are told.
const MOST_TOLD: usize = 10;

/// What is wrong with what a sheet says of a sample.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    #[error(
        "it has no column {column:?}{}; its header at {header} has {known}; correct the rule, or the header",
        nearest.as_ref().map(|name| format!(" (nearest: {name:?})")).unwrap_or_default()
    )]
    NoColumn { column: String, nearest: Option<String>, header: Place, known: String },
    #[error(
        "{column:?} is {a:?} at {} and {b:?} at {}; correct one, or remove a row",
        places[0], places[1]
    )]
    Disagree { column: String, a: String, b: String, places: [Place; 2] },
    #[error("{key:?} may be {a:?} at {} or {b:?} at {}; name the files or the samples so that they can be told apart", places[0], places[1])]
    Ambiguous { key: String, a: String, b: String, places: [Place; 2] },
    #[error("{key:?} stands in {} at {} and in {} at {}, which are different rows; say which one files are named after (key)", columns[0], places[0], columns[1], places[1])]
    TwoKeys { key: String, columns: [String; 2], places: [Place; 2] },
    #[error("lane {lane} has no row for {key:?}, which {place} has for other lanes; add one, or correct the lanes")]
    NoLane { key: String, lane: u64, place: Place },
    #[error("the row ends before {column:?}, which would be at {place}; was the sheet cut off?")]
    Short { column: String, place: Place },
    #[error("{place} lies beyond the last column; put quotes around a value that has the separator in it")]
    Long { place: Place },
    #[error("{column:?} at {place} is {value}: its formula failed")]
    Failed { column: String, place: Place, value: String },
}

/// Which rows of a sheet count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// The lanes of the files; none where the files do not tell.
    pub lanes: BTreeSet<u64>,
    /// The flow cell of the run, where it is known.
    pub flow_cell: Option<String>,
    /// The cells of the instrument that the files come from, as PacBio names their folders (`1_A01`); none where they do
    /// not tell.
    pub cells: BTreeSet<String>,
}

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

/// The rows of one sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection<'s> {
    pub(super) sheet: &'s Sheet,
    pub(super) table: usize,
    pub(super) rows: Vec<&'s Row>,
    /// What is wrong where the rows disagree, if they have several names: that it is not known whose files these are.
    pub(super) ambiguous: Option<Box<Trouble>>,
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

    /// Whether a value of this name can be taken at all.
    ///
    /// # Errors
    /// [`Trouble::NoColumn`].
    pub fn check_name(&self, name: &str) -> Result<(), Trouble> {
        match self.column(name).is_some() || !self.fields_of(name).is_empty() {
            true => Ok(()),
            false => Err(self.no_column(name)),
        }
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

    /// The table and the index of a column: of that very name, else of one that is alike.
    fn column(&self, name: &str) -> Option<(usize, usize)> {
        let find = |is_it: &dyn Fn(&str) -> bool| {
            let in_table = |table: &Table| table.columns.iter().position(|column| !column.is_empty() && is_it(column));
            self.tables.iter().enumerate().find_map(|(n, table)| Some((n, in_table(table)?)))
        };
        find(&|column| column == name).or_else(|| find(&|column| folded(column) == folded(name)))
    }

    /// The fields of a name, all of the first section that has it, or of all where that is not the header.
    fn fields_of(&self, name: &str) -> Vec<&super::Field> {
        let find = |is_it: &dyn Fn(&str) -> bool| {
            let found: Vec<_> = self.fields.iter().filter(|field| is_it(&field.key)).collect();
            let is_header = |field: &&super::Field| folded(&field.section) == "header";
            let in_header: Vec<_> = found.iter().copied().filter(is_header).collect();
            if in_header.is_empty() { found } else { in_header }
        };
        let exact = find(&|key| key == name);
        if exact.is_empty() { find(&|key| folded(key) == folded(name)) } else { exact }
    }

    fn no_column(&self, column: &str) -> Trouble {
        let names: Vec<&str> = self.names().collect();
        let wanted = folded(column);
        let is_near = |name: &&str| {
            let name = folded(name);
            name.len() > 2 && wanted.len() > 2 && (name.contains(&wanted) || wanted.contains(&name))
        };
        let nearest = nearest(column, names.iter().copied()).or_else(|| names.iter().copied().find(is_near));
        // What else a sheet says is told where it is near.
        let header = &self.tables[0];
        let columns: Vec<&str> = header.columns.iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
        let mut known = columns[..columns.len().min(MOST_TOLD)].join(", ");
        if columns.len() > MOST_TOLD {
            known += &format!(" and {} more", columns.len() - MOST_TOLD);
        }
        let nearest = nearest.map(str::to_owned);
        Trouble::NoColumn { column: column.to_owned(), nearest, header: header.header, known }
    }
}

impl Table {
    /// The index of the column with flow cells.
    pub(super) fn flow_cells(&self) -> Option<usize> {
        let is_flow_cell = |name: &String| matches!(folded(name).as_str(), "flowcellid" | "flowcell" | "fcid");
        self.columns.iter().position(is_flow_cell)
    }

    /// The index of the column with cells of the instrument: in PacBio's run designs, old and new.
    pub(super) fn cells(&self) -> Option<usize> {
        self.columns.iter().position(|name| matches!(folded(name).as_str(), "platewell" | "samplewell"))
    }

    /// The index of the column with lanes.
    pub(super) fn lanes(&self) -> Option<usize> {
        self.columns.iter().position(|name| matches!(folded(name).as_str(), "lane" | "lanes"))
    }

    /// The cell of the instrument that a row names.
    pub(super) fn cell(&self, row: usize) -> Option<&str> {
        self.rows[row].cells.get(self.cells()?).map(String::as_str).filter(|cell| !cell.is_empty())
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
        self.keep_flow_cell(table, &mut rows, filter);
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

    /// Leaves out what a sheet of several flow cells says of the others.
    pub(super) fn keep_flow_cell(&self, table: &Table, rows: &mut Vec<usize>, filter: &Filter) {
        if let (Some(column), Some(flow_cell)) = (table.flow_cells(), &filter.flow_cell) {
            rows.retain(|row| {
                let cell = table.rows[*row].cells.get(column).map_or("", String::as_str);
                // Illumina's run folders have the side of the instrument in front.
                flow_cell.ends_with(cell)
            });
        }
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

/// Leaves out the rows of other cells: the same barcodes are used again in each cell of a run. A row without a cell is
/// one of all.
pub(super) fn keep_cells(table: &Table, rows: &mut Vec<usize>, cells: &BTreeSet<String>) {
    if !cells.is_empty() {
        rows.retain(|row| table.cell(*row).is_none_or(|named| cells.iter().any(|cell| is_cell(cell, named))));
    }
}

/// Whether a cell's folder is what a sheet calls so: with the plate's number or, once, without.
pub fn is_cell(folder: &str, named: &str) -> bool {
    folder == named || folder.split_once('_').is_some_and(|(_, well)| well == named)
}

/// Leaves out the rows of other lanes, and tells a lane that then has none. A row without a lane is one of all.
fn keep_lanes(table: &Table, rows: &mut Vec<usize>, lanes: &BTreeSet<u64>) -> Option<u64> {
    table.lanes()?;
    if lanes.is_empty() {
        return None;
    }
    let of_row = |row: &usize| lanes_of(table, &table.rows[*row]);
    rows.retain(|row| of_row(row).is_none_or(|of_row| !of_row.is_disjoint(lanes)));
    let has_row = |lane: &u64| rows.iter().any(|row| of_row(row).is_none_or(|of_row| of_row.contains(lane)));
    lanes.iter().copied().find(|lane| !has_row(lane))
}

/// The lanes that a row names; `None` of a row that is one of all lanes.
fn lanes_of(table: &Table, row: &Row) -> Option<BTreeSet<u64>> {
    let cell = row.cells.get(table.lanes()?).filter(|cell| !cell.is_empty())?;
    let numbers = cell.split(|c: char| !c.is_ascii_digit()).filter(|number| !number.is_empty());
    Some(numbers.filter_map(|number| number.parse().ok()).collect())
}

impl<'s> Selection<'s> {
    /// The value of a column, or of a field of the header; empty where the sheet says nothing.
    ///
    /// # Errors
    /// A column that the sheet does not have, rows and names that disagree, and cells that have no value.
    pub fn value(&self, column: &str) -> Result<&'s str, Trouble> {
        let mut found: Option<(&'s str, Place)> = None;
        for (value, place) in self.values(column)? {
            match found {
                Some((first, _))
                    if first != value
                        && let Some(ambiguous) = &self.ambiguous =>
                {
                    return Err((**ambiguous).clone());
                }
                Some((first, at)) if first != value => {
                    let (a, b) = (first.to_owned(), value.to_owned());
                    return Err(Trouble::Disagree { column: column.to_owned(), a, b, places: [at, place] });
                }
                _ => found = found.or(Some((value, place))),
            }
        }
        Ok(found.map_or("", |(value, _)| value))
    }

    /// The lines of its rows.
    pub fn lines(&self) -> Vec<usize> {
        self.rows.iter().map(|row| row.line).collect()
    }

    /// Where the first of the rows has this column, or begins.
    pub fn place_of(&self, column: &str) -> Place {
        let values = self.values(column).unwrap_or_default();
        values.first().map_or_else(|| self.place(0), |(_, place)| *place)
    }

    pub(super) fn place(&self, index: usize) -> Place {
        self.sheet.place(self.rows.first().map_or(0, |row| row.line), index)
    }

    pub(super) fn values(&self, column: &str) -> Result<Vec<(&'s str, Place)>, Trouble> {
        let sheet = self.sheet;
        // What the rows themselves say comes before what is said of the sample elsewhere.
        let own = std::iter::once(self.table);
        let order: Vec<usize> = own.chain((0..sheet.tables.len()).filter(|table| *table != self.table)).collect();
        let is_exact = |name: &String| name == column;
        let is_alike = |name: &String| !name.is_empty() && folded(name) == folded(column);
        let exact = order.iter().find(|table| sheet.tables[**table].columns.iter().any(is_exact));
        let has_exact_field = || sheet.fields.iter().any(|field| field.key == column);
        let (table, by_name): (_, &dyn Fn(&String) -> bool) = match exact {
            Some(table) => (Some(table), &is_exact),
            None if has_exact_field() => (None, &is_exact),
            None => (order.iter().find(|table| sheet.tables[**table].columns.iter().any(is_alike)), &is_alike),
        };
        let Some(table) = table else {
            let fields = sheet.fields_of(column);
            if fields.is_empty() {
                return Err(sheet.no_column(column));
            }
            return Ok(fields.into_iter().map(|field| (field.value.as_str(), field.place)).collect());
        };
        let rows = if *table == self.table { self.rows.clone() } else { self.joined(&sheet.tables[*table]) };
        let columns = &sheet.tables[*table].columns;
        let indices: Vec<usize> = (0..columns.len()).filter(|index| by_name(&columns[*index])).collect();
        let cells = rows.iter().flat_map(|row| indices.iter().map(move |index| (*row, *index)));
        cells.map(|(row, index)| Ok((self.cell(row, index, column)?, sheet.place(row.line, index)))).collect()
    }

    /// The rows of another table that speak of the same samples.
    fn joined(&self, other: &'s Table) -> Vec<&'s Row> {
        let position = |table: &Table, join: &str| table.columns.iter().position(|name| folded(name) == join);
        let own = &self.sheet.tables[self.table];
        let join = JOINS.iter().find_map(|join| Some((position(own, join)?, position(other, join)?)));
        let Some((here, there)) = join else { return Vec::new() };
        let ids: BTreeSet<&String> = self.rows.iter().filter_map(|row| row.cells.get(here)).collect();
        other.rows.iter().filter(|row| row.cells.get(there).is_some_and(|id| ids.contains(id))).collect()
    }

    fn cell(&self, row: &'s Row, index: usize, column: &str) -> Result<&'s str, Trouble> {
        let place = self.sheet.place(row.line, index);
        if let Some((_, value)) = row.failed.iter().find(|(failed, _)| *failed == index) {
            return Err(Trouble::Failed { column: column.to_owned(), place, value: value.clone() });
        }
        match row.cells.get(index) {
            Some(cell) => Ok(cell),
            None if self.sheet.is_workbook => Ok(""),
            None => Err(Trouble::Short { column: column.to_owned(), place }),
        }
    }
}
