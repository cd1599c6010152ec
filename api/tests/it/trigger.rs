use reqwest::Method;
use serde_json::json;

use crate::app::TestApp;

const TRIGGER: &str = "/api/v1/data-collection/trigger";

#[tokio::test]
async fn the_default_request_is_that_of_the_original() {
    let app = TestApp::start().await;
    let reply = app.trigger("{}").await;
    assert_eq!(reply.status, 202);
    let body = reply.json();
    assert_eq!(
        body["message"],
        "Data collection started: count 100, per_page 10, batch_size 10, error_mode: False"
    );
    let id = body["data_request_id"].as_str().unwrap();
    assert_eq!(body["status_url"], format!("/api/v1/data-collection/status/{id}"));
    assert_eq!(reply.header("location"), body["status_url"].as_str());
    assert_eq!(body.as_object().unwrap().len(), 3);
    assert_eq!(app.enqueued().await, (10, 1));
}

#[tokio::test]
async fn an_empty_body_is_the_default_request() {
    let app = TestApp::start().await;
    let bare = app.request(Method::POST, TRIGGER);
    assert_eq!(app.send(bare).await.status, 202);
    // What `curl -d ''` sends.
    let form = app.request(Method::POST, TRIGGER).header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(app.send(form.body("")).await.status, 202);
    assert_eq!(app.enqueued().await.1, 2);
}

#[tokio::test]
async fn every_parameter_is_honoured() {
    let app = TestApp::start().await;
    let parameters = json!({"count": 55, "per_page": 20, "batch_size": 5, "error_mode": true, "seed": 7});
    let mut body = parameters.clone();
    body["source"] = json!("json-resumes");
    let reply = app.trigger(&body.to_string()).await;
    assert_eq!(
        reply.json()["message"],
        "Data collection started: count 55, per_page 20, batch_size 5, error_mode: True"
    );
    let status = app.get(reply.json()["status_url"].as_str().unwrap()).await.json();
    assert_eq!(status["parameters"], parameters);
    assert_eq!((&status["source"], &status["pages"]["expected"]), (&json!("json-resumes"), &json!(3)));
}

#[tokio::test]
async fn the_limits_themselves_are_in_range() {
    let app = TestApp::start().await;
    for body in [
        r#"{"count": 1, "per_page": 1, "batch_size": 1, "seed": 0}"#,
        r#"{"count": 1000000, "per_page": 1000, "batch_size": 1000, "seed": 2147483647}"#,
    ] {
        assert_eq!(app.trigger(body).await.status, 202, "{body}");
    }
}

