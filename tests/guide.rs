//! A proposed config and manifest: what they say of a folder is what `plan` shows of it, and what is said of Flow is what
//! Flow said, with the real binary on trees as instruments write them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use flow_ingest::sandbox::{Sandbox, Settings, StoredFile};
use serde_json::{Value, json};
use tempfile::TempDir;

struct Bench {
    dir: TempDir,
    /// Where Flow is, and a token.
    flow: Option<(String, String)>,
}

struct Ended {
    code: i32,
    document: Value,
    stderr: String,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { dir: tempfile::tempdir().unwrap(), flow: None };
        fs::create_dir(bench.path("runs")).unwrap();
        bench
    }

    fn with(files: &[&str]) -> Self {
        let bench = Self::new();
        files.iter().for_each(|below| bench.add(below, below));
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn add(&self, below: &str, content: &str) {
        let path = self.path("runs").join(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn flow_ingest(&self, arguments: &[&str]) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flow-ingest"));
        command.args(arguments).arg("--json").current_dir(self.dir.path());
        command.env_clear().env("HOME", self.path("home")).env("NO_PROXY", "127.0.0.1");
        if let Some((base_url, token)) = &self.flow {
            command.env("FLOW_API_URL", base_url).env("FLOW_API_TOKEN", token);
        }
        let output = command.output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        let document =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}; stderr: {stderr}"));
        Ended { code: output.status.code().unwrap(), document, stderr }
    }

    /// Proposes into `etc`.
    fn init(&self, arguments: &[&str]) -> Value {
        let ended = self.flow_ingest(&[&["init", "etc"], arguments].concat());
        assert_eq!(ended.code, 0, "{:#}", ended.document);
        ended.document
    }

    fn refused(&self, arguments: &[&str]) -> String {
        let ended = self.flow_ingest(&[&["init"], arguments].concat());
        assert_eq!(ended.code, 2, "{:#}", ended.document);
        ended.document["error"].as_str().unwrap().to_owned()
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path("etc").join(name)).unwrap()
    }

    /// What was proposed is right: once the type is chosen, `check` has nothing to say against it, an editor neither, and `plan` shows the very samples that were promised. Gives their names.
    fn keeps_its_word(&self, document: &Value) -> BTreeSet<String> {
        for (file, schema) in
            [("flow-ingest.yaml", "flow-ingest.schema.json"), ("manifest.yaml", "manifest.schema.json")]
        {
            let text = self.text(file);
            assert!(text.starts_with(&format!("# yaml-language-server: $schema={schema}\n")), "{text}");
            let schema: Value = serde_json::from_str(&self.text(schema)).unwrap();
            let written: Value = serde_yaml::from_str(&text).unwrap();
            assert!(jsonschema::is_valid(&schema, &written), "{text}");
            assert!(text.lines().all(|line| line.len() <= 160), "{text}");
        }
        if document["proposed"]["type"].is_null() {
            let chosen = self.text("manifest.yaml").replace("CHANGE-ME", "RNA-Seq");
            fs::write(self.path("etc/manifest.yaml"), chosen).unwrap();
        }
        let check = self.flow_ingest(&["check", "--config", "etc/flow-ingest.yaml"]);
        assert_eq!(check.code, 0, "{:#}", check.document);
        let plan = self.flow_ingest(&["plan", "--config", "etc/flow-ingest.yaml"]);
        assert_eq!(plan.code, 0, "{:#}", plan.document);
        let names = |document: &Value| -> BTreeSet<String> {
            let samples = document["samples"].as_array().unwrap();
            samples.iter().map(|sample| sample["name"].as_str().unwrap().to_owned()).collect()
        };
        let promised = names(&document["seen"]);
        assert_eq!(names(&plan.document), promised, "{document:#} {:#}", plan.document);
        for file in ["flow-ingest.yaml", "manifest.yaml"] {
            let text = self.text(file);
            // Of many, the first are told.
            for name in promised.iter().take(1) {
                assert!(text.contains(name.as_str()), "{name}: {text}");
            }
        }
        promised
    }
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A NextSeq 2000 with DRAGEN on board.
const NEXTSEQ: [&str; 15] = [
    "240115_VH00123_42_AAC7WXYM5/RunInfo.xml",
    "240115_VH00123_42_AAC7WXYM5/RTAComplete.txt",
    "240115_VH00123_42_AAC7WXYM5/CopyComplete.txt",
    "240115_VH00123_42_AAC7WXYM5/Analysis/1/CopyComplete.txt",
    "240115_VH00123_42_AAC7WXYM5/Analysis/1/Data/Secondary_Analysis_Complete.txt",
    "240115_VH00123_42_AAC7WXYM5/Analysis/1/Data/fastq/RNA-1_S1_L001_R1_001.fastq.gz",
    "240115_VH00123_42_AAC7WXYM5/Analysis/1/Data/fastq/RNA-1_S1_L001_R2_001.fastq.gz",
    "240115_VH00123_42_AAC7WXYM5/Analysis/1/Data/fastq/RNA-2_S2_L001_R1_001.fastq.gz",
    "240115_VH00123_42_AAC7WXYM5/Analysis/1/Data/fastq/RNA-2_S2_L001_R2_001.fastq.gz",
    "240115_VH00123_42_AAC7WXYM5/Analysis/1/Data/fastq/RNA-2_S2_L001_I1_001.fastq.gz",
    "240115_VH00123_42_AAC7WXYM5/Analysis/1/Data/fastq/Undetermined_S0_L001_R1_001.fastq.gz",
    "240115_VH00123_42_AAC7WXYM5/Data/Intensities/BaseCalls/L001/C1.1/L001_1.cbcl",
    "240116_VH00123_43_AAC7WXYM6/RunInfo.xml",
    "240116_VH00123_43_AAC7WXYM6/Analysis/1/Data/fastq/RNA-3_S1_L001_R1_001.fastq.gz",
    "240116_VH00123_43_AAC7WXYM6/Analysis/1/Data/fastq/RNA-3_S1_L001_R2_001.fastq.gz",
];

