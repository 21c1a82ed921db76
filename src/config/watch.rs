//! One entry of the `watch` section: what is watched, what counts as a run, and how it is looked at.

use std::path::{Path, PathBuf};
use std::time::Duration;

use globset::{Glob, GlobBuilder};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use super::complete_when::{COMPLETE_WHEN, completion, patterns};
use super::{Reader, WatchConfig, cross};
use crate::layout::{self, Layout};
use crate::manifest::{Defaults, Manifest, NoReads};
use crate::pattern::{Pattern, Patterns};
use crate::watch::{Completion, Condition, Existing, Ignore, Mode, RunByEntries, RunFolders, Settings};
use crate::yaml::{Document, Map, Value, nearest};

const POLL: Duration = Duration::from_secs(30);
const RESCAN: Duration = Duration::from_secs(15 * 60);

const RUN_FOLDER: &str = "a pattern, or {folder: PATTERN, entries: [...]}";

const IGNORE: &str = "a list of globs such as \"**/*.bak\"";

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
        let layout = map.get("layout").map_or(Some(None), |value| self::layout(&value).map(Some));
        let ignore_value = map.get("ignore");
        // Who adds a glob of their own does not mean to upload what no sample was found for: all of the layout's are
        // taken back only by saying so.
        let ignores = ignore_value.as_ref().is_none_or(|value| !(value.is_list() && value.is_empty()));
        let no_reads = map.get("no_reads").map_or(Some(NoReads::default()), |value| NoReads::read(&value));
        let manifest = map.require("manifest", "the manifest's file, such as manifest.yaml");
        let manifest = manifest.and_then(|value| {
            let file = self.path(&value)?;
            // Under an unknown layout, the manifest's mistakes would be others.
            let defaults = Defaults { layout: layout?, ignores, no_reads: no_reads.unwrap_or_default() };
            Some((self.manifests.load(&file, defaults, &value), file))
        });
        let (manifest, manifest_file) = manifest.map_or((None, None), |(manifest, file)| (manifest, Some(file)));
        let existing = map.require(
            "existing",
            "what becomes of files that lie there at the first start: upload, skip, or {since: DATE}",
        );
        let existing = existing.and_then(|value| existing_files(&value, zone));
        let known = layout.flatten().map(Known::of);
        let run_folder_value = map.get("run_folder");
        let run_folder = match &run_folder_value {
            Some(value) => run_folders(value).map(Some),
            None => Some(known.as_ref().and_then(|known| known.run_folder.clone())),
        };
        let has_runs = run_folder_value.is_some() || run_folder.as_ref().is_some_and(Option::is_some);
        let condition = match (map.get("complete_when"), &known) {
            (Some(value), _) => Some((completion(&value), value)),
            (None, Some(known)) => Some((Some(known.complete_when.clone()), map.value().clone())),
            (None, None) => None,
        };
        let condition = self.condition_or_default(&map, condition, has_runs, manifest.as_deref());
        let settle = map.get("settle").map_or(Some(None), |value| value.duration().map(Some));
        let mode = map.get("mode").map_or(Some(Mode::Auto), |value| {
            value.choice(&[("auto", Mode::Auto), ("native", Mode::Native), ("poll", Mode::Poll)])
        });
        let poll = map.get("poll").map_or(Some(POLL), |value| value.duration());
        let rescan = map.get("rescan").map_or(Some(RESCAN), |value| value.duration());
        let described_by = known.as_ref().and_then(|known| known.described_by.clone());
        let never_listed = known.filter(|_| ignores).map_or(Vec::new(), |known| known.never_listed);
        let ignore = match ignore_value {
            Some(value) => ignore(&value, &never_listed),
            None => Ignore::new(&never_listed, &[]).map_err(|error| map.value().problem(error)).ok(),
        };
        let check_gzip = map.get("check_gzip").map_or(Some(None), |value| value.boolean().map(Some));
        let expect = map.get("expect").map_or(Some(None), |value| expect(&value).map(Some));
        map.not_yet(&["verify", "notify"]);
        map.finish();
        if let (Some(manifest), Some(run_folder)) = (&manifest, &run_folder) {
            let names: Vec<&str> = run_folder.iter().flat_map(RunFolders::names).collect();
            self.manifests.note(manifest.check_run_names(&names));
        }
        let whole = || {
            no_reads?;
            let watch = Settings {
                name: name.clone()?,
                path: path.as_ref()?.0.clone(),
                existing: existing?,
                run_folder: run_folder?,
                complete_when: condition?,
                described_by,
                settle: settle?,
                mode: mode?,
                poll: poll?,
                rescan: rescan?,
                ignore: ignore?,
                expect_within: expect?,
            };
            Some(WatchConfig {
                watch,
                layout: layout?,
                manifest_file: manifest_file?,
                manifest: manifest?,
                check_gzip: check_gzip?,
            })
        };
        let whole = whole();
        Some(Read { value: value.clone(), name, name_value, path, whole })
    }

    /// The condition, with the rules that hang on whether the watch has runs.
    fn condition_or_default(
        &self,
        map: &Map,
        condition: Option<(Option<Completion>, Value)>,
        has_runs: bool,
        manifest: Option<&Manifest>,
    ) -> Option<Completion> {
        let (condition, value) = match condition {
            Some((condition, value)) => (condition?, value),
            None if has_runs => {
                map.value().problem(format_args!(
                    "the key complete_when is missing, which a watch with run_folder needs; expected {COMPLETE_WHEN}"
                ));
                return None;
            }
            None => (Condition::Settled.into(), map.value().clone()),
        };
        if let Some(manifest) = manifest.filter(|_| !has_runs) {
            cross::drop_folder(&condition, &value, manifest);
        }
        Some(condition)
    }
}

