//! Separated values as spreadsheets write them (RFC 4180), a row at a time, with two numbers for each: the row that a
//! spreadsheet shows, in which a blank line is a row and a line end within quotes is none, and the line of the file.

use std::iter::Peekable;
use std::str::Chars;

/// The largest sheet that is read, in bytes; a sheet of ten thousand samples is smaller.
pub const LARGEST_SHEET: u64 = 16 << 20;

/// The most columns of a row: what a spreadsheet has.
const MOST_COLUMNS: usize = 16_384;

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvRow {
    /// As a spreadsheet counts; the first is 1.
    pub number: usize,
    /// The line of the file on which it begins; the first is 1.
    pub line: usize,
    pub cells: Vec<String>,
}

/// Why no rows can be read from here on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CsvError {
    #[error("row {row}: a quote is never closed; write a quote within a value twice, and put quotes around the value")]
    Unclosed { row: usize, line: usize, column: usize },
    #[error("row {row} has more than {MOST_COLUMNS} columns, which is no sheet")]
    TooWide { row: usize, line: usize },
}

/// The rows of a text. Line ends of any kind are taken. It ends with the first error.
pub struct Rows<'t> {
    chars: Peekable<Chars<'t>>,
    separator: char,
    number: usize,
    line: usize,
    has_failed: bool,
}

impl<'t> Rows<'t> {
    pub fn new(text: &'t str, separator: char) -> Self {
        Self { chars: text.chars().peekable(), separator, number: 1, line: 1, has_failed: false }
    }

    /// Takes the second half of a line end of two.
    fn take_line_feed_after(&mut self, c: char) -> bool {
        c == '\r' && self.chars.next_if_eq(&'\n').is_some()
    }

    fn fail(&mut self, error: CsvError) -> Option<Result<CsvRow, CsvError>> {
        self.has_failed = true;
        Some(Err(error))
    }
}

impl Iterator for Rows<'_> {
    type Item = Result<CsvRow, CsvError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_failed || self.chars.peek().is_none() {
            return None;
        }
        let (row, line) = (self.number, self.line);
        let mut cells = Vec::new();
        let mut cell = String::new();
        let mut opened = None;
        loop {
            let Some(c) = self.chars.next() else {
                if let Some((line, column)) = opened {
                    return self.fail(CsvError::Unclosed { row, line, column });
                }
                break;
            };
            match c {
                '"' if opened.is_some() && self.chars.next_if_eq(&'"').is_some() => cell.push('"'),
                '"' if opened.is_some() => opened = None,
                c if opened.is_some() => {
                    cell.push(c);
                    if matches!(c, '\r' | '\n') {
                        if self.take_line_feed_after(c) {
                            cell.push('\n');
                        }
                        self.line += 1;
                    }
                }
                '"' if cell.is_empty() => opened = Some((self.line, cells.len() + 1)),
                '\r' | '\n' => {
                    self.take_line_feed_after(c);
                    self.line += 1;
                    break;
                }
                c if c == self.separator => {
                    cells.push(std::mem::take(&mut cell));
                    if cells.len() >= MOST_COLUMNS {
                        return self.fail(CsvError::TooWide { row, line });
                    }
                }
                c => cell.push(c),
            }
        }
        cells.push(cell);
        self.number += 1;
        Some(Ok(CsvRow { number: row, line, cells }))
    }
}

/// A value as it is written: in quotes where it must be. A byte order mark at its begin would be taken for the file's.
pub fn quoted(value: &str) -> String {
    if value.contains([',', '"', '\r', '\n']) || value.starts_with('\u{feff}') {
        format!("\"{}\"", value.replace('"', "\"\""))
    } else {
        value.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<(usize, Vec<String>)> {
        Rows::new(text, ',').map(|row| row.unwrap()).map(|row| (row.number, row.cells)).collect()
    }

    fn row(number: usize, cells: &[&str]) -> (usize, Vec<String>) {
        (number, cells.iter().map(|cell| (*cell).to_owned()).collect())
    }

    #[test]
    fn rows_are_numbered_as_a_spreadsheet_does_and_lines_as_an_editor_does() {
        let expected = [row(1, &["a", "b"]), row(2, &["1\r\n2", "x, \"y\""]), row(3, &[""]), row(4, &["3", ""])];
        for end in ["\n", "\r\n", "\r"] {
            let text = ["a,b", "\"1\r\n2\",\"x, \"\"y\"\"\"", "", "3,"].join(end);
            assert_eq!(rows(&text), expected);
            assert_eq!(rows(&format!("{text}{end}")), expected);
            let lines: Vec<usize> = Rows::new(&text, ',').map(|row| row.unwrap().line).collect();
            assert_eq!(lines, [1, 2, 4, 5]);
        }
    }

    #[test]
    fn quotes_inside_a_bare_value_are_a_part_of_it() {
        assert_eq!(rows("5\" tube,\"a\"b\n"), [row(1, &["5\" tube", "ab"])]);
        let error = Rows::new("a\n1,\"b\nc\n", ',').nth(1).unwrap();
        assert_eq!(error, Err(CsvError::Unclosed { row: 2, line: 2, column: 2 }));
        assert_eq!(rows(""), []);
    }

    #[test]
    fn a_row_is_no_wider_than_a_spreadsheet() {
        let widest = ",".repeat(MOST_COLUMNS - 1);
        assert_eq!(rows(&widest)[0].1.len(), MOST_COLUMNS);
        let text = format!("a\n{widest},");
        let mut rows = Rows::new(&text, ',').skip(1);
        assert_eq!(rows.next(), Some(Err(CsvError::TooWide { row: 2, line: 2 })));
        assert_eq!(rows.next(), None);
    }

    #[test]
    fn what_is_written_reads_back() {
        for value in ["plain", "a,b", "say \"x\"", "two\nlines", "", "\u{feff}marked"] {
            assert_eq!(rows(&format!("{},end\n", quoted(value))), [row(1, &[value, "end"])]);
        }
    }
}
