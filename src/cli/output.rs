//! Results on stdout. A reader that has gone (`| head`) is no error.

use std::io::{self, Write};

use serde::Serialize;

/// Prints one JSON document.
pub(super) fn json(value: &impl Serialize) {
    let text = serde_json::to_string_pretty(value).expect("results have no maps with other keys than strings");
    line(&text);
}

/// Prints a line, now: whoever reads it may be waiting.
pub(super) fn line(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Prints bytes as they are.
pub(super) fn bytes(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// A text of the server's as a cell of a table: on one line, and without what would steer the terminal.
pub(super) fn cell(text: &str) -> String {
    let words: Vec<_> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// So many of a thing, in words.
pub(super) fn count(number: usize, one: &str) -> String {
    match (number, one.strip_suffix('y')) {
        (1, _) => format!("1 {one}"),
        (_, Some(stem)) => format!("{number} {stem}ies"),
        _ => format!("{number} {one}s"),
    }
}
