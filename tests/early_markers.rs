//! Markers that are there before the files of which they speak, as on a share that is mirrored file by file: what comes
//! behind them is not torn apart.

mod support;

use std::fs;

use serde_json::Value;
use support::{Facility, Setup, bytes};

const RUN: &str = "240115_A01234_0042_AHXXXXDSX7";

async fn facility() -> Facility {
    facility_that_settles_in("200ms").await
}

/// Where a test must do something before ten settle times are over, they must be long enough for a slow machine.
async fn facility_that_settles_in(settle: &'static str) -> Facility {
    let facility = Facility::with(Setup { settle, ..Setup::default() }, |_| {}).await;
    let config = fs::read_to_string(facility.path("flow-ingest.yaml")).unwrap();
    let watch =
        "    run_folder: \"{date}_{instrument}_{run_number}_{flow_cell}\"\n    complete_when: { marker: done }\n";
    fs::write(facility.path("flow-ingest.yaml"), config.replace("status:", &format!("{watch}status:"))).unwrap();
    let manifest = "version: 1\nrules:\n  - name: all\n    match: \"{sample}_R{read}.fastq.gz\"\n    \
                    sample: { name: \"{sample}\", type: RNA-Seq }\n";
    fs::write(facility.path("manifest.yaml"), manifest).unwrap();
    fs::create_dir(facility.path("drop").join(RUN)).unwrap();
    facility
}

fn write(facility: &Facility, name: &str, content: &[u8]) {
    fs::write(facility.path("drop").join(RUN).join(name), content).unwrap();
}

/// A rule that joins lanes, and the sheet that tells of them.
fn declare_lanes(facility: &Facility, sheet: &[u8]) {
    let manifest = "version: 1\nrules:\n  - name: all\n    match: \"{sample}_L{lane:int}.fastq.gz\"\n    sheet: {}\n    \
                    sample: { name: \"{sample}\", type: RNA-Seq }\n";
    fs::write(facility.path("manifest.yaml"), manifest).unwrap();
    write(facility, "SampleSheet.csv", sheet);
}

fn write_lanes(facility: &Facility, lanes: &[(&str, u64)]) {
    for (name, size) in lanes {
        write(facility, &format!("{name}.fastq.gz"), &bytes(*size));
    }
}

