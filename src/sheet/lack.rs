//! Why a sheet has no rows of a sample, in words that lead to the place.

use super::filter::{keep_cells, keep_flow_cell};
use super::keyed::KeyColumn;
use super::{Filter, Keyed, Place};

/// So many places are named.
const MOST_NAMED: usize = 3;

/// What is lacking, and what mends it.
pub struct Lacking {
    /// Goes on from "the sheet SampleSheet.csv": `has no "liver" in Sample_ID (line 8, column 1)`.
    pub what: String,
    pub remedy: &'static str,
}

impl Keyed<'_> {
    /// Why [`Self::find`] or [`Self::find_exactly`] found nothing.
    pub fn lacking(&self, name: &str, filter: &Filter) -> Lacking {
        if let Some(what) = self.columns.iter().find_map(|column| self.elsewhere(column, name, filter)) {
            return Lacking { what, remedy: "correct it, or add a row" };
        }
        let place = |column: &KeyColumn<'_>| {
            let header = self.sheet.tables[column.table].header;
            Place { column: column.index + 1, ..header }
        };
        let tables: Vec<_> = self.columns.iter().map(|column| &self.sheet.tables[column.table]).collect();
        if let Some(empty) = tables.first().filter(|_| tables.iter().all(|table| table.rows.is_empty())) {
            let what = format!("has nothing below the names of its columns ({})", empty.header);
            return Lacking { what, remedy: "add a row for each sample" };
        }
        let columns = self.columns.iter().map(|column| format!("{} ({})", column.name, place(column)));
        let mut what = format!("has no {name:?} in {}", columns.collect::<Vec<_>>().join(" or "));
        if self.is_guess {
            what += ", its first column, and none that is called Sample_ID or the like";
            return Lacking { what, remedy: "say with key which column names the samples, or add it there" };
        }
        Lacking { what, remedy: "add it there" }
    }

    /// That a sample has rows, and only such as speak of another flow cell, cell or lane than its files.
    fn elsewhere(&self, column: &KeyColumn<'_>, name: &str, filter: &Filter) -> Option<String> {
        let table = &self.sheet.tables[column.table];
        let rows = column.rows(name);
        let mut kept = rows.clone();
        keep_flow_cell(table, &mut kept, filter.flow_cell.as_deref());
        let of_flow_cell = kept.clone();
        keep_cells(table, &mut kept, &filter.cells);
        let (rows, of, what, own) = if of_flow_cell.is_empty() {
            (rows, table.flow_cells()?, "flow cell", filter.flow_cell.iter().cloned().collect::<Vec<_>>())
        } else if kept.is_empty() {
            (of_flow_cell, table.cells()?, "cell", filter.cells.iter().cloned().collect())
        } else {
            (kept, table.lanes()?, "lane", filter.lanes.iter().map(u64::to_string).collect())
        };
        let mut named: Vec<(&str, Place)> = Vec::new();
        for row in rows.iter().map(|row| &table.rows[*row]) {
            let value = row.cells.get(of).map_or("", String::as_str);
            if named.iter().all(|(other, _)| *other != value) {
                named.push((value, self.sheet.place(row.line, of)));
            }
        }
        (!named.is_empty()).then(|| {
            let more = named.len().saturating_sub(MOST_NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let named = named.iter().take(MOST_NAMED).map(|(value, place)| format!("{what} {value} ({place})"));
            let [named, own] = [named.collect::<Vec<_>>(), own.iter().map(|own| format!("{what} {own}")).collect()];
            format!("has {name:?} for {}{more} alone, and its files are of {}", named.join(", "), own.join(", "))
        })
    }
}
