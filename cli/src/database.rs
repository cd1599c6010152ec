use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use resume_core::db;
use resume_postgres::{Cluster, Durability, default_root};
use tokio::task::JoinHandle;

use crate::options::DatabaseOptions;

/// The name of our database in a private cluster, where the options give none.
pub(crate) const NAME: &str = "resume";
/// The one of the demo, which must not touch the sources of a service that runs beside it.
#[cfg(feature = "mock")]
pub(crate) const DEMO_NAME: &str = "resume_demo";

/// How often to look after the private server: this long nobody can work when somebody kills it.
const SUPERVISION: Duration = Duration::from_secs(1);

/// The database that this process works with.
pub(crate) struct Database {
    pub(crate) url: String,
    embedded: Option<Embedded>,
}

/// A private server, shared with every process that uses the same data directory; the last one out stops it.
struct Embedded {
    root: PathBuf,
    cluster: Arc<Cluster>,
    supervision: JoinHandle<()>,
}

impl Database {
    /// Uses the database that the options name, or the one called `name` in the private cluster, which is
    /// started or joined. The schema is brought up to date.
    pub(crate) async fn open(options: &DatabaseOptions, name: &str) -> Result<Self> {
        let database = Self::connect(options, name).await?;
        db::check(&database.url).await.context("connecting to the database")?;
        let pool = db::pool(&database.url, db::Role::Worker).context("reading the URL of the database")?;
        db::migrate(&pool).await.context("bringing the database up to date")?;
        pool.close().await;
        Ok(database)
    }

    /// As [`open`](Self::open), but leaves the schema alone.
    pub(crate) async fn connect(options: &DatabaseOptions, name: &str) -> Result<Self> {
        // Files of settings have it empty where there is none.
        if let Some(url) = options.database_url.as_ref().filter(|url| !url.is_empty()) {
            return Ok(Self { url: url.clone(), embedded: None });
        }
        let root = match &options.data_dir {
            Some(dir) => std::path::absolute(dir).context("reading RESUME_DATA_DIR")?,
            None => default_root()?,
        };
        let data_dir = root.clone();
        let starting = tokio::task::spawn_blocking(move || Cluster::start(&root, Durability::Durable));
        let cluster = Arc::new(starting.await.context("starting the private Postgres")??);
        let url = cluster.url(name);
        db::create_if_missing(&url).await.context("creating the database")?;
        let supervision = tokio::spawn(supervise(cluster.clone()));
        Ok(Self { url, embedded: Some(Embedded { root: data_dir, cluster, supervision }) })
    }

    /// The private cluster, if this is one.
    pub(crate) fn cluster(&self) -> Option<&Cluster> {
        self.embedded.as_ref().map(|embedded| &*embedded.cluster)
    }

    /// Where the private cluster keeps what is its own, if this is one.
    pub(crate) fn data_dir(&self) -> Option<&Path> {
        self.embedded.as_ref().map(|embedded| &*embedded.root)
    }

    /// What kind of database this is, for people. Never shows a password.
    pub(crate) fn describe(&self) -> String {
        match self.cluster() {
            Some(cluster) => {
                format!(
                    "private PostgreSQL {} in {}",
                    cluster.programs().version(),
                    cluster.data_dir().display()
                )
            }
            None => "the one that DATABASE_URL names".to_owned(),
        }
    }

    /// Leaves the database; stops the private server if no other process uses it.
    pub(crate) async fn close(self) {
        let Some(Embedded { cluster, supervision, .. }) = self.embedded else { return };
        supervision.abort();
        // Its share in the cluster goes with the task.
        let _ = supervision.await;
        let stopped = tokio::task::spawn_blocking(move || drop(cluster)).await;
        if let Err(error) = stopped {
            tracing::warn!(%error, "stopping the private Postgres failed");
        }
    }
}

/// Starts the private server again when somebody killed it.
async fn supervise(cluster: Arc<Cluster>) {
    loop {
        tokio::time::sleep(SUPERVISION).await;
        let cluster = cluster.clone();
        match tokio::task::spawn_blocking(move || cluster.ensure_running()).await {
            Ok(Ok(true)) => tracing::warn!("the private Postgres was gone; started it again"),
            Ok(Ok(false)) => {}
            Ok(Err(error)) => tracing::error!("the private Postgres is gone: {error:#}"),
            Err(error) => tracing::error!(%error, "looking after the private Postgres failed"),
        }
    }
}
