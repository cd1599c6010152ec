//! Who is absent, and since when.
//!
//! A worker is absent while nobody holds its presence lock and no heartbeat comes. That is kept in its row,
//! so that a leader goes on from what those before it have seen: where one leader after the other dies, the
//! dead are found as soon as with one that lives.

use std::time::Duration;

use sqlx::PgConnection;

/// The longest gap between two looks, in which a worker that was absent at both counts as absent throughout.
/// A leader that dies leaves one of a pass and of what those next in line need to notice, 2.5 s in all; two
/// in a row leave more. After a longer one, nobody knows who was there in between.
const GAP_MAX: Duration = Duration::from_millis(3500);

/// A worker that has not signed off, and shows no sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Absence {
    pub(crate) worker_id: i64,
    /// How long it has been seen to last.
    pub(crate) seen_for: Duration,
}

/// What one look at the database shows.
pub(crate) struct Look {
    /// The other workers that have not signed off and whose presence lock nobody holds.
    pub(crate) without_lock: Vec<i64>,
    /// Whether one that was noted as absent has its lock again.
    pub(crate) somebody_is_back: bool,
    /// Whether some lease has run out, if that was asked.
    pub(crate) expired: bool,
}

/// Looks for workers without their lock and, if asked, for expired leases. Locks nothing.
pub(crate) async fn look(conn: &mut PgConnection, own_id: i64, leases: bool) -> Result<Look, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select w.id as "id?", w.without_lock as "without_lock!"
        from (
            select w.id, w.absent_since,
                   not exists (select from queue.presences p where p.worker_id = w.id) as without_lock
            from queue.workers w
            where w.stopped_at is null and w.id <> $1
        ) w
        where w.without_lock or w.absent_since is not null
        union all
        select null, false
        where $2 and exists (select from queue.live_jobs where state = 'running' and lease_until < now())
        "#,
        own_id,
        leases,
    )
    .fetch_all(conn)
    .await?;
    Ok(Look {
        without_lock: rows.iter().filter(|row| row.without_lock).filter_map(|row| row.id).collect(),
        somebody_is_back: rows.iter().any(|row| row.id.is_some() && !row.without_lock),
        expired: rows.iter().any(|row| row.id.is_none()),
    })
}

/// Notes that these workers are without their lock and all others are not, and tells how long each has been
/// absent.
///
/// An absence goes on when it was seen within [`GAP_MAX`] and since Postgres started: after a restart
/// everybody is without the lock until it has reconnected. A heartbeat since it began ends it. Times in the
/// future, which a clock that was set back leaves behind, say nothing. Skips a worker whose row is locked,
/// since that is its heartbeat or its leaving.
pub(crate) async fn note(conn: &mut PgConnection, without_lock: &[i64]) -> Result<Vec<Absence>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        with noted as materialized (
            select id, id = any($1) as absent,
                   absent_seen_at <= now()
                   and absent_seen_at > greatest(now() - make_interval(secs => $2), pg_postmaster_start_time())
                   and heartbeat_at not between absent_since and now() as goes_on
            from queue.workers
            where stopped_at is null and (id = any($1) or absent_since is not null)
            for no key update skip locked
        )
        update queue.workers w
        set absent_since = case when not n.absent then null when n.goes_on then w.absent_since else now() end,
            absent_seen_at = case when n.absent then now() end
        from noted n
        where w.id = n.id
        returning w.id, extract(epoch from now() - w.absent_since)::float8 as seen_for_s
        "#,
        without_lock,
        GAP_MAX.as_secs_f64(),
    )
    .fetch_all(conn)
    .await?;
    let absences = rows.into_iter().filter_map(|row| {
        Some(Absence { worker_id: row.id, seen_for: Duration::from_secs_f64(row.seen_for_s?) })
    });
    Ok(absences.collect())
}
