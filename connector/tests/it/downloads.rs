//! Attachments: where they may be, what is sent there, and what is taken.

use resume_connector::Answer;
use resume_core::{
    attachment::{MAX_BYTES, NewAttachment},
    source::definition::Definition,
};
use serde_json::{Value, json};

use crate::{
    code_of, connector, definition, list,
    server::{Server, answer, ok},
};

/// A source with a credential, whose attachments may be on localhost.
fn source(server: &Server) -> Definition {
    let secret = std::env::temp_dir().join(format!("resume-download-secret-{}", server.port()));
    std::fs::write(&secret, "hunter2").unwrap();
    let others = json!({
        "auth": [{"bearer": format!("file:{}", secret.display())}], "headers": {"X-Version": "7"},
        "attachments": {"at": "files", "hosts": ["localhost"]},
    });
    definition(server, list(json!({"single": {}})), others)
}

async fn download(source: &Definition, address: &str) -> Result<Answer<NewAttachment>, String> {
    match connector().prepare_download(source, &source.base_url, address).await {
        Ok(call) => Ok(call.send().await),
        Err(error) => Err(error.code().unwrap()),
    }
}

fn pdf(_: &crate::server::Seen) -> Vec<u8> {
    answer("200 OK", &["Content-Type: application/octet-stream"], "%PDF-1.7")
}

#[tokio::test]
async fn credentials_go_to_the_source_alone() {
    let server = Server::start(pdf).await;
    let source = source(&server);
    let file = download(&source, &server.url("/files/1?x=%20")).await.unwrap().result.unwrap();
    assert_eq!((file.media_type, file.bytes.as_slice()), ("application/pdf", &b"%PDF-1.7"[..]));
    let elsewhere = format!("http://localhost:{}/files/2", server.port());
    download(&source, &elsewhere).await.unwrap().result.unwrap();
    let seen = server.seen();
    assert_eq!([&*seen[0].line, &*seen[1].line], ["GET /files/1?x=%20", "GET /files/2"]);
    assert_eq!(
        (seen[0].header("authorization"), seen[0].header("x-version")),
        (Some("Bearer hunter2"), Some("7"))
    );
    assert_eq!((seen[1].header("authorization"), seen[1].header("x-version")), (None, None));
    assert!(seen.iter().all(|seen| seen.header("accept-encoding") == Some("identity")));
}

#[tokio::test]
async fn only_allowed_hosts_are_called() {
    let server = Server::start(pdf).await;
    let mut source = source(&server);
    let port = server.port();
    for address in [
        "https://evil.example/x".to_owned(),
        "https://localhost.evil.example/x".to_owned(),
        "https://xlocalhost/x".to_owned(),
        format!("http://me:secret@localhost:{port}/x"),
        "file:///etc/passwd".to_owned(),
        "ftp://localhost/x".to_owned(),
        "data:text/plain,x".to_owned(),
        format!("http://[::1]:{port}/x"),
    ] {
        assert_eq!(download(&source, &address).await.unwrap_err(), "attachment_foreign", "{address}");
    }
    let with_password = format!("http://me:secret@127.0.0.1:{port}/x");
    assert_eq!(download(&source, &with_password).await.unwrap_err(), "next_link_foreign");
    for address in
        ["", "/x", "not an address", "http://[", &format!("https://localhost/{}", "x".repeat(9000))]
    {
        assert_eq!(download(&source, address).await.unwrap_err(), "page_invalid_url", "{address}");
    }
    // Without leave for private networks it must be https, its own port, and a public address.
    source.allow_private_network = false;
    source.attachments.as_mut().unwrap().hosts.push("127.0.0.2".to_owned());
    for address in ["http://localhost/x".to_owned(), format!("https://localhost:{port}/x")] {
        assert_eq!(download(&source, &address).await.unwrap_err(), "attachment_foreign", "{address}");
    }
    assert_eq!(download(&source, "https://127.0.0.2/x").await.unwrap_err(), "address_not_allowed");
    let resolved = download(&source, "https://localhost/x").await.unwrap();
    assert_eq!(resolved.result.unwrap_err().code().unwrap(), "address_not_allowed");
    assert!(server.lines().is_empty());
}

#[tokio::test]
async fn a_star_stands_for_what_is_before_a_dot() {
    let mut source = source(&Server::start(pdf).await);
    source.attachments.as_mut().unwrap().hosts = vec!["*.files.example".to_owned()];
    let is_allowed = |host: &str| source.attachments.as_ref().unwrap().allow(host);
    assert!(is_allowed("a.files.example") && is_allowed("a.b.files.example"));
    assert!(!is_allowed("files.example") && !is_allowed(".files.example") && !is_allowed("xfiles.example"));
}

#[tokio::test]
async fn what_is_no_document_is_refused() {
    for (bytes, expected) in [
        (answer("200 OK", &["Content-Type: application/pdf"], "MZ\u{90}\0"), "attachment_type_not_allowed"),
        (answer("200 OK", &["Content-Type: image/svg+xml"], "<svg/>"), "attachment_type_not_allowed"),
        (answer("200 OK", &[], ""), "attachment_type_not_allowed"),
        (answer("200 OK", &["Content-Encoding: gzip"], "x"), "page_invalid_encoding"),
        (answer("302 Found", &["Location: https://evil.example/"], ""), "source_redirected"),
        (answer("403 Forbidden", &[], ""), "source_http_403"),
    ] {
        let server = Server::start(move |_| bytes.clone()).await;
        let got = download(&source(&server), &server.url("/x")).await.unwrap();
        assert_eq!(code_of(&got), expected);
    }
}

#[tokio::test]
async fn a_large_attachment_is_cut_off_where_it_is_too_large() {
    let body = vec![b'a'; MAX_BYTES + 1];
    // Announced, and not.
    let chunked = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}", "a".repeat(MAX_BYTES + 1));
    for bytes in [ok(&body), chunked.into_bytes()] {
        let server = Server::start(move |_| bytes.clone()).await;
        let got = download(&source(&server), &server.url("/x")).await.unwrap();
        assert_eq!(code_of(&got), "attachment_too_large");
    }
    let server = Server::start(move |_| ok(&body[..MAX_BYTES])).await;
    let got = download(&source(&server), &server.url("/x")).await.unwrap();
    assert_eq!(got.result.unwrap().bytes.len(), MAX_BYTES);
}

#[tokio::test]
async fn an_attachment_has_hosts_that_are_hosts() {
    let server = Server::start(pdf).await;
    let mut value: Value = serde_json::to_value(source(&server)).unwrap();
    for (host, is_right) in [
        ("files.example", true),
        ("*.files.example", true),
        ("localhost", true),
        ("127.0.0.1", true),
        ("*", false),
        ("*.com", false),
        ("a.*", false),
        ("https://a", false),
        ("a:80", false),
        ("a/b", false),
        ("A", false),
        ("", false),
        ("a..b", false),
        ("-a", false),
    ] {
        value["attachments"]["hosts"] = json!([host]);
        assert_eq!(Definition::from_json(&value).is_ok(), is_right, "{host}");
    }
    value["attachments"] = json!({"at": "files[?"});
    assert!(Definition::from_json(&value).unwrap_err().to_string().starts_with("/attachments/at: "));
}
