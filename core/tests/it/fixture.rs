//! A database with a source of each kind, and short ways to do what a worker does.

use std::{future::Future, time::Duration};

use resume_core::{
    collection::{
        self, BatchResult, CollectionState, FetchedPage, FoundPage, NewCollection, PageToFetch, Progress,
        StoredPage,
    },
    db::{PgPool, migrators},
    jobs::{FetchPage, ParseDocuments},
    parsing::{self, Format},
    raw::{self, NewRawDocument},
    resume::{self, NewResume},
    source::{self, definition::Definition},
};
use resume_postgres::testing::TestDatabase;
use resume_queue::{Discarded, JobId};
use uuid::Uuid;

/// How long anything may take; many times what it does take, for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const NUMBERED: &str = "numbered";
pub(crate) const NEXT_LINK: &str = "next-link";

/// A database with the sources [`NUMBERED`] and [`NEXT_LINK`].
pub(crate) struct Fixture {
    pub(crate) database: TestDatabase,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::on(TestDatabase::new(&migrators()).await.unwrap()).await
    }

    /// The same on this database.
    pub(crate) async fn on(database: TestDatabase) -> Self {
        let mut conn = database.pool().acquire().await.unwrap();
        let original = |name| Definition::original(name, "http://ats.example", "/people", 30);
        for definition in [original(NUMBERED), original(NEXT_LINK).along_links()] {
            source::put(&mut conn, &definition).await.unwrap();
        }
        drop(conn);
        Self { database }
    }

    pub(crate) fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    /// Starts a collection and commits.
    pub(crate) async fn start(&self, new: &NewCollection) -> Uuid {
        let mut tx = self.pool().begin().await.unwrap();
        let started = collection::start(&mut tx, new).await.unwrap();
        tx.commit().await.unwrap();
        started.id
    }

    /// What the job of a page would fetch; the page must be pending.
    pub(crate) async fn page(&self, id: Uuid, page: i32) -> PageToFetch {
        self.pending(id, page).await.unwrap_or_else(|| panic!("page {page} is not pending"))
    }

    /// What the job of a page would fetch, if anything.
    pub(crate) async fn pending(&self, collection_id: Uuid, page: i32) -> Option<PageToFetch> {
        let mut conn = self.pool().acquire().await.unwrap();
        let job_id = self.last_fetch_job(collection_id, page).await;
        match collection::find_page(&mut conn, &FetchPage { collection_id, page }, job_id).await.unwrap() {
            FoundPage::Pending(page) => Some(*page),
            _ => None,
        }
    }

    /// The newest job of a page; 0 if it has none.
    pub(crate) async fn last_fetch_job(&self, collection_id: Uuid, page: i32) -> JobId {
        let args = serde_json::to_value(FetchPage { collection_id, page }).unwrap();
        sqlx::query_scalar!(
            r#"select coalesce(max(id), 0) as "id!" from jobs where kind = 'fetch_page' and args = $1"#,
            args
        )
        .fetch_one(self.pool())
        .await
        .unwrap()
    }

    /// Stores a page and commits.
    pub(crate) async fn store(&self, page: &PageToFetch, fetched: &FetchedPage) -> Option<StoredPage> {
        let mut tx = self.pool().begin().await.unwrap();
        let stored = collection::store_page(&mut tx, page, fetched).await.unwrap();
        tx.commit().await.unwrap();
        stored
    }

    /// Fetches and stores a page with these items and no next link.
    pub(crate) async fn store_items(&self, id: Uuid, page: i32, items: Vec<NewRawDocument>) -> StoredPage {
        let page = self.page(id, page).await;
        self.store(&page, &FetchedPage { items, ..FetchedPage::default() }).await.unwrap()
    }

    /// Settles a batch and commits.
    pub(crate) async fn settle(&self, id: Uuid, page: i32, parsed: usize, failed: usize) {
        let mut tx = self.pool().begin().await.unwrap();
        collection::settle_batch(&mut tx, &some_batch(id, page), BatchResult { parsed, failed })
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    /// Parses all documents that wait, as items of the original shape whose people know SQL, and commits.
    pub(crate) async fn parse_all(&self, id: Uuid) {
        for job in self.parse_jobs(id).await {
            let documents = raw::load(self.pool(), &job.document_ids).await.unwrap();
            let source = documents[0].source.clone();
            let read = documents.iter().map(|document| {
                parsed(document.id, &item(document.external_id.as_deref().unwrap(), &["SQL"]))
            });
            let mut conn = self.pool().acquire().await.unwrap();
            resume::store_parsed(&mut conn, (&source, 0), read.collect()).await.unwrap();
            self.settle(id, job.page, job.document_ids.len(), 0).await;
        }
    }

    /// Gives a page up, its job discarded with this error, and commits.
    pub(crate) async fn give_up(&self, collection_id: Uuid, page: i32, error: &str) {
        let discarded = discarded(self.last_fetch_job(collection_id, page).await, error);
        let mut tx = self.pool().begin().await.unwrap();
        collection::give_up_page(&mut tx, &FetchPage { collection_id, page }, &discarded).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub(crate) async fn progress(&self, id: Uuid) -> Progress {
        collection::progress(self.pool(), id).await.unwrap().unwrap()
    }

    pub(crate) async fn state(&self, id: Uuid) -> CollectionState {
        self.progress(id).await.collection.state
    }

    /// The pages that have a fetching job, in the order of their jobs.
    pub(crate) async fn fetch_jobs(&self, id: Uuid) -> Vec<i32> {
        let args = self.args("fetch_page", id).await;
        args.into_iter().map(|args| serde_json::from_value::<FetchPage>(args).unwrap().page).collect()
    }

    /// The parsing jobs, oldest first.
    pub(crate) async fn parse_jobs(&self, id: Uuid) -> Vec<ParseDocuments> {
        let args = self.args("parse_documents", id).await;
        args.into_iter().map(|args| serde_json::from_value(args).unwrap()).collect()
    }

    async fn args(&self, kind: &str, id: Uuid) -> Vec<serde_json::Value> {
        sqlx::query_scalar!(
            r#"select args as "args!" from jobs where kind = $1 and collection_id = $2 order by id"#,
            kind,
            id.to_string()
        )
        .fetch_all(self.pool())
        .await
        .unwrap()
    }

    /// How many rows there are of collections, pages, raw documents and jobs.
    pub(crate) async fn rows(&self) -> [i64; 4] {
        let counts = sqlx::query!(
            r#"select (select count(*) from collections) as "collections!", (select count(*) from pages) as "pages!",
                      (select count(*) from raw_documents) as "documents!", (select count(*) from jobs) as "jobs!""#
        );
        let counts = counts.fetch_one(self.pool()).await.unwrap();
        [counts.collections, counts.pages, counts.documents, counts.jobs]
    }

    /// How many pages the collection believes to be open.
    pub(crate) async fn pages_open(&self, id: Uuid) -> i32 {
        sqlx::query_scalar!("select pages_open from collections where id = $1", id)
            .fetch_one(self.pool())
            .await
            .unwrap()
    }

    /// Waits until so many sessions of this database wait for a lock.
    pub(crate) async fn until_blocked(&self, wanted: i64) {
        let blocked = async || {
            let count = sqlx::query_scalar!(
                r#"select count(*) as "count!" from pg_stat_activity
                   where datname = current_database() and wait_event_type = 'Lock'"#
            );
            count.fetch_one(self.pool()).await.unwrap()
        };
        let waiting = async {
            while blocked().await != wanted {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        in_time("the lock is waited for", waiting).await;
    }
}

/// Waits for something that must happen.
pub(crate) async fn in_time<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("waited {PATIENCE:?} until {what}"))
}

/// A collection of `count` people, ten a page, four a batch.
pub(crate) fn collection_of(count: u32, source: &str) -> NewCollection {
    NewCollection {
        source: source.to_owned(),
        count,
        per_page: 10,
        batch_size: 4,
        error_mode: false,
        full: false,
        seed: Some(7),
        idempotency_key: None,
    }
}

/// A batch that was never given up.
pub(crate) fn some_batch(collection_id: Uuid, page: i32) -> ParseDocuments {
    ParseDocuments { collection_id, page, document_ids: Vec::new(), pass: 0 }
}

/// The end of a job whose last attempt failed with this error.
pub(crate) fn discarded(job_id: JobId, error: &str) -> Discarded {
    Discarded {
        job_id,
        kind: String::new(),
        args: serde_json::Value::Null,
        error: Some(error.to_owned()),
        code: Some("error".to_owned()),
    }
}

/// An item of the original shape.
pub(crate) fn item(external_id: &str, skills: &[&str]) -> NewRawDocument {
    let body = serde_json::json!({"id": external_id, "skills": skills, "work_experiences": []});
    NewRawDocument::new(Format::Profile, body.to_string().as_bytes())
}

/// Items `<prefix>-0`, `<prefix>-1`, ..
pub(crate) fn items(prefix: &str, count: usize) -> Vec<NewRawDocument> {
    (0..count).map(|index| item(&format!("{prefix}-{index}"), &["SQL"])).collect()
}

/// What the parser makes of an item that was stored under this id.
pub(crate) fn parsed(raw_document_id: i64, item: &NewRawDocument) -> NewResume {
    let external_id = item.external_id.as_deref();
    NewResume { raw_document_id, parsed: parsing::parse(Format::Profile, external_id, &item.body).unwrap() }
}

/// A small, fast, repeatable source of randomness (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn shuffle<T>(&mut self, list: &mut [T]) {
        for end in (1..list.len()).rev() {
            list.swap(end, (self.next() % (end as u64 + 1)) as usize);
        }
    }
}
