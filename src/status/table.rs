//! A snapshot as text for people: what became of each sample, what is wrong, what is left out.

use std::fmt::Write;

use bytesize::ByteSize;

use crate::journal::Blocker;

use super::snapshot::{ReloadStatus, STATES, SampleStatus, Snapshot};

/// So many left out files are listed; the JSON has them all.
const LEFT_OUT_SHOWN: usize = 20;

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
        "done" => match (&sample.sample_id, sample.files.first().and_then(|file| file.data_id.as_ref())) {
            (Some(id), _) => format!("sample {id}{}", was_there(sample)),
            (None, Some(id)) => format!("data {id}{}", was_there(sample)),
            (None, None) => String::new(),
        },
        "blocked" if sample.blocked_by.is_some_and(|by| by != Blocker::Assembly) => {
            format!("{}; then: flow-ingest retry {}", sample.reason.as_deref().unwrap_or_default(), sample.id)
        }
        _ => sample.reason.clone().unwrap_or_default(),
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
