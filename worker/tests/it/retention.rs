//! The leader deletes what has had its time, and reports it.

use std::time::Duration;

use resume_queue::maintenance::{ServiceReport, report};
use resume_worker::Retention;
use sqlx::raw_sql;

use crate::harness::{NUMBERED, Pipeline, collection_of, in_time};

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_deletes_old_calls_and_superseded_documents_and_reports_it() {
    let pipeline = Pipeline::start_with(u32::MAX, 50).await;
    let worker = pipeline.worker();
    // The mock makes other people of the same ids up, so the second run supersedes the first.
    for seed in [1, 2] {
        let mut new = collection_of(100, NUMBERED);
        new.seed = Some(seed);
        let id = pipeline.collect(&new).await;
        pipeline.ended(id).await;
    }
    worker.stop().await;
    raw_sql("update collections set finished_at = finished_at - interval '3 days'")
        .execute(&pipeline.pool)
        .await
        .unwrap();

    let day = Some(Duration::from_secs(24 * 3600));
    let worker = pipeline.worker_that_keeps(Retention { calls: day, superseded: day });
    let deleted = async || {
        let reports = report(&pipeline.pool).await.unwrap();
        let of = |service: &str| {
            let deleted = |report: &ServiceReport| report.service == service && report.last_affected > 0;
            reports.iter().find(|report| deleted(report)).map(|report| report.last_affected)
        };
        of("calls")
    };
    let waiting = async {
        loop {
            match deleted().await {
                Some(deleted) => return deleted,
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    assert!(in_time("the calls are deleted", waiting).await > 0);
    let calls = sqlx::query_scalar!(r#"select count(*) as "count!" from calls"#);
    assert_eq!(calls.fetch_one(&pipeline.pool).await.unwrap(), 0);
    let services = report(&pipeline.pool).await.unwrap();
    for service in ["call_ledger", "calls", "superseded_documents"] {
        let report = services.iter().find(|report| report.service == service);
        assert_eq!(report.unwrap_or_else(|| panic!("no {service}")).failures, 0);
    }
    worker.stop().await;
}
