//! Comma-separated values as spreadsheets write them (RFC 4180), with the row numbers that a spreadsheet shows: a
//! blank line is a row, and a line end within quotes is none.

use std::io::Read;
use std::path::Path;

use super::super::exit::CommandError;

/// The largest sheet that is read, in bytes; a sheet of ten thousand samples is smaller.
const LARGEST_SHEET: u64 = 16 << 20;

/// A row and its number; the first is 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct CsvRow {
    pub number: usize,
    pub cells: Vec<String>,
}

/// A quote that is never closed, and where it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("row {0}: a quote is never closed; write a quote within a value twice, and put quotes around the value")]
pub(in super::super) struct Unclosed(usize);

/// Reads the rows of a sheet that a person saved.
///
/// # Errors
/// A file that cannot be read, or is no such sheet.
pub(in super::super) fn read(path: &Path) -> Result<Vec<CsvRow>, CommandError> {
    let cannot = |why: String| cannot_use(path, &why);
    if !path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv")) {
        return Err(cannot("it is no .csv file; save it from the spreadsheet as comma-separated values".to_owned()));
    }
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(path).map_err(|error| cannot(error.to_string()))?;
    // One byte more than allowed tells a sheet that is too large from one that just fits.
    opened.take(LARGEST_SHEET + 1).read_to_end(&mut bytes).map_err(|error| cannot(error.to_string()))?;
    of_bytes(bytes).map_err(cannot)
}

/// Reads the rows of a sheet's bytes; else says why not.
pub(in super::super) fn of_bytes(bytes: Vec<u8>) -> Result<Vec<CsvRow>, String> {
    if bytes.len() as u64 > LARGEST_SHEET {
        return Err(format!("it is larger than {} MiB; divide it", LARGEST_SHEET >> 20));
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| "it is not UTF-8; save it from the spreadsheet as \"CSV UTF-8\"".to_owned())?;
    parse(text.strip_prefix('\u{feff}').unwrap_or(&text)).map_err(|error| error.to_string())
}

/// That a sheet is not one that can be used.
pub(in super::super) fn cannot_use(path: &Path, why: &str) -> CommandError {
    CommandError::Input(format!("cannot use the sheet {}: {why}", path.display()))
}

/// What separates the columns of a header that has no commas, where that can be told.
pub(in super::super) fn other_separator(header: &[String]) -> Option<String> {
    let [only] = header else { return None };
    let separator = [';', '\t'].into_iter().find(|separator| only.contains(*separator))?;
    Some(format!("its columns are separated by {separator:?}; save it as comma-separated values"))
}

/// Reads the rows. Line ends of any kind are taken.
///
/// # Errors
/// A quote that is never closed: all that follows would be one value.
pub(in super::super) fn parse(text: &str) -> Result<Vec<CsvRow>, Unclosed> {
    let mut rows = Vec::new();
    let mut number = 1;
    let mut cells = Vec::new();
    let mut cell = String::new();
    let mut is_quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if is_quoted && chars.next_if_eq(&'"').is_some() => cell.push('"'),
            '"' if is_quoted => is_quoted = false,
            c if is_quoted => cell.push(c),
            '"' if cell.is_empty() => is_quoted = true,
            ',' => cells.push(std::mem::take(&mut cell)),
            '\r' | '\n' => {
                if c == '\r' {
                    chars.next_if_eq(&'\n');
                }
                cells.push(std::mem::take(&mut cell));
                rows.push(CsvRow { number, cells: std::mem::take(&mut cells) });
                number += 1;
            }
            c => cell.push(c),
        }
    }
    if is_quoted {
        return Err(Unclosed(number));
    }
    if !cell.is_empty() || !cells.is_empty() {
        cells.push(cell);
        rows.push(CsvRow { number, cells });
    }
    Ok(rows)
}

/// A value as it is written: in quotes where it must be.
pub(in super::super) fn quoted(value: &str) -> String {
    if value.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", value.replace('"', "\"\""))
    } else {
        value.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<(usize, Vec<String>)> {
        parse(text).unwrap().into_iter().map(|row| (row.number, row.cells)).collect()
    }

    fn row(number: usize, cells: &[&str]) -> (usize, Vec<String>) {
        (number, cells.iter().map(|cell| (*cell).to_owned()).collect())
    }

    #[test]
    fn rows_are_numbered_as_a_spreadsheet_does() {
        let expected = [row(1, &["a", "b"]), row(2, &["1\r\n2", "x, \"y\""]), row(3, &[""]), row(4, &["3", ""])];
        for end in ["\n", "\r\n", "\r"] {
            let text = ["a,b", "\"1\r\n2\",\"x, \"\"y\"\"\"", "", "3,"].join(end);
            assert_eq!(rows(&text), expected);
            assert_eq!(rows(&format!("{text}{end}")), expected);
        }
    }

    #[test]
    fn quotes_inside_a_bare_value_are_a_part_of_it() {
        assert_eq!(rows("5\" tube,\"a\"b\n"), [row(1, &["5\" tube", "ab"])]);
        assert_eq!(parse("a\n\"b\nc\n"), Err(Unclosed(2)));
        assert_eq!(rows(""), []);
    }

    #[test]
    fn what_is_written_reads_back() {
        for value in ["plain", "a,b", "say \"x\"", "two\nlines", ""] {
            assert_eq!(rows(&format!("{},end\n", quoted(value))), [row(1, &[value, "end"])]);
        }
    }
}
