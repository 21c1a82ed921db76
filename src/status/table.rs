//! A snapshot as text for people: what became of each sample, what is wrong, what is left out.

use std::fmt::Write;

use bytesize::ByteSize;

use crate::journal::Blocker;
use crate::sample::ANNOTATION;

use super::snapshot::{ReloadStatus, STATES, SampleStatus, Snapshot};

/// So many left out files are listed; the JSON has them all.
const LEFT_OUT_SHOWN: usize = 20;

/// So many conditions are listed; likewise.
const CONDITIONS_SHOWN: usize = 20;

/// The whole of a snapshot.
pub fn render(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    let agent = &snapshot.agent;
    let _ = writeln!(text, "flow-ingest {}: {}", agent.version, agent.state);
    if let Some(condition) = &agent.condition {
        let _ = writeln!(text, "  nothing is uploaded: {condition}");
    }
    for notice in &agent.notices {
        let _ = writeln!(text, "  note: {notice}");
    }
    if let Some(reload) = &agent.reload {
        text.push_str(&reload_lines(reload));
    }
    for watch in &snapshot.watches {
        let condition = watch.condition.as_deref().unwrap_or("well");
        let _ = writeln!(text, "watch {} ({}): {condition}", watch.name, watch.mode);
    }
    let counts: Vec<_> = STATES
        .iter()
        .filter(|state| snapshot.count(state) > 0)
        .map(|state| format!("{} {state}", snapshot.count(state)))
        .collect();
    let counts = if counts.is_empty() { "no samples".to_owned() } else { counts.join(", ") };
    let _ = writeln!(text, "{counts}");
    if !snapshot.conditions.is_empty() {
        let _ = writeln!(text, "\noverdue, gone or empty:");
        for condition in snapshot.conditions.iter().take(CONDITIONS_SHOWN) {
            let run = condition.run.as_ref().map(|run| format!(", run {run}")).unwrap_or_default();
            let _ =
                writeln!(text, "  watch {}{run}: {} (since {:.0})", condition.watch, condition.text, condition.since);
        }
        if snapshot.conditions.len() > CONDITIONS_SHOWN {
            let more = snapshot.conditions.len() - CONDITIONS_SHOWN;
            let _ = writeln!(text, "  and {more} more (--json lists them)");
        }
    }
    if !snapshot.samples.is_empty() {
        text.push('\n');
        text.push_str(&samples(&snapshot.samples));
    }
    if !snapshot.left_out.is_empty() {
        let _ = writeln!(text, "\nleft out:");
        for left_out in snapshot.left_out.iter().take(LEFT_OUT_SHOWN) {
            let _ = writeln!(text, "  {}: {}", left_out.path, left_out.reason);
        }
        if snapshot.left_out.len() > LEFT_OUT_SHOWN {
            let _ = writeln!(text, "  and {} more (--json lists them)", snapshot.left_out.len() - LEFT_OUT_SHOWN);
        }
    }
    text
}

fn reload_lines(reload: &ReloadStatus) -> String {
    let mut text = String::new();
    if !reload.changed.is_empty() {
        let (files, since) = (reload.changed.join(", "), reload.since);
        let _ = match reload.errors.as_slice() {
            [] => writeln!(text, "  changed since {since:.0}: {files}; to take it: flow-ingest reload"),
            _ => writeln!(text, "  changed since {since:.0}: {files}; it cannot be taken, and what was taken goes on:"),
        };
        for error in &reload.errors {
            let _ = writeln!(text, "    {error}");
        }
    }
    for key in &reload.at_next_start {
        let _ = writeln!(text, "  {key}");
    }
    text
}

/// The table of samples, one line each.
fn samples(samples: &[SampleStatus]) -> String {
    let header = ["ID", "STATE", "SIZE", "RUN", "NAME", ""].map(str::to_owned);
    let rows = samples.iter().map(|sample| {
        [
            sample.id.clone(),
            match (sample.state.as_str(), sample.changed) {
                ("done", true) => "done (changed)".to_owned(),
                (state, _) => state.to_owned(),
            },
            ByteSize(sample.bytes).to_string(),
            sample.run.clone(),
            sample.name.clone(),
            remark(sample),
        ]
    });
    columns(std::iter::once(header).chain(rows).collect())
}

/// What a person wants to know of a sample in its state.
fn remark(sample: &SampleStatus) -> String {
    match sample.state.as_str() {
        "uploading" if sample.bytes > 0 => format!("{} %", sample.sent * 100 / sample.bytes),
        "retrying" => {
            let error = sample.error.as_deref().unwrap_or_default();
            match sample.next_try {
                Some(next_try) => format!("{error}; next try at {next_try}"),
                None => error.to_owned(),
            }
        }
        "done" => {
            let what = match &sample.sample_id {
                Some(id) => format!("sample {id}"),
                None => {
                    let files = sample.files.iter().filter(|file| file.slot != ANNOTATION);
                    let ids: Vec<_> = files.filter_map(|file| file.data_id.as_deref()).collect();
                    format!("data {}", ids.join(" and "))
                }
            };
            let warnings = warnings(sample);
            let warned =
                if warnings.is_empty() { String::new() } else { format!("; Flow warned: {}", warnings.join("; ")) };
            format!("{what}{}{warned}", was_there(sample))
        }
        "blocked" if sample.blocked_by.is_some_and(|by| by != Blocker::Assembly) => {
            format!("{}; then: flow-ingest retry {}", sample.reason.as_deref().unwrap_or_default(), sample.id)
        }
        _ => sample.reason.clone().unwrap_or_default(),
    }
}

/// What Flow warned of about an annotation sheet, each in a line.
pub fn warnings(sample: &SampleStatus) -> Vec<String> {
    let warnings = sample.warnings.iter();
    warnings.flat_map(|all| all.as_array().map_or(std::slice::from_ref(all), Vec::as_slice)).map(warning).collect()
}

/// A warning as Flow sends it: `{row, message}`, or whatever it is.
fn warning(warning: &serde_json::Value) -> String {
    let message = warning.get("message").and_then(|message| message.as_str());
    match (warning.get("row"), message, warning.as_str()) {
        (Some(row), Some(message), _) => format!("row {row}: {message}"),
        (None, Some(text), _) | (_, None, Some(text)) => text.to_owned(),
        _ => warning.to_string(),
    }
}

fn was_there(sample: &SampleStatus) -> &'static str {
    if sample.adopted { ", was there already" } else { "" }
}

/// Rows of cells as aligned columns; the last is as long as it is.
pub fn columns<const N: usize>(rows: Vec<[String; N]>) -> String {
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (n, (cell, width)) in row.iter().zip(widths).enumerate() {
            let pad = if n + 1 < N { width + 2 - cell.chars().count() } else { 0 };
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', pad));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
