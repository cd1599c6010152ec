use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Template,
    bounds::{MAX_PARAMS, MAX_PATH_BYTES, MAX_POINTER_BYTES, PATH, POINTER},
};

/// The call that gives one item in full. `{id}` stands for the id that the list gives, `{parent}` for its
/// parent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DetailCall {
    /// The path behind the base URL, such as `/candidates/{id}`.
    #[schemars(length(max = MAX_PATH_BYTES), regex(pattern = PATH))]
    pub path: String,
    /// The parameters of the query.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = MAX_PARAMS))]
    pub params: BTreeMap<String, Template>,
    /// Where the item is in the answer, as a JSON Pointer; `""`, the default, when the answer is the item.
    #[serde(default)]
    #[schemars(length(max = MAX_POINTER_BYTES), regex(pattern = POINTER))]
    pub item: String,
    /// Whether the item is a list, such as all that one person has made. By default it is an object.
    #[serde(default, skip_serializing_if = "super::is_false")]
    pub array: bool,
}
