use chrono::{DateTime, Utc};
use sqlx::PgPool;

use crate::JobId;

/// Why a job does not run.
#[derive(Debug, Clone, PartialEq)]
pub struct Obstacle {
    /// What sort of reason it is.
    pub reason: Reason,
    /// The same in words, with the figures.
    pub detail: String,
    /// When it ends by itself, if that is known.
    pub until: Option<DateTime<Utc>>,
    /// The number of jobs whose turn comes earlier, at most 10,000; of those that are due and not available
    /// yet, the 10,000 that have been due for longest are looked at. Where there are more, `detail` says "at
    /// least".
    pub ahead: Option<u64>,
}

/// What sort of reason keeps a job from running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// There is no such job.
    Unknown,
    /// It has ended.
    Ended,
    /// It does run.
    Running,
    /// Its queue is paused.
    Paused,
    /// It is scheduled, or its next attempt waits for the backoff.
    Waiting,
    /// No live worker takes jobs of its queue.
    NoWorker,
    /// Its queue runs as many jobs as it may.
    QueueLimit,
    /// As many jobs of its concurrency key run as may.
    KeyBusy,
    /// Jobs are in front of it; with none, it is next.
    Behind,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Unknown,
        Self::Ended,
        Self::Running,
        Self::Paused,
        Self::Waiting,
        Self::NoWorker,
        Self::QueueLimit,
        Self::KeyBusy,
        Self::Behind,
    ];

    /// Its name in SQL and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Ended => "ended",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Waiting => "waiting",
            Self::NoWorker => "no_worker",
            Self::QueueLimit => "queue_limit",
            Self::KeyBusy => "key_busy",
            Self::Behind => "behind",
        }
    }
}

/// Tells why a job does not run: all that keeps it now, the most decisive first, never nothing. The SQL
/// function `queue.why_not_running(id)` answers the same in psql.
///
/// # Errors
/// The database's.
pub async fn why_not_running(pool: &PgPool, id: JobId) -> Result<Vec<Obstacle>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"select reason as "reason!", detail as "detail!", until, ahead from queue.why_not_running($1)"#,
        id
    )
    .fetch_all(pool)
    .await?;
    let obstacles = rows.into_iter().filter_map(|row| {
        let reason = Reason::ALL.into_iter().find(|reason| reason.as_str() == row.reason)?;
        Some(Obstacle {
            reason,
            detail: row.detail,
            until: row.until,
            ahead: row.ahead.map(i64::unsigned_abs),
        })
    });
    Ok(obstacles.collect())
}
