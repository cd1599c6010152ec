//! Shows and hides people.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// The class of the advisory locks that those who hide and those who show the people of a source take: "gone"
/// in ASCII.
const LOCK_CLASS: i32 = i32::from_be_bytes(*b"gone");

/// People of a source who are shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    /// Whether their resumes are older than the moment that was asked for, and their external ids.
    pub(crate) people: Vec<(bool, String)>,
    /// The last external id that was looked at; `None`: there are no more.
    pub(crate) last: Option<String>,
}

/// The next people of a source behind an external id, in the order of the ids: looks at `limit`, and returns
/// those who are shown.
///
/// # Errors
/// The database's.
pub(crate) async fn shown_after(
    conn: &mut PgConnection,
    source_id: i32,
    after: &str,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<Shown, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select p.external_id as "external_id!", r.updated_at < $3 as "is_old?"
        from (
            select id, external_id from people
            where source_id = $1 and external_id > $2 order by external_id limit $4
        ) p left join resumes r on r.person_id = p.id and r.hidden_at is null
        order by p.external_id
        "#,
        source_id,
        after,
        before,
        limit,
    )
    .fetch_all(conn)
    .await?;
    let last = rows.last().map(|row| row.external_id.clone());
    let people = rows.into_iter().filter_map(|row| Some((row.is_old?, row.external_id))).collect();
    Ok(Shown { people, last })
}

/// Takes the visibility lock of a source exclusively, so that nobody is noted as seen before the end of the
/// transaction.
///
/// # Errors
/// The database's.
pub(crate) async fn hold_sight(conn: &mut PgConnection, source_id: i32) -> Result<(), sqlx::Error> {
    sqlx::query!("select pg_advisory_xact_lock($1, $2)", LOCK_CLASS, source_id).fetch_one(conn).await?;
    Ok(())
}

/// Takes the visibility lock of a source together with others who note whom they see: nobody hides anyone for
/// being missing until the end of the transaction.
///
/// # Errors
/// The database's.
pub(crate) async fn share_sight(conn: &mut PgConnection, source_id: i32) -> Result<(), sqlx::Error> {
    sqlx::query!("select pg_advisory_xact_lock_shared($1, $2)", LOCK_CLASS, source_id)
        .fetch_one(conn)
        .await?;
    Ok(())
}

/// Hides people of a source, or shows them again; returns how many were the other way before. Locks their
/// resumes, in the order of their numbers.
///
/// # Errors
/// The database's.
pub(crate) async fn set_hidden(
    conn: &mut PgConnection,
    source_id: i32,
    external_ids: &[&str],
    hidden: bool,
) -> Result<u64, sqlx::Error> {
    if external_ids.is_empty() {
        return Ok(0);
    }
    let update = sqlx::query!(
        r#"
        update resumes set hidden_at = case when $3 then now() end
        where person_id in (
            select r.person_id from people p join resumes r on r.person_id = p.id
            where p.source_id = $1 and p.external_id = any($2) and (r.hidden_at is null) = $3
            order by r.person_id for update of r)
        "#,
        source_id,
        external_ids as &[&str],
        hidden,
    );
    Ok(update.execute(conn).await?.rows_affected())
}
