use std::time::Duration;

use mock_ats::{Answer, Ats, Face, PageQuery, Reply, Settings, Stats};
use serde_json::json;

use crate::{start, start_with};

const PATH: &str = "/api/v1/test-data?count=1";

#[tokio::test]
async fn a_call_over_the_limit_is_told_when_to_come_back() {
    // So small that four calls are over within a second on any machine.
    let (server, client) = start_with(Settings { calls_per_second: 3, ..Settings::without_latency() }).await;
    for path in [PATH, "/api/v1/json-resumes?count=1", PATH] {
        client.page(path).await;
    }
    let response = client.get(PATH).await;
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let problem: serde_json::Value = response.json().await.unwrap();
    let detail = "more than 3 calls in one second";
    assert_eq!(
        problem,
        json!({"type": "about:blank", "title": "Too Many Requests", "status": 429, "detail": detail})
    );
    let expected = Stats { calls: 4, served: 3, rate_limited: 1, faulted: 0, max_calls_in_one_second: 4 };
    assert_eq!(server.ats().stats(), expected);
    assert_eq!(client.page("/stats").await, serde_json::to_value(expected).unwrap());
}

#[tokio::test(start_paused = true)]
async fn thirty_calls_are_accepted_and_the_31st_is_not() {
    let ats = Ats::new(Settings::default());
    let call = || ats.answer(Face::TestData, PageQuery::default(), "http://h");
    let answers = futures_util::future::join_all((0..31).map(|_| call())).await;
    let statuses: Vec<_> = answers.iter().map(|answer| reply(answer).status.as_u16()).collect();
    assert_eq!(statuses[..30], [200; 30]);
    assert_eq!(statuses[30], 429);
}

#[tokio::test]
async fn the_limit_can_be_changed_while_running() {
    let (server, client) = start().await;
    client.page(PATH).await;
    server.ats().set_calls_per_second(0);
    client.problem(PATH, 429).await;
    server.ats().set_calls_per_second(100);
    client.page(PATH).await;
}

#[tokio::test]
async fn the_limit_is_told_when_asked_for_and_a_change_at_once() {
    let (server, client) = start_with(Settings::without_latency()).await;
    assert!(client.get(PATH).await.headers().get("ratelimit").is_none());
    server.ats().set_limit_headers(true);
    let response = client.get(PATH).await;
    assert_eq!(response.headers()["ratelimit-policy"], r#""default";q=30;w=1"#);
    let told = response.headers()["ratelimit"].to_str().unwrap();
    assert!([r#""default";r=28;t=1"#, r#""default";r=29;t=1"#].contains(&told), "{told}");
    server.ats().set_calls_per_second(0);
    let refusal = client.get(PATH).await;
    assert_eq!(refusal.status(), 429);
    assert_eq!(refusal.headers()["ratelimit-policy"], r#""default";q=0;w=1"#);
    assert_eq!(refusal.headers()["ratelimit"], r#""default";r=0;t=1"#);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_as_told_gets_in_when_there_is_room() {
    let ats = Ats::new(Settings::default());
    let tasks = (0..90).map(|_| async {
        let mut refusals = 0;
        loop {
            let answer = ats.answer(Face::TestData, PageQuery::default(), "http://h").await;
            let Some(seconds) = reply(&answer).retry_after_seconds else { return refusals };
            refusals += 1;
            tokio::time::sleep(Duration::from_secs(seconds)).await;
        }
    });
    let refusals: Vec<u32> = futures_util::future::join_all(tasks).await;
    // 90 at once: 30 go in, 60 wait a second, 30 go in, 30 wait another.
    let refused = |times| refusals.iter().filter(|&&refusals| refusals == times).count();
    assert_eq!([refused(0), refused(1), refused(2)], [30; 3]);
    let expected =
        Stats { calls: 180, served: 90, rate_limited: 90, faulted: 0, max_calls_in_one_second: 90 };
    assert_eq!(ats.stats(), expected);
}

fn reply(answer: &Answer) -> &Reply {
    match answer {
        Answer::Whole(reply) => reply,
        other => panic!("{other:?}"),
    }
}
