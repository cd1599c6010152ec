use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounds::{MAX_CODE_BYTES, MAX_CODES, MAX_PARAM_BYTES, MAX_POINTER_BYTES, POINTER};

/// How one page leads to the next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Paging {
    /// Pages have numbers or offsets: `{page}` or `{offset}` stands in a parameter. Several are fetched side
    /// by side, unless it is the list of a parent, or of parents.
    Numbered {
        /// The number of the first page; 1 by default. Offsets begin with 0 whatever it is.
        #[serde(default = "first_page")]
        first: u32,
        /// Where the number of all items is in the answer, as a JSON Pointer. Without it the list ends with
        /// an empty page, or one that is not there (404). A number that cannot be true, such as -1, says
        /// nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(length(max = MAX_POINTER_BYTES), regex(pattern = POINTER))]
        total: Option<String>,
    },
    /// The answer holds the address of the next page.
    NextUrl {
        /// Where, as a JSON Pointer. Missing, null or empty on the last page.
        #[schemars(length(max = MAX_POINTER_BYTES), regex(pattern = POINTER))]
        at: String,
        /// Where the number of all items is in the answer, as a JSON Pointer: a run that saw fewer says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(length(max = MAX_POINTER_BYTES), regex(pattern = POINTER))]
        total: Option<String>,
    },
    /// The `Link` header has the address of the next page, with `rel="next"`: RFC 8288.
    LinkHeader {
        /// Where the number of all items is in the answer, as a JSON Pointer: a run that saw fewer says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(length(max = MAX_POINTER_BYTES), regex(pattern = POINTER))]
        total: Option<String>,
    },
    /// The answer holds a token that asks for the next page.
    Cursor {
        /// Where the token is, as a JSON Pointer.
        #[schemars(length(max = MAX_POINTER_BYTES), regex(pattern = POINTER))]
        token: String,
        /// The parameter of the query that takes it, or, in a `post`, the member of the body.
        #[schemars(length(min = 1, max = MAX_PARAM_BYTES))]
        param: String,
        /// The token of the first page, such as `*`, for systems that want one from the beginning. By default
        /// the first call has none, unless the parameter stands in `params` or `body`, where the tokens of
        /// later pages replace it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        first: Option<String>,
        /// Where the answer says whether there are more pages, as a JSON Pointer. Without it the missing
        /// token says so. More pages without a token are an error.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(length(max = MAX_POINTER_BYTES), regex(pattern = POINTER))]
        has_more: Option<String>,
        /// Where the number of all items is in the answer, as a JSON Pointer: a run that saw fewer says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(length(max = MAX_POINTER_BYTES), regex(pattern = POINTER))]
        total: Option<String>,
        /// Whether a call with a token must carry no other parameter.
        #[serde(default, skip_serializing_if = "super::is_false")]
        alone: bool,
        /// The codes of errors that mean the token is too old: the list is read anew from its beginning,
        /// once.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        #[schemars(length(max = MAX_CODES), inner(length(min = 1, max = MAX_CODE_BYTES)))]
        expired: Vec<String>,
    },
    /// There is one page.
    Single {},
}

fn first_page() -> u32 {
    1
}

impl Paging {
    /// Whether pages can be asked for in any order, several side by side. The others lead from one to the
    /// next.
    pub fn is_numbered(&self) -> bool {
        matches!(self, Self::Numbered { .. })
    }

    /// Where the number of all items is in the answer, where the system tells it.
    pub fn total(&self) -> Option<&str> {
        match self {
            Self::Numbered { total, .. }
            | Self::NextUrl { total, .. }
            | Self::LinkHeader { total }
            | Self::Cursor { total, .. } => total.as_deref(),
            Self::Single {} => None,
        }
    }

    /// The number of the first page, as the source counts; 1 where pages have none.
    pub fn first_page(&self) -> u32 {
        match self {
            Self::Numbered { first, .. } => *first,
            _ => 1,
        }
    }
}
