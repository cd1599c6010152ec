use std::sync::Arc;

use resume_queue::{Coded, JobError, JobId};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::{
    app::TestApp,
    work::{COLLECTION, KIND, TestWorker, enqueue, new_job, until, until_job},
};

fn ids(page: &Value) -> Vec<JobId> {
    page["results"].as_array().unwrap().iter().map(|job| job["id"].as_i64().unwrap()).collect()
}

async fn list(app: &TestApp, query: &str) -> Value {
    let reply = app.get(&format!("/api/v1/jobs?{query}")).await;
    assert_eq!(reply.status, 200, "{query}: {}", reply.text);
    reply.json()
}

/// A `POST` without a body.
async fn change(app: &TestApp, id: JobId, change: &str) -> crate::app::Reply {
    app.post(&format!("/api/v1/jobs/{id}/{change}"), "").await
}

#[tokio::test]
async fn one_whole_job() {
    let app = TestApp::start().await;
    let id = enqueue(&app, vec![new_job().idempotency_key("k").concurrency_key("c").priority(3)]).await[0];
    let reply = app.get(&format!("/api/v1/jobs/{id}")).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    insta::assert_json_snapshot!(reply.json(), {
        ".id" => "[id]", ".created_at" => "[time]", ".run_at" => "[time]",
    });
    assert_eq!(list(&app, "").await["results"][0], reply.json(), "the list has the same");
}

