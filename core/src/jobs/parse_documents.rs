use resume_queue::{EnqueueError, GroupId, Job, NewJob};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::SettleDiscarded;

/// Parses the documents of some batches of a collection into resumes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParseDocuments {
    /// The collection that lets them wait.
    pub collection_id: Uuid,
    /// The batches, by their first documents.
    pub batches: Vec<i64>,
}

impl Job for ParseDocuments {
    const KIND: &'static str = "parse_documents";
    /// A bad document does not fail the job, so only outages and crashes use attempts.
    const MAX_ATTEMPTS: u16 = 6;
    const ON_DISCARD: Option<&'static str> = Some(SettleDiscarded::KIND);
}

impl ParseDocuments {
    /// The job, in the group of the collection's present run. A limit for each key lets no collection take
    /// all that the queue may run.
    ///
    /// # Errors
    /// As [`NewJob::new`].
    pub fn new_job(&self, group: Option<GroupId>) -> Result<NewJob, EnqueueError> {
        let job = NewJob::new(self)?.concurrency_key(self.collection_id);
        Ok(match group {
            Some(group) => job.group(group),
            None => job,
        })
    }
}
