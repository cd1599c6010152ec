//! Attachments of items: a page each, kept once, and a fresh address for all that one answer had named.

use resume_core::{
    attachment::{self, Finder, NewAttachment},
    call::{self, Answer, FoundAttachments},
    document::NewDocument,
    source::{
        self,
        definition::{Definition, Step},
    },
};
use serde_json::json;
use uuid::Uuid;

use crate::fixture::{Fixture, collection_of};

const SOURCE: &str = "with-files";

async fn source(fixture: &Fixture) -> Finder {
    let definition = json!({
        "name": SOURCE, "base_url": "http://ats.example", "limits": [{"calls": 10, "per": "1s"}],
        "list": {"path": "/people", "items": "", "paging": {"single": {}}},
        "attachments": {"at": "files"}, "format": "mapped", "map": {"name": "name"},
    });
    let definition = Definition::from_json(&definition).unwrap();
    source::put(&mut fixture.pool().acquire().await.unwrap(), &definition).await.unwrap();
    Finder::new(definition.attachments.as_ref().unwrap()).unwrap()
}

/// A page with two people who have two files each, at addresses with this in them.
fn page(finder: &Finder, signature: &str) -> Answer {
    let items: Vec<NewDocument> = ["a", "b"]
        .into_iter()
        .map(|id| {
            let file = |name: &str| json!({"url": format!("http://f.example/{id}/{name}?{signature}"), "name": name});
            let body = json!({"id": id, "files": [file("cv.pdf"), file("letter.txt")]}).to_string();
            NewDocument::with_id(Some(id.to_owned()), body.as_bytes())
        })
        .collect();
    let attachments = FoundAttachments::of(finder, &items);
    Answer { items, attachments, ..Answer::default() }
}

impl Fixture {
    /// The attachments that are to be fetched: call, item and name, address.
    async fn files_to_fetch(&self, id: Uuid) -> Vec<(i64, String, Option<String>)> {
        let calls = sqlx::query!(
            r#"select id, item || '/' || name as "file!", link from calls
               where collection_id = $1 and step = 'attachment' and state = 'pending' order by item, place"#,
            id
        );
        let calls = calls.fetch_all(self.pool()).await.unwrap();
        calls.into_iter().map(|call| (call.id, call.file, call.link)).collect()
    }

    async fn store_file(&self, id: Uuid, call_id: i64, text: &str) -> bool {
        let page = self.call(id, call_id).await.unwrap();
        let file = NewAttachment::new(text.as_bytes().to_vec(), None).unwrap();
        let mut tx = self.pool().begin().await.unwrap();
        let stored = call::store_attachment(&mut tx, &page, &file).await.unwrap();
        assert!(!call::store_attachment(&mut tx, &page, &file).await.unwrap(), "and once");
        tx.commit().await.unwrap();
        self.end_run(id).await;
        stored
    }
}

