use crate::{document::NewDocument, parsing::id_at, source::definition::Definition};

/// Returns an item of a file as a raw document of this source, with all that the definition says of items
/// read out of it. Pure work, a few microseconds for each KiB.
pub fn document(definition: &Definition, item: &[u8]) -> NewDocument {
    NewDocument::with_id(id_at(item, definition.id_pointer()), item).marked_by(&definition.list)
}
