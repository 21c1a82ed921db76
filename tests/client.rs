//! The client library against the sandbox: each method, each kind of error, paging, and concurrency.

use std::time::Duration;

use flow_ingest::flow::{
    Client, ClientConfig, Credentials, Error, ErrorKind, ImportStatus, SampleImportSpec, TokenCredentials,
    UsernamePasswordCredentials,
};
use flow_ingest::sandbox::{Fault, On, Reply, Sandbox, Settings};
use futures_util::{StreamExt, TryStreamExt};
use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A sandbox in a folder of its own, and a client that is logged in.
struct Bench {
    sandbox: Sandbox,
    client: Client,
    _dir: TempDir,
}

impl Bench {
    async fn new() -> Self {
        let bench = Self::anonymous().await;
        let password = UsernamePasswordCredentials::new("sandbox", "sandbox");
        bench.client.log_in(&password).await.unwrap();
        bench
    }

    async fn anonymous() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let sandbox = Sandbox::start(Settings::new(dir.path())).await.unwrap();
        let client = Client::new(sandbox.base_url(), quick()).unwrap();
        Self { sandbox, client, _dir: dir }
    }

    /// How many requests of this path the sandbox has seen.
    fn seen(&self, path: &str) -> usize {
        self.sandbox.requests().iter().filter(|request| request.path == path).count()
    }

    /// Makes a sample without files, under this name.
    async fn import(&self, name: &str) -> String {
        let spec = SampleImportSpec { name: Some(name.to_owned()), ..SampleImportSpec::new("ERR1", "RNA-Seq") };
        let job = self.client.samples().import_samples(&[spec]).await.unwrap();
        self.client.samples().get_import(&job.id).await.unwrap().sample_ids.remove(0)
    }
}

fn quick() -> ClientConfig {
    ClientConfig { connection_retries: 0, request_timeout: Duration::from_secs(5), ..ClientConfig::default() }
}

#[tokio::test]
async fn the_settings_are_the_reference_clients() {
    let config = ClientConfig::default();
    assert_eq!((config.chunk_size, config.show_progress), (1_000_000, true));
    assert_eq!((config.connection_retries, config.upload_retries), (3, 3));
    assert_eq!(config.request_timeout, Duration::from_secs(60));
}

#[tokio::test]
async fn the_catalogue_is_read_without_an_account() {
    let bench = Bench::anonymous().await;
    let (samples, data) = (bench.client.samples(), bench.client.data());
    assert_eq!(samples.get_types().await.unwrap()[0].identifier, "RNA-Seq");
    assert_eq!(samples.get_organisms().await.unwrap()[0].latin_name, "Homo sapiens");
    assert_eq!(data.get_data_types().await.unwrap()[1].identifier, "bam");
}

#[tokio::test]
async fn metadata_attributes_come_with_what_they_ask_for() {
    let bench = Bench::anonymous().await;
    let attributes = bench.client.samples().get_metadata_attributes().await.unwrap();
    let get = |identifier: &str| attributes.iter().find(|one| one.identifier == identifier).unwrap();
    assert_eq!(attributes[0].identifier, "strandedness", "the server's order is kept");

    let strandedness = get("strandedness").options.as_ref().unwrap();
    assert_eq!(strandedness.values, ["forward", "reverse", "unstranded"]);
    assert!(!strandedness.is_cut);

    let target = get("purification_target");
    assert!(target.is_required_for("CLIP") && !target.is_required_for("ChIP-Seq") && !target.required);
    assert!(target.allow_annotation && target.allow_user_terms && target.options.is_none());
    assert!(!target.applies_to("RNA-Seq"));

    let line = get("cell_line").options.as_ref().unwrap();
    assert_eq!((line.values.len(), line.is_cut, line.total), (100, true, 240));
    let found = bench.client.samples().get_options("cell_line", Some("0240")).await.unwrap();
    assert_eq!((found.values, found.is_cut), (vec!["CL-0240".to_owned()], false));

    assert!(get("keywords").is_list && get("pi").options.is_none());
    assert_eq!(get("five_prime_barcode").regex_validator.as_deref(), Some("^[ACGTN]+$"));
    // One request for the attributes, and one for each of the two that are closed to their options.
    assert_eq!(bench.sandbox.requests().len(), 4);
}

