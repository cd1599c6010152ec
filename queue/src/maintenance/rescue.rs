use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use sqlx::{Connection, PgConnection};

use super::{Pass, Service};
use crate::{
    GroupId,
    error::code,
    group::finish_groups,
    held::lock,
    metrics,
    presence::LOCK_CLASS,
    session::Shared,
    settle::{Outcome, Settlement, settle},
};

/// How often the leader looks for dead workers.
const PASS: Duration = Duration::from_secs(1);

/// How often it looks for expired leases, which last for 30 s.
const LEASES_EVERY: Duration = Duration::from_secs(5);

/// How long a worker must be seen without its presence lock and without a heartbeat. After a restart of Postgres every
/// worker is without the lock until it has reconnected, which takes some tenths of a second.
const DEAD_AFTER: Duration = Duration::from_millis(2500);

/// The most jobs taken back by one statement.
const BATCH_MAX: i64 = 500;

/// The workers that seem dead: since when, and their last heartbeat then.
type Absent = HashMap<i64, (Instant, DateTime<Utc>)>;

/// What one look at the database shows.
pub(crate) struct Look {
    /// The other workers that have not signed off and whose presence lock nobody holds, and their last heartbeat.
    pub(crate) without_lock: Vec<(i64, DateTime<Utc>)>,
    /// Whether some lease has run out, if that was asked.
    pub(crate) expired: bool,
}

/// What one batch of a rescue took back.
#[derive(Debug, Default)]
pub(crate) struct Rescued {
    pub(crate) jobs: usize,
    /// The groups of these jobs: for some of them it was the last attempt.
    pub(crate) groups: Vec<GroupId>,
}

/// Takes back the jobs of workers that died and of leases that ran out.
#[derive(Debug, Default)]
pub(crate) struct Rescue {
    absent: Absent,
    looked_at: Option<Instant>,
    looked_at_leases: Option<Instant>,
}

impl Service for Rescue {
    const NAME: &'static str = "rescue";
    const RUN_MAX: Duration = Duration::from_secs(60);
    const RETRY: Duration = PASS;

    async fn run(&mut self, shared: &Shared, conn: &mut PgConnection) -> Result<Pass, sqlx::Error> {
        // What was seen before a gap says nothing about who lives after it: this process may have stood still.
        if self.looked_at.is_none_or(|at| at.elapsed() >= DEAD_AFTER) {
            self.absent.clear();
        }
        let done = self.pass(shared, conn).await;
        if done.is_err() {
            self.absent.clear();
        }
        let affected = done?;
        Ok(Pass { affected, next: until_next_pass(&self.absent, Instant::now()) })
    }
}

impl Rescue {
    async fn pass(&mut self, shared: &Shared, conn: &mut PgConnection) -> Result<u64, sqlx::Error> {
        // It reads the lease of each running job, and one that has run out can wait for another moment.
        let lease = shared.settings.lease;
        let leases = self.looked_at_leases.is_none_or(|at| at.elapsed() >= (lease / 6).min(LEASES_EVERY));
        let look = look(conn, shared.worker_id, leases).await?;
        let now = Instant::now();
        self.looked_at = Some(now);
        if leases {
            self.looked_at_leases = Some(now);
        }
        let dead = dead(&mut self.absent, &look.without_lock, now);
        // After an outage all leases may have run out. Everybody needs time for a heartbeat before they mean anything.
        let expired = look.expired && lock(&shared.pulse).is_steady_for(lease / 2);
        if dead.is_empty() && !expired {
            return Ok(0);
        }
        let rescued = rescue_all(conn, &dead, expired).await?;
        if !dead.is_empty() {
            bury_workers(conn, &dead).await?;
        }
        Ok(rescued)
    }
}

/// A pass comes as soon as somebody who is absent can be known to be dead.
fn until_next_pass(absent: &Absent, now: Instant) -> Duration {
    let left = |since: &Instant| DEAD_AFTER.saturating_sub(now.duration_since(*since));
    let soonest = absent.values().map(|(since, _)| left(since)).filter(|left| !left.is_zero()).min();
    soonest.unwrap_or(PASS).min(PASS)
}

async fn rescue_all(conn: &mut PgConnection, dead: &[i64], expired: bool) -> Result<u64, sqlx::Error> {
    let mut all = 0;
    loop {
        let rescued = rescue(conn, dead, expired).await?;
        let jobs = rescued.jobs as u64;
        all += jobs;
        if jobs > 0 {
            metrics::rescued(jobs);
            tracing::warn!(jobs, "took back jobs of dead workers or expired leases");
        }
        if !rescued.groups.is_empty() {
            finish_groups(conn, &rescued.groups).await?;
        }
        if jobs < BATCH_MAX as u64 {
            return Ok(all);
        }
    }
}

