//! Cancel, discard and retry: of jobs in any state, in whatever process they run.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use resume_queue::{
    Changed, Coded, END_STATES, JobError, JobFilter, JobState, NewJob, Progress, RETRY_STATES, Remaining,
    cancel, cancel_all, count, discard, discard_all, end_stands,
    inspect::{Reason, why_not_running},
    retry, retry_all,
};

use crate::support::*;

async fn state(pool: &sqlx::PgPool, id: i64) -> JobState {
    until_job(pool, id, |_| true).await.state
}

#[tokio::test]
async fn a_waiting_job_is_over_at_once() {
    let database = database().await;
    let pool = database.pool();
    let now = enqueue_one(pool, work(1)).await;
    let later = enqueue_one(pool, work(2).after(Duration::from_secs(500))).await;
    assert_eq!(cancel(pool, now).await.unwrap(), Changed::Done);
    assert_eq!(discard(pool, later).await.unwrap(), Changed::Done);
    let cancelled = until_state(pool, now, JobState::Cancelled).await;
    assert_eq!(cancelled.failures(), [(0, "cancelled by request".to_owned())]);
    assert!(cancelled.finished_at.is_some());
    until_state(pool, later, JobState::Discarded).await;
    assert_eq!(live_jobs(pool).await, 0);
    // Only once, and never for a job that is not there.
    assert_eq!(cancel(pool, now).await.unwrap(), Changed::Refused(JobState::Cancelled));
    assert_eq!(cancel(pool, later).await.unwrap(), Changed::Refused(JobState::Discarded));
    assert_eq!(cancel(pool, 12345).await.unwrap(), Changed::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_job_is_stopped_in_whatever_process() {
    let database = database().await;
    let pool = database.pool();
    let dropped = Arc::new(AtomicUsize::new(0));
    let counting = dropped.clone();
    let worker = TestWorker::start(database.url()).await.work(2, move |_: Work, _| {
        let guard = CountDrop(counting.clone());
        async move {
            let _guard = guard;
            std::future::pending().await
        }
    });
    let cancelled = enqueue_one(pool, work(1)).await;
    let discarded = enqueue_one(pool, work(2)).await;
    for id in [cancelled, discarded] {
        until_state(pool, id, JobState::Running).await;
    }
    assert_eq!(cancel(pool, cancelled).await.unwrap(), Changed::Done);
    assert_eq!(discard(pool, discarded).await.unwrap(), Changed::Done);
    assert_eq!(until_state(pool, cancelled, JobState::Cancelled).await.attempt, 1);
    let job = until_state(pool, discarded, JobState::Discarded).await;
    assert_eq!(job.failures(), [(1, "discarded by request".to_owned())]);
    assert_eq!(dropped.load(Ordering::SeqCst), 2);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_listens_may_clean_up_or_even_finish() {
    let database = database().await;
    let pool = database.pool();
    let cleaned = Seen::new();
    let noting = cleaned.clone();
    let worker = TestWorker::start(database.url()).await.work(2, move |work: Work, lease| {
        let cleaned = noting.clone();
        async move {
            lease.stop_requested().await;
            tokio::task::yield_now().await;
            cleaned.note(work.n);
            if work.n == 1 { Err("gave up".into()) } else { Ok(()) }
        }
    });
    let gives_up = enqueue_one(pool, work(1)).await;
    let finishes = enqueue_one(pool, work(2)).await;
    for id in [gives_up, finishes] {
        until_state(pool, id, JobState::Running).await;
        assert_eq!(cancel(pool, id).await.unwrap(), Changed::Done);
    }
    until_state(pool, gives_up, JobState::Cancelled).await;
    until_state(pool, finishes, JobState::Completed).await;
    assert_eq!(cleaned.all().len(), 2);
    worker.stop().await;
}

/// What was asked while nobody heard it takes effect all the same: here the worker is dead.
#[tokio::test(flavor = "multi_thread")]
async fn a_running_job_of_a_dead_worker_ends_with_its_rescue() {
    let database = database().await;
    let pool = database.pool();
    let worker =
        TestWorker::start(database.url()).await.work(1, |_: Work, _| std::future::pending::<HandlerResult>());
    let id = enqueue_one(pool, work(1)).await;
    until_state(pool, id, JobState::Running).await;
    drop(worker);
    assert_eq!(cancel(pool, id).await.unwrap(), Changed::Done);
    let rescuer = TestWorker::rescuer(database.url()).await;
    until_state(pool, id, JobState::Cancelled).await;
    rescuer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_follow_up_hears_of_a_cancelled_job() {
    let database = database().await;
    let pool = database.pool();
    let id = enqueue_one(pool, NewJob::new(&Watched { n: 7 }).unwrap()).await;
    cancel(pool, id).await.unwrap();
    let all = jobs(pool).await;
    let told = all.iter().find(|job| job.kind == "mourn").unwrap();
    assert_eq!((&told.args["job_id"], &told.args["args"]["n"]), (&id.into(), &7.into()));
    assert_eq!(
        (&told.args["error"], &told.args["code"]),
        (&"cancelled by request".into(), &"cancelled_by_request".into())
    );
}

/// What a follow-up asks before it gives up what the job was to do.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_job_stands_until_it_is_retried() {
    let database = database().await;
    let pool = database.pool();
    let stands = async |id| end_stands(&mut pool.acquire().await.unwrap(), id).await.unwrap();
    let id = enqueue_one(pool, work(1)).await;
    assert!(!stands(id).await, "it lives");
    cancel(pool, id).await.unwrap();
    assert!(stands(id).await);
    retry(pool, id).await.unwrap();
    assert!(!stands(id).await, "it lives again");
    discard(pool, id).await.unwrap();
    assert!(stands(id).await);
    retry(pool, id).await.unwrap();
    let worker = TestWorker::start(database.url()).await.work(1, |_: Work, _| async { Ok(()) });
    until_state(pool, id, JobState::Completed).await;
    assert!(!stands(id).await, "it has completed");
    assert!(stands(12345).await, "nobody can have retried what is forgotten");
    worker.stop().await;
}

/// Whoever comes first: the retry waits for the follow-up's transaction, or the follow-up for the retry.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_waits_for_whoever_relies_on_the_end() {
    let database = database().await;
    let pool = database.pool();
    let id = enqueue_one(pool, work(1)).await;
    discard(pool, id).await.unwrap();
    let mut settling = pool.begin().await.unwrap();
    assert!(end_stands(&mut settling, id).await.unwrap());
    let retrying = tokio::spawn({
        let pool = pool.clone();
        async move { retry(&pool, id).await.unwrap() }
    });
    until_waiting_for_lock(pool).await;
    assert_eq!(live_jobs(pool).await, 0);
    settling.commit().await.unwrap();
    assert_eq!(retrying.await.unwrap(), Changed::Done);
    assert_eq!(state(pool, id).await, JobState::Available);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_runs_at_once_with_all_that_the_job_was() {
    let database = database().await;
    let pool = database.pool();
    let worker = TestWorker::start(database.url()).await.work(4, |work: Work, lease| async move {
        match (work.n, lease.attempt()) {
            (1, 1) => Err(JobError::RetryAfter("later".into(), Duration::from_secs(500)).into()),
            (2, 1) => Err(JobError::discard("hopeless").into()),
            _ => Ok(()),
        }
    });
    let waiting = enqueue_one(pool, work(1)).await;
    let discarded = enqueue_one(pool, work(2)).await;
    let scheduled = enqueue_one(pool, work(3).after(Duration::from_secs(500))).await;
    until_state(pool, waiting, JobState::Retryable).await;
    until_state(pool, discarded, JobState::Discarded).await;
    for id in [waiting, discarded, scheduled] {
        assert_eq!(retry(pool, id).await.unwrap(), Changed::Done);
        until_state(pool, id, JobState::Completed).await;
    }
    let job = until_state(pool, discarded, JobState::Completed).await;
    assert_eq!((job.attempt, job.failures()), (2, vec![(1, "hopeless".to_owned())]));
    assert_eq!(retry(pool, discarded).await.unwrap(), Changed::Refused(JobState::Completed));
    assert_eq!(retry(pool, 12345).await.unwrap(), Changed::NotFound);
    worker.stop().await;
}

/// The fence goes on where it was, or an attempt that was forgotten would hold the job again.
#[tokio::test]
async fn a_retry_out_of_the_history_keeps_the_fence() {
    let database = database().await;
    let pool = database.pool();
    let id = enqueue_one(pool, work(1)).await;
    execute(pool, format!("update queue.live_jobs set fence = 5 where id = {id}")).await;
    discard(pool, id).await.unwrap();
    assert_eq!(
        number(pool, format!("select fence::bigint from queue.job_history where id = {id}")).await,
        Some(5)
    );
    retry(pool, id).await.unwrap();
    assert_eq!(
        number(pool, format!("select fence::bigint from queue.live_jobs where id = {id}")).await,
        Some(5)
    );
}

#[tokio::test]
async fn a_retry_does_not_break_a_unique_key() {
    let database = database().await;
    let pool = database.pool();
    let first = enqueue_one(pool, work(1).idempotency_key("key")).await;
    cancel(pool, first).await.unwrap();
    let second = enqueue_one(pool, work(2).idempotency_key("key")).await;
    assert_eq!(retry(pool, first).await.unwrap(), Changed::Conflict);
    assert_eq!(state(pool, first).await, JobState::Cancelled);
    cancel(pool, second).await.unwrap();
    assert_eq!(retry(pool, first).await.unwrap(), Changed::Done);
    let duplicate = enqueue_jobs(pool, &[work(3).idempotency_key("key")]).await;
    assert!(matches!(duplicate[..], [resume_queue::Enqueued::Duplicate(Some(job))] if job.id == first));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_chooses_by_each_of_its_members() {
    let database = database().await;
    let pool = database.pool();
    let worker = TestWorker::start(database.url()).await.work(4, |work: Work, _| async move {
        let error = if work.n == 1 { Coded::new("source_away", "503").into() } else { "other".into() };
        Err(JobError::RetryAfter(error, Duration::from_secs(500)).into())
    });
    let (a, b) = (enqueue_one(pool, work(1)).await, enqueue_one(pool, work(2)).await);
    for id in [a, b] {
        until_state(pool, id, JobState::Retryable).await;
    }
    worker.stop().await;
    let other = enqueue_one(pool, NewJob::new(&Other { n: 3 }).unwrap()).await;
    execute(
        pool,
        format!("update queue.live_jobs set created_at = now() - interval '1 hour' where id = {b}"),
    )
    .await;

    let all = JobFilter::default();
    let cases = [
        (all.clone(), 3),
        (JobFilter { queue: Some("work".to_owned()), ..all.clone() }, 2),
        (JobFilter { kind: Some("other".to_owned()), ..all.clone() }, 1),
        (JobFilter { error_code: Some("source_away".to_owned()), ..all.clone() }, 1),
        (JobFilter { older_than: Some(Duration::from_secs(600)), ..all.clone() }, 1),
        (JobFilter { args: Some(serde_json::json!({ "n": 3 })), ..all.clone() }, 1),
        (JobFilter { states: Some(vec![JobState::Available, JobState::Completed]), ..all.clone() }, 1),
        (JobFilter { states: Some(vec![]), ..all.clone() }, 0),
        (JobFilter { group_id: Some(1), ..all.clone() }, 0),
    ];
    for (filter, expected) in cases {
        let counted = count(pool, &filter).await.unwrap();
        assert_eq!((counted.value, counted.is_exact), (expected, true), "{filter:?}");
    }
    let filter = JobFilter { error_code: Some("source_away".to_owned()), ..all.clone() };
    assert_eq!(cancel_all(pool, &filter, None).await.unwrap().changed, 1);
    assert_eq!(state(pool, a).await, JobState::Cancelled);
    assert_eq!(state(pool, b).await, JobState::Retryable);
    let filter = JobFilter { queue: Some("other".to_owned()), ..all.clone() };
    assert_eq!(discard_all(pool, &filter, None).await.unwrap().changed, 1);
    assert_eq!(state(pool, other).await, JobState::Discarded);
    let again = retry_all(pool, &all, None).await.unwrap();
    assert_eq!((again.changed, again.next), (3, None));
    assert_eq!(live_jobs(pool).await, 3);
}

/// A kind that was taken out of the program: its jobs stay, say why, and can be thrown away together.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_nobody_handles_any_more_stay_until_they_are_cancelled() {
    let database = database().await;
    let pool = database.pool();
    let worker = TestWorker::start(database.url()).await.work(1, |_: Work, _| async { Ok(()) });
    let forgotten = enqueue_many(pool, 3, |n| Other { n }).await;
    let handled = enqueue_one(pool, work(1)).await;
    until_state(pool, handled, JobState::Completed).await;
    for id in &forgotten {
        let obstacles = why_not_running(pool, *id).await.unwrap();
        assert_eq!(obstacles[0].reason, Reason::NoWorker);
        assert_eq!(obstacles[0].detail, "no live worker takes jobs of the queue other");
        assert_eq!((job(pool, *id).await.state, job(pool, *id).await.attempt), (JobState::Available, 0));
    }
    let filter = JobFilter { kind: Some("other".to_owned()), ..JobFilter::default() };
    assert_eq!(cancel_all(pool, &filter, None).await.unwrap().changed, 3);
    assert_eq!(live_jobs(pool).await, 0);
    worker.stop().await;
}

#[tokio::test]
async fn a_change_over_many_goes_in_batches_and_ends() {
    let database = database().await;
    let pool = database.pool();
    enqueue_many(pool, 12_000, |n| Work { n }).await;
    let filter = JobFilter { queue: Some("work".to_owned()), ..JobFilter::default() };
    let counted = count(pool, &filter).await.unwrap();
    assert_eq!((counted.value, counted.is_exact), (10_000, false));
    for change in [cancel_in_batches(pool, &filter).await, retry_in_batches(pool, &filter).await] {
        assert_eq!(change.0, 12_000);
        assert!(change.1 >= 3, "{} batches", change.1);
    }
    assert_eq!(live_jobs(pool).await, 12_000);
}

/// The follow-ups of the first batch have ids behind the second one.
#[tokio::test]
async fn a_change_over_many_leaves_the_jobs_alone_that_it_enqueues_itself() {
    let database = database().await;
    let pool = database.pool();
    for state in [JobState::Cancelled, JobState::Discarded] {
        enqueue_many(pool, 6_000, |n| Watched { n }).await;
        let all = JobFilter::default();
        let changed = match state {
            JobState::Cancelled => cancel_in_batches(pool, &all).await.0,
            _ => discard_in_batches(pool, &all).await.0,
        };
        assert_eq!(changed, 6_000);
        let told = "select count(*) from queue.live_jobs where kind = 'mourn' and state = 'available'";
        assert_eq!(number(pool, told).await, Some(6_000));
        execute(pool, "delete from queue.live_jobs").await;
    }
}

#[tokio::test]
async fn a_change_over_many_leaves_the_jobs_alone_that_come_after_it_began() {
    let database = database().await;
    let pool = database.pool();
    let later = |n| work(n).after(Duration::from_secs(500));
    for chunk in 0..2 {
        enqueue_jobs(pool, &(0..3_000).map(|n| later(chunk * 3_000 + n)).collect::<Vec<_>>()).await;
    }
    let first = retry_all(pool, &JobFilter::default(), None).await.unwrap();
    assert_eq!(first.changed, 5_000);
    let late = enqueue_one(pool, later(6_000)).await;
    let second = retry_all(pool, &JobFilter::default(), first.next).await.unwrap();
    assert_eq!((second.changed, second.next), (1_000, None));
    assert_eq!(state(pool, late).await, JobState::Scheduled);
    assert_eq!(retry_in_batches(pool, &JobFilter::default()).await.0, 1);
}

/// A job that fails again while a retry of many goes on keeps its backoff from then on, wherever it stands
/// among the others.
#[tokio::test]
async fn a_retry_of_many_makes_each_live_job_run_once() {
    let database = database().await;
    let pool = database.pool();
    let first = enqueue_one(pool, work(1)).await;
    enqueue_many(pool, 12_000, |n| Work { n }).await;
    let last = enqueue_one(pool, work(2)).await;
    let both = format!("id in ({first}, {last})");
    let fail = format!(
        "update queue.live_jobs set state = 'retryable', attempt = attempt + 1, run_at = now() + interval '1 hour'
         where {both} and state = 'available'"
    );
    let cancelled = JobFilter { states: Some(vec![JobState::Available]), ..JobFilter::default() };
    execute(pool, &*fail).await;
    assert_eq!(cancel_in_batches(pool, &cancelled).await.0, 12_000);
    let changed = in_batches(async |remaining| {
        let progress = retry_all(pool, &JobFilter::default(), remaining).await.unwrap();
        execute(pool, &*fail).await;
        progress
    })
    .await;
    assert_eq!(changed, (12_002, 3));
    let attempts = format!("select sum(attempt)::bigint from queue.live_jobs where {both}");
    assert_eq!(number(pool, attempts).await, Some(4), "each failed before and once again");
    assert_eq!(state(pool, first).await, JobState::Retryable);
}

/// The windows of live and of ended jobs end at different ids.
#[tokio::test]
async fn a_conflict_counts_once_however_many_batches_there_are() {
    let database = database().await;
    let pool = database.pool();
    let later = |n| work(n).after(Duration::from_secs(500));
    enqueue_jobs(pool, &(0..5_000).map(later).collect::<Vec<_>>()).await;
    let loser = enqueue_one(pool, work(1).idempotency_key("key")).await;
    cancel(pool, loser).await.unwrap();
    enqueue_one(pool, work(2).idempotency_key("key")).await;
    let mut sum = Progress { changed: 0, conflicts: 0, next: None };
    loop {
        let step = retry_all(pool, &JobFilter::default(), sum.next).await.unwrap();
        sum = Progress {
            changed: sum.changed + step.changed,
            conflicts: sum.conflicts + step.conflicts,
            next: step.next,
        };
        if sum.next.is_none() {
            break;
        }
    }
    assert_eq!((sum.changed, sum.conflicts), (5_000, 1));
    assert_eq!(state(pool, loser).await, JobState::Cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_takes_the_states_that_it_says() {
    let database = database().await;
    let pool = database.pool();
    let worker = TestWorker::start(database.url()).await.work(3, |_: Work, _| async { Ok(()) });
    let mut completed = enqueue_many(pool, 3, |n| Work { n }).await;
    until_all_ended(pool).await;
    let worker_id = worker.session.worker_id();
    worker.stop().await;
    for was in JobState::ALL {
        for (change, states) in [("cancel", END_STATES), ("discard", END_STATES), ("retry", RETRY_STATES)] {
            let id = if was == JobState::Completed {
                completed.pop().unwrap()
            } else {
                enqueue_one(pool, work(0)).await
            };
            let set = format!("update queue.live_jobs set state = '{was}'");
            match was {
                JobState::Available | JobState::Completed => {}
                JobState::Scheduled | JobState::Retryable => {
                    execute(pool, format!("{set} where id = {id}")).await
                }
                JobState::Running => {
                    let lease = format!("lease_until = now() + interval '1 hour', worker_id = {worker_id}");
                    execute(pool, format!("{set}, {lease} where id = {id}")).await;
                }
                JobState::Cancelled => assert_eq!(cancel(pool, id).await.unwrap(), Changed::Done),
                JobState::Discarded => assert_eq!(discard(pool, id).await.unwrap(), Changed::Done),
            }
            let changed = match change {
                "cancel" => cancel(pool, id).await,
                "discard" => discard(pool, id).await,
                _ => retry(pool, id).await,
            };
            let expected = if states.contains(&was) { Changed::Done } else { Changed::Refused(was) };
            assert_eq!(changed.unwrap(), expected, "{change} of a job that is {was}");
        }
    }
}

async fn cancel_in_batches(pool: &sqlx::PgPool, filter: &JobFilter) -> (u64, usize) {
    in_batches(async |remaining| cancel_all(pool, filter, remaining).await.unwrap()).await
}

async fn discard_in_batches(pool: &sqlx::PgPool, filter: &JobFilter) -> (u64, usize) {
    in_batches(async |remaining| discard_all(pool, filter, remaining).await.unwrap()).await
}

async fn retry_in_batches(pool: &sqlx::PgPool, filter: &JobFilter) -> (u64, usize) {
    in_batches(async |remaining| retry_all(pool, filter, remaining).await.unwrap()).await
}

/// How many jobs a change over many has changed, in how many batches.
async fn in_batches(change: impl AsyncFn(Option<Remaining>) -> Progress) -> (u64, usize) {
    let (mut changed, mut batches, mut remaining) = (0, 0, None);
    loop {
        let progress = change(remaining).await;
        (changed, batches) = (changed + progress.changed, batches + 1);
        remaining = progress.next;
        if remaining.is_none() {
            return (changed, batches);
        }
    }
}
