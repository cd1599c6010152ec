use chrono::{DateTime, Timelike, Utc};
use serde_json::{Value, json};

use crate::{
    app::TestApp,
    work::{TestWorker, until},
};

const NIGHTLY: &str = "/api/v1/schedules/nightly";

/// Puts a schedule, and gives the reply.
async fn put(app: &TestApp, path: &str, body: &Value) -> Value {
    let reply = app.put(path, &body.to_string()).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()
}

fn nightly() -> Value {
    json!({
        "cron": "0 2 * * *", "time_zone": "Europe/Berlin", "kind": "start_collection", "args": {"count": 200},
    })
}

#[tokio::test]
async fn a_schedule_is_put_shown_and_deleted() {
    let app = TestApp::start().await;
    assert_eq!(app.get("/api/v1/schedules").await.json(), json!({"results": []}));
    let mut schedule = put(&app, NIGHTLY, &nightly()).await;
    assert_eq!(app.get(NIGHTLY).await.json(), schedule);
    assert_eq!(app.get("/api/v1/schedules").await.json(), json!({"results": [schedule]}));

    let ticks: Vec<DateTime<Utc>> = serde_json::from_value(schedule["next_ticks"].take()).unwrap();
    assert_eq!(ticks.len(), 5);
    // 02:00 in Berlin.
    assert!(ticks.iter().all(|tick| [0, 1].contains(&tick.hour()) && tick.minute() == 0), "{ticks:?}");
    let next_at: DateTime<Utc> = serde_json::from_value(schedule["next_at"].take()).unwrap();
    assert_eq!(next_at, ticks[0]);
    insta::assert_json_snapshot!(schedule, { ".created_at" => "[time]", ".updated_at" => "[time]" });

    let gone = app.delete(NIGHTLY).await;
    assert_eq!((gone.status.as_u16(), &gone.json()["name"]), (200, &json!("nightly")), "it says what it was");
    app.get(NIGHTLY).await.problem(404, "not-found");
}

#[tokio::test]
async fn what_is_not_given_is_as_by_default_but_for_enabled() {
    let app = TestApp::start().await;
    let mut body = nightly();
    body["priority"] = json!(-32768);
    body["max_attempts"] = json!(65535);
    body["missed"] = json!("all");
    body["jitter"] = json!("10m");
    body["enabled"] = json!(false);
    let first = put(&app, NIGHTLY, &body).await;
    for field in ["cron", "time_zone", "kind", "priority", "max_attempts", "missed", "jitter", "enabled"] {
        assert_eq!(first[field], body[field], "{field}");
    }
    let second = put(&app, NIGHTLY, &json!({"cron": "@yearly", "kind": "start_collection"})).await;
    for (field, value) in [
        ("time_zone", json!("UTC")),
        ("priority", json!(0)),
        ("jitter", json!("0s")),
        ("max_attempts", json!(10)),
        ("missed", json!("once")),
        ("enabled", json!(false)),
    ] {
        assert_eq!(second[field], value, "{field}");
    }
    assert_eq!(second["args"]["batch_size"], 10);
    // 02:00 of a winter in Berlin is 01:00 UTC, so these never meet, whatever the hour of this run.
    assert_ne!(first["next_at"], second["next_at"]);
}

#[tokio::test]
async fn a_schedule_is_enabled_and_disabled() {
    let app = TestApp::start().await;
    put(&app, NIGHTLY, &nightly()).await;
    for (change, enabled) in [("disable", false), ("disable", false), ("enable", true), ("enable", true)] {
        let reply = app.post(&format!("{NIGHTLY}/{change}"), "").await;
        assert_eq!((reply.status.as_u16(), &reply.json()["enabled"]), (200, &json!(enabled)), "{change}");
        assert_eq!(app.get(NIGHTLY).await.json()["enabled"], enabled);
    }
}

#[tokio::test]
async fn a_schedule_runs_by_hand_even_when_it_is_disabled() {
    let app = TestApp::start().await;
    let mut body = nightly();
    body["enabled"] = json!(false);
    let next_at = put(&app, NIGHTLY, &body).await["next_at"].clone();
    let run = app.post(&format!("{NIGHTLY}/run"), "").await;
    let id = run.json()["job_id"].as_i64().unwrap();
    let location = format!("/api/v1/jobs/{id}");
    assert_eq!((run.status.as_u16(), run.header("location")), (202, Some(location.as_str())));
    let job = app.get(&location).await.json();
    assert_eq!((&job["kind"], &job["state"]), (&json!("start_collection"), &json!("available")));
    assert_eq!(job["args"]["count"], 200);
    let schedule = app.get(NIGHTLY).await.json();
    assert_eq!((&schedule["last_job_id"], &schedule["next_at"]), (&json!(id), &next_at));
    let again = app.post(&format!("{NIGHTLY}/run"), "").await.json();
    assert_ne!(again["job_id"], id, "each time another job");
}

#[tokio::test]
async fn a_moment_that_has_passed_is_fired_once() {
    let app = TestApp::start().await;
    let worker = TestWorker::start(&app, |_| async { Ok(()) }).await;
    let now = resume_core::db::now(app.pool()).await.unwrap();
    let moment = DateTime::from_timestamp(now.timestamp() - 30, 0).unwrap();
    let east = moment.with_timezone(&chrono::FixedOffset::east_opt(7200).unwrap());
    let once = json!({"at": east.to_rfc3339(), "kind": "start_collection"});
    let put_first = put(&app, "/api/v1/schedules/once", &once).await;
    assert_eq!((&put_first["cron"], &put_first["time_zone"]), (&Value::Null, &Value::Null));
    let at: DateTime<Utc> = serde_json::from_value(put_first["at"].clone()).unwrap();
    assert_eq!(at, moment);
    let fired = until(&app, "/api/v1/schedules/once", |once| once["last_job_id"].is_i64()).await;
    assert_eq!((&fired["next_at"], &fired["next_ticks"]), (&Value::Null, &json!([])));
    let again = put(&app, "/api/v1/schedules/once", &once).await;
    assert_eq!(again["next_at"], Value::Null, "a second time changes nothing");
    // Also long after: programs put their schedules whenever they start.
    let past = "update queue.schedules set at = at - interval '1 year' returning at";
    let past: DateTime<Utc> = sqlx::Row::get(&sqlx::raw_sql(past).fetch_one(app.pool()).await.unwrap(), 0);
    let again = put(&app, "/api/v1/schedules/once", &json!({"at": past, "kind": "start_collection"})).await;
    assert_eq!(again["next_at"], Value::Null);
    worker.stop().await;
}

#[tokio::test]
async fn the_ends_of_time_are_moments() {
    let app = TestApp::start().await;
    for (at, is_over) in [
        ("0000-01-01T00:00:00Z", true),
        ("9999-12-31T23:59:59.999999999Z", false),
        ("2016-12-31T23:59:60Z", true),
        ("2996-12-31T23:59:60Z", false),
    ] {
        let body = json!({"at": at, "kind": "start_collection", "enabled": false});
        if is_over {
            app.put("/api/v1/schedules/end", &body.to_string()).await.names(&["at"]);
        } else {
            put(&app, "/api/v1/schedules/end", &body).await;
        }
        assert_eq!(app.get("/api/v1/schedules").await.status, 200, "{at}");
    }
}
