//! Reads a run's papers from disk, whole or not at all.

use std::io::{self, Read};
use std::path::Path;

use super::papers::ReadPaper;
use super::root::why;
use crate::observation::open_at_once;
use crate::outcome::{self, Expected, LARGEST, Outcome};
use crate::sample::Fingerprint;

/// What is asked of a paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Question {
    pub outcome: bool,
    pub list: bool,
    /// How many reads the run has.
    pub reads: bool,
}

impl Question {
    pub fn is_any(self) -> bool {
        self.outcome || self.list || self.reads
    }
}

/// Reads a paper, and the look of the file that was read. One that the agent may not read, or that is no such paper,
/// says so itself: nobody waits for it.
///
/// # Errors
/// What may pass: a share that is away, a disk that fails.
pub(super) fn read(path: &Path, question: Question) -> io::Result<(Option<Fingerprint>, ReadPaper)> {
    let (look, bytes) = match bytes(path) {
        Ok((look, bytes)) => (Some(look), bytes),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => (None, Err(why(&error))),
        Err(error) => return Err(error),
    };
    let outcome = question.outcome.then(|| match &bytes {
        Ok(bytes) => outcome::outcome(bytes),
        Err(why) => Outcome::Unknown(why.clone()),
    });
    let expected = question.list.then(|| match &bytes {
        Ok(bytes) => outcome::expected(bytes),
        Err(why) => Expected::Unreadable(why.clone()),
    });
    let reads = bytes.as_deref().ok().filter(|_| question.reads).and_then(outcome::reads);
    Ok((look, ReadPaper { outcome, expected, reads }))
}

/// The file's look, and its bytes, or why there are none to be had.
fn bytes(path: &Path) -> io::Result<(Fingerprint, Result<Vec<u8>, String>)> {
    let file = open_at_once(path)?;
    let metadata = file.metadata()?;
    let look = Fingerprint::of(&metadata);
    if metadata.len() > LARGEST {
        return Ok((look, Err(format!("it has more than {} MiB", LARGEST >> 20))));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes)?;
    Ok((look, Ok(bytes)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const BOTH: Question = Question { outcome: true, list: true, reads: false };

    #[test]
    fn what_is_too_large_says_so() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("Manifest.tsv");
        assert_eq!(read(&path, BOTH).unwrap_err().kind(), io::ErrorKind::NotFound);

        let file = fs::File::create(&path).unwrap();
        file.set_len(LARGEST + 1).unwrap();
        let (look, paper) = read(&path, Question { outcome: false, list: true, reads: false }).unwrap();
        assert_eq!(look.unwrap().size, LARGEST + 1);
        assert_eq!(paper.expected, Some(Expected::Unreadable("it has more than 8 MiB".to_owned())));
        assert_eq!(paper.outcome, None);

        fs::write(&path, "a/b.csv\t00000000\n").unwrap();
        let (_, paper) = read(&path, BOTH).unwrap();
        assert_eq!(paper.expected, Some(Expected::Paths(vec!["a/b.csv".to_owned()])));
    }
}
