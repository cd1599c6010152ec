use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// What has become of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum DocumentState {
    /// Nobody has parsed it yet.
    Waiting,
    /// It became a resume, or part of the history of one.
    Parsed,
    /// It did not parse.
    Failed,
    /// Nobody parses it, because its job was ended or crashed too often.
    GivenUp,
}

impl DocumentState {
    /// As SQL and the API write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Parsed => "parsed",
            Self::Failed => "failed",
            Self::GivenUp => "given_up",
        }
    }
}

/// A stored document, without its body.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Its number; a later one of the same person has a higher one.
    pub id: i64,
    /// The source it came from.
    pub source: String,
    /// The id that the source gave the person, where it can be read.
    pub external_id: Option<String>,
    /// The number of the person, and of their resume, if there is one.
    pub resume_id: i64,
    /// The collection that brought it; `None` when its call was erased.
    pub collection_id: Option<Uuid>,
    /// The place of its page in its list, from 1.
    pub page: Option<i32>,
    /// Its place on the page, from 1.
    pub position: i32,
    /// When it was collected.
    pub collected_at: DateTime<Utc>,
    /// When the source says that the person was changed last.
    pub updated_at: Option<DateTime<Utc>>,
    /// What has become of it.
    pub state: DocumentState,
    /// Whether the person has no later one.
    pub is_latest: bool,
    /// Why it failed or was given up, in a list.
    pub code: Option<String>,
    /// Where in it, as a JSON pointer.
    pub pointer: Option<String>,
    /// What was found, for people.
    pub detail: Option<String>,
}

/// The document of this number, if there is one.
///
/// # Errors
/// The database's.
pub async fn find(pool: &PgPool, id: i64) -> Result<Option<Document>, sqlx::Error> {
    sqlx::query_as!(
        Document,
        r#"
        select id as "id!", source as "source!", external_id, resume_id as "resume_id!",
               collection_id as "collection_id?", page as "page?", position as "position!",
               collected_at as "collected_at!", updated_at, state as "state!: DocumentState",
               is_latest as "is_latest!", null::text as code, null::text as pointer, null::text as detail
        from documents where id = $1
        "#,
        id,
    )
    .fetch_optional(pool)
    .await
}

/// The bytes of a document, as they came.
///
/// # Errors
/// The database's.
pub async fn body(pool: &PgPool, id: i64) -> Result<Option<Vec<u8>>, sqlx::Error> {
    sqlx::query_scalar!("select body from raw_documents where id = $1", id).fetch_optional(pool).await
}

/// A person as they are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownPerson {
    pub(crate) id: i64,
    pub(crate) source_id: i32,
    pub(crate) external_id: Option<String>,
    pub(crate) content_hash: Uuid,
    /// Their latest document.
    pub(crate) document_id: i64,
}

/// The people whom a source knows by these ids. Locks nothing.
///
/// # Errors
/// The database's.
pub(crate) async fn known(
    conn: &mut PgConnection,
    source_id: i32,
    external_ids: &[&str],
) -> Result<Vec<KnownPerson>, sqlx::Error> {
    sqlx::query_as!(
        KnownPerson,
        r#"
        select id, source_id, external_id, content_hash, document_id from people
        where source_id = $1 and external_id = any($2)
        "#,
        source_id,
        external_ids as &[&str],
    )
    .fetch_all(conn)
    .await
}

/// A document, and those of the same person that are current: the latest, and what the list shows beside it.
/// In the order of their numbers.
///
/// # Errors
/// The database's.
pub(crate) async fn current_beside(
    conn: &mut PgConnection,
    document_id: i64,
) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select id as "id!" from (
            select id from raw_documents where id = $1
            union select p.document_id from raw_documents d join people p on p.id = d.person_id where d.id = $1
            union select c.document_id from raw_documents d join person_contents c using (person_id) where d.id = $1
        ) as all_of_them order by id
        "#,
        document_id,
    )
    .fetch_all(conn)
    .await
}

/// The external ids of those of these people who have one.
///
/// # Errors
/// The database's.
pub(crate) async fn external_ids(
    conn: &mut PgConnection,
    people: &[i64],
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select external_id as "external_id!" from people where id = any($1) and external_id is not null"#,
        people,
    )
    .fetch_all(conn)
    .await
}

/// The collections that brought documents: those of their calls or, where these were deleted, the latest of
/// the source that had begun before. Locks nothing.
///
/// # Errors
/// The database's.
pub(crate) async fn collections_of(
    conn: &mut PgConnection,
    documents: &[i64],
) -> Result<HashMap<i64, Uuid>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select d.id, o.collection_id as "collection_id!"
        from raw_documents d
        join people p on p.id = d.person_id
        join sources s on s.id = p.source_id
        cross join lateral (
            select coalesce(
                (select collection_id from calls where id = d.call_id),
                (select k.id from collections k where k.source = s.name and k.first_document_id <= d.id
                 order by k.id desc limit 1)) as collection_id
        ) o
        where d.id = any($1) and o.collection_id is not null
        "#,
        documents,
    );
    Ok(rows.fetch_all(conn).await?.into_iter().map(|row| (row.id, row.collection_id)).collect())
}
