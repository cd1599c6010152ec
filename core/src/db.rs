//! Connecting to the database and bringing its schema up to date.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{
    Connection, PgExecutor,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
};

pub use sqlx::{Error, PgConnection, PgPool};

/// A transaction; it rolls back when it is dropped without a commit.
pub type Transaction = sqlx::Transaction<'static, sqlx::Postgres>;

/// The migrations of the domain, which build on the queue's.
pub static MIGRATOR: Migrator = sqlx::migrate!("../migrations");

/// Returns all that makes the schema, in order.
pub fn migrators() -> [&'static Migrator; 2] {
    [&resume_queue::MIGRATOR, &MIGRATOR]
}

/// How long a caller waits for a free connection. Longer than a restart of Postgres takes.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(15);

/// The longest pause between two statements of a transaction. Ours take milliseconds.
const IDLE_IN_TRANSACTION_MAX: &str = "5s";

/// What a pool of connections is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Answers requests. Plans each execution anew: the best plan of a search depends on how common the skill
    /// is.
    Api,
    /// Runs jobs. Plans each statement once for a connection: they are the same a thousand times a second,
    /// and five trial plans of each, for each connection, cost more than a small collection.
    Worker,
}

impl Role {
    /// Two cores of a database are busy long before this many statements; the rest is for those that wait for
    /// the disk. Each connection plans every statement once: more of them make the first second of a fleet
    /// slow.
    fn max_connections(self) -> u32 {
        match self {
            Self::Api => 10,
            Self::Worker => 12,
        }
    }
}

/// A pool of connections, none of which is opened yet.
///
/// # Errors
/// When `url` is not a Postgres URL.
pub fn pool(url: &str, role: Role) -> Result<PgPool, sqlx::Error> {
    let options: PgConnectOptions = url.parse()?;
    // A process that is stopped, or cut off, in the middle of a transaction must not keep its locks: others
    // wait for them.
    let options = options.options([("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION_MAX)]);
    let options = match role {
        Role::Api => {
            // A request is answered for its caller within 5 s; what runs on for longer serves nobody.
            options
                .application_name("resume-service api")
                .options([("plan_cache_mode", "force_custom_plan"), ("statement_timeout", "6s")])
        }
        Role::Worker => options
            .application_name("resume-service worker")
            .options([("plan_cache_mode", "force_generic_plan")]),
    };
    Ok(PgPoolOptions::new()
        .max_connections(role.max_connections())
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_lazy_with(options))
}

/// Connects once, to find out why that does not work: a pool only says that it took too long.
///
/// # Errors
/// When the server refuses, or cannot be reached.
pub async fn check(url: &str) -> Result<(), sqlx::Error> {
    PgConnection::connect_with(&url.parse()?).await?.close().await
}

/// Begins a transaction on a connection of the pool.
///
/// Safe to drop at any moment. sqlx 0.9's own `begin` is not: dropped between its BEGIN and the answer, as
/// when a handler is stopped or a client hangs up, it gives the connection back to the pool with the
/// transaction open, and what the next one writes there is never committed.
///
/// # Errors
/// When no connection is to be had in time.
pub async fn begin(pool: &PgPool) -> Result<Transaction, sqlx::Error> {
    let pool = pool.clone();
    // The task goes on when nobody waits for it any more, and its transaction is then rolled back in order.
    let begun = tokio::spawn(async move { pool.begin().await }).await;
    begun.unwrap_or(Err(sqlx::Error::WorkerCrashed))
}

/// Runs the migrations that are missing. Several processes may do so at once: one does the work, the others
/// wait.
///
/// # Errors
/// When the database cannot be reached, or its schema is newer than this program.
pub async fn migrate(pool: &PgPool) -> Result<(), MigrateError> {
    for migrator in migrators() {
        migrator.run(pool).await?;
    }
    Ok(())
}

/// The database's time.
///
/// # Errors
/// The database's.
pub async fn now(on: impl PgExecutor<'_>) -> Result<DateTime<Utc>, Error> {
    sqlx::query_scalar!(r#"select clock_timestamp() as "now!""#).fetch_one(on).await
}

/// Asks the database for a sign of life.
///
/// # Errors
/// When no connection is to be had, or the one that there is has broken.
pub async fn ping(pool: &PgPool) -> Result<(), Error> {
    pool.acquire().await?.ping().await
}

/// Whether an error says that the database is away or not ready for now, so that the same request may succeed
/// later.
///
/// The codes: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
pub fn is_unavailable(error: &Error) -> bool {
    match error {
        Error::Io(_) | Error::Tls(_) | Error::PoolTimedOut | Error::PoolClosed | Error::WorkerCrashed => true,
        Error::Database(e) => e.code().is_some_and(|code| {
            // Connection exceptions, too many connections, shutting down or starting up, a primary that
            // became a standby.
            code.starts_with("08")
                || matches!(
                    code.as_ref(),
                    "53300" | "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "25006"
                )
        }),
        _ => false,
    }
}

/// Creates the database that `url` names if the server has none of that name. Several processes may do so at
/// once.
///
/// # Errors
/// When the server cannot be reached or the user may not create databases.
pub async fn create_if_missing(url: &str) -> Result<(), sqlx::Error> {
    let options: PgConnectOptions = url.parse()?;
    let name = options.get_database().unwrap_or("postgres").to_owned();
    let mut conn = PgConnection::connect_with(&options.database("postgres")).await?;
    let exists = sqlx::query_scalar!(
        r#"select exists(select from pg_database where datname = $1) as "exists!""#,
        name
    )
    .fetch_one(&mut conn)
    .await?;
    if !exists {
        let create = format!("create database \"{}\"", name.replace('"', "\"\""));
        match sqlx::raw_sql(sqlx::AssertSqlSafe(create)).execute(&mut conn).await {
            // Another process was faster: 42P04 duplicate_database, or 23505 when both were at it.
            Err(sqlx::Error::Database(e)) if matches!(e.code().as_deref(), Some("42P04" | "23505")) => {}
            result => {
                result?;
            }
        }
    }
    conn.close().await
}
