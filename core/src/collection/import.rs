use resume_queue::{EnqueueError, GroupId, NewJob, enqueue_all};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    finish::{Change, begin_run, count_pages},
    page::Run,
    start::{StartError, Started, repeated},
    steps::kept,
};
use crate::{
    import::Container,
    jobs::ParseDocuments,
    raw::{self, NewRawDocument},
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
    /// How many items it has, 1 to [`MAX_COUNT`](super::MAX_COUNT).
    pub count: u32,
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
    pages: i32,
    /// Pages whose documents wait to be parsed, and how many documents those are.
    open: i32,
    documents: i32,
}

/// Begins to store a file as a collection that is fetched already: its pages have made no call. All of it in the caller's
/// transaction, which [`Import::store_page`] and [`Import::finish`] go on with: it is there as a whole, or not at all.
///
/// Imports of one source wait for each other, so that two with the same items cannot lock each other out; and for a
/// concurrent transaction with the same idempotency key. From now on a statement of the transaction may take ten minutes.
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
    // A file is not all that its source has, so the next run must not ask for changes since then: as if it was cut.
    let inserted = sqlx::query_scalar!(
        r#"
        insert into collections
            (id, source, count, per_page, batch_size, error_mode, seed, idempotency_key, request, pages_expected, is_cut)
        values ($1, $2, $3, $4, $5, false, 0, $6, $7, $8, true)
        on conflict on constraint collections_idempotency_key_unique do nothing
        returning id
        "#,
        id,
        new.source,
        new.count.cast_signed(),
        new.per_page.cast_signed(),
        BATCH_SIZE as i32,
        new.idempotency_key,
        request,
        new.pages.cast_signed(),
    )
    .fetch_optional(&mut *conn)
    .await?;
    if inserted.is_none() {
        let Started { id, .. } = repeated(conn, new.idempotency_key.as_deref(), &request).await?;
        return Ok(BegunImport::Repeated(id));
    }
    let import = Import { collection_id: id, source, group: None, pages: 0, open: 0, documents: 0 };
    Ok(BegunImport::New(Box::new(import)))
}

impl Import {
    /// The source, as it is during the import.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Hides the resumes of those whom the file flags as deleted, and shows those who are there. To be called before the first page is
    /// stored: resumes are locked before raw documents. Locks them in the order of their external ids.
    ///
    /// # Errors
    /// The database's; roll back.
    pub async fn note_seen(
        &self,
        conn: &mut PgConnection,
        (deleted, there): (&[&str], &[&str]),
    ) -> Result<(), sqlx::Error> {
        resume::note_seen(conn, &self.source.definition.name, (deleted, there)).await
    }

    /// Stores the next page: its new items as raw documents, the page as fetched, the jobs that parse its items. Items that
    /// were deleted are left out.
    ///
    /// Waits for a concurrent transaction that stores the same item. Two that wait for each other, this one and that of a
    /// page that is fetched, are told apart by Postgres: one of them fails, and can be tried again.
    ///
    /// # Errors
    /// The database's; roll back.
    pub async fn store_page(
        &mut self,
        conn: &mut PgConnection,
        items: &[NewRawDocument],
    ) -> Result<(), EnqueueError> {
        self.pages += 1;
        let definition = &self.source.definition;
        let place = (self.collection_id, self.pages);
        let kept = kept(items);
        let new_ids = raw::insert_new(conn, &definition.name, definition.format, place, &kept).await?;
        let batches = self.enqueue(conn, &new_ids).await?;
        self.open += i32::from(batches > 0);
        self.documents += new_ids.len() as i32;
        sqlx::query!(
            r#"
            insert into pages
                (collection_id, number, state, stored, unchanged, documents_open, batches_open, fetched_at, items)
            values ($1, $2, case when $5 = 0 then 'done' else 'fetched' end::page_state, $3, $4, $3, $5, now(), $6)
            "#,
            self.collection_id,
            self.pages,
            new_ids.len() as i32,
            (kept.len() - new_ids.len()) as i32,
            batches as i32,
            (kept.len() != items.len()).then_some(items.len() as i32),
        )
        .execute(conn)
        .await?;
        Ok(())
    }

    /// Enqueues the parsing of these documents; gives the number of jobs. The first ones make the group of the run, for a
    /// group without jobs would end at once.
    async fn enqueue(&mut self, conn: &mut PgConnection, ids: &[i64]) -> Result<usize, EnqueueError> {
        if ids.is_empty() {
            return Ok(0);
        }
        if self.group.is_none() {
            self.group = Some(begin_run(conn, self.collection_id).await?);
        }
        let run = Run {
            collection_id: self.collection_id,
            group: self.group,
            source: &self.source.definition.name,
        };
        let jobs: Vec<NewJob> = ids
            .chunks(BATCH_SIZE)
            .map(|ids| {
                let job = ParseDocuments {
                    collection_id: self.collection_id,
                    page: self.pages,
                    document_ids: ids.to_vec(),
                    pass: 0,
                };
                Ok(run.in_group(NewJob::new(&job)?).concurrency_key(self.collection_id))
            })
            .collect::<Result<_, EnqueueError>>()?;
        Ok(enqueue_all(conn, &jobs).await?.len())
    }

    /// Ends the storing; gives the collection, which is over if there was nothing new in the file.
    ///
    /// # Errors
    /// The database's; roll back.
    pub async fn finish(self, conn: &mut PgConnection) -> Result<Uuid, sqlx::Error> {
        let change =
            Change { opened: self.open, documents: self.documents, is_fetched: true, ..Change::default() };
        count_pages(conn, self.collection_id, change).await?;
        Ok(self.collection_id)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
