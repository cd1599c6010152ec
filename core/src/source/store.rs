use sqlx::{PgConnection, PgPool};

use super::{Paging, Source};
use crate::parsing::Format;

/// Adds a source, or replaces the one of the same name.
///
/// # Errors
/// The database's.
pub async fn put(conn: &mut PgConnection, source: &Source) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        insert into sources (name, url, paging, format, calls_per_second) values ($1, $2, $3, $4, $5)
        on conflict (name) do update
        set url = excluded.url, paging = excluded.paging, format = excluded.format,
            calls_per_second = excluded.calls_per_second, updated_at = now()
        "#,
        source.name,
        source.url,
        source.paging as Paging,
        source.format as Format,
        source.calls_per_second.cast_signed(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The source of this name, if there is one.
///
/// # Errors
/// The database's.
pub async fn find(conn: &mut PgConnection, name: &str) -> Result<Option<Source>, sqlx::Error> {
    let row = sqlx::query!(
        r#"select name, url, paging as "paging: Paging", format as "format: Format", calls_per_second
           from sources where name = $1"#,
        name
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|r| Source {
        name: r.name,
        url: r.url,
        paging: r.paging,
        format: r.format,
        calls_per_second: r.calls_per_second.unsigned_abs(),
    }))
}

/// The source that a row of `collections` names; a foreign key sees to it that there is one.
///
/// # Errors
/// The database's.
pub(crate) async fn of_collection(conn: &mut PgConnection, name: &str) -> Result<Source, sqlx::Error> {
    find(conn, name).await?.ok_or(sqlx::Error::RowNotFound)
}

/// The names of all sources, in alphabetical order.
///
/// # Errors
/// The database's.
pub async fn list(pool: &PgPool) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!("select name from sources order by name").fetch_all(pool).await
}
