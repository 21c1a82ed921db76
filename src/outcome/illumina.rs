//! How Illumina's instruments say that a run ended, in XML at its root.
//!
//! `RunCompletionStatus.xml`: `RunStatus` (RunCompleted, RunErrored) of the newer instruments, `CompletionStatus`
//! (CompletedAsPlanned, UserEndedEarly, ExceptionEndedEarly) of the NextSeq 500/550, with an `ErrorDescription` where
//! there is one [runscanner, cleve, public parsers of it].
//!
//! `CompletedJobInfo.xml` of a MiSeq and its like: an `AnalysisJobInfo`, right in which an `Error` that is not empty says
//! that the analysis on board failed [cleve].

use quick_xml::events::Event;
use quick_xml::reader::Reader;

use super::{Outcome, is_failure, is_success, told};

const STATUS: [&str; 2] = ["RunStatus", "CompletionStatus"];
const DESCRIPTION: &str = "ErrorDescription";
const JOB: &str = "AnalysisJobInfo";
const ERROR: &str = "Error";

/// An element that matters here.
struct Found {
    name: String,
    /// 1 of the root.
    depth: usize,
    text: String,
}

pub(super) fn ended(text: &str) -> Outcome {
    match elements(text) {
        Ok(found) if found.first().is_some_and(|root| root.name == JOB && root.depth == 1) => job(&found),
        Ok(found) => run_completion(&found),
        Err(why) => Outcome::Unknown(format!("it is no XML: {}", told(&why))),
    }
}

fn job(found: &[Found]) -> Outcome {
    let is_its_error = |found: &&Found| found.name == ERROR && found.depth == 2 && !is_none(&found.text);
    match found.iter().find(is_its_error) {
        Some(error) => Outcome::Failed(format!("{ERROR} {}", error.text)),
        None => Outcome::Good(format!("no {ERROR}")),
    }
}

fn run_completion(found: &[Found]) -> Outcome {
    let status: Vec<&Found> = found.iter().filter(|found| STATUS.contains(&found.name.as_str())).collect();
    let say = |Found { name, text, .. }: &Found| format!("{name} {text}");
    if let Some(failed) = status.iter().find(|found| is_failure(&found.text)) {
        let described = found.iter().find(|found| found.name == DESCRIPTION && !is_none(&found.text));
        let why = described.map(|described| format!(": {}", described.text)).unwrap_or_default();
        return Outcome::Failed(format!("{}{why}", say(failed)));
    }
    match (status.iter().find(|found| is_success(&found.text)), status.first()) {
        (Some(good), _) => Outcome::Good(say(good)),
        (None, Some(other)) => Outcome::Unknown(format!("{} is not known", say(other))),
        (None, None) => Outcome::Unknown(format!("it has no {}", STATUS.join(" and no "))),
    }
}

/// How the NextSeq says that there was no error.
fn is_none(text: &str) -> bool {
    text.is_empty() || text.eq_ignore_ascii_case("none")
}

