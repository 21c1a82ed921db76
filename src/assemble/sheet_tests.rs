//! Samples whose values come from sheets: read by a library from real files, since what it tells is half of the matter.

use std::fs;

use tempfile::TempDir;

use super::tests::{changing, complete_run, endless, file, open_run};
use super::*;
use crate::sample::Standing;
use crate::sample::{Fingerprint, Target};
use crate::sheet::Library;

const RULE: &str = r#"
version: 1
rules:
  - name: lanes
    match: "**/{sample}_S{sample_number:int}_L{lane:int}_R{read}_001.fastq.gz"
    SHEET
    sample:
      name: "{sample}"
      type: RNA-Seq
      project: "{sheet.Sample_Project}"
      metadata: { note: "{sheet.Description}", by: "{sheet.Investigator}" }
"#;

const SHEET: &str = "[Header]\nInvestigator,Ada\n[Data]\nLane,Sample_ID,Sample_Name,Sample_Project,Description\n\
                     1,1,liver 3,P1,fat\n1,2,lung.x,P2,\n2,2,lung.x,P2,\n";

/// A lab with a manifest, its tables and a run folder in one place.
pub(super) struct Lab {
    pub dir: TempDir,
    pub manifest: Manifest,
    library: std::cell::RefCell<Library>,
}

impl Lab {
    pub fn new(manifest: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("manifest.yaml");
        let manifest = Manifest::parse(path.to_str().unwrap(), manifest).unwrap_or_else(|error| panic!("{error}"));
        fs::create_dir(dir.path().join("run1")).unwrap();
        Self { dir, manifest, library: Library::new(Duration::ZERO).into() }
    }

    /// With a rule of which only the sheet and the name matter, on a watch of a layout.
    pub fn of_layout(layout: &str, keys: &str, name: &str) -> Self {
        let rule = format!("  - name: all\n    {keys}\n    sample: {{ name: \"{name}\", type: RNA-Seq }}\n");
        let manifest = Manifest::parse_with_layout(&format!("version: 1\nrules:\n{rule}"), layout);
        Self { manifest: manifest.unwrap_or_else(|error| panic!("{error}")), ..Self::with_rule("sheet: {}") }
    }

    pub fn with_rule(sheet: &str) -> Self {
        Self::new(&RULE.replace("SHEET", sheet))
    }

    /// Writes a table; one that begins with `run1/` is a file of the run.
    pub fn write(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// The reads, as the agent would see them, with the tables of the run among them.
    pub fn files(&self, reads: &[&str]) -> Vec<FileView> {
        let mut files: Vec<FileView> = reads.iter().map(file).collect();
        let mut folders = vec![self.dir.path().join("run1")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let mut sheet = file(path.strip_prefix(self.dir.path().join("run1")).unwrap());
                sheet.observation.fingerprint = Fingerprint::of(&fs::metadata(&path).unwrap());
                files.push(FileView { path, ..sheet });
            }
        }
        files
    }

    pub fn read(&self, view: &RunView) -> Shelf {
        self.library.borrow_mut().read(&wanted(&self.manifest, view))
    }

    pub fn assemble(&self, view: &RunView) -> Assembly {
        let shelf = self.read(view);
        assemble("miseq", &self.manifest, view, &Closed::default(), &shelf)
    }

    /// The samples of a complete run with these reads, by name, each with its project and metadata, or its state. Those
    /// that a sheet declares and that have no reads are not among them.
    fn samples(&self, reads: &[&str]) -> Vec<String> {
        self.assemble(&complete_run(self.files(reads)))
            .samples
            .iter()
            .filter(|assembled| !assembled.finding.sample.slots.is_empty())
            .map(|assembled| said(&assembled.finding))
            .collect()
    }

    #[track_caller]
    fn only(&self, reads: &[&str]) -> String {
        let samples = self.samples(reads);
        assert_eq!(samples.len(), 1, "{samples:?}");
        samples[0].clone()
    }
}

