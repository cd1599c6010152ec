use serde_json::Value;

use crate::{parsing::Format, raw::NewRawDocument, source::definition::Definition};

/// An item of a file as a raw document of this source, with its id read out where the source has it. Pure work, a few
/// microseconds for each KiB.
pub fn document(definition: &Definition, item: &[u8]) -> NewRawDocument {
    if definition.format != Format::Mapped {
        return NewRawDocument::new(definition.format, item);
    }
    let value: Option<Value> = serde_json::from_slice(item).ok();
    let id = match value.as_ref().and_then(|value| value.pointer(definition.id_pointer())) {
        Some(Value::String(id)) => Some(id.clone()),
        Some(Value::Number(id)) if !id.is_f64() => Some(id.to_string()),
        _ => None,
    };
    NewRawDocument::with_id(id, item)
}
