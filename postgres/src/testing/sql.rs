//! Statements of the test set-up, and the names of its locks.
//!
//! They are not checked at compile time, because they concern the server and not a schema, and most contain an identifier. All text
//! in them is ours.

use sqlx::{AssertSqlSafe, PgConnection, Row, postgres::PgRow, raw_sql};

/// The class of our advisory locks that stand for a thing of which there is one: `rsmt` in ASCII, so as not to meet others' locks.
pub(super) const CLASS: i32 = 0x72_73_6d_74;

/// The class of the advisory locks that stand for a test database; the second key is the hash of its name.
pub(super) const DATABASE_CLASS: i32 = CLASS + 1;

/// What an advisory lock of [`CLASS`] stands for.
#[derive(Clone, Copy, Debug)]
#[repr(i32)]
pub(super) enum Lock {
    /// Held shared by everyone who uses the test cluster.
    Users = 1,
    /// Held by the session that stops the idle cluster.
    Watcher = 2,
    /// Held by who makes or drops a template.
    Template = 3,
    /// Held by who drops databases that nobody uses.
    Sweep = 4,
}

impl Lock {
    /// The two keys, for an advisory lock function.
    pub(super) fn keys(self) -> String {
        format!("{CLASS}, {}", self as i32)
    }
}

/// The two keys of the lock that guards the test database `name`.
pub(super) fn database_keys(name: &str) -> String {
    format!("{DATABASE_CLASS}, hashtext('{name}')")
}

/// Executes one statement.
pub(super) async fn execute(connection: &mut PgConnection, statement: String) -> sqlx::Result<()> {
    raw_sql(AssertSqlSafe(statement)).execute(connection).await?;
    Ok(())
}

/// Reads one yes or no.
pub(super) async fn is_true(connection: &mut PgConnection, query: String) -> sqlx::Result<bool> {
    let row: PgRow = raw_sql(AssertSqlSafe(query)).fetch_one(connection).await?;
    row.try_get(0)
}

/// Reads a column of text.
pub(super) async fn texts(connection: &mut PgConnection, query: String) -> sqlx::Result<Vec<String>> {
    let rows: Vec<PgRow> = raw_sql(AssertSqlSafe(query)).fetch_all(connection).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}
