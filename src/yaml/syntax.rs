//! What to say of a text that is no YAML: where it broke, and which classic trap it probably fell into.

use super::{Place, Problem, tree};

/// The one problem of a text that could not be read.
pub(super) fn problem(text: &str, error: &serde_yaml::Error) -> Problem {
    let full = error.to_string();
    let second_document = || text.lines().enumerate().filter(|(_, line)| line.starts_with("---")).last();
    if full.contains("more than one document") {
        let place = second_document().map(|(line, _)| Place { line: line + 1, column: 1 });
        let message = "a second document begins; expected one: remove what follows, or the ---".to_owned();
        return Problem { place, key: String::new(), message };
    }
    let place = tree::place(error).filter(|_| !full.contains("control characters"));
    let place = place.or_else(|| text.find(is_forbidden).map(|at| place_behind(&text[..at])));
    // The parser's text goes on with places, of which ours says the one that helps.
    let what = full.split(" at line ").next().and_then(|what| what.split(" at position ").next()).unwrap_or(&full);
    let line = place.and_then(|place| text.lines().nth(place.line - 1)).unwrap_or_default();
    let message = match hint(text, line, place, &full) {
        Some(hint) => format!("not valid YAML: {what}; {hint}"),
        None => format!("not valid YAML: {what}"),
    };
    Problem { place, key: String::new(), message }
}

fn hint(text: &str, line: &str, place: Option<Place>, error: &str) -> Option<&'static str> {
    let behind =
        |line: &str| line.trim_start().trim_start_matches("- ").split_once(": ").map(|(_, v)| v.trim().to_owned());
    let opens_map = |line: &str| behind(line).is_some_and(|value| value.starts_with('{'));
    // A value such as {a}_b breaks behind its map, which may be on the line before the one that the parser names.
    let before = place.and_then(|place| text.lines().nth(place.line.checked_sub(2)?)).unwrap_or_default();
    let indent = &line[..line.len() - line.trim_start().len()];
    if error.contains("scanning an alias") || error.contains("unknown anchor") {
        Some("a text that begins with * must be quoted: \"*.gz\"")
    } else if indent.contains('\t') || (error.contains("cannot start any token") && line.contains('\t')) {
        Some("a tab cannot indent; use spaces")
    } else if error.contains("cannot start any token") {
        Some("a text that begins with @, ` or % must be quoted")
    } else if error.contains("escape character") {
        Some("within \"…\" a backslash begins an escape; write '…' for a text with backslashes")
    } else if error.contains("quoted scalar") {
        Some("a quote is opened and never closed")
    } else if error.contains("mapping values are not allowed") {
        Some("a text with a colon and a space in it must be quoted; or the line is indented too far")
    } else if error.contains("recursion limit") {
        Some("nothing in this file is nested this deeply")
    } else if error.contains("repetition limit") || error.contains("aliases followed") {
        Some("write out what the aliases repeat")
    } else if error.contains("without a tag") {
        Some("a text that begins with ! must be quoted")
    } else if error.contains("text for a key") {
        Some("a value that begins with { or [ must be quoted: \"{sample}\"")
    } else if opens_map(line) || opens_map(before) {
        Some("a text that begins with { must be quoted: \"{sample}_x\"")
    } else if error.contains("flow sequence") || error.contains("flow mapping") || error.contains("flow node") {
        Some("a [ or { is opened and never closed, or a comma is missing")
    } else if error.contains("did not find expected") {
        Some("look at the indentation here and on the line before: keys of one map begin in one column")
    } else {
        None
    }
}

/// Control characters that YAML does not take.
fn is_forbidden(c: char) -> bool {
    c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}')
}

/// The place behind a text.
pub(super) fn place_behind(text: &str) -> Place {
    let last = text.rsplit('\n').next().unwrap_or_default();
    Place { line: text.matches('\n').count() + 1, column: last.chars().count() + 1 }
}
