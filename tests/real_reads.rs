//! Real reads in real run folders go the whole way: from the files on disk, through the binary, onto a server.
//!
//! The reads and trees lie in a folder `shared` beside the clone (or where `FLOW_INGEST_SHARED` says). A fresh clone
//! has none: then each test says so on stderr, and passes.

mod support;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use flow_ingest::sandbox::{Sandbox, Settings, StoredSample};
use serde_json::Value;
use support::shared_data;
use tempfile::TempDir;

const RUN: &str = "220422_M11111_0222_000000000-K9H97";

const MINE: &str = r#"version: 1
rules:
  - name: rnaseq
    match: "**/{sample}_S{sample_number:int}_L{lane:int}_R{read}_001.fastq.gz"
    paired: required
    sample:
      name: "{run}_{sample}"
      type: RNA-Seq
      organism: Hs
      project: "788995297969977723"
      metadata: { strandedness: reverse, comments: "{run.flow_cell} on {run.instrument}" }
"#;

/// A host with an agent on it, and a server beside it.
struct Host {
    dir: TempDir,
    sandbox: Sandbox,
}

impl Host {
    /// `watch` is the watch's further keys, at its own indent.
    async fn new(manifest: &str, watch: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let sandbox = Sandbox::start(Settings::new(dir.path().join("flow"))).await.unwrap();
        let config = format!(
            "flow: {{ base_url: \"{}\", chunk_size: 50kB }}\nstate_dir: state\nwatch:\n  - name: sequencer\n    path: runs\n    \
             manifest: manifest.yaml\n    existing: upload\n    settle: 300ms\n{watch}",
            sandbox.base_url()
        );
        fs::write(dir.path().join("flow-ingest.yaml"), config).unwrap();
        fs::write(dir.path().join("manifest.yaml"), manifest).unwrap();
        fs::create_dir(dir.path().join("runs")).unwrap();
        Self { dir, sandbox }
    }

    fn runs(&self) -> PathBuf {
        self.dir.path().join("runs")
    }

    /// `run --once --json`: its exit code and document.
    async fn run_once(&self) -> (i32, Value) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flow-ingest"));
        command.args(["run", "--once", "--json", "--give-up-after", "30s", "--config"]);
        command.arg(self.dir.path().join("flow-ingest.yaml"));
        command.env("FLOW_API_TOKEN", self.sandbox.token()).env_remove("FLOW_TOKEN_FILE").env("NO_PROXY", "127.0.0.1");
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}; stderr: {said}"));
        (output.status.code().unwrap_or_else(|| panic!("killed; stderr: {said}")), document)
    }

    /// Chunks that were sent so far.
    fn chunks(&self) -> usize {
        self.sandbox.requests().iter().filter(|request| request.path.starts_with("/upload")).count()
    }

    /// The samples on the server by name, each of which is there once.
    fn samples(&self) -> BTreeMap<String, StoredSample> {
        let samples = self.sandbox.samples();
        let count = samples.len();
        let by_name: BTreeMap<_, _> = samples.into_iter().map(|sample| (sample.name.clone(), sample)).collect();
        assert_eq!(by_name.len(), count, "a sample is there twice");
        by_name
    }
}

/// Each file of a stored sample: its name and its bytes.
fn files(sample: &StoredSample) -> Vec<(String, Vec<u8>)> {
    sample.files.iter().map(|file| (file.filename.clone(), fs::read(&file.path).unwrap())).collect()
}

/// What the server must have of files on disk.
fn on_disk(paths: &[PathBuf]) -> Vec<(String, Vec<u8>)> {
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    paths.iter().map(|path| (name(path), fs::read(path).unwrap())).collect()
}

fn states(document: &Value) -> BTreeMap<&str, &str> {
    let text = |sample: &Value, key: &str| sample[key].as_str().unwrap().to_owned();
    let samples = document["samples"].as_array().unwrap();
    assert_eq!(document["version"], 1);
    let states: BTreeMap<_, _> =
        samples.iter().map(|sample| (sample["name"].as_str().unwrap(), sample["state"].as_str().unwrap())).collect();
    assert_eq!(states.len(), samples.len(), "{:?}", samples.iter().map(|s| text(s, "name")).collect::<Vec<_>>());
    states
}

