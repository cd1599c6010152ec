use serde_json::{Value, json};

use crate::app::TestApp;

fn document() -> Value {
    json!({
        "id": "p-1", "name": "Ada Lovelace", "skills": ["ReactJS", " "], "hobbies": ["chess"],
        "work_experiences": [{"company": "Initech", "title": "Engineer", "start_date": "Jan 2024"}],
    })
}

async fn id(app: &TestApp) -> i64 {
    app.get("/api/v1/resumes/search?skills=react").await.json()["results"][0]["id"].as_i64().unwrap()
}

#[tokio::test]
async fn a_whole_resume() {
    let app = TestApp::start().await;
    app.store(&[document()]).await;
    let reply = app.get(&format!("/api/v1/resumes/{}", id(&app).await)).await;
    assert_eq!(reply.status, 200);
    insta::assert_json_snapshot!(reply.json(), { ".created_at" => "[time]", ".updated_at" => "[time]" });
}

#[tokio::test]
async fn the_raw_document_comes_byte_for_byte() {
    let app = TestApp::start().await;
    app.store(&[document()]).await;
    let resume = app.get(&format!("/api/v1/resumes/{}", id(&app).await)).await.json();
    let raw = app.get(resume["raw_document_url"].as_str().unwrap()).await;
    assert_eq!(raw.text, document().to_string());
    assert_eq!(raw.header("content-type"), Some("application/json"));
    assert_eq!(raw.header("x-raw-document-id"), Some(resume["raw_document_id"].to_string().as_str()));
    assert_eq!((raw.header("x-source"), raw.header("x-page")), (Some("test-data"), Some("1")));
    let hash = {
        use sha2::{Digest, Sha256};
        Sha256::digest(raw.text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    assert_eq!(raw.header("etag"), Some(format!("\"{hash}\"").as_str()));
}

#[tokio::test]
async fn an_unknown_or_malformed_id_is_told_apart() {
    let app = TestApp::start().await;
    for id in ["1", "-1", "9223372036854775807"] {
        app.get(&format!("/api/v1/resumes/{id}")).await.problem(404, "not-found");
        app.get(&format!("/api/v1/resumes/{id}/raw")).await.problem(404, "not-found");
    }
    for id in ["abc", "1.5", "%00", "9223372036854775808", "0x1", "%20"] {
        app.get(&format!("/api/v1/resumes/{id}")).await.names(&["id"]);
        app.get(&format!("/api/v1/resumes/{id}/raw")).await.names(&["id"]);
    }
}

async fn listed(app: &TestApp, query: &str) -> (Vec<String>, Option<String>) {
    let reply = app.get(&format!("/api/v1/resumes?{query}")).await;
    assert_eq!(reply.status, 200, "{query}: {}", reply.text);
    let page = reply.json();
    let ids =
        page["results"].as_array().unwrap().iter().map(|one| one["external_id"].as_str().unwrap().to_owned());
    (ids.collect(), page["next_cursor"].as_str().map(str::to_owned))
}

#[tokio::test]
async fn resumes_are_listed() {
    let app = TestApp::start().await;
    let people: Vec<Value> = ["p-2", "p-1", "p-3"].map(|id| json!({"id": id, "skills": ["SQL"]})).into();
    app.store(&people).await;
    let hide = "update resumes set hidden_at = now() where person_id = (select id from people where external_id = 'p-3')";
    sqlx::raw_sql(hide).execute(app.pool()).await.unwrap();
    for (query, expected) in [
        ("", &["p-1", "p-2"][..]),
        ("state=shown", &["p-1", "p-2"]),
        ("state=hidden", &["p-3"]),
        ("source=test-data", &["p-1", "p-2"]),
        ("source=json-resumes", &[]),
        ("source=nowhere", &[]),
        ("external_id=p-2", &["p-2"]),
        ("external_id=p-2&source=test-data", &["p-2"]),
        ("external_id=p-3", &[]),
        ("external_id=%F0%9F%A6%80", &[]),
        (&format!("data_request_id={}", uuid::Uuid::now_v7()), &[]),
    ] {
        assert_eq!(
            listed(&app, query).await,
            (expected.iter().map(|&id| id.to_owned()).collect(), None),
            "{query}"
        );
    }
    for query in ["", "source=test-data&"] {
        let (first, next) = listed(&app, &format!("{query}limit=1")).await;
        let (second, end) = listed(&app, &format!("{query}limit=1&cursor={}", next.unwrap())).await;
        assert_eq!((first[0].as_str(), second[0].as_str(), end), ("p-1", "p-2", None), "{query}");
    }
}

#[tokio::test]
async fn bad_parameters_of_the_list_are_named() {
    let app = TestApp::start().await;
    for (field, values) in [
        ("source", vec!["", "%00", ".."]),
        ("external_id", vec!["", "%00", "a%00b"]),
        ("data_request_id", vec!["", "7", "%00"]),
        ("state", vec!["", "gone", "Shown", "shown,hidden"]),
        ("limit", vec!["0", "101", "ten"]),
        ("cursor", vec!["", "forged", "%00"]),
    ] {
        for value in values {
            app.get(&format!("/api/v1/resumes?{field}={value}")).await.names(&[field]);
        }
    }
    app.get(&format!("/api/v1/resumes?external_id={}", "x".repeat(513))).await.names(&["external_id"]);
}
