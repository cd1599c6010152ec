use sqlx::PgConnection;
use uuid::Uuid;

use crate::progress::ErrorCount;

/// How often each kind of error happened to the calls of a collection, or to those that wait to be made
/// again, with one of each for people; the most frequent first, at most `limit`.
///
/// # Errors
/// The database's.
pub(crate) async fn error_counts(
    conn: &mut PgConnection,
    collection_id: Uuid,
    only_pending: bool,
    limit: i64,
) -> Result<Vec<ErrorCount>, sqlx::Error> {
    sqlx::query_as!(
        ErrorCount,
        r#"
        select e.code as "code!", e.count as "count!",
               case when c.step = 'detail' then 'detail of ' || c.item
                    when c.step = 'deleted' then 'page ' || c.place || ' of the deleted'
                    when c.step = 'attachment' then 'attachment ' || c.name || ' of ' || c.item
                    else 'page ' || c.place || case when c.parent = '' then '' else ' of ' || c.parent end
               end || ': ' || coalesce(c.error, '')
               || case when $3 then ', made ' || c.made || ' times so far' else '' end as "sample!"
        from (
            select error_code as code, count(*) as count, min(id) as first from calls
            where collection_id = $1 and error_code is not null and (state = 'pending' or not $3)
            group by error_code
        ) e join calls c on c.id = e.first
        order by e.count desc, e.code limit $2
        "#,
        collection_id,
        limit,
        only_pending,
    )
    .fetch_all(conn)
    .await
}
