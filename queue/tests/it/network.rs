//! Connections that fall silent: nothing comes any more, and nobody says so.

use std::time::{Duration, Instant};

use resume_queue::{
    Changed, JobState, NewJob, Session, cancel,
    schedules::{Missed, NewSchedule, Timing},
};

use crate::{
    schedules::{now, put, until_fired},
    support::*,
};

/// The notification of a job goes into the silence. The worker would look by itself only after a minute, but
/// asks its session every five seconds for a sign of life, and waits five more for the answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_presence_that_fell_silent_is_noticed_and_replaced() {
    let database = database().await;
    let pool = database.pool();
    let proxy = Proxy::start(database.url()).await;
    let worker =
        TestWorker::over(proxy.pool(5).await, settings("test")).await.work(1, |_: Work, _| async { Ok(()) });
    let other = TestWorker::rescuer(database.url()).await;
    idle(pool).await;
    let holder = format!(
        "select max(pid)::bigint from queue.presences where worker_id = {}",
        worker.session.worker_id()
    );
    let silent = number(pool, &holder).await.unwrap();
    proxy.silence_listeners();
    let start = Instant::now();
    let id = enqueue_one(pool, work(1)).await;
    until_state(pool, id, JobState::Completed).await;
    let took = start.elapsed();
    eprintln!("from the silence to the job: {took:?}");
    assert!(took < Duration::from_secs(30), "{took:?}");

    // The server still believes in the old session; when it does not, the new one takes the lock.
    assert_eq!(number(pool, &holder).await, Some(silent));
    execute(pool, format!("select pg_terminate_backend({silent})")).await;
    until("the new session stands for the worker", || async {
        number(pool, &holder).await.filter(|pid| *pid != silent)
    })
    .await;
    let alive = "select count(*) from queue.workers where stopped_at is null";
    assert_eq!(number(pool, alive).await, Some(2));
    worker.stop().await;
    other.stop().await;
}

/// The claim is committed, its answer is on its way, and somebody cancels the job: the worker hears of that
/// before it knows that it has the job.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_that_overtakes_the_answer_of_the_claim_counts() {
    let database = database().await;
    let pool = database.pool();
    let proxy = Proxy::start(database.url()).await;
    let worker = TestWorker::over(proxy.pool(5).await, settings("test"))
        .await
        .work(1, |_: Other, _| std::future::pending::<HandlerResult>());
    idle(pool).await;
    // Of what the worker says next, only the claim names the queue.
    proxy.silence_after(<Other as resume_queue::Job>::KIND);
    let id = enqueue_one(pool, NewJob::new(&Other { n: 1 }).unwrap()).await;
    until_state(pool, id, JobState::Running).await;
    assert_eq!(cancel(pool, id).await.unwrap(), Changed::Done);
    proxy.until_heard("queue_stop").await;
    proxy.release();
    assert_eq!(until_state(pool, id, JobState::Cancelled).await.attempt, 1);
    worker.stop().await;
}

/// Whoever starts a worker hears of it, whichever statement gets no answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_over_a_connection_that_falls_silent_fails_in_time() {
    let database = database().await;
    let start = async |silent_after: &'static str| {
        let proxy = Proxy::start(database.url()).await;
        let pool = proxy.pool(5).await;
        proxy.silence_after(silent_after);
        let error = in_time("the start fails", Session::start(pool, settings("test"))).await.unwrap_err();
        assert!(error.to_string().contains("no answer for 10 s"), "{silent_after}: {error}");
    };
    tokio::join!(start("insert into queue.workers"), start("LISTEN "));
}

/// The connection of a start that was given up is not the pool's any more: it would wait for the answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_was_given_up_leaves_the_pool_in_order() {
    let database = database().await;
    let proxy = Proxy::start(database.url()).await;
    let pool = proxy.pool(1).await;
    proxy.silence_after("insert into queue.workers");
    in_time("the start fails", Session::start(pool.clone(), settings("test"))).await.unwrap_err();
    let one = in_time("the pool answers", number(&pool, "select 1::bigint")).await;
    assert_eq!(one, Some(1));
}

/// The leader has the lock of the schedule when its connection falls silent. A tick that is a minute late
/// would be forgotten.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_fell_silent_while_it_fired_forgets_no_tick() {
    let database = database().await;
    let pool = database.pool();
    let proxy = Proxy::start(database.url()).await;
    let worker = TestWorker::over(proxy.pool(5).await, settings("test")).await;
    idle(pool).await;
    proxy.silence_after("where enabled and next_at <= now()");
    let start = Instant::now();
    let once = NewSchedule::new("s", Timing::Once(now(pool).await), &Work { n: 1 }).unwrap();
    put(pool, &NewSchedule { missed: Missed::Skip, ..once }).await;
    let fired = until_fired(pool, "s").await;
    eprintln!("from the tick to the job: {:?}", start.elapsed());
    assert!(fired.last_job_id.is_some(), "the tick was forgotten");
    worker.stop().await;
}
