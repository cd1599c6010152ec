use poem::http::Method;
use sqlx::Row;

use crate::app::TestApp;

const TRIGGER: &str = "/api/v1/data-collection/trigger";

#[tokio::test]
async fn what_is_enqueued_is_counted() {
    let app = TestApp::start().await;
    app.trigger(r#"{"count": 30}"#).await;
    let reply = app.get("/metrics").await;
    assert_eq!(reply.status, 200);
    assert!(reply.header("content-type").unwrap().starts_with("text/plain"));
    let sent = r#"messaging_client_sent_messages_total{messaging_destination_name="fetch_page"} "#;
    let line = reply.text.lines().find_map(|line| line.strip_prefix(sent)).unwrap();
    // Other tests of this process count as well.
    assert!(line.parse::<f64>().unwrap() >= 3.0, "{line}");
    for described in ["# TYPE messaging_client_sent_messages_total counter", "# HELP "] {
        assert!(reply.text.contains(described), "{}", reply.text);
    }
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
