//! Calls that fail, pages and documents that are given up.

use resume_core::{
    call::{self, CallFailure},
    collection::{self, CollectionState},
    jobs::MakeCall,
    resume::PARSER_CRASHED,
};
use uuid::Uuid;

use crate::fixture::{Fixture, NEXT_LINK, NUMBERED, collection_of, discarded, items};

impl Fixture {
    async fn note(&self, collection_id: Uuid, page: i32, code: Option<&str>, detail: &str) {
        let call_id = self.call_id(collection_id, page).await.unwrap();
        let mut conn = self.pool().acquire().await.unwrap();
        let failure = CallFailure { code: code.map(str::to_owned), detail: detail.to_owned(), is_call: true };
        call::note_failure(&mut conn, &MakeCall { collection_id, call_id }, &failure).await.unwrap();
    }

    /// The calls made and refused, and the errors as (code, count, sample).
    async fn calls_and_errors(&self, id: Uuid) -> (i64, i64, Vec<(String, i64, String)>) {
        let progress = self.progress(id).await;
        let errors = progress.errors.into_iter().map(|error| (error.code, error.count, error.sample));
        (progress.counts.made, progress.counts.rate_limited, errors.collect())
    }
}

fn error(code: &str, count: i64, sample: &str) -> (String, i64, String) {
    (code.to_owned(), count, sample.to_owned())
}

#[tokio::test]
async fn failed_calls_are_counted_and_the_last_failure_shown() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(20, NUMBERED)).await;
    fixture.note(id, 1, None, "429").await;
    assert_eq!(fixture.calls_and_errors(id).await, (1, 1, vec![]), "a refusal is no failure");
    fixture.note(id, 1, Some("source_http_500"), "broken").await;
    fixture.note(id, 1, Some("source_timeout"), "silent \0").await;
    fixture.note(id, 1, None, "429").await;
    let silent = error("source_timeout", 1, "page 1: silent \u{fffd}");
    assert_eq!(fixture.calls_and_errors(id).await, (4, 2, vec![silent]));

    fixture.store_items(id, 1, Vec::new()).await;
    assert_eq!(fixture.calls_and_errors(id).await, (5, 2, vec![]), "success wipes it out");
    fixture.note(id, 1, Some("source_timeout"), "too late").await;
    assert_eq!(fixture.calls_and_errors(id).await, (5, 2, vec![]));
}

#[tokio::test]
async fn pages_that_fail_alike_are_counted_together() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(50, NUMBERED)).await;
    for (page, code) in [(4, "b"), (2, "b"), (5, "a"), (3, "c"), (1, "c")] {
        fixture.note(id, page, Some(code), &format!("detail {page}")).await;
    }
    let expected = vec![
        error("b", 2, "page 2: detail 2"),
        error("c", 2, "page 1: detail 1"),
        error("a", 1, "page 5: detail 5"),
    ];
    assert_eq!(fixture.calls_and_errors(id).await, (5, 0, expected));
}

#[tokio::test]
async fn a_page_is_given_up_once() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(400, NUMBERED)).await;
    fixture.note(id, 2, Some("source_http_404"), "not there").await;
    fixture.give_up(id, 2, "discarded").await;
    let expected = vec![error("source_http_404", 1, "page 2: not there")];
    assert_eq!(fixture.calls_and_errors(id).await, (1, 0, expected.clone()), "the call's own error stays");
    assert_eq!(fixture.fetch_jobs(id).await, (1..=32).chain([34]).collect::<Vec<_>>());
    assert!(fixture.pending(id, 2).await.is_none());

    let rows = fixture.rows().await;
    fixture.give_up(id, 2, "again").await;
    assert_eq!(fixture.calls_and_errors(id).await, (1, 0, expected));
    assert_eq!(fixture.rows().await, rows);
    assert_eq!(fixture.state(id).await, CollectionState::Pending, "no page has come yet");
}

#[tokio::test]
async fn a_page_whose_job_broke_without_a_call_has_a_code_too() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(10, NUMBERED)).await;
    fixture.give_up(id, 1, "worker died").await;
    assert_eq!(
        fixture.calls_and_errors(id).await,
        (0, 0, vec![error("job_failed", 1, "page 1: worker died")])
    );
    assert_eq!(fixture.state(id).await, CollectionState::Failed);
}

#[tokio::test]
async fn a_stored_page_is_not_given_up() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(20, NUMBERED)).await;
    fixture.store_items(id, 1, items("p", 10)).await;
    fixture.give_up(id, 1, "too late").await;
    let progress = fixture.progress(id).await;
    assert_eq!((progress.counts.done, progress.counts.failed_calls, progress.errors), (1, 0, vec![]));
}

#[tokio::test]
async fn behind_a_failed_page_of_a_chain_there_is_nothing() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(400, NEXT_LINK)).await;
    fixture.give_up(id, 1, "gone").await;
    assert_eq!(fixture.fetch_jobs(id).await, [1]);
    assert_eq!(fixture.state(id).await, CollectionState::Failed);
}

#[tokio::test]
async fn documents_that_are_given_up_are_listed() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(10, NUMBERED)).await;
    fixture.store_items(id, 1, items("p", 10)).await;
    let jobs = fixture.parse_jobs(id).await;
    fixture.settle(id, 1, 4, 0).await;
    fixture.settle(id, 1, 4, 0).await;
    let mut tx = fixture.pool().begin().await.unwrap();
    collection::give_up_documents(&mut tx, &jobs[2], &discarded(0, "worker \0 died")).await.unwrap();
    tx.commit().await.unwrap();
    fixture.end_run(id).await;

    let progress = fixture.progress(id).await;
    assert_eq!(progress.collection.state, CollectionState::CompletedWithErrors);
    assert_eq!((progress.counts.parsed, progress.failed(), progress.counts.failed_calls), (8, 2, 0));
    let first = jobs[2].batches[0];
    let sample = format!("document {first}: worker \u{fffd} died");
    assert_eq!(fixture.calls_and_errors(id).await, (1, 0, vec![error(PARSER_CRASHED, 2, &sample)]));
}

/// A source may put megabytes into what becomes an error text.
#[tokio::test]
async fn the_text_of_an_error_is_bounded() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(10, NUMBERED)).await;
    let failure = CallFailure {
        code: Some("source_unreachable".to_owned()),
        detail: "ä\0".repeat(1_000_000),
        is_call: true,
    };
    let mut conn = fixture.pool().acquire().await.unwrap();
    let call_id = fixture.call_id(id, 1).await.unwrap();
    call::note_failure(&mut conn, &MakeCall { collection_id: id, call_id }, &failure).await.unwrap();
    let sample = fixture.progress(id).await.errors.remove(0).sample;
    assert!(sample.starts_with("page 1: ä\u{fffd}ä") && sample.ends_with('…'), "{sample}");
    assert!(sample.chars().count() < 600);
}
