use std::time::{Duration, Instant};

use sqlx::{PgConnection, raw_sql};

use super::{Pass, Service};

/// How often it looks.
const PASS: Duration = Duration::from_secs(5);

/// From so many dead rows on they are removed: some hundred pages at the front of each index, which every
/// claim reads over.
const DEAD_MIN: i64 = 5_000;

/// Of more live jobs a vacuum could take longer than a statement of ours may; that is left to Postgres.
const LIVE_MAX: i64 = 2_000_000;

/// Vacuuming takes at most one part in so many of the time: a queue of millions is read as a whole.
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
        let affected = vacuum(conn, DEAD_MIN).await?;
        Ok(Pass { affected, next: PASS.max(start.elapsed() * SHARE) })
    }
}

/// Removes the dead rows of live jobs, if there are so many, unless somebody is at it; gives how many there
/// were. Keeps nobody waiting: what it locks only other vacuums and changes of the schema want.
pub(crate) async fn vacuum(conn: &mut PgConnection, dead_min: i64) -> Result<u64, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select pg_stat_get_dead_tuples('queue.live_jobs'::regclass) as "dead!",
               pg_stat_get_live_tuples('queue.live_jobs'::regclass) as "live!"
        "#
    );
    let rows = rows.fetch_one(&mut *conn).await?;
    if rows.dead < dead_min || rows.live > LIVE_MAX {
        return Ok(0);
    }
    // Giving pages back to the system would need a lock that keeps everybody out.
    raw_sql("vacuum (skip_locked, truncate false) queue.live_jobs").execute(conn).await?;
    Ok(rows.dead.unsigned_abs())
}
