//! The sheets that a person hands to a command: comma-separated values in UTF-8, read whole.

use std::io::Read;
use std::path::Path;

use super::super::exit::CommandError;
pub(in super::super) use crate::sheet::csv::{CsvRow, quoted};
use crate::sheet::csv::{LARGEST_SHEET, Rows};

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
    // Programs that put a byte order mark in front do so, too, where one stands already.
    let rows = Rows::new(text.trim_start_matches('\u{feff}'), ',');
    rows.collect::<Result<_, _>>().map_err(|error| error.to_string())
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
