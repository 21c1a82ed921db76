//! What instruments write of how a run ended, and of which files it has: bytes come in, a statement goes out.
//!
//! Pure, and patient: such files are written for people and for the vendor's own programs, and change with them. What
//! cannot be read says nothing, and why; it is never taken for a failure. What a statement means for a run, `watch`
//! decides.

mod aviti;
mod described;
mod dragen;
mod final_summary;
mod illumina;
mod manifest;
mod transferred;

use crate::sheet::text_of;

pub use described::ReadCount;
pub use final_summary::{Count, FinalSummary, Kind, Origin, is_final_summary};
pub use transferred::SentFile;

/// The largest such file that is read, in bytes. The list of an analysis of 700 files has 120 kB.
pub const LARGEST: u64 = 8 << 20;

/// How a run, or an analysis, ended, as the instrument says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It ended well: the words that say so.
    Good(String),
    /// It failed, or was ended early: the words that say so.
    Failed(String),
    /// It cannot be read, or says nothing of it: why.
    Unknown(String),
}

/// Which files there must be, as a list of the instrument says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// An empty list: it says no more than that it is there.
    Nothing,
    /// It cannot be read: why.
    Unreadable(String),
    /// Paths, below the list's own folder or below the run, with `/` between their parts.
    Paths(Vec<String>),
    /// Files by their names, wherever they lie.
    Sent(Vec<SentFile>),
    /// How many files of each kind an acquisition has.
    Counts(FinalSummary),
}

/// Reads an outcome: XML or JSON.
pub fn outcome(bytes: &[u8]) -> Outcome {
    let text = text_of(bytes);
    match text.trim_start().chars().next() {
        None => Outcome::Unknown("it is empty".to_owned()),
        Some('<') => illumina::ended(&text),
        Some('{' | '[') => match serde_json::from_str(&text) {
            Ok(json) => aviti::run_uploaded(&json).unwrap_or_else(|| dragen::error_summary(&json)),
            Err(error) => Outcome::Unknown(format!("it is no JSON: {error}")),
        },
        Some(_) => Outcome::Unknown("it is neither XML nor JSON".to_owned()),
    }
}

/// Reads a list of what must be there.
pub fn expected(bytes: &[u8]) -> Expected {
    let text = text_of(bytes);
    if text.contains('\0') {
        return Expected::Unreadable("it is no text".to_owned());
    }
    if let Some(summary) = final_summary::read(&text) {
        return Expected::Counts(summary);
    }
    let paths = manifest::paths(&text);
    if !paths.is_empty() {
        return Expected::Paths(paths);
    }
    match transferred::files(&text) {
        files if files.is_empty() => Expected::Nothing,
        files => Expected::Sent(files),
    }
}

/// Reads how many reads a run has, index reads aside; `None` where this is not said.
pub fn reads(bytes: &[u8]) -> Option<ReadCount> {
    described::reads(&text_of(bytes))
}

/// Whether a word of a vendor's says that something went wrong, or ended before its time. Which words there are is not
/// written down anywhere, so it goes by what they have in common: RunErrored, ExceptionEndedEarly, UserEndedEarly,
/// OutcomeFailed.
fn is_failure(word: &str) -> bool {
    const STEMS: [&str; 14] = [
        "error",
        "fail",
        "abort",
        "cancel",
        "exception",
        "early",
        "prematur",
        "partial",
        "stop",
        "terminat",
        "interrupt",
        "crash",
        "unsuccess",
        "notsuccess",
    ];
    let word = ["noerror", "withouterror", "nofail"].iter().fold(letters(word), |word, no| word.replace(no, ""));
    STEMS.iter().any(|stem| word.contains(stem))
}

/// Whether a word of a vendor's says that all went well: RunCompleted, CompletedAsPlanned, OutcomeCompleted.
fn is_success(word: &str) -> bool {
    !is_failure(word) && speaks_of_success(word) && !denies(word)
}

/// Whether a word of a vendor's says that something is not, or not yet, done: incomplete, "did not complete". It is a
/// failure only where it is the last word.
fn is_denial(word: &str) -> bool {
    speaks_of_success(word) && denies(word)
}