/// Every file below a folder, markers and sheets included.
fn every_file(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(every_file(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// Nothing is silent: every file is part of a sample, or left out with a reason.
fn assert_every_file_is_told(document: &Value, folder: &Path) {
    let samples = document["samples"].as_array().unwrap().iter();
    let files = samples.flat_map(|sample| sample["files"].as_array().unwrap());
    let parts = files.flat_map(|file| file["parts"].as_array().unwrap());
    let left_out = document["left_out"].as_array().unwrap().iter().map(|left_out| {
        assert!(!left_out["reason"].as_str().unwrap().is_empty());
        &left_out["path"]
    });
    let mut told: Vec<PathBuf> = parts.chain(left_out).map(|path| path.as_str().unwrap().into()).collect();
    told.sort();
    assert_eq!(told, every_file(folder));
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_tree(&entry.path(), &to);
        } else {
            fs::write(to, fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}

/// One more read in each gzipped file, named after where it lies: the trees share their reads, and no two runs do.
fn give_each_run_reads_of_its_own(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            give_each_run_reads_of_its_own(&path);
        } else if path.extension().is_some_and(|extension| extension == "gz") {
            let file = fs::OpenOptions::new().append(true).open(&path).unwrap();
            let mut member = GzEncoder::new(file, Compression::default());
            writeln!(member, "@{}\nACGT\n+\nIIII", path.display()).unwrap();
            member.finish().unwrap();
        }
    }
}

/// The reads of a FASTQ file, gzipped or not, four lines each.
fn reads_of(path: &Path) -> Vec<String> {
    let mut text = String::new();
    let mut file = File::open(path).unwrap();
    match path.extension().is_some_and(|extension| extension == "gz") {
        true => MultiGzDecoder::new(file).read_to_string(&mut text).unwrap(),
        false => file.read_to_string(&mut text).unwrap(),
    };
    let lines: Vec<&str> = text.lines().collect();
    lines.chunks(4).map(|read| read.join("\n") + "\n").collect()
}

fn write_gzipped(path: &Path, reads: &[String]) {
    let mut gzip = GzEncoder::new(File::create(path).unwrap(), Compression::default());
    gzip.write_all(reads.concat().as_bytes()).unwrap();
    gzip.finish().unwrap().sync_all().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_six_paired_samples_goes_up_once_it_is_marked_and_only_then() {
    let Some(data) = shared_data("a run of six paired samples") else { return };
    let watch = "    run_folder: \"{date:[0-9]+}_{instrument}_{run_number:int}_{flow_cell}\"\n    \
                 complete_when: { marker: CopyComplete.txt }\n";
    let host = Host::new(MINE, watch).await;
    let run = host.runs().join(RUN);
    let fastq = run.join("Alignment_1/20220423_010101/Fastq");
    fs::create_dir_all(&fastq).unwrap();
    let mut disk = BTreeMap::new();
    let mates = [1, 2].map(|read| reads_of(&data.join(format!("fastq_illumina_seqkit/reads_{read}.fq.gz"))));
    assert_eq!([mates[0].len(), mates[1].len()], [2500, 2500]);
    for n in 0..6 {
        let paths = [1, 2].map(|read| fastq.join(format!("S{n}_S{n}_L001_R{read}_001.fastq.gz")));
        // A different share of the lane each: 100 reads, 200, and so on.
        let share = n * (n + 1) / 2 * 100..(n + 1) * (n + 2) / 2 * 100;
        for (path, reads) in paths.iter().zip(&mates) {
            write_gzipped(path, &reads[share.clone()]);
        }
        disk.insert(format!("{RUN}_S{n}"), on_disk(&paths));
    }
    fs::write(run.join("SampleSheet.csv"), "[Data]\nSample_ID\n").unwrap();
    fs::write(run.join("RTAComplete.txt"), "").unwrap();

    let (exit, document) = host.run_once().await;
    assert_eq!(exit, 0, "{document:#}");
    assert_eq!(document["counts"]["waiting"], 6);
    assert!(states(&document).values().all(|state| *state == "waiting"));
    assert_eq!(document["samples"][0]["reason"], "waiting for the marker CopyComplete.txt");
    assert_every_file_is_told(&document, &run);
    assert_eq!(host.chunks(), 0, "something was sent before the marker");

    fs::write(run.join("CopyComplete.txt"), "").unwrap();
    let (exit, document) = host.run_once().await;
    assert_eq!(exit, 0, "{document:#}");
    assert_eq!(document["counts"]["done"], 6, "{document:#}");
    assert_every_file_is_told(&document, &run);
    let there = host.samples();
    assert_eq!(there.keys().collect::<Vec<_>>(), disk.keys().collect::<Vec<_>>());
    for (name, disk) in &disk {
        let sample = &there[name];
        assert!(files(sample) == *disk, "{name}: the server has other files than the disk");
        assert_eq!(sample.sample_type, "RNA-Seq");
        assert_eq!(sample.organism.as_deref(), Some("Hs"));
        assert_eq!(sample.project.as_deref(), Some("788995297969977723"));
        let metadata = [("strandedness", "reverse"), ("comments", "000000000-K9H97 on M11111")];
        assert_eq!(sample.metadata, metadata.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    }
    for sample in document["samples"].as_array().unwrap() {
        assert_eq!(sample["sample_id"], there[sample["name"].as_str().unwrap()].id);
        assert_eq!(sample["sent"], sample["bytes"]);
        assert_eq!(sample["attempts"], 1);
    }

    let chunks = host.chunks();
    let (exit, again) = host.run_once().await;
    assert_eq!(exit, 0, "{again:#}");
    assert_eq!(again["samples"], document["samples"]);
    assert_eq!(host.chunks(), chunks, "something was sent again");
}

#[tokio::test(flavor = "multi_thread")]
async fn trees_of_three_instruments_go_up_and_a_missing_mate_is_named() {
    let Some(data) = shared_data("trees of three instruments") else { return };
    let manifest = r#"version: 1
rules:
  - name: paired
    match: "**/{sample}_S{sample_number:int}_L{lane:int}_R{read}_001.fastq.gz"
    paired: required
    sample: { name: "{run}_{sample}", type: Whole-genome, metadata: { comments: "{run}" } }
"#;
    let watch = "    run_folder: \"{instrument:word}\"\n    complete_when:\n      any:\n        \
                 - marker: CompletedJobInfo.xml\n        - all: [{ marker: CopyComplete.txt }, { marker: UploadList.csv }]\n";
    let host = Host::new(manifest, watch).await;
    for tree in ["miseq_run", "miniseq_run", "nextseq2k_run"] {
        copy_tree(&data.join("illumina_layouts_irida").join(tree), &host.runs().join(tree));
    }
    for tree in ["miniseq_missing_pair", "miniseq_no_completedjobinfo", "nextseq2k_no_copycomplete"] {
        copy_tree(&data.join("illumina_layouts_irida_edge").join(tree), &host.runs().join(tree));
    }
    give_each_run_reads_of_its_own(&host.runs());

    let (exit, document) = host.run_once().await;
    assert_eq!(exit, 1, "a blocked sample is a failure: {document:#}");
    assert_every_file_is_told(&document, &host.runs());
    let samples = ["01-1111", "02-2222", "03-3333"];
    let mut expected = BTreeMap::new();
    for (run, samples, state) in [
        ("miseq_run", samples, "done"),
        ("miniseq_run", samples, "done"),
        ("miniseq_missing_pair", samples, "done"),
        ("miniseq_no_completedjobinfo", samples, "waiting"),
        ("nextseq2k_run", ["01A100001", "01A100002", "01A100003"], "done"),
        ("nextseq2k_no_copycomplete", ["01A100001", "01A100002", "01A100003"], "waiting"),
    ] {
        expected.extend(samples.map(|sample| (format!("{run}_{sample}"), state)));
    }
    expected.insert("miniseq_missing_pair_03-3333".into(), "blocked");
    let found: BTreeMap<_, _> = states(&document).into_iter().map(|(name, state)| (name.to_owned(), state)).collect();
    assert_eq!(found, expected);
    let blocked = document["samples"].as_array().unwrap().iter().find(|sample| sample["state"] == "blocked").unwrap();
    assert_eq!(blocked["reason"], "reads2 is missing: the run is complete without it");

    let done: Vec<_> = expected.iter().filter(|(_, state)| **state == "done").map(|(name, _)| name).collect();
    let there = host.samples();
    assert_eq!(there.keys().collect::<Vec<_>>(), done);
    for sample in document["samples"].as_array().unwrap().iter().filter(|sample| sample["state"] == "done") {
        let parts = sample["files"].as_array().unwrap().iter().map(|file| file["parts"][0].as_str().unwrap().into());
        let stored = &there[sample["name"].as_str().unwrap()];
        assert!(files(stored) == on_disk(&parts.collect::<Vec<_>>()), "{}: other files", stored.name);
        assert_eq!(stored.files.len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nanopore_reads_single_reads_and_a_report_go_up_from_one_run() {
    let Some(data) = shared_data("nanopore reads, single reads and a report") else { return };
    let manifest = r#"version: 1
rules:
  - name: barcodes
    match: "fastq_pass/{barcode}/{flow_cell}_pass_{part:int}.fastq.gz"
    sample: { name: "{run}_{barcode}", type: Whole-genome, metadata: { comments: "{flow_cell}" } }
  - name: single
    match: "single/{sample}.{kind:fastq|fq}{gz:|[.]gz}"
    sample: { name: "{sample}", type: RNA-Seq }
  - name: report
    match: "Reports/{report}.csv"
    data: { filename: "{run}_{report}.csv", data_type: report }
"#;
    let watch = "    run_folder: \"{run_name}\"\n    complete_when: { marker: \"final_summary_*.txt\" }\n";
    let host = Host::new(manifest, watch).await;
    let run = host.runs().join("20261124_0900_MN1_FAX1");
    let barcode = run.join("fastq_pass/barcode01");
    for folder in [&barcode, &run.join("single"), &run.join("Reports")] {
        fs::create_dir_all(folder).unwrap();
    }
    // Ten parts and one more: as numbers, 10 comes after 9.
    let parts: Vec<PathBuf> = (0..11).map(|n| barcode.join(format!("FAX1_pass_{n}.fastq.gz"))).collect();
    for (n, part) in parts.iter().enumerate() {
        fs::copy(data.join(format!("ont_fastcat/bc{}.fastq.gz", n % 3)), part).unwrap();
    }
    let singles = [
        ("nanopore", data.join("fastq_nanopore_seqkit/nanopore.fq.gz")),
        ("MT007544", data.join("fastq_nanopore_artic/MT007544.fastq")),
        ("Illimina1.8", data.join("fastq_illumina_seqkit/Illimina1.8.fq.gz")),
    ];
    for (_, path) in &singles {
        fs::copy(path, run.join("single").join(path.file_name().unwrap())).unwrap();
    }
    let report = data.join("bclconvert_reports_multiqc/novaseq6000_bclconvert_3.6.3/Reports/Demultiplex_Stats.csv");
    fs::copy(&report, run.join("Reports/Demultiplex_Stats.csv")).unwrap();
    fs::copy(data.join("listings/final_summary_example.txt"), run.join("final_summary_FAX1.txt")).unwrap();

    let (exit, document) = host.run_once().await;
    assert_eq!(exit, 0, "{document:#}");
    assert_eq!(document["counts"]["done"], 5, "{document:#}");
    assert_every_file_is_told(&document, &run);
    let there = host.samples();
    assert_eq!(there.len(), 4);
    let joined: Vec<u8> = parts.iter().flat_map(|part| fs::read(part).unwrap()).collect();
    let name = "20261124_0900_MN1_FAX1_barcode01";
    assert!(files(&there[name]) == [(format!("{name}_R1.fastq.gz"), joined)], "the parts were not joined in order");
    assert_eq!(there[name].metadata["comments"], "FAX1");
    for (name, path) in singles {
        assert!(files(&there[name]) == on_disk(&[path]), "{name}: the server has other bytes than the disk");
    }
    let [stored] = &host.sandbox.data()[..] else { panic!("not one generic file") };
    assert_eq!(stored.filename, "20261124_0900_MN1_FAX1_Demultiplex_Stats.csv");
    assert_eq!(stored.data_type.as_deref(), Some("report"));
    assert_eq!(fs::read(&stored.path).unwrap(), fs::read(report).unwrap());
}