fn sample<'d>(document: &'d Value, name: &str) -> Option<&'d Value> {
    document["samples"].as_array()?.iter().find(|sample| sample["name"] == name)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mate_and_a_sample_that_come_long_after_the_marker_are_taken_with_the_rest_and_what_is_later_is_held() {
    let facility = facility_that_settles_in("1s").await;
    let service = facility.serve().await;
    write(&facility, "done", b"");
    facility.status_until("the run is seen", |document| !document["left_out"].as_array().unwrap().is_empty()).await;

    write(&facility, "a_R1.fastq.gz", &bytes(1001));
    let waits = facility.status_until("one read has settled", |document| {
        sample(document, "a").is_some_and(|a| a["reason"].as_str().is_some_and(|reason| reason.contains("came after")))
    });
    let reason = sample(&waits.await, "a").unwrap()["reason"].as_str().unwrap().to_owned();
    let said = "a_R1.fastq.gz came after the marker: waiting until nothing more has come for 10s; marker done present";
    assert!(reason.starts_with(said), "{reason}");
    write(&facility, "a_R2.fastq.gz", &bytes(1002));
    write(&facility, "b_R1.fastq.gz", &bytes(2001));
    write(&facility, "b_R2.fastq.gz", &bytes(2002));
    for name in ["a", "b"] {
        let sample = facility.becomes(name, "done").await;
        assert_eq!(sample["files"].as_array().unwrap().len(), 2, "{sample:#}");
    }
    write(&facility, "c_R1.fastq.gz", &bytes(3001));
    facility.becomes("c", "held").await;
    assert_eq!(facility.names_on_flow(), ["a", "b"]);
    service.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_marker_between_two_reads_of_a_sample_tears_nothing() {
    let facility = facility_that_settles_in("1s").await;
    let service = facility.serve().await;
    let says = |words: &'static str| {
        facility.status_until(words, move |document| {
            sample(document, "a").is_some_and(|a| a["reason"].as_str().is_some_and(|reason| reason.contains(words)))
        })
    };
    write(&facility, "a_R1.fastq.gz", &bytes(1001));
    says("waiting for the marker done").await;
    write(&facility, "done", b"");
    says("nothing but a marker says that all is there: waiting until nothing more has come for 10s").await;
    write(&facility, "a_R2.fastq.gz", &bytes(1002));
    let a = facility.becomes("a", "done").await;
    assert_eq!(a["files"].as_array().unwrap().len(), 2, "{a:#}");
    service.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_drop_folder_a_file_under_another_name_is_awaited_by_its_own_sample_alone() {
    let facility = Facility::with(Setup { settle: "200ms", ..Setup::default() }, |_| {}).await;
    let config = fs::read_to_string(facility.path("flow-ingest.yaml")).unwrap();
    let config = config.replace("status:", "    complete_when: { quiet: 1s }\nstatus:");
    fs::write(facility.path("flow-ingest.yaml"), config).unwrap();
    let manifest = "version: 1\nrules:\n  - name: all\n    match: \"{sample}_R{read}.fastq.gz\"\n    paired: auto\n    \
                    sample: { name: \"{sample}\", type: RNA-Seq }\n";
    fs::write(facility.path("manifest.yaml"), manifest).unwrap();
    let drop = |name: &str| facility.path("drop").join(name);
    fs::write(drop("a_R1.fastq.gz"), bytes(1001)).unwrap();
    fs::write(drop(".a_R2.fastq.gz.Xk3f9Q"), &bytes(1002)[..500]).unwrap();
    fs::write(drop("b_R1.fastq.gz"), bytes(2001)).unwrap();
    let service = facility.serve().await;
    facility.becomes("b", "done").await;
    let a = facility.becomes("a", "waiting").await;
    assert!(a["reason"].as_str().unwrap().contains("still being written (.a_R2.fastq.gz.Xk3f9Q)"), "{a:#}");
    fs::write(drop(".a_R2.fastq.gz.Xk3f9Q"), bytes(1002)).unwrap();
    fs::rename(drop(".a_R2.fastq.gz.Xk3f9Q"), drop("a_R2.fastq.gz")).unwrap();
    let a = facility.becomes("a", "done").await;
    assert_eq!(a["files"].as_array().unwrap().len(), 2, "{a:#}");
    service.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_the_sheet_has_is_awaited_behind_a_marker_that_came_first() {
    let facility = facility().await;
    declare_lanes(&facility, b"Lane,Sample_ID\n1,a\n2,a\n1,b\n");
    let service = facility.serve().await;
    write(&facility, "done", b"");
    facility.status_until("the run is seen", |document| document["left_out"].as_array().unwrap().len() == 2).await;
    write_lanes(&facility, &[("a_L1", 1001), ("b_L1", 2001)]);
    facility.becomes("b", "done").await;
    let a = facility.becomes("a", "waiting").await;
    let said = "waiting for lane 2, in which its sheet has it, until nothing has come for an hour; marker done present";
    assert!(a["reason"].as_str().unwrap().starts_with(said), "{a:#}");
    write(&facility, "a_L2.fastq.gz", &bytes(1002));
    let a = facility.becomes("a", "done").await;
    assert_eq!(a["files"][0]["parts"].as_array().unwrap().len(), 2, "{a:#}");
    service.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mate_that_is_still_being_copied_under_another_name_is_awaited() {
    let facility = facility().await;
    write(&facility, "a_R1.fastq.gz", &bytes(1001));
    write(&facility, ".a_R2.fastq.gz.Xk3f9Q", &bytes(1002)[..500]);
    write(&facility, "b_R1.fastq.gz", &bytes(2001));
    write(&facility, "done", b"");
    let service = facility.serve().await;
    facility.becomes("b", "done").await;
    let a = facility.becomes("a", "waiting").await;
    let said = "a file of it is still being written (.a_R2.fastq.gz.Xk3f9Q): waiting for it until nothing has come for an hour";
    assert!(a["reason"].as_str().unwrap().starts_with(said), "{a:#}");

    write(&facility, ".a_R2.fastq.gz.Xk3f9Q", &bytes(1002));
    let folder = facility.path("drop").join(RUN);
    fs::rename(folder.join(".a_R2.fastq.gz.Xk3f9Q"), folder.join("a_R2.fastq.gz")).unwrap();
    let a = facility.becomes("a", "done").await;
    assert_eq!(a["files"].as_array().unwrap().len(), 2, "{a:#}");
    service.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_and_a_sample_of_the_sheet_that_come_behind_a_marker_seen_with_the_rest_are_taken() {
    let facility = facility_that_settles_in("1s").await;
    declare_lanes(&facility, b"Lane,Sample_ID\n1,a\n2,a\n1,b\n1,c\n");
    write(&facility, "done", b"");
    write_lanes(&facility, &[("a_L1", 1001), ("b_L1", 2001)]);
    let (_, plan, log) = facility.ask(&["plan"]).await;
    let planned = ["a", "b", "c"].map(|name| sample(&plan, name).map(|it| it["state"].as_str().unwrap().to_owned()));
    assert_eq!(planned, ["queued", "queued", "skipped"].map(|state| Some(state.to_owned())), "{plan:#} {log}");
    let service = facility.serve().await;
    let waits = |document: &Value, name: &str, said: &str| {
        sample(document, name).is_some_and(|it| it["reason"].as_str().is_some_and(|reason| reason.contains(said)))
    };
    facility
        .status_until("both are awaited", |document| {
            waits(document, "a", "waiting for lane 2, in which its sheet has it, until nothing has come for 10s")
                && waits(
                    document,
                    "c",
                    "no reads yet (SampleSheet.csv, line 5); waiting until nothing has come for 10s",
                )
        })
        .await;
    write_lanes(&facility, &[("a_L2", 1002), ("c_L1", 3001)]);
    for (name, parts) in [("a", 2), ("c", 1)] {
        let sample = facility.becomes(name, "done").await;
        assert_eq!(sample["files"][0]["parts"].as_array().unwrap().len(), parts, "{sample:#}");
    }
    facility.becomes("b", "done").await;
    service.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn that_the_marker_came_first_is_known_to_whoever_looks_next() {
    let facility = facility().await;
    write(&facility, "SampleSheet.csv", b"[Reads]\n101\n101\n[Data]\nSample_ID\na\n");
    let config = fs::read_to_string(facility.path("flow-ingest.yaml")).unwrap();
    let with_layout = config.replace("status:", "    layout: bcl-convert\nstatus:");
    fs::write(facility.path("flow-ingest.yaml"), with_layout).unwrap();
    write(&facility, "done", b"");
    let once = || async { facility.ask(&["run", "--once"]).await };
    let (code, _, log) = once().await;
    assert_eq!(code, Some(0), "{log}");
    write(&facility, "a_R1.fastq.gz", &bytes(1001));
    for _ in 0..2 {
        let (code, document, log) = once().await;
        assert_eq!(code, Some(0), "{log}");
        let a = sample(&document, "a").unwrap_or_else(|| panic!("{document:#}"));
        let waits = "waiting for reads2, since SampleSheet.csv tells of two reads, until nothing has come for an hour";
        assert!(a["reason"].as_str().is_some_and(|reason| reason.starts_with(waits)), "{a:#}");
    }
    write(&facility, "a_R2.fastq.gz", &bytes(1002));
    let (code, document, log) = once().await;
    assert_eq!(code, Some(0), "{log}");
    let a = sample(&document, "a").unwrap();
    assert_eq!((a["state"].as_str(), a["files"].as_array().unwrap().len()), (Some("done"), 2), "{a:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_looked_at_seldom_is_listed_before_what_has_settled_is_taken() {
    let facility = facility_that_settles_in("8s").await;
    let config = fs::read_to_string(facility.path("flow-ingest.yaml")).unwrap();
    let seldom =
        config.replace("{ marker: done }", "settled").replace("status:", "    mode: poll\n    poll: 1h\nstatus:");
    fs::write(facility.path("flow-ingest.yaml"), seldom).unwrap();
    write(&facility, "a_R1.fastq.gz", &bytes(1001));
    let service = facility.serve().await;
    facility.status_until("one read is seen", |document| sample(document, "a").is_some()).await;
    write(&facility, "a_R2.fastq.gz", &bytes(1002));
    let a = facility.becomes("a", "done").await;
    assert_eq!(a["files"].as_array().unwrap().len(), 2, "{a:#}");
    service.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_marker_that_was_written_just_before_its_first_file_is_not_believed_at_once() {
    let facility = facility_that_settles_in("1s").await;
    write(&facility, "done", b"");
    write(&facility, "a_R1.fastq.gz", &bytes(1001));
    let folder = facility.path("drop").join(RUN);
    // One look finds both; on a coarse clock both may have been written at one moment.
    let later = fs::metadata(folder.join("done")).unwrap().modified().unwrap() + std::time::Duration::from_millis(10);
    fs::File::options().append(true).open(folder.join("a_R1.fastq.gz")).unwrap().set_modified(later).unwrap();
    let service = facility.serve().await;
    facility
        .status_until("it has settled", |document| {
            let said = "a_R1.fastq.gz came after the marker: waiting until nothing more has come for 10s";
            sample(document, "a").is_some_and(|a| a["reason"].as_str().is_some_and(|reason| reason.starts_with(said)))
        })
        .await;
    write(&facility, "a_R2.fastq.gz", &bytes(1002));
    let a = facility.becomes("a", "done").await;
    assert_eq!(a["files"].as_array().unwrap().len(), 2, "{a:#}");
    service.kill();
}
