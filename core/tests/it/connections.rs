//! What our pools ask of the server.

use std::time::{Duration, Instant};

use resume_core::db::{self, Role, migrators};
use resume_postgres::testing::TestDatabase;

/// A process that is stopped in the middle of a transaction must not stop the others, who wait for its locks.
#[tokio::test]
async fn a_transaction_that_stands_still_loses_its_locks() {
    let database = TestDatabase::new(&migrators()).await.unwrap();
    for role in [Role::Api, Role::Worker] {
        let pool = db::pool(database.url(), role).unwrap();
        let mut stopped = db::begin(&pool).await.unwrap();
        sqlx::raw_sql("lock table collections in exclusive mode").execute(&mut *stopped).await.unwrap();
        let begun = Instant::now();
        let waiting = sqlx::raw_sql("update collections set run = 1").execute(database.pool());
        tokio::time::timeout(Duration::from_secs(30), waiting).await.unwrap().unwrap();
        assert!(begun.elapsed() >= Duration::from_secs(4), "it was locked until then");
        assert!(stopped.commit().await.is_err(), "and what stood still is rolled back");
    }
}
