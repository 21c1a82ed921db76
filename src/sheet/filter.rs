//! Which rows of a sheet count for the files of a sample: those of their flow cell, cells and lanes.

use std::collections::BTreeSet;

use super::grid::Row;
use super::{Table, folded};

/// Which rows of a sheet count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// The lanes of the files; none where the files do not tell.
    pub lanes: BTreeSet<u64>,
    /// The flow cell of the run, where it is known.
    pub flow_cell: Option<String>,
    /// The cells of the instrument that the files come from, as PacBio names their folders (`1_A01`); none where they
    /// do not tell.
    pub cells: BTreeSet<String>,
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

/// Leaves out what a sheet of several flow cells says of the others.
pub(super) fn keep_flow_cell(table: &Table, rows: &mut Vec<usize>, flow_cell: Option<&str>) {
    if let (Some(column), Some(flow_cell)) = (table.flow_cells(), flow_cell) {
        rows.retain(|row| {
            let cell = table.rows[*row].cells.get(column).map_or("", String::as_str);
            // Illumina's run folders have the side of the instrument in front.
            flow_cell.ends_with(cell)
        });
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
pub(super) fn keep_lanes(table: &Table, rows: &mut Vec<usize>, lanes: &BTreeSet<u64>) -> Option<u64> {
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
pub(super) fn lanes_of(table: &Table, row: &Row) -> Option<BTreeSet<u64>> {
    let cell = row.cells.get(table.lanes()?).filter(|cell| !cell.is_empty())?;
    let numbers = cell.split(|c: char| !c.is_ascii_digit()).filter(|number| !number.is_empty());
    Some(numbers.filter_map(|number| number.parse().ok()).collect())
}
