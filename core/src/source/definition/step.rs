use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Definition, ListCall, Method, Paging, Template, list};

/// What a call to a source is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "page_step", rename_all = "snake_case")]
pub enum Step {
    /// A page of the list of parents.
    Parents,
    /// A page of the list of items, or of the list of one parent's items.
    List,
    /// One item in full.
    Detail,
}

/// A list of things that have a list of items each, such as positions with their candidates. `{parent}` in the path, the
/// parameters or the body of `list` stands for the id of one of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ParentsCall {
    /// The path behind the base URL.
    pub path: String,
    /// The parameters of the query.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, Template>,
    /// Where the list of parents is in the answer, as a JSON Pointer (RFC 6901); `""` when the answer is the list.
    pub items: String,
    /// Where the id is in a parent, as a JSON Pointer; `/id` by default.
    #[serde(default = "list::id_pointer")]
    pub id: String,
    /// The parents on a page, which `{per_page}` stands for; 100 by default.
    #[serde(default = "list::per_page_max")]
    pub per_page_max: u32,
    /// How one page leads to the next. They are read one after the other.
    pub paging: Paging,
}

/// The call that gives one item in full. `{id}` stands for the id that the list gives, `{parent}` for its parent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DetailCall {
    /// The path behind the base URL, such as `/candidates/{id}`.
    pub path: String,
    /// The parameters of the query.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, Template>,
    /// Where the item is in the answer, as a JSON Pointer; `""`, the default, when the answer is the item.
    #[serde(default)]
    pub item: String,
}

impl Definition {
    /// The call of a step, as a list: a detail call lists its one item, which is at [`ListCall::items`] itself. `None` for a
    /// step that the source has not. What `list` expects of an answer, all of them must hold.
    pub fn call_of(&self, step: Step) -> Option<ListCall> {
        let call = |path: &str, params: &BTreeMap<String, Template>, items: &str| ListCall {
            method: Method::Get,
            path: path.to_owned(),
            params: params.clone(),
            body: None,
            items: items.to_owned(),
            id: list::id_pointer(),
            per_page_max: 1,
            paging: Paging::Single {},
            expect: self.list.expect.clone(),
            since: None,
        };
        Some(match step {
            Step::Parents => {
                let ParentsCall { path, params, items, id, per_page_max, paging } = self.parents.as_ref()?;
                ListCall {
                    id: id.clone(),
                    per_page_max: *per_page_max,
                    paging: paging.clone(),
                    ..call(path, params, items)
                }
            }
            Step::List => self.list.clone(),
            Step::Detail => {
                let DetailCall { path, params, item } = self.detail.as_ref()?;
                call(path, params, item)
            }
        })
    }

    /// The step that a collection begins with.
    pub fn first_step(&self) -> Step {
        if self.parents.is_some() { Step::Parents } else { Step::List }
    }
}
