//! Refresh tokens that are replaced with each use, and logins.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use resume_connector::{CallError, Connector, Timeouts};
use resume_core::source::definition::{Definition, Step};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    code, definition, list,
    server::{Server, answer, ok},
    shared_tokens::Fleet,
    values,
};

/// Secrets in a directory of their own: a refresh token, and what else a client has.
struct Desk {
    directory: TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { directory: tempfile::tempdir().unwrap() };
        fs::write(desk.path("refresh"), "r0\n").unwrap();
        fs::write(desk.path("client"), "me").unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn reference(&self, name: &str) -> String {
        format!("file:{}", self.path(name).display())
    }

    fn refresh_token(&self) -> String {
        fs::read_to_string(self.path("refresh")).unwrap()
    }

    /// The names of all files.
    fn files(&self) -> Vec<String> {
        let files = fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<String> =
            files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn connector(&self) -> Connector {
        Connector::new(Timeouts::default(), self.directory.path().to_owned()).unwrap()
    }

    fn definition(&self, server: &Server) -> Definition {
        let auth = json!([{"refresh_token": {
            "token_url": server.url("/token"), "client_id": self.reference("client"),
            "client_secret": self.reference("client"), "refresh_token": self.reference("refresh"),
        }}]);
        definition(server, list(json!({"single": {}})), json!({"auth": auth}))
    }
}

async fn ask(connector: &Connector, definition: &Definition) -> Result<(), CallError> {
    connector.call(definition, Step::List, &definition.base_url, None, &values()).await.result.map(|_| ())
}

/// A system whose refresh tokens are `r0`, `r1`, .., each good once, and whose access token is that of the
/// latest.
async fn rotating() -> (Server, Arc<AtomicUsize>) {
    let used = Arc::new(AtomicUsize::new(0));
    let count = used.clone();
    let server = Server::start(move |seen| {
        if seen.line == "POST /token" {
            assert!(seen.body.starts_with("grant_type=refresh_token&refresh_token="), "{}", seen.body);
            let next = used.load(Ordering::SeqCst) + 1;
            if !seen.body.contains(&format!("refresh_token=r{}", next - 1)) {
                return answer("400 Burned", &[], r#"{"error": "invalid_grant"}"#);
            }
            used.store(next, Ordering::SeqCst);
            return ok(format!(
                r#"{{"access_token": "t{next}", "expires_in": 3600, "refresh_token": "r{next}"}}"#
            ));
        }
        match seen.header("authorization") {
            Some(header) if header == format!("Bearer t{}", used.load(Ordering::SeqCst)) => {
                ok(r#"{"data": []}"#)
            }
            _ => answer("401 No", &[], ""),
        }
    })
    .await;
    (server, count)
}

#[tokio::test]
async fn a_refresh_token_is_replaced_in_its_file() {
    let (server, used) = rotating().await;
    let desk = Desk::new();
    let set_mode =
        |mode| fs::set_permissions(desk.path("refresh"), fs::Permissions::from_mode(mode)).unwrap();
    let mode = || fs::metadata(desk.path("refresh")).unwrap().permissions().mode() & 0o777;
    set_mode(0o640);
    let definition = desk.definition(&server);
    let connector = desk.connector();
    let (one, two, three) = tokio::join!(
        ask(&connector, &definition),
        ask(&connector, &definition),
        ask(&connector, &definition)
    );
    assert!(one.is_ok() && two.is_ok() && three.is_ok());
    assert_eq!((used.load(Ordering::SeqCst), desk.refresh_token().as_str()), (1, "r1\n"), "one asks for all");
    assert_eq!(mode(), 0o640, "who could read it still can");
    set_mode(0o400);
    assert_eq!(desk.files(), ["client", "refresh", "refresh.lock"]);
    // Another process goes on with what the first one kept, and takes the first one's access token away.
    ask(&desk.connector(), &definition).await.unwrap();
    assert!(matches!(ask(&connector, &definition).await, Err(CallError::TokenExpired)));
    ask(&connector, &definition).await.unwrap();
    assert_eq!((used.load(Ordering::SeqCst), desk.refresh_token().as_str()), (3, "r3\n"));
    assert_eq!(mode(), 0o400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn processes_that_share_a_file_ask_one_after_the_other() {
    let (server, used) = rotating().await;
    let desk = Arc::new(Desk::new());
    let definition = Arc::new(desk.definition(&server));
    let asking: Vec<_> = (0..8)
        .map(|_| {
            let (desk, definition) = (desk.clone(), definition.clone());
            tokio::spawn(async move {
                desk.connector()
                    .prepare(&definition, Step::List, &definition.base_url, None, &values())
                    .await
                    .map(|_| ())
            })
        })
        .collect();
    for asked in asking {
        asked.await.unwrap().unwrap();
    }
    assert_eq!((used.load(Ordering::SeqCst), desk.refresh_token().as_str()), (8, "r8\n"));
}

/// The token is sealed with the refresh token that came with it, which is the one that the others find.
#[tokio::test]
async fn what_a_refresh_token_gave_is_shared() {
    let (server, used) = rotating().await;
    let desk = Desk::new();
    let definition = desk.definition(&server);
    let fleet = Arc::new(Fleet::default());
    for _ in 0..3 {
        ask(&desk.connector().sharing(fleet.clone()), &definition).await.unwrap();
    }
    assert_eq!((used.load(Ordering::SeqCst), desk.refresh_token().as_str()), (1, "r1\n"));
}

#[tokio::test]
async fn an_endpoint_that_does_not_rotate_leaves_the_file_alone() {
    let desk = Desk::new();
    let again = Arc::new(Mutex::new(String::new()));
    let given = again.clone();
    let server = Server::start(move |seen| match seen.line.as_str() {
        "POST /token" => ok(format!(r#"{{"access_token": "t"{}}}"#, given.lock().unwrap())),
        _ => ok(r#"{"data": []}"#),
    })
    .await;
    fs::write(desk.path("refresh"), "r0\n# of the account of acme\n").unwrap();
    for text in ["", r#", "refresh_token": "r0""#] {
        text.clone_into(&mut again.lock().unwrap());
        ask(&desk.connector(), &desk.definition(&server)).await.unwrap();
        assert_eq!(desk.refresh_token(), "r0\n# of the account of acme\n");
        assert_eq!(desk.files(), ["client", "refresh", "refresh.lock"]);
    }
}

#[tokio::test]
async fn a_refresh_token_that_could_not_be_kept_is_not_used() {
    let (server, _) = rotating().await;
    let desk = Desk::new();
    let definition = desk.definition(&server);
    // What nobody can write to is, for a user who may write everywhere, a directory in the place of a file.
    for taken in ["refresh.lock", "refresh.new"] {
        fs::create_dir(desk.path(taken)).unwrap();
        let answer =
            desk.connector().call(&definition, Step::List, &definition.base_url, None, &values()).await;
        assert_eq!(code(&answer), "token_not_kept");
        let error = answer.result.unwrap_err().to_string();
        assert!(error.contains("into a directory that this process"), "{error}");
        assert_eq!((server.seen().len(), desk.refresh_token().as_str()), (0, "r0\n"), "nobody was asked");
        fs::remove_dir(desk.path(taken)).unwrap();
    }
    ask(&desk.connector(), &definition).await.unwrap();
}

#[tokio::test]
async fn what_was_left_by_a_crash_is_in_nobodys_way() {
    let (server, used) = rotating().await;
    let desk = Desk::new();
    // Between the answer and the change of the file: the lock is free, the room is there.
    fs::write(desk.path("refresh.lock"), "").unwrap();
    fs::write(desk.path("refresh.new"), "r7-half").unwrap();
    fs::set_permissions(desk.path("refresh.new"), fs::Permissions::from_mode(0o400)).unwrap();
    ask(&desk.connector(), &desk.definition(&server)).await.unwrap();
    assert_eq!((used.load(Ordering::SeqCst), desk.refresh_token().as_str()), (1, "r1\n"));
    // One that is burned is told as such, and stays where it is.
    fs::write(desk.path("refresh"), "r0\n").unwrap();
    let definition = desk.definition(&server);
    let answer = desk.connector().call(&definition, Step::List, &definition.base_url, None, &values()).await;
    assert_eq!((code(&answer).as_str(), desk.refresh_token().as_str()), ("token_http_400", "r0\n"));
}

/// A caller that goes away does not take the answer with it.
#[tokio::test]
async fn a_caller_that_goes_away_loses_no_refresh_token() {
    let (server, used) = rotating().await;
    let desk = Desk::new();
    let definition = desk.definition(&server);
    let connector = desk.connector();
    let values = values();
    let mut call = Box::pin(connector.prepare(&definition, Step::List, &definition.base_url, None, &values));
    while server.seen().is_empty() && used.load(Ordering::SeqCst) == 0 {
        tokio::select! {
            biased;
            _ = &mut call => break,
            () = tokio::task::yield_now() => {}
        }
    }
    drop(call);
    while desk.refresh_token() != "r1\n" {
        tokio::task::yield_now().await;
    }
    ask(&connector, &definition).await.unwrap();
}

#[tokio::test]
async fn a_public_client_has_no_secret() {
    let desk = Desk::new();
    let server = Server::start(|seen| match seen.line.as_str() {
        "POST /token" => {
            assert_eq!(
                (seen.header("authorization"), seen.body.as_str()),
                (None, "grant_type=refresh_token&refresh_token=r0&client_id=me")
            );
            ok(r#"{"access_token": "t"}"#)
        }
        _ => ok(r#"{"data": []}"#),
    })
    .await;
    let mut definition = serde_json::to_value(desk.definition(&server)).unwrap();
    definition["auth"][0]["refresh_token"].as_object_mut().unwrap().remove("client_secret");
    ask(&desk.connector(), &serde_json::from_value(definition).unwrap()).await.unwrap();
}

#[tokio::test]
async fn secrets_of_refreshing_are_in_no_error() {
    for (token, expected) in [
        (answer("500 r0", &[], "hunter2"), "token_http_500"),
        (ok(r#"{"access_token": "t", "refresh_token": "hunter2\nhunter2"}"#), "token_invalid"),
        (ok(r#""hunter2""#), "token_invalid"),
    ] {
        let desk = Desk::new();
        let server = Server::start(move |_| token.clone()).await;
        let definition = desk.definition(&server);
        let answer =
            desk.connector().call(&definition, Step::List, &definition.base_url, None, &values()).await;
        assert_eq!(code(&answer), expected);
        let shown = format!("{answer:?} {}", answer.result.as_ref().unwrap_err());
        assert!(!shown.contains("hunter2") && !shown.contains("\"r0"), "{shown}");
        assert_eq!((desk.refresh_token().as_str(), desk.files().len()), ("r0\n", 3));
    }
}

fn login(server: &Server, desk: &Desk, others: Value) -> Definition {
    let mut login = json!({
        "url": server.url("/v3/signin"), "token": "/session/token",
        "body": {"email": desk.reference("client"), "password": desk.reference("refresh")},
    });
    login.as_object_mut().unwrap().extend(others.as_object().unwrap().clone());
    definition(server, list(json!({"single": {}})), json!({"auth": [{"login": login}]}))
}

#[tokio::test]
async fn a_login_gives_a_token_until_it_is_refused() {
    let desk = Desk::new();
    let logins = AtomicUsize::new(0);
    let server = Server::start(move |seen| {
        if seen.line == "POST /v3/signin" {
            let body: Value = serde_json::from_str(&seen.body).unwrap();
            assert_eq!(body, json!({"email": "me", "password": "r0"}));
            assert_eq!(seen.header("content-type"), Some("application/json"));
            let number = logins.fetch_add(1, Ordering::SeqCst);
            return answer("201 Created", &[], format!(r#"{{"session": {{"token": "s{number}"}}}}"#));
        }
        match seen.header("x-session").or(seen.header("authorization")) {
            Some("s0" | "Token s2") => ok(r#"{"data": []}"#),
            _ => answer("401 No", &[], ""),
        }
    })
    .await;
    let connector = desk.connector();
    let own = login(&server, &desk, json!({"header": "X-Session"}));
    ask(&connector, &own).await.unwrap();
    ask(&connector, &own).await.unwrap();
    let usual = login(&server, &desk, json!({"prefix": "Token "}));
    assert_eq!(
        code(&connector.call(&usual, Step::List, &usual.base_url, None, &values()).await),
        "source_http_401"
    );
    ask(&connector, &usual).await.unwrap();
    assert_eq!(server.lines().iter().filter(|line| *line == "POST /v3/signin").count(), 3);
}

#[tokio::test]
async fn a_login_that_fails_says_how() {
    for (reply, expected) in [
        (answer("401 hunter2", &[], "hunter2"), "token_http_401"),
        (answer("503 Later", &[], ""), "token_http_503"),
        (ok(r#"{"session": "hunter2"}"#), "token_invalid"),
        (ok(r#"{"session": {"token": "hunter2\r\nX: y"}}"#), "token_invalid"),
        (ok("x".repeat(100_000)), "token_invalid"),
    ] {
        let desk = Desk::new();
        let server = Server::start(move |_| reply.clone()).await;
        let definition = login(&server, &desk, json!({}));
        let answer =
            desk.connector().call(&definition, Step::List, &definition.base_url, None, &values()).await;
        assert_eq!(code(&answer), expected);
        let error = answer.result.as_ref().unwrap_err();
        assert!(!format!("{answer:?} {error}").contains("hunter2"));
    }
}

/// Whoever wants a token is told for how long nobody asks again; the endpoint is left in peace meanwhile.
#[tokio::test]
async fn an_endpoint_that_gives_no_token_is_asked_less_and_less() {
    let desk = Desk::new();
    let server = Server::start(|_| answer("401 No", &[], "")).await;
    let definition = login(&server, &desk, json!({}));
    let connector = desk.connector();
    let wait = async || {
        let answer = connector.call(&definition, Step::List, &definition.base_url, None, &values()).await;
        match answer.result.unwrap_err() {
            CallError::Token(error) => error.wait,
            other => panic!("{other}"),
        }
    };
    let second = Duration::from_secs(1);
    let first = wait().await;
    assert!(first > Duration::ZERO && first <= second, "{first:?}");
    assert!(wait().await < first);
    assert_eq!(server.seen().len(), 1);
    let waited = async {
        while server.seen().len() == 1 {
            assert!(wait().await <= 2 * second);
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(30 * second, waited).await.unwrap();
    let again = wait().await;
    assert!(again > second && again <= 2 * second, "{again:?}");
}

#[tokio::test]
async fn an_endpoint_that_says_when_to_come_back_is_obeyed() {
    let desk = Desk::new();
    let server = Server::start(|_| answer("429 Later", &["retry-after: 90"], "")).await;
    let definition = login(&server, &desk, json!({}));
    let answer = desk.connector().call(&definition, Step::List, &definition.base_url, None, &values()).await;
    let CallError::Token(error) = answer.result.unwrap_err() else { panic!("no error of the token") };
    assert!(error.wait > Duration::from_secs(80), "{:?}", error.wait);
}
