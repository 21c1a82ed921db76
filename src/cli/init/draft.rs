//! The proposed config and manifest, as texts: what was chosen as keys, what was seen and what else could be said as
//! comments.

use std::fmt::Display;
use std::path::PathBuf;

use super::super::exit::CommandError;
use super::super::output::cell;
use super::guess::Guess;
use super::look::{Seen, SeenSheet};
use super::server::{Asked, Server};
use super::{CONFIG, MANIFEST};
use crate::config::{self, WatchConfig};
use crate::flow::{DEFAULT_BASE_URL, MetadataAttribute};
use crate::layout::Layout;
use crate::manifest::UNCHOSEN;

/// How wide a comment is.
const WIDTH: usize = 116;
/// So many names are told as examples, and so many options of an attribute.
const EXAMPLES: usize = 5;
const OPTIONS: usize = 8;
/// The longest text of a name or a reason, in characters.
const LONGEST: usize = 160;

/// What sheets' columns usually mean on Flow, where nobody can be asked: the column without case and spaces.
const USUAL: [(&str, &str); 4] = [
    ("investigatorname", "scientist"),
    ("investigator", "scientist"),
    ("description", "comments"),
    ("comments", "comments"),
];

/// What is proposed.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    /// Absolute path of the folder to watch.
    pub path: PathBuf,
    pub layout: Option<&'static Layout>,
    /// What `match` says where there is no layout.
    pub guess: Option<Guess>,
    /// The samples' name.
    pub name: String,
    /// What of a sample stands in its run's sheet; `None`: the rule has no sheet.
    pub sheet: Option<&'static str>,
    pub sample_type: Option<String>,
    /// What a flag or the environment says of the server, for the config.
    pub base_url: Option<String>,
    pub token_file: Option<PathBuf>,
}

/// Lines of YAML.
#[derive(Default)]
struct Text(String);

impl Text {
    fn line(&mut self, line: impl Display) {
        self.0 += line.to_string().trim_end();
        self.0.push('\n');
    }

    /// A comment, in as many lines as it needs; those that follow are indented.
    fn comment(&mut self, indent: usize, words: impl Display) {
        let mut line = format!("{:indent$}#", "");
        let words = words.to_string();
        let lead = words.len() - words.trim_start().len();
        line += &" ".repeat(lead);
        let start = line.len();
        for word in words.split_whitespace() {
            if line.len() + word.len() >= WIDTH && line.len() > start + 2 {
                self.line(&line);
                line = format!("{:indent$}# {}", "", " ".repeat(lead + 1));
            }
            line.push(' ');
            line += word;
        }
        self.line(line);
    }
}

