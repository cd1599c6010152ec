use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Definition,
    bounds::{MAX_POINTER_BYTES, POINTER},
    ids_call::id_pointer,
};

/// A source that is no API: its items are imported, from files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Files {
    /// Where the id is in an item, as a JSON Pointer; `/id` by default. In a CSV file `/` and the name of the
    /// column.
    #[serde(default = "id_pointer")]
    #[schemars(length(max = MAX_POINTER_BYTES), regex(pattern = POINTER))]
    pub id: String,
}

impl Definition {
    /// Whether there is no API: the only way in is an import.
    pub fn is_of_files(&self) -> bool {
        self.files.is_some()
    }

    /// Where the id is in an item, as a JSON Pointer, whichever way the item came.
    pub fn id_pointer(&self) -> &str {
        self.files.as_ref().map_or(&self.list.id, |files| &files.id)
    }
}
