//! Lines of YAML and of comments: how the proposal is written down.

use std::fmt::Display;

use super::super::output::cell;

/// How wide a comment is.
const WIDTH: usize = 116;
/// The longest text of a name or a reason, in characters.
const LONGEST: usize = 160;
/// So many names are told as examples.
const EXAMPLES: usize = 5;

/// Lines of YAML.
#[derive(Default)]
pub(super) struct Text(pub String);

impl Text {
    /// A line as it is.
    pub fn line(&mut self, line: impl Display) {
        self.0 += line.to_string().trim_end();
        self.0.push('\n');
    }

    /// A comment, in as many lines as it needs; those that follow are indented.
    pub fn comment(&mut self, indent: usize, words: impl Display) {
        let mut line = format!("{:indent$}#", "");
        let words = words.to_string();
        let lead = words.len() - words.trim_start().len();
        line += &" ".repeat(lead);
        let start = line.len();
        for word in words.split_whitespace() {
            if line.len() + word.len() >= WIDTH && line.len() > start + 2 {
                self.line(&line);
                line = format!("{:indent$}# {}", "", " ".repeat(lead + 1));
            }
            line.push(' ');
            line += word;
        }
        self.line(line);
    }
}

/// A text as YAML, whatever is in it: JSON's quotes are YAML's.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A text of a disk's or a server's, for a comment.
pub(super) fn told(text: &str) -> String {
    let text = cell(text);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// The first names of many.
pub(super) fn examples<T: AsRef<str>>(names: &[T]) -> String {
    let shown: Vec<String> = names.iter().take(EXAMPLES).map(|name| told(name.as_ref())).collect();
    let more = if names.len() > EXAMPLES { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_stays_one_whatever_it_tells() {
        let mut text = Text::default();
        text.comment(4, format_args!("  {}", told("a name\nstate_dir: /etc\r\u{1b}[2J # b")));
        text.comment(4, "word ".repeat(60));
        text.comment(0, "x".repeat(300));
        assert!(text.0.lines().all(|line| line.trim_start().starts_with('#')), "{}", text.0);
        assert!(text.0.lines().filter(|line| !line.contains("xxx")).all(|line| line.len() <= WIDTH), "{}", text.0);
        assert_eq!(text.0.matches("word").count(), 60);
        assert_eq!(quoted("a\"b\n{c}: #"), r#""a\"b\n{c}: #""#);
        assert_eq!(told(&"é".repeat(300)).chars().count(), LONGEST + 1);
    }
}
