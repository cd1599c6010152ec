//! Which worker leads, and so does the maintenance for all: one row in `queue.leader`.
//!
//! Every session looks at the row over its presence connection. The leader renews its lease there, so that a
//! process that has lost its presence cannot go on to lead. Two workers may believe to lead for a moment, as
//! when a stopped process goes on; each maintenance service is safe against that by itself.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{PgExecutor, PgPool, postgres::PgListener};

use crate::{backoff::jitter, session::Shared};

/// The channel that tells of a resignation.
pub(crate) const CHANNEL: &str = "queue_leader";

/// How long a leader is good for without a renewal: the time for which a stopped process holds up the
/// maintenance.
const LEASE: Duration = Duration::from_secs(5);

/// How often the leader renews its lease.
const RENEW: Duration = Duration::from_secs(2);

/// How often those who are next in line look. A killed leader's jobs must run again within 5 s; 2.5 s of that
/// pass before it is taken for dead.
const LOOK: Duration = Duration::from_millis(1500);

/// How often the others look, so that a large fleet costs little. With the lease still under 10 s, should the
/// leader and those who are next in line be stopped at once.
const LOOK_BEHIND: Duration = Duration::from_secs(4);

/// When to look again where the seat is vacant and a heartbeat is under way.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// How many are next in line: the oldest workers that do not lead.
const IN_LINE: i64 = 2;

/// The worker that leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leader {
    /// The worker's id in `queue.workers`.
    pub worker_id: i64,
    /// What the process calls itself.
    pub name: String,
    /// Counts the elections since the queue was created.
    pub term: i64,
    /// When it was elected, by the database's clock.
    pub elected_at: DateTime<Utc>,
    /// When its lease ends unless it is renewed.
    pub lease_until: DateTime<Utc>,
}

/// The worker that leads now; `None` while there is none, for some seconds at most as long as any worker
/// lives.
///
/// Reads two rows and locks nothing.
///
/// # Errors
/// The database's own.
pub async fn leader(pool: &PgPool) -> Result<Option<Leader>, sqlx::Error> {
    sqlx::query_as!(
        Leader,
        r#"
        select w.id as worker_id, w.name, l.term, l.elected_at as "elected_at!", l.lease_until as "lease_until!"
        from queue.leader l join queue.workers w on w.id = l.worker_id
        where l.lease_until >= now()
        "#
    )
    .fetch_optional(pool)
    .await
}

/// Renews the leadership of this session, or takes it where it is vacant, or leaves it when the session
/// stops; notes in `shared.term` what came of it. Gives the time until the next look.
///
/// Mostly one statement.
pub(crate) async fn stand(listener: &mut PgListener, shared: &Shared) -> Result<Duration, sqlx::Error> {
    let own_id = shared.worker_id;
    let term = *shared.term.borrow();
    if *shared.stopping.borrow() {
        if term.is_some() {
            resign(&mut *listener, own_id).await?;
            shared.term.send_replace(None);
        }
        return Ok(LOOK_BEHIND);
    }
    if let Some(term) = term {
        if renew(&mut *listener, own_id, term).await? {
            return Ok(RENEW);
        }
        tracing::warn!(term, "another worker leads by now");
        shared.term.send_replace(None);
    }
    let seat = look(&mut *listener, own_id).await?;
    if seat.vacant {
        // Who signs off resigns under this lock, and must not take the seat after that.
        let Ok(signed_off) = shared.signed_off.try_lock() else { return Ok(LOOK_AGAIN) };
        if !*signed_off && let Some(term) = take(&mut *listener, own_id, &seat).await? {
            tracing::info!(worker = shared.settings.name, term, "this worker leads");
            shared.term.send_replace(Some(term));
            return Ok(RENEW);
        }
    }
    let most = if seat.ahead < IN_LINE { LOOK } else { LOOK_BEHIND };
    // So that workers that started together do not look together.
    Ok(most - jitter(most / 10))
}

/// What a candidate sees.
pub(crate) struct Seat {
    term: i64,
    lease_until: Option<DateTime<Utc>>,
    /// Nobody leads: the last one resigned, let its lease run out, or is without its presence lock. Or it was
    /// this worker, before its connection broke.
    vacant: bool,
    /// How many living workers would take over before this one, as far as that matters.
    ahead: i64,
}

pub(crate) async fn look(conn: impl PgExecutor<'_>, own_id: i64) -> Result<Seat, sqlx::Error> {
    sqlx::query_as!(
        Seat,
        r#"
        select l.term, l.lease_until,
               l.worker_id is null or l.worker_id = $1 or l.lease_until < now()
                   or not exists (select from queue.presences p where p.worker_id = l.worker_id) as "vacant!",
               (select count(*) from (
                   select from queue.workers w
                   where w.stopped_at is null and w.id < $1 and w.id is distinct from l.worker_id
                     and exists (select from queue.presences p where p.worker_id = w.id)
                   limit $2
               ) ahead) as "ahead!"
        from queue.leader l
        "#,
        own_id,
        IN_LINE,
    )
    .fetch_one(conn)
    .await
}

/// Takes the seat as it was seen; gives the new term, or `None` when somebody was faster, be it the old
/// leader.
async fn take(conn: impl PgExecutor<'_>, own_id: i64, seen: &Seat) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        update queue.leader
        set worker_id = $1, term = term + 1, elected_at = now(), lease_until = now() + make_interval(secs => $2)
        where term = $3 and lease_until is not distinct from $4
        returning term
        "#,
        own_id,
        LEASE.as_secs_f64(),
        seen.term,
        seen.lease_until,
    )
    .fetch_optional(conn)
    .await
}

/// Extends the lease; false when this term is over.
async fn renew(conn: impl PgExecutor<'_>, own_id: i64, term: i64) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "update queue.leader set lease_until = now() + make_interval(secs => $3) where worker_id = $1 and term = $2",
        own_id,
        term,
        LEASE.as_secs_f64(),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Leaves the seat to whoever is first, if this worker has it, and tells all.
pub(crate) async fn resign(conn: impl PgExecutor<'_>, own_id: i64) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        with resigned as (
            update queue.leader set worker_id = null, lease_until = null where worker_id = $1 returning worker_id
        )
        select pg_notify($2, '') as "notified!" from resigned
        "#,
        own_id,
        CHANNEL,
    )
    .execute(conn)
    .await?;
    Ok(())
}
