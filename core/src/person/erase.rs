use resume_queue::{EnqueueError, forget_errors};
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::{
    attachment, call, collection, completeness,
    document::{self, KnownPerson},
    erasure::{self, CheckError, FORGOTTEN, Key},
    progress::counts,
    resume, source,
};

/// Who is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom<'a> {
    /// The person with this number, which is that of their resume, if they have one.
    Resume(i64),
    /// The person whom a source knows by this id.
    Person {
        /// The name of the source.
        source: &'a str,
        /// The id that it gave them.
        external_id: &'a str,
    },
}

/// What was deleted of a person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Erased {
    /// Documents, older ones and those that did not parse among them.
    pub documents: usize,
    /// Files that belonged to the documents. One that belongs to somebody else too is kept for them.
    pub attachments: usize,
    /// Calls that were made for them alone, or were about to be.
    pub calls: usize,
}

/// Why nobody was erased.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// Nothing is held about them.
    #[error("nothing is held about this person")]
    Unknown,
    /// People of the source were erased with another key, which this one cannot recognise.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// The jobs of others were not enqueued.
    #[error("enqueueing jobs for the documents of others failed")]
    Enqueue(#[from] EnqueueError),
    /// The database refused.
    #[error("erasing a person failed")]
    Database(#[from] sqlx::Error),
}

impl EraseError {
    /// Whether the same erasure may succeed at once: it and a job waited for each other.
    pub fn is_contention(&self) -> bool {
        const DEADLOCK_DETECTED: &str = "40P01";
        let (Self::Database(error) | Self::Enqueue(EnqueueError::Database(error))) = self else {
            return false;
        };
        error.as_database_error().is_some_and(|error| error.code().as_deref() == Some(DEADLOCK_DETECTED))
    }
}

/// Erases a person: deletes what is held about them, whether or not it was parsed, and remembers a keyed hash
/// of their id, so that the next run does not bring them back. Texts that may tell of them, such as errors of
/// the calls that brought them, are forgotten. The counts of collections are those of what is left.
///
/// All of it in the caller's transaction. Waits for whoever parses or stores a document of theirs at the
/// moment. Locks, in this order, the calls about them, the person, the batches of their documents, and their
/// attachments.
///
/// # Errors
/// See [`EraseError`]; roll back on any. After a [contention](EraseError::is_contention) it can be tried
/// again.
pub async fn erase(conn: &mut PgConnection, key: &Key, whom: Whom<'_>) -> Result<Erased, EraseError> {
    let (source_id, external_id, known) = find(conn, whom).await?;
    let source = source::name(conn, source_id).await?;
    // Fails where people of the source were erased with another key.
    erasure::erased_among(conn, source_id, Some(key), &[] as &[&str]).await?;
    let external_id = external_id.as_deref();
    // First without a lock: calls come before people.
    let brought_by = match &known {
        Some(person) => calls_of(&documents(conn, person).await?),
        None => Vec::new(),
    };
    let calls = call::erase::about(conn, &source, external_id, &brought_by).await?;
    let calls = call::erase::lock(conn, &calls).await?;
    let locked = match known {
        Some(person) => document::erase::lock_person(conn, person.id).await?,
        None => None,
    };
    if locked.is_none() && calls.is_empty() {
        return Err(EraseError::Unknown);
    }
    let mut erased = Erased { calls: calls.len(), ..Erased::default() };
    let mut named: Vec<Value> = calls.iter().map(|id| json!({ "call_id": id })).collect();
    let mut brought_by = Vec::new();
    if let Some(person) = &locked {
        let documents = documents(conn, person).await?;
        brought_by = calls_of(&documents);
        named.extend(brought_by.iter().map(|id| json!({ "call_id": id })));
        delete_person(conn, person, &documents, &mut erased).await?;
        named.extend(parsing_jobs(&documents, collection::largest_batch(conn, &source).await?));
    }
    for (collection_id, change) in call::erase::delete(conn, &calls).await? {
        counts::add(conn, collection_id, change).await?;
    }
    call::erase::forget(conn, &source, external_id, &brought_by).await?;
    if let Some(id) = external_id {
        completeness::forget_doubts(conn, &source, &call::erase::naming(id)).await?;
    }
    forget_errors(conn, &named, FORGOTTEN).await?;
    let content_hash = locked.map(|person| person.content_hash);
    erasure::remember(conn, source_id, key, &erasure::identity(external_id, content_hash)).await?;
    Ok(erased)
}

/// The source of a person and their id there, and what is known of them: of somebody whose details were asked
/// for and never came, nothing.
pub(super) async fn find(
    conn: &mut PgConnection,
    whom: Whom<'_>,
) -> Result<(i32, Option<String>, Option<KnownPerson>), EraseError> {
    match whom {
        Whom::Resume(id) => {
            let person = document::erase::person(conn, id).await?.ok_or(EraseError::Unknown)?;
            Ok((person.source_id, person.external_id.clone(), Some(person)))
        }
        Whom::Person { source, external_id } => {
            let source_id = source::number(conn, source).await?.ok_or(EraseError::Unknown)?;
            let person = document::known(conn, source_id, &[external_id]).await?.pop();
            Ok((source_id, Some(external_id.to_owned()), person))
        }
    }
}

/// All documents of a person, each with its call.
pub(super) async fn documents(
    conn: &mut PgConnection,
    person: &KnownPerson,
) -> Result<Vec<(i64, i64)>, sqlx::Error> {
    let parsed = resume::document_of(conn, person.id).await?;
    document::erase::of_person(conn, person, parsed).await
}

pub(super) fn calls_of(documents: &[(i64, i64)]) -> Vec<i64> {
    let mut calls: Vec<i64> = documents.iter().map(|&(_, call)| call).collect();
    calls.sort_unstable();
    calls.dedup();
    calls
}

/// What the arguments of jobs contain that have parsed documents: a job names its batches by their first
/// documents, and where those began that are parsed is not kept.
fn parsing_jobs(documents: &[(i64, i64)], largest_batch: i64) -> impl Iterator<Item = Value> {
    let first = documents.iter().flat_map(move |&(id, _)| id - largest_batch + 1..=id);
    first.map(|first| json!({ "batches": [first] }))
}

/// Deletes a locked person with all that was made of their documents.
async fn delete_person(
    conn: &mut PgConnection,
    person: &KnownPerson,
    documents: &[(i64, i64)],
    erased: &mut Erased,
) -> Result<(), EraseError> {
    let ids: Vec<i64> = documents.iter().map(|&(id, _)| id).collect();
    let batches = document::erase::lock_batches(conn, &ids).await?;
    for (collection_id, change) in document::erase::counts_without(conn, &ids).await? {
        counts::add(conn, collection_id, change).await?;
    }
    document::erase::split_batches(conn, &batches, &ids).await?;
    erased.documents = ids.len();
    erased.attachments = usize::try_from(attachment::delete_of(conn, &ids).await?).unwrap_or(usize::MAX);
    resume::delete(conn, person.id).await?;
    Ok(document::erase::delete_person(conn, person.id, &ids).await?)
}
