//! People whom their source lists no more.

use chrono::{DateTime, Utc};
use resume_core::{
    attachment::{Finder, MAX_PER_ITEM, NewAttachment},
    call::{self, Answer, FoundAttachments},
    collection::{CollectionState, NewCollection},
    document::NewDocument,
    resume::{self, Match, SkillQuery},
    source::{
        self,
        definition::{Attachments, Definition, Deleted, DeletedPolicy, Interval, Paging, Since, TimeFormat},
    },
};
use serde_json::json;
use uuid::Uuid;

use crate::fixture::{Fixture, collection_of, item};

const SOURCE: &str = "staff";

async fn fixture(missing: DeletedPolicy) -> Fixture {
    let fixture = Fixture::new().await;
    let mut definition = Definition::original(SOURCE, "http://ats.example", "/people", 30);
    definition.list.params = [("updated_after".to_owned(), "{since}".parse().unwrap())].into();
    definition.list.paging = Paging::NextUrl { at: "/next".to_owned(), total: None };
    definition.list.since =
        Some(Since { format: TimeFormat::EpochMs, overlap: Interval(std::time::Duration::ZERO) });
    definition.list.deleted = Some(Deleted { missing: Some(missing), ..Deleted::default() });
    let mut conn = fixture.pool().acquire().await.unwrap();
    source::put(&mut conn, &definition).await.unwrap();
    drop(conn);
    fixture
}

impl Fixture {
    /// A run that sees these people, each of whom knows SQL; returns how many it hides at its end.
    async fn run_over(&self, people: &[&str], full: bool) -> i64 {
        let before = self.hidden().await;
        let id = self.start(&NewCollection { full, ..collection_of(100, SOURCE) }).await;
        self.read(id, people, None).await;
        (self.hidden().await - before).max(0)
    }

    async fn read(&self, id: Uuid, people: &[&str], next: Option<String>) {
        let page = self.page(id, 1).await;
        let items: Vec<_> = people.iter().map(|name| item(name, &["SQL"])).collect();
        let fetched = Answer { items, next, ..Answer::default() };
        self.store(&page, &fetched).await.unwrap();
        self.parse_all(id).await;
    }

