use std::time::Duration;

use reqwest::Method;
use resume_core::{
    db::PgConnection,
    document::{self, NewDocument},
    source,
};
use serde_json::{Value, json};
use sqlx::Row;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::app::{Reply, TestApp};

const IMPORT: &str = "/api/v1/data-collection/import";
const JSON: &str = "application/json";
const NDJSON: &str = "application/x-ndjson";
const CSV: &str = "text/csv";

/// The longest that anything here may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// An interface with the source of files `files`, whose ids are in the column `Key`.
async fn app() -> TestApp {
    let app = TestApp::start().await;
    let definition = json!({
        "name": "files", "files": {"id": "/Key"}, "format": "mapped", "map": {"name": "Name", "skills": "Skills"},
    });
    assert_eq!(app.put("/api/v1/sources/files", &definition.to_string()).await.status, 201);
    app
}

async fn import(app: &TestApp, source: &str, media_type: &str, file: impl Into<reqwest::Body>) -> Reply {
    let request = app.request(Method::POST, &format!("{IMPORT}?source={source}"));
    app.send(request.header("content-type", media_type).body(file)).await
}

/// Imports, and gives how far the collection is then.
async fn status(app: &TestApp, reply: Reply) -> Value {
    assert_eq!(reply.status, 202, "{}", reply.text);
    let url = reply.json()["status_url"].as_str().unwrap().to_owned();
    assert_eq!(reply.header("location"), Some(url.as_str()));
    app.get(&url).await.json()
}

/// The counts of documents of which none is parsed.
fn stored(stored: u32, unchanged: u32) -> Value {
    json!({"stored": stored, "unchanged": unchanged, "retried": 0, "parsed": 0, "failed": 0, "erased": 0})
}

/// The raw documents in the order of their ids, each its place, external id and body.
async fn documents(app: &TestApp) -> Vec<(i32, i32, Option<String>, String)> {
    let rows = sqlx::raw_sql(
        "select page, position, external_id, convert_from(body, 'UTF8') from documents order by id",
    );
    let rows = rows.fetch_all(app.pool()).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect()
}

/// Checks that nothing of a refused file was stored.
async fn nothing(app: &TestApp) {
    assert_eq!((app.enqueued().await, documents(app).await.len()), ((0, 0), 0));
}

