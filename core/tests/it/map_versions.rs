//! Maps of sources have versions.

use resume_core::{
    collection::{self, Scope},
    resume,
    source::{self, definition::Definition},
};

use crate::fixture::{Fixture, NUMBERED, collection_of, discarded, items, outcome_of};

#[tokio::test]
async fn the_version_counts_up_with_the_map() {
    let fixture = Fixture::new().await;
    let put = async |yaml: &str| {
        let mut conn = fixture.pool().acquire().await.unwrap();
        source::put(&mut conn, &Definition::from_yaml(yaml).unwrap()).await.unwrap();
        drop(conn);
        source::mapping(fixture.pool(), "a").await.unwrap().unwrap().version
    };
    assert_eq!(source::mapping(fixture.pool(), "a").await.unwrap(), None);
    assert_eq!(put("{name: a, files: {}, format: mapped, map: {name: name}}").await, 0);
    assert_eq!(put("{name: a, files: {}, format: mapped, map: {name: name}, description: x}").await, 0);
    assert_eq!(put("{name: a, files: {}, format: mapped, map: {name: title}}").await, 1);
    assert_eq!(put("{name: a, files: {}, format: profile}").await, 2);
    assert_eq!(put("{name: a, files: {}, format: json_resume}").await, 3);
    assert_eq!(source::mapping(fixture.pool(), "a").await.unwrap().unwrap().map, None);

    source::remove(&mut fixture.pool().acquire().await.unwrap(), "a").await.unwrap();
    assert_eq!(put("{name: a, files: {}, format: profile}").await, 4, "also while it was removed");
}

/// They belong to a job that a retry would bring back, and to a resume: nobody has read them, with no map.
#[tokio::test]
async fn documents_that_nobody_parsed_are_not_parsed_anew() {
    let fixture = Fixture::new().await;
    let put = async |map: &str| {
        let yaml = format!(
            "{{name: a, base_url: 'http://ats.example', limits: [{{calls: 9, per: 1s}}], format: mapped, map: {{name: {map}}}, \
             list: {{path: /p, items: '', paging: {{single: {{}}}}}}}}"
        );
        let mut conn = fixture.pool().acquire().await.unwrap();
        source::put(&mut conn, &Definition::from_yaml(&yaml).unwrap()).await.unwrap();
    };
    put("name").await;
    let id = fixture.start(&collection_of(100, "a")).await;
    fixture.store_items(id, 1, items("p", 2)).await;
    let job = fixture.parse_jobs(id).await.pop().unwrap();
    let mut tx = fixture.pool().begin().await.unwrap();
    collection::give_up_documents(&mut tx, &job, &discarded(1, "boom")).await.unwrap();
    tx.commit().await.unwrap();
    put("title").await;
    let source = source::mapping(fixture.pool(), "a").await.unwrap().unwrap();
    let mut tx = fixture.pool().begin().await.unwrap();
    let step = resume::reparse_next(&mut tx, fixture.pool(), source.source_id, 1, None).await.unwrap();
    assert_eq!(step.documents, vec![]);
    assert_eq!(resume::count_outdated(fixture.pool(), source.source_id, 1).await.unwrap(), Some(0));
    fixture.end_run(id).await;
    let continued = collection::continue_collection(&mut tx, id, Scope::All).await.unwrap();
    assert_eq!(continued.documents, 2);
}

/// Both runs list the first document as failed; the second run alone stored the second one.
#[tokio::test]
async fn a_reparse_counts_failures_in_the_collections_that_stored_the_documents() {
    let fixture = Fixture::new().await;
    let first = fixture.start(&collection_of(100, NUMBERED)).await;
    fixture.store_items(first, 1, items("p", 1)).await;
    fixture.store_items(first, 2, Vec::new()).await;
    fixture.settle(first, 1, 0, 1).await;
    let second = fixture.start(&collection_of(100, NUMBERED)).await;
    fixture.store_items(second, 1, items("p", 2)).await;
    fixture.store_items(second, 2, Vec::new()).await;
    for batch in fixture.waiting(second).await {
        fixture.parse_batches(second, &[batch.first_id], 1).await;
    }
    let before = [fixture.counts(first).await, fixture.counts(second).await];
    assert_eq!(before.map(|(_, counts)| counts), [[0, 1, 0, 0], [0, 2, 0, 0]]);

    let source = source::mapping(fixture.pool(), NUMBERED).await.unwrap().unwrap();
    let mut tx = fixture.pool().begin().await.unwrap();
    let step = resume::reparse_next(&mut tx, fixture.pool(), source.source_id, 1, None).await.unwrap();
    assert_eq!(step.documents.len(), 2);
    let outcome = outcome_of(&step.documents, 2);
    resume::store_reparsed(&mut tx, source.source_id, 1, &outcome).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!([fixture.counts(first).await, fixture.counts(second).await], before);
}
