//! What the lab wrote down about its samples arrives on Flow with them: every kind of sheet, through the real binary.

mod support;

use std::fs;
use std::path::Path;
use std::time::Duration;

use flow_ingest::sandbox::{Fault, Gate, On, StoredSample};
use flow_ingest::sheet::{Filter, Sheet};
use serde_json::Value;
use support::{Facility, Process, Setup, bytes, shared_data, until};

const RUN: &str = "240115_A01234_0042_AHXXXXDSX7";

const MANIFEST: &str = r#"version: 1
rules:
  - name: lab
    match: "**/{sample}_S{sample_number:int}_L{lane:int}_R{read}_001.fastq.gz"
    SHEET
    sample:
      name: "{sample}"
      type: RNA-Seq
      PROJECT
      metadata: { comments: "{sheet.Description}", scientist: "{sheet.Investigator}" }
"#;

const SHEET: &str = "[Header]\nInvestigator,Ada\n[Data]\nSample_ID,Sample_Name,Sample_Project,Description\n\
                     1,liver 3,P1,fat\n2,lung.x,P2,\n";

/// A facility whose watch has runs, and a rule with a sheet.
async fn lab(sheet: &str) -> Facility {
    lab_with(sheet, "", "").await
}

/// `project` is further lines of the sample, `watch` of the watch.
async fn lab_with(sheet: &str, project: &str, watch: &str) -> Facility {
    let facility = Facility::with(Setup { settle: "200ms", ..Setup::default() }, |_| {}).await;
    let config = fs::read_to_string(facility.path("flow-ingest.yaml")).unwrap();
    let run_folder =
        "    run_folder: \"{date}_{instrument}_{run_number}_{flow_cell}\"\n    complete_when: { marker: done }\n";
    let config = config.replace("status:", &format!("{run_folder}{watch}status:"));
    fs::write(facility.path("flow-ingest.yaml"), config).unwrap();
    fs::write(facility.path("manifest.yaml"), MANIFEST.replace("SHEET", sheet).replace("PROJECT", project)).unwrap();
    fs::create_dir(facility.path("drop").join(RUN)).unwrap();
    facility
}

fn write(facility: &Facility, path: &str, content: impl AsRef<[u8]>) {
    fs::write(facility.path("drop").join(RUN).join(path), content).unwrap();
}

/// The reads of a sample, of both directions and these lanes.
fn reads(facility: &Facility, sample: &str, lanes: &[u64]) {
    for (lane, read) in lanes.iter().flat_map(|lane| [(lane, 1), (lane, 2)]) {
        write(facility, &format!("{sample}_S1_L00{lane}_R{read}_001.fastq.gz"), bytes(1000 + lane * 10 + read));
    }
}

async fn run_once(facility: &Facility) -> (Option<i32>, Value) {
    let output = facility.output(&["run", "--once", "--json", "--give-up-after", "20s"]).await;
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {words}"));
    (output.status.code(), document)
}

/// The samples that have files; what a sheet declares beside has none.
fn with_files(document: &Value) -> Vec<&Value> {
    // Nobody may be there to answer yet.
    let samples = document["samples"].as_array().into_iter().flatten();
    samples.filter(|sample| !sample["files"].as_array().unwrap().is_empty()).collect()
}

/// The state and reason of the one sample with files.
fn only(document: &Value) -> (&str, &str) {
    let samples = with_files(document);
    assert_eq!(samples.len(), 1, "{document:#}");
    (samples[0]["state"].as_str().unwrap(), samples[0]["reason"].as_str().unwrap_or_default())
}

/// What Flow has of a sample.
fn stored(facility: &Facility, name: &str) -> StoredSample {
    let samples = facility.sandbox.samples();
    let mut named: Vec<_> = samples.into_iter().filter(|sample| sample.name == name).collect();
    assert_eq!(named.len(), 1, "{name}");
    named.remove(0)
}

