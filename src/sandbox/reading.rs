//! What can be read: the catalogue's lists, samples, files and their bytes.
//!
//! All of it is private to the account. A bad token is nobody's, not an error ([D]): for it a search finds nothing
//! and a file is not there. Whether the platform answers a lookup with 401 instead is not known; this is the answer
//! that misleads more.

use std::io::SeekFrom;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::{Map, Value, json};
use tokio::fs;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::Shared;
use super::answer::{Answer, Refusal, ok};
use super::catalogue;
use super::paging::{Params, page};
use super::store::{File, Sample};

/// How many of an attribute's options are ever shown ([D]).
const SHOWN_OPTIONS: usize = 100;

/// How much of a download is in memory at a time.
const PIECE: u64 = 64 * 1024;

pub(super) async fn sample_types() -> Answer {
    ok(catalogue::sample_types())
}

pub(super) async fn metadata() -> Answer {
    ok(catalogue::attributes())
}

pub(super) async fn organisms() -> Answer {
    ok(catalogue::organisms())
}

pub(super) async fn data_types() -> Answer {
    ok(catalogue::data_types())
}

/// `GET /samples/metadata/<identifier>/options`: the first hundred of those that contain `?value=`.
pub(super) async fn options(Path(identifier): Path<String>, Query(params): Query<Params>) -> Answer {
    let all = catalogue::attribute(&identifier).ok_or(Refusal::NotFound)?.options();
    let wanted = params.get("value").map(|value| value.to_lowercase()).unwrap_or_default();
    let found: Vec<&String> = all.iter().filter(|option| option.to_lowercase().contains(&wanted)).collect();
    let shown: Vec<Value> =
        found.iter().take(SHOWN_OPTIONS).map(|option| json!({"value": option, "validated": true})).collect();
    ok(json!({"count": found.len(), "total_count": all.len(), "options": shown}))
}

/// `GET /projects/owned`.
pub(super) async fn owned_projects(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Query(params): Query<Params>,
) -> Answer {
    shared.access.require(&headers)?;
    ok(page(&params, "projects", catalogue::projects())?)
}

/// `GET /samples/search`: newest first, `name` anywhere in the name.
pub(super) async fn search_samples(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Query(params): Query<Params>,
) -> Answer {
    let name = params.get("name").map(String::as_str).unwrap_or_default();
    let samples = if shared.access.knows(&headers) { shared.store.newest_samples() } else { Vec::new() };
    let found = samples.into_iter().filter(|sample| sample.spec.name.contains(name));
    let rows = found.map(|sample| {
        json!({
            "id": sample.id.to_string(), "name": sample.spec.name, "created": sample.created.as_second(),
            "sample_type": sample.spec.sample_type, "project_name": project_of(&sample).map(|project| project.name),
            "owner_name": catalogue::ACCOUNT_NAME, "private": true,
        })
    });
    ok(page(&params, "samples", rows.collect())?)
}

/// `GET /samples/<id>`.
pub(super) async fn sample(State(shared): State<Arc<Shared>>, headers: HeaderMap, Path(id): Path<String>) -> Answer {
    let sample = id.parse().ok().filter(|_| shared.access.knows(&headers)).and_then(|id| shared.store.sample(id));
    let sample = sample.ok_or(Refusal::NotFound)?;
    let files: Vec<Value> = sample
        .files
        .iter()
        .filter_map(|(id, _)| shared.store.file(*id))
        .filter(|file| file.ready)
        .map(|file| json!({"id": file.id.to_string(), "filename": file.filename, "size": file.recorded}))
        .collect();
    let said = &sample.spec.metadata;
    let metadata: Map<String, Value> = catalogue::ATTRIBUTES
        .iter()
        .filter_map(|attribute| {
            let value = said.get(attribute.identifier)?;
            let annotation = said.get(&format!("{}__annotation", attribute.identifier));
            Some((attribute.identifier.to_owned(), json!({"value": value, "annotation": annotation})))
        })
        .collect();
    let organism = sample.spec.organism.as_deref().and_then(catalogue::organism);
    ok(json!({
        "id": sample.id.to_string(), "name": sample.spec.name, "created": sample.created.as_second(),
        "private": true, "sample_type": sample.spec.sample_type,
        "organism": organism.map(|organism| json!({"id": organism.id, "name": organism.name})),
        "project": project_of(&sample).map(|project| json!({"id": project.id, "name": project.name})),
        "owner": {"username": shared.access.username(), "name": catalogue::ACCOUNT_NAME},
        "metadata": metadata, "filesets": [{"id": sample.id.to_string(), "data": files}],
    }))
}

