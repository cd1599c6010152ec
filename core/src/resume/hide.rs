//! Shows and hides people.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// The class of the advisory locks that those who hide and those who show the people of a source take: "gone"
/// in ASCII.
const LOCK_CLASS: i32 = i32::from_be_bytes(*b"gone");

/// People of a source who are shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    /// Their numbers, whether their resumes are older than the moment that was asked for, and their external
    /// ids.
    pub(crate) people: Vec<(i64, bool, String)>,
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
        select p.id, p.external_id as "external_id!", r.updated_at < $3 as "is_old?"
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
    let people = rows.into_iter().filter_map(|row| Some((row.id, row.is_old?, row.external_id))).collect();
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

/// The numbers of those people of a source who are known.
///
/// # Errors
/// The database's.
pub(crate) async fn people(
    conn: &mut PgConnection,
    source_id: i32,
    external_ids: &[&str],
) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar!(
        "select id from people where source_id = $1 and external_id = any($2) order by id",
        source_id,
        external_ids as &[&str],
    )
    .fetch_all(conn)
    .await
}

/// Hides people of a source; returns how many are hidden that were not.
///
/// # Errors
/// The database's.
pub(crate) async fn hide(
    conn: &mut PgConnection,
    source_id: i32,
    external_ids: &[&str],
) -> Result<u64, sqlx::Error> {
    if external_ids.is_empty() {
        return Ok(0);
    }
    let people = people(conn, source_id, external_ids).await?;
    hide_people(conn, &people).await
}

/// Hides people; returns how many are hidden that were not. Locks their resumes, in the order of their
/// numbers.
///
/// # Errors
/// The database's.
pub(crate) async fn hide_people(conn: &mut PgConnection, people: &[i64]) -> Result<u64, sqlx::Error> {
    let update = sqlx::query!(
        r#"
        update resumes set hidden_at = now()
        where person_id in (
            select person_id from resumes where person_id = any($1) and hidden_at is null order by person_id for update)
        "#,
        people,
    );
    Ok(update.execute(conn).await?.rows_affected())
}

/// Shows the hidden people of a source again. Locks their resumes, in the order of their numbers.
///
/// # Errors
/// The database's.
pub(crate) async fn show(
    conn: &mut PgConnection,
    source_id: i32,
    external_ids: &[&str],
) -> Result<(), sqlx::Error> {
    if external_ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        r#"
        update resumes set hidden_at = null
        where person_id in (
            select r.person_id from people p join resumes r on r.person_id = p.id
            where p.source_id = $1 and p.external_id = any($2) and r.hidden_at is not null
            order by r.person_id for update of r)
        "#,
        source_id,
        external_ids as &[&str],
    )
    .execute(conn)
    .await?;
    Ok(())
}
