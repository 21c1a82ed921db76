//! From a pattern's text to its components, with the first mistake at its column.

use std::collections::BTreeMap;

use regex::{Regex, RegexBuilder};

use super::{Component, Expression, Pattern, Repeated, group};

/// The longest pattern, in bytes: as long as the longest path.
const LONGEST: usize = 4096;

/// The most components of a pattern: no run folder is nested that deeply.
const MOST_COMPONENTS: usize = 128;

/// The most names that a pattern captures.
pub const MOST_NAMES: usize = 32;

/// What one component may take compiled, in bytes, tried one after the other: so it is known what it takes about.
const REGEX_SIZES: [usize; 4] = [1 << 14, 1 << 16, 1 << 18, 1 << 20];

/// What a pattern may take compiled, in bytes.
const LARGEST_PATTERN: usize = 8 << 20;

/// Names that values use for something else.
const RESERVED: [&str; 3] = ["run", "sheet", "lookup"];

/// A mistake in a pattern, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column} of the pattern: {mistake}")]
pub struct PatternError {
    /// Counted in characters, from 1.
    pub column: usize,
    pub mistake: Mistake,
}

/// What is wrong, what was expected, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    #[error("the pattern is empty; write ** for every file")]
    Empty,
    #[error("the pattern is longer than {LONGEST} bytes, and so than any path")]
    TooLong,
    #[error("the pattern has more than {MOST_COMPONENTS} names between slashes; write **/ for any depth")]
    TooDeep,
    #[error("the pattern captures more than {MOST_NAMES} names; write * for what no value needs")]
    TooManyNames,
    #[error("the pattern is too large as a whole; ask for fewer repetitions")]
    TooLarge,
    #[error("a pattern is matched below the folder and cannot begin with /; remove the /, or write **/ for any depth")]
    LeadingSlash,
    #[error("a name was expected between / and /; remove the / that is too many")]
    EmptyComponent,
    #[error("{0:?} is never part of a path below a folder; name the folder itself, or write **/ for any depth")]
    Dots(String),
    #[error("** must stand alone between slashes; write * for any characters of one name, **/ for any depth")]
    MixedDepth,
    #[error("the {{ is never closed; write }} behind the name, or {{{{ for a literal brace")]
    Unclosed,
    #[error("the }} closes nothing; write }}}} for a literal brace")]
    Unopened,
    #[error("{0:?} is no name; expected a letter or _, then letters, digits and _, as in {{sample}} or {{lane:int}}")]
    BadName(String),
    #[error("{{{0}}} has a meaning of its own in values; capture it under another name")]
    Reserved(String),
    #[error("{{{0}}} stands twice in one component; give the second another name")]
    Twice(String),
    #[error("a kind was expected behind the colon: int, word, or a regular expression")]
    EmptyKind,
    #[error("a capture stays within one component, so its kind cannot contain /")]
    SlashInKind,
    #[error(
        "the group {0:?} has a name, but nothing would read it; write (?:…) and name what you need with {{name:…}}"
    )]
    NamedGroup(String),
    #[error("the kind {kind:?} is neither int nor word nor a valid regular expression: {why}")]
    BadKind { kind: String, why: String },
    #[error("this component does not compile: {0}")]
    Component(String),
    #[error(
        "{{{0}}} and {{{1}}} both stand in several components behind **, which leaves their places open; \
         name the folders before the first of them, or drop a **"
    )]
    Ambiguous(String, String),
}

