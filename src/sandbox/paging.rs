//! Long lists, a page at a time: `?page=&count=` ([D]).

use std::collections::HashMap;

use serde_json::{Value, json};

use super::answer::Refusal;

/// The largest page that may be asked for ([D]).
const MAX_COUNT: usize = 100;

/// The page's length when none is asked for. The platform's own is not documented.
const DEFAULT_COUNT: usize = 20;

/// A request's query, unknown parameters included: those are ignored ([D]).
pub(super) type Params = HashMap<String, String>;

/// The page of `items` that the query asks for, under `name`, with the count of all of them.
pub(super) fn page(params: &Params, name: &str, items: Vec<Value>) -> Result<Value, Refusal> {
    let page = number(params, "page", 1)?;
    let count = number(params, "count", DEFAULT_COUNT)?;
    if count > MAX_COUNT {
        let message = format!("Must be at most {MAX_COUNT}.");
        return Err(Refusal::Envelope { field: "count", message });
    }
    let total = items.len();
    let start = (page - 1).saturating_mul(count);
    let items: Vec<Value> = items.into_iter().skip(start).take(count).collect();
    Ok(json!({"count": total, "page": page, name: items}))
}

fn number(params: &Params, field: &'static str, default: usize) -> Result<usize, Refusal> {
    match params.get(field).map(|value| value.parse()) {
        None => Ok(default),
        Some(Ok(number)) if number > 0 => Ok(number),
        Some(_) => Err(Refusal::Envelope { field, message: "Must be a positive number.".to_owned() }),
    }
}
