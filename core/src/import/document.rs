use serde_json::Value;

use crate::{
    parsing::{Format, id_at},
    raw::NewRawDocument,
    source::definition::{Definition, Deleted},
};

/// An item of a file as a raw document of this source, with its id read out where the source has it, and whether it was
/// deleted. Pure work, a few
/// microseconds for each KiB.
pub fn document(definition: &Definition, item: &[u8]) -> NewRawDocument {
    let flag = definition.list.deleted_flag();
    if definition.format != Format::Mapped && flag.is_none() {
        return NewRawDocument::new(definition.format, item);
    }
    let value: Option<Value> = serde_json::from_slice(item).ok();
    let is_deleted = flag
        .zip(value.as_ref())
        .and_then(|(flag, value)| value.pointer(flag))
        .is_some_and(Deleted::is_told_by);
    if definition.format != Format::Mapped {
        return NewRawDocument { is_deleted, ..NewRawDocument::new(definition.format, item) };
    }
    let id = id_at(item, definition.id_pointer());
    NewRawDocument { is_deleted, ..NewRawDocument::with_id(id, item) }
}
