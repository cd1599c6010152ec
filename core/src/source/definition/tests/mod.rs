mod faults;
mod files;
mod good;
mod hostile;
mod render;
mod schema;
mod secrets;
mod steps;

use serde_json::{Value, json};

use super::*;

/// The smallest definition.
fn smallest() -> Value {
    json!({
        "name": "acme",
        "base_url": "https://ats.example/v1",
        "limits": [{"calls": 10, "per": "1s"}],
        "list": {"path": "/candidates", "items": "/results", "paging": {"single": {}}},
        "format": "profile",
    })
}

/// The smallest definition, with these values at these places; null takes away what was there.
pub(super) fn with(changes: &[(&str, Value)]) -> Value {
    let mut definition = smallest();
    for (at, value) in changes {
        let (parent, key) = at.rsplit_once('/').unwrap();
        let parent = definition.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        let key = key.replace("~1", "/");
        if value.is_null() {
            parent.remove(&key);
        } else {
            parent.insert(key, value.clone());
        }
    }
    definition
}

/// The faults of a definition, one a line.
fn faults(definition: &Value) -> Vec<String> {
    match Definition::from_json(definition) {
        Ok(_) => Vec::new(),
        Err(DefinitionError::Faults(Faults(faults))) => faults.iter().map(ToString::to_string).collect(),
        Err(error @ DefinitionError::Text(_)) => vec![error.to_string()],
    }
}
