use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::NewDocument;
use crate::erasure;

/// Whether the person of an item is known, and with which content.
#[derive(Debug, Clone)]
pub(super) enum Known {
    /// Nobody has this id.
    Nobody,
    /// With the same content.
    Same(Person),
    /// With another content.
    Changed(Person),
}

/// A person as they are stored.
#[derive(Debug, Clone)]
pub(super) struct Person {
    pub(super) id: i64,
    /// The latest document, or the one with the item's content.
    pub(super) document_id: i64,
    pub(super) content_hash: Uuid,
    /// Whether that document failed to parse, or was given up, in an earlier run.
    pub(super) has_failed: bool,
    /// Whether they are listed with several contents.
    pub(super) has_contents: bool,
    /// When the latest document was collected, and when the source says that it changed.
    pub(super) collected_at: DateTime<Utc>,
    pub(super) updated_at: Option<DateTime<Utc>>,
}

/// Tells who of some items is known, in the order of the items. Locks nothing.
pub(super) async fn find(
    conn: &mut PgConnection,
    source_id: i32,
    collection_id: Uuid,
    items: &[&NewDocument],
) -> Result<Vec<Known>, sqlx::Error> {
    let ids: Vec<Option<&str>> = items.iter().map(|item| item.external_id.as_deref()).collect();
    let hashes: Vec<Uuid> = items.iter().map(|item| item.content_hash).collect();
    let rows = sqlx::query_file!(
        "src/document/find_known.sql",
        source_id,
        &ids as &[Option<&str>],
        &hashes,
        collection_id
    );
    let mut known = vec![Known::Nobody; items.len()];
    for row in rows.fetch_all(conn).await? {
        let person = Person {
            id: row.person_id,
            document_id: row.document_id,
            content_hash: row.content_hash,
            has_failed: row.has_failed,
            has_contents: row.has_contents,
            collected_at: DateTime::UNIX_EPOCH,
            updated_at: None,
        };
        known[row.place as usize - 1] =
            if row.is_same { Known::Same(person) } else { Known::Changed(person) };
    }
    Ok(known)
}

/// Locks the people whose content has changed, in the order of their numbers, and looks again: somebody may
/// have stored the same content since, or erased them.
pub(super) async fn lock_changed(
    conn: &mut PgConnection,
    known: &mut [Known],
    items: &[&NewDocument],
) -> Result<(), sqlx::Error> {
    let changed = |known: &Known| if let Known::Changed(person) = known { Some(person.id) } else { None };
    let ids: Vec<i64> = known.iter().filter_map(changed).collect();
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!("select id from people where id = any($1) order by id for no key update", &ids)
        .fetch_all(&mut *conn)
        .await?;
    // A statement of its own: only one that begins under the lock sees the document of whoever had it before.
    let rows = sqlx::query!(
        r#"
        select p.id, p.document_id, p.content_hash, d.collected_at, d.updated_at
        from people p join raw_documents d on d.id = p.document_id
        where p.id = any($1)
        "#,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    let rows: HashMap<i64, _> = rows.into_iter().map(|row| (row.id, row)).collect();
    for (known, item) in known.iter_mut().zip(items) {
        let Known::Changed(person) = known else { continue };
        *known = match rows.get(&person.id) {
            None => Known::Nobody,
            Some(row) => {
                let person = Person {
                    document_id: row.document_id,
                    content_hash: row.content_hash,
                    has_failed: false,
                    collected_at: row.collected_at,
                    updated_at: row.updated_at,
                    ..person.clone()
                };
                if row.content_hash == item.content_hash {
                    Known::Same(person)
                } else {
                    Known::Changed(person)
                }
            }
        };
    }
    Ok(())
}

/// Tells which of the items whose people are not known are of people who were erased.
pub(super) async fn erased(
    conn: &mut PgConnection,
    source_id: i32,
    key: Option<&erasure::Key>,
    items: &[&NewDocument],
    known: &[Known],
) -> Result<Vec<bool>, erasure::CheckError> {
    let mut is_erased = vec![false; items.len()];
    let new = |at: &usize| matches!(known[*at], Known::Nobody);
    let places: Vec<usize> = (0..items.len()).filter(new).collect();
    if places.is_empty() {
        return Ok(is_erased);
    }
    let identity = |item: &NewDocument| {
        erasure::identity(item.external_id.as_deref(), Some(item.content_hash)).into_owned()
    };
    let identities: Vec<String> = places.iter().map(|&at| identity(items[at])).collect();
    for at in erasure::erased_among(conn, source_id, key, &identities).await? {
        is_erased[places[at]] = true;
    }
    Ok(is_erased)
}
