//! What reads bytes that somebody else wrote, one entry each: for the fuzzer (`fuzz/`), and for `tests/bad_input.rs`
//! with inputs that are nasty on purpose.
//!
//! Each entry takes any bytes, and panics when what it promises of them does not hold: a clear error or a right result.
//! Time and memory are watched from outside. No part of the library's interface, and nothing of the agent uses it.

use std::path::Path;

use crate::manifest::{Defaults, Manifest, Run, Verdict};
use crate::outcome::{Expected, Outcome};
use crate::pattern::{Captures, Pattern};
use crate::sheet::{Filter, Sheet, Trouble};
use crate::yaml::{Document, Problems};
use crate::{cli, config, flow, journal, outcome, sandbox};

/// The longest line that tells a mistake, in bytes.
const LONGEST_MISTAKE: usize = 8000;

/// A manifest: every mistake is told in lines of a bearable length, and what loads takes paths and renders names that
/// Flow accepts.
pub fn manifest(bytes: &[u8]) {
    let read = Document::of_bytes(Path::new("manifest.yaml"), bytes.to_vec())
        .and_then(|document| Manifest::read(document, Defaults::default()));
    let manifest = match read {
        Ok(manifest) => manifest,
        Err(problems) => return are_told(&problems),
    };
    let captures = Captures::from([("flow_cell".to_owned(), "../{run}\n\"".to_owned())]);
    let run = Run { name: "240115_A01234_0042_AHXXXXDSX7", captures: &captures };
    are_told(&manifest.check_run_names(&["flow_cell"]));
    for path in ["a_S1_L001_R1_001.fastq.gz", "Reports/{a}.html", "..", "x/..%2F\n/\u{1b}[2J \"'\\_R2.fq", ""] {
        match manifest.classify(path, &captures) {
            Verdict::LeftOut { reason } => assert!(!reason.is_empty()),
            Verdict::Extra { label, .. } => assert!(!label.is_empty()),
            Verdict::Taken { rule, captures } => {
                let file_name = path.rsplit('/').next().unwrap_or(path);
                if let Ok(name) = rule.sample_name(&run, &captures, file_name) {
                    let is_bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '\\');
                    assert!(!name.is_empty() && name.len() <= 255 && name != "." && name != "..", "{name:?}");
                    assert!(!name.contains(is_bad), "{name:?}");
                }
                let _ = rule.target(&run, &captures);
            }
        }
    }
}

/// What instruments write of a run's end and of what it has: any bytes say something, on one line.
pub fn outcome(bytes: &[u8]) {
    outcome::reads(bytes);
    let words = match outcome::outcome(bytes) {
        Outcome::Good(words) | Outcome::Failed(words) | Outcome::Unknown(words) => words,
    };
    assert!(!words.is_empty() && words.len() <= LONGEST_MISTAKE && !words.contains(char::is_control), "{words:?}");
    match outcome::expected(bytes) {
        Expected::Nothing => {}
        Expected::Unreadable(why) => assert!(!why.is_empty()),
        Expected::Paths(paths) => {
            let is_good = |path: &String| !path.is_empty() && !path.starts_with('/') && !path.contains("//");
            assert!(!paths.is_empty() && paths.iter().all(is_good), "{paths:?}");
        }
        Expected::Sent(files) => assert!(!files.is_empty() && files.iter().all(|file| !file.name.contains('/'))),
        Expected::Counts(summary) => assert!(summary.counts.iter().all(|count| count.files >= count.in_fallback)),
    }
}

/// A config; manifests that it names are not there.
pub fn config(bytes: &[u8]) {
    if let Err(error) = config::parse(Path::new("/nowhere/flow-ingest/flow-ingest.yaml"), bytes.to_vec()) {
        assert!(!error.files.is_empty());
        error.files.iter().for_each(are_told);
    }
}

fn are_told(problems: &Problems) {
    for problem in problems.to_string().lines() {
        assert!(problem.len() <= LONGEST_MISTAKE, "{} bytes: {problem}", problem.len());
        assert!(!problem.contains(char::is_control), "{problem:?}");
    }
}

