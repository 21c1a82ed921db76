//! Strict YAML with places: the ground under `config` and `manifest`.
//!
//! [`Document::parse`] reads a text into a tree that keeps what a plain deserialization loses: the order of keys,
//! duplicates, and how a scalar was written. Settings are then read off the tree with [`Value`] and [`Map`], which
//! note every mistake and go on, so that all mistakes of a file are told at once; what is never asked for is an
//! unknown key. JSON is YAML, so both load.
//!
//! The parser behind it is seen by this module alone, and can be replaced here.

mod reader;
mod syntax;
mod tree;

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

pub use reader::{Map, Value};
use sha2::{Digest, Sha256};
use tree::Node;

/// The largest file that is read, in bytes; a config or a manifest is a hundred times smaller.
const LARGEST_FILE: u64 = 4 << 20;

/// How many mistakes of a file are told; a file with more is wrong as a whole.
const MOST_PROBLEMS: usize = 50;

/// How many of a file that is longer than this, in bytes: to find the place of each takes another look at all of it.
const MOST_PROBLEMS_OF_LONG: usize = 5;
const LONG: usize = 256 << 10;

/// How many mistakes of a file are noted. Only in one that is wrong as a whole are there more.
const MOST_NOTES: usize = 10_000;

/// The longest message, and the longest way to a key, in characters.
const LONGEST_MESSAGE: usize = 1000;
const LONGEST_WAY: usize = 200;

/// Where a value or a key begins, both counted from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

/// A mistake in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// `None` when it concerns the file as a whole.
    pub place: Option<Place>,
    /// The way to the key, such as `watch[0].settle`; empty for the whole document.
    pub key: String,
    /// What was found, what was expected, and what to do.
    pub message: String,
}

/// The mistakes of one file, by place. One line each when displayed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problems {
    pub file: PathBuf,
    pub problems: Vec<Problem>,
}

impl Problems {
    /// A file that is wrong as a whole.
    pub fn of_file(file: &Path, message: impl fmt::Display) -> Self {
        let problem = Problem { place: None, key: String::new(), message: message.to_string() };
        Self { file: file.to_owned(), problems: vec![problem] }
    }

    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{}:", self.file.display())?;
            if let Some(Place { line, column }) = problem.place {
                write!(f, "{line}:{column}:")?;
            }
            if !problem.key.is_empty() {
                write!(f, " {}:", problem.key)?;
            }
            write!(f, " {}", problem.message)?;
        }
        Ok(())
    }
}

/// A value's or a key's spot in a document, from which its place can be looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    node: usize,
    key: String,
}

/// A file's text and tree, and the mistakes noted so far.
pub struct Document {
    file: PathBuf,
    text: String,
    sha256: String,
    root: Node,
    notes: Mutex<Vec<(Spot, String)>>,
}

impl Document {
    /// Reads a file.
    ///
    /// # Errors
    /// A file that cannot be read, is too large, or is no YAML.
    pub fn load(file: &Path) -> Result<Self, Problems> {
        let cannot_read =
            |error: std::io::Error| Problems::of_file(file, format_args!("cannot read the file: {error}"));
        let mut bytes = Vec::new();
        let opened = std::fs::File::open(file).map_err(cannot_read)?;
        // One byte more than allowed tells a file that is too large from one that just fits.
        opened.take(LARGEST_FILE + 1).read_to_end(&mut bytes).map_err(cannot_read)?;
        Self::of_bytes(file, bytes)
    }

    /// Reads the bytes of a file; `file` is what mistakes name.
    ///
    /// # Errors
    /// Bytes that are no text, and what [`Document::parse`] refuses.
    pub fn of_bytes(file: &Path, bytes: Vec<u8>) -> Result<Self, Problems> {
        if bytes.len() as u64 > LARGEST_FILE {
            return Err(too_large(file));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]).into_owned();
            let place = syntax::place_behind(&valid);
            let message = "this byte is not UTF-8; save the file as UTF-8".to_owned();
            Problems {
                file: file.to_owned(),
                problems: vec![Problem { place: Some(place), key: String::new(), message }],
            }
        })?;
        Self::parse(file, text)
    }

    /// Reads a text; `file` is what mistakes name.
    ///
    /// # Errors
    /// A text that is no YAML, too large, or nested too deeply: one mistake, at its place.
    pub fn parse(file: impl Into<PathBuf>, text: impl Into<String>) -> Result<Self, Problems> {
        let (file, mut text) = (file.into(), text.into());
        let sha256 = sha256(text.as_bytes());
        // The parser takes what follows a byte order mark for a second document.
        if text.starts_with('\u{feff}') {
            text.remove(0);
        }
        if text.len() as u64 > LARGEST_FILE {
            return Err(too_large(&file));
        }
        match tree::parse(&text) {
            Ok(root) => Ok(Self { file, text, sha256, root, notes: Mutex::default() }),
            Err(error) => {
                let problem = syntax::problem(&text, &error);
                let message = shown(&problem.message, LONGEST_MESSAGE);
                Err(Problems { file, problems: vec![Problem { message, ..problem }] })
            }
        }
    }

    /// The file, as it was named.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Of the file's content, in hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The whole document as a value, to read settings from.
    pub fn root(&self) -> Value<'_> {
        Value::root(self, &self.root)
    }

    /// Takes the mistakes noted so far, by place.
    pub fn take_problems(&self) -> Problems {
        let notes = std::mem::take(&mut *self.notes.lock().unwrap_or_else(PoisonError::into_inner));
        self.problems_at(notes)
    }

    /// Mistakes that came to light after the document was read, by place.
    pub fn problems_at(&self, mut notes: Vec<(Spot, String)>) -> Problems {
        // Nodes are numbered as they stand in the text.
        notes.sort_by_key(|(spot, _)| spot.node);
        let or = if notes.len() < MOST_NOTES { "" } else { "or " };
        notes.dedup();
        let most = if self.text.len() < LONG { MOST_PROBLEMS } else { MOST_PROBLEMS_OF_LONG };
        let left_out = notes.len().saturating_sub(most);
        let located = notes.into_iter().take(most).map(|(spot, message)| Problem {
            place: tree::locate(&self.text, spot.node),
            key: shown(&spot.key, LONGEST_WAY),
            message: shown(&message, LONGEST_MESSAGE),
        });
        let mut problems = Problems { file: self.file.clone(), problems: located.collect() };
        if left_out > 0 {
            let message = format!("and {left_out} {or}more mistakes; mend these first");
            problems.problems.push(Problem { place: None, key: String::new(), message });
        }
        problems
    }

    fn note(&self, node: usize, key: &str, message: &str) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.len() < MOST_NOTES {
            notes.push((Spot { node, key: key.to_owned() }, message.to_owned()));
        }
    }
}

