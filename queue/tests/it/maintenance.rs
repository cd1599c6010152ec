//! What the leader does for all, and what it tells of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use resume_queue::{
    JobState, NewJob, SessionSettings,
    maintenance::{Depth, Pass, Service, ServiceReport, Services, depths, report},
};
use sqlx::{Connection, PgConnection, PgPool};

use crate::support::*;

async fn until_report(pool: &PgPool, service: &str, suits: impl Fn(&ServiceReport) -> bool) -> ServiceReport {
    let find =
        || async { report(pool).await.unwrap().into_iter().find(|r| r.service == service && suits(r)) };
    until(&format!("a report of {service}"), find).await
}

/// Waits until the queues have been counted anew.
async fn measured(pool: &PgPool) -> Vec<Depth> {
    let runs = until_report(pool, "statistics", |_| true).await.runs;
    // The next one may be under way already.
    until_report(pool, "statistics", |report| report.runs >= runs + 2).await;
    depths(pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_service_reports_its_last_run() {
    let database = database().await;
    let pool = database.pool();
    assert_eq!(report(pool).await.unwrap(), []);
    let worker = TestWorker::start(database.url()).await;
    for service in ["indexes", "rescue", "retention", "schedules", "statistics", "vacuum"] {
        let report = until_report(pool, service, |_| true).await;
        assert_eq!(
            (report.worker_id, report.failures, report.last_error.as_deref()),
            (worker.session.worker_id(), 0, None)
        );
        assert!(report.runs > 0 && report.total_duration >= report.last_duration, "{report:?}");
        assert!(!report.last_duration.is_zero(), "{report:?}");
        let started = "select (count(*) = 1)::integer::bigint from queue.maintenance where last_started_at between \
                       now() - interval '1 minute' and now() and service =";
        assert_eq!(number(pool, format!("{started} '{service}'")).await, Some(1));
    }
    assert_eq!(report(pool).await.unwrap().len(), 7);
    // A service that runs each second is written down less often, and no run is lost.
    let rescue = until_report(pool, "rescue", |report| report.runs > 5).await;
    assert_eq!(rescue.total_affected, 0);
    worker.stop().await;
}

/// A service of the program that uses the queue: counts its runs, and fails first.
#[derive(Debug, Clone, Default)]
struct Own(Arc<AtomicU64>);

impl Service for Own {
    const NAME: &'static str = "own";
    const RUN_MAX: Duration = Duration::from_secs(5);
    const RETRY: Duration = Duration::from_millis(1);

    async fn run(&mut self, conn: &mut PgConnection) -> Result<Pass, sqlx::Error> {
        let runs = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        if runs == 1 {
            return Err(sqlx::Error::Protocol("not ready".to_owned()));
        }
        conn.ping().await?;
        Ok(Pass { affected: 7, next: Duration::from_secs(3600) })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_runs_the_services_of_its_program_and_no_other_worker_does() {
    let database = database().await;
    let pool = database.pool();
    let (leads, follows) = (Own::default(), Own::default());
    let with = |own: &Own| SessionSettings {
        services: Services::default().with(own.clone()),
        ..SessionSettings::default()
    };
    let leader = TestWorker::start_with(database.url(), with(&leads)).await;
    until_report(pool, "statistics", |_| true).await;
    let other = TestWorker::start_with(database.url(), with(&follows)).await;
    let report = until_report(pool, "own", |report| report.runs == 2).await;
    assert_eq!((report.failures, report.last_affected, report.last_error), (1, 7, None));
    assert_eq!(report.worker_id, leader.session.worker_id());
    assert_eq!(follows.0.load(Ordering::Relaxed), 0);
    leader.stop().await;
    until_report(pool, "own", |report| report.worker_id == other.session.worker_id()).await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_fails_says_why_and_stops_no_other() {
    let database = database().await;
    let pool = database.pool();
    execute(pool, "alter function queue.create_history_partitions rename to hidden").await;
    let worker = TestWorker::start(database.url()).await;
    let failed = until_report(pool, "retention", |report| report.failures > 0).await;
    let error = failed.last_error.unwrap();
    assert!(error.contains("create_history_partitions"), "{error}");
    let statistics = until_report(pool, "statistics", |_| true).await;
    assert_eq!(statistics.failures, 0);
    worker.stop().await;
    // The next leader tries at once, and then all is well.
    execute(pool, "alter function queue.hidden rename to create_history_partitions").await;
    let worker = TestWorker::start(database.url()).await;
    let well = until_report(pool, "retention", |report| report.last_error.is_none()).await;
    assert_eq!((well.failures, well.worker_id), (failed.failures, worker.session.worker_id()));
    worker.stop().await;
}

/// Handlers that hold every connection of the pool must not keep the leader from its work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exhausted_pool_stops_no_maintenance() {
    let database = database().await;
    let pool = database.pool();
    let small = super::support::pool(database.url(), 2).await;
    let handler_pool = small.clone();
    let worker = TestWorker::over(small, settings("busy")).await.work(2, move |_: Work, _| {
        let pool = handler_pool.clone();
        async move {
            let _conn = pool.acquire().await?;
            std::future::pending().await
        }
    });
    let ids = enqueue_many(pool, 2, |n| Work { n }).await;
    for id in &ids {
        until_state(pool, *id, JobState::Running).await;
    }
    // Somebody died meanwhile.
    let lost = enqueue_many(pool, 1, |n| Other { n }).await[0];
    execute(
        pool,
        format!(
            "insert into queue.workers (name) values ('phantom');
             update queue.live_jobs set state = 'running', attempt = 1, fence = 1, started_at = now(),
                    lease_until = now() + interval '1 hour', worker_id = w.id
             from queue.workers w where w.name = 'phantom' and live_jobs.id = {lost}"
        ),
    )
    .await;
    until_state(pool, lost, JobState::Available).await;
    let rescue = until_report(pool, "rescue", |report| report.total_affected > 0).await;
    assert_eq!((rescue.total_affected, rescue.failures), (1, 0));
    worker.stop_within(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_depth_of_each_queue_is_known() {
    let database = database().await;
    let pool = database.pool();
    let worker = TestWorker::start(database.url()).await.work(3, |_: Other, _| std::future::pending());
    let job = |n: i64| NewJob::new(&Work { n }).unwrap();
    let later = |n: i64| job(n).after(Duration::from_secs(3600));
    enqueue_jobs(pool, &[later(1), job(2), job(3).priority(5), later(4), job(5), later(6)]).await;
    enqueue_many(pool, 3, |n| Other { n }).await;
    execute(pool, "update queue.live_jobs set state = 'retryable' where args = '{\"n\": 6}'").await;
    // The one that a claim would take next has been due for an hour; the others for two.
    execute(
        pool,
        "update queue.live_jobs set run_at = run_at - interval '1 hour' * case when priority = 5 then 1 else 2 end
         where queue = 'work' and state = 'available'",
    )
    .await;
    let all = measured(pool).await;
    let counts: Vec<(&str, JobState, i64)> =
        all.iter().map(|depth| (depth.queue.as_str(), depth.state, depth.jobs)).collect();
    use JobState::{Available, Retryable, Running, Scheduled};
    assert_eq!(
        counts,
        [
            ("other", Available, 0),
            ("other", Scheduled, 0),
            ("other", Running, 3),
            ("other", Retryable, 0),
            ("work", Available, 3),
            ("work", Scheduled, 2),
            ("work", Running, 0),
            ("work", Retryable, 1),
        ]
    );
    assert!(all.iter().all(|depth| depth.exact));
    let waited = all[4].next_waited.unwrap().as_secs();
    assert!((3600..3700).contains(&waited), "{waited}");
    assert!(all[5].next_run_at.is_some() && all[5].next_waited.is_none(), "not due yet: {:?}", all[5]);
    assert_eq!((all[0].next_run_at, all[2].next_run_at), (None, None));
    // A queue that is empty is still in the list.
    execute(pool, "delete from queue.live_jobs where queue = 'work'").await;
    let all = measured(pool).await;
    assert_eq!(all.iter().filter(|depth| depth.queue == "work").map(|depth| depth.jobs).sum::<i64>(), 0);
    assert_eq!(all.len(), 8);
    worker.stop_within(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_than_a_hundred_thousand_jobs_are_counted() {
    let database = database().await;
    let pool = database.pool();
    execute(
        pool,
        "insert into queue.live_jobs (queue, kind, state, max_attempts, args, run_at)
         select 'work', 'work', s.state, 3, '{}', now() + interval '1 hour'
         from (values ('available'::queue.job_state), ('scheduled')) s (state), generate_series(1, 100000) n",
    )
    .await;
    let worker = TestWorker::start(database.url()).await;
    let count = || async {
        until_report(pool, "statistics", |_| true).await;
        let all = depths(pool).await.unwrap();
        let of = |state: JobState| {
            all.iter().find(|depth| depth.state == state).map(|depth| (depth.jobs, depth.exact))
        };
        [of(JobState::Available), of(JobState::Scheduled)]
    };
    // Whether there is one more is not known.
    assert_eq!(count().await, [Some((100_000, false)); 2]);
    worker.stop().await;
    execute(
        pool,
        "delete from queue.live_jobs where id in (select min(id) from queue.live_jobs group by state)",
    )
    .await;
    let worker = TestWorker::start(database.url()).await;
    until("counted anew", || async { (count().await == [Some((99_999, true)); 2]).then_some(()) }).await;
    worker.stop().await;
}
