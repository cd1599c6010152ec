//! Enqueueing: in the caller's transaction, in bulk, with idempotency keys.

use std::time::Instant;

use resume_queue::{
    EnqueueError, Enqueued, Existing, JobState, MAX_ARGS_BYTES, NewJob, enqueue, enqueue_all,
};
use sqlx::Connection;

use crate::support::*;

fn keyed(n: i64, key: &str) -> NewJob {
    NewJob::new(&Work { n }).unwrap().idempotency_key(key)
}

/// A duplicate of this job, which waits.
fn available(id: i64) -> Enqueued {
    Enqueued::Duplicate(Some(Existing { id, state: JobState::Available }))
}

#[tokio::test]
async fn a_rollback_leaves_nothing_and_a_commit_a_job() {
    let database = database().await;
    let pool = database.pool();
    let mut conn = pool.acquire().await.unwrap();
    let mut tx = conn.begin().await.unwrap();
    enqueue(&mut tx, &Work { n: 1 }).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(jobs(pool).await, []);

    let mut tx = conn.begin().await.unwrap();
    let id = enqueue(&mut tx, &Work { n: 2 }).await.unwrap();
    assert_eq!(jobs(pool).await, [], "nothing is seen before the commit");
    tx.commit().await.unwrap();
    let job = job(pool, id).await;
    assert_eq!((job.queue.as_str(), job.kind.as_str()), ("work", "work"));
    assert_eq!((job.attempt, job.max_attempts, job.args), (0, 3, serde_json::json!({"n": 2})));
}

#[tokio::test]
async fn too_large_a_payload_is_refused() {
    // The JSON of a text has two quotes.
    let largest = Text("x".repeat(MAX_ARGS_BYTES - 2));
    NewJob::new(&largest).unwrap();
    let error = NewJob::new(&Text(largest.0 + "x")).unwrap_err();
    assert!(matches!(error, EnqueueError::TooLarge { size_bytes, .. } if size_bytes == MAX_ARGS_BYTES + 1));
    assert_eq!(
        error.to_string(),
        "the payload of a text job has 1048577 bytes, the most is 1048576: store the data and enqueue its id"
    );
}

/// Postgres stores no NUL in a text. It would refuse the statement, and with it the caller's transaction.
#[tokio::test]
async fn a_nul_is_refused_before_the_transaction_breaks() {
    let error = NewJob::new(&Text("a\0b".to_owned())).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the payload of a text job contains a NUL character, which PostgreSQL cannot store"
    );
    // Not a NUL, but the text of one.
    let job = NewJob::new(&Text(r"a\u0000b".to_owned())).unwrap();
    let database = database().await;
    enqueue_one(database.pool(), job).await;
}

#[tokio::test]
async fn a_hostile_key_is_refused_before_the_transaction_breaks() {
    let database = database().await;
    let mut conn = database.pool().acquire().await.unwrap();
    let mut tx = conn.begin().await.unwrap();
    // As hard to compress as random bytes: an index of Postgres takes no entry over 2704 bytes.
    let long: String =
        (0..3000u32).map(|n| char::from(b'a' + (n.wrapping_mul(2_654_435_761) >> 16) as u8 % 26)).collect();
    for key in ["a\0b", &long] {
        let error = enqueue_all(&mut tx, &[keyed(1, key)]).await.unwrap_err();
        assert!(matches!(error, EnqueueError::Key { .. }), "{error}");
    }
    enqueue(&mut tx, &Work { n: 2 }).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(jobs(database.pool()).await.len(), 1);
}

#[tokio::test]
async fn an_empty_batch_does_nothing() {
    let database = database().await;
    assert_eq!(enqueue_jobs(database.pool(), &[]).await, []);
}

#[tokio::test]
async fn a_batch_tells_for_each_job_what_became_of_it() {
    let database = database().await;
    let pool = database.pool();
    let earlier = enqueue_one(pool, keyed(0, "earlier")).await;
    let batch = [
        keyed(1, "a"),
        keyed(2, "earlier"),
        NewJob::new(&Work { n: 3 }).unwrap(),
        keyed(4, "a"),
        keyed(5, "b"),
    ];
    let outcome = enqueue_jobs(pool, &batch).await;
    let ids: Vec<i64> = jobs(pool).await.iter().map(|job| job.id).collect();
    assert_eq!(ids.len(), 4);
    assert_eq!(
        outcome,
        [
            Enqueued::Inserted(ids[1]),
            available(earlier),
            Enqueued::Inserted(ids[2]),
            available(ids[1]),
            Enqueued::Inserted(ids[3]),
        ]
    );
    let numbers: Vec<i64> = jobs(pool).await.iter().map(|job| job.args["n"].as_i64().unwrap()).collect();
    assert_eq!(numbers, [0, 1, 3, 5], "the order is that of the batch");
}

