//! A cluster of its own for one test.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Result;
use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::host::test_root;
use crate::{Cluster, Durability};

/// A cluster that is removed with this value.
#[derive(Debug)]
pub(super) struct OwnCluster {
    /// `None` only while it is dropped.
    cluster: Option<Arc<Cluster>>,
    root: PathBuf,
}

impl OwnCluster {
    pub(super) async fn start() -> Result<Self> {
        spawn_blocking(|| {
            // Eight digits: the path of a socket is short.
            let id = Uuid::new_v4().simple().to_string();
            let root = parent()?.join(&id[..8]);
            let cluster = Cluster::start(&root, Durability::Throwaway)?;
            Ok(Self { cluster: Some(Arc::new(cluster)), root })
        })
        .await?
    }

    pub(super) fn cluster(&self) -> &Arc<Cluster> {
        self.cluster.as_ref().expect("it is taken only by drop")
    }
}

impl Drop for OwnCluster {
    fn drop(&mut self) {
        // Stops the server, unless the test has kept a clone of the `Arc`.
        self.cluster = None;
        remove(&self.root);
    }
}

/// Stops and removes the clusters of tests that were killed. Blocking.
pub(super) fn sweep() {
    let Ok(parent) = parent() else { return };
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        match Cluster::stop_unused(&entry.path()) {
            Ok(true) => remove(&entry.path()),
            Ok(false) => {}
            Err(error) => tracing::debug!("cannot stop {}: {error:#}", entry.path().display()),
        }
    }
}

fn parent() -> Result<PathBuf> {
    Ok(test_root()?.join("own"))
}

fn remove(root: &Path) {
    if let Err(error) = fs::remove_dir_all(root) {
        tracing::debug!("cannot remove {}: {error}", root.display());
    }
}
