use serde_json::Value;

use crate::{
    parsing::{Format, id_at},
    document::NewDocument,
    source::definition::{Definition, Deleted},
};

/// An item of a file as a raw document of this source, with its id read out where the source has it, and whether it was
/// deleted. Pure work, a few
/// microseconds for each KiB.
pub fn document(definition: &Definition, item: &[u8]) -> NewDocument {
    let flag = definition.list.deleted_flag();
    if definition.format != Format::Mapped && flag.is_none() {
        return NewDocument::new(definition.format, item);
    }
    let value: Option<Value> = serde_json::from_slice(item).ok();
    let is_deleted = flag
        .zip(value.as_ref())
        .and_then(|(flag, value)| value.pointer(flag))
        .is_some_and(Deleted::is_told_by);
    if definition.format != Format::Mapped {
        return NewDocument { is_deleted, ..NewDocument::new(definition.format, item) };
    }
    let id = id_at(item, definition.id_pointer());
    NewDocument { is_deleted, ..NewDocument::with_id(id, item) }
}
