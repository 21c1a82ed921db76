//! A sheet of samples in the platform's own format: `name`, `reads1`, `reads2`, `project`, `organism`, and a column for
//! each metadata attribute, with `<attribute>__annotation` beside those that take one.
//!
//! Read, and checked as far as that needs no server. Whatever is wrong with a row is gathered, so that a person mends
//! all of it at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::super::exit::CommandError;
use super::csv;
use crate::agent::by_hand::{Given, GivenFile};
use crate::sample::Target;
use crate::sample::is_reserved_attribute;

/// The columns that are no metadata.
const COLUMNS: [&str; 5] = ["name", "reads1", "reads2", "project", "organism"];

/// A row that is not blank.
#[derive(Debug)]
pub(in super::super) struct Row {
    /// As a spreadsheet shows it: the header is row 1.
    pub number: usize,
    /// Empty where it is missing.
    pub name: String,
    reads1: Option<PathBuf>,
    reads2: Option<PathBuf>,
    project: Option<String>,
    organism: Option<String>,
    /// Attributes that have a value, in the sheet's order.
    pub metadata: Vec<(String, String)>,
    pub problems: Vec<Problem>,
}

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Problem {
    /// With the sheet itself, or the files that it names.
    Sheet(String),
    /// With a value that Flow would refuse.
    Value(String),
}

impl Problem {
    pub fn text(&self) -> &str {
        match self {
            Self::Sheet(text) | Self::Value(text) => text,
        }
    }
}

/// Reads a sheet; each row comes with the problems that can be seen from here.
///
/// # Errors
/// A file that is no such sheet.
pub(super) fn read(path: &Path) -> Result<Vec<Row>, CommandError> {
    of_rows(csv::read(path)?, path.parent().unwrap_or(Path::new(""))).map_err(|why| csv::cannot_use(path, &why))
}

/// Reads the rows of a sheet that lies in `folder`; else says why not.
pub(in super::super) fn of_rows(rows: Vec<csv::CsvRow>, folder: &Path) -> Result<Vec<Row>, String> {
    let mut rows = rows.into_iter();
    let header = rows.next().map(|row| header(row.cells)).transpose()?.ok_or("it is empty")?;
    let is_blank = |row: &csv::CsvRow| row.cells.iter().all(|cell| cell.trim().is_empty());
    let mut rows: Vec<Row> = rows.filter(|row| !is_blank(row)).map(|row| Row::new(row, &header, folder)).collect();
    if rows.is_empty() {
        return Err("it has no rows below its header".to_owned());
    }
    note_double_names(&mut rows);
    Ok(rows)
}

/// The names of the columns, or what is wrong with them.
fn header(cells: Vec<String>) -> Result<Vec<String>, String> {
    let names: Vec<String> = cells.iter().map(|cell| cell.trim().to_owned()).collect();
    let has = |name: &str| names.iter().any(|column| column == name);
    if let Some(why) = csv::other_separator(&names) {
        return Err(why);
    }
    let missing: Vec<_> = ["name", "reads1"].into_iter().filter(|name| !has(name)).collect();
    if !missing.is_empty() {
        return Err(format!("its first row has no column {}; see batch-template", missing.join(" and no ")));
    }
    for (n, name) in names.iter().enumerate() {
        if !name.is_empty() && names[..n].contains(name) {
            return Err(format!("it has two columns {name:?}"));
        }
        if is_reserved_attribute(name) && !COLUMNS.contains(&name.as_str()) {
            return Err(format!("its column {name:?} is called like a field of the upload itself"));
        }
    }
    Ok(names)
}

fn note_double_names(rows: &mut [Row]) {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for row in rows.iter_mut().filter(|row| !row.name.is_empty()) {
        match seen.get(&row.name) {
            Some(earlier) => row.problems.push(Problem::Sheet(format!("row {earlier} has the same name"))),
            None => {
                seen.insert(row.name.clone(), row.number);
            }
        }
    }
}

impl Row {
    fn new(row: csv::CsvRow, header: &[String], folder: &Path) -> Self {
        let mut cells: BTreeMap<&str, String> = BTreeMap::new();
        let mut metadata = Vec::new();
        let mut problems = Vec::new();
        for (n, cell) in row.cells.iter().enumerate() {
            let value = cell.trim();
            match header.get(n).map(String::as_str) {
                _ if value.is_empty() => {}
                None | Some("") => problems.push(Problem::Sheet(format!(
                    "{value:?} stands in column {}, which has no name; put quotes around a value with commas",
                    n + 1
                ))),
                Some(name) if COLUMNS.contains(&name) => {
                    cells.insert(name, value.to_owned());
                }
                Some(name) => metadata.push((name.to_owned(), value.to_owned())),
            }
        }
        let file = |name: &str| cells.get(name).map(|path| folder.join(path));
        let mut row = Self {
            number: row.number,
            name: cells.get("name").cloned().unwrap_or_default(),
            reads1: file("reads1"),
            reads2: file("reads2"),
            project: cells.get("project").cloned(),
            organism: cells.get("organism").cloned(),
            metadata,
            problems,
        };
        row.check();
        row
    }