#[tokio::test]
async fn every_container_becomes_a_collection_that_is_fetched() {
    let app = app().await;
    let csv = "Key;Name;Skills\n1;Ada;\"React, SQL\"\n2;Bob;\n";
    let reply = import(&app, "files", CSV, csv).await;
    assert_eq!(reply.json()["message"], "Import stored: 2 items for files");
    let status_of_csv = status(&app, reply).await;
    assert_eq!((&status_of_csv["state"], &status_of_csv["source"]), (&json!("running"), &json!("files")));
    assert_eq!(status_of_csv["pages"], json!({"expected": 1, "fetched": 1, "failed": 0, "left": 0}));
    assert_eq!(
        (&status_of_csv["calls"]["made"], &status_of_csv["calls"]["rate_limited"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(status_of_csv["documents"], stored(2, 0));

    status(&app, import(&app, "files", NDJSON, "{\"Key\": 3}\n\n{\"Key\":\"4\" }\n").await).await;
    status(&app, import(&app, "files", JSON, "[{\"Key\": 5}, {\"Name\": \"nobody\"}]").await).await;
    let stored = documents(&app).await;
    let expected = [
        (1, 1, Some("1"), r#"{"Key":"1","Name":"Ada","Skills":"React, SQL"}"#),
        (1, 2, Some("2"), r#"{"Key":"2","Name":"Bob"}"#),
        (1, 1, Some("3"), "{\"Key\": 3}"),
        (1, 2, Some("4"), "{\"Key\":\"4\" }"),
        (1, 1, Some("5"), "{\"Key\": 5}"),
        (1, 2, None, "{\"Name\": \"nobody\"}"),
    ];
    let stored: Vec<(i32, i32, Option<&str>, &str)> =
        stored.iter().map(|(page, at, id, body)| (*page, *at, id.as_deref(), body.as_str())).collect();
    assert_eq!(stored, expected);
    assert_eq!(app.enqueued().await, (3, 3), "a parsing job for each file, and no other");
}

#[tokio::test]
async fn items_with_one_id_in_a_file_are_told() {
    let app = app().await;
    let reply = import(&app, "files", CSV, "Key,Name\n1,Ada\n2,Bob\n1,Eve\n 1,Eva\n").await;
    assert_eq!((&reply.json()["items"], &reply.json()["duplicates"]), (&json!(4), &json!(2)));
    assert!(reply.text.contains("duplicate_id: 2 "), "{}", reply.text);
    let reply = import(&app, "files", CSV, "Key,Name\n7,Ada\n,Bob\n,Eve\n").await;
    assert_eq!(reply.json()["duplicates"], 0, "who has no id shares none");
}

#[tokio::test]
async fn a_saved_answer_of_an_api_is_its_items() {
    let app = app().await;
    let answer = r#"{"count": 2, "results": [{"id": "a", "skills": ["\ud83d"]}, {"id": "b", "skills": "SQL"}], "next": null}"#;
    let reply = import(&app, "test-data", JSON, answer).await;
    assert_eq!(reply.json()["items"], 2);
    let stored = documents(&app).await;
    assert_eq!(stored[0].3, r#"{"id": "a", "skills": ["\ud83d"]}"#);
    assert_eq!((stored[0].2.as_deref(), stored[1].2.as_deref()), (Some("a"), Some("b")));
    let reply = import(&app, "test-data", JSON, r#"{"data": [{"id": "a", "skills": []}]}"#).await;
    reply.problem(400, "invalid-request");
    assert!(
        reply.text.contains("one object without an id") && reply.text.contains("/data"),
        "{}",
        reply.text
    );
}

#[tokio::test]
async fn a_source_with_an_api_takes_files_too() {
    let app = app().await;
    let item = |id: u32| json!({"id": id, "skills": ["SQL"], "work_experiences": []}).to_string();
    let lines: String = (0..1_050).map(|id| item(id) + "\n").collect();
    let status = status(&app, import(&app, "test-data", NDJSON, lines).await).await;
    assert_eq!(status["pages"], json!({"expected": 3, "fetched": 3, "failed": 0, "left": 0}));
    assert_eq!(status["parameters"]["count"], 1_050);
    assert_eq!(app.enqueued().await, (11, 1));
    let stored = documents(&app).await;
    let ids: Vec<u32> = stored.iter().map(|(_, _, id, _)| id.as_ref().unwrap().parse().unwrap()).collect();
    assert_eq!(ids, (0..1_050).collect::<Vec<_>>(), "in their order");
}

#[tokio::test]
async fn what_is_known_is_not_parsed_again() {
    let app = app().await;
    let csv = "Key,Name\n1,Ada\n2,Bob\n";
    status(&app, import(&app, "files", CSV, csv).await).await;
    let again = status(&app, import(&app, "files", CSV, csv).await).await;
    assert_eq!(
        (&again["state"], &again["percent"]),
        (&json!("completed"), &json!(100.0)),
        "it is over at once"
    );
    assert_eq!(again["documents"], stored(0, 2));
    let changed = status(&app, import(&app, "files", CSV, "Key,Name\n1,Ada\n2,Bobby\n2,Rob\n").await).await;
    assert_eq!(changed["documents"]["stored"], 2);
    assert_eq!(documents(&app).await.len(), 4);
}

#[tokio::test]
async fn the_format_may_be_said() {
    let app = app().await;
    let post = |format: &str| {
        let request = app.request(Method::POST, &format!("{IMPORT}?source=files&format={format}"));
        request.header("content-type", "application/octet-stream").body("{\"Key\": 1}\n{\"Key\": 2}")
    };
    app.send(post("xml")).await.names(&["format"]);
    status(&app, app.send(post("ndjson")).await).await;
    import(&app, "files", "text/plain", "{}").await.problem(415, "unsupported-media-type");
    let zipped = app.request(Method::POST, &format!("{IMPORT}?source=files")).header("content-type", JSON);
    app.send(zipped.header("content-encoding", "gzip").body("x"))
        .await
        .problem(415, "unsupported-media-type");
    let bare = app.request(Method::POST, &format!("{IMPORT}?source=files")).body("{}");
    app.send(bare).await.problem(415, "unsupported-media-type");
}

#[tokio::test]
async fn what_is_wrong_is_told_and_nothing_is_stored() {
    let app = app().await;
    for (media_type, file, places) in [
        (JSON, "nonsense", &["line 1, column 1"][..]),
        (JSON, "[{\"Key\": 1},\n 2, [3]", &["line 2, column 2", "line 2, column 5", "line 2, column 8"]),
        (NDJSON, "{\"Key\": 1}\n{\"Key\" 2}\n[]\n{\"Key\": 3}", &["line 2, column 8", "line 3, column 1"]),
        (CSV, "Key,Name\n1,Ada\n2\n", &["line 3, column 1"]),
        (CSV, "Id,Name\n1,Ada\n", &["line 1, column 1"]),
        (CSV, "Key,Name\n", &["body"]),
        (JSON, "", &["body"]),
    ] {
        let reply = import(&app, "files", media_type, file).await;
        let problem = reply.problem(400, "invalid-request");
        let errors = problem["errors"].as_array().unwrap();
        let named: Vec<&str> = errors.iter().map(|error| error["field"].as_str().unwrap()).collect();
        assert!(named.starts_with(places) && named.len() <= places.len() + 1, "{file}: {problem}");
    }
    let reply = import(&app, "files", CSV, &b"Key,Name\n1,Ren\xe9\n"[..]).await;
    let detail = reply.problem(400, "invalid-request")["detail"].to_string();
    assert!(detail.contains("Windows-1252") && detail.contains("UTF-8"), "{detail}");
    let reply = import(&app, "files", NDJSON, "x\n".repeat(1_000_000)).await;
    assert_eq!(reply.problem(400, "invalid-request")["errors"].as_array().unwrap().len(), 21);
    nothing(&app).await;
}

#[tokio::test]
async fn a_source_that_is_not_there_is_named() {
    let app = app().await;
    let large = "{}\n".repeat(2_000_000);
    let reply = import(&app, "nowhere", NDJSON, large).await;
    reply.names(&["source"]);
    assert!(reply.text.contains("files, json-resumes, test-data"), "{}", reply.text);
    let unnamed = app.request(Method::POST, IMPORT).header("content-type", JSON).body("{}");
    let reply = app.send(unnamed).await;
    reply.names(&["source"]);
    assert!(reply.json()["detail"].as_str().unwrap().starts_with("source: is required: "), "{}", reply.text);
    app.trigger(r#"{"source": "files"}"#).await.names(&["source"]);
    nothing(&app).await;
}

#[tokio::test]
async fn a_source_of_files_is_shown_and_not_collected_from() {
    let app = app().await;
    let shown = app.get("/api/v1/sources/files").await.json();
    assert_eq!(shown["definition"]["files"], json!({"id": "/Key"}));
    assert_eq!(shown["definition"]["list"], Value::Null);
    let calls = app.get("/api/v1/sources/files/calls").await.json();
    assert_eq!((&calls["calls"], &calls["windows"]), (&json!(0), &json!([])));
    let nightly = r#"{"cron": "@daily", "kind": "start_collection", "args": {"source": "files"}}"#;
    app.put("/api/v1/schedules/nightly", nightly).await.names(&["args.source"]);
}

#[tokio::test]
async fn the_same_key_imports_once() {
    let app = app().await;
    let send = |key: &'static str, file: &'static str| {
        let request = app.request(Method::POST, &format!("{IMPORT}?source=files"));
        app.send(request.header("content-type", JSON).header("Idempotency-Key", key).body(file))
    };
    let first = send("a", r#"{"Key": 1}"#).await;
    let again = send("a", r#"{"Key": 1}"#).await;
    assert_eq!((first.status.as_u16(), first.json()), (202, again.json()));
    send("a", r#"{"Key": 2}"#).await.problem(422, "idempotency-key-reused");
    assert_eq!(app.enqueued().await, (1, 1));
    let replies =
        futures_util::future::join_all((0..6).map(|_| send("b", r#"[{"Key": 1}, {"Key": 3}]"#))).await;
    assert!(replies.iter().all(|reply| reply.json() == replies[0].json()), "{replies:?}");
    assert_eq!(app.enqueued().await, (2, 2));
    app.trigger("{}").await.json();
    let other = app.request(Method::POST, "/api/v1/data-collection/trigger").header("Idempotency-Key", "a");
    app.send(other).await.problem(422, "idempotency-key-reused");
}

/// Sends this over a connection of its own.
async fn raw(app: &TestApp, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(app.base_url.trim_start_matches("http://")).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

fn head(length: u64) -> String {
    head_for("files", length)
}

fn head_for(source: &str, length: u64) -> String {
    format!(
        "POST {IMPORT}?source={source} HTTP/1.1\r\nhost: x\r\ncontent-type: {NDJSON}\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n"
    )
}

#[tokio::test]
async fn a_file_that_is_too_large_is_refused() {
    let app = app().await;
    let mut stream = raw(&app, &head(1024 * 1024 * 1024 + 1)).await;
    // That much is read and thrown away, so that the sender can hear the reply.
    let mebibyte = vec![b'\n'; 1024 * 1024];
    for _ in 0..16 {
        stream.write_all(&mebibyte).await.unwrap();
    }
    let mut reply = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut reply)).await.unwrap().unwrap();
    assert!(reply.starts_with("HTTP/1.1 413") && reply.contains("more than 1073741824 bytes"), "{reply}");
    nothing(&app).await;
}

/// Nobody waits for a file of which nothing will be stored.
#[tokio::test]
async fn of_a_file_for_an_unknown_source_little_is_read() {
    let app = app().await;
    let mut stream = raw(&app, &head_for("nowhere", 1024 * 1024 * 1024)).await;
    let mebibyte = vec![b'\n'; 1024 * 1024];
    for _ in 0..16 {
        stream.write_all(&mebibyte).await.unwrap();
    }
    let mut reply = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut reply)).await.unwrap().unwrap();
    assert!(reply.starts_with("HTTP/1.1 400") && reply.contains("json-resumes"), "{reply}");
}

#[tokio::test]
async fn slow_senders_do_not_make_others_wait_for_ever() {
    let app = app().await;
    let mut slow = Vec::new();
    for key in 0..8 {
        slow.push(raw(&app, &(head(1_000_000) + &format!("{{\"Key\": {key}}}\n"))).await);
    }
    // Until all of them have their places.
    let refused = loop {
        let reply = import(&app, "files", NDJSON, "{\"Key\": 9}\n".repeat(100_000)).await;
        if reply.status != 202 {
            break reply;
        }
    };
    refused.problem(503, "too-many-imports");
    assert_eq!(refused.header("retry-after"), Some("2"));
    import(&app, "nowhere", NDJSON, "{}\n").await.names(&["source"]);
    drop(slow);
    let one = async || import(&app, "files", NDJSON, "{\"Key\": 9}\n").await;
    let freed = async { while one().await.status != 202 {} };
    tokio::time::timeout(PATIENCE, freed).await.unwrap();
}

#[tokio::test]
async fn too_many_items_are_refused() {
    let app = app().await;
    let reply = import(&app, "files", NDJSON, "{}\n".repeat(1_000_001)).await;
    reply.names(&["body"]);
    assert!(reply.text.contains("more than 1000000 items"), "{}", reply.text);
    nothing(&app).await;
}

#[tokio::test]
async fn a_sender_who_hangs_up_leaves_nothing() {
    let app = app().await;
    let stream = raw(&app, &(head(1_000) + "{\"Key\": 1}\n")).await;
    drop(stream);
    let mut half = raw(&app, &(head(1_000) + "{\"Key\": 2}\n")).await;
    half.shutdown().await.unwrap();
    let mut reply = String::new();
    tokio::time::timeout(PATIENCE, half.read_to_string(&mut reply)).await.unwrap().unwrap();
    assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 400"), "{reply}");
    nothing(&app).await;
    status(&app, import(&app, "files", NDJSON, "{\"Key\": 1}").await).await;
}

#[tokio::test]
async fn imports_of_the_same_items_at_the_same_time_lock_nobody_out() {
    let app = app().await;
    let file = |reverse: bool| {
        let mut lines: Vec<String> = (0..3_000).map(|key| format!("{{\"Key\": {key}}}\n")).collect();
        if reverse {
            lines.reverse();
        }
        lines.concat()
    };
    let sent = (0..4).map(|index| import(&app, "files", NDJSON, file(index % 2 == 0)));
    for reply in futures_util::future::join_all(sent).await {
        assert_eq!(reply.status, 202, "{}", reply.text);
    }
    assert_eq!(documents(&app).await.len(), 3_000, "each once");
}

/// A page that is fetched and a file may bring the same items in different orders: each waits for what the
/// other has stored.
#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_loses_a_deadlock_is_tried_again() {
    let app = app().await;
    let line = |key: u32| format!("{{\"Key\": {key}}}");
    let mut fetched = app.pool().begin().await.unwrap();
    let source_id = source::find(&mut fetched, "files").await.unwrap().unwrap().id;
    let origin = app.origin(source_id).await;
    let store = async |conn: &mut PgConnection, key: u32| {
        let items = [NewDocument::with_id(Some(key.to_string()), line(key).as_bytes())];
        document::store(conn, origin, None, &items).await.unwrap().ids.len()
    };
    assert_eq!(store(&mut fetched, 599).await, 1);
    let file: String = (0..600).map(|key| line(key) + "\n").collect();
    let sending = import(&app, "files", NDJSON, file);
    let blocking = async {
        while !is_blocked(&app).await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // The file waits for the item of the page, and from here on the page for one of the file.
        assert_eq!(store(&mut fetched, 0).await, 1);
        fetched.commit().await.unwrap();
    };
    let (reply, ()) =
        tokio::time::timeout(PATIENCE, async { tokio::join!(sending, blocking) }).await.unwrap();
    let status = status(&app, reply).await;
    assert_eq!(status["documents"], stored(598, 2));
}

/// Whether somebody waits for another transaction.
async fn is_blocked(app: &TestApp) -> bool {
    let blocked = sqlx::raw_sql(
        "select count(*) > 0 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
    );
    blocked.fetch_one(app.pool()).await.unwrap().get(0)
}

#[tokio::test]
async fn large_items_make_small_pages() {
    let app = app().await;
    let text = "x".repeat(3 * 1024 * 1024);
    let file: String = (0..5).map(|key| format!("{{\"Key\": {key}, \"Name\": \"{text}\"}}\n")).collect();
    let status = status(&app, import(&app, "files", NDJSON, file).await).await;
    assert_eq!(status["pages"]["fetched"], 3, "at most 8 MiB each");
    assert_eq!(status["documents"]["stored"], 5);
}
