//! `flow-ingest state`: whether the state folder is whole; its content as one document, and back.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde::Serialize;

use super::exit::{CommandError, Exit};
use super::holder::Holder;
use super::{Globals, output};
use crate::journal::{Export, Inspection, RECEIPTS, inspect};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Look whether receipts and journal are whole and agree; beside a running service, the receipts alone
    Check,
    /// Write all that the journal holds as one JSON document; a running service may go on
    Export {
        /// The file to write [default: stdout]
        file: Option<PathBuf>,
    },
    /// Make the journal of an empty state folder from such a document
    Import {
        /// The document
        file: PathBuf,
    },
}

#[derive(Serialize)]
struct Checked<'a> {
    version: u32,
    ok: bool,
    #[serde(flatten)]
    inspection: &'a Inspection,
}

#[derive(Serialize)]
struct Moved<'a> {
    version: u32,
    file: &'a Path,
    samples: usize,
}

pub(super) async fn execute(command: Command, globals: &Globals) -> Result<Exit, CommandError> {
    let state_dir = globals.load_config()?.state_dir;
    match command {
        Command::Check => check(&state_dir, globals),
        Command::Export { file } => export(&state_dir, file.as_deref(), globals).await,
        Command::Import { file } => import(&state_dir, &file, globals),
    }
}

fn check(state_dir: &Path, globals: &Globals) -> Result<Exit, CommandError> {
    // Where there is none, there is nothing to make.
    let inspection = if state_dir.exists() { inspect(state_dir)? } else { Inspection::default() };
    let ok = inspection.findings.is_empty();
    if globals.json {
        output::json(&Checked { version: 1, ok, inspection: &inspection });
    } else {
        let Inspection { receipts, done, intended, .. } = &inspection;
        output::line(&format!("{RECEIPTS}: {receipts} lines: {done} samples are on Flow, {intended} more may be"));
        match (inspection.in_use, inspection.samples) {
            (true, _) => output::line("journal: in use by a running flow-ingest, and not looked at"),
            (false, Some(samples)) => output::line(&format!("journal: {samples} samples")),
            (false, None) => output::line("journal: not read"),
        }
        inspection.remarks.iter().for_each(|remark| output::line(&format!("note: {remark}")));
        inspection.findings.iter().for_each(|finding| output::line(&format!("FAIL: {finding}")));
        if ok {
            output::line("nothing is wrong");
        }
    }
    Ok(if ok { Exit::Success } else { Exit::Failure })
}

async fn export(state_dir: &Path, file: Option<&Path>, globals: &Globals) -> Result<Exit, CommandError> {
    if !state_dir.exists() {
        return Err(CommandError::Input(format!("cannot export {}: there is no such folder", state_dir.display())));
    }
    let export = match Holder::of(state_dir).await? {
        Holder::Nobody(journal) => journal.export()?,
        Holder::Process(socket) => socket.export().await?,
    };
    let Some(file) = file else {
        output::json(&export);
        return Ok(Exit::Success);
    };
    let text = serde_json::to_vec_pretty(&export).expect("an export has no maps with other keys than strings");
    write(file, &text).map_err(|error| CommandError::Input(format!("cannot write {}: {error}", file.display())))?;
    say(globals, file, export.samples(), "are written to");
    Ok(Exit::Success)
}

/// Names of samples are nobody else's business.
fn write(file: &Path, text: &[u8]) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    file.write_all(text)?;
    file.sync_all()
}

fn import(state_dir: &Path, file: &Path, globals: &Globals) -> Result<Exit, CommandError> {
    let cannot = |error: String| CommandError::Input(format!("cannot import {}: {error}", file.display()));
    let text = fs::read(file).map_err(|error| cannot(error.to_string()))?;
    let export: Export = serde_json::from_slice(&text)
        .map_err(|error| cannot(format!("{error}; it is no document of flow-ingest state export")))?;
    let samples = export.import(state_dir)?;
    say(globals, file, samples, "are taken in from");
    Ok(Exit::Success)
}

fn say(globals: &Globals, file: &Path, samples: usize, verb: &str) {
    if globals.json {
        output::json(&Moved { version: 1, file, samples });
    } else {
        output::line(&format!("{samples} samples {verb} {}", file.display()));
    }
}
