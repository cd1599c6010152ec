//! A database per test.

use std::time::Instant;

use anyhow::Result;
use resume_postgres::testing::TestDatabase;
use sqlx::{Row, migrate::Migrator, raw_sql};

static MIGRATOR: Migrator = sqlx::migrate!("tests/it/migrations");

#[tokio::test]
async fn each_test_has_an_empty_migrated_database_of_its_own() -> Result<()> {
    let t = Instant::now();
    let one = TestDatabase::new(&MIGRATOR).await?;
    eprintln!("{:?}", t.elapsed());
    let t = Instant::now();
    let other = TestDatabase::new(&MIGRATOR).await?;
    eprintln!("{:?}", t.elapsed());
    raw_sql("INSERT INTO things VALUES (1)").execute(one.pool()).await?;
    let row = raw_sql("SELECT count(*) FROM things").fetch_one(other.pool()).await?;
    assert_eq!(row.try_get::<i64, _>(0)?, 0);
    Ok(())
}

#[tokio::test]
async fn own_cluster() -> Result<()> {
    let t = Instant::now();
    let one = TestDatabase::on_own_cluster(&MIGRATOR).await?;
    eprintln!("{:?}", t.elapsed());
    raw_sql("INSERT INTO things VALUES (1)").execute(one.pool()).await?;
    let t = Instant::now();
    drop(one);
    eprintln!("drop {:?}", t.elapsed());
    Ok(())
}
