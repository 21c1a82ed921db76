//! The agent's config: `flow-ingest.yaml` and the manifests that it names, read into each room's own settings.
//!
//! Composed of the settings types of the rooms, and known to none of them. Everything is checked here that can be
//! checked without touching a watched folder or the network; the mistakes of all files are told together.

mod complete_when;
mod cross;
mod flow;
mod tree;
mod watch;

pub use flow::{BaseUrlError, parse_base_url};
pub use tree::Tree;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::flow::{ClientConfig, CredentialSource};
use crate::layout::Layout;
use crate::manifest::{self, Manifest};
use crate::upload::IfExists;
use crate::yaml::{Document, Problems, Value};
use crate::{status, upload};

/// Where the config lies unless a flag or the environment says otherwise.
pub const DEFAULT_FILE: &str = "/etc/flow-ingest/flow-ingest.yaml";

/// Names the config in the environment.
pub const FILE_VARIABLE: &str = "FLOW_INGEST_CONFIG";

/// Everything that the agent is told.
#[derive(Debug, Clone)]
pub struct Config {
    /// Absolute path of the file.
    pub file: PathBuf,
    pub flow: FlowSettings,
    /// Absolute path of the folder that holds the journal.
    pub state_dir: PathBuf,
    pub uploads: upload::Settings,
    pub watches: Vec<WatchConfig>,
    pub status: status::Settings,
    /// The files that all of this was read from, the config itself first.
    pub sources: Vec<Source>,
}

/// A file that was read, and its content then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub file: PathBuf,
    /// In hexadecimal.
    pub sha256: String,
}

/// Where Flow is, and how it is spoken to.
#[derive(Debug, Clone)]
pub struct FlowSettings {
    /// Without a slash at its end.
    pub base_url: String,
    /// Whether `http://` may leave this machine.
    pub allow_http: bool,
    pub credentials: CredentialSource,
    pub client: ClientConfig,
    /// `None`: what the environment says.
    pub proxy: Option<String>,
}

/// A watch, and the manifest that applies to it.
#[derive(Debug, Clone)]
pub struct WatchConfig {
    pub watch: crate::watch::Settings,
    pub layout: Option<&'static Layout>,
    /// Absolute path of the manifest.
    pub manifest_file: PathBuf,
    /// Shared by the watches that name the same file and have the same layout.
    pub manifest: Arc<Manifest>,
    /// Whether gzip files must be whole; `None`: as for all uploads.
    pub check_gzip: Option<bool>,
}

/// The mistakes of the config and of its manifests, one line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// One entry for each file with mistakes; never empty.
    pub files: Vec<Problems>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problems) in self.files.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{problems}")?;
        }
        Ok(())
    }
}

/// Which file is the config: the flag's, else `FLOW_INGEST_CONFIG`'s, else [`DEFAULT_FILE`].
pub fn locate(flag: Option<&Path>) -> PathBuf {
    let from_environment = || std::env::var_os(FILE_VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
    flag.map(Path::to_owned).or_else(from_environment).unwrap_or_else(|| DEFAULT_FILE.into())
}

/// Reads the config and the manifests that it names.
///
/// # Errors
/// Every mistake in any of the files that can be told at once. Folders and credentials are not looked at: a share
/// that is not mounted yet is no mistake of the config.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let error = |problems| ConfigError { files: vec![problems] };
    let file = std::path::absolute(path).map_err(|why| error(Problems::of_file(path, why)))?;
    let document = Document::load(path).map_err(|mut problems| {
        if !path.exists() {
            let hint = "; name another with --config, or write one with: flow-ingest init DIR";
            problems.problems.iter_mut().for_each(|problem| problem.message.push_str(hint));
        }
        error(problems)
    })?;
    read(&file, &document)
}

/// The state folder that a config names, whatever else is wrong in it or in its manifests; `None` where it cannot be
/// told. For those who only want to reach the service, which may go on with an older config.
pub fn state_dir_alone(path: &Path) -> Option<PathBuf> {
    let file = std::path::absolute(path).ok()?;
    let document = Document::load(path).ok()?;
    let mut map = document.root().map("a map")?;
    let state_dir = map.get("state_dir")?.as_text()?.to_owned();
    std::path::absolute(file.parent()?.join(state_dir)).ok()
}

