use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::WaitingDocument;

/// How far a walk over the people of a source has come: those with an id by their ids, then those without by their contents.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeoplePlace {
    /// The last external id that was looked at; `None` when all of them were.
    pub external_id: Option<String>,
    /// The last content of somebody without an id.
    pub content_hash: Option<Uuid>,
}

/// The numbers and ids of people.
struct Row {
    id: i64,
    external_id: Option<String>,
    content_hash: Uuid,
}

/// The next people of a source behind a place, at most `limit`, in the order of an index; and the place behind them, `None` when
/// there are no more.
///
/// # Errors
/// The database's.
pub async fn people_after(
    pool: &PgPool,
    source_id: i32,
    after: &PeoplePlace,
    limit: i64,
) -> Result<(Vec<i64>, Option<PeoplePlace>), sqlx::Error> {
    let rows = match &after.content_hash {
        None => with_id(pool, source_id, after.external_id.as_deref().unwrap_or_default(), limit).await?,
        Some(hash) => without_id(pool, source_id, *hash, limit).await?,
    };
    let is_full = rows.len() as i64 == limit;
    let next = match (rows.last(), is_full, after.content_hash) {
        (Some(last), true, None) => {
            Some(PeoplePlace { external_id: last.external_id.clone(), content_hash: None })
        }
        (Some(last), true, Some(_)) => {
            Some(PeoplePlace { external_id: None, content_hash: Some(last.content_hash) })
        }
        // Then those without an id.
        (_, _, None) => Some(PeoplePlace { external_id: None, content_hash: Some(Uuid::nil()) }),
        _ => None,
    };
    Ok((rows.into_iter().map(|row| row.id).collect(), next))
}

async fn with_id(pool: &PgPool, source_id: i32, after: &str, limit: i64) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        r#"
        select id, external_id, content_hash from people
        where source_id = $1 and external_id > $2 order by external_id limit $3
        "#,
        source_id,
        after,
        limit,
    )
    .fetch_all(pool)
    .await
}

async fn without_id(pool: &PgPool, source_id: i32, after: Uuid, limit: i64) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        r#"
        select id, external_id, content_hash from people
        where source_id = $1 and external_id is null and content_hash > $2 order by content_hash limit $3
        "#,
        source_id,
        after,
        limit,
    )
    .fetch_all(pool)
    .await
}

/// Locks the people of documents, in the order of their numbers, and loads the documents. Leaves out those who were erased.
///
/// # Errors
/// The database's.
pub(crate) async fn load_people(
    conn: &mut PgConnection,
    documents: &[i64],
) -> Result<Vec<WaitingDocument>, sqlx::Error> {
    sqlx::query_as!(
        WaitingDocument,
        r#"
        with held as materialized (
            select p.id, p.external_id from people p
            where p.id in (select person_id from raw_documents where id = any($1))
            order by p.id for key share
        )
        select d.id, d.person_id, h.external_id as "external_id?", d.overtaken_by, d.body
        from raw_documents d join held h on h.id = d.person_id
        where d.id = any($1) order by d.id
        "#,
        documents,
    )
    .fetch_all(conn)
    .await
}

/// The next documents of a collection that are their people's latest, behind `after`, in order, at most `limit`.
///
/// # Errors
/// The database's.
pub(crate) async fn latest_in_collection(
    pool: &PgPool,
    collection_id: Uuid,
    after: i64,
    limit: i64,
) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select d.id
        from calls c
        join raw_documents d on d.id between greatest(c.first_document_id, $2::bigint + 1) and c.last_document_id
             and d.call_id = c.id
        join people p on p.id = d.person_id and p.document_id = d.id
        where c.collection_id = $1 and c.last_document_id > $2
        order by d.id limit $3
        "#,
        collection_id,
        after,
        limit,
    )
    .fetch_all(pool)
    .await
}