fn said(finding: &Finding) -> String {
    let Target::Sample { name, sample_type, organism, project, metadata, .. } = &finding.sample.target else {
        panic!()
    };
    match &finding.standing {
        Standing::Ready => {
            let given = [Some(sample_type), organism.as_ref(), project.as_ref()].into_iter().flatten();
            let given: Vec<&str> = given.map(String::as_str).collect();
            let metadata: Vec<String> = metadata.iter().map(|(key, value)| format!("{key}={value}")).collect();
            format!("{name}: {} {}", given.join("/"), metadata.join(" ")).trim_end().to_owned()
        }
        other => format!("{name}: {other:?}"),
    }
}

const LIVER: &str = "liver-3_S1_L001_R1_001.fastq.gz";
const LUNG: [&str; 2] = ["lung_x_S2_L001_R1_001.fastq.gz", "lung_x_S2_L002_R1_001.fastq.gz"];

#[test]
fn a_sample_takes_its_values_from_the_sheet_of_its_run() {
    let lab = Lab::with_rule("sheet: {}");
    lab.write("run1/SampleSheet.csv", SHEET);
    let view = complete_run(lab.files(&[LIVER, LUNG[0], LUNG[1]]));
    let assembly = lab.assemble(&view);
    let said: Vec<String> = assembly.samples.iter().map(|assembled| said(&assembled.finding)).collect();
    assert_eq!(said, ["liver-3: RNA-Seq/P1 note=fat by=Ada", "lung_x: RNA-Seq/P2 by=Ada"]);
    let used = &assembly.samples[0].finding.sample.sheets;
    assert_eq!((used.len(), &used[0].path), (1, &lab.dir.path().join("run1/SampleSheet.csv")));
    let sha256 = data_encoding::HEXLOWER.encode(&<sha2::Sha256 as sha2::Digest>::digest(SHEET));
    assert_eq!(used[0].sha256, sha256);
    let left_out = assembly.left_out.iter().find(|(path, _)| path.ends_with("SampleSheet.csv")).unwrap();
    assert_eq!(left_out.1, "it is a sample sheet (rule lanes)");
}

#[test]
fn the_demultiplexers_own_copy_comes_before_the_runs() {
    let lab = Lab::with_rule("sheet: {path: SampleSheet.csv}");
    let reads = ["Analysis/1/fastq/liver-3_S1_L001_R1_001.fastq.gz"];
    lab.write("SampleSheet.csv", SHEET.replace("P1", "beside"));
    assert_eq!(lab.only(&reads), "liver-3: RNA-Seq/beside note=fat by=Ada");
    lab.write("run1/SampleSheet.csv", SHEET.replace("P1", "run"));
    assert_eq!(lab.only(&reads), "liver-3: RNA-Seq/run note=fat by=Ada");
    lab.write("run1/Analysis/1/SampleSheet.csv", SHEET.replace("P1", "above"));
    lab.write("run1/Analysis/2/SampleSheet.csv", SHEET.replace("P1", "another"));
    assert_eq!(lab.only(&reads), "liver-3: RNA-Seq/above note=fat by=Ada");
    lab.write("run1/Analysis/1/fastq/Reports/SampleSheet.csv", SHEET.replace("P1", "used"));
    assert_eq!(lab.only(&reads), "liver-3: RNA-Seq/used note=fat by=Ada");
}

