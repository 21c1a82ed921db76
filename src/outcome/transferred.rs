//! `.transferdone` of a PacBio cell: some words, and then the files that were sent, a line each, under their paths on the
//! instrument. Those mean nothing here, so the names are taken [runscanner].

use std::collections::HashSet;

/// The names of the files, each once, in the list's order.
pub(super) fn names(text: &str) -> Vec<String> {
    let mut seen = HashSet::new();
    text.lines().filter_map(name).filter(|name| seen.insert(*name)).map(str::to_owned).collect()
}

/// The name of the file that a line names: a whole path, or one word that looks like a file.
fn name(line: &str) -> Option<&str> {
    let line = line.trim();
    if !line.starts_with('/') && line.contains(char::is_whitespace) {
        return None;
    }
    let (_, name) = line.rsplit_once(['/', '\\']).unwrap_or(("", line));
    let looks_like_a_file = name.rsplit_once('.').is_some_and(|(stem, ending)| !stem.is_empty() && !ending.is_empty());
    ((line.starts_with('/') && !name.is_empty()) || looks_like_a_file).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_passed_over_and_names_taken() {
        let text = "Transfer Manifest nfiles: 3\nAcqId 00000000-0000 transfer list size : 3\n\
                    /data/icc/m84000_s1/hifi_reads/m84000_s1.hifi_reads.bc2001.bam\n\
                    /data/icc/m84000_s1/hifi_reads/m84000_s1.hifi_reads.bc2001.bam.pbi\r\n\
                    /data/icc/m84000_s1/metadata/a name\n/data/icc/m84000_s1/other/\nm84000_s1.sts.xml\n\
                    /elsewhere/m84000_s1.sts.xml\n";
        let expected =
            ["m84000_s1.hifi_reads.bc2001.bam", "m84000_s1.hifi_reads.bc2001.bam.pbi", "a name", "m84000_s1.sts.xml"];
        assert_eq!(names(text), expected);
        for words in ["", "done", "Done.", "all 3 files were sent to /data/x.bam"] {
            assert!(names(words).is_empty(), "{words}");
        }
    }
}
