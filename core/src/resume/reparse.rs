use std::collections::{BTreeMap, HashMap};

use resume_queue::{EnqueueError, Enqueued, JobId, enqueue_all};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{NewParseFailure, NewResume, UNPARSED, store_failures, store_parsed};
use crate::{db, jobs::ReparseSource, parsing::PARSER_VERSION};

/// What Postgres answers when a statement takes longer than it may: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
const QUERY_CANCELED: &str = "57014";

/// How far the parsing anew of a source has come: resumes first, then failures, each by id.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReparsePlace {
    /// The last resume that was looked at.
    pub resume_id: i64,
    /// The raw document of the last failure that was looked at.
    pub failed_document_id: i64,
}

/// Raw documents to parse again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outdated {
    /// The raw documents.
    pub document_ids: Vec<i64>,
    /// Where to go on; `None`: that was all.
    pub next: Option<ReparsePlace>,
}

/// How what became of a page's documents has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recount {
    /// The collection.
    pub collection_id: Uuid,
    /// The page of it.
    pub page: i32,
    /// How many more of its documents are resumes, and how many fewer have failed.
    pub parsed: i32,
}

/// How many resumes and failures of a source were made by an older parser, or with an older version of its map than this one.
/// Reads all resumes of the source, some 0.3 s to a second for a million: `None` where that takes more than two seconds.
///
/// # Errors
/// The database's.
pub async fn count_outdated(
    pool: &PgPool,
    (source, map_version): (&str, i32),
) -> Result<Option<i64>, sqlx::Error> {
    let mut tx = db::begin(pool).await?;
    sqlx::query!("set local statement_timeout = '2s'").execute(&mut *tx).await?;
    let counted = sqlx::query_scalar!(
        r#"
        select (select count(*) from resumes r
                where source = $1 and (parser_version, map_version) < ($2, $3)
                  and not exists (select from parse_failures f where f.raw_document_id = r.raw_document_id))
             + (select count(*) from parse_failures
                where source = $1 and (parser_version, map_version) < ($2, $3) and code <> all($4)) as "count!"
        "#,
        source,
        PARSER_VERSION,
        map_version,
        &UNPARSED as &[&str],
    )
    .fetch_one(&mut *tx)
    .await;
    match counted {
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(QUERY_CANCELED) => Ok(None),
        counted => counted.map(Some),
    }
}

/// Enqueues a [`ReparseSource`] job, in the caller's transaction; gives its id. A source that has one keeps that.
///
/// # Errors
/// See [`EnqueueError`].
pub async fn reparse(
    conn: &mut PgConnection,
    (source, map_version): (&str, i32),
) -> Result<JobId, EnqueueError> {
    let after = ReparsePlace::default();
    let job = ReparseSource { source: source.to_owned(), map_version, after }.new_job()?;
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

/// The next documents of a source to parse again behind a place, at most `limit`: those whose resume or failure was made by an
/// older parser, or with an older version of the map than this one. A resume stands on one raw document, so the versions of a
/// document that were replaced before are not among them.
///
/// # Errors
/// The database's.
pub async fn outdated_after(
    pool: &PgPool,
    (source, map_version): (&str, i32),
    after: ReparsePlace,
    limit: i64,
) -> Result<Outdated, sqlx::Error> {
    let resumes = sqlx::query!(
        r#"
        select id, raw_document_id from resumes r
        where source = $1 and id > $2 and (parser_version, map_version) < ($3, $4)
          and not exists (select from parse_failures f where f.raw_document_id = r.raw_document_id)
        order by id limit $5
        "#,
        source,
        after.resume_id,
        PARSER_VERSION,
        map_version,
        limit,
    )
    .fetch_all(pool)
    .await?;
    let mut next = after;
    // Behind the last one there is none, and nobody need look again.
    let are_more = resumes.len() as i64 == limit;
    next.resume_id = resumes.last().filter(|_| are_more).map_or(i64::MAX, |resume| resume.id);
    let mut document_ids: Vec<i64> = resumes.into_iter().map(|resume| resume.raw_document_id).collect();
    let failed = sqlx::query_scalar!(
        r#"
        select raw_document_id from parse_failures
        where source = $1 and raw_document_id > $2 and (parser_version, map_version) < ($3, $4)
          and code <> all($6)
        order by raw_document_id limit $5
        "#,
        source,
        after.failed_document_id,
        PARSER_VERSION,
        map_version,
        limit - document_ids.len() as i64,
        &UNPARSED as &[&str],
    )
    .fetch_all(pool)
    .await?;
    next.failed_document_id = failed.last().copied().unwrap_or(after.failed_document_id);
    document_ids.extend(failed);
    let is_all = (document_ids.len() as i64) < limit;
    Ok(Outdated { document_ids, next: (!is_all).then_some(next) })
}

/// Stores what parsing again made of documents; `places` has the collection and page that brought each. What fails now and was
/// a resume keeps that resume. Gives what has changed on their pages, for
/// [`count_reparsed`](crate::collection::count_reparsed).
///
/// In the caller's transaction; locks the resumes in the order of their external ids.
///
/// # Errors
/// The database's; roll back.
pub async fn store_reparsed(
    conn: &mut PgConnection,
    of: (&str, i32),
    places: &HashMap<i64, (Uuid, i32)>,
    (parsed, failed): (Vec<NewResume>, Vec<NewParseFailure>),
) -> Result<Vec<Recount>, sqlx::Error> {
    let parsed_ids: Vec<i64> = parsed.iter().map(|resume| resume.raw_document_id).collect();
    store_parsed(conn, of, parsed).await?;
    let withdrawn = sqlx::query!(
        "delete from parse_failures where raw_document_id = any($1) returning collection_id, page",
        &parsed_ids,
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut changed: BTreeMap<(Uuid, i32), i32> = BTreeMap::new();
    for row in withdrawn {
        *changed.entry((row.collection_id, row.page)).or_default() += 1;
    }
    let failed_ids: Vec<i64> = failed.iter().map(|failure| failure.raw_document_id).collect();
    let known = sqlx::query_scalar!(
        "select raw_document_id from parse_failures where raw_document_id = any($1)",
        &failed_ids,
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut by_place: BTreeMap<(Uuid, i32), Vec<NewParseFailure>> = BTreeMap::new();
    for failure in failed {
        let Some(&place) = places.get(&failure.raw_document_id) else { continue };
        if !known.contains(&failure.raw_document_id) {
            *changed.entry(place).or_default() -= 1;
        }
        by_place.entry(place).or_default().push(failure);
    }
    for (place, failures) in by_place {
        store_failures(conn, of, place, &failures).await?;
    }
    let recount = |((collection_id, page), parsed)| Recount { collection_id, page, parsed };
    Ok(changed.into_iter().filter(|(_, parsed)| *parsed != 0).map(recount).collect())
}
