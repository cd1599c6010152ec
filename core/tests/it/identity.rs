//! Who is who: a document is identified by its person and its content.

use resume_core::{
    call::Answer,
    document::{self, NewDocument, Origin, StoreError, Stored},
    resume,
    source::{self, definition::Definition},
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    fixture::{Fixture, NUMBERED, collection_of, in_time, item},
    raw_documents::{origin, store_in},
};

const LISTED: &str = "listed";

impl Fixture {
    /// Stores a page of a run of its own and parses it; returns what was stored.
    async fn listed(&self, items: Vec<NewDocument>) -> [usize; 2] {
        let definition = Definition::from_json(&json!({
            "name": LISTED, "base_url": "http://ats.example", "limits": [{"calls": 10, "per": "1s"}],
            "list": {"path": "/people", "items": "", "paging": {"single": {}}}, "format": "profile",
        }));
        source::put(&mut self.pool().acquire().await.unwrap(), &definition.unwrap()).await.unwrap();
        let id = self.start(&collection_of(1000, LISTED)).await;
        let stored = self.store_items(id, 1, items).await;
        self.parse_all(id).await;
        assert!(self.state(id).await.is_over());
        [stored.stored, stored.unchanged]
    }

    /// The skills that a resume shows.
    async fn skills_of(&self, external_id: &str) -> Vec<String> {
        let id = sqlx::query_scalar!("select id from people where external_id = $1", external_id);
        let id = id.fetch_one(self.pool()).await.unwrap();
        let resume = resume::find(self.pool(), id, true).await.unwrap().expect("there is a resume");
        resume.document.skills.iter().map(|skill| skill.name.clone()).collect()
    }

    /// Stores a document that was collected then.
    async fn store_at(&self, origin: Origin, item: NewDocument) -> Stored {
        let mut tx = self.pool().begin().await.unwrap();
        let stored = store_in(&mut tx, origin, &[item]).await.unwrap();
        tx.commit().await.unwrap();
        stored
    }
}

fn with_id(id: Option<&str>, body: &[u8]) -> NewDocument {
    NewDocument::with_id(id.map(str::to_owned), body)
}

#[tokio::test]
async fn two_people_with_the_same_bytes_are_two_documents() {
    let fixture = Fixture::new().await;
    let both = [with_id(Some("ann"), b"{}"), with_id(Some("bob"), b"{}")];
    assert_eq!(fixture.insert(&both).await.len(), 2);
    assert_eq!(fixture.insert(&[with_id(Some("cyd"), b"{}"), with_id(Some("ann"), b"{}")]).await.len(), 1);
}

/// Also on pages of their own, as details are.
#[tokio::test]
async fn two_details_with_the_same_bytes_are_two_documents() {
    let fixture = Fixture::new().await;
    let definition = Definition::from_json(&json!({
        "name": "detailed", "base_url": "http://ats.example", "limits": [{"calls": 10, "per": "1s"}],
        "list": {"path": "/people", "items": "", "paging": {"single": {}}},
        "detail": {"path": "/people/{id}"}, "format": "mapped", "map": {"name": "name"},
    }));
    source::put(&mut fixture.pool().acquire().await.unwrap(), &definition.unwrap()).await.unwrap();
    let id = fixture.start(&collection_of(10, "detailed")).await;
    fixture.store_items(id, 1, vec![with_id(Some("ann"), b"1"), with_id(Some("bob"), b"2")]).await;
    let details = sqlx::query!("select id, item from calls where step = 'detail' order by id");
    for detail in details.fetch_all(fixture.pool()).await.unwrap() {
        let call = fixture.call(id, detail.id).await.unwrap();
        let answer = Answer { items: vec![with_id(Some(&detail.item), b"{}")], ..Answer::default() };
        assert_eq!(fixture.store(&call, &answer).await.unwrap().stored, 1, "{}", detail.item);
    }
}

/// A definition with a wrong pointer to the id was mended: the same bytes come again, and now it is known
/// whose they are.
#[tokio::test]
async fn a_corrected_id_brings_people_in() {
    let fixture = Fixture::new().await;
    let (ann, bob) = (item("ann", &["A"]), item("bob", &["B"]));
    let without_ids = [&ann, &bob].map(|item| NewDocument { external_id: None, ..item.clone() });
    assert_eq!(fixture.listed(without_ids.to_vec()).await, [2, 0]);
    assert_eq!(fixture.listed(vec![ann.clone(), bob.clone()]).await, [2, 0]);
    assert_eq!(
        (fixture.skills_of("ann").await, fixture.skills_of("bob").await),
        (vec!["A".into()], vec!["B".into()])
    );
    assert_eq!(fixture.listed(vec![ann, bob]).await, [0, 2]);
}

#[tokio::test]
async fn identical_items_on_one_page_are_one_document() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.listed(vec![item("ann", &["A"]), item("ann", &["A"])]).await, [1, 1]);
}

