//! The files whose content assembly asks for: sheets, found, read once for as long as they stay as they are, and looked
//! at again; and reads that may be none.
//!
//! This is the one part of the room that does I/O, all of it blocking.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use globset::{GlobBuilder, GlobMatcher};
use sha2::{Digest, Sha256};

use super::blank::{Blanks, LARGEST_BLANK};
use super::csv::LARGEST_SHEET;
use super::{Sheet, SheetError};
use crate::sample::Fingerprint;

/// So many sheets of runs are kept for the next time.
const MOST_KEPT: usize = 64;

/// What a run may need.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Files of the run that have settled, as they were seen.
    pub inside: BTreeMap<PathBuf, Fingerprint>,
    /// Paths elsewhere; the last name may have `*` and `?` in it.
    pub outside: BTreeSet<PathBuf>,
    /// Gzip files of the run that have settled, as they were seen, and are so small that there may be nothing in them.
    pub small: BTreeMap<PathBuf, Fingerprint>,
}

impl Wanted {
    /// Asks for a gzip file of reads, unless it is so large that there must be something in it.
    pub fn ask_for_reads(&mut self, path: &Path, fingerprint: Fingerprint) {
        if fingerprint.size <= LARGEST_BLANK {
            self.small.insert(path.to_owned(), fingerprint);
        }
    }
}

/// A file that was read.
#[derive(Debug, PartialEq, Eq)]
pub struct Read {
    pub path: PathBuf,
    /// Of its bytes, in hexadecimal.
    pub sha256: String,
    pub sheet: Result<Sheet, SheetError>,
}

/// How a file stands that may be a sheet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shelved {
    Read(Arc<Read>),
    /// It has just changed; when it is believed if it stays as it is.
    Changing(Duration),
    /// It cannot be read, and why.
    Unreadable(String),
}

/// What was read for a run.
#[derive(Debug, Clone, Default)]
pub struct Shelf {
    files: HashMap<PathBuf, Shelved>,
    /// What lies at each path that was asked for outside of the run, in order.
    outside: HashMap<PathBuf, Vec<PathBuf>>,
    blank: HashSet<PathBuf>,
}

impl Shelf {
    /// Whether a gzip file that was asked for has nothing in it.
    pub fn is_blank(&self, path: &Path) -> bool {
        self.blank.contains(path)
    }

    /// How a file stands; `None` where it was not asked for, or is not there.
    pub fn file(&self, path: &Path) -> Option<&Shelved> {
        self.files.get(path)
    }

    /// The files at a path outside of the run.
    pub fn outside(&self, path: &Path) -> &[PathBuf] {
        self.outside.get(path).map_or(&[], Vec::as_slice)
    }
}

/// Reads sheets, and remembers them.
#[derive(Debug)]
pub struct Library {
    /// For how long a file outside of a run must have stayed as it is before it is believed.
    settle: Duration,
    kept: HashMap<PathBuf, Kept>,
    blanks: Blanks,
    /// How what lies outside looked the last time, by the path that was asked for.
    seen: BTreeMap<PathBuf, Look>,
    /// Whether something of it was changing.
    is_changing: bool,
}

/// The files at a path, and how each looks.
type Look = Vec<(PathBuf, Option<Fingerprint>)>;

#[derive(Debug)]
struct Kept {
    fingerprint: Fingerprint,
    /// When it was first seen so.
    since: Instant,
    is_outside: bool,
    read: Option<Arc<Read>>,
}

impl Library {
    pub fn new(settle: Duration) -> Self {
        Self { settle, kept: HashMap::new(), blanks: Blanks::default(), seen: BTreeMap::new(), is_changing: false }
    }

    /// Reads what a run may need.
    pub fn read(&mut self, wanted: &Wanted) -> Shelf {
        let mut shelf = Shelf::default();
        for (path, fingerprint) in &wanted.inside {
            // The watch tells when it has settled anew.
            let shelved = self.file(path, Some(*fingerprint));
            shelf.files.extend(shelved.map(|shelved| (path.clone(), shelved)));
        }
        for path in &wanted.outside {
            let look = look(path);
            for (file, _) in &look {
                let Some(shelved) = self.file(file, None) else { continue };
                self.is_changing |= matches!(shelved, Shelved::Changing(_));
                shelf.files.insert(file.clone(), shelved);
                shelf.outside.entry(path.clone()).or_default().push(file.clone());
            }
            self.seen.insert(path.clone(), look);
        }
        let blank = wanted.small.iter().filter(|(path, seen)| self.blanks.is_blank(path, **seen));
        shelf.blank = blank.map(|(path, _)| path.clone()).collect();
        shelf
    }

