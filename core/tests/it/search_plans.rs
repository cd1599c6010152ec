//! How searches are executed, on a hundred thousand resumes.

use std::fmt::Write as _;

use resume_core::db::{self, PgPool, Role};
use serde_json::Value;
use sqlx::{Row, raw_sql};

use crate::{fixture::Fixture, sql_text::statements};

const RESUMES: i64 = 100_000;

/// Fills the table: everybody has `sql`, one in 3,000 `cobol`, one in 50,000 `mumps`, one in 20 `perl`, and
/// all have six of two hundred others.
async fn pool_of_many(fixture: &Fixture) -> PgPool {
    sqlx::query!(
        r#"
        with new as (
            insert into people (id, document_id, content_hash, source_id, external_id)
            select n, n, gen_random_uuid(), (select min(id) from sources), n::text from generate_series(1, $1::bigint) n
            returning id as n
        )
        insert into resumes (person_id, document_id, parser_version, map_version, skills, document)
        select n, n, 1, 0,
               array['sql'] || array(select 'skill ' || (n * 7919 + k * 104729) % 200 from generate_series(1, 6) k)
               || case when n % 3000 = 0 then array['cobol'] else '{}' end
               || case when n % 50000 = 0 then array['mumps'] else '{}' end
               || case when n % 20 = 0 then array['perl'] else '{}' end,
               json_build_object('external_id', n::text, 'summary', repeat('word ', 100))
        from new
        "#,
        RESUMES,
    )
    .execute(fixture.pool())
    .await
    .unwrap();
    raw_sql("vacuum analyze people, resumes").execute(fixture.pool()).await.unwrap();
    db::pool(fixture.database.url(), Role::Api).unwrap()
}

/// What Postgres did for one search.
#[derive(Debug)]
struct Execution {
    /// The names of all nodes and indexes, from the top.
    shape: String,
    /// Pages read from the cache or the disk.
    buffers: i64,
    /// The most rows that any node gave.
    rows_max: i64,
}

/// Executes a query of search.rs or stored.rs, named by what it begins and filters with, as the service does:
/// prepared, by the `Api` pool.
async fn execute(pool: &PgPool, begin: &str, operator: &str, arguments: &str) -> Execution {
    let files = ["core/src/resume/search.rs", "core/src/resume/stored.rs"];
    let wanted = |sql: &str| sql.trim_start().starts_with(begin) && sql.contains(operator);
    let sql: Vec<_> = statements()
        .into_iter()
        .filter(|statement| files.contains(&statement.file.as_str()) && wanted(&statement.sql))
        .collect();
    let [query] = &sql[..] else { panic!("one query is meant: {sql:?}") };
    let explain = format!(
        "prepare search as {}; explain (analyze, buffers, format json) execute search({arguments}); deallocate search",
        query.sql
    );
    let rows = raw_sql(sqlx::AssertSqlSafe(explain)).fetch_all(pool).await.unwrap();
    let plan: Value = rows[0].try_get(0).unwrap();
    let top = &plan[0]["Plan"];
    let buffers = top["Shared Hit Blocks"].as_i64().unwrap() + top["Shared Read Blocks"].as_i64().unwrap();
    let mut execution = Execution { shape: String::new(), buffers, rows_max: 0 };
    walk(top, &mut execution);
    execution
}

fn walk(node: &Value, execution: &mut Execution) {
    let index = node["Index Name"].as_str().unwrap_or_default();
    write!(execution.shape, "{} {index}; ", node["Node Type"].as_str().unwrap()).unwrap();
    let rows = node["Actual Rows"].as_f64().unwrap() as i64;
    execution.rows_max = execution.rows_max.max(rows);
    for child in node["Plans"].as_array().into_iter().flatten() {
        walk(child, execution);
    }
}

fn keys(skills: &[&str]) -> String {
    let quoted: Vec<_> = skills.iter().map(|skill| format!("'{skill}'")).collect();
    format!("array[{}]", quoted.join(","))
}

#[tokio::test]
async fn searches_use_the_index_that_fits_the_skill() {
    let fixture = Fixture::new().await;
    let pool = pool_of_many(&fixture).await;
    let few = async |operator: &str, skills: &[&str]| {
        let arguments = format!("{}, {}, 21, 10001", keys(skills), i64::MAX);
        execute(&pool, "with matching", operator, &arguments).await
    };
    let walk = async |operator: &str, skills: &[&str]| {
        let arguments = format!("{}, {}, 21", keys(skills), i64::MAX);
        execute(&pool, "select person_id", operator, &arguments).await
    };
    for operator in ["&&", "@>"] {
        for rare in [&["cobol"][..], &["mumps"], &["unheard of"], &["mumps", "cobol"]] {
            let execution = few(operator, rare).await;
            println!("{operator} {rare:?}: {execution:?}");
            assert!(execution.shape.contains("resumes_skills"), "{rare:?}: {execution:?}");
            assert!(execution.buffers < 100, "{rare:?}: {execution:?}");
        }
        for common in [&["sql"][..], &["perl"], &["skill 1"]] {
            let execution = few(operator, common).await;
            println!("{operator} {common:?}: {execution:?}");
            assert!(execution.rows_max <= 10_001, "{common:?}: {execution:?}");
        }
        // Everybody has it: the newest ones have it too.
        let execution = walk(operator, &["sql"]).await;
        println!("walk {operator}: {execution:?}");
        assert!(execution.shape.contains("resumes_pkey"), "{execution:?}");
        assert!(execution.buffers < 100, "21 people: {execution:?}");
    }
    let ids: Vec<_> = (0..101).map(|n| (n * 900 + 1).to_string()).collect();
    let page = execute(&pool, "select r.person_id as id", "", &format!("array[{}]", ids.join(","))).await;
    println!("the resumes of a page: {page:?}");
    assert!(page.shape.contains("resumes_pkey") && page.buffers < 1_000, "{page:?}");
    let execution = few("@>", &["sql", "mumps"]).await;
    println!("all of sql, mumps: {execution:?}");
    assert!(execution.shape.contains("resumes_skills") && execution.buffers < 200, "{execution:?}");
}

/// What was stored a moment ago waits in a list that every search reads: it must be short.
#[tokio::test]
async fn what_was_just_stored_does_not_slow_searches_down() {
    let fixture = Fixture::new().await;
    let pool = pool_of_many(&fixture).await;
    // Far more than the list may hold, in pieces as small as those of a worker.
    for piece in 0..20 {
        sqlx::query!(
            r#"
            insert into resumes (person_id, document_id, parser_version, map_version, skills, document)
            select 10000000 + $1::bigint * 1000 + n, 0, 1, 0,
                   array(select 'skill ' || (n * 7919 + k * 104729) % 200 from generate_series(1, 10) k), '{}'
            from generate_series(1, 1000) n
            "#,
            piece,
        )
        .execute(&pool)
        .await
        .unwrap();
    }
    let arguments = format!("array['cobol'], {}, 21, 10001", i64::MAX);
    let execution = execute(&pool, "with matching", "@>", &arguments).await;
    println!("after many inserts: {execution:?}");
    assert!(execution.buffers < 130, "{execution:?}");
}
