//! Templates: the values of a rule, with captured text put in.

use std::fmt;

use super::{Run, Table};
use crate::pattern::Captures;

/// A parsed value. Captured text goes in as it is and is never read as a template again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    text: String,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Name(Name),
}

/// What stands between braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Name {
    /// `{sample}`: captured by the rule's pattern.
    Capture(String),
    /// `{run}`: the run folder's own name.
    Run,
    /// `{run.flow_cell}`: captured by the watch's `run_folder`.
    RunCapture(String),
    /// `{sheet.Sample_Project}`, `{lookup.project}`: a column of a table that people keep.
    Column(Table, String),
}

/// A mistake in a template, at a column counted in characters from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error("the {{ in column {0} is never closed; write }} behind the name, or {{{{ for a literal brace")]
    Unclosed(usize),
    #[error("the }} in column {0} closes nothing; write }}}} for a literal brace")]
    Unopened(usize),
    #[error("{{{0}}}: a kind belongs into match; write {{{1}}} here")]
    Kind(String, String),
    #[error(
        "{{{0}}} is no name; expected a captured name such as {{sample}}, {{run}}, {{run.name}}, or {{sheet.Column}}"
    )]
    BadName(String),
}

impl Template {
    pub(super) fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut chars = text.chars().enumerate().peekable();
        while let Some((at, c)) = chars.next() {
            match c {
                '{' | '}' if chars.next_if(|(_, next)| *next == c).is_some() => literal.push(c),
                '}' => return Err(TemplateError::Unopened(at + 1)),
                '{' => {
                    let mut name = String::new();
                    loop {
                        match chars.next() {
                            Some((_, '}')) => break,
                            Some((_, '{')) | None => return Err(TemplateError::Unclosed(at + 1)),
                            Some((_, c)) => name.push(c),
                        }
                    }
                    if !literal.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut literal)));
                    }
                    pieces.push(Piece::Name(Name::parse(&name)?));
                }
                c => literal.push(c),
            }
        }
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal));
        }
        Ok(Self { text: text.to_owned(), pieces })
    }

    /// Its text where it takes no names; `None` where it is known only with the files.
    pub fn constant(&self) -> Option<String> {
        let text = |piece: &Piece| match piece {
            Piece::Text(text) => Some(text.clone()),
            Piece::Name(_) => None,
        };
        self.pieces.iter().map(text).collect()
    }

    /// The names that it takes, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &Name> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Name(name) => Some(name),
            Piece::Text(_) => None,
        })
    }

    /// The name of the capture that it consists of, where it is nothing else.
    pub(super) fn sole_capture(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [Piece::Name(Name::Capture(name))] => Some(name),
            _ => None,
        }
    }

    /// Whether it takes nothing but what is known: of the run, and of these captures and columns.
    pub(super) fn is_known(&self, captures: &Captures) -> bool {
        self.names().all(|name| match name {
            Name::Capture(name) => captures.contains_key(name),
            Name::Column(table, column) => captures.contains_key(&table.key(column)),
            Name::Run | Name::RunCapture(_) => true,
        })
    }

    /// The value for one file. Every name is captured: loading the manifest saw to that.
    pub(super) fn render(&self, run: &Run, captures: &Captures) -> String {
        let captured = |captures: &Captures, name: &str| captures.get(name).cloned().unwrap_or_default();
        let rendered = self.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Name(Name::Run) => run.name.to_owned(),
            Piece::Name(Name::Capture(name)) => captured(captures, name),
            Piece::Name(Name::RunCapture(name)) => captured(run.captures, name),
            Piece::Name(Name::Column(table, column)) => captured(captures, &table.key(column)),
        });
        rendered.collect()
    }
}

impl Name {
    fn parse(text: &str) -> Result<Self, TemplateError> {
        let is_name = |name: &str| {
            !name.starts_with(|c: char| c.is_ascii_digit())
                && !name.is_empty()
                && name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric())
        };
        if let Some((table, column)) = Table::split(text) {
            return match column.trim() {
                "" => Err(TemplateError::BadName(text.to_owned())),
                column => Ok(Name::Column(table, column.to_owned())),
            };
        }
        match text.split_once('.') {
            None if text == "run" => Ok(Name::Run),
            None if is_name(text) => Ok(Name::Capture(text.to_owned())),
            Some(("run", name)) if is_name(name) => Ok(Name::RunCapture(name.to_owned())),
            _ => match text.split_once(':') {
                Some((name, _)) if is_name(name) => Err(TemplateError::Kind(text.to_owned(), name.to_owned())),
                _ => Err(TemplateError::BadName(text.to_owned())),
            },
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pattern::Pattern;

    fn render(template: &str, captures: &Captures) -> String {
        let run_captures = Captures::from([("flow_cell".to_owned(), "HXX".to_owned())]);
        let run = Run { name: "240115_A_1_HXX", captures: &run_captures };
        Template::parse(template).unwrap().render(&run, captures)
    }

    #[test]
    fn names_are_replaced_and_doubled_braces_are_braces() {
        let captures = Captures::from([("sample".to_owned(), "{run}".to_owned())]);
        assert_eq!(render("{run}_{run.flow_cell}-{sample}", &captures), "240115_A_1_HXX_HXX-{run}");
        assert_eq!(render("{{sample}} {{{sample}}}", &captures), "{sample} {{run}}");
        assert_eq!(render("plain", &captures), "plain");
        let constant = |text: &str| Template::parse(text).unwrap().constant();
        assert_eq!((constant("a {{b}}").as_deref(), constant("a {b}")), (Some("a {b}"), None));
    }

    #[test]
    fn mistakes_say_where_and_what_to_write() {
        let texts = ["a{b", "a}b", "{a{b}}", "{sheet. }", "{lane:int}", "{}", "{a b}", "{x.y}", "{run.}"];
        let error = |text: &&str| format!("{text}\n  {}", Template::parse(text).unwrap_err());
        insta::assert_snapshot!(texts.iter().map(error).collect::<Vec<_>>().join("\n"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a{}.:é ]{0,16}") {
            let _ = Template::parse(&text);
        }

        /// What a pattern took apart, a template with the same names puts together again.
        #[test]
        fn a_template_restores_what_a_pattern_took_apart(path in "[a-c_{}-]{1,6}_S[0-9]{1,3}_R[12]") {
            let text = "{sample}_S{n:int}_R{read}";
            let captures = Pattern::parse(text).unwrap().captures(&path).unwrap();
            prop_assert_eq!(render(&text.replace(":int", ""), &captures), path);
        }
    }
}
