//! Slots that are shared among concurrency keys, and groups of a key that take turns.

use std::time::{Duration, Instant};

use resume_queue::{
    Job, JobError, JobState, Limits, NewJob, QueueConfig, create_group, enqueue_all,
    inspect::why_not_running, limit_queue, pause_queue, unpause_queue,
};
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, PgPool, Row, raw_sql};

use crate::support::*;

/// What a group wants done at its end.
#[derive(Debug, Serialize, Deserialize)]
struct Finish;

impl Job for Finish {
    const KIND: &'static str = "finish";
}

/// Enqueues a job for each of these numbers, with this key, in a group of its own; gives their ids.
async fn enqueue_group(pool: &PgPool, key: &str, numbers: impl IntoIterator<Item = i64>) -> Vec<i64> {
    let mut tx = pool.begin().await.unwrap();
    let group = create_group(&mut tx, &Finish).await.unwrap();
    let jobs: Vec<NewJob> = numbers.into_iter().map(|n| work(n).concurrency_key(key).group(group)).collect();
    let ids = enqueue_all(&mut tx, &jobs).await.unwrap().into_iter().map(inserted).collect();
    tx.commit().await.unwrap();
    ids
}

/// Claims as a worker does that has so many free slots and holds these jobs of these keys; gives the
/// payloads, in the order in which the keys and groups had their turns.
async fn claim_shares(pool: &PgPool, free: usize, held: &[(&str, i32)], behind: &[(&str, i64)]) -> Vec<i64> {
    let list = |items: Vec<String>| items.join(", ");
    let keys: Vec<&str> =
        held.iter().map(|(key, _)| *key).chain(behind.iter().map(|(key, _)| *key)).collect();
    let held_of = |key: &&str| held.iter().find(|(of, _)| of == key).map_or(0, |(_, n)| *n).to_string();
    let behind_of = |key: &&str| {
        behind.iter().find(|(of, _)| of == key).map_or("null".to_owned(), |(_, n)| n.to_string())
    };
    let sql = format!(
        "select coalesce(array_agg((args ->> 'n')::bigint order by turn, id), '{{}}')
         from queue.claim_in_shares('work', 1, {free}, 30, array[{}]::text[], array[{}]::integer[], array[{}]::bigint[])",
        list(keys.iter().map(|key| format!("'{key}'")).collect()),
        list(keys.iter().map(held_of).collect()),
        list(keys.iter().map(behind_of).collect()),
    );
    raw_sql(AssertSqlSafe(sql)).fetch_one(pool).await.unwrap().get(0)
}

/// How many running jobs each key has.
async fn running(pool: &PgPool) -> Vec<(String, i64)> {
    let sql = "select concurrency_key, count(*) from queue.live_jobs where state = 'running'
               group by concurrency_key order by concurrency_key";
    let rows = raw_sql(sql).fetch_all(pool).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

async fn until_running(pool: &PgPool, expected: &[(&str, i64)]) {
    let wanted: Vec<_> = expected.iter().map(|(key, n)| ((*key).to_owned(), *n)).collect();
    until(&format!("these run: {expected:?}"), || async { (running(pool).await == wanted).then_some(()) })
        .await;
}

/// One key has half of the slots, two have a third each, and a key that has none gets one at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_leaves_as_many_slots_free_as_it_has() {
    let database = database().await;
    let pool = database.pool();
    let shares = QueueConfig::fixed(12).in_shares();
    let worker = TestWorker::start(database.url())
        .await
        .work_with(shares, |_: Work, _| std::future::pending::<HandlerResult>());
    let many = enqueue_group(pool, "many", 0..1000).await;
    until_running(pool, &[("many", 6)]).await;
    enqueue_group(pool, "other", 0..1000).await;
    until_running(pool, &[("many", 6), ("other", 3)]).await;
    enqueue_group(pool, "single", 0..1).await;
    until_running(pool, &[("many", 6), ("other", 3), ("single", 1)]).await;
    // What a key gives back goes to those that have less.
    for id in &many[..4] {
        resume_queue::cancel(pool, *id).await.unwrap();
    }
    until_running(pool, &[("many", 4), ("other", 4), ("single", 1)]).await;
    worker.stop_within(Duration::ZERO).await;
}

