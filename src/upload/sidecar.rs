//! Checksum files that lie beside a part: `X.md5`, `X.sha256`, `md5sums.txt` and their kind, as sequencing centres and
//! instruments write them.
//!
//! A checksum file that cannot be understood, or names other files, says nothing: it is no part of the sample, and must
//! not keep it back. One that names the part and states a checksum is taken at its word.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER_PERMISSIVE;

use crate::observation::open_at_once;

/// A larger file is no list of checksums.
const LARGEST: u64 = 4 * 1024 * 1024;
/// So many checksum files that are not its own are read for a part: a folder may hold one for each of its thousands of
/// files.
const MOST: usize = 32;

/// How a checksum is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Algorithm {
    Md5,
    Sha256,
}

impl Algorithm {
    const ALL: [Algorithm; 2] = [Algorithm::Md5, Algorithm::Sha256];

    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha256 => "SHA-256",
        }
    }

    /// Bytes of a checksum.
    fn length(self) -> usize {
        match self {
            Algorithm::Md5 => 16,
            Algorithm::Sha256 => 32,
        }
    }

    /// As it stands at the end of a checksum file's name.
    fn extensions(self) -> &'static [&'static str] {
        match self {
            Algorithm::Md5 => &["md5", "md5sum", "md5sums"],
            Algorithm::Sha256 => &["sha256", "sha256sum", "sha256sums"],
        }
    }
}

/// What a checksum file says of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stated {
    /// The checksum file.
    pub by: PathBuf,
    pub algorithm: Algorithm,
    pub digest: Vec<u8>,
}

/// The checksum files of the folders that parts lie in. A folder is listed once, however many parts it holds.
#[derive(Default)]
pub(super) struct Sidecars {
    folders: HashMap<PathBuf, Vec<(OsString, Algorithm)>>,
}

impl Sidecars {
    /// What the checksum files beside a part say of it. What cannot be read says nothing.
    pub fn beside(&mut self, part: &Path) -> Vec<Stated> {
        let (Some(folder), Some(name)) = (part.parent(), part.file_name()) else { return Vec::new() };
        let name = name.as_bytes();
        let lists = self.folders.entry(folder.to_owned()).or_insert_with(|| lists_in(folder));
        let own = lists.iter().filter(|(list, _)| is_of(list.as_bytes(), name)).map(|list| (list, true));
        let others = lists.iter().filter(|(list, _)| !is_of(list.as_bytes(), name)).map(|list| (list, false));
        let read = |((list, algorithm), is_own): (&(OsString, Algorithm), bool)| {
            let path = folder.join(list);
            let digest = stated_of(&read(&path)?, name, *algorithm, is_own)?;
            Some(Stated { by: path, algorithm: *algorithm, digest })
        };
        own.chain(others.take(MOST)).filter_map(read).collect()
    }
}

/// The checksum files of a folder; those first whose names are no single file's.
fn lists_in(folder: &Path) -> Vec<(OsString, Algorithm)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let list = |entry: std::io::Result<fs::DirEntry>| {
        let name = entry.ok()?.file_name();
        let algorithm = algorithm_of(name.as_bytes())?;
        Some((name, algorithm))
    };
    let mut lists: Vec<_> = entries.filter_map(list).collect();
    let dots = |name: &OsString| name.as_bytes().iter().filter(|byte| **byte == b'.').count();
    lists.sort_by_cached_key(|(name, _)| (dots(name), name.clone()));
    lists
}

/// Which checksums a file of this name lists, if it is a list of them: `X.md5`, `md5sums.txt`, `SHA256SUMS`.
fn algorithm_of(name: &[u8]) -> Option<Algorithm> {
    let name = name.to_ascii_lowercase();
    let stem = without_txt(&name);
    Algorithm::ALL.into_iter().find(|algorithm| {
        algorithm.extensions().iter().any(|extension| {
            let before = stem.strip_suffix(extension.as_bytes());
            // `X.md5`, or the whole name; `X.md5.txt` as well.
            before.is_some_and(|before| before.is_empty() || before.ends_with(b"."))
        })
    })
}

fn without_txt(name: &[u8]) -> &[u8] {
    name.strip_suffix(b".txt").or_else(|| name.strip_suffix(b".TXT")).unwrap_or(name)
}

