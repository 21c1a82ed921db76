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

/// The flow cell whose reads are in a file of this name: `{flow_cell}_pass_{barcode}_{protocol}_{acquisition}_{n}.*`.
pub fn flow_cell_of_reads(name: &str) -> Option<&str> {
    let (flow_cell, rest) = name.split_once('_')?;
    rest.split('_').next().filter(|word| matches!(*word, "pass" | "fail")).map(|_| flow_cell)
}

/// Whether a summary is of this flow cell, by its name: `final_summary_{flow_cell}_{protocol}_{acquisition}.txt`.
pub fn is_summary_of(name: &str, flow_cell: &str) -> bool {
    name.split(['_', '.']).any(|word| word == flow_cell)
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
    fn names_tell_the_flow_cell() {
        for name in ["PAA1_pass_barcode01_e05460c6_0f1d7e9e_12.fastq.gz", "PAA1_fail_298b7829_0.fastq"] {
            assert_eq!(flow_cell_of_reads(name), Some("PAA1"), "{name}");
        }
        for other in ["lib_20250603_1.fastq.gz", "x.bam", "_pass.fastq", "reads_passed_1.fastq"] {
            assert_eq!(flow_cell_of_reads(other), None, "{other}");
        }
        assert!(is_summary_of("final_summary_PAA1_e05460c6_0f1d7e9e.txt", "PAA1"));
        assert!(!is_summary_of("final_summary_PAA12_e05460c6_0f1d7e9e.txt", "PAA1"));
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
