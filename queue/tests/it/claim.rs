//! Claiming: each job once, the best first, never more than there are slots.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use apalis::prelude::{WorkerBuilder, WorkerBuilderExt};
use resume_queue::{JobState, NewJob, QueueConfig, Session};
use tokio::sync::Semaphore;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_workers_never_share_a_job() {
    const JOBS: i64 = 3000;
    let database = database().await;
    let seen = Seen::new();
    let mut workers = Vec::new();
    for _ in 0..4 {
        let noting = seen.clone();
        workers.push(TestWorker::start(database.url()).await.work(40, move |work: Work, lease| {
            noting.note((work.n, lease.attempt()));
            async { Ok(()) }
        }));
    }
    enqueue_many(database.pool(), JOBS, |n| Work { n }).await;
    assert_eq!(until_all_ended(database.pool()).await, JOBS);
    let runs = seen.all();
    assert_eq!(runs.len() as i64, JOBS, "each job ran once");
    assert_eq!(runs.into_iter().collect::<HashSet<_>>(), (0..JOBS).map(|n| (n, 1)).collect());
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_higher_priority_goes_first_then_age() {
    let database = database().await;
    let pool = database.pool();
    let job = |n, priority| NewJob::new(&Work { n }).unwrap().priority(priority);
    let late = enqueue_one(pool, job(3, 5).after(Duration::from_secs(60))).await;
    enqueue_jobs(pool, &[job(4, 0), job(1, 10), job(6, -1), job(5, 0), job(2, 10)]).await;
    // A scheduled job whose time has come is an equal of the available ones.
    execute(pool, format!("update queue.live_jobs set run_at = now() where id = {late}")).await;
    let seen = Seen::new();
    let noting = seen.clone();
    let worker = TestWorker::start(database.url()).await.work(1, move |work: Work, _| {
        noting.note(work.n);
        async { Ok(()) }
    });
    assert_eq!(seen.until_count(6).await, [1, 2, 3, 4, 5, 6]);
    worker.stop().await;
}

/// Also among the jobs of one claim.
#[tokio::test(flavor = "multi_thread")]
async fn the_jobs_of_a_claim_begin_in_their_order() {
    let database = database().await;
    let job = |n, priority| NewJob::new(&Work { n }).unwrap().priority(priority);
    enqueue_jobs(database.pool(), &[job(4, 0), job(1, 10), job(6, -1), job(5, 0), job(2, 10), job(3, 1)])
        .await;
    let seen = Seen::new();
    let noting = seen.clone();
    let own_pool = pool(database.url(), 5).await;
    let session = Session::start(own_pool, settings("test")).await.unwrap();
    let worker = WorkerBuilder::new("test")
        .backend(session.backend::<Work>(QueueConfig::fixed(10)))
        .data(Handler::new(move |work: Work, _| {
            noting.note(work.n);
            async { Ok(()) }
        }))
        .concurrency(1)
        .build(handle::<Work>);
    let run = tokio::spawn(worker.run());
    assert_eq!(seen.until_count(6).await, [1, 2, 3, 4, 5, 6]);
    session.shutdown(DEADLINE).await;
    in_time("the worker ends", run).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_is_claimed_than_there_are_slots() {
    let database = database().await;
    let pool = database.pool();
    let gate = Arc::new(Semaphore::new(0));
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counted = (gate.clone(), now.clone(), most.clone());
    let worker = TestWorker::start(database.url()).await.work(3, move |_: Work, _| {
        let (gate, now, most) = counted.clone();
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            gate.acquire().await?.forget();
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        }
    });
    enqueue_many(pool, 20, |n| Work { n }).await;
    until("three handlers", || async { (now.load(Ordering::SeqCst) == 3).then_some(()) }).await;
    let waiting = jobs(pool).await.iter().filter(|job| job.state == JobState::Available).count();
    assert_eq!(waiting, 17, "nothing waits in memory");
    gate.add_permits(20);
    assert_eq!(until_all_ended(pool).await, 20);
    assert_eq!(most.load(Ordering::SeqCst), 3);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_worker_cannot_take_another_one_does() {
    let database = database().await;
    let pool = database.pool();
    let seen = Seen::new();
    let mut workers = Vec::new();
    for name in ["one", "other"] {
        let noting = seen.clone();
        workers.push(TestWorker::start(database.url()).await.work(1, move |_: Work, lease| {
            noting.note(name);
            // The first job of each worker runs until the other worker has one too.
            let noting = noting.clone();
            async move {
                if lease.job_id() <= 2 {
                    noting.until_count(2).await;
                }
                Ok(())
            }
        }));
    }
    enqueue_many(pool, 2, |n| Work { n }).await;
    let names = seen.until_count(2).await;
    assert_ne!(names[0], names[1]);
    until_all_ended(pool).await;
    for worker in workers {
        worker.stop().await;
    }
}

/// Two workers over one session, each with its own slots: a notification must reach both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_of_a_session_on_one_queue_both_wake() {
    let database = database().await;
    let pool = database.pool();
    let seen = Seen::new();
    let mut worker = TestWorker::start(database.url()).await;
    for name in ["one", "other"] {
        let seen = seen.clone();
        worker = worker.work(1, move |work: Work, _| {
            seen.note((work.n, name));
            let seen = seen.clone();
            // Each round has two jobs, which end only when both run.
            async move {
                seen.until_count(work.n as usize / 2 * 2 + 2).await;
                Ok(())
            }
        });
    }
    for round in 0..4 {
        idle(pool).await;
        let jobs = [0, 1].map(|n| NewJob::new(&Work { n: round * 2 + n }).unwrap());
        enqueue_jobs(pool, &jobs).await;
        until_all_ended(pool).await;
    }
    for round in seen.all().chunks(2) {
        assert_ne!(round[0].1, round[1].1, "{round:?}");
    }
    worker.stop().await;
}

/// A due job that somebody has locked must neither hold up the others nor make the worker look without a
/// pause.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_job_is_passed_by_without_a_busy_loop() {
    let database = database().await;
    let pool = database.pool();
    let hour = Duration::from_secs(3600);
    let locked = enqueue_one(pool, NewJob::new(&Work { n: 1 }).unwrap().after(hour)).await;
    execute(pool, "update queue.live_jobs set run_at = now()").await;
    let mut tx = pool.begin().await.unwrap();
    sqlx::query!("select id from queue.live_jobs where id = $1 for update", locked)
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    let worker = TestWorker::start(database.url()).await.work(5, |_: Work, _| async { Ok(()) });
    let other = enqueue_one(pool, NewJob::new(&Work { n: 2 }).unwrap()).await;
    until_state(pool, other, JobState::Completed).await;
    let per_second = transactions_per_second(pool, Duration::from_secs(3)).await;
    eprintln!("transactions a second beside a locked job: {per_second}");
    assert!(per_second < 50.0, "{per_second}");
    tx.rollback().await.unwrap();
    until_state(pool, locked, JobState::Completed).await;
    worker.stop().await;
}

