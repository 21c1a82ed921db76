//! One entry of the `watch` section: what is watched, what counts as a run, and when a run is complete.

use std::path::{Path, PathBuf};
use std::time::Duration;

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use super::{Reader, WatchConfig, cross};
use crate::manifest::Manifest;
use crate::pattern::Pattern;
use crate::watch::{Condition, Existing, Mode, Settings};
use crate::yaml::{Map, Value};

const POLL: Duration = Duration::from_secs(30);
const RESCAN: Duration = Duration::from_secs(15 * 60);

const COMPLETE_WHEN: &str = "settled, {marker: PATTERN}, {quiet: DURATION}, {any: [...]} or {all: [...]}";

/// A watch as it was read: its parts where they are right, for the checks across watches, and their values, to say
/// where those checks fail.
pub(super) struct Read<'d> {
    pub(super) value: Value<'d>,
    pub(super) name: Option<String>,
    pub(super) name_value: Option<Value<'d>>,
    pub(super) path: Option<(PathBuf, Value<'d>)>,
    whole: Option<WatchConfig>,
}

impl Read<'_> {
    /// The watch, unless something in it is wrong.
    pub(super) fn finished(self) -> Option<WatchConfig> {
        self.whole
    }
}

impl Reader {
    pub(super) fn watch<'d>(&mut self, value: &Value<'d>, zone: &TimeZone) -> Option<Read<'d>> {
        let mut map = value.map("a watch: a map with path, manifest and existing")?;
        let name_value = map.get("name");
        let path_value = map.require("path", "the folder to watch");
        let path = path_value.and_then(|value| Some((self.path(&value)?, value)));
        let name = match &name_value {
            Some(value) => name(value),
            None => path.as_ref().and_then(|(path, value)| folder_name(path, value)),
        };
        let manifest = map.require("manifest", "the manifest's file, such as manifest.yaml");
        let manifest = manifest.and_then(|value| {
            let file = self.path(&value)?;
            Some((self.manifests.load(&file, &value), file))
        });
        let (manifest, manifest_file) = manifest.map_or((None, None), |(manifest, file)| (manifest, Some(file)));
        let existing = map.require(
            "existing",
            "what becomes of files that lie there at the first start: upload, skip, or {since: DATE}",
        );
        let existing = existing.and_then(|value| existing_files(&value, zone));
        let run_folder_value = map.get("run_folder");
        let has_runs = run_folder_value.is_some();
        let run_folder =
            run_folder_value.map_or(Some(None), |value| value.parse("a pattern", Pattern::parse).map(Some));
        let condition = map.get("complete_when").map(|value| (complete_when(&value), value));
        let condition = self.condition_or_default(&map, condition, has_runs, manifest.as_deref());
        let settle = map.get("settle").map_or(Some(None), |value| value.duration().map(Some));
        let mode = map.get("mode").map_or(Some(Mode::Auto), |value| {
            value.choice(&[("auto", Mode::Auto), ("native", Mode::Native), ("poll", Mode::Poll)])
        });
        let poll = map.get("poll").map_or(Some(POLL), |value| value.duration());
        let rescan = map.get("rescan").map_or(Some(RESCAN), |value| value.duration());
        let ignore = map.get("ignore").map_or(Some(GlobSet::empty()), |value| ignore(&value));
        let check_gzip = map.get("check_gzip").map_or(Some(None), |value| value.boolean().map(Some));
        map.not_yet(&["layout", "expect", "verify", "notify"]);
        map.finish();
        if let (Some(manifest), Some(run_folder)) = (&manifest, &run_folder) {
            let names: Vec<&str> = run_folder.iter().flat_map(Pattern::names).collect();
            self.manifests.note(manifest.check_run_names(&names));
        }
        let whole = || {
            let watch = Settings {
                name: name.clone()?,
                path: path.as_ref()?.0.clone(),
                existing: existing?,
                run_folder: run_folder?,
                complete_when: condition?,
                settle: settle?,
                mode: mode?,
                poll: poll?,
                rescan: rescan?,
                ignore: ignore?,
            };
            Some(WatchConfig { watch, manifest_file: manifest_file?, manifest: manifest?, check_gzip: check_gzip? })
        };
        let whole = whole();
        Some(Read { value: value.clone(), name, name_value, path, whole })
    }

    /// The condition, with the rules that hang on whether the watch has runs.
    fn condition_or_default(
        &self,
        map: &Map,
        condition: Option<(Option<Condition>, Value)>,
        has_runs: bool,
        manifest: Option<&Manifest>,
    ) -> Option<Condition> {
        let (condition, value) = match condition {
            Some((condition, value)) => (condition?, value),
            None if has_runs => {
                map.value().problem(format_args!(
                    "the key complete_when is missing, which a watch with run_folder needs; expected {COMPLETE_WHEN}"
                ));
                return None;
            }
            None => (Condition::Settled, map.value().clone()),
        };
        if let Some(manifest) = manifest.filter(|_| !has_runs) {
            cross::drop_folder(&condition, &value, manifest);
        }
        Some(condition)
    }
}

