use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use resume_core::{collection, db::PgPool, jobs::FetchPage};
use resume_queue::JobId;

/// How long a page waits before it looks again whether the parsers have caught up: short against the seconds of parsing that
/// the backlog holds.
const PAUSE: Duration = Duration::from_millis(750);
/// How much longer at most, so that those that wait do not all look at once.
const SPREAD_MS: u64 = 500;

/// How often the backlog is counted anew while it keeps pages back.
const RECOUNT: Duration = Duration::from_secs(60);

/// What keeps fetching from running away from the parsers.
pub(crate) struct Lag {
    pool: PgPool,
    backlog_max: u32,
    recounted_at: Mutex<Instant>,
}

impl Lag {
    pub(crate) fn new(pool: PgPool, backlog_max: u32) -> Self {
        Self { pool, backlog_max, recounted_at: Mutex::new(Instant::now()) }
    }

    /// How long a page is to wait while so many documents wait to be parsed; `None` when it may be fetched. Parsing waits for
    /// nothing that this keeps back, so the page's turn comes by itself.
    pub(crate) async fn pause(&self, job: &FetchPage, backlog: i64, job_id: JobId) -> Option<Duration> {
        if backlog <= i64::from(self.backlog_max) {
            return None;
        }
        self.tell(job).await;
        Some(PAUSE + Duration::from_millis(job_id.unsigned_abs() % SPREAD_MS))
    }

    /// Lets people see it, and makes sure now and then that it is true. Where that fails the database is away, which the snooze will find
    /// out.
    async fn tell(&self, job: &FetchPage) {
        let told = async {
            collection::note_lagging(&mut *self.pool.acquire().await?, job.collection_id).await?;
            if self.is_recount_due() { collection::recount_backlog(&self.pool).await } else { Ok(()) }
        };
        if let Err(error) = told.await {
            tracing::warn!(%error, "it was not noted that a collection waits for the parsers");
        }
    }

    fn is_recount_due(&self) -> bool {
        let mut recounted_at = self.recounted_at.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = recounted_at.elapsed() >= RECOUNT;
        if is_due {
            *recounted_at = Instant::now();
        }
        is_due
    }
}
