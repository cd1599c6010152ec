//! Sources whose calls carry a token: what becomes of a collection whose token has expired, or that gets
//! none.

use mock_ats::{Api, FaultKind, Pages as OnPages, Times};
use resume_core::{
    call_limit,
    collection::{CollectionState, Progress},
};

use crate::{
    outcome::Outcome,
    source_faults::{Faulty, PEOPLE, made},
};

const API: Api = Api::GreenhouseV3;

/// The endpoint takes the client's secret no more, and then another one. That is no fault of the pages, and
/// the endpoint is not asked again for each of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_collection_waits_for_a_token() {
    let faulty = Faulty::start(API).await;
    faulty.pipeline.mock.ats().set_token_calls(API, 1);
    faulty.set_fault(FaultKind::CredentialsRotate, OnPages::One(2), Times::First(1));
    let worker = faulty.pipeline.worker();
    let id = faulty.collect().await;
    let waiting = |p: &Progress| {
        let is_waiting = p.collection.state == CollectionState::WaitingForSource;
        is_waiting && p.errors.iter().any(|error| error.code == "token_http_401")
    };
    let progress = faulty.pipeline.until(id, "the collection waits", waiting).await;
    assert_eq!((progress.counts.done, progress.counts.failed_calls), (1, 0));
    let state = call_limit::state(&faulty.pipeline.pool, API.name()).await.unwrap().unwrap();
    assert_eq!(state.openings, 0, "the source is not asked");

    faulty.put_key("mock-key-2");
    let outcome = faulty.pipeline.outcome(id).await;
    assert_eq!((outcome.state, outcome.pages.failed), (CollectionState::Completed, 0));
    assert_eq!(outcome.documents, Outcome::smooth(3, PEOPLE.into()).documents);
    worker.stop().await;
}

/// Each token is good for one call: every second call finds its token expired, and none of that counts
/// against the source.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_expire_do_not_open_the_circuit() {
    let faulty = Faulty::start(API).await;
    faulty.pipeline.mock.ats().set_token_calls(API, 1);
    let (outcome, _) = faulty.collected().await;
    // Three pages, the last two of which were asked for with an old token before.
    assert_eq!(outcome.calls, made(5));
    assert_eq!(Outcome { calls: made(3), ..outcome }, Outcome::smooth(3, PEOPLE.into()));
    let state = call_limit::state(&faulty.pipeline.pool, API.name()).await.unwrap().unwrap();
    assert_eq!((state.failed, state.openings, state.silent_until), (0, 0, None));
    assert_eq!(state.under_way, 0);
}
