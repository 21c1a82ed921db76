//! Reading members of an answer that nothing hangs on: what is missing, null, or of another shape than was known is
//! passed over, so that a server that says more, less or otherwise can still be read. Ids and sizes are not read so.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// The member, or its default where the answer has null or another shape.
pub(super) fn or_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: DeserializeOwned + Default,
    D: Deserializer<'de>,
{
    let value = Value::deserialize(deserializer)?;
    Ok(T::deserialize(value).unwrap_or_default())
}

/// The list, or an empty one for null. A list of another shape is an error: what hangs on it must not be missed.
pub(super) fn list_or_null<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A word that is sent as text, as a number or a truth value, or as an object that bears it as its `identifier`,
/// `name` or `id`.
pub(super) fn word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(word_of(&Value::deserialize(deserializer)?))
}

fn word_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Object(members) => ["identifier", "name", "id"].iter().find_map(|key| word_of(members.get(*key)?)),
        Value::Array(items) if !items.is_empty() => {
            let words: Vec<_> = items.iter().filter_map(word_of).collect();
            Some(words.join(", "))
        }
        Value::Null | Value::Array(_) => None,
    }
}

/// A point in time, sent as seconds since 1970 or in the form of RFC 3339.
pub(super) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Number(seconds) => {
            seconds.as_f64().and_then(|seconds| Timestamp::from_millisecond((seconds * 1e3) as i64).ok())
        }
        Value::String(text) => text.parse().ok(),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(Debug, Deserialize)]
    struct Odd {
        #[serde(default, deserialize_with = "or_default")]
        flag: bool,
        #[serde(default, deserialize_with = "word")]
        word: Option<String>,
        #[serde(default, deserialize_with = "time")]
        time: Option<Timestamp>,
    }

    fn read(value: Value) -> Odd {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_is_missing_null_or_odd_is_passed_over() {
        for value in [json!({}), json!({"flag": null, "word": null, "time": null}), json!({"flag": [1], "time": {}})] {
            let odd = read(value);
            assert!(!odd.flag && odd.word.is_none() && odd.time.is_none());
        }
    }

    #[test]
    fn words_and_times_come_in_several_forms() {
        for word in [json!("7"), json!(7), json!({"identifier": "7", "name": "x"}), json!({"id": 7}), json!(["7"])] {
            assert_eq!(read(json!({ "word": word })).word.as_deref(), Some("7"));
        }
        let noon: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        for time in [json!(noon.as_second()), json!("2026-11-24T12:00:00Z"), json!("2026-11-24T13:00:00+01:00")] {
            assert_eq!(read(json!({ "time": time })).time, Some(noon));
        }
    }
}
