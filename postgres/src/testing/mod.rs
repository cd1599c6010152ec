//! A database per test, with nothing to set up.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! # static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate::Migrator::DEFAULT;
//! // static MIGRATOR: Migrator = sqlx::migrate!("../migrations");
//! let database = resume_postgres::testing::TestDatabase::new(&[&MIGRATOR]).await?;
//! let mut connection = database.pool().acquire().await?;
//! # Ok(())
//! # }
//! ```
//!
//! **Where.** On the server of `DATABASE_URL` if that is set (a service of the CI; its user needs the right
//! `CREATEDB`), else on a throwaway cluster in the temporary directory that all test processes of this user
//! share.
//!
//! **How fast.** The migrations run once, into a template; a test gets a copy of that, in about 50 ms.
//!
//! **What is left behind.** Each test database is guarded by an advisory lock of the test that made it, which
//! Postgres drops when the test ends in whatever way. Later tests drop the databases that nobody guards any
//! more, and templates older than a day, in a thread of their own. The cluster stops by itself when nobody
//! has used it for half a minute (see `linger`), so that test processes that come one after the other find it
//! running, and a CI machine is not left with it.

mod host;
mod linger;
mod own;
mod sql;
mod sweep;
mod template;

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use sqlx::{
    PgConnection, PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::Cluster;
use host::Host;
use own::OwnCluster;

/// Enough for a test with several workers; the server has 400 for all tests that run side by side.
const POOL_CONNECTIONS_MAX: u32 = 10;

/// How long a test waits for a connection: long enough for a machine that runs many tests at once.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);

/// A migrated database for one test, which ends with this value. Keep the value for as long as anything uses
/// the database.
#[derive(Debug)]
#[must_use = "the database ends with this value"]
pub struct TestDatabase {
    // Dropped in this order: the pool first, the server last.
    pool: PgPool,
    url: String,
    /// Guards the database: it may be dropped once this session has ended.
    _keeper: Option<PgConnection>,
    own: Option<OwnCluster>,
}

impl TestDatabase {
    /// Makes a database with all migrations of `migrators` applied, in their order, on the server that all
    /// tests share.
    ///
    /// Works under `cargo test` and nextest, as root and not.
    ///
    /// # Errors
    /// When there is no server and none can be started (see [`Cluster::start`]), or a migration fails.
    pub async fn new(migrators: &[&Migrator]) -> Result<Self> {
        let host = Host::get().await?;
        let mut keeper = host.session().await?;
        let name = template::clone(host, &mut keeper, migrators).await?;
        sweep::in_background(host);
        let url = host.url(&name);
        let pool = connect(&url).await?;
        Ok(Self { pool, url, _keeper: Some(keeper), own: None })
    }

    /// Makes a database with all migrations of `migrators` applied, in their order, on a cluster of its own:
    /// for tests that restart or kill Postgres.
    ///
    /// Takes about a second. The cluster is always one of this machine, whatever `DATABASE_URL` says, and
    /// dropping the value stops and removes it, which blocks for about 0.2 s. Of a test that was killed, the
    /// cluster is stopped and removed by a later test.
    ///
    /// # Errors
    /// When the cluster cannot be started (see [`Cluster::start`]), or a migration fails.
    pub async fn on_own_cluster(migrators: &[&Migrator]) -> Result<Self> {
        let own = OwnCluster::start().await?;
        let url = own.cluster().url("postgres");
        sql::migrate(migrators, url.clone()).await.context("cannot migrate the test database")?;
        let pool = connect(&url).await?;
        Ok(Self { pool, url, _keeper: None, own: Some(own) })
    }

    /// A pool of up to ten connections to the database.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// The URL of the database.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The cluster of a database made by [`TestDatabase::on_own_cluster`]. Its methods block: call them
    /// through `spawn_blocking`.
    ///
    /// # Panics
    /// When the database is on the server that all tests share, which no test may stop.
    pub fn cluster(&self) -> &Arc<Cluster> {
        let own = self.own.as_ref().expect("only a database made by on_own_cluster has a cluster to itself");
        own.cluster()
    }
}

async fn connect(url: &str) -> Result<PgPool> {
    let options: PgConnectOptions = url.parse()?;
    let pool = PgPoolOptions::new().max_connections(POOL_CONNECTIONS_MAX).acquire_timeout(ACQUIRE_TIMEOUT);
    pool.connect_with(options).await.with_context(|| format!("cannot connect to the test database {url}"))
}
