use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::NewRawDocument;
use crate::parsing::Format;

/// A stored raw document.
#[derive(Debug, Clone, PartialEq)]
pub struct RawDocument {
    /// Its number; a later one of the same external id has a higher one.
    pub id: i64,
    /// The source it came from.
    pub source: String,
    /// The id that the source gave it, where it has one.
    pub external_id: Option<String>,
    /// The collection that brought it.
    pub collection_id: Uuid,
    /// The page it came with.
    pub page: i32,
    /// Its place on the page, from 1.
    pub position: i32,
    /// When it was stored.
    pub collected_at: DateTime<Utc>,
    /// What shape it has.
    pub format: Format,
    /// SHA-256 of the body.
    pub content_hash: Vec<u8>,
    /// The item verbatim.
    pub body: Vec<u8>,
}

/// Stores the items of one page that are new and gives their ids, in the order of the page. An item whose content is
/// what its external id had last is known and left out; so is one without an id whose content was stored before.
///
/// One statement. Waits for a concurrent transaction that stores the same item.
///
/// # Errors
/// The database's.
pub async fn insert_new(
    conn: &mut PgConnection,
    source: &str,
    format: Format,
    (collection_id, page): (Uuid, i32),
    items: &[NewRawDocument],
) -> Result<Vec<i64>, sqlx::Error> {
    // Every transaction inserts in the order of the hashes, so that two with the same items cannot lock each other out.
    let external_ids: Vec<Option<String>> = items.iter().map(|item| item.external_id.clone()).collect();
    let hashes: Vec<&[u8]> = items.iter().map(|item| item.content_hash.as_slice()).collect();
    let bodies: Vec<&[u8]> = items.iter().map(|item| item.body.as_slice()).collect();
    let mut ids = sqlx::query_scalar!(
        r#"
        with items as materialized (
            -- Drawn here, so that of two versions of a document on one page the later one has the higher id.
            select nextval(pg_get_serial_sequence('raw_documents', 'id')) as id, i.*
            from unnest($5::text[], $6::bytea[], $7::bytea[])
                with ordinality as i (external_id, content_hash, body, position)
        ), latest as (
            select i.id, d.id as latest_id, d.content_hash = i.content_hash as is_same
            from items i cross join lateral (
                select id, content_hash from raw_documents
                where source = $1 and external_id = i.external_id
                order by id desc limit 1
            ) d
        )
        insert into raw_documents
            (id, source, format, collection_id, page, position, supersedes, external_id, content_hash, body)
        select id, $1, $2, $3, $4, position, coalesce(latest_id, 0), external_id, content_hash, body
        from items left join latest using (id)
        where latest.is_same is not true
        order by content_hash
        on conflict on constraint raw_documents_unique do nothing
        returning id
        "#,
        source,
        format as Format,
        collection_id,
        page,
        &external_ids as &[Option<String>],
        &hashes as &[&[u8]],
        &bodies as &[&[u8]],
    )
    .fetch_all(conn)
    .await?;
    ids.sort_unstable();
    Ok(ids)
}

/// The latest raw document of each of these external ids of a source, in the order of the ids; of unknown ones there is none.
///
/// # Errors
/// The database's.
pub(crate) async fn latest_ids(
    conn: &mut PgConnection,
    source: &str,
    external_ids: &[&str],
) -> Result<Vec<(String, i64)>, sqlx::Error> {
    let latest = sqlx::query!(
        r#"
        select wanted.external_id as "external_id!", latest.id
        from unnest($2::text[]) as wanted (external_id) cross join lateral (
            select id from raw_documents d
            where d.source = $1 and d.external_id = wanted.external_id
            order by d.id desc limit 1
        ) latest
        order by 1
        "#,
        source,
        external_ids as &[&str],
    )
    .fetch_all(conn)
    .await?;
    Ok(latest.into_iter().map(|row| (row.external_id, row.id)).collect())
}

/// Loads raw documents by id, in the order of their ids; unknown ids are left out.
///
/// # Errors
/// The database's.
pub async fn load(pool: &PgPool, ids: &[i64]) -> Result<Vec<RawDocument>, sqlx::Error> {
    sqlx::query_as!(
        RawDocument,
        r#"select id, source, external_id, collection_id, page, position, collected_at,
                  format as "format: Format", content_hash, body
           from raw_documents where id = any($1) order by id"#,
        ids
    )
    .fetch_all(pool)
    .await
}

/// The pages and ids of all raw documents that came with these pages of a collection, in the order of the ids.
///
/// # Errors
/// The database's.
pub async fn ids_of_pages(
    conn: &mut PgConnection,
    collection_id: Uuid,
    pages: &[i32],
) -> Result<Vec<(i32, i64)>, sqlx::Error> {
    if pages.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query!(
        "select page, id from raw_documents where collection_id = $1 and page = any($2) order by id",
        collection_id,
        pages,
    );
    Ok(rows.fetch_all(conn).await?.into_iter().map(|row| (row.page, row.id)).collect())
}

/// The raw document of this id, if there is one.
///
/// # Errors
/// The database's.
pub async fn find(pool: &PgPool, id: i64) -> Result<Option<RawDocument>, sqlx::Error> {
    Ok(load(pool, &[id]).await?.pop())
}
