//! What a demultiplexer was told to make of the cycles of a run, as far as a sample's reads hang on it.

use super::select::Selection;
use super::{Place, folded};

/// The sections in which BCL Convert looks for its settings, in sheets of both forms.
const SETTINGS: [&str; 2] = ["bclconvertsettings", "settings"];

/// An index read that carries more than an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexRead<'s> {
    /// As its files are named: `I1`, `I2`.
    pub label: String,
    /// What says so, and where.
    pub cycles: &'s str,
    pub place: Place,
}

impl<'s> Selection<'s> {
    /// The index reads whose cycles are a UMI or a cell barcode (`U`) by BCL Convert's `OverrideCycles`, of the rows or
    /// else of the settings: `Y53;I8;N8U16;Y53` has one in I2. They are in its file where somebody turned `TrimUMI`
    /// off; else such cycles are trimmed, and stand in the names of the reads [BCL Convert, sample sheet settings].
    pub fn needed_index_reads(&self) -> Vec<IndexRead<'s>> {
        if !self.setting("TrimUMI").iter().any(|(value, _)| matches!(*value, "0" | "false")) {
            return Vec::new();
        }
        let mut needed: Vec<IndexRead<'s>> = Vec::new();
        for (cycles, place) in self.setting("OverrideCycles") {
            let segments: Vec<String> = cycles.split(';').map(|segment| segment.trim().to_ascii_uppercase()).collect();
            // The first is a read whatever becomes of it; so is the last of four.
            let indexes = segments.iter().skip(1).take(2).filter(|segment| !segment.contains('Y'));
            let with_umi = indexes.enumerate().filter(|(_, segment)| segment.contains('U'));
            for label in with_umi.map(|(n, _)| format!("I{}", n + 1)) {
                if needed.iter().all(|other| other.label != label) {
                    needed.push(IndexRead { label, cycles, place });
                }
            }
        }
        needed
    }

    /// Whether the demultiplexer was told to make no second read: the last of the segments has no cycle of a read
    /// (`Y`), such as that of `Y101;I8;I8;N101`.
    pub fn masks_second_read(&self) -> bool {
        let masks = |cycles: &str| cycles.split(';').next_back().is_some_and(|last| !last.contains(['Y', 'y']));
        let mut told = self.setting("OverrideCycles").into_iter().filter(|(cycles, _)| !cycles.is_empty()).peekable();
        told.peek().is_some() && told.all(|(cycles, _)| masks(cycles))
    }

    /// What the demultiplexer was told of these rows: by a column of theirs, else for all.
    fn setting(&self, name: &str) -> Vec<(&'s str, Place)> {
        let is_it = |other: &str| folded(other) == folded(name);
        let column = self.sheet.tables[self.table].columns.iter().position(|column| is_it(column));
        let cells = self.rows.iter().filter_map(|row| Some((row.line, row.cells.get(column?)?.as_str())));
        let cells = cells.filter(|(_, cell)| !cell.is_empty());
        let own: Vec<_> =
            cells.map(|(line, cell)| (cell, self.sheet.place(line, column.unwrap_or_default()))).collect();
        if !own.is_empty() {
            return own;
        }
        let is_setting =
            |field: &&super::Field| is_it(&field.key) && SETTINGS.contains(&folded(&field.section).as_str());
        self.sheet.fields.iter().filter(is_setting).map(|field| (field.value.as_str(), field.place)).collect()
    }
}
