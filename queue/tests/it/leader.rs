//! Which worker leads, and who follows: when the leader signs off, is killed, stands still, or is cut off.

use std::time::{Duration, Instant};

use resume_queue::{Leader, SessionSettings, leader};
use sqlx::PgPool;

use crate::support::*;

/// Waits until a worker leads that suits.
async fn until_leader(pool: &PgPool, what: &str, suits: impl Fn(&Leader) -> bool) -> Leader {
    until(what, || async { leader(pool).await.unwrap().filter(&suits) }).await
}

async fn until_process_leads(pool: &PgPool, process: &WorkerProcess) -> Leader {
    let name = process.name();
    until_leader(pool, &format!("{name} leads"), |leader| leader.name == name).await
}

async fn until_workers(pool: &PgPool, count: i64) {
    let living = "select count(*) from queue.workers where stopped_at is null";
    until("the workers live", || async { number(pool, living).await.filter(|n| *n == count) }).await;
}

/// Processes that run the jobs of the queue `work`, the first of which leads.
async fn processes(url: &str, pool: &PgPool, count: i64) -> Vec<WorkerProcess> {
    let settings =
        ProcessSettings { concurrency: 4, job: Duration::from_millis(1500), lease: Duration::from_secs(30) };
    let mut processes = Vec::new();
    for n in 1..=count {
        processes.push(WorkerProcess::start(url, settings));
        until_workers(pool, n).await;
        // Before another one is there to take the seat.
        until_process_leads(pool, &processes[0]).await;
    }
    processes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_leads() {
    let database = database().await;
    let pool = database.pool();
    assert_eq!(leader(pool).await.unwrap(), None);
    let mut workers = Vec::new();
    for n in 0..5 {
        workers.push(TestWorker::start_with(database.url(), settings(&format!("worker {n}"))).await);
    }
    let first = leader(pool).await.unwrap().unwrap();
    assert_eq!((first.name.as_str(), first.term), ("worker 0", 1));
    until("the lease was renewed", || async {
        leader(pool).await.unwrap().filter(|now| now.lease_until > first.lease_until)
    })
    .await;
    let renewed = leader(pool).await.unwrap().unwrap();
    assert_eq!(renewed, Leader { lease_until: renewed.lease_until, ..first });
    for worker in workers {
        worker.stop().await;
    }
    assert_eq!(leader(pool).await.unwrap(), None, "who signs off leaves the seat");
}

/// Promise: at once. Those who are left hear of it, rather than to wait for the lease or for their next look.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_shuts_down_resigns() {
    let database = database().await;
    let pool = database.pool();
    // It has a job that does not end, and leads no more from the moment it begins to shut down.
    let first = TestWorker::start_with(database.url(), settings("first"))
        .await
        .work(1, |_: Work, _| std::future::pending());
    let id = enqueue_many(pool, 1, |n| Work { n }).await[0];
    until_state(pool, id, resume_queue::JobState::Running).await;
    let second = TestWorker::start_with(database.url(), settings("second")).await;
    assert_eq!(leader(pool).await.unwrap().unwrap().name, "first");
    let start = Instant::now();
    let stopping = tokio::spawn(first.stop_within(Duration::from_secs(4)));
    until_leader(pool, "the second leads", |leader| leader.name == "second").await;
    let took = start.elapsed();
    eprintln!("resignation to the next leader: {took:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
    in_time("the first stops", stopping).await.unwrap();
    assert_eq!(leader(pool).await.unwrap().unwrap().term, 2);
    second.stop().await;
}

/// Promise: the jobs run again within 5 s, as those of any worker that is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_jobs_of_a_killed_leader_run_again_within_seconds() {
    let database = database().await;
    let pool = database.pool();
    create_effects(pool).await;
    let mut processes = processes(database.url(), pool, 1).await;
    enqueue_many(pool, 4, |n| Work { n }).await;
    let starts = |count: i64| async move {
        let sql = "select count(*) from starts";
        until("the jobs have started", || async { number(pool, sql).await.filter(|n| *n >= count) }).await
    };
    starts(4).await;
    let settings = ProcessSettings { concurrency: 4, job: Duration::ZERO, lease: Duration::from_secs(30) };
    let heir = WorkerProcess::start(database.url(), settings);
    until_workers(pool, 2).await;
    processes.remove(0).kill();
    let killed = Instant::now();
    starts(8).await;
    let took = killed.elapsed();
    eprintln!("kill -9 of the leader to run again: {took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(until_all_ended(pool).await, 4);
    assert_eq!(number(pool, "select count(*) from effects").await, Some(4));
    let now = until_process_leads(pool, &heir).await;
    assert_eq!(now.term, 2);
}

/// Promise: another one leads within 10 s, although the connection of the stopped process, and its lock, live
/// on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_stands_still_is_replaced_and_comes_back_as_a_candidate() {
    let database = database().await;
    let pool = database.pool();
    create_effects(pool).await;
    let processes = processes(database.url(), pool, 3).await;
    processes[0].signal("-STOP");
    let stopped = Instant::now();
    let next = until_leader(pool, "another one leads", |leader| leader.term == 2).await;
    let took = stopped.elapsed();
    eprintln!("SIGSTOP of the leader to the next one: {took:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_ne!(next.name, processes[0].name());
    processes[0].signal("-CONT");
    // It lives: it has a heartbeat, and knows that it does not lead.
    until_heartbeats_of(pool, &processes[0].name(), 1).await;
    let renewed = until_leader(pool, "a renewal", |now| now.lease_until > next.lease_until).await;
    assert_eq!((renewed.worker_id, renewed.term), (next.worker_id, 2));
    // The maintenance is done by the one who leads.
    let by = "select worker_id from queue.maintenance where service = 'rescue'";
    until("the new leader rescues", || async { number(pool, by).await.filter(|id| *id == next.worker_id) })
        .await;
}

/// All connections of the leader are cut, again and again: somebody leads, and the terms only grow.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_cut_off_is_followed_and_follows() {
    let database = database().await;
    let options: sqlx::postgres::PgConnectOptions = database.url().parse().unwrap();
    let pool = PgPool::connect_with(options.application_name("cutter")).await.unwrap();
    let one = TestWorker::start_with(database.url(), settings("one")).await;
    let other = TestWorker::start_with(database.url(), settings("other")).await;
    let mut term = 0;
    for _ in 0..5 {
        let now = until_leader(&pool, "somebody leads", |leader| leader.term > term).await;
        term = now.term;
        let cut = "select pg_terminate_backend(pid) from pg_stat_activity \
                   where datname = current_database() and application_name =";
        execute(&pool, format!("{cut} '{}'", now.name)).await;
    }
    until_leader(&pool, "somebody leads", |leader| leader.term > term).await;
    one.stop().await;
    other.stop().await;
}

