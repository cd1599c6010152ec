//! A database per test.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Result;
use resume_postgres::{Cluster, Durability, testing::TestDatabase};
use sqlx::{Row, migrate::Migrator, raw_sql};

use crate::{
    other_process::Start,
    scratch::{Scratch, kill_hard, query, runs},
};

pub(crate) static MIGRATOR: Migrator = sqlx::migrate!("tests/it/migrations");

#[tokio::test]
async fn each_test_has_an_empty_migrated_database_of_its_own() -> Result<()> {
    let one = TestDatabase::new(&[&MIGRATOR]).await?;
    let other = TestDatabase::new(&[&MIGRATOR]).await?;
    assert_ne!(one.url(), other.url());
    raw_sql("INSERT INTO things VALUES (1)").execute(one.pool()).await?;
    for (database, things) in [(&one, 1), (&other, 0)] {
        let row = raw_sql("SELECT count(*) FROM things").fetch_one(database.pool()).await?;
        assert_eq!(row.try_get::<i64, _>(0)?, things);
    }
    Ok(())
}

#[tokio::test]
async fn many_at_once_are_made_and_later_dropped() -> Result<()> {
    let many = (0..8).map(|_| tokio::spawn(async { TestDatabase::new(&[&MIGRATOR]).await }));
    let mut names = Vec::new();
    for database in many.collect::<Vec<_>>() {
        names.push(name(database.await??.url()));
    }
    wait_until_dropped(&names).await
}

#[tokio::test]
async fn the_database_of_a_killed_test_is_dropped_by_a_later_one() -> Result<()> {
    let mut killed = Start::database().spawn();
    let url = killed.url();
    assert_eq!(query(&url, "SELECT count(*)::text FROM things").await, "0");
    killed.kill();
    wait_until_dropped(&[name(&url)]).await
}

#[tokio::test]
async fn old_and_unfinished_templates_are_dropped() -> Result<()> {
    let database = TestDatabase::new(&[&MIGRATOR]).await?;
    // Names of our own, as another run may be doing the same.
    let hash = format!("{:016x}", std::process::id());
    let names = [format!("resume_template_{hash}_1"), format!("resume_unfinished_{hash}")];
    for name in &names {
        raw_sql(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(database.pool()).await?;
    }
    wait_until_dropped(&names).await
}

#[tokio::test]
async fn a_migration_that_fails_is_shown() {
    let migration = sqlx::migrate::Migration::new(
        1,
        "wrong".into(),
        sqlx::migrate::MigrationType::Simple,
        sqlx::SqlStr::from_static("CREATE TABLE wrong (id nonsense)"),
        false,
    );
    let migrator = Migrator { migrations: vec![migration].into(), ..Migrator::DEFAULT };
    let error = format!("{:#}", TestDatabase::new(&[&migrator]).await.unwrap_err());
    assert!(error.contains("cannot migrate") && error.contains("nonsense"), "{error}");
}

#[tokio::test]
async fn a_test_can_kill_the_server_of_its_own_cluster() -> Result<()> {
    let database = TestDatabase::on_own_cluster(&[&MIGRATOR]).await?;
    raw_sql("INSERT INTO things VALUES (1)").execute(database.pool()).await?;
    kill_hard(database.cluster().postmaster_pid().unwrap());
    assert!(database.cluster().ensure_running()?);
    assert_eq!(query(database.url(), "SELECT count(*)::text FROM things").await, "1");
    let directory = database.cluster().data_dir().to_owned();
    drop(database);
    assert!(!directory.exists());
    Ok(())
}

#[tokio::test]
async fn the_own_cluster_of_a_killed_test_is_stopped_and_removed_by_a_later_one() -> Result<()> {
    let mut killed = Start::own_cluster().spawn();
    let data = PathBuf::from(killed.url());
    let pid_file = fs::read_to_string(data.join("postmaster.pid"))?;
    let pid = pid_file.lines().next().unwrap().parse()?;
    killed.kill();
    assert!(runs(pid));
    let deadline = Instant::now() + Duration::from_secs(60);
    while data.exists() || runs(pid) {
        assert!(Instant::now() < deadline, "still there: {}", data.display());
        let _sweeper = TestDatabase::new(&[&MIGRATOR]).await?;
    }
    Ok(())
}

#[test]
fn a_test_process_is_not_held_up_by_the_server_it_leaves_running() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.root()).unwrap();
    let mut test = Start::database().variable("TMPDIR", scratch.root()).spawn();
    let url = test.url();
    assert!(url.contains(&scratch.path().file_name().unwrap().display().to_string()), "{url}");
    // Reads its output to the end, as a test runner does.
    test.leave();

    // The next one finds the server running, so that it writes nothing more about a start.
    let log = fs::read_dir(scratch.root()).unwrap().next().unwrap().unwrap().path();
    let log = fs::read_dir(log)
        .unwrap()
        .flatten()
        .find(|entry| entry.file_name().to_string_lossy().starts_with("pg"));
    let log = log.unwrap().path().join("server.log");
    let mut test = Start::database().variable("TMPDIR", scratch.root()).spawn();
    test.url();
    test.leave();
    let starts = fs::read_to_string(log).unwrap().matches("ready to accept connections").count();
    assert_eq!(starts, 1);
}

#[tokio::test]
async fn the_server_of_database_url_is_used_if_there_is_one() {
    let scratch = Scratch::new();
    let cluster = Cluster::start(&scratch.root(), Durability::Throwaway).unwrap();
    let mut test = Start::database().variable("DATABASE_URL", cluster.url("postgres")).spawn();
    let url = test.url();
    assert_eq!(url, cluster.url(&name(&url)));
    assert_eq!(query(&url, "SELECT count(*)::text FROM things").await, "0");
}

/// The name of the database in a URL.
fn name(url: &str) -> String {
    url.split('?').next().unwrap().rsplit('/').next().unwrap().to_owned()
}

/// Makes test databases until these are gone.
async fn wait_until_dropped(names: &[String]) -> Result<()> {
    let list = names.join("', '");
    let left = format!("SELECT count(*)::text FROM pg_database WHERE datname IN ('{list}')");
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let database = TestDatabase::new(&[&MIGRATOR]).await?;
        if query(database.url(), &left).await == "0" {
            return Ok(());
        }
        assert!(Instant::now() < deadline, "still there: {list}");
    }
}
