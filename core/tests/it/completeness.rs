//! Lists that move while they are read: what is read again, and what is told.

use resume_core::{
    attachment::Finder,
    call::{Answer, FoundAttachments},
    collection::CollectionState,
    document::NewDocument,
    source::{
        self,
        definition::{Definition, Paging},
    },
};
use uuid::Uuid;

use crate::fixture::{Fixture, NUMBERED, collection_of, item, items};

use CollectionState::{Completed, CompletedWithErrors, Running};

const OFFSETS: &str = "offsets";

/// A fixture with a source that is asked by offsets, ten items a page, and tells how many it has.
async fn fixture() -> Fixture {
    let fixture = Fixture::new().await;
    let mut definition = Definition::original(OFFSETS, "http://ats.example", "/people", 30);
    definition.list.params = [("limit", "{per_page}"), ("offset", "{offset}")]
        .map(|(param, template)| (param.to_owned(), template.parse().unwrap()))
        .into();
    definition.list.paging = Paging::Numbered { first: 1, total: Some("/total".to_owned()) };
    let mut conn = fixture.pool().acquire().await.unwrap();
    source::put(&mut conn, &definition).await.unwrap();
    drop(conn);
    fixture
}

impl Fixture {
    /// Stores a page with these people, and parses them.
    async fn show(
        &self,
        id: Uuid,
        page: i32,
        people: impl IntoIterator<Item = u32>,
        total: u64,
    ) -> [usize; 2] {
        let items: Vec<_> = people.into_iter().map(|number| item(&format!("p{number}"), &["SQL"])).collect();
        let page = self.page(id, page).await;
        let answer = Answer { items, total: Some(total), ..Answer::default() };
        let stored = self.store(&page, &answer).await.unwrap();
        self.parse_all(id).await;
        [stored.stored, stored.unchanged]
    }

    async fn doubts(&self, id: Uuid) -> Vec<(String, i64)> {
        self.progress(id).await.errors.into_iter().map(|error| (error.code, error.count)).collect()
    }
}

#[tokio::test]
async fn a_list_that_lies_still_is_read_once() {
    let fixture = fixture().await;
    let id = fixture.start(&collection_of(1000, OFFSETS)).await;
    for page in 1..=3 {
        assert_eq!(fixture.progress(id).await.is_complete, None);
        fixture.show(id, page, (page as u32 - 1) * 10..(page as u32 * 10).min(25), 25).await;
    }
    let progress = fixture.progress(id).await;
    assert_eq!((progress.collection.state, progress.is_complete), (Completed, Some(true)));
    assert_eq!(fixture.fetch_jobs(id).await, [1, 2, 3]);
}

