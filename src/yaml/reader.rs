//! Reading settings off a document: every mistake is noted with its place, and reading goes on.

use std::collections::HashSet;
use std::fmt::Display;
use std::time::Duration;

use bytesize::ByteSize;

use super::tree::{Key, Kind, Node, Scalar};
use super::{Document, Spot, nearest};

/// A value of a document, and the way to it.
///
/// The methods that read it give `None` when it is not what they expect, and have noted the mistake then.
#[derive(Clone)]
pub struct Value<'d> {
    document: &'d Document,
    node: &'d Node,
    path: String,
}

impl<'d> Value<'d> {
    pub(super) fn root(document: &'d Document, node: &'d Node) -> Self {
        Self { document, node, path: String::new() }
    }

    /// Notes a mistake at this value.
    pub fn problem(&self, message: impl Display) {
        self.document.note(self.node.id, &self.path, &message.to_string());
    }

    /// Where this value stands, for mistakes that come to light later.
    pub fn spot(&self) -> Spot {
        Spot { node: self.node.id, key: self.path.clone() }
    }

    /// Notes that something else was expected here.
    pub fn expected(&self, expected: &str) {
        self.problem(format_args!("found {}, expected {expected}{}", self.found(), self.quoting_hint()));
    }

    /// A text that is not empty, as it is written: numbers and truth values are texts, too.
    pub fn text(&self, expected: &str) -> Option<&'d str> {
        match &self.node.kind {
            Kind::Scalar(Scalar::Null, _) => self.expected(expected),
            Kind::Scalar(_, text) if text.is_empty() => self.expected(expected),
            Kind::Scalar(_, text) => return Some(text),
            _ => self.expected(expected),
        }
        None
    }

    /// The text, where it is one, without noting anything: to choose between forms of a value.
    pub fn as_text(&self) -> Option<&'d str> {
        match &self.node.kind {
            Kind::Scalar(Scalar::Null, _) => None,
            Kind::Scalar(_, text) => Some(text),
            _ => None,
        }
    }

    /// Whether it is a map, without noting anything.
    pub fn is_map(&self) -> bool {
        matches!(self.node.kind, Kind::Map(_))
    }

    /// Whether it is a list, without noting anything.
    pub fn is_list(&self) -> bool {
        matches!(self.node.kind, Kind::List(_))
    }

    /// Whether it is a list or a map with nothing in it, or nothing at all, without noting anything.
    pub fn is_empty(&self) -> bool {
        match &self.node.kind {
            Kind::Scalar(scalar, _) => *scalar == Scalar::Null,
            Kind::List(nodes) => nodes.is_empty(),
            Kind::Map(entries) => entries.is_empty(),
        }
    }

    /// A text that `parse` understands; its error is noted.
    pub fn parse<T, E: Display>(&self, expected: &str, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        parse(self.text(expected)?).map_err(|error| self.problem(error)).ok()
    }

    /// A text that is parsed, or a list of such texts; every mistake in it is noted.
    pub fn parse_each<T, E: Display>(&self, expected: &str, parse: impl Fn(&str) -> Result<T, E>) -> Option<Vec<T>> {
        if !self.is_list() {
            return Some(vec![self.parse(expected, parse)?]);
        }
        // Each is read before one that is wrong ends it.
        let read: Vec<Option<T>> = self
            .items(&format!("{expected}, or a list of them"))?
            .iter()
            .map(|item| item.parse(expected, &parse))
            .collect();
        read.into_iter().collect()
    }

    /// One of these words.
    pub fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let found = self.as_text().and_then(|text| choices.iter().find(|(word, _)| *word == text));
        if found.is_none() {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            self.expected(&words.join(" or "));
        }
        found.map(|(_, choice)| *choice)
    }

    pub fn boolean(&self) -> Option<bool> {
        match self.node.kind {
            Kind::Scalar(Scalar::Boolean(value), _) => return Some(value),
            _ => self.expected("true or false"),
        }
        None
    }

    /// A whole number within bounds.
    pub fn integer(&self, least: u64, most: u64) -> Option<u64> {
        let number = match &self.node.kind {
            Kind::Scalar(Scalar::Number, text) => text.parse().ok().filter(|number| (least..=most).contains(number)),
            _ => None,
        };
        if number.is_none() {
            self.expected(&format!("a whole number from {least} to {most}"));
        }
        number
    }

    /// A duration with a unit, longer than nothing.
    pub fn duration(&self) -> Option<Duration> {
        let expected = "a duration such as 30s, 10m or 1h";
        let Some(text) = self.as_text() else {
            self.expected(expected);
            return None;
        };
        if text.trim().parse::<f64>().is_ok() {
            self.expected(&format!("a duration with its unit, such as {0}s or {0}m", text.trim()));
            return None;
        }
        match humantime::parse_duration(text) {
            Ok(Duration::ZERO) => self.expected("a duration longer than nothing"),
            Ok(duration) => return Some(duration),
            Err(_) => self.expected(expected),
        }
        None
    }

    /// A size in bytes with a unit, from one byte to `most`. `MB` is 1,000,000 bytes, `MiB` 1,048,576.
    pub fn size(&self, most: u64) -> Option<u64> {
        let expected = "a size such as 8MB or 64MiB";
        let Some(text) = self.as_text() else {
            self.expected(expected);
            return None;
        };
        if text.trim().parse::<f64>().is_ok() {
            self.expected(&format!("a size with its unit, such as {0}B or {0}MB", text.trim()));
            return None;
        }
        match text.parse::<ByteSize>() {
            Ok(ByteSize(0)) => self.expected("a size of one byte at least"),
            Ok(ByteSize(size)) if size > most => {
                self.expected(&format!("a size up to {}", ByteSize(most).display().si()))
            }
            Ok(ByteSize(size)) => return Some(size),
            Err(_) => self.expected(expected),
        }
        None
    }

    /// The items of a list that is not empty.
    pub fn items(&self, expected: &str) -> Option<Vec<Value<'d>>> {
        match &self.node.kind {
            Kind::List(nodes) if !nodes.is_empty() => {
                let item = |(i, node)| Value { document: self.document, node, path: format!("{}[{i}]", self.path) };
                Some(nodes.iter().enumerate().map(item).collect())
            }
            _ => {
                self.expected(expected);
                None
            }
        }
    }

    /// The entries of a map, to be asked for by name. Nothing at all is a map without entries: a section whose every
    /// line is commented out. Duplicate keys are noted; the first one counts.
    pub fn map(&self, expected: &str) -> Option<Map<'d>> {
        let nodes = match &self.node.kind {
            Kind::Map(entries) => entries.as_slice(),
            Kind::Scalar(Scalar::Null, _) => &[],
            _ => {
                self.expected(expected);
                return None;
            }
        };
        let mut entries: Vec<Entry> = Vec::with_capacity(nodes.len());
        let mut seen: HashSet<&str> = HashSet::with_capacity(nodes.len());
        for (key, node) in nodes {
            let value = Value { document: self.document, node, path: self.path_to(&key.text) };
            if !seen.insert(&key.text) {
                self.document.note(key.id, &value.path, "the key stands twice in this map; remove one");
            } else {
                entries.push(Entry { key, value, asked: false });
            }
        }
        Some(Map { value: self.clone(), entries, known: Vec::new(), refused: Vec::new() })
    }

    fn path_to(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The value in words.
    fn found(&self) -> String {
        match &self.node.kind {
            Kind::Scalar(Scalar::Null, _) => "nothing".to_owned(),
            Kind::Scalar(Scalar::Boolean(_), text) => format!("the truth value {text}"),
            Kind::Scalar(Scalar::Number, text) => format!("the number {text}"),
            Kind::Scalar(Scalar::Text, text) if text.is_empty() => "an empty text".to_owned(),
            Kind::Scalar(Scalar::Text, text) => {
                let short: String = text.chars().take(60).collect();
                format!("{:?}", if short.len() < text.len() { format!("{short}…") } else { short })
            }
            Kind::List(nodes) if nodes.is_empty() => "an empty list".to_owned(),
            Kind::List(_) => "a list".to_owned(),
            Kind::Map(_) => "a map".to_owned(),
        }
    }

    /// `{sample}` without quotes is a map of one key without a value.
    fn quoting_hint(&self) -> &'static str {
        match &self.node.kind {
            Kind::Map(entries) if matches!(&entries[..], [(_, Node { kind: Kind::Scalar(Scalar::Null, _), .. })]) => {
                "; a text that begins with { must be quoted: \"{sample}\""
            }
            _ => "",
        }
    }
}

