//! Sheets for the fuzzer; see [`crate::fuzzing`].

use std::path::Path;

use super::import::sheet as accessions;
use super::upload::{csv, quoted, sheet as samples};

/// Rows read as they are written, and each row of either kind of sheet is usable or told to be not.
pub(crate) fn sheet(bytes: &[u8]) {
    let Ok(rows) = csv::of_bytes(bytes.to_vec()) else { return };
    let line = |row: &csv::CsvRow| row.cells.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(",") + "\n";
    let written: String = rows.iter().map(line).collect();
    assert_eq!(csv::of_bytes(written.into_bytes()).as_ref(), Ok(&rows));

    if let Ok(rows) = samples::of_rows(rows.clone(), Path::new("/nowhere")) {
        for row in &rows {
            assert!(row.number > 1 && (!row.name.is_empty() || !row.problems.is_empty()), "{row:?}");
        }
    }
    for sample_type in [None, Some("RNA-Seq")] {
        if let Ok((good, bad)) = accessions::of_rows(rows.clone(), sample_type) {
            assert!(good.iter().all(|row| !row.spec.accession.is_empty() && !row.spec.sample_type.is_empty()));
            assert!(bad.iter().all(|row| row.to_string().starts_with("row ")));
        }
    }
}
