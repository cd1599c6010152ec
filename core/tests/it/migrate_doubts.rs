//! Short pages that were found whenever somebody looked are noted by a migration.

use resume_core::{
    collection::{self, CollectionState},
    db::MIGRATOR,
    source::definition::{Definition, Paging},
};
use resume_postgres::testing::TestDatabase;
use serde_json::json;
use sqlx::migrate::Migrator;
use uuid::Uuid;

/// The first migration that the data has not seen.
const KEEP_WHAT_PAGES_SHOWED: i64 = 20261124000021;

const OFFSETS: Uuid = Uuid::from_u128(0xa1);
const TOLD_COUNT: Uuid = Uuid::from_u128(0xa2);
const CHAIN: Uuid = Uuid::from_u128(0xa3);

#[tokio::test]
async fn short_pages_of_collections_that_are_over_stay_listed() {
    let earlier = MIGRATOR.iter().filter(|migration| migration.version < KEEP_WHAT_PAGES_SHOWED);
    let earlier = Migrator::with_migrations(earlier.cloned().collect());
    let database = TestDatabase::new(&[&resume_queue::MIGRATOR, &earlier]).await.unwrap();
    let told_count = Definition::original("told", "http://ats.example", "/people", 30);
    let mut offsets = told_count.clone();
    offsets.list.params = [("offset".to_owned(), "{offset}".parse().unwrap())].into();
    offsets.list.paging = Paging::Numbered { first: 1, total: None };
    for (id, definition) in
        [(OFFSETS, offsets), (TOLD_COUNT, told_count.clone()), (CHAIN, told_count.along_links())]
    {
        // Each of the sources has the name that its collection has as its id.
        sqlx::query!(
            "insert into sources (name, definition) values ($1, $2)",
            id.to_string(),
            json!(definition)
        )
        .execute(database.pool())
        .await
        .unwrap();
    }
    sqlx::raw_sql(
        "insert into collections (id, source, state, count, per_page, batch_size, error_mode, seed, request, finished_at)
         select name::uuid, name, 'completed_with_errors', 30, 10, 10, false, 1, '{}', now() from sources;
         insert into pages (collection_id, number, state, stored, unchanged, fetched_at)
         select id, number, 'done', stored, 1, now() from collections, unnest(array[9, 5, 9, 2]) with ordinality as p (stored, number)",
    )
    .execute(database.pool())
    .await
    .unwrap();
    MIGRATOR.run(database.pool()).await.unwrap();
    for (id, expected) in
        [(OFFSETS, vec![("page_short".to_owned(), 1)]), (TOLD_COUNT, vec![]), (CHAIN, vec![])]
    {
        let progress = collection::progress(database.pool(), id).await.unwrap().unwrap();
        assert_eq!(progress.collection.state, CollectionState::CompletedWithErrors);
        let codes: Vec<_> = progress.errors.into_iter().map(|error| (error.code, error.count)).collect();
        assert_eq!(codes, expected);
    }
}
