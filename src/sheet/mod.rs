//! Sample sheets: what the lab wrote down about the samples of a run, and tables that translate its words.
//!
//! Bytes go in, a [`Sheet`] comes out ([`Sheet::parse`]): Illumina's forms (v1, v2 and mixtures of both), Element's run
//! manifest, PacBio's run design, MinKNOW's sheet, or any table with a header, as CSV, TSV or XLSX. A sheet finds the
//! rows of a sample ([`Sheet::keyed`], [`Keyed::find`]) and takes values from them ([`Selection::value`]); rows that
//! disagree about a value are an error that names both. It also tells all samples that it declares
//! ([`Keyed::samples`]). The [`Library`] is the one part that reads files: sheets, and what is so small that it may be
//! the reads of a sample that has none.
//!
//! What a sheet means for an upload is not known here.

mod blank;
pub mod csv;
mod cycles;
mod declared;
mod filter;
mod grid;
mod keyed;
mod lack;
mod library;
mod sections;
mod select;
mod trouble;
mod xlsx;

use std::fmt;

pub use cycles::IndexRead;
pub use declared::{DeclaredSample, folded_name};
pub use filter::{Filter, is_cell};
pub use grid::text_of;
pub use keyed::Keyed;
pub use lack::Lacking;
pub use library::{Library, Read, Shelf, Shelved, Wanted, path_glob};
pub use select::Selection;
pub use trouble::Trouble;

use csv::LARGEST_SHEET;
use grid::Row;

/// A place in a sheet, both numbers counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The line of the file; of a workbook, the row.
    pub line: usize,
    /// The column of the table, counted in cells.
    pub column: usize,
    is_workbook: bool,
}

/// Why a file is no sheet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SheetError {
    #[error("it is larger than {} MiB, which is no sheet", LARGEST_SHEET >> 20)]
    TooLarge,
    #[error("{0} is beyond what a sheet has (more than {1})")]
    TooMany(Place, &'static str),
    #[error("the quote that is opened at {0} is never closed; write a quote within a value twice")]
    Unclosed(Place),
    #[error("{0} has a zero byte; save the sheet as text, in UTF-8")]
    ZeroByte(Place),
    #[error("it is an old Excel workbook (.xls); save it as .xlsx or .csv")]
    OldWorkbook,
    #[error("it is no workbook that can be read ({0}); save it as .xlsx or .csv again")]
    Workbook(String),
    #[error("there is nothing in it; the names of the columns were expected at {0}; was it cut off?")]
    Empty(Place),
    #[error(
        "it has no section with samples ([BCLConvert_Data], [Data] or [Samples]); its last section, {name:?}, begins \
         at {place}; was it cut off?"
    )]
    NoSamples { name: String, place: Place },
    #[error("the section {name:?} at {place} has no line with the names of its columns; write it below that")]
    NoHeader { name: String, place: Place },
    #[error("the section {name:?} stands twice, at {first} and at {second}, with other columns; remove one")]
    TwoSections { name: String, first: Place, second: Place },
}

/// A sheet that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    is_workbook: bool,
    /// The samples first, then what else is said of them; never empty.
    tables: Vec<Table>,
    /// What is said of the whole run: keys and values of `[Header]` first, then of the other sections.
    fields: Vec<Field>,
}

/// A header and its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Table {
    /// The section; empty where a file has none.
    section: String,
    header: Place,
    /// In the order of the sheet; empty where a column has no name.
    columns: Vec<String>,
    rows: Vec<Row>,
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Field {
    section: String,
    key: String,
    value: String,
    place: Place,
}

impl Sheet {
    /// Reads a sheet's bytes. A byte order mark, UTF-8, UTF-16 with its mark, and else Latin-1 (as Windows has it) are
    /// taken, any line ends, and columns that are separated by commas, tabs or semicolons.
    ///
    /// # Errors
    /// What makes the whole file unusable, with its line and column. What is wrong in one row is told when that row is
    /// used.
    pub fn parse(bytes: &[u8]) -> Result<Self, SheetError> {
        sections::sheet(grid::read(bytes)?)
    }

    /// How many rows speak of samples.
    pub fn samples(&self) -> usize {
        self.tables[0].rows.len()
    }

    /// What values can be taken: the columns, then the fields of the header.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let columns = self.tables.iter().flat_map(|table| table.columns.iter());
        let fields = self.fields.iter().map(|field| &field.key);
        columns.chain(fields).map(String::as_str).filter(|name| !name.is_empty())
    }

    fn place(&self, line: usize, index: usize) -> Place {
        Place { line, column: index + 1, is_workbook: self.is_workbook }
    }
}

/// "line 21, column 5", or "cell E21" in a workbook.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_workbook {
            return write!(f, "line {}, column {}", self.line, self.column);
        }
        let (mut letters, mut rest) = (Vec::new(), self.column);
        while rest > 0 {
            letters.push(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"[(rest - 1) % 26]);
            rest = (rest - 1) / 26;
        }
        letters.reverse();
        write!(f, "cell {}{}", String::from_utf8_lossy(&letters), self.line)
    }
}

/// A column's name without what people write differently: case, spaces, `_` and `-`.
fn folded(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests;