/// A text as YAML, whatever is in it: JSON's quotes are YAML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A text of a disk's or a server's, for a comment.
fn told(text: &str) -> String {
    let text = cell(text);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn examples<T: AsRef<str>>(names: &[T]) -> String {
    let shown: Vec<String> = names.iter().take(EXAMPLES).map(|name| told(name.as_ref())).collect();
    let more = if names.len() > EXAMPLES { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

fn count(number: usize, one: &str) -> String {
    match (number, one.strip_suffix('y')) {
        (1, _) => format!("1 {one}"),
        (_, Some(stem)) => format!("{number} {stem}ies"),
        _ => format!("{number} {one}s"),
    }
}

impl Draft {
    /// The watch and the manifest that the texts make.
    ///
    /// # Errors
    /// Texts that do not load: of a folder whose path no YAML can have.
    pub fn load(&self) -> Result<WatchConfig, CommandError> {
        let cannot = |error: std::io::Error| CommandError::Other(error.into());
        let dir = tempfile::tempdir().map_err(cannot)?;
        std::fs::write(dir.path().join(MANIFEST), self.manifest(None, None)).map_err(cannot)?;
        // The folder of the trial may itself lie in the watched one.
        let text = self.config_with(None, "/dev/null/state");
        let config = config::parse(&dir.path().join(CONFIG), text.into_bytes())?;
        let first = config.watches.into_iter().next();
        Ok(first.unwrap_or_else(|| unreachable!("a config has a watch")))
    }

    pub fn config(&self, seen: Option<&Seen>) -> String {
        self.config_with(seen, "state")
    }

    fn config_with(&self, seen: Option<&Seen>, state_dir: &str) -> String {
        let mut text = Text::default();
        text.line("# yaml-language-server: $schema=flow-ingest.schema.json");
        text.line("# flow-ingest: where the agent looks, and when a run is ready. What becomes of the files says manifest.yaml.");
        text.line("# Proposed by `flow-ingest init`: read it, change it, then: flow-ingest check, flow-ingest plan");
        text.line("# Paths are relative to this file. Durations and sizes carry their unit: 30s, 10m, 1h; 8MB, 64MiB.");
        if let Some(seen) = seen {
            text.line("#");
            self.say_seen(&mut text, seen);
        }
        text.line("\nflow:");
        match &self.base_url {
            Some(base_url) => text.line(format_args!("  base_url: {}", quoted(base_url))),
            None => text.line(format_args!(
                "  # base_url: {DEFAULT_BASE_URL}    # another instance of Flow has another address"
            )),
        }
        if self.base_url.as_ref().is_some_and(|url| config::parse_base_url(url, false, "").is_err()) {
            text.line("  allow_http: true");
        }
        match &self.token_file {
            Some(file) => {
                text.line("  credentials:");
                text.line(format_args!("    token_file: {}", quoted(&file.to_string_lossy())));
            }
            None => {
                text.line("  # Without credentials here: FLOW_API_TOKEN, FLOW_TOKEN_FILE, or ~/.config/flow/api-token");
                text.line("  # credentials:");
                text.line("  #   token_file: /etc/flow-ingest/token   # `flow-ingest login` writes one");
            }
        }
        text.line("\n# What was uploaded and what is under way. On a local disk; as a service: /var/lib/flow-ingest");
        text.line(format_args!("state_dir: {state_dir}"));
        text.line("\n# timezone: Europe/London       # of dates in this file; the host's own unless said otherwise");
        text.line("\n# uploads:");
        text.line("#   concurrency: 4              # samples in flight at once, 1 to 64");
        text.line("\nwatch:");
        self.watch(&mut text, seen);
        text.0
    }

    fn watch(&self, text: &mut Text, seen: Option<&Seen>) {
        let path = quoted(&self.path.to_string_lossy());
        let unknown =
            if seen.is_none() { "    # the folder that runs lie in; the agent only ever reads there" } else { "" };
        text.line(format_args!("  - path: {path}{unknown}"));
        // A folder without a name of its own cannot name the watch.
        if self
            .path
            .file_name()
            .is_none_or(|name| name == "by hand" || name.to_string_lossy().contains(char::is_control))
        {
            text.line("    name: runs");
        }
        text.line("    manifest: manifest.yaml");
        if let Some(layout) = self.layout {
            text.line("");
            text.comment(4, layout.about);
            text.comment(
                4,
                format_args!(
                    "`flow-ingest layouts show {}` prints all that it sets: run_folder, complete_when, ignore",
                    layout.name
                ),
            );
            text.line(format_args!("    layout: {}", layout.name));
        } else {
            text.line("\n    # A folder without runs: a sample is taken when nothing of it has changed for so long.");
            text.line("    complete_when: { quiet: 10m }");
        }
        if let Some(seen) = seen.filter(|_| self.layout.is_some()) {
            match seen.markers.is_empty() {
                true => text.comment(4, "nothing that marks a run as complete was seen"),
                false => text.comment(
                    4,
                    format_args!("seen, and taken for marks that something is complete: {}", seen.markers.join(", ")),
                ),
            }
        }
        text.line("");
        match seen {
            Some(seen) => text.comment(
                4,
                format_args!(
                    "What lies there when the agent starts for the first time. {} there now, with {}: skip leaves all of it alone, \
                     upload sends it.",
                    match seen.runs.len() {
                        0 => "What lies".to_owned(),
                        1 => "1 run lies".to_owned(),
                        runs => format!("{runs} runs lie"),
                    },
                    count(seen.samples.len(), "sample")
                ),
            ),
            None => text.comment(4, "What lies there when the agent starts for the first time: skip leaves it alone, upload sends it."),
        }
        text.line("    existing: skip");
        text.line("    # existing: upload");
        text.line("    # existing: { since: 2026-11-01 }");
        text.line("");
        match seen.map(|seen| seen.is_network) {
            Some(true) => text.comment(
                4,
                "This folder lies on a network share, which does not tell of what other hosts write: it is scanned every poll, \
                 and a file has settled after 2m.",
            ),
            Some(false) => text.comment(4, "This folder lies on a disk of this host, which tells of changes: mode auto is native."),
            None => {}
        }
        text.line("    # settle: 30s                # how long a file must stay as it is; 2m on a network file system");
        text.line("    # mode: auto                 # poll, when the share does not tell of changes");
        text.line("    # poll: 30s                  # how often the folder is scanned in mode poll");
        text.line("    # ignore: [\"**/*.bak\"]       # beside what the layout ignores");
        text.line("\nstatus:");
        text.line("  listen: 127.0.0.1:9470         # the agent's status page; none turns it off");
    }

    fn say_seen(&self, text: &mut Text, seen: &Seen) {
        text.comment(0, format_args!("What was seen in {}:", told(&seen.folder)));
        let mut say = |words: &dyn Display| text.comment(0, format_args!("  {words}"));
        if seen.is_cut {
            let entries = seen.entries;
            say(&format_args!(
                "the look stopped after {entries} files and folders (--most-entries), the newest by name: there is more"
            ));
        }
        if seen.unreadable > 0 {
            say(&format_args!(
                "cannot be read: {}; give the agent's user read access",
                count(seen.unreadable, "file or folder")
            ));
        }
        match (self.layout, &self.guess, seen.layouts.as_slice()) {
            (_, Some(guess), _) => say(&format_args!(
                "no layout fits. The names look like {:?}, which fits {}: a guess, so check it with flow-ingest plan",
                guess.pattern,
                count(guess.files, "file")
            )),
            (Some(layout), _, [best, rest @ ..]) if best.layout == layout.name => {
                let next = match rest {
                    [] => "no other explains any".to_owned(),
                    [next, ..] => format!("next: {}, with {}", next.layout, next.files),
                };
                say(&format_args!(
                    "layout: {} explains {} of {} of reads; {next}",
                    layout.name,
                    best.files,
                    count(seen.reads, "file")
                ));
            }
            (Some(layout), _, []) if seen.reads > 0 => say(&format_args!(
                "layout: {}, as it was asked for; it takes {} of {} of reads",
                layout.name,
                seen.taken,
                count(seen.reads, "file")
            )),
            _ => say(&"no file that may hold reads, so the layout is no more than a proposal"),
        }
        match seen.runs.as_slice() {
            [] => say(&"no run folder"),
            runs => say(&format_args!("{}: {}", count(runs.len(), "run"), examples(runs))),
        }
        let names: Vec<&str> = seen.samples.iter().map(|sample| sample.name.as_str()).collect();
        say(&match names.is_empty() {
            true => "no sample".to_owned(),
            false => format!("{}: {}", count(names.len(), "sample"), examples(&names)),
        });
        for (state, words) in [("waiting", "not complete yet"), ("blocked", "blocked")] {
            let of_state: Vec<_> = seen.samples.iter().filter(|sample| sample.state == state).collect();
            if let [first, ..] = of_state.as_slice() {
                let reason = told(first.reason.as_deref().unwrap_or_default());
                say(&format_args!(
                    "{} {words}, such as {}: {reason}",
                    count(of_state.len(), "sample"),
                    told(&first.name)
                ));
            }
        }
        for left_out in &seen.left_out {
            say(&format_args!("left out, {}: {}", count(left_out.files, "file"), told(&left_out.reason)));
        }
    }

    pub fn manifest(&self, seen: Option<&Seen>, server: Option<&Server>) -> String {
        let mut text = Text::default();
        text.line("# yaml-language-server: $schema=manifest.schema.json");
        text.line("# Which files become which samples on Flow. The first rule that matches a file takes it; a file that no rule takes");
        text.line("# is left out, and `flow-ingest plan` says so.");
        if let Some(seen) = seen {
            text.line("#");
            self.say_seen(&mut text, seen);
        }
        text.line("#");
        text.comment(
            0,
            "Values take what was captured: {run} (the run folder's name), {run.flow_cell} (a part of it), {sheet.Column} (a \
             column of the run's sample sheet), and what match captures. Quote whatever has a { or * in it.",
        );
        if let Some(server) = server {
            text.line("#");
            self.say_types(&mut text, server);
        }
        text.line("\nversion: 1\n\nrules:\n  - name: all");
        match (self.layout, &self.guess) {
            (Some(layout), _) => text.comment(
                4,
                format_args!(
                    "match is the layout's unless it is written here; it captures {}",
                    layout.captures.join(", ")
                ),
            ),
            (None, Some(guess)) => {
                text.comment(4, "guessed from the names that are there");
                text.line(format_args!("    match: {}", quoted(&guess.pattern)));
                if !guess.is_paired {
                    text.line("    paired: never                # no mates were seen: each file is a sample's reads1");
                }
            }
            (None, None) => {}
        }
        let example = seen.and_then(|seen| seen.samples.first()).map(|sample| told(&sample.name));
        text.comment(
            4,
            "Samples of several types: a rule for each, with another name, and globs that tell them apart:",
        );
        text.line("    # where: { sample: \"RNA_*\" }");
        if self.guess.is_none() {
            text.line("    # paired: required           # wait for both reads; never: reads1 alone; auto: what is there in the end");
        }
        let sheet = seen.and_then(|seen| seen.sheet.as_ref());
        self.sheet(&mut text, sheet, seen);
        text.line("    sample:");
        let example = example.map(|example| format!("    # {example}")).unwrap_or_default();
        text.line(format_args!("      name: {}{example}", quoted(&self.name)));
        match &self.sample_type {
            Some(sample_type) => text.line(format_args!("      type: {}", quoted(sample_type))),
            None => {
                text.comment(6, "Only you can say this, and it cannot be undone: one of `flow-ingest list types`. Until then `check` fails, and `run` sends nothing.");
                text.line(format_args!("      type: {UNCHOSEN}"));
            }
        }
        text.line("      # organism: Hs             # `flow-ingest list organisms`");
        text.line("      # project: \"788995297969977723\"   # `flow-ingest list projects`; in quotes");
        text.line("      metadata:                  # `flow-ingest list metadata`");
        self.metadata(&mut text, sheet, server);
        text.0
    }

    fn sheet(&self, text: &mut Text, sheet: Option<&SeenSheet>, seen: Option<&Seen>) {
        if let (Some(sheet), Some(seen)) = (sheet, seen) {
            let (path, column) = (told(&sheet.path), told(&sheet.column));
            text.comment(
                4,
                format_args!(
                    "A sample sheet was seen, {path}; {} of {} have a row in their run's, by {column}. Its columns: {}",
                    sheet.found,
                    count(seen.samples.len(), "sample"),
                    sheet.columns.iter().map(|name| told(name)).collect::<Vec<_>>().join(", ")
                ),
            );
            if !sheet.has_all {
                text.line(format_args!(
                    "    # sheet: {{ key: auto, equals: \"{{{}}}\", missing: skip }}",
                    sheet.equals
                ));
            }
        }
        match self.sheet {
            // `auto` finds the column anew in each run.
            Some(equals) => {
                let equals = if equals == "sample" { String::new() } else { format!(", equals: \"{{{equals}}}\"") };
                text.line(format_args!(
                    "    sheet: {{ key: auto{equals} }}   # a run without one waits, and is blocked when it is complete"
                ));
            }
            None if sheet.is_none() => {
                text.line("    # sheet: {}                  # the run's sample sheet, for {sheet.Column}")
            }
            None => {}
        }
    }

    /// What the server knows, for whoever chooses.
    fn say_types(&self, text: &mut Text, server: &Server) {
        let base_url = told(&server.base_url);
        match &server.asked {
            Asked::NoCredentials => {
                text.comment(0, "No credentials were at hand, so Flow was not asked for its types: flow-ingest login, then flow-ingest list types");
            }
            Asked::Failed(error) => {
                text.comment(0, format_args!("{base_url} could not be asked for its types: {}", told(error)))
            }
            Asked::Answered { types, attributes } => {
                text.comment(0, format_args!("Sample types of {base_url}, and what must be said of each in metadata:"));
                for one in types {
                    let required = attributes.iter().filter(|attribute| attribute.is_required_for(&one.identifier));
                    let required: Vec<String> = required.map(named).collect();
                    let about = if one.description.is_empty() { &one.name } else { &one.description };
                    let required =
                        if required.is_empty() { String::new() } else { format!("; needs {}", required.join(", ")) };
                    text.comment(0, format_args!("  {} ({}){required}", told(&one.identifier), told(about)));
                }
            }
        }
    }

    /// What can be said of the samples, each as a line to complete.
    fn metadata(&self, text: &mut Text, sheet: Option<&SeenSheet>, server: Option<&Server>) {
        let attributes = server.map(Server::attributes).unwrap_or_default();
        let folded = |name: &str| -> String {
            name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
        };
        // What of the sheet an attribute may take.
        let column = |attribute: &str| {
            let columns = sheet.map(|sheet| sheet.columns.as_slice()).unwrap_or_default();
            let is_it = |column: &&String| {
                let column_name = folded(column);
                let is_usual = USUAL.contains(&(column_name.as_str(), attribute));
                (column_name == folded(attribute) || is_usual) && !column.contains(['{', '}'])
            };
            columns.iter().find(is_it).map(|column| quoted(&format!("{{sheet.{column}}}")))
        };
        let mut line = |attribute: &str, said: &str| {
            let value = column(attribute).unwrap_or_default();
            let said = if said.is_empty() { String::new() } else { format!("   # {said}") };
            text.line(format_args!("        # {attribute}: {value}{said}"));
        };
        if attributes.is_empty() {
            let usual: Vec<&str> =
                USUAL.iter().map(|(_, attribute)| *attribute).filter(|it| column(it).is_some()).collect();
            let mut usual = usual.into_iter().fold(Vec::new(), |mut all, it| {
                if !all.contains(&it) {
                    all.push(it);
                }
                all
            });
            if usual.is_empty() {
                usual.push("comments");
            }
            usual.into_iter().for_each(|attribute| line(attribute, ""));
            return;
        }
        let is_required = |attribute: &MetadataAttribute| match &self.sample_type {
            Some(sample_type) => attribute.is_required_for(sample_type),
            None => attribute.required,
        };
        for attribute in attributes.iter().filter(|attribute| is_required(attribute)) {
            line(&told(&attribute.identifier), &format!("required: {}", about(attribute)));
        }
        let applies =
            |attribute: &MetadataAttribute| self.sample_type.as_ref().is_none_or(|one| attribute.applies_to(one));
        for attribute in attributes.iter().filter(|attribute| !is_required(attribute) && applies(attribute)) {
            let types = match (&self.sample_type, attribute.required_for_sample_types.as_slice()) {
                (None, [_, ..]) => format!("required for {}: ", told(&attribute.required_for_sample_types.join(", "))),
                _ => String::new(),
            };
            line(&told(&attribute.identifier), &format!("{types}{}", about(attribute)));
        }
    }
}

/// What an attribute says, and in which words.
fn about(attribute: &MetadataAttribute) -> String {
    let about = told(if attribute.description.is_empty() { &attribute.name } else { &attribute.description });
    match options(attribute) {
        Some(options) => format!("{about}: {options}"),
        None => about,
    }
}

fn named(attribute: &MetadataAttribute) -> String {
    match options(attribute) {
        Some(options) => format!("{} ({options})", told(&attribute.identifier)),
        None => told(&attribute.identifier),
    }
}

/// The values that an attribute is closed to, the first of them.
fn options(attribute: &MetadataAttribute) -> Option<String> {
    let options = attribute.options.as_ref()?;
    let shown: Vec<String> = options.values.iter().take(OPTIONS).map(|value| told(value)).collect();
    let more = options.total.saturating_sub(shown.len());
    Some(if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") })
}
