use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::WaitingDocument;

/// The next people of a source who have an id, behind the person `after`, at most `limit`, in the order of
/// their ids. From the first one where `after` was erased. Those without an id are left out: no parser and no
/// map makes a resume of what has none.
///
/// # Errors
/// The database's.
pub(crate) async fn people_after(
    pool: &PgPool,
    source_id: i32,
    after: Option<i64>,
    limit: i64,
) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select id from people
        where source_id = $1 and external_id > coalesce((select external_id from people where id = $2), '')
        order by external_id limit $3
        "#,
        source_id,
        after,
        limit,
    )
    .fetch_all(pool)
    .await
}

/// Locks the people of documents, in the order of their numbers, and loads the documents. Leaves out those
/// who were erased.
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

/// The next documents of a collection that are their people's latest, behind `after`, in order, at most
/// `limit`.
///
/// # Errors
/// The database's.
pub(crate) async fn latest_in_collection(
    conn: &mut PgConnection,
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
    .fetch_all(conn)
    .await
}
