//! The first visible worksheet of an Excel workbook. A small file can unfold into a very large one, so what it would
//! take is measured first, and its cells are taken one by one.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use calamine::{Data, DataRef, DataType, ExcelDateTime, Reader, SheetType, SheetVisible, Xlsx};
use zip::ZipArchive;

use super::grid::{MOST_CELLS, Row};
use super::{Place, SheetError};

/// What the parts of a workbook may take together once they are unpacked, in bytes.
const LARGEST_UNPACKED: u64 = 64 << 20;

/// The most text of its cells together, in bytes.
const MOST_TEXT: usize = 64 << 20;

pub(super) fn rows(bytes: &[u8]) -> Result<Vec<Row>, SheetError> {
    // The reader behind this is not ours, and what it reads may be anything.
    catch_unwind(AssertUnwindSafe(|| {
        measured(bytes)?;
        read(bytes)
    }))
    .unwrap_or_else(|_| Err(SheetError::Workbook("it is damaged".to_owned())))
}

fn measured(bytes: &[u8]) -> Result<(), SheetError> {
    let wrong = |error: &dyn std::fmt::Display| SheetError::Workbook(error.to_string());
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| wrong(&error))?;
    let mut room = LARGEST_UNPACKED;
    for index in 0..archive.len() {
        let part = archive.by_index(index).map_err(|error| wrong(&error))?;
        let unpacked = io::copy(&mut part.take(room + 1), &mut io::sink()).map_err(|error| wrong(&error))?;
        room = room.checked_sub(unpacked).ok_or(SheetError::TooLarge)?;
    }
    Ok(())
}

fn read(bytes: &[u8]) -> Result<Vec<Row>, SheetError> {
    let wrong = |error: calamine::XlsxError| SheetError::Workbook(error.to_string());
    let mut workbook: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).map_err(wrong)?;
    let is_shown =
        |sheet: &&calamine::Sheet| sheet.visible == SheetVisible::Visible && sheet.typ == SheetType::WorkSheet;
    let first = workbook.sheets_metadata().iter().find(is_shown).map(|sheet| sheet.name.clone());
    let first = first.ok_or_else(|| SheetError::Workbook("it has no worksheet".to_owned()))?;
    let mut cells = workbook.worksheet_cells_reader(&first).map_err(wrong)?;
    let mut rows: BTreeMap<u32, Row> = BTreeMap::new();
    let (mut count, mut text) = (0, 0);
    while let Some(cell) = cells.next_cell().map_err(wrong)? {
        let (row, column) = cell.get_position();
        let (line, index) = (row as usize + 1, column as usize);
        let (value, failed) = match cell.get_value() {
            DataRef::Error(error) => (String::new(), Some(error.to_string())),
            value => (written(value), None),
        };
        if value.is_empty() && failed.is_none() {
            continue;
        }
        let row = rows.entry(row).or_insert_with(|| Row { line, cells: Vec::new(), failed: Vec::new() });
        if row.cells.len() <= index {
            count += index + 1 - row.cells.len();
            text += value.len();
            if count > MOST_CELLS || text > MOST_TEXT {
                let place = Place { line, column: index + 1, is_workbook: true };
                return Err(SheetError::TooMany(place, "2000000 cells, or 64 MiB of text"));
            }
            row.cells.resize(index + 1, String::new());
        }
        row.cells[index] = value;
        row.failed.extend(failed.map(|failed| (index, failed)));
    }
    Ok(rows.into_values().collect())
}

/// A value as a person would write it into a text: whole numbers without a point, dates as 2026-11-24.
fn written(value: &DataRef<'_>) -> String {
    match value {
        DataRef::DateTime(date) => date_or_time(date),
        DataRef::Bool(value) => value.to_string().to_uppercase(),
        DataRef::SharedString(text) => text.trim().to_owned(),
        other => {
            let value: Data = other.clone().into();
            value.as_string().map(|text| text.trim().to_owned()).unwrap_or_else(|| value.to_string().trim().to_owned())
        }
    }
}

fn date_or_time(date: &ExcelDateTime) -> String {
    if date.is_duration() {
        return date.as_f64().to_string();
    }
    let (year, month, day, hour, minute, second, _) = date.to_ymd_hms_milli();
    match (date.as_f64() < 1.0, (hour, minute, second)) {
        (true, _) => format!("{hour:02}:{minute:02}:{second:02}"),
        (false, (0, 0, 0)) => format!("{year:04}-{month:02}-{day:02}"),
        (false, _) => format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"),
    }
}
