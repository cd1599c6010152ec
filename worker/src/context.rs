use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use resume_connector::{Connector, Timeouts};
use resume_core::db::PgPool;

use crate::{Settings, lag::Lag, permit::Permits};

/// What the handlers share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) pool: PgPool,
    pub(crate) connector: Arc<Connector>,
    pub(crate) parse_delay: Duration,
    pub(crate) permits: Arc<Permits>,
    pub(crate) lag: Arc<Lag>,
}

impl Context {
    pub(crate) fn new(pool: PgPool, worker_id: i64, settings: &Settings) -> anyhow::Result<Self> {
        let connector = Connector::new(Timeouts::default(), settings.secrets_dir.clone())
            .context("setting up the calls to sources")?;
        let permits = Arc::new(Permits::new(pool.clone(), worker_id));
        let lag = Arc::new(Lag::new(pool.clone(), settings.backlog_max));
        Ok(Self { pool, connector: Arc::new(connector), parse_delay: settings.parse_delay, permits, lag })
    }
}
