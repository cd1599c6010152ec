//! Items that say themselves that they were deleted.

use resume_core::{
    call::Answer,
    collection::{self, CollectionState, NewCollection, Progress},
    document::NewDocument,
    import::{Container, document},
    source::{self, definition::Definition},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    deleted_people::people,
    fixture::{Fixture, collection_of, item},
};

const SOURCE: &str = "flagging";

/// A source whose items have a flag, in one list, with these changes.
async fn fixture(changes: Value) -> Fixture {
    let fixture = Fixture::new().await;
    let mut definition = json!({
        "name": SOURCE, "base_url": "http://ats.example", "limits": [{"calls": 10, "per": "1s"}],
        "list": {
            "path": "/people", "items": "", "paging": {"cursor": {"token": "/next", "param": "after"}},
            "deleted": {"missing": "hide", "flag": "/deleted_at"},
        },
        "format": "profile",
    });
    definition.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let definition = Definition::from_json(&definition).unwrap();
    source::put(&mut fixture.pool().acquire().await.unwrap(), &definition).await.unwrap();
    fixture
}

/// Items of these people; those with an exclamation mark were deleted.
fn items(names: &[&str]) -> Vec<NewDocument> {
    let one = |name: &&str| NewDocument {
        is_deleted: name.ends_with('!'),
        ..item(name.trim_end_matches('!'), &["SQL"])
    };
    names.iter().map(one).collect()
}

impl Fixture {
    async fn store_flagged(&self, id: Uuid, number: i32, names: &[&str], next: Option<&str>) {
        let page = self.page(id, number).await;
        let fetched = Answer { items: items(names), next: next.map(str::to_owned), ..Answer::default() };
        self.store(&page, &fetched).await.unwrap();
    }

    /// A full run over these people, and what follows its end.
    async fn run_over_all(&self, names: &[&str]) -> Uuid {
        let id = self.start(&NewCollection { full: true, ..collection_of(100, SOURCE) }).await;
        self.store_flagged(id, 1, names, None).await;
        self.parse_all(id).await;
        id
    }
}

#[tokio::test]
async fn who_is_flagged_is_neither_stored_nor_found() {
    let fixture = fixture(json!({})).await;
    let id = fixture.run_over_all(&["ann", "bob", "cyd!"]).await;
    let progress = fixture.progress(id).await;
    assert_eq!((progress.collection.state, progress.is_complete), (CollectionState::Completed, Some(true)));
    assert_eq!((progress.counts.stored, progress.counts.unchanged, progress.counts.parsed), (2, 0, 2));
    assert_eq!(fixture.searched().await, people(&["ann", "bob"]));

    let id = fixture.run_over_all(&["ann", "bob!", "cyd!"]).await;
    let progress = fixture.progress(id).await;
    assert_eq!((progress.counts.stored, progress.counts.unchanged), (0, 1));
    assert_eq!(fixture.searched().await, people(&["ann"]));
    fixture.run_over_all(&["ann", "bob!", "cyd!"]).await;
    assert_eq!(fixture.searched().await, people(&["ann"]), "to be listed with the flag brings nobody back");
    fixture.run_over_all(&["ann", "bob"]).await;
    assert_eq!(fixture.searched().await, people(&["ann", "bob"]));
}

#[tokio::test]
async fn who_is_flagged_counts_among_those_who_were_asked_for() {
    let fixture = fixture(json!({})).await;
    let id = fixture.start(&NewCollection { per_page: Some(2), ..collection_of(4, SOURCE) }).await;
    fixture.store_flagged(id, 1, &["ann", "bob!"], Some("t2")).await;
    fixture.store_flagged(id, 2, &["cyd!", "dan!"], Some("t3")).await;
    assert!(fixture.pending(id, 3).await.is_none(), "four were listed");
    assert_eq!(fixture.progress(id).await.errors, []);
}