    fn check(&mut self) {
        if self.name.is_empty() {
            self.problems.push(Problem::Sheet("name is missing".to_owned()));
        } else if self.name.contains(' ') {
            self.problems.push(Problem::Value(format!("Flow takes no spaces in a name, as in {:?}", self.name)));
        }
        if self.reads1.is_none() {
            self.problems.push(Problem::Sheet("reads1 is missing".to_owned()));
        }
        if self.reads1.is_some() && self.reads1 == self.reads2 {
            self.problems.push(Problem::Sheet("reads1 and reads2 are the same file".to_owned()));
        }
        for (column, path) in [("reads1", &self.reads1), ("reads2", &self.reads2)] {
            let Some(path) = path else { continue };
            if let Err(error) = GivenFile::new(column, path).check() {
                self.problems.push(Problem::Sheet(format!("{column}: {error}")));
            }
        }
    }

    pub fn metadata(&self, attribute: &str) -> Option<&str> {
        self.metadata.iter().find(|(name, _)| name == attribute).map(|(_, value)| value.as_str())
    }

    /// The sample to be uploaded.
    ///
    /// # Errors
    /// A file that is not what it was a moment ago.
    pub fn given(&self, sample_type: &str) -> Result<Given, CommandError> {
        let target = Target::Sample {
            name: self.name.clone(),
            sample_type: sample_type.to_owned(),
            organism: self.organism.clone(),
            project: self.project.clone(),
            project_name: None,
            metadata: self.metadata.clone(),
        };
        let file = |(key, path): (&str, &Option<PathBuf>)| Some(GivenFile::new(key, path.clone()?));
        let files = [("reads1", &self.reads1), ("reads2", &self.reads2)].into_iter().filter_map(file).collect();
        Ok(Given::new(Some(self.name.clone()), target, files)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet(text: impl AsRef<[u8]>) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.fastq"), "reads").unwrap();
        std::fs::write(dir.path().join("empty.fastq"), "").unwrap();
        let path = dir.path().join("sheet.CSV");
        std::fs::write(&path, text).unwrap();
        (dir, path)
    }

    #[test]
    fn a_sheet_as_excel_writes_it() {
        let (dir, path) = sheet(
            "\u{feff}name,reads1,reads2,project,organism,source,source__annotation,\r\n\
             S1, a.fastq ,,7,Hs,\"Liver, left\", ,\r\n,,,,,,,\r\n",
        );
        let rows = read(&path).unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].number, rows[0].name.as_str(), rows[0].problems.as_slice()), (2, "S1", &[][..]));
        assert_eq!(rows[0].reads1.as_deref(), Some(dir.path().join("a.fastq").as_path()));
        assert_eq!(rows[0].metadata, [("source".to_owned(), "Liver, left".to_owned())]);
    }

    #[test]
    fn every_problem_of_every_row_is_told() {
        let (_dir, path) = sheet(
            "name,reads1,reads2,project,organism,,pi\n\
             S1,a.fastq,a.fastq\n,,none.fastq\n\nS1,a.fastq,,,,x\nS 2,empty.fastq,,,,,Ada,Bob\n",
        );
        let rows = read(&path).unwrap();
        let told: Vec<(usize, Vec<&str>)> =
            rows.iter().map(|row| (row.number, row.problems.iter().map(Problem::text).collect())).collect();
        let told = format!("{told:#?}").replace(&*path.parent().unwrap().to_string_lossy(), "DIR");
        insta::assert_snapshot!(told);
    }

    #[test]
    fn what_is_no_sheet_is_told_at_once() {
        let error = |text: &[u8]| read(&sheet(text).1).unwrap_err().to_string();
        for (text, told) in [
            (&b""[..], "it is empty"),
            (b"name,reads1\n,\n", "no rows below its header"),
            (b"name;reads1\nS1;a.fastq\n", "separated by ';'"),
            (b"Name,reads2\n", "no column name and no reads1"),
            (b"name,reads1,pi,pi\n", "two columns \"pi\""),
            (b"name,reads1,is_last\n", "field of the upload itself"),
            (b"name,reads1\n\xff,\n", "not UTF-8"),
            (b"name,reads1\n\"S1,a.fastq\n", "row 2: a quote is never closed"),
        ] {
            assert!(error(text).contains(told), "{}", error(text));
        }
        assert!(read(Path::new("sheet.xlsx")).unwrap_err().to_string().contains("no .csv file"));
    }
}
