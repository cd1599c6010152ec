//! Answers that refuse a call as one too many, in all their forms.

use std::time::Duration;

use resume_connector::{Answer, CallError};
use serde_json::{Value, json};

use crate::{
    call, code, definition, list,
    server::{Server, answer, ok},
};

async fn asked(reply: Vec<u8>, others: Value) -> Answer {
    let server = Server::start(move |_| reply.clone()).await;
    call(&definition(&server, list(json!({"single": {}})), others), None).await
}

/// For how long the call is refused.
fn refused_for(answer: &Answer) -> Option<u64> {
    match &answer.result {
        Err(CallError::RateLimited(wait)) => Some(wait.as_secs()),
        _ => None,
    }
}

#[tokio::test]
async fn refusals_have_many_forms() {
    let secondary = r#"{"message": "You have exceeded a secondary rate limit. Please wait."}"#;
    let google = r#"{"error": {"errors": [{"reason": "rateLimitExceeded"}]}}"#;
    for (status, headers, body, wait) in [
        ("429 No", vec![], "", 1),
        ("420 Enhance Your Calm", vec!["Retry-After: 5"], "", 5),
        ("420 Enhance Your Calm", vec![], "", 1),
        ("430 No", vec!["Retry-After: 5.5"], "", 6),
        ("503 Later", vec!["Retry-After: 7"], "", 7),
        ("509 Bandwidth", vec![], "", 1),
        ("529 Overloaded", vec![], "", 1),
        ("400 No", vec!["Retry-After: 7"], "", 7),
        ("413 No", vec!["Retry-After: 7"], "", 7),
        ("403 No", vec!["Retry-After: 7"], "", 7),
        ("403 No", vec!["X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 9"], "", 9),
        ("403 No", vec!["X-RateLimit-Remaining: 0"], "", 1),
        ("403 No", vec![], secondary, 1),
        ("403 No", vec![], google, 1),
        ("403 No", vec![], "<html>Too many requests", 1),
        ("429 No", vec!["X-RateLimit-Reset: 9"], "", 9),
    ] {
        let answer = asked(answer(status, &headers, body), json!({})).await;
        assert_eq!(refused_for(&answer), Some(wait), "{status} {headers:?} {body}");
    }
}

#[tokio::test]
async fn other_answers_are_no_refusals() {
    for (status, headers, body, expected) in [
        ("403 No", vec!["X-RateLimit-Remaining: 9"], r#"{"message": "Forbidden"}"#, "source_http_403"),
        ("404 No", vec!["Retry-After: 7"], "", "source_http_404"),
        ("401 No", vec!["Retry-After: 7"], "rate limit", "source_http_401"),
        ("503 Later", vec![], "rate limit", "source_http_503"),
        ("500 Oops", vec!["Retry-After: 7"], "", "source_http_500"),
        ("400 No", vec![], "rate limit", "source_http_400"),
    ] {
        let answer = asked(answer(status, &headers, body), json!({})).await;
        assert_eq!(code(&answer), expected, "{status} {headers:?} {body}");
    }
}

#[tokio::test]
async fn a_definition_says_what_else_is_one() {
    let refusals = json!({"refusals": [
        {"status": 400, "text": "Slow Down"}, {"status": 999}, {"status": 200, "text": "throttled"},
    ]});
    for (reply, is_refused) in [
        (answer("400 No", &[], "please slow down"), true),
        (answer("400 No", &[], "please"), false),
        (answer("999 No", &[], ""), true),
        (ok(r#"{"error": "Throttled"}"#), true),
        (ok(r#"{"error": "other"}"#), false),
        (answer("400 No", &[], format!("{}slow down", " ".repeat(70_000))), false),
    ] {
        let answer = asked(reply, refusals.clone()).await;
        assert_eq!(refused_for(&answer).is_some(), is_refused, "{answer:?}");
    }
    let page = ok(r#"{"data": [{"id": 1, "name": "throttled"}]}"#);
    assert_eq!(asked(page, refusals).await.result.unwrap().items.len(), 1, "a page is a page");
}

/// An endless body costs no more than its beginning.
#[tokio::test]
async fn no_more_than_the_beginning_of_a_refusal_is_read() {
    let mut endless = b"HTTP/1.1 403 No\r\nContent-Length: 1000000000\r\n\r\nrate limit ".to_vec();
    endless.resize(1_000_000, b' ');
    let answer = asked(endless, json!({})).await;
    assert_eq!(refused_for(&answer), Some(1));
    assert!(answer.bytes < 200_000 && answer.took < Duration::from_secs(5), "{answer:?}");
}
