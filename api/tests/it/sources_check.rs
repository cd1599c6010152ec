//! Checking a definition over HTTP, with and without a call.

use mock_ats::{Ats, Face, MockServer, Settings};
use resume_core::{
    call_limit,
    source::{self, definition::Definition},
};
use serde_json::{Value, json};

use sqlx::Row;

use crate::app::TestApp;

/// A definition that is not stored, of a mock that answers at once.
async fn mock() -> (MockServer, Value) {
    let mock = MockServer::start(Ats::new(Settings::without_latency())).await.unwrap();
    let definition = Definition::original("new", &mock.url(), Face::TestData.path(), 30);
    (mock, serde_json::to_value(definition).unwrap())
}

async fn check(app: &TestApp, definition: &Value, call: bool) -> Value {
    let path = format!("/api/v1/sources/{}/check?call={call}", definition["name"].as_str().unwrap());
    let reply = app.post(&path, &definition.to_string()).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()
}

#[tokio::test]
async fn without_a_call_a_definition_is_only_looked_at() {
    let app = TestApp::start().await;
    let (mock, definition) = mock().await;
    assert_eq!(check(&app, &definition, false).await, json!({"name": "new", "call": null}));
    let mut wrong = definition.clone();
    wrong["base_url"] = json!("ftp://nowhere");
    app.post("/api/v1/sources/new/check?call=true", &wrong.to_string()).await.names(&["/base_url"]);
    app.post("/api/v1/sources/other/check?call=true", &definition.to_string()).await.names(&["/name"]);
    app.post("/api/v1/sources/new/check?call=perhaps", &definition.to_string()).await.names(&["call"]);
    app.post("/api/v1/sources/new/check", "[]").await;
    assert_eq!(mock.ats().stats().calls, 0);
    app.get("/api/v1/sources/new").await.problem(404, "not-found");
}

#[tokio::test]
async fn a_call_shows_the_first_item_as_it_would_be_read() {
    let app = TestApp::start().await;
    let (mock, definition) = mock().await;
    let call = check(&app, &definition, true).await["call"].take();
    assert_eq!(
        (&call["status"], &call["code"], &call["items"]),
        (&json!(200), &Value::Null, &json!(1000)),
        "{call}"
    );
    assert_eq!(call["has_next"], true);
    assert!(call["first"]["resume"]["skills"].is_array(), "{call}");
    assert_eq!(call["first"]["code"], Value::Null);
    assert_eq!(mock.ats().stats().calls, 1);

    let mut elsewhere = definition.clone();
    elsewhere["list"]["path"] = json!("/nothing/here");
    let call = check(&app, &elsewhere, true).await["call"].take();
    assert_eq!((&call["status"], &call["code"]), (&json!(404), &json!("source_http_404")), "{call}");
    let mut secret = definition;
    secret["auth"] = json!([{"bearer": "env:RESUME_SECRET_NOBODY_HAS"}]);
    let call = check(&app, &secret, true).await["call"].take();
    assert_eq!((&call["status"], &call["code"]), (&Value::Null, &json!("secret_missing")), "{call}");
}

#[tokio::test]
async fn a_source_that_is_there_is_called_within_its_limits() {
    let app = TestApp::start().await;
    let (_mock, mut definition) = mock().await;
    definition["limits"] = json!([{"calls": 4, "per": "1h", "burst": 4}]);
    let stored = serde_json::from_value::<Definition>(definition.clone()).unwrap();
    let mut conn = app.pool().acquire().await.unwrap();
    source::put(&mut conn, &stored).await.unwrap();
    // What is posted has no say in how often the system is called.
    let mut posted = definition.clone();
    posted["limits"] = json!([{"calls": 1000, "per": "1s"}]);
    posted["list"]["path"] = json!("/nothing/here");
    // On a busy machine a permit's time may be over before the call can leave, and it takes another one.
    let mut made = 0;
    while check(&app, &posted, true).await["call"]["code"] == "source_http_404" {
        made += 1;
    }
    assert!((1..=4).contains(&made), "{made}");
    assert_eq!(check(&app, &posted, true).await["call"]["code"], "call_limit_used");
    let state = call_limit::state(app.pool(), "new").await.unwrap().unwrap();
    assert_eq!((state.granted, state.under_way, state.failed), (4, 0, 0));

    call_limit::hold(&mut conn, "new").await.unwrap();
    let call = check(&app, &definition, true).await["call"].take();
    assert_eq!((&call["code"], &call["status"]), (&json!("source_held"), &Value::Null), "{call}");
}

