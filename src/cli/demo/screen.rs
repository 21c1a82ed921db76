//! How the demo speaks while it runs: short lines on stderr, around the bars, with the time in front. Plain text where
//! nobody asked for colours.

use std::env;
use std::io::{self, IsTerminal, Write, stderr, stdout};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// No line is longer, so that the narrowest usual terminal shows it as it is meant.
const WIDTH: usize = 80;

/// Where a line's text begins, behind the time.
const INDENT: usize = 9;

/// Emphasis, or none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint {
    is_on: bool,
}

impl Paint {
    /// For what goes to stdout.
    pub fn stdout() -> Self {
        Self::when(stdout().is_terminal())
    }

    fn stderr() -> Self {
        Self::when(stderr().is_terminal())
    }

    #[cfg(test)]
    pub fn off() -> Self {
        Self { is_on: false }
    }

    /// On a terminal that can, unless `NO_COLOR` is set (<https://no-color.org>).
    fn when(is_terminal: bool) -> Self {
        let is_refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { is_on: is_terminal && !is_refused && !is_dumb }
    }

    pub fn bold(self, text: &str) -> String {
        self.sgr("1", text)
    }

    pub fn dim(self, text: &str) -> String {
        self.sgr("2", text)
    }

    /// What is well.
    pub fn good(self, text: &str) -> String {
        self.sgr("32", text)
    }

    /// What needs a person.
    pub fn notable(self, text: &str) -> String {
        self.sgr("33", text)
    }

    /// What is wrong.
    pub fn bad(self, text: &str) -> String {
        self.sgr("31;1", text)
    }

    fn sgr(self, code: &str, text: &str) -> String {
        if self.is_on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Stderr, shared with the bars.
pub(super) struct Screen {
    canvas: MultiProgress,
    pub paint: Paint,
    since: Instant,
}

impl Screen {
    pub fn new(canvas: MultiProgress) -> Self {
        Self { canvas, paint: Paint::stderr(), since: Instant::now() }
    }

    /// Since the demo began.
    pub fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }

    /// A new part of the story, with the time.
    pub fn headline(&self, text: &str) {
        let time = format!("{:>5.1} s  ", self.elapsed().as_secs_f64());
        self.print(&format!("\n{}{}", self.paint.dim(&time), self.paint.bold(text)));
    }

    /// A line below a headline.
    pub fn line(&self, text: &str) {
        self.print(&format!("{:INDENT$}{}", "", wrapped(text, INDENT, INDENT + 2)));
    }

    /// A line that begins with a label; where the text needs more lines, they stand below it.
    pub fn labelled(&self, label: &str, text: &str) {
        let at = INDENT + label.chars().count() + 1;
        self.print(&format!("{:INDENT$}{label} {}", "", wrapped(text, at, at)));
    }

    /// A line as it is.
    pub fn print(&self, text: &str) {
        // Nobody listens any more when this fails, which is no reason to stop.
        self.canvas.suspend(|| drop(writeln!(io::stderr().lock(), "{text}")));
    }

    /// A bar of the sequencer's own, above those of the uploads.
    pub fn bar(&self, length: usize) -> ProgressBar {
        let style = ProgressStyle::with_template("         [{bar:24.cyan/blue}] {msg}");
        let style = style.expect("the template is a constant").progress_chars("━╸─");
        self.canvas.insert(0, ProgressBar::new(length as u64).with_style(style))
    }
}

/// Text broken at spaces, for a first line that begins at column `at`; the further ones begin at `indent`.
pub(super) fn wrapped(text: &str, at: usize, indent: usize) -> String {
    let mut out = String::new();
    let mut column = at;
    for word in text.split(' ') {
        let length = word.chars().count();
        if !out.is_empty() {
            if column + 1 + length > WIDTH {
                out.push('\n');
                out.extend(std::iter::repeat_n(' ', indent));
                column = indent;
            } else {
                out.push(' ');
                column += 1;
            }
        }
        out.push_str(word);
        column += length;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_before_the_edge() {
        let text = "word ".repeat(40);
        for line in wrapped(text.trim_end(), 30, 4).lines().skip(1) {
            assert!(line.len() <= WIDTH && line.starts_with("    word"), "{line:?}");
        }
        assert!(wrapped(text.trim_end(), 30, 4).lines().next().unwrap().len() <= WIDTH - 30);
        assert_eq!(wrapped("short", 30, 4), "short");
    }
}
