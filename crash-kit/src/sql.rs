//! Statements of the kit itself. They are not checked at compile time: most come from a scenario.

use std::pin::Pin;

use sqlx::{AssertSqlSafe, PgConnection, PgPool, Row, raw_sql};

/// What these functions return. Boxed, because the compiler cannot see for itself that the futures of sqlx's
/// generic functions are `Send` for every lifetime (rust-lang/rust#102211), and trials are spawned.
type SqlFuture<T> = Pin<Box<dyn Future<Output = sqlx::Result<T>> + Send>>;

/// Executes statements.
pub(crate) fn execute(pool: &PgPool, sql: impl Into<String>) -> SqlFuture<()> {
    let (pool, sql) = (pool.clone(), sql.into());
    Box::pin(async move { raw_sql(AssertSqlSafe(sql)).execute(&pool).await.map(drop) })
}

/// Reads a column of text.
pub(crate) fn texts(pool: &PgPool, sql: impl Into<String>) -> SqlFuture<Vec<String>> {
    let (pool, sql) = (pool.clone(), sql.into());
    Box::pin(async move {
        let rows = raw_sql(AssertSqlSafe(sql)).fetch_all(&pool).await?;
        rows.iter().map(|row| row.try_get(0)).collect()
    })
}

/// Reads one yes or no.
pub(crate) fn is_true(pool: &PgPool, sql: impl Into<String>) -> SqlFuture<bool> {
    let (pool, sql) = (pool.clone(), sql.into());
    Box::pin(async move { raw_sql(AssertSqlSafe(sql)).fetch_one(&pool).await?.try_get(0) })
}

/// Reads one number.
pub(crate) fn number(pool: &PgPool, sql: impl Into<String>) -> SqlFuture<i64> {
    let (pool, sql) = (pool.clone(), sql.into());
    Box::pin(async move { raw_sql(AssertSqlSafe(sql)).fetch_one(&pool).await?.try_get(0) })
}

/// Executes statements on a connection, in its transaction.
pub(crate) fn execute_in(
    conn: &mut PgConnection,
    sql: String,
) -> Pin<Box<dyn Future<Output = sqlx::Result<()>> + Send + '_>> {
    Box::pin(async move { raw_sql(AssertSqlSafe(sql)).execute(conn).await.map(drop) })
}
