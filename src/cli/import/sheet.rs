//! A sheet of accessions in the platform's own format: `accession`, `sample_type`, `name`, `organism`, `project`,
//! `pubmed`, and a column for each metadata attribute.
//!
//! Checked here for its form alone: what an accession looks like, and which values are good, is for Flow to say, which
//! takes all rows or none.

use std::path::Path;

use super::super::exit::CommandError;
use super::super::upload::csv::{self, CsvRow};
use super::BadRow;
use crate::flow::SampleImportSpec;

/// A row that is to be imported.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Row {
    /// As a spreadsheet shows it: the header is row 1.
    pub number: usize,
    pub spec: SampleImportSpec,
}

/// Reads a sheet. `sample_type` is that of rows which name none. The second list holds the rows with mistakes.
///
/// # Errors
/// A file that is no such sheet.
pub(super) fn read(path: &Path, sample_type: Option<&str>) -> Result<(Vec<Row>, Vec<BadRow>), CommandError> {
    of_rows(csv::read(path)?, sample_type).map_err(|why| csv::cannot_use(path, &why))
}

/// Reads the rows of a sheet; else says why not.
pub(in super::super) fn of_rows(
    rows: Vec<CsvRow>,
    sample_type: Option<&str>,
) -> Result<(Vec<Row>, Vec<BadRow>), String> {
    let mut rows = rows.into_iter();
    let header = rows.next().ok_or("it is empty")?.cells;
    let header: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
    check_header(&header, sample_type.is_some())?;
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for row in rows.filter(|row| row.cells.iter().any(|cell| !cell.trim().is_empty())) {
        match read_row(row, &header, sample_type) {
            Ok(row) => good.push(row),
            Err(row) => bad.push(row),
        }
    }
    if good.is_empty() && bad.is_empty() {
        return Err("it has no rows below its header".to_owned());
    }
    Ok((good, bad))
}

fn check_header(header: &[String], has_type: bool) -> Result<(), String> {
    if let Some(why) = csv::other_separator(header) {
        return Err(why);
    }
    let mut problems = Vec::new();
    for (n, name) in header.iter().enumerate() {
        if name.is_empty() {
            problems.push(format!("column {} has no name", n + 1));
        } else if header[..n].contains(name) {
            problems.push(format!("it has two columns {name:?}"));
        }
    }
    let has = |name: &str| header.iter().any(|column| column == name);
    if !has("accession") {
        problems.push("its first row has no column accession".to_owned());
    }
    if !has("sample_type") && !has_type {
        problems.push("its first row has no column sample_type, and no --type is given".to_owned());
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
}

fn read_row(row: CsvRow, header: &[String], sample_type: Option<&str>) -> Result<Row, BadRow> {
    let CsvRow { number, cells, .. } = row;
    let mut spec = SampleImportSpec { sample_type: sample_type.unwrap_or_default().to_owned(), ..Default::default() };
    let mut reasons = Vec::new();
    // A cell that is missing may as well be missing in the middle, with all that follow in the wrong place.
    if cells.len() < header.len() {
        reasons.push(format!(
            "it has {} cells, and the header {}: add the commas that are missing",
            cells.len(),
            header.len()
        ));
    }
    for (n, cell) in cells.iter().enumerate() {
        let value = cell.trim().to_owned();
        if value.is_empty() {
            continue;
        }
        match header.get(n).map(String::as_str) {
            None => reasons.push(format!("{value:?} stands beyond the header; put quotes around a value with commas")),
            Some("accession") => spec.accession = value,
            Some("sample_type") => spec.sample_type = value,
            Some("name") => spec.name = Some(value),
            Some("organism") => spec.organism_id = Some(value),
            Some("project") => spec.project_id = Some(value),
            Some("pubmed") => spec.pubmed = Some(value),
            Some(attribute) => spec.metadata.push((attribute.to_owned(), value)),
        }
    }
    if reasons.is_empty() {
        if spec.accession.is_empty() {
            reasons.push("accession is missing".to_owned());
        }
        if spec.sample_type.is_empty() {
            reasons.push("sample_type is missing; fill it in, or give --type".to_owned());
        }
    }
    if reasons.is_empty() {
        Ok(Row { number, spec })
    } else {
        Err(BadRow { row: number, accession: spec.accession, reasons })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet(text: impl AsRef<[u8]>, sample_type: Option<&str>) -> Result<(Vec<Row>, Vec<BadRow>), CommandError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sheet.csv");
        std::fs::write(&path, text).unwrap();
        read(&path, sample_type)
    }

    #[test]
    fn a_sheet_as_excel_writes_it() {
        let text = "\u{feff}accession, sample_type ,name,organism,project,pubmed,pi\r\n\
                    ERR1,CLIP,N,Hs,7,123,\"Ada, L.\"\r\n,,,,,,,\r\n SRX2 ,,,,,,,,\r\n";
        let (rows, bad) = sheet(text, Some("RNA-Seq")).unwrap();
        assert_eq!(bad, []);
        let first = SampleImportSpec {
            name: Some("N".into()),
            organism_id: Some("Hs".into()),
            project_id: Some("7".into()),
            pubmed: Some("123".into()),
            metadata: vec![("pi".into(), "Ada, L.".into())],
            ..SampleImportSpec::new("ERR1", "CLIP")
        };
        let second = SampleImportSpec::new("SRX2", "RNA-Seq");
        assert_eq!(rows, [Row { number: 2, spec: first }, Row { number: 4, spec: second }]);
    }

    #[test]
    fn every_row_with_a_mistake_is_told() {
        let (rows, bad) = sheet("accession,sample_type,pi\nERR1\n,,x\nERR2,CLIP,a,b\n\nERR3,CLIP,\n", None).unwrap();
        assert_eq!(rows.iter().map(|row| row.number).collect::<Vec<_>>(), [6]);
        insta::assert_snapshot!(bad.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"), @r#"
        row 2 (ERR1): it has 1 cells, and the header 3: add the commas that are missing
        row 3: accession is missing; sample_type is missing; fill it in, or give --type
        row 4 (ERR2): "b" stands beyond the header; put quotes around a value with commas
        "#);
    }

    #[test]
    fn what_is_no_sheet_is_told_at_once() {
        let error = |text: &str| sheet(text, None).unwrap_err().to_string();
        for (text, told) in [
            ("", "it is empty"),
            ("accession,sample_type\n,\n", "no rows below its header"),
            ("accession;sample_type\nERR1;CLIP\n", "separated by ';'"),
            ("name\nx\n", "no column accession; its first row has no column sample_type, and no --type"),
            ("accession,sample_type,pi,pi,\n", "two columns \"pi\"; column 5 has no name"),
        ] {
            assert!(error(text).contains(told), "{}", error(text));
        }
    }
}
