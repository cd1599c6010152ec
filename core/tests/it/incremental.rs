//! Runs that ask for what has changed since the last complete one.

use std::time::Duration;

use chrono::{DateTime, Utc};
use resume_core::{
    call::Answer,
    collection::NewCollection,
    source::{
        self,
        definition::{Definition, Interval, Paging, Since, TimeFormat},
    },
};
use uuid::Uuid;

use crate::fixture::{Fixture, collection_of, items};

const CHANGES: &str = "changes";
const OVERLAP: Duration = Duration::from_secs(60);

async fn fixture() -> Fixture {
    let fixture = Fixture::new().await;
    let mut definition = Definition::original(CHANGES, "http://ats.example", "/people", 30);
    definition.list.params = [("updated_after", "{since}"), ("limit", "{per_page}")]
        .map(|(param, template)| (param.to_owned(), template.parse().unwrap()))
        .into();
    definition.list.paging = Paging::NextUrl { at: "/next".to_owned(), total: None };
    definition.list.since = Some(Since { format: TimeFormat::EpochMs, overlap: Interval(OVERLAP) });
    let mut conn = fixture.pool().acquire().await.unwrap();
    source::put(&mut conn, &definition).await.unwrap();
    drop(conn);
    fixture
}

/// Starts a run and gives from when on it asks for changes, in milliseconds since 1970.
async fn start(fixture: &Fixture, new: &NewCollection) -> (Uuid, Option<i64>) {
    let id = fixture.start(new).await;
    let values = fixture.page(id, 1).await.values;
    assert_eq!(values.since.is_some(), values.until.is_some());
    (id, values.since.map(|since| since.parse().unwrap()))
}

async fn synced_until(fixture: &Fixture) -> Option<DateTime<Utc>> {
    let mut conn = fixture.pool().acquire().await.unwrap();
    source::find(&mut conn, CHANGES).await.unwrap().unwrap().synced_until
}

#[tokio::test]
async fn a_complete_run_lets_the_next_one_ask_for_changes() {
    let fixture = fixture().await;
    let (id, since) = start(&fixture, &collection_of(100, CHANGES)).await;
    assert_eq!(since, None, "the first run reads everything");
    fixture.store_items(id, 1, Vec::new()).await;
    let began = fixture.progress(id).await.collection.created_at;
    assert_eq!(synced_until(&fixture).await, Some(began), "its beginning, not its end");

    let (id, since) = start(&fixture, &collection_of(100, CHANGES)).await;
    assert_eq!(since, Some((began - OVERLAP).timestamp_millis()));
    let full = NewCollection { full: true, ..collection_of(100, CHANGES) };
    assert_eq!(start(&fixture, &full).await.1, None, "unless everything is asked for");
    assert_eq!(start(&fixture, &collection_of(100, CHANGES)).await.1, since, "that run has not ended");
    fixture.store_items(id, 1, Vec::new()).await;
    assert!(synced_until(&fixture).await > Some(began));
}

#[tokio::test]
async fn a_run_with_errors_is_no_ground_to_stand_on() {
    let fixture = fixture().await;
    let id = fixture.start(&collection_of(100, CHANGES)).await;
    fixture.give_up(id, 1, "boom").await;
    assert_eq!(synced_until(&fixture).await, None);
}

#[tokio::test]
async fn a_run_that_was_cut_at_its_count_is_none_either() {
    let fixture = fixture().await;
    let id = fixture.start(&NewCollection { batch_size: 10, ..collection_of(10, CHANGES) }).await;
    let page = fixture.page(id, 1).await;
    let next = Some("http://ats.example/2".to_owned());
    fixture.store(&page, &Answer { items: items("p", 10), next, ..Answer::default() }).await;
    assert!(fixture.pending(id, 2).await.is_none(), "as many as were asked for are there");
    fixture.settle(id, 1, 10, 0).await;
    assert!(fixture.state(id).await.is_over());
    assert_eq!(synced_until(&fixture).await, None);
}

/// What has changed in another list nobody knows.
#[tokio::test]
async fn another_list_is_read_from_its_beginning() {
    let fixture = fixture().await;
    let complete = async || {
        let id = fixture.start(&collection_of(100, CHANGES)).await;
        fixture.store_items(id, 1, Vec::new()).await;
        assert!(synced_until(&fixture).await.is_some());
    };
    let change = async |change: &dyn Fn(&mut Definition)| {
        let mut conn = fixture.pool().acquire().await.unwrap();
        let mut definition = source::find(&mut conn, CHANGES).await.unwrap().unwrap().definition;
        change(&mut definition);
        source::put(&mut conn, &definition).await.unwrap();
    };
    complete().await;
    change(&|definition| definition.description = Some("the same list".to_owned())).await;
    assert!(synced_until(&fixture).await.is_some());
    change(&|definition| definition.list.path = "/others".to_owned()).await;
    assert_eq!(synced_until(&fixture).await, None);

    complete().await;
    let mut conn = fixture.pool().acquire().await.unwrap();
    let definition = source::find(&mut conn, CHANGES).await.unwrap().unwrap().definition;
    assert!(source::remove(&mut conn, CHANGES).await.unwrap());
    source::put(&mut conn, &definition).await.unwrap();
    drop(conn);
    assert_eq!(synced_until(&fixture).await, None, "it may be another system by now");
}

/// A run that began earlier and ends later does not set the clock back.
#[tokio::test]
async fn the_latest_beginning_counts() {
    let fixture = fixture().await;
    let slow = fixture.start(&collection_of(100, CHANGES)).await;
    let quick = fixture.start(&collection_of(100, CHANGES)).await;
    fixture.store_items(quick, 1, Vec::new()).await;
    let began = fixture.progress(quick).await.collection.created_at;
    fixture.store_items(slow, 1, Vec::new()).await;
    assert_eq!(synced_until(&fixture).await, Some(began));
}

/// What it brought is no ground for asking another list for changes.
#[tokio::test]
async fn a_run_whose_source_was_changed_meanwhile_is_no_ground_for_the_next() {
    let fixture = fixture().await;
    let (id, _) = start(&fixture, &collection_of(100, CHANGES)).await;
    let page = fixture.page(id, 1).await;
    let mut conn = fixture.pool().acquire().await.unwrap();
    let mut other = source::find(&mut conn, CHANGES).await.unwrap().unwrap().definition;
    other.list.path = "/former-people".to_owned();
    source::put(&mut conn, &other).await.unwrap();
    drop(conn);
    fixture.store(&page, &Answer::default()).await.unwrap();
    assert_eq!(synced_until(&fixture).await, None);
    assert_eq!(start(&fixture, &collection_of(100, CHANGES)).await.1, None);
}
