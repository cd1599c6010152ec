//! Each tick of a schedule is fired once, whoever dies or believes to lead.

use std::time::{Duration, Instant};

use resume_queue::{
    Job, maintenance,
    schedules::{self, Missed, NewSchedule, Timing},
};
use serde_json::json;
use sqlx::Connection;

use crate::{
    schedules::{now, put, schedule, until_fired},
    support::*,
};

/// Four processes, and the one that leads is killed three times, each in the middle of firing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_tick_is_fired_once_although_leaders_are_killed() {
    const SCHEDULES: i64 = 20;
    const TICKS: i64 = 5;
    let database = database().await;
    let pool = database.pool();
    create_effects(pool).await;
    // Nobody works on this queue: its jobs stay to be counted. It takes a second to enqueue a hundred of
    // them.
    execute(
        pool,
        "create function nap() returns trigger language plpgsql as $$ begin perform pg_sleep(0.01); return new; end $$;
         create trigger nap before insert on queue.live_jobs for each row when (new.queue = 'nobody') execute function nap()",
    )
    .await;
    let settings = ProcessSettings { concurrency: 1, job: Duration::ZERO, lease: Duration::from_secs(30) };
    let mut processes: Vec<WorkerProcess> =
        (0..4).map(|_| WorkerProcess::start(database.url(), settings)).collect();
    for round in 0..3 {
        let leader = until("somebody leads", || async {
            let leader = resume_queue::leader(pool).await.unwrap()?;
            processes.iter().position(|process| process.name() == leader.name)
        })
        .await;
        let mut conn = pool.acquire().await.unwrap();
        let mut tx = conn.begin().await.unwrap();
        for n in 0..SCHEDULES {
            let name = format!("{round} {n}");
            let minutely = schedule(&name, "* * * * *", Missed::All);
            let new = NewSchedule { kind: "nobody".to_owned(), args: json!(name), ..minutely };
            schedules::put(&mut tx, &new).await.unwrap();
        }
        let due = format!(
            "update queue.schedules set next_at = date_trunc('minute', now()) - interval '{} minutes'
             where name like '{round} %'",
            TICKS - 1
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(due)).execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        let firing = "select count(*) from pg_stat_activity where datname = current_database() and state = 'active' \
                      and query like '-- Enqueues a job for each tick%'";
        until("the leader fires", || async { number(pool, firing).await.filter(|n| *n > 0) }).await;
        processes.remove(leader).kill();
        processes.push(WorkerProcess::start(database.url(), settings));
        let killed = Instant::now();
        for n in 0..SCHEDULES {
            until_fired(pool, &format!("{round} {n}")).await;
        }
        eprintln!(
            "round {round}: all fired {:?} after the leader was killed in the middle",
            killed.elapsed()
        );
    }
    // Each tick has a job and no more. There may be more ticks than were asked for, of minutes that passed
    // meanwhile.
    let twice = "select count(*) from (select args, run_at from queue.live_jobs where queue = 'nobody' \
                 group by args, run_at having count(*) > 1) twice";
    assert_eq!(number(pool, twice).await, Some(0));
    let gaps = "select count(*) from (select args, count(*), max(run_at) - min(run_at) as span from queue.live_jobs \
                where queue = 'nobody' group by args) s where span <> (count - 1) * interval '1 minute' or count < ";
    assert_eq!(number(pool, format!("{gaps} {TICKS}")).await, Some(0));
    let of_all = "select count(distinct args) from queue.live_jobs where queue = 'nobody'";
    assert_eq!(number(pool, of_all).await, Some(SCHEDULES * 3));
}

/// Two workers that both believe to lead, as when a stopped one goes on: the row's lock decides.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_second_to_a_tick_finds_it_fired() {
    let database = database().await;
    let pool = database.pool();
    put(pool, &schedule("s", "* * * * *", Missed::Once)).await;
    // Another leader is firing it: it has the lock.
    let mut other = pool.begin().await.unwrap();
    sqlx::query!("select name from queue.schedules for update").fetch_one(&mut *other).await.unwrap();
    let worker = TestWorker::start(database.url()).await;
    let moved = "update queue.schedules set next_at = date_trunc('minute', now()); notify queue_schedules";
    sqlx::raw_sql(moved).execute(&mut *other).await.unwrap();
    let runs =
        || async { maintenance::report(pool).await.unwrap().into_iter().find(|r| r.service == "schedules") };
    until("the leader has looked", runs).await;
    sqlx::raw_sql("update queue.schedules set next_at = next_at + interval '1 year'")
        .execute(&mut *other)
        .await
        .unwrap();
    other.commit().await.unwrap();
    // It looks again when this one is due.
    let at = now(pool).await;
    put(pool, &NewSchedule::new("after", Timing::Once(at), &Other { n: 0 }).unwrap()).await;
    until_fired(pool, "after").await;
    let kinds: Vec<String> = jobs(pool).await.into_iter().map(|job| job.kind).collect();
    assert_eq!(kinds, [Other::KIND]);
    worker.stop().await;
}
