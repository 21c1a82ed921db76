//! What is found twice, changes after it was sent, or comes late is never sent by itself; and what people decide is done.

mod support;

use std::fs;
use std::path::Path;
use std::time::Duration;

use flow_ingest::sandbox::{Fault, Gate, On};
use serde_json::Value;
use support::{CHUNK, Facility, bytes, until};

/// A facility whose watch has run folders with a marker.
async fn facility() -> Facility {
    let facility = Facility::new().await;
    fs::create_dir(facility.path("runs")).unwrap();
    watch_runs_at(&facility, "runs");
    facility
}

fn watch_runs_at(facility: &Facility, folder: &str) {
    facility.write_config();
    let config = fs::read_to_string(facility.path("flow-ingest.yaml")).unwrap();
    let before = config.split("watch:").next().unwrap();
    let watch = format!(
        "watch:
  - name: miseq
    path: {folder}
    manifest: manifest.yaml
    existing: upload
    run_folder: \"{{name}}\"
    complete_when: {{ marker: done }}
    settle: 200ms
    mode: poll
    poll: 100ms
status: {{ listen: none }}
"
    );
    fs::write(facility.path("flow-ingest.yaml"), format!("{before}{watch}")).unwrap();
    let manifest = r#"version: 1
rules:
  - name: reads
    match: "**/{sample}_R{read}.fastq.gz"
    paired: required
    sample: { name: "{run}_{sample}", type: RNA-Seq }
"#;
    fs::write(facility.path("manifest.yaml"), manifest).unwrap();
}

fn write_pair(run: &Path, sample: &str, sizes: [u64; 2]) {
    fs::create_dir_all(run).unwrap();
    for (read, size) in sizes.iter().enumerate() {
        fs::write(run.join(support::read_name(sample, read + 1)), bytes(*size)).unwrap();
    }
}

async fn once(facility: &Facility) -> Value {
    let (exit, document, words) = facility.ask(&["run", "--once"]).await;
    assert_eq!(exit, Some(0), "{words}");
    document
}

