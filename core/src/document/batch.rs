//! Ranges of documents that wait to be parsed, or were given up.

use std::collections::HashMap;

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// A range of documents that one job parses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// Its first document, by which it is known in its collection.
    pub first_id: i64,
    /// Its last document.
    pub last_id: i64,
}

impl Batch {
    /// Whether a document is one of it.
    pub fn holds(self, document_id: i64) -> bool {
        (self.first_id..=self.last_id).contains(&document_id)
    }

    /// What is left of it without some documents, in order. Pure.
    pub(super) fn without(self, documents: &[i64]) -> Vec<Self> {
        let mut gone: Vec<i64> = documents.iter().copied().filter(|&id| self.holds(id)).collect();
        gone.sort_unstable();
        let mut rest = Vec::new();
        let mut first_id = self.first_id;
        for id in gone.into_iter().chain([self.last_id + 1]) {
            if id > first_id {
                rest.push(Self { first_id, last_id: id - 1 });
            }
            first_id = id + 1;
        }
        rest
    }

    /// How many documents it has.
    pub fn documents(self) -> i64 {
        self.last_id - self.first_id + 1
    }
}

/// A document that waits to be parsed.
#[derive(Debug, Clone, PartialEq)]
pub struct WaitingDocument {
    /// Its number.
    pub id: i64,
    /// Whose it is.
    pub person_id: i64,
    /// The id that the source gave the person, where it can be read.
    pub external_id: Option<String>,
    /// A newer document that was stored before it: this one changes no resume.
    pub overtaken_by: Option<i64>,
    /// The item verbatim.
    pub body: Vec<u8>,
}

/// Divides documents into batches of at most `batch_size`, each with consecutive ids. Pure.
pub(crate) fn ranges_of(ids: &[i64], batch_size: usize) -> Vec<Batch> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    let mut batches: Vec<Batch> = Vec::new();
    for id in ids {
        match batches.last_mut() {
            Some(batch) if batch.last_id + 1 == id && (batch.documents() as usize) < batch_size.max(1) => {
                batch.last_id = id;
            }
            _ => batches.push(Batch { first_id: id, last_id: id }),
        }
    }
    batches
}

/// Lets documents wait to be parsed, for a collection. Of those that wait already, nothing changes.
///
/// # Errors
/// The database's.
pub async fn open_batches(
    conn: &mut PgConnection,
    collection_id: Uuid,
    batches: &[Batch],
) -> Result<(), sqlx::Error> {
    if batches.is_empty() {
        return Ok(());
    }
    let first: Vec<i64> = batches.iter().map(|batch| batch.first_id).collect();
    let last: Vec<i64> = batches.iter().map(|batch| batch.last_id).collect();
    sqlx::query!(
        r#"
        insert into batches (collection_id, first_id, last_id)
        select $1, first_id, last_id from unnest($2::bigint[], $3::bigint[]) as b (first_id, last_id)
        on conflict (collection_id, first_id) do nothing
        "#,
        collection_id,
        &first,
        &last,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Loads those of the batches that are there, waiting or given up, and their documents, in the order of their
/// ids. Locks nothing.
///
/// # Errors
/// The database's.
pub async fn load_waiting(
    pool: &PgPool,
    collection_id: Uuid,
    first_ids: &[i64],
) -> Result<(Vec<i64>, Vec<WaitingDocument>), sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select b.first_id, d.id, d.person_id, p.external_id as "external_id?", d.overtaken_by, d.body
        from unnest($2::bigint[]) as w (first_id)
        join batches b on b.collection_id = $1 and b.first_id = w.first_id
        -- A walk along the index: no planner knows how narrow the range is, and would take a scan of all documents for better.
        cross join lateral (
            select r.id, r.person_id, r.overtaken_by, r.body from raw_documents r
            where r.id between b.first_id and b.last_id order by r.id limit b.last_id - b.first_id + 1
        ) d
        cross join lateral (select external_id from people where id = d.person_id offset 0) p
        order by d.id
        "#,
        collection_id,
        first_ids,
    )
    .fetch_all(pool)
    .await?;
    let mut batches: Vec<i64> = rows.iter().map(|row| row.first_id).collect();
    batches.dedup();
    let documents = rows.into_iter().map(|row| WaitingDocument {
        id: row.id,
        person_id: row.person_id,
        external_id: row.external_id,
        overtaken_by: row.overtaken_by,
        body: row.body,
    });
    Ok((batches, documents.collect()))
}

/// What was taken out of the batches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// The batches, as they were by then: somebody may have erased one of their people since they were
    /// loaded.
    pub batches: Vec<Batch>,
    /// How many of their documents were given up before.
    pub given_up: i64,
}

/// Ends the wait of batches, because their documents are parsed. Locks their rows until the end of the
/// transaction, as whoever erases one of their people does.
///
/// # Errors
/// The database's.
pub async fn take(
    conn: &mut PgConnection,
    collection_id: Uuid,
    first_ids: &[i64],
) -> Result<Taken, sqlx::Error> {
    let taken = sqlx::query!(
        r#"
        delete from batches where collection_id = $1 and first_id = any($2)
        returning first_id, last_id, code is not null as "is_given_up!"
        "#,
        collection_id,
        first_ids,
    )
    .fetch_all(conn)
    .await?;
    let batch = |first_id, last_id| Batch { first_id, last_id };
    let given_up = taken.iter().filter(|row| row.is_given_up);
    let given_up = given_up.map(|row| batch(row.first_id, row.last_id).documents()).sum();
    Ok(Taken { batches: taken.iter().map(|row| batch(row.first_id, row.last_id)).collect(), given_up })
}

