//! What is no schedule: a 4xx that names the field, and nothing is stored.

use serde_json::{Value, json};

use crate::app::TestApp;

const NIGHTLY: &str = "/api/v1/schedules/nightly";

/// A schedule with one field changed.
fn with(field: &str, value: Value) -> Value {
    let mut body = json!({"cron": "0 2 * * *", "time_zone": "Europe/Berlin", "kind": "start_collection"});
    body[field] = value;
    body
}

async fn refused(app: &TestApp, body: &Value, fields: &[&str]) {
    app.put(NIGHTLY, &body.to_string()).await.names(fields);
}

async fn none_is_stored(app: &TestApp) {
    assert_eq!(app.get("/api/v1/schedules").await.json(), json!({"results": []}));
}

#[tokio::test]
async fn bad_fields_are_named_and_nothing_is_stored() {
    let app = TestApp::start().await;
    let long = "0,".repeat(10_000);
    for (field, values) in [
        ("cron", vec![json!(""), json!(7), json!(null), json!([]), json!("61 * * * *"), json!("* * * *")]),
        ("cron", vec![json!("0 0 30 2 *"), json!("0 2 * * *\u{0}"), json!("\u{2603} * * * *"), json!(long)]),
        ("time_zone", vec![json!(""), json!(2), json!("Europe/Berlim"), json!("UTC\u{0}"), json!({})]),
        ("kind", vec![json!(""), json!(1), json!("make_call"), json!("start\u{0}"), json!("x".repeat(129))]),
        ("priority", vec![json!(32768), json!(-32769), json!("1"), json!(1.5), json!(u64::MAX)]),
        ("max_attempts", vec![json!(0), json!(-1), json!(65536), json!("3"), json!(null)]),
        ("missed", vec![json!("twice"), json!(""), json!(true), json!(null)]),
        ("jitter", vec![json!("61m"), json!("soon"), json!(-1), json!("1500ms"), json!(true)]),
        ("enabled", vec![json!("yes"), json!(1), json!(null)]),
        ("args", vec![json!("x"), json!([1]), json!(7), json!(null)]),
        ("next_at", vec![json!("2026-12-24T18:00:00Z")]),
    ] {
        for value in values {
            refused(&app, &with(field, value), &[field]).await;
        }
    }
    none_is_stored(&app).await;
}

#[tokio::test]
async fn bad_moments_are_named() {
    let app = TestApp::start().await;
    for at in [
        json!(""),
        json!("tomorrow"),
        json!("2026-12-24"),
        json!("2026-12-24T18:00:00"),
        json!("2026-02-30T18:00:00Z"),
        json!("+99999-01-01T00:00:00Z"),
        json!("9999-12-31T23:59:59-23:59"),
        json!("0000-01-01T00:00:00+23:59"),
        json!("2026-12-24T18:00:00Z\u{0}"),
        json!(1_795_446_000),
        json!(null),
    ] {
        refused(&app, &json!({"at": at, "kind": "start_collection"}), &["at"]).await;
    }
    none_is_stored(&app).await;
    // The last moment that a reply can tell.
    let last = json!({"at": "9999-12-31T23:59:59Z", "kind": "start_collection"});
    assert_eq!(app.put(NIGHTLY, &last.to_string()).await.json()["at"], "9999-12-31T23:59:59+00:00");
}

#[tokio::test]
async fn what_is_missing_or_does_not_go_together_is_named() {
    let app = TestApp::start().await;
    refused(&app, &json!({}), &["kind", "cron"]).await;
    refused(&app, &json!({"cron": "0 2 * * *"}), &["kind"]).await;
    refused(&app, &json!({"kind": "start_collection"}), &["cron"]).await;
    refused(&app, &with("at", json!("2026-12-24T18:00:00Z")), &["at"]).await;
    let at_in_zone =
        json!({"at": "2026-12-24T18:00:00Z", "time_zone": "Europe/Berlin", "kind": "start_collection"});
    refused(&app, &at_in_zone, &["time_zone"]).await;
    // All at once.
    let body =
        json!({"cron": "0 25 * * *", "time_zone": "Mars", "kind": "nap", "args": {"count": 0}, "x": 1});
    refused(&app, &body, &["args.count", "kind", "cron", "time_zone", "x"]).await;
    for body in ["[]", "7", "{", "null"] {
        app.put(NIGHTLY, body).await.problem(400, "malformed-body");
    }
    none_is_stored(&app).await;
}

#[tokio::test]
async fn bad_args_are_named() {
    let app = TestApp::start().await;
    for (args, fields) in [
        (json!({"count": 0}), &["args.count"][..]),
        (json!({"per_page": 1001}), &["args.per_page"]),
        (json!({"batch_size": "ten"}), &["args.batch_size"]),
        (json!({"error_mode": 1}), &["args.error_mode"]),
        (json!({"seed": -1}), &["args.seed"]),
        (json!({"source": "nowhere"}), &["args.source"]),
        (json!({"source": "test\u{0}data"}), &["args.source"]),
        (json!({"source": null}), &["args.source"]),
        (json!({"perpage": 20, "count": 1.5}), &["args.count", "args.perpage"]),
    ] {
        refused(&app, &with("args", args), fields).await;
    }
    none_is_stored(&app).await;
}

