use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use crate::source::definition::Step;

/// Where a call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "call_state", rename_all = "snake_case")]
pub enum CallState {
    /// It is still to be made, or made again.
    Pending,
    /// Its answer is stored.
    Done,
    /// It was given up.
    Failed,
}

/// Which calls of a collection to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallFilter {
    /// Only those in this state.
    pub state: Option<CallState>,
    /// Only those of this step.
    pub step: Option<Step>,
    /// Only those with this error code.
    pub code: Option<String>,
}

/// A call of a collection, as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedCall {
    /// Its number.
    pub id: i64,
    /// What it is for.
    pub step: Step,
    /// The parent that it is about; empty: none.
    pub parent: String,
    /// The item that it is about; empty: none.
    pub item: String,
    /// The page's place in its own list, from 1; of an attachment its place among those of the item.
    pub place: i32,
    /// From 2 on: a doubtful page is read again, or a list whose cursor had expired.
    pub reading: i32,
    /// Where it stands.
    pub state: CallState,
    /// The address or cursor that the answer before gave. May hold a secret of the source.
    pub link: Option<String>,
    /// How often it was made.
    pub made: i32,
    /// How often the source refused it because there were too many.
    pub rate_limited: i32,
    /// How many items its answer had.
    pub items: Option<i32>,
    /// What went wrong last.
    pub error_code: Option<String>,
    /// The same, for people.
    pub error: Option<String>,
    /// When its answer was stored.
    pub done_at: Option<DateTime<Utc>>,
}

/// What the calls of a collection are ordered by, which is unique among them.
struct Key {
    step: Step,
    parent: String,
    item: String,
    place: i32,
    reading: i32,
}

impl Key {
    /// Before all others.
    fn first() -> Self {
        Self { step: Step::Parents, parent: String::new(), item: String::new(), place: i32::MIN, reading: 0 }
    }
}

/// The calls of a collection behind the call `after`, at most `limit`, in the order of their steps and, of
/// each step, by parent, item, place and reading. Both ways are those of an index, whatever the size of the
/// collection.
///
/// # Errors
/// The database's.
pub async fn list(
    pool: &PgPool,
    collection_id: Uuid,
    filter: &CallFilter,
    after: Option<i64>,
    limit: i64,
) -> Result<Vec<ListedCall>, sqlx::Error> {
    let behind = match after {
        None => Key::first(),
        Some(id) => match key(pool, collection_id, id).await? {
            Some(key) => key,
            // It was erased, and the place is lost.
            None => return Ok(Vec::new()),
        },
    };
    if filter.code.is_some() || filter.state == Some(CallState::Failed) {
        with_error(pool, collection_id, filter, behind, limit).await
    } else {
        all(pool, collection_id, filter, behind, limit).await
    }
}

async fn key(pool: &PgPool, collection_id: Uuid, id: i64) -> Result<Option<Key>, sqlx::Error> {
    sqlx::query_as!(
        Key,
        r#"
        select step as "step: Step", parent, item, place, reading from calls where collection_id = $1 and id = $2
        "#,
        collection_id,
        id,
    )
    .fetch_optional(pool)
    .await
}

/// By the index `calls_about`, page by page.
async fn all(
    pool: &PgPool,
    collection_id: Uuid,
    filter: &CallFilter,
    behind: Key,
    limit: i64,
) -> Result<Vec<ListedCall>, sqlx::Error> {
    sqlx::query_as!(
        ListedCall,
        r#"
        select id, step as "step: Step", parent, item, place, reading, state as "state: CallState", link, made,
               rate_limited, items, error_code, error, done_at
        from calls
        where collection_id = $1 and (step, parent, item, place, reading) > ($2::call_step, $3, $4, $5, $6)
          and ($7::call_state is null or state = $7) and ($8::call_step is null or step = $8)
        order by step, parent, item, place, reading limit $9
        "#,
        collection_id,
        behind.step as Step,
        behind.parent,
        behind.item,
        behind.place,
        behind.reading,
        filter.state as Option<CallState>,
        filter.step as Option<Step>,
        limit,
    )
    .fetch_all(pool)
    .await
}

/// By the index `calls_with_error`, which holds the few that have one.
async fn with_error(
    pool: &PgPool,
    collection_id: Uuid,
    filter: &CallFilter,
    behind: Key,
    limit: i64,
) -> Result<Vec<ListedCall>, sqlx::Error> {
    sqlx::query_as!(
        ListedCall,
        r#"
        with listed as materialized (
            select * from calls
            where collection_id = $1 and error_code is not null and ($2::text is null or error_code = $2)
        )
        select id as "id!", step as "step!: Step", parent as "parent!", item as "item!", place as "place!",
               reading as "reading!", state as "state!: CallState", link, made as "made!",
               rate_limited as "rate_limited!", items, error_code, error, done_at
        from listed
        where (step, parent, item, place, reading) > ($3::call_step, $4, $5, $6, $7)
          and ($8::call_state is null or state = $8) and ($9::call_step is null or step = $9)
        order by step, parent, item, place, reading limit $10
        "#,
        collection_id,
        filter.code,
        behind.step as Step,
        behind.parent,
        behind.item,
        behind.place,
        behind.reading,
        filter.state as Option<CallState>,
        filter.step as Option<Step>,
        limit,
    )
    .fetch_all(pool)
    .await
}
