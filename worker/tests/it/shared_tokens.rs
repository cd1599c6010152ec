//! Tokens are shared by all workers: a system in which each login ends the session before.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use resume_core::{
    collection::NewCollection,
    source::{self, definition::Definition},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use uuid::Uuid;

use crate::{
    harness::{Pipeline, collection_of, in_time},
    outcome::Outcome,
};

const SOURCE: &str = "one-session";
/// Ten people each.
const PAGES: u32 = 60;

/// What a system has seen, and what it shall do.
#[derive(Debug, Default)]
struct Book {
    /// The number of the session that is good, which is that of the latest login.
    session: u32,
    logins: u32,
    refused: u32,
    pages: u32,
    /// Ends the session once so many pages were given, as the login of a stranger does.
    ends_after: Option<u32>,
    /// How many logins get no answer.
    unanswered: u32,
}

/// A pipeline and a system with one session at a time.
struct OneSession {
    pipeline: Pipeline,
    secrets: TempDir,
    book: Arc<Mutex<Book>>,
}

impl OneSession {
    async fn start(book: Book) -> Self {
        let pipeline = Pipeline::start().await;
        let book = Arc::new(Mutex::new(book));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = book.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, seen.clone()));
            }
        });
        let one = Self { pipeline, secrets: tempfile::tempdir().unwrap(), book };
        one.put_password("hunter2");
        let yaml = format!(
            "{{name: {SOURCE}, base_url: '{url}', allow_private_network: true, limits: [{{calls: 30, per: 1s}}], \
              auth: [{{login: {{url: '{url}/login', body: {{password: 'file:{}'}}, token: /token, header: X-Session}}}}], \
              list: {{path: /people, params: {{page: '{{page}}'}}, items: /data, per_page_max: 10, \
                      paging: {{numbered: {{total: /total}}}}}}, \
              format: mapped, map: {{name: name}}}}",
            one.password().display(),
        );
        let mut conn = one.pipeline.pool.acquire().await.unwrap();
        source::put(&mut conn, &Definition::from_yaml(&yaml).unwrap()).await.unwrap();
        drop(conn);
        one
    }

    fn password(&self) -> PathBuf {
        self.secrets.path().join("password")
    }

    fn put_password(&self, password: &str) {
        std::fs::write(self.password(), password).unwrap();
    }

    async fn collect(&self) -> Uuid {
        self.pipeline.collect(&NewCollection { count: None, ..collection_of(0, SOURCE) }).await
    }

    /// Logins, and calls that were refused.
    fn logins_and_refused(&self) -> (u32, u32) {
        let book = self.book.lock().unwrap();
        (book.logins, book.refused)
    }

    /// Every page is there, and no job has used a second attempt.
    async fn assert_collected(&self, id: Uuid) {
        let outcome = self.pipeline.outcome(id).await;
        let (pages, people) = (i64::from(PAGES), i64::from(PAGES) * 10);
        let smooth = Outcome::smooth(pages, people);
        assert_eq!((outcome.state, outcome.pages), (smooth.state, smooth.pages), "{:?}", outcome.errors);
        let stored = outcome.documents.stored + outcome.documents.unchanged;
        assert_eq!(stored, people);
        let again = sqlx::query_scalar!(
            r#"select count(*) as "count!" from jobs where kind = 'make_call' and attempt > 1"#
        );
        assert_eq!(again.fetch_one(&self.pipeline.pool).await.unwrap(), 0, "attempts were lost");
    }
}

async fn serve(mut stream: TcpStream, book: Arc<Mutex<Book>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let Some((status, body)) = book.lock().unwrap().answer(&head) else {
        return std::future::pending().await;
    };
    let length = body.len();
    let answer =
        format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    // The client may have heard enough before the end.
    drop(stream.write_all(answer.as_bytes()).await);
}

