use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    IdsCall,
    bounds::{MAX_POINTER_BYTES, POINTER},
};

/// How it is known that somebody was deleted: one of these ways, or several. Searches do not find the resume
/// of who was deleted, until they are seen again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Deleted {
    /// What becomes of those whom a full and complete run has not seen; `keep` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<DeletedPolicy>,
    /// The call that lists who was deleted, which every run makes beside the list. `{since}` in it is that of
    /// the list. Who is listed in the same run is there all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feed: Option<IdsCall>,
    /// Where in an item of the list, or in what `detail` gives, it stands that it was deleted, as a JSON
    /// Pointer: true, a time, or anything but null, false, 0, the texts `false` and `0`, and what is empty.
    /// Such an item is not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = MAX_POINTER_BYTES), regex(pattern = POINTER))]
    pub flag: Option<String>,
}

/// What becomes of the resume of somebody who is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeletedPolicy {
    /// It stays as it is.
    Keep,
    /// Searches find it no more, until it is seen again.
    Hide,
}

impl Deleted {
    /// Whether somebody may be hidden.
    pub fn hides(&self) -> bool {
        self.missing == Some(DeletedPolicy::Hide) || self.feed.is_some() || self.flag.is_some()
    }

    /// Whether what stands in the place of the flag says that the item was deleted.
    pub fn is_told_by(value: &Value) -> bool {
        match value {
            Value::Null => false,
            Value::Bool(is_deleted) => *is_deleted,
            Value::Number(number) => number.as_f64() != Some(0.0),
            Value::String(text) => !["", "0", "false"].contains(&text.trim().to_ascii_lowercase().as_str()),
            Value::Array(elements) => !elements.is_empty(),
            Value::Object(members) => !members.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn systems_say_in_many_ways_that_somebody_was_deleted() {
        for yes in
            [json!(true), json!(1), json!("2026-11-24T02:00:00Z"), json!("yes"), json!({"at": 1}), json!([0])]
        {
            assert!(Deleted::is_told_by(&yes), "{yes}");
        }
        for no in [
            json!(null),
            json!(false),
            json!(0),
            json!(0.0),
            json!(""),
            json!(" "),
            json!("False"),
            json!("0"),
        ] {
            assert!(!Deleted::is_told_by(&no), "{no}");
        }
        assert!(!Deleted::is_told_by(&json!([])) && !Deleted::is_told_by(&json!({})));
    }
}
