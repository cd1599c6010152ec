//! Documents that did not parse.

use resume_core::{
    collection::ErrorCount,
    resume::{self, NewParseFailure},
};
use uuid::Uuid;

use crate::fixture::{Fixture, items};

impl Fixture {
    async fn fail(&self, collection_id: Uuid, failures: &[NewParseFailure]) {
        let mut conn = self.pool().acquire().await.unwrap();
        resume::store_failures(&mut conn, ("ats", 0), (collection_id, 1), failures).await.unwrap();
    }

    async fn failure_counts(&self, collection_id: Uuid, limit: i64) -> Vec<ErrorCount> {
        let mut conn = self.pool().acquire().await.unwrap();
        resume::failure_counts(&mut conn, collection_id, limit).await.unwrap()
    }
}

fn failure(raw_document_id: i64, code: &'static str, detail: &str) -> NewParseFailure {
    NewParseFailure { raw_document_id, code, pointer: "/id".to_owned(), detail: detail.to_owned() }
}

fn count(code: &str, count: i64, sample: &str) -> ErrorCount {
    ErrorCount { code: code.to_owned(), count, sample: sample.to_owned() }
}

#[tokio::test]
async fn failures_are_counted_by_code_with_the_first_as_the_sample() {
    let fixture = Fixture::new().await;
    let ids = fixture.insert(&items("p", 6)).await;
    let codes = ["c", "b", "a", "b", "a", "b"];
    let failures: Vec<_> =
        ids.iter().zip(codes).map(|(&id, code)| failure(id, code, &format!("{id}"))).collect();
    let collection_id = Uuid::now_v7();
    fixture.fail(collection_id, &failures[3..]).await;
    fixture.fail(collection_id, &failures[..3]).await;
    fixture.fail(collection_id, &[]).await;
    let sample = |index: usize| format!("raw document {0} at \"/id\": {0}", ids[index]);
    let expected = [count("b", 3, &sample(1)), count("a", 2, &sample(2)), count("c", 1, &sample(0))];
    assert_eq!(fixture.failure_counts(collection_id, 20).await, expected);
    assert_eq!(fixture.failure_counts(collection_id, 2).await, expected[..2]);
    assert_eq!(fixture.failure_counts(Uuid::now_v7(), 20).await, []);
}

#[tokio::test]
async fn a_later_failure_of_a_document_replaces_the_earlier_one() {
    let fixture = Fixture::new().await;
    let ids = fixture.insert(&items("p", 1)).await;
    let [first, second] = [Uuid::now_v7(), Uuid::now_v7()];
    fixture.fail(first, &[failure(ids[0], "a", "earlier")]).await;
    fixture.fail(second, &[failure(ids[0], "b", "later \0")]).await;
    assert_eq!(fixture.failure_counts(first, 20).await, []);
    let sample = format!("raw document {} at \"/id\": later \u{fffd}", ids[0]);
    assert_eq!(fixture.failure_counts(second, 20).await, [count("b", 1, &sample)]);
}
