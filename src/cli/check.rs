//! `flow-ingest check`: config, manifests, folders and limits; with `--online` the account too.

use std::fs;
use std::path::Path;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::exit::{CommandError, Exit};
use super::{Globals, bars, logging, output};
use crate::agent::Agent;
use crate::config::Config;
use crate::flow::{Client, CredentialSource, CredentialsError, Me};
use crate::manifest::{Rule, Table};
use crate::sheet::{Library, Shelved, Wanted};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Also log in to Flow
    #[arg(long)]
    online: bool,
}

/// What was looked at, and what came of it.
#[derive(Debug, Serialize)]
struct Report {
    version: u32,
    config: String,
    checks: Vec<Check>,
}

#[derive(Debug, Serialize)]
struct Check {
    what: String,
    ok: bool,
    detail: String,
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
    if arguments.online {
        let (check, ended) = online(&config).await?;
        checks.push(check);
        exit = if exit == Exit::Success { ended } else { exit };
    }
    let report = Report { version: 1, config: config.file.display().to_string(), checks };
    if globals.json {
        output::json(&report);
    } else {
        output::line(&format!("{}: well formed", report.config));
        for check in &report.checks {
            output::line(&format!("{} {}: {}", if check.ok { "ok  " } else { "FAIL" }, check.what, check.detail));
        }
    }
    Ok(exit)
}

fn offline(config: &Config) -> Vec<Check> {
    let mut checks = Vec::new();
    for watched in &config.watches {
        let (name, rules) = (&watched.watch.name, watched.manifest.rules.len());
        let unchosen = watched.manifest.unchosen();
        let manifest = match unchosen.is_empty() {
            true => Ok(format!("{} ({rules} rules)", watched.manifest_file.display())),
            false => Err(unchosen.to_string()),
        };
        checks.push(check(format!("manifest of {name}"), manifest));
        checks.extend(
            watched
                .manifest
                .rules
                .iter()
                .filter_map(|rule| Some(check(format!("lookup of rule {}", rule.name), lookup(rule)?))),
        );
        checks.push(check(format!("watch {name}"), readable(&watched.watch.path)));
    }
    checks.push(check("state folder".to_owned(), writable(&config.state_dir)));
    if let Some(limit) = number("/proc/sys/fs/inotify/max_user_watches") {
        let detail = format!("{limit} folders can be watched (fs.inotify.max_user_watches)");
        checks.push(Check { what: "limits".to_owned(), ok: true, detail });
    }
    checks
}

fn check(what: String, found: Result<String, String>) -> Check {
    let ok = found.is_ok();
    Check { what, ok, detail: found.unwrap_or_else(|error| error) }
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
    Some(check("credentials".to_owned(), found))
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

async fn online(config: &Config) -> Result<(Check, Exit), CommandError> {
    let client = Agent::client(config)?;
    let asked = log_in(config, &client).await;
    let what = format!("account at {}", config.flow.base_url);
    Ok(match asked {
        Ok(me) => {
            let name = me.username.or(me.id).unwrap_or_else(|| "an account without a name".to_owned());
            (Check { what, ok: true, detail: name }, Exit::Success)
        }
        Err(error) => {
            let detail = error.to_string();
            (Check { what, ok: false, detail }, CommandError::LogIn(error).exit())
        }
    })
}

async fn log_in(config: &Config, client: &Client) -> Result<Me, crate::flow::Error> {
    config.flow.credentials.log_in(client).await?;
    client.me().await
}
