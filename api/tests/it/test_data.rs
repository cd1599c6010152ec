use mock_ats::{Ats, Settings};
use serde_json::json;

use crate::app::TestApp;

#[tokio::test]
async fn pages_lead_to_each_other_on_this_host() {
    let app = TestApp::start().await;
    for face in ["test-data", "json-resumes"] {
        let mut ids = Vec::new();
        let mut path = format!("/api/v1/{face}?count=25&per_page=10&seed=3");
        loop {
            let page = app.get(&path).await.json();
            ids.extend(page["results"].as_array().unwrap().iter().map(|item| item["id"].to_string()));
            let Some(next) = page["next"].as_str() else { break };
            path = next.strip_prefix(&app.base_url).expect("next is absolute").to_owned();
        }
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 25, "{face}");
    }
}

#[tokio::test]
async fn the_parameters_may_be_written_as_python_does() {
    let app = TestApp::start().await;
    let reply = app.get("/api/v1/test-data/?count=10&per_page=10&page=1&errors=True").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json()["results"].as_array().unwrap().len(), 10);
}

#[tokio::test]
async fn bad_parameters_are_named() {
    let app = TestApp::start().await;
    for (parameter, value) in [
        ("count", "0"),
        ("per_page", "1001"),
        ("page", "0"),
        ("page", "one"),
        ("errors", "perhaps"),
        ("seed", "-1"),
    ] {
        let reply = app.get(&format!("/api/v1/test-data?{parameter}={value}")).await;
        let problem = reply.json();
        assert_eq!((reply.status.as_u16(), &problem["errors"][0]["field"]), (400, &json!(parameter)));
        assert_eq!(problem["type"], "urn:resume-service:problem:invalid-request");
    }
}

#[tokio::test]
async fn too_many_calls_are_refused() {
    let ats = Ats::new(Settings { calls_per_second: 1, ..Settings::without_latency() });
    let app = TestApp::start_with(Some(ats)).await;
    assert_eq!(app.get("/api/v1/test-data").await.status, 200);
    let refused = app.get("/api/v1/json-resumes").await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, Some("1")));
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
}

#[tokio::test]
async fn elsewhere_it_is_not_served() {
    let app = TestApp::start_with(None).await;
    for face in ["test-data", "json-resumes"] {
        let problem = app.get(&format!("/api/v1/{face}?count=0")).await.problem(404, "not-found");
        assert!(problem["detail"].as_str().unwrap().contains("not served here"), "{problem}");
    }
}
