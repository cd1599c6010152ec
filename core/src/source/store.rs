use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor, PgPool};

use super::{
    Source,
    definition::{Definition, Mapping},
    json::Json,
};

/// A row of `sources`.
struct Row {
    definition: Json<Definition>,
    synced_until: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<Row> for Source {
    fn from(row: Row) -> Self {
        let Row { definition, synced_until, created_at, updated_at } = row;
        Self { definition: definition.0, synced_until, created_at, updated_at }
    }
}

/// Adds a source, or replaces the one of the same name, also one that was removed. Collections that are under way go on
/// with the new definition. A change of the format or the map counts up the version of the map; one that is asked for another list, or was
/// removed, is asked for everything by the next run. Gives whether there was none of
/// this name.
///
/// The caller has [checked](Definition::check) the definition.
///
/// # Errors
/// The database's.
pub async fn put(conn: &mut PgConnection, definition: &Definition) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        insert into sources (name, definition) values ($1, $2)
        on conflict (name) do update
        set definition = excluded.definition, removed_at = null,
            map_version = sources.map_version + case
                when sources.definition -> 'map' is distinct from excluded.definition -> 'map'
                    or sources.definition -> 'format' is distinct from excluded.definition -> 'format' then 1
                else 0
            end,
            synced_until = case
                when sources.removed_at is null
                    and row(sources.definition -> 'base_url', sources.definition -> 'parents',
                            sources.definition -> 'list' -> 'path', sources.definition -> 'list' -> 'params',
                            sources.definition -> 'list' -> 'body', sources.definition #> '{list,deleted,feed}',
                            sources.definition #> '{list,deleted,flag}')
                        is not distinct from
                        row(excluded.definition -> 'base_url', excluded.definition -> 'parents',
                            excluded.definition -> 'list' -> 'path', excluded.definition -> 'list' -> 'params',
                            excluded.definition -> 'list' -> 'body', excluded.definition #> '{list,deleted,feed}',
                            excluded.definition #> '{list,deleted,flag}')
                then sources.synced_until
            end,
            updated_at = case when sources.definition = excluded.definition then sources.updated_at else now() end
        returning (xmax = 0) as "is_new!"
        "#,
        definition.name,
        Json(definition) as Json<&Definition>,
    )
    .fetch_one(conn)
    .await
}

/// The source of this name, if there is one.
///
/// # Errors
/// The database's.
pub async fn find(conn: &mut PgConnection, name: &str) -> Result<Option<Source>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        r#"
        select definition as "definition: Json<Definition>", synced_until, created_at, updated_at
        from sources where name = $1 and removed_at is null
        "#,
        name
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Source::from))
}

/// The source that a row of `collections` names; a foreign key sees to it that there is one. It may have been removed since:
/// its collections end all the same.
///
/// # Errors
/// The database's.
pub(crate) async fn of_collection(conn: &mut PgConnection, name: &str) -> Result<Source, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        r#"
        select definition as "definition: Json<Definition>", synced_until, created_at, updated_at from sources where name = $1
        "#,
        name
    )
    .fetch_one(conn)
    .await?;
    Ok(row.into())
}

/// As [`of_collection`], and locks its row against changes until the end of the transaction; what refers to it can be added.
///
/// # Errors
/// The database's.
pub(crate) async fn hold(conn: &mut PgConnection, name: &str) -> Result<Source, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        r#"
        select definition as "definition: Json<Definition>", synced_until, created_at, updated_at
        from sources where name = $1 for no key update
        "#,
        name
    )
    .fetch_one(conn)
    .await?;
    Ok(row.into())
}

/// Whether a source was removed. One that never was is, too.
///
/// # Errors
/// The database's.
pub(crate) async fn is_removed(conn: &mut PgConnection, name: &str) -> Result<bool, sqlx::Error> {
    let is_there = sqlx::query_scalar!(
        r#"select exists (select from sources where name = $1 and removed_at is null) as "is_there!""#,
        name
    );
    Ok(!is_there.fetch_one(conn).await?)
}

/// All sources, by name.
///
/// # Errors
/// The database's.
pub async fn all(pool: &PgPool) -> Result<Vec<Source>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        select definition as "definition: Json<Definition>", synced_until, created_at, updated_at
        from sources where removed_at is null order by name
        "#,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(Source::from).collect())
}

/// The names of all sources, in alphabetical order.
///
/// # Errors
/// The database's.
pub async fn list(pool: &PgPool) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!("select name from sources where removed_at is null order by name")
        .fetch_all(pool)
        .await
}

/// Where in the items of a source the fields of a resume are, at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionedMap {
    /// Counts up when the format or the map changes.
    pub version: i32,
    /// The map, if the source has one.
    pub map: Option<Mapping>,
}

/// The map of a source as it is now; also of one that was removed. That of one which never was has the version 0.
///
/// # Errors
/// The database's.
pub async fn mapping(on: impl PgExecutor<'_>, name: &str) -> Result<VersionedMap, sqlx::Error> {
    let row = sqlx::query!(
        r#"select map_version, definition -> 'map' as "map: Json<Mapping>" from sources where name = $1"#,
        name
    )
    .fetch_optional(on)
    .await?;
    let versioned = row.map(|row| VersionedMap { version: row.map_version, map: row.map.map(|map| map.0) });
    Ok(versioned.unwrap_or_default())
}

/// Removes a source: no collection of it starts any more. Those that are under way end, those that wait for their turn are cancelled
/// then, and what it brought stays. Gives
/// false when there is none of this name.
///
/// # Errors
/// The database's.
pub async fn remove(conn: &mut PgConnection, name: &str) -> Result<bool, sqlx::Error> {
    let removed =
        sqlx::query!("update sources set removed_at = now() where name = $1 and removed_at is null", name)
            .execute(conn)
            .await?
            .rows_affected();
    Ok(removed > 0)
}

/// Notes that a run which began at `until` has brought everything up to then; changes nothing for a source that cannot be asked
/// for changes, that was changed since, or when a later run did so before. Locks the source.
///
/// # Errors
/// The database's.
pub(crate) async fn note_synced(
    conn: &mut PgConnection,
    name: &str,
    until: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        update sources set synced_until = $2
        where name = $1 and definition -> 'list' ? 'since' and (synced_until is null or synced_until < $2)
          and updated_at <= $2
        "#,
        name,
        until,
    )
    .execute(conn)
    .await?;
    Ok(())
}
