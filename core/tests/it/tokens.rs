//! Tokens that processes share.

use std::time::Duration;

use resume_core::source::{
    self,
    tokens::{hold, newest, replace},
};

use crate::fixture::{Fixture, NUMBERED};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn the_newest_token_is_kept_while_it_is_good() {
    let fixture = Fixture::new().await;
    let mut conn = fixture.pool().acquire().await.unwrap();
    assert_eq!(newest(&mut conn, NUMBERED, 0).await.unwrap(), None);
    for sealed in [b"one", b"two"] {
        replace(&mut conn, NUMBERED, 0, sealed, HOUR).await.unwrap();
        let token = newest(&mut conn, NUMBERED, 0).await.unwrap().unwrap();
        assert_eq!(token.sealed, sealed);
        assert!(token.age < HOUR && token.good_for <= HOUR && token.good_for > HOUR / 2, "{token:?}");
    }
    assert_eq!(newest(&mut conn, NUMBERED, 1).await.unwrap(), None, "another proof");
    replace(&mut conn, NUMBERED, 0, b"three", Duration::ZERO).await.unwrap();
    assert_eq!(newest(&mut conn, NUMBERED, 0).await.unwrap(), None, "it is good no more");
}

#[tokio::test]
async fn a_source_that_was_removed_has_none() {
    let fixture = Fixture::new().await;
    let mut conn = fixture.pool().acquire().await.unwrap();
    replace(&mut conn, NUMBERED, 0, b"one", HOUR).await.unwrap();
    assert!(source::remove(&mut conn, NUMBERED).await.unwrap());
    assert_eq!(newest(&mut conn, NUMBERED, 0).await.unwrap(), None);
    // A collection that is under way asks for another one.
    replace(&mut conn, NUMBERED, 0, b"two", HOUR).await.unwrap();
    assert_eq!(newest(&mut conn, NUMBERED, 0).await.unwrap(), None);
}

#[tokio::test]
async fn one_holds_the_tokens_of_a_source_until_its_transaction_ends() {
    let fixture = Fixture::new().await;
    let mut first = fixture.pool().begin().await.unwrap();
    hold(&mut first, NUMBERED).await.unwrap();
    let changes_nothing =
        sqlx::query_scalar!(r#"select pg_current_xact_id_if_assigned() is null as "changes_nothing!""#);
    assert!(changes_nothing.fetch_one(&mut *first).await.unwrap(), "a reparse would wait for it");
    let pool = fixture.pool().clone();
    let second = tokio::spawn(async move {
        let mut second = pool.begin().await.unwrap();
        hold(&mut second, NUMBERED).await.unwrap();
        newest(&mut second, NUMBERED, 0).await.unwrap().unwrap().sealed
    });
    let waits = async || {
        let waiting = sqlx::query_scalar!(
            r#"select exists (select from pg_locks l join pg_database d on d.oid = l.database
                              where l.locktype = 'advisory' and not l.granted and d.datname = current_database()) as "waits!""#
        );
        waiting.fetch_one(fixture.pool()).await.unwrap()
    };
    while !waits().await {
        tokio::task::yield_now().await;
    }
    replace(&mut first, NUMBERED, 0, b"one", HOUR).await.unwrap();
    first.commit().await.unwrap();
    assert_eq!(second.await.unwrap(), b"one");
}
