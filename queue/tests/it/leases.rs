//! Leases and heartbeats: who lives keeps its jobs, whatever happens to its connections.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use resume_queue::{JobState, SessionSettings};
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::sync::Semaphore;

use crate::support::*;

fn lease_of(ms: u64, name: &str) -> SessionSettings {
    SessionSettings { lease: Duration::from_millis(ms), ..settings(name) }
}

/// A worker whose handlers wait for a permit of the gate.
async fn gated_worker(url: &str, settings: SessionSettings, gate: &Arc<Semaphore>) -> TestWorker {
    let gate = gate.clone();
    TestWorker::start_with(url, settings).await.work(10, move |_: Work, _| {
        let gate = gate.clone();
        async move {
            gate.acquire().await?.forget();
            Ok(())
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_longer_than_its_lease_runs_once() {
    let database = database().await;
    let pool = database.pool();
    let gate = Arc::new(Semaphore::new(0));
    let worker = gated_worker(database.url(), lease_of(900, "test"), &gate).await;
    let ids = enqueue_many(pool, 5, |n| Work { n }).await;
    for id in &ids {
        until_state(pool, *id, JobState::Running).await;
    }
    let rescuer = TestWorker::rescuer(database.url()).await;
    // Three leases of the worker and of the rescuer.
    let start = Instant::now();
    until("three leases", || async { (start.elapsed() > Duration::from_secs(3)).then_some(()) }).await;
    gate.add_permits(5);
    assert_eq!(until_all_ended(pool).await, 5);
    assert!(jobs(pool).await.iter().all(|job| job.attempt == 1));
    worker.stop().await;
    rescuer.stop().await;
}

/// Handlers that hold every connection of the pool must not keep the heartbeat from coming.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exhausted_pool_costs_no_lease() {
    let database = database().await;
    let pool = database.pool();
    let gate = Arc::new(Semaphore::new(0));
    let small = super::support::pool(database.url(), 2).await;
    let handler = (small.clone(), gate.clone());
    let worker = TestWorker::over(small, lease_of(1500, "test")).await.work(2, move |_: Work, _| {
        let (pool, gate) = handler.clone();
        async move {
            let _conn = pool.acquire().await?;
            gate.acquire().await?.forget();
            Ok(())
        }
    });
    let ids = enqueue_many(pool, 2, |n| Work { n }).await;
    for id in &ids {
        until_state(pool, *id, JobState::Running).await;
    }
    let rescuer = TestWorker::rescuer(database.url()).await;
    until_heartbeats_of(pool, "test", 10).await;
    gate.add_permits(2);
    assert_eq!(until_all_ended(pool).await, 2);
    assert!(jobs(pool).await.iter().all(|job| job.attempt == 1));
    worker.stop().await;
    rescuer.stop().await;
}

/// A pool whose sessions are spared by [`cut_all_connections`].
async fn cutter(url: &str) -> PgPool {
    let options: PgConnectOptions = url.parse().unwrap();
    PgPoolOptions::new().max_connections(2).connect_with(options.application_name("cutter")).await.unwrap()
}

/// Ends all sessions of the database but those of the cutter.
async fn cut_all_connections(pool: &PgPool) {
    execute(
        pool,
        "select pg_terminate_backend(pid) from pg_stat_activity \
         where datname = current_database() and application_name <> 'cutter'",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_again_and_again_lose_and_double_nothing() {
    const JOBS: i64 = 300;
    let database = database().await;
    let pool = cutter(database.url()).await;
    create_effects(&pool).await;
    enqueue_many(&pool, JOBS, |n| Work { n }).await;
    execute(&pool, "update queue.live_jobs set max_attempts = 50").await;
    let mut workers = Vec::new();
    for name in ["one", "other"] {
        let worker = TestWorker::start_with(database.url(), lease_of(3000, name)).await;
        let handler_pool = worker.pool.clone();
        workers.push(worker.work(4, move |work: Work, lease| {
            let pool = handler_pool.clone();
            async move { effect(&pool, work.n, &lease, Duration::from_millis(5)).await }
        }));
    }
    for cut in 1..=10 {
        let done = JOBS * cut / 20;
        until("some more are done", || async { (completed_jobs(&pool).await >= done).then_some(()) }).await;
        cut_all_connections(&pool).await;
    }
    assert_eq!(until_all_ended(&pool).await, JOBS);
    assert_eq!(number(&pool, "select count(*) from effects").await, Some(JOBS));
    assert_eq!(number(&pool, "select count(distinct n) from effects").await, Some(JOBS));
    for worker in workers {
        worker.stop().await;
    }
}

/// All connections of a worker are cut, while it runs long jobs: it lives, so it keeps them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_whose_connections_are_cut_keeps_its_jobs() {
    let database = database().await;
    let pool = cutter(database.url()).await;
    let gate = Arc::new(Semaphore::new(0));
    let worker = gated_worker(database.url(), settings("test"), &gate).await;
    let other = TestWorker::start(database.url()).await;
    let ids = enqueue_many(&pool, 3, |n| Work { n }).await;
    for id in &ids {
        until_state(&pool, *id, JobState::Running).await;
    }
    // For longer than the 2.5 s after which an absent worker is dead.
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(5) {
        cut_all_connections(&pool).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    gate.add_permits(3);
    assert_eq!(until_all_ended(&pool).await, 3);
    assert!(jobs(&pool).await.iter().all(|job| job.attempt == 1), "{:?}", jobs(&pool).await);
    // And a notification reaches it as before.
    let id = enqueue_many(&pool, 1, |n| Work { n }).await[0];
    gate.add_permits(1);
    until_state(&pool, id, JobState::Completed).await;
    worker.stop().await;
    other.stop().await;
}

/// A job comes while the worker's session is cut, so that its notification is lost. The worker would look by
/// itself only after a minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notification_that_was_lost_with_the_connection_is_made_up_for() {
    let database = database().await;
    let pool = cutter(database.url()).await;
    let worker = TestWorker::start(database.url()).await.work(1, |_: Work, _| async { Ok(()) });
    for round in 1..=3 {
        idle(&pool).await;
        // One transaction, which notifies when the sessions are gone and not back.
        let cut = "select pg_terminate_backend(pid, 5000) from pg_stat_activity \
                   where datname = current_database() and application_name = 'test';";
        let job = "insert into queue.live_jobs (queue, kind, state, max_attempts, args) \
                   values ('work', 'work', 'available', 3, '{\"n\": 1}')";
        execute(&pool, format!("{cut} {job}")).await;
        until("the job is done", || async { (completed_jobs(&pool).await == round).then_some(()) }).await;
    }
    worker.stop().await;
}

/// Makes a worker that no process stands for, and a job that it runs.
async fn phantom(pool: &PgPool) -> i64 {
    execute(pool, "insert into queue.workers (name) values ('phantom')").await;
    let id = enqueue_many(pool, 1, |n| Work { n }).await[0];
    let run = "update queue.live_jobs set state = 'running', attempt = 1, fence = 1, started_at = now(), \
               lease_until = now() + interval '1 hour', worker_id = w.id from queue.workers w \
               where w.name = 'phantom' and live_jobs.id =";
    execute(pool, format!("{run} {id}")).await;
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_prove_life_without_a_lock() {
    let database = database().await;
    let pool = database.pool();
    let id = phantom(pool).await;
    let rescuer = TestWorker::rescuer(database.url()).await;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(5) {
        execute(pool, "update queue.workers set heartbeat_at = now() where name = 'phantom'").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(job(pool, id).await.state, JobState::Running);
    let job = until_state(pool, id, JobState::Available).await;
    assert_eq!(job.failures(), [(1, "worker died (worker phantom)".to_owned())]);
    until("the dead worker is signed off", || async {
        let gone = "select count(*) from queue.workers where name = 'phantom' and stopped_at is not null";
        number(pool, gone).await.filter(|n| *n == 1)
    })
    .await;
    rescuer.stop().await;
}

/// After an outage every lease may have run out. Who looks first must give the others time for a heartbeat,
/// also one that has just started and knows of no outage.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_judged_only_after_there_was_time_to_keep_it() {
    let database = database().await;
    let pool = database.pool();
    let id = phantom(pool).await;
    // The worker lives: its lock is held.
    let mut presence = pool.acquire().await.unwrap();
    let key = number(pool, "select (x'72657375'::bigint << 32) | id from queue.workers").await.unwrap();
    sqlx::query!("select pg_advisory_lock($1)", key).fetch_one(&mut *presence).await.unwrap();
    let expire = "update queue.live_jobs set lease_until = now() - interval '1 minute'";
    execute(pool, expire).await;
    let rescuer = TestWorker::start_with(database.url(), lease_of(8000, "rescuer")).await;
    // It looks every second, and waits for half of its lease.
    let start = Instant::now();
    until("two looks", || async { (start.elapsed() > Duration::from_millis(2200)).then_some(()) }).await;
    assert_eq!(job(pool, id).await.state, JobState::Running);
    until_state(pool, id, JobState::Available).await;
    rescuer.stop().await;
}

/// A worker that was taken for dead, by whatever mistake, and lives: its next heartbeat says so, or a later
/// crash would not be noticed.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_was_signed_off_by_others_comes_back() {
    let database = database().await;
    let pool = database.pool();
    let worker = TestWorker::start_with(database.url(), lease_of(900, "test")).await;
    execute(pool, "update queue.workers set stopped_at = now()").await;
    until("the worker is back", || async {
        number(pool, "select count(*) from queue.workers where stopped_at is null").await.filter(|n| *n == 1)
    })
    .await;
    worker.stop().await;
    assert_eq!(number(pool, "select count(*) from queue.workers where stopped_at is null").await, Some(0));
}

/// A claim takes effect and its answer is lost: the worker holds jobs that it does not know of. After the
/// next failed claim it gives them back, at once and without an attempt.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_of_a_claim_whose_answer_was_lost_go_back() {
    let database = database().await;
    let pool = database.pool();
    let worker = TestWorker::start(database.url()).await;
    let id = enqueue_many(pool, 1, |n| Work { n }).await[0];
    let claimed = format!(
        "update queue.live_jobs set state = 'running', attempt = 1, fence = 1, started_at = now(), \
         lease_until = now() + interval '1 hour', worker_id = {} where id = {id}; \
         alter table queue.live_jobs rename to hidden",
        worker.session.worker_id()
    );
    execute(pool, claimed).await;
    let worker = worker.work(1, |_: Work, _| async { Ok(()) });
    // The worker's claims fail for a while.
    let failed = Instant::now();
    until("claims fail", || async { (failed.elapsed() > Duration::from_millis(300)).then_some(()) }).await;
    execute(pool, "alter table queue.hidden rename to live_jobs").await;
    let job = until_state(pool, id, JobState::Completed).await;
    assert_eq!((job.attempt, job.errors), (1, None));
    worker.stop().await;
}
