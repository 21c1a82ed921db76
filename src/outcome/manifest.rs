//! `Manifest.tsv` of a NovaSeq X analysis: a path below the analysis, a tab, a checksum of 8 hex digits [cleve, cg]. What
//! the digits are made of is not known, so only the paths are taken.

use std::collections::HashSet;

/// The paths, each once, in the list's order. A line that is none is passed over.
pub(super) fn paths(text: &str) -> Vec<String> {
    let mut seen = HashSet::new();
    let paths = text.lines().filter_map(|line| path(line.split_once('\t')?.0));
    paths.filter(|path| seen.insert(path.clone())).collect()
}

fn path(text: &str) -> Option<String> {
    let text = text.trim().trim_matches('"').replace('\\', "/");
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    // A header has words for its columns, and no path leads out of the run.
    let is_path = !parts.contains(&"..") && (parts.len() > 1 || parts.iter().any(|name| name.contains('.')));
    is_path.then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_a_path_and_a_checksum() {
        let text = "path\tchecksum\nData/BCLConvert/fastq/S1_S1_L001_R1_001.fastq.gz\t48915889\r\n\
                    .\\Data\\Demux\\report.html\tc0d4030b\nManifest.log\t00000000\nManifest.log\t00000000\n\
                    ../other/run\tc0d4030b\nno tab\n\t48915889\n";
        let expected = ["Data/BCLConvert/fastq/S1_S1_L001_R1_001.fastq.gz", "Data/Demux/report.html", "Manifest.log"];
        assert_eq!(paths(text), expected);
        assert!(paths("").is_empty() && paths("\t\n").is_empty());
    }
}
