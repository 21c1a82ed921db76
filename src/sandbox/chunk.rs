//! What the server does with a chunk: the six rules, from the public storage library that Flow's backend grew from.
//!
//! Check, append and record are three steps and nothing holds them together: of two copies of a chunk that are under
//! way at the same time, both find the offset right and both append. That is the point of this file. Do not mend it.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::http::StatusCode;

use super::Shared;
use super::annotation;
use super::answer::Refusal;
use super::course::{Course, Fate, Stage};
use super::form::Form;
use super::store::Kind;

/// A chunk whose fields have been read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk<'a> {
    pub(super) kind: Kind,
    pub(super) filename: &'a str,
    /// Where it begins in its file (the field `expected_file_size`).
    pub(super) offset: u64,
    pub(super) is_last: bool,
    /// The file it continues; `None` for a first chunk.
    pub(super) data: Option<u64>,
    pub(super) data_type: Option<&'a str>,
    pub(super) is_directory: bool,
    /// For an annotation sheet.
    pub(super) ignore_warnings: bool,
}

/// Takes a chunk; returns its file's id, whether or not the rules had any use for it.
///
/// # Errors
/// An id that is unknown or not ours, a chunk that is missing before this one, an annotation sheet that does not
/// pass, and the sandbox's own disk.
pub(super) async fn take(
    shared: &Arc<Shared>,
    chunk: Chunk<'_>,
    form: &Arc<Form>,
    course: Option<&Course>,
) -> Result<u64, Refusal> {
    let store = &shared.store;
    let id = match chunk.data {
        // Rule 1: a new record. A first chunk that comes again makes another one.
        None => {
            store.begin(chunk.kind, chunk.filename, chunk.data_type, chunk.is_directory).map_err(Refusal::internal)?
        }
        Some(id) => {
            let file = store.file(id).filter(|file| file.kind == chunk.kind);
            let recorded = file.ok_or_else(|| Refusal::field("data", format!("Unknown data '{id}'")))?.recorded;
            // Rule 2: something that we have already, or think we have.
            if chunk.offset < recorded {
                return Ok(id);
            }
            // Rule 3.
            if chunk.offset > recorded {
                let status = StatusCode::from_u16(shared.settings.missing_chunk_status);
                return Err(Refusal::Text(status.unwrap_or(StatusCode::BAD_REQUEST), "Missing chunk".to_owned()));
            }
            id
        }
    };

    // Rules 1 and 4.
    pass(course, Stage::Append).await;
    let mut size = append(shared, id, form).await.map_err(Refusal::internal)?;
    pass(course, Stage::Record).await;
    if let Some(Fate::Dies { recorded }) = course.map(|course| &course.fate) {
        if *recorded {
            store.record(id, size);
        }
        return Err(Refusal::internal("it was told to die while hashing"));
    }

    // Rule 5. The hash itself is of no use to anybody here, the time it takes is.
    if chunk.is_last {
        tokio::time::sleep(shared.settings.hashing).await;
        let path = path_of(shared, id).map_err(Refusal::internal)?;
        size = fs::metadata(&path).map_err(Refusal::internal)?.len();
        if chunk.kind == Kind::Annotation {
            annotation::check(&path, chunk.ignore_warnings)?;
        }
    }
    // Rule 6.
    store.record(id, size);
    if chunk.is_last {
        store.make_ready(id).map_err(Refusal::internal)?;
    }
    Ok(id)
}

async fn pass(course: Option<&Course>, stage: Stage) {
    if let Some(course) = course {
        course.pass(stage).await;
    }
}

/// Puts the chunk's bytes behind whatever the file holds, and measures it.
async fn append(shared: &Arc<Shared>, id: u64, form: &Arc<Form>) -> io::Result<u64> {
    let (shared, form) = (shared.clone(), form.clone());
    tokio::task::spawn_blocking(move || {
        let mut target = fs::OpenOptions::new().append(true).open(path_of(&shared, id)?)?;
        if let Some(blob) = &form.blob {
            let stored = io::copy(&mut fs::File::open(blob.path())?, &mut target)?;
            shared.traffic.stored.fetch_add(stored, Ordering::Relaxed);
        }
        Ok(target.metadata()?.len())
    })
    .await?
}

