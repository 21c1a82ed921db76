//! `flow-ingest demo` as somebody types it first: it holds, says so in one document, reads nothing of the user's, and
//! leaves nothing behind.

use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Stdio};

use assert_cmd::Command;
use serde_json::Value;

/// The command in an environment that would lead it astray if it looked: a config, credentials and a proxy that are
/// not there.
fn demo(temporary: &Path) -> Command {
    let mut command = Command::cargo_bin("flow-ingest").unwrap();
    command.arg("demo").env("TMPDIR", temporary).env("HOME", temporary.join("home"));
    command.env("FLOW_INGEST_CONFIG", "/nowhere/flow-ingest.yaml").env("FLOW_API_TOKEN", "not-the-sandbox's");
    command.env("http_proxy", "http://127.0.0.1:9").env("HTTP_PROXY", "http://127.0.0.1:9").env_remove("NO_PROXY");
    command
}

/// The one document on stdout.
fn document(stdout: &[u8]) -> Value {
    serde_json::from_slice(stdout).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(stdout)))
}

#[test]
fn every_sample_comes_to_its_end_and_both_sides_are_equal() {
    let temporary = tempfile::tempdir().unwrap();
    let ran = demo(temporary.path()).arg("--json").assert().success();
    let output = ran.get_output();
    let story = String::from_utf8_lossy(&output.stderr);
    assert!(!story.contains('\x1b'), "no colours and no bars into a pipe: {story}");
    assert!(story.contains("The sandbox has had 0 uploads so far."), "{story}");

    let outcome = document(&output.stdout);
    assert_eq!(outcome["version"], 1);
    assert_eq!((&outcome["counts"]["done"], &outcome["counts"]["blocked"]), (&4.into(), &1.into()));
    let samples = outcome["samples"].as_array().unwrap();
    assert_eq!(samples.len(), 5);
    let lonely = samples.iter().find(|sample| sample["state"] == "blocked").unwrap();
    assert_eq!(lonely["name"], "KD3M7_RNA-Heart-1");
    assert!(lonely["reason"].as_str().unwrap().contains("reads2"), "{lonely}");
    let left_out = outcome["left_out"].as_array().unwrap();
    let odd = left_out.iter().find(|file| file["path"].as_str().unwrap().contains("Undetermined")).unwrap();
    assert_eq!(odd["reason"], "no rule matches; nearest: rnaseq (where: sample)");

    let comparison = &outcome["comparison"];
    assert_eq!(comparison["ok"], true);
    let files = comparison["files"].as_array().unwrap();
    assert_eq!(files.len(), 8);
    for file in files {
        assert_eq!(file["equal"], true);
        assert_eq!(file["sha256"].as_str().unwrap().len(), 64);
        assert_eq!(file["sha256"], file["stored_sha256"]);
    }
    let bytes: u64 = files.iter().map(|file| file["bytes"].as_u64().unwrap()).sum();
    assert_eq!(comparison["bytes"], bytes);
    for check in comparison["checks"].as_array().unwrap() {
        assert_eq!((&check["ok"], &check["problems"]), (&true.into(), &Value::Array(Vec::new())), "{check}");
    }
    // It is to take less than a minute; a machine that has much else to do takes longer.
    assert!(outcome["seconds"].as_f64().unwrap() < 300.0);
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0, "nothing is left behind");
}

/// A demo that runs, and its story until a line that says `until`.
fn begun(temporary: &Path, arguments: &[&str], until: &str) -> (Child, Lines<BufReader<ChildStderr>>) {
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin!("flow-ingest"))
        .args(["demo", "--json"])
        .args(arguments)
        .env("TMPDIR", temporary)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut story = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(story.any(|line| line.unwrap().contains(until)));
    (child, story)
}

/// The end of a demo that ought to fail: its document, and the rest of its story.
fn failed(child: Child, story: Lines<BufReader<ChildStderr>>) -> (Value, String) {
    let rest = std::thread::spawn(move || story.map(Result::unwrap).collect::<Vec<_>>().join("\n"));
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    (document(&output.stdout), rest.join().unwrap())
}

fn entry(folder: &Path) -> PathBuf {
    fs::read_dir(folder).unwrap().next().unwrap().unwrap().path()
}

#[test]
fn a_copy_that_is_not_the_original_fails_the_demo() {
    let temporary = tempfile::tempdir().unwrap();
    // The first sample has arrived, and others are still to come.
    let (child, story) = begun(temporary.path(), &[], "on Flow");
    let copy = entry(&entry(&entry(temporary.path()).join("sandbox/samples")));
    let mut bytes = fs::read(&copy).unwrap();
    bytes[100] ^= 1;
    fs::write(&copy, bytes).unwrap();
    let (outcome, _) = failed(child, story);
    assert_eq!(outcome["comparison"]["ok"], false);
    let filename = copy.file_name().unwrap().to_str().unwrap();
    let problems = &outcome["comparison"]["checks"][0]["problems"];
    assert_eq!(problems, &Value::from(vec![format!("{filename}: differs from byte 100 on")]));
}

#[test]
fn an_interrupted_demo_ends_at_once_without_a_trace_unless_told_to_keep_it() {
    let temporary = tempfile::tempdir().unwrap();
    let interrupted = |arguments: &[&str]| {
        let (child, story) = begun(temporary.path(), arguments, "The sequencer writes");
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        let (document, rest) = failed(child, story);
        assert!(rest.contains("interrupted"), "{rest}");
        document["error"].as_str().unwrap().to_owned()
    };
    assert_eq!(interrupted(&[]), "the demo was interrupted; nothing is left behind");
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0);

    let error = interrupted(&["--keep"]);
    let kept = Path::new(error.strip_prefix("the demo was interrupted; its folder is kept: ").unwrap());
    assert_eq!(fs::metadata(kept.join("token")).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(flow_ingest::config::load(&kept.join("flow-ingest.yaml")).is_ok());
}
