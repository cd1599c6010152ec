use sqlx::PgConnection;
use uuid::Uuid;

use super::findings::Findings;
use crate::{erasure::FORGOTTEN, progress::ErrorCount};

/// Keeps what is doubtful about a collection, in place of what was doubtful before.
///
/// # Errors
/// The database's.
pub(super) async fn replace(
    conn: &mut PgConnection,
    collection_id: Uuid,
    doubts: &[ErrorCount],
) -> Result<(), sqlx::Error> {
    delete(conn, collection_id).await?;
    for doubt in doubts {
        add(conn, collection_id, doubt).await?;
    }
    Ok(())
}

/// Deletes all doubts about a collection.
///
/// # Errors
/// The database's.
pub(crate) async fn delete(conn: &mut PgConnection, collection_id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from doubts where collection_id = $1", collection_id).execute(conn).await?;
    Ok(())
}

/// Deletes the doubt of this code about a collection, if there is one.
///
/// # Errors
/// The database's.
pub(crate) async fn remove(
    conn: &mut PgConnection,
    collection_id: Uuid,
    code: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from doubts where collection_id = $1 and code = $2", collection_id, code)
        .execute(conn)
        .await?;
    Ok(())
}

/// Adds a doubt about a collection, or renews it.
///
/// # Errors
/// The database's.
pub(crate) async fn add(
    conn: &mut PgConnection,
    collection_id: Uuid,
    doubt: &ErrorCount,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        insert into doubts (collection_id, code, count, sample) values ($1, $2, $3, $4)
        on conflict (collection_id, code) do update set count = excluded.count, sample = excluded.sample
        "#,
        collection_id,
        doubt.code,
        doubt.count,
        doubt.sample,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What is doubtful about a collection that is over; the most first.
///
/// # Errors
/// The database's.
pub(crate) async fn list(
    conn: &mut PgConnection,
    collection_id: Uuid,
) -> Result<Vec<ErrorCount>, sqlx::Error> {
    sqlx::query_as!(
        ErrorCount,
        "select code, count, sample from doubts where collection_id = $1 order by count desc, code",
        collection_id,
    )
    .fetch_all(conn)
    .await
}

/// Forgets the samples of doubts about a source's collections that match a regular expression.
///
/// # Errors
/// The database's.
pub(crate) async fn forget(conn: &mut PgConnection, source: &str, naming: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        update doubts set sample = $3
        where sample ~ $2 and collection_id in (select id from collections where source = $1)
        "#,
        source,
        naming,
        FORGOTTEN,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The doubts that findings come to.
pub(super) fn of(found: &Findings) -> Vec<ErrorCount> {
    let missing = found.missing();
    let mut doubts = Vec::new();
    let mut add = |code: &str, count: i64, sample: String| {
        doubts.push(ErrorCount { code: code.to_owned(), count, sample });
    };
    if missing > 0 {
        let (announced, seen) = (found.announced.unwrap_or_default(), found.seen);
        let sample = format!("{announced} items were announced and {seen} different ones seen");
        add("items_missing", missing, sample);
    }
    if let Some([page, next]) = found.shifted.first() {
        let sample = format!("the list moved while it was read, first between page {page} and page {next}");
        add("items_shifted", found.shifted.len() as i64, sample);
    }
    // Where all that was announced has been seen, a page that is short just is.
    let is_accounted_for = found.announced.is_some() && missing == 0;
    if let Some(page) = found.short.first().filter(|_| !is_accounted_for) {
        let sample = format!(
            "page {page}: fewer items than asked for, and pages behind it have some: items may be missing"
        );
        add("page_short", found.short.len() as i64, sample);
    }
    doubts
}