fn name(value: &Value) -> Option<String> {
    let name = value.text("a name for the watch")?;
    if name.contains('/') || name.contains(char::is_control) {
        value.expected("a name without / and control characters");
        return None;
    }
    Some(name.to_owned())
}

fn folder_name(path: &Path, value: &Value) -> Option<String> {
    let name = path.file_name().and_then(|name| name.to_str()).filter(|name| !name.contains(char::is_control));
    if name.is_none() {
        value.problem("this folder's name cannot name the watch; add the key name");
    }
    name.map(str::to_owned)
}

fn existing_files(value: &Value, zone: &TimeZone) -> Option<Existing> {
    if !value.is_map() {
        return match value.as_text() {
            Some("upload") => Some(Existing::Upload),
            Some("skip") => Some(Existing::Skip),
            _ => {
                value.expected("upload, skip, or {since: DATE}");
                None
            }
        };
    }
    let mut map = value.map("{since: DATE}")?;
    let since = map.require("since", "a date such as 2026-11-01").and_then(|value| since(&value, zone));
    map.finish();
    since.map(Existing::Since)
}

/// A date (its first moment), a time of day in the config's zone, or a time with its offset.
fn since(value: &Value, zone: &TimeZone) -> Option<Timestamp> {
    let expected = "a date such as 2026-11-01, or a time such as 2026-11-01T08:00:00Z";
    let text = value.text(expected)?;
    let in_zone = |time: DateTime| zone.to_timestamp(time);
    // Where the clocks skip midnight, the first moment after it.
    let first_moment = |date: Date| in_zone(date.at(0, 0, 0, 0));
    let date_only = text.len() == "2026-11-01".len();
    let time = if date_only {
        text.parse().and_then(first_moment)
    } else {
        text.parse::<Timestamp>().or_else(|_| text.parse().and_then(in_zone))
    };
    if time.is_err() {
        value.expected(expected);
    }
    time.ok()
}

fn complete_when(value: &Value) -> Option<Condition> {
    if !value.is_map() {
        if value.as_text() == Some("settled") {
            return Some(Condition::Settled);
        }
        value.expected(COMPLETE_WHEN);
        return None;
    }
    let mut map = value.map(COMPLETE_WHEN)?;
    let marker = map.get("marker").map(|value| value.parse("a pattern", Pattern::parse).map(Condition::Marker));
    let quiet = map.get("quiet").map(|value| value.duration().map(Condition::Quiet));
    let any = map.get("any").map(|value| conditions(&value).map(Condition::Any));
    let all = map.get("all").map(|value| conditions(&value).map(Condition::All));
    map.finish();
    let mut given = [marker, quiet, any, all].into_iter().flatten();
    match (given.next(), given.next()) {
        (Some(condition), None) => condition,
        (Some(_), Some(_)) => {
            value.problem("one condition was expected; join several with {all: [...]} or {any: [...]}");
            None
        }
        (None, _) => {
            // A key that was given is unknown then, and noted.
            if value.is_empty() {
                value.expected(COMPLETE_WHEN);
            }
            None
        }
    }
}

fn conditions(value: &Value) -> Option<Vec<Condition>> {
    let items = value.items("a list of conditions")?;
    // Each is read before one that is wrong ends it, so that all mistakes are noted.
    let read: Vec<Option<Condition>> = items.iter().map(complete_when).collect();
    read.into_iter().collect()
}

fn ignore(value: &Value) -> Option<GlobSet> {
    let expected = "a list of globs such as \"**/*.bak\"";
    if value.is_list() && value.is_empty() {
        return Some(GlobSet::empty());
    }
    let items = value.items(expected)?;
    let globs: Vec<Option<Glob>> = items
        .iter()
        .map(|item| {
            item.parse("a glob such as \"**/*.bak\"", |glob| GlobBuilder::new(glob).literal_separator(true).build())
        })
        .collect();
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        set.add(glob?);
    }
    set.build().map_err(|error| value.problem(error)).ok()
}
