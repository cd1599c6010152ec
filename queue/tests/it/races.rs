//! Requests that meet a job in the moment of its move.

use resume_queue::{Changed, JobState, cancel, discard};

use crate::support::*;

/// A claim of the job is not committed yet when somebody asks for its end: the request waits for it, and counts.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_that_waits_for_a_claim_counts() {
    let database = database().await;
    let pool = database.pool();
    let id = enqueue_one(pool, work(1)).await;
    let mut claim = pool.begin().await.unwrap();
    sqlx::raw_sql("select count(*) from queue.claim('work', 1, 1, 30, '-infinity', 0)")
        .execute(&mut *claim)
        .await
        .unwrap();
    let cancelling = tokio::spawn({
        let pool = pool.clone();
        async move { cancel(&pool, id).await.unwrap() }
    });
    until_waiting_for_lock(pool).await;
    claim.commit().await.unwrap();
    assert_eq!(in_time("the job is cancelled", cancelling).await.unwrap(), Changed::Done);
    let asked = "select count(*) from queue.live_jobs where state = 'running' and end_as = 'cancelled'";
    assert_eq!(number(pool, asked).await, Some(1));
}

/// The same the other way round: the job goes back while somebody asks for its end.
#[tokio::test(flavor = "multi_thread")]
async fn a_discard_that_waits_for_the_end_of_an_attempt_counts() {
    let database = database().await;
    let pool = database.pool();
    let id = enqueue_one(pool, work(1)).await;
    execute(pool, "select count(*) from queue.claim('work', 1, 1, 30, '-infinity', 0)").await;
    let mut snooze = pool.begin().await.unwrap();
    sqlx::raw_sql(
        "update queue.live_jobs set state = 'scheduled', attempt = 0, worker_id = null, lease_until = null",
    )
    .execute(&mut *snooze)
    .await
    .unwrap();
    let discarding = tokio::spawn({
        let pool = pool.clone();
        async move { discard(&pool, id).await.unwrap() }
    });
    until_waiting_for_lock(pool).await;
    snooze.commit().await.unwrap();
    assert_eq!(in_time("the job is discarded", discarding).await.unwrap(), Changed::Done);
    assert_eq!(job(pool, id).await.state, JobState::Discarded);
}
