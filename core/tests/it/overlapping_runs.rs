//! Collections of a source that are started while another one of it is not over.

use resume_core::{
    call::{self, Answer},
    collection::{self, CollectionState, ContinueError, NewCollection, Scope, StartError, UnderWay},
    db::{PgConnection, PgPool},
    jobs::FinishCollection,
    source::{
        self,
        definition::{Definition, OverlappingRuns, Since},
    },
};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::fixture::{Fixture, collection_of, in_time, items};

use CollectionState::{Cancelled, Completed, Paused, Pending, Running};

const SOURCE: &str = "one-at-a-time";

async fn fixture(policy: OverlappingRuns) -> Fixture {
    let fixture = Fixture::new().await;
    put(&fixture, policy).await;
    fixture
}

async fn put(fixture: &Fixture, policy: OverlappingRuns) {
    let mut definition = Definition::original(SOURCE, "http://ats.example", "/people", 30);
    definition.overlapping_runs = policy;
    definition.list.since = Some(serde_json::from_str::<Since>(r#"{"format": "epoch_ms"}"#).unwrap());
    source::put(&mut fixture.pool().acquire().await.unwrap(), &definition).await.unwrap();
}

/// A collection of one page.
fn one_page() -> NewCollection {
    collection_of(10, SOURCE)
}

async fn try_start(pool: &PgPool, new: &NewCollection) -> Result<Uuid, StartError> {
    let mut tx = pool.begin().await.unwrap();
    let started = collection::start(&mut tx, new).await?;
    tx.commit().await.unwrap();
    Ok(started.id)
}

/// Ends a collection whose only page was stored as a worker does, without commit.
async fn conclude(conn: &mut PgConnection, id: Uuid) {
    let job = FinishCollection { collection_id: id, run: 1, sweeps: 0 };
    assert_eq!(collection::conclude(conn, &job).await.unwrap(), Some(Completed));
}

/// Stores the only page of a collection, whose run does not end by that.
async fn store_only(fixture: &Fixture, id: Uuid) {
    let page = fixture.page(id, 1).await;
    let mut conn = fixture.pool().acquire().await.unwrap();
    call::store(&mut conn, &page, &Answer::default(), None).await.unwrap();
}

async fn ended(fixture: &Fixture, id: Uuid) {
    fixture.store_items(id, 1, Vec::new()).await;
    assert_eq!(fixture.state(id).await, Completed);
}

async fn change(fixture: &Fixture, id: Uuid, what: &str) {
    let mut tx = fixture.pool().begin().await.unwrap();
    match what {
        "pause" => collection::pause(&mut tx, id).await.unwrap(),
        "cancel" => collection::cancel(&mut tx, id).await.unwrap(),
        _ => _ = collection::continue_collection(&mut tx, id, Scope::default()).await.unwrap(),
    }
    tx.commit().await.unwrap();
    fixture.continue_calls(id).await;
}

async fn waits_for(fixture: &Fixture, id: Uuid) -> Option<Uuid> {
    fixture.progress(id).await.waits_for
}

/// Whether its pages are there.
async fn has_begun(fixture: &Fixture, id: Uuid) -> bool {
    !fixture.fetch_jobs(id).await.is_empty()
}

fn under_way(result: Result<Uuid, StartError>) -> UnderWay {
    match result {
        Err(StartError::UnderWay(other)) => other,
        other => panic!("it was not refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_second_one_is_refused_until_the_first_is_over() {
    let fixture = fixture(OverlappingRuns::Refuse).await;
    let new = NewCollection { idempotency_key: Some("a".to_owned()), ..one_page() };
    let first = fixture.start(&new).await;
    let rows = fixture.rows().await;
    let refused = under_way(try_start(fixture.pool(), &one_page()).await);
    assert_eq!(refused, UnderWay { id: first, state: Pending });
    assert_eq!(fixture.rows().await, rows, "nothing of it is there");
    assert_eq!(fixture.start(&new).await, first, "its own key gives the same reply");

    change(&fixture, first, "pause").await;
    assert_eq!(under_way(try_start(fixture.pool(), &one_page()).await).state, Paused);
    change(&fixture, first, "resume").await;
    assert_eq!(under_way(try_start(fixture.pool(), &one_page()).await).state, Running);
    ended(&fixture, first).await;
    let second = fixture.start(&one_page()).await;
    assert!(has_begun(&fixture, second).await);

    change(&fixture, second, "cancel").await;
    let third = fixture.start(&one_page()).await;
    let mut tx = fixture.pool().begin().await.unwrap();
    let error = collection::continue_collection(&mut tx, second, Scope::default()).await.unwrap_err();
    tx.rollback().await.unwrap();
    assert!(matches!(error, ContinueError::UnderWay(other) if other.id == third), "{error:?}");
    ended(&fixture, third).await;
    change(&fixture, second, "resume").await;
    ended(&fixture, second).await;
}

#[tokio::test]
async fn those_that_wait_begin_one_after_the_other() {
    let fixture = fixture(OverlappingRuns::Queue).await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(fixture.start(&one_page()).await);
    }
    assert_eq!(waits_for(&fixture, ids[0]).await, None);
    for (index, &id) in ids.iter().enumerate().skip(1) {
        assert_eq!(waits_for(&fixture, id).await, Some(ids[index - 1]));
        assert_eq!((fixture.state(id).await, has_begun(&fixture, id).await), (Pending, false));
    }
    let elsewhere = fixture.start(&collection_of(10, crate::fixture::NUMBERED)).await;
    assert!(has_begun(&fixture, elsewhere).await, "another source has a line of its own");

    change(&fixture, ids[1], "cancel").await;
    assert!(!has_begun(&fixture, ids[2]).await, "the first is under way");
    assert_eq!(waits_for(&fixture, ids[2]).await, Some(ids[0]));
    ended(&fixture, ids[0]).await;
    assert!(has_begun(&fixture, ids[2]).await && !has_begun(&fixture, ids[3]).await);
    assert_eq!(waits_for(&fixture, ids[2]).await, None);
    assert_eq!(waits_for(&fixture, ids[3]).await, Some(ids[2]));
    ended(&fixture, ids[2]).await;
    ended(&fixture, ids[3]).await;
    assert_eq!(fixture.state(ids[1]).await, Cancelled);
    assert!(!has_begun(&fixture, ids[1]).await);
}

#[tokio::test]
async fn every_way_to_end_lets_the_next_one_begin() {
    let fixture = fixture(OverlappingRuns::Queue).await;
    let mut last = fixture.start(&one_page()).await;
    for way in ["stored", "parsed", "given up", "cancelled", "closed"] {
        let next = fixture.start(&one_page()).await;
        assert!(!has_begun(&fixture, next).await, "{way}");
        match way {
            "stored" => ended(&fixture, last).await,
            "parsed" => {
                fixture.store_items(last, 1, items("p", 4)).await;
                assert!(!has_begun(&fixture, next).await, "what is stored is parsed first");
                fixture.settle(last, 1, 4, 0).await;
            }
            "given up" => fixture.give_up(last, 1, "boom").await,
            "cancelled" => change(&fixture, last, "cancel").await,
            _ => _ = fixture.finish(last).await,
        }
        assert!(fixture.state(last).await.is_over(), "{way}");
        assert!(has_begun(&fixture, next).await, "{way}");
        last = next;
    }
    ended(&fixture, last).await;
}

#[tokio::test]
async fn one_that_is_paused_while_it_waits_is_passed() {
    let fixture = fixture(OverlappingRuns::Queue).await;
    let [first, paused, last] = [
        fixture.start(&one_page()).await,
        fixture.start(&one_page()).await,
        fixture.start(&one_page()).await,
    ];
    change(&fixture, paused, "pause").await;
    assert_eq!(waits_for(&fixture, paused).await, None, "it will not begin by itself");
    assert_eq!(waits_for(&fixture, last).await, Some(first));
    change(&fixture, first, "pause").await;
    assert!(!has_begun(&fixture, last).await, "the one under way is passed by nobody");
    change(&fixture, first, "resume").await;
    ended(&fixture, first).await;
    assert!(has_begun(&fixture, last).await);

    change(&fixture, paused, "resume").await;
    assert_eq!((fixture.state(paused).await, waits_for(&fixture, paused).await), (Pending, Some(last)));
    change(&fixture, paused, "cancel").await;
    ended(&fixture, last).await;
    change(&fixture, paused, "resume").await;
    assert!(has_begun(&fixture, paused).await, "nobody is before it");
    ended(&fixture, paused).await;
}

#[tokio::test]
async fn what_has_changed_is_decided_when_it_begins() {
    let fixture = fixture(OverlappingRuns::Queue).await;
    let first = fixture.start(&one_page()).await;
    let second = fixture.start(&one_page()).await;
    let full = fixture.start(&NewCollection { full: true, ..one_page() }).await;
    ended(&fixture, first).await;
    let begun = async |id: Uuid| {
        let begun = sqlx::query_scalar!(r#"select begun_at as "at!" from collections where id = $1"#, id);
        begun.fetch_one(fixture.pool()).await.unwrap()
    };
    let began = [begun(first).await, begun(second).await];
    assert!(began[0] < began[1]);
    let values = fixture.page(second, 1).await.values;
    let since = began[0] - chrono::TimeDelta::minutes(5);
    assert_eq!(values.since.unwrap(), since.timestamp_millis().to_string(), "since the one before began");
    assert_eq!(values.until.unwrap(), began[1].timestamp_millis().to_string());
    ended(&fixture, second).await;
    let synced = source::find(&mut fixture.pool().acquire().await.unwrap(), SOURCE).await.unwrap().unwrap();
    assert_eq!(synced.synced_until, Some(began[1]));
    assert_eq!(fixture.page(full, 1).await.values.since, None);
}

#[tokio::test]
async fn a_changed_policy_strands_nobody() {
    let fixture = fixture(OverlappingRuns::Queue).await;
    let [first, second] = [fixture.start(&one_page()).await, fixture.start(&one_page()).await];
    put(&fixture, OverlappingRuns::Allow).await;
    let beside = fixture.start(&one_page()).await;
    assert!(has_begun(&fixture, beside).await);
    ended(&fixture, first).await;
    assert!(!has_begun(&fixture, second).await, "one is under way still");
    put(&fixture, OverlappingRuns::Refuse).await;
    ended(&fixture, beside).await;
    assert!(has_begun(&fixture, second).await);
    ended(&fixture, second).await;
}

#[tokio::test]
async fn the_clock_does_not_fill_the_line() {
    let fixture = fixture(OverlappingRuns::Queue).await;
    let start = async |new: NewCollection| {
        let mut tx = fixture.pool().begin().await.unwrap();
        let started = collection::start_unless_waiting(&mut tx, &new).await.unwrap();
        tx.commit().await.unwrap();
        started
    };
    let first = start(one_page()).await;
    let second = start(one_page()).await;
    assert!(!first.repeated && !second.repeated);
    let again = start(one_page()).await;
    assert_eq!((again.id, again.repeated), (second.id, true));
    let full = start(NewCollection { full: true, ..one_page() }).await;
    assert!(!full.repeated, "it asks for something else");
    ended(&fixture, first.id).await;
    assert!(!start(one_page()).await.repeated, "the second has begun");
}

/// Starts a collection beside the test.
fn spawn_start(fixture: &Fixture) -> JoinHandle<Result<Uuid, StartError>> {
    let pool = fixture.pool().clone();
    tokio::spawn(async move { try_start(&pool, &one_page()).await })
}

#[tokio::test]
async fn of_two_starts_at_once_one_is_refused() {
    for commit in [true, false] {
        let fixture = fixture(OverlappingRuns::Refuse).await;
        let mut tx = fixture.pool().begin().await.unwrap();
        let first = collection::start(&mut tx, &one_page()).await.unwrap();
        let second = spawn_start(&fixture);
        fixture.until_blocked(1).await;
        if commit {
            tx.commit().await.unwrap();
        } else {
            tx.rollback().await.unwrap();
        }
        let second = in_time("the second start ends", second).await.unwrap();
        if commit {
            assert_eq!(under_way(second).id, first.id);
        } else {
            assert!(has_begun(&fixture, second.unwrap()).await);
        }
    }
}

#[tokio::test]
async fn a_start_and_an_end_at_once_strand_nobody() {
    for end_is_first in [true, false] {
        let fixture = fixture(OverlappingRuns::Queue).await;
        let first = fixture.start(&one_page()).await;
        store_only(&fixture, first).await;
        let mut tx = fixture.pool().begin().await.unwrap();
        let second = if end_is_first {
            conclude(&mut tx, first).await;
            let second = spawn_start(&fixture);
            fixture.until_blocked(1).await;
            tx.commit().await.unwrap();
            in_time("the start ends", second).await.unwrap().unwrap()
        } else {
            let second = collection::start(&mut tx, &one_page()).await.unwrap().id;
            let pool = fixture.pool().clone();
            let end = tokio::spawn(async move {
                let mut tx = pool.begin().await.unwrap();
                conclude(&mut tx, first).await;
                tx.commit().await.unwrap();
            });
            fixture.until_blocked(1).await;
            tx.commit().await.unwrap();
            in_time("the end ends", end).await.unwrap();
            second
        };
        assert_eq!(fixture.state(first).await, Completed);
        assert!(has_begun(&fixture, second).await, "end first: {end_is_first}");
    }
}

/// Many start, pause, cancel and end at random; at no time are two under way, and in the end none waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_at_once_never_two_are_under_way() {
    let fixture = std::sync::Arc::new(fixture(OverlappingRuns::Queue).await);
    let most = async |fixture: &Fixture| {
        let count = sqlx::query_scalar!(
            r#"select count(*) as "count!" from collections where begun_at is not null and finished_at is null"#
        );
        count.fetch_one(fixture.pool()).await.unwrap()
    };
    let hands = (0..4).map(|hand| {
        let fixture = fixture.clone();
        tokio::spawn(async move {
            for round in 0..15 {
                let id = try_start(fixture.pool(), &one_page()).await.unwrap();
                if (hand + round) % 3 == 0 {
                    change(&fixture, id, "cancel").await;
                    continue;
                }
                in_time("its turn has come", async {
                    while !has_begun(&fixture, id).await {
                        assert!(most(&fixture).await <= 1);
                        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                    }
                })
                .await;
                assert_eq!(most(&fixture).await, 1);
                ended(&fixture, id).await;
            }
        })
    });
    for hand in hands.collect::<Vec<_>>() {
        in_time("all are through", hand).await.unwrap();
    }
    assert_eq!(most(&fixture).await, 0);
    let waiting = sqlx::query_scalar!(
        r#"select count(*) as "count!" from collections where begun_at is null and finished_at is null"#
    );
    assert_eq!(waiting.fetch_one(fixture.pool()).await.unwrap(), 0);
}

#[tokio::test]
async fn of_a_source_that_is_removed_none_begins_any_more() {
    let fixture = fixture(OverlappingRuns::Queue).await;
    let first = fixture.start(&one_page()).await;
    let waiting = fixture.start(&one_page()).await;
    source::remove(&mut fixture.pool().acquire().await.unwrap(), SOURCE).await.unwrap();
    assert_eq!(fixture.state(waiting).await, Pending, "it may yet be added again");
    ended(&fixture, first).await;
    assert_eq!(fixture.state(waiting).await, Cancelled);
    assert!(!has_begun(&fixture, waiting).await);
    change(&fixture, waiting, "resume").await;
    assert_eq!(fixture.state(waiting).await, Cancelled);

    put(&fixture, OverlappingRuns::Queue).await;
    change(&fixture, waiting, "resume").await;
    assert!(has_begun(&fixture, waiting).await);
}
