//! `Data/Error_Summary.json` of an analysis on board of a NovaSeq X [cleve]. Its form was not found, so it is read by
//! what such a form can hardly do without: something called an error, or failed, that is not empty; a list of messages;
//! or a state in words.

use serde_json::{Map, Value};

use super::{Outcome, is_failure, is_success, told};

/// How deep is looked.
const DEEPEST: usize = 8;
/// What a state may be called.
const STATES: [&str; 5] = ["status", "result", "outcome", "state", "severity"];
/// What the words of an error may be called.
const WORDS: [&str; 5] = ["message", "description", "detail", "text", "reason"];

pub(super) fn error_summary(json: &Value) -> Outcome {
    let mut found = Found::default();
    match json {
        // What is listed right in it are errors, where they have words for one.
        Value::Array(items) => items.iter().for_each(|item| match item.as_object() {
            Some(fields) if !says_more(fields) => found.error = found.error.take().or_else(|| words_of(item)),
            _ => found.look(item, DEEPEST),
        }),
        _ => found.look(json, DEEPEST),
    }
    match found {
        Found { error: Some(error), .. } => Outcome::Failed(error),
        Found { success: Some(success), .. } => Outcome::Good(success),
        Found { has_no_errors: true, .. } => Outcome::Good("no errors".to_owned()),
        Found { .. } => Outcome::Unknown("it says nothing of errors".to_owned()),
    }
}

#[derive(Default, PartialEq)]
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
        match value {
            Value::String(word) if is_state(name) => {
                let said = format!("{} {}", told(name), told(word));
                if is_failure(word) {
                    self.error = Some(said);
                } else if is_success(word) {
                    self.success.get_or_insert(said);
                }
            }
            // What is listed there may say itself whether it is an error.
            Value::Array(items) if is_of_errors(name) => {
                let (judged, listed): (Vec<_>, Vec<_>) =
                    items.iter().partition(|item| item.as_object().is_some_and(says_more));
                let words = |item: &&Value| words_of(item).or_else(|| form_of(item).filter(|_| !is_of_more(name)));
                let mut errors = listed.iter().filter_map(words);
                match (errors.next(), errors.count()) {
                    (Some(first), 0) => self.error = Some(format!("{}: {first}", told(name))),
                    (Some(first), more) => self.error = Some(format!("{}: {first} and {more} more", told(name))),
                    (None, _) => self.has_no_errors |= items.is_empty() || !is_of_more(name),
                }
                judged.into_iter().for_each(|item| self.look(item, depth - 1));
            }
            _ if is_of_errors(name) => match words_of(value) {
                Some(words) => self.error = Some(format!("{}: {words}", told(name))),
                None if value.as_object().is_some_and(|fields| !fields.is_empty()) => {
                    // A map may have a place for errors within, or be one, by what failed.
                    let mut within = Found::default();
                    within.look(value, depth - 1);
                    if within == Found::default() && !is_of_more(name) {
                        within.error = form_of(value).map(|form| format!("{}: {form}", told(name)));
                    }
                    self.error = within.error;
                    self.success = self.success.take().or(within.success);
                    self.has_no_errors |= within.has_no_errors;
                }
                None => self.has_no_errors = true,
            },
            _ => self.look(value, depth - 1),
        }
    }
}

fn is_state(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    STATES.iter().any(|state| name.ends_with(state))
}

/// Whether what is called so is errors, or things that failed, or how many. Reads fail filters in any run.
fn is_of_errors(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let is_measure = |words: &[&str]| words.iter().any(|word| name.contains(word));
    (name.contains("error") && !is_measure(&["rate"]))
        || (name.contains("fail") && !is_measure(&["rate", "read", "filter", "cluster", "percent", "pct"]))
}

/// Whether what is called so is of errors and of more than that.
fn is_of_more(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["summary", "report", "info"].iter().any(|word| name.contains(word))
}

/// Whether what has these fields says itself whether it is an error: by a state, or by a place for errors.
fn says_more(fields: &Map<String, Value>) -> bool {
    fields.iter().any(|(name, value)| is_of_errors(name) || (is_state(name) && value.is_string()))
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
        Value::Array(items) => items.iter().find_map(words_of),
        Value::Object(fields) => {
            let text = |key: &&str| fields.iter().find(|(name, _)| name.to_ascii_lowercase().contains(*key));
            let (_, value) = WORDS.iter().find_map(text)?;
            value.as_str().and_then(|_| words_of(value))
        }
    }
}

/// An error that has no words for itself, as it is written; `None` where nothing in it is one.
fn form_of(error: &Value) -> Option<String> {
    error.as_object()?.values().find_map(words_of).map(|_| told(&error.to_string()))
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
        let errors = json!({"run": "r", "errors": [{"code": 12, "message": "FASTQ of lane 3\ncould not be written"}, {"code": 7}, {}]});
        assert_eq!(failed(errors), "errors: FASTQ of lane 3 could not be written and 1 more");
        assert_eq!(failed(json!({"ErrorCount": 3})), "ErrorCount: 3");
        assert_eq!(failed(json!({"summary": {"error": "out of memory"}})), "error: out of memory");
        assert_eq!(failed(json!([{"sample": "S1", "Status": "Failed"}])), "Status Failed");
        assert_eq!(failed(json!({"workflows": [{"result": "success"}, {"result": "error"}]})), "result error");
        assert_eq!(failed(json!({"Errors": {"S1": {"errors": ["no reads"]}}})), "errors: no reads");
        assert_eq!(failed(json!([{"message": "x"}, {"message": "y"}])), "x");
        assert_eq!(failed(json!({"failed_samples": ["A", "B"]})), "failed_samples: A and 1 more");
        assert_eq!(failed(json!({"FailedSampleCount": 2})), "FailedSampleCount: 2");
        assert_eq!(failed(json!({"ErrorSummary": [{"Error": "DRAGEN failed"}]})), "Error: DRAGEN failed");
        assert_eq!(failed(json!({"errors": [{"code": 12}]})), "errors: {\"code\":12}");
        assert_eq!(
            failed(json!({"Errors": {"S1": ["no reads"], "S2": []}})),
            "Errors: {\"S1\":[\"no reads\"],\"S2\":[]}"
        );
        assert_eq!(failed(json!({"error": "DRAGEN did not complete"})), "error: DRAGEN did not complete");
    }

    #[test]
    fn a_summary_without_errors_is_good_and_one_that_says_nothing_no_failure() {
        for json in [
            json!({"errors": []}),
            json!({"error_count": 0, "errors": null}),
            json!({"Error": "None"}),
            json!({"Error": "No errors were found"}),
            json!({"failed_samples": [], "failedCount": 0}),
            json!({"ErrorSummary": [{"sample": "A", "errors": []}, {"sample": "B", "errors": []}]}),
            json!({"Errors": {"S1": {"errors": []}}}),
        ] {
            assert_eq!(error_summary(&json), Outcome::Good("no errors".into()), "{json}");
        }
        assert_eq!(error_summary(&json!({"result": "success"})), Outcome::Good("result success".into()));
        for json in [
            json!({}),
            json!([]),
            json!([{}]),
            json!([{"sample": "A"}]),
            json!([{"severity": "Warning", "message": "few reads"}]),
            json!([{"message": "Analysis completed"}]),
            json!({"ErrorSummary": [{"sample": "A"}]}),
            json!({"ErrorSummary": {"run": "r"}}),
            json!({"error": {"code": 0}}),
            json!({"error_rate": 0.2, "reads_failed_filter": 12}),
            json!({"run": "Failing_Forward_01"}),
        ] {
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
