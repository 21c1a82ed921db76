//! The facility: its folders, the agent's config, and the agent itself, the real program.

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use flow_ingest::sandbox::{Sandbox, Settings};
use flow_ingest::status::Snapshot;
use rand::rngs::StdRng;
use rand::{Rng, RngExt};
use tempfile::TempDir;

use crate::network::{FINAL_WAIT, REQUEST_TIMEOUT};
use crate::sequencer::{MARKER, SETTLE};

/// How long the agent may take to end when it is told to.
const END: Duration = Duration::from_secs(30);

/// How many lines of the log are shown with a failure.
const LAST_WORDS: usize = 12;

pub struct Facility {
    dir: TempDir,
    pub sandbox: Sandbox,
}

impl Facility {
    pub async fn new(concurrency: usize) -> Self {
        let dir = tempfile::Builder::new().prefix("soak-").tempdir().expect("a temporary folder can be made");
        let sandbox =
            Sandbox::start(Settings::new(dir.path().join("flow"))).await.expect("the loopback has free ports");
        let facility = Self { dir, sandbox };
        facility.write_config(concurrency);
        facility
    }

    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    /// Leaves everything where it is, for whoever looks into a failure.
    pub fn keep(self) -> PathBuf {
        self.dir.keep()
    }

    fn write_config(&self, concurrency: usize) {
        let write = |name: &str, text: String| {
            let path = self.root().join(name);
            fs::write(&path, text).expect("the facility's folder can be written");
            // The agent takes no secret that others can read.
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("the file is ours");
        };
        let watch = |name: &str, manifest: &str, more: &str| {
            format!(
                "  - {{ name: {name}, path: {name}, manifest: {manifest}, existing: upload, settle: {SETTLE:?}{more} }}\n"
            )
        };
        let of_runs = format!(
            ", run_folder: \"{{date}}_{{instrument}}_{{run_number}}_{{flow_cell}}\", complete_when: {{ marker: {MARKER} }}"
        );
        write(
            "flow-ingest.yaml",
            format!(
                "flow:
  base_url: {}
  credentials: {{ username: {user}, password_file: password }}
  chunk_size: 16kB
  connection_retries: 0
  request_timeout: {REQUEST_TIMEOUT:?}
  upload_retries: 1
  show_progress: false
state_dir: state
uploads: {{ concurrency: {concurrency}, final_wait: {FINAL_WAIT:?} }}
status: {{ listen: none }}
watch:
{}{}{}",
                self.sandbox.base_url(),
                watch("drop", "pairs.yaml", ""),
                watch("share", "pairs.yaml", ""),
                watch("runs", "runs.yaml", &of_runs),
                user = flow_ingest::sandbox::DEFAULT_ACCOUNT,
            ),
        );
        write("password", flow_ingest::sandbox::DEFAULT_ACCOUNT.to_owned());
        write(
            "pairs.yaml",
            "version: 1
rules:
  - name: pairs
    match: \"{sample}_R{read}.fastq.gz\"
    sample: { name: \"{sample}\", type: RNA-Seq }
"
            .to_owned(),
        );
        write(
            "runs.yaml",
            "version: 1
rules:
  - name: reads
    match: \"Fastq/{sample}_S{sample_number:int}_L{lane:int}_R{read}_001.fastq.gz\"
    sample: { name: \"{run}_{sample}\", type: RNA-Seq }
  - name: reports
    match: \"Reports/{report}.html\"
    data: { filename: \"{run}_{report}.html\", data_type: report }
"
            .to_owned(),
        );
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flow-ingest"));
        command.args(arguments).arg("--config").arg(self.root().join("flow-ingest.yaml"));
        command.env_remove("RUST_LOG").env("NO_PROXY", "127.0.0.1").stdin(Stdio::null());
        command
    }

    /// Starts the service. All of them write one log.
    pub fn start(&self) -> Agent {
        let log = fs::OpenOptions::new().append(true).create(true).open(self.root().join("log"));
        let mut command = self.command(&["run"]);
        command.stdout(Stdio::null()).stderr(log.expect("the log can be written"));
        Agent(command.spawn().expect("the program can be started"))
    }

    /// The last that the agents said, for whoever looks into a failure.
    pub fn last_words(&self) -> String {
        let log = fs::read(self.root().join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LAST_WORDS)..].join("\n    ")
    }

    /// Loses the journal, all of it or some bytes, while no agent runs. The receipts stay.
    pub fn lose_journal(&self, dice: &mut StdRng) {
        let journal = self.root().join("state/journal");
        if !journal.exists() {
            return;
        }
        let database = journal.join("db");
        let length = fs::metadata(&database).map_or(0, |metadata| metadata.len());
        let open = || fs::OpenOptions::new().write(true).open(&database).expect("the database can be written");
        match dice.random_range(0..3) {
            0 => fs::remove_dir_all(&journal).expect("the journal is ours"),
            1 => open().set_len(length * dice.random_range(0..100) / 100).expect("the database can be cut"),
            _ => {
                let mut garbage = [0; 4096];
                dice.fill_bytes(&mut garbage);
                let at = length * dice.random_range(0..100) / 100;
                open().write_all_at(&garbage, at).expect("the database can be written");
            }
        }
    }

    /// Loses all that the agent knew, while no agent runs, and once the server has done what it was told: what goes on
    /// there unseen, nobody could know of.
    pub async fn lose_state(&self) {
        self.sandbox.idle().await;
        let _ = fs::remove_dir_all(self.root().join("state"));
    }

    /// What `status --json` says; `None` when the agent could not be asked.
    pub async fn status(&self) -> Option<Snapshot> {
        let mut command = self.command(&["status", "--json"]);
        let output = tokio::task::spawn_blocking(move || command.output()).await.expect("it does not panic").ok()?;
        serde_json::from_slice(&output.stdout).ok()
    }
}

/// The program while it runs.
pub struct Agent(Child);

impl Agent {
    /// SIGKILL.
    pub fn kill(mut self) {
        self.0.kill().expect("it is ours");
        self.0.wait().expect("it is ours");
    }

    /// How it ended, if it did so by itself.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().expect("it is ours")
    }

    /// Tells it to stop, and waits.
    pub async fn stop(mut self) -> Result<(), String> {
        if let Some(status) = self.ended() {
            return Err(format!("the agent had ended before it was told to, with {status}"));
        }
        let id = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("it is ours");
        let told = Instant::now();
        loop {
            match self.ended() {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("the agent was told to stop and ended with {status}")),
                None if told.elapsed() > END => {
                    return Err(format!("the agent was told to stop and ran on for {END:?}"));
                }
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