#[tokio::test]
async fn bad_fields_are_named_and_nothing_is_enqueued() {
    let app = TestApp::start().await;
    for (body, fields) in [
        (r#"{"count": 0}"#, &["count"][..]),
        (r#"{"count": -1}"#, &["count"]),
        (r#"{"count": "ten"}"#, &["count"]),
        (r#"{"count": "10"}"#, &["count"]),
        (r#"{"count": 10.5}"#, &["count"]),
        (r#"{"count": 1e30}"#, &["count"]),
        (r#"{"count": null}"#, &["count"]),
        (r#"{"count": true}"#, &["count"]),
        (r#"{"count": [1]}"#, &["count"]),
        (r#"{"count": 18446744073709551616}"#, &["count"]),
        (r#"{"per_page": 0}"#, &["per_page"]),
        (r#"{"per_page": 1001}"#, &["per_page"]),
        (r#"{"batch_size": 0}"#, &["batch_size"]),
        (r#"{"batch_size": 1001}"#, &["batch_size"]),
        (r#"{"error_mode": "yes"}"#, &["error_mode"]),
        (r#"{"error_mode": 1}"#, &["error_mode"]),
        (r#"{"seed": -1}"#, &["seed"]),
        (r#"{"seed": 2147483648}"#, &["seed"]),
        (r#"{"source": 1}"#, &["source"]),
        (r#"{"source": ""}"#, &["source"]),
        (r#"{"source": "test\u0000data"}"#, &["source"]),
        (r#"{"source": "nowhere"}"#, &["source"]),
        (r#"{"perpage": 20}"#, &["perpage"]),
        (r#"{"count": 0, "per_page": 0, "extra": 1}"#, &["count", "per_page", "extra"]),
    ] {
        app.trigger(body).await.names(fields);
    }
    assert_eq!(app.enqueued().await, (0, 0));
}

#[tokio::test]
async fn an_unknown_source_lists_the_known_ones() {
    let app = TestApp::start().await;
    let problem = app.trigger(r#"{"source": "nowhere"}"#).await.problem(400, "invalid-request");
    let detail = problem["errors"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("json-resumes, test-data"), "{detail}");
}

/// Some clients write one.
#[tokio::test]
async fn a_body_may_begin_with_a_byte_order_mark() {
    let app = TestApp::start().await;
    for body in ["\u{feff}{\"count\": 10}", "\u{feff}"] {
        assert_eq!(app.trigger(body).await.status, 202, "{body:?}");
    }
    app.trigger("{\u{feff}}").await.problem(400, "malformed-body");
}

#[tokio::test]
async fn what_is_no_json_object_is_refused() {
    let app = TestApp::start().await;
    let deep = "[".repeat(100_000);
    for body in
        ["{", "nonsense", "[]", "[1]", "7", "\"x\"", "null", "{\"count\": 1}}", "{\"a\":\"\\ud800\"}", &deep]
    {
        app.trigger(body).await.problem(400, "malformed-body");
    }
    let latin = app.request(Method::POST, TRIGGER).header("content-type", "application/json");
    app.send(latin.body(&b"{\"source\": \"\xe9\"}"[..])).await.problem(400, "malformed-body");
    assert_eq!(app.enqueued().await, (0, 0));
}

#[tokio::test]
async fn another_content_type_is_refused() {
    let app = TestApp::start().await;
    let post = || app.request(Method::POST, TRIGGER).body("{}");
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/xml", "nonsense", ""]
    {
        app.send(post().header("content-type", content_type)).await.problem(415, "unsupported-media-type");
    }
    app.send(post()).await.problem(415, "unsupported-media-type");
    let zipped = post().header("content-type", "application/json").header("content-encoding", "gzip");
    app.send(zipped).await.problem(415, "unsupported-media-type");
    assert_eq!(app.enqueued().await, (0, 0));
    for content_type in ["application/json; charset=utf-8", "Application/JSON"] {
        assert_eq!(app.send(post().header("content-type", content_type)).await.status, 202, "{content_type}");
    }
}

#[tokio::test]
async fn a_body_over_a_mebibyte_is_refused() {
    let app = TestApp::start().await;
    let of_size = |size_bytes: usize| format!("{{}}{}", " ".repeat(size_bytes - 2));
    app.trigger(&of_size(1024 * 1024 + 1)).await.problem(413, "body-too-large");
    app.trigger(&of_size(8 * 1024 * 1024)).await.problem(413, "body-too-large");
    assert_eq!(app.enqueued().await, (0, 0));
    assert_eq!(app.trigger(&of_size(1024 * 1024)).await.status, 202);
}

#[tokio::test]
async fn a_body_of_unknown_length_is_counted() {
    let app = TestApp::start().await;
    let chunks = |number: usize| {
        let chunks = (0..number).map(|_| Ok::<_, std::io::Error>(vec![b' '; 64 * 1024]));
        reqwest::Body::wrap_stream(futures_util::stream::iter(chunks))
    };
    let post = || app.request(Method::POST, TRIGGER).header("content-type", "application/json");
    app.send(post().body(chunks(17))).await.problem(413, "body-too-large");
    // White space is no JSON object.
    app.send(post().body(chunks(16))).await.problem(400, "malformed-body");
    assert_eq!(app.enqueued().await, (0, 0));
}

#[tokio::test]
async fn the_same_key_starts_one_collection() {
    let app = TestApp::start().await;
    let send = |key: &'static str, body: &'static str| {
        let request = app.request(Method::POST, TRIGGER).header("content-type", "application/json");
        app.send(request.header("Idempotency-Key", key).body(body))
    };
    let first = send("key-1", r#"{"count": 20}"#).await;
    let second = send("key-1", r#"{"count": 20, "batch_size": 10}"#).await;
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (202, 202));
    assert_eq!(first.json(), second.json());
    send("key-1", r#"{"count": 30}"#).await.problem(422, "idempotency-key-reused");
    assert_eq!(app.enqueued().await, (2, 1));
    let other = send("key-2", r#"{"count": 20}"#).await;
    assert_ne!(first.json()["data_request_id"], other.json()["data_request_id"]);
}

#[tokio::test]
async fn the_same_key_at_the_same_time_starts_one_collection() {
    let app = TestApp::start().await;
    let send = || {
        let request = app.request(Method::POST, TRIGGER).header("Idempotency-Key", "k");
        app.send(request)
    };
    let replies = futures_util::future::join_all((0..8).map(|_| send())).await;
    let mut ids: Vec<String> =
        replies.iter().map(|reply| reply.json()["data_request_id"].to_string()).collect();
    ids.dedup();
    assert_eq!(ids.len(), 1);
    assert_eq!(app.enqueued().await, (10, 1));
}

#[tokio::test]
async fn a_bad_key_is_refused() {
    let app = TestApp::start().await;
    let post = || app.request(Method::POST, TRIGGER);
    let long = "k".repeat(256);
    for key in [&b""[..], b"two words", b"caf\xe9", b"caf\xc3\xa9", long.as_bytes()] {
        app.send(post().header("Idempotency-Key", key)).await.names(&["Idempotency-Key"]);
    }
    let twice = post().header("Idempotency-Key", "a").header("Idempotency-Key", "b");
    app.send(twice).await.names(&["Idempotency-Key"]);
    assert_eq!(app.enqueued().await, (0, 0));
    let longest = "k".repeat(255);
    assert_eq!(app.send(post().header("Idempotency-Key", longest)).await.status, 202);
}

#[tokio::test]
async fn without_the_test_data_a_source_must_be_named() {
    let app = TestApp::start().await;
    assert_eq!(app.delete("/api/v1/sources/test-data").await.status, 200);
    for body in ["{}", r#"{"count": 10}"#] {
        let reply = app.trigger(body).await;
        reply.names(&["source"]);
        assert!(reply.text.contains("there are: json-resumes"), "{}", reply.text);
    }
    let nightly = r#"{"cron": "@daily", "kind": "start_collection"}"#;
    app.put("/api/v1/schedules/nightly", nightly).await.names(&["args.source"]);
    assert_eq!(app.trigger(r#"{"source": "json-resumes"}"#).await.status, 202);
    app.delete("/api/v1/sources/json-resumes").await;
    let reply = app.trigger("{}").await;
    reply.names(&["source"]);
    assert!(reply.text.contains("there are none yet"), "{}", reply.text);
    assert_eq!(app.enqueued().await.1, 1);
}
