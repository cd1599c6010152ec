//! Collections from a source that behaves.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use mock_ats::Face;
use resume_core::collection::{CollectionState, NewCollection};

use crate::{
    harness::{JSON_RESUMES, NEXT_LINK, NUMBERED, Pipeline, SEED, collection_of},
    outcome::{Calls, Documents, Outcome, people},
};

#[tokio::test(flavor = "multi_thread")]
async fn pages_with_numbers() {
    collects_200_people(NUMBERED, Face::TestData).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_with_next_links() {
    collects_200_people(NEXT_LINK, Face::TestData).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_resumes() {
    collects_200_people(JSON_RESUMES, Face::JsonResumes).await;
}

async fn collects_200_people(source: &str, face: Face) {
    let pipeline = Pipeline::start().await;
    let worker = pipeline.worker();
    let id = pipeline.collect(&collection_of(200, source)).await;
    assert_eq!(pipeline.outcome(id).await, Outcome::smooth(20, 200));
    assert_eq!(pipeline.resumes(source).await, people(face, SEED.into(), 200, false));
    let completed = |count| BTreeMap::from([("completed".to_owned(), count)]);
    assert_eq!(pipeline.jobs("make_call").await, completed(20));
    assert_eq!(pipeline.jobs("parse_documents").await, completed(40));
    assert_eq!(pipeline.mock.ats().stats().calls, 20);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sizes_that_do_not_divide() {
    let pipeline = Pipeline::start().await;
    let worker = pipeline.worker();
    for (seed, (count, per_page, batch_size, pages)) in
        [(1, 10, 5, 1), (95, 10, 5, 10), (7, 1000, 1000, 1), (11, 10, 1000, 2), (10, 3, 2, 4), (5, 1, 1, 5)]
            .into_iter()
            .enumerate()
    {
        for source in [NUMBERED, NEXT_LINK] {
            // Each source with people of its own: both are in one table of raw documents.
            let new = NewCollection {
                per_page: Some(per_page),
                batch_size,
                seed: Some(seed as u32),
                ..collection_of(count, source)
            };
            let id = pipeline.collect(&new).await;
            assert_eq!(pipeline.outcome(id).await, Outcome::smooth(pages, count.into()), "{new:?}");
        }
    }
    worker.stop().await;
}

/// More pages than are on their way at once.
#[tokio::test(flavor = "multi_thread")]
async fn more_pages_than_the_window() {
    let pipeline = Pipeline::start().await;
    let worker = pipeline.worker();
    let id = pipeline.collect(&NewCollection { per_page: Some(3), ..collection_of(300, NUMBERED) }).await;
    assert_eq!(pipeline.outcome(id).await, Outcome::smooth(100, 300));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_is_not_parsed_again() {
    let pipeline = Pipeline::start().await;
    let worker = pipeline.worker();
    for source in [NUMBERED, NEXT_LINK] {
        let first = pipeline.collect(&collection_of(200, source)).await;
        assert_eq!(pipeline.outcome(first).await, Outcome::smooth(20, 200));
        let jobs = pipeline.jobs("parse_documents").await;

        let second = pipeline.collect(&collection_of(200, source)).await;
        let documents = Documents { stored: 0, unchanged: 200, parsed: 0, failed: 0 };
        assert_eq!(pipeline.outcome(second).await, Outcome { documents, ..Outcome::smooth(20, 200) });
        assert_eq!(pipeline.jobs("parse_documents").await, jobs, "nothing was parsed again");

        let more = pipeline.collect(&collection_of(220, source)).await;
        let documents = Documents { stored: 20, unchanged: 200, parsed: 20, failed: 0 };
        assert_eq!(pipeline.outcome(more).await, Outcome { documents, ..Outcome::smooth(22, 220) });
        assert_eq!(pipeline.resumes(source).await, people(Face::TestData, SEED.into(), 220, false));
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn collections_side_by_side() {
    let pipeline = Pipeline::start().await;
    let worker = pipeline.worker();
    let other = NewCollection { seed: Some(SEED + 1), ..collection_of(150, NUMBERED) };
    let ids = [
        pipeline.collect(&collection_of(200, NUMBERED)).await,
        pipeline.collect(&other).await,
        pipeline.collect(&collection_of(200, NEXT_LINK)).await,
    ];
    assert_eq!(pipeline.outcome(ids[0]).await, Outcome::smooth(20, 200));
    assert_eq!(pipeline.outcome(ids[1]).await, Outcome::smooth(15, 150));
    assert_eq!(pipeline.outcome(ids[2]).await, Outcome::smooth(20, 200));
    let mut expected = people(Face::TestData, SEED.into(), 200, false);
    expected.extend(people(Face::TestData, u64::from(SEED) + 1, 150, false));
    assert_eq!(pipeline.resumes(NUMBERED).await, expected);
    worker.stop().await;
}

/// Two runs over the same people by two workers: whoever comes first stores a person, and nobody twice.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_people_twice_at_once() {
    let pipeline = Pipeline::start().await;
    let new = collection_of(200, NUMBERED);
    let ids = [pipeline.collect(&new).await, pipeline.collect(&new).await];
    let workers = [pipeline.worker(), pipeline.worker()];
    let mut stored = 0;
    for id in ids {
        let outcome = pipeline.outcome(id).await;
        assert_eq!(outcome.state, CollectionState::Completed);
        assert_eq!(outcome.calls, Calls { made: 20, rate_limited: 0 });
        let Documents { stored: new, unchanged, parsed, failed } = outcome.documents;
        assert_eq!((new + unchanged, parsed, failed), (200, new, 0));
        stored += new;
    }
    assert_eq!(stored, 200);
    assert_eq!(pipeline.resumes(NUMBERED).await, people(Face::TestData, SEED.into(), 200, false));
    for worker in workers {
        worker.stop().await;
    }
}

/// A parser that takes its time delays each batch once, and batches wait side by side.
#[tokio::test(flavor = "multi_thread")]
async fn slow_parsers_run_side_by_side() {
    let pipeline = Pipeline::start().await;
    let worker = pipeline.slow_worker(Duration::from_millis(500));
    let begun = Instant::now();
    let id = pipeline.collect(&collection_of(200, NUMBERED)).await;
    assert_eq!(pipeline.outcome(id).await, Outcome::smooth(20, 200));
    let elapsed = begun.elapsed();
    // One after the other, the 40 batches would take 20 s and the 200 documents 100 s.
    assert!(elapsed >= Duration::from_millis(500) && elapsed < Duration::from_secs(10), "{elapsed:?}");
    worker.stop().await;
}