#[tokio::test]
async fn jobs_are_chosen_by_what_they_are() {
    let app = TestApp::start().await;
    app.collection(r#"{"count": 10}"#).await;
    let later = new_job().after(std::time::Duration::from_secs(3600));
    let (now, later) = (enqueue(&app, vec![new_job()]).await[0], enqueue(&app, vec![later]).await[0]);
    assert_eq!(list(&app, "").await["results"].as_array().unwrap().len(), 3);
    for query in [
        format!("queue={KIND}"),
        format!("kind={KIND}"),
        format!("collection_id={COLLECTION}"),
        format!("state=available,scheduled&kind={KIND}"),
        format!("state=available&state=scheduled&kind={KIND}&older_than=0"),
    ] {
        assert_eq!(ids(&list(&app, &query).await), [later, now], "{query}: the newest first");
    }
    assert_eq!(ids(&list(&app, "state=scheduled").await), [later]);
    assert_eq!(list(&app, "group_id=1").await["results"][0]["kind"], "make_call", "those of the collection");
    for query in
        ["state=discarded", "queue=other", "kind=x", "error_code=panic", "older_than=10m", "group_id=2"]
    {
        assert_eq!(list(&app, query).await, json!({"results": [], "next_cursor": null}), "{query}");
    }
}

#[tokio::test]
async fn the_list_is_read_page_by_page() {
    let app = TestApp::start().await;
    let mut expected = enqueue(&app, vec![new_job(); 25]).await;
    expected.reverse();
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = list(&app, &format!("limit=10{cursor}")).await;
        seen.extend(ids(&page));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
        // What comes in while somebody reads does not move what is to come.
        enqueue(&app, vec![new_job()]).await;
    }
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn bad_parameters_are_named() {
    let app = TestApp::start().await;
    let long = "x".repeat(129);
    let huge = "99999999999999999999";
    for (parameter, values) in [
        ("queue", vec!["", "%00", "a%00b", long.as_str()]),
        ("kind", vec!["", "%00", long.as_str()]),
        ("error_code", vec!["", "a%00", long.as_str()]),
        ("state", vec!["", "nonsense", "available,,running", "available,x", "RUNNING", "%00"]),
        ("older_than", vec!["", "-1", "soon", "1.5", "400days", huge, "10m%00", "999999999999y"]),
        ("collection_id", vec!["", "7", "%00"]),
        ("group_id", vec!["", "x", "1.5", huge, "%00"]),
        ("limit", vec!["0", "-1", "101", huge, "", "ten"]),
        ("cursor", vec!["", "42", "forged", "%00", "02000000000000002a00000000"]),
    ] {
        for value in values {
            app.get(&format!("/api/v1/jobs?{parameter}={value}")).await.names(&[parameter]);
        }
    }
    let state = app.get("/api/v1/jobs?state=x").await.json();
    let detail = state["errors"][0]["detail"].as_str().unwrap();
    assert!(detail.starts_with("must be a list, separated by commas, of one of available, "), "{detail}");
    // Far, but not wrong.
    list(&app, "older_than=366days&group_id=-9223372036854775808").await;
}

#[tokio::test]
async fn unknown_and_impossible_ids() {
    let app = TestApp::start().await;
    for id in ["1", "0", "-1", "9223372036854775807"] {
        app.get(&format!("/api/v1/jobs/{id}")).await.problem(404, "not-found");
        app.get(&format!("/api/v1/jobs/{id}/why")).await.problem(404, "not-found");
        for what in ["cancel", "retry", "discard"] {
            app.post(&format!("/api/v1/jobs/{id}/{what}"), "").await.problem(404, "not-found");
        }
    }
    for id in ["x", "1.5", "9223372036854775808", "%00", "1%00", "%FF", "%20"] {
        for path in [format!("/api/v1/jobs/{id}"), format!("/api/v1/jobs/{id}/why")] {
            let reply = app.get(&path).await;
            assert!(reply.status.is_client_error(), "{path}: {}", reply.text);
        }
        let reply = app.post(&format!("/api/v1/jobs/{id}/cancel"), "").await;
        assert!(reply.status.is_client_error(), "{id}: {}", reply.text);
    }
    app.get("/api/v1/jobs/x").await.names(&["id"]);
}

#[tokio::test]
async fn a_waiting_job_is_cancelled_retried_and_discarded() {
    let app = TestApp::start().await;
    let id = enqueue(&app, vec![new_job()]).await[0];
    for (what, state) in [
        ("cancel", "cancelled"),
        // A repetition does no harm.
        ("cancel", "cancelled"),
        ("retry", "available"),
        ("retry", "available"),
        ("discard", "discarded"),
        ("discard", "discarded"),
        ("retry", "available"),
    ] {
        let reply = change(&app, id, what).await;
        assert_eq!((reply.status.as_u16(), &reply.json()["state"]), (200, &json!(state)), "{what}");
        assert_eq!(reply.json(), app.get(&format!("/api/v1/jobs/{id}")).await.json(), "as it is now");
    }
    change(&app, id, "cancel").await;
    let problem = change(&app, id, "discard").await.problem(409, "wrong-job-state");
    assert_eq!(problem["detail"], format!("job {id} is cancelled and cannot be discarded"));
}

#[tokio::test]
async fn a_running_job_is_told_to_stop() {
    let app = TestApp::start().await;
    // The handlers clean up until they are let go, so that there is something to see.
    let cleaned_up = Arc::new(Notify::new());
    let until_cleaned_up = cleaned_up.clone();
    let worker = TestWorker::start(&app, move |lease| {
        let cleaned_up = until_cleaned_up.clone();
        async move {
            lease.stop_requested().await;
            cleaned_up.notified().await;
            Err(JobError::retry("stopped").into())
        }
    })
    .await;
    let [first, second] = enqueue(&app, vec![new_job(); 2]).await[..] else { panic!() };
    for (id, what, state) in [(first, "cancel", "cancelled"), (second, "discard", "discarded")] {
        let running = until_job(&app, id, "running").await;
        assert_eq!((&running["worker"], &running["end_as"]), (&json!("tester"), &Value::Null));
        change(&app, id, "retry").await.problem(409, "wrong-job-state");
        let reply = change(&app, id, what).await;
        assert_eq!((reply.status.as_u16(), reply.json()["end_as"].as_str()), (202, Some(state)));
        cleaned_up.notify_one();
        let ended = until_job(&app, id, state).await;
        assert!(ended["finished_at"].is_string(), "{ended}");
    }
    worker.stop().await;
}

#[tokio::test]
async fn a_completed_job_stays_completed() {
    let app = TestApp::start().await;
    let worker = TestWorker::start(&app, |_| async { Ok(()) }).await;
    let id = enqueue(&app, vec![new_job()]).await[0];
    until_job(&app, id, "completed").await;
    worker.stop().await;
    for what in ["cancel", "retry", "discard"] {
        let problem = change(&app, id, what).await.problem(409, "wrong-job-state");
        assert!(problem["detail"].as_str().unwrap().contains("completed"), "{problem}");
    }
    let why = app.get(&format!("/api/v1/jobs/{id}/why")).await.json();
    assert_eq!(why["obstacles"][0]["reason"], "ended");
}

#[tokio::test]
async fn every_failed_attempt_is_told() {
    let app = TestApp::start().await;
    let worker = TestWorker::start(&app, |_| async {
        Err(JobError::RetryAfter(
            Coded::new("disk_full", "no space left").into(),
            std::time::Duration::from_secs(3600),
        )
        .into())
    })
    .await;
    let id = enqueue(&app, vec![new_job()]).await[0];
    let job = until_job(&app, id, "retryable").await;
    worker.stop().await;
    assert_eq!((&job["last_error"], &job["last_error_code"]), (&json!("no space left"), &json!("disk_full")));
    let mut error = job["errors"][0].clone();
    assert!(error.as_object_mut().unwrap().remove("at").unwrap().is_string());
    assert_eq!(error, json!({"attempt": 1, "code": "disk_full", "error": "no space left"}));
    assert_eq!(ids(&list(&app, "error_code=disk_full").await), [id]);
    let why = app.get(&format!("/api/v1/jobs/{id}/why")).await.json();
    assert_eq!(
        (&why["obstacles"][0]["reason"], &why["obstacles"][0]["until"]),
        (&json!("waiting"), &job["run_at"])
    );
    assert_eq!(change(&app, id, "retry").await.json()["state"], "available");
    let why = format!("/api/v1/jobs/{id}/why");
    until(&app, &why, |why| why["obstacles"][0]["reason"] == "no_worker").await;
}

#[tokio::test]
async fn a_job_does_not_come_back_beside_its_double() {
    let app = TestApp::start().await;
    let first = enqueue(&app, vec![new_job().idempotency_key("k")]).await[0];
    change(&app, first, "cancel").await;
    let second = enqueue(&app, vec![new_job().idempotency_key("k")]).await[0];
    assert_ne!(first, second);
    change(&app, first, "retry").await.problem(409, "unique-key-taken");
    let reply = app.post("/api/v1/jobs/retry", r#"{"state": ["cancelled"]}"#).await;
    assert_eq!(reply.json(), json!({"changed": 0, "conflicts": 1, "next_cursor": null}));
}
