//! Maps of sources have versions.

use resume_core::{
    collection::{self, Scope},
    db::MIGRATOR,
    resume::{self, ReparsePlace},
    source::{self, VersionedMap, definition::Definition},
};
use resume_postgres::testing::TestDatabase;
use sqlx::migrate::Migrator;

use crate::fixture::{Fixture, collection_of, discarded, items};

/// The first migration that the data has not seen.
const VERSION_MAPS: i64 = 20261124000023;

const DATA: &str = r#"
    insert into sources (name, definition, created_at, updated_at) values
        ('changed', '{"format": "mapped", "map": {}}', now() - interval '1 day', now()),
        ('same', '{"format": "mapped", "map": {}}', now(), now()),
        ('unmapped', '{"format": "profile"}', now() - interval '1 day', now());
    insert into raw_documents (id, collection_id, page, position, format, source, content_hash, body)
        values (1, gen_random_uuid(), 1, 1, 'mapped', 'changed', sha256(''), '');
    insert into parse_failures (raw_document_id, collection_id, page, parser_version, code, pointer, detail)
        values (1, gen_random_uuid(), 1, 1, 'missing_id', '', '');
"#;

#[tokio::test]
async fn the_version_counts_up_with_the_map() {
    let fixture = Fixture::new().await;
    let put = async |yaml: &str| {
        let mut conn = fixture.pool().acquire().await.unwrap();
        source::put(&mut conn, &Definition::from_yaml(yaml).unwrap()).await.unwrap();
        drop(conn);
        source::mapping(fixture.pool(), "a").await.unwrap().version
    };
    assert_eq!(source::mapping(fixture.pool(), "a").await.unwrap(), VersionedMap::default());
    assert_eq!(put("{name: a, files: {}, format: mapped, map: {name: name}}").await, 0);
    assert_eq!(put("{name: a, files: {}, format: mapped, map: {name: name}, description: x}").await, 0);
    assert_eq!(put("{name: a, files: {}, format: mapped, map: {name: title}}").await, 1);
    assert_eq!(put("{name: a, files: {}, format: profile}").await, 2);
    assert_eq!(put("{name: a, files: {}, format: json_resume}").await, 3);
    assert_eq!(source::mapping(fixture.pool(), "a").await.unwrap().map, None);

    source::remove(&mut fixture.pool().acquire().await.unwrap(), "a").await.unwrap();
    assert_eq!(put("{name: a, files: {}, format: profile}").await, 4, "also while it was removed");
}

#[tokio::test]
async fn what_was_there_before_is_of_the_map_that_was_there() {
    let earlier = MIGRATOR.iter().filter(|migration| migration.version < VERSION_MAPS);
    let earlier = Migrator::with_migrations(earlier.cloned().collect());
    let database = TestDatabase::new(&[&resume_queue::MIGRATOR, &earlier]).await.unwrap();
    sqlx::raw_sql(DATA).execute(database.pool()).await.unwrap();
    MIGRATOR.run(database.pool()).await.unwrap();
    let versions = sqlx::query!("select name, map_version from sources order by name");
    let versions = versions.fetch_all(database.pool()).await.unwrap();
    let versions: Vec<(&str, i32)> =
        versions.iter().map(|row| (row.name.as_str(), row.map_version)).collect();
    assert_eq!(versions, [("changed", 1), ("same", 0), ("unmapped", 0)], "nobody knows which map made what");
    let failure = sqlx::query!("select source, map_version from parse_failures");
    let failure = failure.fetch_one(database.pool()).await.unwrap();
    assert_eq!((failure.source.as_deref(), failure.map_version), (Some("changed"), 0));
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
    let outdated =
        resume::outdated_after(fixture.pool(), ("a", 1), ReparsePlace::default(), 10).await.unwrap();
    assert_eq!((outdated.document_ids, outdated.next), (vec![], None));
    assert_eq!(resume::count_outdated(fixture.pool(), ("a", 1)).await.unwrap(), Some(0));
    let mut tx = fixture.pool().begin().await.unwrap();
    let resumed = collection::resume(&mut tx, id, Scope::All).await.unwrap();
    assert_eq!(resumed.documents, 2);
}
