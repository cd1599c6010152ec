//! Documents: kept verbatim, and told apart by their person and their content.

use resume_core::{
    db::{PgConnection, PgPool},
    document::{self, NewDocument, Origin, StoreError, Stored},
    parsing::{CompiledMapping, id_at, parse_mapped},
    source,
};
use uuid::Uuid;

use crate::fixture::{Fixture, NEXT_LINK, NUMBERED, item, items};

const NONE: [i64; 0] = [];

/// Where the items of a source come from, in a run of their own.
pub(crate) async fn origin(pool: &PgPool, source: &str) -> Origin {
    let mut conn = pool.acquire().await.unwrap();
    let source_id = source::find(&mut conn, source).await.unwrap().unwrap().id;
    let row = sqlx::query!(r#"select nextval('document_ids') as "first!", clock_timestamp() as "now!""#);
    let row = row.fetch_one(&mut *conn).await.unwrap();
    let collection_id = Uuid::now_v7();
    Origin { source_id, collection_id, call_id: 1, first_document_id: row.first, collected_at: row.now }
}

/// Stores items in the caller's transaction.
pub(crate) async fn store_in(
    conn: &mut PgConnection,
    origin: Origin,
    items: &[NewDocument],
) -> Result<Stored, StoreError> {
    document::store(conn, origin, None, items).await
}

impl Fixture {
    /// Stores the items of a page and commits; returns the ids of the new ones.
    pub(crate) async fn insert(&self, items: &[NewDocument]) -> Vec<i64> {
        self.insert_from(NUMBERED, items).await
    }

    pub(crate) async fn insert_from(&self, source: &str, items: &[NewDocument]) -> Vec<i64> {
        let origin = origin(self.pool(), source).await;
        let mut tx = self.pool().begin().await.unwrap();
        let stored = store_in(&mut tx, origin, items).await.unwrap();
        tx.commit().await.unwrap();
        stored.ids
    }

    /// The bodies of these documents.
    async fn bodies(&self, ids: &[i64]) -> Vec<Vec<u8>> {
        let mut bodies = Vec::new();
        for &id in ids {
            bodies.push(document::body(self.pool(), id).await.unwrap().unwrap());
        }
        bodies
    }

    async fn external_ids(&self, ids: &[i64]) -> Vec<Option<String>> {
        let mut found = Vec::new();
        for &id in ids {
            found.push(document::find(self.pool(), id).await.unwrap().unwrap().external_id);
        }
        found
    }
}

fn without_id(body: &[u8]) -> NewDocument {
    let item = NewDocument::with_id(id_at(body, "/id"), body);
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
    let items: Vec<_> = bodies.iter().map(|body| NewDocument::with_id(id_at(body, "/id"), body)).collect();
    let ids = fixture.insert(&items).await;
    assert_eq!(fixture.bodies(&ids).await, bodies);
    let expected = [Some("a"), None, None, None, Some("7")].map(|id| id.map(str::to_owned));
    assert_eq!(fixture.external_ids(&ids).await, expected);
    for (id, position) in ids.iter().zip(1..) {
        let document = document::find(fixture.pool(), *id).await.unwrap().unwrap();
        assert_eq!(
            (document.source.as_str(), document.position, document.is_latest),
            (NUMBERED, position, true)
        );
    }
    assert_eq!(document::find(fixture.pool(), -1).await.unwrap(), None);
    assert_eq!(document::body(fixture.pool(), -1).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_known_by_its_hash_is_left_out() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.insert(&[]).await, NONE);
    assert_eq!(fixture.insert(&items("p", 3)).await.len(), 3);
    assert_eq!(fixture.insert(&items("p", 3)).await, NONE);
    let new = fixture.insert(&items("p", 5)).await;
    assert_eq!(fixture.external_ids(&new).await, ["p-3", "p-4"].map(|id| Some(id.to_owned())));
    assert_eq!(fixture.insert_from(NEXT_LINK, &items("p", 3)).await.len(), 3, "each source has its own");
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
async fn of_two_versions_on_a_page_both_are_kept_and_both_are_current() {
    let fixture = Fixture::new().await;
    // Many pairs, so that the order of the hashes cannot be the order of the page by chance.
    let versions =
        |version: &str| (0..16).map(|index| item(&index.to_string(), &[version])).collect::<Vec<_>>();
    let (old, new) = (versions("old"), versions("new"));
    let ids = fixture.insert(&[&old[..], &new[..]].concat()).await;
    let expected: Vec<_> = old.iter().chain(&new).map(|item| item.body.clone()).collect();
    assert_eq!(fixture.bodies(&ids).await, expected);
    assert_eq!(fixture.insert(&new).await, NONE);
    assert_eq!(fixture.insert(&old).await, NONE);
    let latest = document::find(fixture.pool(), ids[31]).await.unwrap().unwrap();
    assert!(latest.is_latest, "the one that stood behind the other");
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

/// The ids of a block are those of one call of the sequence; what is stored beyond goes into the next one.
#[tokio::test]
async fn more_items_than_a_block_has_ids_are_stored_in_order() {
    let fixture = Fixture::new().await;
    let ids = fixture.insert(&items("p", 2_500)).await;
    assert!(ids.is_sorted() && ids.len() == 2_500);
    let last = document::find(fixture.pool(), ids[2_499]).await.unwrap().unwrap();
    assert_eq!((last.external_id.as_deref(), last.position), (Some("p-2499"), 2_500));
}

#[tokio::test]
async fn a_mapped_item_is_kept_with_the_id_it_came_with() {
    let fixture = Fixture::new().await;
    let items = [
        NewDocument::with_id(Some("u-1".to_owned()), br#"{"uuid": "u-1", "first": "Ada"}"#),
        NewDocument::with_id(None, br#"{"first": "Bob"}"#),
    ];
    let ids = fixture.insert(&items).await;
    let mapping = serde_json::from_value(serde_json::json!({"name": "first"})).unwrap();
    let mapping = CompiledMapping::new(&mapping).unwrap();
    let external_ids = fixture.external_ids(&ids).await;
    let bodies = fixture.bodies(&ids).await;
    let parsed =
        external_ids.iter().zip(&bodies).map(|(id, body)| parse_mapped(&mapping, id.as_deref(), body));
    let parsed: Vec<_> =
        parsed.map(|result| result.map(|resume| (resume.external_id, resume.name))).collect();
    assert_eq!(parsed[0], Ok(("u-1".to_owned(), Some("Ada".to_owned()))));
    assert_eq!(parsed[1].as_ref().unwrap_err().code.as_str(), "missing_id");
}
