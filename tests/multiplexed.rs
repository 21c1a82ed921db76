//! Multiplexed sets of a rule: pooled reads go up with their annotation sheet, the sheet first, and whatever happens on
//! the way there is one such set on Flow.

mod support;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use flow_ingest::sandbox::{Fault, Gate, On, Sandbox, StoredFile};
use flow_ingest::status::ChangeStatus;
use serde_json::{Value, json};
use support::{CHUNK, Facility, Setup, bytes, each_at_once, only, other_bytes, until};

const RUN: &str = "240115_A01234_0042_AHXXXXDSX7";
const SHEET: &str = "Sample Name,Sample Type,Organism,Barcode\nA,RNA-Seq,Hs,ACGT\n";
/// The second row lacks an organism.
const SUSPICIOUS: &str = "Sample Name,Sample Type,Organism,Barcode\nA,RNA-Seq,Hs,ACGT\nB,RNA-Seq,,CCGT\n";
/// The second row's sample type is none.
const BAD: &str = "Sample Name,Sample Type,Organism,Barcode\nA,RNA-Seq,Hs,ACGT\nB,typo,Hs,CCGT\n";
/// Of reads1 and reads2: a first, a middle and a last chunk.
const READS: [u64; 2] = [25_000, 24_321];

/// A watch with runs, and a rule for pools; `keys` stand beside the annotation's path.
async fn pools(annotation: &str, keys: &str, setup: Setup) -> Facility {
    let facility = Facility::with(setup, |_| {}).await;
    let config = fs::read_to_string(facility.path("flow-ingest.yaml")).unwrap();
    let run_folder =
        "    run_folder: \"{date}_{instrument}_{run_number}_{flow_cell}\"\n    complete_when: { marker: done }\n";
    fs::write(facility.path("flow-ingest.yaml"), config.replace("status:", &format!("{run_folder}status:"))).unwrap();
    let manifest = format!(
        "version: 1
rules:
  - name: pooled
    match: \"pooled/{{pool}}_R{{read}}_001.fastq.gz\"
    multiplexed: {{ annotation: \"{annotation}\"{keys} }}
"
    );
    fs::write(facility.path("manifest.yaml"), manifest).unwrap();
    fs::create_dir_all(facility.path("drop").join(RUN).join("pooled")).unwrap();
    facility
}

/// One pool in a complete run, with this sheet.
async fn pool(sheet: &str, keys: &str) -> Facility {
    let facility = pools("pooled/{pool}.csv", keys, impatient()).await;
    put_down(&facility, sheet);
    facility
}

fn put_down(facility: &Facility, sheet: &str) {
    reads(facility, "POOL1");
    write(facility, "pooled/POOL1.csv", sheet);
    write(facility, "done", "");
}

fn impatient() -> Setup {
    Setup { final_wait: "300ms", ..Setup::default() }
}

fn in_run(facility: &Facility, path: &str) -> PathBuf {
    facility.path("drop").join(RUN).join(path)
}

fn write(facility: &Facility, path: &str, content: impl AsRef<[u8]>) {
    fs::write(in_run(facility, path), content).unwrap();
}

fn reads(facility: &Facility, pool: &str) {
    for (n, size) in READS.iter().enumerate() {
        write(facility, &format!("pooled/{pool}_R{}_001.fastq.gz", n + 1), bytes(*size));
    }
}

async fn run_once(facility: &Facility) -> (Option<i32>, Value) {
    let output = facility.output(&["run", "--once", "--json", "--give-up-after", "20s"]).await;
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {words}"));
    (output.status.code(), document)
}

async fn text_of(facility: &Facility, arguments: &[&str]) -> String {
    String::from_utf8(facility.output(arguments).await.stdout).unwrap()
}

async fn document_of(facility: &Facility, arguments: &[&str]) -> Value {
    serde_json::from_str(&text_of(facility, arguments).await).unwrap()
}

/// The one set's state and reason.
fn told(document: &Value) -> (&str, &str) {
    let samples = document["samples"].as_array().unwrap();
    assert_eq!(samples.len(), 1, "{document:#}");
    (samples[0]["state"].as_str().unwrap(), samples[0]["reason"].as_str().unwrap_or_default())
}

fn names(files: &[StoredFile]) -> Vec<&str> {
    files.iter().map(|file| file.filename.as_str()).collect()
}

/// The chunks of reads that the server saw.
fn chunks_of_reads(facility: &Facility) -> usize {
    facility.chunks().iter().filter(|chunk| chunk.path == "/upload/multiplexed").count()
}

/// One sheet and both reads are on Flow, and nothing else, byte for byte what they are on disk.
#[track_caller]
fn check_one_set(facility: &Facility) {
    let sheets = facility.sandbox.annotations();
    assert_eq!(names(&sheets), ["POOL1.csv"]);
    check_bytes(facility, &sheets);
    check_reads(facility);
}

#[track_caller]
fn check_bytes(facility: &Facility, files: &[StoredFile]) {
    for stored in files {
        let on_disk = fs::read(in_run(facility, &format!("pooled/{}", stored.filename))).unwrap();
        assert!(fs::read(&stored.path).unwrap() == on_disk, "{} is not what it is on disk", stored.filename);
    }
}

/// Both reads are on Flow, once, and the second name the first.
#[track_caller]
fn check_reads(facility: &Facility) {
    let reads = facility.sandbox.multiplexed();
    assert_eq!(names(&reads), ["POOL1_R1_001.fastq.gz", "POOL1_R2_001.fastq.gz"]);
    check_bytes(facility, &reads);
    let chunks = facility.chunks();
    let named = chunks.iter().filter(|chunk| chunk.field("filename") == Some("POOL1_R2_001.fastq.gz"));
    assert!(named.clone().count() > 0);
    assert!(named.into_iter().all(|chunk| chunk.all("reads1") == [reads[0].id.as_str()]), "{chunks:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_goes_up_with_its_sheet_in_front() {
    let facility = pools("pooled/{pool}.xlsx", "", Setup::default()).await;
    reads(&facility, "POOL1");
    let waiting = document_of(&facility, &["plan", "--json"]).await;
    let (state, reason) = told(&waiting);
    assert_eq!(state, "waiting");
    assert!(reason.contains("waiting for the annotation pooled/POOL1.xlsx"), "{reason}");

    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let template = client.get(format!("{}/annotation/generic", facility.sandbox.base_url())).send().await.unwrap();
    write(&facility, "pooled/POOL1.xlsx", template.bytes().await.unwrap());
    write(&facility, "done", "");
    let planned = document_of(&facility, &["plan", "--json"]).await;
    let set = &planned["samples"][0];
    assert_eq!((&set["kind"], &set["state"], &set["name"]), (&json!("multiplexed"), &json!("queued"), &json!("POOL1")));
    let paths: Vec<_> = planned["left_out"].as_array().unwrap().iter().map(|left_out| &left_out["path"]).collect();
    assert!(paths.len() == 1 && paths[0].as_str().unwrap().ends_with("done"), "{paths:?}");

    let (code, document) = run_once(&facility).await;
    let set = &document["samples"][0];
    assert_eq!((code, &set["state"], &set["kind"]), (Some(0), &json!("done"), &json!("multiplexed")), "{document:#}");
    let slots: Vec<_> = set["files"].as_array().unwrap().iter().map(|file| file["slot"].as_str().unwrap()).collect();
    assert_eq!(slots, ["annotation", "reads1", "reads2"]);
    assert_eq!((facility.sandbox.annotations().len(), facility.sandbox.multiplexed().len()), (1, 2));
    let paths: Vec<_> = facility.chunks().into_iter().map(|chunk| chunk.path).collect();
    let sheets = paths.iter().filter(|path| *path == "/upload/annotation").count();
    assert!(paths[..sheets].iter().all(|path| path == "/upload/annotation") && paths.len() > sheets, "{paths:?}");

    let report = document_of(&facility, &["report", "--format", "json"]).await;
    assert_eq!((&report["samples"][0]["kind"], report["samples"][0].get("warnings")), (&json!("multiplexed"), None));
    let status = text_of(&facility, &["status"]).await;
    for stored in facility.sandbox.multiplexed() {
        assert!(status.contains(&stored.id), "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_without_its_sheet_is_blocked_and_goes_on_when_it_comes() {
    let facility = pools("pooled/{pool}.csv", "", impatient()).await;
    reads(&facility, "POOL1");
    write(&facility, "done", "");
    let (code, document) = run_once(&facility).await;
    let missing = "the annotation pooled/POOL1.csv is missing: the run is complete without it";
    assert_eq!((code, told(&document)), (Some(1), ("blocked", missing)));
    assert!(facility.chunks().is_empty());
    write(&facility, "pooled/POOL1.csv", SHEET);
    let (code, document) = run_once(&facility).await;
    assert_eq!((code, told(&document).0), (Some(0), "done"), "{document:#}");
    check_one_set(&facility);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sheet_that_flow_refuses_costs_no_upload_and_a_corrected_one_goes_up() {
    let facility = pool(BAD, "").await;
    let (code, document) = run_once(&facility).await;
    let (state, reason) = told(&document);
    assert_eq!((code, state), (Some(1), "blocked"), "{document:#}");
    assert!(reason.contains("The sample type is not known") && reason.contains('3'), "{reason}");
    assert_eq!((chunks_of_reads(&facility), facility.sandbox.annotations().len()), (0, 0));
    write(&facility, "pooled/POOL1.csv", SHEET);
    let (code, document) = run_once(&facility).await;
    assert_eq!((code, told(&document).0), (Some(0), "done"), "{document:#}");
    check_one_set(&facility);
}

#[tokio::test(flavor = "multi_thread")]
async fn warnings_are_kept_and_told_wherever_the_set_is() {
    let facility = pool(SUSPICIOUS, "").await;
    let (code, document) = run_once(&facility).await;
    assert_eq!((code, told(&document).0), (Some(0), "done"), "{document:#}");
    check_one_set(&facility);
    let warnings = json!([{"row": 3, "message": "No organism is given"}]);
    assert_eq!(document["samples"][0]["warnings"], warnings);
    let status = document_of(&facility, &["status", "--json"]).await;
    assert_eq!(status["samples"][0]["warnings"], warnings);
    let text = text_of(&facility, &["status"]).await;
    assert!(text.contains("Flow warned: row 3: No organism is given"), "{text}");
    let report = document_of(&facility, &["report", "--format", "json"]).await;
    assert_eq!(report["samples"][0]["warnings"], warnings);
    let receipts = fs::read_to_string(facility.path("state/receipts.jsonl")).unwrap();
    let done: Value = serde_json::from_str(receipts.lines().last().unwrap()).unwrap();
    assert_eq!((&done["event"], &done["sent"]["warnings"]), (&json!("done"), &warnings));
}

#[tokio::test(flavor = "multi_thread")]
async fn warnings_block_where_the_rule_does_not_ignore_them() {
    let facility = pool(SUSPICIOUS, ", ignore_warnings: false").await;
    let (code, document) = run_once(&facility).await;
    let (state, reason) = told(&document);
    assert_eq!((code, state), (Some(1), "blocked"), "{document:#}");
    assert!(reason.contains("No organism is given"), "{reason}");
    assert_eq!((chunks_of_reads(&facility), facility.sandbox.annotations().len()), (0, 0));
}

/// The sheet that counts is the one that lies there at the end, and no reads are sent twice for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_sheet_that_changes_on_the_way_puts_the_set_back() {
    let cases = [1, 2].map(|read| (format!("during reads{read}"), read)).to_vec();
    each_at_once(2, cases, |read| async move {
        let facility = pool(SHEET, "").await;
        let on_its_way = Fault::on(On::MiddleChunk).of_file(format!("POOL1_R{read}_001.fastq.gz"));
        let gate = Gate::new();
        facility.sandbox.faults().add(on_its_way.delay_after(Duration::ZERO).until(&gate).times(1));
        let changed = SHEET.replace("ACGT", "TTTT");
        let change = async {
            until("the reads are on their way", || facility.sandbox.faults().fired() == 1).await;
            write(&facility, "pooled/POOL1.csv", &changed);
            gate.open();
        };
        let (ended, ()) = tokio::join!(facility.once(), change);
        assert_eq!(only(&ended.snapshot).state, "done", "{ended:#?}");
        let sheets = facility.sandbox.annotations();
        let last = sheets.last().unwrap();
        assert_eq!((sheets.len(), fs::read_to_string(&last.path).unwrap()), (2, changed));
        check_reads(&facility);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sheet_that_changes_after_the_upload_is_held() {
    let facility = pool(SHEET, "").await;
    assert_eq!(only(&facility.once().await.snapshot).state, "done");
    write(&facility, "pooled/POOL1.csv", SHEET.replace("ACGT", "TTTT"));
    let held = facility.serve_until("it is held", |snapshot| snapshot.count("held") == 1).await;
    let set = only(&held);
    let [ChangeStatus::File { path, .. }] = set.changes.as_slice() else { panic!("{set:#?}") };
    assert!(set.changed && path.ends_with("POOL1.csv"), "{set:#?}");
    check_sent_once(&facility);
}

fn check_sent_once(facility: &Facility) {
    assert_eq!((facility.sandbox.annotations().len(), facility.sandbox.multiplexed().len()), (1, 2));
}

/// Whether the work on a request is done, as far as the sandbox shows it.
type IsDone = fn(&Sandbox) -> bool;

fn has_begun(sandbox: &Sandbox, read: usize) -> bool {
    let filename = format!("POOL1_R{read}_001.fastq.gz");
    sandbox.unfinished().iter().any(|file| file.filename == filename && file.size == CHUNK)
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_point_it_goes_on_from_there() {
    let sheet = || On::post("/upload/annotation");
    let reads = || On::post("/upload/multiplexed");
    // The sheet has warnings, so that it is sent a second time.
    let points: [(&str, On, usize, IsDone); 9] = [
        ("the sheet's first chunk", sheet(), 3, |flow| flow.unfinished().len() == 2),
        ("the sheet's last chunk", sheet(), 4, |flow| flow.annotations().len() == 1),
        ("the lookup of the sheet", On::DataLookup, 1, |_| true),
        ("the first chunk of reads1", reads(), 1, |flow| has_begun(flow, 1)),
        ("the last chunk of reads1", reads(), 3, |flow| flow.multiplexed().len() == 1),
        ("the lookup of reads1", On::DataLookup, 2, |_| true),
        ("the first chunk of reads2", reads(), 4, |flow| has_begun(flow, 2)),
        ("the last chunk of reads2", reads(), 6, |flow| flow.multiplexed().len() == 2),
        ("the last lookup", On::DataLookup, 4, |_| true),
    ];
    let mut cases = Vec::new();
    for works_later in [true, false] {
        for (name, on, nth, is_done) in points.clone() {
            let when = if works_later { "before" } else { "after" };
            cases.push((format!("{when} {name}"), (on, nth, is_done, works_later)));
        }
    }
    each_at_once(10, cases, |(on, nth, is_done, works_later)| async move {
        // Work that goes on is waited for.
        let setup = Setup { final_wait: "10s", ..Setup::default() };
        let (facility, gate) = (pools("pooled/{pool}.csv", "", setup).await, Gate::new());
        put_down(&facility, SUSPICIOUS);
        let fault = Fault::on(on).nth(nth);
        let fault = if works_later { fault.delay(Duration::ZERO) } else { fault.delay_after(Duration::ZERO) };
        facility.sandbox.faults().add(fault.until(&gate));
        let process = facility.start(&["run"]);
        let has_come = || facility.sandbox.faults().fired() == 1 && (works_later || is_done(&facility.sandbox));
        until("the point", has_come).await;
        process.kill();
        let asked = facility.sandbox.requests().len();
        let mut process = facility.start(&["run", "--once"]);
        if works_later {
            facility.next_one_works(asked).await;
            gate.open();
        }
        assert_eq!(process.ended().await.code(), Some(0), "{}", facility.log());
        check_one_set(&facility);
        let status = document_of(&facility, &["status", "--json"]).await;
        assert_eq!(status["samples"][0]["warnings"][0]["row"], 3, "{status:#}");
    })
    .await;
}

/// Nobody heard what Flow said of the sheet: it is asked whether the sheet is there, and where it is not, the sheet is
/// begun anew, so that a refusal is heard the next time.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_to_the_sheet_loses_neither_the_sheet_nor_what_is_wrong_with_it() {
    let cases = [
        ("accepted", SHEET, None),
        ("with warnings", SUSPICIOUS, None),
        ("refused", BAD, Some("The sample type is not known")),
    ];
    let cases = cases.map(|(name, sheet, words)| (name.to_owned(), (sheet, words))).to_vec();
    each_at_once(3, cases, |(sheet, words)| async move {
        let facility = pool(sheet, "").await;
        let lost = Fault::on(On::LastChunk).of_file("POOL1.csv").drop_after();
        facility.sandbox.faults().add(lost.times(1));
        let ended = facility.once().await;
        let set = only(&ended.snapshot);
        assert_eq!(facility.sandbox.faults().fired(), 1);
        match words {
            None => {
                assert_eq!(set.state, "done", "{set:#?}");
                assert_eq!(set.warnings.is_some(), sheet == SUSPICIOUS);
                check_one_set(&facility);
            }
            Some(words) => {
                assert!(set.state == "blocked" && set.reason.as_deref().unwrap().contains(words), "{set:#?}");
                assert_eq!((chunks_of_reads(&facility), facility.sandbox.annotations().len()), (0, 0));
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_lost_on_the_way_make_no_second_set() {
    let mut cases = Vec::new();
    for (name, on) in [("first", On::FirstChunk), ("middle", On::MiddleChunk), ("last", On::LastChunk)] {
        for file in ["POOL1.csv", "POOL1_R1_001.fastq.gz", "POOL1_R2_001.fastq.gz"] {
            if (name, file) != ("middle", "POOL1.csv") {
                cases.push((format!("the {name} chunk of {file}"), (on.clone(), file)));
            }
        }
    }
    each_at_once(8, cases, |(on, file)| async move {
        let facility = pools("pooled/{pool}.csv", "", Setup::default()).await;
        put_down(&facility, SHEET);
        facility.sandbox.faults().add(Fault::on(on).of_file(file).drop_after().times(1));
        let ended = facility.once().await;
        assert_eq!(only(&ended.snapshot).state, "done", "{ended:#?}");
        check_one_set(&facility);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_is_on_flow_is_found_by_its_reads_when_the_state_is_lost() {
    let facility = pool(SHEET, "").await;
    assert_eq!(only(&facility.once().await.snapshot).state, "done");
    fs::remove_dir_all(facility.path("state")).unwrap();
    let found = facility.once().await;
    let set = only(&found.snapshot);
    assert_eq!((set.state.as_str(), set.adopted, set.files[0].data_id.as_deref()), ("done", true, None), "{set:#?}");
    let ids: Vec<_> = set.files[1..].iter().map(|file| file.data_id.clone().unwrap()).collect();
    let stored = facility.sandbox.multiplexed();
    assert_eq!(ids, stored.iter().map(|file| file.id.clone()).collect::<Vec<_>>());
    check_one_set(&facility);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_was_begun_goes_on_from_its_first_reads_when_the_state_is_lost() {
    let facility = pool(SHEET, "").await;
    let second = Fault::on(On::FirstChunk).of_file("POOL1_R2_001.fastq.gz").drop_before();
    facility.sandbox.faults().add(second);
    let is_half = || facility.sandbox.faults().fired() > 0 && facility.sandbox.multiplexed().len() == 1;
    facility.cut_off_when("the first reads are there", is_half).await;
    facility.sandbox.faults().clear();
    // Once the one that was cut off has let go of it.
    drop(facility.agent().await);
    fs::remove_dir_all(facility.path("state")).unwrap();
    let ended = facility.once().await;
    let set = only(&ended.snapshot);
    assert_eq!((set.state.as_str(), set.adopted), ("done", false), "{set:#?}");
    let ids: Vec<_> = set.files[1..].iter().map(|file| file.data_id.clone().unwrap()).collect();
    assert_eq!(ids, facility.sandbox.multiplexed().iter().map(|file| file.id.clone()).collect::<Vec<_>>());
    assert!(set.files.iter().all(|file| file.sha256.is_some()), "{set:#?}");
    check_reads(&facility);
}

#[tokio::test(flavor = "multi_thread")]
async fn pools_that_share_a_sheet_are_two_sets() {
    let facility = pools("pooled/all.csv", "", impatient()).await;
    reads(&facility, "POOL1");
    write(&facility, "pooled/POOL2_R1_001.fastq.gz", other_bytes(READS[0]));
    write(&facility, "pooled/all.csv", SHEET);
    write(&facility, "done", "");
    for _ in 0..2 {
        let ended = facility.once().await;
        assert_eq!(ended.snapshot.count("done"), 2, "{ended:#?}");
        assert!(ended.snapshot.left_out.iter().all(|left_out| !left_out.path.ends_with("all.csv")), "{ended:#?}");
    }
    assert_eq!((facility.sandbox.annotations().len(), facility.sandbox.multiplexed().len()), (2, 3));
}