/// What a file's content is known by, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
}

fn too_large(file: &Path) -> Problems {
    let message = format_args!("the file is larger than {} MiB, which no config or manifest is", LARGEST_FILE >> 20);
    Problems::of_file(file, message)
}

/// A text as a line of bearable length: what a file says may be anything.
fn shown(text: &str, longest: usize) -> String {
    let mut line = String::new();
    for (n, c) in text.chars().enumerate() {
        match c {
            _ if n == longest => {
                line.push('…');
                break;
            }
            // The mistakes of a manifest are lines within that of the config that names it.
            '\n' => line.push(c),
            c if c.is_control() => line.extend(c.escape_default()),
            c => line.push(c),
        }
    }
    line
}

/// The file alone: a whole tree in a log helps nobody.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").field("file", &self.file).finish_non_exhaustive()
    }
}

/// So many letters of a word tell which longer one was meant.
const TELLING: usize = 3;

/// The word of `known` that was probably meant: the one that begins with it, else the nearest, where a few letters
/// differ.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let known: Vec<&str> = known.into_iter().collect();
    let written = folded(word);
    let mut longer = known.iter().copied().filter(|known| begins(&folded(known), &written));
    match (longer.next(), longer.next()) {
        (Some(only), None) => Some(only),
        _ => least_distant(word, known),
    }
}

/// The name of `known` that was probably meant, where people write parts of names: one that begins with it, else one that
/// contains it, the shortest of several; else the nearest, where a few letters differ.
pub fn nearest_name<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let known: Vec<&str> = known.into_iter().collect();
    let written = folded(name);
    let is_telling = written.chars().count() >= TELLING;
    let rank = |known: &&str| {
        let known = folded(known);
        let is_within = is_telling && known.contains(&written);
        is_within.then(|| (!known.starts_with(&written), known.chars().count()))
    };
    let within = known.iter().copied().filter_map(|known| Some((rank(&known)?, known))).min_by_key(|(rank, _)| *rank);
    within.map(|(_, known)| known).or_else(|| least_distant(name, known))
}

fn begins(known: &str, written: &str) -> bool {
    written.chars().count() >= TELLING && known.starts_with(written)
}

/// A word without what people leave out or put in as they like: case, spaces, `-` and `_`.
fn folded(word: &str) -> String {
    word.chars().filter(|c| !c.is_whitespace() && !matches!(c, '-' | '_')).flat_map(char::to_lowercase).collect()
}

fn least_distant<'a>(word: &str, known: Vec<&'a str>) -> Option<&'a str> {
    let allowed = ((word.chars().count() + 1) / 3).clamp(1, 3);
    let near = known.into_iter().filter_map(|candidate| Some((distance(word, candidate, allowed)?, candidate)));
    near.min_by_key(|(distance, _)| *distance).map(|(_, word)| word)
}

/// How many letters must be changed, added or dropped to make one word the other; case and `-` for `_` are free. `None`
/// where it is more than `most`, which is soon seen.
fn distance(a: &str, b: &str, most: usize) -> Option<usize> {
    let letters = |word: &str| word.to_lowercase().replace('-', "_").chars().take(64).collect::<Vec<_>>();
    let (a, b) = (letters(a), letters(b));
    if a.len().abs_diff(b.len()) > most {
        return None;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
        if row.iter().min() > Some(&most) {
            return None;
        }
    }
    Some(row[b.len()]).filter(|distance| *distance <= most)
}

#[cfg(test)]
mod tests;
