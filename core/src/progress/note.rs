use sqlx::PgConnection;
use uuid::Uuid;

/// What an answer tells of how many pages the first list has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pages {
    /// Nothing.
    Unknown,
    /// So many or fewer: of several answers the least counts.
    AtMost(i32),
    /// So many.
    Exactly(i32),
}

/// Notes what an answer tells of all of a collection: that it has started and that its source answers, how
/// many pages there are, and that it was cut. Called where any of this is new; locks the collection until the
/// end of the transaction.
///
/// # Errors
/// The database's.
pub(crate) async fn note_answer(
    conn: &mut PgConnection,
    id: Uuid,
    pages: Pages,
    is_cut: bool,
) -> Result<(), sqlx::Error> {
    let (exactly, at_most) = match pages {
        Pages::Unknown => (None, None),
        Pages::AtMost(last) => (None, Some(last)),
        Pages::Exactly(last) => (Some(last), None),
    };
    sqlx::query!(
        r#"
        update collections
        set pages_expected = coalesce($2, least(pages_expected, $3)), is_cut = is_cut or $4,
            state = case when state in ('pending', 'waiting_for_source') then 'running' else state end,
            started_at = coalesce(started_at, now())
        where id = $1
        "#,
        id,
        exactly,
        at_most,
        is_cut,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that a page of a collection is not fetched for now, because parsing lags behind. Changes nothing for
/// one that was noted within half a second, or is over; else locks the collection for a moment.
///
/// # Errors
/// The database's.
pub async fn note_lagging(conn: &mut PgConnection, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        update collections set lagged_at = now()
        where id = $1 and finished_at is null and coalesce(lagged_at < now() - interval '0.5 s', true)
        "#,
        id,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that a collection waits for its source, which is silent, or not called because its calls fail. Until
/// the next answer is stored. Changes nothing for one that is noted already, or stopped, or over; else locks
/// the collection for a moment.
///
/// # Errors
/// The database's.
pub async fn note_waiting(conn: &mut PgConnection, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update collections set state = 'waiting_for_source' where id = $1 and state in ('pending', 'running')",
        id,
    )
    .execute(conn)
    .await?;
    Ok(())
}
