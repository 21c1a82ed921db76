//! From rows to tables and fields: which part of a sheet speaks of samples, and which of the whole run.

use super::grid::{Grid, Row};
use super::{Field, Place, Sheet, SheetError, Table, folded};

/// Sections that speak of samples, the one that the demultiplexer used first.
const OF_SAMPLES: [&str; 4] = ["bclconvertdata", "data", "samples", "smrtcellsettings"];

/// PacBio's section in which each SMRT cell is a column, and the name of its first row.
const TRANSPOSED: &str = "smrtcellsettings";
const PLATE_WELL: &str = "Plate Well";

/// The title of a section, where a row is one: `[Data]` and nothing else.
pub(super) fn section_title<S: AsRef<str>>(cells: &[S]) -> Option<&str> {
    let (first, rest) = cells.split_first()?;
    let title = first.as_ref().strip_prefix('[')?.strip_suffix(']')?;
    rest.iter().all(|cell| cell.as_ref().is_empty()).then(|| title.trim())
}

/// Whether the rows of a section are a table of samples, rather than keys and values.
pub(super) fn is_of_samples(title: &str) -> bool {
    let title = folded(title);
    OF_SAMPLES.contains(&title.as_str()) || title.ends_with("data")
}

pub(super) fn sheet(grid: Grid) -> Result<Sheet, SheetError> {
    let Grid { rows, is_workbook } = grid;
    let place = |line| Place { line, column: 1, is_workbook };
    let mut sheet = Sheet { is_workbook, tables: Vec::new(), fields: Vec::new() };
    let (mut last, mut headless) = (None, None);
    for section in sections(rows) {
        let Section { title, line, mut rows } = section;
        last = Some((title.clone(), line));
        if !title.is_empty() && !is_of_samples(&title) {
            sheet.fields.extend(rows.into_iter().filter_map(|row| field(&title, row, is_workbook)));
            continue;
        }
        if folded(&title) == TRANSPOSED {
            rows = transposed(rows);
        }
        let Some(table) = table(title.clone(), rows, is_workbook) else {
            headless = headless.or(Some((title, line)));
            continue;
        };
        match sheet.tables.iter_mut().find(|other| folded(&other.section) == folded(&table.section)) {
            None => sheet.tables.push(table),
            // Sheets that were put one behind the other.
            Some(other) if other.columns == table.columns => other.rows.extend(table.rows),
            Some(other) => {
                let (name, first) = (table.section, other.header);
                return Err(SheetError::TwoSections { name, first, second: table.header });
            }
        }
    }
    let rank = |table: &Table| {
        let section = folded(&table.section);
        OF_SAMPLES.iter().position(|title| *title == section).unwrap_or(OF_SAMPLES.len())
    };
    sheet.tables.sort_by_key(rank);
    sheet.fields.sort_by_key(|field| folded(&field.section) != "header");
    if !sheet.tables.is_empty() {
        return Ok(sheet);
    }
    Err(match (headless, last) {
        (Some((name, line)), _) => SheetError::NoHeader { name, place: place(line) },
        (None, Some((name, line))) => SheetError::NoSamples { name, place: place(line) },
        (None, None) => SheetError::Empty(place(1)),
    })
}

struct Section {
    /// Empty where a file has no sections.
    title: String,
    line: usize,
    rows: Vec<Row>,
}

fn sections(rows: Vec<Row>) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for row in rows {
        match (section_title(&row.cells), sections.last_mut()) {
            (Some(title), _) => {
                let (title, line) = (title.to_owned(), row.line);
                sections.push(Section { title, line, rows: Vec::new() });
            }
            // Element's manifest has lines of remarks.
            (None, Some(section)) if !section.title.is_empty() && row.cells[0].starts_with('#') => {}
            (None, Some(section)) => section.rows.push(row),
            (None, None) => sections.push(Section { title: String::new(), line: row.line, rows: vec![row] }),
        }
    }
    sections
}

/// A key and its value. The lengths of reads of an old sheet have no key, and the names of Element's columns no
/// meaning.
fn field(section: &str, row: Row, is_workbook: bool) -> Option<Field> {
    let place = Place { line: row.line, column: 2, is_workbook };
    let mut cells = row.cells.into_iter();
    let (key, value) = (cells.next()?, cells.next().unwrap_or_default());
    let is_key = !key.is_empty() && key.parse::<u64>().is_err();
    let is_title = matches!(folded(&key).as_str(), "keyname" | "settingname");
    (is_key && !is_title).then(|| Field { section: section.to_owned(), key, value, place })
}

fn table(section: String, rows: Vec<Row>, is_workbook: bool) -> Option<Table> {
    let mut rows = rows.into_iter();
    let header = rows.next()?;
    let mut columns = header.cells;
    let named = columns.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1);
    columns.truncate(named);
    let is_header_again = |row: &Row| {
        let cells = row.cells.iter().rposition(|cell| !cell.is_empty()).map_or(0, |last| last + 1);
        row.cells[..cells] == columns
    };
    let rows = rows.filter(|row| !is_header_again(row)).collect();
    Some(Table { section, header: Place { line: header.line, column: 1, is_workbook }, columns, rows })
}

/// Turns a table whose rows are columns. Each of its rows then stands on the line of the table's first.
fn transposed(rows: Vec<Row>) -> Vec<Row> {
    let width = rows.iter().map(|row| row.cells.len()).max().unwrap_or(0);
    let line = rows.first().map_or(0, |row| row.line);
    let column = |index: usize| {
        let cells = rows.iter().map(|row| row.cells.get(index).cloned().unwrap_or_default()).collect();
        Row { line, cells, failed: Vec::new() }
    };
    let mut columns: Vec<Row> = (0..width).map(column).collect();
    columns.retain(|row| row.cells.iter().any(|cell| !cell.is_empty()));
    if let Some(name) = columns.first_mut().and_then(|row| row.cells.first_mut()).filter(|name| name.is_empty()) {
        *name = PLATE_WELL.to_owned();
    }
    columns
}
