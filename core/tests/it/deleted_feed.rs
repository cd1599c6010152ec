//! A deletions feed, read beside the list.

use resume_core::{
    call::{self, Answer, Answered, Call},
    collection::{CollectionState, NewCollection},
    parsing::{Format, parse},
    resume::{self, NewResume, Outcome},
    source::{
        self,
        definition::{Definition, Step},
    },
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    deleted_people::people,
    fixture::{Fixture, collection_of, item},
};

const SOURCE: &str = "telling";

/// A source whose list and feed are chains, and tell what has changed, with these changes.
async fn fixture(changes: Value) -> Fixture {
    let fixture = Fixture::new().await;
    put(&fixture, changes).await;
    fixture
}

async fn put(fixture: &Fixture, changes: Value) {
    let paging = json!({"cursor": {"token": "/next", "param": "after"}});
    let feed = json!({"path": "/deleted", "params": {"from": "{since}"}, "items": "", "paging": paging});
    let mut definition = json!({
        "name": SOURCE, "base_url": "http://ats.example", "limits": [{"calls": 10, "per": "1s"}],
        "list": {
            "path": "/people", "params": {"from": "{since}"}, "items": "", "paging": paging,
            "since": {"format": "epoch_ms"}, "deleted": {"feed": feed},
        },
        "format": "profile",
    });
    definition.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let definition = Definition::from_json(&definition).unwrap();
    source::put(&mut fixture.pool().acquire().await.unwrap(), &definition).await.unwrap();
}

fn page_of(ids: &[&str], next: Option<&str>) -> Answer {
    let items = ids.iter().map(|id| item(id, &["SQL"])).collect();
    Answer { items, next: next.map(str::to_owned), ..Answer::default() }
}

impl Fixture {
    async fn begin(&self) -> Uuid {
        self.start(&collection_of(100, SOURCE)).await
    }

    /// The call for the page of the feed that waits to be fetched.
    async fn feed(&self, id: Uuid) -> Option<Call> {
        let call = sqlx::query_scalar!(
            "select id from calls where collection_id = $1 and step = 'deleted' and state = 'pending'",
            id
        );
        let call = call.fetch_optional(self.pool()).await.unwrap()?;
        self.call(id, call).await
    }

    /// Stores the next page of the feed.
    async fn tell(&self, id: Uuid, ids: &[&str], next: Option<&str>) {
        let page = self.feed(id).await.expect("a page of the feed is open");
        assert_eq!(page.step, Step::Deleted);
        self.store(&page, &page_of(ids, next)).await.unwrap();
    }

    /// Stores a page of the list, and parses what is new on it.
    async fn list_people(&self, id: Uuid, number: i32, ids: &[&str]) {
        let page = self.page(id, number).await;
        self.store(&page, &page_of(ids, None)).await.unwrap();
        self.parse_all(id).await;
    }

    /// A first run that has seen these people.
    async fn seen(&self, ids: &[&str]) {
        let id = self.begin().await;
        self.tell(id, &[], None).await;
        self.list_people(id, 1, ids).await;
        assert_eq!(self.state(id).await, CollectionState::Completed);
        assert_eq!(self.searched().await, people(ids));
    }

    async fn synced_until(&self) -> Option<chrono::DateTime<chrono::Utc>> {
        let mut conn = self.pool().acquire().await.unwrap();
        source::find(&mut conn, SOURCE).await.unwrap().unwrap().synced_until
    }
}

#[tokio::test]
async fn whom_the_feed_tells_is_hidden_and_comes_back() {
    let fixture = fixture(json!({})).await;
    fixture.seen(&["ann", "bob", "cyd"]).await;

    let id = fixture.begin().await;
    let list = fixture.page(id, 1).await;
    let feed = fixture.feed(id).await.unwrap();
    assert!(list.values.since.is_some());
    assert_eq!(
        (feed.values.since, feed.values.per_page),
        (list.values.since, 100),
        "its own pages, the run's time"
    );
    fixture.tell(id, &["bob", "nobody", "cyd"], None).await;
    assert_eq!(fixture.searched().await, people(&["ann", "bob", "cyd"]), "the list may have them yet");
    fixture.list_people(id, 1, &[]).await;
    assert_eq!(fixture.searched().await, people(&["ann"]));
    let progress = fixture.progress(id).await;
    assert_eq!((progress.collection.state, progress.is_complete), (CollectionState::Completed, Some(true)));
    assert_eq!((progress.pages_expected, progress.counts.done), (Some(2), 2));
    assert_eq!(
        (progress.counts.stored, progress.counts.unchanged),
        (0, 0),
        "those who were deleted are no items"
    );

    // What they come back with is known by its hash.
    let id = fixture.begin().await;
    fixture.tell(id, &[], None).await;
    fixture.list_people(id, 1, &["bob"]).await;
    assert_eq!(fixture.searched().await, people(&["ann", "bob"]));
    let full = NewCollection { full: true, ..collection_of(100, SOURCE) };
    let id = fixture.start(&full).await;
    let feed = fixture.feed(id).await.unwrap();
    assert_eq!(feed.values.since, None, "a full run asks for all who were ever deleted");
}

