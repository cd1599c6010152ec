//! The calls and doubts of a collection that has been over for long are deleted. A summary of them stays.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::{Connection, PgConnection, types::Json};
use uuid::Uuid;

use crate::{
    call, completeness,
    progress::{self, ERRORS_MAX, ErrorCount},
};

/// How many calls one statement deletes: some tens of milliseconds.
const CALLS_AT_ONCE: i64 = 5_000;

/// The summary of calls and doubts that were deleted. It has codes and numbers, and no word of a
/// source or a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// Whether the collection had all that its source listed, but for attachments that are not kept by rule.
    pub(crate) has_everything: bool,
    /// The codes of calls and doubts; the most frequent first.
    errors: Vec<Kind>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kind {
    code: String,
    count: i64,
}

impl Summary {
    /// As the status lists errors.
    pub(super) fn errors(&self) -> Vec<ErrorCount> {
        let listed = |kind: &Kind| ErrorCount {
            code: kind.code.clone(),
            count: kind.count,
            sample: "its calls were deleted after their time".to_owned(),
        };
        self.errors.iter().map(listed).collect()
    }
}

/// Deletes the calls and doubts of all collections that ended more than `keep` ago, which keep their counts,
/// their state and the codes of their errors. Returns how many calls it deleted.
///
/// A collection keeps its calls as long as documents of it were given up, because no worker has parsed them:
/// somebody may have them parsed yet, and they are found by their calls.
///
/// In transactions of its own, each some tens of milliseconds. One that was cut off is taken up again, and
/// two at once do no harm.
///
/// # Errors
/// The database's.
pub async fn delete_calls(conn: &mut PgConnection, keep: Duration) -> Result<u64, sqlx::Error> {
    let mut deleted = 0;
    for id in due(conn, keep).await? {
        if !summarize(conn, id, keep).await? {
            continue;
        }
        loop {
            let now = call::delete_some(conn, id, CALLS_AT_ONCE).await?;
            deleted += now;
            if now == 0 {
                break;
            }
        }
        // Another leader that is at it may have some of them locked: the next pass finds those.
        sqlx::query!(
            r#"
            update collections set calls_deleted_at = now()
            where id = $1 and not exists (select from calls where collection_id = $1)
            "#,
            id,
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(deleted)
}

/// By the index `collections_with_calls`, which holds those that are over and have calls.
async fn due(conn: &mut PgConnection, keep: Duration) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select c.id from collections c
        where c.finished_at < now() - make_interval(secs => $1) and c.calls_deleted_at is null
          and not exists (select from batches b where b.collection_id = c.id)
        order by c.finished_at
        "#,
        keep.as_secs_f64(),
    )
    .fetch_all(conn)
    .await
}

/// Puts a summary in place of a collection's doubts. Returns false, and changes nothing, for one that goes on
/// again.
async fn summarize(conn: &mut PgConnection, id: Uuid, keep: Duration) -> Result<bool, sqlx::Error> {
    let mut tx = conn.begin().await?;
    let held = sqlx::query!(
        r#"
        select summary is not null as "is_summarized!", is_cut or state = 'cancelled' as "is_partial!"
        from collections c
        where id = $1 and finished_at < now() - make_interval(secs => $2)
          and not exists (select from batches b where b.collection_id = c.id)
        for update
        "#,
        id,
        keep.as_secs_f64(),
    );
    let Some(held) = held.fetch_optional(&mut *tx).await? else { return Ok(false) };
    // A deletion that was cut off.
    if held.is_summarized {
        return Ok(true);
    }
    let mut errors = call::error_counts(&mut tx, id, false, ERRORS_MAX).await?;
    errors.extend(completeness::doubts(&mut tx, id).await?);
    let harmless = progress::harmless();
    let summary = Summary {
        has_everything: !held.is_partial
            && errors.iter().all(|error| harmless.contains(&error.code.as_str())),
        errors: errors.into_iter().map(|error| Kind { code: error.code, count: error.count }).collect(),
    };
    sqlx::query!("update collections set summary = $2 where id = $1", id, Json(summary) as _)
        .execute(&mut *tx)
        .await?;
    completeness::delete_doubts(&mut tx, id).await?;
    tx.commit().await?;
    Ok(true)
}
