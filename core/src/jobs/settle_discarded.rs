use resume_queue::{Discarded, Job};
use serde::{Deserialize, Serialize};

/// Settles what a discarded [`MakeCall`](super::MakeCall), [`ParseDocuments`](super::ParseDocuments) or
/// [`FinishCollection`](super::FinishCollection) leaves open in its collection, so that the collection ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SettleDiscarded(pub Discarded);

impl Job for SettleDiscarded {
    const KIND: &'static str = "settle_discarded";
    const MAX_ATTEMPTS: u16 = 25;
}