/// With nothing but the end of its own jobs to wake it.
#[tokio::test(flavor = "multi_thread")]
async fn a_single_key_is_worked_through() {
    let database = database().await;
    let pool = database.pool();
    let shares = QueueConfig::fixed(4).in_shares();
    let worker = TestWorker::start(database.url()).await.work_with(shares, |_: Work, _| async { Ok(()) });
    let ids = enqueue_group(pool, "only", 0..200).await;
    for id in ids {
        until_state(pool, id, JobState::Completed).await;
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_groups_of_a_key_take_turns() {
    let database = database().await;
    let pool = database.pool();
    enqueue_group(pool, "source", 0..100).await;
    enqueue_group(pool, "source", 100..103).await;
    enqueue_group(pool, "source", 200..300).await;
    let seen = Seen::new();
    let shares = QueueConfig::fixed(2).in_shares();
    let worker = TestWorker::start(database.url()).await.work_with(shares, {
        let seen = seen.clone();
        move |work: Work, _| {
            seen.note(work.n);
            async { Ok(()) }
        }
    });
    until("all have run", || async { (seen.all().len() == 203).then_some(()) }).await;
    assert_eq!(seen.all()[..12], [0, 100, 200, 1, 101, 201, 2, 102, 202, 3, 203, 4]);
    worker.stop().await;
}

/// The turn goes around: behind the group that had the last one, and on from the first.
#[tokio::test]
async fn a_claim_goes_on_behind_the_last_turn() {
    let database = database().await;
    let pool = database.pool();
    for group in 1..=4 {
        enqueue_group(pool, "source", (0..10).map(|n| 100 * group + n)).await;
    }
    enqueue_one(pool, work(0).concurrency_key("source")).await;
    assert_eq!(claim_shares(pool, 4, &[], &[("source", 2)]).await, [300, 400]);
    assert_eq!(claim_shares(pool, 4, &[], &[("source", 4)]).await, [100, 0], "those in no group are one");
    assert_eq!(claim_shares(pool, 12, &[], &[("source", 3)]).await, [101, 102, 200, 301, 401, 402]);
}

#[tokio::test]
async fn of_more_keys_than_slots_a_lot_decides() {
    let database = database().await;
    let pool = database.pool();
    for key in 0..40 {
        enqueue_group(pool, &format!("key {key:02}"), [key, 100 + key]).await;
    }
    let first = claim_shares(pool, 8, &[], &[]).await;
    assert_eq!(first.len(), 8);
    assert!(first.iter().all(|n| *n < 40), "one of each key: {first:?}");
    assert_ne!(first, [0, 1, 2, 3, 4, 5, 6, 7], "one time in 77 million");
    // Those that have one come behind those that have none.
    let names: Vec<String> = first.iter().map(|key| format!("key {key:02}")).collect();
    let held: Vec<(&str, i32)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    let second = claim_shares(pool, 8, &held, &[]).await;
    assert!(second.len() == 8 && second.iter().all(|n| !first.contains(&(n % 100))), "{first:?} {second:?}");
}

#[tokio::test]
async fn jobs_without_a_key_get_what_is_left() {
    let database = database().await;
    let pool = database.pool();
    enqueue_group(pool, "source", 0..10).await;
    enqueue_many(pool, 10, |n| Work { n: 100 + n }).await;
    assert_eq!(claim_shares(pool, 6, &[], &[]).await, [0, 1, 2, 100, 101, 102]);
    assert_eq!(claim_shares(pool, 1, &[("source", 3)], &[]).await, [103]);
}

#[tokio::test]
async fn the_limits_of_the_queue_hold_besides() {
    let database = database().await;
    let pool = database.pool();
    for key in ["one", "two"] {
        enqueue_group(pool, key, 0..20).await;
    }
    pause_queue(pool, "work").await.unwrap();
    assert!(claim_shares(pool, 12, &[], &[]).await.is_empty());
    unpause_queue(pool, "work").await.unwrap();
    limit_queue(pool, "work", Limits { max_running: Some(5), max_running_per_key: Some(2) }).await.unwrap();
    assert_eq!(claim_shares(pool, 12, &[], &[]).await.len(), 4);
    assert_eq!(running(pool).await, [("one".to_owned(), 2), ("two".to_owned(), 2)]);
    limit_queue(pool, "work", Limits { max_running: Some(5), max_running_per_key: None }).await.unwrap();
    assert_eq!(claim_shares(pool, 12, &[], &[]).await.len(), 1);
}

/// Of two claims at the same moment neither waits for the other, and both get what they want.
#[tokio::test]
async fn claims_pass_by_what_others_have_locked() {
    let database = database().await;
    let pool = database.pool();
    enqueue_group(pool, "source", 0..10).await;
    let mut other = pool.begin().await.unwrap();
    raw_sql("select from queue.live_jobs order by id limit 3 for update").execute(&mut *other).await.unwrap();
    assert_eq!(claim_shares(pool, 8, &[], &[]).await, [3, 4, 5, 6]);
    other.rollback().await.unwrap();
}

/// A handler that knows that the others of its key could do nothing either.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_rests_is_not_claimed_and_keeps_no_other_back() {
    let database = database().await;
    let pool = database.pool();
    let seen = Seen::new();
    let shares = QueueConfig::fixed(4).in_shares();
    let rest = Duration::from_millis(300);
    let worker = TestWorker::start(database.url()).await.work_with(shares, {
        let seen = seen.clone();
        move |work: Work, lease| {
            let is_first = seen.all().iter().all(|(n, _)| *n != work.n);
            seen.note((work.n, Instant::now()));
            async move {
                if work.n < 100 && is_first {
                    lease.rest_key(rest);
                    return Err(JobError::Snooze(rest).into());
                }
                Ok(())
            }
        }
    });
    enqueue_group(pool, "silent", 0..10).await;
    until("the first ones have run", || async { (seen.all().len() >= 2).then_some(()) }).await;
    enqueue_group(pool, "other", 100..120).await;
    until("the others have run", || async { (others(&seen.all()) == 20).then_some(()) }).await;
    let first = seen.all()[0].1;
    let early = seen.all().iter().filter(|(n, at)| *n < 100 && *at < first + rest).count();
    assert!(early <= 4, "{early} jobs of the key ran although it rested");
    until("all are done", || async { (completed_jobs(pool).await == 30).then_some(()) }).await;
    worker.stop().await;
}

fn others(seen: &[(i64, Instant)]) -> usize {
    seen.iter().filter(|(n, _)| *n >= 100).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_tells_what_is_in_front_of_a_job_in_its_group() {
    let database = database().await;
    let pool = database.pool();
    let shares = QueueConfig::fixed(2).in_shares();
    let worker = TestWorker::start(database.url())
        .await
        .work_with(shares, |_: Work, _| std::future::pending::<HandlerResult>());
    enqueue_group(pool, "source", 0..100).await;
    let ids = enqueue_group(pool, "source", 0..3).await;
    until_running(pool, &[("source", 1)]).await;
    let told = async |id: i64| {
        let obstacle = why_not_running(pool, id).await.unwrap().pop().unwrap();
        (obstacle.detail, obstacle.ahead)
    };
    let beside = "and other groups and keys have their turns beside it";
    assert_eq!(told(ids[0]).await, (format!("the job is the next one of its group, {beside}"), Some(0)));
    assert_eq!(told(ids[2]).await, (format!("2 jobs of its group are in front of it, {beside}"), Some(2)));
    worker.stop_within(Duration::ZERO).await;
}
