//! Collections that a job starts.

use std::{collections::BTreeMap, time::Duration};

use resume_core::{
    collection::{self, ListFilter},
    jobs::{NewCollection, StartCollection},
    source::{self, definition::OverlappingRuns},
};
use resume_queue::{JobId, enqueue};

use crate::{
    harness::{NUMBERED, Pipeline, SEED, in_time},
    outcome::Outcome,
};

fn start_of(source: &str) -> StartCollection {
    let (source, seed) = (source.to_owned(), Some(SEED));
    StartCollection(NewCollection {
        source,
        count: Some(20),
        per_page: Some(10),
        batch_size: 5,
        error_mode: false,
        full: false,
        seed,
        idempotency_key: None,
    })
}

async fn enqueued(pipeline: &Pipeline, job: &StartCollection) -> JobId {
    enqueue(&mut pipeline.pool.acquire().await.unwrap(), job).await.unwrap()
}

async fn until_ended(pipeline: &Pipeline, state: &str) {
    until_all_ended(pipeline, state, 1).await;
}

async fn until_all_ended(pipeline: &Pipeline, state: &str, jobs: i64) {
    let wanted = BTreeMap::from([(state.to_owned(), jobs)]);
    in_time("the job ends", async {
        while pipeline.jobs("start_collection").await != wanted {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_starts_one_collection() {
    let pipeline = Pipeline::start().await;
    let worker = pipeline.worker();
    let job = start_of(NUMBERED);
    let id = enqueued(&pipeline, &job).await;
    until_ended(&pipeline, "completed").await;
    // What another attempt at the job would start is there already.
    let started = pipeline.collect(&job.collection_of(id)).await;
    assert_eq!(collection::list(&pipeline.pool, &ListFilter::default(), None, 10).await.unwrap().len(), 1);
    assert_eq!(pipeline.outcome(started).await, Outcome::smooth(2, 20));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_gone_is_not_tried_again() {
    let pipeline = Pipeline::start().await;
    let worker = pipeline.worker();
    enqueued(&pipeline, &start_of("nowhere")).await;
    until_ended(&pipeline, "discarded").await;
    assert_eq!(pipeline.most_attempts("start_collection").await, 1);
    assert!(collection::list(&pipeline.pool, &ListFilter::default(), None, 10).await.unwrap().is_empty());
    worker.stop().await;
}

/// Ticks of a schedule while a collection is paused: none fails, and of a line of collections there is no
/// pile.
#[tokio::test(flavor = "multi_thread")]
async fn ticks_that_overlap_are_let_go() {
    for (policy, wanted) in [(OverlappingRuns::Refuse, 1), (OverlappingRuns::Queue, 2)] {
        let pipeline = Pipeline::start().await;
        let mut conn = pipeline.pool.acquire().await.unwrap();
        let mut definition = source::find(&mut conn, NUMBERED).await.unwrap().unwrap().definition;
        definition.overlapping_runs = policy;
        source::put(&mut conn, &definition).await.unwrap();
        let first = pipeline.collect(&start_of(NUMBERED).collection_of(0)).await;
        collection::pause(&mut conn, first).await.unwrap();
        let worker = pipeline.worker();
        for _ in 0..5 {
            enqueued(&pipeline, &start_of(NUMBERED)).await;
        }
        until_all_ended(&pipeline, "completed", 5).await;
        assert_eq!(pipeline.most_attempts("start_collection").await, 1);
        let all = collection::list(&pipeline.pool, &ListFilter::default(), None, 10).await.unwrap();
        assert_eq!(all.len(), wanted, "{policy:?}");
        // The one that waits goes all the way when it is its turn.
        let mut tx = pipeline.pool.begin().await.unwrap();
        collection::cancel(&mut tx, first).await.unwrap();
        tx.commit().await.unwrap();
        if policy == OverlappingRuns::Queue {
            pipeline.ended(all[0].id).await;
        }
        worker.stop().await;
    }
}
