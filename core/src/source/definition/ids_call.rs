use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Paging, Template,
    bounds::{MAX_PARAMS, MAX_PATH_BYTES, MAX_PER_PAGE, MAX_POINTER_BYTES, PATH, POINTER},
};

/// A call that lists ids, page by page: those of the parents that have a list of items each, or of those who
/// were deleted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdsCall {
    /// The path behind the base URL.
    #[schemars(length(max = MAX_PATH_BYTES), regex(pattern = PATH))]
    pub path: String,
    /// The parameters of the query.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = MAX_PARAMS))]
    pub params: BTreeMap<String, Template>,
    /// Where the list is in the answer, as a JSON Pointer (RFC 6901); `""` when the answer is the list.
    #[schemars(length(max = MAX_POINTER_BYTES), regex(pattern = POINTER))]
    pub items: String,
    /// Where the id is in an element of it, as a JSON Pointer; `/id` by default.
    #[serde(default = "id_pointer")]
    #[schemars(length(max = MAX_POINTER_BYTES), regex(pattern = POINTER))]
    pub id: String,
    /// How many are on a page, which `{per_page}` stands for; 100 by default.
    #[serde(default = "per_page_max")]
    #[schemars(range(min = 1, max = MAX_PER_PAGE))]
    pub per_page_max: u32,
    /// How one page leads to the next. They are read one after the other.
    pub paging: Paging,
}

pub(super) fn id_pointer() -> String {
    "/id".to_owned()
}

pub(super) fn per_page_max() -> u32 {
    100
}
