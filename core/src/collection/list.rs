use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::CollectionState;

/// A collection as it stands in a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// Its id.
    pub id: Uuid,
    /// The name of its source.
    pub source: String,
    /// Where it stands.
    pub state: CollectionState,
    /// How many items it was asked for.
    pub count: i32,
    /// When it was triggered.
    pub created_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}

/// Collections, the newest first: up to `limit` of those older than the one with the id `before`, if given.
///
/// # Errors
/// The database's.
pub async fn list(pool: &PgPool, before: Option<Uuid>, limit: i64) -> Result<Vec<Listed>, sqlx::Error> {
    // Ids of version 7 sort by time; the highest one stands for "from the newest".
    sqlx::query_as!(
        Listed,
        r#"
        select id, source, state as "state: CollectionState", count, created_at, finished_at
        from collections where id < $1 order by id desc limit $2
        "#,
        before.unwrap_or(Uuid::max()),
        limit,
    )
    .fetch_all(pool)
    .await
}
