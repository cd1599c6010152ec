use serde_json::json;

use crate::{
    app::TestApp,
    work::{TestWorker, until},
};

#[tokio::test]
async fn the_services_of_the_leader_are_listed() {
    let app = TestApp::start().await;
    assert_eq!(app.get("/api/v1/maintenance").await.json(), json!({"results": []}));
    let worker = TestWorker::start(&app, |_| async { Ok(()) }).await;
    let all = ["groups", "indexes", "rescue", "retention", "schedules", "statistics", "vacuum"];
    let list =
        until(&app, "/api/v1/maintenance", |list| list["results"].as_array().unwrap().len() == all.len())
            .await;
    let leader = until(&app, "/api/v1/workers", |list| list["leader"].is_object()).await["leader"].clone();
    for (service, name) in list["results"].as_array().unwrap().iter().zip(all) {
        assert_eq!(service["service"], name, "{list}");
        assert_eq!((&service["worker_id"], &service["last_error"]), (&leader["worker_id"], &json!(null)));
        assert!(service["runs"].as_u64().unwrap() > 0 && service["failures"] == 0, "{service}");
        for cost in ["age_seconds", "last_duration_seconds", "total_duration_seconds"] {
            assert!(service[cost].as_f64().unwrap() >= 0.0, "{service}");
        }
    }
    worker.stop().await;
}
