//! A small client for the sandbox's own tests: plain requests, nothing clever, so that a test shows what goes over
//! the line.

use std::fs;

use reqwest::multipart::{Form, Part};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;
use tempfile::TempDir;

use super::{Sandbox, Settings};

/// A sandbox in a folder of its own, and somebody who talks to it.
pub(super) struct Bench {
    pub(super) sandbox: Sandbox,
    pub(super) client: Client,
    /// Removed at the end.
    _dir: TempDir,
}

impl Bench {
    pub(super) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// With settings changed.
    pub(super) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = Settings::new(dir.path());
        change(&mut settings);
        let sandbox = Sandbox::start(settings).await.unwrap();
        // No connection is used twice, so that a fault hits the request it is meant for.
        let client = Client::builder().pool_max_idle_per_host(0).no_proxy().build().unwrap();
        Self { sandbox, client, _dir: dir }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.sandbox.base_url())
    }

    /// A GET with the token.
    pub(super) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(self.url(path)).bearer_auth(self.sandbox.token())
    }

    /// Status and body of a GET with the token.
    pub(super) async fn read(&self, path: &str) -> (u16, Value) {
        body(self.get(path).send().await.unwrap()).await
    }

    /// A chunk of a generic file.
    pub(super) fn chunk(&self) -> Chunk<'_> {
        Chunk::new(self, "/upload", &[])
    }

    /// A chunk of a single-end RNA-Seq sample.
    pub(super) fn sample_chunk(&self) -> Chunk<'_> {
        let fields = [("sample_name", "S1"), ("sample_type", "RNA-Seq"), ("is_last_sample", "true")];
        Chunk::new(self, "/upload/sample", &fields)
    }

    /// A chunk on this path with these further fields.
    pub(super) fn chunk_on(&self, path: &str, fields: &[(&str, &str)]) -> Chunk<'_> {
        Chunk::new(self, path, fields)
    }

    /// Waits until a request has come in whole and is being worked on.
    pub(super) async fn busy(&self) {
        self.sandbox.shared.works.subscribe().wait_for(|works| *works > 0).await.unwrap();
    }

    /// What the one sample's one file holds, on disk.
    pub(super) fn only_sample_bytes(&self) -> String {
        let samples = self.sandbox.samples();
        assert_eq!((samples.len(), samples[0].files.len()), (1, 1), "{samples:?}");
        fs::read_to_string(&samples[0].files[0].path).unwrap()
    }
}

/// Status and JSON body; null when it is no JSON.
pub(super) async fn body(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default())
}

/// A chunk to be sent; a whole file at first.
#[derive(Clone)]
pub(super) struct Chunk<'b> {
    bench: &'b Bench,
    path: String,
    fields: Vec<(String, String)>,
    blob: Option<Vec<u8>>,
    blob_first: bool,
    token: Option<String>,
}

impl<'b> Chunk<'b> {
    fn new(bench: &'b Bench, path: &str, further: &[(&str, &str)]) -> Self {
        let token = Some(bench.sandbox.token().to_owned());
        let chunk =
            Self { bench, path: path.to_owned(), fields: Vec::new(), blob: Some(Vec::new()), blob_first: false, token };
        let common = [("filename", "f.fastq"), ("expected_file_size", "0"), ("is_last", "true"), ("data", "")];
        common.iter().chain(further).fold(chunk, |chunk, (name, value)| chunk.set(name, value))
    }

    /// Changes a field, or adds it.
    pub(super) fn set(mut self, name: &str, value: &str) -> Self {
        self.fields.retain(|(field, _)| field != name);
        self.and(name, value)
    }

    /// Adds a field, beside any of the same name.
    pub(super) fn and(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(field, _)| field != name);
        if name == "blob" {
            self.blob = None;
        }
        self
    }

    pub(super) fn blob_first(mut self) -> Self {
        self.blob_first = true;
        self
    }

    pub(super) fn token(mut self, token: Option<&str>) -> Self {
        self.token = token.map(str::to_owned);
        self
    }

    pub(super) fn bytes(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.blob = Some(bytes.into());
        self
    }

    /// These bytes, of that file, from there on, the last of it or not.
    pub(super) fn at(self, data: &str, offset: usize, bytes: &str, is_last: bool) -> Self {
        let chunk = self.set("data", data).set("expected_file_size", &offset.to_string());
        chunk.set("is_last", &is_last.to_string()).bytes(bytes)
    }

    /// As it goes over the line.
    pub(super) fn request(self) -> RequestBuilder {
        let part = |blob: Vec<u8>| Part::bytes(blob).file_name("f.fastq").mime_str("application/octet-stream").unwrap();
        let (first, last) = if self.blob_first { (self.blob, None) } else { (None, self.blob) };
        let mut form = Form::new();
        if let Some(blob) = first {
            form = form.part("blob", part(blob));
        }
        form = self.fields.into_iter().fold(form, |form, (name, value)| form.text(name, value));
        if let Some(blob) = last {
            form = form.part("blob", part(blob));
        }
        let request = self.bench.client.post(self.bench.url(&self.path)).multipart(form);
        match self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// The answer, or how the connection failed.
    pub(super) async fn send(self) -> Result<(u16, Value), reqwest::Error> {
        Ok(body(self.request().send().await?).await)
    }

    /// The answer.
    pub(super) async fn answer(self) -> (u16, Value) {
        self.send().await.unwrap()
    }

    /// The file's id, from an answer that must be 200.
    pub(super) async fn id(self) -> String {
        let (status, body) = self.answer().await;
        assert_eq!(status, 200, "{body}");
        body.get("data_id").or(body.get("id")).and_then(Value::as_str).unwrap().to_owned()
    }
}
