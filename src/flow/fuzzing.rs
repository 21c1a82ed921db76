//! The server's answers, and what an upload sends, for the fuzzer; see [`crate::fuzzing`].

use bytes::Bytes;
use futures_util::{FutureExt, TryStreamExt};
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use serde::de::DeserializeOwned;

use super::api_error::ApiError;
use super::boundaries::Chunk;
use super::chunk::{ChunkAnswer, ChunkRequest, form, header_text};
use super::mask::Mask;
use super::{
    Data, DataType, FoundData, FoundSample, Me, Organism, Project, SampleDetails, SampleImportJob, SampleType, metadata,
};

/// The first byte chooses status and content type, the others are the body. Whatever it says, an error is one line of a
/// bearable length, and ids are never empty.
pub(crate) fn answer(bytes: &[u8]) {
    let Some((choice, body)) = bytes.split_first() else { return };
    let status = [400, 401, 404, 413, 422, 429, 500, 503][usize::from(choice % 8)];
    let content_type = ["application/json", "application/problem+json", "text/html", ""][usize::from(choice / 8 % 4)];
    let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
    if let Some(Ok(value)) = body.split(|byte| *byte == b'\n').next().map(HeaderValue::from_bytes) {
        headers.insert(RETRY_AFTER, value);
    }
    let status = StatusCode::from_u16(status).expect("it is one");
    let error = ApiError::new("POST /upload/annotation", status, &headers, body, &Mask::of(&["t0ken"]));
    let text = error.to_string();
    assert!(text.chars().count() < 1100 && !text.contains(char::is_control), "{text:?}");
    assert!(!text.contains("t0ken"), "{text:?}");
    let _ = (error.kind(), error.annotation_problems(), error.problem());

    let ids = |answer: ChunkAnswer| (answer.sample_id.clone(), answer.file_id());
    if let Some((sample, file)) = read(body).map(ids) {
        assert!(sample.as_deref() != Some("") && file.as_deref() != Some(""));
    }
    assert!(read(body).is_none_or(|data: Data| !data.id.is_empty()));
    assert!(read(body).is_none_or(|job: SampleImportJob| !job.id.is_empty()));
    assert!(read(body).is_none_or(|sample: SampleDetails| !sample.id.is_empty()));
    assert!(read(body).is_none_or(|me: Me| me.id.as_deref() != Some("")));
    read::<Vec<SampleType>>(body);
    read::<Vec<Organism>>(body);
    read::<Vec<Project>>(body);
    read::<Vec<DataType>>(body);
    read::<Vec<FoundData>>(body);
    read::<Vec<FoundSample>>(body);
    read::<Vec<metadata::Answer>>(body);
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    serde_json::from_slice(body).ok()
}

/// A chunk as it leaves, and the words that the other side must read out of it.
pub(crate) struct Sent {
    pub content_type: String,
    pub body: Vec<u8>,
    /// In order, the protocol's own among them.
    pub fields: Vec<(String, String)>,
    pub filename: String,
}

/// The first chunk of a file.
pub(crate) fn chunk(filename: &str, fields: &[(String, String)], blob: &[u8]) -> Sent {
    let chunk = Chunk { offset: 0, length: blob.len() as u64, is_last: false };
    let bytes = Bytes::copy_from_slice(blob);
    let form = form(&ChunkRequest { path: "/upload", filename, chunk, data_id: None, fields, bytes });
    let content_type = format!("multipart/form-data; boundary={}", form.boundary());
    let pieces = form.into_stream().try_collect::<Vec<Bytes>>().now_or_never().expect("all of it is in memory");
    let own = [("filename", filename), ("expected_file_size", "0"), ("is_last", "false"), ("data", "")];
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let others = fields.iter().map(|(name, value)| (header_text(name), value.clone()));
    Sent {
        content_type,
        body: pieces.expect("nothing of it can fail").concat(),
        fields: own.into_iter().chain(others).collect(),
        filename: header_text(filename),
    }
}
