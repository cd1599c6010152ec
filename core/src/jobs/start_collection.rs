use resume_queue::{Job, JobId};
use serde::{Deserialize, Serialize};

use crate::collection::NewCollection;

/// Starts a collection. What a schedule enqueues, so that one starts every night.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StartCollection {
    /// The name of the source.
    pub source: String,
    /// How many items to ask for; by default what the source's definition says, or else everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Items on a page; by default what the source's definition says, or else as many as the source gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_page: Option<u32>,
    /// Documents parsed by one job.
    pub batch_size: u32,
    /// Whether the mock source shall break some items.
    #[serde(default)]
    pub error_mode: bool,
    /// Whether to fetch everything, even if the source supports incremental runs.
    #[serde(default)]
    pub full: bool,
    /// Which people the mock source makes up; by default nobody seen before, at every tick.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u32>,
}

impl Job for StartCollection {
    const KIND: &'static str = "start_collection";
}

impl StartCollection {
    /// What the job of this id starts. The same job starts the same collection, however often it runs.
    pub fn collection_of(self, job_id: JobId) -> NewCollection {
        let Self { source, count, per_page, batch_size, error_mode, full, seed } = self;
        // A caller's key has no space in it, so it is none of these.
        let idempotency_key = Some(format!("job {job_id}"));
        NewCollection { source, count, per_page, batch_size, error_mode, full, seed, idempotency_key }
    }
}
