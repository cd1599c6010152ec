//! The stream of events of a collection, over real connections.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::{Method, Response};
use resume_api::AppState;
use resume_core::{
    call::{self, Answer, Answered, Found},
    collection,
    document::NewDocument,
    jobs::{FinishCollection, MakeCall},
    parsing::{Format, parse},
    resume::{self, NewResume, Outcome, Settled},
    source,
};
use resume_postgres::RestartMode;
use serde_json::{Value, json};
use sqlx::Row;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use uuid::Uuid;

use crate::app::{TestApp, client};

/// How many streams a process serves.
const STREAMS_MAX: usize = 100;

/// How long anything may take; many times what it does take, for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// One event.
#[derive(Debug, PartialEq)]
struct Event {
    id: u64,
    name: String,
    status: Value,
}

/// An open stream.
struct Events {
    response: Response,
    text: String,
}

impl Events {
    /// The next event; `None` when the stream has closed.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                if event == ":" {
                    continue;
                }
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).unwrap();
                return Some(Event {
                    id: field("id: ").parse().unwrap(),
                    name: field("event: ").to_owned(),
                    status: serde_json::from_str(field("data: ")).unwrap(),
                });
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await.expect("something comes");
            match chunk.unwrap() {
                Some(chunk) => self.text.push_str(std::str::from_utf8(&chunk).unwrap()),
                None => {
                    assert_eq!(self.text, "");
                    return None;
                }
            }
        }
    }

    /// The first event that is as wanted.
    async fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Event {
        loop {
            let event = self.next().await.expect("the stream goes on");
            if wanted(&event.status) {
                return event;
            }
        }
    }
}

fn path(id: Uuid) -> String {
    format!("/api/v1/data-collection/events/{id}")
}

impl TestApp {
    async fn events(&self, id: Uuid) -> Events {
        let response = self.request(Method::GET, &path(id)).send().await.unwrap();
        assert_eq!(response.status(), 200);
        Events { response, text: String::new() }
    }

    /// Does what a worker does for a page: stores it with two items, in one batch.
    async fn store_page(&self, collection_id: Uuid, page: i32) {
        let mut tx = self.pool().begin().await.unwrap();
        let sql = format!("select id from calls where collection_id = '{collection_id}' and place = {page}");
        let row = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).fetch_one(&mut *tx).await.unwrap();
        let job = MakeCall { collection_id, call_id: row.get(0) };
        let Found::Pending(found) = call::find(&mut tx, &job, i64::MAX).await.unwrap() else {
            panic!("page {page} is not pending");
        };
        let items = (0..2)
            .map(|item| NewDocument::with_id(Some(format!("{page}-{item}")), &body(page, item)))
            .collect();
        let answer = Answer { items, ..Answer::default() };
        let stored = call::store(&mut tx, &found, &answer, None).await.unwrap();
        assert!(matches!(stored, Answered::Stored(_)));
        tx.commit().await.unwrap();
    }

    /// Does what a worker does for the batch of a page: stores both of its resumes.
    async fn settle(&self, collection_id: Uuid, page: i32, is_last: bool) {
        let mut tx = self.pool().begin().await.unwrap();
        let sql = format!(
            "select id, resume_id from documents where collection_id = '{collection_id}' and page = {page} order by id"
        );
        let rows = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).fetch_all(&mut *tx).await.unwrap();
        let parsed = rows.iter().zip(0..).map(|(row, item)| NewResume {
            document_id: row.get(0),
            person_id: row.get(1),
            is_overtaken: false,
            parsed: parse(Format::Profile, Some(&format!("{page}-{item}")), &body(page, item)).unwrap(),
        });
        let outcome = Outcome { parsed: parsed.collect(), failed: Vec::new() };
        let source_id = source::find(&mut tx, "test-data").await.unwrap().unwrap().id;
        let batches = [outcome.parsed[0].document_id];
        let settled = resume::settle(&mut tx, source_id, collection_id, &batches, 0, &outcome).await.unwrap();
        assert_eq!(settled, Settled::Stored);
        if is_last {
            let end = FinishCollection { collection_id, run: 1, sweeps: 0 };
            collection::conclude(&mut tx, &end).await.unwrap();
        }
        tx.commit().await.unwrap();
    }
}

/// An item of a page.
fn body(page: i32, item: i32) -> Vec<u8> {
    json!({"id": format!("{page}-{item}"), "skills": ["SQL"], "work_experiences": []})
        .to_string()
        .into_bytes()
}

#[tokio::test]
async fn an_unknown_collection_has_no_events() {
    let app = TestApp::start().await;
    app.get(&path(Uuid::now_v7())).await.problem(404, "not-found");
    app.get("/api/v1/data-collection/events/7").await.names(&["data_request_id"]);
    TestApp::without_database().await.get(&path(Uuid::now_v7())).await.problem(503, "database-unavailable");
}

