//! The proposed manifest's text: one rule, and what else could be said in it as comments.

use super::super::output::count;
use super::draft::Draft;
use super::look::{Seen, SeenSheet};
use super::server::{Asked, Server};
use super::text::{Text, quoted, told};
use crate::flow::MetadataAttribute;
use crate::manifest::UNCHOSEN;

/// So many options of an attribute are told.
const OPTIONS: usize = 8;

/// What sheets' columns usually mean on Flow, where nobody can be asked: the column without case and spaces.
const USUAL: [(&str, &str); 4] = [
    ("investigatorname", "scientist"),
    ("investigator", "scientist"),
    ("description", "comments"),
    ("comments", "comments"),
];

impl Draft {
    /// The manifest. What Flow said is told where it was asked.
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
        self.sheet(&mut text, sheet);
        text.line("    sample:");
        let example = example.map(|example| format!("    # {example}")).unwrap_or_default();
        text.line(format_args!("      name: {}{example}", quoted(&self.name)));
        match &self.sample_type {
            Some(sample_type) => text.line(format_args!("      type: {}", quoted(sample_type))),
            None => {
                text.comment(6, "Only you can say this, and it cannot be undone: one of `flow-ingest list types`. Until then `check` says so, and `run` sends nothing.");
                text.line(format_args!("      type: {UNCHOSEN}"));
            }
        }
        text.line("      # organism: Hs             # `flow-ingest list organisms`");
        text.line("      # project: \"788995297969977723\"   # `flow-ingest list projects`; in quotes");
        text.line("      metadata:                  # `flow-ingest list metadata`");
        self.metadata(&mut text, sheet, server);
        text.0
    }

    fn sheet(&self, text: &mut Text, sheet: Option<&SeenSheet>) {
        let keys = |equals: &str| match equals {
            "" => "key: auto".to_owned(),
            equals => format!("key: auto, equals: {}", quoted(equals)),
        };
        if let Some(sheet) = sheet {
            let (path, column) = (told(&sheet.path), told(&sheet.column));
            text.comment(
                4,
                format_args!(
                    "A sample sheet was seen, {path}; {} of {} have a row in their run's, by {column}. Its columns: {}",
                    sheet.found,
                    count(sheet.of, "sample"),
                    sheet.columns.iter().map(|name| told(name)).collect::<Vec<_>>().join(", ")
                ),
            );
            if !sheet.has_all {
                text.line(format_args!("    # sheet: {{ {}, missing: skip }}", keys(sheet.equals)));
            }
        }
        match self.sheet {
            // `auto` finds the column anew in each run.
            Some(equals) => text.line(format_args!(
                "    sheet: {{ {} }}   # a run without one waits, and is blocked when it is complete",
                keys(equals)
            )),
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
            let said = if said.is_empty() { String::new() } else { format!("   # {}", told(said)) };
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