/// `GET /data/<id>`: not there until it is ready ([D]).
pub(super) async fn data(State(shared): State<Arc<Shared>>, headers: HeaderMap, Path(id): Path<String>) -> Answer {
    let file = ready(&shared, &headers, &id).ok_or(Refusal::NotFound)?;
    let sample = file.sample.and_then(|id| shared.store.sample(id));
    ok(json!({
        "id": file.id.to_string(), "filename": file.filename, "size": file.recorded,
        "created": file.created.as_second(), "data_type": file.data_type, "is_directory": file.is_directory,
        "private": true, "owner": {"username": shared.access.username(), "name": catalogue::ACCOUNT_NAME},
        "sample": sample.map(|sample| json!({"id": sample.id.to_string(), "name": sample.spec.name})),
    }))
}

/// `GET /data/search`: ready files, newest first, `filename` anywhere in the name.
pub(super) async fn search_data(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Query(params): Query<Params>,
) -> Answer {
    let filename = params.get("filename").map(String::as_str).unwrap_or_default();
    let files = if shared.access.knows(&headers) { shared.store.newest_files() } else { Vec::new() };
    let found = files.into_iter().filter(|file| file.filename.contains(filename));
    let rows = found.map(|file| {
        let sample = file.sample.and_then(|id| shared.store.sample(id));
        json!({
            "id": file.id.to_string(), "filename": file.filename, "size": file.recorded,
            "created": file.created.as_second(), "sample_name": sample.map(|sample| sample.spec.name),
            "owner_name": catalogue::ACCOUNT_NAME,
        })
    });
    ok(page(&params, "data", rows.collect())?)
}

/// `GET /downloads/<id>/<filename>`: the bytes, or one range of them. Every refusal is a bare 404 ([D]).
pub(super) async fn download(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Path((id, filename)): Path<(String, String)>,
) -> Answer {
    let file = ready(&shared, &headers, &id).filter(|file| file.filename == filename).ok_or(Refusal::BareNotFound)?;
    let mut content = fs::File::open(&file.path).await.map_err(|_| Refusal::BareNotFound)?;
    let size = content.metadata().await.map_err(Refusal::internal)?.len();
    let wanted = headers.get(header::RANGE).filter(|_| shared.settings.ranges).and_then(|value| value.to_str().ok());
    let range = wanted.and_then(|text| range(text, size));
    let (status, start, length) = match range {
        None => (StatusCode::OK, 0, size),
        Some(Ok((start, length))) => (StatusCode::PARTIAL_CONTENT, start, length),
        Some(Err(OutOfRange)) => {
            let unsatisfied = [(header::CONTENT_RANGE, format!("bytes */{size}"))];
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, unsatisfied).into_response());
        }
    };
    content.seek(SeekFrom::Start(start)).await.map_err(Refusal::internal)?;
    let mut response = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/octet-stream")
        .header(header::CONTENT_LENGTH, length)
        .header(header::ACCEPT_RANGES, "bytes");
    if status == StatusCode::PARTIAL_CONTENT {
        let last = start + length - 1;
        response = response.header(header::CONTENT_RANGE, format!("bytes {start}-{last}/{size}"));
    }
    response.body(in_pieces(content, length)).map_err(Refusal::internal)
}

/// The next `length` bytes of the file, a piece at a time.
fn in_pieces(content: fs::File, length: u64) -> Body {
    Body::from_stream(stream::try_unfold((content, length), |(mut content, left)| async move {
        if left == 0 {
            return Ok::<_, std::io::Error>(None);
        }
        let mut piece = vec![0; left.min(PIECE) as usize];
        content.read_exact(&mut piece).await?;
        let left = left - piece.len() as u64;
        Ok(Some((Bytes::from(piece), (content, left))))
    }))
}

/// A range that begins behind the file's end, or an empty one.
struct OutOfRange;

/// Start and length of the one range that the header asks for; `None` when it asks for something else, which a
/// server may then ignore.
fn range(text: &str, size: u64) -> Option<Result<(u64, u64), OutOfRange>> {
    let (start, end) = text.strip_prefix("bytes=")?.split_once('-')?;
    let (start, end) = match (start.trim(), end.trim()) {
        ("", suffix) => (size.saturating_sub(suffix.parse::<u64>().ok()?), size),
        (start, "") => (start.parse().ok()?, size),
        (start, last) => (start.parse().ok()?, last.parse::<u64>().ok()?.saturating_add(1).min(size)),
    };
    if start < end { Some(Ok((start, end - start))) } else { Some(Err(OutOfRange)) }
}

