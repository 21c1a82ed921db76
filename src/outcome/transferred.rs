//! `.transferdone` of a PacBio cell: some words, and then the files that were sent, a line each, under their paths on the
//! instrument [runscanner]. Those mean nothing here: a file is known by its name.

use std::collections::HashSet;

/// A file that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentFile {
    /// The name of the folder on the instrument in which it lay.
    pub folder: String,
    pub name: String,
}

/// The files, each name once, in the list's order.
pub(super) fn files(text: &str) -> Vec<SentFile> {
    let mut seen = HashSet::new();
    text.lines().filter_map(file).filter(|file| seen.insert(file.name.clone())).collect()
}

/// The file that a line names: by a whole path, or by one word that looks like a file.
fn file(line: &str) -> Option<SentFile> {
    let line = line.trim();
    if !line.starts_with('/') && line.contains(char::is_whitespace) {
        return None;
    }
    let (folder, name) = line.rsplit_once(['/', '\\']).unwrap_or(("", line));
    let looks_like_a_file = name.rsplit_once('.').is_some_and(|(stem, ending)| !stem.is_empty() && !ending.is_empty());
    if !looks_like_a_file && (name.is_empty() || !line.starts_with('/')) {
        return None;
    }
    let (_, folder) = folder.rsplit_once(['/', '\\']).unwrap_or(("", folder));
    Some(SentFile { folder: folder.to_owned(), name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::files;

    #[test]
    fn words_are_passed_over_and_names_taken() {
        let text = "Transfer Manifest nfiles: 3\nAcqId 00000000-0000 transfer list size : 3\n\
                    /data/icc/m84000_s1/hifi_reads/m84000_s1.hifi_reads.bc2001.bam\n\
                    /data/icc/m84000_s1/hifi_reads/m84000_s1.hifi_reads.bc2001.bam.pbi\r\n\
                    /data/icc/m84000_s1/metadata/a name\n/data/icc/m84000_s1/other/\nm84000_s1.sts.xml\n\
                    /elsewhere/m84000_s1.sts.xml\n";
        let expected =
            ["m84000_s1.hifi_reads.bc2001.bam", "m84000_s1.hifi_reads.bc2001.bam.pbi", "a name", "m84000_s1.sts.xml"];
        let sent = files(text);
        assert_eq!(sent.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), expected);
        assert_eq!(sent[1].folder, "hifi_reads");
        for words in ["", "done", "Done.", "all 3 files were sent to /data/x.bam"] {
            assert!(files(words).is_empty(), "{words}");
        }
    }
}