/// Under two positions, say, each with a stage of its own: nothing new comes with the next run, and the
/// resume stays what it is.
#[tokio::test]
async fn somebody_who_is_listed_twice_with_different_bytes_does_not_change_with_each_run() {
    let fixture = Fixture::new().await;
    let (a, b) = (item("ann", &["A"]), item("ann", &["B"]));
    assert_eq!(fixture.listed(vec![a.clone(), b.clone()]).await, [2, 0]);
    assert_eq!(fixture.skills_of("ann").await, ["B"]);
    for order in [[&a, &b], [&b, &a], [&a, &b]] {
        assert_eq!(fixture.listed(order.map(Clone::clone).to_vec()).await, [0, 2]);
        assert_eq!(fixture.skills_of("ann").await, ["B"]);
    }
}

/// One of the two positions is closed, and it is the one that the resume shows.
#[tokio::test]
async fn what_is_left_of_two_contents_is_shown_after_a_complete_run() {
    let fixture = Fixture::new().await;
    let (a, b) = (item("ann", &["A"]), item("ann", &["B"]));
    fixture.listed(vec![a.clone(), b.clone()]).await;
    assert_eq!(fixture.listed(vec![a.clone()]).await, [0, 1]);
    assert_eq!(fixture.skills_of("ann").await, ["A"]);
    assert_eq!(fixture.listed(vec![a]).await, [0, 1], "and is nothing new");
    assert_eq!(fixture.listed(vec![b]).await, [1, 0], "and the other one is, when it comes back");
    assert_eq!(fixture.skills_of("ann").await, ["B"]);
}

#[tokio::test]
async fn a_content_that_comes_back_is_stored_and_shown_again() {
    let fixture = Fixture::new().await;
    for skill in ["X", "Y", "X"] {
        assert_eq!(fixture.listed(vec![item("ann", &[skill])]).await, [1, 0]);
        assert_eq!(fixture.skills_of("ann").await, [skill]);
    }
}

/// A worker that stood still stores it when another run has brought newer content: whichever is parsed first,
/// that one is shown.
#[tokio::test]
async fn an_answer_of_an_earlier_call_changes_no_resume() {
    for old_is_parsed_first in [false, true] {
        let fixture = Fixture::new().await;
        let [early, late] = [origin(fixture.pool(), NUMBERED).await, origin(fixture.pool(), NUMBERED).await];
        let new = fixture.store_at(late, item("ann", &["new"])).await.ids[0];
        let old = fixture.store_at(early, item("ann", &["old"])).await.ids[0];
        assert!(document::find(fixture.pool(), new).await.unwrap().unwrap().is_latest);
        fixture.parse_in_order(if old_is_parsed_first { [old, new] } else { [new, old] }).await;
        assert_eq!(fixture.skills_of("ann").await, ["new"], "the old one first: {old_is_parsed_first}");
    }
}

/// Where the source tells when somebody was changed, that counts and not the call.
#[tokio::test]
async fn a_content_that_the_source_calls_older_changes_no_resume() {
    for old_is_parsed_first in [false, true] {
        let fixture = Fixture::new().await;
        let changed = |skill: &str, at: &str| NewDocument {
            updated_at: Some(at.parse().unwrap()),
            ..item("ann", &[skill])
        };
        let [early, late] = [origin(fixture.pool(), NUMBERED).await, origin(fixture.pool(), NUMBERED).await];
        let new = fixture.store_at(early, changed("new", "2026-11-02T00:00:00Z")).await.ids[0];
        let old = fixture.store_at(late, changed("old", "2026-11-01T00:00:00Z")).await.ids[0];
        fixture.parse_in_order(if old_is_parsed_first { [old, new] } else { [new, old] }).await;
        assert_eq!(fixture.skills_of("ann").await, ["new"], "the old one first: {old_is_parsed_first}");
    }
}

impl Fixture {
    /// Parses documents in batches of their own, in this order.
    async fn parse_in_order(&self, documents: [i64; 2]) {
        let id = self.start(&collection_of(10, NUMBERED)).await;
        for document in documents {
            let batch = document::Batch { first_id: document, last_id: document };
            let mut conn = self.pool().acquire().await.unwrap();
            document::open_batches(&mut conn, id, &[batch]).await.unwrap();
            drop(conn);
            self.parse_batches(id, &[document], 0).await;
        }
    }
}

/// Both have found that nobody knows the person: the second one is told, and knows it when it stores again.
#[tokio::test]
async fn of_two_that_store_a_new_person_at_once_the_second_one_stores_again() {
    for id in [Some("ann"), None] {
        let fixture = Fixture::new().await;
        let person = [with_id(id, b"[]")];
        let from = Origin { collection_id: Uuid::nil(), ..origin(fixture.pool(), NUMBERED).await };
        let mut first = fixture.pool().begin().await.unwrap();
        assert_eq!(store_in(&mut first, from, &person).await.unwrap().ids.len(), 1);
        let mut second = fixture.pool().begin().await.unwrap();
        let commit = async {
            fixture.until_blocked(1).await;
            first.commit().await.unwrap();
        };
        let both = async { tokio::join!(store_in(&mut second, from, &person), commit) };
        let (lost, ()) = in_time("the second one ends", both).await;
        assert!(matches!(lost, Err(StoreError::Contention)), "{lost:?}");
        second.rollback().await.unwrap();
        let mut again = fixture.pool().begin().await.unwrap();
        let stored = store_in(&mut again, from, &person).await.unwrap();
        assert_eq!((stored.ids.len(), stored.unchanged), (0, 1));
    }
}
