//! Raw documents: kept verbatim, and told apart by their content.

use resume_core::{
    parsing::{CompiledMapping, Format, parse_mapped},
    raw::{self, NewRawDocument},
};
use uuid::Uuid;

use crate::fixture::{Fixture, item, items};

const SOURCE: &str = "ats";
const NONE: [i64; 0] = [];

impl Fixture {
    /// Stores the items of a page and commits; gives the ids of the new ones.
    pub(crate) async fn insert(&self, items: &[NewRawDocument]) -> Vec<i64> {
        self.insert_from(SOURCE, items).await
    }

    async fn insert_from(&self, source: &str, items: &[NewRawDocument]) -> Vec<i64> {
        let mut tx = self.pool().begin().await.unwrap();
        let place = (Uuid::nil(), 1);
        let ids = raw::insert_new(&mut tx, source, Format::Profile, place, items).await.unwrap();
        tx.commit().await.unwrap();
        ids
    }

    /// What was stored of these raw documents: bodies by id.
    async fn bodies(&self, ids: &[i64]) -> Vec<Vec<u8>> {
        raw::load(self.pool(), ids).await.unwrap().into_iter().map(|document| document.body).collect()
    }
}

fn without_id(body: &[u8]) -> NewRawDocument {
    let item = NewRawDocument::new(Format::Profile, body);
    assert_eq!(item.external_id, None);
    item
}

#[tokio::test]
async fn items_are_kept_verbatim_in_the_order_of_the_page() {
    let fixture = Fixture::new().await;
    let bodies: [&[u8]; 5] = [
        b"{ \"id\" :\"a\",\n \"skills\":[] }",
        b"\"a text\"",
        b"\xff\xfe\0 no text at all",
        b"",
        b"{\"id\":7}",
    ];
    let items: Vec<_> = bodies.iter().map(|body| NewRawDocument::new(Format::Profile, body)).collect();
    let mut tx = fixture.pool().begin().await.unwrap();
    let collection_id = Uuid::now_v7();
    let ids = raw::insert_new(&mut tx, SOURCE, Format::Profile, (collection_id, 3), &items).await.unwrap();
    tx.commit().await.unwrap();

    let stored = raw::load(fixture.pool(), &ids).await.unwrap();
    assert_eq!(stored.len(), 5);
    for ((position, item), (id, stored)) in (1..).zip(&items).zip(ids.iter().zip(&stored)) {
        assert_eq!(stored.id, *id);
        assert_eq!((&stored.body, &stored.content_hash[..]), (&item.body, &item.content_hash[..]));
        assert_eq!(stored.external_id, item.external_id);
        assert_eq!((stored.source.as_str(), stored.format), (SOURCE, Format::Profile));
        assert_eq!((stored.collection_id, stored.page, stored.position), (collection_id, 3, position));
    }
    let external_ids: Vec<_> = stored.iter().map(|document| document.external_id.as_deref()).collect();
    assert_eq!(external_ids, [Some("a"), None, None, None, Some("7")]);
    assert_eq!(raw::find(fixture.pool(), ids[1]).await.unwrap().as_ref(), Some(&stored[1]));
}

#[tokio::test]
async fn documents_are_loaded_by_id_and_unknown_ones_left_out() {
    let fixture = Fixture::new().await;
    let ids = fixture.insert(&items("p", 3)).await;
    let loaded = raw::load(fixture.pool(), &[ids[2], -1, ids[0], i64::MAX]).await.unwrap();
    assert_eq!(loaded.iter().map(|document| document.id).collect::<Vec<_>>(), [ids[0], ids[2]]);
    assert_eq!(raw::load(fixture.pool(), &[]).await.unwrap(), []);
    assert_eq!(raw::find(fixture.pool(), -1).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_known_by_its_hash_is_left_out() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.insert(&[]).await, NONE);
    assert_eq!(fixture.insert(&items("p", 3)).await.len(), 3);
    assert_eq!(fixture.insert(&items("p", 3)).await, NONE);
    let new = fixture.insert(&items("p", 5)).await;
    let new: Vec<_> = raw::load(fixture.pool(), &new).await.unwrap();
    let places: Vec<_> = new.iter().map(|new| (new.external_id.as_deref().unwrap(), new.position)).collect();
    assert_eq!(places, [("p-3", 4), ("p-4", 5)]);
    assert_eq!(fixture.insert_from("another", &items("p", 3)).await.len(), 3, "each source has its own");
}

