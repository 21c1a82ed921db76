//! `final_summary_*.txt`, which MinKNOW writes when all files have been written: a key and a value a line, among them
//! `fastq_files_in_final_dest`, and as many for other kinds of file [nanoporetech/ont-output-specifications].
//! It is of one acquisition, which its name and its lines tell, as the names of files with reads do.

use std::fmt;

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

    /// That of a file of this name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.endings().iter().any(|ending| name.ends_with(ending)))
    }

    fn endings(self) -> &'static [&'static str] {
        match self {
            Self::Fastq => &[".fastq.gz", ".fastq", ".fq.gz", ".fq"],
            Self::Bam => &[".bam"],
        }
    }
}

/// What a final summary says of its acquisition and of the files of it; never nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinalSummary {
    /// Of each kind that it counts.
    pub counts: Vec<Count>,
    flow_cell: Option<String>,
    protocol: Option<String>,
    acquisition: Option<String>,
}

impl FinalSummary {
    /// Of which acquisition it says that it is.
    pub fn origin(&self) -> Origin<'_> {
        let [flow_cell, protocol, acquisition] =
            [&self.flow_cell, &self.protocol, &self.acquisition].map(Option::as_deref);
        Origin { flow_cell, protocol, acquisition }
    }
}

/// What a file of MinKNOW's is of, as far as it tells. One flow cell may have several protocol runs, and one of those
/// several acquisitions; files of all of them lie in one folder where MinKNOW pools its data. File names have the first
/// characters of ids.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Origin<'a> {
    flow_cell: Option<&'a str>,
    protocol: Option<&'a str>,
    acquisition: Option<&'a str>,
}

impl<'a> Origin<'a> {
    /// That of a file of reads, by its name: `{flow_cell}_pass_{alias}_{protocol}_{acquisition}_{part}.*`. MinKNOW of 2020
    /// has no protocol in it, and older ones not that the reads passed; Guppy has `fastq_runid_{acquisition}_{n}_{part}.*`.
    pub fn of_reads(name: &'a str) -> Self {
        let endings = Kind::ALL.iter().flat_map(|kind| kind.endings());
        let stem = endings.filter_map(|ending| name.strip_suffix(ending)).next().unwrap_or_default();
        let passed = ["_pass_", "_fail_"].into_iter().filter_map(|word| stem.split_once(word));
        let passed = passed.min_by_key(|(flow_cell, _)| flow_cell.len());
        let (flow_cell, rest) = match passed {
            Some((flow_cell, rest)) => (Some(flow_cell), rest),
            None => match stem.split_once('_') {
                Some((flow_cell, rest)) if is_flow_cell(flow_cell) => (Some(flow_cell), rest),
                Some(("fastq", rest)) => (None, rest.strip_prefix("runid_").unwrap_or_default()),
                _ => return Self::default(),
            },
        };
        let mut words = rest.rsplit('_').peekable();
        let is_number = |word: &&str| word.len() < 8 && word.bytes().all(|byte| byte.is_ascii_digit());
        if words.next_if(is_number).is_none() {
            return Self { flow_cell, ..Self::default() };
        }
        while words.next_if(is_number).is_some() {}
        let [acquisition, protocol] = [(); 2].map(|()| words.next().filter(|word| is_id(word)));
        // One id in forty has no letter; without another id before it, it may be the number of somebody's sample.
        let has_letter = |word: &&str| word.bytes().any(|byte| byte.is_ascii_lowercase());
        let acquisition = acquisition.filter(|word| has_letter(word) || protocol.is_some());
        Self { flow_cell, protocol: acquisition.and(protocol), acquisition }
    }

    /// That of a final summary, by its name: `final_summary_{flow_cell}_{protocol}_{acquisition}.txt`, or without a
    /// protocol.
    pub fn of_summary(name: &'a str) -> Self {
        let Some(mut rest) = own_words(name) else { return Self::default() };
        let mut id = || {
            let (before, id) = rest.rsplit_once('_').filter(|(_, word)| is_id(word))?;
            rest = before;
            Some(id)
        };
        let acquisition = id();
        let protocol = acquisition.and_then(|_| id());
        let flow_cell = match acquisition {
            Some(_) => Some(rest),
            None => rest.split('_').next().filter(|word| is_flow_cell(word)),
        };
        Self { flow_cell, protocol, acquisition }
    }