#[tokio::test]
async fn each_attachment_is_fetched_once_and_kept_once() {
    let fixture = Fixture::new().await;
    let finder = source(&fixture).await;
    let id = fixture.start(&collection_of(10, SOURCE)).await;
    let first = fixture.page(id, 1).await;
    fixture.store(&first, &page(&finder, "s1")).await.unwrap();
    let files = fixture.files_to_fetch(id).await;
    let names: Vec<_> = files.iter().map(|(_, file, _)| file.as_str()).collect();
    assert_eq!(names, ["a/cv.pdf", "a/letter.txt", "b/cv.pdf", "b/letter.txt"]);
    assert_eq!(fixture.fetch_jobs(id).await.len(), 1 + 4);
    assert_eq!(fixture.progress(id).await.pages_expected, Some(1 + 4));
    let page_to_fetch = fixture.call(id, files[0].0).await.unwrap();
    assert_eq!(page_to_fetch.step, Step::Attachment);
    assert_eq!(page_to_fetch.link.as_deref(), Some("http://f.example/a/cv.pdf?s1"));
    for (number, file, _) in &files[..3] {
        // The letters are the same.
        assert!(fixture.store_file(id, *number, file.rsplit('/').next().unwrap()).await);
    }
    let kept = sqlx::query_scalar!(r#"select count(*) as "count!" from attachments"#);
    assert_eq!(kept.fetch_one(fixture.pool()).await.unwrap(), 2);

    // The next run finds the same items, and asks for what is missing.
    let again = fixture.start(&collection_of(10, SOURCE)).await;
    let first = fixture.page(again, 1).await;
    let stored = fixture.store(&first, &page(&finder, "s1")).await.unwrap();
    assert_eq!((stored.stored, stored.unchanged), (0, 2));
    let missing = fixture.files_to_fetch(again).await;
    assert_eq!(missing.iter().map(|(_, file, _)| file.as_str()).collect::<Vec<_>>(), ["b/letter.txt"]);
    assert!(fixture.store_file(again, missing[0].0, "letter.txt").await);
    fixture.parse_all(again).await;
    let document = sqlx::query_scalar!("select max(id) from raw_documents").fetch_one(fixture.pool()).await;
    let listed = attachment::list(fixture.pool(), document.unwrap().unwrap()).await.unwrap();
    let names: Vec<_> = listed.iter().map(|file| (file.place, file.name.as_str(), file.size)).collect();
    assert_eq!(names, [(1, "cv.pdf", 6), (2, "letter.txt", 10)]);
    assert!(fixture.progress(again).await.collection.finished_at.is_some());
}

#[tokio::test]
async fn one_answer_has_fresh_addresses_for_all_that_it_had_named() {
    let fixture = Fixture::new().await;
    let finder = source(&fixture).await;
    let id = fixture.start(&collection_of(10, SOURCE)).await;
    let first = fixture.page(id, 1).await;
    fixture.store(&first, &page(&finder, "s1")).await.unwrap();
    let files = fixture.files_to_fetch(id).await;
    assert!(fixture.store_file(id, files[3].0, "letter").await);

    let mut conn = fixture.pool().acquire().await.unwrap();
    let expired = fixture.call(id, files[0].0).await.unwrap();
    assert!(call::expire_attachment(&mut conn, &expired).await.unwrap());
    assert!(!call::expire_attachment(&mut conn, &expired).await.unwrap(), "once is enough");
    let expired = fixture.call(id, files[0].0).await.unwrap();
    assert_eq!(expired.link, None);
    let origin = call::find_origin(&mut conn, &expired).await.unwrap().unwrap();
    assert_eq!((origin.place, origin.step), (1, Step::List));

    let documents = fixture.rows().await[2];
    let fresh = page(&finder, "s2").attachments;
    let refreshed = call::refresh_attachments(&mut conn, &expired, &fresh).await.unwrap();
    assert_eq!((refreshed, fixture.rows().await[2]), (true, documents));
    let links: Vec<_> =
        fixture.files_to_fetch(id).await.into_iter().map(|(_, _, link)| link.unwrap()).collect();
    assert!(links.len() == 3 && links.iter().all(|link| link.ends_with("?s2")), "{links:?}");
    // An answer without it.
    let gone = call::refresh_attachments(&mut conn, &expired, &FoundAttachments::default()).await;
    assert!(!gone.unwrap());
}

/// It has two documents then, and the resume stands on the second one.
#[tokio::test]
async fn an_item_that_changes_during_the_run_has_its_files_with_both() {
    let fixture = Fixture::new().await;
    let finder = source(&fixture).await;
    let chain = json!({
        "name": SOURCE, "base_url": "http://ats.example", "limits": [{"calls": 10, "per": "1s"}],
        "list": {"path": "/people", "items": "", "paging": {"next_url": {"at": "/next"}}},
        "attachments": {"at": "files"}, "format": "mapped", "map": {"name": "name"},
    });
    let chain = Definition::from_json(&chain).unwrap();
    source::put(&mut fixture.pool().acquire().await.unwrap(), &chain).await.unwrap();
    let id = fixture.start(&collection_of(100, SOURCE)).await;
    let next = Some("http://ats.example/2".to_owned());
    fixture.store(&fixture.page(id, 1).await, &Answer { next, ..page(&finder, "v1") }).await.unwrap();
    fixture.store(&fixture.page(id, 2).await, &page(&finder, "v2")).await.unwrap();
    for (number, file, _) in fixture.files_to_fetch(id).await {
        assert!(fixture.store_file(id, number, &file).await);
    }
    let documents = sqlx::query_scalar!("select id from raw_documents order by id");
    let documents = documents.fetch_all(fixture.pool()).await.unwrap();
    assert_eq!(documents.len(), 4, "two people, two versions");
    for document in documents {
        assert_eq!(attachment::list(fixture.pool(), document).await.unwrap().len(), 2, "{document}");
    }
}
