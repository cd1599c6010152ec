//! Several workers and one source: its limit is the whole fleet's.

use std::time::{Duration, Instant};

use mock_ats::{Fault, FaultKind, Pages as OnPages, Times};
use resume_core::{
    call_limit::{self, Circuit},
    collection::NewCollection,
};

use crate::{
    harness::{NEXT_LINK, NUMBERED, Pipeline, collection_of, in_time},
    outcome::Outcome,
};

impl Pipeline {
    /// What holds for the calls to a source, once one was made.
    async fn limit_state(&self, source: &str) -> call_limit::State {
        let asking = async {
            loop {
                if let Some(state) = call_limit::state(&self.pool, source).await.unwrap() {
                    return state;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        in_time("a permit is asked for", asking).await
    }

    async fn until_limit(&self, source: &str, what: &str, wanted: impl Fn(&call_limit::State) -> bool) {
        let waiting = async {
            while !wanted(&self.limit_state(source).await) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        in_time(what, waiting).await;
    }
}

/// Four workers, of which one dies in the middle: together never more than 30 calls leave in any second.
#[tokio::test(flavor = "multi_thread")]
async fn four_workers_share_one_limit() {
    const CALLS: u32 = 150;
    // The mock, which shares two cores with the workers, sees some calls later than they left: what it would
    // refuse is no measure. The bench `limiter` counts arrivals.
    let pipeline = Pipeline::start_alone(2 * 30, 30).await;
    let mut workers: Vec<_> = (0..4).map(|_| pipeline.worker()).collect();
    let begun = Instant::now();
    let id =
        pipeline.collect(&NewCollection { per_page: Some(2), ..collection_of(2 * CALLS, NUMBERED) }).await;
    pipeline.until(id, "a third is fetched", |p| p.counts.done >= i64::from(CALLS / 3)).await;
    workers.pop().unwrap().crash().await;
    let progress = pipeline.ended(id).await;
    let rate = f64::from(CALLS) / begun.elapsed().as_secs_f64();
    let stats = pipeline.mock.ats().stats();
    println!("{rate:.2} calls/s, at most {} in one second", stats.max_calls_in_one_second);
    assert_eq!((progress.counts.done, progress.counts.failed_calls), (CALLS.into(), 0));
    assert_eq!(stats.rate_limited, 0);
    let to = chrono::DateTime::from_timestamp(4_000_000_000, 0).unwrap();
    let period = call_limit::Period { from: chrono::DateTime::UNIX_EPOCH, to };
    let evidence = call_limit::evidence(&pipeline.pool, NUMBERED, period, &[]).await.unwrap();
    assert!(evidence.calls >= stats.calls as i64, "the ledger has every call: {evidence:?}");
    assert!(evidence.most_in_any_second <= 30, "{evidence:?}");
    for worker in workers {
        worker.stop().await;
    }
}

/// A source that fails is left in peace, and the collection goes on by itself when it is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_fails_is_left_in_peace() {
    let pipeline = Pipeline::start().await;
    pipeline.set_fault(FaultKind::Status(500), OnPages::All, Times::Always);
    let worker = pipeline.worker();
    let id = pipeline.collect(&collection_of(320, NUMBERED)).await;
    pipeline.until_limit(NUMBERED, "the circuit opens", |state| state.openings > 0).await;
    // 32 pages are wanted; those under way when it opened were at most as many as there are slots.
    pipeline.until_limit(NUMBERED, "the last call ends", |state| state.under_way == 0).await;
    assert!(pipeline.mock.ats().stats().calls < 32, "{:?}", pipeline.mock.ats().stats());
    pipeline.mock.ats().set_faults(Vec::<Fault>::new());
    let progress = pipeline.ended(id).await;
    assert_eq!((progress.counts.done, progress.counts.failed_calls), (32, 0));
    assert_eq!(pipeline.limit_state(NUMBERED).await.circuit, Circuit::Closed);
    worker.stop().await;
}

/// Held back by hand, a source gets no call; released, it gets those that waited.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_held_gets_no_call() {
    let pipeline = Pipeline::start().await;
    call_limit::hold(&mut pipeline.pool.acquire().await.unwrap(), NUMBERED).await.unwrap();
    let worker = pipeline.worker();
    let held = pipeline.collect(&collection_of(100, NUMBERED)).await;
    let other = pipeline.collect(&collection_of(20, NEXT_LINK)).await;
    assert_eq!(pipeline.outcome(other).await, Outcome::smooth(2, 20));
    assert_eq!(pipeline.progress(held).await.counts.made, 0);
    let released = call_limit::release(&mut pipeline.pool.acquire().await.unwrap(), NUMBERED).await;
    assert!(released.unwrap().was_stopped);
    assert_eq!(pipeline.outcome(held).await, Outcome::smooth(10, 100));
    worker.stop().await;
}

/// 401 on every page: a thousand pages do not call a door that is shut.
#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_are_refused_stop_the_calls() {
    let pipeline = Pipeline::start().await;
    pipeline.set_fault(FaultKind::Status(401), OnPages::All, Times::Always);
    let worker = pipeline.worker();
    pipeline.collect(&collection_of(1000, NUMBERED)).await;
    pipeline.until_limit(NUMBERED, "the circuit opens", |state| state.openings > 0).await;
    pipeline.until_limit(NUMBERED, "the last call ends", |state| state.under_way == 0).await;
    let calls = pipeline.mock.ats().stats().calls;
    assert!((3..=16 + 3).contains(&calls), "{calls} calls");
    worker.stop().await;
}
