//! What a sample sheet declares is compared with the disk, through the real program: who has no reads is named and holds up
//! nobody else, and what does not come in time is told.

mod support;

use std::fs;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use support::{Facility, Process, Setup, bytes, until};

const RUN: &str = "240115_A01234_0042_AHXXXXDSX7";

const SHEET: &str = "[Header]\nInvestigator,Ada\n[Data]\nSample_ID,Sample_Project\na,P1\nb,P1\nc,P2\n";

/// A facility whose watch has runs and `watch` beside, and a rule with a sheet and `rule` beside.
async fn lab(rule: &str, watch: &str) -> Facility {
    let facility = Facility::with(Setup { settle: "200ms", ..Setup::default() }, |_| {}).await;
    let config = fs::read_to_string(facility.path("flow-ingest.yaml")).unwrap();
    let watch = format!(
        "    run_folder: \"{{date}}_{{instrument}}_{{run_number}}_{{flow_cell}}\"\n    complete_when: {{ marker: done }}\n    \
         poll: 1s\n{watch}"
    );
    fs::write(facility.path("flow-ingest.yaml"), config.replace("status:", &format!("{watch}status:"))).unwrap();
    let manifest = format!(
        "version: 1\nrules:\n  - name: lab\n    match: \"{{sample}}_S{{sample_number:int}}_R{{read}}_001.fastq.gz\"\n    \
         sheet: {{}}\n{rule}    sample: {{ name: \"{{run}}_{{sample}}\", type: RNA-Seq }}\n"
    );
    fs::write(facility.path("manifest.yaml"), manifest).unwrap();
    fs::create_dir(run(&facility)).unwrap();
    write(&facility, "SampleSheet.csv", SHEET);
    facility
}

fn run(facility: &Facility) -> PathBuf {
    facility.path("drop").join(RUN)
}

fn write(facility: &Facility, path: &str, content: impl AsRef<[u8]>) {
    fs::write(run(facility).join(path), content).unwrap();
}

/// Both reads of a sample.
fn reads(facility: &Facility, sample: &str) {
    for read in [1, 2] {
        let size = 1000 + u64::from(sample.as_bytes()[0]) * 10 + read;
        write(facility, &format!("{sample}_S1_R{read}_001.fastq.gz"), bytes(size));
    }
}

async fn document(facility: &Facility, arguments: &[&str]) -> (Option<i32>, Value) {
    let output = facility.output(arguments).await;
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {words}"));
    (output.status.code(), document)
}

async fn run_once(facility: &Facility) -> (Option<i32>, Value) {
    document(facility, &["run", "--once", "--json", "--give-up-after", "20s"]).await
}

/// Each sample's name without its run, its state, whether it has files, and its reason.
fn told(document: &Value) -> Vec<String> {
    let samples = document["samples"].as_array().unwrap().iter();
    let told = samples.map(|sample| {
        let name = sample["name"].as_str().unwrap().strip_prefix(&format!("{RUN}_")).unwrap();
        let files = if sample["files"].as_array().unwrap().is_empty() { " without files" } else { "" };
        let reason = sample["reason"].as_str().map(|reason| format!(": {reason}")).unwrap_or_default();
        format!("{name} {}{files}{reason}", sample["state"].as_str().unwrap())
    });
    told.collect()
}

fn on_flow(facility: &Facility) -> Vec<String> {
    let mut names: Vec<String> = facility.sandbox.samples().into_iter().map(|sample| sample.name).collect();
    names.sort();
    names.into_iter().map(|name| name.strip_prefix(&format!("{RUN}_")).unwrap().to_owned()).collect()
}

