use chrono::TimeDelta;
use reqwest::Method;
use resume_core::{
    call_limit::{self, Announced, CallEnd, Caller, Demand, Ending},
    db,
    source::definition::{Definition, SILENCE_USUAL},
};
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

use crate::app::{Reply, TestApp};

const LEVER: &str = "/api/v1/sources/lever";

fn lever() -> Value {
    json!({
        "name": "lever", "base_url": "https://api.lever.co",
        "auth": [{"basic": {"user": "env:RESUME_SECRET_LEVER_API_KEY"}}],
        "limits": [{"calls": 10, "per": "1s"}],
        "list": {
            "path": "/v1/opportunities", "params": {"limit": "{per_page}"}, "items": "/data",
            "paging": {"cursor": {"token": "/next", "param": "offset", "has_more": "/hasNext"}}
        },
        "format": "mapped", "map": {"name": "name", "skills": "tags"}
    })
}

async fn put_yaml(app: &TestApp, path: &str, yaml: &str) -> Reply {
    let request = app.request(Method::PUT, path).header("content-type", "application/yaml");
    app.send(request.body(yaml.to_owned())).await
}

#[tokio::test]
async fn a_source_is_added_changed_shown_and_removed() {
    let app = TestApp::start().await;
    let added = app.put(LEVER, &lever().to_string()).await;
    assert_eq!((added.status.as_u16(), added.header("location")), (201, Some(LEVER)), "{}", added.text);
    let shown = app.get(LEVER).await.json();
    let mut expected = added.json();
    assert_eq!(expected.as_object_mut().unwrap().remove("outdated"), Some(json!(0)));
    assert_eq!(shown, expected);
    assert_eq!(shown["definition"]["limits"], json!([{"calls": 10, "per": "1s"}]));
    assert_eq!(shown["synced_until"], Value::Null);
    let names = |list: Value| -> Vec<String> {
        list["results"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(app.get("/api/v1/sources").await.json()), ["json-resumes", "lever", "test-data"]);

    let again = app.put(LEVER, &shown["definition"].to_string()).await;
    assert_eq!(again.status, 200, "what is shown can be put back: {}", again.text);
    assert_eq!(again.json()["updated_at"], shown["updated_at"], "and changes nothing");
    let mut changed = lever();
    changed["concurrency"] = json!(2);
    assert_eq!(app.put(LEVER, &changed.to_string()).await.json()["definition"]["concurrency"], 2);

    let gone = app.delete(LEVER).await;
    assert_eq!((gone.status.as_u16(), &gone.json()["name"]), (200, &json!("lever")));
    app.get(LEVER).await.problem(404, "not-found");
    app.delete(LEVER).await.problem(404, "not-found");
    app.trigger(r#"{"source": "lever"}"#).await.names(&["source"]);
    assert_eq!(app.put(LEVER, &lever().to_string()).await.status, 200, "it comes back with what it brought");
}

#[tokio::test]
async fn a_source_that_was_removed_ends_its_collections() {
    let app = TestApp::start().await;
    let id = app.collection(r#"{"count": 10}"#).await;
    assert_eq!(app.delete("/api/v1/sources/test-data").await.status, 200);
    let status = app.get(&format!("/api/v1/data-collection/status/{id}")).await;
    assert_eq!(status.json()["state"], "pending", "it is still there: {}", status.text);
}

#[tokio::test]
async fn a_definition_may_be_yaml() {
    let app = TestApp::start().await;
    let yaml = "
name: yaml
base_url: https://ats.example
limits: [{ calls: 5000, per: 1h, burst: 100 }]
list:
  path: /people
  params: { page: '{page}' }
  items: ''
  paging: { numbered: {} }
format: json_resume
";
    let reply = put_yaml(&app, "/api/v1/sources/yaml", yaml).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    let limit = &reply.json()["definition"]["limits"][0];
    assert_eq!(limit, &json!({"calls": 5000, "per": "1h", "burst": 100}));
}

#[tokio::test]
async fn everything_that_is_wrong_is_named_and_nothing_is_stored() {
    let app = TestApp::start().await;
    let mut bad = lever();
    bad["base_url"] = json!("ftp://api.lever.co");
    bad["limits"] = json!([]);
    bad["auth"] = json!([{"basic": {"user": "hunter2"}}]);
    let reply = app.put(LEVER, &bad.to_string()).await;
    let problem = reply.problem(400, "invalid-request");
    let mut named: Vec<&str> =
        problem["errors"].as_array().unwrap().iter().map(|e| e["field"].as_str().unwrap()).collect();
    named.sort_unstable();
    assert_eq!(named, ["/auth/0/basic/user", "/base_url", "/limits"], "{problem}");
    assert!(!reply.text.contains("hunter2"), "what stands there may be the secret itself");

    app.put("/api/v1/sources/other", &lever().to_string()).await.names(&["/name"]);
    for nonsense in ["", "null", "[]", "{", r#"{"name": "lever"}"#, r#"{"name": "lever", "unknown": 1}"#] {
        assert_eq!(app.put(LEVER, nonsense).await.status, 400, "{nonsense}");
        assert_eq!(put_yaml(&app, LEVER, nonsense).await.status, 400, "{nonsense}");
    }
    assert_eq!(put_yaml(&app, LEVER, "a: &a [*a]").await.status, 400);
    let request = app.request(Method::PUT, LEVER).header("content-type", "text/plain").body("x");
    app.send(request).await.problem(415, "unsupported-media-type");
    app.put(LEVER, &"x".repeat(1024 * 1024 + 1)).await.problem(413, "body-too-large");
    app.get(LEVER).await.problem(404, "not-found");
}

#[tokio::test]
async fn a_source_whose_map_has_changed_is_parsed_again() {
    let app = TestApp::start().await;
    let mut original = app.get("/api/v1/sources/test-data").await.json()["definition"].take();
    let documents: Vec<Value> =
        (0..3).map(|id| json!({"id": id, "skills": ["SQL"], "work_experiences": []})).collect();
    app.store(&documents).await;
    let path = "/api/v1/sources/test-data";
    assert_eq!(app.put(path, &original.to_string()).await.json()["outdated"], 0);
    original["format"] = json!("mapped");
    original["map"] = json!({"skills": "skills"});
    assert_eq!(app.put(path, &original.to_string()).await.json()["outdated"], 3);
    original["concurrency"] = json!(3);
    assert_eq!(app.put(path, &original.to_string()).await.json()["outdated"], 3, "they still are");

    let reparse = format!("{path}/reparse");
    let reply = app.post(&reparse, "").await;
    assert_eq!((reply.status.as_u16(), &reply.json()["documents"]), (202, &json!(3)), "{}", reply.text);
    let job = app.get(reply.header("location").unwrap()).await.json();
    assert_eq!((&job["kind"], &job["id"]), (&json!("reparse_source"), &reply.json()["job_id"]), "{job}");
    assert_eq!(app.post(&reparse, "").await.json(), reply.json(), "the same job");
    assert_eq!(app.enqueued().await, (1, 0));
    app.post("/api/v1/sources/nowhere/reparse", "").await.problem(404, "not-found");
}

#[tokio::test]
async fn the_schema_is_served() {
    let app = TestApp::start().await;
    let schema = app.get("/api/v1/schemas/source").await.json();
    assert_eq!(schema, Definition::json_schema());
}

/// Makes calls to the default source, as a worker would, and tells what came of them.
async fn call(app: &TestApp, statuses: &[u16]) {
    let limits = Definition::original("test-data", "http://ats.example", "/", 30).limits;
    for &status in statuses {
        let mut conn = app.pool().acquire().await.unwrap();
        let caller = Caller { collection_id: Uuid::nil(), call_id: 1, waited: Duration::ZERO };
        let demand = Demand {
            source: "test-data",
            worker_id: 1,
            callers: &[caller],
            limits: &limits,
            concurrency: None,
            horizon: Duration::from_secs(5),
            lead: Duration::ZERO,
            silence_max: SILENCE_USUAL,
        };
        let permit = call_limit::grant(&mut conn, &demand).await.unwrap().permits[0];
        let end = CallEnd {
            late: Duration::ZERO,
            took: Duration::from_millis(5),
            status: Some(status),
            code: (status != 200).then(|| format!("source_http_{status}")),
            bytes: 100,
            ending: if status == 200 { Ending::Answered } else { Ending::Failed },
            announced: Announced::default(),
        };
        call_limit::end(app.pool(), "test-data", &permit, &limits, &end).await.unwrap();
    }
}

#[tokio::test]
async fn the_calls_to_a_source_are_counted_and_listed() {
    let app = TestApp::start().await;
    let path = "/api/v1/sources/test-data/calls";
    let none = app.get(path).await.json();
    assert_eq!((&none["calls"], &none["now"]), (&json!(0), &Value::Null));
    call(&app, &[200, 500, 200]).await;
    // Permits are times, and the last may lie a moment ahead.
    let to = (db::now(app.pool()).await.unwrap() + TimeDelta::seconds(10)).format("%Y-%m-%dT%H:%M:%SZ");
    let calls = app.get(&format!("{path}?to={to}")).await.json();
    assert_eq!((&calls["calls"], &calls["failed"], &calls["bytes"]), (&json!(3), &json!(1), &json!(300)));
    assert_eq!(calls["windows"], json!([{"calls": 30, "per_seconds": 1.0, "most": 3}]));
    assert_eq!(calls["now"]["circuit"], "closed");

    let csv = app.get(&format!("{path}.csv?to={to}")).await;
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    let lines: Vec<&str> = csv.text.lines().collect();
    assert_eq!(lines.len(), 4, "{}", csv.text);
    assert!(
        lines[0].starts_with("id,departs_at,") && lines[2].contains(",500,source_http_500,100"),
        "{}",
        csv.text
    );
}

/// Two calls a second are more than one of the limits allows.
#[tokio::test]
async fn a_statement_tells_whether_each_limit_was_kept() {
    let app = TestApp::start().await;
    let mut definition = app.get("/api/v1/sources/test-data").await.json()["definition"].take();
    definition["limits"] =
        json!([{"calls": 2, "per": "1s"}, {"calls": 3, "per": "1m"}, {"calls": 9, "per": "500ms"}]);
    app.put("/api/v1/sources/test-data", &definition.to_string()).await.json();
    let fill = "insert into call_ledger (source, worker_id, collection_id, call_id, departs_at, left_at, waited_ms, ended_at, status, code)
                select 'test-data', 1, gen_random_uuid(), 1, at, at, n * 10, at, 200, code
                from (values (0, null), (1, 'rate_limited'), (2, null), (3, 'source_http_500'), (4, 'permit_missed')) calls (n, code)
                cross join lateral (select timestamptz '2026-11-24T10:00:00Z' + n * interval '500 ms' as at) t";
    sqlx::raw_sql(fill).execute(app.pool()).await.unwrap();
    let path = "/api/v1/sources/test-data/statement.csv?from=2026-11-24T10:00:00Z&to=2026-11-24T11:00:00Z";
    let reply = app.get(path).await;
    assert_eq!(reply.header("content-type"), Some("text/csv; charset=utf-8"));
    let period = "test-data,2026-11-24T10:00:00.000Z,2026-11-24T11:00:00.000Z";
    let expected = format!(
        "source,from,to,limit_calls,limit_seconds,most,kept,calls,refused,failed,wasted,missed,waited_ms_median,waited_ms_max\n\
         {period},2,1,2,true,4,1,1,0,1,10,30\n{period},3,60,4,false,4,1,1,0,1,10,30\n{period},9,0.5,1,true,4,1,1,0,1,10,30\n"
    );
    assert_eq!(reply.text, expected);
    let later = app.get("/api/v1/sources/test-data/statement.csv").await.text;
    assert_eq!(later.matches(",0,true,0,0,0,0,0,0,0\n").count(), 3, "{later}");
}

#[tokio::test]
async fn bad_periods_are_named() {
    let app = TestApp::start().await;
    for path in
        ["calls", "calls.csv", "statement.csv"].map(|what| format!("/api/v1/sources/test-data/{what}"))
    {
        for query in [
            "from=2026-11-24T00:00:00Z&to=2026-11-24T00:00:00Z",
            "from=2026-11-24T00:00:01Z&to=2026-11-24T00:00:00Z",
            "from=2026-01-01T00:00:00Z&to=2026-11-24T00:00:00Z",
            "from=yesterday",
            "from=-9999-01-01T00:00:00Z&to=-9999-01-01T00:00:01Z",
        ] {
            app.get(&format!("{path}?{query}")).await.names(&["from"]);
        }
        app.get(&format!("{path}?to=%00")).await.names(&["to"]);
    }
    app.get("/api/v1/sources/none/calls").await.problem(404, "not-found");
    app.get("/api/v1/sources/none/calls.csv").await.problem(404, "not-found");
    app.get("/api/v1/sources/none/statement.csv").await.problem(404, "not-found");
}

#[tokio::test]
async fn a_source_is_held_and_released() {
    let app = TestApp::start().await;
    let circuit = async || app.get("/api/v1/sources/test-data/calls").await.json()["now"]["circuit"].clone();
    for (change, expected) in
        [("hold", "held"), ("hold", "held"), ("release", "closed"), ("release", "closed")]
    {
        assert_eq!(app.post(&format!("/api/v1/sources/test-data/{change}"), "").await.status, 200);
        assert_eq!(circuit().await, expected);
        app.post(&format!("/api/v1/sources/none/{change}"), "").await.problem(404, "not-found");
    }
}