    /// Whether something that lies outside of the runs looks different now, or has to be looked at anew; forgets what
    /// was asked for then, since it will be asked for again.
    pub fn has_changed(&mut self) -> bool {
        let has_changed = self.is_changing || self.seen.iter().any(|(path, seen)| look(path) != *seen);
        if has_changed {
            self.seen.clear();
            self.is_changing = false;
        }
        has_changed
    }

    /// `expected` is how the watch saw a file of a run, which it found settled.
    fn file(&mut self, path: &Path, expected: Option<Fingerprint>) -> Option<Shelved> {
        let metadata = match fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => metadata,
            Ok(_) => return Some(Shelved::Unreadable("it is no file".to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => return Some(Shelved::Unreadable(error.to_string())),
        };
        let fingerprint = Fingerprint::of(&metadata);
        if self.kept.len() >= MOST_KEPT && !self.kept.contains_key(path) {
            // Since when a file outside has been as it is, nobody else knows.
            self.kept.retain(|_, kept| kept.is_outside);
            self.kept.values_mut().for_each(|kept| kept.read = None);
        }
        let now = Instant::now();
        let kept = match self.kept.remove(path) {
            Some(kept) if kept.fingerprint == fingerprint => kept,
            _ => Kept { fingerprint, since: now, is_outside: expected.is_none(), read: None },
        };
        // Never by its modification time: a clock that jumps would make it old, and a writer can set it.
        let unchanged_for = now.duration_since(kept.since);
        let shelved = match (expected, &kept.read) {
            (Some(expected), _) if expected != fingerprint => Shelved::Changing(self.settle),
            (None, _) if unchanged_for < self.settle => Shelved::Changing(self.settle - unchanged_for),
            (_, Some(read)) => Shelved::Read(read.clone()),
            (_, None) => self.opened(path, fingerprint),
        };
        let read = if let Shelved::Read(read) = &shelved { Some(read.clone()) } else { None };
        self.kept.insert(path.to_owned(), Kept { read, ..kept });
        Some(shelved)
    }

    fn opened(&self, path: &Path, fingerprint: Fingerprint) -> Shelved {
        let mut bytes = Vec::new();
        let read = File::open(path).and_then(|file| {
            // One byte more than allowed tells a file that is too large from one that just fits.
            (&file).take(LARGEST_SHEET + 1).read_to_end(&mut bytes)?;
            file.metadata()
        });
        match read {
            Ok(after) if Fingerprint::of(&after) != fingerprint => Shelved::Changing(self.settle),
            Ok(_) => {
                let sha256 = HEXLOWER.encode(&Sha256::digest(&bytes));
                Shelved::Read(Arc::new(Read { path: path.to_owned(), sha256, sheet: Sheet::parse(&bytes) }))
            }
            Err(error) => Shelved::Unreadable(error.to_string()),
        }
    }
}

/// The files at a path whose last name may be a pattern, sorted.
fn look(path: &Path) -> Look {
    let fingerprint = |path: &Path| fs::metadata(path).ok().map(|metadata| Fingerprint::of(&metadata));
    let name = path.file_name().and_then(|name| name.to_str()).filter(|name| name.contains(['*', '?']));
    let Some(glob) = name.and_then(path_glob) else { return vec![(path.to_owned(), fingerprint(path))] };
    let entries = path.parent().and_then(|folder| fs::read_dir(folder).ok());
    let names = entries.into_iter().flatten().flatten().filter(|entry| glob.is_match(entry.file_name()));
    let mut look: Look = names.map(|entry| entry.path()).map(|path| (path.clone(), fingerprint(&path))).collect();
    look.sort_by(|(a, _), (b, _)| a.cmp(b));
    look
}

/// What a path with `*` and `?` in it stands for, none of which reaches across a `/`; all else means itself.
pub fn path_glob(path: &str) -> Option<GlobMatcher> {
    let escaped = |c: char| if matches!(c, '*' | '?') { c.to_string() } else { globset::escape(&c.to_string()) };
    let glob: String = path.chars().map(escaped).collect();
    GlobBuilder::new(&glob).literal_separator(true).build().ok().map(|glob| glob.compile_matcher())
}