#[test]
fn a_sheet_that_is_not_there_is_waited_for_until_the_run_is_complete() {
    let lab = Lab::with_rule("sheet: {path: 'Config/lab_*.csv'}");
    let standing = |view: &RunView| lab.assemble(view).samples[0].finding.standing.clone();
    let beside = lab.dir.path().join("Config/lab_*.csv");
    let missing = "waiting for the sheet Config/lab_*.csv";
    assert_eq!(
        standing(&open_run(lab.files(&[LIVER]))),
        Standing::Waiting(format!("{missing}; waiting for the marker done"))
    );
    let pair = [LIVER, "liver-3_S1_L001_R2_001.fastq.gz"];
    assert_eq!(standing(&endless(lab.files(&pair))), Standing::Waiting(missing.to_owned()));
    assert_eq!(
        standing(&complete_run(lab.files(&[LIVER]))),
        Standing::Blocked(format!(
            "the sheet Config/lab_*.csv is missing: it is neither beside the files, nor in a folder of the run above \
             them, nor {}",
            beside.display()
        ))
    );
    lab.write("run1/Config/lab_7.csv", SHEET);
    assert_eq!(lab.only(&[LIVER]), "liver-3: RNA-Seq/P1 note=fat by=Ada");
    lab.write("run1/Config/lab_8.csv", SHEET);
    assert!(lab.only(&[LIVER]).contains("there are two sheets, Config/lab_7.csv and Config/lab_8.csv"));
    // By the names that instruments give, and at a fixed path with the run's name in it.
    let default = Lab::with_rule("sheet: {}");
    let blocked = default.only(&[LIVER]);
    assert!(blocked.contains("a sample sheet is missing: looked for SampleSheet.csv, "), "{blocked}");
    let fixed = Lab::with_rule("sheet: {path: '/nowhere/{run}.csv'}");
    assert!(fixed.only(&[LIVER]).contains("the sheet /nowhere/run1.csv is missing: there is no such file"));
}

#[test]
fn a_sheet_is_believed_once_it_has_settled() {
    let lab = Lab::with_rule("sheet: {}");
    lab.write("run1/SampleSheet.csv", SHEET);
    let mut files = lab.files(&[LIVER]);
    let unsettled = changing("SampleSheet.csv", 10);
    for file in files.iter_mut().filter(|file| file.below_run == unsettled.below_run) {
        (file.settled, file.settles_in) = (false, unsettled.settles_in);
    }
    let assembled = &lab.assemble(&complete_run(files)).samples[0];
    let reason = "the sheet SampleSheet.csv has not settled yet; marker done present".to_owned();
    assert_eq!(assembled.finding.standing, Standing::Waiting(reason));
    assert_eq!(assembled.in_time, unsettled.settles_in);
    // The watch has not seen yet that it changed.
    let seen = complete_run(lab.files(&[LIVER]));
    lab.write("run1/SampleSheet.csv", SHEET.replace("P1", "P10"));
    assert!(matches!(lab.assemble(&seen).samples[0].finding.standing, Standing::Waiting(_)));
    assert_eq!(lab.only(&[LIVER]), "liver-3: RNA-Seq/P10 note=fat by=Ada");
    // Outside of the run nobody else looks.
    let outside = Lab::with_rule("sheet: {path: lab.csv}");
    outside.write("lab.csv", SHEET);
    // By its time, or by a clock that has jumped, it is old.
    let old = std::time::SystemTime::now() - Duration::from_secs(365 * 24 * 3600);
    let path = outside.dir.path().join("lab.csv");
    std::fs::File::options().write(true).open(path).unwrap().set_modified(old).unwrap();
    outside.library.replace(Library::new(Duration::from_secs(3600)));
    let view = complete_run(outside.files(&[LIVER]));
    let assembled = &outside.assemble(&view).samples[0];
    assert!(matches!(assembled.finding.standing, Standing::Waiting(_)), "{assembled:?}");
    assert!(assembled.in_time.is_some_and(|time| time > Duration::from_secs(3000)));
    assert!(outside.library.borrow_mut().has_changed());
    outside.library.replace(Library::new(Duration::ZERO));
    assert_eq!(outside.only(&[LIVER]), "liver-3: RNA-Seq/P1 note=fat by=Ada");
    assert!(!outside.library.borrow_mut().has_changed());
    outside.write("lab.csv", SHEET.replace("P1", "P100"));
    assert!(outside.library.borrow_mut().has_changed());
    assert_eq!(outside.only(&[LIVER]), "liver-3: RNA-Seq/P100 note=fat by=Ada");
}