/// The elements that matter here, in order.
fn elements(text: &str) -> Result<Vec<Found>, String> {
    let mut reader = Reader::from_str(text);
    let mut found: Vec<Found> = Vec::new();
    let (mut within, mut depth) = (None, 0_usize);
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(start) => {
                depth += 1;
                let name: &str = start.local_name().into_inner();
                if STATUS.contains(&name) || [DESCRIPTION, JOB, ERROR].contains(&name) {
                    found.push(Found { name: name.to_owned(), depth, text: String::new() });
                    within = Some(depth);
                }
            }
            Event::End(_) => {
                within = within.filter(|at| *at != depth);
                depth = depth.saturating_sub(1);
            }
            Event::Text(part) => {
                if let (Some(_), Some(found)) = (within, found.last_mut()) {
                    found.text.push_str(&part.xml10_content());
                }
            }
            Event::CData(part) => {
                if let (Some(_), Some(found)) = (within, found.last_mut()) {
                    found.text.push_str(&part.xml10_content());
                }
            }
            Event::Eof if depth > 0 => return Err("it ends within an element".to_owned()),
            Event::Eof => break,
            _ => {}
        }
    }
    for found in &mut found {
        found.text = told(&found.text);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(inner: &str) -> Outcome {
        ended(&format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n<RunCompletionStatus xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\">\
             \r\n  <RunStartTime>2026-11-20T15:26:54-04:00</RunStartTime>\r\n  <CompletedReads>\r\n    <Read ReadName=\"Read1\" \
             Cycles=\"151\" />\r\n  </CompletedReads>\r\n  {inner}\r\n</RunCompletionStatus>"
        ))
    }

    #[test]
    fn newer_instruments_have_a_run_status() {
        assert_eq!(status("<RunStatus>RunCompleted</RunStatus>"), Outcome::Good("RunStatus RunCompleted".into()));
        assert_eq!(status("<RunStatus> RunErrored\n</RunStatus>"), Outcome::Failed("RunStatus RunErrored".into()));
    }

    #[test]
    fn a_nextseq_has_a_completion_status_and_describes_its_error() {
        let inner = |status: &str, error: &str| {
            format!(
                "<RunId>201118_NB500000_0001_AH0000BGXX</RunId><CompletionStatus>{status}</CompletionStatus>\
                 <ErrorDescription>{error}</ErrorDescription>"
            )
        };
        let good = status(&inner("CompletedAsPlanned", "None"));
        assert_eq!(good, Outcome::Good("CompletionStatus CompletedAsPlanned".into()));
        let failed = status(&inner("ExceptionEndedEarly", "the disk\n is full"));
        assert_eq!(failed, Outcome::Failed("CompletionStatus ExceptionEndedEarly: the disk is full".into()));
        let ended = status(&inner("UserEndedEarly", ""));
        assert_eq!(ended, Outcome::Failed("CompletionStatus UserEndedEarly".into()));
        let both = status("<RunStatus>RunCompleted</RunStatus><CompletionStatus>UserEndedEarly</CompletionStatus>");
        assert_eq!(both, Outcome::Failed("CompletionStatus UserEndedEarly".into()), "one of the two is enough");
    }

    #[test]
    fn what_is_not_known_is_no_failure() {
        assert_eq!(
            status("<RunStatus>RunPaused</RunStatus>"),
            Outcome::Unknown("RunStatus RunPaused is not known".into())
        );
        assert_eq!(status(""), Outcome::Unknown("it has no RunStatus and no CompletionStatus".into()));
        for cut in ["<RunStatus>RunErrored</RunStatus", "<RunStatus>RunErrored</Run>", "<RunStatus>RunErr"] {
            assert!(matches!(ended(cut), Outcome::Unknown(_)), "{cut}");
        }
    }

    fn job(inner: &str) -> Outcome {
        ended(&format!(
            "<?xml version=\"1.0\"?>\r\n<AnalysisJobInfo xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\r\n  \
             {inner}\r\n  <CompletionTime>2026-11-20T15:26:54</CompletionTime>\r\n</AnalysisJobInfo>"
        ))
    }

    #[test]
    fn a_miseqs_job_failed_when_it_has_an_error_of_its_own() {
        let failed = job("<Error>Sequencing\r\n failed</Error>");
        assert_eq!(failed, Outcome::Failed("Error Sequencing failed".into()));
        let sheet = "<Sheet><Error>a column is missing</Error></Sheet>";
        for good in ["", "<Error></Error>", "<Error />", "<Error xsi:nil=\"true\"/>", "<Error> \r\n </Error>", sheet] {
            assert_eq!(job(good), Outcome::Good("no Error".into()), "{good}");
        }
        for other in ["<AnalysisJobInfo><Error>failed</Error>", "<Error>failed</Error>", "<Job><Error>x</Error></Job>"]
        {
            assert!(matches!(ended(other), Outcome::Unknown(_)), "{other}");
        }
    }
}
