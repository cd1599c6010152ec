use std::{process::Stdio, time::Instant};

use resume_core::db::migrators;
use resume_postgres::testing::TestDatabase;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::scene::{PATIENCE, service};

/// A running `up` on a test database, and its address.
pub(crate) struct Up {
    _database: TestDatabase,
    _child: Child,
    url: String,
}

impl Up {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub(crate) async fn start_with(options: &[&str]) -> Self {
        let database = TestDatabase::new(&migrators()).await.unwrap();
        let mut child = service()
            .args(["up", "--bind", "127.0.0.1:0"])
            .args(options)
            .env("DATABASE_URL", database.url())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = loop {
            let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().unwrap();
            if let Some((_, url)) = line.split_once("API             ") {
                break url.trim_end_matches("/api/v1").to_owned();
            }
        };
        Self { _database: database, _child: child, url }
    }

    /// Runs a command against the service: whether it succeeded, and all that it printed.
    pub(crate) async fn run(&self, arguments: &[&str]) -> (bool, String) {
        let output = self.command(arguments).output().await.unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    }

    /// Runs a command that succeeds, and gives what it printed.
    pub(crate) async fn ok(&self, arguments: &[&str]) -> String {
        let (ok, text) = self.run(arguments).await;
        assert!(ok, "{arguments:?}: {text}");
        text
    }

    /// Runs a command again and again until what it prints is as `wanted`; gives that.
    pub(crate) async fn until(&self, arguments: &[&str], wanted: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = self.ok(arguments).await;
            if wanted(&text) {
                return text;
            }
            assert!(Instant::now() < deadline, "{arguments:?}: {text}");
        }
    }

    /// A command against the service.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = service();
        command.args(arguments).env("RESUME_URL", &self.url).stdin(Stdio::null());
        command
    }
}