#[tokio::test]
async fn projects_are_fetched_as_far_as_they_are_read() {
    let bench = Bench::new().await;
    let pages = || bench.client.samples().get_owned_projects().page_size(2);
    let mut projects = pages();
    assert_eq!(bench.seen("/projects/owned"), 0, "nothing is asked before it is wanted");
    assert_eq!((projects.total().await.unwrap(), projects.total().await.unwrap()), (5, 5));
    assert_eq!(bench.seen("/projects/owned"), 1);
    for _ in 0..3 {
        projects.next().await.unwrap().unwrap();
    }
    assert_eq!(bench.seen("/projects/owned"), 2);
    assert_eq!(projects.collect_all().await.unwrap()[1].name, "Pilot");
    assert_eq!(bench.seen("/projects/owned"), 3);

    let mut names = Vec::new();
    let mut projects = pages();
    while let Some(project) = projects.next().await.unwrap() {
        names.push(project.name);
    }
    assert_eq!(names, ["Sequencing core", "RNA atlas", "Binding sites", "Genomes", "Pilot"]);
    assert_eq!(projects.next().await.unwrap(), None, "the end is the end");

    let streamed: Vec<String> = pages().map_ok(|project| project.name).try_collect().await.unwrap();
    assert_eq!(streamed, names);
    assert_eq!(pages().skip(4).count().await, 1);
}

#[tokio::test]
async fn a_page_that_failed_is_asked_for_again() {
    let bench = Bench::new().await;
    bench.sandbox.faults().add(Fault::on(On::get("/projects/owned")).nth(2).status(503));
    let mut projects = bench.client.samples().get_owned_projects().page_size(3);
    let mut names = Vec::new();
    let mut failures = 0;
    loop {
        match projects.next().await {
            Ok(Some(project)) => names.push(project.name),
            Ok(None) => break,
            Err(error) => {
                assert_eq!(error.status(), Some(503));
                failures += 1;
            }
        }
    }
    assert_eq!((names.len(), failures), (5, 1));
}

#[tokio::test]
async fn samples_are_found_by_part_of_their_name_and_read() {
    let bench = Bench::new().await;
    let id = bench.import("run1_A").await;
    bench.import("run1_B").await;
    bench.import("run2_A").await;
    let found = bench.client.samples().search_samples("run1").page_size(1).collect_all().await.unwrap();
    let names: Vec<_> = found.iter().map(|sample| sample.name.as_str()).collect();
    assert_eq!(names, ["run1_B", "run1_A"]);

    let sample = bench.client.samples().get_sample(&id).await.unwrap();
    assert_eq!((sample.name.as_str(), sample.sample_type.as_deref()), ("run1_A", Some("RNA-Seq")));
    assert_eq!(sample.owner.unwrap().username.as_deref(), Some("sandbox"));
    assert!(sample.created.is_some() && sample.project.is_none());
}

#[tokio::test]
async fn a_search_never_takes_a_bad_token_for_an_empty_shelf() {
    let bench = Bench::anonymous().await;
    bench.client.log_in(&TokenCredentials::new("not-a-token")).await.unwrap();
    let error = bench.client.samples().search_samples("").total().await.unwrap_err();
    assert_eq!(error.kind(), Some(ErrorKind::Authentication));
    let error = bench.client.data().search("").next().await.unwrap_err();
    assert_eq!(error.kind(), Some(ErrorKind::Authentication));
}

#[tokio::test]
async fn templates_are_spreadsheets() {
    let bench = Bench::anonymous().await;
    let samples = bench.client.samples();
    for sample_type in [None, Some("RNA-Seq")] {
        let template = samples.get_annotation_template(sample_type).await.unwrap();
        assert!(template.starts_with(b"PK"), "an .xlsx file is a zip");
    }
    let error = samples.get_annotation_template(Some("../me")).await.unwrap_err();
    assert_eq!(error.kind(), Some(ErrorKind::NotFound));
    assert!(matches!(samples.get_annotation_template(Some("..")).await, Err(Error::Invalid { .. })));
}

