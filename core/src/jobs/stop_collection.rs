use resume_queue::Job;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Ends the jobs of a collection that was paused or cancelled: those that were enqueued before this one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StopCollection {
    /// The collection.
    pub collection_id: Uuid,
}

impl Job for StopCollection {
    const KIND: &'static str = "stop_collection";
    const MAX_ATTEMPTS: u16 = 25;
}
