use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use resume_core::{
    collection,
    db::{self, PgPool},
    document,
    jobs::MakeCall,
};
use resume_queue::JobId;
use tokio::sync::Mutex;

/// How long a page waits before it looks again whether the parsers have caught up: short against the seconds
/// of parsing that the backlog holds.
const PAUSE: Duration = Duration::from_millis(750);
/// How much longer at most, so that those that wait do not all look at once.
const SPREAD_MS: u64 = 500;
/// How long a look at the backlog holds. What other processes store meanwhile is not seen.
const LOOK_HOLDS: Duration = Duration::from_millis(200);

/// What keeps fetching from running away from the parsers. Each source has a bound of its own: a large import
/// holds back nobody else.
pub(crate) struct Lag {
    pool: PgPool,
    backlog_max: u32,
    look: Mutex<Option<Look>>,
}

/// How many documents of each source waited, and when.
struct Look {
    at: Instant,
    backlog: HashMap<String, i64>,
}

impl Lag {
    pub(crate) fn new(pool: PgPool, backlog_max: u32) -> Self {
        Self { pool, backlog_max, look: Mutex::new(None) }
    }

    /// How long a page of a source is to wait while so many of its documents wait to be parsed; `None` when
    /// it may be fetched. Parsing waits for nothing that this keeps back, so the page's turn comes by itself.
    pub(crate) async fn pause(
        &self,
        job: &MakeCall,
        source: &str,
        job_id: JobId,
    ) -> Result<Option<Duration>, db::Error> {
        if self.backlog(source).await? <= i64::from(self.backlog_max) {
            return Ok(None);
        }
        collection::note_lagging(&mut *self.pool.acquire().await?, job.collection_id).await?;
        Ok(Some(PAUSE + Duration::from_millis(job_id.unsigned_abs() % SPREAD_MS)))
    }

    /// Counts documents that this process has stored since the last look.
    pub(crate) async fn stored(&self, source: &str, documents: usize) {
        let mut look = self.look.lock().await;
        let Some(backlog) = look.as_mut().map(|look| &mut look.backlog) else { return };
        *backlog.entry(source.to_owned()).or_default() += documents as i64;
    }

    /// Looks at the backlog, for all who ask at this time.
    async fn backlog(&self, source: &str) -> Result<i64, db::Error> {
        let mut look = self.look.lock().await;
        if look.as_ref().is_none_or(|look| look.at.elapsed() >= LOOK_HOLDS) {
            let backlog = document::backlog_by_source(&self.pool).await?;
            *look = Some(Look { at: Instant::now(), backlog });
        }
        Ok(look.as_ref().and_then(|look| look.backlog.get(source).copied()).unwrap_or(0))
    }
}