#[tokio::test]
async fn imports_run_and_end() {
    let bench = Bench::new().await;
    let samples = bench.client.samples();
    let spec = SampleImportSpec {
        organism_id: Some("Hs".into()),
        metadata: vec![("purification_target".into(), "FUS".into())],
        ..SampleImportSpec::new("ERR1160845", "CLIP")
    };
    let job = samples.import_samples(std::slice::from_ref(&spec)).await.unwrap();
    assert_eq!((&job.status, job.accessions), (&ImportStatus::Running, vec!["ERR1160845".to_owned()]));
    let job = samples.get_import(&job.id).await.unwrap();
    assert!(job.status == ImportStatus::Completed && job.finished.is_some() && job.error.is_none());
    assert_eq!(job.sample_ids, [bench.sandbox.samples()[0].id.clone()]);
    assert_eq!(bench.sandbox.samples()[0].metadata["purification_target"], "FUS");

    let job = samples.import_samples(&[SampleImportSpec { accession: "SRR0".into(), ..spec.clone() }]).await.unwrap();
    let job = samples.get_import(&job.id).await.unwrap();
    assert_eq!((job.status, job.error.as_deref()), (ImportStatus::Failed, Some("SRR0 was not found")));

    let error = samples.import_samples(&[spec, SampleImportSpec::new("GSE1", "RNA-Seq")]).await.unwrap_err();
    let api = error.api().unwrap();
    assert_eq!((error.kind(), api.code.as_deref()), (Some(ErrorKind::Unprocessable), Some("validation_error")));
    assert_eq!(api.details[0].field.as_deref(), Some("/imports/1/accession"));
    assert_eq!(api.problem().unwrap()["errors"][0]["pointer"], "/imports/1/accession");
}

