use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{Connection, PgConnection};

use super::{
    BATCHES_MAX, Pass, Service,
    absence::{Absence, look, note},
};
use crate::{
    GroupId,
    error::code,
    group::finish_groups,
    held::lock,
    metrics,
    session::Shared,
    settle::{Outcome, Settlement, settle},
};

/// How often the leader looks for dead workers.
const PASS: Duration = Duration::from_secs(1);

/// How often it looks for expired leases, which last for 30 s.
const LEASES_EVERY: Duration = Duration::from_secs(5);

/// How long a worker must be seen without its presence lock and without a heartbeat. After a restart of
/// Postgres every worker is without the lock until it has reconnected, which takes some tenths of a second.
const DEAD_AFTER: Duration = Duration::from_millis(2500);

/// How long to take jobs back before the next look: what was seen of the absent must not grow old meanwhile.
const RESCUE_MAX: Duration = Duration::from_secs(2);

/// The most jobs taken back by one statement.
const BATCH_MAX: i64 = 500;

/// What one batch of a rescue took back.
#[derive(Debug, Default)]
pub(crate) struct Rescued {
    pub(crate) jobs: usize,
    /// The groups of these jobs: for some of them it was the last attempt.
    pub(crate) groups: Vec<GroupId>,
}

/// Takes back the jobs of workers that died and of leases that ran out.
#[derive(Debug)]
pub(crate) struct Rescue {
    shared: Arc<Shared>,
    looked_at_leases: Option<Instant>,
}

impl Rescue {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, looked_at_leases: None }
    }
}

impl Service for Rescue {
    const NAME: &'static str = "rescue";
    const RUN_MAX: Duration = BATCHES_MAX;
    const RETRY: Duration = PASS;

    async fn run(&mut self, conn: &mut PgConnection) -> Result<Pass, sqlx::Error> {
        // It reads the lease of each running job, and one that has run out can wait for another moment.
        let lease = self.shared.settings.lease;
        let leases = self.looked_at_leases.is_none_or(|at| at.elapsed() >= (lease / 6).min(LEASES_EVERY));
        let look = look(conn, self.shared.worker_id, leases).await?;
        if leases {
            self.looked_at_leases = Some(Instant::now());
        }
        // As a rule nobody is absent, and nothing is written.
        let absences = if look.without_lock.is_empty() && !look.somebody_is_back {
            Vec::new()
        } else {
            note(conn, &look.without_lock).await?
        };
        let next = until_next_pass(&absences);
        let dead = dead(&absences);
        // After an outage all leases may have run out. Everybody needs time for a heartbeat before they mean
        // anything.
        let expired = look.expired && lock(&self.shared.pulse).is_steady_for(lease / 2);
        if dead.is_empty() && !expired {
            return Ok(Pass { affected: 0, next });
        }
        let (affected, is_done) = rescue_all(conn, &dead, expired).await?;
        if !dead.is_empty() {
            bury_workers(conn, &dead).await?;
        }
        Ok(Pass { affected, next: if is_done { next } else { Duration::ZERO } })
    }
}

fn dead(absences: &[Absence]) -> Vec<i64> {
    absences
        .iter()
        .filter(|absence| absence.seen_for >= DEAD_AFTER)
        .map(|absence| absence.worker_id)
        .collect()
}

/// A pass comes as soon as somebody who is absent can be known to be dead.
fn until_next_pass(absences: &[Absence]) -> Duration {
    let left = absences.iter().map(|absence| DEAD_AFTER.saturating_sub(absence.seen_for));
    left.filter(|left| !left.is_zero()).min().unwrap_or(PASS).min(PASS)
}

