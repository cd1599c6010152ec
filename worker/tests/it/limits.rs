//! The source's rate limit: kept, nearly reached, and obeyed where it is lower than we were told.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use mock_ats::{Ats, Face, Fault, FaultKind, MockServer, Pages as OnPages, Settings, Times};
use resume_core::{
    call_limit,
    collection::{CollectionState, NewCollection},
    source::{self, definition::Definition},
};

use resume_queue::{Limits, limit_queue};

use crate::{
    harness::{JSON_RESUMES, NUMBERED, Pipeline, SEED, collection_of, in_time},
    outcome::{Calls, Outcome, people},
};

/// The source allows a third of what we believe. It says so with 429 and `Retry-After`, and everything comes.
#[tokio::test(flavor = "multi_thread")]
async fn a_lower_limit_is_obeyed() {
    let pipeline = Pipeline::start_with(10, 30).await;
    let worker = pipeline.worker();
    let id = pipeline.collect(&collection_of(300, NUMBERED)).await;
    let outcome = pipeline.outcome(id).await;
    let stats = pipeline.mock.ats().stats();
    assert!(outcome.calls.rate_limited > 0);
    let calls = Calls { made: stats.calls as i64, rate_limited: stats.rate_limited as i64 };
    assert_eq!(outcome, Outcome { calls, ..Outcome::smooth(30, 300) });
    assert_eq!(stats.served, 30);
    assert_eq!(pipeline.resumes(NUMBERED).await, people(Face::TestData, SEED.into(), 300, false));
    assert_eq!(pipeline.most_attempts("make_call").await, 1, "a refusal uses no attempt");
    worker.stop().await;
}

/// A refusal silences the whole process for as long as the source asks.
#[tokio::test(flavor = "multi_thread")]
async fn retry_after_is_obeyed() {
    let pipeline = Pipeline::start().await;
    pipeline.set_fault(FaultKind::RateLimited { retry_after_seconds: 2 }, OnPages::One(1), Times::First(1));
    let worker = pipeline.worker();
    let begun = Instant::now();
    let id = pipeline.collect(&collection_of(10, NUMBERED)).await;
    let outcome = pipeline.outcome(id).await;
    assert!(begun.elapsed() >= Duration::from_secs(2));
    assert_eq!(outcome, Outcome { calls: Calls { made: 2, rate_limited: 1 }, ..Outcome::smooth(1, 10) });
    worker.stop().await;
}

