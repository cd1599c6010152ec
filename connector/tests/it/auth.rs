use std::sync::atomic::{AtomicUsize, Ordering};

use resume_connector::CallError;
use resume_core::source::definition::Step;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::{
    call, code, connector, definition, list,
    server::{Server, answer, ok},
    values,
};

const SECRET: &str = "hunter2-is-secret";

fn secret_file() -> (NamedTempFile, String) {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{SECRET}\n")).unwrap();
    let reference = format!("file:{}", file.path().display());
    (file, reference)
}

fn client_credentials(server: &Server, reference: &str) -> Value {
    let auth = json!({"client_credentials": {
        "token_url": server.url("/token"), "client_id": reference, "client_secret": reference,
    }});
    json!({"auth": [auth]})
}

#[tokio::test]
async fn proofs_are_headers() {
    let server = Server::start(|_| ok(r#"{"data": []}"#)).await;
    let (_file, reference) = secret_file();
    for (auth, name, value) in [
        (json!({"basic": {"user": reference}}), "authorization", "Basic aHVudGVyMi1pcy1zZWNyZXQ6"),
        (json!({"bearer": reference}), "authorization", "Bearer hunter2-is-secret"),
        (
            json!({"header": {"name": "X-Key", "prefix": "Token token=", "value": reference}}),
            "x-key",
            "Token token=hunter2-is-secret",
        ),
    ] {
        let definition = definition(&server, list(json!({"single": {}})), json!({"auth": [auth]}));
        call(&definition, None).await.result.unwrap();
        assert_eq!(server.seen().last().unwrap().header(name), Some(value));
    }
}

#[tokio::test]
async fn a_secret_that_was_changed_is_used_at_once() {
    let server = Server::start(|_| ok(r#"{"data": []}"#)).await;
    let (file, reference) = secret_file();
    let others = json!({"auth": [{"bearer": reference}]});
    let definition = definition(&server, list(json!({"single": {}})), others);
    let connector = connector();
    for text in ["one", "two"] {
        std::fs::write(file.path(), text).unwrap();
        connector.call(&definition, Step::List, &definition.base_url, None, &values()).await.result.unwrap();
        assert_eq!(
            server.seen().last().unwrap().header("authorization"),
            Some(format!("Bearer {text}").as_str())
        );
    }
    file.close().unwrap();
    let answer = connector.call(&definition, Step::List, &definition.base_url, None, &values()).await;
    assert_eq!((code(&answer).as_str(), answer.status), ("secret_missing", None));
}

#[tokio::test]
async fn one_token_serves_all_calls_until_it_is_refused() {
    let tokens = AtomicUsize::new(0);
    let server = Server::start(move |seen| {
        if seen.line == "POST /token" {
            let number = tokens.fetch_add(1, Ordering::Relaxed);
            return ok(format!(
                r#"{{"access_token": "t{number}", "token_type": "bearer", "expires_in": 3600}}"#
            ));
        }
        match seen.header("authorization") {
            Some("Bearer t0") if seen.line.contains("stale") => answer("401 No", &[], ""),
            _ => ok(r#"{"data": []}"#),
        }
    })
    .await;
    let (_file, reference) = secret_file();
    let cursor = json!({"cursor": {"token": "/next", "param": "cursor"}});
    let definition = definition(&server, list(cursor), client_credentials(&server, &reference));
    let connector = connector();
    let ask = async |link| {
        connector.call(&definition, Step::List, &definition.base_url, link, &values()).await.result
    };
    let (one, two, three) = tokio::join!(ask(None), ask(None), ask(None));
    assert!(one.is_ok() && two.is_ok() && three.is_ok());
    assert_eq!(server.lines().iter().filter(|line| *line == "POST /token").count(), 1);
    assert!(matches!(ask(Some("stale")).await, Err(CallError::TokenExpired)));
    assert!(ask(Some("stale")).await.is_ok());
    assert_eq!(server.lines().iter().filter(|line| *line == "POST /token").count(), 2);
}

#[tokio::test]
async fn a_fresh_token_that_is_refused_is_a_refusal() {
    let server = Server::start(|seen| match seen.line.as_str() {
        "POST /token" if seen.header("authorization").is_some() => answer("401 No", &[], ""),
        "POST /token" => {
            assert!(seen.body.contains(&format!("client_secret={SECRET}")), "{}", seen.body);
            ok(r#"{"access_token": "t"}"#)
        }
        _ => answer("401 No", &[], ""),
    })
    .await;
    let (_file, reference) = secret_file();
    let others = client_credentials(&server, &reference);
    let answer = call(&definition(&server, list(json!({"single": {}})), others), None).await;
    assert_eq!(code(&answer), "source_http_401");
}

/// Some systems answer 403 to a token that has expired, with or without saying so.
#[tokio::test]
async fn a_403_may_be_a_token_that_has_expired() {
    let tokens = AtomicUsize::new(0);
    let server = Server::start(move |seen| {
        if seen.line == "POST /token" {
            let number = tokens.fetch_add(1, Ordering::Relaxed);
            return ok(format!(r#"{{"access_token": "t{number}", "expires_in": 3600}}"#));
        }
        match seen.header("authorization") {
            Some("Bearer t0") if seen.line.contains("stale") => answer("403 No", &[], ""),
            _ if seen.line.contains("forbidden") => answer("403 No", &[], ""),
            _ => ok(r#"{"data": []}"#),
        }
    })
    .await;
    let (_file, reference) = secret_file();
    let cursor = json!({"cursor": {"token": "/next", "param": "cursor"}});
    let definition = definition(&server, list(cursor), client_credentials(&server, &reference));
    let connector = connector();
    let ask = async |link| {
        connector.call(&definition, Step::List, &definition.base_url, link, &values()).await.result
    };
    ask(None).await.unwrap();
    assert!(matches!(ask(Some("stale")).await, Err(CallError::TokenExpired)));
    ask(Some("stale")).await.unwrap();
    assert!(matches!(ask(Some("forbidden")).await, Err(CallError::TokenExpired)));
    // Another call has fetched the next token meanwhile: this one is newer than the refusal all the same.
    ask(None).await.unwrap();
    let forbidden = ask(Some("forbidden")).await.unwrap_err();
    assert_eq!(forbidden.code().as_deref(), Some("source_http_403"));
    assert_eq!(server.lines().iter().filter(|line| *line == "POST /token").count(), 3);
    ask(None).await.unwrap();
    assert_eq!(server.lines().iter().filter(|line| *line == "POST /token").count(), 3, "the token is good");
}

/// A call may wait long for its turn after it was made ready: it is sent with the token of then.
#[tokio::test]
async fn a_call_is_sent_with_the_newest_token() {
    let tokens = AtomicUsize::new(0);
    let server = Server::start(move |seen| {
        if seen.line == "POST /token" {
            let number = tokens.fetch_add(1, Ordering::Relaxed);
            return ok(format!(r#"{{"access_token": "t{number}", "expires_in": 3600}}"#));
        }
        match seen.header("authorization") {
            Some("Bearer t0") => answer("403 No", &[], r#"{"error": "token_expired"}"#),
            _ => ok(r#"{"data": []}"#),
        }
    })
    .await;
    let (_file, reference) = secret_file();
    let others = client_credentials(&server, &reference);
    let definition = definition(&server, list(json!({"single": {}})), others);
    let connector = connector();
    let prepare =
        async || connector.prepare(&definition, Step::List, &definition.base_url, None, &values()).await;
    let [_, refused, waiting] =
        [prepare().await.unwrap(), prepare().await.unwrap(), prepare().await.unwrap()];
    assert!(matches!(refused.send().await.result, Err(CallError::TokenExpired)));
    assert!(prepare().await.unwrap().send().await.result.is_ok());
    assert!(waiting.send().await.result.is_ok());
    assert_eq!(server.lines().iter().filter(|line| *line == "POST /token").count(), 2);
}

/// An endpoint that answers 200 to everything, and wants to know who the client is in the body.
#[tokio::test]
async fn an_error_in_a_200_is_a_refusal() {
    for (error, expected) in [
        (r#"{"error": "invalid_client"}"#, "token_refused:invalid_client"),
        (r#"{"ok": false, "error": "no hunter2-is-secret here"}"#, "token_refused"),
    ] {
        let (_file, reference) = secret_file();
        for takes_body in [true, false] {
            let server = Server::start(move |seen| match seen.line.as_str() {
                "POST /token" if takes_body && seen.header("authorization").is_none() => {
                    ok(r#"{"access_token": "good"}"#)
                }
                "POST /token" => ok(error),
                _ => ok(r#"{"data": []}"#),
            })
            .await;
            let others = client_credentials(&server, &reference);
            let answer = call(&definition(&server, list(json!({"single": {}})), others), None).await;
            if takes_body {
                assert!(answer.result.is_ok(), "{answer:?}");
            } else {
                assert_eq!(code(&answer), expected);
                assert!(!format!("{answer:?}").contains(SECRET), "{answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn secrets_are_in_no_error() {
    for (token, expected) in [
        (answer("500 Oops", &[], SECRET), "token_http_500"),
        (answer("403 No", &[], SECRET), "token_http_403"),
        (ok(format!(r#"{{"access_token": ["{SECRET}"]}}"#)), "token_invalid"),
        (ok(format!(r#""{SECRET}""#)), "token_invalid"),
        (b"HTTP/1.1 hunter2-is-secret\r\n\r\n".to_vec(), "token_unreachable"),
        (ok(format!(r#"{{"access_token": "{SECRET}"}}"#)), "source_http_500"),
    ] {
        let server = Server::start(move |seen| match seen.line.as_str() {
            "POST /token" => token.clone(),
            _ => answer("500 Oops", &[], SECRET),
        })
        .await;
        let (_file, reference) = secret_file();
        let others = client_credentials(&server, &reference);
        let answer = call(&definition(&server, list(json!({"single": {}})), others), None).await;
        assert_eq!(code(&answer), expected);
        let shown = format!("{answer:?} {}", answer.result.as_ref().unwrap_err());
        assert!(!shown.contains(SECRET), "{shown}");
    }
}