#[test]
fn a_sample_that_the_sheet_does_not_have_blocks_or_is_skipped() {
    let undetermined = "Undetermined_S0_L001_R1_001.fastq.gz";
    let lab = Lab::with_rule("sheet: {key: Sample_Name}");
    lab.write("run1/SampleSheet.csv", SHEET);
    assert_eq!(
        lab.only(&[undetermined]),
        "Undetermined: Blocked(\"the sheet SampleSheet.csv has no \\\"Undetermined\\\" in Sample_Name (line 4, column 3); add it there, or \
         leave out what is not there with missing: skip\")"
    );
    let lab = Lab::with_rule("sheet: {missing: skip}");
    lab.write("run1/SampleSheet.csv", SHEET);
    let samples = lab.samples(&[LIVER, undetermined]);
    assert!(samples[0].starts_with("Undetermined: Skipped(\"the sheet SampleSheet.csv has no"), "{samples:?}");
    assert_eq!(samples[1], "liver-3: RNA-Seq/P1 note=fat by=Ada");
}

#[test]
fn lanes_take_their_own_rows_and_must_agree() {
    let lab = Lab::with_rule("sheet: {key: Sample_Name}");
    lab.write("run1/SampleSheet.csv", SHEET.replace("2,2,lung.x,P2", "2,2,lung.x,P9"));
    assert_eq!(lab.only(&LUNG[..1]), "lung_x: RNA-Seq/P2 by=Ada");
    assert_eq!(lab.only(&LUNG[1..]), "lung_x: RNA-Seq/P9 by=Ada");
    assert_eq!(
        lab.only(&LUNG),
        "lung_x: Blocked(\"cannot take the values of \\\"lung_x\\\" from the sheet SampleSheet.csv: \\\"Sample_Project\\\" \
         is \\\"P2\\\" at line 6, column 4 and \\\"P9\\\" at line 7, column 4; correct one, or remove a row\")"
    );
}

#[test]
fn what_a_sheet_lacks_is_told_by_its_place() {
    let lab = Lab::with_rule("sheet: {}");
    lab.write("run1/SampleSheet.csv", SHEET.replace("P1", ""));
    assert!(lab.only(&[LIVER]).contains(
        "cannot do without \\\"Sample_Project\\\", which is empty in SampleSheet.csv at line 5, column 4; fill it in"
    ));
    lab.write("run1/SampleSheet.csv", SHEET.replace("Sample_Project", "Sample_Projct"));
    assert!(lab.only(&[LIVER]).contains("it has no column \\\"Sample_Project\\\" (nearest: \\\"Sample_Projct\\\")"));
    lab.write("run1/SampleSheet.csv", "[Header]\nInvestigator,Ada\n[Reads]\n101\n");
    let blocked = lab.only(&[LIVER]);
    assert!(blocked.contains("cannot use the sheet SampleSheet.csv: it has no section with samples"), "{blocked}");
    let lab = Lab::with_rule("sheet: {key: Sample_Nme}");
    lab.write("run1/SampleSheet.csv", SHEET);
    assert!(lab.only(&[LIVER]).contains("it has no column \\\"Sample_Nme\\\" (nearest: \\\"Sample_Name\\\")"));
}

#[test]
fn what_is_lacking_is_told_by_line_and_column() {
    let lab = Lab::with_rule("sheet: {}");
    let told = |sheet: &str, expected: &str| {
        lab.write("run1/SampleSheet.csv", sheet);
        let blocked = lab.only(&[LIVER]).replace('\\', "");
        assert!(blocked.contains(expected), "{blocked}");
    };
    let header = "[Data]\nLane,Sample_ID,Sample_Project,Description\n";
    told(
        &format!("{header}4,liver 3,P1,\n"),
        "the sheet SampleSheet.csv has \"liver-3\" for lane 4 (line 3, column 1) alone, and its files are of lane 1; correct \
         it, or add a row, or leave out",
    );
    told(
        header,
        "the sheet SampleSheet.csv has nothing below the names of its columns (line 2, column 1); add a row for",
    );
    told("", "there is nothing in it; the names of the columns were expected at line 1, column 1; was it cut off?");
    told(
        "[Data]\nFoo,Bar\n1,2\n",
        "has no \"liver-3\" in Foo (line 2, column 1), its first column, and none that is called Sample_ID or the like; say \
         with key which column names the samples",
    );
    told(
        &format!("{}1,liver 3,P1\n", header.replace(",Description", "")),
        "it has no column \"Description\"; its header at line 2, column 1 has Lane, Sample_ID, Sample_Project; correct",
    );
}

