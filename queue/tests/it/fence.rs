//! An effect and the completion of its job in one transaction, and attempts that have lost their job.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use resume_queue::{CompleteError, JobError, JobState, SessionSettings};
use sqlx::{PgPool, raw_sql};
use tokio::sync::{Notify, Semaphore};

use crate::support::*;

async fn effects(pool: &PgPool) -> i64 {
    number(pool, "select count(*) from effects").await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn effect_and_completion_are_one() {
    let database = database().await;
    let pool = database.pool().clone();
    create_effects(&pool).await;
    let ended_before_commit = Arc::new(AtomicBool::new(true));
    let (handler_pool, before) = (pool.clone(), ended_before_commit.clone());
    let worker = TestWorker::start(database.url()).await.work(1, move |_: Work, lease| {
        let (pool, before) = (handler_pool.clone(), before.clone());
        async move {
            let mut tx = pool.begin().await?;
            raw_sql("insert into effects values (1)").execute(&mut *tx).await?;
            lease.complete_in(&mut tx).await?;
            let seen_by_others = effects(&pool).await + completed_jobs(&pool).await;
            before.store(seen_by_others > 0, Ordering::SeqCst);
            tx.commit().await?;
            Ok(())
        }
    });
    let id = enqueue_one(&pool, work(1)).await;
    until_state(&pool, id, JobState::Completed).await;
    assert_eq!(effects(&pool).await, 1);
    assert!(!ended_before_commit.load(Ordering::SeqCst));
    worker.stop().await;
}

/// The handler returns `Ok`, or an error, without a commit: the job is not complete and runs again.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_commit_the_job_runs_again() {
    let database = database().await;
    let pool = database.pool().clone();
    create_effects(&pool).await;
    let handler_pool = pool.clone();
    let quick = SessionSettings { lease: Duration::from_millis(1500), ..settings("test") };
    let worker = TestWorker::start_with(database.url(), quick).await.work(2, move |work: Work, lease| {
        let pool = handler_pool.clone();
        async move {
            let mut tx = pool.begin().await?;
            raw_sql("insert into effects values (1)").execute(&mut *tx).await?;
            lease.complete_in(&mut tx).await?;
            if lease.attempt() > 1 {
                tx.commit().await?;
                return Ok(());
            }
            tx.rollback().await?;
            if work.n == 0 {
                return Ok(());
            }
            Err(JobError::RetryAfter("the commit was lost".into(), Duration::from_millis(10)).into())
        }
    });
    let ids = enqueue_many(&pool, 2, |n| Work { n }).await;
    assert_eq!(until_all_ended(&pool).await, 2);
    assert_eq!(effects(&pool).await, 2);
    for id in ids {
        assert_eq!(job(&pool, id).await.attempt, 2);
    }
    worker.stop().await;
}

/// Attempt 1 loses its lease and does not know; another worker's attempt 2 does the job. Attempt 1 must fail
/// its fence, and its effect must go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_attempt_changes_nothing() {
    let database = database().await;
    let pool = database.pool().clone();
    create_effects(&pool).await;
    let (go_on, lost) = (Arc::new(Notify::new()), Seen::new());
    let (stale_pool, stale_go_on, stale_lost) = (pool.clone(), go_on.clone(), lost.clone());
    // So long a lease that no heartbeat tells in the time of this test.
    let slow = SessionSettings { lease: Duration::from_secs(300), ..settings("stale") };
    let stale = TestWorker::start_with(database.url(), slow).await.work(1, move |_: Work, lease| {
        let (pool, go_on, lost) = (stale_pool.clone(), stale_go_on.clone(), stale_lost.clone());
        async move {
            go_on.notified().await;
            let mut tx = pool.begin().await?;
            raw_sql("insert into effects values (1)").execute(&mut *tx).await?;
            let error = lease.complete_in(&mut tx).await.unwrap_err();
            lost.note(matches!(error, CompleteError::LeaseLost(id) if id == lease.job_id()));
            Err(error.into())
        }
    });
    let id = enqueue_one(&pool, work(1)).await;
    until_state(&pool, id, JobState::Running).await;
    let other_pool = pool.clone();
    let quick = SessionSettings { lease: Duration::from_secs(1), ..settings("other") };
    let other =
        TestWorker::start_with(database.url(), quick).await.lead().await.work(1, move |_: Work, lease| {
            let pool = other_pool.clone();
            async move {
                let mut tx = pool.begin().await?;
                raw_sql("insert into effects values (2)").execute(&mut *tx).await?;
                lease.complete_in(&mut tx).await?;
                tx.commit().await?;
                Ok(())
            }
        });
    lose_lease(&pool, id).await;
    let done = until_state(&pool, id, JobState::Completed).await;
    assert_eq!((done.attempt, done.worker.as_deref()), (2, Some("other")));
    assert_eq!(done.failures(), [(1, "lease expired (worker stale)".to_owned())]);
    go_on.notify_one();
    assert_eq!(lost.until_count(1).await, [true]);
    // Its error is void too.
    stale.stop().await;
    assert_eq!(number(&pool, "select sum(n)::bigint from effects").await, Some(2));
    assert_eq!(jobs(&pool).await, [done]);
    other.stop().await;
}

