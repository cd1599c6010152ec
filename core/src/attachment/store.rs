use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

use super::NewAttachment;

/// A file that belongs to a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Its place among those of the document, from 1.
    pub place: i32,
    /// Its name, as the source has it.
    pub name: String,
    /// What it is.
    pub media_type: String,
    /// How many bytes it has.
    pub size: i32,
    /// SHA-256 of its bytes, by which it is [found](find()).
    pub sha256: Vec<u8>,
    /// When it was fetched.
    pub fetched_at: DateTime<Utc>,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// What it is.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Stores a file as an attachment of a document, in place of the one that it had there. A file that is known
/// is not stored again.
///
/// Waits for a concurrent transaction that stores the same file.
///
/// # Errors
/// The database's.
pub(crate) async fn store(
    conn: &mut PgConnection,
    document_id: i64,
    place: i32,
    name: &str,
    file: &NewAttachment,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        insert into attachments (sha256, media_type, size, bytes) values ($1, $2, $3, $4)
        on conflict (sha256) do nothing
        "#,
        &file.sha256,
        file.media_type,
        file.bytes.len() as i32,
        &file.bytes,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        r#"
        insert into document_attachments (document_id, place, name, sha256) values ($1, $2, $3, $4)
        on conflict (document_id, place) do update
        set name = excluded.name, sha256 = excluded.sha256, fetched_at = now()
        "#,
        document_id,
        place,
        name,
        &file.sha256,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Which attachments of these documents are there, by document and place.
///
/// # Errors
/// The database's.
pub(crate) async fn kept(
    conn: &mut PgConnection,
    document_ids: &[i64],
) -> Result<BTreeSet<(i64, i32)>, sqlx::Error> {
    let kept = sqlx::query!(
        "select document_id, place from document_attachments where document_id = any($1)",
        document_ids,
    )
    .fetch_all(conn)
    .await?;
    Ok(kept.into_iter().map(|row| (row.document_id, row.place)).collect())
}

/// Deletes the attachments of documents, and the files that no other document has. Returns how many
/// attachments they had. Locks the files, so that nobody attaches one meanwhile.
///
/// # Errors
/// The database's.
pub(crate) async fn delete_of(conn: &mut PgConnection, documents: &[i64]) -> Result<u64, sqlx::Error> {
    let files = sqlx::query_scalar!(
        "delete from document_attachments where document_id = any($1) returning sha256",
        documents,
    )
    .fetch_all(&mut *conn)
    .await?;
    if files.is_empty() {
        return Ok(0);
    }
    sqlx::query!("select sha256 from attachments where sha256 = any($1) order by sha256 for update", &files)
        .fetch_all(&mut *conn)
        .await?;
    sqlx::query!(
        r#"
        delete from attachments a where a.sha256 = any($1)
          and not exists (select from document_attachments d where d.sha256 = a.sha256)
        "#,
        &files,
    )
    .execute(conn)
    .await?;
    Ok(files.len() as u64)
}

/// The attachments of a document, in their order.
///
/// # Errors
/// The database's.
pub async fn list(pool: &PgPool, document_id: i64) -> Result<Vec<Attachment>, sqlx::Error> {
    sqlx::query_as!(
        Attachment,
        r#"
        select d.place, d.name, a.media_type, a.size, a.sha256, d.fetched_at
        from document_attachments d join attachments a using (sha256)
        where d.document_id = $1 order by d.place
        "#,
        document_id,
    )
    .fetch_all(pool)
    .await
}

/// The file with this SHA-256, if there is one.
///
/// # Errors
/// The database's.
pub async fn find(pool: &PgPool, sha256: &[u8; 32]) -> Result<Option<File>, sqlx::Error> {
    sqlx::query_as!(File, "select media_type, bytes from attachments where sha256 = $1", &sha256[..])
        .fetch_optional(pool)
        .await
}
