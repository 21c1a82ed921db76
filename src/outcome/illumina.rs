//! `RunCompletionStatus.xml`, at the root of Illumina's runs: `RunStatus` (RunCompleted, RunErrored) of the newer
//! instruments, `CompletionStatus` (CompletedAsPlanned, UserEndedEarly, ExceptionEndedEarly) of the NextSeq 500/550,
//! with an `ErrorDescription` where there is one [runscanner, cleve, public parsers of it].

use quick_xml::events::Event;
use quick_xml::reader::Reader;

use super::{Outcome, is_failure, is_success, told};

const STATUS: [&str; 2] = ["RunStatus", "CompletionStatus"];
const DESCRIPTION: &str = "ErrorDescription";

pub(super) fn run_completion(text: &str) -> Outcome {
    let found = match elements(text) {
        Ok(found) => found,
        Err(why) => return Outcome::Unknown(format!("it is no XML: {}", told(&why))),
    };
    let status: Vec<&(String, String)> = found.iter().filter(|(name, _)| STATUS.contains(&name.as_str())).collect();
    let say = |(name, word): &(String, String)| format!("{name} {word}");
    if let Some(failed) = status.iter().find(|(_, word)| is_failure(word)) {
        let described = found.iter().find(|(name, text)| name == DESCRIPTION && !is_none(text));
        let why = described.map(|(_, text)| format!(": {text}")).unwrap_or_default();
        return Outcome::Failed(format!("{}{why}", say(failed)));
    }
    match (status.iter().find(|(_, word)| is_success(word)), status.first()) {
        (Some(good), _) => Outcome::Good(say(good)),
        (None, Some(other)) => Outcome::Unknown(format!("{} is not known", say(other))),
        (None, None) => Outcome::Unknown(format!("it has no {}", STATUS.join(" and no "))),
    }
}

/// How the NextSeq says that there was no error.
fn is_none(text: &str) -> bool {
    text.is_empty() || text.eq_ignore_ascii_case("none")
}

/// The names of the elements that matter here, with their text.
fn elements(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut reader = Reader::from_str(text);
    let mut found: Vec<(String, String)> = Vec::new();
    let (mut within, mut depth) = (None, 0_usize);
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(start) => {
                depth += 1;
                let name: &str = start.local_name().into_inner();
                if STATUS.contains(&name) || name == DESCRIPTION {
                    found.push((name.to_owned(), String::new()));
                    within = Some(depth);
                }
            }
            Event::End(_) => {
                within = within.filter(|at| *at != depth);
                depth = depth.saturating_sub(1);
            }
            Event::Text(part) => {
                if let (Some(_), Some((_, text))) = (within, found.last_mut()) {
                    text.push_str(&part.xml10_content());
                }
            }
            Event::CData(part) => {
                if let (Some(_), Some((_, text))) = (within, found.last_mut()) {
                    text.push_str(&part.xml10_content());
                }
            }
            Event::Eof if depth > 0 => return Err("it ends within an element".to_owned()),
            Event::Eof => break,
            _ => {}
        }
    }
    Ok(found.into_iter().map(|(name, text)| (name, told(&text))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(inner: &str) -> Outcome {
        run_completion(&format!(
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
            assert!(matches!(run_completion(cut), Outcome::Unknown(_)), "{cut}");
        }
    }
}