#[tokio::test]
async fn any_path_can_be_asked_in_json_or_byte_for_byte() {
    let bench = Bench::new().await;
    let client = &bench.client;
    let me: Value = client.get("me", &[]).await.unwrap();
    assert_eq!(me["username"], "sandbox");
    let found: Value = client.get("/samples/search?name=a", &[("owned", "true")]).await.unwrap();
    assert_eq!(found["count"], 0);
    assert_eq!(bench.sandbox.requests().last().unwrap().query, "name=a&owned=true");
    let imports = json!({"imports": [{"accession": "ERR1", "sample_type": "CLIP"}]});
    let error = client.post::<Value>("/v2/sample-imports", &imports).await.unwrap_err();
    let problem = error.api().unwrap().problem().unwrap();
    assert_eq!(problem["errors"][0]["pointer"], "/imports/0/metadata/purification_target");

    let answer = || Reply::json(200, &json!({"id": "1", "name": "new"}));
    bench.sandbox.faults().add(Fault::on(On::Path("PATCH", "/samples/1".into())).answer(answer()));
    let patched: Value = client.patch("/samples/1", &json!({"name": "new"})).await.unwrap();
    assert_eq!(patched["name"], "new");
    let raw = client.patch_raw("/samples/1", r#"{ "name":  "new" }"#).await.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&raw).unwrap(), patched);

    let raw = client.get_raw("/organisms", &[]).await.unwrap();
    assert!(raw.starts_with(b"[{\"id\":\"Hs\""), "{}", String::from_utf8_lossy(&raw));
    let raw = client.post_raw("/login", r#"{"password":"sandbox",  "username":"sandbox"}"#).await.unwrap();
    assert!(serde_json::from_slice::<Value>(&raw).unwrap()["token"].is_string());
    let error = client.post_raw("/login", "{ no json").await.unwrap_err();
    assert!(error.kind().unwrap().is_bad_request());
}

#[tokio::test]
async fn each_kind_of_refusal_is_told_apart() {
    let bench = Bench::new().await;
    let kind_of = async |status: u16, body: Value| {
        bench.sandbox.faults().clear();
        bench.sandbox.faults().add(Fault::on(On::get("/organisms")).answer(Reply::json(status, &body)));
        bench.client.samples().get_organisms().await.unwrap_err()
    };
    for (status, kind, is_bad_request) in [
        (400, ErrorKind::BadRequest, true),
        (422, ErrorKind::Unprocessable, true),
        (404, ErrorKind::NotFound, false),
        (403, ErrorKind::Other, false),
        (500, ErrorKind::Other, false),
    ] {
        let error = kind_of(status, json!({"error": "the server's words"})).await;
        assert_eq!((error.kind(), error.status()), (Some(kind), Some(status)));
        assert_eq!(
            (error.api().unwrap().message.as_str(), kind.is_bad_request()),
            ("the server's words", is_bad_request)
        );
    }
    let error = kind_of(400, json!({"validation": [{"row": 1}]})).await;
    assert_eq!(error.kind(), Some(ErrorKind::BadRequest), "only the annotation endpoint speaks of annotations");

    bench.sandbox.faults().clear();
    bench.sandbox.faults().add(Fault::on(On::get("/organisms")).answer(Reply::html(502)));
    let error = bench.client.samples().get_organisms().await.unwrap_err();
    assert!(error.status() == Some(502) && error.to_string().len() < 300, "{error}");
    assert!(!error.to_string().contains('<'), "{error}");
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_and_an_answer_that_does_not_come_are_no_refusals() {
    let bench = Bench::new().await;
    bench.sandbox.faults().add(Fault::on(On::get("/organisms")).times(1).drop_before());
    let error = bench.client.samples().get_organisms().await.unwrap_err();
    assert!(matches!(error, Error::Lost { .. }) && error.kind().is_none(), "{error}");
    bench.sandbox.pause().await;
    let error = bench.client.samples().get_organisms().await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn wrong_passwords_and_tokens_are_refused() {
    let bench = Bench::anonymous().await;
    let wrong = UsernamePasswordCredentials::new("sandbox", "wrong");
    assert_eq!(bench.client.log_in(&wrong).await.unwrap_err().kind(), Some(ErrorKind::BadRequest));
    assert_eq!(bench.client.me().await.unwrap_err().kind(), Some(ErrorKind::Authentication));
    bench.client.log_in(&TokenCredentials::new(bench.sandbox.token())).await.unwrap();
    assert_eq!(bench.client.me().await.unwrap().username.as_deref(), Some("sandbox"));
}

#[tokio::test]
async fn a_strategy_of_ones_own_can_ask_with_the_client() {
    struct Vault;
    impl Credentials for Vault {
        async fn token(&self, client: &Client) -> Result<SecretString, Error> {
            let login = json!({"username": "sandbox", "password": "sandbox"});
            let answer: Value = client.post("/login", &login).await?;
            Ok(answer["token"].as_str().unwrap_or_default().into())
        }
    }
    let bench = Bench::anonymous().await;
    bench.client.log_in(&Vault).await.unwrap();
    bench.client.me().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_requests_that_meet_an_expired_token_refresh_it_once() {
    let bench = Bench::new().await;
    bench.sandbox.expire_token();
    let asked = (0..50).map(|_| bench.client.me());
    for me in futures_util::future::join_all(asked).await {
        me.unwrap();
    }
    assert_eq!((bench.seen("/token"), bench.seen("/login")), (1, 1));
}

#[tokio::test]
async fn when_the_refresh_fails_the_first_401_is_what_is_told() {
    let bench = Bench::new().await;
    bench.sandbox.expire_session();
    bench.sandbox.faults().add(Fault::on(On::Refresh).answer(Reply::json(401, &json!({"error": "no refresh"}))));
    let asked = (0..10).map(|_| bench.client.me());
    for me in futures_util::future::join_all(asked).await {
        let error = me.unwrap_err();
        assert_eq!(error.kind(), Some(ErrorKind::Authentication));
        assert!(!error.to_string().contains("no refresh") && error.to_string().contains("/me"), "{error}");
    }
    assert_eq!(bench.seen("/token"), 1, "a refusal is not asked for again");

    bench.client.log_in(&UsernamePasswordCredentials::new("sandbox", "sandbox")).await.unwrap();
    bench.client.me().await.unwrap();

    // A passing fault of the refresh is not remembered.
    bench.sandbox.faults().clear();
    bench.sandbox.expire_token();
    bench.sandbox.faults().add(Fault::on(On::Refresh).times(1).status(503));
    assert_eq!(bench.client.me().await.unwrap_err().kind(), Some(ErrorKind::Authentication));
    bench.client.me().await.unwrap();
}
