use serde_json::{Value, json};

use crate::{
    app::TestApp,
    work::{KIND, TestWorker, enqueue, new_job, until, until_job},
};

#[tokio::test]
async fn workers_tell_what_they_do() {
    let app = TestApp::start().await;
    assert_eq!(app.get("/api/v1/workers").await.json(), json!({"results": [], "leader": null}));
    let worker = TestWorker::start(&app, |lease| async move {
        lease.stop_requested().await;
        Ok(())
    })
    .await;
    let id = enqueue(&app, vec![new_job()]).await[0];
    until_job(&app, id, "running").await;
    let list = app.get("/api/v1/workers").await.json();
    let listed = &list["results"][0];
    assert_eq!((&listed["name"], &listed["stopped_at"]), (&json!("tester"), &Value::Null), "{list}");
    let queue = json!({"queue": KIND, "slots": 2, "running": 1, "mean_run_seconds": null});
    assert_eq!(listed["queues"], json!([queue]));

    let list = until(&app, "/api/v1/workers", |list| list["leader"].is_object()).await;
    let leader = &list["leader"];
    assert_eq!((&leader["worker_id"], &leader["name"]), (&list["results"][0]["id"], &json!("tester")));
    assert!(leader["term"].is_u64() && leader["elected_at"].is_string(), "{leader}");

    app.post(&format!("/api/v1/jobs/{id}/cancel"), "").await;
    worker.stop().await;
    until(&app, "/api/v1/workers", |list| list["results"][0]["stopped_at"].is_string()).await;
    until(&app, "/api/v1/workers", |list| list["leader"].is_null()).await;
}
