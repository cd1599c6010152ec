//! Every call may fail in one of five ways, drawn by a seed: everything comes all the same, once.

use mock_ats::{Face, FaultKind, Pages as OnPages, Times};

use crate::{
    harness::{NEXT_LINK, NUMBERED, Pipeline, SEED, collection_of},
    outcome::{Calls, Outcome, people},
};

/// No call of the first `bound` of a page is whole: a fifth are refused, a fifth get 500, a fifth no answer,
/// a fifth half of one, a fifth one that is no JSON. Every page comes with the call after these.
async fn all_comes(source: &str, pages: u32, seed: u64, bound: u32, rate_limited: i64) {
    let pipeline = Pipeline::start().await;
    pipeline.set_fault(FaultKind::Random { seed, percent_each: 20 }, OnPages::All, Times::First(bound));
    let worker = pipeline.worker();
    let id = pipeline.collect(&collection_of(10 * pages, source)).await;
    let outcome = pipeline.outcome(id).await;
    let calls = Calls { made: i64::from(pages * (bound + 1)), rate_limited };
    let smooth = Outcome::smooth(pages.into(), i64::from(10 * pages));
    assert_eq!(outcome, Outcome { calls, ..smooth });
    let stats = pipeline.mock.ats().stats();
    assert_eq!((stats.calls as i64, stats.rate_limited as i64), (calls.made, calls.rate_limited));
    let expected = people(Face::TestData, SEED.into(), u64::from(10 * pages), false);
    assert_eq!(pipeline.resumes(source).await, expected);
    worker.stop().await;
}

/// Side by side. Answers that are no JSON stand between those that fail, for five failures in a row would
/// open the circuit.
#[tokio::test(flavor = "multi_thread")]
async fn random_faults_of_numbered_pages_pass() {
    all_comes(NUMBERED, 16, 7, 1, 3).await;
}

/// One after the other, each of which fails twice.
#[tokio::test(flavor = "multi_thread")]
async fn random_faults_of_linked_pages_pass() {
    all_comes(NEXT_LINK, 5, 71, 2, 2).await;
}
