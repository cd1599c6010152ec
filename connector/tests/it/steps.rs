//! Calls about a parent and about an item.

use resume_core::source::definition::{Definition, Step, Values};
use serde_json::json;

use crate::{
    code, connector, definition,
    server::{Server, ok},
    values,
};

/// A source with positions, their candidates, and each candidate in full.
fn source(server: &Server) -> Definition {
    let list = json!({
        "path": "/positions/{parent}/candidates", "params": {"page": "{page}", "of": "{parent}"},
        "items": "/data", "id": "/key", "paging": {"numbered": {}},
    });
    let others = json!({
        "parents": {"path": "/positions", "params": {"size": "{per_page}"}, "items": "", "id": "/_id", "paging": {"single": {}}},
        "detail": {"path": "/positions/{parent}/candidates/{id}", "item": "/candidate"},
        "format": "mapped", "map": {"name": "name"},
    });
    definition(server, list, others)
}

async fn server() -> Server {
    Server::start(|seen| {
        let path = seen.line.trim_start_matches("GET /v1/positions").split('?').next().unwrap_or_default();
        ok(match path.matches('/').count() {
            0 => r#"[{"_id": "p 1"}, {"_id": 2}]"#,
            2 => r#"{"data": [{"key": "ä#1"}, {"key": 8}]}"#,
            _ => r#"{"candidate": {"name":"Ada" }}"#,
        })
    })
    .await
}

#[tokio::test]
async fn a_probe_takes_one_call_for_each_step() {
    let server = server().await;
    let probe = connector().probe(&source(&server)).await.unwrap();
    assert_eq!(
        server.lines(),
        [
            "GET /v1/positions?size=100",
            "GET /v1/positions/p%201/candidates?of=p+1&page=1",
            "GET /v1/positions/p%201/candidates/%C3%A4%231",
        ]
    );
    assert_eq!((probe.calls, probe.parents, probe.items, probe.has_next), (3, Some(2), 2, true));
    let first = probe.first.unwrap();
    assert_eq!(first.external_id.as_deref(), Some("ä#1"), "the id is that of the list");
    assert_eq!(first.body, br#"{"name":"Ada" }"#, "and the item what the detail call gave, verbatim");
}

#[tokio::test]
async fn a_value_stays_one_part_of_the_path() {
    let server = server().await;
    let source = source(&server);
    for (id, path) in [("a/../b", "a%2F..%2Fb"), ("a?b#c", "a%3Fb%23c"), ("%2e", "%252e"), ("a b", "a%20b")] {
        let values = Values { parent: Some("p".to_owned()), id: Some(id.to_owned()), ..values() };
        let answer = connector().call(&source, Step::Detail, &source.base_url, None, &values).await;
        answer.result.unwrap();
        assert_eq!(*server.lines().last().unwrap(), format!("GET /v1/positions/p/candidates/{path}"));
    }
}

#[tokio::test]
async fn a_detail_is_an_object() {
    let server = Server::start(|_| ok(r#"{"candidate": []}"#)).await;
    let source = source(&server);
    let about = Values { parent: Some("p".to_owned()), id: Some("1".to_owned()), ..values() };
    let answer = connector().call(&source, Step::Detail, &source.base_url, None, &about).await;
    assert_eq!(code(&answer), "page_invalid_shape");
    // Without its value the path would lead to another thing.
    let answer = connector().call(&source, Step::Detail, &source.base_url, None, &values()).await;
    assert_eq!((code(&answer).as_str(), answer.status), ("request_invalid", None));
    let list_only = Definition { detail: None, ..source };
    let answer = connector().call(&list_only, Step::Detail, &list_only.base_url, None, &about).await;
    assert_eq!((code(&answer).as_str(), answer.status), ("request_invalid", None));
}
