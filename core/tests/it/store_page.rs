//! Storing a page: all of it or nothing, and once.

use resume_core::{
    call::{self, Answer, Answered},
    collection::{self, CollectionState},
    document,
};
use uuid::Uuid;

use crate::fixture::{Fixture, NEXT_LINK, NUMBERED, StoredPage, collection_of, in_time, item, items};

fn page_of(count: usize, next: Option<&str>) -> Answer {
    Answer { items: items("p", count), next: next.map(str::to_owned), ..Answer::default() }
}

#[tokio::test]
async fn a_page_is_stored_with_all_that_follows() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(400, NUMBERED)).await;
    let page = fixture.page(id, 3).await;
    let mut tx = fixture.pool().begin().await.unwrap();
    let stored = call::store(&mut tx, &page, &page_of(10, None), None).await.unwrap();
    let Answered::Stored(answer) = stored else { panic!("it is pending") };
    assert_eq!((answer.stored.ids.len(), answer.stored.unchanged), (10, 0));
    assert_eq!(fixture.rows().await, [1, 32, 0, 32], "nobody sees it before the commit");
    tx.commit().await.unwrap();

    // Four documents a batch, in the order of the page.
    let batches = fixture.waiting(id).await;
    assert_eq!(batches.iter().map(|batch| batch.documents()).collect::<Vec<_>>(), [4, 4, 2]);
    let jobs = fixture.parse_jobs(id).await.into_iter().flat_map(|job| job.batches);
    assert!(jobs.eq(batches.iter().map(|batch| batch.first_id)), "each has its job");
    let documents = document::list(fixture.pool(), id, &Default::default(), 0, 100).await.unwrap();
    let expected: Vec<_> = (0..10).map(|index| format!("p-{index}")).collect();
    assert_eq!(documents.iter().filter_map(|d| d.external_id.clone()).collect::<Vec<_>>(), expected);
    let places = documents.iter().map(|d| (d.page, d.position));
    assert!(places.eq((1..=10).map(|position| (Some(3), position))));

    // The page behind the window takes its place.
    assert_eq!(fixture.fetch_jobs(id).await, (1..=32).chain([35]).collect::<Vec<_>>());
    let progress = fixture.progress(id).await;
    assert_eq!(progress.collection.state, CollectionState::Running);
    assert!(progress.collection.started_at.is_some());
    assert_eq!((progress.counts.done, progress.counts.stored, progress.counts.unchanged), (1, 10, 0));
    assert_eq!(
        (progress.counts.parsed, progress.failed(), progress.counts.made, progress.counts.rate_limited),
        (0, 0, 1, 0)
    );
    assert!(fixture.pending(id, 3).await.is_none());
}

#[tokio::test]
async fn a_rollback_leaves_the_page_pending() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(400, NUMBERED)).await;
    let before = (fixture.rows().await, fixture.progress(id).await);
    let page = fixture.page(id, 3).await;
    let mut tx = fixture.pool().begin().await.unwrap();
    call::store(&mut tx, &page, &page_of(10, None), None).await.unwrap();
    tx.rollback().await.unwrap();
    let mut after = (fixture.rows().await, fixture.progress(id).await);
    after.1.seen_at = before.1.seen_at;
    assert_eq!(after, before);
    assert!(fixture.pending(id, 3).await.is_some());
}

#[tokio::test]
async fn a_stored_page_is_not_stored_again() {
    for source in [NUMBERED, NEXT_LINK] {
        let fixture = Fixture::new().await;
        let id = fixture.start(&collection_of(400, source)).await;
        let page = fixture.page(id, 1).await;
        let fetched = page_of(10, Some("http://ats.example/2"));
        assert!(fixture.store(&page, &fetched).await.is_some());
        let before = (fixture.rows().await, fixture.progress(id).await);
        // Even with other items: the first answer counts.
        let other = Answer { items: items("q", 3), ..fetched.clone() };
        for again in [&fetched, &other] {
            assert_eq!(fixture.store(&page, again).await, None);
            let mut after = (fixture.rows().await, fixture.progress(id).await);
            after.1.seen_at = before.1.seen_at;
            assert_eq!(after, before);
        }
    }
}

