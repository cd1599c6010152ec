use std::time::Duration;

use resume_core::jobs::KINDS;
use serde_json::{Value, json};

use crate::{
    app::TestApp,
    work::{KIND, TestWorker, enqueue, new_job, until, until_job},
};

async fn queue(app: &TestApp) -> Value {
    app.get(&format!("/api/v1/queues/{KIND}")).await.json()
}

fn idle(name: &str) -> Value {
    json!({
        "name": name, "paused_at": null, "max_running": null, "max_running_per_key": null, "workers": 0, "slots": 0,
        "depths": null,
    })
}

#[tokio::test]
async fn the_queues_of_the_service_are_always_there() {
    let app = TestApp::start().await;
    let list = app.get("/api/v1/queues").await.json();
    let names = [
        "continue_collection",
        "finish_collection",
        "make_call",
        KIND,
        "reparse_source",
        "settle_discarded",
        "start_collection",
        "stop_collection",
    ];
    assert_eq!(list["results"], json!(names.map(idle)));
    assert_eq!(queue(&app).await, idle(KIND));
}

#[test]
fn every_kind_of_job_is_listed() {
    let jobs = include_str!("../../../core/src/jobs.rs");
    let kinds = jobs.lines().filter_map(|line| line.trim().strip_prefix("const KIND: &'static str = "));
    for kind in kinds {
        let kind = kind.trim_matches([';', '"']);
        assert!(KINDS.contains(&kind), "add {kind} to KINDS in core/src/jobs.rs");
    }
}

#[tokio::test]
async fn a_paused_queue_starts_no_job() {
    let app = TestApp::start().await;
    let worker = TestWorker::start(&app, |_| async { Ok(()) }).await;
    let paused = app.post(&format!("/api/v1/queues/{KIND}/pause"), "").await;
    assert_eq!(paused.status, 200, "{}", paused.text);
    let since = paused.json()["paused_at"].clone();
    assert!(since.is_string());
    let again = app.post(&format!("/api/v1/queues/{KIND}/pause"), "").await.json();
    assert_eq!(again["paused_at"], since, "a second time changes nothing");

    let id = enqueue(&app, vec![new_job()]).await[0];
    let why = app.get(&format!("/api/v1/jobs/{id}/why")).await.json();
    assert_eq!(why["obstacles"][0]["reason"], "paused", "{why}");
    let demand = app.get(&format!("/api/v1/queues/{KIND}/demand")).await.json();
    assert_eq!((&demand["waiting"]["value"], &demand["workers_wanted"]), (&json!(1), &json!(0)));

    let unpaused = app.post(&format!("/api/v1/queues/{KIND}/unpause"), "").await;
    assert_eq!((unpaused.status.as_u16(), &unpaused.json()["paused_at"]), (200, &Value::Null));
    until_job(&app, id, "completed").await;
    worker.stop().await;
}

#[tokio::test]
async fn limits_are_set_and_lifted() {
    let app = TestApp::start().await;
    let path = format!("/api/v1/queues/{KIND}/limits");
    for (max_running, per_key) in
        [(json!(3), json!(1)), (json!(2_147_483_647), json!(null)), (json!(null), json!(null))]
    {
        let body = json!({"max_running": max_running, "max_running_per_key": per_key});
        let reply = app.put(&path, &body.to_string()).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert_eq!(reply.json()["max_running"], max_running);
        assert_eq!(reply.json()["max_running_per_key"], per_key);
        assert_eq!(reply.json(), queue(&app).await);
    }
}

