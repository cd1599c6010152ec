use serde_json::json;

use crate::{
    call, code, definition, list,
    server::{Server, answer, ok},
};

#[tokio::test]
async fn private_addresses_are_refused_unless_allowed() {
    let server = Server::start(|_| ok(r#"{"data": []}"#)).await;
    let port = server.port();
    let mut definition = definition(&server, list(json!({"single": {}})), json!({}));
    definition.allow_private_network = false;
    // A name, which is looked up, and spellings of addresses, which are not.
    for host in ["localhost", "127.0.0.1", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"] {
        definition.base_url = format!("http://{host}:{port}/v1");
        let answer = call(&definition, None).await;
        assert_eq!(code(&answer), "address_not_allowed", "{host}");
        let text = answer.result.unwrap_err().to_string();
        assert!(text.contains("allow_private_network"), "{text}");
    }
    assert!(server.lines().is_empty());
    definition.allow_private_network = true;
    definition.base_url = format!("http://localhost:{port}/v1");
    assert!(call(&definition, None).await.result.is_ok());
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let server = Server::start(|_| {
        answer("302 Found", &["Location: https://elsewhere.example/secret/path?key=1"], "")
    })
    .await;
    let answer = call(&definition(&server, list(json!({"single": {}})), json!({})), None).await;
    assert_eq!((code(&answer).as_str(), answer.status), ("source_redirected", Some(302)));
    let text = answer.result.unwrap_err().to_string();
    assert!(text.contains("elsewhere.example") && !text.contains("secret"), "{text}");
    assert_eq!(server.lines().len(), 1);
}
