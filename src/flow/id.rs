//! Ids: integers too large for a double, sent as strings; an older private instance may send numbers. Both are
//! taken, and kept as strings.

use serde::{Deserialize, Deserializer, de};

#[derive(Deserialize)]
#[serde(untagged)]
enum Id {
    Text(String),
    Number(serde_json::Number),
}

impl Id {
    /// An empty id names nothing.
    fn text(self) -> Option<String> {
        match self {
            Id::Text(text) if text.is_empty() => None,
            Id::Text(text) => Some(text),
            Id::Number(number) => Some(number.to_string()),
        }
    }
}

pub(super) fn required<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Id::deserialize(deserializer)?.text().ok_or_else(|| de::Error::custom("the id is empty"))
}

pub(super) fn optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<Id>::deserialize(deserializer)?.and_then(Id::text))
}

pub(super) fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let ids = Option::<Vec<Id>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(ids.into_iter().filter_map(Id::text).collect())
}
