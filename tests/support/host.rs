//! A host with an agent on it that watches run folders, through the real program, for tests that lay out trees.

// Each test file takes what it needs of this.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use flow_ingest::sandbox::{Sandbox, Settings};
use serde_json::Value;
use tempfile::TempDir;

/// The block that every BAM file ends with.
const BAM_END: [u8; 28] = [31, 139, 8, 4, 0, 0, 0, 0, 0, 255, 6, 0, 66, 67, 2, 0, 27, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// A sample as it is told: its state, and each slot with its parts, below the watch.
pub type Told = (String, Vec<(String, Vec<String>)>);

/// A host with an agent on it that watches `runs`, and a server beside it.
pub struct Host {
    pub dir: TempDir,
    pub sandbox: Sandbox,
}

impl Host {
    /// `rule` is what the rule says beside its name and its sample's type, `name` the sample's.
    pub async fn new(layout: &str, name: &str, rule: &str) -> Self {
        Self::with(&format!("layout: {layout}"), name, rule).await
    }

    /// `watch` is what the watch says beside its folder.
    pub async fn with(watch: &str, name: &str, rule: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let sandbox = Sandbox::start(Settings::new(dir.path().join("flow"))).await.unwrap();
        let config = format!(
            "flow: {{ base_url: \"{}\" }}\nstate_dir: state\nwatch:\n  - {{ name: w, path: runs, manifest: manifest.yaml, \
             existing: upload, settle: 300ms, {watch} }}\n",
            sandbox.base_url()
        );
        let manifest =
            format!("version: 1\nrules:\n  - name: r\n    {rule}\n    sample: {{ name: \"{name}\", type: RNA-Seq }}\n");
        fs::write(dir.path().join("flow-ingest.yaml"), config).unwrap();
        fs::write(dir.path().join("manifest.yaml"), manifest).unwrap();
        fs::create_dir(dir.path().join("runs")).unwrap();
        Self { dir, sandbox }
    }

    /// Writes files below the watch: whole ones of their kind, each with bytes of its own.
    pub fn add(&self, paths: &[&str]) {
        for below in paths {
            self.write(below, content(below));
        }
    }

    /// Writes a file below the watch.
    pub fn write(&self, below: &str, bytes: impl AsRef<[u8]>) {
        let path = self.dir.path().join("runs").join(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub async fn flow_ingest(&self, arguments: &[&str]) -> (i32, Value) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flow-ingest"));
        command.args(arguments).args(["--json", "--config"]).arg(self.dir.path().join("flow-ingest.yaml"));
        command.env("FLOW_API_TOKEN", self.sandbox.token()).env_remove("FLOW_TOKEN_FILE").env("NO_PROXY", "127.0.0.1");
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}; stderr: {said}"));
        (output.status.code().unwrap(), document)
    }

    pub async fn plan(&self) -> Value {
        let (exit, plan) = self.flow_ingest(&["plan"]).await;
        assert_eq!(exit, 0, "{plan:#}");
        plan
    }

    pub async fn once(&self) -> Value {
        self.flow_ingest(&["run", "--once", "--give-up-after", "30s"]).await.1
    }

    pub fn below_watch(&self, path: &str) -> String {
        Path::new(path).strip_prefix(self.dir.path().join("runs")).unwrap().to_str().unwrap().to_owned()
    }

    pub fn told(&self, document: &Value) -> BTreeMap<String, Told> {
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned();
        let slot = |file: &Value| {
            let parts = file["parts"].as_array().unwrap().iter().map(|part| self.below_watch(part.as_str().unwrap()));
            (text(&file["slot"]), parts.collect())
        };
        let sample = |sample: &Value| {
            let slots = sample["files"].as_array().unwrap().iter().map(slot).collect();
            (text(&sample["name"]), (text(&sample["state"]), slots))
        };
        document["samples"].as_array().unwrap().iter().map(sample).collect()
    }

    pub fn left_out(&self, document: &Value) -> BTreeMap<String, String> {
        let entry = |entry: &Value| {
            (self.below_watch(entry["path"].as_str().unwrap()), entry["reason"].as_str().unwrap().to_owned())
        };
        document["left_out"].as_array().unwrap().iter().map(entry).collect()
    }

    /// Every sample on the server has, byte for byte, the files that were told of it, in their order.
    pub fn check_arrived(&self, told: &BTreeMap<String, Told>) {
        let done: Vec<&String> = told.iter().filter(|(_, (state, _))| state == "done").map(|(name, _)| name).collect();
        let there: BTreeMap<_, _> =
            self.sandbox.samples().into_iter().map(|sample| (sample.name.clone(), sample)).collect();
        assert_eq!(there.keys().collect::<Vec<_>>(), done);
        for (name, sample) in &there {
            let expected: Vec<Vec<u8>> =
                told[name].1.iter().map(|(_, parts)| parts.iter().flat_map(|part| content(part)).collect()).collect();
            let stored: Vec<Vec<u8>> = sample.files.iter().map(|file| fs::read(&file.path).unwrap()).collect();
            assert!(stored == expected, "{name}: other bytes, or in another order");
        }
    }
}

/// What a file of this path holds.
pub fn content(below: &str) -> Vec<u8> {
    let zip = |text: String| {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(text.as_bytes()).unwrap();
        gzip.finish().unwrap()
    };
    match below.rsplit('.').next() {
        Some("gz") => zip(format!("@{below}\nACGT\n+\nIIII\n")),
        Some("bam") => [zip(below.to_owned()), BAM_END.to_vec()].concat(),
        _ => below.as_bytes().to_vec(),
    }
}

pub fn sample(name: &str, state: &str, slots: &[(&str, &[&str])]) -> (String, Told) {
    let slot =
        |(key, parts): &(&str, &[&str])| ((*key).to_owned(), parts.iter().map(|part| (*part).to_owned()).collect());
    (name.to_owned(), (state.to_owned(), slots.iter().map(slot).collect()))
}

pub fn reason<'d>(document: &'d Value, name: &str) -> &'d str {
    let samples = document["samples"].as_array().unwrap();
    let found = samples.iter().find(|sample| sample["name"] == name).unwrap_or_else(|| panic!("{name}: {document:#}"));
    found["reason"].as_str().unwrap_or_default()
}
