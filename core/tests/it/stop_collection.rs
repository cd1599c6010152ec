//! Collections that are paused, cancelled, and go on.

use resume_core::{
    collection::{self, BatchResult, CollectionState, FetchedPage, FoundPage, Scope, StopError},
    jobs::{FetchPage, FinishCollection, ResumePages, StopCollection},
};
use uuid::Uuid;

use crate::fixture::{Fixture, NEXT_LINK, NUMBERED, collection_of, discarded, items};

use CollectionState::{Cancelled, Completed, Paused, Running};

impl Fixture {
    pub(crate) async fn pause(&self, id: Uuid) -> Result<(), StopError> {
        let mut tx = self.pool().begin().await.unwrap();
        collection::pause(&mut tx, id).await?;
        tx.commit().await.unwrap();
        Ok(())
    }

    pub(crate) async fn cancel(&self, id: Uuid) -> Result<(), StopError> {
        let mut tx = self.pool().begin().await.unwrap();
        collection::cancel(&mut tx, id).await?;
        tx.commit().await.unwrap();
        Ok(())
    }

    pub(crate) async fn go_on(&self, id: Uuid) -> usize {
        let mut tx = self.pool().begin().await.unwrap();
        let pages = collection::resume(&mut tx, id, Scope::default()).await.unwrap().pages;
        tx.commit().await.unwrap();
        pages
    }

    /// Ends the jobs of a stopped collection, as its job does.
    async fn end_jobs(&self, id: Uuid) {
        let job_id = sqlx::query_scalar!("select stop_job_id from collections where id = $1", id);
        let job_id = job_id.fetch_one(self.pool()).await.unwrap().unwrap();
        collection::end_jobs(self.pool(), &StopCollection { collection_id: id }, job_id).await.unwrap();
    }

    /// How many live jobs of this kind the collection has.
    async fn live(&self, kind: &str, id: Uuid) -> i64 {
        sqlx::query_scalar!(
            r#"select count(*) as "count!" from queue.live_jobs where kind = $1 and args ->> 'collection_id' = $2"#,
            kind,
            id.to_string()
        )
        .fetch_one(self.pool())
        .await
        .unwrap()
    }
}

#[tokio::test]
async fn a_paused_collection_fetches_nothing_and_goes_on_where_it_was() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(40, NUMBERED)).await;
    let under_way = fixture.page(id, 2).await;
    fixture.store_items(id, 1, items("a", 10)).await;
    fixture.pause(id).await.unwrap();
    fixture.pause(id).await.unwrap();
    assert_eq!(fixture.live("stop_collection", id).await, 1, "a second pause changes nothing");
    assert!(fixture.pending(id, 3).await.is_none(), "nothing is fetched, even before its jobs have ended");
    fixture.end_jobs(id).await;
    assert_eq!(fixture.live("fetch_page", id).await, 0);
    assert_eq!(fixture.live("parse_documents", id).await, 3, "what is stored is parsed");

    // The follow-up of a job that was ended gives nothing up, nor does the end of the run.
    fixture.give_up(id, 3, "cancelled").await;
    let finish = FinishCollection { collection_id: id, run: 1 };
    assert_eq!(collection::close(&mut fixture.pool().acquire().await.unwrap(), &finish).await.unwrap(), 0);
    // A page that was being fetched is stored.
    let fetched = collection::FetchedPage::default();
    assert!(fixture.store(&under_way, &fetched).await.is_some());
    assert_eq!(fixture.state(id).await, Paused);
    assert_eq!(fixture.pages_open(id).await, 3);

    let first = fixture.last_fetch_job(id, 3).await;
    assert_eq!(fixture.go_on(id).await, 2);
    assert_eq!(fixture.state(id).await, Running);
    assert_eq!(fixture.live("fetch_page", id).await, 2);
    // The walk that comes too late ends nothing of it, and the old jobs fetch nothing and give nothing up.
    fixture.end_jobs(id).await;
    assert_eq!(fixture.live("fetch_page", id).await, 2);
    let mut conn = fixture.pool().acquire().await.unwrap();
    let job = FetchPage { collection_id: id, page: 3 };
    let found = collection::find_page(&mut conn, &job, first).await.unwrap();
    assert!(matches!(found, FoundPage::Settled), "{found:?}");
    collection::give_up_page(&mut conn, &job, &discarded(first, "cancelled")).await.unwrap();
    drop(conn);
    fixture.store_items(id, 3, Vec::new()).await;
    fixture.store_items(id, 4, Vec::new()).await;
    for (parsed, failed) in [(4, 0), (4, 0), (2, 0)] {
        fixture.settle(id, 1, parsed, failed).await;
    }
    assert_eq!((fixture.state(id).await, fixture.pages_open(id).await), (Completed, 0));
}

#[tokio::test]
async fn a_paused_collection_with_nothing_left_to_fetch_ends() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(10, NUMBERED)).await;
    fixture.store_items(id, 1, items("a", 4)).await;
    fixture.pause(id).await.unwrap();
    fixture.settle(id, 1, 4, 0).await;
    assert_eq!(fixture.state(id).await, Completed);
    assert!(matches!(fixture.pause(id).await, Err(StopError::Over(Completed))));
    assert!(matches!(fixture.cancel(id).await, Err(StopError::Over(Completed))));
}

