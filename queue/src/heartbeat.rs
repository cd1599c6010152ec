use std::{collections::HashSet, sync::Arc};

use crate::session::{Shared, Stop};

/// Extends the leases of all jobs held, with one statement for each third of a lease, and stops the handlers of jobs
/// that turn out to be somebody else's.
///
/// While the database is away no lease can be extended and none can be taken: it just tries again.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(shared.settings.lease / 3);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = beat(&shared).await {
            tracing::warn!(%error, "heartbeat failed");
        }
    }
}

async fn beat(shared: &Shared) -> Result<(), sqlx::Error> {
    let (ids, fences) = shared.held.ids_and_fences();
    let kept = sqlx::query_scalar!(
        r#"
        with worker as (
            update queue.workers set heartbeat_at = now() where id = $1
        )
        update queue.live_jobs j set lease_until = now() + make_interval(secs => $4)
        from unnest($2::bigint[], $3::integer[]) as held (id, fence)
        where j.id = held.id and j.fence = held.fence and j.state = 'running'
        returning j.id
        "#,
        shared.worker_id,
        &ids,
        &fences,
        shared.settings.lease.as_secs_f64(),
    )
    .fetch_all(&shared.pool)
    .await?;
    let kept: HashSet<i64> = kept.into_iter().collect();
    for (id, fence) in ids.into_iter().zip(fences) {
        // A job that ended in the meantime is no longer held under this fence, and the call does nothing.
        if !kept.contains(&id) {
            shared.held.stop(id, fence, Stop::LeaseLost);
        }
    }
    Ok(())
}