/// A pattern on the first line, and paths on the others: what it captures, and what it says of folders, fits together.
pub fn pattern(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n');
    let pattern = match Pattern::parse(lines.next().unwrap_or_default()) {
        Ok(pattern) => pattern,
        Err(error) => return assert!(error.column >= 1 && !error.to_string().is_empty()),
    };
    // As long as a path can be.
    for path in lines.filter(|path| path.len() <= 4096).take(64) {
        let captures = pattern.captures(path);
        assert_eq!(captures.is_some(), pattern.is_match(path), "{pattern} on {path:?}");
        let Some(captures) = captures else { continue };
        assert!(pattern.names().eq_unordered(&captures), "{pattern} on {path:?}: {captures:?}");
        assert!(captures.values().all(|value| !value.contains('/') && path.contains(value.as_str())), "{captures:?}");
        let is_plain = path.split('/').all(|part| !part.is_empty());
        for (at, _) in path.match_indices('/').filter(|_| is_plain) {
            assert!(pattern.could_match_below(&path[..at]), "{pattern} matches {path:?}, and nothing below its folder");
        }
    }
}

/// The names of a pattern and of what it captured, which come in different orders.
trait Names {
    fn eq_unordered(self, captures: &Captures) -> bool;
}

impl<'a, I: Iterator<Item = &'a str>> Names for I {
    fn eq_unordered(self, captures: &Captures) -> bool {
        let mut names: Vec<&str> = self.collect();
        names.sort_unstable();
        captures.keys().map(String::as_str).eq(names)
    }
}

/// A sheet of samples or of accessions, as comma-separated values, and a run's sample sheet: each value of it is found,
/// or it is told why not, in one short line.
pub fn sheet(bytes: &[u8]) {
    cli::fuzzing::sheet(bytes);
    let sheet = match Sheet::parse(bytes) {
        Ok(sheet) => sheet,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let keyed = sheet.keyed(None, ["S1", "RNA-01"].map(str::to_owned).into_iter()).expect("no column was named");
    for name in ["S1", "RNA-01", ""] {
        let Ok(Some(sample)) = keyed.find(name, &Filter { lanes: [1].into(), ..Filter::default() }) else { continue };
        for column in sheet.names().take(64) {
            assert!(sheet.check_name(column).is_ok(), "{column:?}");
            if let Err(trouble) = sample.value(column) {
                assert!(!matches!(trouble, Trouble::NoColumn { .. }), "{trouble}");
            }
        }
    }
}

/// An answer of the server: the first byte chooses its status and its content type.
pub fn answer_json(bytes: &[u8]) {
    flow::fuzzing::answer(bytes);
}

/// What an upload sends along, in any words: the sandbox reads the same words out of it. Names and values alternate,
/// divided by zero bytes; the first two are the file's name and its bytes.
pub fn multipart(bytes: &[u8]) {
    let mut pieces = bytes.split(|byte| *byte == 0);
    let filename = String::from_utf8_lossy(pieces.next().unwrap_or_default()).into_owned();
    let blob = pieces.next().unwrap_or_default();
    let words: Vec<String> = pieces.map(|piece| String::from_utf8_lossy(piece).into_owned()).collect();
    let fields: Vec<(String, String)> = words.chunks_exact(2).map(|two| (two[0].clone(), two[1].clone())).collect();
    let sent = flow::fuzzing::chunk(&filename, &fields, blob);
    sandbox::fuzzing::reads(&sent.content_type, sent.body, &sent.fields, &sent.filename, blob);
}

/// A form that anybody may send to the sandbox: the boundary on the first line, then the body.
pub fn form(bytes: &[u8]) {
    sandbox::fuzzing::takes(bytes);
}

/// A value of the journal: the first byte chooses its kind. What can be read is written as it reads.
pub fn record(bytes: &[u8]) {
    journal::fuzzing::record(bytes);
}