#[tokio::test]
async fn of_two_that_store_a_page_at_once_one_waits_and_does_nothing() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(400, NUMBERED)).await;
    let page = fixture.page(id, 1).await;
    let mut tx = fixture.pool().begin().await.unwrap();
    call::store(&mut tx, &page, &page_of(10, None), None).await.unwrap();
    let second = tokio::spawn({
        let (pool, page) = (fixture.pool().clone(), page.clone());
        async move {
            let mut conn = pool.acquire().await.unwrap();
            call::store(&mut conn, &page, &page_of(10, None), None).await.unwrap()
        }
    });
    fixture.until_blocked(1).await;
    tx.commit().await.unwrap();
    assert_eq!(in_time("the second one ends", second).await.unwrap(), Answered::NotPending);
    assert_eq!(fixture.rows().await, [1, 33, 10, 36]);
}

#[tokio::test]
async fn the_window_ends_with_the_last_page() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(340, NUMBERED)).await;
    for page in [1, 2, 3, 32] {
        let page = fixture.page(id, page).await;
        fixture.store(&page, &page_of(10, None)).await;
    }
    assert_eq!(fixture.fetch_jobs(id).await, (1..=34).collect::<Vec<_>>());
}

#[tokio::test]
async fn each_link_of_a_chain_opens_one_page_and_the_last_tells_their_number() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(100, NEXT_LINK)).await;
    let page = fixture.page(id, 1).await;
    fixture.store(&page, &page_of(10, Some("http://ats.example/second"))).await;
    let page = fixture.page(id, 2).await;
    assert_eq!(page.link.as_deref(), Some("http://ats.example/second"));
    assert_eq!(fixture.progress(id).await.pages_expected, Some(10));

    fixture.store(&page, &Answer { items: items("q", 3), ..Answer::default() }).await;
    assert_eq!(fixture.fetch_jobs(id).await, [1, 2]);
    let progress = fixture.progress(id).await;
    assert_eq!(progress.pages_expected, Some(2), "the source had fewer than asked for");
    assert_eq!(progress.collection.state, CollectionState::Running, "nothing is parsed yet");
    for (page, parsed) in [(1, 4), (1, 4), (2, 3), (1, 2)] {
        assert_eq!(fixture.state(id).await, CollectionState::Running);
        fixture.settle(id, page, parsed, 0).await;
    }
    assert_eq!(fixture.state(id).await, CollectionState::Completed);
}

#[tokio::test]
async fn a_page_without_items_is_done_at_once() {
    for source in [NUMBERED, NEXT_LINK] {
        let fixture = Fixture::new().await;
        let id = fixture.start(&collection_of(10, source)).await;
        assert_eq!(fixture.store_items(id, 1, Vec::new()).await, StoredPage { stored: 0, unchanged: 0 });
        let progress = fixture.progress(id).await;
        assert_eq!(progress.collection.state, CollectionState::Completed);
        assert_eq!((progress.counts.done, progress.counts.stored), (1, 0));
        assert_eq!(fixture.parse_jobs(id).await, []);
    }
}

#[tokio::test]
async fn a_page_of_known_items_is_done_at_once() {
    let fixture = Fixture::new().await;
    let first = fixture.start(&collection_of(20, NUMBERED)).await;
    fixture.store_items(first, 1, items("p", 10)).await;
    let second = fixture.start(&collection_of(20, NUMBERED)).await;
    assert_eq!(fixture.store_items(second, 1, items("p", 10)).await, StoredPage { stored: 0, unchanged: 10 });
    // One known, one new: one document to parse.
    let mixed = vec![item("p-3", &["SQL"]), item("new", &[])];
    assert_eq!(fixture.store_items(second, 2, mixed).await, StoredPage { stored: 1, unchanged: 1 });
    assert_eq!(fixture.state(second).await, CollectionState::Running);
    assert_eq!(fixture.parse_jobs(second).await.len(), 1);
    fixture.settle(second, 2, 1, 0).await;
    let progress = fixture.progress(second).await;
    assert_eq!(progress.collection.state, CollectionState::Completed);
    assert_eq!((progress.counts.stored, progress.counts.unchanged, progress.counts.parsed), (1, 11, 1));
}