/// Gives how many jobs it took back, and whether none is left to take back.
async fn rescue_all(
    conn: &mut PgConnection,
    dead: &[i64],
    expired: bool,
) -> Result<(u64, bool), sqlx::Error> {
    let start = Instant::now();
    let mut all = 0;
    loop {
        let rescued = rescue(conn, dead, expired).await?;
        let jobs = rescued.jobs as u64;
        all += jobs;
        if jobs > 0 {
            metrics::rescued(jobs);
            tracing::warn!(jobs, "took back jobs of dead workers or expired leases");
        }
        if !rescued.groups.is_empty()
            && let Err(error) = finish_groups(conn, &rescued.groups).await
        {
            tracing::warn!(%error, "finishing groups failed; the service for groups does it");
        }
        if jobs < BATCH_MAX as u64 {
            return Ok((all, true));
        }
        if start.elapsed() >= RESCUE_MAX {
            return Ok((all, false));
        }
    }
}

/// Ends the attempts of one batch of lost jobs. The crash counts as a failed attempt, so that a
/// job that kills its workers ends; the others are available at once.
pub(crate) async fn rescue(
    conn: &mut PgConnection,
    dead: &[i64],
    expired: bool,
) -> Result<Rescued, sqlx::Error> {
    let mut tx = conn.begin().await?;
    // A planner without statistics would read the whole table for it.
    sqlx::query!(r#"select set_config('enable_seqscan', 'off', true) as "no_seqscan!""#)
        .fetch_one(&mut *tx)
        .await?;
    let lost = sqlx::query!(
        r#"
        select j.id, j.fence, j.group_id, j.lease_until < now() as "expired!", w.name as "worker?"
        from queue.live_jobs j left join queue.workers w on w.id = j.worker_id
        where j.state = 'running' and (j.worker_id = any($1) or ($2 and j.lease_until < now()))
        limit $3
        for update of j skip locked
        "#,
        dead,
        expired,
        BATCH_MAX,
    )
    .fetch_all(&mut *tx)
    .await?;
    if lost.is_empty() {
        return Ok(Rescued::default());
    }
    let groups = BTreeSet::from_iter(lost.iter().filter_map(|job| job.group_id));
    let batch: Vec<Settlement> = lost
        .into_iter()
        .map(|job| {
            let worker = job.worker.as_deref().unwrap_or("unknown");
            let (why, code) = if job.expired {
                ("lease expired", code::LEASE_EXPIRED)
            } else {
                ("worker died", code::WORKER_DIED)
            };
            let error = format!("{why} (worker {worker})");
            Settlement {
                id: job.id,
                fence: job.fence,
                outcome: Outcome::Retry { error, code: code.into(), wait: Duration::ZERO },
            }
        })
        .collect();
    let rescued = settle(&mut tx, &batch).await?;
    tx.commit().await?;
    Ok(Rescued { jobs: rescued.len(), groups: groups.into_iter().collect() })
}

/// Signs off for those that cannot any more, once none of their jobs is left. One that lives all the same
/// takes this back with its next heartbeat.
async fn bury_workers(conn: &mut PgConnection, dead: &[i64]) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        update queue.workers w set stopped_at = now()
        where w.id = any($1) and w.stopped_at is null
          and not exists (select from queue.live_jobs j where j.state = 'running' and j.worker_id = w.id)
        "#,
        dead
    )
    .execute(conn)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_comes_when_somebody_can_be_known_to_be_dead() {
        for (seen_for, dead_ones, next) in [
            (&[] as &[u64], &[] as &[i64], 1000),
            (&[0], &[], 1000),
            (&[2000, 1300], &[], 500),
            (&[2499, 0], &[], 1),
            (&[2500, 1800], &[0], 700),
            (&[9000, 2500], &[0, 1], 1000),
        ] {
            let absences: Vec<_> = (0..)
                .zip(seen_for)
                .map(|(worker_id, ms)| Absence { worker_id, seen_for: Duration::from_millis(*ms) })
                .collect();
            assert_eq!(dead(&absences), dead_ones, "{seen_for:?}");
            assert_eq!(until_next_pass(&absences).as_millis(), next, "{seen_for:?}");
        }
    }
}
