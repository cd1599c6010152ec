//! Calls about a parent and about an item.

use resume_core::source::definition::{Definition, ListCall, Step, Values};
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

#[tokio::test]
async fn a_probe_asks_for_those_who_were_deleted_too() {
    let server = Server::start(|seen| {
        ok(if seen.line.contains("/deleted") {
            r#"{"data": ["7", 8]}"#
        } else {
            r#"[{"id": 1, "deleted_at": "2026-11-24"}, {"id": 2, "deleted_at": null}]"#
        })
    })
    .await;
    let paging = json!({"single": {}});
    let feed = json!({
        "path": "/people/deleted", "params": {"from": "{since}", "size": "{per_page}"}, "items": "/data", "id": "",
        "per_page_max": 50, "paging": paging,
    });
    let list = json!({
        "path": "/people", "params": {"from": "{since}"}, "items": "", "paging": paging,
        "since": {"format": "rfc3339"}, "deleted": {"feed": feed, "flag": "/deleted_at"},
    });
    let source = definition(&server, list, json!({"format": "mapped", "map": {"name": "name"}}));
    let probe = connector().probe(&source).await.unwrap();
    assert_eq!(server.lines(), ["GET /v1/people", "GET /v1/people/deleted?size=50"]);
    assert_eq!((probe.calls, probe.items, probe.deleted), (2, 2, Some(2)));
    assert_eq!(probe.first.unwrap().external_id.as_deref(), Some("2"), "the first one was deleted");
    let answer = connector().call(&source, Step::Deleted, &source.base_url, None, &values()).await;
    let ids: Vec<_> =
        answer.result.unwrap().items.into_iter().map(|item| item.external_id.unwrap()).collect();
    assert_eq!(ids, ["7", "8"]);
    let without = Definition { list: ListCall { deleted: None, ..source.list.clone() }, ..source };
    let answer = connector().call(&without, Step::Deleted, &without.base_url, None, &values()).await;
    assert_eq!((code(&answer).as_str(), answer.status), ("request_invalid", None));
}

/// The source is asked by its own ids, also where they say nothing without the parent.
#[tokio::test]
async fn an_id_may_be_unique_within_a_parent_only() {
    let server = server().await;
    let mut source = source(&server);
    source.list.id_within_parent = true;
    source.list.updated_at = Some("/changed".to_owned());
    source.check().unwrap();
    let probe = connector().probe(&source).await.unwrap();
    assert_eq!(server.lines()[2], "GET /v1/positions/p%201/candidates/%C3%A4%231");
    assert_eq!(probe.first.unwrap().external_id.as_deref(), Some("p 1/ä#1"));

    let about = Values { parent: Some("2".to_owned()), ..values() };
    let answer = connector().call(&source, Step::List, &source.base_url, None, &about).await;
    let items = answer.result.unwrap().items;
    let ids: Vec<_> = items.iter().map(|item| (item.external_id.as_deref(), item.id_at_source())).collect();
    assert_eq!(ids, [(Some("2/ä#1"), Some("ä#1")), (Some("2/8"), Some("8"))]);
    let about = Values { id: Some("8".to_owned()), ..about };
    let answer = connector().call(&source, Step::Detail, &source.base_url, None, &about).await;
    assert_eq!(answer.result.unwrap().items[0].external_id.as_deref(), Some("2/8"));
}

#[tokio::test]
async fn a_detail_may_say_that_its_item_was_deleted() {
    for (flag, is_deleted) in [("true", true), ("false", false), ("\"2026-11-24\"", true), ("\"\"", false)] {
        let server =
            Server::start(move |_| ok(format!(r#"{{"candidate": {{"state": {{"deleted": {flag}}}}}}}"#)))
                .await;
        let mut source = source(&server);
        source.list.deleted = serde_json::from_value(json!({"flag": "/state/deleted"})).unwrap();
        let about = Values { parent: Some("p".to_owned()), id: Some("1".to_owned()), ..values() };
        let answer = connector().call(&source, Step::Detail, &source.base_url, None, &about).await;
        assert_eq!(answer.result.unwrap().items[0].is_deleted, is_deleted, "{flag}");
    }
}

#[tokio::test]
async fn a_detail_may_be_a_list_where_that_is_said() {
    for (array, answer, expected) in [
        (true, r#"[{"language": "Rust"} ]"#, None),
        (true, r#"{"language": "Rust"}"#, Some("page_invalid_shape")),
        (false, "[]", Some("page_invalid_shape")),
    ] {
        let server = Server::start(move |_| ok(answer)).await;
        let mut source = source(&server);
        source.detail = serde_json::from_value(json!({"path": "/users/{id}/repos", "array": array})).unwrap();
        let about = Values { id: Some("ada".to_owned()), ..values() };
        let made = connector().call(&source, Step::Detail, &source.base_url, None, &about).await;
        match expected {
            Some(expected) => assert_eq!(code(&made), expected),
            None => assert_eq!(made.result.unwrap().items[0].body, answer.as_bytes()),
        }
    }
}
