//! Changes of many jobs.

use resume_queue::JobId;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    app::TestApp,
    work::{COLLECTION, KIND, enqueue, new_job},
};

const CHANGES: [&str; 3] = ["cancel", "retry", "discard"];

async fn change(app: &TestApp, change: &str, body: Value) -> Value {
    let reply = app.post(&format!("/api/v1/jobs/{change}"), &body.to_string()).await;
    assert_eq!(reply.status, 200, "{change} {body}: {}", reply.text);
    reply.json()
}

/// Request after request: a busy machine may need more than the time of one. Gives how many jobs were
/// changed.
async fn change_all(app: &TestApp, what: &str, mut body: Value) -> u64 {
    let mut changed = 0;
    loop {
        let reply = change(app, what, body.clone()).await;
        changed += reply["changed"].as_u64().unwrap();
        if reply["next_cursor"].is_null() {
            return changed;
        }
        body["cursor"] = reply["next_cursor"].clone();
    }
}

async fn state(app: &TestApp, id: JobId) -> String {
    app.get(&format!("/api/v1/jobs/{id}")).await.json()["state"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_preview_changes_nothing_and_the_change_does_it_all() {
    let app = TestApp::start().await;
    // More than one batch of the queue.
    let ids = enqueue(&app, vec![new_job(); 6_000]).await;
    let (first, last) = (ids[0], ids[5_999]);
    let by_queue = |dry_run: bool| json!({"queue": KIND, "dry_run": dry_run});
    for what in ["cancel", "discard"] {
        let preview = change(&app, what, by_queue(true)).await;
        assert_eq!(preview, json!({"matched": {"value": 6_000, "exact": true}}));
    }
    assert_eq!(state(&app, first).await, "available");
    let preview = change(&app, "retry", by_queue(true)).await;
    assert_eq!(preview, json!({"matched": {"value": 0, "exact": true}}), "they wait for nothing");

    let done = |changed: u32| json!({"changed": changed, "conflicts": 0, "next_cursor": null});
    assert_eq!(change_all(&app, "cancel", by_queue(false)).await, 6_000);
    assert_eq!((state(&app, first).await, state(&app, last).await), ("cancelled".into(), "cancelled".into()));
    assert_eq!(change(&app, "cancel", by_queue(false)).await, done(0), "a repetition does no harm");
    assert_eq!(change_all(&app, "retry", by_queue(false)).await, 6_000);
    assert_eq!(state(&app, last).await, "available");
    assert_eq!(change_all(&app, "discard", by_queue(false)).await, 6_000);
    assert_eq!(state(&app, last).await, "discarded");
}

/// The follow-ups are what ends the collections of the cancelled jobs.
#[tokio::test]
async fn all_are_those_that_there_are_when_the_change_begins() {
    let app = TestApp::start().await;
    enqueue(&app, vec![new_job(); 6_000]).await;
    assert_eq!(change_all(&app, "cancel", json!({"all": true})).await, 6_000);
    let follow_ups = change(&app, "cancel", json!({"kind": "settle_discarded", "dry_run": true})).await;
    assert_eq!(follow_ups["matched"]["value"], 6_000);
}

#[tokio::test]
async fn all_means_all() {
    let app = TestApp::start().await;
    app.collection(r#"{"count": 20}"#).await;
    enqueue(&app, vec![new_job()]).await;
    let preview = change(&app, "cancel", json!({"all": true, "dry_run": true})).await;
    assert_eq!(preview["matched"]["value"], 3);
    assert_eq!(change(&app, "cancel", json!({"all": true})).await["changed"], 3);
}

#[tokio::test]
async fn every_member_chooses() {
    let app = TestApp::start().await;
    app.collection(r#"{"count": 20}"#).await;
    enqueue(&app, vec![new_job()]).await;
    for (body, matched) in [
        (json!({"queue": KIND}), 1),
        (json!({"kind": "make_call"}), 2),
        (json!({"kind": "make_call", "queue": KIND}), 0),
        (json!({"state": ["available", "running"]}), 3),
        (json!({"state": ["scheduled"]}), 0),
        (json!({"error_code": "panic"}), 0),
        (json!({"older_than": "0s"}), 3),
        (json!({"older_than": 0}), 3),
        (json!({"older_than": "10m"}), 0),
        (json!({"collection_id": COLLECTION}), 1),
        (json!({"group_id": 1}), 2),
        (json!({"group_id": 2}), 0),
    ] {
        let mut dry = body.clone();
        dry["dry_run"] = json!(true);
        let preview = change(&app, "discard", dry).await;
        assert_eq!(preview["matched"], json!({"value": matched, "exact": true}), "{body}");
    }
}

/// A cursor as a reply would have it, had there been too much to do for one request.
fn cursor_between(after: JobId, last: JobId) -> String {
    let mut bytes = vec![5];
    bytes.extend([after.to_be_bytes(), last.to_be_bytes()].concat());
    let sum = Sha256::digest(&bytes);
    bytes.extend(&sum[..4]);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_cursor_goes_on_behind_what_was_done_and_ends_where_the_change_began() {
    let app = TestApp::start().await;
    let ids = enqueue(&app, vec![new_job(); 4]).await;
    let body = json!({"queue": KIND, "cursor": cursor_between(ids[0], ids[2])});
    assert_eq!(
        change(&app, "cancel", body).await,
        json!({"changed": 2, "conflicts": 0, "next_cursor": null})
    );
    for id in [ids[0], ids[3]] {
        assert_eq!(state(&app, id).await, "available");
    }
}

#[tokio::test]
async fn nothing_is_changed_without_a_choice() {
    let app = TestApp::start().await;
    let id = enqueue(&app, vec![new_job()]).await[0];
    for what in CHANGES {
        let path = format!("/api/v1/jobs/{what}");
        for body in
            ["", "{}", r#"{"all": false}"#, r#"{"dry_run": true}"#, r#"{"dry_run": false, "all": false}"#]
        {
            app.post(&path, body).await.names(&["all"]);
        }
        app.post(&path, r#"{"all": true, "queue": "x"}"#).await.names(&["all"]);
    }
    assert_eq!(state(&app, id).await, "available");
}

#[tokio::test]
async fn bad_bodies_are_refused() {
    let app = TestApp::start().await;
    let id = enqueue(&app, vec![new_job()]).await[0];
    let long = "x".repeat(129);
    let name = || vec![json!(""), json!("a\0b"), json!(long), json!(7), json!(null), json!(["x"])];
    for (field, values) in [
        ("queue", name()),
        ("kind", name()),
        ("error_code", name()),
        ("state", vec![json!([]), json!("running"), json!(["x"]), json!([1]), json!(null), json!(["a\0"])]),
        (
            "older_than",
            vec![
                json!(""),
                json!("soon"),
                json!(-1),
                json!(1.5),
                json!("367days"),
                json!(null),
                json!(u64::MAX),
            ],
        ),
        ("collection_id", vec![json!("x"), json!(7), json!("\0")]),
        ("group_id", vec![json!("x"), json!(1.5), json!(u64::MAX), json!(null)]),
    ] {
        for value in values {
            let body = json!({ field: value }).to_string();
            for what in CHANGES {
                app.post(&format!("/api/v1/jobs/{what}"), &body).await.names(&[field]);
            }
        }
    }
    for (body, fields) in [
        (r#"{"all": "yes"}"#, &["all", "all"][..]),
        (r#"{"queue": "x", "all": 1}"#, &["all"]),
        (r#"{"queue": "x", "dry_run": "no"}"#, &["dry_run"]),
        (r#"{"queue": "x", "cursor": ""}"#, &["cursor"]),
        (r#"{"queue": "x", "cursor": "42"}"#, &["cursor"]),
        (r#"{"queue": "x", "cursor": "\u0000"}"#, &["cursor"]),
        (r#"{"queue": "x", "cursor": 42}"#, &["cursor"]),
        (r#"{"queue": "x", "quue": "y"}"#, &["quue"]),
        (r#"{"queue": "", "kind": 1}"#, &["queue", "kind"]),
    ] {
        app.post("/api/v1/jobs/cancel", body).await.names(fields);
    }
    app.post("/api/v1/jobs/cancel", "[]").await.problem(400, "malformed-body");
    assert_eq!(state(&app, id).await, "available");
}

#[tokio::test]
async fn a_state_that_cannot_be_changed_is_refused() {
    let app = TestApp::start().await;
    for (what, state) in [
        ("cancel", "completed"),
        ("cancel", "cancelled"),
        ("discard", "discarded"),
        ("retry", "running"),
        ("retry", "available"),
        ("retry", "completed"),
    ] {
        let body = json!({"state": ["retryable", state]}).to_string();
        let reply = app.post(&format!("/api/v1/jobs/{what}"), &body).await;
        reply.names(&["state"]);
        let detail = reply.json()["errors"][0]["detail"].as_str().unwrap().to_owned();
        assert!(detail.starts_with(&format!("a {state} job cannot be ")), "{detail}");
    }
}

#[tokio::test]
async fn the_cursor_of_the_list_is_refused() {
    let app = TestApp::start().await;
    enqueue(&app, vec![new_job(); 2]).await;
    let page = app.get("/api/v1/jobs?limit=1").await.json();
    let body = json!({"all": true, "cursor": page["next_cursor"]}).to_string();
    app.post("/api/v1/jobs/cancel", &body).await.names(&["cursor"]);
}
