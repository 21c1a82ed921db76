//! What is wrong with what a sheet says of a sample, with its place.

use super::{Place, Sheet, folded};
use crate::yaml::nearest;

/// So many columns of a header are told.
const MOST_TOLD: usize = 10;

/// What is wrong with what a sheet says of a sample.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    #[error(
        "it has no column {column:?}{}; its header at {header} has {known}; correct the rule, or the header",
        nearest.as_ref().map(|name| format!(" (nearest: {name:?})")).unwrap_or_default()
    )]
    NoColumn { column: String, nearest: Option<String>, header: Place, known: String },
    #[error(
        "{column:?} is {a:?} at {} and {b:?} at {}; correct one, or remove a row",
        places[0], places[1]
    )]
    Disagree { column: String, a: String, b: String, places: [Place; 2] },
    #[error(
        "{key:?} may be {a:?} at {} or {b:?} at {}; name the files or the samples so that they can be told apart",
        places[0], places[1]
    )]
    Ambiguous { key: String, a: String, b: String, places: [Place; 2] },
    #[error(
        "{key:?} stands in {} at {} and in {} at {}, which are different rows; say which one files are named \
         after (key)",
        columns[0], places[0], columns[1], places[1]
    )]
    TwoKeys { key: String, columns: [String; 2], places: [Place; 2] },
    #[error("lane {lane} has no row for {key:?}, which {place} has for other lanes; add one, or correct the lanes")]
    NoLane { key: String, lane: u64, place: Place },
    #[error("the row ends before {column:?}, which would be at {place}; was the sheet cut off?")]
    Short { column: String, place: Place },
    #[error("{place} lies beyond the last column; put quotes around a value that has the separator in it")]
    Long { place: Place },
    #[error("{column:?} at {place} is {value}: its formula failed")]
    Failed { column: String, place: Place, value: String },
}

impl Sheet {
    /// That it has no column, nor a field, of this name.
    pub(super) fn no_column(&self, column: &str) -> Trouble {
        let names: Vec<&str> = self.names().collect();
        let wanted = folded(column);
        let is_near = |name: &&str| {
            let name = folded(name);
            name.len() > 2 && wanted.len() > 2 && (name.contains(&wanted) || wanted.contains(&name))
        };
        let nearest = nearest(column, names.iter().copied()).or_else(|| names.iter().copied().find(is_near));
        // What else a sheet says is told where it is near.
        let header = &self.tables[0];
        let columns: Vec<&str> = header.columns.iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
        let mut known = columns[..columns.len().min(MOST_TOLD)].join(", ");
        if columns.len() > MOST_TOLD {
            known += &format!(" and {} more", columns.len() - MOST_TOLD);
        }
        let nearest = nearest.map(str::to_owned);
        Trouble::NoColumn { column: column.to_owned(), nearest, header: header.header, known }
    }
}
