//! How far parsing lags behind: counted by pages, and right again at the end.

use resume_core::{
    collection::{self, CollectionState},
    jobs::{FinishCollection, ParseDocuments},
};
use uuid::Uuid;

use crate::fixture::{Fixture, NUMBERED, collection_of, discarded, items};

impl Fixture {
    async fn documents_open(&self, id: Uuid) -> i32 {
        sqlx::query_scalar!("select documents_open from collections where id = $1", id)
            .fetch_one(self.pool())
            .await
            .unwrap()
    }

    /// Makes the count wrong.
    async fn miscount(&self, id: Uuid, documents: i32) {
        sqlx::query!("update collections set documents_open = $2 where id = $1", id, documents)
            .execute(self.pool())
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_page_counts_until_its_last_batch_is_settled() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(30, NUMBERED)).await;
    fixture.store_items(id, 1, items("a", 10)).await;
    fixture.store_items(id, 2, items("b", 5)).await;
    assert_eq!(fixture.documents_open(id).await, 15);
    // What is known already is not parsed.
    fixture.store_items(id, 3, items("a", 10)).await;
    assert_eq!(fixture.documents_open(id).await, 15);

    for (parsed, failed) in [(4, 0), (3, 1)] {
        fixture.settle(id, 1, parsed, failed).await;
        assert_eq!(fixture.documents_open(id).await, 15);
    }
    fixture.settle(id, 1, 2, 0).await;
    assert_eq!(fixture.documents_open(id).await, 5);
    let progress = fixture.progress(id).await;
    assert_eq!((progress.backlog, progress.total_backlog), (5, 5));

    // A batch that is given up waits no more.
    let batches = fixture.parse_jobs(id).await;
    let mut conn = fixture.pool().acquire().await.unwrap();
    for job in batches.iter().filter(|job| job.page == 2) {
        collection::give_up_documents(&mut conn, job, &discarded(1, "crashed")).await.unwrap();
    }
    assert_eq!(fixture.documents_open(id).await, 0);
    assert_eq!(fixture.state(id).await, CollectionState::CompletedWithErrors);
    // Its retry counts nothing anew.
    let retried: &ParseDocuments = batches.iter().find(|job| job.page == 2).unwrap();
    let result = collection::BatchResult { parsed: retried.document_ids.len(), failed: 0 };
    collection::settle_batch(&mut conn, retried, result).await.unwrap();
    assert_eq!(fixture.documents_open(id).await, 0);
}

#[tokio::test]
async fn a_page_to_fetch_tells_the_backlog_of_all_collections_under_way() {
    let fixture = Fixture::new().await;
    let new = collection_of(40, NUMBERED);
    let [first, second, cancelled] =
        [fixture.start(&new).await, fixture.start(&new).await, fixture.start(&new).await];
    fixture.store_items(first, 1, items("a", 10)).await;
    fixture.store_items(second, 1, items("b", 7)).await;
    fixture.store_items(cancelled, 1, items("c", 9)).await;
    assert_eq!(fixture.page(first, 2).await.backlog, 26);
    assert_eq!(fixture.progress(first).await.total_backlog, 26);
    fixture.cancel(cancelled).await.unwrap();
    assert_eq!(fixture.page(first, 2).await.backlog, 17);
    // What is paused is parsed all the same.
    fixture.pause(second).await.unwrap();
    assert_eq!(fixture.page(first, 2).await.backlog, 17);
    // What is cancelled counts again when it goes on.
    fixture.go_on(cancelled).await;
    assert_eq!(fixture.page(first, 2).await.backlog, 26);
}

#[tokio::test]
async fn a_count_that_was_wrong_is_never_negative_and_right_at_the_end() {
    let fixture = Fixture::new().await;
    for (wrong, then) in [(3, 0), (1000, 990)] {
        let id = fixture.start(&collection_of(20, NUMBERED)).await;
        fixture.store_items(id, 1, items(&id.to_string(), 10)).await;
        fixture.miscount(id, wrong).await;
        for documents in [4, 4, 2] {
            fixture.settle(id, 1, documents, 0).await;
        }
        assert_eq!(fixture.documents_open(id).await, then);
        fixture.store_items(id, 2, Vec::new()).await;
        assert_eq!(fixture.state(id).await, CollectionState::Completed);
        assert_eq!(fixture.documents_open(id).await, 0);
    }
}

#[tokio::test]
async fn a_run_that_is_closed_leaves_nothing_open() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(10, NUMBERED)).await;
    fixture.store_items(id, 1, items("a", 10)).await;
    let mut conn = fixture.pool().acquire().await.unwrap();
    collection::close(&mut conn, &FinishCollection { collection_id: id, run: 1 }).await.unwrap();
    drop(conn);
    assert!(fixture.state(id).await.is_over());
    assert_eq!(fixture.documents_open(id).await, 0);
}

#[tokio::test]
async fn the_backlog_is_counted_anew() {
    let fixture = Fixture::new().await;
    let new = collection_of(40, NUMBERED);
    let [high, right] = [fixture.start(&new).await, fixture.start(&new).await];
    fixture.store_items(high, 1, items("a", 10)).await;
    fixture.store_items(right, 1, items("b", 7)).await;
    fixture.miscount(high, 1_000_000).await;
    // A page that is being stored counts itself behind us.
    let mut tx = fixture.pool().begin().await.unwrap();
    let fetched = collection::FetchedPage { items: items("c", 10), ..Default::default() };
    collection::store_page(&mut tx, &fixture.page(high, 2).await, &fetched).await.unwrap();
    let recounting = tokio::spawn({
        let pool = fixture.pool().clone();
        async move { collection::recount_backlog(&pool).await }
    });
    fixture.until_blocked(1).await;
    tx.commit().await.unwrap();
    recounting.await.unwrap().unwrap();
    assert_eq!((fixture.documents_open(high).await, fixture.documents_open(right).await), (20, 7));
}

#[tokio::test]
async fn a_page_that_is_kept_back_shows_until_its_collection_is_over() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(10, NUMBERED)).await;
    assert!(!fixture.progress(id).await.is_lagging);
    let mut conn = fixture.pool().acquire().await.unwrap();
    collection::note_lagging(&mut conn, id).await.unwrap();
    assert!(fixture.progress(id).await.is_lagging);
    sqlx::query!("update collections set lagged_at = lagged_at - interval '3 s'")
        .execute(&mut *conn)
        .await
        .unwrap();
    assert!(!fixture.progress(id).await.is_lagging);
    collection::note_lagging(&mut conn, id).await.unwrap();
    fixture.store_items(id, 1, Vec::new()).await;
    assert!(!fixture.progress(id).await.is_lagging);
}
