//! Pages and batches that were given up and whose jobs are retried: each counts once, in whatever order.

use resume_core::{
    collection::{self, BatchResult, CollectionState, FoundPage},
    jobs::{FetchPage, FinishCollection, ParseDocuments},
};
use resume_queue::Discarded;
use uuid::Uuid;

use crate::fixture::{Fixture, NUMBERED, collection_of, discarded, in_time, items};

impl Fixture {
    async fn give_up_documents(&self, job: &ParseDocuments, code: &str) {
        let by = Discarded { code: Some(code.to_owned()), ..discarded(0, "over") };
        let mut tx = self.pool().begin().await.unwrap();
        collection::give_up_documents(&mut tx, job, &by).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Parses a batch, as its job does; gives whether it had been given up.
    async fn parse(&self, job: &ParseDocuments, failed: usize) -> bool {
        let result = BatchResult { parsed: job.document_ids.len() - failed, failed };
        let mut tx = self.pool().begin().await.unwrap();
        let was_given_up = collection::settle_batch(&mut tx, job, result).await.unwrap();
        tx.commit().await.unwrap();
        was_given_up
    }

    /// A collection of one page with ten documents in three batches, and its parsing jobs.
    async fn stored(&self) -> (Uuid, Vec<ParseDocuments>) {
        let id = self.start(&collection_of(10, NUMBERED)).await;
        self.store_items(id, 1, items(&id.to_string(), 10)).await;
        let jobs = self.parse_jobs(id).await;
        assert_eq!(jobs.len(), 3);
        (id, jobs)
    }

    /// The state, the documents that were parsed and that failed, the open pages and the open batches.
    async fn counts(&self, id: Uuid) -> (CollectionState, i64, i64, i32, i64) {
        let open = sqlx::query_scalar!(
            r#"select sum(batches_open) as "open!" from pages where collection_id = $1"#,
            id
        );
        let open = open.fetch_one(self.pool()).await.unwrap();
        let progress = self.progress(id).await;
        (progress.collection.state, progress.parsed, progress.failed, self.pages_open(id).await, open)
    }

    async fn found(&self, collection_id: Uuid, page: i32, job_id: i64) -> FoundPage {
        let mut conn = self.pool().acquire().await.unwrap();
        collection::find_page(&mut conn, &FetchPage { collection_id, page }, job_id).await.unwrap()
    }

    /// What a retried job of the page does; gives whether the page was open again.
    async fn resume_page(&self, collection_id: Uuid, page: i32) -> bool {
        let mut tx = self.pool().begin().await.unwrap();
        let is_open = collection::resume_page(&mut tx, &FetchPage { collection_id, page }).await.unwrap();
        tx.commit().await.unwrap();
        is_open
    }
}

use CollectionState::{Completed, CompletedWithErrors, Failed, Running};

#[tokio::test]
async fn a_batch_counts_once_however_often_it_is_given_up_and_parsed() {
    let fixture = Fixture::new().await;
    let (id, jobs) = fixture.stored().await;
    fixture.give_up_documents(&jobs[0], "discarded_by_request").await;
    fixture.give_up_documents(&jobs[0], "error").await;
    assert_eq!(fixture.counts(id).await, (Running, 0, 4, 1, 2));
    assert!(fixture.parse(&jobs[0], 1).await);
    assert_eq!(fixture.counts(id).await, (Running, 3, 1, 1, 2));
    assert!(!fixture.parse(&jobs[1], 0).await);
    fixture.give_up_documents(&jobs[2], "cancelled_by_request").await;
    assert_eq!(fixture.counts(id).await, (CompletedWithErrors, 7, 3, 0, 0));
    fixture.give_up_documents(&jobs[2], "cancelled_by_request").await;
    assert_eq!(fixture.counts(id).await, (CompletedWithErrors, 7, 3, 0, 0));
    let ended = fixture.progress(id).await.collection.finished_at;
    assert!(fixture.parse(&jobs[2], 0).await);
    assert_eq!(fixture.counts(id).await, (CompletedWithErrors, 9, 1, 0, 0), "one did not parse");
    assert_eq!(fixture.progress(id).await.collection.finished_at, ended);
}

#[tokio::test]
async fn documents_have_the_code_of_the_request_that_ended_their_job() {
    let fixture = Fixture::new().await;
    let (id, jobs) = fixture.stored().await;
    for (job, code) in jobs.iter().zip(["cancelled_by_request", "discarded_by_request", "worker_died"]) {
        fixture.give_up_documents(job, code).await;
    }
    let mut conn = fixture.pool().acquire().await.unwrap();
    let errors = resume_core::resume::failure_counts(&mut conn, id, 20).await.unwrap();
    let codes: Vec<_> = errors.into_iter().map(|error| (error.code, error.count)).collect();
    let expected = [("cancelled_by_request", 4), ("discarded_by_request", 4), ("parser_crashed", 2)];
    assert_eq!(codes, expected.map(|(code, count)| (code.to_owned(), count)));
}

/// Of two retried batches of different pages the second one to commit sees that nothing has failed any more.
#[tokio::test(flavor = "multi_thread")]
async fn batches_that_are_parsed_at_once_complete_the_collection() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(20, NUMBERED)).await;
    for page in [1, 2] {
        fixture.store_items(id, page, items(&format!("page-{page}"), 4)).await;
    }
    let jobs = fixture.parse_jobs(id).await;
    for job in &jobs {
        fixture.give_up_documents(job, "discarded_by_request").await;
    }
    let result = BatchResult { parsed: 4, failed: 0 };
    let mut first = fixture.pool().begin().await.unwrap();
    assert!(collection::settle_batch(&mut first, &jobs[0], result).await.unwrap());
    let second = tokio::spawn({
        let (pool, job) = (fixture.pool().clone(), jobs[1].clone());
        async move {
            let mut tx = pool.begin().await.unwrap();
            collection::settle_batch(&mut tx, &job, result).await.unwrap();
            tx.commit().await.unwrap();
        }
    });
    fixture.until_blocked(1).await;
    first.commit().await.unwrap();
    in_time("the second one ends", second).await.unwrap();
    assert_eq!(fixture.counts(id).await, (Completed, 8, 0, 0, 0));
}

