//! SQL over tables that no migration makes, and over the server's own, which no build can check.

use anyhow::Result;
use sqlx::{AssertSqlSafe, PgConnection, Row, raw_sql};

/// Executes statements whose result is of no interest.
///
/// # Errors
/// The database's own.
pub async fn execute(conn: &mut PgConnection, sql: impl Into<String> + Send) -> Result<()> {
    raw_sql(AssertSqlSafe(sql.into())).execute(conn).await?;
    Ok(())
}

/// Reads one number, a `bigint`; null is zero.
///
/// # Errors
/// The database's own, or when the query gives something else.
pub async fn number(conn: &mut PgConnection, sql: impl Into<String> + Send) -> Result<i64> {
    let row = raw_sql(AssertSqlSafe(sql.into())).fetch_one(conn).await?;
    Ok(row.try_get::<Option<i64>, _>(0)?.unwrap_or_default())
}

/// Reads a column of numbers, each a `bigint`.
///
/// # Errors
/// The database's own, or when the query gives something else.
pub async fn numbers(conn: &mut PgConnection, sql: impl Into<String> + Send) -> Result<Vec<i64>> {
    let rows = raw_sql(AssertSqlSafe(sql.into())).fetch_all(conn).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}