fn sample<'a>(document: &'a Value, name: &str) -> &'a Value {
    let samples = document["samples"].as_array().unwrap();
    samples.iter().find(|sample| sample["name"] == name).unwrap_or_else(|| panic!("no {name} in {document:#}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_run_a_renamed_run_and_a_moved_share_send_nothing_twice() {
    let facility = facility().await;
    let runs = facility.path("runs");
    write_pair(&runs.join("run1"), "S1", [25_000, 24_000]);
    fs::write(runs.join("run1/done"), "").unwrap();
    let document = once(&facility).await;
    let id = sample(&document, "run1_S1")["id"].as_str().unwrap().to_owned();
    let on_flow = sample(&document, "run1_S1")["sample_id"].as_str().unwrap().to_owned();
    let sent = facility.chunks().len();

    let copied = std::process::Command::new("cp").arg("-a").args([runs.join("run1"), runs.join("run1_bak")]).status();
    assert!(copied.unwrap().success());
    let document = once(&facility).await;
    let copy = sample(&document, "run1_bak_S1");
    let reason = copy["reason"].as_str().unwrap();
    assert_eq!(copy["state"], "skipped", "{copy:#}");
    assert!(reason.contains(&id) && reason.contains(&on_flow), "{reason}");

    fs::rename(runs.join("run1"), runs.join("run2")).unwrap();
    let document = once(&facility).await;
    assert_eq!(sample(&document, "run2_S1")["state"], "skipped", "{document:#}");
    assert_eq!(sample(&document, "run1_S1")["state"], "done");
    fs::rename(runs.join("run2"), runs.join("run1")).unwrap();

    fs::rename(&runs, facility.path("moved")).unwrap();
    watch_runs_at(&facility, "moved");
    let document = once(&facility).await;
    assert_eq!(sample(&document, "run1_S1")["state"], "done", "{document:#}");
    assert_eq!((facility.chunks().len(), facility.names_on_flow()), (sent, vec!["run1_S1".to_owned()]));

    // The same names and sizes with other bytes are another sample.
    let run3 = facility.path("moved/run3");
    write_pair(&run3, "S1", [25_000, 24_000]);
    fs::write(run3.join("S1_R2.fastq.gz"), support::other_bytes(24_000)).unwrap();
    fs::write(run3.join("done"), "").unwrap();
    let document = once(&facility).await;
    assert_eq!(sample(&document, "run3_S1")["state"], "done", "{document:#}");
    assert_eq!(facility.names_on_flow(), ["run1_S1", "run3_S1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_run_and_its_copy_one_goes_up_whichever_comes_first() {
    let cases = [["run1", "run1_bak"], ["run1_bak", "run1"], ["a", "b"], ["b", "a"]];
    let cases = cases.map(|case| (case.join(" before "), case)).to_vec();
    support::each_at_once(4, cases, |[first, second]| async move {
        let facility = facility().await;
        // The first has looked for its like, and nothing of it is on its way yet, when the second looks.
        let gate = Gate::new();
        facility.sandbox.faults().add(Fault::on(On::SampleSearch).nth(1).delay(Duration::ZERO).until(&gate));
        let service = facility.serve().await;
        for run in [first, second] {
            let run = facility.path("runs").join(run);
            write_pair(&run, "S1", [25_000, 24_000]);
            fs::write(run.join("done"), "").unwrap();
            until("Flow is asked about the first", || facility.sandbox.faults().fired() == 1).await;
        }
        // It had its turn, and was put back.
        facility.becomes(&format!("{second}_S1"), "queued").await;
        gate.open();
        facility.becomes(&format!("{first}_S1"), "done").await;
        facility.becomes(&format!("{second}_S1"), "skipped").await;
        assert_eq!(facility.names_on_flow(), [format!("{first}_S1")]);
        service.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_after_it_was_sent_is_held_side_by_side_and_sent_again_only_as_told() {
    let facility = facility().await;
    let run = facility.path("runs/run1");
    write_pair(&run, "S1", [25_000, 24_000]);
    fs::write(run.join("done"), "").unwrap();
    let service = facility.serve().await;
    let first = facility.becomes("run1_S1", "done").await;
    let sent = facility.chunks().len();
    let id = first["id"].as_str().unwrap();

    // Another inode, another time, the same bytes.
    let reads2 = run.join("S1_R2.fastq.gz");
    fs::write(run.join(".new"), bytes(24_000)).unwrap();
    fs::rename(run.join(".new"), &reads2).unwrap();
    until("the content is compared", || facility.log().contains("are what was sent")).await;
    let touched = facility.becomes("run1_S1", "done").await;
    assert_eq!(touched["changed"], Value::Null, "{touched:#}");

    fs::write(&reads2, bytes(30_000)).unwrap();
    let held = facility.becomes("run1_S1", "held").await;
    assert_eq!((&held["changed"], &held["sample_id"]), (&true.into(), &first["sample_id"]), "{held:#}");
    let change = &held["changes"][0];
    assert_eq!(change["path"], reads2.to_str().unwrap());
    assert_eq!((&change["was"]["bytes"], &change["is"]["bytes"]), (&24_000.into(), &30_000.into()));
    assert_eq!(facility.chunks().len(), sent, "never by itself");

    let (exit, _, words) = facility.ask(&["release", id]).await;
    assert_eq!(exit, Some(2), "{words}");
    let (exit, _, words) = facility.ask(&["resend", id, "--as", "a b", "--reason", "x"]).await;
    assert!(exit == Some(2) && words.contains("a b"), "{words}");
    let (exit, _, _) = facility.ask(&["resend", id]).await;
    assert_eq!(exit, Some(2), "no reason was given");
    let (exit, resent, words) =
        facility.ask(&["resend", id, "--as", "run1_S1_v2", "--reason", "demultiplexed again"]).await;
    assert_eq!(exit, Some(0), "{words}");
    assert_eq!(resent["samples"][0]["to_retract"][0]["sample_id"], first["sample_id"], "{resent:#}");
    let again = facility.becomes("run1_S1", "done").await;
    assert_ne!(again["sample_id"], first["sample_id"]);
    assert_eq!(again["sent_as"], "run1_S1_v2");
    assert_eq!(again["decisions"][0]["reason"], "demultiplexed again");
    assert_eq!(facility.names_on_flow(), ["run1_S1", "run1_S1_v2"]);
    let stored = facility.sandbox.samples().into_iter().find(|sample| sample.name == "run1_S1_v2").unwrap();
    assert!(fs::read(&stored.files[1].path).unwrap() == bytes(30_000));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_output_in_a_delivered_run_is_held() {
    let facility = facility().await;
    let run = facility.path("runs/run1");
    write_pair(&run, "S1", [25_000, 24_000]);
    fs::write(run.join("done"), "").unwrap();
    let service = facility.serve().await;
    facility.becomes("run1_S1", "done").await;

    write_pair(&run.join("second"), "S2", [5_000, 4_000]);
    let held = facility.becomes("run1_S2", "held").await;
    assert!(held["reason"].as_str().unwrap().contains("new in a run"), "{held:#}");
    write_pair(&run.join("second"), "S3", [6_000, 7_000]);
    let unwanted = facility.becomes("run1_S3", "held").await;
    assert_eq!(facility.names_on_flow(), ["run1_S1"]);

    let (exit, _, words) = facility.ask(&["release", held["id"].as_str().unwrap(), "--reason", "expected"]).await;
    assert_eq!(exit, Some(0), "{words}");
    facility.becomes("run1_S2", "done").await;
    let (exit, _, words) = facility.ask(&["skip", unwanted["id"].as_str().unwrap()]).await;
    assert_eq!(exit, Some(0), "{words}");
    facility.becomes("run1_S3", "skipped").await;
    assert_eq!(facility.names_on_flow(), ["run1_S1", "run1_S2"]);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_is_lost_half_way_through_a_run_takes_the_rest_for_what_it_is() {
    let mut facility = facility().await;
    facility.setup.concurrency = 1;
    watch_runs_at(&facility, "runs");
    let run = facility.path("runs/run1");
    for (n, sample) in ["S1", "S2", "S3"].into_iter().enumerate() {
        write_pair(&run, sample, [25_000 + n as u64, 24_000]);
    }
    fs::write(run.join("done"), "").unwrap();
    facility.sandbox.faults().add(Fault::on(On::FinalChunk).nth(2).delay_after(Duration::from_secs(60)));
    let service = facility.serve().await;
    until("the second is on Flow", || facility.sandbox.samples().len() == 2).await;
    service.kill();
    fs::remove_dir_all(facility.path("state/journal")).unwrap();
    let document = once(&facility).await;
    assert_eq!(document["counts"]["done"], 3, "nothing of it is new: {document:#}");
    assert_eq!(facility.names_on_flow(), ["run1_S1", "run1_S2", "run1_S3"]);

    write_pair(&run, "S4", [5_000, 4_000]);
    assert_eq!(sample(&once(&facility).await, "run1_S4")["state"], "held");
    fs::remove_dir_all(facility.path("state/journal")).unwrap();
    assert_eq!(sample(&once(&facility).await, "run1_S4")["state"], "held", "what was held stays so");
    write_pair(&run, "S5", [6_000, 4_500]);
    assert_eq!(sample(&once(&facility).await, "run1_S5")["state"], "held");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_run_waits_with_all_that_is_yet_to_come_and_a_dead_one_is_closed() {
    let facility = facility().await;
    let run = facility.path("runs/run1");
    write_pair(&run, "S1", [25_000, 24_000]);
    let service = facility.serve().await;
    facility.becomes("run1_S1", "waiting").await;
    let (exit, _, words) = facility.ask(&["hold", "run1", "--reason", "wrong flow cell"]).await;
    assert_eq!(exit, Some(0), "{words}");
    write_pair(&run, "S2", [5_000, 4_000]);
    let held = facility.becomes("run1_S2", "held").await;
    assert!(held["reason"].as_str().unwrap().ends_with(": wrong flow cell"), "{held:#}");
    let (exit, _, words) = facility.ask(&["hold", "nosuchrun"]).await;
    assert_eq!(exit, Some(4), "{words}");

    // No marker ever comes.
    for command in ["release", "close"] {
        let (exit, _, words) = facility.ask(&[command, "run1"]).await;
        assert_eq!(exit, Some(0), "{words}");
    }
    facility.becomes("run1_S1", "done").await;
    facility.becomes("run1_S2", "done").await;
    service.stop().await;

    // Without a service, too.
    write_pair(&facility.path("runs/run2"), "S1", [3_000, 2_000]);
    fs::write(facility.path("runs/run2/S2_R1.fastq.gz"), bytes(2_500)).unwrap();
    once(&facility).await;
    let (exit, _, words) = facility.ask(&["close", "run2"]).await;
    assert_eq!(exit, Some(0), "{words}");
    let (exit, document, _) = facility.ask(&["run", "--once"]).await;
    assert_eq!((exit, &sample(&document, "run2_S1")["state"]), (Some(1), &"done".into()), "{document:#}");
    let single = sample(&document, "run2_S2");
    assert_eq!(single["state"], "blocked", "{single:#}");
    let (exit, _, words) = facility.ask(&["close", single["id"].as_str().unwrap(), "--reason", "single"]).await;
    assert_eq!(exit, Some(0), "{words}");
    assert_eq!(sample(&once(&facility).await, "run2_S2")["state"], "done");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_deep_below_the_watch_is_called_by_its_folders_name_unless_others_have_it() {
    let facility = facility().await;
    for (file, from, to) in [
        ("flow-ingest.yaml", "run_folder: \"{name}\"", "run_folder: \"{experiment}/{library}/{name}\""),
        ("manifest.yaml", "{run}_{sample}", "{run.experiment}_{run}_{sample}"),
    ] {
        let text = fs::read_to_string(facility.path(file)).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(facility.path(file), text.replace(from, to)).unwrap();
    }
    let said = async |arguments: &[&str], exit: i32| {
        let (ended, document, words) = facility.ask(arguments).await;
        assert_eq!(ended, Some(exit), "{arguments:?}: {words}");
        (document, words)
    };
    let commands = |name| {
        let decisions = ["hold", "release", "skip", "close"].map(|verb| vec![verb, name]);
        decisions.into_iter().chain([vec!["retry", "--run", name], vec!["report", "--run", name]])
    };
    let refused = async || {
        for command in commands("twice") {
            let (_, words) = said(&command, 2).await;
            assert!(words.contains("twice: 2 runs have folders of that name: e1/lib/twice, e2/lib/twice"), "{words}");
        }
        for name in ["nosuchrun", "lib", "e1"] {
            for command in commands(name) {
                assert!(said(&command, 4).await.1.contains(&format!("{name}: there is no such run")));
            }
        }
    };
    for (run, size) in [("e1/lib/alone", 5_000), ("e1/lib/twice", 6_000), ("e2/lib/twice", 7_000)] {
        write_pair(&facility.path("runs").join(run), "S1", [size, size + 100]);
    }
    let service = facility.serve().await;
    facility.becomes("e2_twice_S1", "waiting").await;
    facility.becomes("e1_alone_S1", "waiting").await;
    refused().await;
    for command in commands("alone") {
        said(&command, 0).await;
        let state = match command[0] {
            "hold" => "held",
            "release" => "waiting",
            "skip" => "skipped",
            _ => continue,
        };
        facility.becomes("e1_alone_S1", state).await;
    }
    assert!(said(&["report", "--run", "alone"], 0).await.0["samples"].as_array().unwrap().is_empty());
    let told = facility.output(&["report", "--run", "alone"]).await;
    assert_eq!(String::from_utf8(told.stdout).unwrap().trim(), "nothing was sent yet");
    service.stop().await;

    // Without a service, too. The run was closed, and skipped before.
    refused().await;
    said(&["release", "alone"], 0).await;
    once(&facility).await;
    let (report, _) = said(&["report", "--run", "alone"], 0).await;
    assert_eq!(report["samples"][0]["run"], "e1/lib/alone", "{report:#}");
    assert_eq!(report, said(&["report", "--run", "e1/lib/alone"], 0).await.0);
    said(&["hold", "e1/lib/twice"], 0).await;
    let (document, _) = said(&["status"], 0).await;
    let states = ["e1_twice_S1", "e2_twice_S1"].map(|name| sample(&document, name)["state"].as_str().unwrap());
    assert_eq!(states, ["held", "waiting"]);
    said(&["hold", "alone"], 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_held_stops_between_two_chunks_and_goes_on_from_there() {
    let facility = facility().await;
    let run = facility.path("runs/run1");
    write_pair(&run, "S1", [5 * CHUNK, 2 * CHUNK]);
    fs::write(run.join("done"), "").unwrap();
    let gate = Gate::new();
    facility.sandbox.faults().add(Fault::on(On::MiddleChunk).nth(1).delay_after(Duration::ZERO).until(&gate));
    let service = facility.serve().await;
    until("a chunk is on its way", || facility.sandbox.faults().fired() == 1).await;
    let (_, document, _) = facility.ask(&["status"]).await;
    let id = sample(&document, "run1_S1")["id"].as_str().unwrap().to_owned();
    let (exit, _, words) = facility.ask(&["hold", &id]).await;
    assert_eq!(exit, Some(0), "{words}");
    gate.open();
    let held = facility.becomes("run1_S1", "held").await;
    assert!(held["sent"].as_u64().unwrap() > CHUNK, "{held:#}");
    let sent: u64 = facility.chunks().iter().filter_map(|chunk| chunk.blob_len).sum();
    let (exit, _, words) = facility.ask(&["release", &id]).await;
    assert_eq!(exit, Some(0), "{words}");
    facility.becomes("run1_S1", "done").await;
    let all: u64 = facility.chunks().iter().filter_map(|chunk| chunk.blob_len).sum();
    assert!(sent < all && all == 7 * CHUNK, "nothing twice: {sent} of {all}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_rule_makes_that_asks_for_a_release_waits_for_a_person() {
    let facility = facility().await;
    let manifest = fs::read_to_string(facility.path("manifest.yaml")).unwrap();
    fs::write(facility.path("manifest.yaml"), format!("{manifest}    release: manual\n")).unwrap();
    let run = facility.path("runs/run1");
    write_pair(&run, "S1", [3_000, 2_000]);
    write_pair(&run, "S2", [5_000, 4_000]);
    assert_eq!(sample(&once(&facility).await, "run1_S1")["state"], "waiting", "not complete yet");
    fs::write(run.join("done"), "").unwrap();
    let (_, plan, _) = facility.ask(&["plan"]).await;
    assert_eq!(sample(&plan, "run1_S1")["state"], "held", "{plan:#}");
    let document = once(&facility).await;
    let held = sample(&document, "run1_S1");
    let id = held["id"].as_str().unwrap();
    let reason = format!("rule reads asks for a person's release: flow-ingest release {id}");
    assert_eq!((&held["state"], &held["reason"]), (&"held".into(), &reason.into()), "{document:#}");
    assert_eq!(facility.chunks().len(), 0);
    let (exit, _, words) = facility.ask(&["retry", id]).await;
    assert_eq!(exit, Some(2), "{words}");

    let service = facility.serve().await;
    facility.becomes("run1_S1", "held").await;
    let (exit, _, words) = facility.ask(&["release", id]).await;
    assert_eq!(exit, Some(0), "{words}");
    facility.becomes("run1_S1", "done").await;
    facility.becomes("run1_S2", "held").await;
    service.stop().await;
    let (exit, _, words) = facility.ask(&["release", "run1"]).await;
    assert_eq!(exit, Some(0), "{words}");
    assert_eq!(sample(&once(&facility).await, "run1_S2")["state"], "done");
}

/// A manifest that takes files for something else now: they are on Flow, and a person is told as what.
#[tokio::test(flavor = "multi_thread")]
async fn a_rule_of_another_kind_sends_nothing_twice() {
    const SAMPLE: &str = "sample: { name: \"{sample}\", type: RNA-Seq }";
    const DATA: &str = "data: {}";
    // In a drop folder, too, of which nothing is late.
    let cases =
        [true, false].into_iter().flat_map(|is_run| [[SAMPLE, DATA], [DATA, SAMPLE]].map(|rules| (is_run, rules)));
    let cases = cases.map(|case| (format!("{case:?}"), case)).collect();
    support::each_at_once(4, cases, |(is_run, [before, after])| async move {
        let facility = if is_run { facility().await } else { Facility::new().await };
        let make = |rule: &str| {
            let rule = format!(
                "version: 1\nrules:\n  - name: reads\n    match: \"**/{{sample}}_R{{read}}.fastq.gz\"\n    {rule}\n"
            );
            fs::write(facility.path("manifest.yaml"), rule).unwrap();
        };
        make(before);
        let run = facility.path(if is_run { "runs/run1" } else { "drop" });
        write_pair(&run, "S1", [25_000, 24_000]);
        fs::write(run.join("done"), "").unwrap();
        let first = once(&facility).await;
        let samples = first["samples"].as_array().unwrap();
        assert!(samples.iter().all(|sample| sample["state"] == "done"), "{first:#}");
        let sent = facility.chunks().len();

        make(after);
        let document = once(&facility).await;
        assert_eq!(facility.chunks().len(), sent, "{document:#}");
        let others = document["samples"].as_array().unwrap().iter();
        let others: Vec<_> = others.filter(|sample| sample["kind"] != samples[0]["kind"]).collect();
        assert_eq!(others.len() + samples.len(), 3, "{document:#}");
        for other in others {
            let reason = other["reason"].as_str().unwrap();
            let names_it = samples.iter().any(|sample| reason.contains(sample["id"].as_str().unwrap()));
            assert!(other["state"] == "skipped" && names_it && reason.contains("which is on Flow as"), "{other:#}");
        }
    })
    .await;
}
