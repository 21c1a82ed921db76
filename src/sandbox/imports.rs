//! Imports of samples from public archives by accession: jobs that run for a moment and then are done ([C]).
//!
//! A job is running when it is made and completed, or failed, when it is first asked about after that: nobody has
//! to wait. The samples have no files. These two paths speak the newer dialect of errors, RFC 9457.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;
use super::answer::{Answer, Refusal, ok};
use super::catalogue;
use super::store::SampleSpec;

/// What is asked for: `{"imports": [{accession, sample_type, …}]}`.
#[derive(Debug, Deserialize)]
pub(super) struct Request {
    imports: Vec<Import>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Import {
    accession: String,
    sample_type: String,
    name: Option<String>,
    organism: Option<String>,
    project: Option<String>,
    pubmed: Option<String>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

/// Every job so far.
#[derive(Debug, Default)]
pub(super) struct Imports(Mutex<BTreeMap<u64, Job>>);

#[derive(Debug, Clone)]
struct Job {
    imports: Vec<Import>,
    created: Timestamp,
    outcome: Option<Outcome>,
}

#[derive(Debug, Clone)]
struct Outcome {
    at: Timestamp,
    result: Result<Vec<u64>, String>,
}

/// `POST /v2/sample-imports`.
pub(super) async fn start(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    request: Result<Json<Request>, JsonRejection>,
) -> Answer {
    require(&shared, &headers)?;
    let Json(Request { imports }) =
        request.map_err(|rejection| problem(StatusCode::BAD_REQUEST, &rejection.body_text(), Vec::new()))?;
    let errors: Vec<(String, String)> =
        imports.iter().enumerate().filter_map(|(at, import)| fault(at, import)).collect();
    if imports.is_empty() || !errors.is_empty() {
        return Err(problem(StatusCode::UNPROCESSABLE_ENTITY, "The imports are not valid.", errors));
    }
    let (id, job) = (shared.store.new_id(), Job { imports, created: Timestamp::now(), outcome: None });
    let body = describe(id, &job);
    shared.imports.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, job);
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// `GET /v2/sample-imports/<id>`.
pub(super) async fn look(State(shared): State<Arc<Shared>>, headers: HeaderMap, Path(id): Path<String>) -> Answer {
    require(&shared, &headers)?;
    let not_found = || Refusal::Problem {
        status: StatusCode::NOT_FOUND,
        code: "not_found",
        detail: "No such import.".to_owned(),
        errors: Vec::new(),
    };
    let id: u64 = id.parse().map_err(|_| not_found())?;
    let mut jobs = shared.imports.0.lock().unwrap_or_else(PoisonError::into_inner);
    let job = jobs.get_mut(&id).ok_or_else(not_found)?;
    if job.outcome.is_none() {
        job.outcome = Some(Outcome { at: Timestamp::now(), result: run(&shared, &job.imports) });
    }
    ok(describe(id, job))
}

fn require(shared: &Shared, headers: &HeaderMap) -> Result<(), Refusal> {
    let refusal = Refusal::Problem {
        status: StatusCode::UNAUTHORIZED,
        code: "unauthenticated",
        detail: "Authentication is required.".to_owned(),
        errors: Vec::new(),
    };
    shared.access.require(headers).map_err(|_| refusal)
}

fn problem(status: StatusCode, detail: &str, errors: Vec<(String, String)>) -> Refusal {
    Refusal::Problem { status, code: "validation_error", detail: detail.to_owned(), errors }
}

/// Where an import is at fault, as a pointer into the request, and how.
fn fault(at: usize, import: &Import) -> Option<(String, String)> {
    let wrong = |field: &str, message: String| Some((format!("/imports/{at}/{field}"), message));
    if accession_number(&import.accession).is_none() {
        return wrong("accession", format!("'{}' is not a run or experiment accession", import.accession));
    }
    let metadata: Vec<(&str, &str)> = import.metadata.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    if let Err(Refusal::Field { field, message }) = catalogue::check_sample(&import.sample_type, &metadata) {
        let field = if field == "sample_type" { field } else { format!("metadata/{field}") };
        return wrong(&field, message);
    }
    if let Some(id) = import.organism.as_deref().filter(|id| catalogue::organism(id).is_none()) {
        return wrong("organism", format!("Unknown organism '{id}'"));
    }
    if let Some(id) = import.project.as_deref().filter(|id| catalogue::project(id).is_none()) {
        return wrong("project", format!("Unknown project '{id}'"));
    }
    if let Some(id) = import.pubmed.as_deref().filter(|id| id.parse::<u64>().is_err()) {
        return wrong("pubmed", format!("'{id}' is not a PubMed id"));
    }
    None
}

/// The number in a run's or an experiment's accession (`SRR…`, `ERX…`).
fn accession_number(accession: &str) -> Option<u64> {
    let rest = accession.strip_prefix(['S', 'E', 'D'])?.strip_prefix('R')?.strip_prefix(['R', 'X'])?;
    rest.parse().ok()
}

/// Makes the samples, unless there is one that no archive has: the number 0.
fn run(shared: &Shared, imports: &[Import]) -> Result<Vec<u64>, String> {
    if let Some(import) = imports.iter().find(|import| accession_number(&import.accession) == Some(0)) {
        return Err(format!("{} was not found", import.accession));
    }
    let make = |import: &Import| {
        let spec = SampleSpec {
            name: import.name.clone().unwrap_or_else(|| import.accession.clone()),
            sample_type: import.sample_type.clone(),
            project: import.project.clone(),
            organism: import.organism.clone(),
            metadata: import.metadata.clone(),
        };
        shared.store.create_sample(spec, &[]).map_err(|error| error.to_string())
    };
    imports.iter().map(make).collect()
}

fn describe(id: u64, job: &Job) -> Value {
    let (status, sample_ids, error) = match &job.outcome {
        None => ("RUNNING", Vec::new(), None),
        Some(Outcome { result: Ok(ids), .. }) => ("COMPLETED", ids.iter().map(u64::to_string).collect(), None),
        Some(Outcome { result: Err(error), .. }) => ("FAILED", Vec::new(), Some(error)),
    };
    let accessions: Vec<&str> = job.imports.iter().map(|import| import.accession.as_str()).collect();
    json!({
        "id": id.to_string(), "status": status, "created": job.created.to_string(),
        "started": job.created.to_string(), "finished": job.outcome.as_ref().map(|outcome| outcome.at.to_string()),
        "accessions": accessions, "sample_ids": sample_ids, "execution_id": null, "error": error,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::sandbox::testing::{Bench, body};

    async fn post(bench: &Bench, imports: Value) -> (u16, Value) {
        let request = bench.client.post(bench.url("/v2/sample-imports")).bearer_auth(bench.sandbox.token());
        body(request.json(&json!({"imports": imports})).send().await.unwrap()).await
    }

    #[tokio::test]
    async fn a_job_runs_and_then_has_made_its_samples() {
        let bench = Bench::new().await;
        let imports = json!([
            {"accession": "ERR1160845", "sample_type": "RNA-Seq"},
            {"accession": "SRX7", "sample_type": "CLIP", "name": "N", "organism": "Hs", "pubmed": "12345678",
             "metadata": {"purification_target": "FUS"}},
        ]);
        let (status, job) = post(&bench, imports).await;
        assert_eq!((status, &job["status"], &job["finished"]), (201, &json!("RUNNING"), &json!(null)));
        let (_, job) = bench.read(&format!("/v2/sample-imports/{}", job["id"].as_str().unwrap())).await;
        assert_eq!((&job["status"], &job["accessions"]), (&json!("COMPLETED"), &json!(["ERR1160845", "SRX7"])));
        let samples = bench.sandbox.samples();
        assert_eq!(job["sample_ids"], json!([samples[0].id, samples[1].id]));
        assert_eq!((samples[0].name.as_str(), samples[1].name.as_str()), ("ERR1160845", "N"));
    }

    #[tokio::test]
    async fn an_accession_that_no_archive_has_fails_the_job() {
        let bench = Bench::new().await;
        let (_, job) = post(&bench, json!([{"accession": "SRR000", "sample_type": "RNA-Seq"}])).await;
        let (_, job) = bench.read(&format!("/v2/sample-imports/{}", job["id"].as_str().unwrap())).await;
        assert_eq!((&job["status"], &job["error"]), (&json!("FAILED"), &json!("SRR000 was not found")));
    }

    #[tokio::test]
    async fn what_is_at_fault_is_pointed_at() {
        let bench = Bench::new().await;
        let good = json!({"accession": "ERR1", "sample_type": "RNA-Seq"});
        for (field, value, pointer) in [
            ("accession", json!("GSE1"), "/imports/1/accession"),
            ("sample_type", json!("typo"), "/imports/1/sample_type"),
            ("sample_type", json!("CLIP"), "/imports/1/metadata/purification_target"),
            ("organism", json!("Xx"), "/imports/1/organism"),
            ("project", json!("1"), "/imports/1/project"),
            ("pubmed", json!("PMID1"), "/imports/1/pubmed"),
        ] {
            let mut bad = good.clone();
            bad[field] = value;
            let (status, problem) = post(&bench, json!([good, bad])).await;
            assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &json!(pointer)));
        }
        assert_eq!(post(&bench, json!([])).await.0, 422);
        assert_eq!(post(&bench, json!([{"accession": "ERR1"}])).await.0, 400);
        assert_eq!(bench.read("/v2/sample-imports/1").await.0, 404);
        let anonymous = bench.client.get(bench.url("/v2/sample-imports/1")).send().await.unwrap();
        assert_eq!(anonymous.headers()["content-type"], "application/problem+json");
        assert_eq!(anonymous.status(), 401);
    }
}
