//! What is said of samples is checked by Flow's own lists: every rule by `check --online`, and each sample before its
//! first byte leaves.

mod support;

use std::fs;
use std::time::Duration;

use flow_ingest::sandbox::{Fault, Gate, On, Reply};
use flow_ingest::status::Snapshot;
use serde_json::{Value, json};
use support::{Facility, PAIR, Setup, bytes, each_at_once, only, until};

const CORE: &str = "788995297969977723";
const ATLAS: &str = "788995297969977724";

/// A facility whose rule for reads says this of its samples, beside their name.
async fn saying(said: &str) -> Facility {
    let facility = Facility::with(Setup { final_wait: "300ms", ..Setup::default() }, |_| {}).await;
    say(&facility, said);
    facility
}

fn say(facility: &Facility, said: &str) {
    let manifest = format!(
        "version: 1
rules:
  - name: reads
    match: \"{{sample}}_R{{read}}.fastq.gz\"
    lookup: {{ file: projects.csv, key: \"{{sample}}\" }}
    sample: {{ name: \"{{sample}}\", {said} }}
  - name: reports
    match: \"{{kind}}-*.html\"
    data: {{ data_type: \"{{kind}}\" }}
"
    );
    fs::write(facility.path("manifest.yaml"), manifest).unwrap();
    let table = "sample,type,organism,id,name\nS1,RNA-Seq,Hs,788995297969977723,Sequencing core\n\
                 S2,RNA-seq,Human,788995297969977723,RNA atlas\nS3,CLIP,Mm,788995297969977724,RNA atlas\n";
    fs::write(facility.path("projects.csv"), table).unwrap();
}

fn sample<'a>(snapshot: &'a Snapshot, name: &str) -> (&'a str, &'a str) {
    let sample = snapshot.samples.iter().find(|sample| sample.name == name).unwrap();
    (&sample.state, sample.reason.as_deref().unwrap_or_default())
}

/// What `check` said in a document, and how it ended.
async fn checked(facility: &Facility) -> (Option<i32>, Value) {
    let output = facility.output(&["check", "--online", "--json"]).await;
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {words}"));
    (output.status.code(), document)
}

#[tokio::test(flavor = "multi_thread")]
async fn check_takes_every_rule_to_the_servers_lists() {
    let facility = saying("type: RNA-Seq").await;
    let manifest = r#"version: 1
rules:
  - name: rnaseq
    match: "{sample}_R{read}.fastq.gz"
    sample:
      name: "{sample}"
      type: RNA-seq
      organism: Human
      project: RNA atlas
      metadata: { strandedness: revers, five_prime_barcode: ACXT, scientits: Ada, cell_line: CL-0200, comments: "{sample}" }
  - name: clip
    match: "{sample}_CLIP{read}.fastq.gz"
    sample: { name: "{sample}", type: CLIP, project: { id: "788995297969977723", name: RNA atlas } }
  - name: good
    match: "{sample}_ok{read}.fastq.gz"
    sample:
      name: "{sample}"
      type: CLIP
      project: { name: RNA atlas }
      metadata: { purification_target: "{sample}", cell_line: CL-0240, keywords: "a, b" }
  - name: report
    match: "{report}.html"
    data: { data_type: reprot }
  - name: pooled
    match: "{pool}_P{read}.fastq.gz"
    multiplexed: { annotation: "{pool}.xlsx" }
"#;
    fs::write(facility.path("manifest.yaml"), manifest).unwrap();
    let (code, document) = checked(&facility).await;
    let misses = document["misses"].as_array().unwrap();
    let told: Vec<_> = misses
        .iter()
        .map(|miss| {
            let text = |key: &str| miss[key].as_str().unwrap_or_default();
            (text("rule"), text("key"), text("value"), text("nearest"))
        })
        .collect();
    assert_eq!(
        told,
        [
            ("rnaseq", "type", "RNA-seq", "RNA-Seq"),
            ("rnaseq", "organism", "Human", "Hs"),
            ("rnaseq", "project", "RNA atlas", ATLAS),
            ("rnaseq", "metadata.strandedness", "revers", "reverse"),
            ("rnaseq", "metadata.five_prime_barcode", "ACXT", ""),
            ("rnaseq", "metadata.scientits", "scientits", "scientist"),
            ("clip", "project", CORE, "Sequencing core"),
            ("clip", "metadata.purification_target", "", ""),
            ("report", "data_type", "reprot", "report"),
        ]
    );
    assert_eq!(code, Some(2));
    assert_eq!(misses[0]["watches"], json!(["drop"]));
    let first = r#"rule rnaseq: sample type "RNA-seq" does not exist on this server; did you mean "RNA-Seq"?"#;
    assert_eq!(misses[0]["message"], first);
    let output = facility.output(&["check", "--online"]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(&format!("FAIL {first}")) && text.contains("ok   rule good: "), "{text}");
    assert_eq!((output.status.code(), facility.chunks().len()), (Some(2), 0));
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("FAIL rule rnaseq: ")).collect();
    assert_eq!(lines.len(), 6, "one for each miss: {text}");
    for (line, nearest) in lines.iter().zip([r#""RNA-Seq"?"#, "(Human)?", "(RNA atlas)?", r#""reverse"?"#]) {
        assert!(line.ends_with(nearest), "{line}");
    }
    let of_rule = document["checks"].as_array().unwrap().iter().find(|check| check["what"] == "rule rnaseq").unwrap();
    let nearest: Vec<_> = of_rule["misses"].as_array().unwrap().iter().map(|miss| miss["nearest"].as_str()).collect();
    let right = ["RNA-Seq", "Hs", ATLAS, "reverse"].map(Some);
    assert_eq!(nearest, [&right[..], &[None, Some("scientist")]].concat());
    let offline = facility.output(&["check", "--json"]).await;
    let document: Value = serde_json::from_slice(&offline.stdout).unwrap();
    assert_eq!((offline.status.code(), document.get("misses")), (Some(0), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn check_ends_well_or_says_what_it_could_not_ask() {
    let facility = saying("type: \"{lookup.type}\", project: \"788995297969977723\", organism: Hs").await;
    let (code, document) = checked(&facility).await;
    assert_eq!((code, &document["misses"]), (Some(0), &json!([])), "{document:#}");

    facility.sandbox.faults().add(Fault::on(On::get("/organisms")).status(404));
    let (code, document) = checked(&facility).await;
    assert_eq!(code, Some(0), "{document:#}");
    let rule = document["checks"].as_array().unwrap().iter().find(|check| check["what"] == "rule reads").unwrap();
    assert!(rule["detail"].as_str().unwrap().contains("no list of its organisms"), "{rule}");

    facility.sandbox.faults().clear();
    facility.sandbox.faults().add(Fault::on(On::get("/samples/types")).status(503));
    let (code, document) = checked(&facility).await;
    assert_eq!(code, Some(1), "{document:#}");

    // No API of Flow's at this address.
    facility.sandbox.faults().clear();
    facility.sandbox.faults().add(Fault::on(On::get("/me")).answer(Reply::html(404)));
    let (code, document) = checked(&facility).await;
    assert_eq!(code, Some(4), "{document:#}");
    let detail = document["checks"].as_array().unwrap().last().unwrap()["detail"].as_str().unwrap();
    assert!(detail.contains("GET /me") && detail.contains("check flow.base_url"), "{detail}");

    facility.sandbox.faults().clear();
    facility.write_token("a-bad-token");
    let (code, document) = checked(&facility).await;
    assert_eq!((code, &document["misses"]), (Some(3), &json!([])), "{document:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_is_checked_on_its_final_values_before_anything_of_it_is_sent() {
    let facility = saying(
        "type: \"{lookup.type}\", organism: \"{lookup.organism}\", \
         project: { id: \"{lookup.id}\", name: \"{lookup.name}\" }",
    )
    .await;
    for name in ["S1", "S2", "S3"] {
        facility.add(name, &PAIR);
    }
    fs::write(facility.path("drop/report-a.html"), bytes(3000)).unwrap();
    fs::write(facility.path("drop/rapport-b.html"), bytes(3000)).unwrap();
    let ended = facility.once().await;
    assert_eq!(sample(&ended.snapshot, "S1").0, "done");
    assert_eq!(sample(&ended.snapshot, "report-a.html").0, "done");
    for (name, words) in [
        (
            "S2",
            &[
                r#"sample type "RNA-seq" does not exist on this server; did you mean "RNA-Seq"?"#,
                r#"organism "Human" does not exist on this server; did you mean "Hs" (Human)?"#,
                r#"project 788995297969977723 is called "Sequencing core", and not "RNA atlas""#,
                "correct rule reads",
            ][..],
        ),
        ("S3", &["metadata purification_target is required of CLIP"]),
        ("rapport-b.html", &[r#"data type "rapport" does not exist on this server; did you mean "report""#]),
    ] {
        let (state, reason) = sample(&ended.snapshot, name);
        assert_eq!(state, "blocked", "{ended:#?}");
        for word in words {
            assert!(reason.contains(word), "{word}: {reason}");
        }
    }
    for chunk in facility.chunks() {
        let filename = chunk.field("filename").unwrap();
        assert!(filename.starts_with("S1") || filename == "report-a.html", "{chunk:?}");
    }
    facility.check_samples(&["S2", "S3"]).await;
    assert_eq!(facility.sandbox.samples()[0].project.as_deref(), Some(CORE));

    // A corrected table makes other samples of them, and they go on.
    let table = fs::read_to_string(facility.path("projects.csv")).unwrap();
    let table = table
        .replace("RNA-seq,Human", "RNA-Seq,Hs")
        .replace(&format!("{CORE},RNA atlas"), &format!("{ATLAS},RNA atlas"));
    fs::write(facility.path("projects.csv"), table).unwrap();
    let ended = facility.once().await;
    assert_eq!(sample(&ended.snapshot, "S2"), ("done", ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_fetched_once_for_all_samples_and_only_those_that_are_needed() {
    let facility = saying("type: RNA-Seq").await;
    for n in 0..6 {
        facility.add(&format!("S{n}"), &PAIR);
    }
    fs::write(facility.path("projects.csv"), (0..6).fold("sample\n".to_owned(), |t, n| format!("{t}S{n}\n"))).unwrap();
    let ended = facility.once().await;
    facility.check_all_done(&ended).await;
    assert_eq!((facility.asked("/samples/types"), facility.asked("/samples/metadata")), (1, 1));
    let others = ["/organisms", "/projects/owned", "/data/types"].map(|path| facility.asked(path));
    assert_eq!(others, [0, 0, 0]);
}

/// Whatever a list does but tell that a value is wrong, the sample goes up, and no try is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_cannot_be_had_keeps_no_sample_back_for_good() {
    let json_404 = || Reply::json(404, &json!({ "error": "No such thing" }));
    let cases: [(&str, Reply, usize, usize); 7] = [
        ("it is not there", json_404(), 1000, 1),
        ("nor a word about it", Reply::empty(404), 1000, 1),
        ("but a page", Reply::html(404), 1000, 1),
        ("it is forbidden", Reply::json(403, &json!({ "error": "Not yours" })), 1000, 1),
        ("it has another form", Reply::json(200, &json!({ "types": [] })), 1000, 1),
        ("the server is busy", Reply::html(503), 2, 3),
        ("the server fails", Reply::json(500, &json!({ "error": "Oops" })), 1, 2),
    ];
    for path in ["/samples/types", "/projects/owned"] {
        let cases = cases.clone().map(|(name, reply, times, asked)| (format!("{path}: {name}"), (reply, times, asked)));
        each_at_once(7, cases.to_vec(), move |(reply, times, asked)| async move {
            let facility = saying(&format!("type: RNA-Seq, project: \"{CORE}\"")).await;
            facility.add("S1", &PAIR);
            facility.sandbox.faults().add(Fault::on(On::get(path)).answer(reply).times(times));
            let ended = facility.once().await;
            facility.check_all_done(&ended).await;
            assert_eq!((facility.asked(path), only(&ended.snapshot).attempts), (asked, 1));
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_is_found_by_its_name_and_stays_the_same_to_the_end() {
    let facility = saying("type: RNA-Seq, project: { name: RNA atlas }").await;
    facility.add("S1", &PAIR);
    let gate = Gate::new();
    facility.sandbox.faults().add(Fault::on(On::MiddleChunk).nth(1).delay(Duration::ZERO).until(&gate));
    facility.cut_off_when("it is under way", || facility.sandbox.faults().fired() == 1).await;
    gate.open();
    // The project is called otherwise now: what was begun goes on all the same.
    facility.sandbox.faults().clear();
    let renamed = json!({ "count": 1, "page": 1, "projects": [{ "id": ATLAS, "name": "Atlas" }] });
    facility.sandbox.faults().add(Fault::on(On::get("/projects/owned")).answer(Reply::json(200, &renamed)));
    let ended = facility.once().await;
    facility.check_all_done(&ended).await;
    assert_eq!(facility.sandbox.samples()[0].project.as_deref(), Some(ATLAS));
    assert!(facility.chunks().iter().all(|chunk| chunk.field("project") == Some(ATLAS)));

    // By its name it is found again when nothing is remembered.
    facility.sandbox.faults().clear();
    fs::remove_dir_all(facility.path("state")).unwrap();
    let found = facility.once().await;
    facility.check_all_done(&found).await;
    assert!(only(&found.snapshot).adopted, "{found:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_leads_to_no_project_blocks() {
    let twins = json!({ "count": 2, "page": 1, "projects": [
        { "id": "1", "name": "RNA atlas" }, { "id": "2", "name": "RNA atlas" }
    ] });
    let cases = [
        ("unknown", None, r#"no project that is called "RNA atlass"; did you mean "RNA atlas" (788995297969977724)?"#),
        ("twice", Some(Reply::json(200, &twins)), r#"projects are called "RNA atlas": 1, 2; give the id of one"#),
        ("no list", Some(Reply::empty(404)), r#"project "RNA atlas" cannot be found by its name"#),
    ];
    let cases = cases.map(|(name, reply, words)| (name.to_owned(), (reply, words))).to_vec();
    each_at_once(3, cases, |(reply, words)| async move {
        let name = if reply.is_some() { "RNA atlas" } else { "RNA atlass" };
        let facility = saying(&format!("type: RNA-Seq, project: {{ name: {name} }}")).await;
        facility.add("S1", &PAIR);
        if let Some(reply) = reply {
            facility.sandbox.faults().add(Fault::on(On::get("/projects/owned")).answer(reply));
        }
        let ended = facility.once().await;
        let set = only(&ended.snapshot);
        assert!(set.state == "blocked" && set.reason.as_deref().unwrap().contains(words), "{set:#?}");
        assert!(facility.chunks().is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_owns_no_project_is_told_so_by_name() {
    let facility = saying(&format!("type: RNA-Seq, project: \"{CORE}\"")).await;
    let none = json!({ "count": 0, "page": 1, "projects": [] });
    facility.sandbox.faults().add(Fault::on(On::get("/projects/owned")).answer(Reply::json(200, &none)));
    let (code, document) = checked(&facility).await;
    let account = document["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|check| check["what"].as_str().unwrap().starts_with("account at "));
    let name = account.unwrap()["detail"].as_str().unwrap();
    let said =
        format!("asked for the projects that {name} owns, and there are none; use the credentials of the account");
    let message = document["misses"][0]["message"].as_str().unwrap();
    assert!(code == Some(2) && message.contains(&said), "{document:#}");

    for name in ["S1", "S2", "S3"] {
        facility.add(name, &PAIR);
    }
    let asked = facility.asked("/me");
    let ended = facility.once().await;
    for name in ["S1", "S2", "S3"] {
        let (state, reason) = sample(&ended.snapshot, name);
        assert!(state == "blocked" && reason.contains(&said), "{reason}");
    }
    assert!(facility.asked("/me") - asked <= 3, "nobody asks for each sample: {}", facility.asked("/me") - asked);
    assert!(facility.chunks().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_right_by_the_lists_that_are_kept_is_not_asked_about_again() {
    let facility = saying(&format!("type: RNA-Seq, project: \"{CORE}\"")).await;
    facility.add("S1", &PAIR);
    let agent = facility.agent().await;
    let snapshot = || agent.snapshot("running").unwrap();
    let before = json!({ "count": 1, "page": 1, "projects": [{ "id": ATLAS, "name": "RNA atlas" }] });
    let script = async {
        until("the first is done", || snapshot().count("done") == 1).await;
        facility.sandbox.faults().add(Fault::on(On::get("/projects/owned")).answer(Reply::json(200, &before)));
        facility.add("S2", &PAIR);
        until("the second is done", || snapshot().count("done") == 2).await;
    };
    agent.run(flow_ingest::agent::Mode::Service, script).await.unwrap();
    assert_eq!(facility.asked("/projects/owned"), 1);
}

/// Somebody has just mended on Flow what was missing there: nobody is told of it by a list of before.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_has_tried_again_meets_no_list_of_before() {
    let facility = saying(&format!("type: RNA-Seq, project: \"{CORE}\"")).await;
    facility.add("S1", &PAIR);
    let none = json!({ "count": 0, "page": 1, "projects": [] });
    let before = || Fault::on(On::get("/projects/owned")).answer(Reply::json(200, &none)).times(1);
    facility.sandbox.faults().add(before());
    let service = facility.serve().await;
    let blocked = facility.becomes("S1", "blocked").await;
    let (exit, _, words) = facility.ask(&["retry", blocked["id"].as_str().unwrap()]).await;
    assert_eq!(exit, Some(0), "{words}");
    let ended = |document: &Value| document["counts"]["done"] == 1 || document["samples"][0]["attempts"] == 2;
    let document = facility.status_until("it was tried again", ended).await;
    assert_eq!((&document["counts"]["done"], facility.asked("/projects/owned")), (&1.into(), 2), "{document:#}");

    // Nor is what the manifest is corrected for; the list of types is the one of the first look.
    say(&facility, "type: No-Such-Type");
    let types = json!([{ "identifier": "Other", "name": "Other" }]);
    facility.sandbox.faults().add(Fault::on(On::get("/samples/types")).answer(Reply::json(200, &types)).times(1));
    assert_eq!(facility.ask(&["reload"]).await.0, Some(0));
    facility.add("S2", &PAIR);
    facility.becomes("S2", "blocked").await;
    say(&facility, "type: RNA-Seq");
    assert_eq!(facility.ask(&["reload"]).await.0, Some(0));
    facility.becomes("S2", "done").await;
    service.stop().await;
}
