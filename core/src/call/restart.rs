use resume_queue::EnqueueError;
use sqlx::PgConnection;

use super::{Call, NewCall, open};
use crate::{
    progress::counts::{self, Counts},
    source::definition::Step,
};

/// Reads the list again from its beginning, in place of a page whose cursor the source knows no more. What is
/// stored is known when it comes again, so this costs calls and nothing else. Once a run for each list: a
/// source whose cursors expire before its list is read would be read for ever.
///
/// Returns false, and changes nothing, when this run has begun the list again before, or when the call is no
/// longer pending. In the caller's transaction, which should also complete the job; locks the calls of the
/// list.
///
/// # Errors
/// The database's; roll back.
pub async fn restart(conn: &mut PgConnection, call: &Call) -> Result<bool, EnqueueError> {
    let closed = sqlx::query!(
        r#"
        update calls p
        set state = 'done', made = made + 1, done_at = now(), error_code = null, error = null, items = 0
        from collections c
        where p.id = $1 and p.state = 'pending' and c.id = p.collection_id and not exists (
            select from calls b
            where b.collection_id = p.collection_id and b.begun_in_run = c.run and b.step = p.step and b.parent = p.parent)
        "#,
        call.id,
    )
    .execute(&mut *conn)
    .await?
    .rows_affected();
    if closed == 0 {
        return Ok(false);
    }
    let listed = if call.step == Step::List { listed_so_far(conn, call).await? } else { 0 };
    // The same cursors may lead through the list again, in another reading of it.
    let begin = NewCall { reading: call.reading + 1, ..NewCall::page(call.step, call.parent(), 1, None) };
    let opened = open::open(conn, call.run(), &[begin]).await?;
    sqlx::query!(
        r#"
        update calls p set begun_in_run = c.run from collections c
        where c.id = $1 and p.collection_id = $1 and p.step = $2 and p.parent = $3 and p.item = '' and p.place = 1 and p.reading = $4
        "#,
        call.collection_id,
        call.step as Step,
        call.parent(),
        call.reading + 1,
    )
    .execute(&mut *conn)
    .await?;
    let opened_behind = if call.is_of_first_list() { 0 } else { opened };
    let change = Counts { opened, opened_behind, done: 1, made: 1, listed: -listed, ..Counts::default() };
    counts::add(conn, call.collection_id, change).await?;
    Ok(true)
}

/// How many items this reading of the list has shown: they come anew, and count no more.
async fn listed_so_far(conn: &mut PgConnection, call: &Call) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select coalesce(sum(items), 0)::bigint as "items!" from calls
        where collection_id = $1 and step = 'list' and parent = $2 and item = '' and reading = $3
        "#,
        call.collection_id,
        call.parent(),
        call.reading,
    )
    .fetch_one(conn)
    .await
}
