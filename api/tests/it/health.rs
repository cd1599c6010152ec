use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use resume_api::AppState;
use resume_postgres::RestartMode;

use crate::app::{TestApp, client};

#[tokio::test]
async fn all_is_well() {
    let app = TestApp::start().await;
    for path in ["/healthz", "/readyz", "/healthz/", "/readyz/"] {
        let reply = app.get(path).await;
        assert_eq!((reply.status.as_u16(), reply.text.as_str()), (200, r#"{"status":"ok"}"#), "{path}");
    }
}

#[tokio::test]
async fn without_a_database_every_use_of_it_says_so_in_seconds() {
    let app = TestApp::without_database().await;
    assert_eq!(app.get("/healthz").await.status, 200);
    let start = Instant::now();
    let ready = app.get("/readyz").await;
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    ready.problem(503, "database-unavailable");
    let id = uuid::Uuid::now_v7();
    let status = format!("/api/v1/data-collection/status/{id}");
    let resume = format!("/api/v1/data-collection/continue/{id}");
    let start = Instant::now();
    let replies = tokio::join!(
        app.trigger("{}"),
        app.get(&status),
        app.get("/api/v1/data-collection"),
        app.post(&resume, ""),
        app.get("/api/v1/resumes/search?skills=SQL"),
        app.get("/api/v1/resumes/1"),
        app.get("/api/v1/resumes/1/raw"),
    );
    assert!(start.elapsed() < Duration::from_secs(7), "{:?}", start.elapsed());
    let (a, b, c, d, e, f, g) = replies;
    for reply in [a, b, c, d, e, f, g] {
        let problem = reply.problem(503, "database-unavailable");
        assert_eq!(reply.header("retry-after"), Some("2"));
        assert!(!reply.text.contains("nonexistent"), "{problem}");
    }
}

#[tokio::test]
async fn a_request_in_progress_is_answered_before_the_end() {
    let latency = Duration::from_millis(300);
    let ats = mock_ats::Ats::new(mock_ats::Settings { latency: latency..=latency, ..Default::default() });
    let pool = resume_core::db::pool("postgres://nobody@localhost/none", resume_core::db::Role::Api).unwrap();
    let app = resume_api::app(
        AppState { pool, erasure_key: None, dry_calls: None },
        Some(mock_ats::app(ats.clone())),
    );
    let bound = resume_api::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/api/v1/test-data", bound.address());
    let (shutdown, signal) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(bound.serve(app, async { drop(signal.await) }));
    let request = tokio::spawn(client().get(&url).send());
    while ats.stats().calls == 0 {
        tokio::task::yield_now().await;
    }
    drop(shutdown);
    assert_eq!(request.await.unwrap().unwrap().status(), 200);
    tokio::time::timeout(Duration::from_secs(5), server).await.unwrap().unwrap().unwrap();
    assert!(client().get(&url).send().await.is_err(), "the port is closed");
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_not_waited_for() {
    let app = TestApp::start().await;
    let mut blocker = app.pool().begin().await.unwrap();
    sqlx::raw_sql("lock table collections").execute(&mut *blocker).await.unwrap();
    let start = Instant::now();
    app.get("/api/v1/data-collection").await.problem(503, "database-unavailable");
    assert!(start.elapsed() < Duration::from_secs(7), "{:?}", start.elapsed());
    blocker.rollback().await.unwrap();
    assert_eq!(app.get("/api/v1/data-collection").await.status, 200);
}

#[tokio::test]
async fn a_database_that_crashed_is_used_again() {
    let app = TestApp::on_own_cluster().await;
    assert_eq!(app.get("/api/v1/data-collection").await.status, 200);
    let cluster = Arc::clone(app.cluster());
    tokio::task::spawn_blocking(move || cluster.restart(RestartMode::Immediate)).await.unwrap().unwrap();
    // The connections of before are broken; whoever meets one says 503 at worst.
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let reply = app.get("/api/v1/data-collection").await;
        if reply.status == 200 {
            break;
        }
        reply.problem(503, "database-unavailable");
        assert!(Instant::now() < deadline, "{}", reply.text);
    }
}
