use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{Connection, PgConnection};
use tokio::time::timeout;

use crate::{
    held::{Stop, lock},
    session::Shared,
};

/// How long one heartbeat may take, even where leases are shorter.
const BEAT_MAX: Duration = Duration::from_secs(2);

/// The pause after a heartbeat that failed, and between two while the presence is lost: then it is the
/// heartbeat that shows the others that the worker lives.
const HASTE: Duration = Duration::from_millis(500);

/// When heartbeats succeeded.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    steady_since: Option<Instant>,
    last: Option<Instant>,
}

impl Pulse {
    fn beat(&mut self, gap_max: Duration) {
        let now = Instant::now();
        if self.last.is_none_or(|last| now.duration_since(last) > gap_max) {
            self.steady_since = Some(now);
        }
        self.last = Some(now);
    }

    fn skip(&mut self) {
        *self = Self::default();
    }

    /// Whether heartbeats have come for at least this long, without a longer gap than that.
    pub(crate) fn is_steady_for(&self, time: Duration) -> bool {
        let (Some(since), Some(last)) = (self.steady_since, self.last) else { return false };
        since.elapsed() >= time && last.elapsed() <= time
    }
}

/// Extends the leases of all jobs held, with one statement for each third of a lease, and stops the handlers
/// of jobs that turn out to be somebody else's.
///
/// While the database is away no lease can be extended; it tries again until one can, and `rescue` gives
/// everybody time for that.
pub(crate) async fn run(shared: Arc<Shared>) {
    let interval = shared.settings.lease / 3;
    let mut present = shared.present.subscribe();
    let mut own = Own::default();
    loop {
        let pause = match timeout(interval.max(BEAT_MAX), beat(&shared, &mut own)).await {
            Ok(Ok(())) => {
                lock(&shared.pulse).beat(interval * 3 / 2);
                if *present.borrow_and_update() { interval } else { interval.min(HASTE) }
            }
            failed => {
                lock(&shared.pulse).skip();
                // The other way may still work: the server may be out of connections, or the pool.
                own = Own { conn: None, preferred: !own.preferred };
                tracing::warn!(error = ?failed.map_or_else(|_| None, Result::err), "heartbeat failed");
                interval.min(HASTE)
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = present.changed() => {}
        }
    }
}

/// A connection outside the pool, for when the pool has none left.
#[derive(Debug, Default)]
struct Own {
    conn: Option<PgConnection>,
    preferred: bool,
}

async fn beat(shared: &Shared, own: &mut Own) -> Result<(), sqlx::Error> {
    let signed_off = shared.signed_off.lock().await;
    if *signed_off {
        return Ok(());
    }
    if !own.preferred {
        // Handlers that use up the pool must not cost the leases.
        if let Ok(conn) = timeout(shared.settings.lease / 9, shared.pool.acquire()).await {
            return keep_leases(shared, &mut *conn?).await;
        }
        own.preferred = true;
    }
    if own.conn.is_none() {
        own.conn = Some(PgConnection::connect_with(&shared.pool.connect_options()).await?);
    }
    match &mut own.conn {
        Some(conn) => keep_leases(shared, conn).await,
        None => Ok(()),
    }
}

async fn keep_leases(shared: &Shared, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    let (ids, fences) = shared.held.ids_and_fences();
    let kept = extend(conn, shared.worker_id, &ids, &fences, shared.settings.lease).await?;
    for (id, fence) in ids.into_iter().zip(fences) {
        // A job that ended in the meantime is no longer held under this fence, and the call does nothing.
        if !kept.contains(&id) {
            shared.held.stop(id, fence, Stop::LeaseLost);
        }
    }
    Ok(())
}

/// Notes a heartbeat of the worker, extends the leases of the jobs that it holds under these fences, and
/// tells which of them are still its own.
pub(crate) async fn extend(
    conn: &mut PgConnection,
    worker_id: i64,
    ids: &[i64],
    fences: &[i32],
    lease: Duration,
) -> Result<HashSet<i64>, sqlx::Error> {
    // A row that is locked is about to end in its handler's transaction, or being rescued. It is not waited
    // for: the other leases must be kept meanwhile, and nobody else can take it.
    let kept = sqlx::query_scalar!(
        r#"
        with worker as (
            update queue.workers set heartbeat_at = now(), stopped_at = null where id = $1
        ), mine as materialized (
            select j.id
            from unnest($2::bigint[], $3::integer[]) as held (id, fence)
            join queue.live_jobs j on j.id = held.id and j.fence = held.fence and j.worker_id is not null
        ), free as materialized (
            select j.id from queue.live_jobs j
            where j.id = any(array(select id from mine)) and j.worker_id = $1
            for update skip locked
        ), extended as (
            update queue.live_jobs set lease_until = now() + make_interval(secs => $4)
            where id = any(array(select id from free))
        )
        select id from mine
        "#,
        worker_id,
        ids,
        fences,
        lease.as_secs_f64(),
    )
    .fetch_all(conn)
    .await?;
    Ok(kept.into_iter().collect())
}