#[tokio::test]
async fn a_collection_is_followed_to_its_end() {
    let app = TestApp::start().await;
    let id = app.collection(r#"{"count": 4, "per_page": 2, "batch_size": 2}"#).await;
    let mut events = app.events(id).await;
    let headers = events.response.headers();
    assert_eq!(headers["content-type"], "text/event-stream");
    assert_eq!(headers["cache-control"], "no-cache");
    assert!(headers.contains_key("x-request-id"));

    let mut ids = Vec::new();
    let mut last_at = Instant::now() - Duration::from_secs(1);
    let mut follow = async |state: &str, counts: [i64; 3]| {
        let event = events.next().await.unwrap();
        let of = |what: &str, which: &str| event.status[what][which].as_i64().unwrap();
        let got = [of("pages", "fetched"), of("documents", "parsed"), of("parsing", "backlog")];
        assert_eq!((event.status["state"].as_str().unwrap(), got), (state, counts), "{event:?}");
        assert_eq!(event.name, if state == "completed" { "end" } else { "progress" });
        assert!(last_at.elapsed() >= Duration::from_millis(400), "{:?}", last_at.elapsed());
        last_at = Instant::now();
        ids.push(event.id);
    };
    // What happens at once is told at once.
    follow("pending", [0, 0, 0]).await;
    app.store_page(id, 1).await;
    follow("running", [1, 0, 2]).await;
    app.settle(id, 1, false).await;
    follow("running", [1, 2, 0]).await;
    app.store_page(id, 2).await;
    follow("running", [2, 2, 2]).await;
    app.settle(id, 2, true).await;
    follow("completed", [2, 4, 0]).await;
    assert!(ids.is_sorted() && ids[0] < ids[4], "{ids:?}");
    assert_eq!(events.next().await, None, "it closes");

    // Who was cut off before the end gets it, and the status by the other way is the same.
    let request = app.request(Method::GET, &path(id)).header("Last-Event-ID", ids[3].to_string());
    let again = app.send(request).await;
    let status = app.get(&format!("/api/v1/data-collection/status/{id}")).await.json();
    assert_eq!(again.text, format!("id: {}\nevent: end\ndata: {}\n\n", ids[4], compact(&again.text)));
    assert_eq!(serde_json::from_str::<Value>(&compact(&again.text)).unwrap(), status);
}

/// The data of the only event.
fn compact(text: &str) -> String {
    text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap().to_owned()
}

#[tokio::test]
async fn what_happens_often_is_told_twice_a_second() {
    let app = TestApp::start().await;
    let id = app.collection(r#"{"count": 100, "per_page": 2, "batch_size": 2}"#).await;
    let mut events = app.events(id).await;
    let begun = Instant::now();
    let work = async {
        for page in 1..=50 {
            app.store_page(id, page).await;
            app.settle(id, page, page == 50).await;
        }
    };
    let count = async {
        let mut count = 0;
        while let Some(event) = events.next().await {
            count += 1;
            if event.name == "end" {
                break;
            }
        }
        count
    };
    let ((), count) = tokio::join!(work, count);
    let most = begun.elapsed().as_millis() / 500 + 1;
    assert!((2..=most).contains(&count), "{count} events in {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_stream_has_a_place_until_its_client_is_gone() {
    let app = TestApp::start().await;
    let id = app.collection("{}").await;
    let mut streams = Vec::new();
    for _ in 1..STREAMS_MAX {
        streams.push(app.events(id).await);
    }
    let mut gone = TcpStream::connect(app.base_url.trim_start_matches("http://")).await.unwrap();
    gone.write_all(format!("GET {} HTTP/1.1\r\nhost: x\r\n\r\n", path(id)).as_bytes()).await.unwrap();
    gone.read_u8().await.unwrap();
    let refused = app.get(&path(id)).await;
    refused.problem(503, "too-many-streams");
    assert_eq!(refused.header("retry-after"), Some("2"));
    // They keep nobody else away.
    assert_eq!(app.get(&format!("/api/v1/data-collection/status/{id}")).await.status, 200);
    drop(gone);
    let free = async {
        while app.request(Method::GET, &path(id)).send().await.unwrap().status() != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, free).await.expect("the place is free");
    for stream in &mut streams {
        assert_eq!(stream.next().await.unwrap().name, "progress");
    }
    app.post(&format!("/api/v1/data-collection/cancel/{id}"), "").await;
    for stream in &mut streams {
        assert_eq!(stream.until(|status| status["state"] == "cancelled").await.name, "end");
        assert_eq!(stream.next().await, None);
    }
}

#[tokio::test]
async fn who_asks_for_the_head_has_no_place() {
    let app = TestApp::start().await;
    let id = app.collection("{}").await;
    for _ in 0..=STREAMS_MAX {
        let reply = app.request(Method::HEAD, &path(id)).send().await.unwrap();
        assert_eq!(
            (reply.status().as_u16(), &reply.headers()["content-type"]),
            (200, &"text/event-stream".parse().unwrap())
        );
    }
}

#[tokio::test]
async fn a_stream_ends_when_the_server_stops() {
    let app = TestApp::start().await;
    let id = app.collection("{}").await;
    let bound = resume_api::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}{}", bound.address(), path(id));
    let (shutdown, signal) = tokio::sync::oneshot::channel::<()>();
    let other =
        resume_api::app(AppState { pool: app.pool().clone(), erasure_key: None, dry_calls: None }, None);
    let server = tokio::spawn(bound.serve(other, async { drop(signal.await) }));
    let response = client().get(&url).send().await.unwrap();
    let mut events = Events { response, text: String::new() };
    assert_eq!(events.next().await.unwrap().name, "progress");
    drop(shutdown);
    assert_eq!(events.next().await, None);
    tokio::time::timeout(Duration::from_secs(5), server)
        .await
        .expect("well within the grace")
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_stream_outlives_a_crash_of_the_database() {
    let app = TestApp::on_own_cluster().await;
    let id = app.collection("{}").await;
    let mut events = app.events(id).await;
    assert_eq!(events.next().await.unwrap().name, "progress");
    let cluster = Arc::clone(app.cluster());
    tokio::task::spawn_blocking(move || cluster.restart(RestartMode::Immediate)).await.unwrap().unwrap();
    let stopped = async {
        while app.post(&format!("/api/v1/data-collection/pause/{id}"), "").await.status != 200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, stopped).await.expect("the database is back");
    assert_eq!(events.until(|status| status["state"] == "paused").await.name, "progress");
}
