//! Sources that were described by columns are described by their definitions.

use resume_core::{
    db::MIGRATOR,
    parsing::Format,
    source::{self, definition::Definition},
};
use resume_postgres::testing::TestDatabase;
use sqlx::migrate::Migrator;

/// The first migration that the data has not seen.
const DEFINE_SOURCES: i64 = 20261124000017;

const DATA: &str = r#"
    insert into sources (name, url, paging, format, calls_per_second) values
        ('links', 'http://[::1]:8000/api/v1/test-data', 'next_link', 'profile', 30),
        ('numbers', 'https://ats.example/people', 'numbered', 'json_resume', 7);
"#;

#[tokio::test]
async fn sources_of_columns_become_definitions() {
    let earlier = MIGRATOR.iter().filter(|migration| migration.version < DEFINE_SOURCES);
    let earlier = Migrator::with_migrations(earlier.cloned().collect());
    let database = TestDatabase::new(&[&resume_queue::MIGRATOR, &earlier]).await.unwrap();
    sqlx::raw_sql(DATA).execute(database.pool()).await.unwrap();
    MIGRATOR.run(database.pool()).await.unwrap();

    let sources = source::all(database.pool()).await.unwrap();
    let definitions: Vec<Definition> = sources.into_iter().map(|source| source.definition).collect();
    let expected = [
        Definition::original("links", "http://[::1]:8000", "/api/v1/test-data", 30).along_links(),
        Definition::original("numbers", "https://ats.example", "/people", 7).of_format(Format::JsonResume),
    ];
    assert_eq!(definitions, expected);
}
