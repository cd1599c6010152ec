use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

use super::{
    Source,
    definition::{Definition, Mapping},
    json::Json,
    tokens,
};
use crate::parsing::Format;

/// Adds a source, or replaces the one of the same name, also one that was removed. Collections that are under
/// way go on with the new definition. A change of the format or the map counts up the version of the map. The
/// next run of a source that was removed, or whose definition now [asks for anything
/// else](Definition::asks_the_same_as), is a full one. Returns whether there was none of this name.
///
/// The caller has [checked](Definition::check) the definition. Locks the source.
///
/// # Errors
/// The database's.
pub async fn put(conn: &mut PgConnection, definition: &Definition) -> Result<bool, sqlx::Error> {
    let before = sqlx::query!(
        r#"
        select definition as "definition: Json<Definition>", removed_at is null as "is_there!"
        from sources where name = $1 for no key update
        "#,
        definition.name,
    )
    .fetch_optional(&mut *conn)
    .await?;
    let keeps_sync = before
        .as_ref()
        .is_some_and(|before| before.is_there && before.definition.0.asks_the_same_as(definition));
    let reads_as_before = before.as_ref().is_none_or(|before| {
        before.definition.0.map == definition.map && before.definition.0.format == definition.format
    });
    sqlx::query_scalar!(
        r#"
        insert into sources (name, definition) values ($1, $2)
        on conflict (name) do update
        set definition = excluded.definition, removed_at = null,
            map_version = sources.map_version + case when $4 then 0 else 1 end,
            map_changed_by = case when $4 then sources.map_changed_by else pg_current_xact_id() end,
            synced_until = case when $3 then sources.synced_until end,
            updated_at = case when sources.definition = excluded.definition then sources.updated_at else now() end
        returning (xmax = 0) as "is_new!"
        "#,
        definition.name,
        Json(definition) as Json<&Definition>,
        keeps_sync,
        reads_as_before,
    )
    .fetch_one(conn)
    .await
}

/// The source of this name, if there is one.
///
/// # Errors
/// The database's.
pub async fn find(conn: &mut PgConnection, name: &str) -> Result<Option<Source>, sqlx::Error> {
    Ok(of_name(conn, name).await?.filter(|source| !source.is_removed))
}

/// The source that a row of `collections` names; a foreign key sees to it that there is one. It may have been
/// removed since: its collections end all the same.
///
/// # Errors
/// The database's.
pub(crate) async fn of_collection(conn: &mut PgConnection, name: &str) -> Result<Source, sqlx::Error> {
    of_name(conn, name).await?.ok_or(sqlx::Error::RowNotFound)
}

/// As [`of_collection`], and locks its row against changes until the end of the transaction; what refers to
/// it can be added.
///
/// # Errors
/// The database's.
pub(crate) async fn hold(conn: &mut PgConnection, name: &str) -> Result<Source, sqlx::Error> {
    sqlx::query_as!(
        Source,
        r#"
        select id, definition as "definition: Json<Definition>", synced_until, created_at, updated_at,
               removed_at is not null as "is_removed!"
        from sources where name = $1 for no key update
        "#,
        name
    )
    .fetch_one(conn)
    .await
}

/// The source of this name, also one that was removed.
async fn of_name(conn: &mut PgConnection, name: &str) -> Result<Option<Source>, sqlx::Error> {
    sqlx::query_as!(
        Source,
        r#"
        select id, definition as "definition: Json<Definition>", synced_until, created_at, updated_at,
               removed_at is not null as "is_removed!"
        from sources where name = $1
        "#,
        name
    )
    .fetch_optional(conn)
    .await
}

/// The number of a source, also of one that was removed.
///
/// # Errors
/// The database's.
pub async fn number(conn: &mut PgConnection, name: &str) -> Result<Option<i32>, sqlx::Error> {
    sqlx::query_scalar!(r#"select id as "id!" from sources where name = $1"#, name).fetch_optional(conn).await
}

/// The name of the source of this number, to which a person refers.
///
/// # Errors
/// The database's.
pub(crate) async fn name(conn: &mut PgConnection, id: i32) -> Result<String, sqlx::Error> {
    sqlx::query_scalar!("select name from sources where id = $1", id).fetch_one(conn).await
}

/// All sources, by name.
///
/// # Errors
/// The database's.
pub async fn all(pool: &PgPool) -> Result<Vec<Source>, sqlx::Error> {
    sqlx::query_as!(
        Source,
        r#"
        select id, definition as "definition: Json<Definition>", synced_until, created_at, updated_at,
               removed_at is not null as "is_removed!"
        from sources where removed_at is null order by name
        "#,
    )
    .fetch_all(pool)
    .await
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionedMap {
    /// The number of the source.
    pub source_id: i32,
    /// What shape its items have.
    pub format: Format,
    /// Counts up when the format or the map changes.
    pub version: i32,
    /// The map, if the source has one.
    pub map: Option<Mapping>,
}

/// The map of a source as it is now, also of one that was removed; `None` for one that never was.
///
/// # Errors
/// The database's.
pub async fn mapping(on: impl PgExecutor<'_>, name: &str) -> Result<Option<VersionedMap>, sqlx::Error> {
    mapping_of(on, Some(name), None).await
}

/// The map of a collection's source, as [`mapping`].
///
/// # Errors
/// The database's.
pub async fn mapping_of_collection(
    on: impl PgExecutor<'_>,
    collection_id: Uuid,
) -> Result<Option<VersionedMap>, sqlx::Error> {
    mapping_of(on, None, Some(collection_id)).await
}

/// The map of the source of this name, or else of this collection.
async fn mapping_of(
    on: impl PgExecutor<'_>,
    name: Option<&str>,
    collection_id: Option<Uuid>,
) -> Result<Option<VersionedMap>, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        select id, map_version, definition -> 'map' as "map: Json<Mapping>",
               definition -> 'format' as "format!: Json<Format>"
        from sources where name = coalesce($1, (select source from collections where id = $2))
        "#,
        name,
        collection_id
    )
    .fetch_optional(on)
    .await?;
    Ok(row.map(|row| VersionedMap {
        source_id: row.id,
        format: row.format.0,
        version: row.map_version,
        map: row.map.map(|map| map.0),
    }))
}

/// Whether all transactions have ended that may store what was read with an earlier map of a source: those
/// that began before the one that changed it. Those that began since see the change.
///
/// # Errors
/// The database's.
pub async fn has_settled(on: impl PgExecutor<'_>, name: &str) -> Result<bool, sqlx::Error> {
    let settled = sqlx::query_scalar!(
        r#"
        select pg_snapshot_xmin(pg_current_snapshot()) > map_changed_by as "settled!" from sources where name = $1
        "#,
        name
    );
    Ok(settled.fetch_optional(on).await?.unwrap_or(true))
}

/// Removes a source: no collection of it starts any more. Those that are under way end, those that wait for
/// their turn are cancelled then, and what it brought stays, but for its tokens. Gives false when there is
/// none of this name. Locks the source.
///
/// # Errors
/// The database's.
pub async fn remove(conn: &mut PgConnection, name: &str) -> Result<bool, sqlx::Error> {
    let removed = sqlx::query_scalar!(
        "update sources set removed_at = now() where name = $1 and removed_at is null returning id",
        name
    );
    let Some(id) = removed.fetch_optional(&mut *conn).await? else { return Ok(false) };
    tokens::delete(conn, id).await?;
    Ok(true)
}

/// Notes that a run which began at `until` has brought everything up to then; changes nothing for a source
/// that cannot be asked for changes, that was changed since, or when a later run did so before. Locks the
/// source.
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
