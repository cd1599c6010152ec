use resume_queue::{EnqueueError, Job, NewJob, Unique};
use serde::{Deserialize, Serialize};

use crate::document::PeoplePlace;

/// Parses again what an older parser or an older map made of a source's documents: some hundred people, and
/// then enqueues itself for those behind them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReparseSource {
    /// The name of the source.
    pub source: String,
    /// The version of the map that those before `after` were parsed with.
    pub map_version: i32,
    /// The checkpoint.
    pub after: PeoplePlace,
}

impl Job for ReparseSource {
    const KIND: &'static str = "reparse_source";
    const MAX_ATTEMPTS: u16 = 25;
}

impl ReparseSource {
    /// The job: one of a source at a time.
    ///
    /// # Errors
    /// As [`NewJob::new`].
    pub fn new_job(&self) -> Result<NewJob, EnqueueError> {
        Ok(NewJob::new(self)?.unique(Unique::key(self.source.as_str())))
    }
}
