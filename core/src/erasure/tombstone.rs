use sqlx::PgConnection;

use super::Key;

/// Why nobody knows whether people were erased.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// People of the source were erased, and this process has no key, or another one.
    #[error(
        "people of this source were erased, and this process does not have the key with which they were: set \
         RESUME_ERASURE_KEY_FILE to the same file for every api and worker"
    )]
    KeyMissing,
    /// The database refused.
    #[error("looking for erased people failed")]
    Database(#[from] sqlx::Error),
}

/// The places of those among some people of a source who were erased, by their [identities](super::identity).
///
/// # Errors
/// See [`CheckError`].
pub(crate) async fn erased_among(
    conn: &mut PgConnection,
    source_id: i32,
    key: Option<&Key>,
    identities: &[impl AsRef<str>],
) -> Result<Vec<usize>, CheckError> {
    let hashes: Vec<Vec<u8>> = match key {
        Some(key) => identities.iter().map(|identity| key.hash(identity.as_ref())).collect(),
        None => Vec::new(),
    };
    let row = sqlx::query!(
        r#"
        select exists (select from erased_people where source_id = $1 and key_id is distinct from $3) as "has_others!",
               array(select key_hash from erased_people where source_id = $1 and key_hash = any($2)) as "found!"
        "#,
        source_id,
        &hashes,
        key.map(Key::id),
    )
    .fetch_one(conn)
    .await?;
    if row.has_others {
        return Err(CheckError::KeyMissing);
    }
    if row.found.is_empty() {
        return Ok(Vec::new());
    }
    Ok(hashes.iter().enumerate().filter(|(_, hash)| row.found.contains(hash)).map(|(at, _)| at).collect())
}

/// Lifts the erasure of a person: the next run may store them again. Returns false if nobody with this id was
/// erased with this key. In the caller's transaction.
///
/// # Errors
/// The database's.
pub async fn lift(
    conn: &mut PgConnection,
    source_id: i32,
    key: &Key,
    external_id: &str,
) -> Result<bool, sqlx::Error> {
    let lifted = sqlx::query!(
        "delete from erased_people where source_id = $1 and key_hash = $2",
        source_id,
        key.hash(external_id),
    );
    Ok(lifted.execute(conn).await?.rows_affected() > 0)
}

/// Remembers that a person was erased.
///
/// # Errors
/// The database's.
pub(crate) async fn remember(
    conn: &mut PgConnection,
    source_id: i32,
    key: &Key,
    identity: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        insert into erased_people (source_id, key_hash, key_id) values ($1, $2, $3)
        on conflict do nothing
        "#,
        source_id,
        key.hash(identity),
        key.id(),
    )
    .execute(conn)
    .await?;
    Ok(())
}