    async fn hidden(&self) -> i64 {
        let hidden =
            sqlx::query_scalar!(r#"select count(*) as "n!" from resumes where hidden_at is not null"#);
        hidden.fetch_one(self.pool()).await.unwrap()
    }

    /// Whom a search finds, and whom the search says that there are.
    pub(crate) async fn searched(&self) -> (Vec<String>, i64) {
        let query = SkillQuery::parse("SQL").unwrap();
        let page = resume::search(self.pool(), &query, Match::Any, None, 100).await.unwrap();
        let all = resume::search(self.pool(), &query, Match::All, None, 100).await.unwrap();
        assert_eq!(page, all);
        let mut ids: Vec<_> = page.hits.into_iter().map(|hit| hit.resume.external_id).collect();
        ids.sort_unstable();
        (ids, page.total.value)
    }
}

pub(crate) fn people(ids: &[&str]) -> (Vec<String>, i64) {
    (ids.iter().map(|&id| id.to_owned()).collect(), ids.len() as i64)
}

#[tokio::test]
async fn who_is_listed_no_more_is_hidden_until_they_come_back() {
    let fixture = fixture(DeletedPolicy::Hide).await;
    assert_eq!(fixture.run_over(&["ann", "bob", "cyd"], true).await, 0);
    assert_eq!(fixture.run_over(&["ann", "cyd"], true).await, 1);
    assert_eq!(fixture.searched().await, people(&["ann", "cyd"]));
    let id = sqlx::query_scalar!("select id from people where external_id = 'bob'");
    let id = id.fetch_one(fixture.pool()).await.unwrap();
    let bob = resume::find(fixture.pool(), id, true).await.unwrap().unwrap();
    assert!(bob.hidden_at.is_some());
    assert_eq!(resume::find(fixture.pool(), id, false).await.unwrap(), None);
    // What he comes back with is known by its hash, and not parsed again.
    assert_eq!(fixture.run_over(&["bob"], false).await, 0);
    assert_eq!(fixture.searched().await, people(&["ann", "bob", "cyd"]));
}

#[tokio::test]
async fn a_run_that_has_not_seen_everything_hides_nobody() {
    let fixture = fixture(DeletedPolicy::Hide).await;
    fixture.run_over(&["ann", "bob"], true).await;
    assert_eq!(fixture.run_over(&["ann"], false).await, 0, "it asked for changes");
    assert_eq!(fixture.run_over(&[], true).await, 0, "an empty list is rather an error of the source");

    let id = fixture.start(&NewCollection { full: true, ..collection_of(100, SOURCE) }).await;
    fixture.read(id, &["ann"], Some("http://ats.example/2".to_owned())).await;
    fixture.give_up(id, 2, "gone").await;
    assert!(fixture.state(id).await.is_over());
    assert_eq!(fixture.searched().await, people(&["ann", "bob"]));
}

#[tokio::test]
async fn by_default_everybody_stays() {
    let fixture = fixture(DeletedPolicy::Keep).await;
    fixture.run_over(&["ann", "bob"], true).await;
    assert_eq!(fixture.run_over(&["ann"], true).await, 0);
    assert_eq!(fixture.searched().await, people(&["ann", "bob"]));
}

/// The system has renamed the member with the id, say: nobody knows who they are.
#[tokio::test]
async fn items_without_ids_hide_nobody() {
    let fixture = fixture(DeletedPolicy::Hide).await;
    fixture.run_over(&["ann", "bob"], true).await;
    let synced = synced_until(&fixture).await;
    for _ in 0..2 {
        let id = fixture.start(&NewCollection { full: true, ..collection_of(100, SOURCE) }).await;
        let items = vec![item("ann", &["SQL"]), NewDocument::with_id(None, b"{}")];
        fixture.store_items(id, 1, items).await;
        fixture.parse_all(id).await;
        let progress = fixture.progress(id).await;
        assert_eq!(
            (progress.errors[0].code.as_str(), progress.is_complete),
            ("item_id_missing", Some(false))
        );
    }
    assert_eq!(fixture.searched().await, people(&["ann", "bob"]));
    assert_eq!(synced_until(&fixture).await, synced, "and are no ground for the next run");
}

/// No other run would bring more.
#[tokio::test]
async fn attachments_that_are_not_kept_leave_a_run_complete() {
    let fixture = fixture(DeletedPolicy::Hide).await;
    fixture.run_over(&["ann", "bob"], true).await;
    let synced = synced_until(&fixture).await;
    let id = fixture.start(&NewCollection { full: true, ..collection_of(100, SOURCE) }).await;
    let files = vec![json!({"url": "http://ats.example/cv", "name": "cv"}); MAX_PER_ITEM + 1];
    let ann = json!({"id": "ann", "skills": ["SQL"], "files": files}).to_string();
    let items = vec![NewDocument::with_id(Some("ann".to_owned()), ann.as_bytes())];
    let finder = Finder::new(&Attachments { at: "files".to_owned(), hosts: Vec::new() }).unwrap();
    let attachments = FoundAttachments::of(&finder, &items);
    let fetched = Answer { items, attachments, ..Answer::default() };
    fixture.store(&fixture.page(id, 1).await, &fetched).await.unwrap();
    fixture.settle(id, 1, 1, 0).await;
    let files =
        sqlx::query_scalar!("select id from calls where collection_id = $1 and step = 'attachment'", id);
    for file in files.fetch_all(fixture.pool()).await.unwrap() {
        let page = fixture.call(id, file).await.unwrap();
        let file = NewAttachment::new(b"a text".to_vec(), None).unwrap();
        let mut tx = fixture.pool().begin().await.unwrap();
        assert!(call::store_attachment(&mut tx, &page, &file).await.unwrap());
        tx.commit().await.unwrap();
    }
    fixture.end_run(id).await;
    let progress = fixture.progress(id).await;
    assert_eq!(progress.collection.state, CollectionState::CompletedWithErrors);
    assert_eq!(
        (progress.errors[0].code.as_str(), progress.is_complete),
        ("attachments_too_many", Some(true))
    );
    assert!(synced_until(&fixture).await > synced);
    assert_eq!(fixture.searched().await, people(&["ann"]));
}

async fn synced_until(fixture: &Fixture) -> Option<DateTime<Utc>> {
    let mut conn = fixture.pool().acquire().await.unwrap();
    source::find(&mut conn, SOURCE).await.unwrap().unwrap().synced_until
}
