//! What calls tell of one person, for those who erase them.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::PgConnection;
use url::form_urlencoded::byte_serialize;
use uuid::Uuid;

use crate::{erasure::FORGOTTEN, progress::Counts};

/// The calls that a source's collections have opened for one person, an item in full or a file; and those
/// among `brought_by` that are such. Locks nothing.
///
/// An id that is unique only within a parent is `parent/id`, and the calls are about the item `id` of the
/// parent.
pub(crate) async fn about(
    conn: &mut PgConnection,
    source: &str,
    external_id: Option<&str>,
    brought_by: &[i64],
) -> Result<Vec<i64>, sqlx::Error> {
    let (parent, item) = external_id.and_then(|id| id.split_once('/')).unzip();
    sqlx::query_scalar!(
        r#"
        select p.id as "id!" from calls p join collections c on c.id = p.collection_id
        where p.item <> '' and (p.item = $2 or p.item = $4 and p.parent = $3) and c.source = $1
        union
        select id from calls where id = any($5) and step in ('detail', 'attachment')
        "#,
        source,
        external_id,
        parent,
        item,
        brought_by,
    )
    .fetch_all(conn)
    .await
}

/// Locks those of some calls that are still there; returns them.
pub(crate) async fn lock(conn: &mut PgConnection, ids: &[i64]) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar!("select id from calls where id = any($1) order by id for update", ids)
        .fetch_all(conn)
        .await
}

/// What these calls are, and what went wrong with them, as JSON.
pub(crate) async fn export(conn: &mut PgConnection, ids: &[i64]) -> Result<Vec<Value>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select jsonb_build_object(
                   'id', id, 'collection_id', collection_id, 'step', step, 'state', state, 'parent', parent,
                   'item', item, 'name', name, 'address', link, 'error_code', error_code, 'error', error,
                   'done_at', done_at) as "told!"
        from calls where id = any($1) order by id
        "#,
        ids,
    )
    .fetch_all(conn)
    .await
}

/// Deletes calls that are about one person, whatever has become of them: their jobs find nothing to do.
/// Returns how the counts of their collections change.
pub(crate) async fn delete(conn: &mut PgConnection, ids: &[i64]) -> Result<Vec<(Uuid, Counts)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        delete from calls where id = any($1)
        returning collection_id, (state = 'done')::integer as "done!",
                  (state = 'failed')::integer as "failed!"
        "#,
        ids,
    );
    let mut changes: BTreeMap<Uuid, Counts> = BTreeMap::new();
    for row in rows.fetch_all(conn).await? {
        let change = changes.entry(row.collection_id).or_default();
        change.opened -= 1;
        change.opened_behind -= 1;
        change.done -= i64::from(row.done);
        change.failed_calls -= i64::from(row.failed);
    }
    Ok(changes.into_iter().collect())
}

/// Forgets what calls of a source say that may tell of one person: the errors of those that brought their
/// documents, every error that names them, and the address of a page that was fetched and is asked for by
/// their id.
pub(crate) async fn forget(
    conn: &mut PgConnection,
    source: &str,
    external_id: Option<&str>,
    brought_by: &[i64],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update calls set error = $2 where id = any($1) and error is not null",
        brought_by,
        FORGOTTEN,
    )
    .execute(&mut *conn)
    .await?;
    let Some(naming) = external_id.map(naming) else { return Ok(()) };
    sqlx::query!(
        r#"
        update calls set error = $3
        where error_code is not null and error ~ $2
          and collection_id in (select id from collections where source = $1)
        "#,
        source,
        naming,
        FORGOTTEN,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        r#"
        update calls set link = null
        where link is not null and step in ('parents', 'list', 'deleted') and state = 'done' and link ~ $2
          and collection_id in (select id from collections where source = $1)
        "#,
        source,
        naming,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A regular expression of Postgres for texts that name an id, as it is or as addresses have it: a whole
/// word, if it is one.
pub(crate) fn naming(external_id: &str) -> String {
    let in_address: String = byte_serialize(external_id.as_bytes()).collect();
    let in_path = in_address.replace('+', "%20");
    let words = [external_id, &in_address, &in_path].map(|id| {
        let literal = |c: char| if c.is_ascii_punctuation() { format!("\\{c}") } else { c.to_string() };
        id.chars().map(literal).collect::<String>()
    });
    format!("(^|[^[:alnum:]])({})($|[^[:alnum:]])", words.join("|"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_named_literally() {
        let id = "(^|[^[:alnum:]])(a\\.b c|a\\.b\\+c|a\\.b\\%20c)($|[^[:alnum:]])";
        assert_eq!(naming("a.b c"), id);
    }
}
