//! `RunUploaded.json`, which an Element AVITI writes last: `outcome` (OutcomeCompleted, OutcomeFailed) [docs.elembio.io,
//! run output]. Nothing comes after it, so that a run that is not complete by its word never will be.

use serde_json::Value;

use super::{Outcome, is_denial, is_failure, is_success, told};

/// The outcome that is written in so many words; `None` where there is none.
pub(super) fn run_uploaded(json: &Value) -> Option<Outcome> {
    let (name, word) = json.as_object()?.iter().find(|(name, _)| name.eq_ignore_ascii_case("outcome"))?;
    let word = word.as_str()?;
    if word.trim().is_empty() {
        return Some(Outcome::Unknown(format!("{} is empty", told(name))));
    }
    let said = format!("{} {}", told(name), told(word));
    Some(if is_failure(word) || is_denial(word) {
        Outcome::Failed(said)
    } else if is_success(word) {
        Outcome::Good(said)
    } else {
        Outcome::Unknown(format!("{said} is not known"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_outcome_is_in_so_many_words() {
        let uploaded = |outcome: Value| {
            run_uploaded(
                &json!({"version": "1.0", "instrument": "AV000001", "runType": "Sequencing", "outcome": outcome}),
            )
        };
        let said = |outcome: &str| format!("outcome {outcome}");
        assert_eq!(uploaded(json!("OutcomeCompleted")), Some(Outcome::Good(said("OutcomeCompleted"))));
        assert_eq!(uploaded(json!("OutcomeFailed")), Some(Outcome::Failed(said("OutcomeFailed"))));
        assert_eq!(uploaded(json!("OutcomeStopped")), Some(Outcome::Failed(said("OutcomeStopped"))));
        for denied in ["OutcomeIncomplete", "OutcomeNotCompleted", "outcome_incompleted"] {
            assert_eq!(uploaded(json!(denied)), Some(Outcome::Failed(said(denied))));
        }
        for empty in ["", " \n"] {
            assert_eq!(uploaded(json!(empty)), Some(Outcome::Unknown("outcome is empty".into())));
        }
        assert_eq!(uploaded(Value::Null), None);
        assert_eq!(uploaded(json!("OutcomeX")), Some(Outcome::Unknown("outcome OutcomeX is not known".into())));
        assert_eq!(uploaded(json!(1)), None);
        assert_eq!(run_uploaded(&json!(["outcome"])), None);
    }
}
