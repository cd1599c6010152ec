//! SQL over tables that other systems own, which no build can check.

use anyhow::Result;
use sqlx::{AssertSqlSafe, PgConnection, Row, raw_sql};

/// Executes statements whose result is of no interest.
pub(crate) async fn execute(conn: &mut PgConnection, sql: impl Into<String> + Send) -> Result<()> {
    raw_sql(AssertSqlSafe(sql.into())).execute(conn).await?;
    Ok(())
}

/// Reads one number, a `bigint`; null is zero.
pub(crate) async fn number(conn: &mut PgConnection, sql: impl Into<String> + Send) -> Result<i64> {
    let row = raw_sql(AssertSqlSafe(sql.into())).fetch_one(conn).await?;
    Ok(row.try_get::<Option<i64>, _>(0)?.unwrap_or_default())
}
