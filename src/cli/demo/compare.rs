//! Whether the demo came out as it should: what the sandbox holds against what is on disk, and against what ought to
//! be there. It believes nobody: bytes are read on both sides, and what is expected is not asked of the agent.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::sandbox::{RequestLog, Sandbox, StoredFile, StoredSample};
use crate::status::Snapshot;

/// What ought to have become of the run.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    /// What ought to be on the sandbox, and nothing beside it.
    pub samples: Vec<ExpectedSample>,
    /// The sample that the agent ought to have blocked, for want of its second read.
    pub blocked: String,
    /// The file, by name, that the agent ought to have left out.
    pub left_out: String,
}

#[derive(Debug, Clone)]
pub(super) struct ExpectedSample {
    pub name: String,
    pub sample_type: &'static str,
    pub organism: &'static str,
    pub project: &'static str,
    pub metadata: BTreeMap<String, String>,
    /// On disk: reads1, then reads2.
    pub files: Vec<PathBuf>,
}

/// All that the sandbox has, and what it had been sent too early.
#[derive(Debug, Clone, Default)]
pub(super) struct Holdings {
    pub samples: Vec<StoredSample>,
    /// Files that belong to no sample: generic ones, unfinished ones, whatever else can be uploaded.
    pub others: Vec<StoredFile>,
    /// Uploads, whole or in part, that came before the run was complete.
    pub early: Vec<RequestLog>,
}

impl Holdings {
    pub fn of(sandbox: &Sandbox, early: Vec<RequestLog>) -> Self {
        let others = [sandbox.data(), sandbox.multiplexed(), sandbox.annotations(), sandbox.unfinished()];
        Self { samples: sandbox.samples(), others: others.concat(), early }
    }
}

/// What the comparison found.
#[derive(Debug, Serialize)]
pub(super) struct Comparison {
    /// Whether all of it holds.
    pub ok: bool,
    /// Bytes of all files on disk that ought to be on the sandbox.
    pub bytes: u64,
    pub files: Vec<ComparedFile>,
    pub checks: Vec<Check>,
}

/// A file on both sides.
#[derive(Debug, Serialize)]
pub(super) struct ComparedFile {
    pub sample: String,
    pub filename: String,
    /// On disk.
    pub bytes: u64,
    /// On disk; `None` where it cannot be read.
    pub sha256: Option<String>,
    /// On the sandbox; `None` where it is not there.
    pub stored_sha256: Option<String>,
    pub equal: bool,
}

/// One thing that ought to hold.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    pub what: String,
    pub ok: bool,
    /// What is wrong.
    pub problems: Vec<String>,
}

impl Check {
    fn new(what: impl Into<String>, problems: Vec<String>) -> Self {
        Self { what: what.into(), ok: problems.is_empty(), problems }
    }
}

/// Compares. `snapshot` is the agent's own account.
pub(super) fn compare(expected: &Expected, holdings: &Holdings, snapshot: &Snapshot) -> Comparison {
    let (files, unequal): (Vec<_>, Vec<_>) =
        expected.samples.iter().flat_map(|sample| compare_files(sample, holdings)).unzip();
    let bytes = files.iter().map(|file: &ComparedFile| file.bytes).sum();
    let what = format!("{} files, {} bytes, SHA-256 equal on both sides", files.len(), grouped(bytes));
    let checks = vec![
        Check::new(what, unequal.into_iter().flatten().collect()),
        Check::new(
            format!("{} samples, each there once, with the fields that the manifest says", expected.samples.len()),
            expected.samples.iter().flat_map(|sample| wrong_fields(sample, holdings)).collect(),
        ),
        Check::new("nothing was sent before the marker was there", early(holdings)),
        Check::new("nothing else: no sample without its mate, no file without a rule", strangers(expected, holdings)),
        Check::new("the agent's own account says the same", wrong_account(expected, snapshot, &files)),
    ];
    Comparison { ok: checks.iter().all(|check| check.ok), bytes, files, checks }
}

/// Each file of a sample, and what is wrong with it.
fn compare_files<'a>(
    sample: &'a ExpectedSample,
    holdings: &'a Holdings,
) -> impl Iterator<Item = (ComparedFile, Option<String>)> + 'a {
    let stored: Vec<&StoredFile> =
        holdings.samples.iter().filter(|stored| stored.name == sample.name).flat_map(|stored| &stored.files).collect();
    sample.files.iter().map(move |path| {
        let filename = file_name(path);
        let on_disk = fs::read(path);
        let copy = stored.iter().find(|file| file.filename == filename).map(|file| fs::read(&file.path));
        let problem = match (&on_disk, &copy) {
            (Err(error), _) => Some(format!("{filename}: cannot be read on disk: {error}")),
            (_, None) => Some(format!("{filename}: is not on the sandbox")),
            (_, Some(Err(error))) => Some(format!("{filename}: the sandbox's copy cannot be read: {error}")),
            (Ok(ours), Some(Ok(theirs))) => difference(ours, theirs).map(|what| format!("{filename}: {what}")),
        };
        let compared = ComparedFile {
            sample: sample.name.clone(),
            filename,
            bytes: on_disk.as_ref().map_or(0, |bytes| bytes.len() as u64),
            sha256: on_disk.ok().map(|bytes| sha256(&bytes)),
            stored_sha256: copy.and_then(Result::ok).map(|bytes| sha256(&bytes)),
            equal: problem.is_none(),
        };
        (compared, problem)
    })
}