#[test]
fn a_name_may_come_from_the_sheet() {
    let lab = Lab::new(
        &RULE.replace("SHEET", "sheet: {}").replace("\"{sample}\"", "\"{sheet.Sample_Project}_{sheet.Sample_Name}\""),
    );
    let waiting = &lab.assemble(&open_run(lab.files(&[LIVER]))).samples[0].finding;
    assert_eq!(waiting.sample.key.name, LIVER, "it is known by its first file");
    lab.write("run1/SampleSheet.csv", SHEET);
    assert_eq!(lab.only(&[LIVER]), "P1_liver_3: RNA-Seq/P1 note=fat by=Ada");
    assert_eq!(lab.samples(&[LIVER, LUNG[0]])[1], "P2_lung.x: RNA-Seq/P2 by=Ada");
}

#[test]
fn conditions_see_the_columns_of_the_sheet() {
    let rule = |name: &str, glob: &str| {
        format!(
            "  - name: {name}\n    match: \"{{sample}}_S{{n:int}}_L{{lane:int}}_R{{read}}_001.fastq.gz\"\n    \
             where: {{ sheet.Sample_Project: \"{glob}\" }}\n    sheet: {{}}\n    sample: {{ name: \"{{sample}}\", type: {name} }}\n"
        )
    };
    let lab = Lab::new(&format!("version: 1\nrules:\n{}{}", rule("one", "P1"), rule("two", "P[2-9]")));
    let [standing] = &lab.assemble(&open_run(lab.files(&[LIVER]))).samples[..] else { panic!() };
    assert_eq!(standing.finding.sample.rule, "one", "nobody knows yet");
    lab.write("run1/SampleSheet.csv", SHEET);
    assert_eq!(lab.samples(&[LIVER, LUNG[0]]), ["liver-3: one", "lung_x: two"]);
    lab.write("run1/SampleSheet.csv", SHEET.replace("P1", "Q1"));
    assert_eq!(lab.samples(&[LIVER, LUNG[0]]), ["lung_x: two"]);
}

#[test]
fn a_lookup_translates_what_the_sheet_says() {
    let lookup = "sheet: {}\n    lookup: {file: tables/projects.csv, key: \"{sheet.Sample_Project}\"MORE}";
    let text = RULE.replace("SHEET", lookup).replace(
        "project: \"{sheet.Sample_Project}\"",
        "project: \"{lookup.id}\"\n      organism: \"{lookup.organism}\"",
    );
    let lab = Lab::new(&text.replace("MORE", ""));
    lab.write("run1/SampleSheet.csv", SHEET);
    assert!(lab.only(&[LIVER]).contains("projects.csv is missing: there is no such file"));
    lab.write("tables/projects.csv", "customer;id;organism\nP1;7889;Hs\nP2;;Mm\np1;1;Mm\n");
    assert_eq!(lab.only(&[LIVER]), "liver-3: RNA-Seq/Hs/7889 note=fat by=Ada");
    let samples = lab.samples(&[LIVER, LUNG[0]]);
    assert!(samples[1].contains("cannot do without \\\"id\\\", which is empty in"), "{samples:?}");
    let view = complete_run(lab.files(&[LIVER]));
    assert_eq!(lab.assemble(&view).samples[0].finding.sample.sheets.len(), 2);
    lab.write("tables/projects.csv", "customer,id,organism\nP1,7889,Hs\nP1,7889,Mm\n");
    assert!(lab.only(&[LIVER]).contains("\\\"organism\\\" is \\\"Hs\\\" at line 2, column 3 and \\\"Mm\\\" at line 3"));
    lab.write("tables/projects.csv", "customer,id,organism\nP7,7889,Hs\n");
    assert!(lab.only(&[LIVER]).contains("has no \\\"P1\\\" in customer (line 1, column 1); add it there"));
    lab.write("tables/projects.csv", "id,organism,name\n7,Hs,P1\n");
    assert!(lab.only(&[LIVER]).contains("has no \\\"P1\\\" in id (line 1, column 1); add it there"));
    let lab = Lab::new(&text.replace("MORE", ", column: name, missing: skip"));
    lab.write("run1/SampleSheet.csv", SHEET);
    lab.write("tables/projects.csv", "id,organism,name\n7,Hs,P1\n");
    let samples = lab.samples(&[LIVER, LUNG[0]]);
    assert_eq!(samples[0], "liver-3: RNA-Seq/Hs/7 note=fat by=Ada");
    assert!(samples[1].starts_with("lung_x: Skipped("), "{samples:?}");
}