/// Whether a checksum file is the part's own by its name, so that a checksum alone in it is the part's. Behind the
/// part's name comes nothing else: `x.bam.bai.md5` is that of the index, not that of `x.bam`.
fn is_of(list: &[u8], part: &[u8]) -> bool {
    let ending = list.strip_prefix(part).and_then(|rest| rest.strip_prefix(b"."));
    ending.is_some_and(|ending| !without_txt(ending).contains(&b'.'))
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let file = open_at_once(path).ok()?;
    let metadata = file.metadata().ok()?;
    if !metadata.is_file() || metadata.len() > LARGEST {
        return None;
    }
    let mut text = Vec::new();
    file.take(LARGEST).read_to_end(&mut text).ok()?;
    Some(text)
}

/// The checksum that a list states for the file of this name.
fn stated_of(text: &[u8], name: &[u8], algorithm: Algorithm, is_own: bool) -> Option<Vec<u8>> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let lines = || text.split(|byte| *byte == b'\n').map(|line| line.trim_ascii()).filter(|line| !line.is_empty());
    let named = lines().find_map(|line| {
        let (digest, listed) = gnu(line, algorithm).or_else(|| bsd(line, algorithm))?;
        // A path counts by its last name: lists are made where the files lay then, and on Windows too.
        let last = |is_separator: fn(&u8) -> bool| listed.rsplit(is_separator).next() == Some(name);
        (last(|byte| *byte == b'/') || last(|byte| matches!(byte, b'/' | b'\\'))).then_some(digest)
    });
    named.or_else(|| {
        let mut lines = lines();
        let (only, more) = (lines.next()?, lines.next());
        if is_own && more.is_none() { digest(only, algorithm) } else { None }
    })
}

/// `d41d8cd9…  name`, `d41d8cd9… *name`, and `\d41d8cd9…  na\nme` where the name is escaped.
fn gnu(line: &[u8], algorithm: Algorithm) -> Option<(Vec<u8>, Vec<u8>)> {
    let (line, is_escaped) = match line.strip_prefix(b"\\") {
        Some(rest) => (rest, true),
        None => (line, false),
    };
    let end = line.iter().position(u8::is_ascii_whitespace)?;
    let digest = digest(&line[..end], algorithm)?;
    let name = line[end..].trim_ascii_start();
    let name = name.strip_prefix(b"*").unwrap_or(name);
    Some((digest, if is_escaped { unescaped(name) } else { name.to_vec() }))
}

/// `MD5 (name) = d41d8cd9…`, as BSD writes it and GNU with `--tag`.
fn bsd(line: &[u8], algorithm: Algorithm) -> Option<(Vec<u8>, Vec<u8>)> {
    let (line, is_escaped) = match line.strip_prefix(b"\\") {
        Some(rest) => (rest, true),
        None => (line, false),
    };
    let begin = line.iter().position(|byte| *byte == b'(')?;
    let said = line[..begin].trim_ascii().to_ascii_uppercase();
    let is_ours = match algorithm {
        Algorithm::Md5 => said == b"MD5",
        Algorithm::Sha256 => said == b"SHA256" || said == b"SHA2-256" || said == b"SHA-256",
    };
    let end = line.iter().rposition(|byte| *byte == b')').filter(|end| is_ours && *end > begin)?;
    let value = line[end + 1..].trim_ascii().strip_prefix(b"=")?;
    let name = &line[begin + 1..end];
    Some((digest(value.trim_ascii(), algorithm)?, if is_escaped { unescaped(name) } else { name.to_vec() }))
}

fn digest(hexadecimal: &[u8], algorithm: Algorithm) -> Option<Vec<u8>> {
    HEXLOWER_PERMISSIVE.decode(hexadecimal).ok().filter(|digest| digest.len() == algorithm.length())
}