/// At 30 calls a second: never one too many, and not far fewer. By the ledger: the mock, in the same two
/// cores, sees calls later than they left. The bench `limiter` counts arrivals, and has figures.
#[tokio::test(flavor = "multi_thread")]
async fn the_limit_is_kept_and_used() {
    const CALLS: u32 = 150;
    let pipeline = Pipeline::start_alone(2 * 30, 30).await;
    let worker = pipeline.worker();
    let calls = || pipeline.mock.ats().stats().calls;
    let id =
        pipeline.collect(&NewCollection { per_page: Some(2), ..collection_of(2 * CALLS, NUMBERED) }).await;
    let called = async |wanted| {
        while calls() < wanted {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Instant::now()
    };
    let first = in_time("the first call is made", called(1)).await;
    let last = in_time("the last call is made", called(CALLS.into())).await;
    let rate = f64::from(CALLS - 1) / (last - first).as_secs_f64();
    let stats = pipeline.mock.ats().stats();
    println!("{rate:.2} calls/s, at most {} in one second", stats.max_calls_in_one_second);
    assert_eq!(pipeline.outcome(id).await, Outcome::smooth(CALLS.into(), 2 * i64::from(CALLS)));
    assert_eq!((stats.calls, stats.rate_limited), (CALLS.into(), 0));
    let to = chrono::DateTime::from_timestamp(4_000_000_000, 0).unwrap();
    let period = call_limit::Period { from: chrono::DateTime::UNIX_EPOCH, to };
    let evidence = call_limit::evidence(&pipeline.pool, NUMBERED, period, &[]).await.unwrap();
    assert!(evidence.most_in_any_second <= 30, "{evidence:?}");
    // 29.4 on a machine of its own.
    assert!(rate >= 15.0, "{rate} calls/s");
    worker.stop().await;
}

/// A limit of the jobs of a key holds for each source, and for the whole queue there is none.
#[tokio::test(flavor = "multi_thread")]
async fn a_limit_for_each_key_holds_for_each_source() {
    // A job waits for leave to call, at one call a second, in its slot: without the limit all pages would.
    let pipeline = Pipeline::start_with(u32::MAX, 1).await;
    let limits = Limits { max_running: None, max_running_per_key: Some(2) };
    limit_queue(&pipeline.pool, "make_call", limits).await.unwrap();
    let ids = [
        pipeline.collect(&collection_of(40, NUMBERED)).await,
        pipeline.collect(&collection_of(40, JSON_RESUMES)).await,
    ];
    let worker = pipeline.worker();
    let mut most = BTreeMap::new();
    let all_ended = async {
        while pipeline.jobs("make_call").await != BTreeMap::from([("completed".to_owned(), 8)]) {
            for (source, running) in pipeline.fetching().await {
                let most = most.entry(source).or_insert(0);
                *most = running.max(*most);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    in_time("all pages are fetched", all_ended).await;
    assert_eq!(most, BTreeMap::from([(NUMBERED.to_owned(), 2), (JSON_RESUMES.to_owned(), 2)]));
    for id in ids {
        assert_eq!(pipeline.outcome(id).await, Outcome::smooth(4, 40));
    }
    assert_eq!(
        pipeline.keys("parse_documents").await,
        ids.map(|id| Some(id.to_string())).into(),
        "the documents of a collection have a limit of their own"
    );
    worker.stop().await;
}

impl Pipeline {
    /// How many pages of each source are on their way.
    async fn fetching(&self) -> BTreeMap<String, i64> {
        let rows = sqlx::query!(
            r#"select c.source as "source!", count(*) as "count!"
               from jobs j join collections c on c.id = j.collection_id::uuid
               where j.kind = 'make_call' and j.state = 'running' group by c.source"#
        );
        let rows = rows.fetch_all(&self.pool).await.unwrap();
        rows.into_iter().map(|row| (row.source, row.count)).collect()
    }

    /// How many calls are under way.
    async fn running(&self) -> i64 {
        let running = sqlx::query_scalar!(
            r#"select count(*) as "n!" from jobs where kind = 'make_call' and state = 'running'"#
        );
        running.fetch_one(&self.pool).await.unwrap()
    }

    /// The concurrency keys of the jobs of a kind.
    async fn keys(&self, kind: &str) -> BTreeSet<Option<String>> {
        let keys = sqlx::query_scalar!("select distinct concurrency_key from jobs where kind = $1", kind);
        keys.fetch_all(&self.pool).await.unwrap().into_iter().collect()
    }
}

/// One source asks for an hour of silence. Its pages wait in the queue, not in the slots that other sources
/// need.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_source_holds_nobody_else_up() {
    let pipeline = Pipeline::start().await;
    let silent = MockServer::start(Ats::new(Settings::without_latency())).await.unwrap();
    let refusal = FaultKind::RateLimited { retry_after_seconds: 3600 };
    silent.ats().set_faults(vec![Fault::new(refusal, OnPages::All, Times::Always)]);
    let definition = Definition::original("silent", &silent.url(), Face::TestData.path(), 30);
    source::put(&mut pipeline.pool.acquire().await.unwrap(), &definition).await.unwrap();
    let worker = pipeline.worker();
    let waiting = pipeline.collect(&collection_of(400, "silent")).await;
    pipeline.until(waiting, "the source has asked for silence", |p| p.counts.rate_limited > 0).await;
    let state = CollectionState::WaitingForSource;
    pipeline.until(waiting, "people can see it", |p| p.collection.state == state).await;
    let id = pipeline.collect(&collection_of(200, NUMBERED)).await;
    assert_eq!(pipeline.outcome(id).await, Outcome::smooth(20, 200));
    let begun = Instant::now();
    worker.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(5), "nobody sits out the silence at a shutdown");
}

/// A source asks for an hour by mistake. Somebody ends the silence: the process that was refused goes on at
/// once, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_silence_by_mistake_is_ended_by_hand() {
    let pipeline = Pipeline::start().await;
    let refusal = FaultKind::RateLimited { retry_after_seconds: 3600 };
    pipeline.set_fault(refusal, OnPages::One(3), Times::First(1));
    let worker = pipeline.worker();
    let id = pipeline.collect(&collection_of(300, NUMBERED)).await;
    let state = CollectionState::WaitingForSource;
    pipeline.until(id, "the silence is noted", |p| p.collection.state == state).await;
    in_time("the pages are put off", async {
        while pipeline.running().await > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let begun = Instant::now();
    let mut conn = pipeline.pool.acquire().await.unwrap();
    let released = call_limit::release(&mut conn, NUMBERED).await.unwrap();
    assert!(released.silent_until.is_some());
    let outcome = pipeline.outcome(id).await;
    assert_eq!((outcome.state, outcome.calls.rate_limited), (CollectionState::Completed, 1));
    assert!(
        begun.elapsed() < Duration::from_secs(25),
        "nobody waits for the next look: {:?}",
        begun.elapsed()
    );
    worker.stop().await;
}