#[tokio::test]
async fn the_flag_may_stand_in_what_the_detail_call_gives() {
    let fixture = fixture(json!({
        "detail": {"path": "/people/{id}"}, "format": "mapped", "map": {"skills": "skills"},
    }))
    .await;
    let run = async |listed: &[&str], in_full: &[&str]| {
        let id = fixture.start(&collection_of(100, SOURCE)).await;
        fixture.store_flagged(id, 1, listed, None).await;
        let details = sqlx::query!(
            "select id, item from calls where collection_id = $1 and step = 'detail' order by id",
            id
        );
        let details = details.fetch_all(fixture.pool()).await.unwrap();
        let asked: Vec<_> = details.iter().map(|detail| detail.item.clone()).collect();
        for (detail, name) in details.iter().zip(in_full) {
            let call = fixture.call(id, detail.id).await.unwrap();
            fixture.store(&call, &Answer { items: items(&[name]), ..Answer::default() }).await.unwrap();
            fixture.parse_all(id).await;
        }
        assert!(fixture.state(id).await.is_over());
        asked
    };
    assert_eq!(run(&["ann", "bob", "cyd!"], &["ann", "bob"]).await, ["ann", "bob"], "nobody asks for cyd");
    assert_eq!(fixture.searched().await, people(&["ann", "bob"]));
    run(&["ann", "bob"], &["ann", "bob!"]).await;
    assert_eq!(fixture.searched().await, people(&["ann"]));

    // That he is listed is not enough: what he is the detail call tells.
    let id = fixture.start(&collection_of(100, SOURCE)).await;
    fixture.store_flagged(id, 1, &["bob"], None).await;
    assert_eq!(fixture.searched().await, people(&["ann"]));
    fixture.cancel(id).await.unwrap();
    run(&["ann", "bob"], &["ann", "bob"]).await;
    assert_eq!(fixture.searched().await, people(&["ann", "bob"]));
}

#[tokio::test]
async fn a_file_may_flag_people_too() {
    let fixture = fixture(json!({})).await;
    fixture.run_over_all(&["ann", "bob"]).await;
    let mut conn = fixture.pool().acquire().await.unwrap();
    let definition = source::find(&mut conn, SOURCE).await.unwrap().unwrap().definition;
    drop(conn);
    let items = [
        document(&definition, br#"{"id": "ann", "skills": [], "deleted_at": null}"#),
        document(&definition, br#"{"id": "bob", "skills": [], "deleted_at": "2026-11-24"}"#),
    ];
    assert_eq!(items.each_ref().map(|item| item.is_deleted), [false, true]);
    let progress = fixture.import(&items, (&["bob"], &["ann"])).await;
    assert_eq!((progress.counts.stored, progress.counts.unchanged), (1, 0));
    assert_eq!(fixture.searched().await, people(&["ann"]));

    // As before, and so not parsed again.
    let back = document(&definition, br#"{"id": "bob", "skills": [], "deleted_at": null}"#);
    fixture.import(&[back], (&[], &["bob"])).await;
    assert_eq!(fixture.searched().await, people(&["ann", "bob"]));
}

impl Fixture {
    /// Imports a file of these items, of which some were deleted and some are there.
    async fn import(&self, items: &[NewDocument], seen: (&[&str], &[&str])) -> Progress {
        let new = collection::NewImport {
            source: SOURCE.to_owned(),
            container: Container::Ndjson,
            content_hash: [0; 32],
            count: items.len() as u64,
            per_page: 500,
            pages: 1,
            idempotency_key: None,
        };
        let mut tx = self.pool().begin().await.unwrap();
        let collection::BegunImport::New(mut import) = collection::begin_import(&mut tx, &new).await.unwrap()
        else {
            panic!("it is new")
        };
        import.note_seen(&mut tx, seen.0, seen.1).await.unwrap();
        import.store_page(&mut tx, items, None).await.unwrap();
        let id = import.finish(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
        self.progress(id).await
    }
}