/// The job runs a second time when the first attempt, which has lost it, comes to its end: in whatever way,
/// that must not be taken for the end of the second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_attempt_does_not_end_the_next_one() {
    let database = database().await;
    let pool = database.pool().clone();
    let (stale_gate, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (stale_pool, stale_handler_gate) = (pool.clone(), stale_gate.clone());
    let slow = SessionSettings { lease: Duration::from_secs(300), ..settings("stale") };
    let stale = TestWorker::start_with(database.url(), slow).await.work(4, move |work: Work, lease| {
        let (pool, gate) = (stale_pool.clone(), stale_handler_gate.clone());
        async move {
            gate.acquire().await?.forget();
            match work.n {
                0 => Ok(()),
                1 => Err(JobError::discard("stale").into()),
                2 => Err("stale".into()),
                _ => Ok(lease.complete_in(&mut *pool.acquire().await?).await?),
            }
        }
    });
    let ids = enqueue_many(&pool, 4, |n| Work { n }).await;
    for id in &ids {
        until_state(&pool, *id, JobState::Running).await;
    }
    let handler_gate = gate.clone();
    let quick = SessionSettings { lease: Duration::from_secs(2), ..settings("other") };
    let other =
        TestWorker::start_with(database.url(), quick).await.lead().await.work(4, move |_: Work, _| {
            let gate = handler_gate.clone();
            async move {
                gate.acquire().await?.forget();
                Ok(())
            }
        });
    for id in &ids {
        lose_lease(&pool, *id).await;
    }
    for id in &ids {
        until_job(&pool, *id, |job| job.state == JobState::Running && job.attempt == 2).await;
    }
    stale_gate.add_permits(4);
    stale.stop().await;
    for job in jobs(&pool).await {
        assert_eq!((job.state, job.attempt, job.worker.as_deref()), (JobState::Running, 2, Some("other")));
        assert_eq!(job.failures(), [(1, "lease expired (worker stale)".to_owned())]);
    }
    gate.add_permits(4);
    assert_eq!(until_all_ended(&pool).await, 4);
    other.stop().await;
}

/// The worker learns with its next heartbeat that a job is no longer its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_has_lost_its_lease_is_stopped() {
    let database = database().await;
    let pool = database.pool();
    let stopped = Arc::new(AtomicUsize::new(0));
    let handler_stopped = stopped.clone();
    let quick = SessionSettings { lease: Duration::from_secs(3), ..settings("stale") };
    let stale = TestWorker::start_with(database.url(), quick).await.work(1, move |_: Work, lease| {
        let stopped = CountDrop(handler_stopped.clone());
        async move {
            if lease.attempt() == 1 {
                let () = std::future::pending().await;
            }
            drop(stopped);
            Ok(())
        }
    });
    let id = enqueue_one(pool, work(1)).await;
    until_state(pool, id, JobState::Running).await;
    let rescuer = TestWorker::rescuer(database.url()).await;
    lose_lease(pool, id).await;
    // Once the first attempt has been stopped there is a slot for the second one.
    let done = until_state(pool, id, JobState::Completed).await;
    assert_eq!(done.attempt, 2);
    assert_eq!(stopped.load(Ordering::SeqCst), 2);
    stale.stop().await;
    rescuer.stop().await;
}

