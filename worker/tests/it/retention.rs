//! The leader deletes what has had its time, and reports it.

use std::time::Duration;

use resume_queue::maintenance::report;
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
    // Each service reports for itself, in no order.
    let reported = async {
        loop {
            let reports = report(&pipeline.pool).await.unwrap();
            let of = |service: &str| reports.iter().find(|report| report.service == service).cloned();
            match (of("call_ledger"), of("calls"), of("superseded_documents")) {
                (Some(ledger), Some(calls), Some(superseded)) if calls.total_affected > 0 => {
                    return [ledger, calls, superseded];
                }
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    for report in in_time("the calls are deleted", reported).await {
        assert_eq!(report.failures, 0, "{report:?}");
    }
    let calls = sqlx::query_scalar!(r#"select count(*) as "count!" from calls"#);
    assert_eq!(calls.fetch_one(&pipeline.pool).await.unwrap(), 0);
    worker.stop().await;
}