/// The entries of a map. What was not asked for by the time of [`Map::finish`] is unknown.
#[must_use = "finish() reports unknown keys"]
pub struct Map<'d> {
    value: Value<'d>,
    entries: Vec<Entry<'d>>,
    known: Vec<&'static str>,
    refused: Vec<(&'static str, &'static str)>,
}

struct Entry<'d> {
    key: &'d Key,
    value: Value<'d>,
    asked: bool,
}

impl<'d> Map<'d> {
    /// The map itself, to note a mistake at.
    pub fn value(&self) -> &Value<'d> {
        &self.value
    }

    /// Whether a key is there, without asking for it.
    pub fn peek(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| entry.key.text == key)
    }

    /// A key that may be missing.
    pub fn get(&mut self, key: &'static str) -> Option<Value<'d>> {
        self.known.push(key);
        let entry = self.entries.iter_mut().find(|entry| entry.key.text == key)?;
        entry.asked = true;
        Some(entry.value.clone())
    }

    /// A key that must be there; its absence is noted.
    pub fn require(&mut self, key: &'static str, expected: &str) -> Option<Value<'d>> {
        let value = self.get(key);
        if value.is_none() {
            self.value.problem(format_args!("the key {key} is missing; expected {expected}"));
        }
        value
    }

    /// Keys that are refused with an explanation of their own.
    pub fn refuse(&mut self, keys: &[&'static str], why: &'static str) {
        self.refused.extend(keys.iter().map(|key| (*key, why)));
    }

    /// Keys of a later version.
    pub fn not_yet(&mut self, keys: &[&'static str]) {
        self.refuse(keys, "the key is known but not supported by this version; remove it");
    }

    /// Every entry, for a map whose keys are the user's own.
    pub fn all(&mut self) -> impl Iterator<Item = (&'d str, Value<'d>)> {
        self.entries.iter_mut().map(|entry| {
            entry.asked = true;
            (entry.key.text.as_str(), entry.value.clone())
        })
    }

    /// Notes every key that nothing asked for.
    pub fn finish(self) {
        for entry in self.entries.iter().filter(|entry| !entry.asked) {
            let key = entry.key.text.as_str();
            let message = if let Some((_, why)) = self.refused.iter().find(|(refused, _)| *refused == key) {
                (*why).to_owned()
            } else if key == "<<" {
                "merge keys are not supported; write the keys out".to_owned()
            } else if let Some(meant) = nearest(key, self.known.iter().copied()) {
                format!("unknown key; did you mean {meant}?")
            } else {
                format!("unknown key; expected {}", self.known.join(", "))
            };
            self.value.document.note(entry.key.id, &entry.value.path, &message);
        }
    }
}