/// What a layout sets on a watch, read as if a user had written it.
struct Known {
    run_folder: Option<RunFolders>,
    complete_when: Completion,
    described_by: Option<Patterns>,
    never_listed: Vec<Glob>,
}

impl Known {
    fn of(layout: &Layout) -> Self {
        let right = "a layout is right, as its tests say";
        let document = Document::parse(format!("layout {}", layout.name), layout.yaml()).expect(right);
        let mut map = document.root().map("a map").expect(right);
        let run_folder = map.get("run_folder").map(|value| run_folders(&value).expect(right));
        let complete_when = map.get("complete_when").and_then(|value| completion(&value)).expect(right);
        let never_listed = layout.never_listed.iter().map(|text| glob(text).expect(right)).collect();
        let described_by = layout.described_by.iter().map(|text| Pattern::parse(text).expect(right)).collect();
        Self { run_folder, complete_when, described_by: Patterns::new(described_by), never_listed }
    }
}

fn layout(value: &Value) -> Option<&'static Layout> {
    let name = value.text("the name of a layout, such as illumina")?;
    let layout = layout::find(name);
    if layout.is_none() {
        let names = || layout::all().map(|layout| layout.name);
        match nearest(name, names()) {
            Some(meant) => value.problem(format_args!("unknown layout {name:?}; did you mean {meant}?")),
            None => value.problem(format_args!(
                "unknown layout {name:?}; expected {}; `flow-ingest layouts` says what they are",
                names().collect::<Vec<_>>().join(", ")
            )),
        }
    }
    layout
}

/// Patterns of run folders, and maps of those that are a run by their entries: one, or a list of them.
fn run_folders(value: &Value) -> Option<RunFolders> {
    let items = match value.is_list() {
        true => value.items(&format!("{RUN_FOLDER}, or a list of them"))?,
        false => vec![value.clone()],
    };
    let (maps, patterns): (Vec<_>, Vec<_>) = items.iter().partition(|item| item.is_map());
    // Each is read before one that is wrong ends it.
    let whole: Vec<Option<Pattern>> = patterns.iter().map(|item| item.parse(RUN_FOLDER, Pattern::parse)).collect();
    let by_entries: Vec<Option<RunByEntries>> = maps.into_iter().map(run_by_entries).collect();
    let (whole, by_entries): (Option<Vec<_>>, Option<Vec<_>>) =
        (whole.into_iter().collect(), by_entries.into_iter().collect());
    RunFolders::new(whole?, by_entries?)
}

fn run_by_entries(value: &Value) -> Option<RunByEntries> {
    let mut map = value.map(RUN_FOLDER)?;
    if !map.peek("folder") && !map.peek("entries") {
        // Mostly a pattern without quotes.
        value.expected(RUN_FOLDER);
        return None;
    }
    let folder = map.require("folder", "a pattern of folders below the watch, such as \"{experiment}/{sample}\"");
    let folder = folder.as_ref().and_then(patterns);
    let entries = map.require("entries", "the names of those of its entries that are the run, such as fastq_pass");
    let entries = entries.and_then(|value| value.parse_each("a name, or a glob of names", entry));
    map.finish();
    RunByEntries::new(folder?, &entries?).map_err(|error| value.problem(error)).ok()
}

fn entry(text: &str) -> Result<Glob, String> {
    if text.contains('/') {
        return Err(format!("{text:?} is no name within a folder; all that lies below an entry is the run's"));
    }
    glob(text).map_err(|error| error.to_string())
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

/// How long a run, and what its sheet declares, may keep one waiting.
fn expect(value: &Value) -> Option<Duration> {
    let mut map = value.map("a map such as {within: 24h}")?;
    let within = map.require("within", "a time such as 24h").and_then(|value| value.duration());
    map.finish();
    within
}

/// The watch's own globs, beside the layout's.
fn ignore(value: &Value, of_layout: &[Glob]) -> Option<Ignore> {
    let mut own = Vec::new();
    if !(value.is_list() && value.is_empty()) {
        let items = value.items(IGNORE)?;
        let read: Vec<Option<Glob>> =
            items.iter().map(|item| item.parse("a glob such as \"**/*.bak\"", glob)).collect();
        own = read.into_iter().collect::<Option<Vec<_>>>()?;
    }
    Ignore::new(of_layout, &own).map_err(|error| value.problem(error)).ok()
}

fn glob(text: &str) -> Result<Glob, globset::Error> {
    GlobBuilder::new(text).literal_separator(true).build()
}