/// How two files differ, to the byte.
fn difference(ours: &[u8], theirs: &[u8]) -> Option<String> {
    if ours == theirs {
        return None;
    }
    Some(match ours.iter().zip(theirs).position(|(a, b)| a != b) {
        Some(at) => format!("differs from byte {at} on"),
        None => format!("has {} bytes on disk and {} on the sandbox", ours.len(), theirs.len()),
    })
}

fn wrong_fields(sample: &ExpectedSample, holdings: &Holdings) -> Vec<String> {
    let name = &sample.name;
    let stored: Vec<_> = holdings.samples.iter().filter(|stored| stored.name == *name).collect();
    let [stored] = stored.as_slice() else {
        return vec![format!("{name}: is on the sandbox {} times", stored.len())];
    };
    let mut problems = Vec::new();
    let mut check = |what: &str, is: String, ought: String| {
        if is != ought {
            problems.push(format!("{name}: {what} is {is}, and ought to be {ought}"));
        }
    };
    check("the type", stored.sample_type.clone(), sample.sample_type.to_owned());
    check("the organism", shown(stored.organism.as_deref()), sample.organism.to_owned());
    check("the project", shown(stored.project.as_deref()), sample.project.to_owned());
    check("the metadata", format!("{:?}", stored.metadata), format!("{:?}", sample.metadata));
    let names = |names: Vec<String>| names.join(", ");
    check(
        "the list of files",
        names(stored.files.iter().map(|file| file.filename.clone()).collect()),
        names(sample.files.iter().map(|path| file_name(path)).collect()),
    );
    problems
}

fn early(holdings: &Holdings) -> Vec<String> {
    let said = |request: &RequestLog| {
        format!("{} of {} came too early", request.path, request.field("filename").unwrap_or("an unnamed file"))
    };
    holdings.early.iter().map(said).collect()
}

fn strangers(expected: &Expected, holdings: &Holdings) -> Vec<String> {
    let is_expected = |stored: &&StoredSample| expected.samples.iter().any(|sample| sample.name == stored.name);
    let samples = holdings.samples.iter().filter(|stored| !is_expected(stored));
    samples
        .map(|stored| format!("the sample {} is on the sandbox", stored.name))
        .chain(holdings.others.iter().map(|file| format!("the file {} is on the sandbox, in no sample", file.filename)))
        .collect()
}

fn wrong_account(expected: &Expected, snapshot: &Snapshot, files: &[ComparedFile]) -> Vec<String> {
    let mut problems = Vec::new();
    for sample in &expected.samples {
        let status = snapshot.samples.iter().find(|status| status.name == sample.name);
        let state = status.map_or("unknown", |status| status.state.as_str());
        if state != "done" {
            problems.push(format!("{}: is {state}, and ought to be done", sample.name));
        }
    }
    // The receipt's hash is of the bytes that left; it must be the hash of those that lie there.
    let receipts = snapshot.samples.iter().filter(|sample| sample.state == "done").flat_map(|sample| &sample.files);
    for receipt in receipts {
        let lies_there = files.iter().find(|file| file.filename == receipt.filename);
        if receipt.sha256.is_none() || receipt.sha256 != lies_there.and_then(|file| file.sha256.clone()) {
            problems.push(format!("{}: the receipt's SHA-256 is another", receipt.filename));
        }
    }
    let blocked = snapshot.samples.iter().find(|sample| sample.name == expected.blocked);
    if !blocked.is_some_and(|s| s.state == "blocked" && s.reason.as_deref().unwrap_or_default().contains("reads2")) {
        problems.push(format!("{}: ought to be blocked for reads2", expected.blocked));
    }
    if !snapshot.left_out.iter().any(|left_out| file_name(Path::new(&left_out.path)) == expected.left_out) {
        problems.push(format!("{}: ought to be left out, with a reason", expected.left_out));
    }
    problems
}

fn shown(value: Option<&str>) -> String {
    value.unwrap_or("missing").to_owned()
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn sha256(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
}

/// A number with commas between its thousands.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests;