/// What the running service says now.
fn status(facility: &Facility) -> Value {
    let output = facility.command(&["status", "--json"]).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

async fn serves_until(facility: &Facility, what: &str, is_so: impl Fn(&Value) -> bool) {
    until(what, || {
        let document = status(facility);
        document["agent"]["state"] == "running" && is_so(&document)
    })
    .await;
}

/// Kind, sample and text of what is overdue, gone or empty.
fn conditions(document: &Value) -> Vec<String> {
    let conditions = document["conditions"].as_array().unwrap().iter();
    let told = conditions.map(|condition| {
        assert_eq!(condition["watch"], "drop");
        let since: jiff::Timestamp = condition["since"].as_str().unwrap().parse().unwrap();
        assert!(since <= jiff::Timestamp::now());
        let [kind, name] = ["kind", "name"].map(|key| condition[key].as_str().unwrap_or("-"));
        format!("{kind} {name}: {}", condition["text"].as_str().unwrap())
    });
    told.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_reads_is_named_and_holds_up_nobody() {
    let facility = lab("", "").await;
    reads(&facility, "a");
    let lacking = "waiting: 2 of 3 samples of SampleSheet.csv have no reads; waiting for the marker done";
    let absent = |line: u8| {
        format!("waiting without files: no reads yet (SampleSheet.csv, line {line}); waiting for the marker done")
    };
    let expected = [format!("a {lacking}"), format!("b {}", absent(6)), format!("c {}", absent(7))];
    let (exit, plan) = document(&facility, &["plan", "--json"]).await;
    assert_eq!((exit, told(&plan)), (Some(0), expected.to_vec()));
    let (exit, once) = run_once(&facility).await;
    assert_eq!((exit, told(&once)), (Some(0), expected.to_vec()));

    write(&facility, "done", "");
    let skipped = "skipped without files: no reads (SampleSheet.csv, line";
    let expected = [
        "a done".to_owned(),
        format!("b {skipped} 6), and the run is complete"),
        format!("c {skipped} 7), and the run is complete"),
    ];
    let (exit, once) = run_once(&facility).await;
    assert_eq!((exit, told(&once)), (Some(0), expected.to_vec()));
    assert_eq!(on_flow(&facility), ["a"]);
    assert_eq!(once["counts"]["skipped"], 2);
    let ids: Vec<Value> = once["samples"].as_array().unwrap().iter().map(|sample| sample["id"].clone()).collect();

    // Something of the run was sent, and still its reads are no news: the marker had overtaken them.
    reads(&facility, "b");
    let (exit, once) = run_once(&facility).await;
    assert_eq!((exit, told(&once)[1].as_str()), (Some(0), "b done"));
    assert_eq!(once["samples"][1]["id"], ids[1], "it is the same sample");
    assert_eq!(on_flow(&facility), ["a", "b"]);

    // What nobody spoke of before is.
    reads(&facility, "d");
    write(&facility, "SampleSheet.csv", format!("{SHEET}d,P1\n"));
    let (_, once) = run_once(&facility).await;
    let late = told(&once);
    assert!(late[3].starts_with("d held: it is new in a run of which 2 samples had been sent before"), "{late:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_that_come_before_anything_was_sent_go_on_by_themselves() {
    let facility = lab("    no_reads: block\n", "").await;
    write(&facility, "done", "");
    let (exit, once) = run_once(&facility).await;
    let blocked = told(&once);
    assert_eq!(exit, Some(1), "{blocked:?}");
    let expected =
        "a blocked without files: no reads (SampleSheet.csv, line 5), and the run is complete; once they are there";
    assert!(blocked.len() == 3 && blocked[0].starts_with(expected), "{blocked:?}");
    let id = once["samples"][2]["id"].as_str().unwrap().to_owned();
    assert!(facility.output(&["skip", &id, "--reason", "failed in the lab"]).await.status.success());
    assert!(!facility.output(&["retry", once["samples"][0]["id"].as_str().unwrap()]).await.status.success());

    reads(&facility, "a");
    reads(&facility, "b");
    let (exit, once) = run_once(&facility).await;
    let done = told(&once);
    assert_eq!((exit, &done[..2]), (Some(0), &["a done".to_owned(), "b done".to_owned()][..]), "{done:?}");
    assert!(done[2].starts_with("c skipped without files: skipped by "), "{done:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_sheet_no_longer_declares_is_forgotten() {
    let facility = lab("", "").await;
    reads(&facility, "a");
    let (_, once) = run_once(&facility).await;
    assert_eq!(told(&once).len(), 3);
    write(&facility, "SampleSheet.csv", SHEET.replace("b,P1\n", ""));
    write(&facility, "done", "");
    let skipped = "c skipped without files: no reads (SampleSheet.csv, line 6), and the run is complete";
    let expected = (Some(0), vec!["a done".to_owned(), skipped.to_owned()]);
    let (exit, once) = run_once(&facility).await;
    assert_eq!((exit, told(&once)), expected);

    // The run is cleared, and the lab writes a sheet that names its samples in another way.
    for read in [1, 2] {
        fs::remove_file(run(&facility).join(format!("a_S1_R{read}_001.fastq.gz"))).unwrap();
    }
    let (exit, once) = run_once(&facility).await;
    assert_eq!((exit, told(&once)), expected);
    write(&facility, "SampleSheet.csv", "[Data]\nSample_ID,Sample_Name\n1,a\n3,c\n");
    let (exit, once) = run_once(&facility).await;
    assert_eq!((exit, told(&once)), (Some(0), vec!["a done".to_owned()]), "what was sent is not missed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_fastq_is_no_sample_until_it_is_written_again() {
    let facility = lab("", "    no_reads: block\n").await;
    let blank = GzEncoder::new(Vec::new(), Compression::default()).finish().unwrap();
    reads(&facility, "a");
    for read in [1, 2] {
        write(&facility, &format!("b_S2_R{read}_001.fastq.gz"), &blank);
    }
    reads(&facility, "c");
    write(&facility, "c_S1_R2_001.fastq.gz", &blank);
    write(&facility, "done", "");
    let (exit, once) = run_once(&facility).await;
    let expected = [
        "a done",
        "b blocked: no reads: b_S2_R1_001.fastq.gz and b_S2_R2_001.fastq.gz are empty; once they are there it goes on, or \
         leave it: flow-ingest skip",
        "c blocked: c_S1_R1_001.fastq.gz has reads and c_S1_R2_001.fastq.gz has none: mates must have the same reads; write \
         both again",
    ];
    assert_eq!((exit, told(&once)), (Some(1), expected.map(str::to_owned).to_vec()));

    let config = fs::read_to_string(facility.path("flow-ingest.yaml")).unwrap();
    fs::write(facility.path("flow-ingest.yaml"), config.replace("no_reads: block", "no_reads: skip")).unwrap();
    reads(&facility, "c");
    let (exit, once) = run_once(&facility).await;
    let skipped = "b skipped: no reads: b_S2_R1_001.fastq.gz and b_S2_R2_001.fastq.gz are empty";
    assert_eq!((exit, told(&once)), (Some(0), ["a done", skipped, "c done"].map(str::to_owned).to_vec()));
    for read in [1, 2] {
        write(&facility, &format!("b_S2_R{read}_001.fastq.gz"), bytes(2000 + read));
    }
    let (_, once) = run_once(&facility).await;
    assert_eq!(told(&once), ["a done", "b done", "c done"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_come_in_time_is_told_until_it_comes() {
    let facility = lab("", "    expect: { within: 1s }\n").await;
    reads(&facility, "a");
    let service: Process = facility.start(&["run"]);
    serves_until(&facility, "all is overdue", |document| conditions(document).len() == 3).await;
    let document = status(&facility);
    let late = "waiting for the marker done";
    let sample = |name: &str, line: u8| {
        format!(
            "sample_overdue {RUN}_{name}: nothing of {RUN}_{name} has come in the 1s since the run was first seen: no reads \
             yet (SampleSheet.csv, line {line}); {late}"
        )
    };
    let run = format!("run_overdue -: nothing has changed for 1s, and the run is not complete: {late}");
    assert_eq!(conditions(&document), [sample("b", 6), sample("c", 7), run.clone()]);
    let (_, plan) = self::document(&facility, &["plan", "--json"]).await;
    assert_eq!(plan["conditions"], document["conditions"], "as the service has it");
    assert!(document["conditions"].as_array().unwrap().iter().all(|condition| condition["run"] == RUN));
    assert_eq!(document["counts"]["waiting"], 3, "no state is changed");
    let table = String::from_utf8(facility.command(&["status"]).output().unwrap().stdout).unwrap();
    assert!(table.contains(&format!("\noverdue, gone or empty:\n  watch drop, run {RUN}: nothing of ")), "{table}");

    // Files of one come: it is no longer overdue, and neither is the run for a second.
    reads(&facility, "b");
    serves_until(&facility, "one has come", |document| {
        let now = conditions(document);
        now.len() == 2 && now[0] == sample("c", 7) && now[1] == run
    })
    .await;
    write(&facility, "done", "");
    serves_until(&facility, "it is over", |document| {
        conditions(document).is_empty() && document["counts"]["done"] == 2
    })
    .await;
    service.kill();
    let log = facility.log();
    for (words, times) in [("nothing of", 2), ("nothing has changed", 2), ("no longer overdue", 4)] {
        assert!(log.matches(words).count() >= times, "{words:?} in {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_that_is_gone_or_suddenly_empty_is_a_condition_until_it_is_back() {
    let facility = lab("", "").await;
    reads(&facility, "a");
    let service: Process = facility.start(&["run"]);
    serves_until(&facility, "the run is seen", |document| document["counts"]["waiting"] == 3).await;
    assert_eq!(conditions(&status(&facility)), Vec::<String>::new());
    let (share, away) = (facility.path("drop"), facility.path("away"));
    fs::rename(&share, &away).unwrap();
    serves_until(&facility, "the share is gone", |document| {
        conditions(document).iter().any(|told| told.starts_with("watch_gone -: cannot watch "))
    })
    .await;
    // Mounted anew, without its files.
    fs::create_dir(&share).unwrap();
    let empty = format!("watch_empty -: {} is empty, and had files before", share.display());
    serves_until(&facility, "the share is empty", |document| {
        conditions(document).iter().any(|told| told.starts_with(&empty))
    })
    .await;
    fs::remove_dir(&share).unwrap();
    fs::rename(&away, &share).unwrap();
    serves_until(&facility, "all is well", |document| {
        conditions(document).is_empty() && document["counts"]["waiting"] == 3
    })
    .await;
    service.kill();
    assert_eq!(facility.log().matches("no longer overdue, gone or empty").count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_tells_what_is_overdue_gone_or_empty_by_what_was_seen_before() {
    let facility = lab("", "    expect: { within: 1s }\n").await;
    reads(&facility, "a");
    let plan = async || document(&facility, &["plan", "--json"]).await.1;
    assert_eq!(conditions(&plan().await), Vec::<String>::new(), "nothing was seen before");
    let (_, once) = run_once(&facility).await;
    until("all is overdue", || {
        let plan = facility.command(&["plan", "--json"]).output().unwrap();
        conditions(&serde_json::from_slice(&plan.stdout).unwrap()).len() == 3
    })
    .await;
    let late = conditions(&plan().await);
    assert!(
        late[0].starts_with(&format!("sample_overdue {RUN}_b: nothing of {RUN}_b has come in the 1s since")),
        "{late:?}"
    );
    assert!(late[2].starts_with("run_overdue -: nothing has changed for 1s, and the run is not complete"), "{late:?}");
    let id = once["samples"][1]["id"].as_str().unwrap();
    assert!(facility.output(&["skip", id]).await.status.success());
    assert_eq!(conditions(&plan().await), late[1..], "a person knows of it");

    let (share, away) = (facility.path("drop"), facility.path("away"));
    fs::rename(&share, &away).unwrap();
    let gone = conditions(&plan().await);
    assert!(gone.len() == 1 && gone[0].starts_with("watch_gone -: cannot watch "), "{gone:?}");
    fs::create_dir(&share).unwrap();
    let empty = conditions(&plan().await);
    assert!(empty.len() == 1 && empty[0].starts_with("watch_empty -: "), "{empty:?}");
    // The state folder alone says nothing of it.
    assert_eq!(conditions(&document(&facility, &["status", "--json"]).await.1), Vec::<String>::new());
}
