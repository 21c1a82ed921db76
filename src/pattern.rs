//! Path patterns, one kind for all: the manifest's rules, run folders and completeness markers.
//!
//! A pattern is cut at `/` into components. Each becomes a regular expression of the linear-time kind that is
//! matched against one component of a path, so no capture can reach across a `/`; how `**` aligns the two lists is
//! then a table of their lengths. No pattern takes exponential time, whoever wrote it.
//!
//! This module knows text alone: no I/O, and no meaning of a captured name except `read`, which is 1 or 2.

mod miss;
mod parse;
mod plain;
mod several;

use std::collections::BTreeMap;
use std::fmt;

use regex::Regex;

pub use miss::Miss;
pub use parse::{MOST_NAMES, Mistake, PatternError};
pub use several::Patterns;

/// What a pattern captured: name and text.
pub type Captures = BTreeMap<String, String>;

/// A compiled pattern.
///
/// `*` and `?` stand for any characters, or one, within a component; `**` as a whole component for any number of
/// components, none included; `{name}` captures one or more characters of one component, as many as it can;
/// `{name:int}` digits, `{name:word}` ASCII letters, digits and `_`, `{name:<regular expression>}` what that says;
/// `{{` and `}}` are braces. Everything else means itself, and case matters.
///
/// A name that stands in two components must capture the same text in both. Where several ways to fill `**` fit,
/// the earlier `**` takes as little as it can.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    components: Vec<Component>,
    /// Captured names in the order in which they first appear.
    names: Vec<String>,
    /// Names that stand in several components, and where first.
    repeated: Vec<Repeated>,
    weight: usize,
}

#[derive(Clone)]
enum Component {
    /// `**`
    AnyDepth,
    Literal(String),
    Expression(Expression),
}

/// A component with something to find in it.
#[derive(Clone)]
struct Expression {
    /// Anchored at both ends; the group of `names[i]` is called `c{i}`.
    regex: Regex,
    names: Vec<String>,
    weight: usize,
}

#[derive(Clone)]
struct Repeated {
    name: String,
    first: usize,
    /// Whether a `**` stands before `first`, so that several components of a path may be tried for it.
    floating: bool,
}

/// A repeated name and the text that it must capture everywhere.
type Bound<'a> = (&'a str, &'a str);

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// The first mistake in it: what, at which column, and what to write instead.
    pub fn parse(text: &str) -> Result<Pattern, PatternError> {
        parse::pattern(text)
    }

    /// What the pattern captures from a whole path (components separated by `/`, none in front); `None` when it does
    /// not match.
    pub fn captures(&self, path: &str) -> Option<Captures> {
        let path: Vec<&str> = path.split('/').collect();
        let alignment = self.align(&path)?;
        let mut captures = Captures::new();
        for (component, part) in alignment {
            for (name, value) in self.components[component].captures(path[part])? {
                captures.insert(name.to_owned(), value.to_owned());
            }
        }
        Some(captures)
    }

    /// Whether the pattern matches a whole path.
    pub fn is_match(&self, path: &str) -> bool {
        // Most paths that are no match end otherwise, and that is soon seen.
        let may_end_so = matches!(self.components.last(), Some(Component::AnyDepth)) || self.matches_file_name(path);
        may_end_so && self.align(&path.split('/').collect::<Vec<_>>()).is_some()
    }

    /// Whether the last component alone matches a path's last one: what is wrong with such a path are its folders.
    pub(crate) fn matches_file_name(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        self.components.last().is_some_and(|last| !matches!(last, Component::AnyDepth) && last.is_match(name, &[]))
    }

    /// The captured names, in the order in which they first appear.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// About how much memory it takes, in bytes.
    pub(crate) fn weight(&self) -> usize {
        self.weight
    }

    /// Whether some path below this folder could match; `""` is the top. It may say yes where the answer is no, never
    /// the reverse, so a scan need not descend where it says no.
    pub fn could_match_below(&self, folder: &str) -> bool {
        let mut reached = vec![false; self.components.len() + 1];
        reached[0] = true;
        for part in folder.split('/').filter(|part| !part.is_empty()) {
            self.pass_any_depth(&mut reached);
            let mut next = vec![false; reached.len()];
            for (i, component) in self.components.iter().enumerate().filter(|(i, _)| reached[*i]) {
                match component {
                    Component::AnyDepth => next[i] = true,
                    component if component.is_match(part, &[]) => next[i + 1] = true,
                    _ => {}
                }
            }
            reached = next;
        }
        self.pass_any_depth(&mut reached);
        reached[..self.components.len()].contains(&true)
    }

    /// `**` takes nothing, too: whoever stands before it also stands behind it.
    fn pass_any_depth(&self, reached: &mut [bool]) {
        for (i, component) in self.components.iter().enumerate() {
            if reached[i] && matches!(component, Component::AnyDepth) {
                reached[i + 1] = true;
            }
        }
    }

    /// Which component of the pattern takes which of the path, `**` aside.
    fn align(&self, path: &[&str]) -> Option<Vec<(usize, usize)>> {
        // A name whose place in the path is certain binds its text before anything is aligned.
        let mut bound: Vec<Bound> = Vec::new();
        for name in self.repeated.iter().filter(|name| !name.floating) {
            bound.push((&name.name, self.components[name.first].capture(path.get(name.first)?, &name.name)?));
        }
        // The parser admits one name at most whose place is not; each text that it could capture is tried, once.
        let Some(floating) = self.repeated.iter().find(|name| name.floating) else {
            return self.align_bound(path, &bound);
        };
        let mut tried = Vec::new();
        path.iter().find_map(|part| {
            let text = self.components[floating.first].capture(part, &floating.name)?;
            if tried.contains(&text) {
                return None;
            }
            tried.push(text);
            let bound: Vec<Bound> = bound.iter().copied().chain([(floating.name.as_str(), text)]).collect();
            self.align_bound(path, &bound)
        })
    }

    /// [`Self::align`] once the repeated names are known.
    fn align_bound(&self, path: &[&str], bound: &[Bound]) -> Option<Vec<(usize, usize)>> {
        // fits[i][j]: the pattern from component i on matches the path from component j on. Filled from the end,
        // so that most components are compared with one or two parts of the path only.
        let (m, n) = (self.components.len(), path.len());
        let mut fits = vec![vec![false; n + 1]; m + 1];
        fits[m][n] = true;
        for (i, component) in self.components.iter().enumerate().rev() {
            for j in (0..=n).rev() {
                fits[i][j] = match component {
                    Component::AnyDepth => fits[i + 1][j] || (j < n && fits[i][j + 1]),
                    component => j < n && fits[i + 1][j + 1] && component.is_match(path[j], bound),
                };
            }
        }
        if !fits[0][0] {
            return None;
        }
        let mut alignment = Vec::with_capacity(m);
        let (mut i, mut j) = (0, 0);
        while i < m {
            if !matches!(self.components[i], Component::AnyDepth) {
                alignment.push((i, j));
                (i, j) = (i + 1, j + 1);
            } else if fits[i + 1][j] {
                i += 1;
            } else {
                j += 1;
            }
        }
        Some(alignment)
    }
}

