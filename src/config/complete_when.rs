//! The key `complete_when` of a watch: when a run is complete, or each of its folders.

use crate::pattern::{Pattern, Patterns};
use crate::watch::{Completion, Condition, Folder, FolderCompletion, Marker, Paper};
use crate::yaml::{Map, Value};

pub(super) const COMPLETE_WHEN: &str = "settled, {marker: PATTERN}, {quiet: DURATION}, {listed: PATTERN}, \
                                        {outcome: PATTERN}, {any: [...]} or {all: [...]}";

/// The whole of `complete_when`: a condition, or one for each folder of some kinds and one for the rest, with one that
/// always has to hold beside them.
pub(super) fn completion(value: &Value) -> Option<Completion> {
    let has_parts = |map: &Map| map.peek("each") || map.peek("always");
    if !value.is_map() || !has_parts(&value.map(COMPLETE_WHEN)?) {
        return complete_when(value).map(Completion::from);
    }
    let mut map = value.map("a map with each and else")?;
    let always = map.get("always").map_or(Some(None), |value| complete_when(&value).map(Some));
    let folders = map.get("each").map_or(Some(Vec::new()), |value| {
        let items = value.items("a list of folders, each with its complete_when")?;
        let read: Vec<Option<FolderCompletion>> = items.iter().map(folder_completion).collect();
        read.into_iter().collect::<Option<Vec<_>>>()
    });
    let otherwise = map.require("else", "what all that lies outside of these folders waits for");
    let otherwise = otherwise.and_then(|value| complete_when(&value));
    map.finish();
    Some(Completion { always: always?, folders: folders?, otherwise: otherwise? })
}

fn folder_completion(value: &Value) -> Option<FolderCompletion> {
    let mut map = value.map("a map with folder and complete_when, or with holds")?;
    let holds = map.get("holds");
    let folder = match &holds {
        Some(value) => value.parse("a path", Folder::holding),
        None => {
            let folder = map.require("folder", "a pattern of folders below the run, such as \"Analysis/{analysis}\"");
            folder.and_then(|value| value.parse("a pattern", Pattern::parse).map(Folder::Named))
        }
    };
    let within = |pattern: Pattern| Condition::Marker(Marker { is_within: true, ..pattern.into() });
    let marker = map.get("marker").map(|value| value.parse("a pattern", Pattern::parse).map(within));
    let own = map.get("complete_when");
    let condition = match (marker, own, &folder) {
        (Some(marker), Some(own), _) => {
            marker.zip(complete_when(&own)).map(|(marker, own)| Condition::All(vec![marker, own]))
        }
        (Some(marker), None, _) => marker,
        (None, Some(own), _) => complete_when(&own),
        // What the folders hold is their marker.
        (None, None, Some(Folder::Holding { held, is_folder: false, .. })) => {
            Some(Condition::Marker(held.clone().into()))
        }
        (None, None, None) if holds.is_some() => None,
        (None, None, _) => map.require("complete_when", COMPLETE_WHEN).and(None),
    };
    let is_own_unit = map.get("own_unit").map_or(Some(false), |value| value.boolean());
    map.finish();
    Some(FolderCompletion { folder: folder?, complete_when: condition?, is_own_unit: is_own_unit? })
}

fn complete_when(value: &Value) -> Option<Condition> {
    if !value.is_map() {
        if value.as_text() == Some("settled") {
            return Some(Condition::Settled);
        }
        value.expected(COMPLETE_WHEN);
        return None;
    }
    let mut map = value.map(COMPLETE_WHEN)?;
    let of = map.get("of");
    let counted = of.as_ref().map(patterns);
    let quiet = map.get("quiet").map(|value| {
        let time = value.duration()?;
        match counted {
            Some(of) => Some(Condition::QuietOf { time, of: of? }),
            None => Some(Condition::Quiet(time)),
        }
    });
    if let Some(value) = of.filter(|_| quiet.is_none()) {
        value.problem("of is said of quiet alone: which files must be quiet");
        return None;
    }
    let optional = map.get("optional");
    let is_optional = optional.as_ref().map_or(Some(false), Value::boolean);
    let unless_value = map.get("unless");
    let unless = unless_value.as_ref().map(patterns);
    let marker = map.get("marker").map(|value| {
        let pattern = value.parse("a pattern", Pattern::parse);
        let (is_optional, unless) = (is_optional?, unless.map_or(Some(None), |unless| unless.map(Some))?);
        if is_optional && unless.is_some() {
            value.problem("a marker that is optional holds nothing up, so that unless says nothing; remove one");
            return None;
        }
        Some(Condition::Marker(Marker { is_optional, unless, ..pattern?.into() }))
    });
    if let Some(value) = unless_value.filter(|_| marker.is_none()) {
        value.problem("unless is said of marker alone: beside which files it does not count");
        return None;
    }
    let paper = |value: Value| {
        let pattern = value.parse("a pattern", Pattern::parse);
        Some(Paper { pattern: pattern?, is_optional: is_optional? })
    };
    let outcome = map.get("outcome").map(|value| paper(value).map(Condition::Outcome));
    let listed = map.get("listed").map(|value| paper(value).map(Condition::Listed));
    if let Some(value) = optional.filter(|_| marker.is_none() && outcome.is_none() && listed.is_none()) {
        value.problem(
            "optional is said of marker, outcome and listed alone, of a file that an instrument may not write",
        );
        return None;
    }
    let any = map.get("any").map(|value| conditions(&value).map(Condition::Any));
    let all = map.get("all").map(|value| conditions(&value).map(Condition::All));
    map.finish();
    let mut given = [marker, quiet, outcome, listed, any, all].into_iter().flatten();
    match (given.next(), given.next()) {
        (Some(condition), None) => condition,
        (Some(_), Some(_)) => {
            value.problem("one condition was expected; join several with {all: [...]} or {any: [...]}");
            None
        }
        (None, _) => {
            // A key that was given is unknown then, and noted.
            if value.is_empty() {
                value.expected(COMPLETE_WHEN);
            }
            None
        }
    }
}

fn conditions(value: &Value) -> Option<Vec<Condition>> {
    let items = value.items("a list of conditions")?;
    // Each is read before one that is wrong ends it, so that all mistakes are noted.
    let read: Vec<Option<Condition>> = items.iter().map(complete_when).collect();
    read.into_iter().collect()
}

pub(super) fn patterns(value: &Value) -> Option<Patterns> {
    Patterns::new(value.parse_each("a pattern", Pattern::parse)?)
}
