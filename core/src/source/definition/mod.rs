//! What a source is: the file that a person writes to collect from one more system.

mod attachments;
mod auth;
mod bounds;
mod check;
mod deleted;
mod detail;
mod files;
mod ids_call;
mod known;
mod limits;
mod list;
mod original;
mod paging;
mod read;
mod render;
mod same;
mod step;
mod template;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::Duration};

use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use attachments::Attachments;
pub use auth::{Auth, Secret, SecretPlace};
pub use bounds::MAX_PER_PAGE;
pub use check::{Fault, Faults};
pub use deleted::{Deleted, DeletedPolicy};
pub use detail::DetailCall;
pub use files::Files;
pub use ids_call::IdsCall;
pub use known::Known;
pub use limits::{Interval, Limit, Refusal, SILENCE_MAX, SILENCE_USUAL};
pub use list::{Expect, ListCall, Method, Since, TimeFormat};
pub use paging::Paging;
pub(super) use read::decode_stored;
pub use read::{DefinitionError, MAX_DEFINITION_BYTES};
pub use step::Step;
pub use template::{Placeholder, Template, Values};

use self::bounds::{
    MAX_AUTHS, MAX_CONCURRENCY, MAX_DESCRIPTION_BYTES, MAX_FALLBACKS, MAX_HEADERS, MAX_LIMITS,
    MAX_NAME_BYTES, MAX_REFUSALS, NAME,
};
use crate::parsing::Format;
pub use crate::parsing::Mapping;

/// How to collect from one system. Written as YAML or JSON; an unknown field is refused.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["base_url", "limits", "list"] }, { "required": ["base_url", "limits", "known", "detail"] }, { "required": ["files"] }]))]
pub struct Definition {
    /// The name of the source: lower-case letters, digits, `-`, `_` and `.`; at most 63 of them.
    #[schemars(length(min = 1, max = MAX_NAME_BYTES), regex(pattern = NAME))]
    pub name: String,
    /// What it is, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_DESCRIPTION_BYTES))]
    pub description: Option<String>,
    /// That there is no API: the items are imported, from files. In place of `base_url`, `limits` and `list`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Files>,
    /// That people are asked for who are known, and nobody else. In place of `list`, with `detail`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<Known>,
    /// Scheme, host, port and the first part of the path of every call.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub base_url: String,
    /// Other addresses of the same system, used in this order when the one before does not answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MAX_FALLBACKS))]
    pub fallback_urls: Vec<String>,
    /// Whether an address may resolve to this machine or a private network. By default it may not.
    #[serde(default, skip_serializing_if = "is_false")]
    pub allow_private_network: bool,
    /// What proves to the system who we are. Sent to the host of the base URL, and to those of the fallback
    /// URLs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MAX_AUTHS))]
    pub auth: Vec<Auth>,
    /// Headers sent with every call. No secrets: those belong into `auth`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = MAX_HEADERS))]
    pub headers: BTreeMap<String, String>,
    /// How many calls the system allows. All of them hold at once, for the whole fleet. At least one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MAX_LIMITS))]
    pub limits: Vec<Limit>,
    /// Answers that refuse a call as one too many, beside those that are known for it: 429, 420, 430, 509,
    /// 529, 503 with `Retry-After`, and a 403 whose headers or body speak of a limit. The call is made again
    /// later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MAX_REFUSALS))]
    pub refusals: Vec<Refusal>,
    /// The longest time that an answer can keep everybody from calling. An hour by default, at most a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silence_max: Option<Interval>,
    /// How many calls may be under way at once, in the whole fleet. By default as many as there are slots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = MAX_CONCURRENCY))]
    pub concurrency: Option<u32>,
    /// How much a collection asks for that does not say: by default everything, and as many items on a page
    /// as the system gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defaults: Option<Defaults>,
    /// What becomes of a collection that is started while another one of this source is not over.
    #[serde(default, skip_serializing_if = "OverlappingRuns::is_allowed")]
    pub overlapping_runs: OverlappingRuns,
    /// The call that lists what has a list of items each, such as positions with their candidates, where
    /// there is not one list of all. `{parent}` in the path, the parameters or the body of `list` stands for
    /// the id of one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parents: Option<IdsCall>,
    /// The call that lists the items.
    #[serde(default, skip_serializing_if = "ListCall::is_none")]
    pub list: ListCall,
    /// The call that gives one item in full, where the list does not. What it gives is kept, and the item of
    /// the list is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<DetailCall>,
    /// The files that belong to an item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachments: Option<Attachments>,
    /// What shape the items have; `mapped` goes with `map`.
    pub format: Format,
    /// Where in an item the fields of a resume are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map: Option<Mapping>,
}

/// How much a collection asks for that does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Defaults {
    /// How many items.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub count: Option<u64>,
    /// How many items on a page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub per_page: Option<u32>,
}

/// What becomes of a collection that is started while another one of the same source is not over: pending,
/// running, waiting for the source, or paused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OverlappingRuns {
    /// They run at the same time, and share what the source allows.
    #[default]
    Allow,
    /// It is refused.
    Refuse,
    /// It begins when those before it are over.
    Queue,
}

impl OverlappingRuns {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    fn is_allowed(&self) -> bool {
        *self == Self::Allow
    }
}

impl Definition {
    /// The JSON Schema of a definition, draft 2020-12, for editors that complete and check YAML. What only
    /// [`check`](Self::check) knows is not in it. The committed `sources/schema.json` is this,
    /// pretty-printed.
    pub fn json_schema() -> Value {
        schema_for!(Self).to_value()
    }

    /// The longest time that an answer can keep everybody from calling.
    pub fn silence_max(&self) -> Duration {
        self.silence_max.map_or(SILENCE_USUAL, |most| most.0)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(value: &bool) -> bool {
    !value
}
