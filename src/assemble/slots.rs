//! The files of one sample, each in its place: which slot it belongs to, in which order the files of a slot are joined,
//! and what keeps them from being joined.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::Path;

use super::group::Group;
use crate::manifest::{Output, Rule};
use crate::pattern::Captures;
use crate::sample::{ANNOTATION, NameError, Part, Slot, acceptable_name, path_to_text};
use crate::sheet::Shelf;
use crate::watch::FileView;

/// A file of a group.
pub(super) struct Member<'a> {
    pub view: &'a FileView,
    pub captures: Captures,
}

impl Member<'_> {
    fn slot(&self, rule: &Rule) -> &'static str {
        match &rule.output {
            Output::Data(_) => "data",
            Output::Sample(_) | Output::Multiplexed(_) if is_second_read(&self.captures) => "reads2",
            Output::Sample(_) | Output::Multiplexed(_) => "reads1",
        }
    }

    /// Lane, then part: the order in which files of one slot are concatenated.
    fn order(&self) -> (Ordinal, Ordinal) {
        let ordinal = |name: &str| Ordinal(self.captures.get(name).cloned().unwrap_or_default());
        (ordinal("lane"), ordinal("part"))
    }
}

/// Whether these were captured from a file of second reads.
pub(super) fn is_second_read(captures: &Captures) -> bool {
    captures.get("read").is_some_and(|read| read == "2")
}

/// A captured lane or part: numbers by their value, before words by theirs.
#[derive(Debug, Clone)]
struct Ordinal(String);

impl Ordinal {
    /// A number's digits without leading zeros, by which numbers of any length compare: the longer is the larger.
    fn digits(&self) -> Option<&str> {
        let is_number = !self.0.is_empty() && self.0.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| self.0.trim_start_matches('0'))
    }
}

impl Ord for Ordinal {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.digits(), other.digits()) {
            (Some(a), Some(b)) => (a.len(), a).cmp(&(b.len(), b)),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => self.0.cmp(&other.0),
        }
    }
}

impl PartialOrd for Ordinal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ordinal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ordinal {}

/// A slot with the files that claim it, in order.
pub(super) struct Filled<'a> {
    pub key: &'static str,
    /// Of a generic file, the name that its rule gives it.
    filename: Option<String>,
    members: Vec<&'a Member<'a>>,
}

/// The slots of a group, the annotation sheet before `reads1` and that before `reads2`.
pub(super) fn slots<'a>(group: &'a Group<'a>, name: &str) -> Vec<Filled<'a>> {
    let filename = matches!(group.rule.output, Output::Data(_)).then(|| name.to_owned());
    let mut slots: BTreeMap<&'static str, Vec<&Member<'_>>> = BTreeMap::new();
    for member in &group.files {
        slots.entry(member.slot(group.rule)).or_default().push(member);
    }
    if let Some(sheet) = group.annotation.as_ref().and_then(|annotation| annotation.file.as_ref()) {
        slots.insert(ANNOTATION, vec![sheet]);
    }
    slots
        .into_iter()
        .map(|(key, mut members)| {
            members.sort_by(|a, b| a.order().cmp(&b.order()).then_with(|| a.view.path.cmp(&b.view.path)));
            Filled { key, filename: filename.clone(), members }
        })
        .collect()
}

impl Filled<'_> {
    /// Two files for one place.
    pub fn claimed_twice(&self) -> Option<String> {
        let twice = self.members.windows(2).find(|pair| pair[0].order() == pair[1].order())?;
        let [a, b] = [&twice[0], &twice[1]].map(|member| path_to_text(&member.view.below_run));
        Some(format!(
            "two files claim {}: {a} and {b}; remove one, or capture what tells them apart (a lane, a part, a folder)",
            self.key
        ))
    }

    /// Whether there is not one read in it.
    fn is_blank(&self, shelf: &Shelf) -> bool {
        let is_blank = |view: &FileView| match view.observation.fingerprint.size {
            0 => is_fastq(&file_name(&view.path)),
            _ => shelf.is_blank(&view.path),
        };
        self.members.iter().all(|member| is_blank(member.view))
    }

    fn is_gzip(member: &Member<'_>) -> bool {
        file_name(&member.view.path).ends_with(".gz")
    }

    /// The name under which Flow stores the slot: of one part, the part's own; of several, the sample's.
    fn filename(&self, sample: &str) -> Result<String, NameError> {
        match (&self.filename, self.members.as_slice()) {
            (Some(filename), _) => Ok(filename.clone()),
            (None, [only]) => acceptable_name(&file_name(&only.view.path)),
            (None, members) => {
                let read = if self.key == "reads2" { 2 } else { 1 };
                let gz = if members.iter().all(|member| Self::is_gzip(member)) { ".gz" } else { "" };
                acceptable_name(&format!("{sample}_R{read}.fastq{gz}"))
            }
        }
    }

    /// What keeps several files from being one.
    fn cannot_be_joined(&self) -> Option<String> {
        if self.members.len() < 2 {
            return None;
        }
        let mut names = self.members.iter().map(|member| path_to_text(&member.view.below_run));
        if let Some(other) = names.find(|name| !is_fastq(name)) {
            return Some(format!("{other} cannot be joined with others byte by byte: only FASTQ can"));
        }
        let zipped = self.members.iter().filter(|member| Self::is_gzip(member)).count();
        if zipped != 0 && zipped != self.members.len() {
            return Some(format!("{} mixes plain and gzipped files, which cannot be joined", self.key));
        }
        // Demultiplexed twice into one folder, with lanes apart and together.
        let has_no_lane = |member: &&&Member<'_>| member.order().0.0.is_empty();
        let apart = self.members.iter().find(|member| !has_no_lane(member));
        let [all, one] =
            [self.members.iter().find(has_no_lane)?, apart?].map(|member| path_to_text(&member.view.below_run));
        Some(format!("{all} is of no lane and {one} of one: their reads may be the same; remove one"))
    }

    /// The slot as it is shown and sent. What cannot be joined has no name: it is never sent under one.
    pub fn into_slot(self, sample: &str) -> Slot {
        let is_one = self.cannot_be_joined().is_none();
        Slot {
            key: self.key.to_owned(),
            filename: is_one.then(|| self.filename(sample).ok()).flatten().unwrap_or_default(),
            parts: self.members.iter().map(|member| part(member.view)).collect(),
        }
    }
}

