//! Faults of a source whose pages name their followers.

use mock_ats::{Face, FaultKind, Pages as OnPages, Times};
use resume_core::collection::CollectionState;

use crate::{
    harness::{NEXT_LINK, Pipeline, SEED, collection_of},
    outcome::{Calls, Documents, Outcome, Pages, people},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_link_back_to_the_first_page_ends_the_collection() {
    // From the last page, from the middle, and from the first page itself.
    for (last, collected) in [(20, 200), (5, 50), (1, 10)] {
        let pipeline = Pipeline::start().await;
        pipeline.set_fault(FaultKind::NextLoops, OnPages::One(last), Times::Always);
        let worker = pipeline.worker();
        let id = pipeline.collect(&collection_of(200, NEXT_LINK)).await;
        // The first page is read again before it is known: its address was ours, and the link is the
        // source's.
        let read = i64::from(last) + 1;
        assert_eq!(
            pipeline.outcome(id).await,
            Outcome {
                state: CollectionState::CompletedWithErrors,
                pages: Pages { expected: read, fetched: read, failed: 0 },
                documents: Documents { stored: collected, unchanged: 10, parsed: collected, failed: 0 },
                calls: Calls { made: read, rate_limited: 0 },
                errors: vec![("next_link_loop".to_owned(), 1)],
            }
        );
        let expected = people(Face::TestData, SEED.into(), collected.unsigned_abs(), false);
        assert_eq!(pipeline.resumes(NEXT_LINK).await, expected);
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_breaks_is_resumed_where_it_broke() {
    let pipeline = Pipeline::start().await;
    pipeline.set_fault(FaultKind::Status(404), OnPages::One(3), Times::Always);
    let worker = pipeline.worker();
    let id = pipeline.collect(&collection_of(200, NEXT_LINK)).await;
    assert_eq!(
        pipeline.outcome(id).await,
        Outcome {
            state: CollectionState::CompletedWithErrors,
            pages: Pages { expected: 20, fetched: 2, failed: 1 },
            documents: Documents { stored: 20, unchanged: 0, parsed: 20, failed: 0 },
            calls: Calls { made: 3, rate_limited: 0 },
            errors: vec![("source_http_404".to_owned(), 1)],
        }
    );
    pipeline.mock.ats().set_faults([]);
    assert_eq!(pipeline.continue_collection(id).await, 1);
    let smooth = Outcome::smooth(20, 200);
    assert_eq!(pipeline.outcome(id).await, Outcome { calls: Calls { made: 21, rate_limited: 0 }, ..smooth });
    assert_eq!(pipeline.resumes(NEXT_LINK).await, people(Face::TestData, SEED.into(), 200, false));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_errors_pass() {
    let pipeline = Pipeline::start().await;
    pipeline.set_fault(FaultKind::Status(502), OnPages::One(7), Times::First(1));
    let worker = pipeline.worker();
    let id = pipeline.collect(&collection_of(100, NEXT_LINK)).await;
    let smooth = Outcome::smooth(10, 100);
    assert_eq!(pipeline.outcome(id).await, Outcome { calls: Calls { made: 11, rate_limited: 0 }, ..smooth });
    worker.stop().await;
}