/// Where the file lies now: it moves when it becomes ready, and the copy of a chunk may come later than that.
fn path_of(shared: &Shared, id: u64) -> io::Result<PathBuf> {
    let gone = || io::Error::new(io::ErrorKind::NotFound, format!("file {id} is not in the index"));
    shared.store.file(id).map(|file| file.path).ok_or_else(gone)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use serde_json::json;

    use crate::sandbox::testing::Bench;
    use crate::sandbox::{Fault, Gate, On, Reply, Stage, Traffic};

    #[tokio::test]
    async fn rule_1_a_first_chunk_makes_a_record_that_is_not_ready() {
        let bench = Bench::new().await;
        let first = bench.chunk().at("", 0, "abc", false).id().await;
        let second = bench.chunk().at("", 0, "abc", false).id().await;
        assert_ne!(first, second, "the same chunk again is another file");
        assert_eq!(bench.sandbox.unfinished().len(), 2);
        assert_eq!(bench.read(&format!("/data/{first}")).await.0, 404);
    }

    #[tokio::test]
    async fn rule_1_holds_for_any_offset() {
        let bench = Bench::new().await;
        bench.chunk().at("", 17, "abc", true).id().await;
        assert_eq!(bench.sandbox.data()[0].size, 3);
    }

    #[tokio::test]
    async fn rule_2_a_chunk_below_the_recorded_size_is_ignored_with_its_is_last() {
        let bench = Bench::new().await;
        let id = bench.chunk().at("", 0, "abc", false).id().await;
        assert_eq!(bench.chunk().at(&id, 0, "xyz", true).id().await, id);
        assert_eq!(bench.read(&format!("/data/{id}")).await.0, 404, "is_last was ignored");
        bench.chunk().at(&id, 3, "def", true).id().await;
        assert_eq!(fs::read(&bench.sandbox.data()[0].path).unwrap(), b"abcdef");
    }

    #[tokio::test]
    async fn rule_3_a_chunk_above_the_recorded_size_is_missing_another() {
        for status in [400, 500] {
            let bench = Bench::with(|settings| settings.missing_chunk_status = status).await;
            let id = bench.chunk().at("", 0, "abc", false).id().await;
            let answer = bench.chunk().at(&id, 4, "ef", true).answer().await;
            assert_eq!(answer, (status, json!({"error": "Missing chunk"})));
        }
    }

    #[tokio::test]
    async fn rules_4_and_5_chunks_are_appended_and_the_last_makes_the_file_ready() {
        let bench = Bench::new().await;
        let id = bench.chunk().at("", 0, "abc", false).id().await;
        bench.chunk().at(&id, 3, "defg", false).id().await;
        bench.chunk().at(&id, 7, "h", true).id().await;
        let (status, body) = bench.read(&format!("/data/{id}")).await;
        assert_eq!((status, &body["size"], &body["sample"]), (200, &json!(8), &json!(null)));
        let stored = &bench.sandbox.data()[0];
        assert_eq!(stored.path, bench.sandbox.dir().join("data").join(&id).join("f.fastq"));
        assert_eq!(fs::read(&stored.path).unwrap(), b"abcdefgh");
        assert_eq!(bench.sandbox.unfinished(), []);
    }

    #[tokio::test]
    async fn rule_5_takes_the_time_of_hashing() {
        let hashing = Duration::from_millis(30);
        let bench = Bench::with(|settings| settings.hashing = hashing).await;
        let begun = tokio::time::Instant::now();
        bench.chunk().at("", 0, "abc", true).id().await;
        assert!(begun.elapsed() >= hashing);
    }

    /// Both copies of the middle chunk find the offset right; the sums meet again two chunks later.
    #[tokio::test]
    async fn rule_6_two_copies_at_the_same_time_both_append_and_the_size_comes_out_right() {
        let bench = Bench::new().await;
        let gate = Gate::new();
        let fault = Fault::on(On::MiddleChunk).go_on_behind(Duration::ZERO).until(&gate).behind(Reply::html(504));
        bench.sandbox.faults().add(fault.held_at(Stage::Append).times(1));

        let id = bench.chunk().at("", 0, "aa", false).id().await;
        assert_eq!(bench.chunk().at(&id, 2, "bb", false).answer().await.0, 504);
        bench.chunk().at(&id, 2, "bb", false).id().await;
        gate.open();
        bench.sandbox.idle().await;
        bench.chunk().at(&id, 4, "cc", false).id().await;
        bench.chunk().at(&id, 6, "dd", true).id().await;

        assert_eq!(bench.sandbox.data()[0].size, 8, "as large as it should be");
        let Traffic { received, stored } = bench.sandbox.traffic();
        assert_eq!((received, stored), (10, 8), "one of five chunks was ignored");
        assert_eq!(fs::read(&bench.sandbox.data()[0].path).unwrap(), b"aabbbbdd", "and wrong");
    }

    #[tokio::test]
    async fn rule_6_the_size_is_recorded_after_the_bytes_are_written() {
        let bench = Bench::new().await;
        let gate = Gate::new();
        bench.sandbox.faults().add(Fault::on(On::LastChunk).go_on_behind(Duration::ZERO).until(&gate).times(1));

        let id = bench.chunk().at("", 0, "aa", false).id().await;
        bench.chunk().at(&id, 2, "bb", true).send().await.unwrap_err();
        bench.chunk().at(&id, 2, "bb", true).id().await;
        gate.open();
        bench.sandbox.idle().await;

        assert_eq!(fs::read(&bench.sandbox.data()[0].path).unwrap(), b"aabbbb");
    }

    #[tokio::test]
    async fn a_file_whose_hashing_died_never_becomes_ready_when_its_size_was_recorded() {
        let bench = Bench::new().await;
        bench.sandbox.faults().add(Fault::on(On::LastChunk).die_hashing(true).times(1));
        let id = bench.chunk().at("", 0, "aa", false).id().await;
        bench.chunk().at(&id, 2, "bb", true).send().await.unwrap_err();
        bench.sandbox.idle().await;
        assert_eq!(bench.chunk().at(&id, 2, "bb", true).id().await, id, "ignored, and answered as if all were well");
        assert_eq!(bench.read(&format!("/data/{id}")).await.0, 404);
    }

    #[tokio::test]
    async fn a_file_whose_hashing_died_is_appended_to_again_when_its_size_was_not_recorded() {
        let bench = Bench::new().await;
        bench.sandbox.faults().add(Fault::on(On::LastChunk).die_hashing(false).times(1));
        let id = bench.chunk().at("", 0, "aa", false).id().await;
        bench.chunk().at(&id, 2, "bb", true).send().await.unwrap_err();
        bench.sandbox.idle().await;
        bench.chunk().at(&id, 2, "bb", true).id().await;
        assert_eq!(fs::read(&bench.sandbox.data()[0].path).unwrap(), b"aabbbb");
    }
}