/// Compiles a pattern; see [`Pattern::parse`].
pub(super) fn pattern(text: &str) -> Result<Pattern, PatternError> {
    let at_start = |mistake| PatternError { column: 1, mistake };
    match text {
        "" => return Err(at_start(Mistake::Empty)),
        text if text.len() > LONGEST => return Err(at_start(Mistake::TooLong)),
        text if text.starts_with('/') => return Err(at_start(Mistake::LeadingSlash)),
        _ => {}
    }
    let mut parser = Parser { text: text.chars().collect(), at: 0 };
    let mut components = vec![parser.component()?];
    while parser.next() == Some('/') {
        if components.len() == MOST_COMPONENTS {
            return Err(at_start(Mistake::TooDeep));
        }
        components.push(parser.component()?);
    }
    let weight = components.iter().map(Component::weight).sum();
    if weight > LARGEST_PATTERN {
        return Err(at_start(Mistake::TooLarge));
    }
    let mut places: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut names = Vec::new();
    for (i, component) in components.iter().enumerate() {
        let Component::Expression(expression) = component else { continue };
        for name in &expression.names {
            let places = places.entry(name).or_default();
            if places.is_empty() {
                names.push(name.clone());
            }
            places.push(i);
        }
    }
    if names.len() > MOST_NAMES {
        return Err(at_start(Mistake::TooManyNames));
    }
    let any_depth = components.iter().position(|component| matches!(component, Component::AnyDepth));
    let repeated: Vec<Repeated> = names
        .iter()
        .filter(|name| places[name.as_str()].len() > 1)
        .map(|name| {
            let first = places[name.as_str()][0];
            Repeated { name: name.clone(), first, floating: any_depth.is_some_and(|any| any < first) }
        })
        .collect();
    // Each such name multiplies the ways to align; one is cheap and useful (`**/{sample}/**/{sample}_R{read}.fq`).
    let floating: Vec<&Repeated> = repeated.iter().filter(|name| name.floating).collect();
    if let [one, two, ..] = floating[..] {
        return Err(at_start(Mistake::Ambiguous(one.name.clone(), two.name.clone())));
    }
    Ok(Pattern { text: text.to_owned(), components, names, repeated, weight })
}

/// A piece of a pattern's text.
pub(super) enum Piece {
    /// It means itself, or is one of `*` and `?`.
    Char(char),
    Capture {
        name: String,
        kind: Option<String>,
    },
}

/// The pieces of the text of a pattern that compiles.
pub(super) fn pieces(text: &str) -> Vec<Piece> {
    let mut parser = Parser { text: text.chars().collect(), at: 0 };
    let mut pieces = Vec::new();
    while let Some(c) = parser.next() {
        pieces.push(match c {
            '{' if !parser.next_is('{') => {
                let name = parser.name();
                let has_kind = parser.next() == Some(':');
                let kind = has_kind.then(|| parser.kind_text(0).expect("the brace of a kind is closed"));
                Piece::Capture { name, kind }
            }
            '}' => {
                parser.next_is('}');
                Piece::Char('}')
            }
            c => Piece::Char(c),
        });
    }
    pieces
}

