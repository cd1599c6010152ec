//! Ended jobs: partitions by day, retention, and the view over all.

use resume_queue::{JobState, NewJob};
use sqlx::PgPool;

use crate::support::*;

/// The partitions of one part of the history, without the default one.
async fn partitions(pool: &PgPool, parent: &str) -> Vec<String> {
    let found = sqlx::query_scalar!(
        r#"
        select c.relname::text as "name!"
        from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = ('queue.' || $1)::regclass and c.relname not like '%default' order by 1
        "#,
        parent
    );
    found.fetch_all(pool).await.unwrap()
}

/// A database with the partitions that a worker makes: the copied one may be of yesterday.
async fn database_of_today() -> resume_postgres::testing::TestDatabase {
    let database = database().await;
    let days = "(now() at time zone 'UTC')::date, (now() at time zone 'UTC')::date + 7";
    execute(database.pool(), format!("select queue.create_history_partitions({days})")).await;
    database
}

/// The partition that holds an ended job.
async fn partition_of(pool: &PgPool, id: i64) -> String {
    let found = sqlx::query_scalar!(
        r#"select tableoid::regclass::text as "partition!" from queue.job_history where id = $1"#,
        id
    );
    found.fetch_one(pool).await.unwrap()
}

/// The name of the partition of the day that is so many days from today.
async fn day(pool: &PgPool, parent: &str, days: i32) -> String {
    let day = sqlx::query_scalar!(
        r#"select to_char((now() at time zone 'UTC')::date + $1::integer, 'YYYYMMDD') as "day!""#,
        days
    );
    format!("{parent}_{}", day.fetch_one(pool).await.unwrap())
}

/// Ends one job with each of two outcomes; gives their ids.
async fn complete_and_discard(database: &resume_postgres::testing::TestDatabase) -> (i64, i64) {
    let worker = TestWorker::start(database.url()).await.work(2, |work: Work, _| async move {
        if work.n == 0 { Ok(()) } else { Err(resume_queue::JobError::discard("no").into()) }
    });
    let ids = enqueue_many(database.pool(), 2, |n| Work { n }).await;
    until_all_ended(database.pool()).await;
    worker.stop().await;
    (ids[0], ids[1])
}

