use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Deleted, DeletedPolicy, Interval, Paging, Placeholder, Template,
    bounds::{MAX_PARAMS, MAX_PATH_BYTES, MAX_PER_PAGE, MAX_POINTER_BYTES, PATH, POINTER},
    ids_call::{id_pointer, per_page_max},
};

/// The call that lists the items of a source, page by page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListCall {
    /// The method; `get` by default.
    #[serde(default, skip_serializing_if = "Method::is_get")]
    pub method: Method,
    /// The path behind the base URL. `{parent}` in it is written as it must be in a path.
    #[schemars(length(max = MAX_PATH_BYTES), regex(pattern = PATH))]
    pub path: String,
    /// The parameters of the query. One whose placeholder has no value is left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = MAX_PARAMS))]
    pub params: BTreeMap<String, Template>,
    /// The JSON body of a `post`, with placeholders in its texts. A text that is one placeholder alone
    /// becomes a number or a boolean where the value is one; a member whose placeholder has no value is left
    /// out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// Where the list of items is in the answer, as a JSON Pointer (RFC 6901); `""` when the answer is the
    /// list.
    #[schemars(length(max = MAX_POINTER_BYTES), regex(pattern = POINTER))]
    pub items: String,
    /// Where the id is in an item, as a JSON Pointer; `/id` by default.
    #[serde(default = "id_pointer")]
    #[schemars(length(max = MAX_POINTER_BYTES), regex(pattern = POINTER))]
    pub id: String,
    /// Whether an id is unique only among the items of one parent. The id that an item is known by is
    /// `parent/id` then.
    #[serde(default, skip_serializing_if = "super::is_false")]
    pub id_within_parent: bool,
    /// Where an item, of the list or of what `detail` gives, says when it was last changed, as a JSON
    /// Pointer: RFC 3339, a date, or seconds or milliseconds since 1970. A value that cannot be read is
    /// ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_POINTER_BYTES), regex(pattern = POINTER))]
    pub updated_at: Option<String>,
    /// The most items that the system gives on a page; 100 by default. A collection that asks for more gets
    /// these.
    #[serde(default = "per_page_max")]
    #[schemars(range(min = 1, max = MAX_PER_PAGE))]
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

impl Default for ListCall {
    /// That of a source which makes none.
    fn default() -> Self {
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
}

impl ListCall {
    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether items may be lost where a page comes short: pages are asked for by numbers then, and each
    /// begins where the one before should have ended. A system that is told how many items are wanted makes
    /// up its pages for them.
    pub fn can_lose_items(&self) -> bool {
        self.is_windowed() && !self.takes_count()
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
    pub fn takes_count(&self) -> bool {
        self.has(Placeholder::Count)
    }

    /// How people are hidden who were deleted, if any are.
    pub fn hiding(&self) -> Option<&Deleted> {
        self.deleted.as_ref().filter(|deleted| deleted.hides())
    }

    /// Whether resumes are hidden that a full run has not seen.
    pub fn hides_missing(&self) -> bool {
        self.deleted.as_ref().is_some_and(|deleted| deleted.missing == Some(DeletedPolicy::Hide))
    }

    /// Whether the source has a deletions feed.
    pub fn has_deleted_feed(&self) -> bool {
        self.deleted.as_ref().is_some_and(|deleted| deleted.feed.is_some())
    }

    /// Where an item says that it was deleted, if the system tells so.
    pub fn deleted_flag(&self) -> Option<&str> {
        self.deleted.as_ref()?.flag.as_deref()
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

impl TimeFormat {
    /// A time as the system writes it.
    pub fn write(self, time: DateTime<Utc>) -> String {
        match self {
            Self::Rfc3339 => time.to_rfc3339_opts(SecondsFormat::Millis, true),
            Self::EpochS => time.timestamp().to_string(),
            Self::EpochMs => time.timestamp_millis().to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_the_system_does() {
        let time = DateTime::from_timestamp_millis(1_795_446_000_789).unwrap();
        let written = [TimeFormat::Rfc3339, TimeFormat::EpochS, TimeFormat::EpochMs].map(|f| f.write(time));
        assert_eq!(written, ["2026-11-23T15:00:00.789Z", "1795446000", "1795446000789"]);
    }
}
