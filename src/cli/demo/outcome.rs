//! How the demo came out: the table, the comparison, and where to go from here; or the same as one JSON document.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use serde::Serialize;

use super::compare::{Comparison, Expected, grouped};
use super::screen::{Paint, wrapped};
use super::sequencer::RUN;
use crate::status::{SampleStatus, Snapshot};

/// So much of a hash is shown to people.
const HASH_SHOWN: usize = 12;

/// The whole result. Its JSON is that of `status --json`, with what the demo adds.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    #[serde(flatten)]
    pub snapshot: Snapshot,
    pub run: &'static str,
    pub comparison: Comparison,
    pub seconds: f64,
    /// The demo's folder, where it was kept.
    pub kept: Option<PathBuf>,
}

impl Outcome {
    /// For people.
    pub fn render(&self, expected: &Expected, paint: Paint) -> String {
        let mut text = String::new();
        self.samples(&mut text, paint);
        self.what_to_do(&mut text, expected);
        self.left_out(&mut text, paint);
        self.comparison(&mut text, paint);
        self.next(&mut text, paint);
        text
    }

    fn samples(&self, text: &mut String, paint: Paint) {
        heading(text, paint, &format!("What became of run {RUN}"));
        if let Some(condition) = &self.snapshot.agent.condition {
            let condition = format!("Nothing could be uploaded: {condition}");
            let _ = writeln!(text, "  {}\n", paint.bad(&wrapped(&condition, 2, 2)));
        }
        let width = self.snapshot.samples.iter().map(|sample| sample.name.len()).max().unwrap_or_default();
        let head = format!("  {:<8}  {:<9}  {:<width$}  WHY", "STATE", "SIZE", "SAMPLE");
        let _ = writeln!(text, "{}", paint.dim(&head));
        for sample in &self.snapshot.samples {
            let state = format!("{:<8}", sample.state);
            let state = match sample.state.as_str() {
                "done" => paint.good(&state),
                "blocked" => paint.notable(&state),
                _ => paint.bad(&state),
            };
            let indent = 2 + 8 + 2 + 9 + 2 + width + 2;
            let size = ByteSize(sample.bytes).to_string();
            let why = wrapped(&why(sample), indent, indent);
            let _ = writeln!(text, "  {state}  {size:<9}  {:<width$}  {why}", sample.name);
        }
    }

    /// What a person does about the sample that waits for one.
    fn what_to_do(&self, text: &mut String, expected: &Expected) {
        if !self.snapshot.samples.iter().any(|sample| sample.name == expected.blocked && sample.state == "blocked") {
            return;
        }
        let advice = format!(
            "{} is for a person to decide, and nothing of it was sent. If its second file turns up, the agent takes \
             it from there by itself. If there is none, and one read is enough, \"paired: auto\" in the manifest says so.",
            expected.blocked
        );
        let _ = writeln!(text, "\n  {}", wrapped(&advice, 2, 2));
    }

    fn left_out(&self, text: &mut String, paint: Paint) {
        heading(text, paint, "Left out, never without a reason");
        for left_out in &self.snapshot.left_out {
            let path = Path::new(&left_out.path);
            let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
            let line = format!("{name}: {}", left_out.reason);
            let _ = writeln!(text, "  {}", wrapped(&line, 2, 6));
        }
    }

    fn comparison(&self, text: &mut String, paint: Paint) {
        heading(text, paint, "What the sandbox holds, byte for byte against what is on disk");
        for file in &self.comparison.files {
            let hash = file.sha256.as_deref().unwrap_or("unreadable");
            let verdict = if file.equal { paint.good("equal ") } else { paint.bad("DIFFER") };
            let bytes = grouped(file.bytes);
            let hash = &hash[..hash.len().min(HASH_SHOWN)];
            let _ = writeln!(text, "  {verdict}  {}  {bytes:>9} bytes  {}", file.filename, paint.dim(hash));
        }
        text.push('\n');
        for check in &self.comparison.checks {
            let verdict = if check.ok { paint.good("ok    ") } else { paint.bad("FAILED") };
            let _ = writeln!(text, "  {verdict}  {}", wrapped(&check.what, 10, 10));
            for problem in &check.problems {
                let _ = writeln!(text, "          {}", wrapped(problem, 10, 10));
            }
        }
    }

    fn next(&self, text: &mut String, paint: Paint) {
        let seconds = self.seconds;
        if self.comparison.ok {
            heading(
                text,
                paint,
                &format!("All of it holds, after {seconds:.0} seconds. With a sequencer of your own:"),
            );
            text.push_str("  flow-ingest init   writes a commented config and manifest to start from\n");
            text.push_str("  flow-ingest check  tells whether they are right, and the folders with them\n");
            text.push_str("  flow-ingest plan   shows what would be uploaded, as what, and touches nothing\n");
            text.push_str("  README.md          tells the rest\n");
        } else {
            heading(text, paint, &format!("It does not hold, after {seconds:.0} seconds"));
            let advice = "What failed stands above. With --keep, both sides stay for you to look at, and \
                          RUST_LOG=flow_ingest=debug shows the agent's own log. Please report it.";
            let _ = writeln!(text, "  {}", wrapped(advice, 2, 2));
        }
        if let Some(kept) = &self.kept {
            heading(text, paint, &format!("Kept in {}", kept.display()));
            text.push_str("  sequencer/  sandbox/   the two sides\n");
            text.push_str("  flow-ingest.yaml       what the agent was told, with manifest.yaml\n");
            let config = kept.join("flow-ingest.yaml");
            let _ = writeln!(text, "  flow-ingest status --config {}", config.display());
        }
    }
}

fn heading(text: &mut String, paint: Paint, title: &str) {
    let _ = writeln!(text, "\n{}\n", paint.bold(title));
}

/// Why a sample is in its state.
fn why(sample: &SampleStatus) -> String {
    match (sample.state.as_str(), &sample.sample_id) {
        ("done", Some(id)) => format!("on Flow as sample {id}"),
        _ => sample.reason.clone().or_else(|| sample.error.clone()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::compare::{Check, ComparedFile};

    fn outcome(check: Check) -> String {
        let file = ComparedFile {
            sample: "S".to_owned(),
            filename: "S_R1.fastq.gz".to_owned(),
            bytes: 1_234,
            sha256: Some("0123456789abcdef".repeat(4)),
            stored_sha256: None,
            equal: check.ok,
        };
        let comparison = Comparison { ok: check.ok, bytes: 1_234, files: vec![file], checks: vec![check] };
        let snapshot = Snapshot::new("finished", None, Vec::new(), Vec::new(), Vec::new());
        let expected = Expected { samples: Vec::new(), blocked: "B".to_owned(), left_out: String::new() };
        Outcome { snapshot, run: RUN, comparison, seconds: 12.3, kept: None }.render(&expected, Paint::off())
    }

    #[test]
    fn what_failed_is_said_and_nobody_is_told_that_all_is_well() {
        let text = outcome(Check { what: "it is so".to_owned(), ok: true, problems: Vec::new() });
        assert!(text.contains("equal   S_R1.fastq.gz      1,234 bytes  0123456789ab\n"), "{text}");
        assert!(text.contains("  ok      it is so\n") && text.contains("All of it holds"), "{text}");
        let text = outcome(Check { what: "it is so".to_owned(), ok: false, problems: vec!["it is not".to_owned()] });
        assert!(text.contains("  FAILED  it is so\n          it is not\n"), "{text}");
        assert!(text.contains("DIFFER") && text.contains("It does not hold") && !text.contains("All of it"), "{text}");
    }
}
