//! What became of uploads by hand: a short table, or one JSON document, and the exit code.

use bytesize::ByteSize;
use serde::Serialize;

use super::super::exit::Exit;
use super::super::output;
use crate::agent::by_hand::{Ending, Report, Upload};
use crate::journal::Blocker;
use crate::status::{SampleStatus, columns, warnings};

/// A row of a sheet that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct SkippedRow {
    pub row: usize,
    pub name: String,
    pub reasons: Vec<String>,
}

/// Shows what became of uploads, and gives the exit code.
pub(super) fn report(report: &Report, is_json: bool) -> Exit {
    batch(report, &[], None, is_json)
}

/// Likewise for a sheet, of which `rows` holds the row of each upload.
pub(super) fn batch(report: &Report, rows: &[usize], skipped: Option<&[SkippedRow]>, is_json: bool) -> Exit {
    if is_json {
        output::json(&document(report, rows, skipped));
    } else {
        if !report.uploads.is_empty() {
            output::line(table(report, rows).trim_end());
        }
        if let Some(skipped) = skipped {
            let done = report.uploads.iter().filter(|upload| upload.status.state == "done").count();
            let (failed, skipped) = (report.uploads.len() - done, skipped.len());
            output::line(&format!("\n{done} uploaded, {failed} failed, {skipped} skipped"));
        }
    }
    say(report);
    exit(report)
}

#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    /// The base URL of the service that did the work, when one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a str>,
    uploads: Vec<Entry<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<&'a [SkippedRow]>,
    /// Why it went no further, when something was left to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    exit: u8,
}

#[derive(Serialize)]
struct Entry<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    row: Option<usize>,
    #[serde(flatten)]
    status: &'a SampleStatus,
    already_uploaded: bool,
}

fn document<'a>(report: &'a Report, rows: &[usize], skipped: Option<&'a [SkippedRow]>) -> Document<'a> {
    let entry = |(n, upload): (usize, &'a Upload)| Entry {
        row: rows.get(n).copied(),
        status: &upload.status,
        already_uploaded: upload.was_done,
    };
    Document {
        version: 1,
        service: report.service.as_deref(),
        uploads: report.uploads.iter().enumerate().map(entry).collect(),
        skipped,
        error: ended(&report.ending),
        exit: exit(report) as u8,
    }
}

fn table(report: &Report, rows: &[usize]) -> String {
    let header = ["ROW", "NAME", "STATE", "SIZE", "SAMPLE", "FILES"].map(str::to_owned);
    let line = |(n, upload): (usize, &Upload)| {
        let status = &upload.status;
        let state = if upload.was_done { "uploaded before" } else { &status.state };
        let files = status.files.iter().filter_map(|file| Some((file.slot.as_str(), file.data_id.as_ref()?)));
        let files: Vec<_> = files.map(|(slot, id)| format!("{slot} {id}")).collect();
        [
            rows.get(n).map(ToString::to_string).unwrap_or_default(),
            status.name.clone(),
            state.to_owned(),
            ByteSize(status.bytes).to_string(),
            status.sample_id.clone().unwrap_or_default(),
            files.join(", "),
        ]
    };
    let lines: Vec<_> = std::iter::once(header).chain(report.uploads.iter().enumerate().map(line)).collect();
    if rows.is_empty() { columns(lines.into_iter().map(|[_, rest @ ..]| rest).collect()) } else { columns(lines) }
}

/// What a person must know beside the table.
fn say(report: &Report) {
    if let Some(service) = &report.service {
        eprintln!("flow-ingest: handed over to the service on this state folder: its account at {service}");
    }
    for Upload { status, was_done } in &report.uploads {
        let name = &status.name;
        if status.changed {
            eprintln!(
                "flow-ingest: {name}: was uploaded before, and its files have changed since; nothing was sent. To \
                 upload what they are now, give another name, or --again"
            );
        } else if *was_done {
            eprintln!("flow-ingest: {name}: is on Flow already; nothing was sent");
        }
        for warning in warnings(status) {
            eprintln!("flow-ingest: {name}: Flow warned about the annotation sheet: {warning}");
        }
        match status.state.as_str() {
            "done" => {}
            "retrying" => {
                eprintln!("flow-ingest: {name}: not uploaded yet: {}", status.error.as_deref().unwrap_or_default());
            }
            "queued" | "uploading" => eprintln!("flow-ingest: {name}: not uploaded yet"),
            _ => eprintln!("flow-ingest: {name}: {}", status.reason.as_deref().unwrap_or(&status.state)),
        }
    }
    if let Some(text) = ended(&report.ending) {
        let whose = if report.service.is_some() && report.ending == Ending::Stopped {
            "; the service goes on with it"
        } else {
            "; the same command goes on from here"
        };
        eprintln!("flow-ingest: {text}{whose}");
    }
}

fn ended(ending: &Ending) -> Option<String> {
    match ending {
        Ending::Ended => None,
        Ending::Stopped => Some("stopped".to_owned()),
        Ending::GaveUp { reason: None } => Some("gave up, since nothing got further".to_owned()),
        Ending::GaveUp { reason: Some(reason) } => Some(format!("gave up, since nothing got further: {reason}")),
        Ending::Refused { reason } => Some(format!("nothing can be uploaded: {reason}")),
    }
}

/// The exit code; where several things failed in several ways, the general one.
fn exit(report: &Report) -> Exit {
    match report.ending {
        Ending::Stopped => return Exit::Interrupted,
        Ending::GaveUp { .. } => return Exit::Failure,
        Ending::Refused { .. } => return Exit::Authentication,
        Ending::Ended => {}
    }
    let mut exits = report.uploads.iter().map(of_upload).filter(|exit| *exit != Exit::Success);
    let Some(first) = exits.next() else { return Exit::Success };
    if exits.all(|exit| exit == first) { first } else { Exit::Failure }
}

fn of_upload(upload: &Upload) -> Exit {
    match (upload.status.state.as_str(), upload.status.blocked_by) {
        ("done", _) if !upload.status.changed => Exit::Success,
        ("blocked", Some(Blocker::Refusal)) => Exit::Invalid,
        ("blocked", Some(Blocker::NotFound)) => Exit::NotFound,
        _ => Exit::Failure,
    }
}
