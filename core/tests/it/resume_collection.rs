//! Going on with a collection where pages failed.

use resume_core::{
    collection::{self, CollectionState, FetchedPage, ResumeError, Resumed, Scope},
    jobs::FetchPage,
};
use uuid::Uuid;

use crate::fixture::{Fixture, NEXT_LINK, NUMBERED, collection_of, discarded, in_time, items};

impl Fixture {
    async fn resume(&self, id: Uuid) -> Result<usize, ResumeError> {
        let mut tx = self.pool().begin().await.unwrap();
        let resumed = collection::resume(&mut tx, id, Scope::default()).await?.pages;
        tx.commit().await.unwrap();
        Ok(resumed)
    }

    async fn refuses_to_resume(&self, id: Uuid, expected: CollectionState) {
        let before = self.rows().await;
        let refused = self.resume(id).await;
        assert!(
            matches!(refused, Err(ResumeError::NothingFailed(state)) if state == expected),
            "{refused:?}"
        );
        assert_eq!(self.rows().await, before);
    }
}

#[tokio::test]
async fn failed_pages_are_fetched_again_and_no_others() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(40, NUMBERED)).await;
    fixture.store_items(id, 1, Vec::new()).await;
    fixture.store_items(id, 4, Vec::new()).await;
    fixture.give_up(id, 3, "gone").await;
    fixture.give_up(id, 2, "gone").await;
    let ended = fixture.progress(id).await.collection;
    assert_eq!(ended.state, CollectionState::CompletedWithErrors);

    assert_eq!(fixture.resume(id).await.unwrap(), 2);
    let progress = fixture.progress(id).await;
    assert_eq!(
        (progress.collection.state, progress.collection.finished_at),
        (CollectionState::Running, None)
    );
    assert_eq!(progress.collection.started_at, ended.started_at);
    assert_eq!((progress.pages_fetched, progress.pages_failed, progress.errors), (2, 0, vec![]));
    assert_eq!(fixture.pages_open(id).await, 2);
    let mut jobs = fixture.fetch_jobs(id).await;
    assert_eq!(jobs[..4], [1, 2, 3, 4]);
    jobs[4..].sort();
    assert_eq!(jobs[4..], [2, 3]);

    fixture.store_items(id, 2, Vec::new()).await;
    fixture.give_up(id, 3, "still gone").await;
    assert_eq!(fixture.state(id).await, CollectionState::CompletedWithErrors);
    assert_eq!(fixture.resume(id).await.unwrap(), 1);
    fixture.store_items(id, 3, Vec::new()).await;
    assert_eq!(fixture.state(id).await, CollectionState::Completed);
    fixture.refuses_to_resume(id, CollectionState::Completed).await;
}

#[tokio::test]
async fn a_chain_goes_on_behind_the_page_that_failed() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(100, NEXT_LINK)).await;
    let page = fixture.page(id, 1).await;
    let next = FetchedPage {
        items: Vec::new(),
        next: Some("http://ats.example/2".to_owned()),
        ..FetchedPage::default()
    };
    fixture.store(&page, &next).await;
    fixture.give_up(id, 2, "gone").await;
    assert_eq!(fixture.state(id).await, CollectionState::CompletedWithErrors);

    assert_eq!(fixture.resume(id).await.unwrap(), 1);
    let page = fixture.page(id, 2).await;
    assert_eq!(page.link.as_deref(), Some("http://ats.example/2"));
    let next = FetchedPage {
        items: Vec::new(),
        next: Some("http://ats.example/3".to_owned()),
        ..FetchedPage::default()
    };
    fixture.store(&page, &next).await;
    assert_eq!(fixture.state(id).await, CollectionState::Running);
    fixture.store_items(id, 3, Vec::new()).await;
    assert_eq!(fixture.state(id).await, CollectionState::Completed);
}

#[tokio::test]
async fn there_must_be_something_to_resume() {
    let fixture = Fixture::new().await;
    let unknown = fixture.resume(Uuid::nil()).await;
    assert!(matches!(unknown, Err(ResumeError::Unknown(id)) if id.is_nil()), "{unknown:?}");

    let id = fixture.start(&collection_of(20, NUMBERED)).await;
    fixture.refuses_to_resume(id, CollectionState::Pending).await;
    fixture.give_up(id, 1, "gone").await;
    fixture.refuses_to_resume(id, CollectionState::Running).await;

    // Documents that failed are no reason to fetch anything again.
    let id = fixture.start(&collection_of(4, NUMBERED)).await;
    fixture.store_items(id, 1, items("p", 4)).await;
    fixture.settle(id, 1, 3, 1).await;
    fixture.refuses_to_resume(id, CollectionState::CompletedWithErrors).await;
}

#[tokio::test]
async fn of_two_that_resume_at_once_one_does() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(20, NUMBERED)).await;
    let mut conn = fixture.pool().acquire().await.unwrap();
    for page in [1, 2] {
        let discarded = discarded(0, "gone");
        collection::give_up_page(&mut conn, &FetchPage { collection_id: id, page }, &discarded)
            .await
            .unwrap();
    }
    drop(conn);
    let mut tx = fixture.pool().begin().await.unwrap();
    assert_eq!(collection::resume(&mut tx, id, Scope::default()).await.unwrap().pages, 2);
    let second = tokio::spawn({
        let pool = fixture.pool().clone();
        async move {
            let mut conn = pool.acquire().await.unwrap();
            collection::resume(&mut conn, id, Scope::default()).await
        }
    });
    fixture.until_blocked(1).await;
    tx.commit().await.unwrap();
    let second = in_time("the second one ends", second).await.unwrap();
    assert!(matches!(second, Err(ResumeError::NothingFailed(CollectionState::Running))), "{second:?}");
    assert_eq!(fixture.pages_open(id).await, 2);
}

/// Its parsing jobs are older than the job that ends those of the collection, which may come to them at any time.
#[tokio::test]
async fn a_page_that_was_being_stored_during_the_cancellation_is_parsed_again() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(20, NUMBERED)).await;
    let page = fixture.page(id, 1).await;
    let mut cancelling = fixture.pool().begin().await.unwrap();
    sqlx::query!("select from collections where id = $1 for update", id)
        .fetch_one(&mut *cancelling)
        .await
        .unwrap();
    let storing = tokio::spawn({
        let pool = fixture.pool().clone();
        async move {
            let mut tx = pool.begin().await.unwrap();
            let fetched = FetchedPage { items: items("a", 10), ..FetchedPage::default() };
            collection::store_page(&mut tx, &page, &fetched).await.unwrap();
            tx
        }
    });
    fixture.until_blocked(1).await;
    collection::cancel(&mut cancelling, id).await.unwrap();
    cancelling.commit().await.unwrap();
    let storing = in_time("the page is stored", storing).await.unwrap();

    let resuming = tokio::spawn({
        let pool = fixture.pool().clone();
        async move {
            let mut tx = pool.begin().await.unwrap();
            let resumed = collection::resume(&mut tx, id, Scope::default()).await.unwrap();
            tx.commit().await.unwrap();
            resumed
        }
    });
    fixture.until_blocked(1).await;
    storing.commit().await.unwrap();
    let resumed = in_time("it goes on", resuming).await.unwrap();
    assert_eq!(resumed, Resumed { pages: 1, documents: 10 });
}
