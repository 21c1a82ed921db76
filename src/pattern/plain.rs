//! How a pattern reads to a person: without the regular expressions of what it captures.

use super::parse::{Piece, pieces};
use super::{Captures, Pattern, Patterns};

impl Pattern {
    /// As the name of a file that is looked for: with the text that a capture must have put in where it is known, and
    /// `*` for any other.
    pub fn filled(&self, known: &Captures) -> String {
        self.told(|name, _| known.get(name).cloned().unwrap_or_else(|| "*".to_owned()))
    }

    /// As the form of a name: with what is captured by its name, and its kind where that is a word.
    pub fn plain(&self) -> String {
        self.told(|name, kind| match kind.filter(|kind| matches!(*kind, "int" | "word")) {
            Some(kind) => format!("{{{name}:{kind}}}"),
            None => format!("{{{name}}}"),
        })
    }

    fn told(&self, capture: impl Fn(&str, Option<&str>) -> String) -> String {
        let mut text = String::new();
        // Whether the last piece was a star, and one that stands for a capture.
        let mut last = (false, false);
        for piece in pieces(&self.text) {
            let (told, is_capture) = match piece {
                Piece::Char(c) => (c.to_string(), false),
                Piece::Capture { name, kind } => (capture(&name, kind.as_deref()), true),
            };
            let is_star = told == "*";
            // Two would read as any depth, where they were not written.
            if !(is_star && last.0 && (is_capture || last.1)) {
                text.push_str(&told);
            }
            last = (is_star, is_capture);
        }
        text
    }
}

impl Patterns {
    /// As [`Pattern::plain`], one after the other; but for those that only say in which folders another may lie.
    pub fn plain(&self) -> String {
        let all: Vec<String> = self.iter().map(Pattern::plain).collect();
        let is_below = |text: &str, other: &str| text.strip_suffix(other).is_some_and(|above| above.ends_with('/'));
        let told = all.iter().filter(|text| !all.iter().any(|other| is_below(text, other)));
        told.map(String::as_str).collect::<Vec<_>>().join(" or ")
    }
}
