use chrono::{DateTime, TimeDelta, Utc};
use resume_queue::EnqueueError;
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    ahead,
    finish::begin_run,
    page::{Run, open_pages},
};
use crate::source::{self, Source};

/// A collection that is about to start. The caller has checked that the numbers are in range.
#[derive(Debug, Clone, PartialEq)]
pub struct NewCollection {
    /// The name of the source.
    pub source: String,
    /// How many items to ask for, 1 to [`MAX_COUNT`](super::MAX_COUNT).
    pub count: u32,
    /// Items on a page, 1 to [`MAX_PER_PAGE`](super::MAX_PER_PAGE).
    pub per_page: u32,
    /// Documents parsed by one job, 1 to [`MAX_BATCH_SIZE`](super::MAX_BATCH_SIZE).
    pub batch_size: u32,
    /// Whether the mock source shall break some items.
    pub error_mode: bool,
    /// Whether to ask for everything, where the source could tell what has changed since the last complete run.
    pub full: bool,
    /// Which people the mock source makes up; by default nobody seen before.
    pub seed: Option<u32>,
    /// A repeated key with the same parameters starts nothing and gives the collection that the first one started.
    pub idempotency_key: Option<String>,
}

/// What [`start`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Started {
    /// The collection.
    pub id: Uuid,
    /// Whether it had been started before, under the same idempotency key.
    pub repeated: bool,
}

/// Why a collection was not started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No source has this name.
    #[error("there is no source named {0:?}")]
    UnknownSource(String),
    /// The idempotency key was used before, with other parameters.
    #[error("the idempotency key was used before with other parameters, for collection {0}")]
    KeyReused(Uuid),
    /// Its first jobs were not enqueued.
    #[error("enqueueing the first pages failed")]
    Enqueue(#[from] EnqueueError),
    /// The database refused.
    #[error("starting the collection failed")]
    Database(#[from] sqlx::Error),
}

/// Starts a collection: its row, its first pages and their jobs, all in the caller's transaction.
///
/// Waits for a concurrent transaction that uses the same idempotency key.
///
/// # Errors
/// See [`StartError`]; roll back on any.
pub async fn start(conn: &mut PgConnection, new: &NewCollection) -> Result<Started, StartError> {
    let Some(source) = source::find(conn, &new.source).await? else {
        return Err(StartError::UnknownSource(new.source.clone()));
    };
    let id = Uuid::now_v7();
    // The random half of the id makes the people fresh; 31 bits are plenty and fit every JSON reader's integers.
    let seed = new.seed.unwrap_or((id.as_u128() & 0x7fff_ffff) as u32);
    let list = &source.definition.list;
    let per_page = new.per_page.min(list.per_page_max);
    let pages_max = new.count.div_ceil(per_page.max(1)).cast_signed();
    let is_told_count = list.is_told_count();
    let mut request = json!({
        "source": new.source, "count": new.count, "per_page": new.per_page, "batch_size": new.batch_size,
        "error_mode": new.error_mode, "seed": new.seed,
    });
    if new.full {
        // Only then, so that a request from before there was a choice is still known as the same.
        request["full"] = true.into();
    }
    let inserted = sqlx::query_scalar!(
        r#"
        insert into collections
            (id, source, count, per_page, batch_size, error_mode, seed, idempotency_key, request, pages_expected, since)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        on conflict on constraint collections_idempotency_key_unique do nothing
        returning id
        "#,
        id,
        new.source,
        new.count.cast_signed(),
        per_page.cast_signed(),
        new.batch_size.cast_signed(),
        new.error_mode,
        i64::from(seed),
        new.idempotency_key,
        request,
        is_told_count.then_some(pages_max),
        since(&source, new.full),
    )
    .fetch_optional(&mut *conn)
    .await?;
    if inserted.is_none() {
        return repeated(conn, new, &request).await;
    }
    let first = ahead::first(list.paging.is_numbered(), is_told_count, pages_max);
    let group = begin_run(conn, id).await?;
    let run = Run { collection_id: id, group: Some(group), source: &source.definition.name };
    open_pages(conn, run, (1..=first).map(|number| (number, None))).await?;
    Ok(Started { id, repeated: false })
}

/// From when on changes are asked for: some time before the last complete run began, since clocks differ. `None` for everything.
fn since(source: &Source, full: bool) -> Option<DateTime<Utc>> {
    let overlap = TimeDelta::from_std(source.definition.list.since.as_ref()?.overlap.0).ok()?;
    source.synced_until.filter(|_| !full)?.checked_sub_signed(overlap)
}

async fn repeated(
    conn: &mut PgConnection,
    new: &NewCollection,
    request: &serde_json::Value,
) -> Result<Started, StartError> {
    let earlier =
        sqlx::query!("select id, request from collections where idempotency_key = $1", new.idempotency_key)
            .fetch_one(conn)
            .await?;
    if earlier.request != *request {
        return Err(StartError::KeyReused(earlier.id));
    }
    Ok(Started { id: earlier.id, repeated: true })
}
