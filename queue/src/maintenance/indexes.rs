use std::{collections::HashMap, time::Duration};

use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, raw_sql};

use super::{Pass, Service};

/// How often it looks.
const PASS: Duration = Duration::from_secs(3600);

/// A smaller index is not worth the work: it fits into memory beside anything.
const BYTES_MIN: i64 = 64 * 1024 * 1024;

/// How many times larger than its content an index may be. One that is split at random and emptied now and
/// then settles at two to three times.
const BLOAT_MAX: i64 = 5;

/// How much an index must have grown since it was rebuilt to be worth another time.
const GROWTH_MIN: i64 = 2;

/// The longest that a rebuild may take; with it, it has to wait for the transactions that are open.
const REBUILD_MAX: Duration = Duration::from_secs(900);

/// One worker at a time; the key of the advisory lock is "resi" in ASCII.
const LOCK_KEY: i64 = 0x7265_7369;

/// Rebuilds indexes of the live jobs that have grown far beyond their content: every row there lives for
/// moments, and pages whose entries went one by one are not used again for others. One index a run.
#[derive(Debug)]
pub(crate) struct Indexes {
    /// Tells how to connect.
    pool: PgPool,
    /// What an index took after it was rebuilt.
    rebuilt: HashMap<String, i64>,
}

impl Service for Indexes {
    const NAME: &'static str = "indexes";
    const RUN_MAX: Duration = Duration::from_secs(2000);
    const RETRY: Duration = PASS;

    async fn run(&mut self, conn: &mut PgConnection) -> Result<Pass, sqlx::Error> {
        let leftovers = leftovers(conn).await?;
        let bloated = bloated(conn, BYTES_MIN).await?;
        let bloated = bloated.into_iter().find(|index| self.is_worth_it(index));
        let mut affected = 0;
        if !leftovers.is_empty() || bloated.is_some() {
            // Its own, since a rebuild takes long and the lock must end with it, however it ends.
            let mut own = PgConnection::connect_with(&self.pool.connect_options()).await?;
            affected = self.tidy(&mut own, &leftovers, bloated.map(|index| index.name)).await?;
            own.close().await?;
        }
        Ok(Pass { affected, next: PASS })
    }
}

impl Indexes {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self { pool, rebuilt: HashMap::new() }
    }

    pub(crate) fn is_worth_it(&self, index: &Bloated) -> bool {
        self.rebuilt.get(&index.name).is_none_or(|size_bytes| index.size_bytes > size_bytes * GROWTH_MIN)
    }

    /// Drops leftovers and rebuilds an index, unless another worker is at it; gives how many it dealt with.
    pub(crate) async fn tidy(
        &mut self,
        conn: &mut PgConnection,
        leftovers: &[String],
        bloated: Option<String>,
    ) -> Result<u64, sqlx::Error> {
        let ours = sqlx::query_scalar!(r#"select pg_try_advisory_lock($1) as "ours!""#, LOCK_KEY)
            .fetch_one(&mut *conn)
            .await?;
        if !ours {
            return Ok(0);
        }
        let timeout_ms = REBUILD_MAX.as_millis();
        command(conn, format!("set statement_timeout = {timeout_ms}")).await?;
        for name in leftovers {
            tracing::info!(index = name, "dropping what is left of a rebuild that did not end");
            command(conn, format!("drop index concurrently if exists {name}")).await?;
        }
        let mut dealt_with = leftovers.len() as u64;
        if let Some(name) = bloated {
            tracing::info!(index = name, "rebuilding an index that has grown beyond its content");
            command(conn, format!("reindex index concurrently {name}")).await?;
            let size_bytes =
                sqlx::query_scalar!(r#"select pg_relation_size(to_regclass($1)) as "size_bytes!""#, name);
            self.rebuilt.insert(name.clone(), size_bytes.fetch_one(&mut *conn).await?);
            dealt_with += 1;
        }
        Ok(dealt_with)
    }
}

/// Runs a command that takes no parameters and must be outside a transaction. Names in it come from the
/// catalog, quoted.
async fn command(conn: &mut PgConnection, sql: String) -> Result<(), sqlx::Error> {
    raw_sql(AssertSqlSafe(sql)).execute(conn).await?;
    Ok(())
}

/// Indexes that a rebuild left half-done, because its process was killed or it took too long.
pub(crate) async fn leftovers(conn: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select format('%I.%I', n.nspname, c.relname) as "name!"
        from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
        where i.indrelid = 'queue.live_jobs'::regclass and not i.indisvalid and c.relname ~ '_cc(new|old)[0-9]*$'
        "#
    )
    .fetch_all(conn)
    .await
}

/// An index that is worth a rebuild.
#[derive(Debug)]
pub(crate) struct Bloated {
    pub(crate) name: String,
    pub(crate) size_bytes: i64,
}

/// The indexes of the live jobs that take at least `bytes_min` and many times what an entry for every row of
/// the table would, the largest first. Reads the catalog only.
pub(crate) async fn bloated(conn: &mut PgConnection, bytes_min: i64) -> Result<Vec<Bloated>, sqlx::Error> {
    // An entry: 16 bytes and its columns, in pages that are two thirds full. A column that nobody has
    // measured counts for 32 bytes.
    sqlx::query_as!(
        Bloated,
        r#"
        select name as "name!", size_bytes as "size_bytes!" from (
            select format('%I.%I', n.nspname, c.relname) as name, pg_relation_size(c.oid) as size_bytes,
                   greatest(t.reltuples, pg_stat_get_live_tuples(t.oid), 1) * 1.5 * (16 + (
                       select sum(coalesce(s.avg_width, 32))
                       from pg_attribute ia
                       join pg_attribute a on a.attrelid = t.oid and a.attname = ia.attname
                       left join pg_stats s
                           on s.schemaname = n.nspname and s.tablename = t.relname and s.attname = a.attname
                       where ia.attrelid = c.oid
                   )) as content_bytes
            from pg_index i
            join pg_class c on c.oid = i.indexrelid
            join pg_class t on t.oid = i.indrelid
            join pg_namespace n on n.oid = t.relnamespace
            where t.oid = 'queue.live_jobs'::regclass and i.indisvalid
        ) sized
        where size_bytes >= $1 and size_bytes > content_bytes * $2
        order by size_bytes desc
        "#,
        bytes_min,
        BLOAT_MAX as f64,
    )
    .fetch_all(conn)
    .await
}
