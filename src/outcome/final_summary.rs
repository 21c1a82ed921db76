//! `final_summary_*.txt`, which MinKNOW writes when all files have been written: a key and a value a line, among them
//! `fastq_files_in_final_dest`, and as many for other kinds of file [nanoporetech/ont-output-specifications].

/// How many files of a kind there must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    pub kind: Kind,
    pub files: u64,
    /// How many of them MinKNOW could not write to their place and left on the instrument, in its fallback folder.
    pub in_fallback: u64,
}

/// Kinds of files with reads. Counts cover passed, failed and unclassified ones. Those of raw signals are left aside:
/// they are rarely copied together with the reads, and often cleaned up before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Fastq,
    Bam,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Fastq, Self::Bam];

    /// As MinKNOW calls it.
    fn key(self) -> &'static str {
        match self {
            Self::Fastq => "fastq",
            Self::Bam => "bam",
        }
    }

    /// For a person.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fastq => "FASTQ",
            Self::Bam => "BAM",
        }
    }

    /// Whether a file of this name is one.
    pub fn is_kind_of(self, name: &str) -> bool {
        let endings: &[&str] = match self {
            Self::Fastq => &[".fastq.gz", ".fastq", ".fq.gz", ".fq"],
            Self::Bam => &[".bam"],
        };
        endings.iter().any(|ending| name.ends_with(ending))
    }
}

/// The acquisition that a summary of this name is of: `final_summary_{flow_cell}_{protocol}_{acquisition}.txt`.
pub fn acquisition_of_summary(name: &str) -> Option<&str> {
    name.strip_suffix(".txt")?.rsplit('_').next().filter(|word| is_short_id(word))
}

/// The acquisition that reads in a file of this name are of: `{flow_cell}_pass_{barcode}_{protocol}_{acquisition}_{n}.*`.
pub fn acquisition_of_reads(name: &str) -> Option<&str> {
    let mut words = name.split('.').next()?.rsplit('_');
    let is_part = words.next()?.bytes().all(|byte| byte.is_ascii_digit());
    let acquisition = words.next().filter(|word| is_part && is_short_id(word))?;
    words.any(|word| matches!(word, "pass" | "fail")).then_some(acquisition)
}

/// MinKNOW shortens an id to its first characters.
fn is_short_id(word: &str) -> bool {
    word.len() == 8 && word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The counts; `None` where the text has none, so that it is something else.
pub(super) fn counts(text: &str) -> Option<Vec<Count>> {
    let value = |kind: Kind, place: &str| {
        let key = format!("{}_files_in_{place}", kind.key());
        let fields = text.lines().filter_map(|line| line.split_once('='));
        fields.filter(|(name, _)| name.trim() == key).find_map(|(_, value)| value.trim().parse::<u64>().ok())
    };
    let count = |kind| {
        let in_fallback = value(kind, "fallback").unwrap_or_default();
        Some(Count { kind, files: value(kind, "final_dest")?.saturating_add(in_fallback), in_fallback })
    };
    let counts: Vec<Count> = Kind::ALL.into_iter().filter_map(count).collect();
    (!counts.is_empty()).then_some(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_reads_with_what_is_left_on_the_instrument() {
        let text = "instrument=MN00000\nposition=\nflow_cell_id=FAP00000\nstarted=2026-11-10T21:51:17.158001+03:00\n\
                    basecalling_enabled=1\nfast5_files_in_final_dest=685\nfastq_files_in_final_dest=685\r\n\
                    fastq_files_in_fallback=3\nbam_files_in_final_dest = 0\npod5_files_in_final_dest=12\n";
        let count = |kind, files, in_fallback| Count { kind, files, in_fallback };
        assert_eq!(counts(text), Some(vec![count(Kind::Fastq, 688, 3), count(Kind::Bam, 0, 0)]));
        assert_eq!(counts("fastq_files_in_final_dest=many\n"), None);
        assert_eq!(counts("final_summary_FAP.txt\n"), None);
        assert_eq!(counts(""), None);
    }

    #[test]
    fn names_tell_the_acquisition() {
        assert_eq!(acquisition_of_summary("final_summary_PAA12345_e05460c6_0f1d7e9e.txt"), Some("0f1d7e9e"));
        assert_eq!(acquisition_of_summary("final_summary_A.txt"), None);
        assert_eq!(acquisition_of_reads("PAA12345_pass_barcode01_e05460c6_0f1d7e9e_12.fastq.gz"), Some("0f1d7e9e"));
        assert_eq!(acquisition_of_reads("FAK72834_fail_298b7829_0.fastq"), Some("298b7829"));
        for other in
            ["lib_20250603_1.fastq.gz", "PAA12345_pass_0f1d7e9e.bam", "PAA12345_pass_liver_0.fastq.gz", "x.bam"]
        {
            assert_eq!(acquisition_of_reads(other), None, "{other}");
        }
    }

    #[test]
    fn kinds_are_known_by_their_endings() {
        for name in ["a.fastq.gz", "a.fastq", "a.fq.gz"] {
            assert!(Kind::Fastq.is_kind_of(name) && !Kind::Bam.is_kind_of(name), "{name}");
        }
        assert!(Kind::Bam.is_kind_of("a.bam") && !Kind::Bam.is_kind_of("a.bam.bai"));
        assert!(!Kind::Fastq.is_kind_of("a.fastq.gz.tmp"));
    }
}
