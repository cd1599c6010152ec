//! Calls that fail: for a while, for good, and in every way that the mock source knows.

use mock_ats::{Face, FaultKind, Pages as OnPages, Times};
use resume_core::collection::CollectionState;

use crate::{
    harness::{NUMBERED, Pipeline, SEED, collection_of},
    outcome::{Calls, Documents, Outcome, Pages, people},
};

/// Page 3 fails at its first call in this way: it comes with the second, and nothing of the failure stays.
async fn passes(kind: FaultKind) {
    let pipeline = Pipeline::start().await;
    pipeline.set_fault(kind, OnPages::One(3), Times::First(1));
    let worker = pipeline.worker();
    let id = pipeline.collect(&collection_of(200, NUMBERED)).await;
    let smooth = Outcome::smooth(20, 200);
    assert_eq!(pipeline.outcome(id).await, Outcome { calls: Calls { made: 21, rate_limited: 0 }, ..smooth });
    assert_eq!(pipeline.resumes(NUMBERED).await, people(Face::TestData, SEED.into(), 200, false));
    assert_eq!(pipeline.most_attempts("make_call").await, 2);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_errors_pass() {
    passes(FaultKind::Status(500)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn request_timeouts_pass() {
    passes(FaultKind::Status(408)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_bodies_pass() {
    passes(FaultKind::CutBody).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_json_passes() {
    passes(FaultKind::InvalidJson).await;
}

/// The slow one: the client waits ten seconds for a sign of life.
#[tokio::test(flavor = "multi_thread")]
async fn silence_passes() {
    passes(FaultKind::Hang).await;
}

/// While a page waits for its next attempt, its error can be seen.
#[tokio::test(flavor = "multi_thread")]
async fn a_failing_page_shows_before_it_is_given_up() {
    let pipeline = Pipeline::start().await;
    pipeline.set_fault(FaultKind::Status(503), OnPages::One(2), Times::Always);
    let worker = pipeline.worker();
    let id = pipeline.collect(&collection_of(20, NUMBERED)).await;
    let failed =
        |calls| move |p: &resume_core::collection::Progress| p.counts.made == calls && p.counts.parsed == 10;
    let progress = pipeline.until(id, "page 2 has failed twice", failed(3)).await;
    assert_eq!(progress.collection.state, CollectionState::Running);
    assert_eq!(progress.errors.len(), 1);
    assert_eq!((progress.errors[0].code.as_str(), progress.errors[0].count), ("source_http_503", 1));
    pipeline.mock.ats().set_faults([]);
    let smooth = Outcome::smooth(2, 20);
    assert_eq!(pipeline.outcome(id).await, Outcome { calls: Calls { made: 4, rate_limited: 0 }, ..smooth });
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_not_there_is_listed_and_the_others_come() {
    let pipeline = Pipeline::start().await;
    pipeline.set_fault(FaultKind::Status(404), OnPages::One(3), Times::Always);
    let worker = pipeline.worker();
    let id = pipeline.collect(&collection_of(200, NUMBERED)).await;
    assert_eq!(
        pipeline.outcome(id).await,
        Outcome {
            state: CollectionState::CompletedWithErrors,
            pages: Pages { expected: 20, fetched: 19, failed: 1 },
            documents: Documents { stored: 190, unchanged: 0, parsed: 190, failed: 0 },
            calls: Calls { made: 20, rate_limited: 0 },
            errors: vec![("source_http_404".to_owned(), 1)],
        }
    );
    let sample = pipeline.progress(id).await.errors.remove(0).sample;
    assert_eq!(sample, "page 3: the source answered 404 Not Found");
    let mut expected = people(Face::TestData, SEED.into(), 200, false);
    expected.retain(|id, _| !(20..30).any(|index| *id == format!("{SEED}-{index}")));
    assert_eq!(pipeline.resumes(NUMBERED).await, expected);

    // One page is fetched again, and no other.
    pipeline.mock.ats().set_faults([]);
    assert_eq!(pipeline.continue_collection(id).await, 1);
    let smooth = Outcome::smooth(20, 200);
    assert_eq!(pipeline.outcome(id).await, Outcome { calls: Calls { made: 21, rate_limited: 0 }, ..smooth });
    worker.stop().await;
}

/// What might pass is tried as often as allowed, and then given up.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_whose_attempts_are_used_up_is_listed() {
    let pipeline = Pipeline::start().await;
    pipeline.set_fault(FaultKind::Status(500), OnPages::One(2), Times::Always);
    let id = pipeline.collect(&collection_of(30, NUMBERED)).await;
    assert_eq!(pipeline.allow_one_attempt("make_call").await, 3);
    let worker = pipeline.worker();
    assert_eq!(
        pipeline.outcome(id).await,
        Outcome {
            state: CollectionState::CompletedWithErrors,
            pages: Pages { expected: 3, fetched: 2, failed: 1 },
            documents: Documents { stored: 20, unchanged: 0, parsed: 20, failed: 0 },
            calls: Calls { made: 3, rate_limited: 0 },
            errors: vec![("source_http_500".to_owned(), 1)],
        }
    );
    let ended = |state: &str, count| (state.to_owned(), count);
    assert_eq!(pipeline.jobs("make_call").await, [ended("completed", 2), ended("discarded", 1)].into());
    worker.stop().await;
}

/// Also with more pages than are on their way at once: those behind follow when the first ones are given up.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_gone_fails_the_collection_until_it_is_resumed() {
    let pipeline = Pipeline::start().await;
    pipeline.set_fault(FaultKind::Status(404), OnPages::All, Times::Always);
    let worker = pipeline.worker();
    let id = pipeline.collect(&collection_of(400, NUMBERED)).await;
    assert_eq!(
        pipeline.outcome(id).await,
        Outcome {
            state: CollectionState::Failed,
            pages: Pages { expected: 40, fetched: 0, failed: 40 },
            documents: Documents { stored: 0, unchanged: 0, parsed: 0, failed: 0 },
            calls: Calls { made: 40, rate_limited: 0 },
            errors: vec![("source_http_404".to_owned(), 40)],
        }
    );
    pipeline.mock.ats().set_faults([]);
    assert_eq!(pipeline.continue_collection(id).await, 40);
    let smooth = Outcome::smooth(40, 400);
    assert_eq!(pipeline.outcome(id).await, Outcome { calls: Calls { made: 80, rate_limited: 0 }, ..smooth });
    assert_eq!(pipeline.resumes(NUMBERED).await, people(Face::TestData, SEED.into(), 400, false));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn items_that_come_twice_are_stored_once() {
    let pipeline = Pipeline::start().await;
    pipeline.set_fault(FaultKind::RepeatItems, OnPages::All, Times::Always);
    let worker = pipeline.worker();
    let id = pipeline.collect(&collection_of(200, NUMBERED)).await;
    // Every page but the first begins with five of the page before.
    let documents = Documents { stored: 200, unchanged: 95, parsed: 200, failed: 0 };
    assert_eq!(pipeline.outcome(id).await, Outcome { documents, ..Outcome::smooth(20, 200) });
    assert_eq!(pipeline.resumes(NUMBERED).await, people(Face::TestData, SEED.into(), 200, false));
    worker.stop().await;
}
