//! What has become of the calls and documents of a collection. Each transaction adds what it changed to the
//! row of its own connection, in the transaction that changes it: the sums are exact, and nobody waits for
//! anybody.

use sqlx::PgConnection;
use uuid::Uuid;

/// What has become of calls and documents: of all of a collection, or what one transaction changes. Then a
/// number is negative where something is taken back, as by a retry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls that were opened.
    pub opened: i64,
    /// Those of them that are not pages of the first list.
    pub opened_behind: i64,
    /// Calls whose answer was stored.
    pub done: i64,
    /// Calls that were given up.
    pub failed_calls: i64,
    /// Calls that were made, those without success included.
    pub made: i64,
    /// Calls that the source refused because they were too many.
    pub rate_limited: i64,
    /// Items that lists have shown.
    pub listed: i64,
    /// Documents that are new.
    pub stored: i64,
    /// Items whose content was known.
    pub unchanged: i64,
    /// Documents of earlier runs that had failed and are parsed again.
    pub retried: i64,
    /// Documents that became resumes.
    pub parsed: i64,
    /// Documents that failed to parse.
    pub failed: i64,
    /// Documents that nobody parses for now.
    pub given_up: i64,
    /// Items of people who were erased, and were not stored.
    pub erased: i64,
}

impl Counts {
    /// Calls that wait to be made, or are under way.
    pub fn pending(&self) -> i64 {
        (self.opened - self.done - self.failed_calls).max(0)
    }

    /// Documents that wait to be parsed, or are being parsed.
    pub fn waiting(&self) -> i64 {
        (self.stored + self.retried - self.parsed - self.failed - self.given_up).max(0)
    }
}

/// How fast a collection goes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Speeds {
    /// How many answers were stored in a second lately.
    pub done_per_second: f64,
    /// How many documents were parsed, or failed, in a second lately.
    pub settled_per_second: f64,
}

/// Adds a change to the counts of a collection.
///
/// # Errors
/// The database's.
pub async fn add(conn: &mut PgConnection, collection_id: Uuid, change: Counts) -> Result<(), sqlx::Error> {
    if change == Counts::default() {
        return Ok(());
    }
    sqlx::query_file!(
        "src/progress/add_counts.sql",
        collection_id,
        change.opened,
        change.opened_behind,
        change.done,
        change.failed_calls,
        change.made,
        change.rate_limited,
        change.listed,
        change.stored,
        change.unchanged,
        change.retried,
        change.parsed,
        change.failed,
        change.given_up,
        change.erased,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The sums of a collection; all zero where nothing was counted.
///
/// # Errors
/// The database's.
pub async fn sum(conn: &mut PgConnection, collection_id: Uuid) -> Result<Counts, sqlx::Error> {
    sqlx::query_file_as!(Counts, "src/progress/sum_counts.sql", collection_id).fetch_one(conn).await
}

/// How fast a collection goes, by what was done in the last ten to twenty seconds; zero where nothing
/// was in the last thirty.
///
/// # Errors
/// The database's.
pub(crate) async fn speeds(conn: &mut PgConnection, collection_id: Uuid) -> Result<Speeds, sqlx::Error> {
    sqlx::query_file_as!(Speeds, "src/progress/speeds.sql", collection_id).fetch_one(conn).await
}

/// Makes the rows of all connections one, at the end of a collection. Locks them.
///
/// # Errors
/// The database's.
pub(crate) async fn fold(conn: &mut PgConnection, collection_id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query_file!("src/progress/fold_counts.sql", collection_id).execute(conn).await?;
    Ok(())
}