#[tokio::test]
async fn a_content_that_comes_back_is_stored_again() {
    let fixture = Fixture::new().await;
    let (a, b) = (item("p", &["A"]), item("p", &["B"]));
    let mut ids = Vec::new();
    for version in [&a, &b, &a, &b] {
        let new = fixture.insert(std::slice::from_ref(version)).await;
        assert_eq!(new.len(), 1);
        assert!(new > ids, "later ones have higher ids");
        ids = new;
        assert_eq!(fixture.insert(std::slice::from_ref(version)).await, NONE, "it is the latest now");
    }
}

#[tokio::test]
async fn an_item_that_stands_twice_on_a_page_is_stored_once() {
    let fixture = Fixture::new().await;
    let (p, q) = (item("p", &[]), item("q", &[]));
    let ids = fixture.insert(&[p.clone(), q.clone(), p.clone(), p.clone()]).await;
    assert_eq!(fixture.bodies(&ids).await, [p.body, q.body]);
}

#[tokio::test]
async fn of_two_versions_on_a_page_both_are_kept_and_the_later_one_is_the_latest() {
    let fixture = Fixture::new().await;
    // Many pairs, so that the order of the hashes cannot be the order of the page by chance.
    let versions =
        |version: &str| (0..16).map(|index| item(&index.to_string(), &[version])).collect::<Vec<_>>();
    let (old, new) = (versions("old"), versions("new"));
    let ids = fixture.insert(&[&old[..], &new[..]].concat()).await;
    let expected: Vec<_> = old.iter().chain(&new).map(|item| item.body.clone()).collect();
    assert_eq!(fixture.bodies(&ids).await, expected);
    assert_eq!(fixture.insert(&new).await, NONE, "the later version is known as the latest");
}

#[tokio::test]
async fn items_without_an_id_are_told_apart_by_content_alone() {
    let fixture = Fixture::new().await;
    let [a, b] = [without_id(br#"{"id":null,"skills":[]}"#), without_id(br#""archived""#)];
    assert_eq!(fixture.insert(&[a.clone(), b.clone(), a.clone()]).await.len(), 2);
    assert_eq!(fixture.insert(&[b, a]).await, NONE);
}

#[tokio::test]
async fn large_documents_fit() {
    let fixture = Fixture::new().await;
    let large = |id: &str, size: usize| {
        let text: String = (0..size).map(|i| char::from(b'a' + (i * i % 26) as u8)).collect();
        item(id, &[&text])
    };
    let items = [large("a", 8 << 20), large("b", 4 << 20), large("c", 1)];
    let ids = fixture.insert(&items).await;
    let expected: Vec<_> = items.iter().map(|item| item.body.clone()).collect();
    assert!(fixture.bodies(&ids).await == expected);
    assert_eq!(fixture.insert(&items).await, NONE);
}

#[tokio::test]
async fn a_mapped_item_is_kept_with_the_id_it_came_with() {
    let fixture = Fixture::new().await;
    let items = [
        NewRawDocument::with_id(Some("u-1".to_owned()), br#"{"uuid": "u-1", "first": "Ada"}"#),
        NewRawDocument::with_id(None, br#"{"first": "Bob"}"#),
    ];
    let mut tx = fixture.pool().begin().await.unwrap();
    let ids = raw::insert_new(&mut tx, SOURCE, Format::Mapped, (Uuid::nil(), 1), &items).await.unwrap();
    tx.commit().await.unwrap();
    let mapping = serde_json::from_value(serde_json::json!({"name": "first"})).unwrap();
    let mapping = CompiledMapping::new(&mapping).unwrap();
    let stored = raw::load(fixture.pool(), &ids).await.unwrap();
    let parsed = stored.iter().map(|document| {
        assert_eq!(document.format, Format::Mapped);
        parse_mapped(&mapping, document.external_id.as_deref(), &document.body)
    });
    let parsed: Vec<_> =
        parsed.map(|result| result.map(|resume| (resume.external_id, resume.name))).collect();
    assert_eq!(parsed[0], Ok(("u-1".to_owned(), Some("Ada".to_owned()))));
    assert_eq!(parsed[1].as_ref().unwrap_err().code.as_str(), "missing_id");
}
