//! Tokens that processes share: each connector stands for a process.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use resume_connector::{Call, CallError, Connector, FleetTokens, Hold, NotShared, Timeouts};
use resume_core::source::{
    definition::{Definition, Step},
    tokens::SharedToken,
};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::OwnedMutexGuard;

use crate::{
    definition, list,
    server::{Server, answer, ok},
    values,
};

/// What all processes see.
#[derive(Default)]
pub(crate) struct Fleet {
    kept: Arc<Mutex<HashMap<(String, usize), SharedToken>>>,
    held: Arc<tokio::sync::Mutex<()>>,
    questions: AtomicUsize,
    is_away: bool,
}

struct Held {
    kept: Arc<Mutex<HashMap<(String, usize), SharedToken>>>,
    proof: (String, usize),
    _guard: OwnedMutexGuard<()>,
}

#[async_trait]
impl FleetTokens for Fleet {
    async fn newest(&self, source: &str, proof: usize) -> Result<Option<SharedToken>, NotShared> {
        self.questions.fetch_add(1, Ordering::SeqCst);
        if self.is_away {
            return Err("the fleet is away".into());
        }
        Ok(self.kept.lock().unwrap().get(&(source.to_owned(), proof)).cloned())
    }

    async fn hold(
        &self,
        source: &str,
        proof: usize,
    ) -> Result<(Option<SharedToken>, Box<dyn Hold>), NotShared> {
        let guard = self.held.clone().lock_owned().await;
        let newest = self.newest(source, proof).await?;
        let held = Held { kept: self.kept.clone(), proof: (source.to_owned(), proof), _guard: guard };
        Ok((newest, Box::new(held)))
    }
}

#[async_trait]
impl Hold for Held {
    async fn replace(self: Box<Self>, sealed: &[u8], good_for: Duration) -> Result<(), NotShared> {
        let token = SharedToken { sealed: sealed.to_owned(), age: Duration::ZERO, good_for };
        self.kept.lock().unwrap().insert(self.proof.clone(), token);
        Ok(())
    }
}

/// A system whose session is that of the latest login, and those who call it.
struct System {
    server: Server,
    /// The number of the session.
    session: Arc<AtomicUsize>,
    secrets: TempDir,
    fleet: Arc<Fleet>,
}

impl System {
    async fn start(fleet: Fleet) -> Self {
        let session = Arc::new(AtomicUsize::new(0));
        let newest = session.clone();
        let server = Server::start(move |seen| {
            if seen.line == "POST /login" {
                let number = newest.fetch_add(1, Ordering::SeqCst) + 1;
                return ok(format!(r#"{{"token": "s{number}"}}"#));
            }
            match seen.header("x-session") {
                Some(sent) if sent == format!("s{}", newest.load(Ordering::SeqCst)) => ok(r#"{"data": []}"#),
                _ => answer("401 No", &[], ""),
            }
        })
        .await;
        let secrets = tempfile::tempdir().unwrap();
        std::fs::write(secrets.path().join("password"), "hunter2").unwrap();
        Self { server, session, secrets, fleet: Arc::new(fleet) }
    }

    fn process(&self) -> Connector {
        let connector = Connector::new(Timeouts::default(), self.secrets.path().to_owned()).unwrap();
        connector.sharing(self.fleet.clone())
    }

    fn definition(&self) -> Definition {
        let password = format!("file:{}", self.secrets.path().join("password").display());
        let login = json!({
            "url": self.server.url("/login"), "body": {"password": password}, "token": "/token", "header": "X-Session",
        });
        definition(&self.server, list(json!({"single": {}})), json!({"auth": [{"login": login}]}))
    }

    async fn prepare(&self, process: &Connector) -> Result<Call, CallError> {
        let definition = self.definition();
        process.prepare(&definition, Step::List, &definition.base_url, None, &values()).await
    }

    async fn ask(&self, process: &Connector) -> Result<(), CallError> {
        self.prepare(process).await?.send().await.result.map(|_| ())
    }

    fn logins(&self) -> usize {
        self.server.lines().iter().filter(|line| *line == "POST /login").count()
    }

    /// As the login of a stranger does.
    fn end_session(&self) {
        self.session.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn one_process_logs_in_and_the_others_take_its_token() {
    let system = System::start(Fleet::default()).await;
    let processes = [system.process(), system.process(), system.process()];
    let [one, two, three] = &processes;
    let (one, two, three) = tokio::join!(system.ask(one), system.ask(two), system.ask(three));
    assert!(one.is_ok() && two.is_ok() && three.is_ok());
    for process in &processes {
        system.ask(process).await.unwrap();
    }
    assert_eq!(system.logins(), 1);
    assert_eq!(system.fleet.questions.load(Ordering::SeqCst), 3, "none while a token is good");
}

#[tokio::test]
async fn a_token_that_is_refused_is_replaced_once_for_all() {
    let system = System::start(Fleet::default()).await;
    let processes = [system.process(), system.process()];
    for process in &processes {
        system.ask(process).await.unwrap();
    }
    system.end_session();
    for process in &processes {
        assert!(matches!(system.ask(process).await, Err(CallError::TokenExpired)));
        system.ask(process).await.unwrap();
    }
    assert_eq!(system.logins(), 2);
}

/// A token that was fetched for this very call is refused since another process has fetched one: that is no
/// refusal of the call.
#[tokio::test]
async fn a_fresh_token_that_is_overtaken_is_no_refusal() {
    let system = System::start(Fleet::default()).await;
    let (one, two) = (system.process(), system.process());
    let waiting = system.prepare(&one).await.unwrap();
    system.end_session();
    assert!(matches!(system.ask(&two).await, Err(CallError::TokenExpired)));
    system.ask(&two).await.unwrap();
    assert!(matches!(waiting.send().await.result, Err(CallError::TokenExpired)));
    system.ask(&one).await.unwrap();
    assert_eq!(system.logins(), 2);
}

/// A login could end the session of those who cannot be asked.
#[tokio::test]
async fn nobody_logs_in_unseen() {
    let system = System::start(Fleet { is_away: true, ..Fleet::default() }).await;
    let error = system.ask(&system.process()).await.unwrap_err();
    assert_eq!(error.code().as_deref(), Some("token_not_shared"));
    assert_eq!(system.logins(), 0);
}
