//! The commands that a person types beside uploads: each one's table, document and exit codes, with the real binary
//! against the sandbox.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use flow_ingest::sandbox::{Fault, On, Reply, Sandbox, Settings};
use serde_json::{Value, json};
use tempfile::TempDir;

struct Bench {
    sandbox: Sandbox,
    dir: TempDir,
}

#[derive(Debug)]
struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Ended {
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Bench {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let sandbox = Sandbox::start(Settings::new(dir.path().join("flow"))).await.unwrap();
        Self { sandbox, dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// The command as a stranger types it, in a home of its own.
    fn command(&self, arguments: &[&str]) -> assert_cmd::Command {
        let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_flow-ingest"));
        command.args(arguments).current_dir(self.dir.path()).env_clear();
        command.env("HOME", self.path("home")).env("FLOW_API_URL", self.sandbox.base_url());
        command
    }

    async fn end(&self, mut command: assert_cmd::Command) -> Ended {
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ended { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Without credentials.
    async fn nobody(&self, arguments: &[&str]) -> Ended {
        self.end(self.command(arguments)).await
    }

    /// With the sandbox's token.
    async fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = self.command(arguments);
        command.env("FLOW_API_TOKEN", self.sandbox.token());
        self.end(command).await
    }

    /// With these lines on stdin, and without credentials.
    async fn told(&self, arguments: &[&str], stdin: &str) -> Ended {
        let mut command = self.command(arguments);
        command.write_stdin(stdin);
        self.end(command).await
    }

    fn requests(&self) -> usize {
        self.sandbox.requests().len()
    }
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

/// All files and folders under a folder.
fn tree(path: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(path) else { return Vec::new() };
    let mut tree: Vec<String> = entries
        .flat_map(|entry| {
            let path = entry.unwrap().path();
            std::iter::once(path.display().to_string()).chain(tree(&path)).collect::<Vec<_>>()
        })
        .collect();
    tree.sort();
    tree
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_from_stdin_is_tested_and_stored() {
    let bench = Bench::new().await;
    let token = bench.sandbox.token().to_owned();
    let ended = bench.told(&["login"], &format!("{token}\r\nnot this\n")).await;
    let file = bench.path("home/.config/flow/api-token");
    assert_eq!(ended.code, 0, "{ended:?}");
    let said = format!("logged in to {} as sandbox; the token is in {}\n", bench.sandbox.base_url(), file.display());
    assert_eq!((ended.stdout, ended.stderr), (said, String::new()));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("{token}\n"));
    assert_eq!((mode(&file), mode(file.parent().unwrap()), mode(&bench.path("home/.config"))), (0o600, 0o700, 0o700));
    assert_eq!(tree(file.parent().unwrap()).len(), 1, "no temporary file is left");
    assert_eq!(bench.nobody(&["list", "projects"]).await.code, 0, "the other commands find it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_brings_a_token_that_is_stored_where_it_was_named() {
    let bench = Bench::new().await;
    std::fs::create_dir(bench.path("etc")).unwrap();
    let file = bench.write("etc/token", "worn out\n");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    std::os::unix::fs::symlink("etc/token", bench.path("link")).unwrap();
    let ended = bench.told(&["login", "--username", "sandbox", "--token-file", "link", "--json"], "sandbox\n").await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let document = ended.json();
    assert_eq!((&document["version"], &document["username"]), (&json!(1), &json!("sandbox")));
    assert_eq!(document["token_file"], json!(file.canonicalize().unwrap()));
    let token = std::fs::read_to_string(&file).unwrap();
    assert!(token.starts_with("sandbox-access-"), "{token}");
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert!(!said.contains(token.trim()), "the token is a secret");
    assert_eq!(mode(&file), 0o600);
    assert!(ended.stderr.contains("chmod g+r"), "a service may have lost it: {ended:?}");
    assert!(bench.path("link").is_symlink());
    let mut projects = bench.command(&["list", "projects"]);
    projects.env("FLOW_TOKEN_FILE", "etc/token");
    assert_eq!(bench.end(projects).await.code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_config_and_the_environment_say_where_a_token_belongs() {
    let bench = Bench::new().await;
    let mut command = bench.command(&["login"]);
    let token = bench.sandbox.token();
    command.env("FLOW_TOKEN_FILE", bench.path("a/named")).env("FLOW_API_TOKEN", "another").write_stdin(token);
    let ended = bench.end(command).await;
    assert_eq!((ended.code, mode(&bench.path("a/named"))), (0, 0o600), "{ended:?}");
    assert!(ended.stderr.contains("not used as long as FLOW_API_TOKEN is set"), "{ended:?}");

    std::fs::create_dir(bench.path("drop")).unwrap();
    bench.write(
        "manifest.yaml",
        "version: 1\nrules:\n- {name: a, match: '{s}.fq', sample: {name: '{s}', type: RNA-Seq}}\n",
    );
    bench.write(
        "config.yaml",
        "flow: {credentials: {token_file: b/token}}\nstate_dir: state\n\
         watch: [{path: drop, manifest: manifest.yaml, existing: skip}]\n",
    );
    let ended = bench.told(&["login", "--config", "config.yaml"], token).await;
    assert_eq!((ended.code, mode(&bench.path("b/token"))), (0, 0o600), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_not_stored() {
    let bench = Bench::new().await;
    for (arguments, stdin, code) in [
        (&["login"][..], "no-such-token\n", 3),
        (&["login", "--username", "sandbox"], "wrong-password\n", 3),
        (&["login"], "", 2),
        (&["login"], "two words\n", 2),
        (&["login", "--username", "sandbox"], "\n", 2),
    ] {
        let ended = bench.told(arguments, stdin).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (code, ""), "{ended:?}");
        assert!(stdin.trim().is_empty() || !ended.stderr.contains(stdin.trim()), "a secret: {ended:?}");
    }
    assert_eq!(tree(&bench.path("home")), Vec::<String>::new());
    let file = bench.write("token", "the one before\n");
    let ended = bench.told(&["login", "--token-file", "token", "--json"], "no-such-token\n").await;
    assert_eq!((ended.code, &ended.json()["exit"], &ended.json()["status"]), (3, &json!(3), &json!(401)));
    assert_eq!(std::fs::read_to_string(file).unwrap(), "the one before\n");
    bench.sandbox.faults().add(Fault::on(On::Me).answer(Reply::html(500)));
    let ended = bench.told(&["login"], bench.sandbox.token()).await;
    assert_eq!((ended.code, tree(&bench.path("home")).len()), (1, 0), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_does_not_follow_a_redirect() {
    let bench = Bench::new().await;
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let target = elsewhere.local_addr().unwrap();
    let here = TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = format!("http://{}/api", here.local_addr().unwrap());
    let answering = std::thread::spawn(move || {
        let (mut connection, _) = here.accept().unwrap();
        let mut request = [0; 4096];
        let read = connection.read(&mut request).unwrap();
        let answer = format!("HTTP/1.1 302 Found\r\nLocation: http://{target}/me\r\nContent-Length: 0\r\n\r\n");
        connection.write_all(answer.as_bytes()).unwrap();
        String::from_utf8_lossy(&request[..read]).into_owned()
    });
    let ended = bench.told(&["login", "--base-url", &base_url], bench.sandbox.token()).await;
    assert_eq!((ended.code, tree(&bench.path("home")).len()), (1, 0), "{ended:?}");
    assert!(answering.join().unwrap().starts_with("GET /api/me"));
    assert!(elsewhere.accept().is_err(), "nobody came there");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_tables_with_the_words_of_a_manifest_first() {
    let bench = Bench::new().await;
    for what in ["types", "organisms", "data-types"] {
        let ended = bench.nobody(&["list", what]).await;
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{ended:?}");
        insta::assert_snapshot!(format!("list_{what}"), ended.stdout);
    }
    let ended = bench.run(&["list", "projects"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    insta::assert_snapshot!("list_projects", ended.stdout);
    let ended = bench.nobody(&["list", "metadata"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    insta::assert_snapshot!("list_metadata", ended.stdout);
    assert!(ended.stderr.contains("to find others"), "{ended:?}");
    let ended = bench.nobody(&["list", "metadata", "--type", "CLIP"]).await;
    insta::assert_snapshot!("list_metadata_of_a_type", ended.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_documents() {
    let bench = Bench::new().await;
    for (what, key, identifier, first) in [
        ("types", "types", "identifier", "RNA-Seq"),
        ("organisms", "organisms", "id", "Hs"),
        ("data-types", "data_types", "identifier", "fastq"),
        ("projects", "projects", "id", "788995297969977723"),
    ] {
        let document = bench.run(&["list", what, "--json"]).await.json();
        assert_eq!((&document["version"], &document[key][0][identifier]), (&json!(1), &json!(first)));
    }
    let of = |document: Value, identifier: &str| {
        let all = document["metadata"].as_array().unwrap().clone();
        all.into_iter().find(|one| one["identifier"] == identifier)
    };
    let all = bench.nobody(&["list", "metadata", "--json"]).await.json();
    let line = of(all.clone(), "cell_line").unwrap();
    assert_eq!((&line["options"]["is_cut"], &line["options"]["total"]), (&json!(true), &json!(240)));
    assert_eq!(of(all, "purification_target").unwrap()["required_for_sample_types"], json!(["CLIP"]));
    let clip = bench.nobody(&["list", "metadata", "--type", "CLIP", "--json"]).await.json();
    assert_eq!(clip["sample_type"], json!("CLIP"));
    assert_eq!(of(clip, "purification_target").unwrap()["required_for_type"], json!(true));
    let rna = bench.nobody(&["list", "metadata", "--type", "RNA-Seq", "--json"]).await.json();
    assert_eq!(of(rna, "purification_target"), None, "it does not apply");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_that_cannot_be_had_say_why() {
    let bench = Bench::new().await;
    assert_eq!(bench.nobody(&["list", "projects"]).await.code, 3);
    assert_eq!(bench.requests(), 0, "without credentials there is nothing to ask");
    let ended = bench.nobody(&["list", "metadata", "--type", "rna-seq"]).await;
    assert_eq!(ended.code, 4);
    assert!(ended.stderr.contains("no sample type \"rna-seq\"; it knows RNA-Seq, "), "{ended:?}");
    assert_eq!(bench.nobody(&["list", "proteins"]).await.code, 2);
    assert_eq!(bench.nobody(&["list", "types", "--base-url", "http://flow.example.org/api"]).await.code, 2);
    let mut command = bench.command(&["list", "projects"]);
    command.env("FLOW_API_TOKEN", "no-such-token");
    assert_eq!(bench.end(command).await.code, 3);
    // A server that opens its lists to nobody is answered for.
    bench.sandbox.faults().add(Fault::on(On::get("/samples/types")).status(401));
    assert_eq!(bench.nobody(&["list", "types"]).await.code, 3);
    bench.sandbox.faults().clear();
    bench.sandbox.faults().add(Fault::on(On::get("/organisms")).status(502));
    let ended = bench.nobody(&["list", "organisms", "--json"]).await;
    assert_eq!((ended.code, &ended.json()["status"], &ended.json()["exit"]), (1, &json!(502), &json!(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_annotation_template_overwrites_nothing_unasked() {
    let bench = Bench::new().await;
    let ended = bench.run(&["annotation-template", "--type", "CLIP", "-o", "clip.xlsx", "--json"]).await;
    let size = std::fs::metadata(bench.path("clip.xlsx")).unwrap().len();
    let expected = json!({"version": 1, "sample_type": "CLIP", "file": "clip.xlsx", "bytes": size});
    assert_eq!((ended.code, ended.json()), (0, expected));
    assert!(std::fs::read(bench.path("clip.xlsx")).unwrap().starts_with(b"PK"));

    bench.write("clip.xlsx", "filled in");
    let ended = bench.run(&["annotation-template", "-o", "clip.xlsx"]).await;
    assert_eq!((ended.code, std::fs::read(bench.path("clip.xlsx")).unwrap().as_slice()), (2, &b"filled in"[..]));
    let ended = bench.run(&["annotation-template", "-o", "clip.xlsx", "--force"]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "wrote clip.xlsx\n"), "{ended:?}");
    assert!(std::fs::read(bench.path("clip.xlsx")).unwrap().starts_with(b"PK"));

    let mut command = bench.command(&["annotation-template", "-o", "-"]);
    let stdout = tokio::task::spawn_blocking(move || command.output().unwrap().stdout).await.unwrap();
    assert_eq!(stdout, std::fs::read(bench.path("clip.xlsx")).unwrap());
    for (arguments, code) in [
        (&["-o", "-", "--json"][..], 2),
        (&["-o", "none/a.xlsx"], 2),
        (&["-o", "b.xlsx", "--type", "typo"], 4),
        (&["-o", "b.xlsx", "--type", ".."], 5),
        (&[], 2),
    ] {
        let ended = bench.run(&[&["annotation-template"], arguments].concat()).await;
        assert_eq!(ended.code, code, "{ended:?}");
    }
    assert!(!bench.path("b.xlsx").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_runs_and_is_told_of() {
    let bench = Bench::new().await;
    bench.write(
        "sheet.csv",
        "\u{feff}accession,sample_type,name,organism,purification_target\r\nERR1,CLIP,N,Hs,FUS\r\nSRX2,,,,\r\n",
    );
    let ended = bench.run(&["import", "--sheet", "sheet.csv", "--type", "RNA-Seq", "--json"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let job = ended.json();
    assert_eq!((&job["version"], &job["status"]), (&json!(1), &json!("RUNNING")));
    assert_eq!(job["accessions"], json!(["ERR1", "SRX2"]));
    let id = job["id"].as_str().unwrap();
    assert!(ended.stderr.contains(&format!("import-status --job {id}")));

    let ended = bench.run(&["import-status", "--job", id, "--wait"]).await;
    let samples = bench.sandbox.samples();
    let rows = format!("ACCESSION  SAMPLE\nERR1       {}\nSRX2       {}\n", samples[0].id, samples[1].id);
    assert!(ended.code == 0 && ended.stdout.starts_with(&format!("job {id}: COMPLETED\n")), "{ended:?}");
    assert!(ended.stdout.ends_with(&rows), "{ended:?}");
    assert_eq!((samples[0].name.as_str(), samples[1].name.as_str()), ("N", "SRX2"));
    assert_eq!((samples[0].sample_type.as_str(), samples[1].sample_type.as_str()), ("CLIP", "RNA-Seq"));
    let document = bench.run(&["import-status", "--job-id", id, "--json"]).await.json();
    assert_eq!(document["sample_ids"], json!([samples[0].id, samples[1].id]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_fails_is_a_failure() {
    let bench = Bench::new().await;
    bench.write("sheet.csv", "accession,sample_type\nSRR000,RNA-Seq\n");
    let job = bench.run(&["import", "--sheet", "sheet.csv", "--json"]).await.json();
    let id = job["id"].as_str().unwrap();
    // A fault that passes does not end the waiting.
    bench.sandbox.faults().add(Fault::on(On::get("/v2/sample-imports")).status(503).times(1));
    let ended = bench.run(&["import-status", "--job", id, "--wait"]).await;
    assert!(ended.code == 1 && ended.stdout.contains("FAILED") && ended.stdout.contains("SRR000 was not found"));
    let ended = bench.run(&["import-status", "--job", id, "--json"]).await;
    assert_eq!((ended.code, &ended.json()["error"]), (1, &json!("SRR000 was not found")));
    assert_eq!(bench.run(&["import-status", "--job", "1"]).await.code, 4);
    assert_eq!(bench.run(&["import-status", "--job", "one"]).await.code, 2);
    assert_eq!(bench.nobody(&["import-status", "--job", "1"]).await.code, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_of_a_sheet_are_told_by_their_rows() {
    let bench = Bench::new().await;
    bench.write("sheet.csv", "accession,sample_type\nERR1,RNA-Seq\n,\nERR2,\n,RNA-Seq\n");
    let ended = bench.run(&["import", "--sheet", "sheet.csv", "--json"]).await;
    assert_eq!((ended.code, bench.requests()), (2, 0), "{ended:?}");
    let rows: Vec<_> = ended.json()["rows"].as_array().unwrap().iter().map(|row| row["row"].clone()).collect();
    assert_eq!(rows, [json!(4), json!(5)]);

    bench.write("sheet.csv", "accession,sample_type,organism\nERR1,RNA-Seq,Xx\n,,\nGSE2,RNA-Seq,\nERR3,RNA-Seq,\n");
    let ended = bench.run(&["import", "--sheet", "sheet.csv"]).await;
    assert_eq!(ended.code, 5);
    insta::assert_snapshot!(ended.stderr, @r"
    flow-ingest: The imports are not valid. (HTTP 422 to POST /v2/sample-imports)
      row 2 (ERR1): organism: Unknown organism 'Xx'
      row 4 (GSE2): accession: 'GSE2' is not a run or experiment accession
    ");
    assert_eq!(bench.sandbox.samples().len(), 0);
    for (file, code) in [("sheet.xlsx", 2), ("none.csv", 2)] {
        assert_eq!(bench.run(&["import", "--sheet", file]).await.code, code);
    }
    assert_eq!(bench.nobody(&["import", "--sheet", "sheet.csv"]).await.code, 3);
    bench.sandbox.faults().add(Fault::on(On::post("/v2/sample-imports")).drop_after());
    let ended = bench.run(&["import", "--sheet", "sheet.csv"]).await;
    assert!(ended.code == 1 && ended.stderr.contains("would import everything twice"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_answers_verbatim() {
    let bench = Bench::new().await;
    let mut command = bench.command(&["api", "get", "annotation/generic"]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert_eq!(bench.run(&["annotation-template", "-o", "generic.xlsx"]).await.code, 0);
    assert_eq!((output.stdout, output.stderr), (std::fs::read(bench.path("generic.xlsx")).unwrap(), Vec::new()));

    let sheet = json!({"imports": [{"accession": "ERR1", "sample_type": "RNA-Seq", "name": "a&b=ü"}]}).to_string();
    bench.write("body.json", &sheet);
    let mut with_stdin = bench.command(&["api", "post", "v2/sample-imports", "--data", "-"]);
    with_stdin.env("FLOW_API_TOKEN", bench.sandbox.token()).write_stdin(sheet.clone());
    for ended in [
        bench.run(&["api", "post", "v2/sample-imports", "--data", &sheet]).await,
        bench.run(&["api", "post", "/v2/sample-imports", "--data", "@body.json", "--json"]).await,
        bench.end(with_stdin).await,
    ] {
        assert_eq!((ended.code, &ended.json()["status"]), (0, &json!("RUNNING")), "{ended:?}");
        let id = ended.json()["id"].as_str().unwrap().to_owned();
        assert_eq!(bench.run(&["import-status", "--job", &id]).await.code, 0);
    }
    let search = ["api", "get", "/samples/search", "--query", "name=a&b=ü", "--query", "count=2"];
    let found = bench.run(&search).await.json();
    assert_eq!((&found["count"], found["samples"].as_array().unwrap().len()), (&json!(3), 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_the_api_go_to_stderr() {
    let bench = Bench::new().await;
    for (arguments, code, body) in [
        (&["get", "/nothing"][..], 4, r#"{"error":"Not found"}"#),
        (&["get", "https://elsewhere.example.org/api/me"], 4, r#"{"error":"Not found"}"#),
        (&["get", "/projects/owned", "--query", "count=101"], 5, "count"),
        (&["post", "/v2/sample-imports", "--data", r#"{"imports": []}"#], 5, "validation_error"),
        (&["post", "/v2/sample-imports"], 5, "validation_error"),
        (&["patch", "/organisms", "--data", "{}"], 1, "405"),
        (&["get", "/organisms?a=b"], 2, "--query"),
        (&["get", "/organisms", "--query", "a"], 2, "KEY=VALUE"),
        (&["post", "/organisms", "--data", "@none.json"], 2, "none.json"),
        (&["delete", "/samples/1"], 2, "delete"),
    ] {
        let ended = bench.run(&[&["api"], arguments].concat()).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (code, ""), "{ended:?}");
        assert!(ended.stderr.contains(body), "{ended:?}");
    }
    let before = bench.requests();
    assert_eq!(bench.nobody(&["api", "post", "/v2/sample-imports", "--data", "{}"]).await.code, 3);
    assert_eq!(bench.requests(), before, "nothing is sent as nobody");
    let ended = bench.nobody(&["api", "get", "/me", "--json"]).await;
    assert_eq!((ended.code, &ended.json()["status"]), (3, &json!(401)));
}
