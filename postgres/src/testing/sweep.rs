//! Drops what tests left behind.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use anyhow::Result;
use sqlx::{Connection, PgConnection};

use super::{
    host::Host,
    own,
    sql::{Lock, connect, database_keys, execute, is_true, texts},
    template::{DATABASE_PREFIX, TEMPLATE_PREFIX, UNFINISHED_PREFIX},
};

/// How old a template gets. Each change of a migration makes a new one, and one that is still in use is soon
/// made again.
const TEMPLATE_AGE_MAX_SECS: i64 = 24 * 60 * 60;

/// Starts to drop what nobody uses any more, in a thread of its own, unless this or another process is at it.
/// Does not block.
///
/// The thread ends with the process at the latest: what it had begun, the server completes.
pub(super) fn in_background(host: &'static Host) {
    static SWEEPING: AtomicBool = AtomicBool::new(false);
    if SWEEPING.swap(true, Ordering::AcqRel) {
        return;
    }
    thread::spawn(move || {
        // Tidying is a courtesy: a test does not fail for it.
        if let Err(error) = run(host) {
            tracing::debug!("cannot drop what earlier tests left behind: {error:#}");
        }
        SWEEPING.store(false, Ordering::Release);
    });
}

fn run(host: &Host) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut session = connect(host.maintenance_url()).await?;
        if try_lock(&mut session, &Lock::Sweep.keys()).await? {
            sweep_databases(&mut session).await?;
            sweep_templates(&mut session).await?;
            tokio::task::spawn_blocking(own::sweep).await?;
        }
        session.close().await?;
        Ok(())
    })
}

async fn sweep_databases(session: &mut PgConnection) -> Result<()> {
    for name in names(session, DATABASE_PREFIX).await? {
        let keys = database_keys(&name);
        if try_lock(session, &keys).await? {
            drop_database(session, &name).await?;
            execute(session, format!("SELECT pg_advisory_unlock({keys})")).await?;
        }
    }
    Ok(())
}

async fn sweep_templates(session: &mut PgConnection) -> Result<()> {
    // While somebody makes a template, all of them stay.
    if !try_lock(session, &Lock::Template.keys()).await? {
        return Ok(());
    }
    for name in names(session, UNFINISHED_PREFIX).await? {
        drop_database(session, &name).await?;
    }
    for name in names(session, TEMPLATE_PREFIX).await? {
        let made_at: Option<i64> = name.rsplit_once('_').and_then(|(_, made_at)| made_at.parse().ok());
        let Some(made_at) = made_at else { continue };
        let is_old = format!("SELECT extract(epoch FROM now()) - {made_at} > {TEMPLATE_AGE_MAX_SECS}");
        if is_true(session, is_old).await? {
            drop_database(session, &name).await?;
        }
    }
    execute(session, format!("SELECT pg_advisory_unlock({})", Lock::Template.keys())).await?;
    Ok(())
}

async fn names(session: &mut PgConnection, prefix: &str) -> sqlx::Result<Vec<String>> {
    texts(session, format!("SELECT datname FROM pg_database WHERE starts_with(datname, '{prefix}')")).await
}

async fn try_lock(session: &mut PgConnection, keys: &str) -> sqlx::Result<bool> {
    is_true(session, format!("SELECT pg_try_advisory_lock({keys})")).await
}

async fn drop_database(session: &mut PgConnection, name: &str) -> sqlx::Result<()> {
    execute(session, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await
}
