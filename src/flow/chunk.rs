//! One chunk on the wire: a `multipart/form-data` POST, and what its answer means for the file.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde::Deserialize;

use super::boundaries::Chunk;
use super::client::{Client, read_json};
use super::error::Error;

/// The slowest line on which a chunk still arrives in time, in bytes a second.
const LEAST_RATE: u64 = 128 * 1024;

/// A chunk with all that is sent along.
pub(super) struct ChunkRequest<'a> {
    pub path: &'static str,
    pub filename: &'a str,
    pub chunk: Chunk,
    /// The id that the server gave the file; `None` on the first chunk.
    pub data_id: Option<&'a str>,
    /// Fields that the endpoint wants beside the protocol's own.
    pub fields: &'a [(String, String)],
    pub bytes: Bytes,
}

/// What the server says to a chunk.
#[derive(Debug, Deserialize)]
pub(super) struct ChunkAnswer {
    #[serde(default, deserialize_with = "super::id::optional")]
    pub data_id: Option<String>,
    #[serde(default, deserialize_with = "super::id::optional")]
    pub id: Option<String>,
    #[serde(default, deserialize_with = "super::id::optional")]
    pub sample_id: Option<String>,
}

impl ChunkAnswer {
    /// The file's id, under either of its names.
    pub fn file_id(self) -> Option<String> {
        self.data_id.or(self.id)
    }
}

/// Why a chunk was not acknowledged, told apart by what it means for the file.
pub(super) enum ChunkFailure {
    /// It surely did nothing: it never left, or was refused. It may be sent again as it is.
    NotDone(Error),
    /// Nobody knows what the server did with it.
    Unknown(Error),
    /// What the server has of the file is not what we think: it must be begun anew.
    Broken(Error),
    /// The chunk is longer than the server takes.
    TooLarge(Error),
}

impl Client {
    /// Sends one chunk, once: a retry of it is the state machine's to decide.
    pub(super) async fn send_chunk(&self, request: &ChunkRequest<'_>) -> Result<ChunkAnswer, ChunkFailure> {
        let least = Duration::from_secs(request.chunk.length / LEAST_RATE);
        let timeout = self.config().request_timeout.max(least);
        let answer = self
            .send(Method::POST, request.path, |http| http.timeout(timeout).multipart(form(request)))
            .await
            .map_err(|error| sort(error, request.data_id.is_some()))?;
        read_json(&format!("POST {}", request.path), answer).await.map_err(ChunkFailure::Unknown)
    }
}

pub(super) fn form(request: &ChunkRequest<'_>) -> Form {
    let blob = Part::stream_with_length(request.bytes.clone(), request.chunk.length)
        .file_name(header_text(request.filename))
        .mime_str("application/octet-stream")
        .expect("a constant media type parses");
    let mut form = Form::new()
        .percent_encode_noop()
        .text("filename", request.filename.to_owned())
        .text("expected_file_size", request.chunk.offset.to_string())
        .text("is_last", request.chunk.is_last.to_string())
        .text("data", request.data_id.unwrap_or_default().to_owned());
    for (name, value) in request.fields {
        form = form.text(header_text(name), value.clone());
    }
    form.part("blob", blob)
}

/// A name inside a part's header, as the reference client writes it: raw UTF-8, with what could end the header, or
/// break it, escaped. (The library's own encodings write other bytes.) A backslash is not doubled, as it is there:
/// before the closing quote, servers take the second one for the quote's escape, and the form for a broken one.
pub(super) fn header_text(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '"' => text.push_str("%22"),
            '\\' => text.push_str("%5C"),
            c if c.is_ascii_control() => text.push_str(&format!("%{:02X}", u32::from(c))),
            c => text.push(c),
        }
    }
    text
}

fn sort(error: Error, has_id: bool) -> ChunkFailure {
    let Some(api) = error.api() else {
        return match error {
            Error::Lost { .. } => ChunkFailure::Unknown(error),
            _ => ChunkFailure::NotDone(error),
        };
    };
    // Rule 3: whether it arrives as 400 or 500 is unknown.
    if has_id && (api.status == 404 || api.message.to_ascii_lowercase().contains("missing chunk")) {
        return ChunkFailure::Broken(error);
    }
    match api.status {
        413 => ChunkFailure::TooLarge(error),
        400..=499 => ChunkFailure::NotDone(error),
        // A proxy's 504, like the application's own 500, may come while the work goes on behind it, and a redirect
        // after it is done.
        _ => ChunkFailure::Unknown(error),
    }
}

#[cfg(test)]
mod tests {
    use super::header_text;

    #[test]
    fn a_name_cannot_leave_its_header() {
        assert_eq!(header_text("a;b='c'é🧬%22"), "a;b='c'é🧬%22");
        assert_eq!(header_text("a\"; x=\"\r\n\0\t\x7f"), "a%22; x=%22%0D%0A%00%09%7F");
        assert_eq!(header_text("a\\b\\"), "a%5Cb%5C");
    }
}
