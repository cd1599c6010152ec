//! Sources and collections that want the same slots.

use mock_ats::Face;
use resume_core::{
    collection::CollectionState,
    source::{self, definition::Definition},
};

use crate::harness::{NUMBERED, Pipeline, collection_of};

/// A source that answers at once and allows so few calls that all pages that are on their way wait in slots.
const SLOW: &str = "slow";

impl Pipeline {
    async fn with_slow_source(calls_per_second: u32) -> Self {
        let pipeline = Self::start().await;
        let slow = Definition::original(SLOW, &pipeline.mock.url(), Face::TestData.path(), calls_per_second);
        source::put(&mut pipeline.pool.acquire().await.unwrap(), &slow).await.unwrap();
        pipeline
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_source_keeps_no_other_waiting() {
    let pipeline = Pipeline::with_slow_source(1).await;
    let worker = pipeline.worker();
    let slow = pipeline.collect(&collection_of(1000, SLOW)).await;
    pipeline.until_running("make_call", 16).await;
    let id = pipeline.collect(&collection_of(30, NUMBERED)).await;
    assert_eq!(pipeline.ended(id).await.collection.state, CollectionState::Completed);
    // Were it behind the pages that wait, it would come after more than these.
    let meanwhile = pipeline.progress(slow).await.counts.done;
    assert!(meanwhile < 16, "{meanwhile} pages of the slow source came before");
    worker.crash().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_collection_keeps_no_small_one_of_its_source_waiting() {
    let pipeline = Pipeline::with_slow_source(4).await;
    let worker = pipeline.worker();
    let large = pipeline.collect(&collection_of(1000, SLOW)).await;
    pipeline.until_running("make_call", 16).await;
    let before = pipeline.progress(large).await.counts.done;
    let small = pipeline.collect(&collection_of(10, SLOW)).await;
    assert_eq!(pipeline.ended(small).await.collection.state, CollectionState::Completed);
    // The next page of the large one that ends makes room; then each has every other call.
    let meanwhile = pipeline.progress(large).await.counts.done - before;
    assert!(meanwhile < 8, "{meanwhile} pages of the large one came before the only page of the small one");
    worker.crash().await;
}
