//! `explain` says of any file what became of it and why; `plan --tree` does so for a folder that nobody watches.

mod support;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde_json::{Value, json};
use support::{Facility, Setup, bytes};

/// A facility whose watch has run folders with a marker.
async fn facility(settle: &'static str) -> Facility {
    let facility = Facility::with(Setup { settle, ..Setup::default() }, |_| {}).await;
    fs::create_dir(facility.path("runs")).unwrap();
    let config = fs::read_to_string(facility.path("flow-ingest.yaml")).unwrap();
    let before = config.split("watch:").next().unwrap();
    let watch = format!(
        "watch:
  - name: miseq
    path: runs
    manifest: manifest.yaml
    existing: upload
    run_folder: \"{{date:int}}_{{flow_cell}}\"
    complete_when: {{ marker: done }}
    settle: {settle}
    ignore: [\"**/*.bak\"]
status: {{ listen: none }}
"
    );
    fs::write(facility.path("flow-ingest.yaml"), format!("{before}{watch}")).unwrap();
    let manifest = r#"version: 1
rules:
  - name: reports
    match: "Reports/{report}.html"
    data: { filename: "{run}_{report}.html" }
  - name: rna
    match: "**/{sample}_L{lane:int}_R{read}.fastq.gz"
    where: { sample: "RNA_*" }
    paired: required
    sheet: {}
    sample: { name: "{run.flow_cell}_{sample}", type: RNA-Seq, metadata: { comments: "{sheet.Description}" } }
"#;
    fs::write(facility.path("manifest.yaml"), manifest).unwrap();
    let run = facility.path("runs/2411_FC1");
    fs::create_dir(&run).unwrap();
    for file in ["RNA_1_L2_R1", "RNA_1_L1_R1", "RNA_1_L1_R2", "RNA_1_L2_R2", "DNA_1_L1_R1"] {
        fs::write(run.join(format!("{file}.fastq.gz")), bytes(2_000)).unwrap();
    }
    let sheet = "[Header]\nIEMFileVersion,5\n[Data]\nSample_ID,Description\nDNA_1,x\nRNA_1,liver\n";
    fs::write(run.join("SampleSheet.csv"), sheet).unwrap();
    for file in ["old.bak", ".hidden", "notes.txt"] {
        fs::write(run.join(file), "x").unwrap();
    }
    fs::write(facility.path("runs/stray.txt"), "x").unwrap();
    facility
}

async fn explain(facility: &Facility, path: &str) -> Value {
    let (exit, document, words) = facility.ask(&["explain", facility.path(path).to_str().unwrap()]).await;
    assert_eq!(exit, Some(0), "{path}: {words}");
    assert_eq!(document["version"], 1);
    document
}

/// All that must be so whether a service runs or not.
async fn check_all(facility: &Facility) {
    let file = explain(facility, "runs/2411_FC1/RNA_1_L2_R1.fastq.gz").await;
    for (key, value) in [
        ("kind", json!("file")),
        ("watch", json!("miseq")),
        ("run", json!("2411_FC1")),
        ("rule", json!("rna")),
        ("captured", json!({"sample": "RNA_1", "lane": "2", "read": "1"})),
        ("state", json!("waiting")),
        ("slot", json!("reads1")),
        ("part", json!({"number": 2, "of": 2})),
        ("left_out", json!(false)),
        ("existing", json!(false)),
    ] {
        assert_eq!(file[key], value, "{key}: {file:#}");
    }
    assert_eq!(file["sample"]["name"], "FC1_RNA_1");
    assert_eq!(file["sample"]["captured"], json!({"sample": "RNA_1", "sheet.Description": "liver"}));
    assert_eq!(file["rules"][0]["condition"], "match");
    assert_eq!(file["rules"][0]["reason"], "\"RNA_1_L2_R1.fastq.gz\" does not fit Reports");
    assert_eq!(file["rules"][1]["takes"], true);
    assert!(file["sheets"][0]["path"].as_str().unwrap().ends_with("SampleSheet.csv"), "{file:#}");
    assert_eq!(file["sheets"][0]["lines"], json!([6]));
    assert!(file["waits_for"][0].as_str().unwrap().contains("the marker done"), "{file:#}");
    assert_eq!(file["runs"][0]["captured"], json!({"date": "2411", "flow_cell": "FC1"}));

    let nearly = explain(facility, "runs/2411_FC1/DNA_1_L1_R1.fastq.gz").await;
    assert_eq!((&nearly["rule"], &nearly["left_out"]), (&Value::Null, &true.into()), "{nearly:#}");
    assert_eq!(nearly["reason"], "no rule matches; nearest: rna (where: sample)");
    assert_eq!(nearly["rules"][1]["reason"], "sample is \"DNA_1\", which is not RNA_*");

    for (path, reason) in [
        ("runs/2411_FC1/old.bak", "ignored: the watch's `ignore` matches it (**/*.bak)"),
        ("runs/2411_FC1/.hidden", "always left out: its name begins with a dot"),
        ("runs/2411_FC1/notes.txt", "no rule matches"),
        ("runs/2411_FC1/SampleSheet.csv", "it is a sample sheet (rule rna)"),
        ("runs/stray.txt", "not inside a run folder (no folder above it matches {date:int}_{flow_cell})"),
    ] {
        let left_out = explain(facility, path).await;
        let said = left_out["reason"].as_str().unwrap();
        let told = said.split("; where runs are named otherwise").next().unwrap();
        assert_eq!((&left_out["left_out"], told), (&true.into(), reason), "{left_out:#}");
        assert_eq!(told == said, path != "runs/stray.txt", "what to do about it: {said}");
    }
    let stranger = explain(facility, "manifest.yaml").await;
    assert_eq!((&stranger["watch"], &stranger["left_out"]), (&Value::Null, &true.into()), "{stranger:#}");

    let run = explain(facility, "runs/2411_FC1").await;
    assert_eq!((&run["kind"], &run["run"]), (&"run".into(), &"2411_FC1".into()));
    assert_eq!((&run["runs"][0]["complete"], &run["runs"][0]["files"]), (&false.into(), &7.into()), "{run:#}");
    let files = run["files"].as_array().unwrap();
    assert_eq!(files.len(), 9, "those that are left out by name among them: {run:#}");
    let of_sample = files.iter().filter(|file| file["sample"] == "FC1_RNA_1");
    assert_eq!(of_sample.count(), 4);
    let all = explain(facility, "runs").await;
    assert_eq!(all["runs"].as_array().unwrap().len(), 1, "{all:#}");

    let (exit, _, words) = facility.ask(&["explain", facility.path("runs/nothing").to_str().unwrap()]).await;
    assert_eq!(exit, Some(4), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_is_explained_with_a_service_and_without() {
    let settled = facility("100ms").await;
    let path = "runs/2411_FC1/RNA_1_L1_R1.fastq.gz";
    let unseen = explain(&settled, path).await;
    assert_eq!((&unseen["agent"], &unseen["next"]), (&"offline".into(), &json!([])), "nobody acts: {unseen:#}");
    assert!(unseen["reason"].as_str().unwrap().contains("has not settled yet"), "one look settles nothing: {unseen:#}");
    assert!(!settled.path("state").exists(), "it touches nothing");
    let (exit, _, words) = settled.ask(&["run", "--once"]).await;
    assert_eq!(exit, Some(0), "{words}");
    check_all(&settled).await;

    let facility = facility("1h").await;
    let service = facility.serve().await;
    facility.becomes("FC1_RNA_1", "waiting").await;
    // The sheet has not settled: what it says is not believed yet.
    let (_, document, _) = facility.ask(&["status"]).await;
    assert_eq!(document["counts"]["waiting"], 1, "{document:#}");
    let file = explain(&facility, path).await;
    assert_eq!((&file["agent"], &file["settled"]), (&"running".into(), &false.into()), "{file:#}");
    let next = &file["next"][0];
    let seconds = next["in_seconds"].as_u64().unwrap();
    assert!(seconds <= 900 && next["what"].as_str().unwrap().contains("whole folder"), "the soonest first: {file:#}");
    let settles =
        file["next"].as_array().unwrap().iter().find(|next| next["what"].as_str().unwrap().contains("settled"));
    let seconds = settles.unwrap()["in_seconds"].as_u64().unwrap();
    assert!((3000..=3600).contains(&seconds), "{file:#}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_service_tells_the_same_and_what_is_gone_is_known() {
    let facility = facility("100ms").await;
    let service = facility.serve().await;
    facility.becomes("FC1_RNA_1", "waiting").await;
    let is_settled = |document: &Value| {
        let reason = document["samples"][0]["reason"].as_str().unwrap_or_default();
        reason == "waiting for the marker done"
    };
    facility.status_until("all has settled", is_settled).await;
    check_all(&facility).await;
    let text =
        facility.output(&["explain", facility.path("runs/2411_FC1/RNA_1_L1_R2.fastq.gz").to_str().unwrap()]).await;
    let text = String::from_utf8(text.stdout).unwrap();
    for line in
        ["rule       rna", "captured   lane=1 read=2 sample=RNA_1", "slot       reads2, part 1 of 2", ", line 6"]
    {
        assert!(text.contains(line), "{line} in {text}");
    }

    fs::write(facility.path("runs/2411_FC1/done"), "").unwrap();
    facility.becomes("FC1_RNA_1", "done").await;
    let path = "runs/2411_FC1/RNA_1_L1_R1.fastq.gz";
    fs::remove_dir_all(facility.path("runs/2411_FC1")).unwrap();
    let gone = explain(&facility, path).await;
    assert_eq!((&gone["kind"], &gone["state"], &gone["slot"]), (&"gone".into(), &"done".into(), &"reads1".into()));
    service.stop().await;
    let gone = explain(&facility, path).await;
    assert_eq!((&gone["kind"], &gone["state"]), (&"gone".into(), &"done".into()), "{gone:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lay_there_at_the_first_start_is_explained_by_that() {
    let facility = Facility::with(Setup { existing: "skip", ..Setup::default() }, |_| {}).await;
    facility.add("S1", &[2_000, 2_000]);
    let (exit, _, words) = facility.ask(&["run", "--once"]).await;
    assert_eq!(exit, Some(0), "{words}");
    let old = explain(&facility, "drop/S1_R1.fastq.gz").await;
    assert_eq!((&old["state"], &old["existing"]), (&"skipped".into(), &true.into()), "{old:#}");
    assert!(old["notes"].to_string().contains("existing: skip"), "{old:#}");
    facility.add("S2", &[2_000]);
    let new = explain(&facility, "drop/../drop/S2_R1.fastq.gz").await;
    assert_eq!((&new["state"], &new["existing"]), (&"waiting".into(), &false.into()), "{new:#}");
    assert!(new["waits_for"][0].as_str().unwrap().contains("reads2"), "{new:#}");
}

/// Linux takes any bytes as a name; such a one is told in a form that can be read back.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_a_name_that_is_no_text_is_explained_as_well() {
    let facility = facility("100ms").await;
    let run = facility.path("runs/2411_FC1");
    let folder = run.join(OsStr::from_bytes(b"lane\xff"));
    fs::create_dir(&folder).unwrap();
    let files =
        [b"RNA_\xfe_L1_R1.fastq.gz", b"RNA_\xfe_L1_R2.fastq.gz"].map(|name| folder.join(OsStr::from_bytes(name)));
    files.iter().for_each(|file| fs::write(file, bytes(2_000)).unwrap());
    let stray = run.join(OsStr::from_bytes(b"\xff.txt"));
    fs::write(&stray, "x").unwrap();
    let nothing = facility.path("runs").join(OsStr::from_bytes(b"\xff\xfe"));
    let ask = async |path: &Path| {
        let mut command = facility.command(&["explain"]);
        command.arg(path).arg("--json");
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), serde_json::from_slice::<Value>(&output.stdout).unwrap_or_default(), words)
    };
    let check = async || {
        let (exit, file, words) = ask(&files[1]).await;
        assert_eq!(
            (exit, &file["rule"], &file["slot"]),
            (Some(0), &"rna".into(), &"reads2".into()),
            "{words} {file:#}"
        );
        assert!(file["path"].as_str().unwrap().ends_with("2411_FC1/lane\\xff/RNA_\\xfe_L1_R2.fastq.gz"), "{file:#}");
        let (exit, folder, words) = ask(&folder).await;
        assert_eq!((exit, &folder["kind"], &folder["run"]), (Some(0), &"folder".into(), &"2411_FC1".into()), "{words}");
        assert_eq!(folder["files"].as_array().unwrap().len(), 2, "{folder:#}");
        let (exit, stray, words) = ask(&stray).await;
        assert_eq!((exit, &stray["reason"]), (Some(0), &"no rule matches".into()), "{words} {stray:#}");
        let (exit, _, words) = ask(&nothing).await;
        assert_eq!(exit, Some(4), "{words}");
    };
    check().await;
    let service = facility.serve().await;
    let is_seen = |document: &Value| {
        let samples = document["samples"].as_array().unwrap();
        samples.iter().any(|sample| sample["files"].to_string().contains("xfe_L1_R2"))
    };
    facility.status_until("it is seen", is_seen).await;
    check().await;
    service.stop().await;
    fs::remove_dir_all(&run).unwrap();
    let (exit, gone, words) = ask(&files[1]).await;
    assert_eq!((exit, &gone["kind"], &gone["slot"]), (Some(0), &"gone".into(), &"reads2".into()), "{words} {gone:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drop_folder_is_no_run_that_waits() {
    let facility = Facility::with(Setup::default(), |_| {}).await;
    facility.add("S1", &[2_000, 2_000]);
    let check = async || {
        for path in ["drop", "drop/S1_R1.fastq.gz"] {
            let said = explain(&facility, path).await;
            let run = &said["runs"][0];
            assert_eq!((&run["complete"], &run["waits_for"]), (&Value::Null, &json!([])), "{path}: {said:#}");
            assert_ne!(said["kind"], "run", "{said:#}");
            let text = facility.output(&["explain", facility.path(path).to_str().unwrap()]).await;
            let text = String::from_utf8(text.stdout).unwrap();
            assert!(text.contains(", 2 files: a drop folder, whose samples are each judged by"), "{text}");
        }
    };
    check().await;
    let (exit, _, words) = facility.ask(&["run", "--once"]).await;
    assert_eq!(exit, Some(0), "{words}");
    check().await;
}

/// The program as a stranger calls it: no config, no home, no network.
fn plan(dir: &Path, arguments: &[&str]) -> (Option<i32>, Value, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_flow-ingest"));
    command.arg("plan").args(arguments).arg("--json").current_dir(dir).env_clear();
    let output = command.output().unwrap();
    let document = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code(), document, String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_manifest_is_run_against_any_folder() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("data/2411_FC1");
    fs::create_dir_all(tree.join("Logs")).unwrap();
    for file in ["RNA_1_R1.fastq.gz", "RNA_1_R2.fastq.gz", "RNA_2_R1.fastq.gz", "DNA_1_R1.fastq.gz", "notes.txt"] {
        fs::write(tree.join(file), bytes(100)).unwrap();
    }
    fs::write(tree.join("Manifest.tsv"), "RNA_1_R1.fastq.gz\t0badcafe\nRNA_9_R1.fastq.gz\t0badcafe\n").unwrap();
    let manifest = r#"version: 1
rules:
  - name: rna
    match: "{sample}_R{read}.fastq.gz"
    where: { sample: "RNA_*" }
    sample: { name: "{run}_{sample}", type: RNA-Seq }
"#;
    fs::write(dir.path().join("m.yaml"), manifest).unwrap();
    let before: Vec<_> = fs::read_dir(&tree).unwrap().map(|entry| entry.unwrap().path()).collect();
    let named = |document: &Value, name: &str| {
        let samples = document["samples"].as_array().unwrap();
        samples.iter().find(|sample| sample["name"] == name).unwrap_or_else(|| panic!("{name}: {document:#}")).clone()
    };

    let (exit, drop, words) = plan(dir.path(), &["--tree", "data/2411_FC1", "--manifest", "m.yaml"]);
    assert_eq!(exit, Some(0), "{words}");
    let first = named(&drop, "2411_FC1_RNA_1");
    assert_eq!((&first["state"], &first["run"]), (&"queued".into(), &"2411_FC1".into()), "taken as settled");
    assert_eq!(first["captured"], json!({"sample": "RNA_1"}));
    assert_eq!(named(&drop, "2411_FC1_RNA_2")["state"], "waiting", "a drop folder waits for a mate");
    let left_out = drop["left_out"].as_array().unwrap();
    let dna = left_out.iter().find(|it| it["path"].as_str().unwrap().ends_with("DNA_1_R1.fastq.gz")).unwrap();
    assert_eq!(dna["reason"], "no rule matches; nearest: rna (where: sample)");
    assert_eq!(dna["rules"][0]["reason"], "sample is \"DNA_1\", which is not RNA_*");

    // Runs below the folder, and the run folder itself.
    let marker = "{ any: [{ quiet: 1h }, { marker: Logs/Done.txt }] }";
    for folder in ["data", "data/2411_FC1"] {
        let arguments = ["--tree", folder, "--manifest", "m.yaml", "--run-folder", "{date:int}_{cell}"];
        let (exit, runs, words) = plan(dir.path(), &[&arguments[..], &["--complete-when", marker]].concat());
        assert_eq!(exit, Some(0), "{words}");
        assert_eq!(named(&runs, "2411_FC1_RNA_1")["state"], "queued", "quiet is taken as fulfilled: {runs:#}");
        let marked = [&arguments[..], &["--complete-when", "{ marker: Logs/Done.txt }"]].concat();
        let (_, runs, _) = plan(dir.path(), &marked);
        assert_eq!(named(&runs, "2411_FC1_RNA_1")["reason"], "waiting for the marker Logs/Done.txt");
        let listed = [&arguments[..], &["--complete-when", "{ listed: Manifest.tsv }"]].concat();
        let (_, runs, _) = plan(dir.path(), &listed);
        let reason = named(&runs, "2411_FC1_RNA_1")["reason"].as_str().unwrap_or_default().to_owned();
        assert!(
            reason.starts_with("1 of 2 files of Manifest.tsv is not there: RNA_9_R1.fastq.gz"),
            "{folder}: {reason}"
        );
    }
    let after: Vec<_> = fs::read_dir(&tree).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!((before, fs::read_dir(dir.path()).unwrap().count()), (after, 2), "it touches nothing");

    fs::write(dir.path().join("bad.yaml"), "version: 2\n").unwrap();
    for (arguments, word) in [
        (&["--tree", "data"][..], "--manifest"),
        (&["--manifest", "m.yaml"], "--tree"),
        (&["--layout", "illumina"], "--tree"),
        (&["--tree", "nowhere", "--manifest", "m.yaml"], "no such folder"),
        (&["--tree", "data", "--manifest", "none.yaml"], "none.yaml"),
        (&["--tree", "data", "--manifest", "bad.yaml"], "bad.yaml:1:10"),
        (&["--tree", "data", "--manifest", "m.yaml", "--layout", "ilumina"], "illumina"),
        (&["--tree", "data", "--manifest", "m.yaml", "--complete-when", "{ quite: 1h }"], "quiet"),
    ] {
        let (exit, _, words) = plan(dir.path(), arguments);
        assert_eq!(exit, Some(2), "{arguments:?}: {words}");
        assert!(words.contains(word), "{arguments:?}: {words}");
    }
}
