use std::{borrow::Cow, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::bounds::{MAX_CALLS, MAX_TEXT_BYTES};

/// The longest silence that a source gets unless its definition says otherwise: who asks for more is asked
/// again then.
pub const SILENCE_USUAL: Duration = Duration::from_secs(3600);

/// The longest silence that a definition can allow.
pub const SILENCE_MAX: Duration = Duration::from_secs(24 * 3600);

/// How many calls a system allows in any stretch of time of this length, wherever it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// The most calls.
    #[schemars(range(min = 1, max = MAX_CALLS))]
    pub calls: u32,
    /// In this time.
    pub per: Interval,
    /// How many of them may follow each other at once after a pause; the others are spaced evenly. However
    /// many, no stretch of the time sees more than `calls`: what may come at once is taken from the even
    /// rate. 1 by default.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    #[schemars(range(min = 1, max = MAX_CALLS))]
    pub burst: u32,
}

fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_one(value: &u32) -> bool {
    *value == 1
}

/// An answer that refuses a call as one too many, in a form that is not known for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// The status of the answer. 200 is an answer without a page in it, and needs a `text`.
    #[schemars(range(min = 200, max = 999))]
    pub status: u16,
    /// What stands in its body, in the first 64 KiB and in any case of letters. By default the status alone
    /// says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = MAX_TEXT_BYTES))]
    pub text: Option<String>,
}

impl Refusal {
    /// Whether an answer with this status and this beginning of a body is such a refusal.
    pub fn is(&self, status: u16, body: &str) -> bool {
        let holds = |text: &String| body.to_lowercase().contains(&text.to_lowercase());
        self.status == status && self.text.as_ref().is_none_or(holds)
    }
}

/// A length of time, written as people do: `1s`, `10s`, `5m`, `1h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval(pub Duration);

impl Serialize for Interval {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(self.0))
    }
}

impl<'de> Deserialize<'de> for Interval {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        humantime::parse_duration(&text).map(Self).map_err(|error| {
            D::Error::custom(format_args!("{text:?} is no length of time such as 1s, 5m or 1h: {error}"))
        })
    }
}

impl JsonSchema for Interval {
    fn schema_name() -> Cow<'static, str> {
        "Interval".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A length of time: 1s, 10s, 5m, 1h",
            "pattern": r"^\s*([0-9]+\s*[a-z]+\s*)+$",
        })
    }
}
