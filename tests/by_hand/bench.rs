//! A sandbox, a folder of files, and the command as a person types it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use flow_ingest::sandbox::{RequestLog, Sandbox, Settings};
use serde_json::Value;
use tempfile::TempDir;

/// The longest that anything here takes, on a machine that has much else to do.
pub const LONGEST: Duration = Duration::from_secs(120);

pub struct Bench {
    pub sandbox: Sandbox,
    dir: TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// The one document on stdout.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Sample and data ids of each upload, in order.
    pub fn ids(&self) -> Vec<Vec<String>> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let uploads = self.json()["uploads"].as_array().unwrap().clone();
        let ids = |upload: &Value| {
            let files = upload["files"].as_array().unwrap().iter().map(|file| text(&file["data_id"]));
            std::iter::once(text(&upload["sample_id"])).chain(files).flatten().collect()
        };
        uploads.iter().map(ids).collect()
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let code = output.status.code().unwrap_or(-1);
        Self { code, stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Bench {
    pub async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let sandbox = Sandbox::start(Settings::new(dir.path().join("flow"))).await.unwrap();
        std::fs::create_dir(dir.path().join("home")).unwrap();
        let bench = Self { sandbox, dir };
        bench.write("R1.fastq", "reads one");
        bench.write("R2.fastq", "reads two");
        bench
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// A config whose service watches an empty folder; chunks are small.
    pub fn config(&self) -> PathBuf {
        std::fs::create_dir_all(self.path("drop")).unwrap();
        self.write(
            "manifest.yaml",
            "version: 1\nrules:\n- {name: a, match: '{s}.fq', sample: {name: '{s}', type: RNA-Seq}}\n",
        );
        let url = self.sandbox.base_url();
        self.write(
            "flow-ingest.yaml",
            format!(
                "flow: {{base_url: '{url}', chunk_size: 100KB}}\nstate_dir: state\nstatus: {{listen: none}}\n\
                 watch: [{{path: drop, manifest: manifest.yaml, existing: skip}}]\n"
            ),
        )
    }

    /// The command, in the folder of files, with the sandbox's token and nothing else of this machine's.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flow-ingest"));
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .env("HOME", self.path("home"))
            .env("FLOW_API_URL", self.sandbox.base_url())
            .env("FLOW_API_TOKEN", self.sandbox.token())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub async fn run(&self, arguments: &[&str]) -> Ended {
        self.end(self.command(arguments)).await
    }

    pub async fn end(&self, mut command: Command) -> Ended {
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap().into()
    }

    pub fn start(&self, arguments: &[&str]) -> Running {
        Running(Some(self.command(arguments).spawn().unwrap()))
    }

    /// The chunks that came, as far as they were answered.
    pub fn chunks(&self) -> Vec<RequestLog> {
        self.sandbox.requests().into_iter().filter(|request| request.path.starts_with("/upload")).collect()
    }
}

/// A command that is running; killed when it is dropped.
pub struct Running(Option<Child>);

impl Running {
    pub fn id(&self) -> u32 {
        self.0.as_ref().unwrap().id()
    }

    pub fn kill(mut self) {
        let mut child = self.0.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// As Ctrl-C does, or a service manager.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    pub async fn ended(mut self) -> Ended {
        let child = self.0.take().unwrap();
        tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap().into()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub async fn until(is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LONGEST, waiting).await.expect("it does not come to that");
}

pub fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}
