use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::stored::{Resume, load};
use crate::{db, document};

/// The resume of this number, if there is one; a hidden one only with `hidden`.
///
/// # Errors
/// The database's.
pub async fn find(pool: &PgPool, id: i64, hidden: bool) -> Result<Option<Resume>, sqlx::Error> {
    let found = load(&mut *pool.acquire().await?, &[id]).await?;
    Ok(found.into_iter().next().filter(|resume| hidden || resume.hidden_at.is_none()))
}

/// Which resumes to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResumeFilter {
    /// Only those of this source, in the order of their external ids; else the newest people first.
    pub source: Option<String>,
    /// Only the one with this external id, of each source or of the one.
    pub external_id: Option<String>,
    /// Only those whose latest document this collection has stored, in the order of their documents.
    pub collection_id: Option<Uuid>,
    /// Hidden people in place of those who are shown.
    pub hidden: bool,
}

/// Where a page of the list ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListPlace {
    /// Behind this resume or, of a collection, this document.
    Id(i64),
    /// Behind this external id.
    ExternalId(String),
}

/// Resumes behind a place, at most `limit`. Each of the orders is that of an index.
///
/// # Errors
/// The database's.
pub async fn list(
    pool: &PgPool,
    filter: &ResumeFilter,
    after: Option<&ListPlace>,
    limit: i64,
) -> Result<Vec<Resume>, sqlx::Error> {
    let (id, external_id) = match after {
        None => (None, ""),
        Some(ListPlace::Id(id)) => (Some(*id), ""),
        Some(ListPlace::ExternalId(id)) => (None, id.as_str()),
    };
    // The ids and the resumes of one moment: whoever is erased in between would cut the page short.
    let mut tx = db::begin(pool).await?;
    sqlx::query!("set transaction isolation level repeatable read, read only").execute(&mut *tx).await?;
    let ids = match (&filter.collection_id, &filter.source) {
        (Some(collection), _) => of_collection(&mut tx, filter, *collection, id.unwrap_or(0), limit).await?,
        (None, Some(source)) => of_source(&mut tx, filter, source, external_id, limit).await?,
        (None, None) => newest(&mut tx, filter, id.unwrap_or(i64::MAX), limit).await?,
    };
    let found = load(&mut tx, &ids).await?;
    tx.commit().await?;
    Ok(found)
}

async fn newest(
    conn: &mut PgConnection,
    filter: &ResumeFilter,
    before: i64,
    limit: i64,
) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select person_id from resumes
        where person_id < $1 and (hidden_at is not null) = $2
          and ($3::text is null or person_id in (
              select k.id from sources s join people k on k.source_id = s.id and k.external_id = $3))
        order by person_id desc limit $4
        "#,
        before,
        filter.hidden,
        filter.external_id,
        limit,
    )
    .fetch_all(conn)
    .await
}

async fn of_source(
    conn: &mut PgConnection,
    filter: &ResumeFilter,
    source: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select r.person_id
        from sources s join people p on p.source_id = s.id join resumes r on r.person_id = p.id
        where s.name = $1 and p.external_id > $2 and ($3::text is null or p.external_id = $3)
          and (r.hidden_at is not null) = $4
        order by p.external_id limit $5
        "#,
        source,
        after,
        filter.external_id,
        filter.hidden,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// Looks through the collection's documents until there are enough: some of their people may be hidden, or
/// have no resume.
async fn of_collection(
    conn: &mut PgConnection,
    filter: &ResumeFilter,
    collection_id: Uuid,
    mut after: i64,
    limit: i64,
) -> Result<Vec<i64>, sqlx::Error> {
    let mut found = Vec::new();
    while (found.len() as i64) < limit {
        let documents = document::latest_in_collection(conn, collection_id, after, limit).await?;
        let Some(&last) = documents.last() else { break };
        after = last;
        found.extend(of_documents(conn, filter, &documents).await?);
    }
    found.truncate(usize::try_from(limit).unwrap_or_default());
    Ok(found)
}

async fn of_documents(
    conn: &mut PgConnection,
    filter: &ResumeFilter,
    documents: &[i64],
) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select r.person_id from raw_documents d join people p on p.id = d.person_id
        join resumes r on r.person_id = p.id join sources s on s.id = p.source_id
        where d.id = any($1) and (r.hidden_at is not null) = $2
          and ($3::text is null or s.name = $3) and ($4::text is null or p.external_id = $4)
        order by d.id
        "#,
        documents,
        filter.hidden,
        filter.source,
        filter.external_id,
    )
    .fetch_all(conn)
    .await
}
