use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    pub(super) fn is_allowed(&self) -> bool {
        *self == Self::Allow
    }
}
