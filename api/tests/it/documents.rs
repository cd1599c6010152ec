//! What a collection has stored: its documents and its calls.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::TestApp;

/// A collection that is over: page 1 brought four documents, of which one is parsed, one failed, one waits
/// and one was given up; page 2 failed.
async fn collection(app: &TestApp) -> Uuid {
    let id = app.collection(r#"{"count": 8, "per_page": 4}"#).await;
    let sql = format!(
        "insert into people (id, document_id, content_hash, source_id, external_id)
             select n, n, md5(n::text)::uuid, s.id, 'p-' || n from sources s, generate_series(11, 14) n where name = 'test-data';
         insert into raw_documents (id, person_id, call_id, collected_at, content_hash, position, body)
             select n, n, c.id, now(), md5(n::text)::uuid, n - 10, convert_to('{{\"id\":  ' || n || '}}', 'UTF8')
             from calls c, generate_series(11, 14) n where place = 1;
         insert into parse_failures (document_id, collection_id, parser_version, map_version, code, pointer, detail)
             values (12, '{id}', 1, 0, 'missing_id', '/id', 'there is none');
         insert into batches (collection_id, first_id, last_id, code, error)
             values ('{id}', 13, 13, null, null), ('{id}', 14, 14, 'parser_crashed', 'it crashed');
         insert into resumes (person_id, document_id, parser_version, map_version, skills, document)
             values (11, 11, 1, 0, '{{}}', '{{\"skills\": [], \"work_experiences\": [], \"educations\": []}}');
         update calls set state = 'done', made = 2, rate_limited = 1, items = 4, first_document_id = 11,
             last_document_id = 14, done_at = now(), link = 'https://u:s3cret@ats.example/list?key=s3cret' where place = 1;
         update calls set state = 'failed', made = 8, error_code = 'source_http_500', error = 'HTTP 500' where place = 2;"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(app.pool()).await.unwrap();
    id
}

async fn page(app: &TestApp, path: &str) -> (Vec<Value>, Option<String>) {
    let reply = app.get(path).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.text);
    let mut page = reply.json();
    let next = page["next_cursor"].as_str().map(str::to_owned);
    (page["results"].as_array_mut().unwrap().drain(..).collect(), next)
}

fn ids(documents: &[Value]) -> Vec<i64> {
    documents.iter().map(|document| document["id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn documents_are_listed_with_what_became_of_them() {
    let app = TestApp::start().await;
    let path = format!("/api/v1/data-collection/{}/documents", collection(&app).await);
    let (all, next) = page(&app, &path).await;
    let states: Vec<_> = all.iter().map(|one| (one["id"].as_i64(), one["state"].as_str().unwrap())).collect();
    assert_eq!(
        states,
        [(Some(11), "parsed"), (Some(12), "failed"), (Some(13), "waiting"), (Some(14), "given_up")]
    );
    assert_eq!(next, None);
    let mut failed = all[1].clone();
    failed["collected_at"].take();
    let expected = json!({
        "id": 12, "external_id": "p-12", "state": "failed", "page": 1, "position": 2, "code": "missing_id", "pointer": "/id",
        "detail": "there is none", "resume_id": 12, "collected_at": null, "raw_url": "/api/v1/raw-documents/12",
    });
    assert_eq!(failed, expected);
    for (query, expected) in [
        ("state=parsed", vec![11]),
        ("state=failed", vec![12]),
        ("state=waiting", vec![13]),
        ("state=given_up", vec![14]),
        ("code=missing_id", vec![12]),
        ("code=parser_crashed", vec![14]),
        ("state=waiting&code=missing_id", vec![]),
        ("code=nothing", vec![]),
    ] {
        assert_eq!(ids(&page(&app, &format!("{path}?{query}")).await.0), expected, "{query}");
    }
    let (first, next) = page(&app, &format!("{path}?limit=3")).await;
    let (rest, end) = page(&app, &format!("{path}?limit=3&cursor={}", next.unwrap())).await;
    assert_eq!((ids(&first), ids(&rest), end), (vec![11, 12, 13], vec![14], None));
}

#[tokio::test]
async fn what_is_found_by_deleted_calls_is_gone_and_the_rest_is_there() {
    let app = TestApp::start().await;
    let id = collection(&app).await;
    let ended = r#"
        delete from batches;
        delete from calls;
        update collections set state = 'completed_with_errors', finished_at = now(), calls_deleted_at = now(),
            summary = '{"has_everything": false, "errors": [{"code": "source_timeout", "count": 3}]}'"#;
    sqlx::raw_sql(ended).execute(app.pool()).await.unwrap();
    let path = format!("/api/v1/data-collection/{id}");
    for gone in [
        format!("{path}/calls"),
        format!("{path}/documents"),
        format!("{path}/documents?state=parsed"),
        format!("/api/v1/resumes?data_request_id={id}"),
    ] {
        let problem = app.get(&gone).await.problem(410, "calls-deleted");
        assert!(problem["detail"].as_str().unwrap().contains("state=failed"), "{gone}: {problem}");
    }
    assert_eq!(ids(&page(&app, &format!("{path}/documents?state=failed")).await.0), [12]);
    let status = app.get(&format!("/api/v1/data-collection/status/{id}")).await.json();
    assert_eq!((&status["calls_deleted"], &status["complete"]), (&json!(true), &json!(false)));
    assert_eq!(status["errors"][0]["code"], "source_timeout");
    let path = format!("/api/v1/data-collection/continue/{id}");
    for what in ["unfinished", "calls", "all"] {
        let body = json!({ "what": what }).to_string();
        let refused = app.post(&path, &body).await.problem(410, "calls-deleted");
        assert!(refused["detail"].as_str().unwrap().contains("start another"), "{refused}");
    }
    assert_eq!(app.post(&path, r#"{"what": "documents"}"#).await.status, 202);
    let raw = app.get("/api/v1/raw-documents/12").await;
    assert_eq!((raw.status.as_u16(), raw.header("x-data-request-id")), (200, None));
}

#[tokio::test]
async fn a_raw_document_comes_byte_for_byte() {
    let app = TestApp::start().await;
    let id = collection(&app).await;
    let raw = app.get("/api/v1/raw-documents/12").await;
    assert_eq!((raw.status.as_u16(), raw.text.as_str()), (200, r#"{"id":  12}"#));
    assert_eq!(raw.header("x-data-request-id"), Some(id.to_string().as_str()));
    assert_eq!((raw.header("x-raw-document-id"), raw.header("x-page")), (Some("12"), Some("1")));
    let tag = raw.header("etag").unwrap().to_owned();
    let again = app.request(Method::GET, "/api/v1/raw-documents/12").header("If-None-Match", &tag);
    let again = again.send().await.unwrap();
    assert_eq!((again.status().as_u16(), again.headers()["etag"].to_str().unwrap()), (304, tag.as_str()));

    sqlx::raw_sql("update resumes set hidden_at = now()").execute(app.pool()).await.unwrap();
    app.get("/api/v1/raw-documents/11").await.problem(404, "not-found");
    assert_eq!(app.get("/api/v1/raw-documents/11?hidden=true").await.text, r#"{"id":  11}"#);
    for unknown in ["1", "-1", "9223372036854775807"] {
        app.get(&format!("/api/v1/raw-documents/{unknown}")).await.problem(404, "not-found");
    }
    for malformed in ["abc", "1.5", "%00", "9223372036854775808", "%20"] {
        app.get(&format!("/api/v1/raw-documents/{malformed}")).await.names(&["id"]);
    }
    app.get("/api/v1/raw-documents/11?hidden=perhaps").await.names(&["hidden"]);
}

#[tokio::test]
async fn calls_are_listed_with_what_became_of_them() {
    let app = TestApp::start().await;
    let path = format!("/api/v1/data-collection/{}/calls", collection(&app).await);
    let (all, next) = page(&app, &path).await;
    assert_eq!((all.len(), next), (2, None));
    let mut done = all[0].clone();
    assert!(done["done_at"].take().is_string() && done["id"].take().is_i64());
    let expected = json!({
        "id": null, "step": "list", "parent": null, "item": null, "place": 1, "reading": 1, "state": "done", "made": 2,
        "rate_limited": 1, "items": 4, "code": null, "error": null, "link": "https://ats.example/list?…", "done_at": null,
    });
    assert_eq!(done, expected);
    assert_eq!((&all[1]["code"], &all[1]["error"]), (&json!("source_http_500"), &json!("HTTP 500")));
    for (query, places) in [
        ("state=done", vec![1]),
        ("state=failed", vec![2]),
        ("state=pending", vec![]),
        ("step=list", vec![1, 2]),
        ("step=detail", vec![]),
        ("code=source_http_500", vec![2]),
        ("code=source_http_500&state=done", vec![]),
        ("code=nothing", vec![]),
    ] {
        let (found, _) = page(&app, &format!("{path}?{query}")).await;
        let found: Vec<i64> = found.iter().map(|call| call["place"].as_i64().unwrap()).collect();
        assert_eq!(found, places, "{query}");
    }
}

/// By step, parent, item, place and reading, whatever their numbers, and whatever of them is asked for.
#[tokio::test]
async fn calls_are_read_page_by_page_in_their_order() {
    let app = TestApp::start().await;
    let id = collection(&app).await;
    let more = format!(
        "insert into calls (collection_id, step, parent, item, place, reading, state, error_code)
         select '{id}', s::call_step, p, i, n, r, 'failed', 'source_gone'
         from unnest('{{known,parents,detail,list}}'::text[]) s, unnest('{{b,a,\"\"}}'::text[]) p,
              unnest('{{2,10}}'::text[]) i, generate_series(10, 9, -1) n, generate_series(2, 1, -1) r"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(more)).execute(app.pool()).await.unwrap();
    for (query, count) in [("", 98), ("&state=failed", 97), ("&code=source_gone", 96), ("&step=list", 26)] {
        let path = format!("/api/v1/data-collection/{id}/calls?limit=7{query}");
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let (calls, next) = page(&app, &format!("{path}{cursor}")).await;
            seen.extend(calls);
            let Some(next) = next else { break };
            cursor = format!("&cursor={next}");
        }
        let step = |call: &Value| {
            ["parents", "list", "detail", "attachment", "deleted", "known"]
                .iter()
                .position(|step| call["step"] == **step)
        };
        let text = |call: &Value, field: &str| call[field].as_str().unwrap_or_default().to_owned();
        let key = |call: &Value| {
            let places = (call["place"].as_i64(), call["reading"].as_i64());
            (step(call), text(call, "parent"), text(call, "item"), places)
        };
        let keys: Vec<_> = seen.iter().map(key).collect();
        assert!(keys.is_sorted() && keys.len() == count, "{query}: {} {keys:?}", keys.len());
    }
}

#[tokio::test]
async fn what_is_unknown_or_nonsense_is_told_apart() {
    let app = TestApp::start().await;
    let id = collection(&app).await;
    let list = app.get("/api/v1/data-collection?limit=1").await.json();
    assert_eq!(list["next_cursor"], Value::Null);
    for what in ["documents", "calls"] {
        app.get(&format!("/api/v1/data-collection/{}/{what}", Uuid::now_v7()))
            .await
            .problem(404, "not-found");
        app.get(&format!("/api/v1/data-collection/7/{what}")).await.names(&["data_request_id"]);
        let path = format!("/api/v1/data-collection/{id}/{what}");
        for state in ["", "over", "Failed", "failed,done", "%00"] {
            app.get(&format!("{path}?state={state}")).await.names(&["state"]);
        }
        for code in ["", "%00", "..", &"x".repeat(129)] {
            app.get(&format!("{path}?code={code}")).await.names(&["code"]);
        }
        for limit in ["0", "1001", "-1", "ten", ""] {
            app.get(&format!("{path}?limit={limit}")).await.names(&["limit"]);
        }
        for cursor in ["", "42", "forged", "%00"] {
            app.get(&format!("{path}?cursor={cursor}")).await.names(&["cursor"]);
        }
    }
    app.get(&format!("/api/v1/data-collection/{id}/calls?step=page")).await.names(&["step"]);
    let (_, next) = page(&app, &format!("/api/v1/data-collection/{id}/calls?limit=1")).await;
    let other = format!("/api/v1/data-collection/{id}/documents?cursor={}", next.unwrap());
    app.get(&other).await.names(&["cursor"]);
}

#[tokio::test]
async fn hiding_is_confirmed_once() {
    let app = TestApp::start().await;
    let id = collection(&app).await;
    let path = format!("/api/v1/data-collection/{id}/confirm-hiding");
    app.post(&path, "").await.problem(409, "nothing-held-back");
    let held_back = format!(
        "update calls set state = 'done', error_code = null; delete from parse_failures; delete from batches;
         update collections set state = 'completed_with_errors', finished_at = now();
         update collection_counts set done = 2, stored = 4, parsed = 4;
         insert into doubts values ('{id}', 'too_many_missing', 900, '900 of 1000 people are no longer listed');"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(held_back)).execute(app.pool()).await.unwrap();
    let (jobs, _) = app.enqueued().await;
    let status = app.post(&path, "").await;
    assert_eq!(status.status, 200, "{}", status.text);
    let status = status.json();
    assert_eq!((&status["state"], &status["errors"]), (&json!("completed"), &json!([])));
    assert_eq!(app.enqueued().await.0, jobs + 1, "somebody hides them");
    app.post(&path, "").await.problem(409, "nothing-held-back");
    assert_eq!(app.enqueued().await.0, jobs + 1);
    app.post(&format!("/api/v1/data-collection/{}/confirm-hiding", Uuid::now_v7()), "")
        .await
        .problem(404, "not-found");
    app.post("/api/v1/data-collection/7/confirm-hiding", "").await.names(&["data_request_id"]);
}