/// A check is neither for nor against the circuit of the source: its definition may be another one.
#[tokio::test]
async fn a_check_leaves_the_circuit_as_it_is() {
    let app = TestApp::start().await;
    let (_mock, definition) = mock().await;
    let stored = serde_json::from_value::<Definition>(definition.clone()).unwrap();
    source::put(&mut app.pool().acquire().await.unwrap(), &stored).await.unwrap();
    let mut wrong = definition.clone();
    wrong["base_url"] = json!("http://127.0.0.1:9");
    for _ in 0..6 {
        assert_eq!(check(&app, &wrong, true).await["call"]["code"], "source_unreachable");
    }
    assert_eq!(check(&app, &definition, true).await["call"]["status"], 200, "nobody has closed it");
    // Half open, the check is the call that probes; the next one may be another.
    sqlx::raw_sql("update call_limits set open_until = now() - interval '1 s'")
        .execute(app.pool())
        .await
        .unwrap();
    for _ in 0..2 {
        assert_eq!(check(&app, &definition, true).await["call"]["status"], 200);
    }
    let open = sqlx::query_scalar!(
        r#"select count(*) as "count!" from call_limits where open_until is not null and probe_id is null"#
    );
    let open = open.fetch_one(app.pool()).await.unwrap();
    assert_eq!(open, 1);
}

#[tokio::test]
async fn a_process_calls_private_networks_only_if_it_was_started_so() {
    let app = TestApp::with_dry_calls(false).await;
    let (mock, mut definition) = mock().await;
    assert_eq!(check(&app, &definition, true).await["call"]["code"], "private_network_not_allowed");
    definition["allow_private_network"] = json!(false);
    assert_eq!(check(&app, &definition, true).await["call"]["code"], "address_not_allowed");
    assert_eq!(mock.ats().stats().calls, 0);
}

/// Else whoever may post a definition could have a file overwritten by an endpoint of their own, and a check
/// would use up the refresh token of the workers.
#[tokio::test]
async fn a_refresh_token_is_not_used() {
    let app = TestApp::start().await;
    let (mock, mut definition) = mock().await;
    // In the directory of the secrets.
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "r0\n").unwrap();
    let reference = format!("file:{}", secret.path().display());
    definition["auth"] = json!([{"refresh_token": {
        "token_url": format!("{}/token", mock.url()), "client_id": reference, "refresh_token": reference,
    }}]);
    let stored = serde_json::from_value::<Definition>(definition.clone()).unwrap();
    for is_stored in [false, true] {
        if is_stored {
            source::put(&mut app.pool().acquire().await.unwrap(), &stored).await.unwrap();
        }
        let call = check(&app, &definition, true).await["call"].take();
        assert_eq!((&call["code"], &call["calls"]), (&json!("refresh_token_not_used"), &json!(0)), "{call}");
        assert!(call["detail"].as_str().unwrap().contains("`resume-service sources check`"), "{call}");
    }
    assert_eq!(std::fs::read_to_string(secret.path()).unwrap(), "r0\n");
    let lock = format!("{}.lock", secret.path().display());
    assert!(!std::path::Path::new(&lock).exists(), "nobody has asked for it");
    assert_eq!(mock.ats().stats().calls, 0);
    let granted = call_limit::state(app.pool(), "new").await.unwrap().map_or(0, |state| state.granted);
    assert_eq!(granted, 0);
}

/// A permit's time is the database's, and the answer that gives it may have waited for the lock.
#[tokio::test]
async fn a_call_that_waited_for_the_lock_leaves_no_earlier() {
    let app = TestApp::start().await;
    let (_mock, mut definition) = mock().await;
    definition["limits"] = json!([{"calls": 1, "per": "1s"}]);
    let stored = serde_json::from_value::<Definition>(definition.clone()).unwrap();
    source::put(&mut app.pool().acquire().await.unwrap(), &stored).await.unwrap();
    // The next turn is a second away.
    assert_eq!(check(&app, &definition, true).await["call"]["status"], 200);
    let mut holder = app.pool().begin().await.unwrap();
    sqlx::raw_sql("select from call_limits for update").execute(&mut *holder).await.unwrap();
    let checking = check(&app, &definition, true);
    let holding = async {
        let waits = "select count(*) > 0 from pg_stat_activity
                     where datname = current_database() and wait_event_type = 'Lock'";
        while !sqlx::raw_sql(waits).fetch_one(app.pool()).await.unwrap().get::<bool, _>(0) {
            tokio::task::yield_now().await;
        }
        // The wait is what is tested.
        sqlx::raw_sql("select pg_sleep(0.4)").execute(&mut *holder).await.unwrap();
        holder.commit().await.unwrap();
    };
    let (checked, ()) = tokio::join!(checking, holding);
    assert_eq!(checked["call"]["status"], 200, "{checked}");
    let early = "select count(*) from call_ledger where code is distinct from 'permit_missed' and ended_at < departs_at";
    let early: i64 = sqlx::raw_sql(early).fetch_one(app.pool()).await.unwrap().get(0);
    assert_eq!(early, 0, "it had ended before its time");
}
