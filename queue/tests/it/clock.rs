//! The clock of the database server jumps by an hour.
//!
//! Only that clock counts: no process asks its own one for the date. A jump is played by moving all that is
//! stored the other way, which is the same to whoever compares it with `now()`.

use std::{sync::Arc, time::Duration};

use resume_queue::{Changed, JobState, SessionSettings, retry};
use sqlx::PgPool;
use tokio::sync::Semaphore;

use crate::support::*;

const LEASE: Duration = Duration::from_secs(6);

/// Lets the server's clock jump forward by so many hours.
async fn jump(pool: &PgPool, hours: i32) {
    let tables = [
        ("live_jobs", &["run_at", "turn", "created_at", "started_at", "lease_until"][..]),
        ("workers", &["started_at", "heartbeat_at", "stopped_at"]),
        ("worker_queues", &["updated_at"]),
        ("unique_keys", &["taken_at"]),
    ];
    let update = |(table, columns): (&str, &[&str])| {
        let moves = columns.iter().map(|column| format!("{column} = {column} - interval '{hours} hours'"));
        format!("update queue.{table} set {}", moves.collect::<Vec<_>>().join(", "))
    };
    // One transaction. Whoever extends a lease meanwhile is waited for.
    execute(pool, tables.map(update).join("; ")).await;
}

/// A worker whose jobs wait for a permit before their effect.
async fn gated(url: &str, name: &str, gate: &Arc<Semaphore>) -> TestWorker {
    let settings = SessionSettings { lease: LEASE, ..settings(name) };
    let worker = TestWorker::start_with(url, settings).await;
    let (pool, gate) = (worker.pool.clone(), gate.clone());
    worker.work(4, move |work: Work, lease| {
        let (pool, gate) = (pool.clone(), gate.clone());
        async move {
            gate.acquire().await?.forget();
            effect(&pool, work.n, &lease, Duration::ZERO).await
        }
    })
}

async fn until_running(pool: &PgPool, count: i64) {
    let running = "select count(*) from queue.live_jobs where state = 'running'";
    until("the slots are full", || async { (number(pool, running).await == Some(count)).then_some(()) })
        .await;
}

/// All leases have run out at once, and what was due within the hour is due now. Whether a lease is kept
/// before somebody takes the job is a race; its effect is there once in either case.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jump_forward_loses_nothing_and_doubles_no_effect() {
    const JOBS: i64 = 30;
    let database = database().await;
    let pool = database.pool();
    create_effects(pool).await;
    let gate = Arc::new(Semaphore::new(0));
    let workers = [gated(database.url(), "one", &gate).await, gated(database.url(), "other", &gate).await];
    for n in 0..JOBS {
        let job = if n % 3 == 2 { work(n).after(Duration::from_secs(3500)) } else { work(n) };
        enqueue_one(pool, job).await;
    }
    until_running(pool, 8).await;
    jump(pool, 1).await;
    let expired = "select count(*) from queue.live_jobs where state = 'running' and lease_until < now()";
    until("every lease is kept or rescued", || async {
        (number(pool, expired).await == Some(0)).then_some(())
    })
    .await;
    gate.add_permits(10 * JOBS as usize);
    assert_eq!(until_all_ended(pool).await, JOBS);
    assert_eq!(number(pool, "select count(*) from effects").await, Some(JOBS));
    assert_eq!(number(pool, "select count(distinct n) from effects").await, Some(JOBS));
    for job in jobs(pool).await {
        assert!(job.attempt <= 2, "{job:?}");
    }
    for worker in workers {
        worker.stop().await;
    }
}

/// All that is stored lies an hour ahead. What waits for a time waits for it; what is available or runs does
/// not mind, and a death is noticed without a clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jump_back_holds_up_only_what_waits_for_a_time() {
    let database = database().await;
    let pool = database.pool();
    create_effects(pool).await;
    let gate = Arc::new(Semaphore::new(0));
    let victim = gated(database.url(), "victim", &gate).await;
    let later = enqueue_one(pool, work(100).after(Duration::from_secs(60))).await;
    let held = enqueue_many(pool, 4, |n| Work { n }).await;
    until_running(pool, 4).await;
    let waiting = enqueue_many(pool, 4, |n| Work { n: n + 4 }).await;
    drop(victim);
    jump(pool, -1).await;
    let heir = gated(database.url(), "heir", &gate).await;
    gate.add_permits(100);
    // One that is enqueued after the jump comes before those of an hour later, and holds up nobody.
    let after = enqueue_one(pool, work(8)).await;
    for id in held.iter().chain(&waiting).chain([&after]) {
        until_state(pool, *id, JobState::Completed).await;
    }
    for id in held {
        assert_eq!(job(pool, id).await.failures(), [(1, "worker died (worker victim)".to_owned())]);
    }
    let late = job(pool, later).await;
    assert_eq!(late.state, JobState::Scheduled);
    // A person can have it now.
    assert_eq!(retry(pool, later).await.unwrap(), Changed::Done);
    until_state(pool, later, JobState::Completed).await;
    assert_eq!(number(pool, "select count(*) from effects").await, Some(10));
    heir.stop().await;
}
