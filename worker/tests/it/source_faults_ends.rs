//! Ends of lists as systems write them: a source that answers each call with what a test wants.

use std::sync::{Arc, Mutex};

use resume_core::{
    collection::{CollectionState, NewCollection, Progress},
    source::{self, definition::Definition},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::harness::{Pipeline, collection_of};

/// A source that answers the path and query of a call with a status and a body.
struct Source {
    url: String,
    calls: Arc<Mutex<Vec<String>>>,
}

impl Source {
    async fn start(answer: impl Fn(&str) -> (u16, String) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (answer, calls) = (Arc::new(answer), Arc::new(Mutex::new(Vec::new())));
        let seen = calls.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, seen) = (answer.clone(), seen.clone());
                tokio::spawn(async move { serve(stream, |call| answer(call), &seen).await });
            }
        });
        Self { url, calls }
    }

    /// Collects from it to the end; gives what came of it and the calls.
    async fn collected(
        &self,
        paging: &str,
        params: &str,
        (count, per_page): (u32, u32),
    ) -> (Progress, Vec<String>) {
        let pipeline = Pipeline::start().await;
        let url = &self.url;
        let yaml = format!(
            "{{name: ends, base_url: '{url}', allow_private_network: true, limits: [{{calls: 10000, per: 1s}}], \
              list: {{path: /people, params: {params}, items: /data, paging: {paging}}}, \
              format: mapped, map: {{name: name}}}}"
        );
        let mut conn = pipeline.pool.acquire().await.unwrap();
        source::put(&mut conn, &Definition::from_yaml(&yaml).unwrap()).await.unwrap();
        drop(conn);
        let worker = pipeline.worker();
        let new = NewCollection { per_page: Some(per_page), batch_size: 100, ..collection_of(count, "ends") };
        let id = pipeline.collect(&new).await;
        let progress = pipeline.ended(id).await;
        worker.stop().await;
        (progress, self.calls.lock().unwrap().clone())
    }
}

async fn serve(mut stream: TcpStream, answer: impl Fn(&str) -> (u16, String), seen: &Mutex<Vec<String>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let call = head.split(' ').nth(1).unwrap().to_owned();
    let (status, body) = answer(&call);
    seen.lock().unwrap().push(call);
    let length = body.len();
    let answer =
        format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    // The client may have heard enough before the end.
    drop(stream.write_all(answer.as_bytes()).await);
}

