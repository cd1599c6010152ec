use crate::{
    document::NewDocument,
    parsing::{id_at, json_pointer, time_at},
    source::definition::{Definition, Deleted},
};

/// Returns an item of a file as a raw document of this source, with all that the definition says of items
/// read out of it. Pure work, a few microseconds for each KiB.
pub fn document(definition: &Definition, item: &[u8]) -> NewDocument {
    let list = &definition.list;
    let is_deleted = list.deleted_flag().is_some_and(|flag| is_flagged(item, flag));
    let updated_at = list.updated_at.as_deref().and_then(|at| time_at(item, at));
    let id = id_at(item, definition.id_pointer());
    NewDocument { is_deleted, updated_at, ..NewDocument::with_id(id, item) }
}

fn is_flagged(item: &[u8], flag: &str) -> bool {
    let Some(pointer) = json_pointer::Pointer::parse(flag) else { return false };
    let found = json_pointer::find(item, &[pointer]).ok().and_then(|found| found.first().copied().flatten());
    // What is nested too deeply to be read is not empty.
    found.is_some_and(|value| {
        serde_json::from_str(value.get()).map_or(true, |value| Deleted::is_told_by(&value))
    })
}
