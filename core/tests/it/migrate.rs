//! Creating and migrating a database, also by several processes at once.

use resume_core::db::{self, Role, migrators};
use resume_postgres::testing::TestDatabase;
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tokio::task::JoinSet;

use crate::fixture::in_time;

#[tokio::test(flavor = "multi_thread")]
async fn several_processes_may_begin_at_once() {
    let server = TestDatabase::on_own_cluster(&migrators()).await.unwrap();
    for round in 0..3 {
        let url = server.cluster().url(&format!("fresh-{round}"));
        let mut processes = JoinSet::new();
        for _ in 0..6 {
            let url = url.clone();
            processes.spawn(async move {
                db::create_if_missing(&url).await.unwrap();
                let pool = db::pool(&url, Role::Worker).unwrap();
                db::migrate(&pool).await.unwrap();
                db::ping(&pool).await.unwrap();
                pool.close().await;
            });
        }
        in_time("all have begun", processes.join_all()).await;
        let pool = db::pool(&url, Role::Api).unwrap();
        let applied =
            sqlx::query_scalar!(r#"select count(*) as "count!" from pg_tables where tablename = 'resumes'"#);
        assert_eq!(applied.fetch_one(&pool).await.unwrap(), 1);
        db::migrate(&pool).await.unwrap();
        pool.close().await;
    }
}

#[tokio::test]
async fn an_api_pool_plans_each_execution_anew_and_a_worker_pool_once() {
    let database = TestDatabase::new(&migrators()).await.unwrap();
    for (role, mode) in [(Role::Api, "force_custom_plan"), (Role::Worker, "force_generic_plan")] {
        let pool = db::pool(database.url(), role).unwrap();
        let setting = sqlx::query_scalar!(r#"select current_setting('plan_cache_mode') as "mode!""#);
        assert_eq!(setting.fetch_one(&pool).await.unwrap(), mode);
    }
}

#[tokio::test]
async fn a_database_that_is_away_is_told_from_one_that_refuses() {
    let database = TestDatabase::new(&migrators()).await.unwrap();
    let nowhere: PgConnectOptions = "postgres://nobody@127.0.0.1:1/nothing".parse().unwrap();
    let away = PgConnection::connect_with(&nowhere).await.unwrap_err();
    assert!(db::is_unavailable(&away), "{away:?}");
    let refused = sqlx::raw_sql("select 1/0").execute(database.pool()).await.unwrap_err();
    assert!(!db::is_unavailable(&refused), "{refused:?}");
}
