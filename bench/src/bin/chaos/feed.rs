//! Enqueues the jobs of a trial, whatever happens to the database meanwhile.
//!
//! What somebody asks for is written to a table of its own in the transaction that enqueues its job. After an
//! error nobody knows whether that was committed; so it is asked for again, and the table tells whether that
//! is still needed.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use resume_core::db::{self, PgPool};
use resume_queue::{NewJob, enqueue_all};
use sqlx::{AssertSqlSafe, PgConnection, raw_sql};
use tokio::time::Instant;

use crate::worker::Numbered;

/// A little more than the workers can do, so that there is always a job to claim.
pub(crate) const BATCH: i64 = 100;
pub(crate) const EVERY: Duration = Duration::from_millis(100);

/// How long a batch may be refused before the trial is given up.
const PATIENCE: Duration = Duration::from_secs(120);

/// The pause after an error.
const PAUSE: Duration = Duration::from_millis(200);

pub(crate) async fn create_table(conn: &mut PgConnection) -> Result<()> {
    bench::sql::execute(conn, "create table requests (n bigint primary key)").await
}

/// Enqueues the jobs 0 to `jobs` - 1, batch by batch, until each of them was accepted.
pub(crate) async fn feed(pool: PgPool, jobs: i64) -> Result<()> {
    let mut tick = tokio::time::interval(EVERY);
    // What an outage held up comes at the usual rate after it.
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut first = 0;
    while first < jobs {
        tick.tick().await;
        let end = (first + BATCH).min(jobs);
        insist(&pool, first, end).await?;
        first = end;
    }
    Ok(())
}

async fn insist(pool: &PgPool, first: i64, end: i64) -> Result<()> {
    let begun = Instant::now();
    while let Err(error) = request(pool, first, end).await {
        if begun.elapsed() > PATIENCE {
            return Err(error).context("no jobs are accepted");
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// One transaction: the request and its jobs.
async fn request(pool: &PgPool, first: i64, end: i64) -> Result<()> {
    let mut tx = db::begin(pool).await?;
    let request = format!(
        "insert into requests select n from generate_series({first}, {}) n on conflict do nothing",
        end - 1
    );
    let new = raw_sql(AssertSqlSafe(request)).execute(&mut *tx).await?.rows_affected();
    if new == 0 {
        // The last try was accepted, and only its answer was lost.
        return Ok(());
    }
    ensure!(new == (end - first) as u64, "half a transaction was committed");
    let jobs = (first..end).map(|n| NewJob::new(&Numbered { n })).collect::<Result<Vec<_>, _>>()?;
    enqueue_all(&mut tx, &jobs).await?;
    Ok(tx.commit().await?)
}
