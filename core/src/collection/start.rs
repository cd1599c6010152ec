use resume_queue::EnqueueError;
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    UnderWay,
    begin::{begin, begin_next, kept_by},
};
use crate::{
    call,
    jobs::NewCollection,
    source::{
        self, Source,
        definition::{MAX_PER_PAGE, OverlappingRuns},
    },
};

/// What [`start`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Started {
    /// The collection.
    pub id: Uuid,
    /// Whether it had been started before, under the same idempotency key.
    pub repeated: bool,
    /// How many items it asks for; `None`: everything.
    pub count: Option<i64>,
    /// Items on a page.
    pub per_page: i32,
}

/// Why a collection was not started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No source has this name.
    #[error("there is no source named {0:?}")]
    UnknownSource(String),
    /// The source has no API, only files: its items are imported.
    #[error("the source {0:?} makes no calls: import a file")]
    OfFiles(String),
    /// The idempotency key was used before, with other parameters.
    #[error("the idempotency key was used before with other parameters, for collection {0}")]
    KeyReused(Uuid),
    /// The source wants no other collection beside this one, which is not over.
    #[error("the source wants one collection at a time, and {} is {:?}", .0.id, .0.state)]
    UnderWay(UnderWay),
    /// Its first jobs were not enqueued.
    #[error("enqueueing the first pages failed")]
    Enqueue(#[from] EnqueueError),
    /// The database refused.
    #[error("starting the collection failed")]
    Database(#[from] sqlx::Error),
}

/// Starts a collection: its row, its first pages and their jobs, all in the caller's transaction. Of a source
/// that wants one collection after the other it begins when those before it are over, and has no page until
/// then.
///
/// Waits for a concurrent transaction that uses the same idempotency key; for a source that does not allow
/// several collections at once, for one that starts or ends one of it.
///
/// # Errors
/// See [`StartError`]; roll back on any.
pub async fn start(conn: &mut PgConnection, new: &NewCollection) -> Result<Started, StartError> {
    let Some(source) = source::find(conn, &new.source).await? else {
        return Err(StartError::UnknownSource(new.source.clone()));
    };
    if source.definition.is_of_files() {
        return Err(StartError::OfFiles(new.source.clone()));
    }
    let source = match source.definition.overlapping_runs {
        OverlappingRuns::Allow => source,
        // Under the lock it may be another one, or have brought more.
        _ => source::hold(conn, &new.source).await?,
    };
    let request = request_of(new);
    let Some(started) = insert(conn, new, &source, &request).await? else {
        return repeated(conn, new.idempotency_key.as_deref(), &request).await;
    };
    let id = started.id;
    match source.definition.overlapping_runs {
        OverlappingRuns::Allow => begin(conn, id, &source).await?,
        OverlappingRuns::Refuse => match kept_by(conn, &new.source, id, true).await? {
            Some(other) => return Err(StartError::UnderWay(other)),
            None => begin(conn, id, &source).await?,
        },
        OverlappingRuns::Queue => begin_next(conn, &new.source).await?,
    }
    Ok(started)
}

/// As [`start`], unless a collection with the same parameters waits for its turn already: that one is given
/// then, and nothing started. What is started by the clock does not pile up so.
///
/// # Errors
/// See [`StartError`]; roll back on any.
pub async fn start_unless_waiting(
    conn: &mut PgConnection,
    new: &NewCollection,
) -> Result<Started, StartError> {
    let source = source::find(conn, &new.source).await?;
    if source.is_some_and(|source| source.definition.overlapping_runs == OverlappingRuns::Queue) {
        source::hold(conn, &new.source).await?;
        let waiting = sqlx::query!(
            r#"
            select id, count, per_page from collections
            where source = $1 and request = $2 and begun_at is null and finished_at is null
            order by id limit 1
            "#,
            new.source,
            request_of(new),
        )
        .fetch_optional(&mut *conn)
        .await?;
        if let Some(row) = waiting {
            return Ok(Started { id: row.id, repeated: true, count: row.count, per_page: row.per_page });
        }
    }
    start(conn, new).await
}

/// The parameters, to tell a repeated request from a different one.
fn request_of(new: &NewCollection) -> Value {
    json!({
        "source": new.source, "count": new.count, "per_page": new.per_page, "batch_size": new.batch_size,
        "error_mode": new.error_mode, "full": new.full, "seed": new.seed,
    })
}

/// Stores a collection that has not begun; returns `None` when its idempotency key was used before.
async fn insert(
    conn: &mut PgConnection,
    new: &NewCollection,
    source: &Source,
    request: &Value,
) -> Result<Option<Started>, sqlx::Error> {
    let id = Uuid::now_v7();
    let defaults = source.definition.defaults.unwrap_or_default();
    let list = &source.definition.list;
    let asked = new.per_page.or(defaults.per_page).unwrap_or(list.per_page_max);
    let per_page = asked.min(list.per_page_max).clamp(1, MAX_PER_PAGE);
    let count = new.count.or(defaults.count).map(|count| i64::try_from(count).unwrap_or(i64::MAX));
    let pages = call::pages_of(count, per_page);
    let inserted = sqlx::query_scalar!(
        r#"
        insert into collections
            (id, source, count, per_page, batch_size, idempotency_key, request, pages_expected)
        values ($1, $2, $3, $4, $5, $6, $7, $8)
        on conflict on constraint collections_idempotency_key_unique do nothing
        returning id
        "#,
        id,
        new.source,
        count,
        per_page.cast_signed(),
        new.batch_size.cast_signed(),
        new.idempotency_key,
        request,
        (count.is_some() && list.takes_count()).then_some(pages),
    )
    .fetch_optional(conn)
    .await?;
    Ok(inserted.map(|id| Started { id, repeated: false, count, per_page: per_page.cast_signed() }))
}

/// The collection that was started under this key, if by the same request.
pub(super) async fn repeated(
    conn: &mut PgConnection,
    idempotency_key: Option<&str>,
    request: &Value,
) -> Result<Started, StartError> {
    let earlier = sqlx::query!(
        "select id, request, count, per_page from collections where idempotency_key = $1",
        idempotency_key
    )
    .fetch_one(conn)
    .await?;
    if earlier.request != *request {
        return Err(StartError::KeyReused(earlier.id));
    }
    Ok(Started { id: earlier.id, repeated: true, count: earlier.count, per_page: earlier.per_page })
}