/// What is due takes its place by turn, however many others have been due for longer.
#[tokio::test(flavor = "multi_thread")]
async fn a_due_job_of_high_priority_passes_all_that_are_due() {
    let database = database().await;
    let pool = database.pool();
    let due = "insert into queue.live_jobs (queue, kind, state, max_attempts, args, priority, run_at, turn)
               select 'work', 'work', case when n % 2 = 0 then 'scheduled' else 'retryable' end::queue.job_state, 3,
                      jsonb_build_object('n', n), p, due, due - make_interval(mins => p)
               from (select n, case when n = 4500 then 1000 else 0 end as p, now() - interval '1 hour' + n * interval '1 ms' as due
                     from generate_series(0, 4999) n) jobs";
    execute(pool, due).await;
    enqueue_one(pool, NewJob::new(&Work { n: -1 }).unwrap().priority(2000)).await;
    assert_eq!(claim_by_hand(pool, 3).await, [-1, 0, 1]);
    for _ in 0..3 {
        claim_by_hand(pool, 1).await;
    }
    // Each claim makes a thousand of them available.
    assert_eq!(claim_by_hand(pool, 2).await, [4500, 5]);
    let waiting = "select count(*) from queue.live_jobs where state in ('scheduled', 'retryable')";
    assert_eq!(number(pool, waiting).await, Some(0));
    let next: Vec<i64> = (6..300).collect();
    assert_eq!(claim_by_hand(pool, next.len()).await, next);
}
