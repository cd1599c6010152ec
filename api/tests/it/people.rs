//! Erasing and exporting people.

use chrono::DateTime;
use reqwest::{Method, Url};
use resume_api::AppState;
use resume_core::{
    db::migrators,
    document::{self, NewDocument, Origin},
    erasure::Key,
    source::{self, definition::Definition},
};
use resume_postgres::testing::TestDatabase;
use serde_json::Value;
use uuid::Uuid;

use crate::app::client;

const SOURCE: &str = "desk";

/// Ids that mean something in an address.
const IDS: [&str; 8] = ["7", "a/b", "a b?c#d", "100%", "%2F", "../x", "ümläut", "/"];

struct Desk {
    database: TestDatabase,
    base: Url,
}

impl Desk {
    async fn start(erasure_key: Option<Key>) -> Self {
        // Fails when another test has installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let database = TestDatabase::new(&migrators()).await.unwrap();
        let mut conn = database.pool().acquire().await.unwrap();
        let definition = Definition::original(SOURCE, "http://127.0.0.1:9", "/people", 30);
        source::put(&mut conn, &definition).await.unwrap();
        let source_id = source::number(&mut conn, SOURCE).await.unwrap().unwrap();
        let origin = Origin {
            source_id,
            collection_id: Uuid::nil(),
            call_id: 0,
            first_document_id: 0,
            collected_at: DateTime::UNIX_EPOCH,
        };
        let items = IDS.map(|id| NewDocument::with_id(Some(id.to_owned()), id.as_bytes()));
        document::store(&mut conn, origin, None, &items).await.unwrap();
        drop(conn);
        let bound = resume_api::bind(("127.0.0.1", 0)).await.unwrap();
        let base = format!("http://{}/api/v1/", bound.address()).parse().unwrap();
        let state = AppState { pool: database.pool().clone(), erasure_key, dry_calls: None };
        tokio::spawn(bound.serve(resume_api::app(state, None), std::future::pending()));
        Self { database, base }
    }

    async fn call(&self, method: Method, path: &[&str]) -> (u16, Value) {
        let mut url = self.base.clone();
        url.path_segments_mut().unwrap().pop_if_empty().extend(path);
        let reply = client().request(method, url).send().await.unwrap();
        (reply.status().as_u16(), reply.json().await.unwrap())
    }

    async fn people(&self) -> i64 {
        let people = sqlx::query_scalar!(r#"select count(*) as "people!" from people"#);
        people.fetch_one(self.database.pool()).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_a_source_knows_is_exported_and_erased_once() {
    let desk = Desk::start(Some(Key::new(&[b'k'; 32]).unwrap())).await;
    for (at, id) in (1..).zip(IDS) {
        let person = ["sources", SOURCE, "people", id];
        let (status, told) = desk.call(Method::GET, &[&person[..], &["export"]].concat()).await;
        assert_eq!((status, &told["external_id"]), (200, &Value::from(id)), "{told}");
        assert_eq!(told["documents"][0]["body"], id);
        let (status, erased) = desk.call(Method::DELETE, &person).await;
        assert_eq!((status, &erased["documents"]), (200, &Value::from(1)), "{id}: {erased}");
        assert_eq!(desk.people().await, IDS.len() as i64 - at);
        let (status, problem) = desk.call(Method::DELETE, &person).await;
        assert_eq!(status, 404, "{problem}");
        let lift = [&person[..], &["erasure"]].concat();
        assert_eq!(desk.call(Method::DELETE, &lift).await.0, 200, "{id}");
        assert_eq!(desk.call(Method::DELETE, &lift).await.0, 404, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_erased_by_the_number_of_their_resume() {
    let desk = Desk::start(Some(Key::new(&[b'k'; 32]).unwrap())).await;
    let id = sqlx::query_scalar!("select id from people where external_id = '7'");
    let id = id.fetch_one(desk.database.pool()).await.unwrap().to_string();
    assert_eq!(desk.call(Method::DELETE, &["resumes", &id]).await.0, 200);
    assert_eq!(desk.call(Method::DELETE, &["resumes", &id]).await.0, 404);
    assert_eq!(desk.people().await, IDS.len() as i64 - 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_nobody_is_erased() {
    let desk = Desk::start(None).await;
    let (status, problem) = desk.call(Method::DELETE, &["sources", SOURCE, "people", "7"]).await;
    assert_eq!((status, &problem["type"]), (409, &"urn:resume-service:problem:erasure-key-missing".into()));
    assert!(problem["detail"].as_str().unwrap().contains("RESUME_ERASURE_KEY_FILE"), "{problem}");
    assert_eq!(desk.people().await, IDS.len() as i64);
    assert_eq!(desk.call(Method::GET, &["sources", SOURCE, "people", "nobody", "export"]).await.0, 404);
    let too_long = "x".repeat(513);
    assert_eq!(desk.call(Method::DELETE, &["sources", SOURCE, "people", &too_long]).await.0, 400);
}