/// The run was closed before the jobs had told what became of their batches.
#[tokio::test]
async fn batches_that_were_lost_can_be_parsed_and_given_up_later() {
    let fixture = Fixture::new().await;
    let (id, jobs) = fixture.stored().await;
    fixture.parse(&jobs[0], 0).await;
    let mut conn = fixture.pool().acquire().await.unwrap();
    let finish = FinishCollection { collection_id: id, run: 1 };
    assert_eq!(collection::close(&mut conn, &finish).await.unwrap(), 1);
    assert_eq!(fixture.counts(id).await, (CompletedWithErrors, 4, 0, 0, 0));
    fixture.give_up_documents(&jobs[1], "cancelled_by_request").await;
    assert_eq!(fixture.counts(id).await, (CompletedWithErrors, 4, 4, 0, 0));
    assert!(fixture.parse(&jobs[2], 0).await);
    assert!(fixture.parse(&jobs[1], 0).await);
    assert_eq!(fixture.counts(id).await, (Completed, 10, 0, 0, 0));
}

#[tokio::test]
async fn a_page_that_failed_is_opened_again_by_a_retry_of_its_job() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(20, NUMBERED)).await;
    let first = fixture.last_fetch_job(id, 1).await;
    assert!(matches!(fixture.found(id, 1, first).await, FoundPage::Pending(_)));
    assert!(!fixture.resume_page(id, 1).await, "it has not failed");
    fixture.give_up(id, 1, "gone").await;
    assert!(matches!(fixture.found(id, 1, first).await, FoundPage::Failed));

    // While the collection is under way it stays in its run.
    assert!(fixture.resume_page(id, 1).await);
    assert!(!fixture.resume_page(id, 1).await, "once");
    assert_eq!(fixture.counts(id).await, (Running, 0, 0, 2, 0));
    let second = fixture.last_fetch_job(id, 1).await;
    assert!(matches!(fixture.found(id, 1, second).await, FoundPage::Pending(_)));
    assert!(matches!(fixture.found(id, 1, first).await, FoundPage::TakenOver));

    // The job that has lost it cannot give it up.
    let mut conn = fixture.pool().acquire().await.unwrap();
    let job = FetchPage { collection_id: id, page: 1 };
    collection::give_up_page(&mut conn, &job, &discarded(first, "gone")).await.unwrap();
    assert_eq!(fixture.counts(id).await, (Running, 0, 0, 2, 0));

    fixture.give_up(id, 1, "still gone").await;
    fixture.give_up(id, 2, "gone").await;
    assert_eq!(fixture.counts(id).await, (Failed, 0, 0, 0, 0));
    let run = sqlx::query_scalar!("select run from collections where id = $1", id);
    assert_eq!(run.fetch_one(fixture.pool()).await.unwrap(), 1);

    // One that is over begins another run, which ends as the first one did.
    assert!(fixture.resume_page(id, 2).await);
    assert_eq!(fixture.counts(id).await, (Running, 0, 0, 1, 0));
    let run = sqlx::query_scalar!("select run from collections where id = $1", id);
    assert_eq!(run.fetch_one(fixture.pool()).await.unwrap(), 2);
    fixture.store_items(id, 2, Vec::new()).await;
    assert_eq!(fixture.counts(id).await, (CompletedWithErrors, 0, 0, 0, 0));
    assert!(matches!(fixture.found(id, 2, first).await, FoundPage::Settled));
}

