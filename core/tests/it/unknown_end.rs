//! Numbered pages of a source that is not told how many items are wanted: nobody knows how many pages there
//! are.

use resume_core::{
    call::Answer,
    collection::{CollectionState, NewCollection},
    source::{
        self,
        definition::{Definition, Paging},
    },
};
use uuid::Uuid;

use crate::fixture::{Fixture, collection_of, items};

const OFFSETS: &str = "offsets";

/// A fixture with a source that is asked by offsets, and tells how many items it has at this place, if at
/// all.
async fn fixture(total: Option<&str>) -> Fixture {
    let fixture = Fixture::new().await;
    let mut definition = Definition::original(OFFSETS, "http://ats.example", "/people", 30);
    definition.list.params = [("limit", "{per_page}"), ("offset", "{offset}")]
        .map(|(param, template)| (param.to_owned(), template.parse().unwrap()))
        .into();
    definition.list.paging = Paging::Numbered { first: 1, total: total.map(str::to_owned) };
    definition.list.per_page_max = 5;
    let mut conn = fixture.pool().acquire().await.unwrap();
    assert!(source::put(&mut conn, &definition).await.unwrap(), "it is a new one");
    drop(conn);
    fixture
}

/// Stores every page that is opened, as a source with so many items gives them; gives the pages in the order
/// of their jobs.
async fn read_all(fixture: &Fixture, id: Uuid, count: usize, total: Option<u64>) -> Vec<i32> {
    let mut at = 0;
    while let Some(&number) = fixture.fetch_jobs(id).await.get(at) {
        at += 1;
        let page = fixture.page(id, number).await;
        let (offset, per_page) = (page.values.offset as usize, page.values.per_page as usize);
        let here = count.saturating_sub(offset).min(per_page);
        let items = items(&format!("at-{offset}"), here);
        fixture.store(&page, &Answer { items, total, ..Answer::default() }).await;
    }
    let mut pages = fixture.fetch_jobs(id).await;
    pages.sort_unstable();
    pages
}

#[tokio::test]
async fn an_empty_page_lies_behind_the_last() {
    let fixture = fixture(None).await;
    let id = fixture.start(&collection_of(1000, OFFSETS)).await;
    assert_eq!(fixture.fetch_jobs(id).await, [1], "nobody knows of a second one");
    assert_eq!(fixture.progress(id).await.pages_expected, None);
    let pages = read_all(&fixture, id, 33, None).await;
    // Seven pages hold them; those that were opened beside the last one were empty.
    assert_eq!(pages[..7], (1..=7).collect::<Vec<_>>());
    assert!(pages.len() <= 15, "{pages:?}");
    let progress = fixture.progress(id).await;
    assert_eq!((progress.pages_expected, progress.counts.stored), (Some(7), 33));
}

#[tokio::test]
async fn the_source_may_tell_how_many_there_are() {
    let fixture = fixture(Some("/total")).await;
    let id = fixture.start(&collection_of(1000, OFFSETS)).await;
    let pages = read_all(&fixture, id, 33, Some(33)).await;
    assert_eq!(pages, (1..=7).collect::<Vec<_>>(), "no page is asked for in vain");
    assert_eq!(fixture.progress(id).await.pages_expected, Some(7));
}

#[tokio::test]
async fn no_more_is_asked_for_than_was_wanted() {
    for total in [None, Some(500)] {
        let fixture = fixture(total.map(|_| "/total")).await;
        let id = fixture.start(&collection_of(30, OFFSETS)).await;
        assert_eq!(read_all(&fixture, id, 500, total).await, [1, 2, 3, 4, 5, 6]);
        assert_eq!(fixture.progress(id).await.counts.stored, 30);
    }
}

#[tokio::test]
async fn a_source_without_items_has_one_empty_page() {
    for total in [None, Some(0)] {
        let fixture = fixture(total.map(|_| "/total")).await;
        let id = fixture.start(&collection_of(30, OFFSETS)).await;
        assert_eq!(read_all(&fixture, id, 0, total).await, [1]);
        let progress = fixture.progress(id).await;
        assert_eq!(
            (progress.pages_expected, progress.collection.state),
            (Some(1), CollectionState::Completed)
        );
    }
}

/// Behind a page that was given up the others go on: it may be this page alone that is bad.
#[tokio::test]
async fn a_failed_page_opens_those_behind_it() {
    let fixture = fixture(None).await;
    let id = fixture.start(&collection_of(1000, OFFSETS)).await;
    fixture.give_up(id, 1, "boom").await;
    assert_eq!(fixture.fetch_jobs(id).await, [1, 2, 3]);
}

/// The items that it lacks may stand nowhere: the pages behind it begin where it should have ended.
#[tokio::test]
async fn a_short_page_in_the_middle_is_an_error() {
    let fixture = fixture(None).await;
    let id = fixture.start(&collection_of(10, OFFSETS)).await;
    fixture.store_items(id, 1, items("first", 3)).await;
    fixture.store_items(id, 2, items("second", 5)).await;
    for (page, parsed) in [(1, 3), (2, 4), (2, 1)] {
        fixture.settle(id, page, parsed, 0).await;
    }
    // It is read again, once, and comes short again.
    assert_eq!(fixture.state(id).await, CollectionState::Running);
    fixture.store_items(id, 1, items("first", 3)).await;
    let progress = fixture.progress(id).await;
    assert_eq!(progress.collection.state, CollectionState::CompletedWithErrors);
    let [error] = &progress.errors[..] else { panic!("{:?}", progress.errors) };
    assert_eq!((error.code.as_str(), error.count), ("page_short", 1));
}

/// Many systems answer with an error to a page that is not there.
#[tokio::test]
async fn an_end_that_nobody_tells_is_not_looked_for_for_ever() {
    let fixture = fixture(None).await;
    let new = NewCollection { batch_size: 10, ..collection_of(1_000_000, OFFSETS) };
    let id = fixture.start(&new).await;
    let mut at = 0;
    while let Some(&number) = fixture.fetch_jobs(id).await.get(at) {
        at += 1;
        if number > 7 {
            fixture.give_up(id, number, "page out of range").await;
            continue;
        }
        let page = fixture.page(id, number).await;
        assert_eq!(page.may_be_behind_the_end(), number > 1);
        let items = items(&format!("page-{number}"), 5);
        fixture.store(&page, &Answer { items, ..Answer::default() }).await;
        fixture.settle(id, number, 5, 0).await;
    }
    let progress = fixture.progress(id).await;
    assert_eq!(progress.collection.state, CollectionState::CompletedWithErrors);
    assert_eq!(progress.counts.done, 7);
    assert!((16..=64).contains(&progress.counts.failed_calls), "{}", progress.counts.failed_calls);
}

/// Another page may have told the end since this one was opened.
#[tokio::test]
async fn a_page_behind_the_end_that_was_told_is_behind_it() {
    let fixture = fixture(None).await;
    let id = fixture.start(&collection_of(1000, OFFSETS)).await;
    let behind = async |number: i32| fixture.page(id, number).await.may_be_behind_the_end();
    for (number, count) in [(1, 5), (2, 5)] {
        let page = fixture.page(id, number).await;
        let items = items(&format!("page-{number}"), count);
        fixture.store(&page, &Answer { items, ..Answer::default() }).await;
    }
    assert!(behind(3).await && behind(5).await, "nobody knows");
    let page = fixture.page(id, 4).await;
    fixture.store(&page, &Answer::default()).await;
    assert_eq!(fixture.progress(id).await.pages_expected, Some(3));
    assert!(!behind(3).await, "a page of the list");
    assert!(behind(5).await);
}
