//! Collections that are paused and cancelled while workers are at them.

use std::time::Duration;

use mock_ats::Face;
use resume_core::{
    collection::{self, CollectionState, Continued, Scope},
    db,
};
use uuid::Uuid;

use crate::{
    harness::{NEXT_LINK, NUMBERED, Pipeline, SEED, collection_of, in_time},
    outcome::{Outcome, people},
};

impl Pipeline {
    async fn pause_collection(&self, id: Uuid) {
        let mut tx = db::begin(&self.pool).await.unwrap();
        collection::pause(&mut tx, id).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn cancel_collection(&self, id: Uuid) {
        let mut tx = db::begin(&self.pool).await.unwrap();
        collection::cancel(&mut tx, id).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Waits until no job is left but those that have ended.
    async fn until_quiet(&self) {
        let live = async || {
            let count = sqlx::query_scalar!(r#"select count(*) as "count!" from queue.live_jobs"#);
            count.fetch_one(&self.pool).await.unwrap()
        };
        let waiting = async {
            while live().await > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        in_time("no job is left", waiting).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_that_is_paused_while_it_fetches_goes_on_and_gets_everything_once() {
    for source in [NUMBERED, NEXT_LINK] {
        let pipeline = Pipeline::start_with(u32::MAX, 50).await;
        let worker = pipeline.worker();
        let id = pipeline.collect(&collection_of(2000, source)).await;
        for pages in [5, 30] {
            pipeline.until(id, "some pages are there", |progress| progress.counts.done >= pages).await;
            pipeline.pause_collection(id).await;
            pipeline.until_quiet().await;
            let paused = pipeline.progress(id).await;
            assert_eq!(paused.collection.state, CollectionState::Paused, "{source}: {paused:#?}");
            assert!(paused.counts.done < 200 && paused.counts.parsed == paused.counts.stored, "{paused:#?}");
            assert!(pipeline.continue_collection(id).await > 0);
        }
        let ended = pipeline.ended(id).await;
        assert_eq!(ended.collection.state, CollectionState::Completed, "{ended:#?}");
        assert_eq!((ended.counts.stored, ended.counts.parsed, ended.counts.made), (2000, 2000, 200));
        assert_eq!(pipeline.resumes(source).await, people(Face::TestData, SEED.into(), 2000, false));
        worker.stop().await;
    }
}

/// Again and again, without waiting for anything, while workers die.
#[tokio::test(flavor = "multi_thread")]
async fn pauses_and_crashes_in_any_moment_lose_nothing() {
    let pipeline = Pipeline::start_with(u32::MAX, 50).await;
    let id = pipeline.collect(&collection_of(1000, NUMBERED)).await;
    let mut worker = pipeline.worker();
    for pages in [5, 15, 30, 50] {
        pipeline.until(id, "some pages are there", |progress| progress.counts.done >= pages).await;
        pipeline.pause_collection(id).await;
        pipeline.continue_collection(id).await;
        pipeline.pause_collection(id).await;
        worker.crash().await;
        worker = pipeline.worker();
        pipeline.continue_collection(id).await;
    }
    let ended = pipeline.ended(id).await;
    assert_eq!(ended.collection.state, CollectionState::Completed, "{ended:#?}");
    assert_eq!((ended.counts.stored, ended.counts.parsed), (1000, 1000));
    assert_eq!(pipeline.resumes(NUMBERED).await, people(Face::TestData, SEED.into(), 1000, false));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_that_is_cancelled_while_it_parses_ends_at_once_and_accounts_for_everything() {
    let pipeline = Pipeline::start().await;
    let worker = pipeline.slow_worker(Duration::from_secs(3600));
    let id = pipeline.collect(&collection_of(100, NUMBERED)).await;
    pipeline.until(id, "all pages are there", |progress| progress.counts.done == 10).await;
    pipeline.until_running("parse_documents", 20).await;
    pipeline.cancel_collection(id).await;
    assert_eq!(pipeline.progress(id).await.collection.state, CollectionState::Cancelled);
    pipeline.until_quiet().await;
    let cancelled = pipeline.progress(id).await;
    assert_eq!(cancelled.collection.state, CollectionState::Cancelled);
    assert_eq!((cancelled.counts.stored, cancelled.counts.parsed, cancelled.failed()), (100, 0, 100));
    assert_eq!(cancelled.errors[0].code, "cancelled_by_request");
    worker.stop().await;

    let worker = pipeline.worker();
    let resumed = pipeline.continue_with(id, Scope::default()).await;
    assert_eq!(resumed, Continued { calls: 0, documents: 100 });
    assert_eq!(pipeline.outcome(id).await, Outcome::smooth(10, 100));
    assert_eq!(pipeline.resumes(NUMBERED).await, people(Face::TestData, SEED.into(), 100, false));
    worker.stop().await;
}

/// Without waiting for the end of its jobs: some are ended, some run, some wait.
#[tokio::test(flavor = "multi_thread")]
async fn a_collection_that_goes_on_right_after_it_was_cancelled_parses_everything() {
    let pipeline = Pipeline::start_with(u32::MAX, 50).await;
    let worker = pipeline.worker();
    let id = pipeline.collect(&collection_of(300, NUMBERED)).await;
    for pages in [3, 10, 20] {
        pipeline.until(id, "some pages are there", |progress| progress.counts.done >= pages).await;
        pipeline.cancel_collection(id).await;
        pipeline.continue_with(id, Scope::default()).await;
    }
    let ended = pipeline.ended(id).await;
    assert_eq!(ended.collection.state, CollectionState::Completed, "{ended:#?}");
    assert_eq!((ended.counts.stored, ended.counts.parsed, ended.failed()), (300, 300, 0));
    assert_eq!(pipeline.resumes(NUMBERED).await, people(Face::TestData, SEED.into(), 300, false));
    worker.stop().await;
}
