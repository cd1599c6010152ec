use resume_queue::{Discarded, Job};
use serde::{Deserialize, Serialize};

/// Settles what a discarded [`FetchPage`](super::FetchPage) or [`ParseDocuments`](super::ParseDocuments)
/// leaves open in its collection, so that the collection ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SettleDiscarded(pub Discarded);

impl Job for SettleDiscarded {
    const KIND: &'static str = "settle_discarded";
    const MAX_ATTEMPTS: u16 = 25;
}