    /// That of a final summary whose name begins with the flow cell of these reads. Users may give flow cells names of
    /// their own, which tell nothing by themselves.
    pub fn of_summary_beside(name: &'a str, reads: &Origin<'_>) -> Option<Self> {
        let (words, known) = (own_words(name)?, reads.flow_cell?);
        let rest = words.strip_prefix(known).filter(|rest| rest.is_empty() || rest.starts_with('_'))?;
        Some(Self { flow_cell: words.strip_suffix(rest), ..Self::default() })
    }

    pub fn tells_flow_cell(&self) -> bool {
        self.flow_cell.is_some()
    }

    /// With what `other` tells where it tells nothing itself.
    pub fn or(self, other: Self) -> Self {
        Self {
            flow_cell: self.flow_cell.or(other.flow_cell),
            protocol: self.protocol.or(other.protocol),
            acquisition: self.acquisition.or(other.acquisition),
        }
    }

    /// Whether two are one, by the finest of which both tell; `None` where there is none.
    pub fn is(&self, other: &Self) -> Option<bool> {
        let ids = [(self.acquisition, other.acquisition), (self.protocol, other.protocol)];
        // One may be short.
        let is_one = |(a, b): (&str, &str)| a.starts_with(b) || b.starts_with(a);
        let by_id = ids.into_iter().find_map(|(a, b)| a.zip(b)).map(is_one);
        by_id.or_else(|| self.flow_cell.zip(other.flow_cell).map(|(a, b)| a == b))
    }
}

/// The finest that it tells, for a person.
impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.acquisition, self.protocol, self.flow_cell) {
            (Some(id), _, _) => write!(f, "acquisition {id}"),
            (None, Some(id), _) => write!(f, "protocol run {id}"),
            (None, None, Some(id)) => write!(f, "flow cell {id}"),
            (None, None, None) => f.write_str("an unknown acquisition"),
        }
    }
}

/// Whether a file of this name is a final summary, whatever is in it.
pub fn is_final_summary(name: &str) -> bool {
    name.starts_with("final_summary")
}

/// What the name of a final summary has besides what all of them have.
fn own_words(name: &str) -> Option<&str> {
    name.strip_prefix("final_summary_")?.strip_suffix(".txt")
}

/// The first eight characters of an id, or all of an acquisition's. What reads as a date tells nothing; one id in
/// sixty thousand does.
fn is_id(word: &str) -> bool {
    let is_hex = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    matches!(word.len(), 8 | 40) && word.bytes().all(is_hex) && !is_date(word)
}

/// 20250603.
fn is_date(word: &str) -> bool {
    let is_day = |n: u32| matches!((n / 10_000, n / 100 % 100, n % 100), (1900..=2099, 1..=12, 1..=31));
    word.len() == 8 && word.parse().is_ok_and(is_day)
}

