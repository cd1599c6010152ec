use resume_queue::Job;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Enqueues the next calls that wait in a collection that was continued, and opens those again that failed:
/// some thousand, and then itself for those behind them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContinueCollection {
    /// The collection.
    pub collection_id: Uuid,
    /// Its run.
    pub run: i32,
    /// Whether calls are made, or documents parsed again alone.
    pub calls: bool,
    /// The checkpoint: the number of the last call that was looked at.
    pub after: i64,
}

impl Job for ContinueCollection {
    const KIND: &'static str = "continue_collection";
    const MAX_ATTEMPTS: u16 = 25;
}
