use std::time::{Duration, Instant};

use sqlx::{PgConnection, raw_sql};

use super::{Pass, Service};

/// How often it looks.
const PASS: Duration = Duration::from_secs(5);

/// The fewest dead rows that are worth a vacuum. Every claim reads over their entries at the front of the
/// indexes.
const DEAD_MIN: i64 = 5_000;

/// The most live jobs. With more of them a vacuum may take longer than a statement of ours is allowed to, and
/// autovacuum has to do.
const LIVE_MAX: i64 = 2_000_000;

/// At most one part in so many of the time is spent on vacuums: each reads the indexes as a whole.
const SHARE: u32 = 20;

/// Removes dead rows of live jobs while there are many. A job that ran leaves dead entries at the front of
/// the indexes, where claims begin to read; Postgres itself looks once a minute (`autovacuum_naptime`), when a
/// busy queue has tens of thousands. Where the queue belongs to another role, Postgres leaves it alone.
#[derive(Debug)]
pub(crate) struct Vacuum;

impl Service for Vacuum {
    const NAME: &'static str = "vacuum";
    const RUN_MAX: Duration = Duration::from_secs(120);
    const RETRY: Duration = Duration::from_secs(60);

    async fn run(&mut self, conn: &mut PgConnection) -> Result<Pass, sqlx::Error> {
        let start = Instant::now();
        let affected = vacuum(conn).await?;
        Ok(Pass { affected, next: PASS.max(start.elapsed() * SHARE) })
    }
}

/// Vacuums the live jobs if 5,000 rows or more are dead and no other vacuum is running. Returns how many were
/// dead; zero if it leaves them. Its lock conflicts only with other vacuums and changes of the schema.
pub(crate) async fn vacuum(conn: &mut PgConnection) -> Result<u64, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select pg_stat_get_dead_tuples('queue.live_jobs'::regclass) as "dead!",
               pg_stat_get_live_tuples('queue.live_jobs'::regclass) as "live!"
        "#
    );
    let rows = rows.fetch_one(&mut *conn).await?;
    if rows.dead < DEAD_MIN || rows.live > LIVE_MAX {
        return Ok(0);
    }
    // Giving pages back to the system would need a lock that keeps everybody out.
    raw_sql("vacuum (skip_locked, truncate false) queue.live_jobs").execute(conn).await?;
    Ok(rows.dead.unsigned_abs())
}
