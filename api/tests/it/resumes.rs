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