/// Whether a word looks like what is printed on flow cells: `FAK72834`.
fn is_flow_cell(word: &str) -> bool {
    let (letters, digits) = word.split_at_checked(3).unwrap_or_default();
    let are_letters = letters.len() == 3 && letters.bytes().all(|byte| byte.is_ascii_uppercase());
    are_letters && digits.len() > 2 && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// What is said; `None` where the text neither counts files nor tells whose they are, so that it is something else.
pub(super) fn read(text: &str) -> Option<FinalSummary> {
    let counts = counts(text);
    let value = |key: &str| {
        let fields = text.lines().filter_map(|line| line.split_once('='));
        let mut values = fields.filter(|(name, _)| name.trim() == key).map(|(_, value)| value.trim());
        values.find(|value| !value.is_empty()).map(str::to_owned)
    };
    let [flow_cell, protocol, acquisition] = ["flow_cell_id", "protocol_run_id", "acquisition_run_id"].map(value);
    let summary = FinalSummary { counts, flow_cell, protocol, acquisition };
    let says_nothing = summary.counts.is_empty() && summary.origin() == Origin::default();
    (!says_nothing).then_some(summary)
}

fn counts(text: &str) -> Vec<Count> {
    let value = |kind: Kind, place: &str| {
        let key = format!("{}_files_in_{place}", kind.key());
        let fields = text.lines().filter_map(|line| line.split_once('='));
        fields.filter(|(name, _)| name.trim() == key).find_map(|(_, value)| value.trim().parse::<u64>().ok())
    };
    let count = |kind| {
        let in_fallback = value(kind, "fallback").unwrap_or_default();
        Some(Count { kind, files: value(kind, "final_dest")?.saturating_add(in_fallback), in_fallback })
    };
    Kind::ALL.into_iter().filter_map(count).collect()
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
        assert_eq!(counts(text), [count(Kind::Fastq, 688, 3), count(Kind::Bam, 0, 0)]);
        for other in ["fastq_files_in_final_dest=many\n", "final_summary_FAP.txt\n", ""] {
            assert!(counts(other).is_empty() && read(other).is_none(), "{other}");
        }
    }

    fn origin<'a>(flow_cell: &'a str, protocol: &'a str, acquisition: &'a str) -> Origin<'a> {
        let [flow_cell, protocol, acquisition] =
            [flow_cell, protocol, acquisition].map(|text| Some(text).filter(|text| !text.is_empty()));
        Origin { flow_cell, protocol, acquisition }
    }

    #[test]
    fn names_tell_flow_cell_protocol_and_acquisition_as_far_as_they_have_them() {
        const LONG: &str = "e78b393cae8ec468269f5fcfa954c3ff8bbb1344";
        for (name, expected) in [
            ("PAA1_pass_barcode01_e05460c6_0f1d7e9e_12.fastq.gz", origin("PAA1", "e05460c6", "0f1d7e9e")),
            ("PAA1_pass_mouse_liver_e05460c6_0f1d7e9e_12.bam", origin("PAA1", "e05460c6", "0f1d7e9e")),
            ("no_cell_fail_the_pass_e05460c6_0f1d7e9e_0.fastq", origin("no_cell", "e05460c6", "0f1d7e9e")),
            ("FAK72834_fail_298b7829_0.fastq", origin("FAK72834", "", "298b7829")),
            ("FAK72834_298b7829_0.fastq", origin("FAK72834", "", "298b7829")),
            (&format!("FAK72834_barcode01_{LONG}_0.fastq"), origin("FAK72834", "", LONG)),
            (&format!("fastq_runid_{LONG}_0_0.fastq"), origin("", "", LONG)),
            ("PAA1_pass_liver_0.fastq.gz", origin("PAA1", "", "")),
            ("PAA1_pass_0f1d7e9e.bam", origin("PAA1", "", "")),
            ("PAA1_pass_20250603_1.fastq.gz", origin("PAA1", "", "")),
            ("PAA1_pass_v1.2_e05460c6_0f1d7e9e_0.fq.gz", origin("PAA1", "e05460c6", "0f1d7e9e")),
            ("PAA1_pass_barcode01_e05460c6_11111111_0.fastq.gz", origin("PAA1", "e05460c6", "11111111")),
            ("PAA1_pass_barcode01_22222222_0f1d7e9e_0.fastq.gz", origin("PAA1", "22222222", "0f1d7e9e")),
            ("PAA1_pass_barcode01_22222222_11111111_0.fastq.gz", origin("PAA1", "22222222", "11111111")),
            ("PAA1_pass_20250603_0f1d7e9e_0.fastq.gz", origin("PAA1", "", "0f1d7e9e")),
            ("PAA1_pass_liver_12345678_0.fastq.gz", origin("PAA1", "", "")),
            ("lib_20250603_1.fastq.gz", Origin::default()),
            ("_passed.fastq", Origin::default()),
            ("reads_passed_1.fastq", Origin::default()),
            ("", Origin::default()),
        ] {
            assert_eq!(Origin::of_reads(name), expected, "{name}");
        }
        for (name, expected) in [
            ("final_summary_PAA1_e05460c6_0f1d7e9e.txt", origin("PAA1", "e05460c6", "0f1d7e9e")),
            ("final_summary_no_cell_298b7829.txt", origin("no_cell", "", "298b7829")),
            ("final_summary_PAA1_e05460c6_11111111.txt", origin("PAA1", "e05460c6", "11111111")),
            ("final_summary_PAA1_22222222_11111111.txt", origin("PAA1", "22222222", "11111111")),
            ("final_summary_PAA1_11111111.txt", origin("PAA1", "", "11111111")),
            ("final_summary_PAA12345.txt", origin("PAA12345", "", "")),
            ("final_summary_PAA12345_20250603.txt", origin("PAA12345", "", "")),
            ("final_summary_PAA1_20250603.txt", Origin::default()),
            ("final_summary_over.txt", Origin::default()),
            ("final_summary.txt", Origin::default()),
        ] {
            assert_eq!(Origin::of_summary(name), expected, "{name}");
        }
    }

    #[test]
    fn what_reads_as_a_date_is_no_id() {
        for date in ["20250603", "19991231"] {
            assert!(is_date(date) && !is_id(date), "{date}");
        }
        for id in ["20251303", "20250632", "20250600", "18991231", "12345678", "2025060a", "00000000"] {
            assert!(!is_date(id) && is_id(id), "{id}");
        }
    }

    #[test]
    fn a_flow_cell_that_a_user_named_is_known_by_the_reads_beside_the_summary() {
        let reads = origin("my-cell", "e05460c6", "0f1d7e9e");
        for (name, is_of_it) in [
            ("final_summary_my-cell.txt", true),
            ("final_summary_my-cell_20250603.txt", true),
            ("final_summary_my-cell2.txt", false),
            ("final_summary_over.txt", false),
            ("final_summary.txt", false),
        ] {
            let expected = is_of_it.then(|| origin("my-cell", "", ""));
            assert_eq!(Origin::of_summary_beside(name, &reads), expected, "{name}");
        }
        assert_eq!(Origin::of_summary_beside("final_summary_.txt", &Origin::default()), None);
    }

    #[test]
    fn origins_are_compared_by_the_finest_that_both_tell() {
        let one = origin("PAA1", "e05460c6", "0f1d7e9e");
        assert_eq!(one.is(&origin("PBB2", "", "0f1d7e9e57a2")), Some(true), "an id may be short");
        assert_eq!(one.is(&origin("PAA1", "e05460c6", "1f1d7e9e")), Some(false));
        assert_eq!(one.is(&origin("PAA1", "f05460c6", "")), Some(false));
        assert_eq!(one.is(&origin("PAA1", "", "")), Some(true));
        assert_eq!(origin("PAA1", "", "").is(&origin("PAA12", "e05460c6", "")), Some(false));
        assert_eq!(one.is(&Origin::default()), None);
        assert_eq!(origin("", "", "").or(origin("PAA1", "", "")).or(one), one);
    }

    #[test]
    fn a_summary_tells_its_acquisition_by_its_lines_too() {
        let text = "flow_cell_id=FAP48412\r\nprotocol_run_id=378c00ac-c642-4a1f-a167-524c471186dd\n\
                    acquisition_run_id = e78b393cae8ec468269f5fcfa954c3ff8bbb1344\nfastq_files_in_final_dest=1\n";
        let summary = read(text).unwrap();
        let of_name = Origin::of_summary("final_summary_FAP48412_378c00ac_e78b393c.txt");
        assert_eq!(summary.origin().is(&of_name), Some(true));
        assert_eq!(summary.origin().is(&origin("FAP48412", "378c00ac", "")), Some(true));
        assert_eq!(read("flow_cell_id=\nfastq_files_in_final_dest=1\n").unwrap().origin(), Origin::default());
        let uncounted = read("flow_cell_id=FAP48412\n").unwrap();
        assert!(uncounted.counts.is_empty() && uncounted.origin() == origin("FAP48412", "", ""));
        assert_eq!(read("flow_cell_id=\nFAP48412\n"), None);
    }

    #[test]
    fn kinds_are_known_by_their_endings() {
        for name in ["a.fastq.gz", "a.fastq", "a.fq.gz"] {
            assert_eq!(Kind::of(name), Some(Kind::Fastq), "{name}");
        }
        assert_eq!(Kind::of("a.bam"), Some(Kind::Bam));
        for other in ["a.bam.bai", "a.fastq.gz.tmp", ""] {
            assert_eq!(Kind::of(other), None, "{other}");
        }
    }
}