/// Reads a config from bytes, as if they were the file at this absolute path.
///
/// # Errors
/// As for [`load`].
pub fn parse(file: &Path, bytes: Vec<u8>) -> Result<Config, ConfigError> {
    let document = Document::of_bytes(file, bytes).map_err(|problems| ConfigError { files: vec![problems] })?;
    read(file, &document)
}

impl Config {
    /// Checks that nothing is left in the manifests that a person has to choose first.
    ///
    /// # Errors
    /// Each place where something is.
    pub fn check_chosen(&self) -> Result<(), ConfigError> {
        let mut files: Vec<Problems> = Vec::new();
        for problems in self.watches.iter().map(|watched| watched.manifest.unchosen()) {
            if !problems.is_empty() && !files.contains(&problems) {
                files.push(problems);
            }
        }
        if files.is_empty() { Ok(()) } else { Err(ConfigError { files }) }
    }
}

fn read(file: &Path, document: &Document) -> Result<Config, ConfigError> {
    let base = file.parent().unwrap_or(Path::new("/")).to_owned();
    let mut reader = Reader { base, manifests: Manifests::default() };
    let config = reader.config(&document.root(), file);
    let mut files = vec![document.take_problems()];
    files.append(&mut reader.manifests.problems);
    files.retain(|problems| !problems.is_empty());
    match config {
        Some(config) if files.is_empty() => {
            let own = Source { file: file.to_owned(), sha256: document.sha256().to_owned() };
            let manifests = config.watches.iter().map(|watched| Source {
                file: watched.manifest_file.clone(),
                sha256: watched.manifest.sha256().to_owned(),
            });
            let mut sources: Vec<Source> = std::iter::once(own).chain(manifests).collect();
            let mut seen = BTreeSet::new();
            sources.retain(|source| seen.insert(source.file.clone()));
            Ok(Config { sources, ..config })
        }
        _ => Err(ConfigError { files }),
    }
}

/// What reading a config needs beside the document.
struct Reader {
    /// The folder that relative paths are relative to.
    base: PathBuf,
    manifests: Manifests,
}

impl Reader {
    fn config(&mut self, root: &Value, file: &Path) -> Option<Config> {
        let mut map = root.map("a map with state_dir and watch")?;
        let flow = match map.get("flow") {
            Some(value) => self.flow(&value),
            None => Some(FlowSettings::default()),
        };
        let state_dir = map.require("state_dir", "a folder for the journal, such as /var/lib/flow-ingest");
        let state_dir = state_dir.and_then(|value| Some((self.path(&value)?, value)));
        let timezone = map.get("timezone").map_or_else(|| Some(TimeZone::system()), |value| timezone(&value));
        let uploads = map.get("uploads").map_or_else(|| Some(Uploads::default()), |value| uploads(&value));
        let status = map.get("status").map_or_else(|| Some(status::Settings::default()), |value| status(&value));
        let expected = "a list of watches, each with path, manifest and existing";
        let watches = map.require("watch", expected).and_then(|value| value.items(expected)).unwrap_or_default();
        map.not_yet(&["notify", "log", "telemetry"]);
        map.finish();
        // A wrong time zone is one mistake; the dates are then checked in another.
        let zone = timezone.clone().unwrap_or(TimeZone::UTC);
        let read: Vec<Option<watch::Read>> = watches.iter().map(|value| self.watch(value, &zone)).collect();
        let read_watches: Vec<&watch::Read> = read.iter().flatten().collect();
        cross::watches(&read_watches);
        if let Some((state_dir, value)) = &state_dir {
            cross::state_dir(state_dir, value, &read_watches);
        }
        let watches = read.into_iter().map(|read| read?.finished()).collect::<Option<Vec<_>>>();
        timezone?;
        let watches = watches?;
        let Uploads { mut settings, check_gzip } = uploads?;
        settings.watches = watches.iter().map(|watched| watched.for_uploads(check_gzip)).collect();
        Some(Config {
            file: file.to_owned(),
            flow: flow?,
            state_dir: state_dir?.0,
            uploads: settings,
            watches,
            status: status?,
            sources: Vec::new(),
        })
    }

    /// A path, made absolute.
    fn path(&self, value: &Value) -> Option<PathBuf> {
        let path = self.base.join(value.text("a path")?);
        std::path::absolute(path).map_err(|error| value.problem(error)).ok()
    }
}

/// The manifests that were read so far, each once for a layout, and their mistakes.
#[derive(Default)]
struct Manifests {
    /// `None` is a manifest with mistakes.
    read: BTreeMap<(PathBuf, manifest::Defaults), Option<Arc<Manifest>>>,
    problems: Vec<Problems>,
}

