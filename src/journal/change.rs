//! What was sent and what is there now, side by side.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::sample::{Fingerprint, Sample, Target, path_to_text};

/// What one thing of a sample was when it was sent, and what it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    File {
        /// Absolute path.
        path: PathBuf,
        /// `None`: nothing of it was sent.
        was: Option<Fingerprint>,
        /// `None`: it is gone.
        is: Option<Fingerprint>,
    },
    /// What Flow was told of the sample.
    Value {
        /// As the manifest calls it: `name`, `type`, `metadata.scientist`.
        value: String,
        was: Option<String>,
        is: Option<String>,
    },
}

/// What was sent and what is there now, side by side, where they differ: values first.
pub(super) fn changes(sent: &Sample, found: &Sample) -> Vec<Change> {
    let mut changes = value_changes(sent, found);
    let mut files: BTreeMap<&PathBuf, (Option<Fingerprint>, Option<Fingerprint>)> = BTreeMap::new();
    for part in sent.parts() {
        files.entry(&part.path).or_default().0 = Some(part.fingerprint);
    }
    for part in found.parts() {
        files.entry(&part.path).or_default().1 = Some(part.fingerprint);
    }
    let differing = files.into_iter().filter(|(_, (was, is))| was != is);
    changes.extend(differing.map(|(path, (was, is))| Change::File { path: path.clone(), was, is }));
    changes
}

/// What Flow was told of a sample and what it would be told now, where that differs.
fn value_changes(sent: &Sample, found: &Sample) -> Vec<Change> {
    let (was, is) = (values(sent), values(found));
    let mut names: Vec<&String> = was.iter().map(|(name, _)| name).collect();
    names.extend(is.iter().map(|(name, _)| name).filter(|name| !was.iter().any(|(known, _)| known == *name)));
    let of = |values: &[(String, String)], name: &String| {
        values.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    };
    let change = |name: &String| Change::Value { value: name.clone(), was: of(&was, name), is: of(&is, name) };
    let differs = |change: &Change| matches!(change, Change::Value { was, is, .. } if was != is);
    names.into_iter().map(change).filter(differs).collect()
}

/// The name under which a sample goes to Flow.
pub(super) fn name_on_flow(sample: &Sample) -> &str {
    match (&sample.target, sample.slots.first()) {
        (Target::Sample { name, .. }, _) => name,
        (Target::Data { .. }, Some(slot)) => &slot.filename,
        _ => &sample.key.name,
    }
}

/// What Flow is told of a sample, by the manifest's names; its name as it is there.
fn values(sample: &Sample) -> Vec<(String, String)> {
    let mut values = sample.target.values();
    values.retain(|(name, _)| name != "name");
    values.insert(0, ("name".to_owned(), name_on_flow(sample).to_owned()));
    values
}

/// Changes as one text.
pub(super) fn told(changes: &[Change]) -> String {
    changes.iter().map(Change::to_string).collect::<Vec<_>>().join("; ")
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let look = |look: &Fingerprint| match Timestamp::from_nanosecond(look.modified_ns.into()) {
            Ok(time) => format!("{} bytes of {time:.0}", look.size),
            Err(_) => format!("{} bytes", look.size),
        };
        match self {
            Self::File { path, was, is } => {
                let path = path_to_text(path);
                match (was, is) {
                    (Some(was), Some(is)) => write!(f, "{path} was {} and is {}", look(was), look(is)),
                    (None, Some(is)) => write!(f, "{path} is new, {}", look(is)),
                    (Some(was), None) => write!(f, "{path} was {} and is gone", look(was)),
                    (None, None) => write!(f, "{path}"),
                }
            }
            Self::Value { value, was, is } => {
                let quoted = |text: &Option<String>| text.as_ref().map_or("nothing".to_owned(), |t| format!("{t:?}"));
                write!(f, "{value} was {} and is {}", quoted(was), quoted(is))
            }
        }
    }
}
