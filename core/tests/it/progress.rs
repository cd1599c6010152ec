//! How far a collection is, as the database counts it, and the list of collections.

use resume_core::{
    call::Answer,
    collection::{self, CollectionState, ErrorCount, ListFilter},
    document::{self, NewParseFailure},
    resume::{self, Outcome},
    source::{self, definition::Definition},
};
use uuid::Uuid;

use crate::fixture::{Fixture, NUMBERED, collection_of, items};

#[tokio::test]
async fn an_unknown_collection_has_no_progress() {
    let fixture = Fixture::new().await;
    assert_eq!(collection::progress(fixture.pool(), Uuid::nil()).await.unwrap(), None);
}

#[tokio::test]
async fn counts_are_sums_over_the_pages_of_one_collection() {
    let fixture = Fixture::new().await;
    let other = fixture.start(&collection_of(50, NUMBERED)).await;
    fixture.store_items(other, 1, items("p", 4)).await;
    fixture.settle(other, 1, 3, 1).await;

    let new = collection_of(50, NUMBERED);
    let id = fixture.start(&new).await;
    fixture.store_items(id, 1, items("p", 10)).await;
    fixture.settle(id, 1, 3, 1).await;
    fixture.store_items(id, 2, items("q", 3)).await;
    fixture.give_up(id, 4, "gone").await;

    let progress = fixture.progress(id).await;
    assert_eq!(
        (progress.pages_expected, progress.counts.done, progress.counts.failed_calls),
        (Some(5), 2, 1)
    );
    let documents =
        [progress.counts.stored, progress.counts.unchanged, progress.counts.parsed, progress.failed()];
    assert_eq!(
        (documents, progress.counts.retried),
        ([9, 3, 3, 1], 1),
        "one had failed in the other collection"
    );
    assert_eq!((progress.counts.made, progress.counts.rate_limited, progress.calls_per_second), (2, 0, 30.0));
    let collection = progress.collection;
    assert_eq!(collection.source, new.source);
    assert_eq!((collection.count, collection.per_page, collection.batch_size), (Some(50), 10, 4));
    assert_eq!((collection.error_mode, collection.seed), (false, 7));
    assert!(collection.created_at <= progress.seen_at);
}

#[tokio::test]
async fn the_errors_of_pages_and_documents_are_one_list() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(40, NUMBERED)).await;
    fixture.store_items(id, 1, items("p", 7)).await;
    for page in 2..=4 {
        fixture.give_up(id, page, &format!("detail {page}")).await;
    }
    let documents = document::list(fixture.pool(), id, &Default::default(), 0, 100).await.unwrap();
    let failures: Vec<NewParseFailure> = documents
        .iter()
        .zip(["b", "a", "b", "b", "b", "a", "missing_skills"])
        .map(|(listed, code)| NewParseFailure {
            document_id: listed.id,
            code,
            pointer: "/skills".to_owned(),
            detail: format!("detail of {code}"),
        })
        .collect();
    let mut conn = fixture.pool().acquire().await.unwrap();
    let batches: Vec<i64> = fixture.waiting(id).await.iter().map(|batch| batch.first_id).collect();
    let outcome = Outcome { parsed: Vec::new(), failed: failures.clone() };
    let source = source::find(&mut conn, NUMBERED).await.unwrap().unwrap();
    resume::settle(&mut conn, source.id, id, &batches, 0, &outcome).await.unwrap();
    drop(conn);

    let errors = fixture.progress(id).await.errors;
    let sample = |index: usize, code: &str| {
        format!("document {} at \"/skills\": detail of {code}", failures[index].document_id)
    };
    let expected = [
        ("b", 4, sample(0, "b")),
        ("job_failed", 3, "page 2: detail 2".to_owned()),
        ("a", 2, sample(1, "a")),
        ("missing_skills", 1, sample(6, "missing_skills")),
    ];
    let expected = expected.map(|(code, count, sample)| ErrorCount { code: code.to_owned(), count, sample });
    assert_eq!(errors, expected);
}

#[tokio::test]
async fn collections_are_listed_newest_first_page_by_page() {
    let fixture = Fixture::new().await;
    let mut ids = Vec::new();
    for count in 1..=5 {
        ids.push(fixture.start(&collection_of(count, NUMBERED)).await);
    }
    ids.reverse();
    fixture.give_up(ids[1], 1, "gone").await;

    let all = ListFilter::default();
    let first = collection::list(fixture.pool(), &all, None, 2).await.unwrap();
    assert_eq!(first.iter().map(|listed| listed.id).collect::<Vec<_>>(), ids[..2]);
    assert_eq!(
        (first[0].count, first[0].state, first[0].finished_at),
        (Some(5), CollectionState::Pending, None)
    );
    assert_eq!((first[1].count, first[1].state), (Some(4), CollectionState::Failed));
    assert!(first[1].finished_at.is_some());
    assert_eq!(first[0].source, NUMBERED);

    let rest = collection::list(fixture.pool(), &all, Some(ids[1]), 100).await.unwrap();
    assert_eq!(rest.iter().map(|listed| listed.id).collect::<Vec<_>>(), ids[2..]);
    assert_eq!(collection::list(fixture.pool(), &all, Some(ids[4]), 100).await.unwrap(), []);
}

#[tokio::test]
async fn the_pages_of_a_chain_are_known_by_the_announced_total() {
    let fixture = Fixture::new().await;
    let definition = Definition::original("chain", "http://ats.example", "/people", 30).along_links();
    let mut definition = serde_json::to_value(&definition).unwrap();
    let params = definition["list"]["params"].as_object_mut().unwrap();
    params.remove("count").expect("the original source is told how many");
    let definition: Definition = serde_json::from_value(definition).unwrap();
    source::put(&mut fixture.pool().acquire().await.unwrap(), &definition).await.unwrap();
    let id = fixture.start(&collection_of(1000, "chain")).await;
    assert_eq!(fixture.progress(id).await.pages_left(), None);

    let mut lefts = Vec::new();
    for (number, count, total) in
        [(1, 10, None), (2, 10, Some(45)), (3, 5, Some(45)), (4, 10, None), (5, 5, None)]
    {
        let page = fixture.page(id, number).await;
        let next = Some(format!("http://ats.example/people?after={number}"));
        let items = items(&number.to_string(), count);
        fixture.store(&page, &Answer { items, next, total, ..Answer::default() }).await.unwrap();
        lefts.push(fixture.progress(id).await.pages_left());
    }
    // Five pages of ten, by the second one; there is a sixth all the same.
    assert_eq!(lefts, [None, Some(3), Some(2), Some(1), Some(1)]);
    fixture.store_items(id, 6, items("6", 5)).await;
    let progress = fixture.progress(id).await;
    assert_eq!((progress.pages_left(), progress.pages_expected), (Some(0), Some(6)));
}
