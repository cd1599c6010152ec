//! Faults of what proves who we are, and of the headers beside it.

use super::{
    faults::{check, fine},
    *,
};

#[test]
fn secrets_go_over_https_alone() {
    let auth = json!([{"client_credentials":
        {"token_url": "http://c/token", "client_id": "env:RESUME_SECRET_A", "client_secret": "env:RESUME_SECRET_B"}}]);
    let mut definition =
        with(&[("/base_url", json!("http://a")), ("/fallback_urls", json!(["http://b"])), ("/auth", auth)]);
    let expected = |at: &str| {
        format!(
            "{at}: write https://, because secrets go over it; `allow_private_network: true` allows http://"
        )
    };
    let places = ["/base_url", "/fallback_urls/0", "/auth/0/client_credentials/token_url"];
    assert_eq!(faults(&definition), places.map(expected));
    definition["allow_private_network"] = json!(true);
    assert_eq!(faults(&definition), [""; 0]);
}

#[test]
fn a_refresh_token_is_in_a_file() {
    let auth = |refresh_token: &str| json!([{"refresh_token": {"token_url": "https://a", "client_id": "env:RESUME_SECRET_I", "refresh_token": refresh_token}}]);
    assert_eq!(faults(&with(&[("/auth", auth("file:/run/secrets/acme"))])), [""; 0]);
    let expected = "/auth/0/refresh_token/refresh_token: write file:/path: the token endpoint gives another refresh token";
    let found = faults(&with(&[("/auth", auth("env:RESUME_SECRET_ACME"))]));
    assert!(found.len() == 1 && found[0].starts_with(expected), "{found:?}");
}

#[test]
fn a_login_is_looked_at_field_by_field() {
    let login = json!({
        "url": "http://a/login?user=me", "body": {"a/b": "hunter2"}, "token": "token", "header": "Host", "prefix": "\n",
    });
    let found = faults(&with(&[("/auth", json!([{"login": login}]))]));
    let places: Vec<&str> = found.iter().map(|fault| fault.split(": ").next().unwrap()).collect();
    let fields = ["url", "body/a~1b", "token", "header", "prefix"];
    assert_eq!(places, fields.map(|field| format!("/auth/0/login/{field}")));
    assert!(!found.concat().contains("hunter2"));
    let both = json!([{"bearer": "env:RESUME_SECRET_A"}, {"login": {"url": "https://a", "body": {}, "token": "/t"}}]);
    let found = faults(&with(&[("/auth", both)]));
    assert_eq!(found, ["/auth/1: sets the same header as /auth/0: only one can be sent"]);
}

#[test]
fn a_secret_that_stands_there_is_not_shown() {
    let secret = "sk_live_hunter2";
    let fields = [
        (json!({"basic": {"user": secret, "password": "env:RESUME_SECRET_P"}}), "basic/user"),
        (json!({"basic": {"user": "env:RESUME_SECRET_U", "password": secret}}), "basic/password"),
        (json!({"bearer": secret}), "bearer"),
        (json!({"header": {"name": "X-Key", "value": secret}}), "header/value"),
        (
            json!({"client_credentials":
                {"token_url": "https://a", "client_id": secret, "client_secret": "env:RESUME_SECRET_S"}}),
            "client_credentials/client_id",
        ),
        (
            json!({"client_credentials":
                {"token_url": "https://a", "client_id": "env:RESUME_SECRET_I", "client_secret": secret}}),
            "client_credentials/client_secret",
        ),
        (
            json!({"refresh_token": {"token_url": "https://a", "client_id": "env:RESUME_SECRET_I", "refresh_token": secret}}),
            "refresh_token/refresh_token",
        ),
        (
            json!({"login": {"url": "https://a", "body": {"password": secret}, "token": "/token"}}),
            "login/body/password",
        ),
    ];
    for (auth, field) in fields {
        let expected = format!(
            "/auth/0/{field}: write env:RESUME_SECRET_NAME or file:/path, where the secret is, and not the secret itself; what stands \
             here is not shown"
        );
        check("/auth", json!([auth]), &expected);
    }
    for reference in ["env:", "env:1A", "env:RESUME_SECRET_A-B", "file:relative", "ENV:A", ""] {
        let found = faults(&with(&[("/auth", json!([{"bearer": reference}]))]));
        assert!(
            found[0].starts_with("/auth/0/bearer: write env:RESUME_SECRET_NAME"),
            "{reference}: {found:?}"
        );
    }
    check("/auth", json!([{"bearer": "file:/a\nb"}]), "/auth/0/bearer: holds a control character");
    let long = format!("env:{}", "A".repeat(501));
    check("/auth", json!([{"bearer": long}]), "/auth/0/bearer: 501 bytes, the most is 500");
}