impl Manifests {
    /// `value` is where the config names the file: where a file that cannot be read at all is a mistake.
    fn load(&mut self, file: &Path, defaults: manifest::Defaults, value: &Value) -> Option<Arc<Manifest>> {
        let key = (file.to_owned(), defaults);
        if let Some(manifest) = self.read.get(&key) {
            return manifest.clone();
        }
        let manifest = match Manifest::load(file, defaults) {
            Ok(manifest) => Some(Arc::new(manifest)),
            Err(problems) => {
                if problems.problems.iter().all(|problem| problem.place.is_none()) {
                    value.problem(problems);
                } else {
                    self.note(problems);
                }
                None
            }
        };
        self.read.insert(key, manifest.clone());
        manifest
    }

    /// Notes mistakes of a manifest that a watch brought to light; two watches may bring the same ones.
    fn note(&mut self, problems: Problems) {
        if !problems.is_empty() && !self.problems.contains(&problems) {
            self.problems.push(problems);
        }
    }
}

/// Two watches that are watched and assembled alike.
impl PartialEq for WatchConfig {
    fn eq(&self, other: &Self) -> bool {
        let layout = |watched: &Self| watched.layout.map(|layout| layout.name);
        (&self.watch, layout(self), &self.manifest_file) == (&other.watch, layout(other), &other.manifest_file)
            && self.manifest == other.manifest
            && self.check_gzip == other.check_gzip
    }
}

fn timezone(value: &Value) -> Option<TimeZone> {
    let name = value.text("a time zone such as Europe/London")?;
    let zone = TimeZone::get(name);
    if zone.is_err() {
        value.problem(format_args!(
            "this host knows no time zone {name:?}; expected a name such as Europe/London or UTC \
             (if it is right, install tzdata)"
        ));
    }
    zone.ok()
}

impl WatchConfig {
    /// What the uploads must know of the watch, by its name; `check_gzip` is what the config says for all.
    fn for_uploads(&self, check_gzip: bool) -> (String, upload::WatchSettings) {
        let check_gzip = self.check_gzip.unwrap_or(check_gzip);
        (self.watch.name.clone(), upload::WatchSettings { check_gzip, settle: self.watch.longest_settle() })
    }
}

/// The `uploads` section.
struct Uploads {
    settings: upload::Settings,
    check_gzip: bool,
}

impl Default for Uploads {
    fn default() -> Self {
        Self { settings: upload::Settings::default(), check_gzip: true }
    }
}

fn uploads(value: &Value) -> Option<Uploads> {
    let defaults = upload::Settings::default();
    let mut map = value.map("a map with concurrency")?;
    let concurrency = map.get("concurrency").map_or(Some(defaults.concurrency), |value| {
        value.integer(1, 64).and_then(|number| usize::try_from(number).ok())
    });
    let final_wait = map.get("final_wait").map_or(Some(None), |value| match value.as_text() {
        Some("auto") => Some(None),
        _ => value.duration().map(Some),
    });
    let if_exists = map.get("if_exists").map_or(Some(defaults.if_exists), |value| {
        value.choice(&[("adopt", IfExists::Adopt), ("block", IfExists::Block)])
    });
    let verify = map.get("verify").map_or(Some(defaults.verify), |value| {
        value.choice(&[("size", upload::Verify::Size), ("download", upload::Verify::Download)])
    });
    let check_gzip = map.get("check_gzip").map_or(Some(true), |value| value.boolean());
    map.not_yet(&["rate_limit"]);
    map.finish();
    let settings = upload::Settings {
        concurrency: concurrency?,
        final_wait: final_wait?,
        if_exists: if_exists?,
        verify: verify?,
        watches: defaults.watches,
    };
    Some(Uploads { settings, check_gzip: check_gzip? })
}

fn status(value: &Value) -> Option<status::Settings> {
    let mut map = value.map("a map with listen")?;
    let listen = map.get("listen").map_or(Some(status::Settings::default().listen), |value| match value.as_text() {
        Some("none") => Some(None),
        Some(text) => {
            let address = text.parse().ok();
            if address.is_none() {
                value.expected("an address and a port such as 127.0.0.1:9470, or none");
            }
            address.map(Some)
        }
        None => {
            value.expected("an address and a port such as 127.0.0.1:9470, or none");
            None
        }
    });
    map.finish();
    Some(status::Settings { listen: listen? })
}

#[cfg(test)]
mod tests;
