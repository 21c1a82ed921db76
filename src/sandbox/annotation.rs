//! Annotation sheets: the template that is handed out, and the look that is taken at one that comes back.
//!
//! A sheet as CSV is read, far enough that each of the platform's verdicts can be had: accepted, refused for good,
//! refused until its warnings are waved through. A spreadsheet is only seen to be one; tests that want a verdict on
//! it script it as a fault.

use std::collections::HashSet;
use std::fs;
use std::path::Path as FilePath;

use axum::extract::Path;
use axum::http::header;
use axum::response::IntoResponse;
use flate2::Crc;
use serde_json::{Value, json};

use super::answer::{Answer, Refusal};
use super::catalogue;

/// The columns of every sheet.
const COLUMNS: &[&str] = &["Sample Name", "Sample Type", "Organism", "Barcode"];

/// How a zip file, and so a spreadsheet, begins.
const ZIP_MAGIC: &[u8] = b"PK\x03\x04";

/// `GET /annotation/<sample type or "generic">`: a spreadsheet with the columns' names and nothing else.
pub(super) async fn template(Path(sample_type): Path<String>) -> Answer {
    let known = catalogue::SAMPLE_TYPES.iter().any(|kind| kind.identifier == sample_type);
    if !known && sample_type != "generic" {
        return Err(Refusal::NotFound);
    }
    let kind = [(header::CONTENT_TYPE, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")];
    Ok((kind, spreadsheet(COLUMNS)).into_response())
}

/// Whether the sheet is accepted.
///
/// # Errors
/// 400 with `{"validation": [{row, message}]}`, or with `{"warnings": […]}` unless those are to be ignored ([C]).
pub(super) fn check(path: &FilePath, ignore_warnings: bool) -> Result<(), Refusal> {
    let content = fs::read(path).map_err(Refusal::internal)?;
    if content.starts_with(ZIP_MAGIC) {
        return Ok(());
    }
    let Ok(text) = String::from_utf8(content) else {
        return Err(Refusal::Body(json!({"validation": [finding(1, "The sheet is neither xlsx nor csv")]})));
    };
    let (errors, warnings) = findings(&text);
    if !errors.is_empty() {
        return Err(Refusal::Body(json!({"validation": errors})));
    }
    if !warnings.is_empty() && !ignore_warnings {
        return Err(Refusal::Body(json!({"warnings": warnings})));
    }
    Ok(())
}

fn finding(row: usize, message: &str) -> Value {
    json!({"row": row, "message": message})
}

/// What is wrong with a CSV sheet for good, and what is only suspicious. Rows are counted as a spreadsheet does,
/// from 1 with the header. Commas inside quotes are beyond it.
fn findings(text: &str) -> (Vec<Value>, Vec<Value>) {
    let mut lines = text.trim_start_matches('\u{feff}').lines().map(cells).enumerate();
    let header = lines.next().map(|(_, header)| header).unwrap_or_default();
    let column = |name: &str| header.iter().position(|cell| cell.eq_ignore_ascii_case(name));
    let (Some(name), Some(sample_type)) = (column("Sample Name"), column("Sample Type")) else {
        return (vec![finding(1, "The columns 'Sample Name' and 'Sample Type' are required")], Vec::new());
    };
    let organism = column("Organism");

    let (mut errors, mut warnings, mut names) = (Vec::new(), Vec::new(), HashSet::new());
    for (index, row) in lines.filter(|(_, row)| row.iter().any(|cell| !cell.is_empty())) {
        let (number, cell) = (index + 1, |column: usize| row.get(column).copied().unwrap_or_default());
        match cell(name) {
            "" => errors.push(finding(number, "A sample name is required")),
            name if name.contains(' ') => errors.push(finding(number, "Spaces in sample name")),
            name if !names.insert(name) => errors.push(finding(number, "The sample name is not unique")),
            _ => {}
        }
        if !catalogue::SAMPLE_TYPES.iter().any(|kind| kind.identifier == cell(sample_type)) {
            errors.push(finding(number, "The sample type is not known"));
        }
        if organism.is_none_or(|organism| cell(organism).is_empty()) {
            warnings.push(finding(number, "No organism is given"));
        }
    }
    if errors.is_empty() && names.is_empty() {
        errors.push(finding(2, "The sheet has no samples"));
    }
    (errors, warnings)
}

fn cells(line: &str) -> Vec<&str> {
    line.split(',').map(|cell| cell.trim().trim_matches('"')).collect()
}

/// A spreadsheet of one sheet with one row.
fn spreadsheet(header: &[&str]) -> Vec<u8> {
    const XML: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>"#;
    const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006";
    const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    const KIND: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml";
    let cells: String = header.iter().map(|text| format!(r#"<c t="inlineStr"><is><t>{text}</t></is></c>"#)).collect();
    let relation = |kind: &str, target: &str| {
        format!(
            r#"{XML}<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="rId1" Type="{OFFICE}/{kind}" Target="{target}"/></Relationships>"#
        )
    };
    let types = format!(
        r#"{XML}<Types xmlns="{PACKAGE}/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/xl/workbook.xml" ContentType="{KIND}.sheet.main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="{KIND}.worksheet+xml"/></Types>"#
    );
    let workbook = format!(
        r#"{XML}<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets><sheet name="Samples" sheetId="1" r:id="rId1"/></sheets></workbook>"#
    );
    let sheet =
        format!(r#"{XML}<worksheet xmlns="{MAIN}"><sheetData><row r="1">{cells}</row></sheetData></worksheet>"#);
    stored_zip(&[
        ("[Content_Types].xml", &types),
        ("_rels/.rels", &relation("officeDocument", "xl/workbook.xml")),
        ("xl/workbook.xml", &workbook),
        ("xl/_rels/workbook.xml.rels", &relation("worksheet", "worksheets/sheet1.xml")),
        ("xl/worksheets/sheet1.xml", &sheet),
    ])
}

/// A zip archive of these files, uncompressed. The archives here are a few kilobytes long: no count and no offset
/// comes near the format's limits.
fn stored_zip(files: &[(&str, &str)]) -> Vec<u8> {
    /// "version needed" 2.0, no flags, stored, and midnight of 1 January 1980.
    const VERSION_TO_DATE: [u8; 10] = [20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let mut crc = Crc::new();
        crc.update(content.as_bytes());
        let mut about = VERSION_TO_DATE.to_vec();
        about.extend(crc.sum().to_le_bytes());
        about.extend((content.len() as u32).to_le_bytes());
        about.extend((content.len() as u32).to_le_bytes());
        about.extend((name.len() as u16).to_le_bytes());
        about.extend([0, 0]); // no extra field

        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&about);
        directory.extend([0; 10]); // no comment, first disk, no attributes
        directory.extend((archive.len() as u32).to_le_bytes());
        directory.extend(name.as_bytes());

        archive.extend(ZIP_MAGIC);
        archive.extend(&about);
        archive.extend(name.as_bytes());
        archive.extend(content.as_bytes());
    }
    let (count, start) = ((files.len() as u16).to_le_bytes(), archive.len() as u32);
    archive.extend(&directory);
    archive.extend(b"PK\x05\x06\0\0\0\0");
    archive.extend([count, count].concat());
    archive.extend((directory.len() as u32).to_le_bytes());
    archive.extend(start.to_le_bytes());
    archive.extend([0, 0]); // no comment
    archive
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::testing::Bench;

    const GOOD: &str = "Sample Name,Sample Type,Organism,Barcode\nA,RNA-Seq,Hs,ACGT\nB,CLIP,Mm,TTTT\n";

    #[test]
    fn findings_name_their_row() {
        assert_eq!(findings(GOOD), (vec![], vec![]));
        let bad = "\u{feff}sample name,sample type\nA,RNA-Seq\n\nA,CLIP\n,CLIP\nB C,CLIP\nD,typo\n";
        let (errors, warnings) = findings(bad);
        let rows = |findings: &[Value]| findings.iter().map(|f| f["row"].as_u64().unwrap()).collect::<Vec<_>>();
        assert_eq!(rows(&errors), [4, 5, 6, 7]);
        assert_eq!(rows(&warnings), [2, 4, 5, 6, 7], "no organism");
        assert_eq!(rows(&findings("Sample Name,Sample Type\n").0), [2]);
        assert_eq!(rows(&findings("").0), [1]);
    }

    #[tokio::test]
    async fn a_bad_sheet_is_final_and_a_suspicious_one_can_be_waved_through() {
        let bench = Bench::new().await;
        let sheet = bench.chunk_on("/upload/annotation", &[]).set("filename", "sheet.csv");
        let suspicious = GOOD.replace("Hs", "");
        let ignoring = sheet.clone().set("ignore_warnings", "true");

        let (status, body) = ignoring.clone().bytes("nonsense").answer().await;
        assert!(status == 400 && body["validation"][0]["message"].is_string(), "{body}");
        let (status, body) = sheet.clone().bytes(suspicious.clone()).answer().await;
        assert_eq!((status, body), (400, json!({"warnings": [{"row": 2, "message": "No organism is given"}]})));
        assert_eq!(bench.sandbox.annotations(), []);

        ignoring.bytes(suspicious).id().await;
        sheet.bytes(GOOD).id().await;
        assert_eq!(bench.sandbox.annotations().len(), 2);
    }

    #[tokio::test]
    async fn the_template_is_a_spreadsheet_and_is_accepted_as_one() {
        let bench = Bench::new().await;
        for kind in ["generic", "RNA-Seq"] {
            let response = bench.get(&format!("/annotation/{kind}")).send().await.unwrap();
            assert_eq!(response.status(), 200, "{kind}");
            let sheet = response.bytes().await.unwrap();
            bench.chunk_on("/upload/annotation", &[]).set("filename", "sheet.xlsx").bytes(sheet.to_vec()).id().await;
        }
        assert_eq!(bench.read("/annotation/typo").await.0, 404);
    }
}
