use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{Connection, PgPool};

use crate::{
    presence::LOCK_CLASS,
    session::Shared,
    settle::{Outcome, Settlement, settle},
};

/// How often a worker looks for dead ones.
const PASS: Duration = Duration::from_secs(1);

/// How long a worker must be seen without its presence lock. After a restart of Postgres every worker is without it
/// until it has reconnected, which takes at most the reconnect pause of one second.
const DEAD_AFTER: Duration = Duration::from_millis(2500);

/// The most jobs taken back by one statement.
const BATCH_MAX: i64 = 500;

/// Takes back the jobs of workers that died and of leases that ran out, for as long as the session lives. Every worker
/// does this; rows that another one is rescuing are skipped.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut absent: HashMap<i64, Instant> = HashMap::new();
    let mut ticks = tokio::time::interval(PASS);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = pass(&shared, &mut absent).await {
            // What was seen before an outage says nothing about who lives after it.
            absent.clear();
            tracing::warn!(%error, "looking for dead workers failed");
        }
    }
}

async fn pass(shared: &Shared, absent: &mut HashMap<i64, Instant>) -> Result<(), sqlx::Error> {
    let without_lock = workers_without_lock(&shared.pool, shared.worker_id).await?;
    absent.retain(|id, _| without_lock.contains(id));
    let now = Instant::now();
    let dead: Vec<i64> = without_lock
        .into_iter()
        .filter(|id| now.duration_since(*absent.entry(*id).or_insert(now)) >= DEAD_AFTER)
        .collect();
    loop {
        let rescued = rescue(&shared.pool, &dead).await?;
        if rescued > 0 {
            tracing::warn!(jobs = rescued, "took back jobs of dead workers or expired leases");
        }
        if (rescued as i64) < BATCH_MAX {
            break;
        }
    }
    if !dead.is_empty() {
        bury_workers(&shared.pool, &dead).await?;
    }
    Ok(())
}

/// The other workers that have not signed off and whose presence lock nobody holds.
async fn workers_without_lock(pool: &PgPool, own_id: i64) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select w.id from queue.workers w
        where w.stopped_at is null and w.id <> $1 and not exists (
            select from pg_locks l
            where l.locktype = 'advisory' and l.granted and l.objsubid = 1
              and l.classid::bigint = $2 and l.objid::bigint = w.id
              and l.database = (select oid from pg_database where datname = current_database())
        )
        "#,
        own_id,
        LOCK_CLASS,
    )
    .fetch_all(pool)
    .await
}

/// Ends the attempts of one batch of lost jobs and gives their number. The crash counts as a failed attempt, so that a
/// job that kills its workers ends; the others are available at once.
async fn rescue(pool: &PgPool, dead: &[i64]) -> Result<usize, sqlx::Error> {
    let mut conn = pool.acquire().await?;
    let mut tx = conn.begin().await?;
    let lost = sqlx::query!(
        r#"
        select j.id, j.fence, j.lease_until < now() as "expired!", w.name as "worker?"
        from queue.live_jobs j left join queue.workers w on w.id = j.worker_id
        where j.state = 'running' and (j.worker_id = any($1) or j.lease_until < now())
        limit $2
        for update of j skip locked
        "#,
        dead,
        BATCH_MAX,
    )
    .fetch_all(&mut *tx)
    .await?;
    if lost.is_empty() {
        return Ok(0);
    }
    let batch: Vec<Settlement> = lost
        .into_iter()
        .map(|job| {
            let worker = job.worker.as_deref().unwrap_or("unknown");
            let why = if job.expired { "lease expired" } else { "worker died" };
            let error = format!("{why} (worker {worker})");
            Settlement { id: job.id, fence: job.fence, outcome: Outcome::Retry { error, wait: Duration::ZERO } }
        })
        .collect();
    let rescued = settle(&mut tx, &batch).await?;
    tx.commit().await?;
    Ok(rescued.len())
}

/// Signs off for those that cannot any more, once none of their jobs is left.
async fn bury_workers(pool: &PgPool, dead: &[i64]) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        update queue.workers w set stopped_at = now()
        where w.id = any($1) and w.stopped_at is null
          and not exists (select from queue.live_jobs j where j.state = 'running' and j.worker_id = w.id)
        "#,
        dead
    )
    .execute(pool)
    .await?;
    Ok(())
}
