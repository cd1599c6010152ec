use serde::{Serialize, de::DeserializeOwned};

/// The number of a job, unique for ever within one database.
pub type JobId = i64;

/// What a payload type says about the jobs that carry it.
///
/// The payload is stored as JSON. Keep ids in it, not copies of data.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + Unpin + 'static {
    /// Names this sort of job, and the queue it waits in. A literal that never changes: renaming the type must not
    /// strand the jobs that are stored.
    const KIND: &'static str;
    /// How often a job is tried before it is discarded. A crash of its worker counts as a try.
    const MAX_ATTEMPTS: u16 = 10;
    /// The kind of the follow-up job that is enqueued in the transaction that discards a job of this kind, with a
    /// [`Discarded`] as its payload. `None`: discarding is the end.
    const ON_DISCARD: Option<&'static str> = None;
}

/// The payload of a follow-up job: which job was discarded, and why.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Discarded {
    /// The job that was discarded.
    pub job_id: JobId,
    /// Its kind.
    pub kind: String,
    /// Its payload.
    pub args: serde_json::Value,
    /// The error of its last attempt.
    pub error: Option<String>,
}

/// Where a job stands. `docs/job-lifecycle.md` draws the moves between the states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, sqlx::Type)]
#[sqlx(type_name = "queue.job_state", rename_all = "snake_case")]
pub enum JobState {
    /// Waits for a worker.
    Available,
    /// Waits for its time.
    Scheduled,
    /// A worker holds its lease.
    Running,
    /// Has failed and waits for its next attempt.
    Retryable,
    /// Ended well.
    Completed,
    /// Ended by request.
    Cancelled,
    /// Ended after its last attempt failed: the dead letters.
    Discarded,
}
