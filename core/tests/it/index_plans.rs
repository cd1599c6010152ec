//! Statements whose plan Postgres keeps use indexes, whatever they are called with first.

use serde_json::Value;
use sqlx::{AssertSqlSafe, Row, raw_sql};

use crate::{fixture::Fixture, sql_text::statements};

/// Ten thousand collections that ended, of which ten have calls left; and a hundred with a hundred calls
/// each, of which the last ten wait, and five documents a call.
const FILL: &str = "
    insert into collections (id, source, state, per_page, batch_size, request, finished_at, calls_deleted_at)
        select md5(n::text)::uuid, (select min(name) from sources), 'completed', 1, 1, '{}', now() - interval '1 s' * n,
               case when n > 10 then now() end
        from generate_series(1, 10000) n;
    insert into calls (id, collection_id, step, place, state, first_document_id, last_document_id)
        overriding system value
        select n, md5((n / 100)::text)::uuid, 'list', n, case when n % 100 < 90 then 'done' else 'pending' end::call_state,
               n * 1000, n * 1000 + 4
        from generate_series(1, 10000) n;
    insert into raw_documents (id, person_id, call_id, collected_at, content_hash, position, body)
        select n * 1000 + k, n * 1000 + k, n, now(), gen_random_uuid(), k + 1, '{}'
        from generate_series(1, 10000) n, generate_series(0, 4) k;
    insert into people (id, document_id, content_hash, source_id, external_id)
        select id, id, content_hash, (select min(id) from sources), case when id % 10 = 0 then null else id::text end
        from raw_documents;
    insert into batches (collection_id, first_id, last_id, code)
        select md5((n / 100)::text)::uuid, n * 1000, n * 1000 + 1, case when n % 20 = 0 then 'parser_crashed' end
        from generate_series(1, 10000, 5) n;
    insert into parse_failures (document_id, collection_id, parser_version, map_version, code, pointer, detail)
        select n * 1000 + 2, md5((n / 100)::text)::uuid, 1, 0, 'missing_id', '', '' from generate_series(1, 10000, 3) n;
    analyze;";

/// What is scanned from its beginning to its end.
fn scans(node: &Value, found: &mut Vec<String>) {
    if node["Node Type"] == "Seq Scan" {
        found.push(node["Relation Name"].as_str().unwrap().to_owned());
    }
    for child in node["Plans"].as_array().into_iter().flatten() {
        scans(child, found);
    }
}

#[tokio::test]
async fn documents_people_and_calls_are_found_by_indexes() {
    let fixture = Fixture::new().await;
    raw_sql(FILL).execute(fixture.pool()).await.unwrap();
    let collection = "md5('7')::uuid";
    for (file, part, arguments) in [
        (
            "document/find_known.sql",
            "has_contents!",
            format!("1, array['1001'], array[md5('')::uuid], {collection}"),
        ),
        ("document/list.sql", "with found", format!("{collection}, null, null, 0, 100")),
        ("document/list.sql", "with found", format!("{collection}, 'failed', 'missing_id', 0, 100")),
        ("document/latest.rs", "external_id > coalesce", "1, 5, 200".to_owned()),
        ("call/retention.rs", "delete from calls", format!("{collection}, 5000")),
        ("document/superseded.rs", "supersedes > $1", "0, 86400, 5000".to_owned()),
        ("document/superseded.rs", "overtaken_by > $1", "0, 86400, 5000".to_owned()),
        ("collection/retention.rs", "c.finished_at <", "86400".to_owned()),
        ("call/find.rs", "with open", format!("{collection}, 700, 9223372036854775807, 10000")),
    ] {
        let wanted = |sql: &str| sql.contains(part);
        let all = statements();
        let mut found = all.iter().filter(|s| s.file == format!("core/src/{file}") && wanted(&s.sql));
        let sql = &found.next().unwrap_or_else(|| panic!("{file} has {part}")).sql;
        let explain = format!(
            "set plan_cache_mode = force_generic_plan; prepare it as {sql}; \
             explain (format json) execute it({arguments}); deallocate it"
        );
        let rows = raw_sql(AssertSqlSafe(explain)).fetch_all(fixture.pool()).await.unwrap();
        let plan: Value = rows[0].try_get(0).unwrap();
        let mut scanned = Vec::new();
        scans(&plan[0]["Plan"], &mut scanned);
        // Of sources there are a few.
        scanned.retain(|table| table != "sources" && table != "person_contents");
        assert!(scanned.is_empty(), "{file}, {part}: {scanned:?}\n{plan:#}");
    }
}
