//! Several transactions that store the same items at the same time.

use resume_core::{
    parsing::Format,
    raw::{self, NewRawDocument},
};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::fixture::{Fixture, Random, in_time, items};

/// The same items in different orders: no deadlock, and each is stored by exactly one transaction.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_items_in_any_order_are_stored_once() {
    let fixture = Fixture::new().await;
    let mut random = Random(1);
    for round in 0..20 {
        let mut page: Vec<NewRawDocument> = items(&format!("round-{round}"), 60);
        page.extend((0..20).map(|i| NewRawDocument::new(Format::Profile, format!("{round} {i}").as_bytes())));
        let mut transactions = JoinSet::new();
        for _ in 0..4 {
            random.shuffle(&mut page);
            let (pool, page) = (fixture.pool().clone(), page.clone());
            transactions.spawn(async move {
                let mut tx = pool.begin().await.unwrap();
                // In two statements, as two pages of two collections would be.
                let (one, two) = page.split_at(page.len() / 2);
                let place = (Uuid::nil(), 1);
                let mut ids = raw::insert_new(&mut tx, "ats", Format::Profile, place, one).await.unwrap();
                tx.commit().await.unwrap();
                let mut tx = pool.begin().await.unwrap();
                ids.extend(raw::insert_new(&mut tx, "ats", Format::Profile, place, two).await.unwrap());
                tx.commit().await.unwrap();
                ids
            });
        }
        let stored = in_time("all are stored", transactions.join_all()).await;
        assert_eq!(stored.into_iter().flatten().count(), 80, "round {round}");
    }
}

/// Who comes second waits, and finds the item known after a commit and missing after a rollback.
#[tokio::test]
async fn the_second_one_waits_for_the_first_one() {
    for commit in [true, false] {
        let fixture = Fixture::new().await;
        let mut tx = fixture.pool().begin().await.unwrap();
        let place = (Uuid::nil(), 1);
        let first = raw::insert_new(&mut tx, "ats", Format::Profile, place, &items("p", 3)).await.unwrap();
        assert_eq!(first.len(), 3);
        let second = tokio::spawn({
            let pool = fixture.pool().clone();
            async move {
                let mut conn = pool.acquire().await.unwrap();
                let place = (Uuid::nil(), 2);
                raw::insert_new(&mut conn, "ats", Format::Profile, place, &items("p", 4)).await.unwrap()
            }
        });
        fixture.until_blocked(1).await;
        if commit {
            tx.commit().await.unwrap();
        } else {
            tx.rollback().await.unwrap();
        }
        let stored = in_time("the second one ends", second).await.unwrap();
        assert_eq!(stored.len(), if commit { 1 } else { 4 });
    }
}
