use resume_queue::Job;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::SettleDiscarded;

/// Fetches one page of a collection, stores its items and enqueues what follows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FetchPage {
    /// The collection.
    pub collection_id: Uuid,
    /// The page's number in it, from 1.
    pub page: i32,
}

impl Job for FetchPage {
    const KIND: &'static str = "fetch_page";
    /// With the queue's backoff this rides out a source that is away for a minute and a half.
    const MAX_ATTEMPTS: u16 = 8;
    const ON_DISCARD: Option<&'static str> = Some(SettleDiscarded::KIND);
}
