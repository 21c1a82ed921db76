//! What reads are called in a folder that no layout fits: a pattern, guessed from the names that are there.

use std::collections::{BTreeMap, BTreeSet};

/// What reads' names end with.
const ENDINGS: [&str; 6] = [".fastq.gz", ".fq.gz", ".fastq", ".fq", ".bam", ".cram"];

/// A pattern, and what it was guessed from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Guess {
    /// For `match`.
    pub pattern: String,
    /// Whether files were found that differ in a 1 and a 2 alone.
    pub is_paired: bool,
    /// How many files it fits.
    pub files: usize,
}

/// Whether a file may hold reads, by its name.
pub(super) fn are_reads(name: &str) -> bool {
    ending(name).is_some()
}

fn ending(name: &str) -> Option<&'static str> {
    ENDINGS.into_iter().find(|ending| name.len() > ending.len() && name.ends_with(ending))
}

/// The pattern that fits most of the files, given by their paths; `None` where none of them may hold reads. Two files
/// of one folder whose names differ in a 1 and a 2 are taken for mates.
pub(super) fn guess<'a>(paths: impl Iterator<Item = &'a str>) -> Option<Guess> {
    let paths: BTreeSet<&str> = paths.filter(|path| are_reads(path)).collect();
    let mut pairs: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut singles: BTreeMap<&str, usize> = BTreeMap::new();
    for path in &paths {
        *singles.entry(ending(path)?).or_default() += 1;
        for (at, _) in path.match_indices('1') {
            let mate = format!("{}2{}", &path[..at], &path[at + 1..]);
            if let Some(context) = context(path, at).filter(|_| paths.contains(mate.as_str())) {
                *pairs.entry(context).or_default() += 2;
            }
        }
    }
    let most =
        |counts: &BTreeMap<&'a str, usize>| counts.iter().max_by_key(|(_, files)| **files).map(|(e, n)| (*e, *n));
    let (single, of_single) = most(&singles)?;
    // Where two numbers of a name go in pairs, the last one is the read: S1_1.fq, S2_1.fq.
    let best = pairs.iter().max_by_key(|((before, behind), files)| (**files, std::cmp::Reverse(behind.len()), *before));
    match best {
        Some(((before, behind), files)) if files * 2 >= of_single => Some(Guess {
            pattern: format!("**/{{sample}}{}{{read}}{}", literal(before)?, literal(behind)?),
            is_paired: true,
            files: *files,
        }),
        _ => Some(Guess { pattern: format!("**/{{sample}}{single}"), is_paired: false, files: of_single }),
    }
}

/// What stands between the sample's name and the digit at `at`, and what stands behind it: `_R` and `.fastq.gz`.
fn context(path: &str, at: usize) -> Option<(&str, &str)> {
    let (before, behind) = (&path[..at], &path[at + 1..]);
    let word = before.rfind(|c: char| !c.is_ascii_alphabetic())?;
    let is_separator = matches!(before.as_bytes()[word], b'_' | b'.' | b'-');
    let name = &before[..word];
    let is_named = !name.is_empty() && !name.ends_with('/');
    // A sample's own number is no read.
    let is_alone = !behind.starts_with(|c: char| c.is_ascii_alphanumeric()) && !behind.contains('/');
    (is_separator && is_named && is_alone).then_some((&before[word..], behind))
}

/// A text as a pattern that means itself; `None` for what no pattern can say.
fn literal(text: &str) -> Option<String> {
    (!text.contains(['*', '?'])).then(|| text.replace('{', "{{").replace('}', "}}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::Pattern;

    fn of(paths: &[&str]) -> Guess {
        let guess = guess(paths.iter().copied()).unwrap();
        let pattern = Pattern::parse(&guess.pattern).unwrap();
        let fits = paths.iter().filter(|path| pattern.is_match(path)).count();
        assert!(fits >= guess.files, "{guess:?} fits {fits}");
        guess
    }

    #[test]
    fn mates_are_found_by_the_digit_in_which_they_differ() {
        let guess = of(&["a/S1.R1.fq.gz", "a/S1.R2.fq.gz", "a/S2.R1.fq.gz", "a/S2.R2.fq.gz", "notes.txt"]);
        assert_eq!(guess, Guess { pattern: "**/{sample}.R{read}.fq.gz".into(), is_paired: true, files: 4 });
        assert_eq!(of(&["x-read1-raw.fastq", "x-read2-raw.fastq"]).pattern, "**/{sample}-read{read}-raw.fastq");
        assert_eq!(of(&["S_1_1.fq", "S_1_2.fq", "S_2_1.fq", "S_2_2.fq"]).pattern, "**/{sample}_{read}.fq");
    }

    #[test]
    fn what_has_no_mates_is_named_by_its_ending() {
        let guess = of(&["liver1.bam", "liver2.bam", "b.bam", "c.fq"]);
        assert_eq!(guess, Guess { pattern: "**/{sample}.bam".into(), is_paired: false, files: 3 });
        assert_eq!(super::guess(["a.txt", ".bam", "x/y"].into_iter()), None);
    }
}