#[tokio::test]
async fn a_large_batch_keeps_its_order() {
    let database = database().await;
    let ids = enqueue_many(database.pool(), 5000, |n| Work { n }).await;
    assert!(ids.is_sorted());
    let numbers: Vec<i64> =
        jobs(database.pool()).await.iter().map(|job| job.args["n"].as_i64().unwrap()).collect();
    assert_eq!(numbers, (0..5000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_key_that_an_open_transaction_enqueues_is_waited_for() {
    let database = database().await;
    let pool = database.pool();
    for commits in [true, false] {
        let key = format!("commits {commits}");
        let mut first = pool.begin().await.unwrap();
        let [Enqueued::Inserted(first_id)] = enqueue_all(&mut first, &[keyed(1, &key)]).await.unwrap()[..]
        else {
            panic!("not inserted")
        };
        let second = tokio::spawn({
            let (pool, batch) = (pool.clone(), [keyed(2, &key), NewJob::new(&Work { n: 3 }).unwrap()]);
            async move { enqueue_jobs(&pool, &batch).await }
        });
        until_waiting_for_lock(pool).await;
        let outcome = if commits {
            first.commit().await.unwrap();
            in_time("the second enqueue", second).await.unwrap()
        } else {
            first.rollback().await.unwrap();
            in_time("the second enqueue", second).await.unwrap()
        };
        if commits {
            assert_eq!(outcome[0], available(first_id));
        } else {
            inserted(outcome[0]);
        }
        inserted(outcome[1]);
    }
}

/// Two batches with the same keys in opposite order must not wait for each other in a circle.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_batches_with_the_same_keys_do_not_deadlock() {
    let database = database().await;
    let pool = database.pool();
    for round in 0..5 {
        let batch: Vec<NewJob> = (0..2000).map(|n| keyed(n, &format!("{round} {n}"))).collect();
        let reversed: Vec<NewJob> = batch.iter().rev().cloned().collect();
        let one = tokio::spawn({
            let pool = pool.clone();
            async move { enqueue_jobs(&pool, &batch).await }
        });
        let other = tokio::spawn({
            let pool = pool.clone();
            async move { enqueue_jobs(&pool, &reversed).await }
        });
        let (one, other) = (one.await.unwrap(), other.await.unwrap());
        for (a, b) in one.iter().zip(other.iter().rev()) {
            match (a, b) {
                (Enqueued::Inserted(a), Enqueued::Duplicate(Some(b)))
                | (Enqueued::Duplicate(Some(b)), Enqueued::Inserted(a)) => assert_eq!(*a, b.id),
                pair => panic!("{pair:?}"),
            }
        }
    }
    assert_eq!(live_jobs(pool).await, 10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_is_free_again_when_the_job_has_ended() {
    let database = database().await;
    let pool = database.pool();
    let first = enqueue_one(pool, keyed(1, "key")).await;
    assert_eq!(enqueue_jobs(pool, &[keyed(2, "key")]).await, [available(first)]);
    // Another queue has keys of its own.
    enqueue_one(pool, NewJob::new(&Other { n: 3 }).unwrap().idempotency_key("key")).await;
    let worker = TestWorker::start(database.url()).await.work(1, |_: Work, _| async { Ok(()) });
    until_state(pool, first, JobState::Completed).await;
    worker.stop().await;
    let second = enqueue_one(pool, keyed(4, "key")).await;
    assert_eq!(enqueue_jobs(pool, &[keyed(5, "key")]).await, [available(second)]);
}

/// Promise: about 50 ms. The worker would look by itself only after a minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_wakes_a_sleeping_worker() {
    let database = database().await;
    let pool = database.pool();
    let seen = Seen::new();
    let noting = seen.clone();
    let worker = TestWorker::start(database.url()).await.work(2, move |_: Work, _| {
        noting.note(Instant::now());
        async { Ok(()) }
    });
    let mut latencies = Vec::new();
    for n in 1..=10usize {
        let mut tx = pool.begin().await.unwrap();
        enqueue(&mut tx, &Work { n: 0 }).await.unwrap();
        let before = Instant::now();
        tx.commit().await.unwrap();
        latencies.push(seen.until_count(n).await[n - 1].duration_since(before));
        until_all_ended(pool).await;
    }
    latencies.sort();
    eprintln!("commit to handler: median {:?}, most {:?}", latencies[5], latencies[9]);
    assert!(latencies[5].as_millis() < 50, "{latencies:?}");
    worker.stop().await;
}
