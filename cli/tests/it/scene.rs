use std::{
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use mock_ats::{Ats, Face, MockServer, Settings};
use resume_core::{
    collection::{self, NewCollection, Progress},
    db::migrators,
    source::{self, definition::Definition},
};
use resume_postgres::testing::TestDatabase;
use tokio::process::{Child, Command};
use uuid::Uuid;

/// The longest that anything here may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// The binary under test.
pub(crate) fn service() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_resume-service"));
    command
        .env_remove("DATABASE_URL")
        .env_remove("RESUME_DATA_DIR")
        // As by default: sqlx warns of connections that are given back while the server stops.
        .env("RUST_LOG", "warn,sqlx=error")
        .kill_on_drop(true);
    command
}

/// A directory that the owner of a private Postgres can reach, whoever runs the tests.
pub(crate) fn data_dir() -> tempfile::TempDir {
    let directory = tempfile::Builder::new().prefix("resume-cli-").tempdir().unwrap();
    set_mode(directory.path(), 0o755);
    directory
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}

/// How the source is read.
#[derive(Clone, Copy)]
pub(crate) enum Pages {
    Numbered,
    Linked,
}

/// A database and a source that allows many calls, both outside the processes under test.
pub(crate) struct Scene {
    pub(crate) database: TestDatabase,
    pub(crate) mock: MockServer,
}

impl Scene {
    pub(crate) async fn new(database: TestDatabase, pages: Pages) -> Self {
        let settings = Settings {
            latency: Duration::from_millis(5)..=Duration::from_millis(30),
            calls_per_second: 1000,
            ..Settings::default()
        };
        let mock = MockServer::start(Ats::new(settings)).await.unwrap();
        let definition = Definition::original("mock", &mock.url(), Face::TestData.path(), 100);
        let definition = match pages {
            Pages::Numbered => definition,
            Pages::Linked => definition.along_links(),
        };
        source::put(&mut database.pool().acquire().await.unwrap(), &definition).await.unwrap();
        Self { database, mock }
    }

    pub(crate) async fn on_shared_server(pages: Pages) -> Self {
        Self::new(TestDatabase::new(&migrators()).await.unwrap(), pages).await
    }

    pub(crate) async fn on_own_server(pages: Pages) -> Self {
        Self::new(TestDatabase::on_own_cluster(&migrators()).await.unwrap(), pages).await
    }

    /// Starts a worker process.
    pub(crate) fn worker(&self) -> Child {
        let mut command = service();
        command.arg("worker").env("DATABASE_URL", self.database.url()).stdout(Stdio::null());
        command.spawn().unwrap()
    }

    pub(crate) async fn collect(&self, count: u32, per_page: u32) -> Uuid {
        let new = NewCollection {
            source: "mock".to_owned(),
            count: Some(count.into()),
            per_page: Some(per_page),
            batch_size: 10,
            error_mode: false,
            full: false,
            seed: None,
            idempotency_key: None,
        };
        let mut tx = self.database.pool().begin().await.unwrap();
        let started = collection::start(&mut tx, &new).await.unwrap();
        tx.commit().await.unwrap();
        started.id
    }

    /// Waits until the collection is so far that `reached` holds; gives its progress then. Rides out a
    /// database that is away.
    pub(crate) async fn until(&self, id: Uuid, reached: impl Fn(&Progress) -> bool) -> Progress {
        let deadline = Instant::now() + PATIENCE;
        let mut last = None;
        while Instant::now() < deadline {
            if let Ok(Some(progress)) = collection::progress(self.database.pool(), id).await {
                if reached(&progress) {
                    return progress;
                }
                last = Some(progress);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("not reached in {PATIENCE:?}: {last:#?}");
    }

    /// How many resumes and raw documents there are, and how many different people they are about.
    pub(crate) async fn counts(&self) -> (i64, i64, i64) {
        let row = sqlx::query!(
            r#"
            select (select count(*) from resumes) as "resumes!", count(*) as "raw!",
                   (select count(*) from people) as "people!"
            from raw_documents
            "#
        )
        .fetch_one(self.database.pool())
        .await
        .unwrap();
        (row.resumes, row.raw, row.people)
    }

    /// How many jobs are live, and the most attempts that any job took.
    pub(crate) async fn jobs(&self) -> (i64, i32) {
        let row = sqlx::query!(
            r#"select count(*) filter (where finished_at is null and kind <> 'finish_collection') as "live!",
                      max(attempt) as "attempts!" from jobs"#
        )
        .fetch_one(self.database.pool())
        .await
        .unwrap();
        (row.live, row.attempts)
    }
}
