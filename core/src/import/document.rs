use serde_json::Value;

use crate::{
    document::NewDocument,
    parsing::{id_at, time_at},
    source::definition::{Definition, Deleted},
};

/// Returns an item of a file as a raw document of this source, with all that the definition says of items
/// read out of it. Pure work, a few microseconds for each KiB.
pub fn document(definition: &Definition, item: &[u8]) -> NewDocument {
    let list = &definition.list;
    let is_deleted = list.deleted_flag().is_some_and(|flag| {
        let value: Option<Value> = serde_json::from_slice(item).ok();
        value.as_ref().and_then(|value| value.pointer(flag)).is_some_and(Deleted::is_told_by)
    });
    let updated_at = list.updated_at.as_deref().and_then(|at| time_at(item, at));
    let id = id_at(item, definition.id_pointer());
    NewDocument { is_deleted, updated_at, ..NewDocument::with_id(id, item) }
}