#[test]
fn reads_without_a_barcode_are_those_of_the_sample_that_the_folders_are_named_after() {
    let lab = Lab::of_layout("nanopore", "sheet: {}", "{sample}_{sheet.kit}");
    lab.write("run1/sample_sheet_FAX_1.csv", "flow_cell_id,sample_id,experiment_id,kit\nFAX,lib 1,exp,SQK\n");
    let told = |reads: &[&str], sample: &str| {
        let mut view = complete_run(lab.files(reads));
        view.captures.insert("flow_cell".to_owned(), "FAX".to_owned());
        view.captures.extend((!sample.is_empty()).then(|| ("sample".to_owned(), sample.to_owned())));
        lab.assemble(&view).samples.iter().map(|assembled| said(&assembled.finding)).collect::<Vec<_>>()
    };
    let part = "fastq_pass/FAX_pass_e05460c6_0f1d7e9e_0.fastq.gz";
    assert_eq!(told(&[part], "lib_1"), ["lib_1_SQK: RNA-Seq"]);
    let lacking = told(&[part], "");
    let reason = format!(
        "cannot look for {part} in the sheet sample_sheet_FAX_1.csv: it has no {{barcode}} or {{sample}}; say with equals"
    );
    assert!(lacking.len() == 1 && lacking[0].contains(&reason), "{lacking:?}");
    // Before there are reads, it is known by what the sheet calls it.
    let declared = told(&[], "lib_1");
    assert!(declared.len() == 1 && declared[0].starts_with("lib_1_SQK: "), "{declared:?}");
}

#[test]
fn index_reads_that_carry_a_cell_barcode_are_a_part_of_the_sample() {
    let reads = ["R1", "R2", "I1", "I2"].map(|read| format!("cells_S1_{read}_001.fastq.gz"));
    let sheet = |cycles: &str| {
        format!(
            "[BCLConvert_Settings]\nTrimUMI,0\nOverrideCycles,{cycles}\n[BCLConvert_Data]\nSample_ID,Index\ncells,AGCC\n"
        )
    };
    let with = |keys: &str, cycles: &str, reads: &[String]| {
        let lab = Lab::of_layout("bcl-convert", keys, "{sample}");
        lab.write("run1/SampleSheet.csv", sheet(cycles));
        let reads: Vec<&str> = reads.iter().map(String::as_str).collect();
        let assembled = lab.assemble(&complete_run(lab.files(&reads))).samples.remove(0);
        (said(&assembled.finding), assembled.finding.sample.slots.len())
    };
    let atac = "Y53;I8;N8U16;Y53";
    for keys in ["paired: auto", "sheet: {}"] {
        let (blocked, _) = with(keys, atac, &reads);
        assert_eq!(
            blocked,
            "cells: Blocked(\"rule all would leave out cells_S1_I2_001.fastq.gz (I2), in which OverrideCycles \
             (Y53;I8;N8U16;Y53 in SampleSheet.csv at line 3, column 2) has a UMI or a cell barcode, and reads without it may \
             be useless; say which reads are which in the rule, such as reads: {reads1: R1, reads2: I2}, or have the watch \
             ignore it\")"
        );
    }
    let ready = ("cells: RNA-Seq".to_owned(), 2);
    // Where it is not there, what the sheet says of it hinders nobody; the others are as good as ever.
    assert_eq!(with("paired: auto", atac, &reads[..3]), ready);
    assert_eq!(with("paired: auto", "Y53;I8;I24;Y53", &reads), ready);
    assert_eq!(with("reads: { reads1: R1, reads2: I2 }", atac, &reads), ready);
    assert_eq!(with("reads: { reads1: R1, reads2: R2 }", atac, &reads), ready, "it was left out on purpose");
}