/// To the page itself, and to the one before.
#[tokio::test]
async fn a_link_to_where_we_have_been_ends_the_chain() {
    let fixture = Fixture::new().await;
    for back_to in ["http://ats.example/3", "http://ats.example/2"] {
        let id = fixture.start(&collection_of(100, NEXT_LINK)).await;
        for (number, next) in [(1, "http://ats.example/2"), (2, "http://ats.example/3"), (3, back_to)] {
            let page = fixture.page(id, number).await;
            let items = items(&format!("{back_to}-{number}"), 1);
            fixture.store(&page, &Answer { items, next: Some(next.to_owned()), ..Answer::default() }).await;
        }
        fixture.parse_all(id).await;
        let progress = fixture.progress(id).await;
        assert_eq!(progress.collection.state, CollectionState::CompletedWithErrors);
        assert_eq!(
            (progress.pages_expected, progress.counts.done, progress.counts.failed_calls),
            (Some(3), 3, 0)
        );
        let [error] = &progress.errors[..] else { panic!("{:?}", progress.errors) };
        assert_eq!((error.code.as_str(), error.count), ("next_link_loop", 1));
        assert_eq!(error.sample, "page 3: the next link leads to a page that was read before");
    }
}

/// A thousand pages without an item: then nobody believes in an end any more.
#[tokio::test]
async fn a_chain_without_an_end_is_cut_off() {
    let fixture = Fixture::new().await;
    // One that is told how many items are wanted, and one whose items we count.
    for is_told in [true, false] {
        let id = fixture.start(&collection_of(20, NEXT_LINK)).await;
        if !is_told {
            do_not_tell_count(&fixture).await;
        }
        let store = async |number: i32, items: usize| {
            let next = format!("http://ats.example/{}", number + 1);
            fixture.store(&fixture.page(id, number).await, &page_of(items, Some(&next))).await;
        };
        store(1, 1).await;
        for number in 2..30 {
            store(number, 0).await;
        }
        assert_eq!(
            fixture.state(id).await,
            CollectionState::Running,
            "the count says nothing of empty pages"
        );
        move_to_place(&fixture, id, 1_001).await;
        store(1_001, 0).await;
        assert!(!fixture.state(id).await.is_over());
        store(1_002, 0).await;
        assert_eq!(fixture.progress(id).await.errors[0].code, "next_link_endless");
    }
}

async fn do_not_tell_count(fixture: &Fixture) {
    sqlx::query!(
        "update sources set definition = definition #- '{list,params,count}' where name = $1",
        NEXT_LINK
    )
    .execute(fixture.pool())
    .await
    .unwrap();
}

/// Lets the page that is waiting be the one of this number.
async fn move_to_place(fixture: &Fixture, id: Uuid, number: i32) {
    sqlx::query!("update calls set place = $2 where collection_id = $1 and state = 'pending'", id, number)
        .execute(fixture.pool())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_chain_begins_again_once_a_run() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(100, NEXT_LINK)).await;
    fixture.store(&fixture.page(id, 1).await, &page_of(10, Some("token-2"))).await;
    let restart = async |number| {
        let page = fixture.page(id, number).await;
        let mut tx = fixture.pool().begin().await.unwrap();
        let restarted = call::restart(&mut tx, &page).await.unwrap();
        tx.commit().await.unwrap();
        restarted
    };
    assert!(restart(2).await, "the token of the second page has expired");
    assert_eq!(fixture.page(id, 1).await.link, None, "the first once more");
    fixture.store(&fixture.page(id, 1).await, &page_of(10, Some("token-2"))).await;
    let progress = fixture.progress(id).await;
    assert_eq!(
        (progress.counts.done, progress.counts.stored, progress.counts.unchanged),
        (3, 10, 10),
        "all of it is known"
    );
    assert!(!restart(2).await, "there is no end to it otherwise");
}

#[tokio::test]
async fn a_collection_that_waits_for_its_source_says_so_until_the_next_page() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(100, NUMBERED)).await;
    let note = async || {
        let mut conn = fixture.pool().acquire().await.unwrap();
        collection::note_waiting(&mut conn, id).await.unwrap();
        fixture.state(id).await
    };
    assert_eq!(note().await, CollectionState::WaitingForSource);
    fixture.store_items(id, 1, items("p", 10)).await;
    assert_eq!(fixture.state(id).await, CollectionState::Running);
    assert_eq!(note().await, CollectionState::WaitingForSource);
    for parsed in [4, 4, 2] {
        fixture.settle(id, 1, parsed, 0).await;
    }
    assert_eq!(fixture.state(id).await, CollectionState::WaitingForSource, "parsing needs no source");
    let mut tx = fixture.pool().begin().await.unwrap();
    collection::pause(&mut tx, id).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(note().await, CollectionState::Paused, "one that is stopped stays so");
}
