//! What each rule says of one file: for people who ask why a file became what it became.

use super::{Manifest, Paired, Rule};
use crate::pattern::{Captures, Miss};

/// A rule, and what it says of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    pub rule: String,
    pub outcome: Outcome,
}

/// What a rule says of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It takes it.
    Takes(Captures),
    /// It would, but a rule before it does.
    TakenBefore { by: String },
    /// A condition does not hold; its value is what was captured, or stands in a sheet.
    Where { capture: String, value: String, globs: Vec<String> },
    /// Its pattern does not match.
    Match(Miss),
    /// Its reads are chosen by the key `reads`, and this is none of them; why, for a person.
    Reads { reason: String },
    /// It would, but the layout leaves such files out of every rule that does not name them.
    Ignored { reason: String },
    /// It takes reads1 alone.
    SecondRead,
    /// The file is a read of one of its samples, which has no place for it.
    NoPlace { label: String },
}

impl Outcome {
    /// The key of the rule that decided, for those that did not take the file.
    pub fn condition(&self) -> Option<&'static str> {
        match self {
            Self::Takes(_) => None,
            Self::TakenBefore { .. } => Some("order"),
            Self::Where { .. } => Some("where"),
            Self::Match(_) => Some("match"),
            Self::Reads { .. } | Self::NoPlace { .. } => Some("reads"),
            Self::Ignored { .. } => Some("layout"),
            Self::SecondRead => Some("paired"),
        }
    }

    /// For a person.
    pub fn reason(&self) -> String {
        match self {
            Self::Takes(_) => "it takes the file".to_owned(),
            Self::TakenBefore { by } => format!("it would take the file, but rule {by} comes first"),
            Self::Where { capture, value, globs } => {
                format!("{capture} is {value:?}, which is not {}", globs.join(" or "))
            }
            Self::Match(miss) => miss.to_string(),
            Self::Reads { reason } | Self::Ignored { reason } => reason.clone(),
            Self::SecondRead => "paired: never takes reads1 alone".to_owned(),
            Self::NoPlace { label } => format!("its samples have no place for {label}; map it with reads"),
        }
    }
}

impl Manifest {
    /// What every rule says of a file, in order; the arguments are those of [`Manifest::classify_with`], which decides
    /// alike.
    pub fn trace<'m>(
        &'m self,
        below_run: &str,
        run: &Captures,
        columns: impl Fn(&'m Rule, &Captures) -> Option<Captures>,
    ) -> Vec<Tried> {
        let mut taken_by: Option<String> = None;
        let mut tried = Vec::new();
        for rule in &self.rules {
            let outcome = match self.outcome(rule, below_run, run, &columns) {
                Outcome::Takes(captures) => match &taken_by {
                    Some(by) => Outcome::TakenBefore { by: by.clone() },
                    None => {
                        taken_by = Some(rule.name.clone());
                        let is_second = captures.get("read").is_some_and(|read| read == "2");
                        let is_single = rule.paired == Some(Paired::Never);
                        if is_second && is_single { Outcome::SecondRead } else { Outcome::Takes(captures) }
                    }
                },
                other => other,
            };
            tried.push(Tried { rule: rule.name.clone(), outcome });
        }
        tried
    }

    fn outcome<'m>(
        &'m self,
        rule: &'m Rule,
        below_run: &str,
        run: &Captures,
        columns: impl Fn(&'m Rule, &Captures) -> Option<Captures>,
    ) -> Outcome {
        let (captures, unnamed) = match (rule.captured(below_run, run), rule.unnamed_read(below_run, run)) {
            (Some(captures), _) => (captures, None),
            (None, Some((reason, captures))) => (captures, Some(reason)),
            (None, None) => {
                if let Some(super::Verdict::Extra { label, .. }) = self.extra(rule, below_run, run) {
                    return Outcome::NoPlace { label };
                }
                let miss = rule.pattern.miss(below_run);
                return Outcome::Match(
                    miss.expect("a rule captures what its pattern matches, or does not name its read"),
                );
            }
        };
        let mut found = None;
        let ask = || {
            found = rule.asks_for_columns().then(|| columns(rule, &captures)).flatten();
            found.clone()
        };
        if let Some(failed) = rule.failed_condition(&captures, ask) {
            let value = captures.get(&failed.capture).or_else(|| found.as_ref()?.get(&failed.capture));
            return Outcome::Where {
                capture: failed.capture.clone(),
                value: value.cloned().unwrap_or_default(),
                globs: failed.written.clone(),
            };
        }
        if let Some(reason) = unnamed {
            return Outcome::Reads { reason };
        }
        match self.ignored.find(below_run).filter(|ignored| rule.takes(&ignored.disguised(below_run), run)) {
            Some(ignored) => Outcome::Ignored { reason: ignored.reason() },
            None => Outcome::Takes(captures),
        }
    }
}