/// Gives batches up, or all that wait; returns how many documents had waited. Until somebody continues their
/// collection, or retries their job, nobody parses them. Of a batch that was given up before the later reason
/// counts.
///
/// # Errors
/// The database's.
pub async fn give_up(
    conn: &mut PgConnection,
    collection_id: Uuid,
    first_ids: Option<&[i64]>,
    code: &str,
    error: &str,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        with held as materialized (
            select first_id, code is null as waits from batches
            where collection_id = $1 and (first_id = any($2) or $2::bigint[] is null and code is null)
            order by first_id for update
        ), given_up as (
            update batches b set code = $3, error = $4 from held h
            where b.collection_id = $1 and b.first_id = h.first_id
            returning case when h.waits then b.last_id - b.first_id + 1 else 0 end as documents
        )
        select coalesce(sum(documents), 0)::bigint as "documents!" from given_up
        "#,
        collection_id,
        first_ids as Option<&[i64]>,
        code,
        error.replace('\0', "\u{fffd}"),
    )
    .fetch_one(conn)
    .await
}

/// The batches of a collection that wait to be parsed, at most `limit`, in the order of their documents.
///
/// # Errors
/// The database's.
pub async fn waiting_in(
    conn: &mut PgConnection,
    collection_id: Uuid,
    limit: i64,
) -> Result<Vec<Batch>, sqlx::Error> {
    sqlx::query_as!(
        Batch,
        r#"
        select first_id, last_id from batches where collection_id = $1 and code is null
        order by first_id limit $2
        "#,
        collection_id,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// What is parsed again of a collection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retaken {
    /// The batches, which wait again.
    pub batches: Vec<Batch>,
    /// How many documents had failed.
    pub failed: i64,
    /// How many documents had been given up.
    pub given_up: i64,
}

/// Lets documents of a collection wait to be parsed again: those that were given up and, with `failed`, those
/// that failed, some `limit` of them. Neighbours become one batch of at most `batch_size`.
///
/// Locks the batches and the failures; leaves out what somebody else has locked.
///
/// # Errors
/// The database's.
pub async fn retake(
    conn: &mut PgConnection,
    collection_id: Uuid,
    failed: bool,
    batch_size: usize,
    limit: i64,
) -> Result<Retaken, sqlx::Error> {
    let given_up = sqlx::query_as!(
        Batch,
        r#"
        update batches set code = null, error = null
        where collection_id = $1 and first_id in (
            select first_id from batches where collection_id = $1 and code is not null
            order by first_id limit $2 for update skip locked)
        returning first_id, last_id
        "#,
        collection_id,
        limit,
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut retaken = Retaken {
        given_up: given_up.iter().map(|batch| batch.documents()).sum(),
        batches: given_up,
        failed: 0,
    };
    if failed {
        let ids = sqlx::query_scalar!(
            r#"
            delete from parse_failures where collection_id = $1 and document_id in (
                select document_id from parse_failures where collection_id = $1
                order by document_id limit $2 for update skip locked)
            returning document_id
            "#,
            collection_id,
            limit,
        )
        .fetch_all(&mut *conn)
        .await?;
        let batches = ranges_of(&ids, batch_size);
        open_batches(conn, collection_id, &batches).await?;
        retaken.failed = ids.len() as i64;
        retaken.batches.extend(batches);
    }
    Ok(retaken)
}

/// How many documents of each source wait to be parsed.
///
/// # Errors
/// The database's.
pub async fn backlog_by_source(pool: &PgPool) -> Result<HashMap<String, i64>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select c.source, sum(b.documents)::bigint as "documents!"
        from (
            select collection_id, sum(last_id - first_id + 1) as documents from batches where code is null group by 1
        ) b join collections c on c.id = b.collection_id
        group by c.source
        "#
    );
    Ok(rows.fetch_all(pool).await?.into_iter().map(|row| (row.source, row.documents)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_ranges_of_consecutive_documents() {
        let ranges = |ids: &[i64], size| {
            ranges_of(ids, size).into_iter().map(|b| (b.first_id, b.last_id)).collect::<Vec<_>>()
        };
        assert_eq!(ranges(&[1, 2, 3, 4, 5], 2), [(1, 2), (3, 4), (5, 5)]);
        assert_eq!(ranges(&[3, 1, 1001, 2], 10), [(1, 3), (1001, 1001)]);
        assert_eq!(ranges(&[], 10), []);
        assert_eq!(ranges(&[7, 8], 0), [(7, 7), (8, 8)]);
    }

    #[test]
    fn a_batch_without_some_documents_is_what_lies_between_them() {
        let batch = Batch { first_id: 1, last_id: 9 };
        let rest = |gone: &[i64]| {
            batch.without(gone).into_iter().map(|b| (b.first_id, b.last_id)).collect::<Vec<_>>()
        };
        assert_eq!(rest(&[]), [(1, 9)]);
        assert_eq!(rest(&[1]), [(2, 9)]);
        assert_eq!(rest(&[9, 12]), [(1, 8)]);
        assert_eq!(rest(&[5, 4, 5]), [(1, 3), (6, 9)]);
        assert_eq!(rest(&(1..=9).collect::<Vec<_>>()), []);
    }
}