/// The items of these people.
fn people(ids: std::ops::Range<usize>) -> String {
    let items: Vec<String> = ids.map(|id| format!(r#"{{"id": {id}, "name": "P{id}"}}"#)).collect();
    format!("[{}]", items.join(","))
}

/// The value of a parameter in a call.
fn param<'a>(call: &'a str, name: &str) -> Option<&'a str> {
    let query = call.split_once('?')?.1;
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

const CURSOR: &str = "{cursor: {token: /next, param: cursor}}";
const PAGE: &str = "{page: '{page}'}";

#[track_caller]
fn assert_smooth((progress, calls): &(Progress, Vec<String>), resumes: i64, case: &str) {
    assert_eq!(progress.collection.state, CollectionState::Completed, "{case}: {:?}", progress.errors);
    assert_eq!((progress.counts.parsed, progress.errors.len()), (resumes, 0), "{case}: {calls:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_may_end_with_nothing_in_any_form() {
    for (status, last) in [
        (200, r#"{"data": null, "next": null}"#),
        (200, r#"{"next": null}"#),
        (200, r#"{"data": {}, "next": ""}"#),
        (200, r#"{"data": [], "next": "b"}"#),
        (200, r#"{"data": null, "next": "b"}"#),
        (200, "{}"),
        (200, "null"),
        (200, ""),
        (204, ""),
    ] {
        let source = Source::start(move |call| match param(call, "cursor") {
            None => (200, format!(r#"{{"data": {}, "next": "a"}}"#, people(0..10))),
            Some("a") => (201, format!(r#"{{"data": {}, "next": "b"}}"#, people(10..14))),
            Some(_) => (status, last.to_owned()),
        })
        .await;
        let found = source.collected(CURSOR, "{}", (1000, 10)).await;
        assert_smooth(&found, 14, last);
        assert_eq!(found.1, ["/people", "/people?cursor=a", "/people?cursor=b"], "{status}: {last}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn numbered_pages_may_end_with_nothing_in_any_form() {
    for (status, last) in [
        (200, r#"{"data": []}"#),
        (200, r#"{"data": null}"#),
        (200, r#"{"page": 3}"#),
        (200, "{}"),
        (200, ""),
        (204, ""),
        (404, r#"{"error": "no such page"}"#),
    ] {
        let source = Source::start(move |call| match param(call, "page").unwrap() {
            "1" => (200, format!(r#"{{"data": {}}}"#, people(0..10))),
            "2" => (200, format!(r#"{{"data": {}}}"#, people(10..20))),
            _ => (status, last.to_owned()),
        })
        .await;
        let found = source.collected("{numbered: {}}", PAGE, (100_000, 10)).await;
        assert_smooth(&found, 20, last);
        assert!(found.1.len() <= 6, "{status}: {last}: {:?}", found.1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_total_may_be_told_once_or_be_none() {
    for others in ["0", "null", "-1", "\"?\"", "\"300\"", "300.0"] {
        let source = Source::start(move |call| {
            let page: usize = param(call, "page").unwrap().parse().unwrap();
            let items = people((page - 1) * 10..(page * 10).min(300).max((page - 1) * 10));
            let total = if page == 1 { "300" } else { others };
            (200, format!(r#"{{"data": {items}, "total": {total}}}"#))
        })
        .await;
        let found = source.collected("{numbered: {total: /total}}", PAGE, (300, 10)).await;
        assert_smooth(&found, 300, others);
        assert_eq!(found.1.len(), 30, "{others}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_pages_in_the_middle_are_passed() {
    let source = Source::start(|call| {
        let page: usize = param(call, "cursor").map_or(0, |cursor| cursor.parse().unwrap());
        let (items, next) = match page {
            0 => (people(0..1), "1".to_owned()),
            20 => (people(1..81), "null".to_owned()),
            page => ("[]".to_owned(), (page + 1).to_string()),
        };
        (200, format!(r#"{{"data": {items}, "next": {next}}}"#))
    })
    .await;
    let found = source.collected(CURSOR, "{}", (100, 100)).await;
    assert_smooth(&found, 81, "empty pages");
    assert_eq!(found.1.len(), 21);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_may_begin_with_a_token_and_say_in_texts_whether_there_is_more() {
    let answer = |call: &str| match param(call, "cursor") {
        Some("*") => (200, format!(r#"{{"data": {}, "next": "a", "more": "true"}}"#, people(0..10))),
        Some("a") => (203, format!(r#"{{"data": {}, "next": "a", "more": "false"}}"#, people(10..14))),
        _ => (200, r#"{"data": [], "more": 0}"#.to_owned()),
    };
    for (paging, params) in [
        ("{cursor: {token: /next, param: cursor, has_more: /more, first: '*'}}", "{}"),
        ("{cursor: {token: /next, param: cursor, has_more: /more}}", "{cursor: '*'}"),
    ] {
        let found = Source::start(answer).await.collected(paging, params, (1000, 10)).await;
        assert_smooth(&found, 14, paging);
        assert_eq!(found.1, ["/people?cursor=*", "/people?cursor=a"]);
    }
}

/// A newer process has stored a definition with a field that this version does not know, in the list and in
/// the map.
#[tokio::test(flavor = "multi_thread")]
async fn a_definition_of_a_newer_version_is_collected() {
    let pipeline = Pipeline::start().await;
    let source = Source::start(|_| (200, format!(r#"{{"data": {}}}"#, people(0..3)))).await;
    let yaml = format!(
        "{{name: ends, base_url: '{}', allow_private_network: true, limits: [{{calls: 10, per: 1s}}], \
          list: {{path: /people, items: /data, paging: {{single: {{}}}}}}, format: mapped, map: {{name: name}}}}",
        source.url
    );
    let mut conn = pipeline.pool.acquire().await.unwrap();
    source::put(&mut conn, &Definition::from_yaml(&yaml).unwrap()).await.unwrap();
    for path in [["list", "newer"], ["map", "newer"]] {
        let (path, value) = (path.map(str::to_owned), serde_json::json!("x"));
        sqlx::query!(
            "update sources set definition = jsonb_set(definition, $2, $3) where name = $1",
            "ends",
            &path,
            value
        )
        .execute(&mut *conn)
        .await
        .unwrap();
    }
    drop(conn);
    let worker = pipeline.worker();
    let progress = pipeline.ended(pipeline.collect(&collection_of(10, "ends")).await).await;
    worker.stop().await;
    assert_smooth(&(progress, Vec::new()), 3, "newer");
}
