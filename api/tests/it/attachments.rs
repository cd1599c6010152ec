use serde_json::json;

use crate::app::TestApp;

const PDF: &str = "%PDF-1.4 a resume";
const SHA256: &str = "5d41a3c1f0a5c4f6bd4f2ec6ea5c1ef1df3d2a7e4a5b6c7d8e9f00112233445a";

/// A resume with the attachments of its raw document; gives the resume's id.
async fn resume_with_attachments(app: &TestApp) -> i64 {
    app.store(&[json!({"id": "p-1", "skills": ["SQL"]})]).await;
    let insert = format!(
        r"insert into attachments (sha256, media_type, size, bytes)
          values ('\x{SHA256}', 'application/pdf', {}, '{PDF}');
          insert into document_attachments (document_id, place, name, sha256)
          select id, place, 'cv ' || place || '.pdf', '\x{SHA256}' from raw_documents, generate_series(1, 2) as place;",
        PDF.len()
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(insert)).execute(app.pool()).await.unwrap();
    app.get("/api/v1/resumes/search?skills=SQL").await.json()["results"][0]["id"].as_i64().unwrap()
}

#[tokio::test]
async fn attachments_are_listed_and_come_byte_for_byte() {
    let app = TestApp::start().await;
    let id = resume_with_attachments(&app).await;
    let listed = app.get(&format!("/api/v1/resumes/{id}/attachments")).await.json();
    let results = listed["results"].as_array().unwrap();
    assert_eq!(
        results.iter().map(|one| one["name"].as_str().unwrap()).collect::<Vec<_>>(),
        ["cv 1.pdf", "cv 2.pdf"]
    );
    assert_eq!(results[0]["size"], PDF.len());
    assert_eq!(
        (&results[0]["media_type"], &results[0]["sha256"]),
        (&json!("application/pdf"), &json!(SHA256))
    );

    let file = app.get(results[0]["url"].as_str().unwrap()).await;
    assert_eq!(file.status, 200);
    assert_eq!(file.text, PDF);
    assert_eq!(file.header("content-type"), Some("application/pdf"));
    assert_eq!(file.header("etag"), Some(format!("\"{SHA256}\"").as_str()));
    // It comes from strangers: nobody's browser shows it on our address, or runs what is in it.
    let disposition = format!("attachment; filename=\"{SHA256}.pdf\"");
    assert_eq!(file.header("content-disposition"), Some(disposition.as_str()));
    assert_eq!(file.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(file.header("content-security-policy"), Some("default-src 'none'; sandbox"));
    let upper = app.get(&format!("/api/v1/attachments/{}", SHA256.to_uppercase())).await;
    assert_eq!(upper.status, 200);
}

#[tokio::test]
async fn a_resume_without_attachments_has_none() {
    let app = TestApp::start().await;
    app.store(&[json!({"id": "p-1", "skills": ["SQL"]})]).await;
    let id = app.get("/api/v1/resumes/search?skills=SQL").await.json()["results"][0]["id"].clone();
    assert_eq!(app.get(&format!("/api/v1/resumes/{id}/attachments")).await.json(), json!({"results": []}));
}

#[tokio::test]
async fn what_is_unknown_or_malformed_is_told_apart() {
    let app = TestApp::start().await;
    app.get("/api/v1/resumes/1/attachments").await.problem(404, "not-found");
    app.get("/api/v1/resumes/x/attachments").await.names(&["id"]);
    app.get(&format!("/api/v1/attachments/{SHA256}")).await.problem(404, "not-found");
    for sha256 in
        ["x", "%00", &SHA256[1..], &format!("{SHA256}0"), &format!("g{}", &SHA256[1..]), &"ä".repeat(64)]
    {
        let problem = app.get(&format!("/api/v1/attachments/{sha256}")).await;
        problem.names(&["sha256"]);
        assert!(problem.text.contains("must be a SHA-256: 64 hexadecimal digits"), "{}", problem.text);
    }
}
