//! Shutting down in order, and ways of ending without.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use apalis::prelude::{WorkerBuilder, WorkerBuilderExt};
use resume_queue::{JobState, Lease, QueueConfig, Session};
use tokio::sync::Semaphore;

use crate::support::*;

type Ending = Pin<Box<dyn Future<Output = HandlerResult> + Send>>;

/// Handlers that wait for a permit; the counter tells how many were dropped.
fn gated(
    gate: &Arc<Semaphore>,
    dropped: &Arc<AtomicUsize>,
) -> impl Fn(Work, Lease) -> Ending + Send + Sync + use<> {
    let (gate, dropped) = (gate.clone(), dropped.clone());
    move |_, _| {
        let (gate, dropped) = (gate.clone(), CountDrop(dropped.clone()));
        Box::pin(async move {
            gate.acquire().await?.forget();
            drop(dropped);
            Ok(())
        })
    }
}

async fn stopped_workers(database: &resume_postgres::testing::TestDatabase) -> i64 {
    number(database.pool(), "select count(*) from queue.workers where stopped_at is not null").await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn running_jobs_finish_and_nothing_more_is_claimed() {
    let database = database().await;
    let pool = database.pool();
    let (gate, dropped) = (Arc::new(Semaphore::new(0)), Arc::default());
    let worker = TestWorker::start(database.url()).await.work(3, gated(&gate, &dropped));
    let ids = enqueue_many(pool, 10, |n| Work { n }).await;
    until_state(pool, ids[2], JobState::Running).await;
    let stopping = tokio::spawn(worker.stop());
    // The three handlers end while the shutdown waits for them.
    gate.add_permits(10);
    in_time("the worker stops", stopping).await.unwrap();
    let states: Vec<JobState> = jobs(pool).await.iter().map(|job| job.state).collect();
    assert_eq!(states.iter().filter(|state| **state == JobState::Running).count(), 0);
    for job in jobs(pool).await {
        let expected = if job.state == JobState::Completed { 1 } else { 0 };
        assert_eq!((job.attempt, job.errors), (expected, None));
    }
    assert_eq!(stopped_workers(&database).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_finish_goes_back_without_an_attempt() {
    let database = database().await;
    let pool = database.pool();
    let (gate, dropped) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let worker = TestWorker::start(database.url()).await.work(3, gated(&gate, &dropped));
    let ids = enqueue_many(pool, 5, |n| Work { n }).await;
    until_state(pool, ids[2], JobState::Running).await;
    worker.stop_within(Duration::from_millis(100)).await;
    assert_eq!(dropped.load(Ordering::SeqCst), 3, "the handlers were dropped");
    for job in jobs(pool).await {
        assert_eq!(
            (job.state, job.attempt, job.errors, job.started_at),
            (JobState::Available, 0, None, None)
        );
    }
    assert_eq!(stopped_workers(&database).await, 1);
}

/// A handler that never comes to an `.await` cannot be dropped. The shutdown does not wait for it, and its
/// late end is void.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_handler_that_blocks_its_thread_does_not_hold_up_the_shutdown() {
    let database = database().await;
    let pool = database.pool();
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let blocked = Arc::new(std::sync::Mutex::new(blocked));
    let worker = TestWorker::start(database.url()).await.work(1, move |_: Work, _| {
        let blocked = blocked.clone();
        async move {
            // Ends when the test drops its end, or by itself.
            let _ = blocked.lock().unwrap().recv_timeout(DEADLINE);
            Ok(())
        }
    });
    let id = enqueue_many(pool, 1, |n| Work { n }).await[0];
    until_state(pool, id, JobState::Running).await;
    let (session, runs) = worker.into_parts();
    let start = Instant::now();
    in_time("the session shuts down", session.shutdown(Duration::from_millis(100))).await;
    eprintln!("shutdown beside a blocking handler: {:?}", start.elapsed());
    let job = job(pool, id).await;
    assert_eq!((job.state, job.attempt), (JobState::Available, 0));
    drop(release);
    for run in runs {
        // apalis itself waits for every handler.
        in_time("the apalis worker ends", run).await.unwrap().unwrap();
    }
    assert_eq!(jobs(pool).await, [job]);
}

/// Jobs that are claimed and wait before a layer of apalis that limits the handlers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claimed_jobs_that_were_not_started_go_back() {
    let database = database().await;
    let pool = database.pool();
    let (gate, dropped) = (Arc::new(Semaphore::new(0)), Arc::default());
    let own_pool = super::support::pool(database.url(), 5).await;
    let session = Session::start(own_pool, settings("test")).await.unwrap();
    let apalis = WorkerBuilder::new("test")
        .backend(session.backend::<Work>(QueueConfig::fixed(4)))
        .data(Handler::new(gated(&gate, &dropped)))
        .concurrency(1)
        .build(handle::<Work>);
    let run = tokio::spawn(apalis.run());
    let ids = enqueue_many(pool, 4, |n| Work { n }).await;
    for id in &ids {
        until_state(pool, *id, JobState::Running).await;
    }
    gate.add_permits(1);
    until("one is done", || async { (completed_jobs(pool).await == 1).then_some(()) }).await;
    in_time("the session shuts down", session.shutdown(Duration::from_millis(100))).await;
    in_time("the apalis worker ends", run).await.unwrap().unwrap();
    for id in &ids[1..] {
        let job = job(pool, *id).await;
        assert_eq!((job.state, job.attempt, job.errors), (JobState::Available, 0, None));
    }
    assert_eq!(stopped_workers(&database).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_worker_shuts_down_too() {
    let database = database().await;
    let pool = database.pool();
    let own_pool = super::support::pool(database.url(), 5).await;
    let session = Session::start(own_pool, settings("test")).await.unwrap();
    let apalis = WorkerBuilder::new("test")
        .backend(session.backend::<Work>(QueueConfig::fixed(4)))
        .data(Handler::new(|_: Work, _| async { Ok(()) }))
        .build(handle::<Work>);
    let paused = Arc::new(std::sync::OnceLock::new());
    let context = paused.clone();
    let run = tokio::spawn(apalis.run_with_ctx(move |worker| {
        let context = context.clone();
        async move {
            until("the worker runs", || async { worker.is_running().then_some(()) }).await;
            worker.pause().unwrap();
            context.set(worker).unwrap();
            Ok(())
        }
    }));
    until("the worker is paused", || async { paused.get().map(drop) }).await;
    let id = enqueue_many(pool, 1, |n| Work { n }).await[0];
    let per_second = transactions_per_second(pool, Duration::from_secs(3)).await;
    assert!(per_second < 50.0, "a paused worker looks {per_second} times a second");
    // A claim that was under way at the pause may have taken it, and gives it back.
    until_state(pool, id, JobState::Available).await;
    in_time("the session shuts down", session.shutdown(DEADLINE)).await;
    in_time("the apalis worker ends", run).await.unwrap().unwrap();
    assert_eq!(stopped_workers(&database).await, 1);
}

/// Promise: under 0.2 s.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_session_shuts_down_fast() {
    let database = database().await;
    let worker = TestWorker::start(database.url()).await.work(5, |_: Work, _| async { Ok(()) });
    idle(database.pool()).await;
    let start = Instant::now();
    worker.stop().await;
    let took = start.elapsed();
    eprintln!("shutdown of an idle session: {took:?}");
    assert!(took < Duration::from_millis(200), "{took:?}");
    assert_eq!(stopped_workers(&database).await, 1);
}

/// As `tokio::select!` does with a signal: the future of the apalis worker is dropped with jobs in its hands,
/// and the session lives on. The jobs must not be kept for ever by its heartbeats.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_of_a_dropped_apalis_worker_go_back_at_once() {
    let database = database().await;
    let pool = database.pool();
    let (gate, dropped) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let own_pool = super::support::pool(database.url(), 5).await;
    let session = Session::start(own_pool, settings("test")).await.unwrap();
    // A copy of the lease outlives its handler.
    let kept = Seen::new();
    let (keeper, waiting) = (kept.clone(), gated(&gate, &dropped));
    let keeping = move |work: Work, lease: Lease| {
        keeper.note(lease.clone());
        waiting(work, lease)
    };
    let apalis = WorkerBuilder::new("test")
        .backend(session.backend::<Work>(QueueConfig::fixed(4)))
        .data(Handler::new(keeping))
        .concurrency(2)
        .build(handle::<Work>);
    let run = tokio::spawn(apalis.run());
    let ids = enqueue_many(pool, 6, |n| Work { n }).await;
    // Two of them run and two wait in the channel.
    for id in &ids[..4] {
        until_state(pool, *id, JobState::Running).await;
    }
    run.abort();
    for id in &ids {
        until_state(pool, *id, JobState::Available).await;
        assert_eq!(job(pool, *id).await.attempt, 0);
    }
    assert_eq!(kept.all().len(), 2);
    // The session can have another worker.
    let again = WorkerBuilder::new("test")
        .backend(session.backend::<Work>(QueueConfig::fixed(4)))
        .data(Handler::new(gated(&gate, &dropped)))
        .build(handle::<Work>);
    let run = tokio::spawn(again.run());
    gate.add_permits(6);
    assert_eq!(until_all_ended(pool).await, 6);
    in_time("the session shuts down", session.shutdown(DEADLINE)).await;
    in_time("the apalis worker ends", run).await.unwrap().unwrap();
}

/// Without a shutdown it is like a crash: handlers are stopped, and another worker takes the jobs within
/// seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_a_session_is_a_crash() {
    let database = database().await;
    let pool = database.pool();
    let (gate, dropped) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let worker = TestWorker::start(database.url()).await.work(2, gated(&gate, &dropped));
    let ids = enqueue_many(pool, 2, |n| Work { n }).await;
    for id in &ids {
        until_state(pool, *id, JobState::Running).await;
    }
    let other = TestWorker::start(database.url()).await.work(5, |_: Work, _| async { Ok(()) });
    let (session, runs) = worker.into_parts();
    drop(session);
    assert_eq!(until_all_ended(pool).await, 2);
    assert_eq!(dropped.load(Ordering::SeqCst), 2);
    for job in jobs(pool).await {
        assert_eq!((job.attempt, job.last_error.as_deref()), (2, Some("worker died (worker test)")));
    }
    for run in runs {
        in_time("the apalis worker ends", run).await.unwrap().unwrap();
    }
    other.stop().await;
}

/// What the worker holds without knowing it goes back when it signs off.
#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_leaves_no_job_behind() {
    let database = database().await;
    let pool = database.pool();
    let worker = TestWorker::start(database.url()).await;
    let id = enqueue_many(pool, 1, |n| Work { n }).await[0];
    let claimed = format!(
        "update queue.live_jobs set state = 'running', attempt = 1, fence = 1, started_at = now(), \
         lease_until = now() + interval '1 hour', worker_id = {} where id = {id}",
        worker.session.worker_id()
    );
    execute(pool, claimed).await;
    worker.stop().await;
    let job = job(pool, id).await;
    assert_eq!((job.state, job.attempt), (JobState::Available, 0));
}
