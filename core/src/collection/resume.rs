use resume_queue::EnqueueError;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{CollectionState, finish::begin_run, page::enqueue_fetches};

/// Why a collection was not resumed.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// No collection has this id.
    #[error("there is no collection {0}")]
    Unknown(Uuid),
    /// It is under way, or no page of it failed.
    #[error("the collection is {0:?} and has no failed page")]
    NothingFailed(CollectionState),
    /// Its pages were not enqueued.
    #[error("enqueueing the pages failed")]
    Enqueue(#[from] EnqueueError),
    /// The database refused.
    #[error("resuming the collection failed")]
    Database(#[from] sqlx::Error),
}

/// Goes on with a collection from its checkpoint: the pages that failed are fetched again, those behind them follow as
/// in the first run, and nothing that is stored is fetched again. Gives the number of pages that are tried again.
///
/// In the caller's transaction; locks the collection first.
///
/// # Errors
/// See [`ResumeError`]; roll back on any.
pub async fn resume(conn: &mut PgConnection, id: Uuid) -> Result<usize, ResumeError> {
    let state = sqlx::query_scalar!(
        r#"select state as "state: CollectionState" from collections where id = $1 for update"#,
        id
    )
    .fetch_optional(&mut *conn)
    .await?
    .ok_or(ResumeError::Unknown(id))?;
    if !matches!(state, CollectionState::CompletedWithErrors | CollectionState::Failed) {
        return Err(ResumeError::NothingFailed(state));
    }
    let pages = sqlx::query_scalar!(
        r#"
        update pages set state = 'pending', error_code = null, error = null
        where collection_id = $1 and state = 'failed' returning number
        "#,
        id
    )
    .fetch_all(&mut *conn)
    .await?;
    if pages.is_empty() {
        return Err(ResumeError::NothingFailed(state));
    }
    sqlx::query!(
        r#"
        update collections
        set state = 'running', finished_at = null, pages_open = pages_open + $2, run = run + 1
        where id = $1
        "#,
        id,
        pages.len() as i32,
    )
    .execute(&mut *conn)
    .await?;
    let group = begin_run(conn, id).await?;
    enqueue_fetches(conn, (id, Some(group)), &pages).await?;
    Ok(pages.len())
}
