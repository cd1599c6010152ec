use reqwest::Method;

use crate::app::TestApp;

#[tokio::test]
async fn an_unknown_path_is_a_problem() {
    let app = TestApp::start().await;
    for path in
        ["/nowhere", "/api", "/api/v1", "/api/v1/resume", "/api/v1/resumes/1/raw/x", "/docs/x", "/%00"]
    {
        let reply = app.get(path).await;
        reply.problem(404, "not-found");
    }
}

#[tokio::test]
async fn another_method_is_told_which_ones_there_are() {
    let app = TestApp::start().await;
    for (method, path, allow) in [
        (Method::GET, "/api/v1/data-collection/trigger", "POST"),
        (Method::HEAD, "/api/v1/data-collection/trigger", "POST"),
        (Method::PUT, "/api/v1/data-collection/trigger/", "POST"),
        (Method::POST, "/api/v1/data-collection", "GET, HEAD"),
        (Method::DELETE, "/api/v1/resumes/search", "GET, HEAD"),
        (Method::PATCH, "/api/v1/resumes/1", "DELETE, GET, HEAD"),
        (Method::POST, "/api/v1/jobs", "GET, HEAD"),
        (Method::GET, "/api/v1/jobs/cancel", "POST"),
        (Method::DELETE, "/api/v1/jobs/7", "GET, HEAD"),
        (Method::GET, "/api/v1/jobs/7/cancel", "POST"),
        (Method::POST, "/api/v1/queues/make_call/limits/", "PUT"),
        (Method::POST, "/api/v1/schedules", "GET, HEAD"),
        (Method::POST, "/api/v1/schedules/nightly", "DELETE, GET, PUT, HEAD"),
        (Method::PUT, "/api/v1/schedules/nightly/run", "POST"),
        (Method::POST, "/healthz", "GET, HEAD"),
        (Method::POST, "/docs", "GET, HEAD"),
        (Method::OPTIONS, "/openapi.json", "GET, HEAD"),
    ] {
        let reply = app.send(app.request(method.clone(), path)).await;
        assert_eq!((reply.status.as_u16(), reply.header("allow")), (405, Some(allow)), "{method} {path}");
        if method != Method::HEAD {
            reply.problem(405, "method-not-allowed");
        }
    }
}

#[tokio::test]
async fn head_gives_the_head_of_get() {
    let app = TestApp::start().await;
    for path in [
        "/healthz",
        "/api/v1/data-collection",
        "/api/v1/resumes/search?skills=SQL",
        "/docs",
        "/api/v1/test-data",
    ] {
        let get = app.get(path).await;
        let head = app.send(app.request(Method::HEAD, path)).await;
        assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""), "{path}");
        for header in ["content-type", "content-length"] {
            assert_eq!(head.header(header), get.header(header), "{path} {header}");
        }
    }
}

#[tokio::test]
async fn every_path_works_with_a_trailing_slash() {
    let app = TestApp::start().await;
    let id = app.collection("{}").await;
    app.store(&[serde_json::json!({"id": "1", "skills": ["SQL"]})]).await;
    let resume = app.get("/api/v1/resumes/search/?skills=SQL").await.json()["results"][0]["id"].clone();
    let job = app.get("/api/v1/jobs/").await.json()["results"][0]["id"].clone();
    let nightly = r#"{"cron": "0 2 * * *", "kind": "start_collection"}"#;
    assert_eq!(app.put("/api/v1/schedules/nightly/", nightly).await.status, 200);
    for path in [
        "/healthz".to_owned(),
        "/readyz".to_owned(),
        "/docs".to_owned(),
        "/openapi.json".to_owned(),
        "/openapi.yaml".to_owned(),
        "/api/v1/data-collection".to_owned(),
        format!("/api/v1/data-collection/status/{id}"),
        format!("/api/v1/resumes/{resume}"),
        format!("/api/v1/resumes/{resume}/raw"),
        format!("/api/v1/resumes/{resume}/attachments"),
        "/api/v1/jobs".to_owned(),
        format!("/api/v1/jobs/{job}"),
        format!("/api/v1/jobs/{job}/why"),
        "/api/v1/queues".to_owned(),
        "/api/v1/queues/make_call".to_owned(),
        "/api/v1/queues/make_call/demand".to_owned(),
        "/api/v1/workers".to_owned(),
        "/api/v1/maintenance".to_owned(),
        "/api/v1/schedules".to_owned(),
        "/api/v1/schedules/nightly".to_owned(),
        "/api/v1/test-data".to_owned(),
        "/api/v1/json-resumes".to_owned(),
    ] {
        for path in [&path, &format!("{path}/")] {
            assert_eq!(app.get(path).await.status, 200, "{path}");
        }
    }
    assert_eq!(app.post("/api/v1/data-collection/trigger/", "{}").await.status, 202);
    app.post(&format!("/api/v1/data-collection/continue/{id}/"), "").await.problem(409, "nothing-failed");
    for change in ["cancel", "retry", "discard"] {
        assert_eq!(app.post(&format!("/api/v1/jobs/{job}/{change}/"), "").await.status, 200, "{change}");
        let body = r#"{"all": true, "dry_run": true}"#;
        assert_eq!(app.post(&format!("/api/v1/jobs/{change}/"), body).await.status, 200, "{change}");
    }
    for change in ["pause", "unpause"] {
        let path = format!("/api/v1/queues/make_call/{change}/");
        assert_eq!(app.post(&path, "").await.status, 200, "{change}");
    }
    for (change, status) in [("disable", 200), ("enable", 200), ("run", 202)] {
        let path = format!("/api/v1/schedules/nightly/{change}/");
        assert_eq!(app.post(&path, "").await.status, status, "{change}");
    }
    assert_eq!(app.delete("/api/v1/schedules/nightly/").await.status, 200);
}

#[tokio::test]
async fn one_whole_problem() {
    let app = TestApp::start().await;
    let reply = app.trigger(r#"{"count": 0, "perpage": 5}"#).await;
    insta::assert_json_snapshot!(reply.json(), { ".instance" => "[request]" });
}
