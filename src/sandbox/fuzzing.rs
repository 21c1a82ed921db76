//! Forms for the fuzzer; see [`crate::fuzzing`].

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;

use axum::body::Body;
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::header::CONTENT_TYPE;
use tempfile::TempDir;

use super::form::{Form, Unread};

/// The sandbox reads these words and bytes out of a body.
pub(crate) fn reads(content_type: &str, body: Vec<u8>, fields: &[(String, String)], filename: &str, blob: &[u8]) {
    let form = read(content_type, body).expect("a form that we sent").expect("a form that came in whole");
    assert_eq!(form.fields, fields);
    let received = form.blob.expect("the bytes were sent");
    assert_eq!(received.filename.as_deref(), Some(filename));
    assert_eq!(std::fs::read(received.path()).expect("the spool can be read"), blob);
}

/// Takes any body: the boundary on the first line, then the rest.
pub(crate) fn takes(bytes: &[u8]) {
    let line = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let boundary = String::from_utf8_lossy(&bytes[..line]);
    let body = bytes.get(line + 1..).unwrap_or_default();
    if let Some(Ok(form)) = read(&format!("multipart/form-data; boundary={boundary}"), body.to_vec()) {
        let _ = (form.flag("is_last"), form.required("filename"), form.optional("data"));
    }
}

/// `None` where it is no form at all.
fn read(content_type: &str, body: Vec<u8>) -> Option<Result<Form, Unread>> {
    let request = Request::post("/upload").header(CONTENT_TYPE, content_type).body(Body::from(body)).ok()?;
    let reading = async {
        let multipart = Multipart::from_request(request, &()).await.ok()?;
        let mut form = Form::default();
        let read = form.read(multipart, &spool(), Some(1 << 20), &AtomicU64::default(), |_| false).await;
        Some(read.map(|()| form))
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(reading)
}

/// One folder for all that is read in this process.
fn spool() -> PathBuf {
    static SPOOL: OnceLock<TempDir> = OnceLock::new();
    SPOOL.get_or_init(|| tempfile::tempdir().expect("a folder for the bytes of forms")).path().to_owned()
}
