//! A facility in a folder: runs on disk, a config, an agent, and a Flow to talk to; and what must hold at the end.

// Each test file takes what it needs of this.
#![allow(dead_code)]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::future::{Future, pending};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use flow_ingest::agent::{Agent, AgentError, Ending, Mode};
use flow_ingest::config::{self, Config};
use flow_ingest::journal::JournalError;
use flow_ingest::sandbox::{Fault, Gate, On, RequestLog, Sandbox, Settings};
use flow_ingest::status::{SampleStatus, Snapshot};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinSet;

/// Length of a first chunk, unless a test's config says otherwise.
pub const CHUNK: u64 = 10_000;
/// A file of a first, a middle and a last chunk, and another one.
pub const PAIR: [u64; 2] = [25_000, 24_321];
/// How long anything may take before a test gives up on it.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// What a test's config says where it matters.
#[derive(Debug, Clone)]
pub struct Setup {
    pub chunk_size: String,
    pub request_timeout: &'static str,
    pub connection_retries: u32,
    pub upload_retries: u32,
    pub concurrency: usize,
    pub final_wait: &'static str,
    pub if_exists: &'static str,
    pub credentials: String,
    /// Below the facility's folder.
    pub state_dir: String,
    pub sample_type: &'static str,
    pub paired: &'static str,
    pub listen: &'static str,
    pub existing: &'static str,
    pub check_gzip: bool,
    pub verify: &'static str,
    pub settle: &'static str,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            chunk_size: format!("{CHUNK}B"),
            // Longer than any machine stalls: where nothing is to come too late, nothing does.
            request_timeout: "30s",
            connection_retries: 0,
            upload_retries: 1,
            concurrency: 4,
            final_wait: "2s",
            if_exists: "adopt",
            credentials: "{ token_file: token }".to_owned(),
            state_dir: "state".to_owned(),
            sample_type: "RNA-Seq",
            paired: "required",
            listen: "none",
            existing: "upload",
            check_gzip: true,
            verify: "size",
            settle: "100ms",
        }
    }
}

/// A facility with a drop folder, and its Flow.
pub struct Facility {
    dir: TempDir,
    pub sandbox: Sandbox,
    pub setup: Setup,
}

/// How an agent that ended by itself left things.
#[derive(Debug)]
pub struct Ended {
    pub ending: Ending,
    pub snapshot: Snapshot,
}

impl Facility {
    pub async fn new() -> Self {
        Self::with(Setup::default(), |_| {}).await
    }

    pub async fn with(setup: Setup, sandbox: impl FnOnce(&mut Settings)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = Settings::new(dir.path().join("flow"));
        sandbox(&mut settings);
        let sandbox = Sandbox::start(settings).await.unwrap();
        fs::create_dir(dir.path().join("drop")).unwrap();
        let facility = Self { dir, sandbox, setup };
        facility.write_token(facility.sandbox.token());
        facility.write_config();
        facility
    }

    /// The same, where nothing is ever late: a lost answer is soon given up.
    pub async fn impatient() -> Self {
        Self::with(Setup { final_wait: "300ms", ..Setup::default() }, |_| {}).await
    }

