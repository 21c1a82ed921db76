//! `Data/Error_Summary.json` of an analysis on board of a NovaSeq X [cleve]. Its form was not found, so it is read by
//! what such a form can hardly do without: something called an error that is not empty, or a state in words.

use serde_json::Value;

use super::{Outcome, is_failure, is_success, told};

/// How deep is looked.
const DEEPEST: usize = 8;
/// What a state may be called.
const STATES: [&str; 5] = ["status", "result", "outcome", "state", "severity"];

pub(super) fn error_summary(json: &Value) -> Outcome {
    let mut found = Found::default();
    found.look(json, DEEPEST);
    match found {
        Found { error: Some(error), .. } => Outcome::Failed(error),
        Found { success: Some(success), .. } => Outcome::Good(success),
        Found { has_no_errors: true, .. } => Outcome::Good("no errors".to_owned()),
        Found { .. } => Outcome::Unknown("it says nothing of errors".to_owned()),
    }
}

#[derive(Default)]
struct Found {
    /// The first error, in its own words.
    error: Option<String>,
    success: Option<String>,
    /// Whether there is a place for errors, with none in it.
    has_no_errors: bool,
}

impl Found {
    fn look(&mut self, json: &Value, depth: usize) {
        if depth == 0 || self.error.is_some() {
            return;
        }
        match json {
            Value::Object(fields) => {
                for (name, value) in fields {
                    self.look_at_field(name, value, depth);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.look(item, depth - 1)),
            _ => {}
        }
    }

    fn look_at_field(&mut self, name: &str, value: &Value, depth: usize) {
        if self.error.is_some() {
            return;
        }
        let lower = name.to_ascii_lowercase();
        if STATES.iter().any(|state| lower.ends_with(state)) && value.is_string() {
            let word = value.as_str().unwrap_or_default();
            let said = format!("{} {}", told(name), told(word));
            if is_failure(word) {
                self.error = Some(said);
            } else if is_success(word) {
                self.success.get_or_insert(said);
            }
        } else if lower.contains("error") && !lower.contains("rate") {
            match words_of(value) {
                Some(words) => self.error = Some(format!("{}: {words}", told(name))),
                // A map may have a place for errors within.
                None if value.is_object() && !is_empty(value) => self.look(value, depth - 1),
                None => self.has_no_errors = true,
            }
        } else {
            self.look(value, depth - 1);
        }
    }
}

/// What an error says; `None` where there is none.
fn words_of(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Bool(false) => None,
        Value::Bool(true) => Some("true".to_owned()),
        Value::Number(number) => (number.as_f64() != Some(0.0)).then(|| number.to_string()),
        Value::String(text) => {
            let is_none =
                ["", "none", "no", "null", "n/a", "0", "ok"].contains(&text.trim().to_ascii_lowercase().as_str());
            (!is_none && !is_success(text)).then(|| told(text))
        }
        Value::Array(items) => {
            let first = items.iter().find_map(words_of)?;
            Some(if items.len() > 1 { format!("{first} and {} more", items.len() - 1) } else { first })
        }
        Value::Object(fields) => {
            let text = |key: &&str| fields.iter().find(|(name, _)| name.to_ascii_lowercase().contains(*key));
            let (_, value) = ["message", "description", "detail", "text", "reason"].iter().find_map(text)?;
            value.as_str().map(told).filter(|text| !text.is_empty())
        }
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(serde_json::Map::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn errors_are_found_wherever_they_are_kept() {
        let failed = |json: Value| match error_summary(&json) {
            Outcome::Failed(why) => why,
            other => panic!("{json}: {other:?}"),
        };
        let errors =
            json!({"run": "r", "errors": [{"code": 12, "message": "FASTQ of lane 3\ncould not be written"}, {}]});
        assert_eq!(failed(errors), "errors: FASTQ of lane 3 could not be written and 1 more");
        assert_eq!(failed(json!({"ErrorCount": 3})), "ErrorCount: 3");
        assert_eq!(failed(json!({"summary": {"error": "out of memory"}})), "error: out of memory");
        assert_eq!(failed(json!([{"sample": "S1", "Status": "Failed"}])), "Status Failed");
        assert_eq!(failed(json!({"workflows": [{"result": "success"}, {"result": "error"}]})), "result error");
        assert_eq!(failed(json!({"Errors": {"S1": {"errors": ["no reads"]}}})), "errors: no reads");
    }

    #[test]
    fn a_summary_without_errors_is_good_and_one_that_says_nothing_no_failure() {
        for json in [json!({"errors": []}), json!({"error_count": 0, "errors": null}), json!({"Error": "None"})] {
            assert_eq!(error_summary(&json), Outcome::Good("no errors".into()), "{json}");
        }
        assert_eq!(error_summary(&json!({"result": "success"})), Outcome::Good("result success".into()));
        for json in [json!({}), json!([]), json!({"error_rate": 0.2}), json!({"run": "Failing_Forward_01"})] {
            assert!(matches!(error_summary(&json), Outcome::Unknown(_)), "{json}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let mut json = json!({"error": "deep"});
        for _ in 0..100 {
            json = json!([json]);
        }
        assert!(matches!(error_summary(&json), Outcome::Unknown(_)));
    }
}
