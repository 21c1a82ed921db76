//! Taking values from the rows of a sample, and from what a sheet says of all.
//!
//! Nothing is chosen by chance: rows that disagree about a value are an error that names both.

use std::collections::BTreeSet;

use super::grid::Row;
use super::{Place, Sheet, Table, Trouble, folded};

/// Columns that several tables of a sheet may share, by which they are joined.
const JOINS: [&str; 2] = ["sampleid", "platewell"];

/// The rows of one sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection<'s> {
    pub(super) sheet: &'s Sheet,
    pub(super) table: usize,
    pub(super) rows: Vec<&'s Row>,
    /// What is wrong where the rows disagree, if they have several names: that it is not known whose files these are.
    pub(super) ambiguous: Option<Box<Trouble>>,
}

impl Sheet {
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

    /// The table and the index of a column: of that very name, else of one that is alike.
    pub(super) fn column(&self, name: &str) -> Option<(usize, usize)> {
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
