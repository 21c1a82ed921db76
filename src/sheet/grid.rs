//! From a file's bytes to rows of cells: the encoding, what separates the columns, and how much is too much.

use super::csv::{CsvError, CsvRow, LARGEST_SHEET, Rows};
use super::sections::{is_of_samples, section_title};
use super::{Place, SheetError, xlsx};

/// The most cells of a sheet, empty ones among them: twenty for each of a hundred thousand samples.
pub(super) const MOST_CELLS: usize = 2_000_000;

/// What may separate columns; the first wins where all are as good.
const SEPARATORS: [char; 3] = [',', '\t', ';'];

/// So many rows are looked through for the header that tells the separator.
const ROWS_TO_SNIFF: usize = 5000;

/// How Windows-1252 reads the bytes that are control characters in Latin-1; the five that it leaves open stay those.
const WINDOWS: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘', '’',
    '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// A row with something in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub line: usize,
    /// Without white space around them.
    pub cells: Vec<String>,
    /// Cells whose formula failed, by index, and with what.
    pub failed: Vec<(usize, String)>,
}

/// The rows of a sheet that are not blank.
pub(super) struct Grid {
    pub rows: Vec<Row>,
    pub is_workbook: bool,
}

pub(super) fn read(bytes: &[u8]) -> Result<Grid, SheetError> {
    if bytes.len() as u64 > LARGEST_SHEET {
        return Err(SheetError::TooLarge);
    }
    if bytes.starts_with(b"PK\x03\x04") {
        return Ok(Grid { rows: xlsx::rows(bytes)?, is_workbook: true });
    }
    if bytes.starts_with(b"\xd0\xcf\x11\xe0") {
        return Err(SheetError::OldWorkbook);
    }
    let text = text_of(bytes);
    Ok(Grid { rows: rows(&text)?, is_workbook: false })
}

fn rows(text: &str) -> Result<Vec<Row>, SheetError> {
    let place = |line, index: usize| Place { line, column: index + 1, is_workbook: false };
    let mut read = Vec::new();
    let mut count = 0;
    for row in Rows::new(text, separator(text)) {
        let CsvRow { line, cells, .. } = row.map_err(|error| match error {
            CsvError::Unclosed { line, column, .. } => SheetError::Unclosed(place(line, column - 1)),
            CsvError::TooWide { line, .. } => SheetError::TooMany(place(line, 16_384), "16384 columns"),
        })?;
        if let Some(at) = cells.iter().position(|cell| cell.contains('\0')) {
            return Err(SheetError::ZeroByte(place(line, at)));
        }
        let cells: Vec<String> = cells.into_iter().map(|cell| cell.trim().to_owned()).collect();
        if cells.iter().all(String::is_empty) {
            continue;
        }
        count += cells.len();
        if count > MOST_CELLS {
            return Err(SheetError::TooMany(place(line, 0), "2000000 cells"));
        }
        read.push(Row { line, cells, failed: Vec::new() });
    }
    Ok(read)
}

/// The text of a file, whatever wrote it: UTF-8 and UTF-16 with or without their marks, else Windows' Latin-1.
pub fn text_of(bytes: &[u8]) -> String {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = bytes.chunks(2).map(|pair| unit([pair[0], *pair.get(1).unwrap_or(&0)]));
        char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    };
    if let Some(rest) = bytes.strip_prefix(b"\xff\xfe") {
        return utf16(rest, u16::from_le_bytes);
    }
    if let Some(rest) = bytes.strip_prefix(b"\xfe\xff") {
        return utf16(rest, u16::from_be_bytes);
    }
    let mut bytes = bytes;
    // Programs that put a byte order mark in front do so, too, where one stands already.
    while let Some(rest) = bytes.strip_prefix(b"\xef\xbb\xbf") {
        bytes = rest;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| of_windows(*byte)).collect(),
    }
}

fn of_windows(byte: u8) -> char {
    match byte {
        0x80..=0x9f => WINDOWS[usize::from(byte) - 0x80],
        byte => char::from(byte),
    }
}

/// What separates the columns: what the header of the samples is widest with.
fn separator(text: &str) -> char {
    let mut best = (0, SEPARATORS[0]);
    for separator in SEPARATORS {
        let width = header_width(text, separator);
        if width > best.0 {
            best = (width, separator);
        }
    }
    best.1
}

fn header_width(text: &str, separator: char) -> usize {
    let mut is_header = None;
    for row in Rows::new(text, separator).take(ROWS_TO_SNIFF) {
        let cells = match row {
            Ok(CsvRow { cells, .. }) => cells,
            Err(CsvError::TooWide { .. }) => return usize::MAX,
            Err(CsvError::Unclosed { .. }) => return 0,
        };
        let cells: Vec<&str> = cells.iter().map(|cell| cell.trim()).collect();
        if cells.iter().all(|cell| cell.trim_matches(SEPARATORS).trim().is_empty()) {
            continue;
        }
        match section_title(&cells) {
            Some(title) => is_header = Some(is_of_samples(title)),
            None if is_header.unwrap_or(true) => return cells.iter().filter(|cell| !cell.is_empty()).count(),
            None => {}
        }
    }
    0
}
