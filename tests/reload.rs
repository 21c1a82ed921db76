//! A changed manifest or config: noticed and said, shown, and taken only when somebody says so.

mod support;

use std::fs;
use std::time::Duration;

use flow_ingest::agent::Reload;
use flow_ingest::sandbox::{Fault, Gate, On};
use flow_ingest::status::{Ask, Socket};
use serde_json::Value;
use support::{CHUNK, Facility, PAIR, Setup, until};

/// Changes a text in a file of the facility, which must be there.
fn edit(facility: &Facility, file: &str, from: &str, to: &str) {
    let path = facility.path(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replace(from, to)).unwrap();
}

fn sample<'a>(document: &'a Value, name: &str) -> &'a Value {
    let samples = document["samples"].as_array().unwrap();
    samples.iter().find(|sample| sample["name"] == name).unwrap_or_else(|| panic!("no {name} in {document:#}"))
}

fn manifest_is_pending(document: &Value) -> bool {
    let changed = document["agent"]["reload"]["changed"].as_array();
    changed.is_some_and(|files| files.iter().any(|file| file.as_str().unwrap().ends_with("/manifest.yaml")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_manifest_is_said_shown_and_taken_when_told() {
    let facility = Facility::new().await;
    facility.add("S1", &PAIR[..1]);
    let service = facility.serve().await;
    facility.becomes("S1", "waiting").await;
    let (exit, document, words) = facility.ask(&["reload"]).await;
    assert_eq!((exit, &document["taken"]), (Some(0), &false.into()), "nothing has changed: {words}");

    edit(&facility, "manifest.yaml", "paired: required", "paired: never");
    let document = facility.status_until("the change is said", manifest_is_pending).await;
    assert_eq!(document["agent"]["reload"]["errors"], Value::Array(Vec::new()), "{document:#}");
    assert_eq!(sample(&document, "S1")["state"], "waiting");
    let text = String::from_utf8(facility.output(&["status"]).await.stdout).unwrap();
    assert!(text.contains("manifest.yaml; to take it: flow-ingest reload"), "{text}");

    let (exit, shown, words) = facility.ask(&["reload", "--dry-run"]).await;
    assert_eq!((exit, &shown["taken"]), (Some(0), &false.into()), "{words}");
    let change = &shown["changes"][0];
    assert_eq!((&change["change"], &change["is"]["name"]), (&"changed".into(), &"S1".into()), "{shown:#}");
    assert_eq!((&change["was"]["state"], &change["is"]["state"]), (&"waiting".into(), &"queued".into()));
    assert_eq!(shown["watches"][0]["change"], "manifest", "{shown:#}");

    let log = facility.log();
    assert_eq!(log.matches("settings have changed on disk; to take them").count(), 1, "once: {log}");

    // A bad one is refused, and the old one goes on.
    fs::write(facility.path("manifest.yaml"), "version: 2\n").unwrap();
    let is_bad = |document: &Value| document["agent"]["reload"]["errors"].as_array().is_some_and(|it| !it.is_empty());
    let document = facility.status_until("the mistakes are said", is_bad).await;
    assert_eq!(sample(&document, "S1")["state"], "waiting");
    let (exit, refused, words) = facility.ask(&["reload"]).await;
    assert_eq!((exit, &refused["exit"]), (Some(2), &2.into()), "{words}");
    assert!(words.contains("manifest.yaml:1:10"), "{words}");
    facility.add("S2", &PAIR);
    facility.becomes("S2", "done").await;
    facility.becomes("S1", "waiting").await;

    facility.write_config();
    edit(&facility, "manifest.yaml", "paired: required", "paired: never");
    let output = facility.output(&["reload"]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("was waiting (waiting for reads2), by rule reads\n  is queued"), "{text}");
    assert!(text.ends_with("taken\n"), "{text}");
    facility.becomes("S1", "done").await;
    let is_taken = |document: &Value| document["agent"]["reload"] == Value::Null;
    facility.status_until("nothing is left to take", is_taken).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_does_the_same_and_says_it_in_the_log() {
    let facility = Facility::new().await;
    facility.add("S1", &PAIR[..1]);
    let service = facility.serve().await;
    facility.becomes("S1", "waiting").await;
    fs::write(facility.path("manifest.yaml"), "version: 2\n").unwrap();
    service.hang_up();
    until("it is refused", || facility.log().contains("the changed settings are refused")).await;
    assert!(facility.log().contains("manifest.yaml:1:10"));

    facility.write_config();
    edit(&facility, "manifest.yaml", "name: \"{sample}\"", "name: \"new_{sample}\"");
    edit(&facility, "manifest.yaml", "paired: required", "paired: never");
    service.hang_up();
    let sent = facility.becomes("new_S1", "done").await;
    assert_eq!(sent["rule"], "reads");
    let log = facility.log();
    assert!(log.contains("S1: is called new_S1 now") && log.contains("the changed settings are taken"), "{log}");
    let (_, document, _) = facility.ask(&["status"]).await;
    assert_eq!(document["samples"].as_array().unwrap().len(), 1, "the old name is forgotten: {document:#}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_keeps_the_rule_that_it_started_with() {
    let facility = Facility::new().await;
    facility.add("S1", &[5 * CHUNK, 2 * CHUNK]);
    let gate = Gate::new();
    facility.sandbox.faults().add(Fault::on(On::MiddleChunk).nth(1).delay_after(Duration::ZERO).until(&gate));
    let service = facility.serve().await;
    until("a chunk is on its way", || facility.sandbox.faults().fired() == 1).await;
    edit(&facility, "manifest.yaml", "type: RNA-Seq", "type: RNA-Seq, organism: Hs");
    let (exit, taken, words) = facility.ask(&["reload"]).await;
    assert_eq!((exit, &taken["taken"]), (Some(0), &true.into()), "{words}");
    assert_eq!(taken["counts"]["in_flight"], 1, "{taken:#}");
    gate.open();
    facility.add("S2", &PAIR);
    facility.becomes("S1", "done").await;
    facility.becomes("S2", "done").await;
    let mut on_flow: Vec<_> =
        facility.sandbox.samples().into_iter().map(|sample| (sample.name, sample.organism)).collect();
    on_flow.sort();
    assert_eq!(on_flow, [("S1".to_owned(), None), ("S2".to_owned(), Some("Hs".to_owned()))]);
    let sent: u64 = facility.chunks().iter().filter_map(|chunk| chunk.blob_len).sum();
    assert_eq!(sent, 7 * CHUNK + PAIR.iter().sum::<u64>(), "nothing is sent twice");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_is_tried_again_under_a_rule_that_changed() {
    let facility = Facility::with(Setup { sample_type: "No-Such-Type", ..Setup::default() }, |_| {}).await;
    facility.add("S1", &PAIR);
    let service = facility.serve().await;
    facility.becomes("S1", "blocked").await;
    edit(&facility, "manifest.yaml", "No-Such-Type", "RNA-Seq");
    let (exit, taken, words) = facility.ask(&["reload"]).await;
    assert_eq!((exit, &taken["counts"]["changed"]), (Some(0), &1.into()), "{words} {taken:#}");
    let change = &taken["changes"][0];
    assert_eq!(
        (&change["was"]["values"]["type"], &change["is"]["values"]["type"]),
        (&"No-Such-Type".into(), &"RNA-Seq".into())
    );
    facility.becomes("S1", "done").await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watches_come_go_and_change_and_the_rest_waits_for_the_next_start() {
    let facility = Facility::new().await;
    fs::create_dir(facility.path("other")).unwrap();
    let service = facility.serve().await;
    facility.add("S1", &PAIR);
    facility.becomes("S1", "done").await;

    let more = "watch:
  - { name: other, path: other, manifest: other.yaml, existing: upload, settle: 100ms }
";
    edit(&facility, "flow-ingest.yaml", "watch:\n", more);
    edit(&facility, "flow-ingest.yaml", "concurrency: 4", "concurrency: 3");
    edit(&facility, "flow-ingest.yaml", "    settle: 100ms\n", "    settle: 100ms\n    ignore: [\"*.html\"]\n");
    fs::copy(facility.path("manifest.yaml"), facility.path("other.yaml")).unwrap();
    // A share that is not mounted yet: it is said, and is no mistake.
    fs::remove_dir(facility.path("other")).unwrap();
    let text = String::from_utf8(facility.output(&["reload", "--dry-run"]).await.stdout).unwrap();
    let said =
        format!("warning: watch other: cannot watch {}: the folder does not exist; ", facility.path("other").display());
    assert!(text.contains(&said) && !text.contains("warning: watch drop"), "{text}");
    let (exit, shown, words) = facility.ask(&["reload", "--dry-run"]).await;
    let warnings: Vec<_> = shown["watches"].as_array().unwrap().iter().map(|it| it["warning"].as_str()).collect();
    assert!(exit == Some(0) && warnings[0].unwrap().contains("does not exist"), "{words} {shown:#}");
    assert_eq!(warnings[1], None);
    fs::create_dir(facility.path("other")).unwrap();
    fs::write(facility.path("other/a.html"), "<html>").unwrap();
    let (exit, taken, words) = facility.ask(&["reload"]).await;
    assert_eq!((exit, &taken["taken"]), (Some(0), &true.into()), "{words}");
    assert_eq!(taken["at_next_start"], Value::from(vec!["uploads.concurrency takes effect at the next start"]));
    let watches: Vec<_> = taken["watches"].as_array().unwrap().iter().map(|it| (&it["name"], &it["change"])).collect();
    assert_eq!(watches, [(&"other".into(), &"added".into()), (&"drop".into(), &"changed".into())], "{taken:#}");
    facility.becomes("a.html", "done").await;
    fs::write(facility.path("drop/b.html"), "<html>").unwrap();
    let is_ignored = |document: &Value| {
        let left_out = document["left_out"].as_array().unwrap();
        left_out.iter().any(|it| it["path"].as_str().unwrap().ends_with("drop/b.html"))
    };
    let document = facility.status_until("the new key holds", is_ignored).await;
    assert_eq!(sample(&document, "S1")["state"], "done", "{document:#}");
    assert_eq!(document["agent"]["reload"]["at_next_start"], taken["at_next_start"]);

    edit(&facility, "flow-ingest.yaml", more, "watch:\n");
    let (exit, taken, words) = facility.ask(&["reload"]).await;
    assert_eq!((exit, &taken["watches"][0]["change"]), (Some(0), &"removed".into()), "{words} {taken:#}");
    fs::write(facility.path("other/c.html"), "<html>").unwrap();
    facility.add("S2", &PAIR);
    let document = facility.becomes("S2", "done").await;
    assert_eq!(document["watch"], "drop");
    let (_, document, _) = facility.ask(&["status"]).await;
    assert_eq!(document["watches"].as_array().unwrap().len(), 1, "{document:#}");
    assert_eq!(facility.sandbox.data().iter().filter(|data| data.filename == "c.html").count(), 0);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_shown_is_what_is_taken() {
    let facility = Facility::new().await;
    facility.add("S1", &PAIR[..1]);
    let service = facility.serve().await;
    facility.becomes("S1", "waiting").await;
    let socket = Socket::open(&facility.path("state")).unwrap();
    edit(&facility, "manifest.yaml", "paired: required", "paired: never");
    let shown: Reload = socket.put(&Ask::Foresee).await.unwrap();
    // Changed again between the look and the word.
    edit(&facility, "manifest.yaml", "name: \"{sample}\"", "name: \"never_seen_{sample}\"");
    let taken: Reload = socket.put(&Ask::Take { id: shown.id.clone() }).await.unwrap();
    assert!(taken.taken);
    facility.becomes("S1", "done").await;
    facility.status_until("the second change waits", manifest_is_pending).await;
    let again = socket.put::<Reload>(&Ask::Take { id: shown.id }).await.unwrap_err().to_string();
    assert!(again.contains("reload once more"), "{again}");
    service.stop().await;

    let (exit, _, words) = facility.ask(&["reload"]).await;
    assert_eq!(exit, Some(1), "{words}");
    assert!(words.contains("no service runs") && words.contains("next start"), "{words}");
}

/// A template that is changed again and again: what was sent stays what it is, and one entry says so, however often.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_made_otherwise_sends_nothing_twice_and_leaves_no_ghosts() {
    let facility = Facility::new().await;
    facility.add("S1", &[5 * CHUNK, 2 * CHUNK]);
    let gate = Gate::new();
    facility.sandbox.faults().add(Fault::on(On::MiddleChunk).nth(1).delay_after(Duration::ZERO).until(&gate));
    let service = facility.serve().await;
    until("a chunk is on its way", || facility.sandbox.faults().fired() == 1).await;
    edit(&facility, "manifest.yaml", "name: \"{sample}\"", "name: \"one_{sample}\"");
    let held = "paired: required\n    release: manual";
    edit(&facility, "manifest.yaml", "paired: required", held);
    assert_eq!(facility.ask(&["reload"]).await.0, Some(0));
    facility.becomes("one_S1", "skipped").await;
    gate.open();
    let sent = facility.becomes("S1", "done").await;
    let (id, on_flow) = (sent["id"].as_str().unwrap(), sent["sample_id"].as_str().unwrap());
    let reason =
        format!("its files are those of S1 ({id}), which is on Flow as sample {on_flow}, and are not sent twice");
    let is_said = |document: &Value, name: &str| {
        sample(document, name)["reason"].as_str().is_some_and(|said| said.starts_with(&reason))
    };
    facility.status_until("the reason is that of what was sent", |document| is_said(document, "one_S1")).await;

    // Whole, held, and let go while its mate is missing again: nothing of it was sent.
    facility.add("S2", &PAIR);
    let asked = facility.becomes("one_S2", "held").await;
    fs::remove_file(facility.read("S2", 2)).unwrap();
    facility.becomes("one_S2", "waiting").await;
    let (exit, _, words) = facility.ask(&["hold", asked["id"].as_str().unwrap()]).await;
    assert_eq!(exit, Some(0), "{words}");
    let (exit, _, words) = facility.ask(&["release", asked["id"].as_str().unwrap()]).await;
    assert_eq!(exit, Some(0), "{words}");
    facility.becomes("one_S2", "waiting").await;
    for (from, to) in [("one", "two"), ("two", "three")] {
        edit(&facility, "manifest.yaml", &format!("{from}_"), &format!("{to}_"));
        assert_eq!(facility.ask(&["reload"]).await.0, Some(0));
        let names = ["S1".to_owned(), format!("{to}_S1"), format!("{to}_S2")];
        let document = facility
            .status_until("nothing is left of the old names", |document| {
                let samples = document["samples"].as_array().unwrap().iter();
                samples.map(|sample| sample["name"].as_str().unwrap()).eq(names.iter())
            })
            .await;
        assert!(is_said(&document, &names[1]), "{document:#}");
        assert_eq!(sample(&document, &names[2])["state"], "waiting");
    }
    facility.add("S2", &PAIR);
    let asked = facility.becomes("three_S2", "held").await;
    assert_eq!(facility.ask(&["release", asked["id"].as_str().unwrap()]).await.0, Some(0));
    facility.becomes("three_S2", "done").await;
    service.stop().await;

    // As it was: there is nothing to say.
    edit(&facility, "manifest.yaml", "name: \"three_{sample}\"", "name: \"{sample}\"");
    let (_, document, words) = facility.ask(&["run", "--once"]).await;
    let names: Vec<_> = document["samples"].as_array().unwrap().iter().map(|sample| &sample["name"]).collect();
    assert_eq!(names, ["S1", "S2", "three_S2"], "{words}");
    assert_eq!(sample(&document, "S2")["state"], "skipped");
    assert_eq!(facility.names_on_flow(), ["S1", "three_S2"]);
}
