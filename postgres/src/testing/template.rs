//! Makes the database of a test as a copy of a migrated template.

use std::hash::{DefaultHasher, Hash, Hasher};

use anyhow::{Context, Result};
use sqlx::{PgConnection, migrate::Migrator};
use uuid::Uuid;

use super::{
    host::Host,
    sql::{Lock, database_keys, execute, migrate, texts},
};

/// What the name of a test database starts with.
pub(super) const DATABASE_PREFIX: &str = "resume_test_";
/// What the name of a template starts with. The hash of the migrations follows, and the Unix time it was
/// made.
pub(super) const TEMPLATE_PREFIX: &str = "resume_template_";
/// What the name of a template starts with until it is complete.
pub(super) const UNFINISHED_PREFIX: &str = "resume_unfinished_";

/// `invalid_catalog_name`: no such database. Source: Postgres documentation, "Error Codes".
const NO_SUCH_DATABASE: &str = "3D000";

/// The first version with `STRATEGY`. Before it, copying files is the only way.
const VERSION_WITH_STRATEGY: u32 = 150_000;

/// Makes a database with the migrations applied, returns its name, and guards it for the life of `keeper`.
pub(super) async fn clone(host: &Host, keeper: &mut PgConnection, migrators: &[&Migrator]) -> Result<String> {
    let name = format!("{DATABASE_PREFIX}{}", Uuid::now_v7().simple());
    execute(keeper, format!("SELECT pg_advisory_lock({})", database_keys(&name))).await?;
    // Copying files is quicker than writing an empty database through the log: 50 ms against 150.
    let has_strategy = keeper.server_version_num().is_some_and(|version| version >= VERSION_WITH_STRATEGY);
    let strategy = if has_strategy { "STRATEGY FILE_COPY" } else { "" };
    loop {
        let template = ensure(host, keeper, migrators).await?;
        let copy = execute(keeper, format!("CREATE DATABASE {name} TEMPLATE {template} {strategy}")).await;
        match copy {
            Ok(()) => return Ok(name),
            // Another process swept it away as old, between our two statements.
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(NO_SUCH_DATABASE) => {}
            Err(error) => {
                return Err(error)
                    .context("cannot make a test database; does the user have the right CREATEDB?");
            }
        }
    }
}

/// Finds the template for these migrations, or makes it. Returns its name.
async fn ensure(host: &Host, session: &mut PgConnection, migrators: &[&Migrator]) -> Result<String> {
    let hash = hash(migrators);
    if let Some(template) = find(session, &hash).await? {
        return Ok(template);
    }
    // One process makes it, the others wait.
    execute(session, format!("SELECT pg_advisory_lock({})", Lock::Template.keys())).await?;
    let made = match find(session, &hash).await {
        Ok(Some(template)) => Ok(template),
        Ok(None) => make(host, session, migrators, &hash).await,
        Err(error) => Err(error.into()),
    };
    execute(session, format!("SELECT pg_advisory_unlock({})", Lock::Template.keys())).await?;
    made
}

async fn find(session: &mut PgConnection, hash: &str) -> sqlx::Result<Option<String>> {
    let query = format!(
        "SELECT datname FROM pg_database WHERE starts_with(datname, '{TEMPLATE_PREFIX}{hash}_') \
         ORDER BY datname DESC LIMIT 1"
    );
    Ok(texts(session, query).await?.pop())
}

async fn make(
    host: &Host,
    session: &mut PgConnection,
    migrators: &[&Migrator],
    hash: &str,
) -> Result<String> {
    let unfinished = format!("{UNFINISHED_PREFIX}{hash}");
    execute(session, format!("DROP DATABASE IF EXISTS {unfinished} WITH (FORCE)")).await?;
    // Not template1, which may be in use or have things in it.
    execute(session, format!("CREATE DATABASE {unfinished} TEMPLATE template0")).await?;
    let migrated = migrate(migrators, host.url(&unfinished)).await;
    migrated.context("cannot migrate the template of the test databases")?;
    // A database with a session in it can be neither renamed nor copied.
    execute(session, format!("ALTER DATABASE {unfinished} ALLOW_CONNECTIONS false")).await?;
    let now = "SELECT extract(epoch FROM now())::bigint::text".to_owned();
    let now = texts(session, now).await?.pop().context("the server does not know the time")?;
    let template = format!("{TEMPLATE_PREFIX}{hash}_{now}");
    execute(session, format!("ALTER DATABASE {unfinished} RENAME TO {template}")).await?;
    Ok(template)
}

/// Tells sets of migrations apart. The same in all processes of a test run, which is all it has to be.
fn hash(migrators: &[&Migrator]) -> String {
    let mut hasher = DefaultHasher::new();
    for migrator in migrators {
        migrator.table_name.hash(&mut hasher);
        for migration in migrator.iter() {
            migration.version.hash(&mut hasher);
            migration.checksum.hash(&mut hasher);
        }
    }
    format!("{:016x}", hasher.finish())
}
