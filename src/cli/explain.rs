//! `flow-ingest explain PATH`: what became of one file or folder, and why.

use std::fmt::Write;
use std::path::{Component, Path, PathBuf};

use clap::Args;

use super::exit::{CommandError, Exit};
use super::holder::Holder;
use super::{Globals, output};
use crate::agent::{Explanation, Short, explain_offline};
use crate::journal::Journal;
use crate::status::{Ask, Refusal, RuleTried, columns};

/// So many files of a folder are listed; the JSON has them all.
const FILES_SHOWN: usize = 200;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A file, or a folder
    path: PathBuf,
}

pub(super) async fn execute(arguments: Arguments, globals: &Globals) -> Result<Exit, CommandError> {
    let path = absolute(&arguments.path)?;
    let explanation = explain(&path, globals).await?;
    if globals.json {
        output::json(&explanation);
    } else {
        output::line(render(&explanation).trim_end());
    }
    Ok(Exit::Success)
}

/// Asks the running service, which has seen more than a single look can; else looks.
async fn explain(path: &Path, globals: &Globals) -> Result<Explanation, CommandError> {
    let state_dir = globals.state_dir().await?;
    let journal = match state_dir.join("journal").exists() {
        true => match Holder::of(&state_dir).await? {
            Holder::Nobody(journal) => Some(journal),
            Holder::Process(socket) => {
                if socket.identify().await?.takes_uploads {
                    return Ok(socket.put(&Ask::Explain { path: path.to_owned() }).await?);
                }
                // An upload by hand holds the folder, and sees none of the watches.
                None
            }
        },
        false => None,
    };
    offline(path, journal, globals).await
}

async fn offline(path: &Path, journal: Option<Journal>, globals: &Globals) -> Result<Explanation, CommandError> {
    let config = globals.load_config()?;
    let explained = explain_offline(&config, journal.as_ref(), path).await?;
    explained.map_err(|refusal| match refusal {
        Refusal::Unknown(reason) => CommandError::Missing(reason),
        Refusal::Refused(reason) => CommandError::Input(reason),
        Refusal::Failed(reason) => CommandError::Other(anyhow::anyhow!(reason)),
    })
}

/// The path as a watch would write it. What is above a `..` is asked of the disk, since links may lead elsewhere.
fn absolute(path: &Path) -> Result<PathBuf, CommandError> {
    let cannot = |error| CommandError::Input(format!("cannot explain {}: {error}", path.display()));
    let absolute = std::path::absolute(path).map_err(cannot)?;
    if absolute.components().any(|component| component == Component::ParentDir) {
        let missing = |error| CommandError::Missing(format!("cannot explain {}: {error}", path.display()));
        return absolute.canonicalize().map_err(missing);
    }
    Ok(absolute)
}

fn render(explanation: &Explanation) -> String {
    let mut text = String::new();
    let mut line = |key: &str, value: String| {
        let _ = writeln!(text, "{key:<10} {value}");
    };
    line(&explanation.kind, explanation.path.clone());
    if let (Some(watch), Some(manifest)) = (&explanation.watch, &explanation.manifest) {
        line("watch", format!("{watch} (manifest {manifest})"));
    }
    for run in &explanation.runs {
        let state = match (run.complete, run.waits_for.as_slice()) {
            (None, _) => "a drop folder, whose samples are each judged by their own files".to_owned(),
            (Some(_), []) => "complete".to_owned(),
            (Some(_), waits) => waits.join("; "),
        };
        let captured = captures(&run.captured);
        let captured = if captured.is_empty() { captured } else { format!(" [{captured}]") };
        line("run", format!("{}{captured}, {} files: {state}", run.run, run.files));
    }
    if let Some(rule) = &explanation.rule {
        line("rule", rule.clone());
    }
    if !explanation.captured.is_empty() {
        line("captured", captures(&explanation.captured));
    }
    for RuleTried { rule, takes, condition, reason } in &explanation.rules {
        let condition = condition.as_ref().map(|condition| format!("{condition}: ")).unwrap_or_default();
        if !*takes {
            line("not", format!("{rule} ({condition}{reason})"));
        }
    }
    if let Some(sample) = &explanation.sample {
        line("sample", format!("{} ({})", sample.name, sample.id));
    }
    if let Some(slot) = &explanation.slot {
        let part = explanation.part.as_ref().filter(|part| part.of > 1);
        let part = part.map(|part| format!(", part {} of {}", part.number, part.of)).unwrap_or_default();
        line("slot", format!("{slot}{part}"));
    }
    for sheet in &explanation.sheets {
        let lines: Vec<String> = sheet.lines.iter().map(usize::to_string).collect();
        line("sheet", format!("{}, line {}", sheet.path, lines.join(", ")));
    }
    let reason = explanation.reason.clone().unwrap_or_default();
    match &explanation.state {
        Some(state) if reason.is_empty() => line("state", state.clone()),
        Some(state) => line("state", format!("{state}: {reason}")),
        None if explanation.left_out => line("left out", reason),
        None if !reason.is_empty() => line("state", reason),
        None => {}
    }
    if explanation.files.is_empty() {
        explanation.waits_for.iter().for_each(|condition| line("waits for", condition.clone()));
        explanation.holds.iter().for_each(|condition| line("holds", condition.clone()));
    }
    for next in &explanation.next {
        let time = humantime::format_duration(std::time::Duration::from_secs(next.in_seconds));
        line("next", format!("in {time}, at {}: {}", next.at, next.what));
    }
    explanation.notes.iter().for_each(|note| line("note", note.clone()));
    text.push_str(&files(&explanation.files));
    text
}

fn captures(captured: &std::collections::BTreeMap<String, String>) -> String {
    captured.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

fn files(files: &[Short]) -> String {
    if files.is_empty() {
        return String::new();
    }
    let row = |file: &Short| {
        [
            file.state.clone().unwrap_or_else(|| "left out".to_owned()),
            file.sample.clone().unwrap_or_default(),
            file.slot.clone().unwrap_or_default(),
            file.path.clone(),
            file.reason.clone().unwrap_or_default(),
        ]
    };
    let header = ["STATE", "SAMPLE", "SLOT", "FILE", ""].map(str::to_owned);
    let mut text =
        format!("\n{}", columns(std::iter::once(header).chain(files.iter().take(FILES_SHOWN).map(row)).collect()));
    if files.len() > FILES_SHOWN {
        let _ = writeln!(text, "and {} more (--json lists them)", files.len() - FILES_SHOWN);
    }
    text
}
