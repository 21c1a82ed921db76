//! Tokens and passwords stay where they belong: everything that a full run writes is searched for them, files that
//! others can read are refused, and neither a redirect nor a proxy carries a token to where nobody sent it.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use flow_ingest::flow::{Client, ClientConfig, Error, NewData, NewSample, TokenCredentials};
use flow_ingest::sandbox::{Fault, On, Reply};
use serde_json::{Value, json};
use support::{Facility, PAIR, Setup, until};

const TOKEN: &str = "t0ken+of/the=facility.4711";
const PASSWORD: &str = "p4ss word&of\"alice<4712";

/// What must be found nowhere: the secrets in every form, and what the sandbox gives for them.
fn forms() -> Vec<String> {
    let percent = |secret: &str| {
        secret
            .bytes()
            .map(|b| match b {
                b if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) => char::from(b).to_string(),
                b => format!("%{b:02X}"),
            })
            .collect::<String>()
    };
    let json = |secret: &str| Value::from(secret).to_string().trim_matches('"').to_owned();
    let mut forms = vec!["sandbox-access-".to_owned(), "sandbox-refresh-".to_owned()];
    for secret in [TOKEN, PASSWORD] {
        let base64 = BASE64.encode(secret.as_bytes()).trim_end_matches('=').to_owned();
        forms.extend([secret.to_owned(), percent(secret), json(secret), base64]);
        forms.push(BASE64URL_NOPAD.encode(secret.as_bytes()));
        // Cut short it would be half a secret.
        forms.push(secret[..8].to_owned());
    }
    forms
}

#[track_caller]
fn search(what: &str, bytes: &[u8]) {
    for form in forms() {
        let found = bytes.windows(form.len()).position(|window| window == form.as_bytes());
        if let Some(at) = found {
            let around = &bytes[at.saturating_sub(300)..(at + 300).min(bytes.len())];
            panic!("{what} holds {form:?}: …{}…", String::from_utf8_lossy(around));
        }
    }
}

/// Every file below a folder, but these.
fn files(folder: &Path, but: &[&str]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        if but.iter().any(|but| name == *but) {
            continue;
        }
        if path.is_dir() {
            files.extend(self::files(&path, but));
        } else if path.is_file() {
            files.push(path);
        }
    }
    files
}

/// A facility whose secrets are known, and the command in a home of its own, at the wordiest.
struct Bench {
    facility: Facility,
    formats: Mutex<bool>,
}

impl Bench {
    async fn new(credentials: &str) -> Self {
        let setup = Setup { credentials: credentials.to_owned(), ..Setup::default() };
        let facility = Facility::with(setup, |sandbox| {
            (sandbox.username, sandbox.password) = ("alice".to_owned(), PASSWORD.to_owned());
            sandbox.token = TOKEN.to_owned();
        })
        .await;
        facility.write_secret("password", &format!("{PASSWORD}\n"));
        facility.add("S1", &PAIR);
        Self { facility, formats: Mutex::default() }
    }