const SHEET: &str = "[Header]\nFileFormatVersion,2\nInvestigator Name,Ada\n\n[BCLConvert_Data]\nLane,Sample_ID,Index,Description\n\
                     1,RNA-1,ACGT,liver\n1,RNA-2,TTTT,kidney\n";

#[test]
fn nothing_is_sent_before_a_person_has_chosen_the_type() {
    let bench = Bench::with(&NEXTSEQ[..12]);
    bench.init(&["--layout", "illumina", "--from", "runs"]);
    let check = bench.flow_ingest(&["check", "--config", "etc/flow-ingest.yaml"]);
    let checks = check.document["checks"].as_array().unwrap();
    let to_do: Vec<&Value> = checks.iter().filter(|check| check["to_do"] == true).collect();
    assert_eq!((check.code, to_do.len()), (0, 1), "{:#}", check.document);
    let manifest = bench.text("manifest.yaml");
    let line = 1 + manifest.lines().position(|line| line.contains("type: CHANGE-ME")).unwrap();
    let said = to_do[0]["detail"].as_str().unwrap();
    assert!(said.contains(&format!("manifest.yaml:{line}:")) && said.contains("list types"), "{said}");
    let run = bench.flow_ingest(&["run", "--once", "--config", "etc/flow-ingest.yaml"]);
    assert!(run.code == 2 && run.document["error"].as_str().unwrap().contains("CHANGE-ME"), "{:#}", run.document);
    assert_eq!(bench.flow_ingest(&["plan", "--config", "etc/flow-ingest.yaml"]).code, 0, "a look is free");
}

