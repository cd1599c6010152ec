use std::time::Duration;

use mock_ats::{Fault, FaultKind, MockServer, Pages, Times};
use serde_json::Value;

use crate::{Client, ids, start};

const PAGE_3: &str = "/api/v1/test-data?count=50&page=3";

async fn start_broken(kind: FaultKind, pages: Pages, times: Times) -> (MockServer, Client) {
    let (server, client) = start().await;
    server.ats().set_faults([Fault::new(kind, pages, times)]);
    (server, client)
}

#[tokio::test]
async fn an_error_status_comes_as_often_as_asked_for() {
    let (server, client) = start_broken(FaultKind::Status(500), Pages::One(3), Times::First(2)).await;
    client.page("/api/v1/test-data?count=50&page=2").await;
    for _ in 0..2 {
        assert_eq!(client.problem(PAGE_3, 500).await["title"], "Internal Server Error");
    }
    client.page(PAGE_3).await;
    assert_eq!(server.ats().stats().faulted, 2);
}

#[tokio::test]
async fn a_429_can_be_had_below_the_limit() {
    let kind = FaultKind::RateLimited { retry_after_seconds: 7 };
    let (server, client) = start_broken(kind, Pages::All, Times::First(1)).await;
    let response = client.get(PAGE_3).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (429, &"7".parse().unwrap())
    );
    client.page(PAGE_3).await;
    assert_eq!(server.ats().stats().rate_limited, 1);
}

#[tokio::test]
async fn a_hanging_call_ends_with_the_patience_of_the_client() {
    let (server, client) = start_broken(FaultKind::Hang, Pages::All, Times::First(1)).await;
    let call = client.http.get(client.url(PAGE_3)).timeout(Duration::from_millis(100)).send();
    assert!(call.await.unwrap_err().is_timeout());
    client.page(PAGE_3).await;
    assert_eq!(server.ats().stats().calls, 2);
}

#[tokio::test]
async fn stopping_cuts_hanging_calls_and_frees_the_port() {
    let (server, client) = start_broken(FaultKind::Hang, Pages::All, Times::Always).await;
    let (ats, address) = (server.ats().clone(), server.address());
    let call = tokio::spawn(client.http.get(client.url(PAGE_3)).send());
    while ats.stats().calls == 0 {
        tokio::task::yield_now().await;
    }
    server.stop().await;
    assert!(!call.await.unwrap().unwrap_err().is_timeout());
    assert!(client.http.get(client.url(PAGE_3)).send().await.unwrap_err().is_connect());
    ats.set_faults([]);
    let _server = MockServer::bind(ats, address).await.unwrap();
    client.page(PAGE_3).await;
}

#[tokio::test]
async fn a_cut_body_has_its_head_and_its_first_half() {
    let (_server, client) = start_broken(FaultKind::CutBody, Pages::All, Times::First(1)).await;
    let mut response = client.get(PAGE_3).await;
    assert_eq!(response.status(), 200);
    let announced = response.content_length().unwrap();
    let mut received = Vec::new();
    let error = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => received.extend_from_slice(&chunk),
            Ok(None) => panic!("the body ended as if it were whole"),
            Err(error) => break error,
        }
    };
    assert!(error.is_body() || error.is_decode(), "{error:?}");
    let whole = client.get(PAGE_3).await.bytes().await.unwrap();
    assert_eq!(announced, whole.len() as u64);
    assert_eq!(received, whole[..whole.len() / 2]);
}

#[tokio::test]
async fn invalid_json_is_whole_but_not_json() {
    let (_server, client) = start_broken(FaultKind::InvalidJson, Pages::All, Times::First(1)).await;
    let response = client.get(PAGE_3).await;
    assert_eq!(response.status(), 200);
    let body = response.text().await.unwrap();
    assert!(serde_json::from_str::<Value>(&body).unwrap_err().is_syntax());
    assert!(body.starts_with(r#"{"results":[{"id":"0-20""#), "{body}");
}

#[tokio::test]
async fn a_page_can_repeat_items_of_the_page_before() {
    let (_server, client) = start_broken(FaultKind::RepeatItems, Pages::All, Times::Always).await;
    let expected: Vec<_> = (15..30).map(|index| format!("0-{index}")).collect();
    assert_eq!(ids(&client.page(PAGE_3).await), expected);
    let first = client.page("/api/v1/test-data?count=50&page=1").await;
    assert_eq!(ids(&first), (0..10).map(|index| format!("0-{index}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn next_links_can_loop() {
    let (_server, client) = start_broken(FaultKind::NextLoops, Pages::One(5), Times::Always).await;
    let mut at = String::from("/api/v1/test-data?count=50");
    let mut pages = Vec::new();
    for _ in 0..6 {
        let page = client.page(&at).await;
        at = client.next(&page).unwrap();
        pages.push(ids(&page));
    }
    assert_eq!(pages[0], pages[5], "after the last page comes the first");
}
