use reqwest::Method;
use resume_core::source::{
    self,
    definition::{Definition, OverlappingRuns},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::TestApp;

#[tokio::test]
async fn the_status_of_a_new_collection() {
    let app = TestApp::start().await;
    let id = app.collection(r#"{"seed": 1}"#).await;
    let reply = app.get(&format!("/api/v1/data-collection/status/{id}")).await;
    assert_eq!(reply.status, 200);
    insta::assert_json_snapshot!(reply.json(), {
        ".data_request_id" => insta::dynamic_redaction(move |value, _| {
            assert_eq!(value.as_str(), Some(id.to_string().as_str()));
            "[id]"
        }),
        ".created_at" => "[time]",
        ".elapsed_seconds" => "[seconds]",
    });
}

#[tokio::test]
async fn an_unknown_id_is_not_found() {
    let app = TestApp::start().await;
    let id = Uuid::now_v7();
    app.get(&format!("/api/v1/data-collection/status/{id}")).await.problem(404, "not-found");
    app.post(&format!("/api/v1/data-collection/continue/{id}"), "").await.problem(404, "not-found");
}

#[tokio::test]
async fn a_malformed_id_is_named() {
    let app = TestApp::start().await;
    for id in ["7", "not-a-uuid", "%00", "019a9c5b-3c1e-7d2f-8a54", "%F0%9F%A6%80", "'--", &"x".repeat(2000)]
    {
        app.get(&format!("/api/v1/data-collection/status/{id}")).await.names(&["data_request_id"]);
        app.post(&format!("/api/v1/data-collection/continue/{id}"), "").await.names(&["data_request_id"]);
    }
}

#[tokio::test]
async fn the_list_is_read_page_by_page() {
    let app = TestApp::start().await;
    let mut expected = Vec::new();
    for _ in 0..5 {
        expected.insert(0, app.collection("{}").await.to_string());
    }
    let mut seen = Vec::new();
    let mut path = "/api/v1/data-collection?limit=2".to_owned();
    let mut sizes = Vec::new();
    loop {
        let page = app.get(&path).await.json();
        let results = page["results"].as_array().unwrap();
        sizes.push(results.len());
        seen.extend(results.iter().map(|c| c["data_request_id"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/api/v1/data-collection?limit=2&cursor={cursor}");
    }
    assert_eq!((seen, sizes), (expected, vec![2, 2, 1]));
}

#[tokio::test]
async fn a_list_with_one_collection() {
    let app = TestApp::start().await;
    app.collection(r#"{"count": 30}"#).await;
    let page = app.get("/api/v1/data-collection").await.json();
    insta::assert_json_snapshot!(page, {
        ".results[].data_request_id" => "[id]",
        ".results[].status_url" => "[url]",
        ".results[].created_at" => "[time]",
    });
}

#[tokio::test]
async fn the_list_is_filtered() {
    let app = TestApp::start().await;
    let first = app.collection("{}").await;
    let second = app.collection(r#"{"source": "json-resumes"}"#).await;
    app.post(&format!("/api/v1/data-collection/cancel/{first}"), "").await;
    for (query, expected) in [
        ("", vec![second, first]),
        ("?source=test-data", vec![first]),
        ("?source=nowhere", vec![]),
        ("?state=cancelled", vec![first]),
        ("?state=cancelled,pending", vec![second, first]),
        ("?state=pending&source=test-data", vec![]),
    ] {
        let page = app.get(&format!("/api/v1/data-collection{query}")).await.json();
        let results = page["results"].as_array().unwrap();
        let ids: Vec<&str> = results.iter().map(|one| one["data_request_id"].as_str().unwrap()).collect();
        assert_eq!(ids, expected.iter().map(Uuid::to_string).collect::<Vec<_>>(), "{query}");
    }
}

#[tokio::test]
async fn bad_parameters_of_the_list_are_named() {
    let app = TestApp::start().await;
    for state in ["", "Running", "over", "running,over", "%00", "running;failed"] {
        app.get(&format!("/api/v1/data-collection?state={state}")).await.names(&["state"]);
    }
    for source in ["", "%00", "a%00b", &"x".repeat(200)] {
        app.get(&format!("/api/v1/data-collection?source={source}")).await.names(&["source"]);
    }
    for limit in ["0", "101", "-1", "ten", "", "1.5", "99999999999"] {
        app.get(&format!("/api/v1/data-collection?limit={limit}")).await.names(&["limit"]);
    }
    for cursor in ["", "0", "forged", "%00", "%F0%9F%A6%80", &Uuid::now_v7().to_string()] {
        app.get(&format!("/api/v1/data-collection?cursor={cursor}")).await.names(&["cursor"]);
    }
}

#[tokio::test]
async fn a_collection_without_failures_is_not_continued() {
    let app = TestApp::start().await;
    let id = app.collection("{}").await;
    let problem =
        app.post(&format!("/api/v1/data-collection/continue/{id}"), "").await.problem(409, "nothing-failed");
    assert!(problem["detail"].as_str().unwrap().contains("pending"), "{problem}");
    assert_eq!(app.enqueued().await, (10, 1));
}

#[tokio::test]
async fn a_collection_with_failures_is_continued() {
    let app = TestApp::start().await;
    let id = app.collection(r#"{"count": 3, "per_page": 1}"#).await;
    // What the worker leaves behind when every fetch of two pages failed.
    let failed = "
        update calls set state = case when place = 1 then 'done' else 'failed' end::call_state;
        update collection_counts set done = 1, failed_calls = 2;
        update collections set state = 'completed_with_errors', finished_at = now();
    ";
    sqlx::raw_sql(failed).execute(app.pool()).await.unwrap();
    let reply = app.send(app.request(Method::POST, &format!("/api/v1/data-collection/continue/{id}"))).await;
    assert_eq!(reply.status, 202, "{}", reply.text);
    let url = format!("/api/v1/data-collection/status/{id}");
    assert_eq!(reply.json(), json!({"data_request_id": id, "calls": 2, "documents": 0, "status_url": url}));
    assert_eq!(reply.header("location"), Some(url.as_str()));
    let status: Value = app.get(&url).await.json();
    assert_eq!((&status["state"], &status["finished_at"]), (&json!("running"), &Value::Null));
}

#[tokio::test]
async fn a_collection_goes_on_with_what_is_asked_for() {
    let app = TestApp::start().await;
    let id = app.collection(r#"{"count": 3, "per_page": 1}"#).await;
    let path = format!("/api/v1/data-collection/continue/{id}");
    for body in [r#"{"what": "pictures"}"#, r#"{"what": null}"#, r#"{"what": 1}"#] {
        app.post(&path, body).await.names(&["what"]);
    }
    app.post(&path, r#"{"which": "calls"}"#).await.names(&["which"]);
    // What the worker leaves behind when the parser has refused the only document of a page, and another page
    // failed.
    let failed = format!(
        "insert into people (id, document_id, content_hash, source_id, external_id)
             select 17, 17, md5('')::uuid, id, 'p-1' from sources where name = 'test-data';
         insert into raw_documents (id, person_id, call_id, collected_at, content_hash, position, body)
             select 17, 17, id, now(), md5('')::uuid, 1, '' from calls where place = 1;
         insert into parse_failures (document_id, collection_id, parser_version, map_version, code, pointer, detail)
             values (17, '{id}', 1, 0, 'missing_id', '', '');
         update calls set state = case when place = 3 then 'failed' else 'done' end::call_state,
             first_document_id = case place when 1 then 17 end, last_document_id = case place when 1 then 17 end;
         update collection_counts set done = 2, failed_calls = 1, stored = 1, failed = 1;
         update collections set state = 'completed_with_errors', finished_at = now();"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(failed)).execute(app.pool()).await.unwrap();
    let continued = async |what: &str| {
        let reply = app.post(&path, &format!(r#"{{"what": "{what}"}}"#)).await;
        assert_eq!(reply.status, 202, "{}", reply.text);
        (reply.json()["calls"].as_i64(), reply.json()["documents"].as_i64())
    };
    assert_eq!(continued("documents").await, (Some(0), Some(1)));
    let status = app.get(&format!("/api/v1/data-collection/status/{id}")).await.json();
    assert_eq!((&status["state"], &status["documents"]["failed"]), (&json!("running"), &json!(0)));
    app.post(&path, r#"{"what": "all"}"#).await.problem(409, "nothing-failed");

    app.post(&format!("/api/v1/data-collection/cancel/{id}"), "").await;
    let problem = app.post(&path, r#"{"what": "documents"}"#).await.problem(409, "nothing-failed");
    assert!(problem["detail"].as_str().unwrap().contains("cancelled"), "{problem}");
    // The document waits for its job still.
    assert_eq!(continued("all").await, (Some(1), Some(0)));
}

#[tokio::test]
async fn a_collection_is_paused_cancelled_and_goes_on() {
    let app = TestApp::start().await;
    let id = app.collection("{}").await;
    let change = async |how: &str| app.post(&format!("/api/v1/data-collection/{how}/{id}"), "").await;
    for (how, state) in
        [("pause", "paused"), ("pause", "paused"), ("cancel", "cancelled"), ("cancel", "cancelled")]
    {
        let reply = change(how).await;
        assert_eq!((reply.status.as_u16(), &reply.json()["state"]), (200, &json!(state)), "{}", reply.text);
    }
    assert!(
        change("pause").await.problem(409, "collection-over")["detail"]
            .as_str()
            .unwrap()
            .contains("cancelled")
    );
    let reply = change("continue").await;
    assert_eq!((reply.status.as_u16(), &reply.json()["calls"]), (202, &json!(10)), "{}", reply.text);
    let status = app.get(&format!("/api/v1/data-collection/status/{id}")).await.json();
    assert_eq!((&status["state"], &status["finished_at"]), (&json!("running"), &Value::Null));
}

#[tokio::test]
async fn an_unknown_collection_is_neither_paused_nor_cancelled() {
    let app = TestApp::start().await;
    for how in ["pause", "cancel"] {
        let path = format!("/api/v1/data-collection/{how}");
        app.post(&format!("{path}/{}", Uuid::now_v7()), "").await.problem(404, "not-found");
        app.post(&format!("{path}/none"), "").await.names(&["data_request_id"]);
    }
}

#[tokio::test]
async fn a_source_that_wants_one_at_a_time_says_which_is_under_way() {
    let app = TestApp::start().await;
    let put = async |policy: OverlappingRuns| {
        let mut definition = Definition::original("test-data", "http://127.0.0.1:9", "/", 30);
        definition.overlapping_runs = policy;
        source::put(&mut app.pool().acquire().await.unwrap(), &definition).await.unwrap();
    };
    put(OverlappingRuns::Refuse).await;
    let first = app.collection("{}").await;
    let problem = app.trigger("{}").await.problem(409, "collection-under-way");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(&first.to_string()) && detail.contains(": wait until"), "{detail}");
    app.post(&format!("/api/v1/data-collection/pause/{first}"), "").await;
    let problem = app.trigger("{}").await.problem(409, "collection-under-way");
    assert!(problem["detail"].as_str().unwrap().contains(": continue it or cancel it"), "{problem}");

    put(OverlappingRuns::Queue).await;
    let second = app.collection("{}").await;
    let status = async |id: Uuid| app.get(&format!("/api/v1/data-collection/status/{id}")).await.json();
    assert_eq!(
        (&status(second).await["state"], &status(second).await["waits_for"]),
        (&json!("pending"), &json!(first))
    );
    let cancelled = app.post(&format!("/api/v1/data-collection/cancel/{first}"), "").await.json();
    assert_eq!(cancelled["waits_for"], Value::Null);
    assert_eq!(status(second).await["waits_for"], Value::Null, "it has begun");
    app.post(&format!("/api/v1/data-collection/continue/{first}"), "")
        .await
        .problem(409, "collection-under-way");
}

#[tokio::test]
async fn pages_that_wait_for_the_parsers_show() {
    let app = TestApp::start().await;
    let id = app.collection("{}").await;
    resume_core::collection::note_lagging(&mut app.pool().acquire().await.unwrap(), id).await.unwrap();
    let backlog = format!(
        "insert into batches select '{id}', n * 1000 + 1, n * 1000 + 1000 from generate_series(0, 69) n"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(backlog)).execute(app.pool()).await.unwrap();
    app.collection("{}").await;
    let status = app.get(&format!("/api/v1/data-collection/status/{id}")).await.json();
    let parsing = json!({"backlog": 0, "total_backlog": 70_000, "per_second": 0.0, "is_lagging": true});
    assert_eq!(status["parsing"], parsing);
}

#[tokio::test]
async fn a_collection_says_what_it_waits_for() {
    let app = TestApp::start().await;
    let id = app.collection("{}").await;
    let waiting =
        async || app.get(&format!("/api/v1/data-collection/status/{id}")).await.json()["waiting"].take();
    let codes = async || -> Vec<String> {
        let waiting = waiting().await;
        waiting.as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(codes().await, ["no_worker"]);
    app.post("/api/v1/queues/make_call/pause", "").await;
    app.post("/api/v1/sources/test-data/hold", "").await;
    assert_eq!(codes().await, ["queue_paused", "source_held"]);
    app.post("/api/v1/sources/test-data/release", "").await;
    let trouble = "update call_limits set silent_until = '2996-01-01T00:00:00Z';
        update calls set error_code = 'source_http_401', error = '401 Unauthorized', made = 3 where place = 3;";
    sqlx::raw_sql(trouble).execute(app.pool()).await.unwrap();
    let expected = json!([
        {"code": "queue_paused", "message": "queue make_call is paused", "source": null, "next_try_at": null},
        {"code": "source_silent", "message": "it has asked for silence", "source": "test-data",
         "next_try_at": "2996-01-01T00:00:00Z"},
        {"code": "source_http_401", "message": "page 3: 401 Unauthorized, made 3 times so far", "source": "test-data",
         "next_try_at": null},
    ]);
    let mut waiting = waiting().await;
    for one in waiting.as_array_mut().unwrap() {
        if let Some(at) = one["next_try_at"].as_str().map(|at| at.replace("+00:00", "Z")) {
            one["next_try_at"] = json!(at);
        }
    }
    assert_eq!(waiting, expected);
    app.post(&format!("/api/v1/data-collection/pause/{id}"), "").await;
    assert_eq!(codes().await, ["paused"]);
    app.post(&format!("/api/v1/data-collection/cancel/{id}"), "").await;
    assert_eq!(codes().await, [""; 0]);
}
