//! Scheduled jobs: on time, never early.

use std::{sync::Arc, time::Duration};

use resume_queue::{JobError, JobState, NewJob};

use tokio::sync::Notify;

use crate::support::*;

/// How late jobs started, by the database's clock, in milliseconds, the least first.
fn lateness_ms(jobs: &[JobRow]) -> Vec<i64> {
    let late = |job: &JobRow| (job.started_at.unwrap() - job.run_at).num_milliseconds();
    let mut late: Vec<i64> = jobs.iter().map(late).collect();
    late.sort_unstable();
    late
}

fn in_ms(n: i64, delay_ms: u64) -> NewJob {
    NewJob::new(&Work { n }).unwrap().after(Duration::from_millis(delay_ms))
}

/// Promise: about 50 ms. The worker would look by itself only after a minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_start_on_time_and_never_early() {
    let database = database().await;
    let pool = database.pool();
    let worker = TestWorker::start(database.url()).await.work(20, |_: Work, _| async { Ok(()) });
    idle(pool).await;
    // The last one first, so that each of the others comes due while the worker sleeps for a later one.
    for n in (1..=15).rev() {
        enqueue_one(pool, in_ms(n, 200 + 60 * n as u64)).await;
    }
    assert_eq!(until_all_ended(pool).await, 15);
    let late = lateness_ms(&jobs(pool).await);
    eprintln!("scheduled jobs late by ms: {late:?}");
    assert!(late[0] >= 0, "early: {late:?}");
    assert!(late[7] < 50, "{late:?}");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_job_shows_as_such_and_waits() {
    let database = database().await;
    let pool = database.pool();
    let id = enqueue_one(pool, in_ms(1, 3_600_000)).await;
    let job = job(pool, id).await;
    assert_eq!(job.state, JobState::Scheduled);
    assert_eq!((job.run_at - job.created_at).num_seconds(), 3600);
    let worker = TestWorker::start(database.url()).await.work(1, |_: Work, _| async { Ok(()) });
    let now = enqueue_one(pool, NewJob::new(&Work { n: 2 }).unwrap()).await;
    until_state(pool, now, JobState::Completed).await;
    assert_eq!(jobs(pool).await[0].state, JobState::Scheduled);
    worker.stop().await;
}

#[tokio::test]
async fn a_delay_beyond_all_time_is_cut() {
    let database = database().await;
    let job = NewJob::new(&Work { n: 1 }).unwrap().after(Duration::MAX);
    let id = enqueue_one(database.pool(), job).await;
    let job = jobs(database.pool()).await.remove(0);
    assert_eq!((job.id, job.state), (id, JobState::Scheduled));
}

/// What is not due yet costs nothing, however much of it there is and whatever the planner knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_due_job_passes_a_hundred_thousand_of_the_future() {
    let database = database().await;
    let pool = database.pool();
    let worker = TestWorker::start(database.url()).await.work(1, |_: Work, _| async { Ok(()) });
    let future = "insert into queue.live_jobs (queue, kind, state, max_attempts, args, run_at, turn) \
                  select 'work', 'work', 'scheduled', 3, '{\"n\": 1}', due, due \
                  from (select now() + interval '1 hour' + n * interval '1 ms' as due from generate_series(1, 100000) n) d";
    execute(pool, future).await;
    let mut late = Vec::new();
    for n in 0..5 {
        idle(pool).await;
        let id = enqueue_one(pool, in_ms(n, 0)).await;
        until_state(pool, id, JobState::Completed).await;
        let millis = "select (extract(epoch from started_at - run_at) * 1000)::bigint from queue.job_history where id =";
        late.push(number(pool, format!("{millis} {id}")).await.unwrap());
    }
    late.sort_unstable();
    eprintln!("due jobs in front of 100,000 future ones, late by ms: {late:?}");
    assert!(late[2] < 500, "{late:?}");
    worker.stop().await;
}

/// A job waits for its next attempt, and the worker that had it goes. Another one, which slept when it
/// failed, must take it on time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_worker_takes_a_retry_on_time() {
    let database = database().await;
    let pool = database.pool();
    let gate = Arc::new(Notify::new());
    let handler_gate = gate.clone();
    let first = TestWorker::start(database.url()).await.work(1, move |_: Work, _| {
        let gate = handler_gate.clone();
        async move {
            gate.notified().await;
            Err(JobError::RetryAfter("later".into(), Duration::from_secs(1)).into())
        }
    });
    let id = enqueue_one(pool, in_ms(1, 0)).await;
    until_state(pool, id, JobState::Running).await;
    let second = TestWorker::start(database.url()).await.work(1, |_: Work, _| async { Ok(()) });
    idle(pool).await;
    gate.notify_one();
    until_state(pool, id, JobState::Retryable).await;
    first.stop().await;
    let job = until_state(pool, id, JobState::Completed).await;
    let late = lateness_ms(std::slice::from_ref(&job));
    eprintln!("retry taken by another worker, late by ms: {late:?}");
    assert!(late[0] < 1000, "{late:?}");
    second.stop().await;
}
