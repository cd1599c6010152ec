use serde_json::Value;

use crate::parsing::json_pointer::escape;

/// How many places are named.
const PLACES_MAX: usize = 20;

/// Where texts of a value, or names of its members, hold a NUL: JSON Pointers, in order.
pub(super) fn places(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    gather(value, "", &mut found);
    found.truncate(PLACES_MAX);
    found
}

/// As deep as the value, which the reader of definitions has bounded.
fn gather(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::String(text) if text.contains('\0') => found.push(at.to_owned()),
        Value::Array(values) => {
            values
                .iter()
                .enumerate()
                .for_each(|(index, value)| gather(value, &format!("{at}/{index}"), found));
        }
        Value::Object(members) => {
            for (name, value) in members {
                if name.contains('\0') {
                    found.push(at.to_owned());
                }
                let name = escape(name).replace('\0', "\u{fffd}");
                gather(value, &format!("{at}/{name}"), found);
            }
        }
        _ => {}
    }
}
