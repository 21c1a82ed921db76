//! What is proposed, and the config's text: what was chosen as keys, what was seen and what else could be said as
//! comments. The manifest's text is in `rule`.

use std::fmt::Display;
use std::path::PathBuf;

use super::super::exit::CommandError;
use super::super::output::count;
use super::guess::Guess;
use super::look::Seen;
use super::text::{Text, examples, quoted, told};
use super::{CONFIG, MANIFEST};
use crate::config::{self, WatchConfig};
use crate::flow::DEFAULT_BASE_URL;
use crate::layout::Layout;

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
    /// What the rule says of its sheet with `equals`; empty: nothing, so that the default counts. `None`: it has no sheet.
    pub sheet: Option<&'static str>,
    pub sample_type: Option<String>,
    /// What a flag or the environment says of the server, for the config.
    pub base_url: Option<String>,
    pub token_file: Option<PathBuf>,
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
                    format_args!(
                        "seen, and taken for marks that something is complete: {}",
                        told(&seen.markers.join(", "))
                    ),
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

    /// What was seen, as a comment.
    pub(super) fn say_seen(&self, text: &mut Text, seen: &Seen) {
        text.comment(0, format_args!("What was seen in {}:", told(&seen.folder)));
        let mut say = |words: &dyn Display| text.comment(0, format_args!("  {words}"));
        if seen.is_cut {
            let entries = seen.entries;
            say(&format_args!(
                "the look stopped after {entries} files and folders (--most-entries), the newest by name: there is more"
            ));
        }
        if seen.unreadable > 0 {
            say(&format_args!("cannot be read: {}; give the agent's user read access", count(seen.unreadable, "path")));
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
                    [next, ..] if next.files == best.files => {
                        format!("{} explains as many: if it is that, say so with --layout", next.layout)
                    }
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::init::look::{Reason, SeenSample, SeenSheet};
    use crate::layout;

    /// Of a share, with names that would break out of a comment.
    #[test]
    fn whatever_was_seen_both_texts_load() {
        let evil = "a\nstate_dir: /etc\n#\u{1b}[2J {x}: \"";
        let draft = Draft {
            path: "/data/a \"b\" {c}: #d".into(),
            layout: layout::find("illumina"),
            guess: None,
            name: "{run}_{sample}".to_owned(),
            sheet: Some(""),
            sample_type: None,
            base_url: Some("http://flow.example.org/api".to_owned()),
            token_file: Some("/etc/a: b".into()),
        };
        let sample =
            SeenSample { name: evil.to_owned(), run: evil.to_owned(), state: "blocked", reason: Some(evil.to_owned()) };
        let seen = Seen {
            folder: evil.to_owned(),
            entries: 7,
            is_cut: true,
            is_network: true,
            unreadable: 2,
            layouts: Vec::new(),
            reads: 1,
            taken: 1,
            runs: vec![evil.to_owned()],
            samples: vec![sample],
            left_out: vec![Reason { reason: evil.to_owned(), files: 3 }],
            markers: vec![evil.to_owned()],
            sheet: Some(SeenSheet {
                path: evil.to_owned(),
                column: evil.to_owned(),
                columns: vec![evil.to_owned(), "Description".to_owned()],
                found: 0,
                of: 1,
                equals: "",
                has_all: false,
            }),
        };
        let text = draft.config(Some(&seen));
        assert!(text.contains("network share") && text.contains("the look stopped after 7"), "{text}");
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(MANIFEST), draft.manifest(Some(&seen), None)).unwrap();
        let config =
            config::parse(&dir.path().join(CONFIG), text.into_bytes()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(config.watches[0].watch.path, draft.path);
        assert!(config.flow.allow_http && config.flow.base_url == "http://flow.example.org/api");
        assert_eq!(config.state_dir, dir.path().join("state"));
        assert!(config.check_chosen().unwrap_err().to_string().contains("rules[0].sample.type: CHANGE-ME"));
    }
}
