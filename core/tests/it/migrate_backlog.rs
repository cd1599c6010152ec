//! What waits to be parsed when the count of it comes is counted by a migration.

use resume_core::db::MIGRATOR;
use resume_postgres::testing::TestDatabase;
use sqlx::migrate::Migrator;

/// The first migration that the data has not seen.
const ADD_BACKLOG: i64 = 20261124000020;

/// One collection under way, one that is over, and one that is cancelled with pages that nobody parses.
const DATA: &str = r#"
    insert into sources (name, definition) values ('s', '{}');
    insert into collections (id, source, count, per_page, batch_size, error_mode, seed, request, pages_open, state, finished_at)
    select ('00000000-0000-0000-0000-00000000000' || number)::uuid, 's', 1, 1, 1, false, 1, '{}', 1, state::collection_state,
           case when state <> 'running' then now() end
    from (values (1, 'running'), (2, 'completed'), (3, 'cancelled'), (4, 'running')) as c (number, state);
    insert into pages (collection_id, number, state, stored, batches_open)
    select ('00000000-0000-0000-0000-00000000000' || c)::uuid, page, state::page_state, stored, (state = 'fetched')::integer
    from (values (1, 1, 'done', 100), (1, 2, 'fetched', 20), (1, 3, 'fetched', 3), (1, 4, 'pending', 0), (1, 5, 'failed', 0),
                 (2, 1, 'done', 100), (3, 1, 'fetched', 40), (4, 1, 'pending', 0)) as p (c, page, state, stored);
"#;

#[tokio::test]
async fn what_waits_to_be_parsed_is_counted() {
    let earlier = MIGRATOR.iter().filter(|migration| migration.version < ADD_BACKLOG);
    let earlier = Migrator::with_migrations(earlier.cloned().collect());
    let database = TestDatabase::new(&[&resume_queue::MIGRATOR, &earlier]).await.unwrap();
    sqlx::raw_sql(DATA).execute(database.pool()).await.unwrap();
    MIGRATOR.run(database.pool()).await.unwrap();
    let counts = sqlx::query_scalar!("select documents_open from collections order by id");
    assert_eq!(counts.fetch_all(database.pool()).await.unwrap(), [23, 0, 0, 0]);
}