fn metadata<'s>(sample: &'s StoredSample, name: &str) -> Option<&'s str> {
    sample.metadata.get(name).map(String::as_str)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_sheet_says_arrives_on_flow_and_its_hash_in_the_receipt() {
    let facility = lab("sheet: {}").await;
    reads(&facility, "liver-3", &[1, 2]);
    reads(&facility, "lung_x", &[1]);
    // As Excel on Windows saves it.
    let windows: Vec<u8> =
        SHEET.replace('\n', ",,\r\n").replace("fat", "gr\u{f6}\u{df}er").chars().map(|c| c as u8).collect();
    write(&facility, "SampleSheet.csv", &windows);
    write(&facility, "done", "");
    let plan = facility.output(&["plan", "--json"]).await;
    let plan: Value = serde_json::from_slice(&plan.stdout).unwrap();
    assert!(plan["samples"].as_array().unwrap().iter().all(|sample| sample["state"] == "queued"), "{plan:#}");

    let (exit, document) = run_once(&facility).await;
    assert_eq!(exit, Some(0), "{document:#}");
    let liver = stored(&facility, "liver-3");
    assert_eq!((metadata(&liver, "comments"), metadata(&liver, "scientist")), (Some("größer"), Some("Ada")));
    let lung = stored(&facility, "lung_x");
    assert_eq!((metadata(&lung, "comments"), metadata(&lung, "scientist")), (None, Some("Ada")));
    let left_out = document["left_out"].as_array().unwrap().iter();
    let mut reasons = left_out.filter(|left_out| left_out["path"].as_str().unwrap().ends_with("SampleSheet.csv"));
    assert_eq!(reasons.next().unwrap()["reason"], "it is a sample sheet (rule lab)");

    let sha256 = data_encoding::HEXLOWER.encode(&<sha2::Sha256 as sha2::Digest>::digest(&windows));
    let report = facility.output(&["report", "--format", "json"]).await;
    let report: Value = serde_json::from_slice(&report.stdout).unwrap();
    for sample in report["samples"].as_array().unwrap() {
        let path = facility.path("drop").join(RUN).join("SampleSheet.csv");
        assert_eq!(sample["sheets"], serde_json::json!([{ "path": path.to_str().unwrap(), "sha256": sha256 }]));
        // A slot of one part has the hash of that.
        let file = &sample["files"][0];
        if let [only] = file["parts"].as_array().unwrap().as_slice() {
            assert_eq!((&only["sha256"], only["sha256"].is_string()), (&file["sha256"], true));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sheet_that_is_missing_or_lacks_a_sample_blocks_and_goes_on_once_it_is_mended() {
    let facility = lab("sheet: {}").await;
    reads(&facility, "liver-3", &[1]);
    write(&facility, "done", "");
    let (exit, document) = run_once(&facility).await;
    let (state, reason) = only(&document);
    assert_eq!((exit, state), (Some(1), "blocked"), "{document:#}");
    assert!(reason.starts_with("a sample sheet is missing: looked for SampleSheet.csv, "), "{reason}");

    write(&facility, "SampleSheet.csv", SHEET.replace("liver 3", "kidney"));
    let (exit, document) = run_once(&facility).await;
    let (state, reason) = only(&document);
    assert_eq!((exit, state), (Some(1), "blocked"), "{document:#}");
    assert!(reason.starts_with("the sheet SampleSheet.csv has no \"liver-3\" in Sample_ID ("), "{reason}");

    write(&facility, "SampleSheet.csv", SHEET);
    let (exit, document) = run_once(&facility).await;
    assert_eq!((exit, only(&document).0), (Some(0), "done"), "{document:#}");
    // A correction after delivery is nothing to send, and is told.
    write(&facility, "SampleSheet.csv", SHEET.replace("fat", "thin"));
    let (exit, document) = run_once(&facility).await;
    assert_eq!((exit, only(&document).0), (Some(0), "done"), "{document:#}");
    let change = serde_json::json!({ "value": "metadata.comments", "was": "fat", "is": "thin" });
    assert_eq!((&document["samples"][0]["changes"][0], &document["samples"][0]["changed"]), (&change, &true.into()));
    assert_eq!(metadata(&stored(&facility, "liver-3"), "comments"), Some("fat"));
}

/// A facility whose samples are called what the sheet calls them.
async fn lab_that_names() -> Facility {
    let facility = lab("sheet: { key: Sample_ID }").await;
    let manifest = fs::read_to_string(facility.path("manifest.yaml")).unwrap();
    let manifest = manifest.replace("name: \"{sample}\"", "name: \"{sheet.Sample_Name}\"");
    fs::write(facility.path("manifest.yaml"), manifest).unwrap();
    facility
}

fn sheet_of_names(names: [&str; 2]) -> String {
    format!(
        "[Data]\nSample_ID,Sample_Name,Description\n1,{},x\n2,{},x\n[Header]\nInvestigator,Ada\n",
        names[0], names[1]
    )
}

/// State, and name on Flow, of each sample by the name that it is known by.
fn states(document: &Value) -> Vec<(&str, &str, Option<&str>)> {
    let samples = with_files(document).into_iter();
    samples.map(|s| (s["name"].as_str().unwrap(), s["state"].as_str().unwrap(), s["sent_as"].as_str())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_that_a_corrected_sheet_calls_otherwise_are_held_until_a_person_says_what_stands() {
    let facility = lab_that_names().await;
    reads(&facility, "1", &[1]);
    reads(&facility, "2", &[2]);
    write(&facility, "SampleSheet.csv", sheet_of_names(["liver", "lung"]));
    write(&facility, "done", "");
    let (exit, document) = run_once(&facility).await;
    assert_eq!((exit, states(&document)), (Some(0), vec![("liver", "done", None), ("lung", "done", None)]));
    let id = |n: usize| document["samples"][n]["id"].as_str().unwrap().to_owned();
    let on_flow = document["samples"][0]["sample_id"].clone();
    let sent = facility.chunks().len();

    // The two were exchanged.
    write(&facility, "SampleSheet.csv", sheet_of_names(["lung", "liver"]));
    for _ in 0..2 {
        let (exit, document) = run_once(&facility).await;
        assert_eq!((exit, states(&document)), (Some(0), vec![("liver", "held", None), ("lung", "held", None)]));
        let change = serde_json::json!([{ "value": "name", "was": "liver", "is": "lung" }]);
        assert_eq!((&document["samples"][0]["changes"], &document["samples"][0]["changed"]), (&change, &true.into()));
        assert_eq!(document["samples"][0]["sample_id"], on_flow);
    }
    assert_eq!(facility.chunks().len(), sent, "never by itself");

    let resend = facility.output(&["resend", &id(0), "--reason", "exchanged"]).await;
    let words = String::from_utf8_lossy(&resend.stdout).into_owned();
    assert!(resend.status.success() && words.contains("retract on Flow: sample "), "{words}");
    assert!(words.contains(&format!("sample {} is called lung on Flow as well", id(1))), "{words}");
    let skip = facility.output(&["skip", &id(1), "--reason", "renamed on Flow by hand"]).await;
    assert!(skip.status.success());
    for _ in 0..2 {
        let (exit, document) = run_once(&facility).await;
        assert_eq!((exit, states(&document)), (Some(0), vec![("liver", "done", Some("lung")), ("lung", "done", None)]));
        assert_eq!(document["samples"][0]["to_retract"][0]["sample_id"], on_flow);
        assert_eq!(facility.names_on_flow(), ["liver", "lung", "lung"]);
    }
    let resent =
        facility.sandbox.samples().into_iter().find(|sample| sample.name == "lung" && sample.files[0].size == 1011);
    assert!(resent.is_some(), "what was liver");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_its_way_when_the_sheet_is_corrected_is_held_once_it_is_there() {
    let facility = lab_that_names().await;
    reads(&facility, "1", &[1]);
    write(&facility, "SampleSheet.csv", sheet_of_names(["liver", "lung"]));
    write(&facility, "done", "");
    let faults = facility.sandbox.faults();
    let gate = Gate::new();
    faults.add(Fault::on(On::FinalChunk).delay_after(Duration::ZERO).until(&gate));
    let service: Process = facility.start(&["run"]);
    until("its last chunk is on its way", || faults.fired() == 1 && !facility.sandbox.samples().is_empty()).await;
    write(&facility, "SampleSheet.csv", sheet_of_names(["kidney", "lung"]));
    gate.open();
    let status = || {
        let output = facility.command(&["status", "--json"]).output().unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap_or_default()
    };
    until("it is held", || status()["counts"]["held"] == 1).await;
    let document = status();
    assert_eq!(states(&document), [("liver", "held", None)], "{document:#}");
    assert_eq!(facility.names_on_flow(), ["liver"]);
    // Corrected back.
    write(&facility, "SampleSheet.csv", sheet_of_names(["liver", "lung"]));
    until("it is done", || status()["counts"]["done"] == 1).await;
    assert_eq!(facility.names_on_flow(), ["liver"]);
    service.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_takes_up_corrections_of_the_runs_sheet_and_of_the_labs() {
    let lookup = "sheet: {}\n    lookup: { file: tables/projects.csv, key: \"{sheet.Sample_Project}\" }";
    let facility = lab_with(lookup, "project: \"{lookup.project}\"", "    poll: 1s\n").await;
    fs::create_dir(facility.path("tables")).unwrap();
    fs::write(facility.path("tables/projects.csv"), "customer\tproject\nP2\t7002\n").unwrap();
    reads(&facility, "liver-3", &[1]);
    write(&facility, "SampleSheet.csv", SHEET.replace("P1", "P0"));
    let service: Process = facility.start(&["run"]);
    let reason = async |part: &str| {
        until(part, || {
            let status = facility.command(&["status", "--json"]).output().unwrap();
            let Ok(document) = serde_json::from_slice::<Value>(&status.stdout) else { return false };
            let samples = with_files(&document);
            samples.len() == 1 && samples[0]["reason"].as_str().is_some_and(|reason| reason.contains(part))
        })
        .await;
    };
    reason("projects.csv has no \"P0\" in customer (line 1, column 1); add it there").await;
    write(&facility, "SampleSheet.csv", SHEET);
    reason("projects.csv has no \"P1\" in customer (line 1, column 1); add it there").await;
    // Nobody tells of a file outside of the watch.
    fs::write(facility.path("tables/projects.csv"), "customer\tproject\nP2\t7002\nP1\t788995297969977723\n").unwrap();
    reason("waiting for the marker done").await;
    write(&facility, "done", "");
    until("the sample is on Flow", || !facility.sandbox.samples().is_empty()).await;
    assert_eq!(stored(&facility, "liver-3").project.as_deref(), Some("788995297969977723"));
    service.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn lanes_take_their_own_rows_and_those_that_disagree_block() {
    let facility = lab("sheet: { path: lab.csv, key: Sample_Name }").await;
    let rows = "Lane,Sample_Name,Description,Investigator\n1,a,one,Ada\n2,a,two,Ada\n1,b,same,Ada\n2,b,same,Ada\n1+2,c,both,\n";
    // Beside the manifest: a sheet of the lab's own.
    fs::write(facility.path("lab.csv"), rows).unwrap();
    for (sample, lanes) in [("a", &[1, 2][..]), ("b", &[1, 2]), ("c", &[2])] {
        reads(&facility, sample, lanes);
    }
    write(&facility, "done", "");
    let (exit, document) = run_once(&facility).await;
    assert_eq!(exit, Some(1), "{document:#}");
    let samples = document["samples"].as_array().unwrap();
    let blocked: Vec<&Value> = samples.iter().filter(|sample| sample["state"] == "blocked").collect();
    assert_eq!(blocked.len(), 1, "{document:#}");
    let reason = blocked[0]["reason"].as_str().unwrap();
    let expected = "\"Description\" is \"one\" at line 2, column 3 and \"two\" at line 3, column 3";
    assert!(reason.contains(expected), "{reason}");
    assert_eq!(metadata(&stored(&facility, "b"), "comments"), Some("same"));
    let both = stored(&facility, "c");
    assert_eq!((metadata(&both, "comments"), metadata(&both, "scientist")), (Some("both"), None));
}

/// A small Excel workbook with these rows.
fn workbook(rows: &[&[&str]]) -> Vec<u8> {
    use std::io::Write;
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let links = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let package = "http://schemas.openxmlformats.org/package/2006/relationships";
    let cell = |cell: &&str| format!("<c t=\"inlineStr\"><is><t>{cell}</t></is></c>");
    let row = |row: &&[&str]| format!("<row>{}</row>", row.iter().map(cell).collect::<String>());
    let rows: String = rows.iter().map(row).collect();
    let parts = [
        (
            "_rels/.rels",
            format!(
                "<Relationships xmlns=\"{package}\"><Relationship Id=\"r\" Type=\"{links}/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>"
            ),
        ),
        (
            "xl/workbook.xml",
            format!(
                "<workbook xmlns=\"{main}\" xmlns:r=\"{links}\"><sheets><sheet name=\"lab\" sheetId=\"1\" r:id=\"a\"/></sheets></workbook>"
            ),
        ),
        (
            "xl/_rels/workbook.xml.rels",
            format!(
                "<Relationships xmlns=\"{package}\"><Relationship Id=\"a\" Type=\"{links}/worksheet\" Target=\"worksheets/sheet1.xml\"/></Relationships>"
            ),
        ),
        ("xl/worksheets/sheet1.xml", format!("<worksheet xmlns=\"{main}\"><sheetData>{rows}</sheetData></worksheet>")),
    ];
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in parts {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workbook_at_a_fixed_path_will_do() {
    let facility = lab("SHEET").await;
    fs::create_dir(facility.path("sheets")).unwrap();
    let path = facility.path("sheets/{run.flow_cell}_*.xlsx");
    let manifest = fs::read_to_string(facility.path("manifest.yaml")).unwrap();
    let sheet = format!("sheet: {{ path: \"{}\" }}", path.display());
    fs::write(facility.path("manifest.yaml"), manifest.replace("SHEET", &sheet)).unwrap();
    let rows: [&[&str]; 2] = [&["Sample", "Description", "Investigator"], &["Özil 1", "from Excel", "Ada"]];
    fs::write(facility.path("sheets/AHXXXXDSX7_final.xlsx"), workbook(&rows)).unwrap();
    reads(&facility, "-zil-1", &[1]);
    write(&facility, "done", "");
    let (exit, document) = run_once(&facility).await;
    assert_eq!((exit, only(&document).0), (Some(0), "done"), "{document:#}");
    assert_eq!(metadata(&stored(&facility, "-zil-1"), "comments"), Some("from Excel"));
}

#[test]
fn every_real_sheet_is_read_or_told_where_it_is_wrong() {
    let Some(data) = shared_data("the sheets of real runs") else { return };
    let cases: [(&str, Result<usize, &str>); 22] = [
        ("samplesheets_samshee/SampleSheet_VH01300_3.csv", Ok(23)),
        ("samplesheets_samshee/SampleSheet_VH01300_4.csv", Ok(2)),
        ("samplesheets_samshee/SampleSheet_v2.csv", Ok(4)),
        ("samplesheets_samshee/Samplesheet_p169_gi_isa_3_d859db48bc554487920d954fc803edcd.csv", Ok(1)),
        ("samplesheets_samshee/issue_5-2.csv", Ok(2)),
        (
            "samplesheets_samshee/issue_5-3.csv",
            Err("the section \"BCLConvert_Data\" at line 16, column 1 has no line with the names of its columns"),
        ),
        ("samplesheets_samshee/issue_5-4.csv", Ok(2)),
        (
            "samplesheets_samshee/issue_6-2.csv",
            Err("its last section, \"Sequencing_Settings\", begins at line 13, column 1"),
        ),
        (
            "samplesheets_samshee/issue_6.csv",
            Err("its last section, \"Sequencing_Settings\", begins at line 13, column 1"),
        ),
        ("samplesheets_samshee/issue_7.csv", Ok(2)),
        ("samplesheets_samshee/miseq_35147139_samplesheet_v1.csv", Ok(18)),
        ("samplesheets_other/eastgenomics_example_samplesheet.csv", Ok(10)),
        ("bclconvert_reports_multiqc/novaseq6000_bclconvert_3.6.3/Reports/SampleSheet.csv", Ok(8)),
        ("illumina_layouts_irida/miniseq_run/SampleSheet.csv", Ok(3)),
        ("illumina_layouts_irida/miseq_run/SampleSheet.csv", Ok(3)),
        ("illumina_layouts_irida/miseq_single_end_run/SampleSheet.csv", Ok(3)),
        ("illumina_layouts_irida/nextseq_run/SampleSheet.csv", Ok(2)),
        ("illumina_layouts_irida_edge/iseq_with_description/SampleSheet.csv", Ok(3)),
        ("illumina_layouts_irida_edge/miniseq_missing_pair/SampleSheet.csv", Ok(3)),
        ("illumina_layouts_irida_edge/miniseq_no_completedjobinfo/SampleSheet.csv", Ok(3)),
        ("illumina_layouts_irida_edge/miseq_sheet_trailing_commas/SampleSheet.csv", Ok(3)),
        ("illumina_layouts_irida_edge/space_in_sample_name.SampleSheet.csv", Ok(1)),
    ];
    let mut wrong = Vec::new();
    for (path, expected) in cases {
        let read = Sheet::parse(&fs::read(data.join(path)).unwrap());
        let is_right = match (&read, expected) {
            (Ok(sheet), Ok(samples)) => sheet.samples() == samples,
            (Err(error), Err(text)) => error.to_string().contains(text),
            _ => false,
        };
        if !is_right {
            wrong.push(format!("{path}: {:?}, not {expected:?}", read.map(|sheet| sheet.samples())));
        }
    }
    let listed = cases.map(|(path, _)| path);
    for folder in ["samplesheets_samshee", "samplesheets_other"] {
        for entry in fs::read_dir(data.join(folder)).unwrap() {
            let path = Path::new(folder).join(entry.unwrap().file_name());
            assert!(listed.contains(&path.to_str().unwrap()), "{} is not looked at", path.display());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    // Four rows of one sample, one for each of its indices.
    let path = "bclconvert_reports_multiqc/novaseq6000_bclconvert_3.6.3/Reports/SampleSheet.csv";
    let sheet = Sheet::parse(&fs::read(data.join(path)).unwrap()).unwrap();
    let name = "PRJ200438_LPRJ200438";
    let keyed = sheet.keyed(None, std::iter::once(name.to_owned())).unwrap();
    let sample = keyed.find(name, &Filter { lanes: [4].into(), ..Filter::default() }).unwrap().unwrap();
    assert_eq!((sample.value("Sample_Project"), sample.value("Assay")), (Ok("ProjectA"), Ok("TruSeq Nano DNA")));
    assert_eq!(
        sample.value("index").unwrap_err().to_string(),
        "\"index\" is \"CATGCGAT\" at line 20, column 3 and \"TGATATTC\" at line 21, column 3; correct one, or remove \
         a row"
    );
    assert_eq!(keyed.find(name, &Filter { lanes: [3].into(), ..Filter::default() }).unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_finds_a_lookup_that_can_never_work() {
    let lookup = "sheet: {}\n    lookup: { file: projects.csv, key: \"{sheet.Sample_Project}\" }";
    let facility = lab_with(lookup, "project: \"{lookup.project}\"", "").await;
    let check = async || {
        let output = facility.output(&["check", "--json"]).await;
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        let mut checks = document["checks"].as_array().unwrap().iter();
        let lookup = checks.find(|check| check["what"] == "lookup of rule lab").unwrap();
        (output.status.code(), lookup["detail"].as_str().unwrap().to_owned())
    };
    let file = facility.path("projects.csv");
    let missing = format!("there is no {}; write it, or correct lookup.file", file.display());
    assert_eq!(check().await, (Some(2), missing));
    fs::write(&file, "customer,projekt\nP1,7\n").unwrap();
    let (exit, detail) = check().await;
    assert_eq!(exit, Some(2));
    assert!(
        detail.contains(
            "it has no column \"project\" (nearest: \"projekt\"); its header at line 1, column 1 has customer, projekt"
        ),
        "{detail}"
    );
    fs::write(&file, "customer,project\nP1,7\n").unwrap();
    assert_eq!(check().await, (Some(0), format!("{} (1 rows)", file.display())));
}