#[tokio::test]
async fn a_cron_expression_is_told_where_it_is_wrong() {
    let app = TestApp::start().await;
    let reply = app.put(NIGHTLY, &with("cron", json!("0 25 * * *")).to_string()).await;
    let problem = reply.problem(400, "invalid-request");
    let detail = problem["errors"][0]["detail"].as_str().unwrap();
    assert!(detail.starts_with("hour, at character 3: "), "{detail}");
    let reply = app.put(NIGHTLY, &with("args", json!({"source": "nowhere"})).to_string()).await;
    let problem = reply.problem(400, "invalid-request");
    assert!(problem["detail"].as_str().unwrap().contains("there are: json-resumes, test-data"), "{problem}");
}

/// A field without a value took half a minute of the process once.
#[tokio::test]
async fn a_field_of_an_expression_without_a_value_is_named() {
    let app = TestApp::start().await;
    for (cron, field) in [
        (", * * * *", "minute, at character 1: "),
        ("0 , * * *", "hour, at character 3: "),
        ("0 0 , * *", "day of month, at character 5: "),
        ("0 0 * , *", "month, at character 7: "),
        ("0 0 * * ,", "day of week, at character 9: "),
        ("*/61 * * * *", "minute, at character 1: "),
        ("0 0 * * +3", "day of week, at character 9: "),
        ("@every 5m", "the whole, at character 1: \"@every\" is none of the nicknames: @hourly, "),
    ] {
        let problem = app.put(NIGHTLY, &with("cron", json!(cron)).to_string()).await;
        let problem = problem.problem(400, "invalid-request");
        let error = &problem["errors"][0];
        assert_eq!(error["field"], "cron");
        let detail = error["detail"].as_str().unwrap();
        assert!(detail.starts_with(field), "{cron}: {detail}");
    }
    none_is_stored(&app).await;
}

#[tokio::test]
async fn names_are_checked() {
    let app = TestApp::start().await;
    let body = with("missed", json!("skip")).to_string();
    let long = "x".repeat(129);
    for name in ["%00", "a%00b", long.as_str()] {
        let path = format!("/api/v1/schedules/{name}");
        app.get(&path).await.names(&["schedule"]);
        app.put(&path, &body).await.names(&["schedule"]);
        app.delete(&path).await.names(&["schedule"]);
        for change in ["enable", "disable", "run"] {
            app.post(&format!("{path}/{change}"), "").await.names(&["schedule"]);
        }
    }
    // Steps in a path. The client of this test drops the others of them itself.
    for name in ["%2F", "..%2F", "..%2F.."] {
        app.put(&format!("/api/v1/schedules/{name}"), &body).await.names(&["schedule"]);
        app.post(&format!("/api/v1/queues/{name}/pause"), "").await.names(&["queue"]);
    }
    none_is_stored(&app).await;
    let longest = "%E2%98%83".repeat(128);
    for name in ["%F0%9F%A6%80", "a%20b", "'", "%25", "a%0Ab", "a%2Fb", "..a", longest.as_str()] {
        let path = format!("/api/v1/schedules/{name}");
        app.get(&path).await.problem(404, "not-found");
        app.delete(&path).await.problem(404, "not-found");
        for change in ["enable", "disable", "run"] {
            app.post(&format!("{path}/{change}"), "").await.problem(404, "not-found");
        }
        assert_eq!(app.put(&path, &body).await.status, 200, "{name}");
        assert_eq!(app.get(&path).await.status, 200, "{name}");
    }
}

/// A slip in the year or the time zone would else start a collection at once.
#[tokio::test]
async fn a_moment_that_is_over_is_refused() {
    let app = TestApp::start().await;
    let now = resume_core::db::now(app.pool()).await.unwrap();
    let put = async |at: chrono::DateTime<chrono::Utc>| {
        let body = serde_json::json!({"at": at.to_rfc3339(), "kind": "start_collection"});
        app.put("/api/v1/schedules/once", &body.to_string()).await
    };
    for ago in [chrono::TimeDelta::minutes(2), chrono::TimeDelta::days(365), chrono::TimeDelta::days(700_000)]
    {
        let reply = put(now - ago).await;
        reply.names(&["at"]);
        assert!(reply.text.contains("by the database's clock it is 2"), "{}", reply.text);
    }
    assert_eq!(put(now - chrono::TimeDelta::seconds(30)).await.status, 200);
    assert_eq!(put(now + chrono::TimeDelta::days(1)).await.status, 200);
}
