//! How far parsing lags behind.

use resume_core::{collection, document};

use crate::fixture::{Fixture, NEXT_LINK, NUMBERED, collection_of, discarded, items};

#[tokio::test]
async fn a_document_waits_until_it_is_parsed_or_has_failed_or_was_given_up() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(30, NUMBERED)).await;
    fixture.store_items(id, 1, items("a", 10)).await;
    fixture.store_items(id, 2, items("b", 5)).await;
    let waiting = async || {
        let progress = fixture.progress(id).await;
        assert_eq!(progress.counts.waiting(), progress.total_backlog);
        progress.total_backlog
    };
    assert_eq!(waiting().await, 15);
    // What is known already is not parsed.
    fixture.store_items(id, 3, items("a", 10)).await;
    assert_eq!(waiting().await, 15);
    for (parsed, failed, left) in [(4, 0, 11), (3, 1, 7), (2, 0, 5)] {
        fixture.settle(id, 1, parsed, failed).await;
        assert_eq!(waiting().await, left);
    }
    for job in fixture.parse_jobs(id).await {
        let mut conn = fixture.pool().acquire().await.unwrap();
        collection::give_up_documents(&mut conn, &job, &discarded(1, "crashed")).await.unwrap();
    }
    assert_eq!(waiting().await, 0);
}

/// A source that lags keeps nobody else back.
#[tokio::test]
async fn the_backlog_is_that_of_all_collections_of_a_source() {
    let fixture = Fixture::new().await;
    let [first, second] = [
        fixture.start(&collection_of(40, NUMBERED)).await,
        fixture.start(&collection_of(40, NUMBERED)).await,
    ];
    let elsewhere = fixture.start(&collection_of(40, NEXT_LINK)).await;
    for (id, prefix, count) in [(first, "a", 10), (second, "b", 7), (elsewhere, "c", 9)] {
        fixture.store_items(id, 1, items(prefix, count)).await;
    }
    // What is paused is parsed all the same.
    fixture.pause(second).await.unwrap();
    let backlog = document::backlog_by_source(fixture.pool()).await.unwrap();
    assert_eq!((backlog[NUMBERED], backlog[NEXT_LINK]), (17, 9));
    assert_eq!(fixture.progress(first).await.total_backlog, 26);
    assert_eq!(fixture.progress(first).await.counts.waiting(), 10);
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
