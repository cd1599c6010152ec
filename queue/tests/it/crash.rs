//! `kill -9`, and processes that stand still.

use std::time::{Duration, Instant};

use resume_queue::JobState;
use sqlx::PgPool;

use crate::support::*;

const LEASE: Duration = Duration::from_secs(30);

async fn count(pool: &PgPool, sql: &str) -> i64 {
    number(pool, sql).await.unwrap()
}

async fn until_started(pool: &PgPool, jobs: i64) {
    until("the jobs have started", || async {
        (count(pool, "select count(*) from starts").await >= jobs).then_some(())
    })
    .await;
}

/// Promise: within 5 s of the kill, long before the lease of 30 s has run out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_jobs_of_a_killed_worker_run_again_within_seconds() {
    let database = database().await;
    let pool = database.pool();
    create_effects(pool).await;
    let settings = ProcessSettings { concurrency: 4, job: Duration::from_millis(1500), lease: LEASE };
    let victim = WorkerProcess::start(database.url(), settings);
    enqueue_many(pool, 4, |n| Work { n }).await;
    until_started(pool, 4).await;
    let victim_pid = victim.id();
    let _heir = WorkerProcess::start(database.url(), settings);
    until("the heir lives", || async {
        (count(pool, "select count(*) from queue.workers").await == 2).then_some(())
    })
    .await;
    victim.kill();
    let killed = Instant::now();
    until_started(pool, 8).await;
    let took = killed.elapsed();
    eprintln!("kill -9 to run again: {took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(until_all_ended(pool).await, 4);
    for job in jobs(pool).await {
        assert_eq!((job.state, job.attempt), (JobState::Completed, 2));
        assert_eq!(job.failures(), [(1, format!("worker died (worker process {victim_pid})"))]);
    }
    assert_eq!(count(pool, "select count(*) from effects").await, 4);
    let buried = format!(
        "select count(*) from queue.workers where stopped_at is not null and name = 'process {victim_pid}'"
    );
    until("the dead worker is signed off", || async { (count(pool, &buried).await == 1).then_some(()) })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_kills_and_every_effect_once() {
    const JOBS: i64 = 2000;
    let database = database().await;
    let pool = database.pool();
    create_effects(pool).await;
    let settings =
        ProcessSettings { concurrency: 20, job: Duration::from_millis(20), lease: Duration::from_secs(5) };
    enqueue_many(pool, JOBS, |n| Work { n }).await;
    // A job may be hit by more than one kill.
    execute(pool, "update queue.live_jobs set max_attempts = 10").await;
    let mut workers: Vec<WorkerProcess> =
        (0..2).map(|_| WorkerProcess::start(database.url(), settings)).collect();
    for kill in 1..=5 {
        let done = JOBS * kill / 7;
        until("some jobs are done", || async { (completed_jobs(pool).await >= done).then_some(()) }).await;
        workers.remove(0).kill();
        workers.push(WorkerProcess::start(database.url(), settings));
    }
    assert_eq!(until_all_ended(pool).await, JOBS);
    assert_eq!(count(pool, "select count(*) from effects").await, JOBS);
    assert_eq!(count(pool, "select count(distinct n) from effects").await, JOBS);
    let again = count(pool, "select count(*) from queue.job_history where attempt > 1").await;
    eprintln!("5 x kill -9 over {JOBS} jobs: {again} ran again, effects {JOBS}");
    assert!(again > 0, "the kills hit nothing");
}

/// The process stands still for longer than its lease, as a laptop that sleeps or a machine that swaps. Its
/// session lives on, so only the lease tells.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_stood_still_completes_nothing_that_it_lost() {
    let database = database().await;
    let pool = database.pool();
    create_effects(pool).await;
    let lease = Duration::from_secs(2);
    let slow = ProcessSettings { concurrency: 3, job: Duration::from_secs(3), lease };
    let stopped = WorkerProcess::start(database.url(), slow);
    enqueue_many(pool, 3, |n| Work { n }).await;
    until_started(pool, 3).await;
    stopped.signal("-STOP");
    let _heir = WorkerProcess::start(database.url(), ProcessSettings { job: Duration::ZERO, ..slow });
    assert_eq!(until_all_ended(pool).await, 3);
    let ended = jobs(pool).await;
    stopped.signal("-CONT");
    // It is at work again when it has done a new job.
    drop(_heir);
    let last = enqueue_many(pool, 1, |_| Work { n: 3 }).await[0];
    until_state(pool, last, JobState::Completed).await;
    assert_eq!(count(pool, "select count(*) from effects where n < 3").await, 3);
    assert_eq!(count(pool, &format!("select count(*) from effects where pid = {}", stopped.id())).await, 1);
    assert_eq!(jobs(pool).await[..3], ended);
    for job in ended {
        assert_eq!((job.attempt, job.failures().len()), (2, 1), "{job:?}");
        assert!(job.last_error.unwrap().starts_with("lease expired"));
    }
}
