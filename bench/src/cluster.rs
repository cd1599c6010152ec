//! Where the bench programs measure.

use std::{fs, os::unix::fs::PermissionsExt};

use anyhow::Result;
use resume_postgres::{Cluster, Durability};
use tempfile::TempDir;

/// Starts a durable private cluster with default settings, in a directory of its own that goes when it is
/// dropped: let the cluster go first.
///
/// # Errors
/// When there is no room for the directory, or no Postgres.
pub async fn start_cluster() -> Result<(TempDir, Cluster)> {
    let directory = tempfile::Builder::new().prefix("resume-bench-").tempdir()?;
    // The server may run as another user, who must be able to get there.
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))?;
    let root = directory.path().join("cluster");
    let cluster = tokio::task::spawn_blocking(move || Cluster::start(&root, Durability::Durable)).await??;
    Ok((directory, cluster))
}
