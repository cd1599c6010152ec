use resume_queue::{EnqueueError, GroupId};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    begin::begin_run,
    start::{StartError, Started, repeated},
};
use crate::{
    call::{self, StoreCallError},
    document::{self, NewDocument, Origin},
    erasure,
    import::Container,
    progress::{
        Pages,
        counts::{self, Counts},
        note_answer,
    },
    resume,
    source::{self, Source},
};

/// The most items on a page of an import.
pub const IMPORT_PER_PAGE: u32 = 500;

/// Documents parsed by one job of an import.
const BATCH_SIZE: usize = 100;

/// One import of a source at a time; the class of the advisory lock is "resf" in ASCII.
const LOCK_CLASS: i32 = i32::from_be_bytes(*b"resf");

/// A file that is about to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewImport {
    /// The name of the source.
    pub source: String,
    /// What the file is.
    pub container: Container,
    /// SHA-256 of the whole file.
    pub content_hash: [u8; 32],
    /// How many items it has, from 1.
    pub count: u64,
    /// How many items are on each of its pages but the last, or more; 1 to [`IMPORT_PER_PAGE`].
    pub per_page: u32,
    /// How many pages it has.
    pub pages: u32,
    /// A repeated key with the same file stores nothing and gives the collection of the first one.
    pub idempotency_key: Option<String>,
}

/// What [`begin_import`] found.
#[derive(Debug)]
pub enum BegunImport {
    /// Nothing of the file is stored yet.
    New(Box<Import>),
    /// All of it has been stored before, under the same idempotency key.
    Repeated(Uuid),
}

/// A file that is being stored.
#[derive(Debug)]
pub struct Import {
    collection_id: Uuid,
    source: Source,
    group: Option<GroupId>,
    first_document_id: i64,
    pages: i32,
    change: Counts,
}

