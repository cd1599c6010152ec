//! Raw documents that a later one of the same person has taken the place of. Deleted after their time, where
//! a time is set.

use std::{collections::HashMap, time::Duration};

use sqlx::{Connection, PgConnection};

use crate::attachment;

/// How many documents one transaction looks at: some tens of milliseconds.
const AT_ONCE: i64 = 5_000;

/// Deletes raw documents that were superseded more than `keep` ago, with their attachments and failures.
/// Returns how many. What is kept: the latest document of each person, the one that their resume was made of,
/// all contents that their source lists at present, and what a batch or a call still leads to.
///
/// In transactions of its own, each some tens of milliseconds; locks the people of those documents, and their
/// failures. Two at once do no harm.
///
/// # Errors
/// The database's.
pub async fn delete_superseded(conn: &mut PgConnection, keep: Duration) -> Result<u64, sqlx::Error> {
    let (mut deleted, mut after) = (0, 0);
    while let Some(look) = superseded_after(conn, after, keep).await? {
        deleted += delete(conn, &look.due).await?;
        after = look.last;
    }
    after = 0;
    while let Some(look) = overtaken_after(conn, after, keep).await? {
        deleted += delete(conn, &look.due).await?;
        after = look.last;
    }
    Ok(deleted)
}

/// A look at some documents.
struct Look {
    /// Those whose time is over.
    due: Vec<i64>,
    /// Behind what the next look begins.
    last: i64,
}

impl Look {
    /// Of documents, each with its place and whether it is due; `None` of none.
    fn of(seen: impl Iterator<Item = (i64, i64, bool)>) -> Option<Self> {
        let (mut due, mut last) = (Vec::new(), None);
        for (id, place, is_due) in seen {
            due.extend(is_due.then_some(id));
            last = Some(place);
        }
        last.map(|last| Self { due, last })
    }
}

/// Looks at the superseded documents behind `after`, in the order of the index `raw_documents_supersedes`;
/// `None` when there are no more.
async fn superseded_after(
    conn: &mut PgConnection,
    after: i64,
    keep: Duration,
) -> Result<Option<Look>, sqlx::Error> {
    let seen = sqlx::query!(
        r#"
        select supersedes as "id!", collected_at < now() - make_interval(secs => $2) as "is_due!"
        from raw_documents where supersedes > $1 order by supersedes limit $3
        "#,
        after,
        keep.as_secs_f64(),
        AT_ONCE,
    )
    .fetch_all(conn)
    .await?;
    Ok(Look::of(seen.into_iter().map(|row| (row.id, row.id, row.is_due))))
}

/// Looks at the documents that came after a newer one was stored, by the number of that one, which is behind
/// `after`, in the order of the index `raw_documents_overtaken`; `None` when there are no more.
async fn overtaken_after(
    conn: &mut PgConnection,
    after: i64,
    keep: Duration,
) -> Result<Option<Look>, sqlx::Error> {
    let seen = sqlx::query!(
        r#"
        select id, overtaken_by as "by!", collected_at < now() - make_interval(secs => $2) as "is_due!"
        from raw_documents where overtaken_by > $1 order by overtaken_by fetch first $3 rows with ties
        "#,
        after,
        keep.as_secs_f64(),
        AT_ONCE,
    )
    .fetch_all(conn)
    .await?;
    Ok(Look::of(seen.into_iter().map(|row| (row.id, row.by, row.is_due))))
}

/// Deletes those of these documents that nothing leads to; returns how many. Documents that superseded them
/// then supersede what is left behind them. A transaction of its own.
async fn delete(conn: &mut PgConnection, due: &[i64]) -> Result<u64, sqlx::Error> {
    if due.is_empty() {
        return Ok(0);
    }
    let mut tx = conn.begin().await?;
    // Whoever stores, parses or erases waits for us from here on, or we for them.
    sqlx::query!(
        r#"
        select id from people
        where id in (select person_id from raw_documents where id = any($1)) order by id for update
        "#,
        due,
    )
    .fetch_all(&mut *tx)
    .await?;
    // Who takes failed documents up again locks their failures.
    sqlx::query!(
        r#"
        select document_id from parse_failures
        where document_id = any($1) order by document_id, collection_id for update
        "#,
        due,
    )
    .fetch_all(&mut *tx)
    .await?;
    let deleted = sqlx::query_file!("src/document/delete_superseded.sql", due).fetch_all(&mut *tx).await?;
    let ids: Vec<i64> = deleted.iter().map(|row| row.id).collect();
    let behind: HashMap<i64, Option<i64>> = deleted.into_iter().map(|row| (row.id, row.supersedes)).collect();
    sqlx::query!("delete from parse_failures where document_id = any($1)", &ids).execute(&mut *tx).await?;
    attachment::delete_of(&mut tx, &ids).await?;
    let (gone, next): (Vec<i64>, Vec<Option<i64>>) =
        ids.iter().map(|&id| (id, kept_behind(id, &behind))).unzip();
    sqlx::query!(
        r#"
        update raw_documents d set supersedes = gone.next
        from unnest($1::bigint[], $2::bigint[]) as gone (id, next) where d.supersedes = gone.id
        "#,
        &gone,
        &next as &[Option<i64>],
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(ids.len() as u64)
}

/// The next document behind `id` that was not deleted. `deleted`: what each deleted one had superseded.
fn kept_behind(id: i64, deleted: &HashMap<i64, Option<i64>>) -> Option<i64> {
    let mut next = Some(id);
    while let Some(behind) = next.and_then(|id| deleted.get(&id)) {
        next = *behind;
    }
    next
}