/// All jobs of the run have ended, one of them was retried, and the job that closes the run is on its way.
#[tokio::test]
async fn a_page_that_comes_after_the_end_of_its_run_begins_another() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(20, NUMBERED)).await;
    fixture.give_up(id, 1, "gone").await;
    let group = sqlx::query_scalar!(
        "update queue.groups set finished_at = now()
         where id = (select group_id from collections where id = $1) returning id",
        id
    );
    let group = group.fetch_one(fixture.pool()).await.unwrap();
    assert!(fixture.resume_page(id, 1).await);
    let mut conn = fixture.pool().acquire().await.unwrap();
    let finish = FinishCollection { collection_id: id, run: 1 };
    assert_eq!(collection::close(&mut conn, &finish).await.unwrap(), 0);
    assert_eq!(fixture.counts(id).await, (Running, 0, 0, 2, 0));
    let job = fixture.last_fetch_job(id, 1).await;
    let of_job = sqlx::query_scalar!("select group_id from queue.live_jobs where id = $1", job);
    let of_collection = sqlx::query_scalar!("select group_id from collections where id = $1", id);
    let joined = of_job.fetch_one(fixture.pool()).await.unwrap();
    assert_eq!(joined, of_collection.fetch_one(fixture.pool()).await.unwrap());
    assert_ne!(joined, Some(group));
    // The pages that the first run left open are those of the next one.
    let finish = FinishCollection { collection_id: id, run: 2 };
    assert_eq!(collection::close(&mut conn, &finish).await.unwrap(), 2);
}

#[tokio::test]
async fn a_batch_whose_page_is_gone_has_nothing_to_count() {
    let fixture = Fixture::new().await;
    let (id, jobs) = fixture.stored().await;
    let page = sqlx::query!("delete from pages where collection_id = $1", id);
    page.execute(fixture.pool()).await.unwrap();
    assert!(fixture.parse(&jobs[0], 1).await);
    fixture.give_up_documents(&jobs[1], "error").await;
}

#[tokio::test]
async fn a_wrong_count_of_open_pages_is_put_right_when_it_comes_to_its_end() {
    let fixture = Fixture::new().await;
    for wrong in [1, 0, -1] {
        let id = fixture.start(&collection_of(30, NUMBERED)).await;
        sqlx::query!("update collections set pages_open = $2 where id = $1", id, wrong)
            .execute(fixture.pool())
            .await
            .unwrap();
        fixture.store_items(id, 1, Vec::new()).await;
        assert_eq!(fixture.counts(id).await, (Running, 0, 0, 2, 0), "{wrong}");
        fixture.store_items(id, 2, Vec::new()).await;
        fixture.store_items(id, 3, Vec::new()).await;
        assert_eq!(fixture.counts(id).await, (Completed, 0, 0, 0, 0), "{wrong}");
    }
}

#[tokio::test]
async fn a_collection_that_ended_too_early_says_anew_how() {
    let fixture = Fixture::new().await;
    let (id, jobs) = fixture.stored().await;
    sqlx::query!(
        "update collections set pages_open = 0, state = 'completed', finished_at = now() where id = $1",
        id
    )
    .execute(fixture.pool())
    .await
    .unwrap();
    for job in &jobs {
        assert!(!fixture.parse(job, 1).await);
    }
    assert_eq!(fixture.counts(id).await, (CompletedWithErrors, 7, 3, 0, 0));
}