/// Begins to store a file as a collection that is fetched already: its pages have made no call. All of it in
/// the caller's transaction, which [`Import::store_page`] and [`Import::finish`] go on with: it is there as a
/// whole, or not at all.
///
/// Imports of one source wait for each other, so that two with the same items cannot lock each other out; and
/// for a concurrent transaction with the same idempotency key. From now on a statement of the transaction may
/// take ten minutes.
///
/// # Errors
/// See [`StartError`]; roll back on any.
pub async fn begin_import(conn: &mut PgConnection, new: &NewImport) -> Result<BegunImport, StartError> {
    sqlx::query!("set local statement_timeout = '10min'").execute(&mut *conn).await?;
    sqlx::query!("select pg_advisory_xact_lock($1, hashtext($2))", LOCK_CLASS, new.source)
        .fetch_one(&mut *conn)
        .await?;
    let Some(source) = source::find(conn, &new.source).await? else {
        return Err(StartError::UnknownSource(new.source.clone()));
    };
    let request = json!({
        "source": new.source, "import": new.container.as_str(), "sha256": hex(&new.content_hash), "count": new.count,
    });
    let id = Uuid::now_v7();
    // A file is not all that its source has, so the next run must not ask for changes since then: as if it
    // was cut.
    let inserted = sqlx::query_scalar!(
        r#"
        insert into collections
            (id, source, count, per_page, batch_size, idempotency_key, request, pages_expected, is_cut, begun_at,
             first_document_id, first_call_id)
        values ($1, $2, $3, $4, $5, $6, $7, $8, true, now(), nextval('document_ids'), nextval('calls_id_seq'))
        on conflict on constraint collections_idempotency_key_unique do nothing
        returning first_document_id as "first_document_id!"
        "#,
        id,
        new.source,
        i64::try_from(new.count).unwrap_or(i64::MAX),
        new.per_page.cast_signed(),
        BATCH_SIZE as i32,
        new.idempotency_key,
        request,
        new.pages.cast_signed(),
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(first_document_id) = inserted else {
        let Started { id, .. } = repeated(conn, new.idempotency_key.as_deref(), &request).await?;
        return Ok(BegunImport::Repeated(id));
    };
    let change = Counts::default();
    let import = Import { collection_id: id, source, group: None, first_document_id, pages: 0, change };
    Ok(BegunImport::New(Box::new(import)))
}

impl Import {
    /// The source, as it is during the import.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Hides the resumes of those whom the file flags as deleted, and shows those who are there. To be called
    /// before the first page is stored: resumes are locked before people.
    ///
    /// # Errors
    /// The database's; roll back.
    pub async fn note_seen(
        &self,
        conn: &mut PgConnection,
        deleted: &[&str],
        there: &[&str],
    ) -> Result<(), sqlx::Error> {
        resume::set_hidden(conn, self.source.id, deleted, true).await?;
        resume::set_hidden(conn, self.source.id, there, false).await?;
        Ok(())
    }

    /// Stores the next page: its new items as documents, the page as a call that is done, the jobs that parse
    /// its items. Items of people who were deleted are left out. What had failed before is parsed again.
    ///
    /// Waits for a concurrent transaction that stores the same people. Two that wait for each other, this one
    /// and that of a page that is fetched, are a deadlock that Postgres resolves: one of them fails, and can
    /// be tried again.
    ///
    /// # Errors
    /// See [`StoreCallError`]; roll back.
    pub async fn store_page(
        &mut self,
        conn: &mut PgConnection,
        items: &[NewDocument],
        key: Option<&erasure::Key>,
    ) -> Result<(), StoreCallError> {
        self.pages += 1;
        let kept = call::kept(items);
        let row = sqlx::query!(
            r#"
            insert into calls (collection_id, step, state, place, items, done_at)
            values ($1, 'list', 'done', $2, $3, now()) returning id, now() as "now!"
            "#,
            self.collection_id,
            self.pages,
            items.len() as i32,
        )
        .fetch_one(&mut *conn)
        .await?;
        let origin = Origin {
            source_id: self.source.id,
            collection_id: self.collection_id,
            call_id: row.id,
            first_document_id: self.first_document_id,
            collected_at: row.now,
        };
        let stored = document::store(conn, origin, key, &kept).await?;
        sqlx::query!(
            "update calls set first_document_id = $2, last_document_id = $3 where id = $1",
            row.id,
            stored.ids.iter().min(),
            stored.ids.iter().max(),
        )
        .execute(&mut *conn)
        .await?;
        self.parse(conn, &stored.ids).await?;
        self.parse(conn, &stored.failed_before).await?;
        self.change.opened += 1;
        self.change.done += 1;
        self.change.listed += items.len() as i64;
        self.change.stored += stored.ids.len() as i64;
        self.change.unchanged += (stored.unchanged - stored.failed_before.len()) as i64;
        self.change.retried += stored.failed_before.len() as i64;
        self.change.erased += stored.erased as i64;
        Ok(())
    }

    /// Lets documents wait to be parsed, with their jobs. The first ones make the group of the run, for a
    /// group without jobs would end at once.
    async fn parse(&mut self, conn: &mut PgConnection, ids: &[i64]) -> Result<(), EnqueueError> {
        if ids.is_empty() {
            return Ok(());
        }
        if self.group.is_none() {
            self.group = Some(begin_run(conn, self.collection_id, 1, 0).await?);
        }
        let batches = document::ranges_of(ids, BATCH_SIZE);
        document::open_batches(conn, self.collection_id, &batches).await?;
        document::enqueue_parsing(conn, self.collection_id, self.group, &batches, BATCH_SIZE).await
    }

    /// Ends the storing; returns the collection, which is over at once if there was nothing new in the file.
    ///
    /// # Errors
    /// See [`StoreCallError`]; roll back.
    pub async fn finish(self, conn: &mut PgConnection) -> Result<Uuid, StoreCallError> {
        counts::add(conn, self.collection_id, self.change).await?;
        note_answer(conn, self.collection_id, Pages::Unknown, true).await?;
        if self.group.is_none() {
            let run = crate::jobs::FinishCollection { collection_id: self.collection_id, run: 1, sweeps: 0 };
            super::conclude(conn, &run).await?;
        }
        Ok(self.collection_id)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
