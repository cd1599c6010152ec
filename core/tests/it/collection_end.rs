//! The end of a collection: whoever closes its last page ends it, and nobody else.

use resume_core::{
    collection::{self, BatchResult, CollectionState, FetchedPage, NewCollection},
    jobs::FetchPage,
};
use tokio::task::JoinSet;

use crate::fixture::{Fixture, NUMBERED, Random, collection_of, discarded, in_time, items, some_batch};

impl Fixture {
    /// Makes Postgres refuse any change of a collection that is over.
    async fn forbid_changes_after_the_end(&self) {
        let trigger = "create function is_over() returns trigger language plpgsql as $$
                       begin raise exception 'the collection is over'; end $$;
                       create trigger is_over before update on collections for each row
                       when (old.finished_at is not null) execute function is_over()";
        sqlx::raw_sql(trigger).execute(self.pool()).await.unwrap();
    }
}

/// Many batches are settled, pages given up and empty pages stored, all at once: one transaction ends the collection.
#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_transactions_ends_it() {
    const PAGES: i32 = 8;
    let fixture = Fixture::new().await;
    fixture.forbid_changes_after_the_end().await;
    let mut random = Random(3);
    for round in 0..50 {
        let new = NewCollection { per_page: 3, batch_size: 1, ..collection_of(3 * PAGES as u32, NUMBERED) };
        let id = fixture.start(&new).await;
        let mut steps: Vec<Step> = Vec::new();
        let failed_pages = random.next() % 3;
        for number in 1..=PAGES {
            match number as u64 {
                n if n <= failed_pages => steps.push(Step::GiveUp(number)),
                4 => steps.push(Step::StoreEmpty(number)),
                _ => {
                    fixture.store_items(id, number, items(&format!("{round}-{number}"), 3)).await;
                    steps.extend([Step::Settle(number); 3]);
                }
            }
        }
        random.shuffle(&mut steps);
        let pages: Vec<_> = futures(&fixture, id, &steps).await;
        in_time("all have ended", pages.into_iter().collect::<JoinSet<()>>().join_all()).await;

        let progress = fixture.progress(id).await;
        let failed = failed_pages as i64;
        let expected =
            if failed == 0 { CollectionState::Completed } else { CollectionState::CompletedWithErrors };
        assert_eq!(progress.collection.state, expected, "round {round}");
        assert_eq!(fixture.pages_open(id).await, 0);
        let pages = i64::from(PAGES);
        assert_eq!((progress.pages_fetched, progress.pages_failed), (pages - failed, failed));
        assert_eq!((progress.stored, progress.parsed), (3 * (pages - failed - 1), 3 * (pages - failed - 1)));
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Settle(i32),
    GiveUp(i32),
    StoreEmpty(i32),
}

/// Each step as a transaction of its own, not begun yet.
async fn futures(
    fixture: &Fixture,
    id: uuid::Uuid,
    steps: &[Step],
) -> Vec<impl Future<Output = ()> + Send + 'static> {
    let mut futures = Vec::new();
    for &step in steps {
        let pool = fixture.pool().clone();
        let to_store = match step {
            Step::StoreEmpty(number) => Some(fixture.page(id, number).await),
            _ => None,
        };
        futures.push(async move {
            let mut tx = pool.begin().await.unwrap();
            match (step, to_store) {
                (Step::Settle(number), _) => {
                    let result = BatchResult { parsed: 1, failed: 0 };
                    collection::settle_batch(&mut tx, &some_batch(id, number), result).await.unwrap();
                }
                (Step::GiveUp(page), _) => {
                    let job = FetchPage { collection_id: id, page };
                    collection::give_up_page(&mut tx, &job, &discarded(0, "gone")).await.unwrap();
                }
                (Step::StoreEmpty(_), page) => {
                    let fetched = FetchedPage { items: Vec::new(), ..FetchedPage::default() };
                    collection::store_page(&mut tx, &page.unwrap(), &fetched).await.unwrap().unwrap();
                }
            }
            tx.commit().await.unwrap();
        });
    }
    futures
}

#[tokio::test]
async fn a_page_is_open_until_its_last_batch_has_ended() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(20, NUMBERED)).await;
    for page in [1, 2] {
        fixture.store_items(id, page, items(&format!("page-{page}"), 10)).await;
    }
    for (page, parsed, failed, open) in
        [(1, 4, 0, 2), (1, 3, 1, 2), (2, 4, 0, 2), (2, 4, 0, 2), (1, 2, 0, 1), (2, 0, 2, 0)]
    {
        assert_eq!(fixture.state(id).await, CollectionState::Running);
        fixture.settle(id, page, parsed, failed).await;
        assert_eq!(fixture.pages_open(id).await, open);
    }
    let progress = fixture.progress(id).await;
    assert_eq!(progress.collection.state, CollectionState::CompletedWithErrors);
    assert_eq!((progress.parsed, progress.failed), (17, 3));
    assert!(progress.collection.finished_at >= progress.collection.started_at);
}

#[tokio::test]
async fn without_any_page_it_has_failed() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(30, NUMBERED)).await;
    for page in 1..=3 {
        fixture.give_up(id, page, "gone").await;
    }
    assert_eq!(fixture.state(id).await, CollectionState::Failed);
}
