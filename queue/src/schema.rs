//! The tables of the queue.

use std::sync::LazyLock;

use sqlx::migrate::Migrator;

/// Creates the schema `queue` and all that is in it.
///
/// Keeps its list of what was done in `queue.migrations`, so that it gets along with the other migrators of a
/// database. Run it before those whose tables or functions speak of the queue.
pub static MIGRATOR: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrator = sqlx::migrate!("./migrations");
    migrator.create_schema("queue");
    migrator.dangerous_set_table_name("queue.migrations");
    migrator
});