/// Only the leader looks for dead workers and expired leases.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_lead_rescues_nobody() {
    let database = database().await;
    let pool = database.pool();
    // The seat is taken by somebody who does nothing: its lock is held.
    execute(pool, "insert into queue.workers (name) values ('idle'), ('phantom')").await;
    let mut presence = pool.acquire().await.unwrap();
    let key = "select (x'72657375'::bigint << 32) | id from queue.workers where name = 'idle'";
    let key = number(pool, key).await.unwrap();
    sqlx::query!("select pg_advisory_lock($1)", key).fetch_one(&mut *presence).await.unwrap();
    let seat = "update queue.leader set worker_id = w.id, lease_until = now() + interval '1 hour' \
                from queue.workers w where w.name = 'idle'";
    execute(pool, seat).await;
    let id = enqueue_many(pool, 1, |n| Work { n }).await[0];
    let run = "update queue.live_jobs set state = 'running', attempt = 1, fence = 1, started_at = now(), \
               lease_until = now() - interval '1 hour', worker_id = w.id from queue.workers w where w.name = 'phantom'";
    execute(pool, run).await;
    let quick = SessionSettings { lease: Duration::from_secs(1), ..settings("candidate") };
    let candidate = TestWorker::start_with(database.url(), quick).await;
    // It has had the time to take the job for lost twice.
    until_heartbeats_of(pool, "candidate", 20).await;
    assert_eq!(job(pool, id).await.state, resume_queue::JobState::Running);
    assert_eq!(number(pool, "select count(*) from queue.maintenance").await, Some(0));
    // It takes over as soon as the lock is free.
    sqlx::query!("select pg_advisory_unlock($1)", key).fetch_one(&mut *presence).await.unwrap();
    until_state(pool, id, resume_queue::JobState::Available).await;
    assert_eq!(leader(pool).await.unwrap().unwrap().name, "candidate");
    candidate.stop().await;
}

/// Promise: under one statement a second and worker. A transaction of each is counted; this test adds a few.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_workers_ask_little() {
    const WORKERS: usize = 10;
    // The transactions of an autovacuum would count, too.
    let database = own_cluster().await;
    let pool = database.pool();
    execute(pool, "alter system set autovacuum = off").await;
    execute(pool, "select pg_reload_conf()").await;
    let mut workers = Vec::new();
    for n in 0..WORKERS {
        let settings = SessionSettings { name: format!("worker {n}"), ..SessionSettings::default() };
        let worker = TestWorker::start_with(database.url(), settings).await;
        let worker = worker.work(4, |_: Work, _| async { Ok(()) }).work(4, |_: Other, _| async { Ok(()) });
        workers.push(worker.work(4, |_: Text, _| async { Ok(()) }));
    }
    // Claimers fall asleep slowly, within ten seconds; a session of the server that sleeps tells of its last
    // transactions ten seconds late; and each new statement is prepared once in each connection of the
    // maintenance. That is the start.
    transactions_per_second(pool, Duration::from_secs(32)).await;
    let rate = transactions_per_second(pool, Duration::from_secs(20)).await / WORKERS as f64;
    eprintln!("{WORKERS} idle workers with three queues each: {rate:.2} statements per second and worker");
    assert!(rate < 1.0, "{rate}");
    for worker in workers {
        worker.stop().await;
    }
}
