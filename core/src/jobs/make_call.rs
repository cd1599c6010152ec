use resume_queue::Job;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::SettleDiscarded;

/// Makes one call of a collection, stores its answer and enqueues what follows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MakeCall {
    /// The collection.
    pub collection_id: Uuid,
    /// The call.
    pub call_id: i64,
}

impl Job for MakeCall {
    const KIND: &'static str = "make_call";
    /// With the queue's backoff this rides out a source that is away for a minute and a half.
    const MAX_ATTEMPTS: u16 = 8;
    const ON_DISCARD: Option<&'static str> = Some(SettleDiscarded::KIND);
}
