//! Several sessions in a process, several queues in a session, names that come back.

use std::{sync::Arc, time::Duration};

use resume_queue::{JobState, NewJob, SessionSettings};
use tokio::sync::Semaphore;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sessions_of_a_process_are_two_workers() {
    let database = database().await;
    let pool = database.pool();
    let one = TestWorker::start(database.url()).await.work(1, |_: Work, _| async { Ok(()) });
    let other = TestWorker::start(database.url()).await.work(1, |_: Other, _| async { Ok(()) });
    assert_ne!(one.session.worker_id(), other.session.worker_id());
    let (work, others) =
        (enqueue_many(pool, 20, |n| Work { n }).await, enqueue_many(pool, 20, |n| Other { n }).await);
    assert_eq!(until_all_ended(pool).await, 40);
    // The end of one is no matter to the other.
    one.stop().await;
    let late = enqueue_one(pool, NewJob::new(&Other { n: 0 }).unwrap()).await;
    until_state(pool, late, JobState::Completed).await;
    let unserved = enqueue_one(pool, NewJob::new(&Work { n: 0 }).unwrap()).await;
    other.stop().await;
    assert_eq!(job(pool, unserved).await.state, JobState::Available);
    assert_eq!(jobs(pool).await.len(), work.len() + others.len() + 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_does_not_hold_up_another_one_of_the_session() {
    let database = database().await;
    let pool = database.pool();
    let worker = TestWorker::start(database.url())
        .await
        .work(2, |_: Work, _| std::future::pending())
        .work(2, |_: Other, _| async { Ok(()) });
    let stuck = enqueue_many(pool, 5, |n| Work { n }).await;
    until_state(pool, stuck[1], JobState::Running).await;
    enqueue_many(pool, 100, |n| Other { n }).await;
    until("the other queue is done", || async { (completed_jobs(pool).await == 100).then_some(()) }).await;
    assert_eq!(live_jobs(pool).await, 5);
    worker.stop_within(Duration::ZERO).await;
}

/// A container that is started again has the name that it had. Its predecessor's jobs must not look like its
/// own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_died_and_came_back_under_its_name_gets_its_jobs_back() {
    let database = database().await;
    let pool = database.pool();
    let before = TestWorker::start(database.url()).await.work(3, |_: Work, _| std::future::pending());
    let ids = enqueue_many(pool, 3, |n| Work { n }).await;
    for id in &ids {
        until_state(pool, *id, JobState::Running).await;
    }
    let (session, _runs) = before.into_parts();
    drop(session);
    let after = TestWorker::start(database.url()).await.work(3, |_: Work, _| async { Ok(()) });
    assert_eq!(until_all_ended(pool).await, 3);
    for job in jobs(pool).await {
        assert_eq!(job.failures(), [(1, "worker died (worker test)".to_owned())]);
        assert_eq!((job.attempt, job.worker.as_deref()), (2, Some("test")));
    }
    after.stop().await;
}

/// The same while the other one still lives, as in a rolling restart: a name is for people, and proves
/// nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_under_the_name_of_a_live_one_leaves_its_jobs_alone() {
    let database = database().await;
    let pool = database.pool();
    let gate = Arc::new(Semaphore::new(0));
    let waiting = gate.clone();
    let before = TestWorker::start(database.url()).await.work(3, move |_: Work, _| {
        let gate = waiting.clone();
        async move {
            gate.acquire().await?.forget();
            Ok(())
        }
    });
    let ids = enqueue_many(pool, 3, |n| Work { n }).await;
    for id in &ids {
        until_state(pool, *id, JobState::Running).await;
    }
    let quick = SessionSettings { lease: Duration::from_millis(900), ..settings("test") };
    let after = TestWorker::start_with(database.url(), quick).await.work(3, |_: Work, _| async { Ok(()) });
    // It would have rescued them by now: the dead are taken for dead after 2.5 s to 4 s.
    until_heartbeats_of(pool, "test", 17).await;
    let new = enqueue_many(pool, 3, |n| Work { n }).await;
    for id in new {
        until_state(pool, id, JobState::Completed).await;
    }
    gate.add_permits(3);
    assert_eq!(until_all_ended(pool).await, 6);
    assert!(jobs(pool).await.iter().all(|job| job.attempt == 1));
    for worker in [before, after] {
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_database_is_an_error_at_the_start() {
    let options = sqlx::postgres::PgPoolOptions::new().acquire_timeout(Duration::from_millis(300));
    let pool = options.connect_lazy("postgres://nobody@127.0.0.1:1/nothing").unwrap();
    let error = resume_queue::Session::start(pool, settings("test")).await.unwrap_err();
    assert!(matches!(error, sqlx::Error::PoolTimedOut | sqlx::Error::Io(_)), "{error}");
}