/// The original source is told how many are wanted, and nothing is kept of its pages.
#[tokio::test]
async fn nothing_is_kept_of_a_source_that_is_told_how_many() {
    let fixture = fixture().await;
    let id = fixture.start(&collection_of(10, NUMBERED)).await;
    fixture.store_items(id, 1, items("a", 10)).await;
    let kept = sqlx::query_scalar!(r#"select count(*) as "kept!" from calls where item_keys is not null"#);
    assert_eq!(kept.fetch_one(fixture.pool()).await.unwrap(), 0);
}

#[tokio::test]
async fn a_page_that_is_read_again_counts_what_it_shows_for_the_first_time() {
    let fixture = fixture().await;
    let id = fixture.start(&collection_of(1000, OFFSETS)).await;
    fixture.show(id, 1, 0..10, 25).await;
    // The fourth one goes, and the eleventh lies on the first page now.
    fixture.show(id, 2, 11..21, 24).await;
    fixture.show(id, 3, 21..25, 24).await;
    let progress = fixture.progress(id).await;
    assert_eq!((progress.collection.state, progress.counts.done, progress.counts.stored), (Running, 3, 24));
    assert_eq!((progress.counts.pending(), progress.is_complete), (1, None));
    assert_eq!(fixture.fetch_jobs(id).await, [1, 2, 3, 1]);

    let people = (0..11).filter(|&number| number != 3);
    assert_eq!(fixture.show(id, 1, people, 24).await, [1, 9]);
    let progress = fixture.progress(id).await;
    assert_eq!((progress.collection.state, progress.is_complete), (Completed, Some(true)));
    let counts = [
        progress.counts.stored,
        progress.counts.unchanged,
        progress.counts.parsed,
        progress.failed(),
        progress.counts.done,
    ];
    assert_eq!((counts, progress.counts.made), ([25, 0, 25, 0, 4], 4));
    assert_eq!(fixture.doubts(id).await, []);
}

#[tokio::test]
async fn a_list_that_grows_by_a_page_has_that_read_too() {
    let fixture = fixture().await;
    let id = fixture.start(&collection_of(1000, OFFSETS)).await;
    fixture.show(id, 1, 0..10, 20).await;
    fixture.show(id, 2, 9..19, 21).await;
    assert_eq!(fixture.fetch_jobs(id).await, [1, 2, 1, 2, 3]);
    assert_eq!(fixture.show(id, 1, std::iter::once(100).chain(0..9), 21).await, [1, 9]);
    assert_eq!(fixture.show(id, 2, 9..19, 21).await, [0, 10]);
    assert_eq!(fixture.show(id, 3, 19..20, 21).await, [1, 0]);
    let progress = fixture.progress(id).await;
    assert_eq!(
        (progress.collection.state, progress.counts.stored, progress.counts.unchanged),
        (Completed, 21, 1)
    );
}

#[tokio::test]
async fn what_stays_doubtful_is_told_and_read_again_once() {
    let fixture = fixture().await;
    let id = fixture.start(&collection_of(1000, OFFSETS)).await;
    fixture.show(id, 1, 0..10, 30).await;
    fixture.show(id, 2, 10..20, 30).await;
    fixture.show(id, 3, 20..25, 30).await;
    assert_eq!(fixture.fetch_jobs(id).await, [1, 2, 3, 3]);
    assert_eq!(fixture.show(id, 3, 20..25, 30).await, [0, 5]);
    let progress = fixture.progress(id).await;
    assert_eq!((progress.collection.state, progress.is_complete), (CompletedWithErrors, Some(false)));
    let [error] = &progress.errors[..] else { panic!("{:?}", progress.errors) };
    assert_eq!((error.code.as_str(), error.count), ("items_missing", 5));
    assert_eq!(error.sample, "30 items were announced and 25 different ones seen");
}

/// By the total nothing is missing, so the page just is as it is.
#[tokio::test]
async fn a_short_page_is_no_error_where_nothing_is_missing() {
    let fixture = fixture().await;
    let id = fixture.start(&collection_of(1000, OFFSETS)).await;
    fixture.show(id, 1, 0..9, 19).await;
    fixture.show(id, 2, 9..19, 19).await;
    fixture.show(id, 1, 0..9, 19).await;
    assert_eq!((fixture.state(id).await, fixture.doubts(id).await), (Completed, vec![]));
}

#[tokio::test]
async fn a_failed_page_says_enough() {
    let fixture = fixture().await;
    let id = fixture.start(&collection_of(1000, OFFSETS)).await;
    fixture.show(id, 1, 0..10, 20).await;
    fixture.give_up(id, 2, "gone").await;
    assert_eq!(fixture.fetch_jobs(id).await, [1, 2]);
    assert_eq!(fixture.doubts(id).await, [("job_failed".to_owned(), 1)]);
    assert_eq!(fixture.progress(id).await.is_complete, Some(false));
}

/// As many as may be read again, and no more: the rest of what was announced is told as missing.
#[tokio::test]
async fn a_total_that_was_huge_for_a_moment_opens_a_hundred_pages() {
    let fixture = fixture().await;
    let id = fixture.start(&collection_of(1_000_000, OFFSETS)).await;
    fixture.show(id, 1, 0..10, 25).await;
    fixture.show(id, 2, 10..20, 250_000).await;
    fixture.show(id, 3, 20..25, 25).await;
    let progress = fixture.progress(id).await;
    assert_eq!(progress.collection.state, Running);
    assert!((1..=102).contains(&progress.counts.pending()), "{}", progress.counts.pending());
}

/// What became of a file says nothing of the list.
#[tokio::test]
async fn an_attachment_that_failed_does_not_hide_a_move() {
    let fixture = Fixture::new().await;
    let definition = Definition::from_json(&serde_json::json!({
        "name": "with-files", "base_url": "http://ats.example", "limits": [{"calls": 10, "per": "1s"}],
        "list": {
            "path": "/people", "items": "", "params": {"limit": "{per_page}", "offset": "{offset}"},
            "paging": {"numbered": {"total": "/total"}},
        },
        "attachments": {"at": "file"}, "format": "mapped", "map": {"name": "name"},
    }))
    .unwrap();
    source::put(&mut fixture.pool().acquire().await.unwrap(), &definition).await.unwrap();
    let finder = Finder::new(definition.attachments.as_ref().unwrap()).unwrap();
    let id = fixture.start(&collection_of(1000, "with-files")).await;
    for (number, people, total) in [(1, 0..10, 25), (2, 11..21, 24), (3, 21..25, 24)] {
        let body = |person| match person {
            0 => r#"{"file": {"url": "http://ats.example/cv", "name": "cv"}}"#.to_owned(),
            person => format!(r#"{{"number": {person}}}"#),
        };
        let items: Vec<_> = people
            .map(|person| NewDocument::with_id(Some(format!("p{person}")), body(person).as_bytes()))
            .collect();
        let attachments = FoundAttachments::of(&finder, &items);
        let fetched = Answer { items, total: Some(total), attachments, ..Answer::default() };
        fixture.store(&fixture.page(id, number).await, &fetched).await.unwrap();
        fixture.parse_all(id).await;
    }
    let file = sqlx::query_scalar!("select id from calls where step = 'attachment'");
    fixture.give_up_call(id, file.fetch_one(fixture.pool()).await.unwrap(), "gone").await;
    assert_eq!(fixture.state(id).await, Running);
    assert_eq!(fixture.fetch_jobs(id).await.last(), Some(&1), "the first page is read again");
}

/// The pages of a chain are not read again, but what is missing is told.
#[tokio::test]
async fn a_chain_that_brings_fewer_than_it_announced_is_not_complete() {
    let fixture = fixture().await;
    let mut definition = Definition::original("chain", "http://ats.example", "/people", 30);
    definition.list.params = [("limit".to_owned(), "{per_page}".parse().unwrap())].into();
    definition.list.paging = Paging::NextUrl { at: "/next".to_owned(), total: Some("/total".to_owned()) };
    source::put(&mut fixture.pool().acquire().await.unwrap(), &definition).await.unwrap();
    for (last, expected) in
        [(25, (Completed, Some(true), vec![])), (24, (CompletedWithErrors, Some(false), missing(1)))]
    {
        let id = fixture.start(&collection_of(1000, "chain")).await;
        for (number, people) in [(1, 0..10), (2, 10..20), (3, 20..last)] {
            let items: Vec<_> = people.map(|person| item(&format!("{last}-{person}"), &["SQL"])).collect();
            let next = (number < 3).then(|| format!("http://ats.example/people?page={}", number + 1));
            let fetched = Answer { items, next, total: Some(25), ..Answer::default() };
            fixture.store(&fixture.page(id, number).await, &fetched).await.unwrap();
            fixture.parse_all(id).await;
        }
        let progress = fixture.progress(id).await;
        let seen = (progress.collection.state, progress.is_complete, fixture.doubts(id).await);
        assert_eq!(seen, expected);
        assert_eq!(fixture.fetch_jobs(id).await, [1, 2, 3]);
    }
}

fn missing(count: i64) -> Vec<(String, i64)> {
    vec![("items_missing".to_owned(), count)]
}

/// What came twice filled up what was asked for.
#[tokio::test]
async fn a_chain_that_was_cut_tells_nothing_of_its_total() {
    let fixture = fixture().await;
    let mut definition = Definition::original("chain", "http://ats.example", "/people", 30);
    definition.list.params = [("limit".to_owned(), "{per_page}".parse().unwrap())].into();
    definition.list.paging = Paging::NextUrl { at: "/next".to_owned(), total: Some("/total".to_owned()) };
    source::put(&mut fixture.pool().acquire().await.unwrap(), &definition).await.unwrap();
    let id = fixture.start(&collection_of(20, "chain")).await;
    for (number, people) in [(1, 0..10), (2, 9..19)] {
        let items: Vec<_> = people.map(|person| item(&format!("p{person}"), &["SQL"])).collect();
        let next = Some(format!("http://ats.example/people?page={}", number + 1));
        let fetched = Answer { items, next, total: Some(100), ..Answer::default() };
        fixture.store(&fixture.page(id, number).await, &fetched).await.unwrap();
        fixture.parse_all(id).await;
    }
    let progress = fixture.progress(id).await;
    assert_eq!((progress.collection.state, progress.is_complete), (Completed, Some(false)));
}
