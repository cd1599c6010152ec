//! Who owns which table: SQL that names a table stands in one module only (core/src/lib.rs has the list).

use std::collections::BTreeSet;

use crate::sql_text::{files, is_migration, read, statements};

/// Each table and the places whose SQL may name it: first its owner, which core/src/lib.rs lists, then those
/// that need it in one statement with a table of their own.
const OWNERS: [(&str, &[&str]); 28] = [
    ("sources", &["core/src/source/", "core/src/document/", "core/src/resume/"]),
    ("source_tokens", &["core/src/source/"]),
    ("call_limits", &["core/src/call_limit/"]),
    ("call_ledger", &["core/src/call_limit/"]),
    (
        "collections",
        &[
            "core/src/collection/",
            "core/src/call/",
            "core/src/completeness/",
            "core/src/document/",
            "core/src/progress/",
            "core/src/resume/",
            "core/src/source/",
        ],
    ),
    ("collection_counts", &["core/src/progress/"]),
    (
        "calls",
        &[
            "core/src/call/",
            "core/src/collection/",
            "core/src/completeness/",
            "core/src/document/",
            "core/src/progress/",
        ],
    ),
    ("doubts", &["core/src/completeness/", "core/src/collection/", "core/src/progress/"]),
    ("people", &["core/src/document/", "core/src/resume/"]),
    ("person_contents", &["core/src/document/"]),
    ("raw_documents", &["core/src/document/", "core/src/resume/"]),
    ("batches", &["core/src/document/", "core/src/collection/retention.rs"]),
    ("parse_failures", &["core/src/document/", "core/src/resume/reparse.rs"]),
    ("attachments", &["core/src/attachment/"]),
    ("document_attachments", &["core/src/attachment/"]),
    ("resumes", &["core/src/resume/", "core/src/document/delete_superseded.sql"]),
    ("erased_people", &["core/src/erasure/"]),
    ("queue.live_jobs", &["queue/src/"]),
    ("queue.job_history", &["queue/src/"]),
    ("queue.workers", &["queue/src/"]),
    ("queue.queues", &["queue/src/"]),
    ("queue.worker_queues", &["queue/src/"]),
    ("queue.unique_keys", &["queue/src/"]),
    ("queue.groups", &["queue/src/"]),
    ("queue.leader", &["queue/src/"]),
    ("queue.maintenance", &["queue/src/maintenance/"]),
    ("queue.depths", &["queue/src/maintenance/"]),
    ("queue.schedules", &["queue/src/schedules/"]),
];

/// The tables that a statement names: `a.b` is one name.
fn tables(sql: &str) -> BTreeSet<String> {
    let without_comments: Vec<&str> =
        sql.lines().map(|line| line.split("--").next().unwrap_or(line)).collect();
    let text = without_comments.join("\n").to_lowercase();
    let words: Vec<&str> = text
        .split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.'))
        .filter(|word| !word.is_empty())
        .collect();
    let leads_to_one =
        |word: &str| ["from", "join", "into", "update", "using", "table", "only"].contains(&word);
    words.windows(2).filter(|pair| leads_to_one(pair[0])).map(|pair| pair[1].to_owned()).collect()
}

#[test]
fn a_table_is_named_where_it_may_be() {
    let is_test =
        |file: &str| file.contains("/tests/") || file.ends_with("/tests.rs") || file.contains("/testing/");
    let statements: Vec<_> = statements().into_iter().filter(|statement| !is_test(&statement.file)).collect();
    let mut named = BTreeSet::new();
    let mut strangers = BTreeSet::new();
    for statement in &statements {
        let tables = tables(&statement.sql);
        for (table, places) in OWNERS.iter().filter(|(table, _)| tables.contains(*table)) {
            named.insert(*table);
            if !places.iter().any(|place| statement.file.starts_with(place)) {
                strangers.insert(format!("{} names {table}, which belongs to {}", statement.file, places[0]));
            }
        }
    }
    assert!(strangers.is_empty(), "{strangers:#?}");
    assert_eq!(named, OWNERS.map(|(table, _)| table).into(), "every table is found somewhere");
}

#[test]
fn every_table_has_an_owner() {
    let migrations = files("sql").into_iter().filter(|file| is_migration(file));
    for file in migrations {
        let sql = read(&file);
        for line in sql.lines().filter_map(|line| line.strip_prefix("create table ")) {
            let table = line.split([' ', '(']).next().unwrap();
            let is_partition = line.contains(" partition of ");
            assert!(
                is_partition || OWNERS.iter().any(|(owned, _)| *owned == table),
                "nobody owns {table} ({file})"
            );
        }
    }
}

#[test]
fn the_map_of_this_package_lists_its_tables() {
    let map = read("core/src/lib.rs");
    for (table, places) in OWNERS.iter().filter(|(_, places)| places[0].starts_with("core/")) {
        let module = places[0].trim_end_matches('/').rsplit('/').next().unwrap();
        let row = map.lines().find(|line| line.starts_with(&format!("//! | [`{module}`]")));
        assert!(row.is_some_and(|row| row.contains(&format!("`{table}`"))), "{module}: {table}");
    }
}

/// `.sqlx/` holds no query that is not in the code any more.
#[test]
fn no_prepared_query_is_an_orphan() {
    let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let code: BTreeSet<String> = statements().iter().map(|statement| squeeze(&statement.sql)).collect();
    let prepared = files("json").into_iter().filter(|file| file.starts_with(".sqlx/query-"));
    let mut orphans = Vec::new();
    for file in prepared {
        let json: serde_json::Value = serde_json::from_str(&read(&file)).unwrap();
        if !code.contains(&squeeze(json["query"].as_str().unwrap())) {
            orphans.push(file);
        }
    }
    assert!(orphans.is_empty(), "delete these: {orphans:#?}");
}