    /// Text and JSON by turns.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut format = self.formats.lock().unwrap();
        *format = !*format;
        let mut command = self.facility.command(arguments);
        command.current_dir(self.facility.path(""));
        command.args(["--log-format", if *format { "json" } else { "text" }]);
        command.env("RUST_LOG", "trace").env("HOME", self.facility.path("home")).env("RUST_BACKTRACE", "full");
        command
    }

    /// Runs a command, and searches what it says; its exit code, and what it says.
    async fn run(&self, arguments: &[&str], stdin: &str, code: i32) -> String {
        self.finish(self.command(arguments), arguments, stdin, code).await
    }

    async fn finish(&self, mut command: Command, arguments: &[&str], stdin: &str, code: i32) -> String {
        self.facility.write_secret("stdin", stdin);
        command.stdin(fs::File::open(self.facility.path("stdin")).unwrap());
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        fs::remove_file(self.facility.path("stdin")).unwrap();
        let said = [output.stdout, output.stderr].concat();
        search(&format!("{arguments:?}"), &said);
        let said = String::from_utf8_lossy(&said).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        said
    }

    /// Searches all that was left on disk, but the files that hold the secrets, and the sandbox's own.
    fn search_files(&self) {
        let but = ["token", "password", "stored", "flow"];
        let files = files(&self.facility.path(""), &but);
        assert!(files.iter().any(|file| file.to_string_lossy().contains("/state/journal/")), "{files:?}");
        for file in files {
            search(&file.display().to_string(), &fs::read(&file).unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_full_run_writes_holds_a_secret() {
    for credentials in ["{ token_file: token }", "{ username: alice, password_file: password }"] {
        let bench = Bench::new(credentials).await;
        let uploaded = bench.facility.path("drop").join("by-hand.tsv");
        bench.run(&["check"], "", 0).await;
        bench.run(&["check", "--online", "--json"], "", 0).await;
        bench.run(&["plan", "--json"], "", 0).await;
        let said = bench.run(&["run", "--once", "--json"], "", 0).await;
        assert!(said.contains("TRACE"), "the wordiest level: {said}");
        bench.facility.sandbox.faults().add(Fault::on(On::MiddleChunk).expire_token().times(1));
        bench.facility.add("S2", &PAIR);
        // A password brings a new token, a file does not.
        bench.run(&["run", "--once", "--json"], "", if credentials.contains("alice") { 0 } else { 3 }).await;
        bench.facility.sandbox.set_token(TOKEN);
        bench.run(&["status", "--json"], "", 0).await;
        fs::write(&uploaded, "counts").unwrap();
        bench.run(&["upload", "data", uploaded.to_str().unwrap()], "", 0).await;
        bench.run(&["list", "projects", "--json"], "", 0).await;
        bench.run(&["api", "get", "/me"], "", 0).await;
        bench.run(&["login", "--token-file", "stored"], TOKEN, 0).await;
        bench.run(&["login", "--username", "alice", "--token-file", "stored", "--json"], PASSWORD, 0).await;
        bench.search_files();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_repeats_of_a_secret_is_not_repeated() {
    let bench = Bench::new("{ token_file: token }").await;
    let all = format!("{TOKEN} {} {}", BASE64.encode(TOKEN.as_bytes()), BASE64URL_NOPAD.encode(TOKEN.as_bytes()));
    let echo = |status| Reply::json(status, &json!({ "error": { TOKEN: [format!("Bearer {all} is bad")] } }));
    let faults = bench.facility.sandbox.faults();

    // Refused for good: it is blocked, and the reason is put down.
    faults.add(Fault::on(On::FirstChunk).answer(echo(400)).times(1));
    let said = bench.run(&["run", "--once", "--json"], "", 1).await;
    assert!(said.contains("is bad") && said.contains("[secret]"), "{said}");
    assert!(bench.run(&["status"], "", 0).await.contains("[secret]"));

    faults.add(Fault::on(On::Me).answer(echo(401)));
    for arguments in [&["check", "--online"][..], &["api", "get", "/me", "--json"], &["run", "--once"]] {
        let said = bench.run(arguments, "", if arguments[0] == "run" { 1 } else { 3 }).await;
        assert!(arguments[0] == "run" || said.contains("[secret]"), "{said}");
    }
    bench.run(&["login", "--token-file", "stored"], TOKEN, 3).await;
    faults.clear();

    let echo = Reply::json(400, &json!({ "error": format!("the password {PASSWORD} is wrong") }));
    faults.add(Fault::on(On::Login).answer(echo).times(1));
    let login = ["login", "--username", "alice", "--token-file", "stored", "--json"];
    assert!(bench.run(&login, PASSWORD, 3).await.contains("the password [secret] is wrong"));
    // As the success that it is not: what cannot be read is quoted by the reader.
    let odd = Reply::json(200, &json!(format!("a text, {all}")));
    faults.add(Fault::on(On::Me).answer(odd));
    bench.run(&["check", "--online"], "", 1).await;
    faults.clear();
    assert!(!bench.facility.path("stored").exists());
    bench.search_files();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_of_a_proxy_is_not_repeated_either() {
    const SECRET: &str = "pr0xy-s3cret";
    let proxy = serve(Router::new().fallback(|| async { (StatusCode::BAD_GATEWAY, "no") })).await;
    let bench = Bench::new("{ token_file: token }").await;
    let arguments = ["api", "get", "/me", "--allow-http", "--base-url", "http://flow.invalid/api"];
    let mut command = bench.command(&arguments);
    command.env("http_proxy", format!("http://bob:{SECRET}@{proxy}")).env_remove("NO_PROXY").env_remove("no_proxy");
    let said = bench.finish(command, &arguments, "", 1).await;
    assert!(said.contains("HTTP 502"), "{said}");
    for form in [SECRET.to_owned(), BASE64.encode(format!("bob:{SECRET}").as_bytes())] {
        assert!(!said.contains(&form), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_others_can_read_is_refused_with_the_command_that_mends_it() {
    for (credentials, name) in
        [("{ token_file: token }", "token"), ("{ username: alice, password_file: password }", "password")]
    {
        let bench = Bench::new(credentials).await;
        let file = bench.facility.path(name);
        fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
        let mend = format!("chmod 600 {}", file.display());
        for arguments in [&["check"][..], &["check", "--online", "--json"], &["run", "--once"], &["api", "get", "/me"]]
        {
            let said = bench.run(arguments, "", 3).await;
            assert!(said.contains(&mend), "{arguments:?}: {said}");
        }
        assert_eq!(bench.facility.sandbox.requests(), [], "nothing was sent");
        fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
        bench.run(&["run", "--once"], "", 0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_files_of_the_environment_are_looked_at_as_well() {
    let bench = Bench::new("{ token_file: token }").await;
    let base_url = bench.facility.sandbox.base_url();
    let home = bench.facility.path("home/.config/flow/api-token");
    fs::create_dir_all(home.parent().unwrap()).unwrap();
    bench.facility.write_secret("named", TOKEN);
    fs::copy(bench.facility.path("named"), &home).unwrap();
    for (variable, file) in [(None, home), (Some("FLOW_TOKEN_FILE"), bench.facility.path("named"))] {
        for (mode, code) in [(0o604, 3), (0o600, 0)] {
            fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
            let mut command = Command::new(env!("CARGO_BIN_EXE_flow-ingest"));
            command.args(["list", "projects"]).env_clear().env("HOME", bench.facility.path("home"));
            command.env("FLOW_API_URL", &base_url).envs(variable.map(|name| (name, &file)));
            let said = bench.finish(command, &["list", "projects"], "", code).await;
            assert_eq!(said.contains(&format!("chmod 600 {}", file.display())), code == 3, "{said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_shows_no_secret_in_the_process_list_and_a_crash_leaves_no_core() {
    let bench = Bench::new("{ token_file: token }").await;
    let folder = bench.facility.path("cores");
    fs::create_dir(&folder).unwrap();
    // A shell that is killed in the same way leaves a core where the machine allows any.
    let leaves = |program: &mut Command| {
        program.current_dir(&folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        program.spawn().unwrap()
    };
    let quoted = |command: &Command| {
        let words: Vec<_> = command.get_args().map(|word| format!("'{}'", word.to_str().unwrap())).collect();
        format!("ulimit -c unlimited; exec '{}' {}", env!("CARGO_BIN_EXE_flow-ingest"), words.join(" "))
    };
    let mut service = leaves(Command::new("sh").args(["-c", &quoted(&bench.facility.command(&["run"]))]));
    let done = || bench.facility.sandbox.samples().len() == 1;
    until("the sample is on Flow", done).await;
    search("the process list", &fs::read(format!("/proc/{}/cmdline", service.id())).unwrap());
    assert!(fs::read(format!("/proc/{}/cmdline", service.id())).unwrap().starts_with(b"/"), "it is the agent itself");
    let abort = |id: u32| {
        let sent = Command::new("kill").args(["-ABRT", &id.to_string()]).status().unwrap();
        assert!(sent.success());
    };
    abort(service.id());
    let status = service.wait().unwrap();
    assert_eq!((status.signal(), status.core_dumped()), (Some(6), false));
    assert_eq!(files(&folder, &[]), Vec::<PathBuf>::new());
    // Whether the machine writes cores at all, as a measure of the above.
    let mut control = leaves(Command::new("sh").args(["-c", "ulimit -c unlimited && exec sleep 100"]));
    until("it sleeps", || fs::read(format!("/proc/{}/comm", control.id())).unwrap() == b"sleep\n").await;
    abort(control.id());
    if !control.wait().unwrap().core_dumped() {
        println!("this machine writes no cores of anybody");
    }
    fs::remove_dir_all(&folder).unwrap();
    bench.search_files();
}

/// Serves on a port of its own, until the test ends.
async fn serve(router: Router) -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_follows_a_redirect_and_no_token_comes_elsewhere() {
    let came: Arc<Mutex<Vec<String>>> = Arc::default();
    let note = |to: &Arc<Mutex<Vec<String>>>| {
        let to = to.clone();
        Router::new().fallback(move |request: Request| async move {
            to.lock().unwrap().push(format!("{} {}", request.method(), request.uri()));
            axum::Json(json!({ "id": "1", "username": "alice", "count": 0, "page": 1 }))
        })
    };
    let elsewhere = serve(note(&came)).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("counts.tsv");
    fs::write(&file, "counts").unwrap();
    for status in [301, 302, 303, 307, 308] {
        let asked: Arc<Mutex<Vec<HeaderMap>>> = Arc::default();
        let seen = asked.clone();
        let here = serve(Router::new().fallback(move |request: Request| async move {
            seen.lock().unwrap().push(request.headers().clone());
            let target = format!("http://{elsewhere}{}", request.uri());
            (StatusCode::from_u16(status).unwrap(), [(header::LOCATION, target)])
        }))
        .await;
        let config = ClientConfig {
            show_progress: false,
            connection_retries: 0,
            upload_retries: 0,
            request_timeout: Duration::from_secs(5),
            ..ClientConfig::default()
        };
        let client = Client::new(format!("http://{here}"), config).unwrap();
        client.log_in(&TokenCredentials::new(TOKEN)).await.unwrap();
        let refused = |error: Error| assert_eq!(error.status(), Some(status), "{error}");
        refused(client.me().await.unwrap_err());
        refused(client.get_raw("/anything", &[]).await.unwrap_err());
        refused(client.post_raw("/anything", "{}").await.unwrap_err());
        // A redirect may come when the work is done: the upload does not go on, here or elsewhere.
        assert!(client.data().upload_data(NewData::new(&file)).await.is_err());
        let sample = NewSample::new("S1", "RNA-Seq").file("reads1", &file);
        assert!(client.samples().upload_sample(&sample).await.is_err());
        let asked = asked.lock().unwrap();
        assert!(asked.len() >= 5 && asked.iter().all(|headers| headers.contains_key(header::AUTHORIZATION)));
    }
    assert_eq!(*came.lock().unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_goes_over_http_to_this_machine_alone_unless_it_is_allowed() {
    let bench = Bench::new("{ token_file: token }").await;
    for arguments in [&["api", "get", "/me"][..], &["login"], &["list", "projects"]] {
        let arguments = [arguments, &["--base-url", "http://flow.example.org/api"]].concat();
        let said = bench.run(&arguments, TOKEN, 2).await;
        assert!(said.contains("readable to all") && said.contains("--allow-http"), "{said}");
    }
    // A proxy on another machine would be handed what was meant for this one.
    let config = fs::read_to_string(bench.facility.path("flow-ingest.yaml")).unwrap();
    let with_proxy = config.replace("flow:\n", "flow:\n  proxy: http://10.0.0.1:3128\n");
    fs::write(bench.facility.path("flow-ingest.yaml"), with_proxy).unwrap();
    assert!(bench.run(&["check"], "", 2).await.contains("remove the proxy"));
    // Neither does a proxy of the config take what a flag keeps on this machine.
    let far = config.replace(&bench.facility.sandbox.base_url(), "https://flow.example.org/api");
    let far = far.replace("flow:\n", "flow:\n  proxy: http://10.0.0.1:3128\n");
    fs::write(bench.facility.path("flow-ingest.yaml"), far).unwrap();
    bench.run(&["api", "get", "/me", "--base-url", &bench.facility.sandbox.base_url()], "", 0).await;
}
