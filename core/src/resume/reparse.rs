use std::collections::BTreeMap;

use resume_queue::{EnqueueError, Enqueued, JobId, enqueue_all};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{
    settle::{Outcome, withdraw},
    store,
};
use crate::{
    db,
    document::{self, NewParseFailure, WaitingDocument},
    jobs::ReparseSource,
    parsing::PARSER_VERSION,
    progress::{
        self,
        counts::{self, Counts},
    },
};

/// What Postgres answers when a statement takes longer than it may:
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
const QUERY_CANCELED: &str = "57014";

/// How many people are looked at in one step. Their documents are in memory together, 4 MiB each at most.
const PEOPLE_AT_ONCE: i64 = 200;

/// How many resumes and failures of a source were made by an older parser, or with an older version of its
/// map than this one. A failure of somebody without an id is none of them: no parser makes a resume of it.
/// Reads all resumes of the source, some 0.3 s to a second for a million: `None` where that takes more than
/// two seconds.
///
/// # Errors
/// The database's.
pub async fn count_outdated(
    pool: &PgPool,
    source_id: i32,
    map_version: i32,
) -> Result<Option<i64>, sqlx::Error> {
    let mut tx = db::begin(pool).await?;
    sqlx::query!("set local statement_timeout = '2s'").execute(&mut *tx).await?;
    let counted = sqlx::query_scalar!(
        r#"
        select (select count(*) from people p join resumes r on r.person_id = p.id
                where p.source_id = $1 and (r.parser_version, r.map_version) < ($2, $3)
                  -- A resume stays when its document fails under the new map: the failure counts for both.
                  and not exists (select from parse_failures f where f.document_id = r.document_id))
             + (select count(distinct f.document_id) from people p join parse_failures f on f.document_id = p.document_id
                where p.source_id = $1 and p.external_id is not null
                  and (f.parser_version, f.map_version) < ($2, $3)) as "count!"
        "#,
        source_id,
        PARSER_VERSION,
        map_version,
    )
    .fetch_one(&mut *tx)
    .await;
    match counted {
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(QUERY_CANCELED) => Ok(None),
        counted => counted.map(Some),
    }
}

/// Enqueues a [`ReparseSource`] job, in the caller's transaction; returns its id. A source that has one keeps
/// that.
///
/// # Errors
/// See [`EnqueueError`].
pub async fn reparse(conn: &mut PgConnection, source: &str, map_version: i32) -> Result<JobId, EnqueueError> {
    let job = ReparseSource { source: source.to_owned(), map_version, after_person: None };
    let job = job.new_job()?;
    // A holder that has ended meanwhile is no holder any more, so the next try is another one.
    for _ in 0..3 {
        match enqueue_all(conn, std::slice::from_ref(&job)).await?.first() {
            Some(&Enqueued::Inserted(id)) => return Ok(id),
            Some(Enqueued::Duplicate(Some(existing))) => return Ok(existing.id),
            _ => {}
        }
    }
    Err(sqlx::Error::RowNotFound.into())
}

/// One step of a reparse.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The documents to parse again.
    pub documents: Vec<WaitingDocument>,
    /// The person behind whom to go on; `None`: that was all.
    pub next: Option<i64>,
}

/// Loads the documents of the next people of a source whose resume, or whose failure, an older parser made,
/// or an older version of the map. A resume is made anew of the document that it was made of; a failure of
/// the latest document.
///
/// In the caller's transaction, which stores what they come to; locks the people against erasure.
///
/// # Errors
/// The database's.
pub async fn reparse_next(
    conn: &mut PgConnection,
    pool: &PgPool,
    source_id: i32,
    map_version: i32,
    after: Option<i64>,
) -> Result<Step, sqlx::Error> {
    let people = document::people_after(pool, source_id, after, PEOPLE_AT_ONCE).await?;
    let next = people.last().copied().filter(|_| people.len() as i64 == PEOPLE_AT_ONCE);
    let documents = sqlx::query_scalar!(
        r#"
        select document_id as "id!" from resumes r
        where r.person_id = any($1) and (r.parser_version, r.map_version) < ($2, $3)
          -- A resume stays when its document fails under the new map; the failure is up to date then.
          and not exists (select from parse_failures f where f.document_id = r.document_id
                          and (f.parser_version, f.map_version) >= ($2, $3))
        union
        select f.document_id from people p join parse_failures f on f.document_id = p.document_id
        where p.id = any($1) and (f.parser_version, f.map_version) < ($2, $3)
        "#,
        &people,
        PARSER_VERSION,
        map_version,
    )
    .fetch_all(&mut *conn)
    .await?;
    Ok(Step { documents: document::load_people(conn, &documents).await?, next })
}

/// Stores the result of parsing documents again, and counts it in the collections that brought them: what had
/// failed and is a resume now is parsed there, and the other way round. What fails now and was a resume keeps
/// that resume.
///
/// In the caller's transaction; locks the resumes in the order of their people, then collections that are
/// over, in the order of their ids.
///
/// # Errors
/// The database's; roll back.
pub async fn store_reparsed(
    conn: &mut PgConnection,
    source_id: i32,
    map_version: i32,
    outcome: &Outcome,
) -> Result<(), sqlx::Error> {
    store::store(conn, source_id, None, map_version, &outcome.parsed).await?;
    withdraw(conn, None, &outcome.parsed).await?;
    let ids: Vec<i64> = outcome.failed.iter().map(|failure| failure.document_id).collect();
    let brought_by = document::collections_of(conn, &ids).await?;
    let mut failed: BTreeMap<Uuid, Vec<NewParseFailure>> = BTreeMap::new();
    for failure in &outcome.failed {
        let Some(&collection) = brought_by.get(&failure.document_id) else { continue };
        failed.entry(collection).or_default().push(failure.clone());
    }
    for (collection_id, failures) in failed {
        let new = document::store_failures(conn, collection_id, map_version, &failures).await?;
        counts::add(conn, collection_id, Counts { failed: new, parsed: -new, ..Counts::default() }).await?;
        progress::conclude_again(conn, collection_id).await?;
    }
    Ok(())
}