/// A name as `md5sum` escapes it: `\n`, `\r` and `\\`.
fn unescaped(name: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(name.len());
    let mut bytes = name.iter();
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'\\' => match bytes.next() {
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(other) => *other,
                None => b'\\',
            },
            byte => *byte,
        });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    const MD5: &str = "0cc175b9c0f1b6a831c399e269772661";
    const OTHER: &str = "92eb5ffee6ae2fec3ad71c777531578f";
    const SHA256: &str = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4f72b9807785afee48bb";

    fn beside(part: &Path) -> Vec<Stated> {
        Sidecars::default().beside(part)
    }

    /// What the list of this name and text says of the file `a.fastq.gz` beside it.
    fn said(list: &str, text: &str) -> Option<(Algorithm, String)> {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(list), text).unwrap();
        let mut stated = beside(&dir.path().join("a.fastq.gz"));
        assert!(stated.len() <= 1);
        let stated = stated.pop()?;
        assert_eq!(stated.by, dir.path().join(list));
        Some((stated.algorithm, HEXLOWER_PERMISSIVE.encode(&stated.digest)))
    }

    #[test]
    fn every_usual_form_is_understood() {
        let upper = MD5.to_uppercase();
        for (list, text) in [
            ("a.fastq.gz.md5", MD5.to_owned()),
            ("a.fastq.gz.md5", format!("{upper}\r\n")),
            ("a.fastq.gz.md5", format!("{MD5}  a.fastq.gz\n")),
            ("a.fastq.gz.md5.txt", format!("{MD5}  a.fastq.gz\n")),
            ("a.fastq.gz.MD5SUM", format!("{MD5} *./run/a.fastq.gz")),
            ("md5sums.txt", format!("{OTHER}  b.fastq.gz\n{MD5}  a.fastq.gz\n")),
            ("md5sum.txt", format!("{OTHER}  aa.fastq.gz\n{upper}\ta.fastq.gz\n")),
            ("MD5SUMS", format!("\u{feff}{MD5}  D:\\run\\a.fastq.gz\r\n")),
            ("checksums.md5", format!("# made by hand\n\nMD5 (sub/a.fastq.gz) = {upper}\n")),
        ] {
            assert_eq!(said(list, &text), Some((Algorithm::Md5, MD5.to_owned())), "{list}: {text}");
        }
        for (list, text) in [
            ("a.fastq.gz.sha256", SHA256.to_owned()),
            ("run.sha256", format!("{SHA256} *a.fastq.gz")),
            ("sha256sums.txt", format!("SHA256 (a.fastq.gz) = {SHA256}")),
            ("SHA256SUMS", format!("SHA2-256(a.fastq.gz)= {SHA256}")),
        ] {
            assert_eq!(said(list, &text), Some((Algorithm::Sha256, SHA256.to_owned())), "{list}: {text}");
        }
    }

    #[test]
    fn what_does_not_name_the_file_says_nothing() {
        for (list, text) in [
            ("b.fastq.gz.md5", MD5.to_owned()),
            ("a.fastq.gz.tbi.md5", MD5.to_owned()),
            ("a.fastq.gz.tbi.md5.txt", MD5.to_owned()),
            ("md5sums.txt", MD5.to_owned()),
            ("md5sums.txt", format!("{MD5}  b.fastq.gz\n{MD5}  aa.fastq.gz\n{MD5}  A.fastq.gz")),
            ("a.fastq.gz.md5", "to be done".to_owned()),
            ("a.fastq.gz.md5", format!("{MD5}\n{OTHER}\n")),
            ("a.fastq.gz.md5", MD5[1..].to_owned()),
            ("a.fastq.gz.sha256", format!("{MD5}  a.fastq.gz")),
            ("a.fastq.gz.sha256", format!("MD5 (a.fastq.gz) = {MD5}")),
            ("notes.txt", format!("{MD5}  a.fastq.gz")),
            ("amd5", format!("{MD5}  a.fastq.gz")),
            ("a.fastq.gz.md5", String::new()),
            ("md5sums.txt", format!("{MD5}  a.fastq.gz{}", " ".repeat(LARGEST as usize))),
        ] {
            assert_eq!(said(list, &text), None, "{list}: {}", &text[..text.len().min(100)]);
        }
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("a.fastq.gz.md5")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            dir.path().join("md5sums.txt"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        assert_eq!(beside(&dir.path().join("a.fastq.gz")), []);
        assert_eq!(beside(Path::new("/no/such/folder/a.fastq.gz")), []);
    }

    #[test]
    fn names_that_md5sum_escapes_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let name = OsStr::from_bytes(b"two\nlines\\ \xff.gz");
        let line = [b"\\", MD5.as_bytes(), b"  two\\nlines\\\\ \xff.gz\n"].concat();
        fs::write(dir.path().join("a.md5"), line).unwrap();
        assert_eq!(beside(&dir.path().join(name)).len(), 1);
    }

    #[test]
    fn a_folder_of_many_lists_is_not_read_through() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..MOST * 3 {
            fs::write(dir.path().join(format!("{n}.gz.md5")), format!("{OTHER}  {n}.gz")).unwrap();
        }
        let lasts: String = (0..MOST * 3).map(|n| format!("{MD5}  {n}.gz\n")).collect();
        fs::write(dir.path().join("md5sums.txt"), lasts).unwrap();
        for n in [0, 50, MOST * 3 - 1] {
            let stated = beside(&dir.path().join(format!("{n}.gz")));
            assert_eq!(stated.len(), 2, "its own, and the one for all: {stated:?}");
        }
    }
}