/// Notes who is absent and gives those who have been for long enough. A heartbeat proves life.
fn dead(absent: &mut Absent, without_lock: &[(i64, DateTime<Utc>)], now: Instant) -> Vec<i64> {
    let mut still_absent = Absent::new();
    for (id, heartbeat_at) in without_lock {
        let before = absent.get(id).filter(|(_, last)| last == heartbeat_at);
        still_absent.insert(*id, *before.unwrap_or(&(now, *heartbeat_at)));
    }
    *absent = still_absent;
    let is_dead = |since: &Instant| now.duration_since(*since) >= DEAD_AFTER;
    absent.iter().filter(|(_, (since, _))| is_dead(since)).map(|(id, _)| *id).collect()
}

/// Looks for workers without their lock and, if asked, for expired leases.
pub(crate) async fn look(conn: &mut PgConnection, own_id: i64, leases: bool) -> Result<Look, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select w.id as "id?", w.heartbeat_at as "heartbeat_at?"
        from queue.workers w
        where w.stopped_at is null and w.id <> $1 and not exists (
            select from pg_locks l
            where l.locktype = 'advisory' and l.granted and l.objsubid = 1
              and l.classid::bigint = $2 and l.objid::bigint = w.id
              and l.database = (select oid from pg_database where datname = current_database())
        )
        union all
        select null, null
        where $3 and exists (select from queue.live_jobs where state = 'running' and lease_until < now())
        "#,
        own_id,
        LOCK_CLASS,
        leases,
    )
    .fetch_all(conn)
    .await?;
    let expired = rows.iter().any(|row| row.id.is_none());
    let without_lock = rows.into_iter().filter_map(|row| Some((row.id?, row.heartbeat_at?))).collect();
    Ok(Look { without_lock, expired })
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
                outcome: Outcome::Retry { error, code, wait: Duration::ZERO },
            }
        })
        .collect();
    let rescued = settle(&mut tx, &batch).await?;
    tx.commit().await?;
    Ok(Rescued { jobs: rescued.len(), groups: groups.into_iter().collect() })
}

/// Signs off for those that cannot any more, once none of their jobs is left. One that lives all the same takes this back
/// with its next heartbeat.
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
    fn only_who_stays_away_without_a_heartbeat_is_dead() {
        let mut absent = Absent::new();
        let start = Instant::now();
        let beat = DateTime::<Utc>::UNIX_EPOCH;
        let mut look = |ms: u64, seen: &[(i64, i64)]| {
            let seen: Vec<_> =
                seen.iter().map(|(id, s)| (*id, beat + Duration::from_secs(*s as u64))).collect();
            let mut dead = dead(&mut absent, &seen, start + Duration::from_millis(ms));
            dead.sort_unstable();
            dead
        };
        let nobody: [i64; 0] = [];
        assert_eq!(look(0, &[(1, 0), (2, 0), (3, 0)]), nobody);
        assert_eq!(look(1000, &[(1, 0), (2, 0)]), nobody, "3 is back");
        assert_eq!(look(2000, &[(1, 0), (2, 1), (3, 0)]), nobody, "2 had a heartbeat, 3 is away again");
        assert_eq!(look(2500, &[(1, 0), (2, 1), (3, 0)]), [1]);
        assert_eq!(look(4500, &[(1, 0), (2, 1), (3, 0)]), [1, 2, 3]);
    }

    #[test]
    fn a_pass_comes_when_somebody_can_be_known_to_be_dead() {
        let start = Instant::now();
        let absent = |ms: &[u64]| -> Absent {
            let since = ms.iter().map(|ms| (start + Duration::from_millis(*ms), DateTime::<Utc>::UNIX_EPOCH));
            (0..).zip(since).collect()
        };
        for (since, now, expected) in [
            (&[] as &[u64], 0, 1000),
            (&[0], 0, 1000),
            (&[0, 700], 2000, 500),
            (&[0, 700], 2500, 700),
            (&[0], 9000, 1000),
        ] {
            let next = until_next_pass(&absent(since), start + Duration::from_millis(now));
            assert_eq!(next.as_millis(), expected, "{since:?} at {now}");
        }
    }
}
