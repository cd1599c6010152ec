//! Workers that stop, workers that die, and a database that restarts, all in the middle of a collection.

use std::time::Duration;

use mock_ats::Face;
use resume_core::db::migrators;
use resume_postgres::{RestartMode, testing::TestDatabase};

use crate::{
    harness::{NUMBERED, Pipeline, SEED, collection_of, in_time},
    outcome::{Outcome, people},
};

/// What was begun is finished, the rest is handed back, and nothing is fetched twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stops_leaves_the_rest_to_the_next() {
    let pipeline = Pipeline::start_with(u32::MAX, 50).await;
    let first = pipeline.worker();
    let id = pipeline.collect(&collection_of(500, NUMBERED)).await;
    pipeline.until(id, "a fifth is fetched", |progress| progress.counts.done >= 10).await;
    first.stop().await;
    let stopped = pipeline.progress(id).await;
    assert!(!stopped.collection.state.is_over());
    assert_eq!(stopped.counts.made, stopped.counts.done);

    let second = pipeline.worker();
    assert_eq!(pipeline.outcome(id).await, Outcome::smooth(50, 500));
    assert_eq!(pipeline.resumes(NUMBERED).await, people(Face::TestData, SEED.into(), 500, false));
    assert_eq!(pipeline.mock.ats().stats().calls, 50);
    assert_eq!(pipeline.most_attempts("make_call").await, 1, "a job handed back has lost no attempt");
    second.stop().await;
}

/// Jobs that outlast the grace time go back as if they had never run.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stops_does_not_wait_for_slow_parsers() {
    let pipeline = Pipeline::start().await;
    let slow = pipeline.slow_worker(Duration::from_secs(600));
    let id = pipeline.collect(&collection_of(100, NUMBERED)).await;
    pipeline.until_running("parse_documents", 20).await;
    slow.stop().await;
    pipeline.until_running("parse_documents", 0).await;

    let worker = pipeline.worker();
    assert_eq!(pipeline.outcome(id).await, Outcome::smooth(10, 100));
    assert_eq!(pipeline.most_attempts("parse_documents").await, 1);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_loses_nothing() {
    let pipeline = Pipeline::start_with(u32::MAX, 50).await;
    let first = pipeline.worker();
    let id = pipeline.collect(&collection_of(500, NUMBERED)).await;
    pipeline.until(id, "a fifth is fetched", |progress| progress.counts.done >= 10).await;
    first.crash().await;

    let second = pipeline.worker();
    assert_eq!(pipeline.outcome(id).await, Outcome::smooth(50, 500));
    assert_eq!(pipeline.resumes(NUMBERED).await, people(Face::TestData, SEED.into(), 500, false));
    // Only pages that were under way when it died were fetched again.
    let calls = pipeline.mock.ats().stats().calls;
    assert!((50..=50 + 16).contains(&calls), "{calls} calls");
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_restarts_loses_nothing() {
    let database = TestDatabase::on_own_cluster(&migrators()).await.unwrap();
    let cluster = database.cluster().clone();
    let pipeline = Pipeline::start_on(database, u32::MAX, 50).await;
    let worker = pipeline.worker();
    let id = pipeline.collect(&collection_of(500, NUMBERED)).await;
    for (mode, fetched) in [(RestartMode::Fast, 10), (RestartMode::Immediate, 20)] {
        pipeline.until(id, "more is fetched", |progress| progress.counts.done >= fetched).await;
        let cluster = cluster.clone();
        let restarting = tokio::task::spawn_blocking(move || cluster.restart(mode));
        in_time("Postgres is back", restarting).await.unwrap().unwrap();
    }
    let outcome = pipeline.outcome(id).await;
    // A call whose page could not be stored is made again, and is not always counted.
    assert_eq!(Outcome { calls: Outcome::smooth(50, 500).calls, ..outcome }, Outcome::smooth(50, 500));
    assert_eq!(pipeline.resumes(NUMBERED).await, people(Face::TestData, SEED.into(), 500, false));
    worker.stop().await;
}