#[tokio::test]
async fn a_cancelled_collection_is_over_at_once_and_can_go_on() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(40, NUMBERED)).await;
    let under_way = fixture.page(id, 2).await;
    fixture.store_items(id, 1, items("a", 10)).await;
    fixture.cancel(id).await.unwrap();
    let ended = fixture.progress(id).await.collection;
    assert_eq!((ended.state, ended.finished_at.is_some()), (Cancelled, true));
    fixture.cancel(id).await.unwrap();
    assert!(matches!(fixture.pause(id).await, Err(StopError::Over(Cancelled))));

    let fetched = collection::FetchedPage { items: items("b", 10), ..Default::default() };
    assert!(fixture.store(&under_way, &fetched).await.is_none(), "nothing is stored any more");
    fixture.end_jobs(id).await;
    assert_eq!((fixture.live("fetch_page", id).await, fixture.live("parse_documents", id).await), (0, 0));
    for job in fixture.parse_jobs(id).await {
        let by =
            resume_queue::Discarded { code: Some("cancelled_by_request".to_owned()), ..discarded(0, "over") };
        let mut conn = fixture.pool().acquire().await.unwrap();
        collection::give_up_documents(&mut conn, &job, &by).await.unwrap();
    }
    let progress = fixture.progress(id).await;
    assert_eq!((progress.collection.state, progress.stored, progress.failed), (Cancelled, 10, 10));
    assert_eq!(progress.collection.finished_at, ended.finished_at);

    assert_eq!(fixture.go_on(id).await, 3);
    for page in 2..=4 {
        fixture.store_items(id, page, Vec::new()).await;
    }
    assert_eq!(fixture.state(id).await, Running, "what was stored is parsed after all");
    for job in &fixture.parse_jobs(id).await[3..] {
        let result = BatchResult { parsed: job.document_ids.len(), failed: 0 };
        let mut conn = fixture.pool().acquire().await.unwrap();
        collection::settle_batch(&mut conn, job, result).await.unwrap();
    }
    let progress = fixture.progress(id).await;
    assert_eq!((progress.collection.state, progress.parsed, progress.failed), (Completed, 10, 0));
    assert_eq!(fixture.pages_open(id).await, 0);
}

#[tokio::test]
async fn an_unknown_collection_is_not_stopped() {
    let fixture = Fixture::new().await;
    let id = Uuid::now_v7();
    assert!(matches!(fixture.pause(id).await, Err(StopError::Unknown(unknown)) if unknown == id));
    assert!(matches!(fixture.cancel(id).await, Err(StopError::Unknown(unknown)) if unknown == id));
}

/// Its first page is stored after the pause, and opens the second one with a job that is younger than the stop.
#[tokio::test]
async fn a_page_that_was_opened_during_the_pause_has_one_job_that_counts() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(40, NEXT_LINK)).await;
    let under_way = fixture.page(id, 1).await;
    fixture.pause(id).await.unwrap();
    let fetched = FetchedPage { items: items("a", 3), next: Some("t2".to_owned()), ..FetchedPage::default() };
    fixture.store(&under_way, &fetched).await.unwrap();
    fixture.go_on(id).await;
    let jobs = sqlx::query_scalar!(
        r#"select id as "id!" from jobs where kind = 'fetch_page' and args ->> 'page' = '2' order by id"#
    );
    let jobs = jobs.fetch_all(fixture.pool()).await.unwrap();
    assert_eq!(jobs.len(), 2);
    let mut conn = fixture.pool().acquire().await.unwrap();
    let page = FetchPage { collection_id: id, page: 2 };
    let first = collection::find_page(&mut conn, &page, jobs[0]).await.unwrap();
    assert!(matches!(first, FoundPage::TakenOver), "{first:?}");
    let second = collection::find_page(&mut conn, &page, jobs[1]).await.unwrap();
    assert!(matches!(second, FoundPage::Pending(_)), "{second:?}");
}

/// Its request enqueues the first ten thousand, and a job the others.
#[tokio::test]
async fn a_collection_with_many_pages_goes_on_in_portions() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(40, NUMBERED)).await;
    fixture.pause(id).await.unwrap();
    let waiting = sqlx::query!(
        "insert into pages (collection_id, number) select $1, generate_series(5, 25000) returning number",
        id
    );
    waiting.fetch_all(fixture.pool()).await.unwrap();
    let with_a_job = async || {
        let count = sqlx::query_scalar!(
            r#"
            select count(distinct p.number) as "count!" from pages p
            join jobs j on j.id = p.fetch_job_id and j.state = 'available'
            join collections c on c.id = p.collection_id and j.id > c.stop_job_id
            where p.collection_id = $1 and p.state = 'pending'
            "#,
            id
        );
        count.fetch_one(fixture.pool()).await.unwrap()
    };
    assert_eq!(fixture.go_on(id).await, 25_000);
    assert_eq!(with_a_job().await, 10_000);
    let portion = async |expected: ResumePages| {
        let job = sqlx::query!(
            r#"select id as "id!", args as "args!" from jobs where kind = 'resume_pages' order by id desc limit 1"#
        );
        let job = job.fetch_one(fixture.pool()).await.unwrap();
        assert_eq!(serde_json::from_value::<ResumePages>(job.args).unwrap(), expected);
        let mut tx = fixture.pool().begin().await.unwrap();
        collection::resume_pages(&mut tx, &expected, job.id).await.unwrap();
        tx.commit().await.unwrap();
        job.id
    };
    let first = ResumePages { collection_id: id, after: 10_000, last: 25_000 };
    portion(first.clone()).await;
    assert_eq!(with_a_job().await, 20_000);
    let second = ResumePages { after: 20_000, ..first };
    let last = portion(second.clone()).await;
    assert_eq!(with_a_job().await, 25_000);
    assert_eq!(fixture.live("resume_pages", id).await, 2, "there is no third one");

    // One that runs again, or after another stop, does no harm.
    fixture.pause(id).await.unwrap();
    let mut tx = fixture.pool().begin().await.unwrap();
    collection::resume_pages(&mut tx, &second, last).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(with_a_job().await, 0);
}
