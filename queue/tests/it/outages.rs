//! Postgres restarts, crashes and is away: nothing is lost or doubled, and the workers come back by
//! themselves.

use std::{
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use resume_postgres::{RestartMode, testing::TestDatabase};
use resume_queue::{JobState, NewJob, SessionSettings};
use sqlx::PgPool;
use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::support::*;

/// Two workers: jobs with a positive number are effects, the others wait for the gate.
async fn workers(url: &str, lease: Duration, gate: &Arc<Semaphore>) -> Vec<TestWorker> {
    let mut workers = Vec::new();
    for name in ["one", "other"] {
        let settings = SessionSettings { lease, ..settings(name) };
        let worker = TestWorker::start_with(url, settings).await;
        let handler = (worker.pool.clone(), gate.clone());
        workers.push(worker.work(10, move |work: Work, lease| {
            let (pool, gate) = handler.clone();
            async move {
                if work.n > 0 {
                    return effect(&pool, work.n, &lease, Duration::from_millis(5)).await;
                }
                gate.acquire().await?.forget();
                Ok(())
            }
        }));
    }
    workers
}

/// Four jobs that run all the time.
async fn start_long_jobs(pool: &PgPool) -> Vec<i64> {
    let ids = enqueue_many(pool, 4, |_| Work { n: 0 }).await;
    for id in &ids {
        until_state(pool, *id, JobState::Running).await;
    }
    ids
}

async fn enqueue_effects(pool: &PgPool, count: i64) {
    enqueue_many(pool, count, |n| Work { n: n + 1 }).await;
    execute(pool, "update queue.live_jobs set max_attempts = 50").await;
}

async fn assert_effects(pool: &PgPool, count: i64) {
    assert_eq!(number(pool, "select count(*) from effects").await, Some(count));
    assert_eq!(number(pool, "select count(distinct n) from effects").await, Some(count));
}

async fn restarted_in_the_middle(mode: RestartMode) {
    const JOBS: i64 = 500;
    let database = own_cluster().await;
    let gate = Arc::new(Semaphore::new(0));
    let pool = database.pool();
    create_effects(pool).await;
    let workers = workers(database.url(), Duration::from_secs(30), &gate).await;
    let long = start_long_jobs(pool).await;
    enqueue_effects(pool, JOBS).await;
    until("a fifth is done", || async { (completed_jobs(pool).await >= JOBS / 5).then_some(()) }).await;
    let cluster = database.cluster().clone();
    spawn_blocking(move || cluster.restart(mode)).await.unwrap().unwrap();
    let back = Instant::now();
    // The pool of the test reconnects as well.
    let id = in_time("the database is back", async {
        loop {
            let Ok(mut conn) = pool.acquire().await else { continue };
            let job = NewJob::new(&Work { n: JOBS + 1 }).unwrap();
            if let Ok(outcome) = resume_queue::enqueue_all(&mut conn, &[job]).await {
                return inserted(outcome[0]);
            }
        }
    })
    .await;
    until_state(pool, id, JobState::Completed).await;
    eprintln!("{mode:?} restart: a new job is done {:?} after it", back.elapsed());
    until("all effects", || async { (live_jobs(pool).await == 4).then_some(()) }).await;
    assert_effects(pool, JOBS + 1).await;
    // Long enough for a rescue by mistake: twice the time after which an absent worker is dead.
    let start = Instant::now();
    until("five seconds", || async { (start.elapsed() > Duration::from_secs(5)).then_some(()) }).await;
    gate.add_permits(4);
    until_all_ended(pool).await;
    for id in long {
        assert_eq!(job(pool, id).await.attempt, 1, "the worker of a long job lived");
    }
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_loses_and_doubles_nothing() {
    restarted_in_the_middle(RestartMode::Fast).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_of_the_server_loses_and_doubles_nothing() {
    restarted_in_the_middle(RestartMode::Immediate).await;
}

/// Stops the server of the test; `ensure_running` starts it again.
fn stop_server(database: &TestDatabase) {
    let pid = database.cluster().postmaster_pid().unwrap().to_string();
    assert!(Command::new("kill").args(["-QUIT", &pid]).status().unwrap().success());
}

/// When the database is back all leases have run out, and whoever looks first must not take the jobs of those
/// who had no time for a heartbeat yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_longer_than_the_lease_costs_no_job() {
    let database = own_cluster().await;
    let pool = database.pool();
    create_effects(pool).await;
    let gate = Arc::new(Semaphore::new(0));
    let lease = Duration::from_secs(2);
    let workers = workers(database.url(), lease, &gate).await;
    let long = start_long_jobs(pool).await;
    let start = Instant::now();
    stop_server(&database);
    until("two leases", || async { (start.elapsed() > lease * 2).then_some(()) }).await;
    let cluster = database.cluster().clone();
    assert!(spawn_blocking(move || cluster.ensure_running()).await.unwrap().unwrap());
    until("the leases are kept again", || async {
        let kept = sqlx::query_scalar!(
            r#"select count(*) as "count!" from queue.live_jobs where state = 'running' and lease_until > now()"#
        );
        kept.fetch_one(pool).await.ok().filter(|n| *n == 4)
    })
    .await;
    // Three leases more: no rescue comes late either.
    let start = Instant::now();
    until("three leases", || async { (start.elapsed() > lease * 3).then_some(()) }).await;
    gate.add_permits(4);
    until_all_ended(pool).await;
    for id in long {
        assert_eq!(job(pool, id).await.attempt, 1);
    }
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_ends_while_the_database_is_away() {
    let database = own_cluster().await;
    let pool = database.pool();
    let gate = Arc::new(Semaphore::new(0));
    create_effects(pool).await;
    let mut workers = workers(database.url(), Duration::from_secs(30), &gate).await;
    let idle = workers.pop().unwrap();
    idle.stop().await;
    let busy = workers.pop().unwrap();
    start_long_jobs(pool).await;
    stop_server(&database);
    until("the server is gone", || async { pool.begin().await.is_err().then_some(()) }).await;
    // Handlers that end meanwhile cannot be settled.
    gate.add_permits(2);
    let start = Instant::now();
    busy.stop_within(Duration::from_secs(1)).await;
    eprintln!("shutdown with 1 s of grace while the database is away: {:?}", start.elapsed());
    // A second of grace, five for the database, and time for a slow machine.
    assert!(start.elapsed() < Duration::from_secs(12));
}
