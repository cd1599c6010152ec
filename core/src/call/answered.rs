use resume_queue::EnqueueError;

use crate::{
    document::{Batch, StoreError, Stored},
    erasure,
};

/// How storing an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAnswer {
    /// What was stored of its items.
    pub stored: Stored,
    /// Single documents that wait to be parsed and have no job yet: whoever stores many of them enqueues one
    /// for several.
    pub without_job: Vec<Batch>,
}

/// The result of storing an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered {
    /// The answer is stored.
    Stored(StoredAnswer),
    /// The answer was stored before, or the collection is cancelled: roll back.
    NotPending,
}

/// Why an answer was not stored.
#[derive(Debug, thiserror::Error)]
pub enum StoreCallError {
    /// Its documents were not.
    #[error(transparent)]
    Documents(#[from] StoreError),
    /// The jobs of what follows were not enqueued.
    #[error("enqueueing what follows from an answer failed")]
    Enqueue(#[from] EnqueueError),
    /// The database refused.
    #[error("storing an answer failed")]
    Database(#[from] sqlx::Error),
}

impl StoreCallError {
    /// Whether nobody knows who of its people was erased, because this process does not have the key.
    pub fn is_key_missing(&self) -> bool {
        matches!(self, Self::Documents(StoreError::Erasure(erasure::CheckError::KeyMissing)))
    }

    /// Whether the same answer can be stored again at once.
    pub fn is_contention(&self) -> bool {
        matches!(self, Self::Documents(StoreError::Contention))
    }
}
