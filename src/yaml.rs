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
use tree::Node;

/// The largest file that is read, in bytes; a config or a manifest is a thousand times smaller.
const LARGEST_FILE: u64 = 8 << 20;

/// How many mistakes of a file are told; a file with more is wrong as a whole.
const MOST_PROBLEMS: usize = 50;

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
        let (file, text) = (file.into(), text.into());
        if text.len() as u64 > LARGEST_FILE {
            let message = format!("the file is larger than {} MiB, which no config or manifest is", LARGEST_FILE >> 20);
            return Err(Problems::of_file(&file, message));
        }
        match tree::parse(&text) {
            Ok(root) => Ok(Self { file, text, root, notes: Mutex::default() }),
            Err(error) => Err(Problems { file, problems: vec![syntax::problem(&text, &error)] }),
        }
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
        notes.dedup();
        let left_out = notes.len().saturating_sub(MOST_PROBLEMS);
        let located = notes.into_iter().take(MOST_PROBLEMS).map(|(spot, message)| Problem {
            place: tree::locate(&self.text, spot.node),
            key: spot.key,
            message,
        });
        let mut problems = Problems { file: self.file.clone(), problems: located.collect() };
        if left_out > 0 {
            let message = format!("and {left_out} more mistakes; mend these first");
            problems.problems.push(Problem { place: None, key: String::new(), message });
        }
        problems
    }

    fn note(&self, node: usize, key: &str, message: String) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.push((Spot { node, key: key.to_owned() }, message));
    }
}

/// The file alone: a whole tree in a log helps nobody.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").field("file", &self.file).finish_non_exhaustive()
    }
}

/// The word of `known` that was probably meant: the nearest, where a few letters differ.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = ((word.chars().count() + 1) / 3).clamp(1, 3);
    let near = known.into_iter().map(|candidate| (distance(word, candidate), candidate));
    near.filter(|(distance, _)| *distance <= allowed).min_by_key(|(distance, _)| *distance).map(|(_, word)| word)
}

/// How many letters must be changed, added or dropped to make one word the other; case and `-` for `_` are free.
fn distance(a: &str, b: &str) -> usize {
    let letters = |word: &str| word.to_lowercase().replace('-', "_").chars().take(64).collect::<Vec<_>>();
    let (a, b) = (letters(a), letters(b));
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests;