fn project_of(sample: &Sample) -> Option<&'static catalogue::Project> {
    sample.spec.project.as_deref().and_then(catalogue::project)
}

/// A ready file that the caller may see.
fn ready(shared: &Shared, headers: &HeaderMap, id: &str) -> Option<File> {
    let id = id.parse().ok().filter(|_| shared.access.knows(headers))?;
    shared.store.file(id).filter(|file| file.ready)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::sandbox::testing::{Bench, body};
    use crate::sandbox::{FOREIGN_DATA_ID, FOREIGN_FILENAME};

    #[tokio::test]
    async fn the_lists_are_bare_and_need_no_account() {
        let bench = Bench::new().await;
        for (path, key) in [
            ("/samples/types", "identifier"),
            ("/samples/metadata", "identifier"),
            ("/organisms", "id"),
            ("/data/types", "identifier"),
        ] {
            let (status, list) = body(bench.client.get(bench.url(path)).send().await.unwrap()).await;
            assert!(status == 200 && list[0][key].is_string(), "{path}: {list}");
        }
    }

    #[tokio::test]
    async fn attributes_say_for_which_types_they_are_required() {
        let bench = Bench::new().await;
        let (_, list) = bench.read("/samples/metadata").await;
        let target = list.as_array().unwrap().iter().find(|item| item["identifier"] == "purification_target").unwrap();
        let links = json!([
            {"sample_type_identifier": "ChIP-Seq", "required": false},
            {"sample_type_identifier": "CLIP", "required": true},
        ]);
        assert_eq!((&target["sample_type_links"], &target["required"]), (&links, &json!(false)));
    }

    #[tokio::test]
    async fn a_long_list_of_options_is_cut_and_can_be_narrowed() {
        let bench = Bench::new().await;
        let counts = |list: &Value| {
            (list["count"].clone(), list["total_count"].clone(), list["options"].as_array().unwrap().len())
        };
        let (_, all) = bench.read("/samples/metadata/cell_line/options").await;
        assert_eq!(counts(&all), (json!(240), json!(240), 100));
        let (_, some) = bench.read("/samples/metadata/cell_line/options?value=cl-024").await;
        assert_eq!(counts(&some), (json!(1), json!(240), 1));
        assert_eq!(some["options"][0], json!({"value": "CL-0240", "validated": true}));
        assert_eq!(bench.read("/samples/metadata/typo/options").await.0, 404);
    }

    #[tokio::test]
    async fn projects_come_in_pages_and_need_an_account() {
        let bench = Bench::new().await;
        let (_, page) = bench.read("/projects/owned?page=2&count=3").await;
        assert_eq!(
            (&page["count"], &page["page"], page["projects"].as_array().unwrap().len()),
            (&json!(5), &json!(2), 2)
        );
        let (_, all) = bench.read("/projects/owned").await;
        assert_eq!(all["projects"][0]["id"], "788995297969977723");
        assert_eq!(bench.read("/projects/owned?page=9").await.1["projects"], json!([]));
        for query in ["count=101", "count=0", "page=0", "page=x"] {
            let (status, body) = bench.read(&format!("/projects/owned?{query}")).await;
            assert!(status == 400 && body["error"]["details"][0]["message"].is_string(), "{query}: {body}");
        }
        assert_eq!(bench.client.get(bench.url("/projects/owned")).send().await.unwrap().status(), 401);
    }

    #[tokio::test]
    async fn a_sample_is_found_by_part_of_its_name_and_by_its_owner_alone() {
        let bench = Bench::new().await;
        for name in ["run1_A", "run1_B", "run2_A"] {
            bench.sample_chunk().set("sample_name", name).set("project", "788995297969977724").bytes("x").id().await;
        }
        let (_, found) = bench.read("/samples/search?name=run1&owned=true&unknown=1").await;
        let names: Vec<_> = found["samples"].as_array().unwrap().iter().map(|sample| &sample["name"]).collect();
        assert_eq!((names, &found["count"]), (vec![&json!("run1_B"), &json!("run1_A")], &json!(2)));
        assert_eq!(found["samples"][0]["project_name"], "RNA atlas");

        let anonymous = bench.client.get(bench.url("/samples/search?name=run1&owned=true")).bearer_auth("bad");
        let (status, found) = body(anonymous.send().await.unwrap()).await;
        assert_eq!((status, found), (200, json!({"count": 0, "page": 1, "samples": []})));
    }

    #[tokio::test]
    async fn a_sample_is_read_with_its_files_project_and_owner() {
        let bench = Bench::new().await;
        let chunk = bench.sample_chunk().set("project", "788995297969977723").set("organism", "Mm").bytes("ACGT");
        let (_, answer) = chunk.answer().await;
        let path = format!("/samples/{}", answer["sample_id"].as_str().unwrap());
        let (_, sample) = bench.read(&path).await;
        assert_eq!(sample["filesets"][0]["data"], json!([{"id": answer["data_id"], "filename": "f.fastq", "size": 4}]));
        assert_eq!(sample["project"], json!({"id": "788995297969977723", "name": "Sequencing core"}));
        assert_eq!(sample["owner"]["username"], "sandbox");
        assert_eq!(sample["organism"]["id"], "Mm");
        assert_eq!(bench.client.get(bench.url(&path)).send().await.unwrap().status(), 404);
        assert_eq!(bench.read("/samples/1").await.0, 404);

        let (_, data) = bench.read(&format!("/data/{}", answer["data_id"].as_str().unwrap())).await;
        assert_eq!(data["sample"], json!({"id": answer["sample_id"], "name": "S1"}));
        assert_eq!(
            bench.read("/data/search?owned=true&uploaded=true&filename=fast").await.1["data"][0]["sample_name"],
            "S1"
        );
    }

    #[tokio::test]
    async fn another_account_s_file_is_not_there() {
        let bench = Bench::new().await;
        assert_eq!(bench.read(&format!("/data/{FOREIGN_DATA_ID}")).await.0, 404);
        assert_eq!(bench.read(&format!("/downloads/{FOREIGN_DATA_ID}/{FOREIGN_FILENAME}")).await.0, 404);
        assert_eq!(bench.read("/data/search").await.1["count"], 0);
    }

    #[tokio::test]
    async fn a_download_gives_the_bytes_or_a_range_of_them() {
        let bench = Bench::new().await;
        let content: Vec<u8> = (0..200_000u32).map(|n| n as u8).collect();
        let id = bench.chunk().bytes(content.clone()).id().await;
        let path = format!("/downloads/{id}/f.fastq");
        assert_eq!(bench.get(&path).send().await.unwrap().bytes().await.unwrap(), content);
        for (range, part, header) in [
            ("bytes=0-3", &content[..4], "bytes 0-3/200000"),
            ("bytes=199998-", &content[199_998..], "bytes 199998-199999/200000"),
            ("bytes=-8", &content[199_992..], "bytes 199992-199999/200000"),
            ("bytes=199990-900000", &content[199_990..], "bytes 199990-199999/200000"),
        ] {
            let response = bench.get(&path).header("range", range).send().await.unwrap();
            assert_eq!(
                (response.status().as_u16(), response.headers()["content-range"].to_str().unwrap()),
                (206, header)
            );
            assert_eq!(response.bytes().await.unwrap(), part, "{range}");
        }
        let beyond = bench.get(&path).header("range", "bytes=200000-").send().await.unwrap();
        assert_eq!(
            (beyond.status().as_u16(), beyond.headers()["content-range"].as_bytes()),
            (416, &b"bytes */200000"[..])
        );
        let odd = bench.get(&path).header("range", "lines=1-2").send().await.unwrap();
        assert_eq!(odd.status(), 200);

        let without = Bench::with(|settings| settings.ranges = false).await;
        let id = without.chunk().bytes(content.clone()).id().await;
        let all = without.get(&format!("/downloads/{id}/f.fastq")).header("range", "bytes=0-3").send().await.unwrap();
        assert_eq!((all.status().as_u16(), all.bytes().await.unwrap().to_vec()), (200, content));
    }

    #[tokio::test]
    async fn every_refusal_of_a_download_is_a_bare_404() {
        let bench = Bench::new().await;
        let id = bench.chunk().bytes("x").id().await;
        let unready = bench.chunk().at("", 0, "x", false).id().await;
        for path in
            [format!("/downloads/{id}/F.fastq"), format!("/downloads/{unready}/f.fastq"), "/downloads/x/y".to_owned()]
        {
            let response = bench.get(&path).send().await.unwrap();
            assert_eq!((response.status().as_u16(), response.content_length()), (404, Some(0)), "{path}");
        }
        let anonymous = bench.client.get(bench.url(&format!("/downloads/{id}/f.fastq"))).send().await.unwrap();
        assert_eq!(anonymous.status(), 404);
    }
}
