//! The four upload paths: their fields, checked to the last, and what is made of a file that is done.
//!
//! Every chunk carries every field, so every chunk is checked. A field that the protocol does not know is refused:
//! a typo in a metadata attribute must not vanish.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use serde_json::json;

use super::Shared;
use super::answer::{Answer, Refusal, ok};
use super::catalogue;
use super::chunk::{self, Chunk};
use super::course::Course;
use super::form::Form;
use super::store::{Kind, SampleSpec};

/// The fields of every chunk on every path.
const COMMON: &[&str] = &["filename", "expected_file_size", "is_last", "data"];

/// The further fields of a sample's chunk; what remains is metadata.
const OF_SAMPLES: &[&str] = &["sample_name", "sample_type", "project", "organism", "is_last_sample", "previous_data"];

/// The archives that can be unpacked as a directory ([C]).
const ARCHIVES: &[&str] = &[".zip", ".tar", ".tar.gz"];

/// `POST /upload`: a generic file.
pub(super) async fn data(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Extension(form): Extension<Arc<Form>>,
    course: Option<Extension<Course>>,
) -> Answer {
    shared.access.require(&headers)?;
    refuse_unknown(&form, &["data_type", "is_directory"])?;
    let mut chunk = common(&form, Kind::Data)?;
    chunk.data_type = form.optional("data_type")?;
    if let Some(data_type) = chunk.data_type
        && !catalogue::DATA_TYPES.iter().any(|kind| kind.identifier == data_type)
    {
        return Err(Refusal::field("data_type", format!("'{data_type}' is not a valid data type")));
    }
    chunk.is_directory = form.flag("is_directory")?.unwrap_or(false);
    if chunk.is_directory && !ARCHIVES.iter().any(|ending| chunk.filename.ends_with(ending)) {
        return Err(Refusal::field("is_directory", "The file is not a zip, tar or tar.gz archive."));
    }
    let id = chunk::take(&shared, chunk, &form, course.as_deref()).await?;
    ok(json!({"id": id.to_string()}))
}

/// `POST /upload/sample`: a file of a sample. The last chunk of the last file makes the sample; when that chunk
/// comes again and finds the file ready, it makes another.
pub(super) async fn sample(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Extension(form): Extension<Arc<Form>>,
    course: Option<Extension<Course>>,
) -> Answer {
    shared.access.require(&headers)?;
    let chunk = common(&form, Kind::Sample)?;
    let spec = sample_spec(&form)?;
    let is_last_file = form.flag("is_last_sample")?;
    let is_last_file = is_last_file.ok_or_else(|| Refusal::field("is_last_sample", "This field is required."))?;
    let mut files = previous_files(&shared, &form)?;

    let id = chunk::take(&shared, chunk, &form, course.as_deref()).await?;
    let ready = shared.store.file(id).is_some_and(|file| file.ready);
    if !(chunk.is_last && is_last_file && ready) {
        return ok(json!({"data_id": id.to_string()}));
    }
    files.push(id);
    let sample = shared.store.create_sample(spec, &files).map_err(Refusal::internal)?;
    ok(json!({"data_id": id.to_string(), "sample_id": sample.to_string()}))
}

/// `POST /upload/multiplexed`: reads of many samples in one file. The second reads file names the first ([C]).
pub(super) async fn multiplexed(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Extension(form): Extension<Arc<Form>>,
    course: Option<Extension<Course>>,
) -> Answer {
    shared.access.require(&headers)?;
    refuse_unknown(&form, &["reads1"])?;
    let chunk = common(&form, Kind::Multiplexed)?;
    if let Some(reads1) = form.optional("reads1")? {
        ready_file(&shared, "reads1", reads1, Kind::Multiplexed)?;
    }
    let id = chunk::take(&shared, chunk, &form, course.as_deref()).await?;
    ok(json!({"id": id.to_string()}))
}

/// `POST /upload/annotation`: the sheet that says what is in multiplexed reads. It is looked at when it is whole.
pub(super) async fn annotation(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Extension(form): Extension<Arc<Form>>,
    course: Option<Extension<Course>>,
) -> Answer {
    shared.access.require(&headers)?;
    refuse_unknown(&form, &["ignore_warnings"])?;
    let mut chunk = common(&form, Kind::Annotation)?;
    chunk.ignore_warnings = form.flag("ignore_warnings")?.unwrap_or(false);
    let id = chunk::take(&shared, chunk, &form, course.as_deref()).await?;
    ok(json!({"id": id.to_string()}))
}

