use std::time::Duration;

use resume_postgres::{RestartMode, testing::TestDatabase};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, raw_sql};

use super::absence::{look, note};
use crate::{
    MIGRATOR,
    heartbeat::extend,
    presence::{self, LOCK_CLASS},
};

const NOBODY: [i64; 0] = [];

/// A database with three workers, and their ids.
async fn three_workers() -> (TestDatabase, PgPool, [i64; 3]) {
    let database = TestDatabase::new(&[&MIGRATOR]).await.unwrap();
    let pool = database.pool().clone();
    // What was seen before the server started does not count, and these tests look some seconds back.
    let up = "select pg_sleep(extract(
                  epoch from pg_postmaster_start_time() + interval '10 s' - clock_timestamp()))";
    raw_sql(up).execute(&pool).await.unwrap();
    let mut ids = [0; 3];
    for id in &mut ids {
        *id = presence::register(&mut pool.acquire().await.unwrap(), "worker").await.unwrap();
    }
    (database, pool, ids)
}

/// As if this much time had passed since all that was noted.
async fn pass(conn: &mut PgConnection, ms: i64) {
    let sql = format!(
        "update queue.workers set heartbeat_at = heartbeat_at - interval '{ms} ms',
                                  absent_since = absent_since - interval '{ms} ms',
                                  absent_seen_at = absent_seen_at - interval '{ms} ms'"
    );
    raw_sql(AssertSqlSafe(sql)).execute(conn).await.unwrap();
}

/// The seconds for which each is known to be absent, by id.
async fn noted(conn: &mut PgConnection, without_lock: &[i64]) -> Vec<(i64, u64)> {
    let mut absences = note(conn, without_lock).await.unwrap();
    absences.sort_by_key(|absence| absence.worker_id);
    absences.iter().map(|absence| (absence.worker_id, absence.seen_for.as_secs())).collect()
}

#[tokio::test]
async fn an_absence_lasts_for_as_long_as_leaders_look() {
    let (_database, pool, [a, b, c]) = three_workers().await;
    let mut conn = pool.acquire().await.unwrap();
    assert_eq!(noted(&mut conn, &[a, b, c]).await, [(a, 0), (b, 0), (c, 0)]);
    pass(&mut conn, 1000).await;
    // Which connection asks, and so which leader, makes no difference.
    let mut next = pool.acquire().await.unwrap();
    assert_eq!(noted(&mut next, &[a, b]).await, [(a, 1), (b, 1)], "c has its lock again");
    extend(&mut conn, b, &[], &[], Duration::from_secs(30)).await.unwrap();
    pass(&mut conn, 1000).await;
    assert_eq!(noted(&mut next, &[a, b, c]).await, [(a, 2), (b, 0), (c, 0)], "b had a heartbeat");
    pass(&mut conn, 3000).await;
    assert_eq!(noted(&mut next, &[a]).await, [(a, 5)]);
    pass(&mut conn, 3600).await;
    assert_eq!(noted(&mut next, &[a]).await, [(a, 0)], "nobody looked for too long");
    raw_sql("update queue.workers set stopped_at = now()").execute(&mut *conn).await.unwrap();
    assert_eq!(noted(&mut next, &[a]).await, [], "it has signed off");
}

/// The clock of the server was set back by an hour.
#[tokio::test]
async fn times_in_the_future_say_nothing() {
    let (_database, pool, [a, ..]) = three_workers().await;
    let mut conn = pool.acquire().await.unwrap();
    noted(&mut conn, &[a]).await;
    raw_sql("update queue.workers set heartbeat_at = now() + interval '1 hour'")
        .execute(&mut *conn)
        .await
        .unwrap();
    pass(&mut conn, -3_600_000).await;
    assert_eq!(noted(&mut conn, &[a]).await, [(a, 0)]);
    pass(&mut conn, 3000).await;
    assert_eq!(noted(&mut conn, &[a]).await, [(a, 3)]);
}

#[tokio::test]
async fn what_was_seen_before_a_restart_of_postgres_does_not_count() {
    let database = TestDatabase::on_own_cluster(&[&MIGRATOR]).await.unwrap();
    let a = presence::register(&mut database.pool().acquire().await.unwrap(), "worker").await.unwrap();
    database.cluster().restart(RestartMode::Fast).unwrap();
    let mut conn = PgConnection::connect(database.url()).await.unwrap();
    let sql = "update queue.workers set absent_since = now() - interval '3 s',
                                        absent_seen_at = pg_postmaster_start_time() - interval '1 ms'";
    raw_sql(sql).execute(&mut conn).await.unwrap();
    assert_eq!(noted(&mut conn, &[a]).await, [(a, 0)]);
}

#[tokio::test]
async fn a_worker_whose_row_is_locked_is_left_alone() {
    let (_database, pool, [a, b, _]) = three_workers().await;
    let mut leaving = pool.begin().await.unwrap();
    let sql = format!("update queue.workers set stopped_at = now() where id = {a}");
    raw_sql(AssertSqlSafe(sql)).execute(&mut *leaving).await.unwrap();
    let mut conn = pool.acquire().await.unwrap();
    assert_eq!(noted(&mut conn, &[a, b]).await, [(b, 0)]);
}

#[tokio::test]
async fn a_look_finds_who_is_without_the_lock_and_who_is_back() {
    let (_database, pool, [a, b, c]) = three_workers().await;
    let mut conn = pool.acquire().await.unwrap();
    let mut session = pool.acquire().await.unwrap();
    let take_lock = |id: i64| AssertSqlSafe(format!("select pg_advisory_lock({})", LOCK_CLASS << 32 | id));
    raw_sql(take_lock(b)).execute(&mut *session).await.unwrap();
    let seen = look(&mut conn, c, false).await.unwrap();
    assert_eq!((&seen.without_lock[..], seen.somebody_is_back), (&[a][..], false));
    note(&mut conn, &seen.without_lock).await.unwrap();
    raw_sql(take_lock(a)).execute(&mut *session).await.unwrap();
    let seen = look(&mut conn, c, false).await.unwrap();
    assert_eq!((&seen.without_lock[..], seen.somebody_is_back), (&NOBODY[..], true));
    note(&mut conn, &seen.without_lock).await.unwrap();
    assert!(!look(&mut conn, c, false).await.unwrap().somebody_is_back);
}