impl Component {
    /// About how much memory it takes, in bytes.
    fn weight(&self) -> usize {
        match self {
            Component::Expression(expression) => expression.weight,
            Component::AnyDepth | Component::Literal(_) => 0,
        }
    }

    /// Whether it takes this part of a path, with these texts for the names that are bound.
    fn is_match(&self, part: &str, bound: &[Bound]) -> bool {
        match self {
            Component::AnyDepth => true,
            Component::Literal(text) => text == part,
            Component::Expression(expression) => {
                let matters = |name: &String| name == "read" || bound.iter().any(|(bound, _)| bound == name);
                if !expression.names.iter().any(matters) {
                    return expression.regex.is_match(part);
                }
                expression.captures(part).is_some_and(|captures| {
                    captures.iter().all(|(name, text)| bound.iter().all(|(bound, must)| bound != name || must == text))
                })
            }
        }
    }

    fn captures<'a>(&'a self, part: &'a str) -> Option<Vec<(&'a str, &'a str)>> {
        match self {
            Component::Expression(expression) => expression.captures(part),
            component => component.is_match(part, &[]).then(Vec::new),
        }
    }

    /// What it captures under one name.
    fn capture<'a>(&'a self, part: &'a str, name: &str) -> Option<&'a str> {
        self.captures(part)?.into_iter().find_map(|(captured, text)| (captured == name).then_some(text))
    }
}

impl Expression {
    fn captures<'a>(&'a self, part: &'a str) -> Option<Vec<(&'a str, &'a str)>> {
        let groups = self.regex.captures(part)?;
        let mut captures = Vec::with_capacity(self.names.len());
        for (i, name) in self.names.iter().enumerate() {
            let text = groups.name(&group(i))?.as_str();
            // Flow knows two reads; whatever else a pattern takes for one is not a read.
            if name == "read" && !matches!(text, "1" | "2") {
                return None;
            }
            captures.push((name.as_str(), text));
        }
        Some(captures)
    }
}

/// What the group of a component's i-th captured name is called in its regular expression.
fn group(i: usize) -> String {
    format!("c{i}")
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.text).finish()
    }
}

/// Two patterns of one text are one pattern.
impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

#[cfg(test)]
mod tests;