#[tokio::test]
async fn bad_limits_are_named() {
    let app = TestApp::start().await;
    let path = format!("/api/v1/queues/{KIND}/limits");
    for field in ["max_running", "max_running_per_key"] {
        for value in [
            json!(0),
            json!(-1),
            json!(2_147_483_648_u32),
            json!(u64::MAX),
            json!(1.5),
            json!("3"),
            json!([]),
        ] {
            let mut body = json!({"max_running": 1, "max_running_per_key": 1});
            body[field] = value;
            app.put(&path, &body.to_string()).await.names(&[field]);
        }
    }
    app.put(&path, r#"{"max_running": 3}"#).await.names(&["max_running_per_key"]);
    app.put(&path, "{}").await.names(&["max_running", "max_running_per_key"]);
    app.put(&path, r#"{"max_running": 3, "max_running_per_key": null, "max": 1}"#).await.names(&["max"]);
    app.put(&path, "[]").await.problem(400, "malformed-body");
    assert_eq!(queue(&app).await, idle(KIND), "nothing was changed");
}

#[tokio::test]
async fn a_queue_at_its_limit_is_told_of() {
    let app = TestApp::start().await;
    app.put(&format!("/api/v1/queues/{KIND}/limits"), r#"{"max_running": 1, "max_running_per_key": null}"#)
        .await;
    let worker = TestWorker::start(&app, |lease| async move {
        lease.stop_requested().await;
        Ok(())
    })
    .await;
    let ids = enqueue(&app, vec![new_job(); 2]).await;
    until_job(&app, ids[0], "running").await;
    let why = app.get(&format!("/api/v1/jobs/{}/why", ids[1])).await.json();
    let reasons: Vec<&Value> = why["obstacles"].as_array().unwrap().iter().map(|o| &o["reason"]).collect();
    assert_eq!(reasons, ["queue_limit", "behind"], "{why}");
    assert_eq!(why["obstacles"][1]["ahead"], 0);
    let demand = app.get(&format!("/api/v1/queues/{KIND}/demand?target=1")).await.json();
    assert_eq!(demand["running"], 1);
    assert_eq!(demand["workers_wanted"], 1, "more would have nothing to do: {demand}");
    assert_eq!(
        (queue(&app).await["workers"].clone(), queue(&app).await["slots"].clone()),
        (json!(1), json!(2))
    );
    for id in ids {
        app.post(&format!("/api/v1/jobs/{id}/cancel"), "").await;
    }
    worker.stop().await;
}

#[tokio::test]
async fn demand_grows_with_what_waits() {
    let app = TestApp::start().await;
    enqueue(&app, vec![new_job(); 100]).await;
    let wanted = async |target: &str| {
        let reply = app.get(&format!("/api/v1/queues/{KIND}/demand{target}")).await;
        assert_eq!(reply.status, 200, "{target}: {}", reply.text);
        assert_eq!(reply.json()["waiting"], json!({"value": 100, "exact": true}));
        reply.json()["workers_wanted"].as_u64().unwrap()
    };
    // A second for each job, as long as nobody knows better.
    assert_eq!(wanted("").await, 2);
    assert_eq!(wanted("?target=60").await, 2);
    assert_eq!(wanted("?target=10s").await, 10);
    assert_eq!(wanted("?target=366days").await, 1);
    assert!(wanted("?target=1ns").await >= 10_000);
    for target in ["", "0", "0s", "-5", "soon", "99999999999999999999", "%00"] {
        app.get(&format!("/api/v1/queues/{KIND}/demand?target={target}")).await.names(&["target"]);
    }
}

#[tokio::test]
async fn an_unknown_queue_is_not_found() {
    let app = TestApp::start().await;
    let body = r#"{"max_running": 1, "max_running_per_key": null}"#;
    for name in ["parse_document", "%F0%9F%A6%80", "..%2Fa", "a%20b", "'", "%25"] {
        let problem = app.get(&format!("/api/v1/queues/{name}")).await.problem(404, "not-found");
        assert!(
            problem["detail"].as_str().unwrap().contains("there are: continue_collection, "),
            "{problem}"
        );
        app.get(&format!("/api/v1/queues/{name}/demand")).await.problem(404, "not-found");
        for what in ["pause", "unpause"] {
            app.post(&format!("/api/v1/queues/{name}/{what}"), "").await.problem(404, "not-found");
        }
        app.put(&format!("/api/v1/queues/{name}/limits"), body).await.problem(404, "not-found");
    }
    let long = "x".repeat(129);
    for name in ["%00", "a%00b", "..%2F", long.as_str()] {
        app.get(&format!("/api/v1/queues/{name}")).await.names(&["queue"]);
        app.get(&format!("/api/v1/queues/{name}/demand")).await.names(&["queue"]);
        app.post(&format!("/api/v1/queues/{name}/pause"), "").await.names(&["queue"]);
        app.put(&format!("/api/v1/queues/{name}/limits"), body).await.names(&["queue"]);
    }
    let reply = app.get("/api/v1/queues/%FF").await;
    assert!(reply.status.is_client_error(), "{}", reply.text);
    assert_eq!(
        app.get("/api/v1/queues").await.json()["results"].as_array().unwrap().len(),
        KINDS.len(),
        "none was made"
    );
}

#[tokio::test]
async fn a_queue_with_jobs_of_strangers_is_listed() {
    let app = TestApp::start().await;
    let insert = "insert into queue.live_jobs (queue, kind, state, max_attempts, args) \
                  values ('emails', 'emails', 'available', 1, '{}')";
    sqlx::raw_sql(insert).execute(app.pool()).await.unwrap();
    let listed =
        until(&app, "/api/v1/queues", |list| list["results"].as_array().unwrap().len() > KINDS.len()).await;
    assert_eq!(listed["results"][1], idle("emails"));
    assert_eq!(app.post("/api/v1/queues/emails/pause", "").await.status, 200);
}

#[tokio::test]
async fn a_queue_tells_what_it_holds() {
    let app = TestApp::start().await;
    let later = new_job().after(Duration::from_secs(3600));
    enqueue(&app, vec![new_job(), new_job(), later]).await;
    app.post(&format!("/api/v1/queues/{KIND}/pause"), "").await;
    // The worker that leads counts.
    let worker = TestWorker::start(&app, |_| async { Ok(()) }).await;
    let path = format!("/api/v1/queues/{KIND}");
    let depths = until(&app, &path, |queue| queue["depths"].is_object()).await["depths"].clone();
    let count = |value: u64| json!({"value": value, "exact": true});
    for (state, value) in [("available", 2), ("scheduled", 1), ("retryable", 0), ("running", 0)] {
        assert_eq!(depths[state], count(value), "{depths}");
    }
    assert!(depths["oldest_wait_seconds"].as_f64().unwrap() > 0.0, "{depths}");
    assert!(depths["measured_at"].is_string());
    let list = app.get("/api/v1/queues").await.json();
    let listed = list["results"].as_array().unwrap().iter().find(|queue| queue["name"] == KIND).unwrap();
    assert!(listed["depths"].is_object(), "{list}");
    worker.stop().await;
}

/// A queue that nobody works on, and that holds nothing, is there for as long as it is paused or limited.
#[tokio::test]
async fn a_queue_of_which_nothing_is_left_to_tell_is_gone() {
    let app = TestApp::start().await;
    let (queue, limits) = ("/api/v1/queues/orphan", "/api/v1/queues/orphan/limits");
    app.get(queue).await.problem(404, "not-found");
    resume_queue::pause_queue(app.pool(), "orphan").await.unwrap();
    let limited = app.put(limits, r#"{"max_running": 3, "max_running_per_key": null}"#).await;
    assert_eq!(limited.status, 200, "{}", limited.text);
    let unpaused = app.post(&format!("{queue}/unpause"), "").await;
    assert_eq!((unpaused.status.as_u16(), &unpaused.json()["max_running"]), (200, &json!(3)));
    assert_eq!(app.get(queue).await.json(), unpaused.json());
    let lifted = app.put(limits, r#"{"max_running": null, "max_running_per_key": null}"#).await;
    assert_eq!((lifted.status.as_u16(), lifted.json()), (200, idle("orphan")), "the change is told");
    app.get(queue).await.problem(404, "not-found");
    let list = app.get("/api/v1/queues").await;
    assert!(!list.text.contains("orphan"), "{}", list.text);
}