/// What is in the files of a sample.
pub(super) enum Content {
    Reads,
    /// Not one read.
    Nothing(String),
    /// Reads without their mates.
    Half(String),
}

/// Looks whether there are reads in FASTQ files.
pub(super) fn content(slots: &[Filled<'_>], shelf: &Shelf) -> Content {
    let (blank, full): (Vec<_>, Vec<_>) = slots.iter().partition(|slot| slot.is_blank(shelf));
    let files = |slots: &[&Filled<'_>]| {
        let mut names = slots.iter().flat_map(|slot| &slot.members).map(|file| path_to_text(&file.view.below_run));
        let (first, count) = (names.next().unwrap_or_default(), names.clone().count());
        match (names.next(), count) {
            (Some(second), 1) => (format!("{first} and {second}"), true),
            (Some(_), more) => (format!("{first} and {more} more files"), true),
            (None, _) => (first, false),
        }
    };
    let (without, are_many) = files(&blank);
    if blank.is_empty() {
        Content::Reads
    } else if full.is_empty() {
        Content::Nothing(format!("no reads: {without} {} empty", if are_many { "are" } else { "is" }))
    } else {
        let (with, have_many) = files(&full);
        Content::Half(format!(
            "{with} {} reads and {without} {} none: mates must have the same reads; write both again",
            if have_many { "have" } else { "has" },
            if are_many { "have" } else { "has" },
        ))
    }
}

/// What keeps whole and settled slots from being sent.
pub(super) fn trouble(slots: &[Filled<'_>], sample: &str) -> Option<String> {
    let reads: Vec<_> = slots.iter().filter(|slot| slot.key != ANNOTATION).collect();
    if let [first, second] = reads[..] {
        let places = |slot: &Filled<'_>| slot.members.iter().map(|member| member.order()).collect::<Vec<_>>();
        if places(first) != places(second) {
            return Some(format!(
                "{} has {} and {} has {}: mates must have the same lanes and parts",
                first.key,
                described(first),
                second.key,
                described(second)
            ));
        }
    }
    slots.iter().find_map(|slot| {
        let names = || slot.members.iter().map(|member| path_to_text(&member.view.below_run));
        let mut empty = slot.members.iter().filter(|member| member.view.observation.fingerprint.size == 0);
        match slot.members.as_slice() {
            [only] if empty.next().is_some() => {
                let path = path_to_text(&only.view.below_run);
                return Some(format!("{path} is empty, and Flow cannot take an empty file"));
            }
            members if empty.clone().count() == members.len() => {
                return Some(format!("all files of {} are empty, and Flow cannot take an empty file", slot.key));
            }
            // A lane without reads is an empty file in plain text, and twenty bytes in gzip.
            _ => {
                if let Some(cut) = empty.find(|member| Filled::is_gzip(member)) {
                    let path = path_to_text(&cut.view.below_run);
                    return Some(format!("{path} is empty, which no gzip file is; it was cut off, so write it again"));
                }
            }
        }
        if let Some(reason) = slot.cannot_be_joined() {
            return Some(reason);
        }
        let error = slot.filename(sample).err()?;
        Some(format!("cannot name {}: {error}", names().next().unwrap_or_default()))
    })
}

/// "lanes 1, 2" for an error text.
fn described(slot: &Filled<'_>) -> String {
    let one = |member: &&Member<'_>| {
        let (lane, part) = member.order();
        match (lane.0.as_str(), part.0.as_str()) {
            ("", "") => "no lane".to_owned(),
            (lane, "") => format!("lane {lane}"),
            ("", part) => format!("part {part}"),
            (lane, part) => format!("lane {lane} part {part}"),
        }
    };
    slot.members.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn is_fastq(name: &str) -> bool {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    name.ends_with(".fastq") || name.ends_with(".fq")
}

/// Whether a file is named as gzipped FASTQ.
pub(super) fn is_zipped_fastq(path: &Path) -> bool {
    let name = file_name(path);
    name.ends_with(".gz") && is_fastq(&name)
}

fn part(file: &FileView) -> Part {
    Part { path: file.path.clone(), fingerprint: file.observation.fingerprint }
}

/// The file's own name, with what is not UTF-8 replaced.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
