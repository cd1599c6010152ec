use resume_queue::Job;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::SettleDiscarded;

/// Ends a run of a collection when all its jobs have ended, however they did. The follow-up of the run's
/// group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FinishCollection {
    /// The collection.
    pub collection_id: Uuid,
    /// Which run of it, from 1: the first one, or one in which it was continued.
    pub run: i32,
    /// How often the end has found documents that wait and nobody parses, one end after the other.
    #[serde(default)]
    pub sweeps: i32,
}

impl Job for FinishCollection {
    const KIND: &'static str = "finish_collection";
    const MAX_ATTEMPTS: u16 = 25;
    const ON_DISCARD: Option<&'static str> = Some(SettleDiscarded::KIND);
}
