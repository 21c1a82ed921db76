//! `flow-ingest report`: the receipts of what was sent, for people and their spreadsheets. It reads one file, and works
//! beside a running service; only for a run that nothing was sent of, or that is called by its folder's name, it asks
//! what status knows.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use bytesize::ByteSize;
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde::Serialize;

use super::exit::{CommandError, Exit};
use super::upload::quoted;
use super::{Globals, output, runs, status};
use crate::journal::{self, Event, Receipt, RunName, read_receipts};
use crate::sample::{Kind, Part, SheetUsed, Slot, path_to_text};
use crate::status::columns;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Only the samples of this run, by its path below the watch or its folder's name
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// Print it as comma-separated values or as one JSON document [default: a table]
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Csv,
    Json,
}

#[derive(Serialize)]
struct Report {
    version: u32,
    samples: Vec<SentSample>,
    /// What is wrong with the receipts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    findings: Vec<String>,
}

/// What was sent as one thing.
#[derive(Serialize)]
struct SentSample {
    id: String,
    kind: Kind,
    watch: String,
    run: String,
    rule: String,
    name: String,
    /// On Flow; a generic file has none.
    sample_id: Option<String>,
    first_seen: Timestamp,
    finished: Timestamp,
    attempts: u32,
    account: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warnings: Option<serde_json::Value>,
    /// What its values were taken from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sheets: Vec<SheetUsed>,
    files: Vec<SentFile>,
}

#[derive(Serialize)]
struct SentFile {
    slot: String,
    filename: String,
    bytes: u64,
    data_id: Option<String>,
    sha256: Option<String>,
    parts: Vec<SentPart>,
}

#[derive(Serialize)]
struct SentPart {
    path: String,
    bytes: u64,
    modified: Option<Timestamp>,
    /// `null` where it was sent by a version that did not take it.
    sha256: Option<String>,
}

impl SentSample {
    fn of(receipt: Receipt) -> Option<Self> {
        let Event::Done { id, sample, first_seen, sent, .. } = receipt.event else { return None };
        let files = sample.slots.iter().enumerate().map(|(n, slot)| {
            let sent = sent.files.get(n);
            SentFile {
                slot: slot.key.clone(),
                filename: slot.filename.clone(),
                bytes: slot.size(),
                data_id: sent.map(|sent| sent.data_id.clone()),
                sha256: sent.and_then(|sent| sent.sha256.clone()),
                parts: parts(slot, sent),
            }
        });
        Some(Self {
            id: id.to_string(),
            kind: sample.key.kind,
            files: files.collect(),
            sheets: sample.sheets,
            watch: sample.key.watch,
            run: sample.key.run,
            rule: sample.rule,
            name: sample.key.name,
            sample_id: sent.sample_id,
            first_seen,
            finished: sent.finished,
            attempts: sent.attempts,
            account: receipt.account,
            warnings: sent.warnings,
        })
    }
}

fn parts(slot: &Slot, sent: Option<&journal::SentFile>) -> Vec<SentPart> {
    let hashes = sent.map(|sent| sent.of_parts(slot.parts.len())).unwrap_or_default();
    let part = |(n, part): (usize, &Part)| SentPart {
        path: path_to_text(&part.path),
        bytes: part.fingerprint.size,
        modified: Timestamp::from_nanosecond(part.fingerprint.modified_ns.into()).ok(),
        sha256: hashes.get(n).map(|hash| (*hash).clone()),
    };
    slot.parts.iter().enumerate().map(part).collect()
}

pub(super) async fn execute(arguments: &Arguments, globals: &Globals) -> Result<Exit, CommandError> {
    let config = globals.load_config()?;
    let mut samples: Vec<SentSample> = Vec::new();
    let findings = read_receipts(&config.state_dir, |receipt| {
        samples.extend(SentSample::of(receipt));
    })?;
    if let Some(name) = &arguments.run {
        let runs = runs_called(name, &samples, &config.state_dir).await?;
        samples.retain(|sample| runs.iter().any(|run| run.watch == sample.watch && run.run == sample.run));
    }
    // A line that was written anew says what an earlier one said.
    let mut seen = HashSet::new();
    samples.retain(|sample| seen.insert((sample.id.clone(), sample.finished)));
    for finding in &findings {
        eprintln!("flow-ingest: the receipts are not as they were written: {finding}");
    }
    match arguments.format {
        _ if globals.json => output::json(&Report { version: 1, samples, findings }),
        Some(Format::Json) => output::json(&Report { version: 1, samples, findings }),
        Some(Format::Csv) => output::line(csv(&samples).trim_end()),
        None if samples.is_empty() => output::line("nothing was sent yet"),
        None => output::line(table(&samples).trim_end()),
    }
    Ok(Exit::Success)
}

/// The runs that this name means, of those that something was sent of and of those that the agent knows.
async fn runs_called(name: &str, sent: &[SentSample], state_dir: &Path) -> Result<Vec<RunName>, CommandError> {
    let of = |sample: &SentSample| RunName { watch: sample.watch.clone(), run: sample.run.clone() };
    let mut known: BTreeSet<RunName> = sent.iter().map(of).collect();
    // A path that something was sent of is no other run's, so the receipts alone tell.
    if !known.iter().any(|run| run.run == name) {
        known.extend(runs::known(&status::current(state_dir).await?));
    }
    runs::named(name, &known, "report on", "run")
}

const COLUMNS: [&str; 17] = [
    "finished",
    "first_seen",
    "watch",
    "run",
    "rule",
    "kind",
    "name",
    "id",
    "sample_id",
    "slot",
    "filename",
    "bytes",
    "data_id",
    "sha256",
    "attempts",
    "account",
    "parts",
];

/// A row for each file, as RFC 4180 has it.
fn csv(samples: &[SentSample]) -> String {
    let mut text = COLUMNS.join(",") + "\r\n";
    for sample in samples {
        for file in &sample.files {
            let parts: Vec<_> = file.parts.iter().map(|part| part.path.as_str()).collect();
            let cells: [String; 17] = [
                sample.finished.to_string(),
                sample.first_seen.to_string(),
                sample.watch.clone(),
                sample.run.clone(),
                sample.rule.clone(),
                format!("{:?}", sample.kind).to_lowercase(),
                sample.name.clone(),
                sample.id.clone(),
                sample.sample_id.clone().unwrap_or_default(),
                file.slot.clone(),
                file.filename.clone(),
                file.bytes.to_string(),
                file.data_id.clone().unwrap_or_default(),
                file.sha256.clone().unwrap_or_default(),
                sample.attempts.to_string(),
                sample.account.clone().unwrap_or_default(),
                parts.join("\n"),
            ];
            text += &cells.map(|cell| quoted(&cell)).join(",");
            text += "\r\n";
        }
    }
    text
}

fn table(samples: &[SentSample]) -> String {
    let header = ["FINISHED", "RUN", "NAME", "FILE", "SIZE", "DATA", "SAMPLE", "SHA-256"].map(str::to_owned);
    let rows = samples.iter().flat_map(|sample| {
        sample.files.iter().map(|file| {
            [
                format!("{:.0}", sample.finished),
                sample.run.clone(),
                sample.name.clone(),
                file.filename.clone(),
                ByteSize(file.bytes).to_string(),
                file.data_id.clone().unwrap_or_default(),
                sample.sample_id.clone().unwrap_or_default(),
                file.sha256.clone().unwrap_or_default(),
            ]
        })
    });
    columns(std::iter::once(header).chain(rows).collect())
}