#[test]
fn headers_of_auth() {
    let header = |name: &str, prefix: &str| json!([{"header": {"name": name, "prefix": prefix, "value": "env:RESUME_SECRET_A"}}]);
    check(
        "/auth",
        header("X Key", ""),
        "/auth/0/header/name: no name of a header: write letters, digits and `-`",
    );
    check(
        "/auth",
        header("Host", ""),
        "/auth/0/header/name: is set for each call as the call needs it: leave it out",
    );
    check(
        "/auth",
        header("X-Key", "a\r\nb: "),
        "/auth/0/header/prefix: holds what no header can: write visible ASCII characters and spaces",
    );
    fine("/auth", [header("Authorization", ""), header("cookie", "session="), header("X-Key", "")]);
    check(
        "/auth",
        json!([{"basic": {"user": "env:RESUME_SECRET_A"}}, {"bearer": "env:RESUME_SECRET_B"}]),
        "/auth/1: sets the same header as /auth/0: only one can be sent",
    );
    check(
        "/auth",
        json!(vec![json!({"bearer": "env:RESUME_SECRET_A"}); 5]),
        "/auth: 5 proofs, the most is 4",
    );
    fine(
        "/auth",
        [
            json!([{"bearer": "env:RESUME_SECRET_A"}, {"header": {"name": "X-Account-Token", "value": "env:RESUME_SECRET_B"}}]),
        ],
    );
}

#[test]
fn headers() {
    let header = |name: &str, value: &str| json!({name: value});
    check("/headers", header("A/B", ""), "/headers/A~1B: no name of a header: write letters, digits and `-`");
    check("/headers", header("", ""), "/headers/: no name of a header: write letters, digits and `-`");
    for name in ["Authorization", "COOKIE", "Proxy-Authorization"] {
        let expected = "proves who we are: write it into `auth`, with a reference to the secret";
        check("/headers", header(name, "x"), &format!("/headers/{name}: {expected}"));
    }
    for name in ["Host", "content-length", "Transfer-Encoding", "Connection"] {
        let expected = "is set for each call as the call needs it: leave it out";
        check("/headers", header(name, "x"), &format!("/headers/{name}: {expected}"));
    }
    for value in ["a\nb", "a\0", "é", "\t"] {
        let expected = "/headers/A: holds what no header can: write visible ASCII characters and spaces";
        check("/headers", header("A", value), expected);
    }
    check("/headers", header("A", &"x".repeat(1001)), "/headers/A: 1001 bytes, the most is 1000");
    check("/headers", header(&"x".repeat(101), ""), "/headers: 101 bytes in a name, the most is 100");
    check(
        "/headers",
        json!({"Accept": "a", "accept": "b"}),
        "/headers/accept: is set by /headers/Accept too: only one can be sent",
    );
    let many: serde_json::Map<String, Value> = (0..33).map(|n| (format!("X-{n}"), json!(""))).collect();
    check("/headers", Value::Object(many), "/headers: 33 headers, the most is 32");
    let both = [
        ("/auth", json!([{"header": {"name": "X-Key", "value": "env:RESUME_SECRET_A"}}])),
        ("/headers", header("x-key", "secret")),
    ];
    assert_eq!(faults(&with(&both)), ["/headers/x-key: is set by /auth/0 too: only one can be sent"]);
    fine("/headers", [header("Accept", "application/json; version=1"), header("X-Empty", "")]);
}

#[test]
fn a_secret_of_another_shape_is_not_shown() {
    let secret = "hunter2";
    for auth in [
        json!(secret),
        json!([secret]),
        json!([{"basic": secret}]),
        json!([{ secret: "env:RESUME_SECRET_A" }]),
        json!([{"bearer": [secret]}]),
        json!([{"bearer": "env:RESUME_SECRET_A", "x": secret}]),
        json!([{"header": {"name": "A", "value": "env:RESUME_SECRET_A", secret: 1}}]),
    ] {
        let definition = with(&[("/auth", auth)]);
        let found = faults(&definition);
        assert!(found[0].starts_with("/auth") && found[0].contains("write one of basic"), "{found:?}");
        let of_yaml = Definition::from_yaml(&definition.to_string()).unwrap_err().to_string();
        assert!(of_yaml.starts_with(&found[0]) && of_yaml.contains("(line 1, column "), "{of_yaml}");
        assert!(!format!("{found:?}{of_yaml}").contains(secret), "{found:?} {of_yaml}");
    }
    check("/auth", json!([{"basic": {}}]), "/auth/0/basic: missing field `user`");
}
