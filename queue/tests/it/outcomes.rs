//! How attempts end, and what becomes of their jobs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use apalis::prelude::{AbortError, DeferredError, RetryAfterError};
use resume_queue::{
    Discarded, Job, JobError, JobState, UNDECODABLE_PAYLOAD,
    inspect::{next_retries, why_not_running},
};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;

use crate::support::*;

/// Lets a job that waits for its next attempt have it now.
async fn make_due(pool: &sqlx::PgPool, id: i64) {
    let sql = format!(
        "update queue.live_jobs set run_at = now() where id = {id}; select pg_notify('queue', queue) \
                       from queue.live_jobs where id = {id}"
    );
    execute(pool, sql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ok_completes() {
    let database = database().await;
    let pool = database.pool();
    let worker = TestWorker::start(database.url()).await.work(1, |_: Work, _| async { Ok(()) });
    let id = enqueue_one(pool, work(1)).await;
    let job = until_state(pool, id, JobState::Completed).await;
    assert_eq!((job.attempt, job.worker.as_deref(), job.last_error), (1, Some("test"), None));
    assert!(job.created_at <= job.started_at.unwrap() && job.started_at <= job.finished_at);
    assert_eq!(live_jobs(pool).await, 0);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_waits_with_backoff_until_the_attempts_are_used_up() {
    let database = database().await;
    let pool = database.pool();
    let worker = TestWorker::start(database.url()).await.work(1, |_: Work, lease| async move {
        let source = std::io::Error::other(format!("attempt {} of it", lease.attempt()));
        Err(anyhow::Error::new(source).context("no luck").into())
    });
    let id = enqueue_one(pool, work(1)).await;
    // Equal jitter: half of the full wait of 1 s, 2 s at least.
    for (attempt, full_ms) in [(1, 1000), (2, 2000)] {
        let job = until_job(pool, id, |job| job.state == JobState::Retryable && job.attempt == attempt).await;
        let wait = (job.run_at - job.started_at.unwrap()).num_milliseconds();
        assert!(wait >= full_ms / 2 && wait < full_ms + 1000, "attempt {attempt}: {wait} ms");
        assert_eq!(job.last_error.unwrap(), format!("no luck: attempt {attempt} of it"));
        assert_eq!(job.worker, None);
        make_due(pool, id).await;
    }
    let job = until_state(pool, id, JobState::Discarded).await;
    let failures: Vec<_> = (1..=3).map(|n| (n, format!("no luck: attempt {n} of it"))).collect();
    assert_eq!(job.failures(), failures);
    assert_eq!((job.attempt, job.worker.as_deref()), (3, Some("test")));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_waits_as_long_as_asked() {
    let database = database().await;
    let pool = database.pool();
    let worker = TestWorker::start(database.url()).await.work(4, |work: Work, _| async move {
        let wait = Duration::from_secs(1234);
        Err(match work.n {
            0 => JobError::RetryAfter("slow down".into(), wait).into(),
            1 => RetryAfterError::new("slow down", wait).into(),
            // What a hostile `Retry-After` header may ask.
            _ => JobError::RetryAfter("slow down".into(), Duration::MAX).into(),
        })
    });
    let ids = enqueue_many(pool, 3, |n| Work { n }).await;
    for (n, id) in ids.into_iter().enumerate() {
        let job = until_state(pool, id, JobState::Retryable).await;
        let wait = (job.run_at - job.started_at.unwrap()).num_seconds();
        assert!(if n < 2 { (1234..1264).contains(&wait) } else { wait > 86_400 }, "{n}: {wait}");
        assert!(job.last_error.unwrap().ends_with("slow down"));
        assert_eq!(job.attempt, 1);
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snooze_uses_no_attempt() {
    let database = database().await;
    let pool = database.pool();
    let runs = Arc::new(AtomicUsize::new(0));
    let counting = runs.clone();
    let worker = TestWorker::start(database.url()).await.work(1, move |_: Work, lease| {
        assert_eq!(lease.attempt(), 1);
        // More often than there are attempts.
        let run = counting.fetch_add(1, Ordering::SeqCst);
        async move {
            match run {
                0..4 => Err(JobError::Snooze(Duration::from_secs(500)).into()),
                4 => Err(DeferredError::new("at once").into()),
                5 => Err(JobError::Snooze(Duration::MAX).into()),
                _ => Ok(()),
            }
        }
    });
    let id = enqueue_one(pool, work(1)).await;
    for run in [1, 2, 3, 4, 6] {
        // By the row alone: a row that was read just before the next run began is scheduled as well, for now.
        let snoozed = |job: &JobRow| {
            job.state == JobState::Scheduled && job.run_at - job.created_at > chrono::TimeDelta::seconds(400)
        };
        let job = until_job(pool, id, snoozed).await;
        assert_eq!(runs.load(Ordering::SeqCst), run);
        let wait = (job.run_at - job.created_at).num_seconds();
        assert!(if run < 5 { (500..560).contains(&wait) } else { wait > 86_400 }, "run {run}: {wait}");
        assert_eq!((job.attempt, &job.errors, job.started_at), (0, &None, None));
        make_due(pool, id).await;
    }
    let job = until_state(pool, id, JobState::Completed).await;
    assert_eq!((job.attempt, runs.load(Ordering::SeqCst)), (1, 7));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn some_errors_discard_at_once() {
    let database = database().await;
    let pool = database.pool();
    let worker = TestWorker::start(database.url()).await.work(4, |work: Work, _| async move {
        Err(match work.n {
            0 => JobError::discard("hopeless").into(),
            1 => AbortError::new("hopeless").into(),
            _ => anyhow::Error::new(JobError::discard("hopeless")).context("while trying").into(),
        })
    });
    let ids = enqueue_many(pool, 3, |n| Work { n }).await;
    for id in ids {
        let job = until_job(pool, id, |job| job.attempt == 1 && job.state != JobState::Running).await;
        assert_eq!(job.state, JobState::Discarded, "{job:?}");
        assert_eq!(job.failures().len(), 1);
        assert!(job.last_error.unwrap().ends_with("hopeless"));
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_is_an_error_and_harms_no_neighbour() {
    let database = database().await;
    let pool = database.pool();
    let worker = TestWorker::start(database.url()).await.work(10, |work: Work, _| async move {
        match work.n {
            3 => panic!("number {}", work.n),
            4 => panic!("plain"),
            5 => std::panic::panic_any(5),
            _ => tokio::task::yield_now().await,
        }
        Ok(())
    });
    let ids = enqueue_many(pool, 20, |n| Work { n }).await;
    for (n, text) in [(3, "panic: number 3"), (4, "panic: plain"), (5, "panic: ")] {
        let job = until_state(pool, ids[n], JobState::Retryable).await;
        assert!(job.last_error.unwrap().starts_with(text));
    }
    until("the others", || async { (completed_jobs(pool).await == 17).then_some(()) }).await;
    worker.stop().await;
}

/// A newer version of [`Work`], whose payload an older worker does not understand.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct NewWork {
    number: i64,
}

impl Job for NewWork {
    const KIND: &'static str = Work::KIND;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_that_does_not_decode_is_left_to_a_newer_worker() {
    let database = database().await;
    let pool = database.pool();
    let ids = enqueue_many(pool, 5, |n| Work { n }).await;
    execute(pool, format!("update queue.live_jobs set args = '{{\"number\": 1}}' where id = {}", ids[2]))
        .await;
    execute(pool, format!("update queue.live_jobs set kind = 'retired' where id = {}", ids[3])).await;
    let older = TestWorker::start(database.url()).await.work(1, |_: Work, _| async { Ok(()) });
    let texts = [
        (ids[2], "the payload does not decode: missing field `n` at line 1 column 13"),
        (ids[3], "a retired job in the queue work"),
    ];
    for (id, text) in texts {
        // More than once, and its attempts are not used up.
        let claims =
            format!("select max(fence)::bigint from queue.live_jobs where id = {id} and state = 'scheduled'");
        let claimed = || async { number(pool, claims.clone()).await.filter(|claims| *claims > 1) };
        until("it is claimed again", claimed).await;
        let again = job(pool, id).await;
        assert_eq!((again.attempt, again.last_error.as_deref()), (0, Some(text)));
        let errors = again.errors.unwrap();
        assert_eq!(
            (errors.as_array().unwrap().len(), &errors[0]["code"]),
            (1, &json!("undecodable_payload"))
        );
    }
    // Whoever asks why it does not run hears it, too, unless it is under way at this moment.
    let why = || async { why_not_running(pool, ids[3]).await.unwrap().remove(0).detail };
    let told =
        "the job is scheduled; its last error was undecodable_payload: a retired job in the queue work";
    until("it is told", || async { (why().await == told).then_some(()) }).await;
    let both = || async {
        let retries = next_retries(pool, &["work", "elsewhere"], 10).await.unwrap();
        assert!(retries.iter().all(|retry| retry.code == UNDECODABLE_PAYLOAD && retry.queue == "work"));
        (retries.len() == 2).then_some(())
    };
    until("both wait", both).await;
    assert_eq!(completed_jobs(pool).await, 3);
    older.stop().await;
    let newer = TestWorker::start(database.url()).await.work(1, |_: NewWork, _| async { Ok(()) });
    make_due(pool, ids[2]).await;
    until_state(pool, ids[2], JobState::Completed).await;
    newer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_error_text_can_be_stored() {
    let database = database().await;
    let pool = database.pool();
    let worker = TestWorker::start(database.url()).await.work(4, |work: Work, _| async move {
        Err(match work.n {
            0 => "zero \0 and \u{1} and \\u0000".to_owned(),
            1 => "ä".repeat(3_000_000),
            _ => String::new(),
        }
        .into())
    });
    let ids = enqueue_many(pool, 3, |n| Work { n }).await;
    let mut texts = Vec::new();
    for id in ids {
        texts.push(until_state(pool, id, JobState::Retryable).await.last_error.unwrap());
    }
    assert_eq!(texts[0], "zero \u{fffd} and \u{1} and \\u0000");
    assert_eq!(texts[1], "ä".repeat(2048) + "…");
    assert_eq!(texts[2], "");
    worker.stop().await;
}

/// All ways of being discarded: the attempts used up, by order, and rescued from a worker for the last time.
#[tokio::test(flavor = "multi_thread")]
async fn a_discarded_job_is_followed_up_once() {
    let database = database().await;
    let pool = database.pool();
    let ids = enqueue_many(pool, 3, |n| Watched { n }).await;
    execute(pool, format!("update queue.live_jobs set attempt = 1 where id = {}", ids[2])).await;
    let worker = TestWorker::start(database.url()).await.work(4, |watched: Watched, _| async move {
        match watched.n {
            0 => Err(JobError::RetryAfter("again".into(), Duration::from_millis(10)).into()),
            1 => Err(JobError::discard("hopeless").into()),
            _ => std::future::pending().await,
        }
    });
    until_state(pool, ids[2], JobState::Running).await;
    let rescuer = TestWorker::rescuer(database.url()).await;
    lose_lease(pool, ids[2]).await;
    let errors = ["again", "hopeless", "lease expired (worker test)"];
    let codes = ["error", "error", "lease_expired"];
    for (id, error) in ids.iter().zip(errors) {
        let job = until_state(pool, *id, JobState::Discarded).await;
        assert_eq!(job.last_error.as_deref(), Some(error));
    }
    let follow_ups: Vec<JobRow> = jobs(pool).await.into_iter().filter(|job| job.queue == "mourn").collect();
    assert_eq!(follow_ups.len(), 3);
    for follow_up in follow_ups {
        let of: Discarded = serde_json::from_value(follow_up.args).unwrap();
        let n = ids.iter().position(|id| *id == of.job_id).unwrap();
        assert_eq!((of.kind.as_str(), of.error.as_deref()), ("watched", Some(errors[n])));
        assert_eq!(of.code.as_deref(), Some(codes[n]));
        assert_eq!(of.args, json!({"n": n}));
        assert_eq!((follow_up.kind.as_str(), follow_up.state), ("mourn", JobState::Available));
    }
    rescuer.stop().await;
    worker.stop_within(Duration::ZERO).await;
}

/// A job whose payload cannot be decoded without a panic when its number is odd.
#[derive(Debug, Clone, Serialize)]
struct Touchy {
    n: i64,
}

impl<'de> Deserialize<'de> for Touchy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Work { n } = Work::deserialize(deserializer)?;
        assert!(n % 2 == 0, "{n} is odd");
        Ok(Self { n })
    }
}

impl Job for Touchy {
    const KIND: &'static str = "touchy";
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_that_panics_when_it_is_decoded_harms_no_other() {
    let database = database().await;
    let pool = database.pool();
    let ids = enqueue_many(pool, 6, |n| Touchy { n }).await;
    let worker = TestWorker::start(database.url()).await.work(6, |_: Touchy, _| async { Ok(()) });
    for (n, id) in ids.into_iter().enumerate() {
        if n % 2 == 0 {
            until_state(pool, id, JobState::Completed).await;
            continue;
        }
        let job = until_job(pool, id, |job| job.state == JobState::Scheduled).await;
        assert_eq!((job.attempt, &job.errors.unwrap()[0]["code"]), (0, &json!("undecodable_payload")));
    }
    worker.stop().await;
}