struct Parser {
    text: Vec<char>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek();
        self.at += usize::from(c.is_some());
        c
    }

    fn next_is(&mut self, expected: char) -> bool {
        let found = self.peek() == Some(expected);
        self.at += usize::from(found);
        found
    }

    /// Up to the next `/`, which is left, or the end.
    fn component(&mut self) -> Result<Component, PatternError> {
        let start = self.at;
        let mut literal = String::new();
        let mut regex = String::new();
        let mut names: Vec<String> = Vec::new();
        let mut is_literal = true;
        while let Some(c) = self.peek().filter(|c| *c != '/') {
            let at = self.at;
            self.at += 1;
            let plain = match c {
                '*' if self.peek() == Some('*') => {
                    self.at += 1;
                    if at == start && matches!(self.peek(), None | Some('/')) {
                        return Ok(Component::AnyDepth);
                    }
                    return Err(mistake(at, Mistake::MixedDepth));
                }
                '*' => {
                    regex.push_str("(?s:.*)");
                    is_literal = false;
                    continue;
                }
                '?' => {
                    regex.push_str("(?s:.)");
                    is_literal = false;
                    continue;
                }
                '{' if !self.next_is('{') => {
                    let (name, kind) = self.capture(at)?;
                    if names.contains(&name) {
                        return Err(mistake(at, Mistake::Twice(name)));
                    }
                    regex.push_str(&format!("(?P<{}>{kind})", group(names.len())));
                    names.push(name);
                    is_literal = false;
                    continue;
                }
                '}' if !self.next_is('}') => return Err(mistake(at, Mistake::Unopened)),
                c => c,
            };
            literal.push(plain);
            regex.push_str(&regex::escape(plain.encode_utf8(&mut [0; 4])));
        }
        match literal.as_str() {
            "" if is_literal => Err(mistake(start, Mistake::EmptyComponent)),
            "." | ".." if is_literal => Err(mistake(start, Mistake::Dots(literal))),
            _ if is_literal => Ok(Component::Literal(literal)),
            _ => {
                let whole = compile(&format!(r"\A(?:{regex})\z"));
                let (regex, weight) = whole.map_err(|why| mistake(start, Mistake::Component(why)))?;
                Ok(Component::Expression(Expression { regex, names, weight }))
            }
        }
    }

    /// Behind a `{` at `start`: the name, and the regular expression that its text must match.
    fn capture(&mut self, start: usize) -> Result<(String, String), PatternError> {
        let name_start = self.at;
        let name = self.name();
        let behind = self.next().ok_or_else(|| mistake(start, Mistake::Unclosed))?;
        let is_name = |c: char| c == '_' || c.is_ascii_alphanumeric();
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(is_name) {
            return Err(mistake(name_start, Mistake::BadName(name)));
        }
        if RESERVED.contains(&name.as_str()) {
            return Err(mistake(name_start, Mistake::Reserved(name)));
        }
        let kind = match behind {
            '}' if name == "read" => "[12]".to_owned(),
            '}' => "(?s:.+)".to_owned(),
            ':' => self.kind(start)?,
            _ => return Err(mistake(start, Mistake::Unclosed)),
        };
        Ok((name, kind))
    }

    /// What stands in the place of a capture's name.
    fn name(&mut self) -> String {
        let start = self.at;
        while self.peek().is_some_and(|c| !matches!(c, ':' | '}' | '{' | '/')) {
            self.at += 1;
        }
        self.text[start..self.at].iter().collect()
    }

    /// Behind the `:` of a capture that began at `start`, up to and over the brace that closes it: as it is written.
    fn kind_text(&mut self, start: usize) -> Result<String, PatternError> {
        let kind_start = self.at;
        let mut open = 1;
        while open > 0 {
            match self.next() {
                None => return Err(mistake(start, Mistake::Unclosed)),
                Some('\\') if self.peek() != Some('/') => self.at += usize::from(self.peek().is_some()),
                Some('/') => return Err(mistake(self.at - 1, Mistake::SlashInKind)),
                Some('{') => open += 1,
                Some('}') => open -= 1,
                Some(_) => {}
            }
        }
        Ok(self.text[kind_start..self.at - 1].iter().collect())
    }

    /// The same as a regular expression.
    fn kind(&mut self, start: usize) -> Result<String, PatternError> {
        let kind_start = self.at;
        let kind = self.kind_text(start)?;
        match kind.as_str() {
            "" => return Err(mistake(kind_start, Mistake::EmptyKind)),
            "int" => return Ok("[0-9]+".to_owned()),
            "word" => return Ok("[0-9A-Za-z_]+".to_owned()),
            _ => {}
        }
        // Compiled alone first: "a)(b" would be valid between our own parentheses.
        let (alone, _) =
            compile(&kind).map_err(|why| mistake(kind_start, Mistake::BadKind { kind: kind.clone(), why }))?;
        if let Some(group) = alone.capture_names().flatten().next() {
            return Err(mistake(kind_start, Mistake::NamedGroup(group.to_owned())));
        }
        Ok(kind)
    }
}

fn mistake(at: usize, mistake: Mistake) -> PatternError {
    PatternError { column: at + 1, mistake }
}

/// Compiles a regular expression within limits, and tells what it takes at most; else says why not, in one line.
fn compile(regex: &str) -> Result<(Regex, usize), String> {
    let sized = |size: usize| RegexBuilder::new(regex).size_limit(size).dfa_size_limit(size).nest_limit(64).build();
    for size in REGEX_SIZES {
        match sized(size) {
            Ok(regex) => return Ok((regex, size)),
            Err(regex::Error::CompiledTooBig(_)) => {}
            // The rest of the text draws the expression over several lines.
            Err(error) => {
                let text = error.to_string();
                return Err(text.lines().last().unwrap_or(&text).trim_start_matches("error: ").to_owned());
            }
        }
    }
    Err("it is too large; ask for fewer repetitions".to_owned())
}
