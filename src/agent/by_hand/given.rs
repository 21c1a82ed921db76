//! What a person gives to be uploaded, and the sample that it is in the journal: one and the same for the same words.

use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::sample::{BY_HAND, Fingerprint, Kind, Part, Sample, SampleKey, Slot, Target, path_to_text};

/// So many letters and digits of the hash tell uploads by hand apart; with the name beside them, that is plenty.
const HASH_LENGTH: usize = 10;

/// One upload by hand. Names and values are the giver's own, and go to Flow unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    name: String,
    target: Target,
    slots: Vec<Slot>,
}

/// A file that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenFile {
    /// `reads1`, `reads2`, or the name of another key.
    pub key: String,
    pub path: PathBuf,
    /// The name under which Flow stores it, unless it is the file's own.
    pub filename: Option<String>,
}

/// Why a file cannot be uploaded.
#[derive(Debug, thiserror::Error)]
pub enum GivenError {
    #[error("cannot read {}: {source}", path_to_text(path))]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("cannot upload {}: it is no plain file", path_to_text(.0))]
    NoFile(PathBuf),
    #[error("cannot upload {}: it is empty, and Flow cannot take an empty file", path_to_text(.0))]
    Empty(PathBuf),
    #[error("cannot upload {} under its own name, which is not UTF-8; give it another", path_to_text(.0))]
    Name(PathBuf),
}

impl Given {
    /// Looks at the files, in the order in which they go up. `name` is the first file's where none is given.
    ///
    /// # Errors
    /// The first file that cannot be uploaded.
    pub fn new(name: Option<String>, target: Target, files: Vec<GivenFile>) -> Result<Self, GivenError> {
        let slots = files.into_iter().map(GivenFile::slot).collect::<Result<Vec<_>, _>>()?;
        let name = name.or_else(|| slots.first().map(|slot| slot.filename.clone())).unwrap_or_default();
        Ok(Self { name, target, slots })
    }

    /// The sample in the journal: the same for the same words, files and server. `again` counts the times that a
    /// person wanted it on Flow once more.
    pub fn sample(&self, base_url: &str, again: u32) -> Sample {
        let kind = match &self.target {
            Target::Sample { .. } => Kind::Sample,
            Target::Data { .. } => Kind::Data,
            Target::Multiplexed { .. } => Kind::Multiplexed,
        };
        let run = format!("{BY_HAND} {}", self.hash(base_url, again));
        let key = SampleKey { kind, watch: BY_HAND.to_owned(), run, name: self.name.clone() };
        Sample {
            key,
            rule: BY_HAND.to_owned(),
            target: self.target.clone(),
            slots: self.slots.clone(),
            sheets: Vec::new(),
        }
    }

    fn hash(&self, base_url: &str, again: u32) -> String {
        let mut target = self.target.clone();
        if let Target::Sample { metadata, .. } = &mut target {
            // Said in another order it is the same.
            metadata.sort();
        }
        let target = serde_json::to_string(&target).expect("a target has no maps with other keys than strings");
        let mut words = vec![base_url.to_owned(), again.to_string(), target];
        for slot in &self.slots {
            words.extend([slot.key.clone(), slot.filename.clone()]);
            words.extend(slot.parts.iter().map(|part| path_to_text(&part.path)));
        }
        let mut hash = Sha256::new();
        for word in words {
            hash.update((word.len() as u64).to_be_bytes());
            hash.update(word);
        }
        let mut encoded = data_encoding::BASE32_DNSCURVE.encode(&hash.finalize());
        encoded.truncate(HASH_LENGTH);
        encoded
    }
}

impl GivenFile {
    /// A file under its own name.
    pub fn new(key: &str, path: impl Into<PathBuf>) -> Self {
        Self { key: key.to_owned(), path: path.into(), filename: None }
    }

    /// Looks whether it can be uploaded.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn check(self) -> Result<(), GivenError> {
        self.slot().map(|_| ())
    }

    fn slot(self) -> Result<Slot, GivenError> {
        let unreadable = |source| GivenError::Unreadable { path: self.path.clone(), source };
        // Looked at before it is opened: opening a named pipe would wait for its writer.
        if !std::fs::metadata(&self.path).map_err(unreadable)?.is_file() {
            return Err(GivenError::NoFile(self.path));
        }
        let metadata = std::fs::File::open(&self.path).and_then(|file| file.metadata()).map_err(unreadable)?;
        let fingerprint = Fingerprint::of(&metadata);
        if fingerprint.size == 0 {
            return Err(GivenError::Empty(self.path));
        }
        let path = one_way_there(&self.path).map_err(unreadable)?;
        let own_name = || path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        let filename = self.filename.clone().or_else(own_name).ok_or_else(|| GivenError::Name(self.path.clone()))?;
        Ok(Slot { key: self.key, filename, parts: vec![Part { path, fingerprint }] })
    }
}

/// The absolute path without links and dots on the way, whichever way was named; the last part keeps its own name.
fn one_way_there(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) => Ok(folder.canonicalize()?.join(name)),
        _ => path.canonicalize(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(metadata: &[(&str, &str)]) -> Target {
        Target::Sample {
            name: "S 1".to_owned(),
            sample_type: "RNA-Seq".to_owned(),
            organism: None,
            project: None,
            project_name: None,
            metadata: metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        }
    }

    #[test]
    fn the_same_words_are_the_same_sample_and_other_words_another() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a b.fastq");
        std::fs::write(&file, "reads").unwrap();
        let given = |metadata: &[(&str, &str)], path: &Path| {
            let files = vec![GivenFile::new("reads1", path)];
            Given::new(Some("S 1".to_owned()), target(metadata), files).unwrap()
        };
        let plain = given(&[("a", "1"), ("b", "2")], &file);
        let sample = plain.sample("https://x/api", 0);
        assert_eq!((sample.key.name.as_str(), sample.slots[0].filename.as_str()), ("S 1", "a b.fastq"));
        let roundabout = given(&[("b", "2"), ("a", "1")], &dir.path().join("./a b.fastq"));
        assert_eq!(roundabout.sample("https://x/api", 0).id(), sample.id());
        std::fs::write(&file, "other reads").unwrap();
        assert_eq!(given(&[("a", "1"), ("b", "2")], &file).sample("https://x/api", 0).id(), sample.id());
        assert_ne!(given(&[("a", "1")], &file).sample("https://x/api", 0).id(), sample.id());
        assert_ne!(plain.sample("https://y/api", 0).id(), sample.id());
        assert_ne!(plain.sample("https://x/api", 1).id(), sample.id());
    }

    #[test]
    fn what_is_no_file_with_bytes_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let slot = |path: &Path| GivenFile::new("reads1", path).slot();
        assert!(matches!(slot(dir.path()), Err(GivenError::NoFile(_))));
        assert!(matches!(slot(&dir.path().join("none")), Err(GivenError::Unreadable { .. })));
        std::fs::write(dir.path().join("empty"), "").unwrap();
        assert!(matches!(slot(&dir.path().join("empty")), Err(GivenError::Empty(_))));
    }
}
