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
