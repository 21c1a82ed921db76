//! Where a path that does not match a pattern parts from it, for people who ask why.

use std::fmt;

use super::{Component, Pattern, Patterns};

/// The place at which a path stops to match a pattern: the farthest that it gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Miss {
    /// The pattern's component; `None` where the path goes deeper than the pattern.
    pub expected: Option<String>,
    /// The path's component; `None` where the path ends too early.
    pub found: Option<String>,
    /// How many components of the pattern the path got through.
    depth: usize,
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.expected, &self.found) {
            (Some(expected), Some(found)) => write!(f, "{found:?} does not fit {expected}"),
            (Some(expected), None) => write!(f, "the path ends where {expected} is expected"),
            (None, Some(found)) => write!(f, "the path goes deeper than the pattern, from {found:?} on"),
            (None, None) => write!(f, "a name that stands twice in the pattern has two texts in the path"),
        }
    }
}

impl Pattern {
    /// Why a path does not match; `None` where it does.
    pub fn miss(&self, path: &str) -> Option<Miss> {
        if self.is_match(path) {
            return None;
        }
        let parts: Vec<&str> = path.split('/').collect();
        let mut reached = vec![false; self.components.len() + 1];
        reached[0] = true;
        // A part that does not fit says more than one that is not there.
        let mut farthest: Option<(usize, bool, usize)> = None;
        for at in 0..=parts.len() {
            self.pass_any_depth(&mut reached);
            let mut next = vec![false; reached.len()];
            for i in (0..reached.len()).filter(|i| reached[*i]) {
                match (self.components.get(i), parts.get(at)) {
                    (Some(Component::AnyDepth), Some(_)) => next[i] = true,
                    (Some(component), Some(part)) if component.is_match(part, &[]) => next[i + 1] = true,
                    (Some(Component::AnyDepth), None) | (None, None) => {}
                    _ => farthest = farthest.max(Some((i, at < parts.len(), at))),
                }
            }
            if at == parts.len() && reached[self.components.len()] {
                // All components fit, each by itself.
                return Some(Miss { expected: None, found: None, depth: self.components.len() });
            }
            reached = next;
        }
        let (depth, _, at) = farthest?;
        let expected = self.text.split('/').nth(depth).map(str::to_owned);
        Some(Miss { expected, found: parts.get(at).map(|part| (*part).to_owned()), depth })
    }

    /// Whether a path's last component ends as the pattern's last one does, behind all that varies: such a file is of
    /// the kind that the pattern looks for, under another name.
    pub(crate) fn ends_alike(&self, path: &str) -> bool {
        let last = self.text.rsplit('/').next().unwrap_or_default();
        let ending = last.rsplit(['}', '*', '?']).next().unwrap_or_default();
        !ending.is_empty() && path.ends_with(ending)
    }
}

impl Patterns {
    /// Why a path matches none of them: of the one that it gets farthest with. `None` where it matches one.
    pub fn miss(&self, path: &str) -> Option<Miss> {
        let misses: Option<Vec<Miss>> = self.iter().map(|pattern| pattern.miss(path)).collect();
        misses?.into_iter().reduce(|best, other| if other.depth > best.depth { other } else { best })
    }

    pub(crate) fn ends_alike(&self, path: &str) -> bool {
        self.iter().any(|pattern| pattern.ends_alike(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn miss(pattern: &str, path: &str) -> String {
        Pattern::parse(pattern).unwrap().miss(path).map_or("it matches".to_owned(), |miss| miss.to_string())
    }

    #[test]
    fn the_component_that_fails_is_named() {
        let reads = "**/{sample}_R{read}.fastq.gz";
        assert_eq!(miss(reads, "a/S1_R1.fastq.gz"), "it matches");
        assert_eq!(miss(reads, "a/S1_R3.fastq.gz"), "\"S1_R3.fastq.gz\" does not fit {sample}_R{read}.fastq.gz");
        assert_eq!(miss("reads/{s}.gz", "Reads/a.gz"), "\"Reads\" does not fit reads");
        assert_eq!(miss("reads/{s}.gz", "reads/lane1/a.gz"), "\"lane1\" does not fit {s}.gz");
        assert_eq!(miss("reads/{s}/{t}.gz", "reads/a"), "the path ends where {t}.gz is expected");
        assert_eq!(miss("{s}", "a/b"), "the path goes deeper than the pattern, from \"b\" on");
        assert!(miss("{s}/{s}_1.gz", "a/b_1.gz").contains("two texts"));
    }

    #[test]
    fn of_several_patterns_the_nearest_counts() {
        let patterns = ["x/{a}.gz", "Data/*/{a}_{b}.gz"].map(|text| Pattern::parse(text).unwrap());
        let patterns = Patterns::new(patterns.to_vec()).unwrap();
        assert_eq!(patterns.miss("Data/1/c.gz").unwrap().expected.as_deref(), Some("{a}_{b}.gz"));
        assert_eq!(patterns.miss("x/c.gz"), None);
    }

    #[test]
    fn files_of_a_kind_end_alike() {
        let pattern = Pattern::parse("**/{sample}_R{read}.fastq.gz").unwrap();
        assert!(pattern.ends_alike("a/b.fastq.gz") && !pattern.ends_alike("a/b.fastq"));
        assert!(!Pattern::parse("**").unwrap().ends_alike("a"));
    }
}