#[test]
fn a_nextseq_with_analysis_on_board() {
    let bench = Bench::with(&NEXTSEQ);
    let document = bench.init(&["--layout", "illumina", "--from", "runs"]);
    let run = "240115_VH00123_42_AAC7WXYM5";
    let expected = names(&[&format!("{run}_RNA-1"), &format!("{run}_RNA-2"), "240116_VH00123_43_AAC7WXYM6_RNA-3"]);
    assert_eq!(bench.keeps_its_word(&document), expected);
    let seen = &document["seen"];
    assert_eq!(seen["runs"], json!([run, "240116_VH00123_43_AAC7WXYM6"]));
    assert_eq!((&seen["reads"], &seen["taken"]), (&json!(8), &json!(6)));
    assert_eq!(seen["samples"][2]["state"], "waiting", "its run has no marker yet");
    let config = bench.text("flow-ingest.yaml");
    for said in [
        "layout: illumina",
        "2 runs: 240115_VH00123_42_AAC7WXYM5, 240116",
        "existing: skip",
        "index reads",
        "Analysis/1/CopyComplete.txt",
    ] {
        assert!(config.contains(said), "{said}: {config}");
    }
    let manifest = bench.text("manifest.yaml");
    assert!(manifest.contains(r#"name: "{run}_{sample}""#) && manifest.contains("match is the layout's"), "{manifest}");
}

#[test]
fn the_sample_sheet_is_taken_where_it_has_every_sample() {
    let bench = Bench::with(&NEXTSEQ[..12]);
    bench.add("240115_VH00123_42_AAC7WXYM5/SampleSheet.csv", SHEET);
    let document = bench.init(&["--from", "runs", "--type", "RNA-Seq"]);
    assert_eq!(bench.keeps_its_word(&document).len(), 2);
    let config = bench.text("flow-ingest.yaml");
    assert!(
        config.contains("layout: illumina explains 4 of 6 files of reads; bcl-convert explains as many"),
        "{config}"
    );
    let sheet = &document["seen"]["sheet"];
    assert_eq!((&sheet["column"], &sheet["found"], &sheet["has_all"]), (&json!("Sample_ID"), &json!(2), &json!(true)));
    let manifest = bench.text("manifest.yaml");
    for said in [
        "    sheet: { key: auto }",
        "by Sample_ID",
        r#"        # scientist: "{sheet.Investigator Name}""#,
        r#"        # comments: "{sheet.Description}""#,
        "      type: \"RNA-Seq\"",
    ] {
        assert!(manifest.contains(said), "{said}: {manifest}");
    }
    // What is suggested works.
    let taken = manifest
        .replace("        # comments:", "        comments:")
        .replace("        # scientist:", "        scientist:");
    fs::write(bench.path("etc/manifest.yaml"), taken).unwrap();
    let plan = bench.flow_ingest(&["plan", "--config", "etc/flow-ingest.yaml"]);
    assert!(
        plan.document["samples"].as_array().unwrap().iter().all(|sample| sample["state"] != "blocked"),
        "{:#}",
        plan.document
    );

    // One that lacks a sample would block it.
    let bench = Bench::with(&NEXTSEQ);
    bench.add("240115_VH00123_42_AAC7WXYM5/SampleSheet.csv", SHEET);
    let document = bench.init(&["--from", "runs"]);
    assert_eq!(bench.keeps_its_word(&document).len(), 3);
    assert_eq!((&document["seen"]["sheet"]["found"], &document["proposed"]["sheet"]), (&json!(2), &json!(false)));
    assert!(bench.text("manifest.yaml").contains("    # sheet: { key: auto"), "{}", bench.text("manifest.yaml"));
}

/// A barcode of MinKNOW's sheet of which nothing was sequenced is no sample that lies there, and the folder's sample, which
/// all of the sheet's rows share, is not what its files are looked for by.
#[test]
fn minknows_sheet_is_proposed_by_what_its_files_are_named_after() {
    let run = "exp/lib/20250603_1201_3E_PAA12345_e05460c6";
    let header = "flow_cell_id,sample_id,experiment_id,kit,alias,type,barcode\n";
    let row = |alias: &str, barcode: &str| format!("PAA12345,lib,exp,SQK,{alias},test_sample,{barcode}\n");
    let sheet = [header.to_owned(), row("patA", "barcode01"), row("patB", "barcode02"), row("patC", "barcode03")];
    let plain = "flow_cell_id,sample_id,experiment_id,kit,alias\nPAA12345,lib,exp,SQK,pat\n";
    let barcoded = ["_barcode01", "_barcode02"];
    for (barcodes, sheet, column) in [(&barcoded[..], sheet.concat().as_str(), "barcode"), (&[""], plain, "sample_id")]
    {
        let bench = Bench::new();
        for barcode in barcodes {
            let folder = barcode.trim_start_matches('_');
            bench.add(&format!("{run}/fastq_pass/{folder}/PAA12345_pass{barcode}_e05460c6_0f1d7e9e_0.fastq.gz"), "x");
        }
        bench.add(&format!("{run}/final_summary_PAA12345_e05460c6_0f1d7e9e.txt"), "");
        bench.add(&format!("{run}/sample_sheet_PAA12345_20250603_1201_e05460c6.csv"), sheet);
        let document = bench.init(&["--from", "runs", "--type", "RNA-Seq"]);
        bench.keeps_its_word(&document);
        let seen = &document["seen"]["sheet"];
        assert_eq!(
            (&seen["column"], &seen["found"], &seen["of"], &seen["has_all"]),
            (&json!(column), &json!(barcodes.len()), &json!(barcodes.len()), &json!(true)),
            "{document:#}"
        );
        let manifest = bench.text("manifest.yaml");
        assert!(manifest.contains("    sheet: { key: auto }"), "{manifest}");
        let with_alias = manifest.replace("        # comments:\n", "        comments: \"{sheet.alias}\"\n");
        assert_ne!(with_alias, manifest);
        fs::write(bench.path("etc/manifest.yaml"), with_alias).unwrap();
        let plan = bench.flow_ingest(&["plan", "--config", "etc/flow-ingest.yaml"]);
        let samples = plan.document["samples"].as_array().unwrap();
        assert!(
            !samples.is_empty() && samples.iter().all(|sample| sample["state"] != "blocked"),
            "{:#}",
            plan.document
        );
    }
}

/// What lies there, the layout that explains it, and the samples.
#[test]
fn the_layout_that_explains_most_is_found() {
    let nanopore = |barcode: &str, part: u8| {
        let run = "exp/lib/20250603_1201_3E_PAA12345_e05460c6";
        format!("{run}/fastq_pass/{barcode}/PAA12345_pass_{barcode}_e05460c6_0f1d7e9e_{part}.fastq.gz")
    };
    let nanopore =
        [nanopore("barcode01", 0), nanopore("barcode01", 1), nanopore("mouse", 0), nanopore("unclassified", 0)];
    let bam = |cell: &str, barcode: &str| {
        format!("r84001_20220722_134701/{cell}/hifi_reads/m84001_220722_134701_s1.hifi_reads.{barcode}.bam")
    };
    let pacbio = [bam("1_A01", "bc2001"), bam("1_B01", "bc2001"), bam("1_B01", "unassigned")];
    let convert = |project: &str, sample: &str, read: u8| {
        format!("230912_A00187_1009_AHK33MDRX3/{project}/{sample}_S1_L001_R{read}_001.fastq.gz")
    };
    let convert = [
        convert("ProjA", "S", 1),
        convert("ProjA", "S", 2),
        convert("ProjB", "S", 1),
        convert("ProjB", "S", 2),
        "230912_A00187_1009_AHK33MDRX3/Logs/FastqComplete.txt".to_owned(),
    ];
    let element =
        |sample: &str, read: &str| format!("20240506_AV1_Example-2x150/Samples/P1/{sample}/{sample}_{read}.fastq.gz");
    let element = [element("a_1", "R1"), element("a_1", "R2"), element("a_1", "I1")];
    let novaseq = |analysis: u8, application: &str| {
        format!(
            "20231108_LH00188_0028_B22F52TLT3/Analysis/{analysis}/Data/{application}/fastq/A_S1_L001_R1_001.fastq.gz"
        )
    };
    let novaseq = [
        novaseq(1, "BCLConvert"),
        novaseq(2, "DragenGermline"),
        "20231108_LH00188_0028_B22F52TLT3/RunInfo.xml".to_owned(),
    ];
    let bcl2fastq = [
        "230912_A00187_1009_AHK33MDRX3_out/A_S1_R1_001.fastq.gz".to_owned(),
        "230912_A00187_1009_AHK33MDRX3_out/A_S1_R2_001.fastq.gz".to_owned(),
        "230912_A00187_1009_AHK33MDRX3_out/Stats/Stats.json".to_owned(),
    ];
    let cases: [(&str, &[String], &str, &[&str]); 6] = [
        (
            "nanopore",
            &nanopore,
            "{run}_{sample}_{barcode}",
            &["20250603_1201_3E_PAA12345_e05460c6_lib_barcode01", "20250603_1201_3E_PAA12345_e05460c6_lib_mouse"],
        ),
        (
            "pacbio",
            &pacbio,
            "{run}_{cell}_{barcode}",
            &["r84001_20220722_134701_1_A01_bc2001", "r84001_20220722_134701_1_B01_bc2001"],
        ),
        (
            "bcl-convert",
            &convert,
            "{run}_{sample}_{project}",
            &["230912_A00187_1009_AHK33MDRX3_S_ProjA", "230912_A00187_1009_AHK33MDRX3_S_ProjB"],
        ),
        ("element", &element, "{run}_{sample}", &["20240506_AV1_Example-2x150_a_1"]),
        (
            "illumina",
            &novaseq,
            "{run}_{sample}_{analysis}",
            &["20231108_LH00188_0028_B22F52TLT3_A_1", "20231108_LH00188_0028_B22F52TLT3_A_2"],
        ),
        ("bcl2fastq", &bcl2fastq, "{run}_{sample}", &["230912_A00187_1009_AHK33MDRX3_out_A"]),
    ];
    for (layout, files, name, samples) in cases {
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        let bench = Bench::with(&files);
        let document = bench.init(&["--from", "runs"]);
        assert_eq!(
            (&document["proposed"]["layout"], &document["proposed"]["name"]),
            (&json!(layout), &json!(name)),
            "{document:#}"
        );
        assert_eq!(bench.keeps_its_word(&document), names(samples), "{layout}");
        assert!(
            bench.text("flow-ingest.yaml").contains(&format!("layout: {layout} explains")),
            "{}",
            bench.text("flow-ingest.yaml")
        );
    }
}

#[test]
fn a_drop_folder_is_said_to_be_one_and_a_guess_to_be_a_guess() {
    let common = Bench::with(&["A_R1.fastq.gz", "A_R2.fastq.gz", "deep/B_R1.fastq.gz", "deep/B_R2.fastq.gz"]);
    let document = common.init(&["--from", "runs"]);
    assert_eq!(document["proposed"]["layout"], "drop-folder");
    assert_eq!(common.keeps_its_word(&document), names(&["A", "B"]));

    let strange = Bench::with(&["A.R1.fq.gz", "A.R2.fq.gz", "B.R1.fq.gz", "B.R2.fq.gz", "notes.txt"]);
    let document = strange.init(&["--from", "runs"]);
    assert_eq!(
        (&document["proposed"]["layout"], &document["proposed"]["match"]),
        (&Value::Null, &json!("**/{sample}.R{read}.fq.gz"))
    );
    assert_eq!(strange.keeps_its_word(&document), names(&["A", "B"]));
    assert!(strange.text("flow-ingest.yaml").contains("no layout fits"), "{}", strange.text("flow-ingest.yaml"));

    let single = Bench::with(&["liver.bam", "kidney.bam"]);
    let document = single.init(&["--from", "runs"]);
    assert_eq!(single.keeps_its_word(&document), names(&["kidney", "liver"]));

    let empty = Bench::with(&["notes.txt"]);
    let document = empty.init(&["--from", "runs"]);
    assert_eq!(empty.keeps_its_word(&document), names(&[]));
    assert!(empty.text("flow-ingest.yaml").contains("no file that may hold reads"));
}

#[test]
fn a_layout_alone_is_enough_before_anything_lies_there() {
    let bench = Bench::new();
    let document = bench.init(&["--layout", "nanopore", "--type", "RNA-Seq"]);
    assert_eq!((&document["proposed"]["name"], &document["seen"]), (&json!("{run}_{sample}_{barcode}"), &Value::Null));
    let check = bench.flow_ingest(&["check", "--config", "etc/flow-ingest.yaml"]);
    let wrong: Vec<_> = check.document["checks"].as_array().unwrap().iter().filter(|it| it["ok"] != true).collect();
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    assert_eq!(wrong[0]["what"], "watch runs", "only its folder is not there");
    assert_eq!(bench.flow_ingest(&["init", "--type", "RNA-Seq"]).code, 2);
    assert!(bench.refused(&["a", "--layout", "ilumina"]).contains("did you mean illumina?"));
}

#[test]
fn the_look_is_bounded_and_goes_where_a_watch_would_go() {
    let bench = Bench::with(&NEXTSEQ);
    for n in 0..200 {
        bench.add(&format!("240115_VH00123_42_AAC7WXYM5/Data/Intensities/BaseCalls/L001/C{n}.1/L001_1.cbcl"), "");
        bench.add(&format!("240115_VH00123_42_AAC7WXYM5/Thumbnail_Images/L001/{n}.jpg"), "");
    }
    let named = bench.flow_ingest(&["init", "a", "--layout", "illumina", "--from", "runs"]).document;
    let found = bench.flow_ingest(&["init", "b", "--from", "runs"]).document;
    for document in [&named, &found] {
        let entries = document["seen"]["entries"].as_u64().unwrap();
        assert!(entries < 50 && document["seen"]["is_cut"] == false, "{document:#}");
    }
    assert_eq!(named["seen"]["samples"], found["seen"]["samples"]);

    let document = bench.init(&["--from", "runs", "--most-entries", "8"]);
    assert_eq!((&document["seen"]["entries"], &document["seen"]["is_cut"]), (&json!(8), &json!(true)));
    let config = bench.text("flow-ingest.yaml");
    assert!(config.contains("the look stopped after 8 files and folders"), "{config}");
}

#[test]
fn nothing_is_overwritten_and_nothing_is_written_into_a_watched_folder() {
    let bench = Bench::with(&NEXTSEQ);
    fs::create_dir(bench.path("etc")).unwrap();
    fs::write(bench.path("etc/manifest.yaml"), "mine").unwrap();
    assert!(bench.refused(&["etc", "--from", "runs"]).contains("never overwritten"));
    assert_eq!(fs::read_dir(bench.path("etc")).unwrap().count(), 1);
    for dir in ["runs", "runs/new/etc", "home/../runs/etc"] {
        fs::create_dir_all(bench.path("home")).unwrap();
        let error = bench.refused(&[dir, "--from", "runs"]);
        assert!(error.contains("in the folder that is to be watched"), "{error}");
    }
    let error = bench.refused(&["new", "--from", "runs/240115_VH00123_42_AAC7WXYM5"]);
    assert!(error.contains("looks like a run itself (layout illumina)"), "{error}");
    assert!(bench.refused(&["new", "--from", "nowhere"]).contains("does not exist"));
    assert!(!bench.path("new").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_flow_knows_stands_beside_the_proposal() {
    let mut bench = Bench::with(&NEXTSEQ[..12]);
    let sandbox = Sandbox::start(Settings::new(bench.path("flow"))).await.unwrap();
    let base_url = sandbox.base_url();

    // Without a token nothing is sent, wherever Flow is said to be.
    let document = tokio::task::block_in_place(|| bench.init(&["--from", "runs", "--base-url", &base_url]));
    assert_eq!((sandbox.requests().len(), &document["server"]), (0, &Value::Null));
    let config = bench.text("flow-ingest.yaml");
    assert!(config.contains(&format!("  base_url: \"{base_url}\"")), "{config}");
    assert!(bench.text("manifest.yaml").contains("No credentials were at hand"));
    fs::remove_dir_all(bench.path("etc")).unwrap();

    bench.flow = Some((base_url.clone(), sandbox.token().to_owned()));
    let document = tokio::task::block_in_place(|| bench.init(&["--from", "runs"]));
    assert_eq!(document["server"]["types"].as_array().unwrap().len(), 6);
    let manifest = bench.text("manifest.yaml");
    for said in [
        "RNA-Seq (Sequencing of RNA, as cDNA)",
        "CLIP (RNA crosslinked to a protein of interest); needs purification_target",
    ] {
        assert!(manifest.contains(said), "{said}: {manifest}");
    }
    assert!(manifest.contains("type: CHANGE-ME") && manifest.contains("        # strandedness:"), "{manifest}");
    tokio::task::block_in_place(|| bench.keeps_its_word(&document));
    fs::remove_dir_all(bench.path("etc")).unwrap();

    let document = tokio::task::block_in_place(|| bench.init(&["--from", "runs", "--type", "CLIP"]));
    let manifest = bench.text("manifest.yaml");
    let lines: BTreeMap<&str, &str> = manifest.lines().filter_map(|line| line.split_once(": ")).collect();
    assert_eq!(lines.get("      type"), Some(&"\"CLIP\""), "{manifest}");
    assert!(lines["        # purification_target"].contains("required"), "{manifest}");
    assert!(lines["        # strandedness"].contains("forward, reverse, unstranded"), "{manifest}");
    tokio::task::block_in_place(|| bench.keeps_its_word(&document));
    fs::remove_dir_all(bench.path("etc")).unwrap();

    let ended =
        tokio::task::block_in_place(|| bench.flow_ingest(&["init", "etc", "--from", "runs", "--type", "RNAseq"]));
    assert!(ended.code == 4 && ended.stderr.contains("Flow knows no sample type \"RNAseq\""), "{:#}", ended.document);
    let meant =
        tokio::task::block_in_place(|| bench.flow_ingest(&["init", "etc", "--from", "runs", "--type", "RNA-seq"]));
    let error = meant.document["error"].as_str().unwrap();
    assert!(
        meant.code == 4 && error.contains("\"RNA-seq\"; it knows ") && error.ends_with("; did you mean RNA-Seq?"),
        "{error}"
    );
    assert!(!bench.path("etc").exists());
}

/// Reads as an instrument writes them: FASTQ, gzipped, each file with reads of its own.
fn zipped_reads(name: &str) -> Vec<u8> {
    let mut zip = GzEncoder::new(Vec::new(), Compression::fast());
    for n in 0..200 {
        writeln!(zip, "@{name}:{n}\nACGTACGTAC\n+\nIIIIIIIIII").unwrap();
    }
    zip.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_proposed_is_accepted_by_flow_and_uploads_what_it_promised() {
    let mut bench = Bench::with(&NEXTSEQ);
    for below in NEXTSEQ.iter().filter(|below| below.ends_with(".fastq.gz")) {
        let path = bench.path("runs").join(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, zipped_reads(below)).unwrap();
    }
    let sandbox = Sandbox::start(Settings::new(bench.path("flow"))).await.unwrap();
    bench.flow = Some((sandbox.base_url(), sandbox.token().to_owned()));
    let document =
        tokio::task::block_in_place(|| bench.init(&["--layout", "illumina", "--from", "runs", "--type", "RNA-Seq"]));
    let on_flow = |sandbox: &Sandbox| -> BTreeMap<String, Vec<(String, Vec<u8>)>> {
        let file = |file: &StoredFile| (file.filename.clone(), fs::read(&file.path).unwrap());
        sandbox.samples().iter().map(|sample| (sample.name.clone(), sample.files.iter().map(file).collect())).collect()
    };
    let flow_ingest = |arguments: &[&str]| {
        let arguments = [arguments, &["--config", "etc/flow-ingest.yaml"]].concat();
        tokio::task::block_in_place(|| bench.flow_ingest(&arguments))
    };
    let check = flow_ingest(&["check", "--online"]);
    assert_eq!((check.code, &check.document["misses"]), (0, &json!([])), "{:#}", check.document);

    // What lies there already is left alone unless somebody says otherwise, by the line that is proposed for it.
    let config = bench.text("flow-ingest.yaml").replace("# settle: 30s ", "settle: 200ms ");
    let upload = config.replace("    existing: skip\n    # existing: upload", "    existing: upload");
    assert!(config.contains("\n    settle: 200ms") && upload != config, "{config}");
    fs::write(bench.path("etc/flow-ingest.yaml"), upload).unwrap();
    let ended = flow_ingest(&["run", "--once", "--give-up-after", "30s"]);
    assert_eq!(ended.code, 0, "{:#}", ended.document);
    let (run, other) = ("240115_VH00123_42_AAC7WXYM5", "240116_VH00123_43_AAC7WXYM6");
    let files = |run: &str, sample: &str, number: u8| {
        let file = |read: u8| {
            let name = format!("{sample}_S{number}_L001_R{read}_001.fastq.gz");
            let below = format!("{run}/Analysis/1/Data/fastq/{name}");
            (name, zipped_reads(&below))
        };
        (format!("{run}_{sample}"), vec![file(1), file(2)])
    };
    let mut expected = BTreeMap::from([files(run, "RNA-1", 1), files(run, "RNA-2", 2)]);
    let there = on_flow(&sandbox);
    assert_eq!(there.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    assert!(there == expected, "other files, or other bytes");
    let state = |document: &Value, name: &str| {
        let samples = document["samples"].as_array().unwrap();
        samples.iter().find(|sample| sample["name"] == name).unwrap()["state"].clone()
    };
    let promised: Vec<&str> =
        document["seen"]["samples"].as_array().unwrap().iter().map(|sample| sample["name"].as_str().unwrap()).collect();
    assert_eq!(promised.len(), 3, "{document:#}");
    let unfinished = format!("{other}_RNA-3");
    assert_eq!(state(&ended.document, &unfinished), "waiting");
    let slots = |name: &str| -> Vec<String> {
        let sample =
            ended.document["samples"].as_array().unwrap().iter().find(|sample| sample["name"] == name).unwrap();
        sample["files"].as_array().unwrap().iter().map(|file| file["slot"].as_str().unwrap().to_owned()).collect()
    };
    assert!(promised.iter().all(|name| slots(name) == ["reads1", "reads2"]), "{:#}", ended.document);
    assert!(sandbox.samples().iter().all(|sample| sample.sample_type == "RNA-Seq"));

    // The other run comes to its end.
    for marker in ["CopyComplete.txt", "Data/Secondary_Analysis_Complete.txt"] {
        bench.add(&format!("{other}/Analysis/1/{marker}"), "");
    }
    let ended = flow_ingest(&["run", "--once", "--give-up-after", "30s"]);
    assert_eq!((ended.code, state(&ended.document, &unfinished)), (0, json!("done")), "{:#}", ended.document);
    expected.extend([files(other, "RNA-3", 1)]);
    assert!(on_flow(&sandbox) == expected);
}

#[test]
fn one_run_is_not_runs() {
    let bench = Bench::with(&NEXTSEQ[..7]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_flow-ingest"));
    command.args(["init", "etc", "--from", "runs"]).current_dir(bench.dir.path()).env_clear();
    let said = String::from_utf8(command.output().unwrap().stdout).unwrap();
    assert!(said.contains("layout illumina: 1 run, 1 sample, among "), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_that_does_not_answer_or_refuses_the_token_is_said_and_no_failure() {
    let mut bench = Bench::with(&NEXTSEQ[..12]);
    let sandbox = Sandbox::start(Settings::new(bench.path("flow"))).await.unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (base_url, token) in [(format!("http://{closed}/api"), sandbox.token()), (sandbox.base_url(), "no-such-token")]
    {
        bench.flow = Some((base_url.clone(), token.to_owned()));
        let ended = tokio::task::block_in_place(|| bench.flow_ingest(&["init", "etc", "--from", "runs"]));
        assert_eq!(ended.code, 0, "{:#}", ended.document);
        assert!(ended.stderr.contains(&format!("cannot ask {base_url}")), "{}", ended.stderr);
        assert!(ended.document["server"]["error"].is_string());
        let manifest = bench.text("manifest.yaml");
        assert!(manifest.contains("could not be asked for its types"), "{manifest}");
        assert!(![&ended.stderr, &manifest].iter().any(|text| text.contains(token)), "a secret");
        tokio::task::block_in_place(|| bench.keeps_its_word(&ended.document));
        fs::remove_dir_all(bench.path("etc")).unwrap();
    }
}

/// The shared listings of real trees, or a word on stderr about what is skipped.
#[test]
fn real_trees_are_known_again() {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let listings = std::env::var_os("FLOW_INGEST_SHARED").map_or_else(beside, PathBuf::from).join("data/listings");
    if !listings.is_dir() {
        let _ = writeln!(std::io::stderr(), "skipped: real trees: none at {} (FLOW_INGEST_SHARED)", listings.display());
        return;
    }
    for (listing, layout) in [
        ("element_bases2fastq_output", "element"),
        ("illumina_clinical_genomics_fixture", "illumina"),
        ("illumina_novaseqx_onboard_bclconvert", "illumina"),
        ("mgi_dnbseq", "mgi"),
        ("ont_minknow_2020_barcoded", "nanopore"),
        ("ont_promethion_clinical_genomics_fixture", "nanopore"),
        ("pacbio_revio_spec_layout", "pacbio"),
        ("ultima_ug100", "ultima"),
    ] {
        let text = fs::read_to_string(listings.join(format!("{listing}.tsv"))).unwrap();
        let paths = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('\t'));
        let paths: Vec<&str> = paths.map(|(_, path)| path).filter(|path| !path.ends_with('/')).collect();
        let bench = Bench::with(&paths);
        let document = bench.init(&["--from", "runs"]);
        assert_eq!(document["proposed"]["layout"], layout, "{listing}: {:#}", document["seen"]["layouts"]);
        assert!(!bench.keeps_its_word(&document).is_empty(), "{listing}");
    }
}
