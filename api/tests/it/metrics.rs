use std::time::Duration;

use poem::http::Method;
use resume_queue::schedules::{self, Missed, NewSchedule, Timing};
use serde_json::json;
use sqlx::Row;

use crate::{
    app::TestApp,
    work::{TestWorker, enqueue, new_job, until_job},
};

const TRIGGER: &str = "/api/v1/data-collection/trigger";

#[tokio::test]
async fn what_is_enqueued_is_counted() {
    let app = TestApp::start().await;
    app.trigger(r#"{"count": 30}"#).await;
    let reply = app.get("/metrics").await;
    assert_eq!(reply.status, 200);
    assert!(reply.header("content-type").unwrap().starts_with("text/plain"));
    // Other tests of this process count as well.
    assert!(sent(&reply.text, "make_call") >= 3);
    for described in ["# TYPE messaging_client_sent_messages_total counter", "# HELP "] {
        assert!(reply.text.contains(described), "{}", reply.text);
    }
}

/// A retry that is overdue waits as well, and nobody works on its queue any more.
#[tokio::test]
async fn a_queue_that_nobody_works_on_says_how_far_behind_it_is() {
    let app = TestApp::start().await;
    let behind = "insert into queue.depths (queue, state, jobs, exact, next_run_at) values
                      ('behind', 'available', 0, true, null),
                      ('behind', 'retryable', 1, true, now() - interval '3 hours')";
    sqlx::raw_sql(behind).execute(app.pool()).await.unwrap();
    let metrics = app.get("/metrics").await.text;
    let gauge = |name: &str| {
        let gauge = format!(r#"{name}{{messaging_destination_name="behind"}} "#);
        metrics.lines().find_map(|line| line.strip_prefix(&gauge)).map(str::to_owned)
    };
    assert_eq!(gauge("queue_oldest_wait_seconds").as_deref(), Some("10800"));
    assert_eq!(gauge("queue_workers").as_deref(), Some("0"));
}

#[tokio::test]
async fn an_attempt_that_was_cancelled_is_counted_as_such() {
    let app = TestApp::start().await;
    let id = enqueue(&app, vec![new_job()]).await[0];
    let worker = TestWorker::start(&app, |_| std::future::pending()).await;
    until_job(&app, id, "running").await;
    app.post(&format!("/api/v1/jobs/{id}/cancel"), "").await;
    let counted = async {
        while !app.get("/metrics").await.text.contains(r#"outcome="ended_by_request""#) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), counted).await.expect("the end is counted");
    worker.stop().await;
}

/// How many jobs of a queue this process has enqueued.
fn sent(metrics: &str, queue: &str) -> u64 {
    let sent = format!(r#"messaging_client_sent_messages_total{{messaging_destination_name="{queue}"}} "#);
    metrics.lines().find_map(|line| line.strip_prefix(&sent)).map_or(0, |count| count.parse().unwrap())
}

#[tokio::test]
async fn what_a_schedule_enqueues_is_counted() {
    let app = TestApp::start().await;
    let conn = &mut *app.pool().acquire().await.unwrap();
    // Of a kind that no other test of this process has.
    let schedule = NewSchedule {
        name: "counted".to_owned(),
        timing: Timing::Cron { expression: "0 0 29 2 *".to_owned(), time_zone: "UTC".to_owned() },
        kind: "counted".to_owned(),
        args: json!({}),
        priority: 0,
        max_attempts: 1,
        on_discard: None,
        missed: Missed::All,
        jitter: std::time::Duration::ZERO,
    };
    schedules::put(conn, &schedule).await.unwrap();
    schedules::run_now(conn, "counted").await.unwrap().unwrap();
    assert_eq!(sent(&app.get("/metrics").await.text, "counted"), 1);
    // The worker of this process leads, and makes up for two ticks.
    sqlx::raw_sql("update queue.schedules set next_at = '2020-02-29 00:00Z'")
        .execute(&mut *conn)
        .await
        .unwrap();
    let worker = TestWorker::start(&app, |_| async { Ok(()) }).await;
    let counted = async {
        while sent(&app.get("/metrics").await.text, "counted") < 3 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), counted).await.expect("both ticks are counted");
    worker.stop().await;
}

#[tokio::test]
async fn without_a_database_there_are_still_figures() {
    let app = TestApp::without_database().await;
    assert_eq!(app.get("/metrics").await.status, 200);
}

#[tokio::test]
async fn jobs_carry_the_trace_of_the_request() {
    let app = TestApp::start().await;
    let given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    app.send(app.request(Method::POST, TRIGGER).header("traceparent", given)).await;
    app.trigger("{}").await;
    let count = format!(
        "select count(*) filter (where traceparent = '{given}'), count(distinct traceparent),
                count(*) filter (where traceparent is null) from jobs"
    );
    let row = sqlx::raw_sql(sqlx::AssertSqlSafe(count)).fetch_one(app.pool()).await.unwrap();
    let counts: [i64; 3] = [row.get(0), row.get(1), row.get(2)];
    assert_eq!(counts, [10, 2, 0]);
}
