use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use sqlx::{Connection, PgConnection, PgPool};

use super::{Pass, Service};
use crate::JobState;

/// How often the queues are counted.
const PASS: Duration = Duration::from_secs(10);

/// Counting takes at most one part in so many of the time: with very many queues it comes less often.
const SHARE: u32 = 50;

/// The most jobs counted of a queue and state. Counting so many takes some 20 ms.
const COUNT_MAX: i64 = 100_000;

/// What one queue holds in one state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Depth {
    /// The queue.
    pub queue: String,
    /// Available, scheduled, retryable or running.
    pub state: JobState,
    /// How many jobs: at most 100,000.
    pub jobs: i64,
    /// False when there are more jobs than that.
    pub exact: bool,
    /// When the job that a claim would take next from this state was or will be due. `None` when there is
    /// none, and for running jobs.
    pub next_run_at: Option<DateTime<Utc>>,
    /// How long that job had been due when it was looked at: how far behind the queue is.
    pub next_waited: Option<Duration>,
    /// When this was counted, by the database's clock.
    pub measured_at: DateTime<Utc>,
}

/// What each queue holds, as the leader counted it in the last ten seconds, by queue and state. A queue that
/// has had jobs once stays in the list.
///
/// Reads four rows for each queue, whatever they hold, and locks nothing.
///
/// # Errors
/// The database's own.
pub async fn depths(pool: &PgPool) -> Result<Vec<Depth>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select queue, state as "state: JobState", jobs, exact, next_run_at, measured_at
        from queue.depths order by queue, state
        "#
    )
    .fetch_all(pool)
    .await?;
    let depths = rows.into_iter().map(|row| Depth {
        queue: row.queue,
        state: row.state,
        jobs: row.jobs,
        exact: row.exact,
        next_run_at: row.next_run_at,
        // What is due later has not waited.
        next_waited: row.next_run_at.and_then(|next| (row.measured_at - next).to_std().ok()),
        measured_at: row.measured_at,
    });
    Ok(depths.collect())
}

/// Counts the live jobs by queue and state.
#[derive(Debug)]
pub(crate) struct Statistics;

impl Service for Statistics {
    const NAME: &'static str = "statistics";
    const RUN_MAX: Duration = Duration::from_secs(30);
    const RETRY: Duration = PASS;

    async fn run(&mut self, conn: &mut PgConnection) -> Result<Pass, sqlx::Error> {
        let start = Instant::now();
        let affected = measure(conn, COUNT_MAX).await?;
        Ok(Pass { affected, next: PASS.max(start.elapsed() * SHARE) })
    }
}

/// Counts at most `count_max` jobs of each queue and state into `queue.depths`; gives the number of all.
pub(crate) async fn measure(conn: &mut PgConnection, count_max: i64) -> Result<u64, sqlx::Error> {
    let mut tx = conn.begin().await?;
    // Where most of the table is in one state, a planner would rather read it all, and the table may be
    // large.
    sqlx::query!(
        r#"
        select set_config('enable_seqscan', 'off', true) as "no_seqscan!",
               set_config('enable_bitmapscan', 'off', true) as "no_bitmapscan!"
        "#
    )
    .fetch_one(&mut *tx)
    .await?;
    let counted =
        sqlx::query_file_scalar!("src/maintenance/measure_depths.sql", count_max).fetch_one(&mut *tx).await?;
    tx.commit().await?;
    Ok(counted as u64)
}
