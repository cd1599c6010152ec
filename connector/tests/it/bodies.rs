use std::{io::Write, net::SocketAddr, time::Duration};

use resume_connector::{CallError, Connector, PAGE_BYTES_MAX, Timeouts};
use resume_core::source::definition::{Definition, Step};
use serde_json::json;
use tokio::net::{TcpSocket, TcpStream};

use crate::{
    call, code, definition, list,
    server::{Server, answer, ok},
    values,
};

async fn code_of(bytes: Vec<u8>) -> (String, u64) {
    let server = Server::start(move |_| bytes.clone()).await;
    let answer = call(&definition(&server, list(json!({"single": {}})), json!({})), None).await;
    (code(&answer), answer.bytes)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn gzip_is_unpacked_and_counted_as_received() {
    let packed = gzip(&[br#"{"data": [1"#.as_slice(), &[b' '; 10_000], b"]}"].concat());
    let length = packed.len() as u64;
    let server = Server::start(move |_| answer("200 OK", &["Content-Encoding: gzip"], &packed)).await;
    let answer = call(&definition(&server, list(json!({"single": {}})), json!({})), None).await;
    assert_eq!((answer.result.unwrap().items.len(), answer.bytes), (1, length));
    assert_eq!(server.seen()[0].header("accept-encoding"), Some("gzip"));
}

#[tokio::test]
async fn large_bodies_end_at_the_limit() {
    let bomb = answer("200 OK", &["Content-Encoding: gzip"], gzip(&vec![b' '; 4 * PAGE_BYTES_MAX]));
    assert_eq!(code_of(bomb).await.0, "page_too_large");
    let (code, bytes) = code_of(ok(vec![b' '; 2 * PAGE_BYTES_MAX])).await;
    assert_eq!(code, "page_too_large");
    assert!(bytes < PAGE_BYTES_MAX as u64 + 1_000_000, "{bytes}");
}

#[tokio::test]
async fn broken_answers_have_their_codes() {
    for (bytes, expected) in [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{\"data\": [".to_vec(), "source_unreachable"),
        (b"HTTP/1.1 200 OK\r\n\r\n{\"data\": [".to_vec(), "page_invalid_json"),
        (b"rubbish\r\n\r\n".to_vec(), "source_unreachable"),
        (answer("200 OK", &["Content-Encoding: gzip"], "[]"), "page_invalid_encoding"),
        (answer("200 OK", &["Content-Encoding: br"], "[]"), "page_invalid_encoding"),
        (answer("202 Accepted", &[], r#"{"data": []}"#), "source_http_202"),
        (answer("304 Not Modified", &[], ""), "source_http_304"),
        (answer("503 Busy", &[], ""), "source_http_503"),
    ] {
        assert_eq!(code_of(bytes.clone()).await.0, expected, "{}", String::from_utf8_lossy(&bytes));
    }
}

#[tokio::test]
async fn a_page_comes_with_any_success() {
    let page = r#"{"data": [1, 2]}"#;
    for (status, body, items) in [
        ("201 Created", page, 2),
        ("203 Non-Authoritative Information", page, 2),
        ("206 Partial Content", page, 2),
        ("204 No Content", "", 0),
        ("205 Reset Content", "", 0),
        // Behind the end: the values are those of a third page.
        ("200 OK", "", 0),
        ("200 OK", r#"{"data": null}"#, 0),
    ] {
        let server = Server::start(move |_| answer(status, &[], body)).await;
        let answer = call(&definition(&server, list(json!({"numbered": {}})), json!({})), None).await;
        let page = answer.result.unwrap();
        assert_eq!((page.items.len(), page.next), (items, None), "{status}: {body}");
    }
}

#[tokio::test]
async fn silence_ends_in_time() {
    let server = Server::start(|_| Vec::new()).await;
    let definition = definition(&server, list(json!({"single": {}})), json!({}));
    let timeouts = Timeouts { read: Duration::from_millis(50), ..Timeouts::default() };
    let connector = Connector::new(timeouts, std::env::temp_dir()).unwrap();
    assert_eq!(
        code(&connector.call(&definition, Step::List, &definition.base_url, None, &values()).await),
        "source_timeout"
    );
}

/// A host that takes no connection is away, whether it refuses it or lets us wait: a broken answer may be one
/// page's, this is not.
#[tokio::test]
async fn a_host_that_takes_no_connection_is_away() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = socket.local_addr().unwrap();
    let source = away(address);
    let timeouts = Timeouts { connect: Duration::from_millis(200), ..Timeouts::default() };
    let connector = Connector::new(timeouts, std::env::temp_dir()).unwrap();
    let answer = connector.call(&source, Step::List, &source.base_url, None, &values()).await;
    assert_eq!(code(&answer), "source_unreachable");
    assert!(answer.result.unwrap_err().is_of_source());

    // One that nobody accepts from: when its queue is full, the kernel answers no more.
    let _listener = socket.listen(0).unwrap();
    let mut waiting = Vec::new();
    while let Ok(connected) =
        tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(address)).await
    {
        waiting.push(connected.unwrap());
    }
    let answer = connector.call(&source, Step::List, &source.base_url, None, &values()).await;
    assert_eq!(code(&answer), "source_timeout");
    assert!(answer.result.unwrap_err().is_of_source());
}

fn away(address: SocketAddr) -> Definition {
    let mut definition = Definition::original("away", &format!("http://{address}"), "/", 1);
    definition.allow_private_network = true;
    definition
}

#[tokio::test]
async fn a_rate_limit_is_no_failure() {
    let server =
        Server::start(|_| answer("429 Slow Down", &["Retry-After: 7", "X-RateLimit-Limit: 5"], "")).await;
    let answer = call(&definition(&server, list(json!({"single": {}})), json!({})), None).await;
    assert!(matches!(answer.result, Err(CallError::RateLimited(wait)) if wait == Duration::from_secs(7)));
    assert_eq!(answer.headers["x-ratelimit-limit"], "5");
}