    /// One paired sample, `S1`, of three chunks a file.
    pub async fn with_a_pair() -> Self {
        let facility = Self::new().await;
        facility.add("S1", &PAIR);
        facility
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    /// The file of a sample's read on disk.
    pub fn read(&self, sample: &str, read: usize) -> PathBuf {
        self.path("drop").join(read_name(sample, read))
    }

    pub fn write_token(&self, token: &str) {
        self.write_secret("token", token);
    }

    /// A file that nobody else can read, as the agent wants its secrets.
    pub fn write_secret(&self, name: &str, secret: &str) {
        // A new file each time: the mode is that of a file that is made.
        let mut file = tempfile::NamedTempFile::new_in(self.dir.path()).unwrap();
        file.write_all(secret.as_bytes()).unwrap();
        file.persist(self.path(name)).unwrap();
    }

    pub fn write_config(&self) {
        let Setup {
            chunk_size,
            request_timeout,
            connection_retries,
            upload_retries,
            concurrency,
            final_wait,
            if_exists,
            credentials,
            state_dir,
            sample_type,
            paired,
            listen,
            existing,
            check_gzip,
            verify,
            settle,
        } = &self.setup;
        let config = format!(
            "flow:
  base_url: {}
  credentials: {credentials}
  chunk_size: {chunk_size}
  connection_retries: {connection_retries}
  request_timeout: {request_timeout}
  upload_retries: {upload_retries}
  show_progress: false
state_dir: {state_dir}
uploads:
  concurrency: {concurrency}
  final_wait: {final_wait}
  if_exists: {if_exists}
  check_gzip: {check_gzip}
  verify: {verify}
watch:
  - name: drop
    path: drop
    manifest: manifest.yaml
    existing: {existing}
    settle: {settle}
status: {{ listen: \"{listen}\" }}
",
            self.sandbox.base_url()
        );
        let manifest = format!(
            "version: 1
rules:
  - name: reads
    match: \"{{sample}}_R{{read}}.fastq.gz\"
    paired: {paired}
    sample: {{ name: \"{{sample}}\", type: {sample_type} }}
  - name: reports
    match: \"{{report}}.html\"
    data: {{ filename: \"{{report}}.html\", data_type: report }}
"
        );
        fs::write(self.path("flow-ingest.yaml"), config).unwrap();
        fs::write(self.path("manifest.yaml"), manifest).unwrap();
    }

    pub fn config(&self) -> Config {
        config::load(&self.path("flow-ingest.yaml")).unwrap()
    }

    /// Puts down a sample's reads: one file for each size.
    pub fn add(&self, sample: &str, sizes: &[u64]) {
        for (n, size) in sizes.iter().enumerate() {
            fs::write(self.read(sample, n + 1), bytes(*size)).unwrap();
        }
    }

    /// An agent, as soon as one that was cut off has let go of the state folder.
    pub async fn agent(&self) -> Agent {
        let begun = Instant::now();
        loop {
            match Agent::open(self.config()) {
                Err(AgentError::Journal(JournalError::InUse { .. })) if begun.elapsed() < DEADLINE => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                opened => return opened.unwrap(),
            }
        }
    }

    /// An agent that runs until everything is uploaded, or nothing gets further.
    pub async fn once(&self) -> Ended {
        let agent = self.agent().await;
        let mode = Mode::Once { give_up_after: Duration::from_secs(30) };
        let ending = tokio::time::timeout(DEADLINE, agent.run(mode, pending())).await;
        let snapshot = agent.snapshot("finished").unwrap();
        let ending = ending.unwrap_or_else(|_| panic!("the agent does not end: {snapshot:#?}")).unwrap();
        Ended { ending, snapshot }
    }

    /// Runs the agent as a service until `ready` says so of its state, and lets it stop.
    pub async fn serve_until(&self, what: &str, ready: impl Fn(&Snapshot) -> bool) -> Snapshot {
        let agent = self.agent().await;
        let ready = until(what, || ready(&agent.snapshot("running").unwrap()));
        let ending = tokio::time::timeout(DEADLINE * 2, agent.run(Mode::Service, ready)).await;
        assert_eq!(ending.expect("the agent stops").unwrap(), Ending::Stopped);
        agent.snapshot("stopped").unwrap()
    }

    /// Runs the agent until `ready`, and cuts it off there as a power cut would, between any two of its steps.
    pub async fn cut_off_when(&self, what: &str, ready: impl Fn() -> bool) {
        let agent = self.agent().await;
        tokio::select! {
            ending = agent.run(Mode::Service, pending()) => panic!("the agent ended: {ending:?}"),
            () = until(what, ready) => {}
        }
    }

    /// The real program.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flow-ingest"));
        command.args(arguments).arg("--config").arg(self.path("flow-ingest.yaml"));
        command.env_remove("RUST_LOG").env("NO_PROXY", "127.0.0.1").stdin(Stdio::null());
        command
    }

    /// Starts the real program, its words kept away from the test's.
    pub fn start(&self, arguments: &[&str]) -> Process {
        self.start_as(self.command(arguments))
    }

    /// The same, however it is called.
    pub fn start_as(&self, mut command: Command) -> Process {
        let log = fs::OpenOptions::new().append(true).create(true).open(self.path("log")).unwrap();
        Process(command.stdout(Stdio::null()).stderr(log).spawn().unwrap())
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Runs the real program to its end, off the test's threads.
    pub async fn output(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = self.command(arguments);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    /// Runs the real program with `--json`: its exit code, its document, and its words.
    pub async fn ask(&self, arguments: &[&str]) -> (Option<i32>, Value, String) {
        let output = self.output(&[arguments, &["--json"]].concat()).await;
        let document = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        (output.status.code(), document, String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Starts the service, and waits until it answers.
    pub async fn serve(&self) -> Process {
        let socket = self.path(&self.setup.state_dir).join("agent.sock");
        // One that a run before left behind says nothing of this one.
        let _ = fs::remove_file(&socket);
        let process = self.start(&["run"]);
        until("the service listens", || socket.exists()).await;
        process
    }

    /// Waits until the status says so, by the way that a person goes.
    pub async fn status_until(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let (_, document, words) = self.ask(&["status"]).await;
            if is_so(&document) {
                return document;
            }
            assert!(begun.elapsed() < DEADLINE, "it never came to this: {what}: {document:#} {words}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the status says so of a sample.
    pub async fn becomes(&self, name: &str, state: &str) -> Value {
        let named = |document: &Value| {
            let samples = document["samples"].as_array().into_iter().flatten();
            samples.into_iter().find(|sample| sample["name"] == name && sample["state"] == state).cloned()
        };
        let document = self.status_until(&format!("{name} is {state}"), |document| named(document).is_some()).await;
        named(&document).unwrap()
    }

    /// The names of all samples on the server, in alphabetical order; one that is there twice stands there twice.
    pub fn names_on_flow(&self) -> Vec<String> {
        let mut names: Vec<_> = self.sandbox.samples().into_iter().map(|sample| sample.name).collect();
        names.sort();
        names
    }

    /// The chunks that the server saw.
    pub fn chunks(&self) -> Vec<RequestLog> {
        let is_chunk = |request: &RequestLog| request.method == "POST" && request.path.starts_with("/upload");
        self.sandbox.requests().into_iter().filter(is_chunk).collect()
    }

    /// Those of them that were to make a sample.
    pub fn final_chunks(&self) -> Vec<RequestLog> {
        let says = |chunk: &RequestLog, field| chunk.field(field) == Some("true");
        self.chunks().into_iter().filter(|chunk| says(chunk, "is_last") && says(chunk, "is_last_sample")).collect()
    }

    /// From the sample's lost last chunk on, nobody hears what became of a file before the gate opens. Counts how often
    /// that chunk has come.
    pub fn hold_lookups_after_the_last_chunk(&self, gate: &Gate) -> Arc<AtomicUsize> {
        let (gate, times) = (gate.clone(), Arc::new(AtomicUsize::new(0)));
        let counted = times.clone();
        self.sandbox.faults().decide(move |sight| {
            let times = counted.fetch_add(usize::from(sight.is(&On::FinalChunk)), Ordering::SeqCst);
            (times > 0 && sight.is(&On::DataLookup)).then(|| Fault::on(On::Any).delay(Duration::ZERO).until(&gate))
        });
        times
    }

    /// Waits until the next agent does what the one before it did last: asks about a file, or sends something. `asked`
    /// is how many requests there were before it.
    pub async fn next_one_works(&self, asked: usize) {
        let is_work = |request: &RequestLog| ["/data/", "/upload"].iter().any(|path| request.path.starts_with(path));
        until("the next one works", || self.sandbox.requests()[asked..].iter().any(is_work)).await;
    }

    /// How often a path was asked for.
    pub fn asked(&self, path: &str) -> usize {
        self.sandbox.requests().iter().filter(|request| request.path == path).count()
    }

    /// Every sample on disk is one sample on Flow, byte for byte, and Flow has no others. `missing` are on disk alone.
    /// What the server has still to do behind lost answers is waited for.
    pub async fn check_samples(&self, missing: &[&str]) {
        self.sandbox.idle().await;
        self.compare(missing);
    }

    /// The same, while an answer is held up for somebody who is gone.
    pub fn check_bytes(&self) {
        self.compare(&[]);
    }

    fn compare(&self, missing: &[&str]) {
        let mut expected: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
        let mut files: Vec<_> = fs::read_dir(self.path("drop")).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files {
            let name = file.file_name().unwrap().to_str().unwrap().to_owned();
            if let Some((sample, _)) = name.split_once("_R")
                && name.ends_with(".fastq.gz")
                && !missing.contains(&sample)
            {
                expected.entry(sample.to_owned()).or_default().push(file);
            }
        }
        let samples = self.sandbox.samples();
        let mut names: Vec<_> = samples.iter().map(|sample| sample.name.as_str()).collect();
        names.sort();
        assert_eq!(names, expected.keys().collect::<Vec<_>>(), "each sample once, and no others");
        for sample in samples {
            let on_disk = &expected[&sample.name];
            let stored: Vec<_> = sample.files.iter().map(|file| file.filename.as_str()).collect();
            let names: Vec<_> = on_disk.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect();
            assert_eq!(stored, names, "files of {}", sample.name);
            for (stored, on_disk) in sample.files.iter().zip(on_disk) {
                let is_same = fs::read(&stored.path).unwrap() == fs::read(on_disk).unwrap();
                assert!(is_same, "{} is not on Flow what it is on disk", stored.filename);
            }
        }
    }

    /// What went over the wire kept the rules of uploading, so far as the wire shows them. `closed_again` are files
    /// whose last chunk may be there twice under one id.
    pub fn check_wire(&self, closed_again: &[&str]) {
        let mut ready = HashSet::new();
        let mut closed: HashMap<String, usize> = HashMap::new();
        for request in self.sandbox.requests() {
            if let (Some(id), Some(200)) = (request.path.strip_prefix("/data/"), request.status) {
                ready.insert(id.to_owned());
            }
            // All fields come before the bytes: without any of them, the form was cut on its way.
            if request.method != "POST" || !request.path.starts_with("/upload") || request.blob_len.is_none() {
                continue;
            }
            let filename = request.field("filename").unwrap();
            let offset: u64 = request.field("expected_file_size").unwrap().parse().unwrap();
            let is_last = request.field("is_last") == Some("true");
            let id = request.field("data").unwrap_or_default();
            let size = fs::metadata(self.path("drop").join(filename)).map(|metadata| metadata.len()).ok();

            assert_eq!(offset == 0, id.is_empty(), "the first chunk, and it alone, has no id: {request:?}");
            assert!(!(is_last && id.is_empty()) || size == Some(1), "a first chunk is never the last: {request:?}");
            let is_whole = request.status.is_some_and(|status| status < 300);
            if let (Some(length), Some(size), true) = (request.blob_len, size, is_whole) {
                let base = if size > CHUNK { CHUNK } else { size.div_ceil(2) };
                let begin_of = |n: u64| n * base + n * n.saturating_sub(1) / 2;
                let n = (0..).find(|n| begin_of(*n) >= offset).unwrap();
                assert_eq!(begin_of(n), offset, "off the boundaries: {request:?}");
                assert_eq!(length, (base + n).min(size - offset), "each chunk a byte longer: {request:?}");
                assert_eq!(is_last, offset + length == size, "the last chunk is the last: {request:?}");
            }
            for previous in request.all("previous_data") {
                assert!(ready.contains(previous), "begun before the file before it was seen ready: {request:?}");
            }
            if filename.contains("_R2") {
                assert_eq!(request.all("previous_data").len(), 1, "{request:?}");
            }
            let is_refused = request.status.is_some_and(|status| (400..500).contains(&status));
            if is_last && !is_refused && !id.is_empty() {
                let times = closed.entry(id.to_owned()).or_default();
                *times += 1;
                let most = 1 + usize::from(closed_again.contains(&filename));
                assert!(*times <= most, "a last chunk left {times} times: {request:?}");
            }
        }
    }

    /// Sends the last chunk of `reads2` in the agent's place, by hand, and so that no sample comes of it.
    pub async fn close_without_a_sample(&self) {
        let file = || self.sandbox.unfinished().into_iter().find(|file| file.filename == read_name("S1", 2));
        until("the sample's last chunk was lost", || self.sandbox.faults().fired() > 0 && file().is_some()).await;
        let file = file().unwrap();
        let rest = fs::read(self.read("S1", 2)).unwrap()[file.size as usize..].to_vec();
        let form = reqwest::multipart::Form::new()
            .text("filename", file.filename)
            .text("expected_file_size", file.size.to_string())
            .text("is_last", "true")
            .text("data", file.id)
            .text("is_last_sample", "false")
            .text("sample_name", "S1")
            .text("sample_type", "RNA-Seq")
            .part("blob", reqwest::multipart::Part::bytes(rest).file_name("blob"));
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.post(format!("{}/upload/sample", self.sandbox.base_url())).multipart(form);
        let answer = request.bearer_auth(self.sandbox.token()).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    }

    /// All that must hold when everything went well in the end.
    pub async fn check_all_done(&self, ended: &Ended) {
        assert!(matches!(ended.ending, Ending::Finished { .. }), "{ended:#?}");
        assert_eq!(ended.snapshot.count("done"), ended.snapshot.samples.len(), "{ended:#?}");
        self.check_samples(&[]).await;
        let on_flow = self.sandbox.samples();
        for sample in ended.snapshot.samples.iter().filter(|sample| sample.rule == "reads") {
            let stored = on_flow.iter().find(|stored| stored.name == sample.name).unwrap();
            assert_eq!(sample.sample_id.as_ref(), Some(&stored.id));
            let ids: Vec<_> = sample.files.iter().map(|file| file.data_id.as_deref()).collect();
            assert_eq!(ids, stored.files.iter().map(|file| Some(file.id.as_str())).collect::<Vec<_>>());
        }
    }
}

/// The real program, ended with the test.
pub struct Process(Child);

impl Process {
    pub fn id(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.0)
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    pub fn terminate(&self) {
        rustix::process::kill_process(self.id(), rustix::process::Signal::TERM).unwrap();
    }

    pub fn hang_up(&self) {
        let id = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(id, rustix::process::Signal::HUP).unwrap();
    }

    /// SIGTERM, and a good end.
    pub async fn stop(mut self) {
        self.terminate();
        assert_eq!(self.ended().await.code(), Some(0));
    }

    pub fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    pub async fn ended(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < DEADLINE, "the program does not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until something is so.
pub async fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < DEADLINE, "it never came to this: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The size of the smallest gzip file of stored bytes: header, one block's head, and trailer.
const SMALLEST_GZIP: u64 = 23;

/// A gzip file of just this size, and another for each size. Below the smallest gzip file: bytes that only begin as one
/// does.
pub fn bytes(size: u64) -> Vec<u8> {
    gzip(size, size)
}

/// The same, with another content.
pub fn other_bytes(size: u64) -> Vec<u8> {
    gzip(size, size ^ (1 << 40))
}

fn gzip(size: u64, seed: u64) -> Vec<u8> {
    let mut dice = StdRng::seed_from_u64(seed);
    let header = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    if size < SMALLEST_GZIP {
        let noise = (0..size).map(|_| dice.random());
        return header[..3].iter().copied().chain(noise).take(size as usize).collect();
    }
    // Blocks of stored bytes, each with a head of five.
    let body = size - 18;
    let blocks = body.div_ceil(5 + 65_535);
    let content: Vec<u8> = (0..body - 5 * blocks).map(|_| dice.random()).collect();
    let mut file = header.to_vec();
    for n in 0..blocks {
        let length = content.len() as u64;
        let block = &content[(length * n / blocks) as usize..(length * (n + 1) / blocks) as usize];
        file.push(u8::from(n + 1 == blocks));
        file.extend((block.len() as u16).to_le_bytes());
        file.extend((!(block.len() as u16)).to_le_bytes());
        file.extend(block);
    }
    let mut crc = flate2::Crc::new();
    crc.update(&content);
    file.extend(crc.sum().to_le_bytes());
    file.extend((content.len() as u32).to_le_bytes());
    assert_eq!(file.len() as u64, size);
    file
}

pub fn read_name(sample: &str, read: usize) -> String {
    format!("{sample}_R{read}.fastq.gz")
}

/// The one sample of a snapshot.
pub fn only(snapshot: &Snapshot) -> &SampleStatus {
    assert_eq!(snapshot.samples.len(), 1, "{snapshot:#?}");
    &snapshot.samples[0]
}

/// The modification time set to another second, and nothing else changed.
pub fn touch(path: &Path) {
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_modified(std::time::SystemTime::now() - Duration::from_secs(1000)).unwrap();
}

/// Many cases of one behaviour, so many at once; tells every case that failed.
pub async fn each_at_once<C, F>(at_once: usize, cases: Vec<(String, C)>, test: impl Fn(C) -> F + Clone + Send + 'static)
where
    C: Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let places = std::sync::Arc::new(tokio::sync::Semaphore::new(at_once));
    let mut running = JoinSet::new();
    for (name, case) in cases {
        let (places, test) = (places.clone(), test.clone());
        running.spawn(async move {
            let _place = places.acquire_owned().await.unwrap();
            let failed = tokio::spawn(async move { test(case).await }).await.is_err();
            failed.then_some(name)
        });
    }
    let failed: Vec<String> = running.join_all().await.into_iter().flatten().collect();
    assert!(failed.is_empty(), "failed: {failed:#?}");
}

/// The shared data, or a word on stderr about what is skipped.
pub fn shared_data(what: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let data = std::env::var_os("FLOW_INGEST_SHARED").map_or_else(beside, PathBuf::from).join("data");
    if data.is_dir() {
        return Some(data);
    }
    skipped(&format!("{what}: no real data at {} (FLOW_INGEST_SHARED)", data.display()));
    None
}

/// Says what is not tested here, and why.
pub fn skipped(what: &str) {
    // Not eprintln, which the test harness keeps to itself when a test passes.
    let _ = writeln!(std::io::stderr(), "skipped: {what}");
}
