use std::time::Duration;

use poem::http::StatusCode;

use super::desk::Desk;
use crate::{Reply, limiter::Quota};

/// What one API is. The state of a running one is [`ApiState`](super::ApiState).
pub(super) struct Description {
    /// The name in the path.
    pub(super) name: &'static str,
    /// How many calls are accepted in any `window`.
    pub(super) calls: u32,
    pub(super) window: Duration,
    /// What a call without the right credential gets.
    pub(super) unauthorized: (StatusCode, &'static str),
    /// What a bad parameter gets.
    pub(super) bad_request: StatusCode,
    /// What a position gets that is unknown or no longer known.
    pub(super) expired: (StatusCode, &'static str),
    /// Whether a refusal for the limit carries `Retry-After`.
    pub(super) retry_after: bool,
    /// The id of the person with this index.
    pub(super) external_id: fn(u64) -> String,
    /// An error in this API's words.
    pub(super) error: fn(StatusCode, &str) -> Reply,
    /// Adds the headers that tell the limit.
    pub(super) with_quota: fn(Reply, &Quota) -> Reply,
    /// Answers a call; both sides of the result are sent.
    pub(super) answer: fn(&mut Desk<'_>) -> Result<Reply, Reply>,
}

/// For an API that does not tell its limit.
pub(super) fn untold(reply: Reply, _: &Quota) -> Reply {
    reply
}
