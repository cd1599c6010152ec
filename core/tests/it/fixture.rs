//! A database with a source of each kind, and short ways to do what a worker does.

use std::{future::Future, time::Duration};

use resume_core::{
    call::{self, Answer, Answered, Call, Found},
    collection::{self, CollectionState, Finishing, NewCollection, Progress},
    completeness,
    db::{PgPool, migrators},
    document::{self, Batch, NewDocument, NewParseFailure, WaitingDocument},
    jobs::{FinishCollection, MakeCall, ParseDocuments},
    parsing::{self, Format},
    resume::{self, NewResume, Outcome, Settled},
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

    /// The call for a page of the first list; it must be pending.
    pub(crate) async fn page(&self, id: Uuid, place: i32) -> Call {
        self.pending(id, place).await.unwrap_or_else(|| panic!("page {place} is not pending"))
    }

    /// The call for a page of the first list, if it is to be made.
    pub(crate) async fn pending(&self, id: Uuid, place: i32) -> Option<Call> {
        self.call(id, self.call_id(id, place).await?).await
    }

    /// A call, if it is to be made.
    pub(crate) async fn call(&self, id: Uuid, call_id: i64) -> Option<Call> {
        match self.found(id, call_id, self.last_fetch_job(call_id).await).await {
            Found::Pending(call) => Some(*call),
            _ => None,
        }
    }

    /// What a job finds.
    pub(crate) async fn found(&self, collection_id: Uuid, call_id: i64, job_id: JobId) -> Found {
        let mut conn = self.pool().acquire().await.unwrap();
        call::find(&mut conn, &MakeCall { collection_id, call_id }, job_id).await.unwrap()
    }

    /// The call for a page of the first list, in its last reading.
    pub(crate) async fn call_id(&self, id: Uuid, place: i32) -> Option<i64> {
        sqlx::query_scalar!(
            "select id from calls where collection_id = $1 and step in ('parents', 'list', 'known')
             and parent = '' and place = $2 order by reading desc limit 1",
            id,
            place
        )
        .fetch_optional(self.pool())
        .await
        .unwrap()
    }

    /// The newest job of a call; 0 if it has none.
    pub(crate) async fn last_fetch_job(&self, call_id: i64) -> JobId {
        sqlx::query_scalar!(
            r#"select coalesce(max(id), 0) as "id!" from jobs
               where kind = 'make_call' and (args ->> 'call_id')::bigint = $1"#,
            call_id
        )
        .fetch_one(self.pool())
        .await
        .unwrap()
    }

    /// Stores an answer, commits, and ends the run if that was its last job.
    pub(crate) async fn store(&self, call: &Call, answer: &Answer) -> Option<StoredPage> {
        let mut tx = self.pool().begin().await.unwrap();
        let stored = match call::store(&mut tx, call, answer, None).await.unwrap() {
            Answered::Stored(answer) => answer.stored,
            Answered::NotPending => return None,
        };
        tx.commit().await.unwrap();
        self.end_run(call.collection_id).await;
        Some(StoredPage { stored: stored.ids.len(), unchanged: stored.unchanged })
    }

    /// Stores a page with these items and no next link.
    pub(crate) async fn store_items(&self, id: Uuid, place: i32, items: Vec<NewDocument>) -> StoredPage {
        let call = self.page(id, place).await;
        self.store(&call, &Answer { items, ..Answer::default() }).await.unwrap()
    }

    /// The batches of a collection that wait.
    pub(crate) async fn waiting(&self, id: Uuid) -> Vec<Batch> {
        document::waiting_in(&mut self.pool().acquire().await.unwrap(), id, i64::MAX).await.unwrap()
    }

    /// Parses the next batch of a page of the first list: so many documents, of which the first ones fail.
    pub(crate) async fn settle(&self, id: Uuid, place: i32, parsed: usize, failed: usize) {
        let batch = sqlx::query_scalar!(
            "select b.first_id from calls c
             join batches b on b.collection_id = $1 and b.first_id between c.first_document_id and c.last_document_id
             where c.collection_id = $1 and c.step = 'list' and c.place = $2 and b.code is null order by 1 limit 1",
            id,
            place
        );
        let batch = batch.fetch_one(self.pool()).await.expect("a batch of the page waits");
        assert_eq!(self.parse_batches(id, &[batch], failed).await, parsed + failed);
    }

    /// Parses all documents that wait, and commits.
    pub(crate) async fn parse_all(&self, id: Uuid) {
        for batch in self.waiting(id).await {
            self.parse_batches(id, &[batch.first_id], 0).await;
        }
    }

    /// Parses batches as their job does, but for the first documents, so many, which fail, and ends the run
    /// if that was its last job. Returns how many documents they have.
    pub(crate) async fn parse_batches(&self, id: Uuid, batches: &[i64], failed: usize) -> usize {
        let (there, documents) = document::load_waiting(self.pool(), id, batches).await.unwrap();
        let outcome = outcome_of(&documents, failed);
        let map = source::mapping_of_collection(self.pool(), id).await.unwrap().unwrap();
        let mut tx = self.pool().begin().await.unwrap();
        let settled = resume::settle(&mut tx, map.source_id, id, &there, map.version, &outcome).await;
        assert_eq!(settled.unwrap(), Settled::Stored);
        tx.commit().await.unwrap();
        self.end_run(id).await;
        documents.len()
    }

    /// Gives a page of the first list up, its job discarded with this error.
    pub(crate) async fn give_up(&self, id: Uuid, place: i32, error: &str) {
        self.give_up_call(id, self.call_id(id, place).await.unwrap(), error).await;
    }

    /// Gives a call up, its job discarded with this error, commits, and ends the run if that was its last
    /// job.
    pub(crate) async fn give_up_call(&self, collection_id: Uuid, call_id: i64, error: &str) {
        let discarded = discarded(self.last_fetch_job(call_id).await, error);
        let mut tx = self.pool().begin().await.unwrap();
        call::give_up(&mut tx, &MakeCall { collection_id, call_id }, &discarded).await.unwrap();
        tx.commit().await.unwrap();
        self.end_run(collection_id).await;
    }

    /// What the queue does behind the last job of a run: ends it, unless calls or documents wait, or it is
    /// over.
    pub(crate) async fn end_run(&self, id: Uuid) {
        let is_open = sqlx::query_scalar!(
            r#"
            select finished_at is not null or begun_at is null
                or exists (select from calls where collection_id = $1 and state = 'pending')
                or exists (select from batches where collection_id = $1 and code is null) as "open!"
            from collections where id = $1
            "#,
            id
        );
        if !is_open.fetch_one(self.pool()).await.unwrap() {
            self.finish(id).await;
        }
    }

    /// Ends the present run, as its last job does, whatever is left of it.
    pub(crate) async fn finish(&self, id: Uuid) -> Finishing {
        let run = sqlx::query_scalar!("select run from collections where id = $1", id);
        let run = run.fetch_one(self.pool()).await.unwrap();
        self.finish_as(&FinishCollection { collection_id: id, run, sweeps: 0 }).await
    }

    /// Does what a job does that ends a run.
    pub(crate) async fn finish_as(&self, job: &FinishCollection) -> Finishing {
        let mut tx = self.pool().begin().await.unwrap();
        let finishing = collection::finish(&mut tx, job).await.unwrap();
        tx.commit().await.unwrap();
        if matches!(finishing, Finishing::Done | Finishing::Over) {
            completeness::hide_missing(self.pool(), job.collection_id).await.unwrap();
            let mut tx = self.pool().begin().await.unwrap();
            collection::conclude(&mut tx, job).await.unwrap();
            tx.commit().await.unwrap();
        }
        finishing
    }

    pub(crate) async fn progress(&self, id: Uuid) -> Progress {
        collection::progress(self.pool(), id).await.unwrap().unwrap()
    }

    pub(crate) async fn state(&self, id: Uuid) -> CollectionState {
        self.progress(id).await.collection.state
    }

    /// The places of the calls that have a job, in the order of their jobs.
    pub(crate) async fn fetch_jobs(&self, id: Uuid) -> Vec<i32> {
        sqlx::query_scalar!(
            r#"select c.place from jobs j join calls c on c.id = (j.args ->> 'call_id')::bigint
               where j.kind = 'make_call' and c.collection_id = $1 order by j.id"#,
            id
        )
        .fetch_all(self.pool())
        .await
        .unwrap()
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

    /// How many rows there are of collections, calls, documents and jobs.
    pub(crate) async fn rows(&self) -> [i64; 4] {
        let counts = sqlx::query!(
            r#"select (select count(*) from collections) as "collections!", (select count(*) from calls) as "calls!",
                      (select count(*) from raw_documents) as "documents!", (select count(*) from jobs) as "jobs!""#
        );
        let counts = counts.fetch_one(self.pool()).await.unwrap();
        [counts.collections, counts.calls, counts.documents, counts.jobs]
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
pub(crate) fn collection_of(count: u64, source: &str) -> NewCollection {
    NewCollection {
        source: source.to_owned(),
        count: Some(count),
        per_page: Some(10),
        batch_size: 4,
        error_mode: false,
        full: false,
        seed: Some(7),
        idempotency_key: None,
    }
}

/// What was stored of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoredPage {
    pub(crate) stored: usize,
    pub(crate) unchanged: usize,
}

/// What parsing documents comes to of which the first ones fail, so many; one without an id fails too. One
/// whose body is none of ours becomes a person who knows SQL.
pub(crate) fn outcome_of(documents: &[WaitingDocument], failed: usize) -> Outcome {
    let (bad, good) = documents.split_at(failed.min(documents.len()));
    let mut outcome = Outcome::default();
    outcome.failed.extend(bad.iter().map(|document| failure(document.id, "bad")));
    for document in good {
        let Some(id) = document.external_id.as_deref() else {
            outcome.failed.push(failure(document.id, "missing_id"));
            continue;
        };
        let parsed = parsing::parse(Format::Profile, Some(id), &document.body);
        let simple = || parsing::parse(Format::Profile, Some(id), &item(id, &["SQL"]).body).unwrap();
        outcome.parsed.push(NewResume {
            document_id: document.id,
            person_id: document.person_id,
            is_overtaken: document.overtaken_by.is_some(),
            parsed: parsed.unwrap_or_else(|_| simple()),
        });
    }
    outcome
}

/// A document that did not parse.
pub(crate) fn failure(document_id: i64, code: &'static str) -> NewParseFailure {
    NewParseFailure { document_id, code, pointer: String::new(), detail: String::new() }
}

/// The end of a job whose last attempt failed with this error.
pub(crate) fn discarded(job_id: JobId, error: &str) -> Discarded {
    Discarded {
        job_id,
        kind: String::new(),
        args: serde_json::Value::Null,
        error: Some(error.to_owned()),
        code: None,
    }
}

/// An item of the original shape.
pub(crate) fn item(external_id: &str, skills: &[&str]) -> NewDocument {
    let body = serde_json::json!({"id": external_id, "skills": skills, "work_experiences": []});
    NewDocument::with_id(Some(external_id.to_owned()), body.to_string().as_bytes())
}

/// Items `<prefix>-0`, `<prefix>-1`, ..
pub(crate) fn items(prefix: &str, count: usize) -> Vec<NewDocument> {
    (0..count).map(|index| item(&format!("{prefix}-{index}"), &["SQL"])).collect()
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
