use std::{fmt, str::FromStr, time::Duration};

use serde::{Serialize, de::DeserializeOwned};

/// The number of a job, unique for ever within one database.
pub type JobId = i64;

/// What a payload type says about the jobs that carry it.
///
/// The payload is stored as JSON. Keep ids in it, not copies of data.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + Unpin + 'static {
    /// Names this sort of job, and the queue it waits in. A literal that never changes: renaming the type
    /// must not strand the jobs that are stored.
    const KIND: &'static str;
    /// How long one attempt may take. After it the handler is stopped and the attempt has failed with the
    /// code `timeout`; a handler that blocks its thread cannot be stopped: it is reported, and its slot is
    /// given back all the same.
    const TIMEOUT: Duration = Duration::from_secs(15 * 60);
    /// How often a job is tried before it is discarded, at least 1: the database refuses 0. A crash of its
    /// worker counts as a try. Stored with the job, so a change is for new ones.
    const MAX_ATTEMPTS: u16 = 10;
    /// The kind of the follow-up job that is enqueued in the transaction that discards or cancels a job of
    /// this kind, with a [`Discarded`] as its payload. `None`: that is the end. The job may be retried before
    /// the follow-up runs: [`end_stands`](crate::end_stands) tells it.
    const ON_DISCARD: Option<&'static str> = None;
}

/// The payload of a follow-up job: which job was discarded or cancelled, and why.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Discarded {
    /// The job that ended.
    pub job_id: JobId,
    /// Its kind.
    pub kind: String,
    /// Its payload.
    pub args: serde_json::Value,
    /// The error of its last attempt, or by whose request it ended.
    pub error: Option<String>,
    /// The code of that error: `cancelled_by_request` or `discarded_by_request` tells a request from a
    /// failure.
    #[serde(default)]
    pub code: Option<String>,
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

impl JobState {
    /// All of them, in the order of a job's life.
    pub const ALL: [Self; 7] = [
        Self::Available,
        Self::Scheduled,
        Self::Running,
        Self::Retryable,
        Self::Completed,
        Self::Cancelled,
        Self::Discarded,
    ];

    /// Those of a job that has not ended.
    pub const LIVE: [Self; 4] = [Self::Available, Self::Scheduled, Self::Running, Self::Retryable];

    /// Its name in SQL, in the API and on pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Scheduled => "scheduled",
            Self::Running => "running",
            Self::Retryable => "retryable",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Discarded => "discarded",
        }
    }

    /// Whether a job in this state never runs again by itself; it is in the history then.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled | Self::Discarded)
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text is not the name of a [`JobState`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no state {0:?}: the states are available, scheduled, running, retryable, completed, cancelled and discarded"
)]
pub struct UnknownState(pub String);

impl FromStr for JobState {
    type Err = UnknownState;

    fn from_str(name: &str) -> Result<Self, UnknownState> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == name)
            .ok_or_else(|| UnknownState(name.to_owned()))
    }
}