/// Runs the upkeep that every worker does when it starts.
async fn maintain(database: &resume_postgres::testing::TestDatabase, done: &str) {
    let worker = TestWorker::start(database.url()).await;
    until("the upkeep is done", || async { (number(database.pool(), done).await == Some(1)).then_some(()) })
        .await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_lands_in_the_partition_of_its_day() {
    let database = database_of_today().await;
    let pool = database.pool();
    let (completed, discarded) = complete_and_discard(&database).await;
    for (id, parent) in [(completed, "job_history_ended"), (discarded, "job_history_discarded")] {
        let expected: Vec<String> = {
            let mut days = Vec::new();
            for n in 0..=7 {
                days.push(day(pool, parent, n).await);
            }
            days
        };
        let found = partitions(pool, parent).await;
        assert!(expected.iter().all(|day| found.contains(day)), "{found:?}");
        assert_eq!(partition_of(pool, id).await, format!("queue.{}", expected[0]));
    }
    assert_eq!(live_jobs(pool).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_partition_of_the_day_no_job_is_lost() {
    let database = database().await;
    let pool = database.pool();
    // No worker has made partitions for long.
    let mut drop_all = String::new();
    for parent in ["job_history_ended", "job_history_discarded"] {
        for partition in partitions(pool, parent).await {
            drop_all.push_str(&format!("drop table queue.{partition};"));
        }
    }
    execute(pool, drop_all).await;
    // Keeps the upkeep of this worker off.
    let mut upkeep = pool.begin().await.unwrap();
    sqlx::query_scalar!("select pg_advisory_xact_lock(1919251304)").fetch_one(&mut *upkeep).await.unwrap();
    let (completed, discarded) = complete_and_discard(&database).await;
    assert_eq!(partition_of(pool, completed).await, "queue.job_history_ended_default");
    assert_eq!(partition_of(pool, discarded).await, "queue.job_history_discarded_default");
    upkeep.rollback().await.unwrap();
    // Today's stays in the default partition, the other days get theirs.
    let tomorrow = day(pool, "job_history_ended", 1).await;
    maintain(&database, &format!("select (to_regclass('queue.{tomorrow}') is not null)::integer::bigint"))
        .await;
    let today = day(pool, "job_history_ended", 0).await;
    assert!(!partitions(pool, "job_history_ended").await.contains(&today));
    assert_eq!(job(pool, completed).await.state, JobState::Completed);
    let (again, _) = complete_and_discard(&database).await;
    assert_eq!(partition_of(pool, again).await, "queue.job_history_ended_default");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_past_its_time_is_dropped() {
    let database = database().await;
    let pool = database.pool();
    execute(
        pool,
        "select queue.create_history_partitions((now() at time zone 'UTC')::date - 35, (now() at time zone 'UTC')::date - 1);
         insert into queue.job_history (id, fence, attempt, max_attempts, priority, state, run_at, created_at, finished_at, queue,
                                        kind, args)
         select n * 10 + s.k, 1, 1, 1, 0, s.state, now(), now(), now() - n * interval '1 day', 'old', 'old', '{}'
         from generate_series(0, 50) n,
              (values (0, 'completed'::queue.job_state), (1, 'cancelled'), (2, 'discarded')) s (k, state);
         insert into queue.workers (name, stopped_at)
         values ('forgotten', now() - interval '40 days'), ('remembered', now() - interval '20 days');",
    )
    .await;
    maintain(&database, "select (count(*) = 0)::integer::bigint from queue.workers where name = 'forgotten'")
        .await;
    for (parent, keep) in [("job_history_ended", 7), ("job_history_discarded", 30)] {
        let found = partitions(pool, parent).await;
        assert_eq!(found.first(), Some(&day(pool, parent, -keep).await));
        assert_eq!(found.last(), Some(&day(pool, parent, 7).await));
        assert_eq!(found.len() as i32, keep + 8);
        // Also from the default partition, which has what is older than any partition.
        let oldest = format!("select max(extract(day from now() - finished_at))::bigint from queue.{parent}");
        let oldest = number(pool, oldest).await.unwrap();
        assert!(oldest == i64::from(keep) || oldest == i64::from(keep) - 1, "{parent}: {oldest} days");
    }
    let workers = "select count(*) from queue.workers where name = 'remembered'";
    assert_eq!(number(pool, workers).await, Some(1));
}

/// Somebody reads the history for long, and the upkeep wants its lock: jobs must not wait behind the two.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_look_at_the_history_holds_up_no_job() {
    let database = database_of_today().await;
    let pool = database.pool();
    execute(pool, format!("drop table queue.{}", day(pool, "job_history_ended", 7).await)).await;
    let mut reader = pool.begin().await.unwrap();
    sqlx::query!("select id from queue.job_history limit 1").fetch_all(&mut *reader).await.unwrap();
    let worker = TestWorker::start(database.url()).await.work(2, |_: Work, _| async { Ok(()) });
    until_waiting_for_lock(pool).await;
    let start = std::time::Instant::now();
    let id = enqueue_one(pool, NewJob::new(&Work { n: 0 }).unwrap()).await;
    // The view that this looks at waits for the same lock.
    in_time("the job is done", until_state(pool, id, JobState::Completed)).await;
    eprintln!("a job beside a long look at the history: {:?}", start.elapsed());
    reader.rollback().await.unwrap();
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_view_shows_live_and_ended_jobs() {
    let database = database().await;
    let pool = database.pool();
    let (completed, discarded) = complete_and_discard(&database).await;
    let scheduled = enqueue_one(pool, NewJob::new(&Work { n: 7 }).unwrap().after(DEADLINE)).await;
    let all = jobs(pool).await;
    let find = |id: i64| all.iter().find(|job| job.id == id).unwrap();
    assert_eq!(all.len(), 3);
    let (completed, discarded, scheduled) = (find(completed), find(discarded), find(scheduled));
    for ended in [completed, discarded] {
        assert_eq!((ended.worker.as_deref(), ended.queue.as_str()), (Some("test"), "work"));
        assert!(ended.finished_at.is_some() && ended.started_at.is_some());
    }
    assert_eq!((completed.state, completed.last_error.as_deref()), (JobState::Completed, None));
    assert_eq!((discarded.state, discarded.last_error.as_deref()), (JobState::Discarded, Some("no")));
    assert_eq!((scheduled.state, scheduled.finished_at), (JobState::Scheduled, None));
}