/// What every chunk says of itself.
fn common(form: &Form, kind: Kind) -> Result<Chunk<'_>, Refusal> {
    let filename = form.required("filename")?;
    if filename.contains(' ') {
        return Err(Refusal::BareField { field: "filename", message: "Spaces in filename".to_owned() });
    }
    if filename.contains(['/', '\\', '\0']) || filename == "." || filename == ".." {
        return Err(Refusal::field("filename", "Not a file name."));
    }
    let offset = form.required("expected_file_size")?;
    let offset = offset.parse().map_err(|_| Refusal::field("expected_file_size", "Must be a whole number."))?;
    let is_last = form.flag("is_last")?.ok_or_else(|| Refusal::field("is_last", "This field is required."))?;
    let data = match form.optional("data")? {
        None => None,
        Some(id) => Some(id.parse().map_err(|_| Refusal::field("data", format!("Unknown data '{id}'")))?),
    };
    if form.blob.is_none() {
        return Err(Refusal::field("blob", "This field is required."));
    }
    Ok(Chunk { kind, filename, offset, is_last, data, data_type: None, is_directory: false, ignore_warnings: false })
}

/// What a sample's chunk says of its sample.
fn sample_spec(form: &Form) -> Result<SampleSpec, Refusal> {
    let name = form.required("sample_name")?;
    if name.contains(' ') {
        return Err(Refusal::field("sample_name", "Spaces in sample name"));
    }
    let sample_type = form.required("sample_type")?;
    let metadata: Vec<(&str, &str)> = form
        .fields
        .iter()
        .map(|(field, value)| (field.as_str(), value.as_str()))
        .filter(|(field, _)| !COMMON.contains(field) && !OF_SAMPLES.contains(field))
        .collect();
    catalogue::check_sample(sample_type, &metadata)?;
    let project = form.optional("project")?;
    if let Some(id) = project
        && catalogue::project(id).is_none()
    {
        return Err(Refusal::field("project", format!("Unknown project '{id}'")));
    }
    let organism = form.optional("organism")?;
    if let Some(id) = organism
        && catalogue::organism(id).is_none()
    {
        return Err(Refusal::field("organism", format!("Unknown organism '{id}'")));
    }
    let metadata: BTreeMap<String, String> = metadata
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(field, value)| (field.to_owned(), value.to_owned()))
        .collect();
    Ok(SampleSpec {
        name: name.to_owned(),
        sample_type: sample_type.to_owned(),
        project: project.map(str::to_owned),
        organism: organism.map(str::to_owned),
        metadata,
    })
}

/// The sample's files that went up before this one.
fn previous_files(shared: &Shared, form: &Form) -> Result<Vec<u64>, Refusal> {
    form.all("previous_data").map(|id| ready_file(shared, "previous_data", id, Kind::Sample)).collect()
}

/// The id of one of the account's files that is ready and came the same way.
fn ready_file(shared: &Shared, field: &str, id: &str, kind: Kind) -> Result<u64, Refusal> {
    let file = id.parse().ok().and_then(|id| shared.store.file(id)).filter(|file| file.kind == kind);
    match file {
        Some(file) if file.ready => Ok(file.id),
        Some(_) => Err(Refusal::field(field, format!("Data '{id}' is not ready"))),
        None => Err(Refusal::field(field, format!("Unknown data '{id}'"))),
    }
}

