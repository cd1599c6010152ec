use resume_queue::Job;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::SettleDiscarded;

/// Parses some raw documents of one page into resumes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParseDocuments {
    /// The collection that brought them.
    pub collection_id: Uuid,
    /// The page they came with.
    pub page: i32,
    /// The raw documents.
    pub document_ids: Vec<i64>,
    /// The page's pass over its documents that the job belongs to: 0, and one more each time that some are parsed again.
    #[serde(default, skip_serializing_if = "is_first")]
    pub pass: i32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_first(pass: &i32) -> bool {
    *pass == 0
}

impl ParseDocuments {
    /// What tells the batch from the others of its page: its first document, which is in no other.
    pub(crate) fn batch(&self) -> Option<i64> {
        self.document_ids.first().copied()
    }
}

impl Job for ParseDocuments {
    const KIND: &'static str = "parse_documents";
    /// A bad document does not fail the job, so only outages and crashes use attempts.
    const MAX_ATTEMPTS: u16 = 6;
    const ON_DISCARD: Option<&'static str> = Some(SettleDiscarded::KIND);
}