fn speaks_of_success(word: &str) -> bool {
    const STEMS: [&str; 5] = ["complet", "success", "succeeded", "finished", "noerror"];
    let letters = letters(word);
    STEMS.iter().any(|stem| letters.contains(stem))
}

fn denies(word: &str) -> bool {
    const DENIALS: [&str; 4] = ["incomplet", "not", "unable", "never"];
    let letters = letters(word);
    DENIALS.iter().any(|stem| letters.contains(stem))
}

/// RunErrored, "run errored" and run_errored are one word.
fn letters(word: &str) -> String {
    word.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// A vendor's words as they are told: on one line, and not too many of them.
fn told(words: &str) -> String {
    const MOST: usize = 200;
    let line = words.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = line.collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_sorted_by_what_they_have_in_common() {
        for word in [
            "RunErrored",
            "ExceptionEndedEarly",
            "UserEndedEarly",
            "EarlyCompletion",
            "OutcomeFailed",
            "failed",
            "Run Aborted",
            "UserAborted",
            "RunStopped",
            "Unsuccessful",
            "CompletedWithErrors",
            "PartiallyCompleted",
            "Aborted, no error was logged",
        ] {
            assert!(is_failure(word) && !is_success(word), "{word}");
        }
        for word in ["RunCompleted", "CompletedAsPlanned", "OutcomeCompleted", "Completion", "success", "Finished"] {
            assert!(!is_failure(word) && is_success(word), "{word}");
        }
        for word in ["Completed without errors", "No errors"] {
            assert!(!is_failure(word) && is_success(word), "{word}");
        }
        for word in ["", "RunInProgress", "incomplete", "NotCompleted", "DRAGEN did not complete", "RunPaused"] {
            assert!(!is_failure(word) && !is_success(word), "{word}");
        }
        for (word, is_one) in [("incomplete", true), ("NotCompleted", true), ("RunPaused", false), ("Completed", false)]
        {
            assert_eq!(is_denial(word), is_one, "{word}");
        }
    }

    #[test]
    fn each_list_is_known_by_what_is_in_it() {
        assert_eq!(expected(b""), Expected::Nothing);
        assert_eq!(expected(b" \r\n"), Expected::Nothing);
        assert_eq!(expected(b"Transfer complete, see the log.\n"), Expected::Nothing, "prose is no list");
        assert!(matches!(expected(b"PK\x03\x04\0\0"), Expected::Unreadable(_)));
        assert_eq!(expected(b"Data/a.csv\t0a1b2c3d\r\n"), Expected::Paths(vec!["Data/a.csv".to_owned()]));
        assert_eq!(
            expected(b"/data/icc/m1/m1.bam\n"),
            Expected::Sent(vec![SentFile { folder: "m1".to_owned(), name: "m1.bam".to_owned() }])
        );
        assert!(
            matches!(expected(b"fastq_files_in_final_dest=3\n"), Expected::Counts(summary) if summary.counts.len() == 1)
        );
    }

    #[test]
    fn what_is_no_outcome_says_nothing() {
        for bytes in [&b""[..], b"\xff\xfe", b"<", b"<a>", b"{", b"{}", b"[1]", b"prose", b"\0\0", b"<a><b></a>"] {
            assert!(matches!(outcome(bytes), Outcome::Unknown(_)), "{bytes:?}: {:?}", outcome(bytes));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = (outcome(&bytes), expected(&bytes), reads(&bytes));
        }

        #[test]
        fn any_text_that_begins_well_is_taken(
            start in prop::sample::select(vec![
                "<RunCompletionStatus><RunStatus>", "<RunInfo><Read IsIndexedRead=", "{\"ReadInfosForLanes\":", "{\"outcome\":", "{\"errors\":[", "a/b\t", "fastq_files_in_final_dest=",
            ]),
            text in ".{0,60}",
        ) {
            let text = format!("{start}{text}");
            let _ = (outcome(text.as_bytes()), expected(text.as_bytes()), reads(text.as_bytes()));
        }
    }
}