fn refuse_unknown(form: &Form, known: &[&str]) -> Result<(), Refusal> {
    match form.fields.iter().find(|(field, _)| !COMMON.contains(&field.as_str()) && !known.contains(&field.as_str())) {
        Some((field, _)) => Err(Refusal::field(field.as_str(), "Unknown field.")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use serde_json::{Value, json};

    use crate::sandbox::testing::Bench;
    use crate::sandbox::{FOREIGN_DATA_ID, Fault, Gate, On};

    const PROJECT: &str = "788995297969977723";

    #[tokio::test]
    async fn a_single_end_sample() {
        let bench = Bench::new().await;
        let chunk = bench.sample_chunk().set("project", PROJECT).set("organism", "Hs").set("strandedness", "reverse");
        let id = chunk.clone().at("", 0, "AC", false).id().await;
        let (status, body) = chunk.at(&id, 2, "GT", true).answer().await;
        assert_eq!((status, &body["data_id"]), (200, &json!(id)));

        let sample = &bench.sandbox.samples()[0];
        assert_eq!(body["sample_id"], json!(sample.id));
        assert_eq!((sample.project.as_deref(), sample.organism.as_deref()), (Some(PROJECT), Some("Hs")));
        assert_eq!(sample.metadata["strandedness"], "reverse");
        assert_eq!(sample.files[0].path, bench.sandbox.dir().join("samples/S1/f.fastq"));
        assert_eq!(bench.only_sample_bytes(), "ACGT");
    }

    #[tokio::test]
    async fn a_paired_sample_keeps_the_order_of_its_files() {
        let bench = Bench::new().await;
        let chunk = bench.sample_chunk();
        let first = chunk.clone().set("filename", "r1").set("is_last_sample", "false").bytes("1").id().await;
        assert_eq!(bench.sandbox.samples(), []);
        chunk.set("filename", "r2").and("previous_data", &first).bytes("2").id().await;
        let samples = bench.sandbox.samples();
        let names: Vec<&str> = samples[0].files.iter().map(|file| file.filename.as_str()).collect();
        assert_eq!(names, ["r1", "r2"]);
        assert_eq!(fs::read(&samples[0].files[0].path).unwrap(), b"1");
    }

    #[tokio::test]
    async fn a_last_chunk_that_comes_again_makes_a_second_sample() {
        let bench = Bench::new().await;
        let id = bench.sample_chunk().at("", 0, "AC", false).id().await;
        let last = bench.sample_chunk().at(&id, 2, "GT", true);
        let first_answer = last.clone().answer().await.1;
        let second_answer = last.answer().await.1;

        assert_eq!(first_answer["data_id"], second_answer["data_id"]);
        assert_ne!(first_answer["sample_id"], second_answer["sample_id"]);
        let samples = bench.sandbox.samples();
        assert_eq!((samples.len(), samples[0].files[0].size), (2, 4));
        assert_eq!(samples[1].files[0].path, bench.sandbox.dir().join("samples/S1~2/f.fastq"));
        assert_eq!(fs::read(&samples[1].files[0].path).unwrap(), b"ACGT");
    }

    #[tokio::test]
    async fn a_whole_file_in_one_chunk_that_comes_again_makes_a_second_file_and_sample() {
        let bench = Bench::new().await;
        let whole = bench.sample_chunk().bytes("ACGT");
        assert_ne!(whole.clone().id().await, whole.id().await);
        assert_eq!(bench.sandbox.samples().len(), 2);
    }

    #[tokio::test]
    async fn a_last_chunk_that_comes_again_while_the_server_hashes_is_appended_and_makes_a_second_sample() {
        let bench = Bench::new().await;
        let gate = Gate::new();
        bench.sandbox.faults().add(Fault::on(On::FinalChunk).go_on_behind(Duration::ZERO).until(&gate).times(1));
        let id = bench.sample_chunk().at("", 0, "AC", false).id().await;
        bench.sample_chunk().at(&id, 2, "GT", true).send().await.unwrap_err();
        bench.sample_chunk().at(&id, 2, "GT", true).id().await;
        gate.open();
        bench.sandbox.idle().await;
        let samples = bench.sandbox.samples();
        assert_eq!(samples.len(), 2);
        assert_eq!(fs::read(&samples[0].files[0].path).unwrap(), b"ACGTGT");
    }

    #[tokio::test]
    async fn two_files_of_one_name_in_a_sample_both_survive() {
        let bench = Bench::new().await;
        let first = bench.sample_chunk().set("is_last_sample", "false").bytes("1").id().await;
        bench.sample_chunk().and("previous_data", &first).bytes("2").id().await;
        let sample = &bench.sandbox.samples()[0];
        let bytes: Vec<_> = sample.files.iter().map(|file| fs::read(&file.path).unwrap()).collect();
        assert_eq!(bytes, [b"1", b"2"]);
    }

    #[tokio::test]
    async fn a_sample_name_leads_nowhere_else() {
        let bench = Bench::new().await;
        bench.sample_chunk().set("sample_name", "../a/b").bytes("1").id().await;
        let path = &bench.sandbox.samples()[0].files[0].path;
        assert_eq!(*path, bench.sandbox.dir().join("samples/%2E.%2Fa%2Fb/f.fastq"));
    }

    #[tokio::test]
    async fn every_field_of_a_sample_is_checked() {
        let bench = Bench::new().await;
        let unready = bench.sample_chunk().at("", 0, "x", false).id().await;
        let generic = bench.chunk().bytes("x").id().await;
        let good = bench.sample_chunk();
        let cases = [
            ("filename", good.clone().without("filename")),
            ("filename", good.clone().set("filename", "../x")),
            ("expected_file_size", good.clone().set("expected_file_size", "-1")),
            ("expected_file_size", good.clone().without("expected_file_size")),
            ("is_last", good.clone().set("is_last", "True")),
            ("is_last", good.clone().without("is_last")),
            ("is_last", good.clone().and("is_last", "true")),
            ("data", good.clone().set("data", "123")),
            ("data", good.clone().set("data", "abc")),
            ("data", good.clone().set("data", &generic)),
            ("data", good.clone().set("data", FOREIGN_DATA_ID)),
            ("blob", good.clone().without("blob")),
            ("sample_name", good.clone().without("sample_name")),
            ("sample_name", good.clone().set("sample_name", "S 1")),
            ("sample_type", good.clone().without("sample_type")),
            ("sample_type", good.clone().set("sample_type", "rna_seq")),
            ("project", good.clone().set("project", "1")),
            ("organism", good.clone().set("organism", "Xx")),
            ("is_last_sample", good.clone().without("is_last_sample")),
            ("previous_data", good.clone().set("previous_data", "123")),
            ("previous_data", good.clone().set("previous_data", &unready)),
            ("previous_data", good.clone().set("previous_data", &generic)),
            ("previous_data", good.clone().set("previous_data", FOREIGN_DATA_ID)),
            ("purification_target", good.clone().set("sample_type", "CLIP")),
            ("strandedness", good.clone().set("strandedness", "sideways")),
            ("five_prime_barcode", good.clone().set("five_prime_barcode", "ACXT")),
            ("cell_line", good.clone().set("cell_line", "CL-0241")),
            ("typo", good.clone().set("typo", "x")),
            ("scientist__annotation", good.clone().set("scientist__annotation", "x")),
        ];
        for (field, chunk) in cases {
            let (status, body) = chunk.answer().await;
            assert_eq!(status, 400, "{field}: {body}");
            assert!(body["error"][field][0].is_string(), "{field}: {body}");
        }
        assert_eq!(bench.sandbox.samples(), []);
    }

    #[tokio::test]
    async fn a_space_in_a_file_name_is_refused_in_its_own_shape() {
        let bench = Bench::new().await;
        let answer = bench.chunk().set("filename", "a b").answer().await;
        assert_eq!(answer, (400, json!({"filename": ["Spaces in filename"]})));
    }

    #[tokio::test]
    async fn metadata_of_every_kind_is_accepted_and_read_back() {
        let bench = Bench::new().await;
        let chunk = bench.sample_chunk().set("sample_type", "CLIP").set("purification_target", "a new protein");
        let chunk = chunk.set("purification_target__annotation", "clone 7").set("cell_line", "CL-0240");
        let chunk = chunk.set("five_prime_barcode", "NNACGT").set("keywords", "a, b").set("comments", "");
        let (_, body) = chunk.bytes("x").answer().await;
        let (_, sample) = bench.read(&format!("/samples/{}", body["sample_id"].as_str().unwrap())).await;
        let expected = json!({
            "purification_target": {"value": "a new protein", "annotation": "clone 7"},
            "cell_line": {"value": "CL-0240", "annotation": null},
            "five_prime_barcode": {"value": "NNACGT", "annotation": null},
            "keywords": {"value": "a, b", "annotation": null},
        });
        assert_eq!(sample["metadata"], expected);
    }

    #[tokio::test]
    async fn a_generic_file_has_a_type_and_may_be_an_archive() {
        let bench = Bench::new().await;
        let chunk = bench.chunk().set("data_type", "report").set("filename", "r.tar.gz").set("is_directory", "true");
        chunk.bytes("x").id().await;
        let stored = &bench.sandbox.data()[0];
        assert_eq!((stored.data_type.as_deref(), stored.is_directory), (Some("report"), true));

        let refused = [
            ("data_type", bench.chunk().set("data_type", "nonsense")),
            ("is_directory", bench.chunk().set("is_directory", "true")),
            ("sample_name", bench.chunk().set("sample_name", "S1")),
        ];
        for (field, chunk) in refused {
            let (status, body) = chunk.answer().await;
            assert!(status == 400 && body["error"][field][0].is_string(), "{field}: {body}");
        }
    }

    #[tokio::test]
    async fn multiplexed_reads_name_their_mate() {
        let bench = Bench::new().await;
        let reads1 = bench.chunk_on("/upload/multiplexed", &[]).bytes("1").id().await;
        bench.chunk_on("/upload/multiplexed", &[("reads1", &reads1)]).bytes("2").id().await;
        assert_eq!(bench.sandbox.multiplexed().len(), 2);
        for wrong in ["123", FOREIGN_DATA_ID] {
            let (status, body) = bench.chunk_on("/upload/multiplexed", &[("reads1", wrong)]).answer().await;
            assert!(status == 400 && body["error"]["reads1"][0].is_string(), "{body}");
        }
    }

    #[tokio::test]
    async fn an_upload_needs_a_good_token() {
        let bench = Bench::new().await;
        for path in ["/upload", "/upload/sample", "/upload/multiplexed", "/upload/annotation"] {
            for token in [None, Some("bad")] {
                assert_eq!(bench.chunk_on(path, &[]).token(token).answer().await.0, 401, "{path}");
            }
        }
    }

    #[tokio::test]
    async fn the_order_of_fields_and_blob_does_not_matter() {
        let bench = Bench::new().await;
        bench.sample_chunk().bytes("ACGT").blob_first().id().await;
        assert_eq!(bench.only_sample_bytes(), "ACGT");
    }

    #[tokio::test]
    async fn a_chunk_that_is_too_large_is_refused_as_a_proxy_does() {
        let bench = Bench::with(|settings| settings.max_chunk = Some(4)).await;
        bench.chunk().bytes("1234").id().await;
        let response = bench.chunk().bytes("12345").request().send().await.unwrap();
        assert_eq!(response.status(), 413);
        assert!(response.text().await.unwrap().starts_with("<html>"));
        assert_eq!(bench.sandbox.unfinished(), []);
    }

    #[tokio::test]
    async fn a_chunk_larger_than_a_server_usually_takes_is_taken() {
        let bench = Bench::new().await;
        bench.chunk().bytes(vec![7; 5_000_000]).id().await;
        assert_eq!(bench.sandbox.data()[0].size, 5_000_000);
        assert_eq!(bench.sandbox.requests()[0].blob_len, Some(5_000_000));
    }

    #[tokio::test]
    async fn requests_are_remembered_with_their_fields_in_order() {
        let bench = Bench::new().await;
        bench.sample_chunk().bytes("ACGT").id().await;
        let log = &bench.sandbox.requests()[0];
        assert_eq!((log.method.as_str(), log.path.as_str(), log.status), ("POST", "/upload/sample", Some(200)));
        assert_eq!(log.fields[0], ("filename".to_owned(), "f.fastq".to_owned()));
        assert_eq!((log.blob_len, log.blob_filename.as_deref()), (Some(4), Some("f.fastq")));
        assert_eq!((log.field("data"), log.all("sample_type")), (Some(""), vec!["RNA-Seq"]));
    }

    #[tokio::test]
    async fn what_is_no_form_is_refused() {
        let bench = Bench::new().await;
        let request = bench.client.post(bench.url("/upload")).bearer_auth(bench.sandbox.token()).json(&Value::Null);
        assert_eq!(request.send().await.unwrap().status(), 400);
    }
}
