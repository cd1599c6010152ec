//! What is held of one person's documents, for those who erase or export them.

use resume_queue::EnqueueError;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Batch, enqueue_parsing, find::KnownPerson};
use crate::{
    erasure::FORGOTTEN,
    progress::{self, Counts},
};

/// The person of this number. Locks nothing.
pub(crate) async fn person(conn: &mut PgConnection, id: i64) -> Result<Option<KnownPerson>, sqlx::Error> {
    sqlx::query_as!(
        KnownPerson,
        "select id, source_id, external_id, content_hash, document_id from people where id = $1",
        id,
    )
    .fetch_optional(conn)
    .await
}

/// Locks a person against whoever stores or parses a document of theirs; as they are by then.
pub(crate) async fn lock_person(
    conn: &mut PgConnection,
    id: i64,
) -> Result<Option<KnownPerson>, sqlx::Error> {
    sqlx::query_as!(
        KnownPerson,
        "select id, source_id, external_id, content_hash, document_id from people where id = $1 for update",
        id,
    )
    .fetch_optional(conn)
    .await
}

/// All documents of a person, in order, each with its call: the latest one and those that it has superseded,
/// those that came too late, those whose contents are current, and `also`, what the resume was made of.
pub(crate) async fn of_person(
    conn: &mut PgConnection,
    person: &KnownPerson,
    also: Option<i64>,
) -> Result<Vec<(i64, i64)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        with recursive history as (
            select id from unnest(array[$2::bigint, $3::bigint]) as known (id)
            union
            select document_id from person_contents where person_id = $1
            union
            select next.id from history h cross join lateral (
                select d.supersedes as id from raw_documents d where d.id = h.id and d.supersedes is not null
                union all
                select o.id from raw_documents o where o.overtaken_by = h.id
            ) next
        )
        select d.id, d.call_id from history h join raw_documents d on d.id = h.id
        where d.person_id = $1 order by d.id
        "#,
        person.id,
        person.document_id,
        also,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.call_id)).collect())
}

/// What was wrong with documents, as JSON.
pub(crate) async fn failures_of(
    conn: &mut PgConnection,
    document_id: i64,
) -> Result<Vec<Value>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select jsonb_build_object(
                   'collection_id', collection_id, 'code', code, 'pointer', pointer, 'detail', detail,
                   'failed_at', failed_at) as "failure!"
        from parse_failures where document_id = $1 order by failed_at
        "#,
        document_id,
    )
    .fetch_all(conn)
    .await
}

/// The bytes of a document in Base64.
pub(crate) async fn base64(conn: &mut PgConnection, document_id: i64) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select translate(encode(body, 'base64'), e'\n', '') as "base64!" from raw_documents where id = $1
        "#,
        document_id,
    )
    .fetch_optional(conn)
    .await
}

/// Waits for those who parse these documents at the moment, and lets them wait for us: locks the batches that
/// hold some. Returns the batches.
pub(crate) async fn lock_batches(
    conn: &mut PgConnection,
    documents: &[i64],
) -> Result<Vec<(Uuid, Batch)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select b.collection_id, b.first_id, b.last_id from batches b
        where exists (select from unnest($1::bigint[]) as d (id)
                      where b.first_id between d.id - 999 and d.id and b.last_id >= d.id)
        order by b.collection_id, b.first_id for update
        "#,
        documents,
    )
    .fetch_all(conn)
    .await?;
    let batch = |first_id, last_id| Batch { first_id, last_id };
    Ok(rows.into_iter().map(|row| (row.collection_id, batch(row.first_id, row.last_id))).collect())
}

/// How the counts of collections change when these documents are gone: each is counted where it was stored,
/// and by its state; one that another run has taken up again, there too.
pub(crate) async fn counts_without(
    conn: &mut PgConnection,
    documents: &[i64],
) -> Result<Vec<(Uuid, Counts)>, sqlx::Error> {
    let rows = sqlx::query_file!("src/document/counts_without.sql", documents).fetch_all(conn).await?;
    let changes = rows.into_iter().map(|row| {
        let change = Counts {
            stored: -row.stored,
            retried: -row.retried,
            parsed: -row.parsed,
            failed: -row.failed,
            given_up: -row.given_up,
            ..Counts::default()
        };
        (row.collection_id, change)
    });
    Ok(changes.collect())
}

/// Takes documents out of locked batches. What is left of a batch is one or more batches, which are parsed in
/// the run of their collection.
pub(crate) async fn split_batches(
    conn: &mut PgConnection,
    batches: &[(Uuid, Batch)],
    documents: &[i64],
) -> Result<(), EnqueueError> {
    for &(collection_id, batch) in batches {
        let rest = batch.without(documents);
        let first: Vec<i64> = rest.iter().map(|batch| batch.first_id).collect();
        let last: Vec<i64> = rest.iter().map(|batch| batch.last_id).collect();
        let code = sqlx::query_scalar!(
            "delete from batches where collection_id = $1 and first_id = $2 returning code",
            collection_id,
            batch.first_id,
        )
        .fetch_one(&mut *conn)
        .await?;
        sqlx::query!(
            r#"
            insert into batches (collection_id, first_id, last_id, code, error)
            select $1, first_id, last_id, $4, case when $4::text is not null then $5::text end
            from unnest($2::bigint[], $3::bigint[]) as rest (first_id, last_id)
            "#,
            collection_id,
            &first,
            &last,
            code,
            FORGOTTEN,
        )
        .execute(&mut *conn)
        .await?;
        // The batch had a job, which does the part that begins with the same document.
        let new: Vec<Batch> = rest.into_iter().filter(|part| part.first_id != batch.first_id).collect();
        if code.is_some() || new.is_empty() {
            continue;
        }
        // Where all jobs of the run have ended, its end finds them.
        if let Some(group) = progress::hold_run(conn, collection_id).await? {
            enqueue_parsing(conn, collection_id, Some(group), &new, 1).await?;
        }
    }
    Ok(())
}

/// Deletes documents and what was wrong with them, and their person.
pub(crate) async fn delete_person(
    conn: &mut PgConnection,
    person_id: i64,
    documents: &[i64],
) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from parse_failures where document_id = any($1)", documents)
        .execute(&mut *conn)
        .await?;
    sqlx::query!("delete from person_contents where person_id = $1", person_id).execute(&mut *conn).await?;
    sqlx::query!("delete from raw_documents where id = any($1)", documents).execute(&mut *conn).await?;
    sqlx::query!("delete from people where id = $1", person_id).execute(conn).await?;
    Ok(())
}
