use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Deleted, Interval, Placeholder, Template};

/// The call that lists the items of a source, page by page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListCall {
    /// The method; `get` by default.
    #[serde(default, skip_serializing_if = "Method::is_get")]
    pub method: Method,
    /// The path behind the base URL. `{parent}` in it is written as it must be in a path.
    pub path: String,
    /// The parameters of the query. One whose placeholder has no value is left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, Template>,
    /// The JSON body of a `post`, with placeholders in its texts. A text that is one placeholder alone
    /// becomes a number or a boolean where the value is one; a member whose placeholder has no value is left
    /// out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// Where the list of items is in the answer, as a JSON Pointer (RFC 6901); `""` when the answer is the
    /// list.
    pub items: String,
    /// Where the id is in an item, as a JSON Pointer; `/id` by default.
    #[serde(default = "id_pointer")]
    pub id: String,
    /// Whether an id is unique only among the items of one parent. The id that an item is known by is
    /// `parent/id` then.
    #[serde(default, skip_serializing_if = "super::is_false")]
    pub id_within_parent: bool,
    /// Where an item, of the list or of what `detail` gives, says when it was last changed, as a JSON
    /// Pointer: RFC 3339, a date, or seconds or milliseconds since 1970. A value that cannot be read is
    /// ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
    /// The most items that the system gives on a page; 100 by default. A collection that asks for more gets
    /// these.
    #[serde(default = "per_page_max")]
    pub per_page_max: u32,
    /// How one page leads to the next.
    pub paging: Paging,
    /// What an answer must hold to be a success, for systems that answer 200 to everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expect>,
    /// How to ask for what has changed since the last run only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Since>,
    /// How it is known that somebody was deleted in the system, whose resume searches do not find then. By
    /// default they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<Deleted>,
}

impl ListCall {
    /// That of a source which makes none.
    pub(super) fn none() -> Self {
        Self {
            method: Method::Get,
            path: String::new(),
            params: BTreeMap::new(),
            body: None,
            items: String::new(),
            id: id_pointer(),
            id_within_parent: false,
            updated_at: None,
            per_page_max: per_page_max(),
            paging: Paging::Single {},
            expect: None,
            since: None,
            deleted: None,
        }
    }

    pub(super) fn is_none(&self) -> bool {
        *self == Self::none()
    }

    /// Whether items may be lost where a page comes short: pages are asked for by numbers then, and each
    /// begins where the one before should have ended. A system that is told how many items are wanted makes
    /// up its pages for them.
    pub fn can_lose_items(&self) -> bool {
        self.is_windowed() && !self.is_told_count()
    }

    /// Whether several of its pages are fetched side by side: they have numbers, and there is one list. The
    /// lists of parents are read side by side, each of them one page after the other.
    pub fn is_windowed(&self) -> bool {
        self.paging.is_numbered() && !self.is_fanned_out()
    }

    /// Whether there is a list for each parent.
    pub fn is_fanned_out(&self) -> bool {
        self.has(Placeholder::Parent)
    }

    fn has(&self, placeholder: Placeholder) -> bool {
        let in_text = |text: &str| text.parse().is_ok_and(|template: Template| template.has(placeholder));
        in_text(&self.path)
            || self.params.values().any(|template| template.has(placeholder))
            || self.body.as_ref().is_some_and(|body| any_text(body, &in_text))
    }

    /// Whether the system is told how many items the collection wants: it gives that many then, so that the
    /// number of pages is known from the beginning.
    pub fn is_told_count(&self) -> bool {
        self.has(Placeholder::Count)
    }
}

fn any_text(value: &Value, is: &impl Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => is(text),
        Value::Array(values) => values.iter().any(|value| any_text(value, is)),
        Value::Object(members) => members.values().any(|value| any_text(value, is)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

pub(super) fn id_pointer() -> String {
    "/id".to_owned()
}

pub(super) fn per_page_max() -> u32 {
    100
}

/// The method of a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// `GET`.
    #[default]
    Get,
    /// `POST`, with a JSON body.
    Post,
}

impl Method {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    fn is_get(&self) -> bool {
        *self == Self::Get
    }
}

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
        total: Option<String>,
    },
    /// The answer holds the address of the next page.
    NextUrl {
        /// Where, as a JSON Pointer. Missing, null or empty on the last page.
        at: String,
        /// Where the number of all items is in the answer, as a JSON Pointer: a run that saw fewer says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        total: Option<String>,
    },
    /// The `Link` header has the address of the next page, with `rel="next"`: RFC 8288.
    LinkHeader {
        /// Where the number of all items is in the answer, as a JSON Pointer: a run that saw fewer says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        total: Option<String>,
    },
    /// The answer holds a token that asks for the next page.
    Cursor {
        /// Where the token is, as a JSON Pointer.
        token: String,
        /// The parameter of the query that takes it, or, in a `post`, the member of the body.
        param: String,
        /// The token of the first page, such as `*`, for systems that want one from the beginning. By default
        /// the first call has none, unless the parameter stands in `params` or `body`, where the tokens of
        /// later pages replace it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        first: Option<String>,
        /// Where the answer says whether there are more pages, as a JSON Pointer. Without it the missing
        /// token says so. More pages without a token are an error.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        has_more: Option<String>,
        /// Where the number of all items is in the answer, as a JSON Pointer: a run that saw fewer says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        total: Option<String>,
        /// Whether a call with a token must carry no other parameter.
        #[serde(default, skip_serializing_if = "super::is_false")]
        alone: bool,
        /// The codes of errors that mean the token is too old: the list is read anew from its beginning,
        /// once.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
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

/// What makes an answer a success.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// A place in the answer, as a JSON Pointer.
    pub at: String,
    /// The value that must be there.
    pub equals: Value,
    /// Where the code of the error is otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// How to ask for what has changed. `{since}` and `{until}` in the parameters stand for the time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Since {
    /// How a time is written.
    pub format: TimeFormat,
    /// How far a run reaches back before the beginning of the last complete one: clocks differ, and what was
    /// changing then is seen again. Five minutes by default.
    #[serde(default = "overlap")]
    pub overlap: Interval,
}

fn overlap() -> Interval {
    Interval(std::time::Duration::from_secs(300))
}

/// How a system writes times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimeFormat {
    /// `2026-11-24T02:00:00.000Z`.
    Rfc3339,
    /// Seconds since 1970.
    EpochS,
    /// Milliseconds since 1970.
    EpochMs,
}
