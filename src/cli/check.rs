//! `flow-ingest check`: config, manifests, folders and limits; with `--online` the account and Flow's own lists too.

mod online;

use std::fs;
use std::path::Path;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::exit::{CommandError, Exit};
use super::{Globals, bars, logging, output};
use crate::config::Config;
use crate::flow::{CredentialSource, CredentialsError};
use crate::manifest::{Rule, Table};
use crate::preflight::Miss;
use crate::sheet::{Library, Shelved, Wanted};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Also log in to Flow, and check every rule by its lists: types, organisms, projects, metadata
    #[arg(long)]
    online: bool,
}

/// What was looked at, and what came of it.
#[derive(Debug, Serialize)]
struct Report {
    version: u32,
    config: String,
    checks: Vec<Check>,
    /// What Flow would not take of what the manifests say; `None` unless Flow was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    misses: Option<Vec<online::RuleMiss>>,
}

#[derive(Debug, Serialize)]
struct Check {
    what: String,
    ok: bool,
    /// Whether it is no mistake, and a person must see to it all the same.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    to_do: bool,
    detail: String,
    /// What Flow would not take of what a rule says, one by one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    misses: Vec<Miss>,
}

impl Check {
    fn new(what: String, found: Result<String, String>) -> Self {
        let ok = found.is_ok();
        Self { what, ok, to_do: false, detail: found.unwrap_or_else(|error| error), misses: Vec::new() }
    }

    /// What it says to a person: a line for each miss.
    fn lines(&self) -> Vec<String> {
        let line = |detail: &str| format!("{} {}: {detail}", self.word(), self.what);
        match self.misses.as_slice() {
            [] => vec![line(&self.detail)],
            misses => misses.iter().map(|miss| line(&miss.message)).collect(),
        }
    }

    fn word(&self) -> &'static str {
        match (self.ok, self.to_do) {
            (false, _) => "FAIL",
            (true, true) => "TODO",
            (true, false) => "ok  ",
        }
    }
}

pub(super) async fn execute(arguments: Arguments, globals: &Globals) -> Result<Exit, CommandError> {
    logging::start(globals.log_format, &bars::canvas(false));
    let config = globals.load_config()?;
    let mut checks = offline(&config);
    let mut exit = if checks.iter().all(|check| check.ok) { Exit::Success } else { Exit::Usage };
    if let Some(check) = credentials(&config.flow.credentials) {
        exit = if exit == Exit::Success && !check.ok { Exit::Authentication } else { exit };
        checks.push(check);
    }
    let mut misses = None;
    if arguments.online {
        let online = online::check(&config).await?;
        checks.extend(online.checks);
        misses = Some(online.misses);
        exit = if exit == Exit::Success { online.exit } else { exit };
    }
    let report = Report { version: 1, config: config.file.display().to_string(), checks, misses };
    if globals.json {
        output::json(&report);
    } else {
        output::line(&format!("{}: well formed", report.config));
        for check in &report.checks {
            check.lines().iter().for_each(|line| output::line(line));
        }
    }
    Ok(exit)
}

fn offline(config: &Config) -> Vec<Check> {
    let mut checks = Vec::new();
    for watched in &config.watches {
        let (name, rules) = (&watched.watch.name, output::count(watched.manifest.rules.len(), "rule"));
        let manifest = format!("{} ({rules})", watched.manifest_file.display());
        checks.push(Check::new(format!("manifest of {name}"), Ok(manifest)));
        let unchosen = watched.manifest.unchosen();
        if !unchosen.is_empty() {
            let what = format!("before `run`, in the manifest of {name}");
            checks.push(Check { to_do: true, ..Check::new(what, Ok(unchosen.to_string())) });
        }
        checks.extend(
            watched
                .manifest
                .rules
                .iter()
                .filter_map(|rule| Some(Check::new(format!("lookup of rule {}", rule.name), lookup(rule)?))),
        );
        checks.push(Check::new(format!("watch {name}"), readable(&watched.watch.path)));
    }
    checks.push(Check::new("state folder".to_owned(), writable(&config.state_dir)));
    if let Some(limit) = number("/proc/sys/fs/inotify/max_user_watches") {
        let detail = format!("{limit} folders can be watched (fs.inotify.max_user_watches)");
        checks.push(Check::new("limits".to_owned(), Ok(detail)));
    }
    checks
}

/// Whether the table that a rule looks values up in has the columns that it asks for; `None` where it has none.
fn lookup(rule: &Rule) -> Option<Result<String, String>> {
    let lookup = rule.lookup.as_ref()?;
    let file = lookup.file.display();
    let checked = || {
        let wanted = Wanted { outside: [lookup.file.clone()].into(), ..Wanted::default() };
        let shelf = Library::new(Duration::ZERO).read(&wanted);
        let read = match shelf.file(&lookup.file) {
            Some(Shelved::Read(read)) => read,
            Some(Shelved::Unreadable(error)) => return Err(format!("cannot read {file}: {error}")),
            Some(Shelved::Changing(_)) => return Err(format!("{file} changes while it is read; check again")),
            None => return Err(format!("there is no {file}; write it, or correct lookup.file")),
        };
        let sheet = read.sheet.as_ref().map_err(|error| format!("cannot use {file}: {error}"))?;
        let mut columns = rule.columns(Table::Lookup).into_iter().chain(lookup.column.as_deref());
        let checked = columns.try_for_each(|column| sheet.check_name(column));
        checked.map_err(|trouble| format!("cannot use {file}: {trouble}"))?;
        Ok(format!("{file} ({} rows)", sheet.samples()))
    };
    Some(checked())
}

fn readable(folder: &Path) -> Result<String, String> {
    fs::read_dir(folder).map(|_| folder.display().to_string()).map_err(|error| {
        format!("cannot read {}: {error}; make it, mount it, or give the agent read access", folder.display())
    })
}

/// Whether the file with the secret can be used; `None` where there is none, and the log-in will tell.
fn credentials(source: &CredentialSource) -> Option<Check> {
    let found = match source.check() {
        Ok(file) => Ok(file?.display().to_string()),
        Err(error @ CredentialsError::Unreadable { .. }) => Err(format!("{error}; flow-ingest login writes it")),
        Err(error) => Err(error.to_string()),
    };
    Some(Check::new("credentials".to_owned(), found))
}

/// Whether the state folder, or the one in which it will be made, can be written: by writing, since permissions tell
/// half of it.
fn writable(state_dir: &Path) -> Result<String, String> {
    let existing = state_dir.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    tempfile::tempfile_in(existing)
        .map(|_| state_dir.display().to_string())
        .map_err(|error| format!("cannot write into {}: {error}; give the agent write access", existing.display()))
}

fn number(file: &str) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}
