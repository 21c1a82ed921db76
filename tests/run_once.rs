//! `run --once` and `status`: exit codes, the one document, and whom they ask.

mod support;

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use flow_ingest::sandbox::{Fault, Gate, On};
use serde_json::Value;
use support::{Facility, PAIR, Setup, each_at_once, until};

/// Exit code, the document on stdout, and what was said on stderr.
async fn run(facility: &Facility, arguments: &[&str]) -> (Option<i32>, Value, String) {
    let output = facility.output(arguments).await;
    let words = String::from_utf8(output.stderr).unwrap();
    let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {words}"));
    (output.status.code(), document, words)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_code_says_how_a_single_run_ended() {
    let cases = [
        ("nothing to do", 0, ""),
        ("all done", 0, "done"),
        ("a mate is missing", 0, "waiting"),
        ("refused", 1, "blocked"),
        ("out of reach", 1, "queued"),
        ("given up on a retry", 1, "retrying"),
    ];
    let cases = cases.map(|case| (case.0.to_owned(), case)).to_vec();
    each_at_once(6, cases, |(case, code, state)| async move {
        let facility = Facility::new().await;
        match case {
            "nothing to do" => {}
            "a mate is missing" => facility.add("S1", &PAIR[..1]),
            _ => facility.add("S1", &PAIR),
        }
        match case {
            "refused" => facility.sandbox.faults().add(Fault::on(On::Chunk).status(400)),
            "out of reach" => facility.sandbox.pause().await,
            "given up on a retry" => facility.sandbox.faults().add(Fault::on(On::Chunk).status(503)),
            _ => {}
        }
        // Where it must not give up, a machine that stalls must not make it.
        let give_up_after = if matches!(state, "queued" | "retrying") { "5s" } else { "60s" };
        let (exit, document, words) =
            run(&facility, &["run", "--once", "--json", "--give-up-after", give_up_after]).await;
        assert_eq!(exit, Some(code), "{words}");
        assert_eq!(document["version"], 1);
        let counts = document["counts"].as_object().unwrap();
        let states = ["waiting", "held", "queued", "uploading", "retrying", "blocked", "done", "skipped"];
        assert_eq!(counts.len(), states.len());
        for name in states {
            let count = counts[name].as_u64().unwrap();
            // Where it was when it was given up is a matter of the moment.
            let expected = match (code, state) {
                (1, "queued" | "retrying") if ["queued", "retrying", "uploading"].contains(&name) => continue,
                _ => u64::from(name == state),
            };
            assert_eq!(count, expected, "{name}: {document:#}");
        }
        assert_eq!(document["samples"].as_array().unwrap().len(), usize::from(!state.is_empty()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_says_what_became_of_a_sample() {
    let facility = Facility::with_a_pair().await;
    std::fs::write(facility.path("drop/notes.txt"), "hello").unwrap();
    std::fs::write(facility.path("drop/report.html"), "<html>").unwrap();
    let (exit, document, words) = run(&facility, &["run", "--once", "--json"]).await;
    assert_eq!(exit, Some(0), "{words}");
    let samples = document["samples"].as_array().unwrap();
    let sample = samples.iter().find(|sample| sample["kind"] == "sample").unwrap();
    let stored = &facility.sandbox.samples()[0];
    assert_eq!(
        (&sample["name"], &sample["watch"], &sample["run"], &sample["rule"], &sample["state"]),
        (&"S1".into(), &"drop".into(), &"drop".into(), &"reads".into(), &"done".into())
    );
    assert_eq!(sample["sample_id"], stored.id);
    assert_eq!((&sample["bytes"], &sample["sent"]), (&Value::from(PAIR[0] + PAIR[1]), &sample["bytes"]));
    assert_eq!((&sample["attempts"], &sample["adopted"]), (&1.into(), &false.into()));
    for key in ["reason", "error", "next_try"] {
        assert_eq!(sample[key], Value::Null, "{key}");
    }
    for (n, file) in sample["files"].as_array().unwrap().iter().enumerate() {
        let on_disk = facility.read("S1", n + 1);
        assert_eq!(file["slot"], format!("reads{}", n + 1));
        assert_eq!(file["data_id"], stored.files[n].id);
        assert_eq!(file["bytes"], PAIR[n]);
        assert_eq!(file["parts"], Value::from(vec![on_disk.to_str().unwrap()]));
        let sha256 = data_encoding::HEXLOWER.encode(&<sha2::Sha256 as sha2::Digest>::digest(support::bytes(PAIR[n])));
        assert_eq!(file["sha256"], sha256);
    }
    let data = samples.iter().find(|sample| sample["kind"] == "data").unwrap();
    assert_eq!((&data["state"], &data["sample_id"]), (&"done".into(), &Value::Null));
    assert_eq!(document["left_out"][0]["path"], facility.path("drop/notes.txt").to_str().unwrap());
    assert_eq!(document["watches"][0]["name"], "drop");

    let (exit, offline, _) = run(&facility, &["status", "--json"]).await;
    assert_eq!((exit, &offline["agent"]["state"]), (Some(0), &"offline".into()));
    assert_eq!((&offline["samples"], &offline["counts"]), (&document["samples"], &document["counts"]));
    assert_eq!(offline["left_out"], document["left_out"]);
}

/// An upload cannot be undone: a rule that names its samples anew must not send them all again.
#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_is_renamed_sends_nothing_twice() {
    let facility = Facility::with_a_pair().await;
    let (exit, document, words) = run(&facility, &["run", "--once", "--json"]).await;
    assert_eq!(exit, Some(0), "{words}");
    let id = document["samples"][0]["id"].as_str().unwrap().to_owned();
    let sent = facility.chunks().len();
    let manifest = std::fs::read_to_string(facility.path("manifest.yaml")).unwrap();
    let renamed =
        manifest.replace("name: reads\n", "name: rnaseq\n").replace("name: \"{sample}\"", "name: \"lab_{sample}\"");
    assert_ne!(renamed, manifest);
    std::fs::write(facility.path("manifest.yaml"), renamed).unwrap();
    facility.add("S2", &PAIR);

    let (exit, document, words) = run(&facility, &["run", "--once", "--json"]).await;
    assert_eq!(exit, Some(0), "{words}");
    let states = |name: &str| {
        let samples = document["samples"].as_array().unwrap().iter();
        samples.filter(|sample| sample["name"] == name).map(|sample| sample["state"].clone()).collect::<Vec<_>>()
    };
    assert_eq!((states("S1"), states("lab_S2")), (vec!["done".into()], vec!["done".into()]), "{document:#}");
    assert_eq!(states("lab_S1"), ["skipped"]);
    let skipped = document["samples"].as_array().unwrap().iter().find(|s| s["name"] == "lab_S1").unwrap();
    assert!(skipped["reason"].as_str().unwrap().contains(&id), "{skipped}");
    let again = facility.chunks();
    assert!(again[sent..].iter().all(|chunk| chunk.field("sample_name") == Some("lab_S2")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_the_config_exits_with_2() {
    let facility = Facility::with_a_pair().await;
    std::fs::write(facility.path("flow-ingest.yaml"), "stat_dir: x\n").unwrap();
    let (exit, document, words) = run(&facility, &["run", "--once", "--json"]).await;
    assert_eq!((exit, &document["exit"]), (Some(2), &2.into()));
    assert!(words.contains("stat_dir"), "{words}");
}

/// The kernel takes no socket path longer than 107 bytes.
#[tokio::test(flavor = "multi_thread")]
async fn status_asks_the_running_service_however_deep_its_state_lies() {
    let deep = format!("{}/{}/{}", "d".repeat(120), "e".repeat(120), "state");
    let cases = ["state".to_owned(), deep].map(|state_dir| (state_dir.clone(), state_dir)).to_vec();
    each_at_once(2, cases, |state_dir| async move {
        let facility = Facility::with(Setup { state_dir, ..Setup::default() }, |_| {}).await;
        facility.add("S1", &PAIR);
        let gate = Gate::new();
        facility.sandbox.faults().add(Fault::on(On::FinalChunk).nth(1).delay(Duration::ZERO).until(&gate));
        let mut process = facility.serve().await;
        until("the last chunk is on its way", || facility.sandbox.faults().fired() == 1).await;
        let (exit, document, words) = run(&facility, &["status", "--json"]).await;
        assert_eq!(exit, Some(0), "{words}");
        assert_eq!(document["agent"]["state"], "running");
        assert_eq!(document["samples"].as_array().unwrap().len(), 1, "{document:#}");
        gate.open();
        let socket = facility.path(&facility.setup.state_dir).join("agent.sock");
        assert_eq!(std::fs::metadata(socket).unwrap().permissions().mode() & 0o777, 0o600);
        until("the sample is on Flow", || facility.sandbox.samples().len() == 1).await;
        process.terminate();
        assert_eq!(process.ended().await.code(), Some(0));
        let (exit, document, _) = run(&facility, &["status", "--json"]).await;
        assert_eq!((exit, &document["agent"]["state"]), (Some(0), &"offline".into()));
        facility.check_samples(&[]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_a_killed_service_left_behind_is_no_hindrance() {
    let facility = Facility::with_a_pair().await;
    facility.serve().await.kill();
    let (exit, document, words) = run(&facility, &["status", "--json"]).await;
    assert_eq!((exit, &document["agent"]["state"]), (Some(0), &"offline".into()), "{words}");
    let (exit, _, words) = run(&facility, &["run", "--once", "--json"]).await;
    assert_eq!(exit, Some(0), "{words}");
    facility.check_samples(&[]).await;
}
