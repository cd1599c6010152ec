use chrono::{DateTime, Utc};
use resume_queue::{GroupId, hold_group};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    CollectionState,
    counts::{self, Counts},
};
use crate::attachment;

/// A page showed the items of one before it: the code of the call that ended its list.
pub(crate) const PAGE_REPEATS: &str = "page_repeats";

/// The codes of calls that brought all that there is to have, though something is listed: another run would
/// bring no more.
pub(crate) fn harmless() -> Vec<&'static str> {
    attachment::NOT_KEPT.into_iter().chain([PAGE_REPEATS]).collect()
}

/// The group of a collection's present run, so that jobs may be added to it by others than its own; `None`
/// when it has finished. Holds it until the end of the transaction.
pub(crate) async fn hold_run(conn: &mut PgConnection, id: Uuid) -> Result<Option<GroupId>, sqlx::Error> {
    let group =
        sqlx::query_scalar!("select group_id from collections where id = $1 and finished_at is null", id);
    match group.fetch_optional(&mut *conn).await?.flatten() {
        Some(group) if hold_group(conn, group).await? => Ok(Some(group)),
        _ => Ok(None),
    }
}

/// A collection that has ended.
pub(crate) struct Ended {
    pub(crate) source: String,
    pub(crate) state: CollectionState,
    pub(crate) begun_at: DateTime<Utc>,
    /// Whether it has all that its source listed, but for attachments that are not kept by rule.
    pub(crate) has_everything: bool,
}

/// Says anew how a collection has ended, if it has: documents that had failed have been parsed by now. When
/// it ended stays. Locks the collection.
pub(crate) async fn conclude_again(conn: &mut PgConnection, id: Uuid) -> Result<(), sqlx::Error> {
    // First the lock, so that the next statement sees what others counted who had it before.
    sqlx::query!("select id from collections where id = $1 for update", id)
        .fetch_optional(&mut *conn)
        .await?;
    let sums = counts::sum(conn, id).await?;
    set_state(conn, id, &sums, true).await?;
    Ok(())
}

/// Sets the final state of a collection that has not ended, or of one that has, by what was counted.
pub(crate) async fn set_state(
    conn: &mut PgConnection,
    id: Uuid,
    sums: &Counts,
    has_ended: bool,
) -> Result<Option<Ended>, sqlx::Error> {
    sqlx::query_as!(
        Ended,
        r#"
        update collections c
        set finished_at = coalesce(c.finished_at, now()), state = case
            when c.state = 'cancelled' then c.state
            when $3 then 'failed'
            when $4 or exists (select from calls p where p.collection_id = c.id and p.error_code is not null)
                or exists (select from doubts d where d.collection_id = c.id)
                or c.summary -> 'errors' <> '[]' then 'completed_with_errors'
            else 'completed'
        end
        where c.id = $1 and (c.finished_at is not null) = $2
        returning c.source, c.state as "state: CollectionState", coalesce(c.begun_at, c.created_at) as "begun_at!",
            not c.is_cut and c.summary is null
            and not exists (select from calls p where p.collection_id = c.id and p.error_code is not null
                            and p.error_code <> all($5))
            and not exists (select from doubts d where d.collection_id = c.id) as "has_everything!"
        "#,
        id,
        has_ended,
        sums.done == 0 && sums.stored + sums.unchanged + sums.retried == 0,
        sums.failed_calls + sums.failed + sums.given_up > 0,
        &harmless() as &[&str],
    )
    .fetch_optional(conn)
    .await
}
