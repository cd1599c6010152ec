//! Statements of the test set-up, and the names of its locks.
//!
//! They are not checked at compile time, because they concern the server and not a schema, and most contain
//! an identifier. All text in them is ours.

use std::pin::Pin;

use sqlx::{
    AssertSqlSafe, Connection as _, PgConnection, Row,
    migrate::Migrator,
    postgres::{PgPoolOptions, PgRow},
    raw_sql,
};

/// The class of our advisory locks that stand for a thing of which there is one: `rsmt` in ASCII, so as not
/// to meet others' locks.
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

/// What these functions return. Boxed, because the compiler cannot see for itself that the futures of sqlx's
/// generic functions are `Send` for every lifetime (rust-lang/rust#102211), and tests spawn what is built on
/// them.
type SqlFuture<'c, T> = Pin<Box<dyn Future<Output = sqlx::Result<T>> + Send + 'c>>;

/// Opens a session.
pub(super) fn connect(url: String) -> SqlFuture<'static, PgConnection> {
    Box::pin(async move { PgConnection::connect(&url).await })
}

/// Applies the migrations to the database at `url`.
pub(super) fn migrate<'a>(migrators: &'a [&'a Migrator], url: String) -> SqlFuture<'a, ()> {
    Box::pin(async move {
        let pool = PgPoolOptions::new().max_connections(1).connect(&url).await?;
        for migrator in migrators {
            migrator.run(&pool).await?;
        }
        pool.close().await;
        Ok(())
    })
}

/// Executes one statement.
pub(super) fn execute(connection: &mut PgConnection, statement: String) -> SqlFuture<'_, ()> {
    Box::pin(async {
        raw_sql(AssertSqlSafe(statement)).execute(connection).await?;
        Ok(())
    })
}

/// Reads one yes or no.
pub(super) fn is_true(connection: &mut PgConnection, query: String) -> SqlFuture<'_, bool> {
    Box::pin(async {
        let row: PgRow = raw_sql(AssertSqlSafe(query)).fetch_one(connection).await?;
        row.try_get(0)
    })
}

/// Reads a column of text.
pub(super) fn texts(connection: &mut PgConnection, query: String) -> SqlFuture<'_, Vec<String>> {
    Box::pin(async {
        let rows: Vec<PgRow> = raw_sql(AssertSqlSafe(query)).fetch_all(connection).await?;
        rows.iter().map(|row| row.try_get(0)).collect()
    })
}
