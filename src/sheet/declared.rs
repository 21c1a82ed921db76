//! The samples that a sheet declares, whether or not a file of them was ever seen.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::filter::keep_flow_cell;
use super::grid::Row;
use super::keyed::{KeyColumn, as_written, both_ends, is_kept};
use super::{Filter, Keyed, Selection, Sheet, folded};

/// Columns that say in which cell of an instrument a sample is: PacBio's run designs, old and new.
const CELLS: [&str; 4] = ["platewell", "samplewell", "wellname", "cell"];

/// A sample of a sheet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredSample<'s> {
    /// What stands in the column of the samples.
    pub key: Cow<'s, str>,
    /// Whether the key is that of another sample, too, in another cell of the instrument.
    pub shares_key: bool,
    pub selection: Selection<'s>,
}

impl Sheet {
    /// The sheet by the column that most likely names its samples, where no file tells: the one that tells most of the
    /// rows apart, before all others that may name them. `None` where no column may.
    pub fn keyed_by_guess(&self) -> Option<Keyed<'_>> {
        let mut columns: Vec<KeyColumn<'_>> = self.key_columns().filter(|column| !column.exact.is_empty()).collect();
        let most = columns.iter().map(|column| column.exact.len()).max()?;
        let best = columns.iter().position(|column| column.exact.len() == most)?;
        columns[..=best].rotate_right(1);
        Some(Keyed { sheet: self, columns, is_guess: false })
    }

    /// Whether its rows say which flow cell they speak of.
    pub fn tells_flow_cells(&self) -> bool {
        self.tables.iter().any(|table| table.flow_cells().is_some())
    }
}

impl<'s> Keyed<'s> {
    /// Whether some row may have this name.
    pub fn has(&self, name: &str) -> bool {
        self.columns.iter().any(|column| column.has(name))
    }

    /// Whether files of a sample are named after its key: as it is, and whichever of the columns they are named after.
    pub fn is_sure_of(&self, key: &str) -> bool {
        let rows = |column: &KeyColumn<'s>| column.exact.get(key).map(|rows| (column.table, rows.clone()));
        let first = self.columns.first().and_then(rows);
        first.is_some() && self.columns.iter().all(|column| rows(column) == first) && is_written_as_it_is(key)
    }

    /// Its samples, in the order of the rows; those of other flow cells are left out, and a name that
    /// stands for another sample in each cell of the instrument is one sample in each.
    pub fn samples(&self, filter: &Filter) -> Vec<DeclaredSample<'s>> {
        let Some(column) = self.columns.first() else { return Vec::new() };
        let table = &self.sheet.tables[column.table];
        let mut in_order: BTreeMap<usize, DeclaredSample<'s>> = BTreeMap::new();
        for (key, rows) in &column.exact {
            let mut rows = rows.clone();
            keep_flow_cell(table, &mut rows, filter.flow_cell.as_deref());
            // A well without the plate's number may be that of the lab's own plate.
            let cell = |row: usize| table.cell(row).filter(|cell| cell.contains('_'));
            let mut by_cell: BTreeMap<Option<&str>, Vec<usize>> = BTreeMap::new();
            for row in rows {
                by_cell.entry(cell(row)).or_default().push(row);
            }
            let shares_key = by_cell.len() > 1;
            for rows in by_cell.into_values() {
                let selected = rows.iter().map(|row| &table.rows[*row]).collect();
                let selection = Selection { sheet: self.sheet, table: column.table, rows: selected, ambiguous: None };
                in_order.insert(rows[0], DeclaredSample { key: key.clone(), shares_key, selection });
            }
        }
        in_order.into_values().collect()
    }
}

impl Selection<'_> {
    /// What tells its rows from all others, for as long as the sheet is kept.
    pub fn ids(&self) -> impl Iterator<Item = usize> {
        self.rows.iter().map(|row| std::ptr::from_ref::<Row>(row).addr())
    }

    /// The line of the first of the rows.
    pub fn line(&self) -> usize {
        self.place(0).line
    }

    /// The cells of the instrument that the rows name; none where they do not tell.
    pub fn cells(&self) -> BTreeSet<String> {
        let columns = self.sheet.tables[self.table].columns.iter();
        let named = columns.filter(|name| CELLS.contains(&folded(name).as_str()));
        let values = named.filter_map(|name| self.values(name).ok()).flatten();
        values.map(|(value, _)| value.to_owned()).filter(|value| !value.is_empty()).collect()
    }
}

/// A form that a name has in common with all that an instrument may have written for it.
pub fn folded_name(name: &str) -> String {
    as_written(name)
}

/// Whether an instrument writes a name as it is, whichever instrument it is.
fn is_written_as_it_is(name: &str) -> bool {
    both_ends(name).is_none() && name.chars().all(is_kept)
}
