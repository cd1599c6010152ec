use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use crate::progress::CollectionState;

/// A collection as it stands in a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// Its id.
    pub id: Uuid,
    /// The name of its source.
    pub source: String,
    /// Where it stands.
    pub state: CollectionState,
    /// How many items it was asked for; `None`: everything.
    pub count: Option<i64>,
    /// When it was triggered.
    pub created_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}

/// Which collections to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListFilter {
    /// Only those of this source.
    pub source: Option<String>,
    /// Only those in one of these states.
    pub states: Option<Vec<CollectionState>>,
}

/// Collections, the newest first: up to `limit` of those older than the one with the id `before`, if given.
///
/// # Errors
/// The database's.
pub async fn list(
    pool: &PgPool,
    filter: &ListFilter,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Listed>, sqlx::Error> {
    // Ids of version 7 sort by time; the highest one stands for "from the newest".
    sqlx::query_as!(
        Listed,
        r#"
        select id, source, state as "state: CollectionState", count, created_at, finished_at
        from collections
        where id < $1 and ($2::text is null or source = $2) and ($3::collection_state[] is null or state = any($3))
        order by id desc limit $4
        "#,
        before.unwrap_or(Uuid::max()),
        filter.source,
        filter.states.as_deref() as Option<&[CollectionState]>,
        limit,
    )
    .fetch_all(pool)
    .await
}

/// Returns whether the calls of a collection were deleted after their time; `None` when there is no
/// collection of this id.
///
/// # Errors
/// The database's.
pub async fn calls_deleted(pool: &PgPool, id: Uuid) -> Result<Option<bool>, sqlx::Error> {
    sqlx::query_scalar!(r#"select summary is not null as "deleted!" from collections where id = $1"#, id)
        .fetch_optional(pool)
        .await
}
