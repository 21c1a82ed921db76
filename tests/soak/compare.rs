//! Disk against server, sample by sample, byte by byte.

use std::collections::BTreeMap;
use std::fs;

use flow_ingest::sandbox::{Sandbox, StoredFile};
use flow_ingest::status::Snapshot;

use crate::sequencer::{Ledger, Wanted};

/// What the comparison found; each entry is a line for a person.
#[derive(Debug, Default)]
pub struct Verdict {
    pub samples: usize,
    pub reports: usize,
    /// Bytes of all of them on disk.
    pub needed: u64,
    pub lost: Vec<String>,
    pub doubled: Vec<String>,
    pub wrong: Vec<String>,
}

/// What the server made of a name: one entry for each time it is there, its id and its files.
type Stored = BTreeMap<String, Vec<(String, Vec<StoredFile>)>>;

/// Compares what was written with what the server has, and that with what the agent says of itself.
pub fn compare(ledger: &Ledger, sandbox: &Sandbox, status: &Snapshot) -> Verdict {
    let mut stored = Stored::new();
    for sample in sandbox.samples() {
        stored.entry(sample.name).or_default().push((sample.id, sample.files));
    }
    for file in sandbox.data() {
        stored.entry(file.filename.clone()).or_default().push((file.id.clone(), vec![file]));
    }
    for excused in ledger.excused() {
        stored.remove(&excused);
    }
    let mut verdict = Verdict { needed: ledger.bytes(), ..Verdict::default() };
    for (name, wanted) in ledger.wanted() {
        *if wanted.is_report { &mut verdict.reports } else { &mut verdict.samples } += 1;
        verdict.compare(&name, &wanted, stored.remove(&name).unwrap_or_default(), status);
    }
    for (name, times) in stored {
        verdict.doubled.push(format!("{name}: {} on the server, and nobody wrote it", times.len()));
    }
    verdict
}

impl Verdict {
    fn compare(&mut self, name: &str, wanted: &Wanted, mut stored: Vec<(String, Vec<StoredFile>)>, status: &Snapshot) {
        let mut expected = Vec::new();
        for file in &wanted.files {
            let parts: Vec<Vec<u8>> = file.parts.iter().map(|part| part.bytes()).collect();
            for (part, bytes) in file.parts.iter().zip(&parts) {
                if fs::read(part.place()).ok().as_ref() != Some(bytes) {
                    self.wrong.push(format!("{name}: {} is not on disk what was written", part.path.display()));
                }
            }
            expected.push((file.filename.as_str(), parts.concat()));
        }
        if stored.len() > 1 {
            self.doubled.push(format!("{name}: {} times on the server", stored.len()));
        }
        let Some((id, files)) = stored.pop() else {
            self.lost.push(format!("{name}: not on the server"));
            return;
        };
        let names: Vec<&str> = files.iter().map(|file| file.filename.as_str()).collect();
        let expected_names: Vec<&str> = expected.iter().map(|(filename, _)| *filename).collect();
        if names != expected_names {
            self.wrong.push(format!("{name}: has the files {names:?} instead of {expected_names:?}"));
            return;
        }
        for (file, (filename, expected)) in files.iter().zip(&expected) {
            let found = fs::read(&file.path).unwrap_or_default();
            if found != *expected {
                let at = found.iter().zip(expected).position(|(one, other)| one != other);
                let at = at.unwrap_or(found.len().min(expected.len()));
                let (found, expected) = (found.len(), expected.len());
                self.wrong.push(format!("{name}: {filename} differs from byte {at} on; {found} bytes, not {expected}"));
            }
        }
        let said = status.samples.iter().find(|sample| sample.name == name);
        let said = said.and_then(|sample| match wanted.is_report {
            true => sample.files.first()?.data_id.as_deref(),
            false => sample.sample_id.as_deref(),
        });
        if said != Some(id.as_str()) {
            self.wrong.push(format!("{name}: is {id} on the server; the agent says {said:?}"));
        }
    }
}