/// The same while the job runs again elsewhere: running it is, but no longer under the fence of the first
/// attempt.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_is_stopped_while_the_next_attempt_runs() {
    let database = database().await;
    let pool = database.pool();
    let stopped = Arc::new(AtomicUsize::new(0));
    let handler_stopped = stopped.clone();
    let quick = SessionSettings { lease: Duration::from_secs(3), ..settings("stale") };
    let stale = TestWorker::start_with(database.url(), quick).await.work(1, move |_: Work, _| {
        let stopped = CountDrop(handler_stopped.clone());
        async move {
            let () = std::future::pending().await;
            drop(stopped);
            Ok(())
        }
    });
    let id = enqueue_one(pool, work(1)).await;
    until_state(pool, id, JobState::Running).await;
    // What a rescue and another worker's claim come to.
    let phantom = "with other as (insert into queue.workers (name) values ('other') returning id) \
                   update queue.live_jobs set fence = fence + 1, attempt = 2, worker_id = other.id, \
                   lease_until = now() + interval '1 hour' from other where live_jobs.id =";
    execute(pool, format!("{phantom} {id}; select pg_advisory_lock((x'72657375'::bigint << 32) | max(id)) from queue.workers"))
        .await;
    until("the handler is stopped", || async { (stopped.load(Ordering::SeqCst) == 1).then_some(()) }).await;
    let job = job(pool, id).await;
    assert_eq!((job.state, job.attempt, job.worker.as_deref()), (JobState::Running, 2, Some("other")));
    stale.stop().await;
}

/// A handler may go on after it has completed its job, for longer than a heartbeat: nobody stops it.
#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_has_completed_its_job_is_not_stopped() {
    let database = database().await;
    let pool = database.pool().clone();
    let (gate, ended) = (Arc::new(Notify::new()), Seen::new());
    let (handler_pool, handler_gate, handler_ended) = (pool.clone(), gate.clone(), ended.clone());
    let quick = SessionSettings { lease: Duration::from_millis(600), ..settings("test") };
    let worker = TestWorker::start_with(database.url(), quick).await.work(1, move |_: Work, lease| {
        let (pool, gate, ended) = (handler_pool.clone(), handler_gate.clone(), handler_ended.clone());
        async move {
            let mut tx = pool.begin().await?;
            lease.complete_in(&mut tx).await?;
            tx.commit().await?;
            gate.notified().await;
            ended.note(());
            Ok(())
        }
    });
    let id = enqueue_one(&pool, work(1)).await;
    until_state(&pool, id, JobState::Completed).await;
    until_heartbeats_of(&pool, "test", 3).await;
    gate.notify_one();
    ended.until_count(1).await;
    worker.stop().await;
}

/// A handler's transaction locks the row of its job from `complete_in` to the commit. That must not keep the
/// other jobs of the worker from having their leases extended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_transaction_after_complete_in_costs_no_other_lease() {
    let database = database().await;
    let pool = database.pool().clone();
    let gate = Arc::new(Semaphore::new(0));
    let (handler_pool, handler_gate) = (pool.clone(), gate.clone());
    let quick = SessionSettings { lease: Duration::from_millis(900), ..settings("test") };
    let worker = TestWorker::start_with(database.url(), quick).await.work(5, move |work: Work, lease| {
        let (pool, gate) = (handler_pool.clone(), handler_gate.clone());
        async move {
            if work.n > 0 {
                gate.acquire().await?.forget();
                return Ok(());
            }
            let mut tx = pool.begin().await?;
            lease.complete_in(&mut tx).await?;
            gate.acquire().await?.forget();
            tx.commit().await?;
            Ok(())
        }
    });
    let ids = enqueue_many(&pool, 5, |n| Work { n }).await;
    for id in &ids {
        until_state(&pool, *id, JobState::Running).await;
    }
    until_heartbeats_of(&pool, "test", 6).await;
    gate.add_permits(5);
    assert_eq!(until_all_ended(&pool).await, 5);
    for id in ids {
        assert_eq!(job(&pool, id).await.attempt, 1);
    }
    worker.stop().await;
}

/// A second database session of the same process must not be mistaken for the lease's owner.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_completes_once() {
    let database = database().await;
    let pool = database.pool().clone();
    let again = Seen::new();
    let (handler_pool, handler_again) = (pool.clone(), again.clone());
    let worker = TestWorker::start(database.url()).await.work(1, move |_: Work, lease| {
        let (pool, again) = (handler_pool.clone(), handler_again.clone());
        async move {
            let mut conn = pool.acquire().await?;
            lease.complete_in(&mut conn).await?;
            again.note(matches!(lease.complete_in(&mut conn).await, Err(CompleteError::LeaseLost(_))));
            Ok(())
        }
    });
    let id = enqueue_one(&pool, work(1)).await;
    assert_eq!(again.until_count(1).await, [true]);
    until_state(&pool, id, JobState::Completed).await;
    assert_eq!(completed_jobs(&pool).await, 1);
    worker.stop().await;
}
