use resume_queue::Job;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Closes a run of a collection when all its jobs have ended, however they did. The follow-up of the run's group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FinishCollection {
    /// The collection.
    pub collection_id: Uuid,
    /// Which run of it, from 1: the first one, or a resume.
    pub run: i32,
}

impl Job for FinishCollection {
    const KIND: &'static str = "finish_collection";
    const MAX_ATTEMPTS: u16 = 25;
}
