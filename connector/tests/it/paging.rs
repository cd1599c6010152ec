use serde_json::{Value, json};

use crate::{
    call, code, connector, definition, list,
    server::{Server, answer, ok},
};

#[tokio::test]
async fn numbered_pages_are_asked_for_by_their_values() {
    let server = Server::start(|_| ok(r#"{"data": [{"id": "a"}], "meta": {"total": 9}, "next": "x"}"#)).await;
    let mut list = list(json!({"numbered": {"total": "/meta/total"}}));
    list["params"] = json!({"page": "{page}", "offset": "{offset}", "since": "gte|{since}", "q": "a b&c"});
    let answer = call(&definition(&server, list, json!({"headers": {"X-Version": "7"}})), None).await;
    let page = answer.result.unwrap();
    assert_eq!(
        (page.items[0].body.as_slice(), page.total, page.next),
        (&br#"{"id": "a"}"#[..], Some(9), None)
    );
    assert_eq!(server.lines(), ["GET /v1/people?offset=4&page=3&q=a+b%26c"]);
    let seen = &server.seen()[0];
    assert_eq!(seen.header("x-version"), Some("7"));
    assert_eq!(seen.header("accept"), Some("application/json"));
    assert_eq!((answer.status, answer.bytes), (Some(200), 58));
}

#[tokio::test]
async fn next_urls_are_followed_below_the_base() {
    let server = Server::start(|seen| {
        ok(if seen.line.contains("after") {
            r#"{"data": []}"#
        } else {
            r#"{"data": [1], "next": "?after=2"}"#
        })
    })
    .await;
    let definition = definition(&server, list(json!({"next_url": {"at": "/next"}})), json!({}));
    let next = call(&definition, None).await.result.unwrap().next.unwrap();
    assert_eq!(next, server.url("/v1/people?after=2"));
    assert_eq!(call(&definition, Some(&next)).await.result.unwrap().next, None);
    assert_eq!(server.lines(), ["GET /v1/people?limit=2", "GET /v1/people?after=2"]);
    let foreign = call(&definition, Some("http://evil.example/")).await;
    assert_eq!((code(&foreign).as_str(), foreign.status), ("next_link_foreign", None));
}

#[tokio::test]
async fn a_link_from_a_fallback_is_followed_at_the_base_in_use() {
    let server = Server::start(|_| ok(r#"{"data": [], "next": "https://b.example/x/people?after=3"}"#)).await;
    let others = json!({"fallback_urls": ["https://b.example/x"]});
    let definition = definition(&server, list(json!({"next_url": {"at": "/next"}})), others);
    let answer = call(&definition, Some("https://b.example/x/people?after=2")).await;
    assert_eq!(answer.result.unwrap().next.unwrap(), server.url("/v1/people?after=3"));
    assert_eq!(server.lines(), ["GET /v1/people?after=2"]);
}

#[tokio::test]
async fn link_headers_lead_on() {
    for (headers, next) in [
        (
            &[r#"Link: </v1/people?p=1>; rel="prev""#, r#"link: </v1/people?p=3>; rel="next""#][..],
            Ok(Some("p=3")),
        ),
        (&[r#"Link: </v1/people?p=1>; rel="prev""#], Ok(None)),
        (&[], Ok(None)),
        (&["Link: <http://evil.example/>; rel=next"], Err("next_link_foreign")),
        (&["Link: /v1/people?p=3; rel=next"], Err("page_invalid_shape")),
        (&["Link: <\u{e4}; rel=next"], Err("page_invalid_shape")),
    ] {
        let server = Server::start(move |_| answer("200 OK", headers, r#"{"data": []}"#)).await;
        let answer = call(&definition(&server, list(json!({"link_header": {}})), json!({})), None).await;
        let expected = next.map(|next| next.map(|query| server.url(&format!("/v1/people?{query}"))));
        let found = answer.result.map(|page| page.next).map_err(|error| error.code().unwrap());
        assert_eq!(found, expected.map_err(str::to_owned), "{headers:?}");
    }
}

#[tokio::test]
async fn tokens_go_into_the_query_or_the_body() {
    let server = Server::start(|_| ok(r#"{"data": [], "next": "t2"}"#)).await;
    for alone in [false, true] {
        let cursor = json!({"cursor": {"token": "/next", "param": "limit_from", "alone": alone}});
        let mut get = list(cursor.clone());
        get["params"]["limit_from"] = json!("start");
        let definition = definition(&server, get, json!({}));
        assert_eq!(call(&definition, Some("t 1")).await.result.unwrap().next.as_deref(), Some("t2"));
        let mut post = list(cursor);
        post["method"] = json!("post");
        post["body"] = json!({"limit": "{per_page}", "since": "{since}"});
        call(&crate::definition(&server, post, json!({})), Some("t1")).await.result.unwrap();
    }
    let asked: Vec<(String, String)> = server.seen().into_iter().map(|seen| (seen.line, seen.body)).collect();
    let expected = [
        ("GET /v1/people?limit=2&limit_from=t+1", ""),
        ("POST /v1/people?limit=2", r#"{"limit":2,"limit_from":"t1"}"#),
        ("GET /v1/people?limit_from=t+1", ""),
        ("POST /v1/people", r#"{"limit_from":"t1"}"#),
    ];
    assert_eq!(asked, expected.map(|(line, body)| (line.to_owned(), body.to_owned())));
    assert_eq!(server.seen()[1].header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn the_first_token_may_be_the_definition_s() {
    let server = Server::start(|_| ok(r#"{"data": [1], "next": "t2"}"#)).await;
    let cursor = |rest: Value| {
        let mut cursor = json!({"token": "/next", "param": "cursor"});
        cursor.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        json!({"cursor": cursor})
    };
    let mut stands_there = list(cursor(json!({})));
    stands_there["params"]["cursor"] = json!("*");
    let mut post = list(cursor(json!({"first": "*", "alone": true})));
    post["method"] = json!("post");
    for list in [list(cursor(json!({"first": "*"}))), stands_there, post] {
        let definition = definition(&server, list, json!({}));
        definition.check().unwrap();
        let next = call(&definition, None).await.result.unwrap().next;
        call(&definition, next.as_deref()).await.result.unwrap();
    }
    let asked: Vec<(String, String)> = server.seen().into_iter().map(|seen| (seen.line, seen.body)).collect();
    let expected = [
        ("GET /v1/people?limit=2&cursor=*", ""),
        ("GET /v1/people?limit=2&cursor=t2", ""),
        ("GET /v1/people?cursor=*&limit=2", ""),
        ("GET /v1/people?limit=2&cursor=t2", ""),
        ("POST /v1/people?limit=2", r#"{"cursor":"*"}"#),
        ("POST /v1/people", r#"{"cursor":"t2"}"#),
    ];
    assert_eq!(asked, expected.map(|(line, body)| (line.to_owned(), body.to_owned())));
}

#[tokio::test]
async fn the_same_position_on_an_empty_page_is_the_end() {
    let cursor = json!({"cursor": {"token": "/next", "param": "cursor", "has_more": "/more", "first": "*"}});
    let next_url = json!({"next_url": {"at": "/next"}});
    for (paging, link, data, next, is_end) in [
        (&cursor, Some("c2"), "[]", "\"c2\"", true),
        (&cursor, Some("17"), "null", "17", true),
        (&cursor, None, "[]", "\"*\"", true),
        (&cursor, Some("c2"), "[]", "\"c3\"", false),
        (&cursor, Some("c2"), "[1]", "\"c2\"", false),
        (&next_url, Some("?after=2"), "[]", "\"/v1/people?after=2\"", true),
        (&next_url, None, "[]", "\"?limit=2\"", true),
        (&next_url, Some("?after=2"), "[]", "\"?after=3\"", false),
        (&next_url, Some("?after=2"), "[1]", "\"?after=2\"", false),
    ] {
        let server =
            Server::start(move |_| ok(format!(r#"{{"data": {data}, "next": {next}, "more": true}}"#))).await;
        let definition = definition(&server, list(paging.clone()), json!({}));
        let link = link.map(|link| match link.strip_prefix('?') {
            Some(query) => server.url(&format!("/v1/people?{query}")),
            None => link.to_owned(),
        });
        let found = call(&definition, link.as_deref()).await.result.unwrap().next;
        assert_eq!(found.is_none(), is_end, "{link:?}: {data} {next}");
    }
}

#[tokio::test]
async fn codes_of_an_old_token_are_known_with_any_refusal() {
    let refusal = r#"{"success": false, "errors": ["cursor_gone"]}"#;
    let cursor = json!({"cursor": {"token": "/next", "param": "cursor", "expired": ["cursor_gone"]}});
    let mut list = list(cursor);
    list["expect"] = json!({"at": "/success", "equals": true, "code": "/errors/0"});
    for (status, body, expected) in [
        ("200 OK", refusal, "cursor_expired"),
        ("422 Unprocessable", refusal, "cursor_expired"),
        ("422 Unprocessable", "{}", "source_http_422"),
        ("500 Oops", refusal, "source_http_500"),
    ] {
        let server = Server::start(move |_| answer(status, &[], body)).await;
        assert_eq!(code(&call(&definition(&server, list.clone(), json!({})), Some("t")).await), expected);
    }
}

#[tokio::test]
async fn a_probe_shows_the_first_page() {
    let server = Server::start(|_| ok(r#"{"data": [{"id": 7}, {"id": 8}], "next": "t2"}"#)).await;
    let cursor = json!({"cursor": {"token": "/next", "param": "cursor"}});
    let probe = connector().probe(&definition(&server, list(cursor), json!({}))).await.unwrap();
    assert_eq!((probe.items, probe.has_next, probe.total), (2, true, None));
    let first = probe.first.unwrap();
    assert_eq!((first.external_id.as_deref(), first.body.as_slice()), (Some("7"), &br#"{"id": 7}"#[..]));
    assert_eq!(server.lines(), ["GET /v1/people?limit=100"]);
}
