//! Requests that meet a job in the moment of its move.

use resume_queue::{
    Changed, Job, JobFilter, JobState, cancel, cancel_all, create_group, discard, enqueue_all, retry,
};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use crate::support::*;

/// A claim of the job is not committed yet when somebody asks for its end: the request waits for it, and
/// counts.
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

/// The follow-up of the groups in these tests.
#[derive(Debug, Serialize, Deserialize)]
struct Finish;

impl Job for Finish {
    const KIND: &'static str = "finish";
}

/// A group of so many jobs.
async fn group(pool: &PgPool, jobs: i64) -> (i64, Vec<i64>) {
    let mut tx = pool.begin().await.unwrap();
    let group = create_group(&mut tx, &Finish).await.unwrap();
    tx.commit().await.unwrap();
    let mut ids = Vec::new();
    for n in 0..jobs {
        ids.push(enqueue_one(pool, work(n).group(group)).await);
    }
    (group, ids)
}

async fn group_of(pool: &PgPool, id: i64) -> Option<i64> {
    number(pool, format!("select group_id from queue.live_jobs where id = {id}")).await
}

/// Somebody finishes the group in this very moment: the job comes back without it.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_waits_for_who_finishes_the_group() {
    let database = database().await;
    let pool = database.pool();
    let (group, ids) = group(pool, 2).await;
    cancel(pool, ids[0]).await.unwrap();
    let mut finish = pool.begin().await.unwrap();
    let sql = format!("update queue.groups set finished_at = now() where id = {group}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut *finish).await.unwrap();
    let retrying = tokio::spawn({
        let (pool, id) = (pool.clone(), ids[0]);
        async move { retry(&pool, id).await.unwrap() }
    });
    until_waiting_for_lock(pool).await;
    finish.commit().await.unwrap();
    assert_eq!(in_time("the job is back", retrying).await.unwrap(), Changed::Done);
    assert_eq!(group_of(pool, ids[0]).await, None);
}

/// A retry that is not committed yet holds the row of the group: whoever finishes it waits, and sees the job.
#[tokio::test(flavor = "multi_thread")]
async fn who_finishes_a_group_waits_for_a_retry() {
    let database = database().await;
    let pool = database.pool();
    let (group, ids) = group(pool, 1).await;
    let mut coming_back = pool.begin().await.unwrap();
    let sql = format!("select from queue.groups where id = {group} for share");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut *coming_back).await.unwrap();
    let cancelling = tokio::spawn({
        let (pool, id) = (pool.clone(), ids[0]);
        async move { cancel(&pool, id).await.unwrap() }
    });
    until_waiting_for_lock(pool).await;
    let back = enqueue_all(&mut coming_back, &[work(1).group(group)]).await.unwrap()[0];
    coming_back.commit().await.unwrap();
    in_time("the other job is cancelled", cancelling).await.unwrap();
    assert_eq!(number(pool, "select count(*) from queue.live_jobs where kind = 'finish'").await, Some(0));
    cancel(pool, inserted(back)).await.unwrap();
    assert_eq!(number(pool, "select count(*) from queue.live_jobs where kind = 'finish'").await, Some(1));
}

/// A cancel of many goes past the job that a handler's transaction holds, and waits for it without holding
/// the others.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_of_many_holds_nothing_while_it_waits() {
    let database = database().await;
    let pool = database.pool();
    let ids = enqueue_many(pool, 3, |n| Work { n }).await;
    let mut holder = pool.begin().await.unwrap();
    let lock =
        |id: i64| sqlx::AssertSqlSafe(format!("select from queue.live_jobs where id = {id} for update"));
    sqlx::raw_sql(lock(ids[1])).execute(&mut *holder).await.unwrap();
    let cancelling = tokio::spawn({
        let pool = pool.clone();
        async move { cancel_all(&pool, &JobFilter::default(), None).await.unwrap() }
    });
    until_waiting_for_lock(pool).await;
    assert_eq!(live_jobs(pool).await, 1, "the others are over by now");
    holder.rollback().await.unwrap();
    let progress = in_time("all are cancelled", cancelling).await.unwrap();
    assert_eq!((progress.changed, progress.next), (3, None));
}
