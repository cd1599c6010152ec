//! Starting a collection.

use resume_core::{
    collection::{self, CollectionState, NewCollection, StartError, Started},
    source::{self, definition::Values},
};
use uuid::Uuid;

use crate::fixture::{Fixture, NEXT_LINK, NUMBERED, collection_of, in_time};

#[tokio::test]
async fn pages_and_jobs_are_there_with_the_commit() {
    let fixture = Fixture::new().await;
    let mut tx = fixture.pool().begin().await.unwrap();
    let Started { id, repeated, .. } =
        collection::start(&mut tx, &collection_of(95, NUMBERED)).await.unwrap();
    assert!(!repeated);
    assert_eq!(fixture.rows().await, [0; 4], "nobody sees them before");
    tx.commit().await.unwrap();
    assert_eq!(fixture.rows().await, [1, 10, 0, 10]);
    assert_eq!(fixture.fetch_jobs(id).await, (1..=10).collect::<Vec<_>>());

    let progress = fixture.progress(id).await;
    assert_eq!(progress.collection.state, CollectionState::Pending);
    assert_eq!((progress.collection.started_at, progress.collection.finished_at), (None, None));
    assert_eq!((progress.pages_expected, progress.counts.done, progress.counts.made), (Some(10), 0, 0));
}

#[tokio::test]
async fn a_rollback_leaves_nothing() {
    let fixture = Fixture::new().await;
    let mut tx = fixture.pool().begin().await.unwrap();
    collection::start(&mut tx, &collection_of(100, NUMBERED)).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(fixture.rows().await, [0; 4]);
}

#[tokio::test]
async fn numbered_pages_start_with_a_window_and_chains_with_one() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(1000, NUMBERED)).await;
    assert_eq!(fixture.fetch_jobs(id).await, (1..=32).collect::<Vec<_>>());
    assert_eq!(fixture.progress(id).await.pages_expected, Some(100));

    let id = fixture.start(&collection_of(1000, NEXT_LINK)).await;
    assert_eq!(fixture.fetch_jobs(id).await, [1]);
    assert_eq!(fixture.progress(id).await.pages_expected, Some(100));
}

#[tokio::test]
async fn a_page_carries_the_parameters_of_its_call() {
    let fixture = Fixture::new().await;
    let new = NewCollection { error_mode: true, seed: Some(u32::MAX), ..collection_of(40, NUMBERED) };
    let id = fixture.start(&new).await;
    let page = fixture.page(id, 3).await;
    let values = Values {
        count: Some(40),
        per_page: 10,
        page: 3,
        offset: 20,
        since: None,
        until: None,
        seed: u32::MAX.into(),
        error_mode: true,
        parent: None,
        id: None,
    };
    assert_eq!(page.values, values);
    assert_eq!((page.collection_id, page.place, &*page.source.definition.name), (id, 3, NUMBERED));
    assert!(fixture.pending(id, 5).await.is_none(), "there is no fifth page");
    assert!(fixture.pending(Uuid::nil(), 1).await.is_none(), "there is no such collection");
}

#[tokio::test]
async fn a_changed_source_counts_for_the_pages_to_come() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(10, NUMBERED)).await;
    let mut definition = fixture.page(id, 1).await.source.definition;
    definition.base_url = "http://new.example".to_owned();
    let mut conn = fixture.pool().acquire().await.unwrap();
    assert!(!source::put(&mut conn, &definition).await.unwrap(), "it is not a new one");
    assert_eq!(fixture.page(id, 1).await.source.definition, definition);
    assert_eq!(source::list(fixture.pool()).await.unwrap(), [NEXT_LINK, NUMBERED]);
}

#[tokio::test]
async fn an_unknown_source_is_refused() {
    let fixture = Fixture::new().await;
    let mut tx = fixture.pool().begin().await.unwrap();
    let error = collection::start(&mut tx, &collection_of(10, "elsewhere")).await.unwrap_err();
    assert!(matches!(&error, StartError::UnknownSource(name) if name == "elsewhere"), "{error:?}");
}

#[tokio::test]
async fn people_are_fresh_unless_a_seed_is_given() {
    let fixture = Fixture::new().await;
    let mut seeds = Vec::new();
    for seed in [None, None, Some(0), Some(u32::MAX)] {
        let id = fixture.start(&NewCollection { seed, ..collection_of(10, NUMBERED) }).await;
        seeds.push(fixture.progress(id).await.collection.seed);
    }
    assert_ne!(seeds[0], seeds[1]);
    assert!(seeds[..2].iter().all(|seed| (0..1 << 31).contains(seed)), "{seeds:?}");
    assert_eq!(seeds[2..], [0, i64::from(u32::MAX)]);
}

fn with_key(key: &str) -> NewCollection {
    NewCollection { seed: None, idempotency_key: Some(key.to_owned()), ..collection_of(100, NUMBERED) }
}

#[tokio::test]
async fn a_repeated_key_starts_nothing() {
    let fixture = Fixture::new().await;
    let first = fixture.start(&with_key("a")).await;
    let rows = fixture.rows().await;
    let mut tx = fixture.pool().begin().await.unwrap();
    let again = collection::start(&mut tx, &with_key("a")).await.unwrap();
    assert_eq!((again.id, again.repeated), (first, true));
    tx.commit().await.unwrap();
    assert_eq!(fixture.rows().await, rows);
    assert_ne!(fixture.start(&with_key("b")).await, first, "another key is another collection");
    let without = NewCollection { idempotency_key: None, ..with_key("a") };
    assert_ne!(fixture.start(&without).await, fixture.start(&without).await, "no key, no memory");
}

#[tokio::test]
async fn a_key_belongs_to_its_parameters() {
    let fixture = Fixture::new().await;
    let first = fixture.start(&with_key("a")).await;
    let same = with_key("a");
    for other in [
        NewCollection { count: Some(101), ..same.clone() },
        NewCollection { per_page: Some(11), ..same.clone() },
        NewCollection { batch_size: 5, ..same.clone() },
        NewCollection { error_mode: true, ..same.clone() },
        NewCollection { seed: Some(1), ..same.clone() },
        NewCollection { source: NEXT_LINK.to_owned(), ..same.clone() },
    ] {
        let mut tx = fixture.pool().begin().await.unwrap();
        let error = collection::start(&mut tx, &other).await.unwrap_err();
        assert!(matches!(error, StartError::KeyReused(id) if id == first), "{other:?}: {error:?}");
    }
}

/// The second one waits for the first one's end, and then sees what came of it.
#[tokio::test]
async fn of_two_starts_at_once_one_waits() {
    for commit in [true, false] {
        let fixture = Fixture::new().await;
        let mut tx = fixture.pool().begin().await.unwrap();
        let first = collection::start(&mut tx, &with_key("a")).await.unwrap();
        let second = tokio::spawn({
            let pool = fixture.pool().clone();
            async move {
                let mut tx = pool.begin().await.unwrap();
                let started = collection::start(&mut tx, &with_key("a")).await.unwrap();
                tx.commit().await.unwrap();
                started
            }
        });
        fixture.until_blocked(1).await;
        if commit {
            tx.commit().await.unwrap();
        } else {
            tx.rollback().await.unwrap();
        }
        let second = in_time("the second start ends", second).await.unwrap();
        assert_eq!((second.repeated, second.id == first.id), (commit, commit));
        assert_eq!(fixture.rows().await, [1, 10, 0, 10]);
    }
}
