//! One upload at a time: what arrives, and how each refusal ends.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use flow_ingest::sandbox::{Fault, On, Reply};
use serde_json::json;

use crate::bench::{Bench, bytes};

const PAIRED: &[&str] = &[
    "upload",
    "sample",
    "--name",
    "S1",
    "--type",
    "RNA-Seq",
    "--reads1",
    "R1.fastq",
    "--reads2",
    "R2.fastq",
    "--project",
    "788995297969977723",
    "--organism",
    "Hs",
    "--metadata",
    "strandedness=reverse",
    "--metadata-json",
    r#"{"scientist": "Ada = L; \"x\" 🧬", "comments": 7}"#,
];

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_arrives_as_it_was_given_and_only_once() {
    let bench = Bench::new().await;
    bench.write("sheet.csv", "Sample Name,Sample Type,Organism,Barcode\nA,RNA-Seq,Hs,ACGT\n");
    let data = ["upload", "data", "R1.fastq", "--filename", "other.tar", "--data-type", "report", "--directory"];
    let named =
        ["upload", "sample", "--name", "P", "--type", "Proteomics", "--file", "b=R2.fastq", "--file", "a=R1.fastq"];
    let pooled = ["upload", "multiplexed", "--reads1", "R1.fastq", "--reads2", "R2.fastq", "--annotation", "sheet.csv"];
    let commands = [&data[..], PAIRED, &named, &pooled];
    let mut ids = Vec::new();
    for command in commands {
        let ended = bench.run(&[command, &["--json"]].concat()).await;
        assert_eq!(ended.code, 0, "{ended:?}");
        ids.push(ended.ids());
    }

    let stored = &bench.sandbox.data()[0];
    assert_eq!((stored.filename.as_str(), stored.data_type.as_deref()), ("other.tar", Some("report")));
    assert!(stored.is_directory && bytes(&stored.path) == b"reads one");
    let samples = bench.sandbox.samples();
    let sample = &samples[0];
    assert_eq!((sample.name.as_str(), sample.organism.as_deref()), ("S1", Some("Hs")));
    assert_eq!(sample.project.as_deref(), Some("788995297969977723"));
    let metadata = [("comments", "7"), ("scientist", "Ada = L; \"x\" 🧬"), ("strandedness", "reverse")];
    assert!(sample.metadata.iter().map(|(k, v)| (k.as_str(), v.as_str())).eq(metadata), "{:?}", sample.metadata);
    assert_eq!([0, 1].map(|n| bytes(&sample.files[n].path)), [b"reads one", b"reads two"]);
    assert_eq!(
        samples[1].files.iter().map(|file| file.filename.as_str()).collect::<Vec<_>>(),
        ["R2.fastq", "R1.fastq"]
    );
    assert_eq!((bench.sandbox.annotations().len(), bench.sandbox.multiplexed().len()), (1, 2));
    assert_eq!(ids[1][0][0], sample.id);

    let before = bench.sandbox.requests().len();
    for (command, ids) in commands.into_iter().zip(&ids) {
        let ended = bench.run(&[command, &["--json"]].concat()).await;
        assert_eq!((ended.code, &ended.ids()), (0, ids), "{ended:?}");
        assert_eq!(ended.json()["uploads"][0]["already_uploaded"], true);
        assert!(ended.stderr.contains("is on Flow already; nothing was sent"), "{ended:?}");
    }
    assert_eq!(bench.sandbox.requests().len(), before, "nothing was asked or sent");

    let table = bench.run(PAIRED).await.stdout;
    assert!(table.contains("uploaded before") && table.contains(&ids[1][0][0]), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_meant_ends_with_2_and_asks_nobody() {
    let bench = Bench::new().await;
    bench.write("empty.fastq", "");
    let sample = ["upload", "sample", "--name", "S", "--type", "RNA-Seq"];
    for (rest, told) in [
        (&["--reads1", "none.fastq"][..], "none.fastq"),
        (&["--reads1", "empty.fastq"], "it is empty"),
        (&["--reads1", "."], "no plain file"),
        (&["--reads2", "R2.fastq"], "--reads1"),
        (&["--reads1", "R1.fastq", "--reads2", "R1.fastq"], "is given twice"),
        (&["--reads1", "R1.fastq", "--file", "a=R2.fastq"], "cannot be used with"),
        (&["--file", "reads3=R1.fastq"], "--reads1 and --reads2"),
        (&["--reads1", "R1.fastq", "--metadata", "x"], "expected KEY=VALUE"),
        (&["--reads1", "R1.fastq", "--metadata", "is_last=true"], "a field of the upload"),
        (&["--reads1", "R1.fastq", "--metadata", "pi=a", "--metadata-json", r#"{"pi": "b"}"#], "more than once"),
        (&["--reads1", "R1.fastq", "--metadata-json", r#"{"pi": []}"#], "no text, number or truth value"),
        (&["--reads1", "R1.fastq", "--base-url", "http://flow.example.org/api"], "--allow-http"),
        (&["--reads1", "R1.fastq", "--config", "none.yaml"], "none.yaml"),
        (&[], "--reads1"),
    ] {
        let ended = bench.run(&[&sample[..], rest].concat()).await;
        assert!(ended.code == 2 && ended.stderr.contains(told), "{told}: {ended:?}");
    }
    let folder = bench.run(&["upload", "data", ".", "--directory"]).await;
    assert!(folder.code == 2 && folder.stderr.contains("pack it"), "{folder:?}");
    assert_eq!(bench.sandbox.requests(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_flow_refuses_ends_with_5_and_its_own_words() {
    let bench = Bench::new().await;
    bench.write("a b.fastq", "reads");
    for (name, sample_type, reads, rest, words) in [
        ("S 1", "RNA-Seq", "R1.fastq", "", "Spaces in sample name"),
        ("S1", "rna_seq", "R1.fastq", "", "'rna_seq' is not a valid sample type"),
        ("S1", "RNA-Seq", "a b.fastq", "", "Spaces in filename"),
        ("S1", "RNA-Seq", "R1.fastq", "--project=1", "Unknown project '1'"),
        ("S1", "RNA-Seq", "R1.fastq", "--metadata=nonsense=1", "nonsense: Unknown field."),
        ("S1", "CLIP", "R1.fastq", "", "purification_target: This field is required."),
    ] {
        let mut command = vec!["upload", "sample", "--name", name, "--type", sample_type, "--reads1", reads];
        command.extend((!rest.is_empty()).then_some(rest));
        for _ in 0..2 {
            let ended = bench.run(&command).await;
            assert!(ended.code == 5 && ended.stderr.contains(words), "{words}: {ended:?}");
        }
        let ended = bench.run(&[&command[..], &["--json"]].concat()).await.json();
        assert_eq!((&ended["exit"], &ended["uploads"][0]["state"]), (&json!(5), &json!("blocked")));
    }
    assert_eq!(bench.sandbox.samples(), []);

    bench.sandbox.faults().add(Fault::on(On::Chunk).answer(Reply::json(404, &json!({"error": "No such thing"}))));
    let missing = bench.run(&["upload", "data", "R1.fastq"]).await;
    assert!(missing.code == 4 && missing.stderr.contains("No such thing"), "{missing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_are_bad_or_missing_end_with_3() {
    let bench = Bench::new().await;
    for token in ["bad", ""] {
        let mut command = bench.command(&["upload", "data", "R1.fastq"]);
        command.env("FLOW_API_TOKEN", token);
        let ended = bench.end(command).await;
        assert_eq!(ended.code, 3, "{ended:?}");
    }
    assert!(bench.chunks().is_empty());
    // A file with a token mends it, and the same command goes on.
    std::fs::create_dir_all(bench.path("home/.config/flow")).unwrap();
    let token = bench.write("home/.config/flow/api-token", format!("{}\n", bench.sandbox.token()));
    std::fs::set_permissions(token, PermissionsExt::from_mode(0o600)).unwrap();
    let mut command = bench.command(&["upload", "data", "R1.fastq"]);
    command.env_remove("FLOW_API_TOKEN");
    assert_eq!(bench.end(command).await.code, 0);
    assert_eq!(bench.sandbox.data().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_that_cannot_be_reached_is_given_up_in_the_end_and_the_upload_goes_on_later() {
    let bench = Bench::new().await;
    bench.sandbox.pause().await;
    let command = ["upload", "data", "R1.fastq", "--give-up-after", "500ms"];
    let ended = bench.run(&command).await;
    assert!(ended.code == 1 && ended.stderr.contains("the same command goes on from here"), "{ended:?}");
    bench.sandbox.resume().await.unwrap();
    assert_eq!(bench.run(&command).await.code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_account_began_another_goes_on_with_only_when_it_is_accepted() {
    let bench = Bench::new().await;
    assert_eq!(bench.run(&["upload", "data", "R1.fastq"]).await.code, 0);
    let bob = json!({ "username": "bob" });
    bench.sandbox.faults().add(Fault::on(On::Me).answer(Reply::json(200, &bob)));
    let refused = bench.run(&["upload", "data", "R2.fastq", "--json"]).await;
    assert_eq!((refused.code, bench.sandbox.data().len()), (3, 1), "{refused:?}");
    for word in ["bob", "sandbox", ".local/state/flow-ingest", "--accept-account"] {
        assert!(refused.json()["error"].as_str().unwrap().contains(word), "{word}: {refused:?}");
    }
    let accepted = bench.run(&["upload", "data", "R2.fastq", "--accept-account"]).await;
    assert_eq!((accepted.code, bench.sandbox.data().len()), (0, 2), "{accepted:?}");
    bench.write("R3.fastq", "more");
    assert_eq!(bench.run(&["upload", "data", "R3.fastq"]).await.code, 0, "bob it is, from now on");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_changed_since_are_told_and_go_up_only_when_that_is_wished() {
    let bench = Bench::new().await;
    let command = ["upload", "data", "R1.fastq", "--json"];
    let first = bench.run(&command).await.ids();
    tokio::time::sleep(Duration::from_millis(20)).await;
    bench.write("R1.fastq", "reads one");
    let touched = bench.run(&command).await;
    assert_eq!((touched.code, touched.ids()), (0, first.clone()), "the bytes are the same: {touched:?}");

    bench.write("R1.fastq", "other");
    let changed = bench.run(&command).await;
    assert!(changed.code == 1 && changed.stderr.contains("changed since; nothing was sent"), "{changed:?}");
    assert_eq!((changed.ids(), bench.sandbox.data().len()), (first, 1));

    let again = [&command[..], &["--again"]].concat();
    let ended = bench.run(&again).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let stored = bench.sandbox.data();
    assert_eq!((stored.len(), bytes(&stored[1].path)), (2, b"other".to_vec()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sheet_with_warnings_goes_on_unless_that_is_not_wished_and_a_bad_one_costs_no_reads() {
    let bench = Bench::new().await;
    bench.write("bad.csv", "nonsense\n");
    bench.write("warned.csv", "Sample Name,Sample Type,Organism,Barcode\nA,RNA-Seq,,ACGT\n");
    let upload = |sheet: &'static str| ["upload", "multiplexed", "--reads1", "R1.fastq", "--annotation", sheet];
    let bad = bench.run(&upload("bad.csv")).await;
    assert!(bad.code == 5 && bad.stderr.contains("'Sample Name' and 'Sample Type' are required"), "{bad:?}");
    let rejected = bench.run(&[&upload("warned.csv")[..], &["--reject-warnings"]].concat()).await;
    assert!(rejected.code == 5 && rejected.stderr.contains("No organism is given"), "{rejected:?}");
    assert_eq!(bench.sandbox.multiplexed(), []);

    let command = [&upload("warned.csv")[..], &["--json"]].concat();
    for _ in 0..2 {
        let ended = bench.run(&command).await;
        assert!(ended.code == 0 && ended.stderr.contains("row 2: No organism is given"), "{ended:?}");
        let warnings = json!([{"row": 2, "message": "No organism is given"}]);
        assert_eq!(ended.json()["uploads"][0]["warnings"], warnings);
    }
    assert_eq!((bench.sandbox.annotations().len(), bench.sandbox.multiplexed().len()), (1, 1));
}