impl Book {
    fn answer(&mut self, head: &str) -> Option<(u16, String)> {
        if head.starts_with("POST /login ") {
            self.logins += 1;
            if self.logins <= self.unanswered {
                return None;
            }
            self.session += 1;
            return Some((200, format!(r#"{{"token": "session-{}"}}"#, self.session)));
        }
        if self.ends_after == Some(self.pages) {
            self.ends_after = None;
            self.session += 1;
        }
        if !head.to_lowercase().contains(&format!("x-session: session-{}\r\n", self.session)) {
            self.refused += 1;
            return Some((401, r#"{"error": "session ended"}"#.to_owned()));
        }
        self.pages += 1;
        let page: u32 = head.split("page=").nth(1)?.split(['&', ' ']).next()?.parse().ok()?;
        let items: Vec<String> =
            (page * 10 - 10..page * 10).map(|id| format!(r#"{{"id": {id}, "name": "P{id}"}}"#)).collect();
        Some((200, format!(r#"{{"data": [{}], "total": {}}}"#, items.join(","), PAGES * 10)))
    }
}

/// One worker logs in, and the other one takes its token.
#[tokio::test(flavor = "multi_thread")]
async fn one_login_serves_all_workers() {
    let one = OneSession::start(Book::default()).await;
    let workers = [one.pipeline.worker(), one.pipeline.worker()];
    let id = one.collect().await;
    one.assert_collected(id).await;
    assert_eq!(one.logins_and_refused(), (1, 0));
    for worker in workers {
        worker.stop().await;
    }
}

/// Whoever reads the table, or a dump of it, has no token; nor has a worker with another password.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_shared_with_those_who_know_the_password() {
    let one = OneSession::start(Book::default()).await;
    for (password, logins) in [("hunter2", 1), ("hunter2", 1), ("hunter3", 2)] {
        one.put_password(password);
        let worker = one.pipeline.worker();
        let id = one.collect().await;
        one.assert_collected(id).await;
        assert_eq!(one.logins_and_refused(), (logins, 0), "{password}");
        worker.stop().await;
    }
    let sealed = sqlx::query_scalar!("select sealed from source_tokens").fetch_one(&one.pipeline.pool).await;
    let sealed = sealed.unwrap();
    for part in ["session", "hunter", "X-Session"] {
        let is_there = sealed.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part.as_bytes()));
        assert!(!is_there, "{part}");
    }
    source::remove(&mut one.pipeline.pool.acquire().await.unwrap(), SOURCE).await.unwrap();
    let left = sqlx::query_scalar!(r#"select count(*) as "count!" from source_tokens"#);
    assert_eq!(left.fetch_one(&one.pipeline.pool).await.unwrap(), 0);
}

/// A session that a stranger ends is replaced by one login for all workers, and no page uses up an attempt.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_refused_is_replaced_once() {
    let one = OneSession::start(Book { ends_after: Some(PAGES / 3), ..Book::default() }).await;
    let workers = [one.pipeline.worker(), one.pipeline.worker()];
    let id = one.collect().await;
    one.assert_collected(id).await;
    let (logins, refused) = one.logins_and_refused();
    assert_eq!(logins, 2);
    // Those that were on their way, of both workers.
    assert!((1..=12).contains(&refused), "{refused} calls were refused");
    for worker in workers {
        worker.stop().await;
    }
}

/// The next worker does not wait for one that died while it logged in.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_at_its_login_is_in_nobodys_way() {
    let one = OneSession::start(Book { unanswered: 1, ..Book::default() }).await;
    let dying = one.pipeline.worker();
    let id = one.collect().await;
    let asked = async {
        while one.logins_and_refused().0 == 0 {
            tokio::task::yield_now().await;
        }
    };
    in_time("somebody logs in", asked).await;
    let next = one.pipeline.worker();
    dying.crash().await;
    let progress = one.pipeline.ended(id).await;
    assert_eq!(progress.counts.done, i64::from(PAGES));
    assert_eq!(one.logins_and_refused(), (2, 0));
    next.stop().await;
}
