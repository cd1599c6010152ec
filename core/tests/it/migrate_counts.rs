//! What retried jobs left behind in the counts of collections is corrected by a migration.

use resume_core::db::MIGRATOR;
use resume_postgres::testing::TestDatabase;
use sqlx::{PgPool, migrate::Migrator};
use uuid::Uuid;

/// The first migration that the data has not seen.
const ADD_GIVEN_UP_BATCHES: i64 = 20261124000010;

const UNDER_WAY: Uuid = Uuid::from_u128(0xa1);
const NEGATIVE: Uuid = Uuid::from_u128(0xa2);
const ENDED_TOO_EARLY: Uuid = Uuid::from_u128(0xa3);
const RIGHT: Uuid = Uuid::from_u128(0xa4);

/// Of the first page under way 10 and 11 wait, 12 was given up and is retried, 13 was given up, 14 is about to be, 15 was about to be
/// and is parsed by now, 16 failed to parse.
const DATA: &str = r#"
    insert into sources (name, url, paging, format, calls_per_second) values ('s', 'http://s', 'numbered', 'profile', 1);
    insert into collections (id, source, count, per_page, batch_size, error_mode, seed, request, pages_open, state, finished_at)
    select id::uuid, 's', 1, 1, 1, false, 1, '{}', open, state::collection_state, case when state <> 'running' then now() end
    from (values ('00000000-0000-0000-0000-0000000000a1', 0, 'running'), ('00000000-0000-0000-0000-0000000000a2', -1, 'running'),
                 ('00000000-0000-0000-0000-0000000000a3', 0, 'completed'), ('00000000-0000-0000-0000-0000000000a4', 0, 'completed'))
         as c (id, open, state);
    insert into pages (collection_id, number, state, batches_open)
    select id::uuid, number, state::page_state, open
    from (values ('00000000-0000-0000-0000-0000000000a1', 1, 'fetched', 1), ('00000000-0000-0000-0000-0000000000a1', 2, 'pending', 0),
                 ('00000000-0000-0000-0000-0000000000a1', 3, 'fetched', 1), ('00000000-0000-0000-0000-0000000000a2', 1, 'done', -1),
                 ('00000000-0000-0000-0000-0000000000a2', 2, 'pending', 0), ('00000000-0000-0000-0000-0000000000a3', 1, 'fetched', 1),
                 ('00000000-0000-0000-0000-0000000000a4', 1, 'failed', 0))
         as p (id, number, state, open);
    insert into raw_documents (id, collection_id, page, position, format, source, content_hash, body)
    select id, '00000000-0000-0000-0000-0000000000a1', 1, id, 'profile', 's', sha256(id::text::bytea), '' from generate_series(10, 16) id;
    insert into parse_failures (raw_document_id, collection_id, page, parser_version, code, pointer, detail)
    select id, '00000000-0000-0000-0000-0000000000a1', 1, 1, code, '', ''
    from (values (12, 'parser_crashed'), (13, 'parser_crashed'), (16, 'not_json')) as f (id, code);

    create function args(batch integer) returns jsonb language sql as $$
        select jsonb_build_object('collection_id', '00000000-0000-0000-0000-0000000000a1', 'page', 1,
                                  'document_ids', jsonb_build_array(batch, batch + 1000)) $$;
    insert into queue.live_jobs (id, queue, kind, state, max_attempts, args)
    select 1000 + batch, 'parse_documents', 'parse_documents', 'available', 6, args(batch) from unnest(array[10, 11, 12]) batch;
    insert into queue.live_jobs (queue, kind, state, max_attempts, args)
    select 'settle_discarded', 'settle_discarded', 'available', 25,
           jsonb_build_object('job_id', 1000 + batch, 'kind', 'parse_documents', 'args', args(batch))
    from unnest(array[14, 15]) batch;
    insert into queue.job_history (id, fence, attempt, max_attempts, priority, state, run_at, created_at, queue, kind, args)
    select 1000 + batch, 1, 1, 6, 0, state::queue.job_state, now(), now(), 'parse_documents', 'parse_documents', args(batch)
    from (values (13, 'cancelled'), (14, 'discarded'), (15, 'completed'), (16, 'completed')) as h (batch, state);
    drop function args(integer);

    -- What did not decode.
    insert into queue.job_history (id, fence, attempt, max_attempts, priority, state, run_at, created_at, queue, kind, args)
    select 2000, 1, 1, 6, 0, state, now(), now(), 'parse_documents', 'parse_documents', args::jsonb
    from unnest(array['cancelled', 'discarded']::queue.job_state[]) state,
         unnest(array['{"collection_id": "none", "page": "one", "document_ids": ["abc"]}', '[]', '1', 'null',
                      '{"collection_id": 1, "page": 99999999999, "document_ids": [1.5]}',
                      '{"collection_id": {}, "page": -1e30, "document_ids": [99999999999999999999]}',
                      '{"document_ids": "12"}', '{"document_ids": [[12]]}']) args;
"#;

#[derive(Debug, PartialEq, Eq)]
struct Page {
    collection_id: Uuid,
    number: i32,
    batches_open: i32,
    batches_given_up: Vec<i64>,
}

async fn pages(pool: &PgPool) -> Vec<Page> {
    let pages = sqlx::query_as!(
        Page,
        "select collection_id, number, batches_open, batches_given_up from pages order by collection_id, number"
    );
    pages.fetch_all(pool).await.unwrap()
}

#[tokio::test]
async fn counts_that_retried_jobs_left_wrong_are_corrected() {
    let earlier = MIGRATOR.iter().filter(|migration| migration.version < ADD_GIVEN_UP_BATCHES);
    let earlier = Migrator::with_migrations(earlier.cloned().collect());
    let database = TestDatabase::new(&[&resume_queue::MIGRATOR, &earlier]).await.unwrap();
    sqlx::raw_sql(DATA).execute(database.pool()).await.unwrap();
    MIGRATOR.run(database.pool()).await.unwrap();

    let page = |collection_id, number, batches_open, batches_given_up: &[i64]| Page {
        collection_id,
        number,
        batches_open,
        batches_given_up: batches_given_up.to_vec(),
    };
    let expected = vec![
        page(UNDER_WAY, 1, 3, &[12, 13]),
        page(UNDER_WAY, 2, 0, &[]),
        page(UNDER_WAY, 3, 1, &[]),
        page(NEGATIVE, 1, 0, &[]),
        page(NEGATIVE, 2, 0, &[]),
        page(ENDED_TOO_EARLY, 1, 1, &[]),
        page(RIGHT, 1, 0, &[]),
    ];
    assert_eq!(pages(database.pool()).await, expected);
    let open = sqlx::query_scalar!("select pages_open from collections order by id");
    assert_eq!(open.fetch_all(database.pool()).await.unwrap(), [3, 1, 1, 0]);
}