/// The feed tells of a time before somebody came back.
#[tokio::test]
async fn who_is_listed_in_the_same_run_is_there_in_whatever_order() {
    let fixture = fixture(json!({})).await;
    fixture.seen(&["ann", "bob"]).await;
    let id = fixture.begin().await;
    fixture.tell(id, &["ann", "bob"], None).await;
    fixture.list_people(id, 1, &["ann"]).await;
    assert_eq!(fixture.searched().await, people(&["ann"]));
    let id = fixture.begin().await;
    fixture.list_people(id, 1, &["bob"]).await;
    fixture.tell(id, &["ann", "bob"], None).await;
    assert_eq!(fixture.searched().await, people(&["bob"]));
}

#[tokio::test]
async fn a_feed_that_fails_is_asked_again_from_the_same_time() {
    let fixture = fixture(json!({})).await;
    fixture.seen(&["ann", "bob"]).await;
    let until = fixture.synced_until().await;
    let id = fixture.begin().await;
    let since = fixture.page(id, 1).await.values.since;
    fixture.list_people(id, 1, &[]).await;
    fixture.tell(id, &["ann"], Some("t2")).await;
    let second = fixture.feed(id).await.unwrap();
    fixture.give_up_call(id, second.id, "boom").await;
    let progress = fixture.progress(id).await;
    let state = CollectionState::CompletedWithErrors;
    assert_eq!((progress.collection.state, progress.is_complete), (state, Some(false)));
    assert_eq!(progress.errors[0].sample, "page 2 of the deleted: boom");
    assert_eq!(fixture.synced_until().await, until);
    let next = fixture.begin().await;
    assert_eq!(fixture.page(next, 1).await.values.since, since);

    assert_eq!(fixture.go_on(id).await, 1);
    fixture.tell(id, &["bob"], None).await;
    assert_eq!(fixture.state(id).await, CollectionState::Completed);
    assert_eq!(fixture.searched().await, people(&[]));
    assert!(fixture.synced_until().await > until);
}

#[tokio::test]
async fn a_feed_that_goes_in_a_circle_ends() {
    let fixture = fixture(json!({})).await;
    let id = fixture.begin().await;
    for _ in 0..2 {
        fixture.tell(id, &["x"], Some("t2")).await;
    }
    assert!(fixture.feed(id).await.is_none());
    let errors = fixture.progress(id).await.errors;
    let expected = "page 2 of the deleted: the next link leads to a page that was read before";
    assert_eq!((&*errors[0].code, &*errors[0].sample), ("next_link_loop", expected));
    assert!(fixture.pending(id, 1).await.is_some(), "the list goes on");
}

#[tokio::test]
async fn a_feed_without_end_is_cut_off() {
    let fixture = fixture(json!({})).await;
    let id = fixture.begin().await;
    let call = fixture.feed(id).await.unwrap().id;
    sqlx::query!("update calls set place = 10001 where id = $1", call).execute(fixture.pool()).await.unwrap();
    fixture.tell(id, &["x"], Some("t2")).await;
    assert!(fixture.feed(id).await.is_none());
    assert_eq!(fixture.progress(id).await.errors[0].code, "next_link_endless");
}

#[tokio::test]
async fn a_feed_whose_token_expired_begins_again_alone_and_once() {
    let fixture = fixture(json!({})).await;
    let id = fixture.begin().await;
    let restart = async || {
        let page = fixture.feed(id).await.unwrap();
        let mut tx = fixture.pool().begin().await.unwrap();
        let began = call::restart(&mut tx, &page).await.unwrap();
        tx.commit().await.unwrap();
        began
    };
    fixture.tell(id, &["x"], Some("t2")).await;
    assert!(restart().await);
    let page = fixture.feed(id).await.unwrap();
    assert_eq!((page.step, page.link.as_deref()), (Step::Deleted, None));
    fixture.tell(id, &["x"], Some("t2")).await;
    assert!(!restart().await, "and only once");
}

/// As many items as were asked for are there; the feed is read to its end all the same.
#[tokio::test]
async fn the_count_does_not_cut_the_feed() {
    let fixture = fixture(json!({})).await;
    fixture.seen(&["ann", "bob", "cyd"]).await;
    let id = fixture.start(&collection_of(1, SOURCE)).await;
    let page = fixture.page(id, 1).await;
    fixture.store(&page, &page_of(&["ann"], Some("t2"))).await.unwrap();
    assert!(fixture.pending(id, 2).await.is_none());
    fixture.tell(id, &["bob"], Some("t2")).await;
    fixture.tell(id, &["cyd"], None).await;
    assert_eq!(fixture.state(id).await, CollectionState::Completed);
    assert_eq!(fixture.searched().await, people(&["ann"]));
}

