//! The server that all tests share.

use std::{
    env, fs,
    os::unix::fs::MetadataExt,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use nix::unistd::Uid;
use sqlx::PgConnection;
use tokio::{sync::OnceCell, task::spawn_blocking};

use super::{
    linger,
    sql::{Lock, connect, execute},
};
use crate::{Cluster, Durability, root::make_directory};

/// How long to try for a session: the cluster may be stopping (up to a minute) and must then be started
/// again.
const SESSION_TIMEOUT: Duration = Duration::from_secs(90);

/// How often to try, e.g. while all connections are taken.
const RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// The server that all tests share.
#[derive(Clone, Debug)]
pub(super) enum Host {
    /// That of `DATABASE_URL`.
    Given { url: String },
    /// The test cluster of this user.
    Embedded(Arc<Cluster>),
}

impl Host {
    /// Finds the server, and starts it if need be. Once per process.
    pub(super) async fn get() -> Result<&'static Self> {
        static HOST: OnceCell<Host> = OnceCell::const_new();
        HOST.get_or_try_init(|| async {
            if let Some(url) = env::var("DATABASE_URL").ok().filter(|url| !url.is_empty()) {
                return Ok(Self::Given { url });
            }
            let cluster =
                spawn_blocking(|| Cluster::start_and_leave_running(&test_root()?, Durability::Throwaway));
            Ok(Self::Embedded(Arc::new(cluster.await??)))
        })
        .await
    }

    /// The URL of a database on this server.
    pub(super) fn url(&self, database: &str) -> String {
        match self {
            Self::Given { url } => with_database(url, database),
            Self::Embedded(cluster) => cluster.url(database),
        }
    }

    /// The URL of the database for sessions that make and drop others. All advisory locks are taken in this
    /// one.
    pub(super) fn maintenance_url(&self) -> String {
        match self {
            Self::Given { url } => url.clone(),
            Self::Embedded(cluster) => cluster.url("postgres"),
        }
    }

    /// Opens a session that keeps the server from being stopped as idle, starting it again if it just was.
    pub(super) async fn session(&self) -> Result<PgConnection> {
        let Self::Embedded(cluster) = self else {
            return connect(self.maintenance_url()).await.context("cannot connect to DATABASE_URL");
        };
        let begun = Instant::now();
        loop {
            match self.use_cluster().await {
                Ok(session) => return Ok(session),
                Err(error) if begun.elapsed() > SESSION_TIMEOUT => {
                    return Err(error).context("cannot use the test cluster");
                }
                Err(error) => tracing::debug!("the test cluster is not to be had, trying again: {error}"),
            }
            let cluster = Arc::clone(cluster);
            spawn_blocking(move || cluster.ensure_running()).await??;
            tokio::time::sleep(RETRY_INTERVAL).await;
        }
    }

    async fn use_cluster(&self) -> sqlx::Result<PgConnection> {
        let url = self.maintenance_url();
        let mut session = connect(url.clone()).await?;
        // If the watcher is stopping the server right now, this waits and then fails with the server.
        execute(&mut session, format!("SELECT pg_advisory_lock_shared({})", Lock::Users.keys())).await?;
        linger::ensure_watched(&mut session, url, linger::LINGER).await?;
        Ok(session)
    }
}

/// The directory for the clusters of this user's tests.
///
/// In the temporary directory, because the server must be able to walk there when the tests run as root; a
/// checkout below `/root` is closed to it.
pub(super) fn test_root() -> Result<PathBuf> {
    // On macOS the temporary directory of a user has too long a path for a socket.
    let parent = if cfg!(target_os = "macos") { "/tmp".into() } else { env::temp_dir() };
    let me = Uid::effective();
    let root = parent.join(format!("resume-test-{me}"));
    make_directory(&root, if me.is_root() { 0o755 } else { 0o700 })?;
    // Anybody can make a directory of this name, and would then own what the tests do.
    let metadata = fs::symlink_metadata(&root)?;
    ensure!(
        metadata.is_dir() && metadata.uid() == me.as_raw(),
        "{} is not a directory of user {me}; remove it, or set TMPDIR to another directory",
        root.display()
    );
    Ok(root)
}

/// Replaces the database in a URL, and nothing else.
fn with_database(url: &str, database: &str) -> String {
    let (before_query, query) = match url.split_once('?') {
        Some((before, query)) => (before, format!("?{query}")),
        None => (url, String::new()),
    };
    let authority = before_query.find("://").map_or(0, |position| position + 3);
    let end = before_query[authority..].find('/').map_or(before_query.len(), |position| authority + position);
    format!("{}/{database}{query}", &before_query[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_database_of_a_url_is_replaced() {
        for (url, expected) in [
            ("postgres://u:p@h:1/a?sslmode=disable&x=/y", "postgres://u:p@h:1/new?sslmode=disable&x=/y"),
            ("postgres://u@h/a", "postgres://u@h/new"),
            ("postgres://u@h", "postgres://u@h/new"),
            ("postgres:///a?host=/var/run/postgresql", "postgres:///new?host=/var/run/postgresql"),
        ] {
            assert_eq!(with_database(url, "new"), expected, "{url}");
        }
    }
}
