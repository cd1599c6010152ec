//! Unique keys beyond live jobs, and groups with a follow-up.

use std::{collections::HashSet, time::Duration};

use resume_queue::{
    Enqueued, Existing, Job, JobError, JobState, NewJob, Unique, cancel, create_group, enqueue_all,
};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use crate::support::*;

fn unique(n: i64, unique: Unique) -> NewJob {
    work(n).unique(unique)
}

async fn complete_all(url: &str, pool: &PgPool) {
    let worker = TestWorker::start(url).await.work(4, |_: Work, _| async { Ok(()) });
    until("all jobs have ended", || async { (live_jobs(pool).await == 0).then_some(()) }).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_may_stay_taken_after_the_end() {
    let database = database().await;
    let pool = database.pool();
    let ever = || Unique::key("key").in_states(&JobState::ALL);
    let first = enqueue_one(pool, unique(1, ever())).await;
    complete_all(database.url(), pool).await;
    let existing = Existing { id: first, state: JobState::Completed };
    assert_eq!(enqueue_jobs(pool, &[unique(2, ever())]).await, [Enqueued::Duplicate(Some(existing))]);
    // Who asks for less gets it.
    enqueue_one(pool, unique(3, Unique::key("key"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_taken_for_a_period() {
    let database = database().await;
    let pool = database.pool();
    let hourly = || Unique::key("key").in_states(&JobState::ALL).within(Duration::from_secs(3600));
    enqueue_one(pool, unique(1, hourly())).await;
    assert!(matches!(enqueue_jobs(pool, &[unique(2, hourly())]).await[..], [Enqueued::Duplicate(Some(_))]));
    execute(pool, "update queue.unique_keys set taken_at = taken_at - interval '61 minutes'").await;
    enqueue_one(pool, unique(3, hourly())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_may_wait_while_another_one_runs() {
    let database = database().await;
    let pool = database.pool();
    let waiting =
        || Unique::key("key").in_states(&[JobState::Available, JobState::Scheduled, JobState::Retryable]);
    let worker =
        TestWorker::start(database.url()).await.work(1, |_: Work, _| std::future::pending::<HandlerResult>());
    let first = enqueue_one(pool, unique(1, waiting())).await;
    until_state(pool, first, JobState::Running).await;
    let second = enqueue_one(pool, unique(2, waiting())).await;
    let existing = Existing { id: second, state: JobState::Available };
    assert_eq!(enqueue_jobs(pool, &[unique(3, waiting())]).await, [Enqueued::Duplicate(Some(existing))]);
    worker.stop_within(Duration::ZERO).await;
}

/// Many transactions that want the same keys at once: each key is won by one, and all are told of the same
/// job.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_race_for_keys_has_one_winner_each() {
    let database = database().await;
    let pool = database.pool();
    for round in 0..5 {
        let racers: Vec<_> = (0..8)
            .map(|n| {
                let pool = pool.clone();
                let batch: Vec<NewJob> =
                    (0..20).map(|key| unique(n, Unique::key(format!("{round} {key}")))).collect();
                tokio::spawn(async move { enqueue_jobs(&pool, &batch).await })
            })
            .collect();
        let mut won = [const { Vec::new() }; 20];
        for racer in racers {
            for (key, outcome) in racer.await.unwrap().into_iter().enumerate() {
                won[key].push(outcome);
            }
        }
        for outcomes in won {
            let inserted = outcomes.iter().filter(|o| matches!(o, Enqueued::Inserted(_))).count();
            let ids: HashSet<i64> = outcomes
                .iter()
                .map(|outcome| match outcome {
                    Enqueued::Inserted(id) | Enqueued::Duplicate(Some(Existing { id, .. })) => *id,
                    Enqueued::Duplicate(None) => panic!("the winner is gone"),
                })
                .collect();
            assert_eq!((inserted, ids.len()), (1, 1));
        }
    }
    assert_eq!(live_jobs(pool).await, 100);
}

/// The follow-up of the groups in these tests.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Finish {
    of: i64,
}

impl Job for Finish {
    const KIND: &'static str = "finish";
}

async fn group(pool: &PgPool, jobs: impl IntoIterator<Item = NewJob>) -> (i64, Vec<i64>) {
    let mut tx = pool.begin().await.unwrap();
    let group = create_group(&mut tx, &Finish { of: 1 }).await.unwrap();
    let jobs: Vec<NewJob> = jobs.into_iter().map(|job| job.group(group)).collect();
    let ids = enqueue_all(&mut tx, &jobs).await.unwrap().into_iter().map(inserted).collect();
    tx.commit().await.unwrap();
    (group, ids)
}

async fn follow_ups(pool: &PgPool) -> usize {
    jobs(pool).await.iter().filter(|job| job.kind == "finish").count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_follow_up_comes_once_when_the_last_job_has_ended() {
    let database = database().await;
    let pool = database.pool();
    let handler_pool = pool.clone();
    // Three sorts of ends in several processes: completed, completed in the handler's transaction, discarded.
    let handler = move |work: Work, lease: resume_queue::Lease| {
        let pool = handler_pool.clone();
        async move {
            match work.n % 3 {
                0 => Ok(()),
                1 => Err(JobError::discard("no").into()),
                _ => {
                    let mut tx = pool.begin().await?;
                    lease.complete_in(&mut tx).await?;
                    tx.commit().await?;
                    Ok(())
                }
            }
        }
    };
    let mut workers = Vec::new();
    for _ in 0..3 {
        workers.push(TestWorker::start(database.url()).await.work(8, handler.clone()));
    }
    for _ in 0..10 {
        group(pool, (0..30).map(work)).await;
    }
    until("ten follow-ups", || async { (follow_ups(pool).await == 10).then_some(()) }).await;
    let unended = "select count(*) from queue.live_jobs where kind = 'work'";
    assert_eq!(number(pool, unended).await, Some(0));
    let finished =
        "select count(*) from queue.groups where finished_at is not null and follow_up_id is not null";
    assert_eq!(number(pool, finished).await, Some(10));
    for worker in workers {
        worker.stop().await;
    }
    assert_eq!(follow_ups(pool).await, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_may_add_jobs_to_its_group() {
    let database = database().await;
    let pool = database.pool();
    let handler_pool = pool.clone();
    let (group, _) = group(pool, [work(5)]).await;
    let worker = TestWorker::start(database.url()).await.work(1, move |job: Work, lease| {
        let pool = handler_pool.clone();
        async move {
            let mut tx = pool.begin().await?;
            if job.n > 0 {
                enqueue_all(&mut tx, &[work(job.n - 1).group(group)]).await?;
            }
            lease.complete_in(&mut tx).await?;
            tx.commit().await?;
            Ok(())
        }
    });
    until("the follow-up", || async { (follow_ups(pool).await == 1).then_some(()) }).await;
    let works: Vec<_> = jobs(pool).await.into_iter().filter(|job| job.kind == "work").collect();
    assert_eq!(works.len(), 6);
    assert!(works.iter().all(|job| job.state == JobState::Completed));
    worker.stop().await;
}

#[tokio::test]
async fn cancelling_the_last_job_ends_its_group() {
    let database = database().await;
    let pool = database.pool();
    let (_, ids) = group(pool, [work(1), work(2)]).await;
    cancel(pool, ids[0]).await.unwrap();
    assert_eq!(follow_ups(pool).await, 0);
    cancel(pool, ids[1]).await.unwrap();
    assert_eq!(follow_ups(pool).await, 1);
}
