//! Files of reads in which there is not one: what a demultiplexer writes for a sample that nothing was found for.
//!
//! bcl2fastq and BCL Convert write a gzip file of 20 to 30 bytes then. Only files of about that size are looked into,
//! each once for as long as it stays as it is.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use crate::sample::Fingerprint;

/// A gzip file of nothing is a header, perhaps with a name in it, two bytes and a trailer; of several members, a few of
/// them. What is larger has something in it.
pub const LARGEST_BLANK: u64 = 1024;

/// So many files are remembered.
const MOST_KEPT: usize = 100_000;

/// What was found of small files.
#[derive(Debug, Default)]
pub(super) struct Blanks {
    kept: HashMap<PathBuf, (Fingerprint, bool)>,
}

impl Blanks {
    /// Whether a gzip file has nothing in it. One that changed, is cut off or cannot be read is not said to.
    pub fn is_blank(&mut self, path: &Path, fingerprint: Fingerprint) -> bool {
        if let Some((_, is_blank)) = self.kept.get(path).filter(|(seen, _)| *seen == fingerprint) {
            return *is_blank;
        }
        let Ok(is_blank) = look(path, fingerprint) else { return false };
        if self.kept.len() >= MOST_KEPT {
            self.kept.clear();
        }
        self.kept.insert(path.to_owned(), (fingerprint, is_blank));
        is_blank
    }
}

fn look(path: &Path, fingerprint: Fingerprint) -> io::Result<bool> {
    let file = File::open(path)?;
    let mut bytes = Vec::new();
    (&file).take(LARGEST_BLANK + 1).read_to_end(&mut bytes)?;
    if Fingerprint::of(&file.metadata()?) != fingerprint {
        return Err(io::Error::other("it has changed"));
    }
    // One byte that comes out is enough.
    let first = MultiGzDecoder::new(bytes.as_slice()).read(&mut [0]);
    Ok(bytes.len() as u64 <= LARGEST_BLANK && matches!(first, Ok(0)))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, GzBuilder};

    use super::*;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzBuilder::new().filename("S1_R1_001.fastq").write(Vec::new(), Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn only_a_whole_gzip_file_of_nothing_is_blank_and_is_looked_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("S1_R1_001.fastq.gz");
        let is_blank = |blanks: &mut Blanks, bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            blanks.is_blank(&path, Fingerprint::of(&std::fs::metadata(&path).unwrap()))
        };
        let nothing = gzip(b"");
        let cases: [(&[u8], bool); 6] = [
            (&nothing, true),
            (&[nothing.clone(), nothing.clone()].concat(), true),
            (&[nothing.clone(), gzip(b"@r\nA\n+\nI\n")].concat(), false),
            (&nothing[..nothing.len() - 1], false),
            (b"no gzip file at all", false),
            (&gzip(&[b'A'; 5000]), false),
        ];
        for (n, (bytes, expected)) in cases.into_iter().enumerate() {
            assert_eq!(is_blank(&mut Blanks::default(), bytes), expected, "case {n}");
        }

        let mut blanks = Blanks::default();
        assert!(is_blank(&mut blanks, &nothing));
        let seen = Fingerprint::of(&std::fs::metadata(&path).unwrap());
        assert!(!blanks.is_blank(&path, Fingerprint { size: seen.size + 1, ..seen }), "it is not what was seen");
        std::fs::remove_file(&path).unwrap();
        assert!(blanks.is_blank(&path, seen), "it is remembered");
    }
}
