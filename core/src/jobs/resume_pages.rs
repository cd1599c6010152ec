use resume_queue::Job;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Enqueues the fetching of the next pages that wait in a collection that was resumed: some thousand, and then itself for those
/// behind them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResumePages {
    /// The collection.
    pub collection_id: Uuid,
    /// The checkpoint: the number of the last page whose fetching was enqueued.
    pub after: i32,
    /// The number of the last page that waited when the collection was resumed. Those behind it were opened since, with their jobs.
    pub last: i32,
}

impl Job for ResumePages {
    const KIND: &'static str = "resume_pages";
    const MAX_ATTEMPTS: u16 = 25;
}