#[tokio::test]
async fn a_stopped_collection_goes_on_with_its_feed() {
    let fixture = fixture(json!({})).await;
    fixture.seen(&["ann", "bob"]).await;
    for cancel in [false, true] {
        let id = fixture.begin().await;
        let page = fixture.feed(id).await.unwrap();
        match cancel {
            true => fixture.cancel(id).await.unwrap(),
            false => fixture.pause(id).await.unwrap(),
        }
        assert!(fixture.call(id, page.id).await.is_none());
        if cancel {
            let mut tx = fixture.pool().begin().await.unwrap();
            let stored = call::store(&mut tx, &page, &page_of(&["ann"], None), None).await.unwrap();
            assert_eq!(stored, Answered::NotPending);
            tx.rollback().await.unwrap();
        }
        assert_eq!(fixture.go_on(id).await, 2);
        fixture.tell(id, &["bob"], None).await;
        fixture.list_people(id, 1, &[]).await;
        assert_eq!(fixture.state(id).await, CollectionState::Completed);
        assert_eq!(fixture.searched().await, people(&["ann"]));
    }
}

/// There is one feed for all parents, and it begins before any of them is known.
#[tokio::test]
async fn the_feed_stands_beside_lists_of_parents_and_details() {
    let paging = json!({"single": {}});
    let feed = json!({"path": "/deleted", "items": "", "paging": paging});
    let fixture = fixture(json!({
        "parents": {"path": "/positions", "items": "", "paging": paging},
        "list": {"path": "/positions/{parent}", "items": "", "paging": paging, "deleted": {"feed": feed}},
        "detail": {"path": "/people/{id}"}, "format": "mapped", "map": {"skills": "skills"},
    }))
    .await;
    let id = fixture.begin().await;
    let parents = fixture.page(id, 1).await;
    assert_eq!(parents.step, Step::Parents);
    fixture.store(&parents, &page_of(&["p"], None)).await.unwrap();
    let open = async |step: &str| {
        let calls = sqlx::query_scalar!(
            "select id from calls where collection_id = $1 and step::text = $2 and state = 'pending' order by id",
            id,
            step
        );
        calls.fetch_all(fixture.pool()).await.unwrap()
    };
    let list = fixture.call(id, open("list").await[0]).await.unwrap();
    fixture.store(&list, &page_of(&["ann", "bob"], None)).await.unwrap();
    for call in open("detail").await {
        let detail = fixture.call(id, call).await.unwrap();
        fixture.store(&detail, &page_of(&[&detail.values.id.clone().unwrap()], None)).await.unwrap();
    }
    fixture.parse_all(id).await;
    fixture.tell(id, &["bob", "eve"], None).await;
    let progress = fixture.progress(id).await;
    assert_eq!((progress.collection.state, progress.pages_expected), (CollectionState::Completed, Some(5)));
    assert_eq!(
        (progress.counts.stored, fixture.searched().await),
        (2, people(&["ann", "bob"])),
        "he is listed"
    );

    let id = fixture.begin().await;
    fixture.tell(id, &["bob", "eve"], None).await;
    fixture.store(&fixture.page(id, 1).await, &page_of(&[], None)).await.unwrap();
    assert_eq!(fixture.searched().await, people(&["ann"]));
}

/// To parse a document again does not bring somebody back who was deleted since.
#[tokio::test]
async fn a_reparse_brings_nobody_back() {
    let fixture = fixture(json!({})).await;
    let first = fixture.begin().await;
    fixture.tell(first, &[], None).await;
    fixture.list_people(first, 1, &["ann"]).await;
    let id = fixture.begin().await;
    fixture.tell(id, &["ann"], None).await;
    fixture.list_people(id, 1, &[]).await;
    let ann =
        sqlx::query!("select person_id, document_id from resumes").fetch_one(fixture.pool()).await.unwrap();
    let again = NewResume {
        document_id: ann.document_id,
        person_id: ann.person_id,
        is_overtaken: false,
        parsed: parse(Format::Profile, Some("ann"), &item("ann", &["SQL", "Rust"]).body).unwrap(),
    };
    let mut conn = fixture.pool().acquire().await.unwrap();
    let outcome = Outcome { parsed: vec![again], failed: Vec::new() };
    let source = source::find(&mut conn, SOURCE).await.unwrap().unwrap();
    resume::store_reparsed(&mut conn, source.id, 1, &outcome).await.unwrap();
    drop(conn);
    let skills = sqlx::query_scalar!("select skills from resumes");
    assert_eq!(skills.fetch_one(fixture.pool()).await.unwrap(), ["sql", "rust"]);
    assert_eq!(fixture.searched().await, people(&[]));
}

/// Who was deleted before there was a feed nobody has told.
#[tokio::test]
async fn with_another_feed_everything_is_asked_for() {
    let fixture = fixture(json!({})).await;
    fixture.seen(&["ann"]).await;
    assert!(fixture.synced_until().await.is_some());
    put(&fixture, json!({"description": "the same feed"})).await;
    assert!(fixture.synced_until().await.is_some());
    let mut conn = fixture.pool().acquire().await.unwrap();
    let mut definition = source::find(&mut conn, SOURCE).await.unwrap().unwrap().definition;
    definition.list.deleted.as_mut().unwrap().flag = Some("/deleted_at".to_owned());
    source::put(&mut conn, &definition).await.unwrap();
    drop(conn);
    assert_eq!(fixture.synced_until().await, None);
}
