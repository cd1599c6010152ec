//! Files that become collections.

use resume_core::{
    collection::{self, BegunImport, CollectionState, NewImport, StartError},
    document::NewDocument,
    import::Container,
    source::{
        self,
        definition::{Definition, Interval, Since, TimeFormat},
    },
};
use uuid::Uuid;

use crate::fixture::{Fixture, NUMBERED, collection_of, items};

pub(crate) fn file(count: u64) -> NewImport {
    NewImport {
        source: NUMBERED.to_owned(),
        container: Container::Ndjson,
        content_hash: [7; 32],
        count,
        per_page: 200,
        pages: count.div_ceil(200) as u32,
        idempotency_key: None,
    }
}

/// Stores these items, 200 a page, and commits; gives the collection, and whether it was there before.
pub(crate) async fn import(fixture: &Fixture, new: &NewImport, items: &[NewDocument]) -> (Uuid, bool) {
    let mut tx = fixture.pool().begin().await.unwrap();
    let mut import = match collection::begin_import(&mut tx, new).await.unwrap() {
        BegunImport::New(import) => import,
        BegunImport::Repeated(id) => return (id, true),
    };
    for page in items.chunks(200) {
        import.store_page(&mut tx, page, None).await.unwrap();
    }
    let id = import.finish(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    (id, false)
}

#[tokio::test]
async fn an_import_ends_with_its_last_batch() {
    let fixture = Fixture::new().await;
    let (id, _) = import(&fixture, &file(450), &items("a", 450)).await;
    let progress = fixture.progress(id).await;
    assert_eq!(progress.collection.state, CollectionState::Running);
    assert_eq!((progress.pages_expected, progress.counts.done, progress.counts.made), (Some(3), 3, 0));
    assert_eq!((progress.counts.stored, progress.percent()), (450, 50.0));
    let batches = fixture.waiting(id).await;
    let sizes: Vec<i64> = batches.iter().map(|batch| batch.documents()).collect();
    assert_eq!(sizes, [100, 100, 100, 100, 50]);
    assert!(fixture.fetch_jobs(id).await.is_empty());
    for batch in batches {
        assert_eq!(fixture.state(id).await, CollectionState::Running);
        fixture.parse_batches(id, &[batch.first_id], 0).await;
    }
    assert_eq!(fixture.state(id).await, CollectionState::Completed);
}

#[tokio::test]
async fn an_import_without_news_is_over_at_once() {
    let fixture = Fixture::new().await;
    import(&fixture, &file(250), &items("a", 250)).await;
    let before = fixture.rows().await;
    let (id, _) = import(&fixture, &file(250), &items("a", 250)).await;
    let progress = fixture.progress(id).await;
    assert_eq!((progress.collection.state, progress.counts.unchanged), (CollectionState::Completed, 250));
    assert!(progress.errors.is_empty(), "no page is short: {:?}", progress.errors);
    let [collections, pages, documents, jobs] = before;
    assert_eq!(fixture.rows().await, [collections + 1, pages + 2, documents, jobs]);
}

#[tokio::test]
async fn an_import_that_does_not_commit_leaves_nothing() {
    let fixture = Fixture::new().await;
    let mut tx = fixture.pool().begin().await.unwrap();
    let BegunImport::New(mut import) = collection::begin_import(&mut tx, &file(2)).await.unwrap() else {
        panic!("it is a new one");
    };
    import.store_page(&mut tx, &items("a", 2), None).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(fixture.rows().await, [0, 0, 0, 0]);
}

#[tokio::test]
async fn a_repeated_key_stores_nothing() {
    let fixture = Fixture::new().await;
    let new = NewImport { idempotency_key: Some("k".to_owned()), ..file(3) };
    let (id, _) = import(&fixture, &new, &items("a", 3)).await;
    let before = fixture.rows().await;
    assert_eq!(import(&fixture, &new, &items("a", 3)).await, (id, true));
    let other = NewImport { content_hash: [8; 32], ..new.clone() };
    let mut conn = fixture.pool().begin().await.unwrap();
    let error = collection::begin_import(&mut conn, &other).await.unwrap_err();
    assert!(matches!(error, StartError::KeyReused(first) if first == id), "{error}");
    drop(conn);
    assert_eq!(fixture.rows().await, before);
}

#[tokio::test]
async fn a_file_is_not_all_that_a_source_has() {
    let fixture = Fixture::new().await;
    let mut definition = Definition::original(NUMBERED, "http://ats.example", "/people", 30);
    let format = TimeFormat::EpochMs;
    definition.list.since = Some(Since { format, overlap: Interval(std::time::Duration::ZERO) });
    let mut conn = fixture.pool().acquire().await.unwrap();
    source::put(&mut conn, &definition).await.unwrap();
    import(&fixture, &file(1), &items("a", 1)).await;
    let (id, _) = import(&fixture, &file(1), &items("a", 1)).await;
    assert_eq!(fixture.state(id).await, CollectionState::Completed);
    let source = source::find(&mut conn, NUMBERED).await.unwrap().unwrap();
    assert_eq!(source.synced_until, None, "the next run asks for everything");
}

#[tokio::test]
async fn a_source_of_files_is_not_called() {
    let fixture = Fixture::new().await;
    let definition = Definition::from_yaml("{name: files, files: {}, format: profile}").unwrap();
    let mut conn = fixture.pool().begin().await.unwrap();
    source::put(&mut conn, &definition).await.unwrap();
    let error = collection::start(&mut conn, &collection_of(10, "files")).await.unwrap_err();
    assert!(matches!(&error, StartError::OfFiles(name) if name == "files"), "{error}");
    let unknown = NewImport { source: "nowhere".to_owned(), ..file(1) };
    let error = collection::begin_import(&mut conn, &unknown).await.unwrap_err();
    assert!(matches!(error, StartError::UnknownSource(_)), "{error}");
}

#[tokio::test]
async fn imports_of_one_source_wait_for_each_other() {
    let fixture = Fixture::new().await;
    let mut first = fixture.pool().begin().await.unwrap();
    collection::begin_import(&mut first, &file(1)).await.unwrap();
    let (pool, new) = (fixture.pool().clone(), file(1));
    let second = tokio::spawn(async move {
        let mut tx = pool.begin().await.unwrap();
        drop(collection::begin_import(&mut tx, &new).await.unwrap());
    });
    fixture.until_blocked(1).await;
    let mut other = fixture.pool().begin().await.unwrap();
    let new = NewImport { source: crate::fixture::NEXT_LINK.to_owned(), ..file(1) };
    collection::begin_import(&mut other, &new).await.unwrap();
    first.rollback().await.unwrap();
    second.await.unwrap();
}
