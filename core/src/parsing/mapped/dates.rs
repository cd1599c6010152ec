//! Dates given in parts, `{"year": 2019, "month": 3, "day": 1}`, as some systems do.

use serde_json::{Map, Value};

use super::super::dates::PartialDate;
use super::super::entry::Names;

/// Turns the dates in the fields of these names into texts, in each entry of a list. What is no date stays as it is.
pub(super) fn parts_to_texts(list: &mut Value, fields: [&Names; 2]) {
    let Value::Array(entries) = list else { return };
    for entry in entries {
        for name in fields.into_iter().flatten() {
            let Some(value) = entry.get_mut(*name) else { continue };
            if let Some(text) = value.as_object().and_then(text_of_parts) {
                *value = text;
            }
        }
    }
}

/// The date as text, and null for one without any part; `None` when the parts are no date.
fn text_of_parts(parts: &Map<String, Value>) -> Option<Value> {
    let part = |name| match parts.get(name) {
        None | Some(Value::Null) => Some(None),
        Some(Value::Number(number)) => u32::try_from(number.as_u64()?).ok().map(Some),
        Some(Value::String(digits)) => digits.trim().parse().ok().map(Some),
        Some(_) => None,
    };
    match (part("year")?, part("month")?, part("day")?) {
        (Some(year), month, day) => {
            PartialDate::new(year, month, day).map(|date| Value::String(date.to_string()))
        }
        (None, None, None) if parts.contains_key("year") => Some(Value::Null),
        (None, ..) => None,
    }
}
