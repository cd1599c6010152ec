//! Several transactions that store the same people at the same time.

use resume_core::document::{NewDocument, StoreError};
use tokio::task::JoinSet;

use crate::{
    fixture::{Fixture, NUMBERED, Random, in_time, item, items},
    raw_documents::{origin, store_in},
};

/// The same items in different orders: no deadlock, whoever loses stores again, and each item is stored once.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_people_in_any_order_are_stored_once() {
    let fixture = Fixture::new().await;
    let mut random = Random(1);
    for round in 0..10 {
        let mut page: Vec<NewDocument> = items(&format!("round-{round}"), 60);
        page.extend((0..20).map(|i| NewDocument::with_id(None, format!("{round} {i}").as_bytes())));
        let mut transactions = JoinSet::new();
        for _ in 0..4 {
            random.shuffle(&mut page);
            let (pool, page) = (fixture.pool().clone(), page.clone());
            let origin = origin(&pool, NUMBERED).await;
            transactions.spawn(async move {
                loop {
                    let mut tx = pool.begin().await.unwrap();
                    match store_in(&mut tx, origin, &page).await {
                        Ok(stored) => {
                            tx.commit().await.unwrap();
                            return stored.ids.len();
                        }
                        Err(StoreError::Contention) => tx.rollback().await.unwrap(),
                        Err(error) => panic!("{error:?}"),
                    }
                }
            });
        }
        let stored = in_time("all are stored", transactions.join_all()).await;
        assert_eq!(stored.into_iter().sum::<usize>(), 80, "round {round}");
    }
}

/// Who comes second waits. After a commit it has lost, and finds the people known when it stores again; after
/// a rollback it has not.
#[tokio::test]
async fn the_second_one_waits_for_the_first_one() {
    for commit in [true, false] {
        let fixture = Fixture::new().await;
        let origin = origin(fixture.pool(), NUMBERED).await;
        let mut tx = fixture.pool().begin().await.unwrap();
        assert_eq!(store_in(&mut tx, origin, &items("p", 3)).await.unwrap().ids.len(), 3);
        let second = tokio::spawn({
            let pool = fixture.pool().clone();
            async move {
                let mut tx = pool.begin().await.unwrap();
                let stored = store_in(&mut tx, origin, &items("p", 4)).await;
                if stored.is_ok() {
                    tx.commit().await.unwrap()
                } else {
                    tx.rollback().await.unwrap()
                }
                stored
            }
        });
        fixture.until_blocked(1).await;
        if commit {
            tx.commit().await.unwrap();
        } else {
            tx.rollback().await.unwrap();
        }
        match in_time("the second one ends", second).await.unwrap() {
            Err(StoreError::Contention) if commit => {
                assert_eq!(fixture.insert(&items("p", 4)).await.len(), 1)
            }
            Ok(stored) if !commit => assert_eq!(stored.ids.len(), 4),
            other => panic!("commit {commit}: {other:?}"),
        }
    }
}

/// People whose content has changed are locked in one order, whatever the order of the pages: nobody loses.
#[tokio::test(flavor = "multi_thread")]
async fn pages_that_change_the_same_people_do_not_lock_each_other_out() {
    let fixture = Fixture::new().await;
    let mut random = Random(7);
    fixture.insert(&items("p", 50)).await;
    for round in 0..10 {
        let mut transactions = JoinSet::new();
        for hand in 0..4 {
            let skill = format!("{round}-{hand}");
            let mut page: Vec<_> = (0..50).map(|at| item(&format!("p-{at}"), &[&skill])).collect();
            random.shuffle(&mut page);
            let pool = fixture.pool().clone();
            let origin = origin(&pool, NUMBERED).await;
            transactions.spawn(async move {
                let mut tx = pool.begin().await.unwrap();
                let stored = store_in(&mut tx, origin, &page).await.unwrap();
                tx.commit().await.unwrap();
                stored.ids.len()
            });
        }
        let stored = in_time("all are stored", transactions.join_all()).await;
        assert_eq!(stored, [50; 4], "round {round}");
    }
}
